package main

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"
	"k8s.io/cli-runtime/pkg/genericclioptions"

	"fathom/internal/run"
	"fathom/theme"
	"fathom/views"
)

// Everything that a session starts ends with it, also when no server ever answers.
func TestNothingOutlivesTheSession(t *testing.T) {
	before := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, before) }) // the last: the silent server has ended by then
	silent := silentServer(t)
	dir := t.TempDir()
	kubeconfig := filepath.Join(dir, "config")
	text := `{"apiVersion":"v1","kind":"Config","current-context":"c","contexts":[{"name":"c","context":{"cluster":"c","user":"u"}}],` +
		`"clusters":[{"name":"c","cluster":{"server":"http://` + silent + `"}}],"users":[{"name":"u","user":{}}]}`
	if err := os.WriteFile(kubeconfig, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("HOME", dir)
	t.Setenv("KUBECONFIG", kubeconfig)
	t.Setenv("XDG_STATE_HOME", dir)
	t.Setenv("ETCDCTL_ENDPOINTS", "http://"+silent)

	f := &flags{kube: genericclioptions.NewConfigFlags(true)}
	f.etcd.HostRoot = dir
	c, err := f.open()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if c.Kube() == nil || c.Etcd() == nil {
		t.Fatalf("API server %v, etcd %v: both were given", c.Kube(), c.Etcd())
	}
	env, stop, err := wire(context.Background(), c, theme.New(theme.Options{}), func(p run.Panic) {
		t.Errorf("panic in %s: %v\n%s", p.Name, p.Value, p.Stack)
	})
	if err != nil {
		t.Fatal(err)
	}
	env.Backups = f.folder(env.Group, c)
	cat := views.NewCatalog(env, "")
	var panes []views.Pane
	for _, name := range cat.Names() {
		line := name
		if name == "history" || name == "watch" { // of one key
			line += " /registry/pods/shop/cart-0"
		}
		r, err := cat.Resolve(line, "")
		if err != nil {
			t.Fatal(err)
		}
		p, err := cat.Pane(r)
		if err != nil {
			t.Fatalf("opening %s: %v", name, err)
		}
		p.Open()
		panes = append(panes, p)
	}
	deadline := time.NewTimer(300 * time.Millisecond) // long enough for every source to have begun to wait
	defer deadline.Stop()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for running := true; running; {
		for _, p := range panes {
			p.Sync()
		}
		select {
		case <-tick.C:
		case <-deadline.C:
			running = false
		}
	}
	for _, p := range panes {
		p.Close()
	}
	start := time.Now()
	stop()
	if took := time.Since(start); took > time.Second {
		t.Errorf("ending the session took %v", took)
	}
}

// silentServer accepts connections and never says a word.
func silentServer(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		var conns []net.Conn
		for {
			c, err := l.Accept()
			if err != nil {
				for _, c := range conns {
					_ = c.Close()
				}
				return
			}
			conns = append(conns, c)
		}
	}()
	t.Cleanup(func() { _ = l.Close(); <-done })
	return l.Addr().String()
}
