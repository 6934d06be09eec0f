// Package testcluster starts the sandbox for tests: a real Kubernetes control plane on a real etcd cluster, in a folder of the
// test's own, gone when the test ends.
package testcluster

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// ReadyTimeout is how long a sandbox may take until it is ready and settled. It takes seconds; this is for a busy machine.
const ReadyTimeout = 4 * time.Minute

// Cluster is a running sandbox.
type Cluster struct {
	Dir string
	bin string
}

// Binary is a program of this repository under bin/, which `make build` builds.
func Binary(t testing.TB, name string) string {
	t.Helper()
	p := filepath.Join(root(t), "bin", name)
	if _, err := os.Stat(p); err != nil {
		t.Fatalf("%s is not built (%v): run `make build` first", name, err)
	}
	return p
}

// root is the folder of go.mod.
func root(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "Makefile")); err == nil {
			return dir
		}
		if dir == filepath.Dir(dir) {
			t.Fatal("no Makefile above the test's folder")
		}
		dir = filepath.Dir(dir)
	}
}

// Start starts a sandbox with the arguments of `up` and waits until it has settled. It is ended, and its folder removed, when the
// test ends.
func Start(t testing.TB, args ...string) *Cluster {
	t.Helper()
	dir, err := os.MkdirTemp("", "fathom-test-") // not t.TempDir: its names are too long for a Unix socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { removeAll(t, dir) })
	c := &Cluster{Dir: dir, bin: Binary(t, "fathom-sandbox")}
	var out bytes.Buffer
	cmd := exec.Command(c.bin, append([]string{"up", "--dir", dir}, args...)...)
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-done:
		case <-time.After(30 * time.Second):
			_ = cmd.Process.Kill()
			<-done
		}
	})
	deadline := time.After(ReadyTimeout)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		if _, err := os.Stat(filepath.Join(dir, "ready")); err == nil {
			break
		}
		select {
		case err := <-done:
			done <- err
			t.Fatalf("the sandbox ended: %v\n%s", err, out.String())
		case <-deadline:
			t.Fatalf("the sandbox is not ready after %v:\n%s", ReadyTimeout, out.String())
		case <-tick.C:
		}
	}
	c.Run(t, "wait", "--timeout", ReadyTimeout.String())
	return c
}

// At is a sandbox that runs already, in a folder of its user's; it goes on after the test.
func At(t testing.TB, dir string) *Cluster {
	t.Helper()
	c := &Cluster{Dir: dir, bin: Binary(t, "fathom-sandbox")}
	c.Run(t, "wait")
	return c
}

// removeAll removes a folder that a dying process may still be writing to.
func removeAll(t testing.TB, dir string) {
	for i := 0; ; i++ {
		err := os.RemoveAll(dir)
		if err == nil {
			return
		}
		if i == 100 || !errors.Is(err, syscall.ENOTEMPTY) && !errors.Is(err, fs.ErrExist) {
			t.Errorf("removing the sandbox: %v", err)
			return
		}
	}
}

// Run runs a subcommand of the sandbox and returns what it printed.
func (c *Cluster) Run(t testing.TB, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), ReadyTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, c.bin, append(args, "--dir", c.Dir)...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("fathom-sandbox %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// Kubeconfig is the cluster-admin's.
func (c *Cluster) Kubeconfig() string { return filepath.Join(c.Dir, "admin.kubeconfig") }

// ViewerKubeconfig is that of a user who is bound to the ClusterRole view.
func (c *Cluster) ViewerKubeconfig() string { return filepath.Join(c.Dir, "viewer.kubeconfig") }

// HostRoot is a control-plane node's root folder, shaped as kubeadm does.
func (c *Cluster) HostRoot() string { return filepath.Join(c.Dir, "root") }

// EtcdEnv are the ETCDCTL_ variables, as for exec.Cmd.Env.
func (c *Cluster) EtcdEnv(t testing.TB) []string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(c.Dir, "etcd.env"))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Fields(string(data))
}

// Env is an environment for fathom that knows this cluster and nothing else of the machine; its state goes to a folder of the
// test's own.
func (c *Cluster) Env(t testing.TB) []string {
	t.Helper()
	home := t.TempDir()
	env := []string{
		"HOME=" + home, "XDG_STATE_HOME=" + filepath.Join(home, "state"), "PATH=" + os.Getenv("PATH"),
		"KUBECONFIG=" + c.Kubeconfig(), "LANG=C.UTF-8", "TERM=xterm-256color",
	}
	return append(env, c.EtcdEnv(t)...)
}

// Eventually polls until check returns nil, and fails the test with its last error after the time.
func Eventually(t testing.TB, within time.Duration, what string, check func() error) {
	t.Helper()
	deadline := time.Now().Add(within)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %v: %v", what, within, err)
		}
		<-tick.C
	}
}
