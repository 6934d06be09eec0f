export CGO_ENABLED = 0

.PHONY: build
build:
	go build -trimpath -ldflags='-s -w' -o bin/fathom ./cmd/fathom
