# CGO is off for what we ship: one static binary. The race detector needs it, so the tests turn it on.
export CGO_ENABLED = 0
GO ?= go
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS = -s -w -X main.version=$(VERSION)
# How long the parts of the suite may take before they are ended as hung.
FAST_TIMEOUT = 5m
HEAVY_TIMEOUT = 20m

.PHONY: help
help:
	@echo 'make build        bin/fathom and bin/fathom-sandbox'
	@echo 'make demo         open fathom on a sandbox cluster with sample workloads'
	@echo 'make test         everything: unit tests, golden frames, the sandbox suite, the terminal suite'
	@echo 'make check        gofmt, vet, staticcheck'
	@echo 'make bench        benchmarks with allocations, then fathom on 50,000 and 150,000 pods, and on 1,000,000 keys of etcd'
	@echo 'make screenshots  draw docs/screenshots from a real run'

.PHONY: build
build: bin/fathom bin/fathom-sandbox

.PHONY: bin/fathom
bin/fathom:
	@[ -x $@ ] || echo 'building fathom: the first time takes 2 to 3 minutes on 2 cores'
	@$(GO) build -trimpath -ldflags='$(LDFLAGS)' -o $@ ./cmd/fathom

.PHONY: bin/fathom-sandbox
bin/fathom-sandbox:
	@[ -x $@ ] || echo 'building the sandbox (a whole Kubernetes control plane): the first time takes 4 to 6 minutes on 2 cores'
	@cd cmd/sandbox && $(GO) build -trimpath -ldflags='-s -w' -o ../../$@ .

# etcd's own client, at the sandbox's version: measured beside fathom.
.PHONY: bin/etcdctl
bin/etcdctl:
	@cd cmd/sandbox && $(GO) build -trimpath -ldflags='-s -w' -o ../../$@ go.etcd.io/etcd/etcdctl/v3

.PHONY: demo
demo: build
	@.ci/demo

.PHONY: test
test: tools build unit sandbox-test integration

.PHONY: tools
tools:
	@command -v tmux >/dev/null || { echo 'make test needs tmux for the terminal suite: apt-get install tmux'; exit 1; }
	@command -v cc >/dev/null || { echo 'make test needs a C compiler for the race detector: apt-get install gcc libc6-dev'; exit 1; }

.PHONY: unit
unit:
	CGO_ENABLED=1 $(GO) test -race -timeout $(FAST_TIMEOUT) ./...

.PHONY: sandbox-test
sandbox-test:
	cd cmd/sandbox && FATHOM_SANDBOX_TEST=1 $(GO) test -timeout $(HEAVY_TIMEOUT) ./...

# One package at a time: each starts control planes of its own, and two of them at once make the other one's timings lie.
.PHONY: integration
integration: build
	$(GO) test -tags integration -run Integration -p 1 -count 1 -timeout $(HEAVY_TIMEOUT) ./...

.PHONY: check
check:
	@out=$$(gofmt -l $$(git ls-files '*.go')); [ -z "$$out" ] || { echo "not gofmt-clean:"; echo "$$out"; exit 1; }
	$(GO) vet ./...
	$(GO) vet -tags integration ./...
	$(GO) vet -tags scale ./cmd/fathom
	cd cmd/sandbox && $(GO) vet ./...
	$(GO) build -o bin/staticcheck honnef.co/go/tools/cmd/staticcheck
	bin/staticcheck -tags integration ./...
	bin/staticcheck -tags scale ./cmd/fathom
	cd cmd/sandbox && ../../bin/staticcheck ./...

# First the benchmarks, then fathom on large clusters of nodes/pods, against a bare informer and kubectl on the same ones: see docs/performance.md.
# SCALE= leaves the clusters out, KEYS= the etcd of so many keys. On a busy machine the times lie.
SCALE ?= 1000/50000 5000/150000
KEYS ?= 1000000

.PHONY: bench
bench: build bin/etcdctl
	$(GO) test -run '^$$' -bench . -benchmem ./...
	@failed=; for size in $(SCALE); do \
		$(GO) test -tags scale -run '^TestScale$$' -count 1 -v -timeout 60m ./cmd/fathom -scale.nodes $${size%/*} -scale.pods $${size#*/} \
			-scale.json $(CURDIR)/bin/scale-$${size#*/}.json || failed="$$failed $$size"; \
	done; \
	for n in $(KEYS); do \
		$(GO) test -tags scale -run '^TestScaleKeys$$' -count 1 -v -timeout 30m ./cmd/fathom -scale.keys $$n || failed="$$failed $$n-keys"; \
	done; [ -z "$$failed" ] || { echo "make bench: missed at$$failed"; exit 1; }

# The key table of the README is generated from the key map.
.PHONY: keys
keys: bin/fathom
	@bin/fathom keys >bin/keys.md
	@awk '/^<!-- \/keys/{skip=0} !skip{print} /^<!-- keys:/{skip=1; while ((getline line <"bin/keys.md") > 0) print line}' README.md >bin/README.md && cp bin/README.md README.md

.PHONY: screenshots
screenshots: build
	$(GO) test -tags integration -run IntegrationScreenshots -count 1 -timeout $(HEAVY_TIMEOUT) ./cmd/fathom -screenshots ../../docs/screenshots
