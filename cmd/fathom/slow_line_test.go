package main

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"fathom/internal/pty"
)

// asFathom makes the test binary behave as fathom: the tests of this file run it on terminals of their own.
const asFathom = "FATHOM_TEST_AS_FATHOM"

func TestMain(m *testing.M) {
	if os.Getenv(asFathom) != "" {
		os.Exit(execute(os.Args[1:]))
	}
	os.Exit(m.Run())
}

// silentEnv is the environment of a fathom whose API server accepts connections and never answers, and its state folder.
func silentEnv(t *testing.T) (env []string, dir string) {
	t.Helper()
	dir = t.TempDir()
	kubeconfig := filepath.Join(dir, "config")
	text := fmt.Sprintf(`{"apiVersion":"v1","kind":"Config","current-context":"c","contexts":[{"name":"c","context":{"cluster":"c","user":"u"}}],`+
		`"clusters":[{"name":"c","cluster":{"server":"http://%s"}}],"users":[{"name":"u","user":{}}]}`, silentServer(t))
	if err := os.WriteFile(kubeconfig, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return []string{"TERM=xterm-256color", "LANG=C.UTF-8", "HOME=" + dir, "XDG_STATE_HOME=" + dir, "KUBECONFIG=" + kubeconfig}, dir
}

// startSelf runs fathom, which this test binary is, on a terminal that is gone when the test ends.
func startSelf(t *testing.T, env []string, o pty.Options, args ...string) *pty.Terminal {
	t.Helper()
	o.Env = append([]string{asFathom + "=1"}, env...)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	x, err := pty.Start(self, args, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = x.Close() })
	return x
}
