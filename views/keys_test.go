package views

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/exp/golden"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"fathom/cluster"
	"fathom/internal/run"
	"fathom/internal/testetcd"
	"fathom/keymap"
	"fathom/watchers"
)

// keyEnv is an environment with an etcd of the test's own.
func keyEnv(t *testing.T, ascii, readOnly bool, s *testetcd.Server) *Env {
	t.Helper()
	return keyEnvOf(t, ascii, readOnly, s.URL)
}

func keyEnvOf(t *testing.T, ascii, readOnly bool, urls ...string) *Env {
	t.Helper()
	c, err := cluster.Open(cluster.Options{ReadOnly: readOnly,
		Etcd: cluster.EtcdOptions{Endpoints: urls, Env: func(string) string { return "" }}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	env := pictureEnv(ascii)
	env.Cluster = c
	env.Group = run.NewGroup(context.Background(), func(p run.Panic) { t.Errorf("%s: %v", p.Name, p.Value) })
	t.Cleanup(env.Group.Stop)
	return env
}

func keyFixture(t *testing.T) *testetcd.Server {
	s := testetcd.Start(t)
	s.Set("compact_rev_key", "11")
	s.Set("/config/ui", `{"dark":true}`)
	for _, k := range []string{"configmaps/shop/c", "deployments/shop/web", "pods/shop/web-1", "pods/shop/web-2", "pods/data/pg-0", "secrets/shop/db"} {
		s.Set("/registry/"+k, `{"apiVersion":"v1","kind":"Thing","metadata":{"name":"x"}}`)
	}
	s.Set("/registry/secrets/shop/db", `{"apiVersion":"v1","kind":"Secret","metadata":{"name":"db"},"data":{"password":"aHVzaC1odXNo","user":"bWU="}}`)
	s.Set("/registry/pods/shop/\x1b[2Jevil\u202e\xff", "v")
	s.Set("/registry/pods", "a key that is a prefix, too")
	for i := range 250 {
		s.Set(fmt.Sprintf("/registry/events/shop/e-%03d", i), "v")
	}
	return s
}

// do gives a pane an intent and carries out what comes of it. What it wants of the screen is returned.
func do(p Pane, in keymap.Intent) tea.Msg { return carryOut(p.Do(in)) }

func carryOut(cmd tea.Cmd) tea.Msg {
	for cmd != nil {
		msg := cmd()
		m, ok := msg.(PaneMsg)
		if !ok {
			return msg
		}
		cmd = m.To.(Updater).Update(m.Msg)
	}
	return nil
}

func openKeys(t *testing.T, env *Env, key string, w, h int) *keyTree {
	t.Helper()
	pane, err := newKeys(env, Ref{View: "keys", Object: Object{Key: key}})
	if err != nil {
		t.Fatal(err)
	}
	p := pane.(*keyTree)
	p.Open()
	t.Cleanup(p.Close)
	frame(p, w, h)
	carryOut(p.Start())
	return p
}

// masks what differs from run to run: the port.
func steady(s *testetcd.Server, text string) string {
	return strings.ReplaceAll(text, s.URL, "http://127.0.0.1:"+strings.Repeat("9", len(s.URL)-len("http://127.0.0.1:")))
}

func TestGoldenKeys(t *testing.T) {
	s := keyFixture(t)
	for _, size := range [][2]int{{78, 20}, {198, 56}} { // the inside of frames of 80x24 and 200x60
		for _, ascii := range []bool{false, true} {
			env := keyEnv(t, ascii, true, s)
			p := openKeys(t, env, "", size[0], size[1])
			t.Run(fmt.Sprintf("registry/%dx%d/ascii=%v", size[0], size[1], ascii), func(t *testing.T) {
				golden.RequireEqual(t, []byte(steady(s, frameOf(p, env.Theme, size[0], size[1]))))
			})
			for range 3 { // config/, registry/, configmaps/, deployments/, events/
				do(p, keymap.Down)
			}
			for p.tree.MoveTo("p/registry/pods/") && !p.open["/registry/pods/shop/"] {
				do(p, keymap.KeysExpand)
				p.tree.MoveTo("p/registry/pods/shop/")
				do(p, keymap.KeysExpand)
			}
			p.tree.MoveTo("p/registry/secrets/")
			for range 5 {
				do(p, keymap.KeysExpand)
			}
			t.Run(fmt.Sprintf("secret/%dx%d/ascii=%v", size[0], size[1], ascii), func(t *testing.T) {
				golden.RequireEqual(t, []byte(steady(s, frameOf(p, env.Theme, size[0], size[1]))))
			})
			v := openValue(t, env, "/registry/secrets/shop/db")
			t.Run(fmt.Sprintf("value/%dx%d/ascii=%v", size[0], size[1], ascii), func(t *testing.T) {
				golden.RequireEqual(t, []byte(steady(s, frameOf(v, env.Theme, size[0], size[1]))))
			})
		}
	}
}

func openValue(t *testing.T, env *Env, key string) *value {
	t.Helper()
	pane, err := newValue(env, Ref{View: "value", Object: Object{Key: key}})
	if err != nil {
		t.Fatal(err)
	}
	p := pane.(*value)
	p.Open()
	t.Cleanup(p.Close)
	carryOut(p.Start())
	return p
}

func TestKeysPagesAndCursor(t *testing.T) {
	s := keyFixture(t)
	p := openKeys(t, keyEnv(t, false, true, s), "/registry/events/shop", 78, 20)
	if title := p.Title(); title.Count != "200 loaded" || title.Scope.String() != "/registry/events/shop/" {
		t.Errorf("title %+v", title)
	}
	do(p, keymap.Bottom)
	if out := frame(p, 78, 20); !strings.Contains(out, "more…") || !strings.Contains(out, "e-199") || strings.Contains(out, "e-200") {
		t.Errorf("the end of the first page:\n%s", out)
	}
	do(p, keymap.Enter)
	if out := frame(p, 78, 20); !strings.Contains(out, "e-200") || p.Title().Count != "250 loaded" {
		t.Errorf("after more… (%s):\n%s", p.Title().Count, out)
	}
	p.tree.MoveTo("k/registry/events/shop/e-240")
	// Everything is read again: the cursor stays, what is gone goes, what is new comes.
	s.Delete("/registry/events/shop/e-000")
	s.Set("/registry/events/shop/e-2405", "v")
	carryOut(p.Refresh())
	id, _, _ := p.tree.Cursor()
	do(p, keymap.PageDown)
	if out := frame(p, 78, 20); id != "k/registry/events/shop/e-240" || !strings.Contains(out, "e-2405") || p.Title().Count != "250 loaded" {
		t.Errorf("after reading again: cursor %q, %s\n%s", id, p.Title().Count, out)
	}
	p.tree.MoveTo("k/registry/events/shop/e-240")
	msg := do(p, keymap.Enter)
	if m, ok := msg.(OpenMsg); !ok || m.Ref.View != "value" || m.Ref.Object.Key != "/registry/events/shop/e-240" {
		t.Errorf("Enter on a key: %#v", msg)
	}
}

func TestKeysTreeHand(t *testing.T) {
	s := keyFixture(t)
	p := openKeys(t, keyEnv(t, false, true, s), "", 78, 20)
	p.tree.MoveTo("p/registry/pods/")
	do(p, keymap.Enter)
	do(p, keymap.KeysExpand) // into it
	if id, _, _ := p.tree.Cursor(); id != "p/registry/pods/data/" {
		t.Errorf("the cursor is on %q", id)
	}
	do(p, keymap.KeysCollapse) // nothing to close: to the parent
	do(p, keymap.KeysCollapse)
	if id, _, _ := p.tree.Cursor(); id != "p/registry/pods/" || p.tree.Open(id) {
		t.Errorf("the cursor is on %q, open %v", id, p.tree.Open(id))
	}
	if err := p.SetFilter("-l app=web"); err == nil {
		t.Error("a label selector is taken for a filter of keys")
	}
	do(p, keymap.KeysExpand)
	if err := p.SetFilter("DATA"); err != nil {
		t.Fatal(err)
	}
	out := frame(p, 78, 20)
	if !strings.Contains(out, "data") || strings.Contains(out, "configmaps") || strings.Contains(out, "shop") || !strings.Contains(p.Title().Count, "of") {
		t.Errorf("filtered (%s):\n%s", p.Title().Count, out)
	}
	if err := p.SetFilter(""); err != nil {
		t.Fatal(err)
	}
	if out = frame(p, 78, 20); !strings.Contains(out, "configmaps") || !strings.Contains(out, "data") || strings.Contains(out, "loading") {
		t.Errorf("unfiltered:\n%s", out)
	}
}

func TestKeysFailuresAndLateReplies(t *testing.T) {
	s := keyFixture(t)
	p := openKeys(t, keyEnv(t, false, true, s), "", 78, 20)
	p.tree.MoveTo("p/registry/pods/")
	s.Refuse(status.Error(codes.PermissionDenied, "etcdserver: permission denied"))
	do(p, keymap.Enter)
	if out := frame(p, 78, 20); !strings.Contains(out, "permission denied") || !strings.Contains(out, "configmaps") {
		t.Errorf("a level that failed:\n%s", out)
	}
	s.Refuse(nil)
	do(p, keymap.Down)
	do(p, keymap.Enter) // on the failure: again
	if out := frame(p, 78, 20); strings.Contains(out, "permission denied") || !strings.Contains(out, "data") {
		t.Errorf("tried again:\n%s", out)
	}
	// Where nothing may be read it is said, also in a narrow pane.
	s.Refuse(status.Error(codes.PermissionDenied, "etcdserver: permission denied"))
	refused := openKeys(t, keyEnv(t, false, true, s), "/other", 40, 20)
	if st := refused.State(); st.Phase != watchers.Denied || st.Verb != "read" || st.Resource != `keys below "/other/"` {
		t.Errorf("state %+v", st)
	}
	if out := frame(refused, 40, 20); !strings.Contains(out, "permission denied") {
		t.Errorf("a user that may not read the keys:\n%s", out)
	}
	s.Refuse(nil)
	late := p.Refresh()
	s.Set("/registry/aaa/x", "v")
	carryOut(p.Refresh())
	s.Refuse(status.Error(codes.PermissionDenied, "late"))
	carryOut(late)
	if out := frame(p, 78, 20); strings.Contains(out, "late") || p.State().Phase != watchers.Live || !strings.Contains(out, "aaa") {
		t.Errorf("a late reply was taken: %+v\n%s", p.State(), out)
	}
	carryOut(p.Refresh())
	if st := p.State(); st.Phase != watchers.Stale || !strings.Contains(st.Why, s.URL) {
		t.Errorf("a failed refresh: %+v", st)
	}
	if out := frame(p, 78, 20); !strings.Contains(out, "aaa") {
		t.Errorf("what was read is gone:\n%s", out)
	}
}

func TestKeysPrint(t *testing.T) {
	s := keyFixture(t)
	var b strings.Builder
	pane, err := newKeys(keyEnv(t, false, true, s), Ref{View: "keys", Object: Object{Key: "/registry"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := Print(t.Context(), pane, JSONFormat, &b); err != nil {
		t.Fatal(err)
	}
	var got []struct {
		Name, Key string
		Count     int64
		Leaf      bool
	}
	if err := json.Unmarshal([]byte(b.String()), &got); err != nil {
		t.Fatal(err)
	}
	n := map[string]int64{}
	for _, c := range got {
		n[c.Key] = c.Count
		if c.Leaf != (c.Key == "/registry/pods") {
			t.Errorf("%+v", c)
		}
	}
	if n["/registry/events/"] != 250 || n["/registry/pods/"] != 4 || n["/registry/pods"] != 1 || len(got) != 6 {
		t.Errorf("%+v", got)
	}
	pane, _ = newKeys(keyEnv(t, false, true, s), Ref{View: "keys", Object: Object{Key: "/registry/events/shop"}})
	b.Reset()
	if err := Print(t.Context(), pane, TableFormat, &b); err != nil || strings.Count(b.String(), "\n") != 251 {
		t.Errorf("%d lines, %v", strings.Count(b.String(), "\n"), err)
	}
	s.Refuse(status.Error(codes.PermissionDenied, "no"))
	if err := Print(t.Context(), pane, TableFormat, &b); err == nil {
		t.Error("what could not be read was printed")
	}
}

func TestValueRevealsOneAtATime(t *testing.T) {
	s := keyFixture(t)
	env := keyEnv(t, false, false, s)
	now := pictureNow
	env.Now = func() time.Time { return now }
	p := openValue(t, env, "/registry/secrets/shop/db")
	shows := func(what string) bool { return strings.Contains(frame(p, 100, 40), what) }
	if shows("hush") || shows("aHVzaC1odXNo") || !shows("<masked, 9 bytes>") {
		t.Fatalf("masked:\n%s", frame(p, 100, 40))
	}
	do(p, keymap.KeysReveal)
	if !shows("hush-hush") || shows("bWU=") {
		t.Errorf("the first:\n%s", frame(p, 100, 40))
	}
	do(p, keymap.KeysReveal)
	if shows("hush-hush") || !shows("bWU=") {
		t.Errorf("the second:\n%s", frame(p, 100, 40))
	}
	now = now.Add(revealFor + time.Second)
	if !p.Sync() || shows("bWU=") || !shows("<masked, 2 bytes>") {
		t.Errorf("after its time:\n%s", frame(p, 100, 40))
	}
	// A revealing read that comes back after the pane was closed shows nothing.
	late := p.Do(keymap.KeysReveal)
	p.Close()
	carryOut(late)
	if shows("hush-hush") || p.raw != p.plain {
		t.Errorf("after Close:\n%s", frame(p, 100, 40))
	}
}

func TestValueStaysMaskedReadOnly(t *testing.T) {
	s := keyFixture(t)
	p := openValue(t, keyEnv(t, false, true, s), "/registry/secrets/shop/db")
	msg, ok := do(p, keymap.KeysReveal).(ToastMsg)
	if !ok || !strings.Contains(msg.Text.String(), "read-only") {
		t.Errorf("%#v", msg)
	}
	if out := frame(p, 100, 40); strings.Contains(out, "hush") {
		t.Errorf("revealed in read-only mode:\n%s", out)
	}
}

func TestValueSaysThatItChanged(t *testing.T) {
	s := keyFixture(t)
	p := openValue(t, keyEnv(t, false, true, s), "/config/ui")
	if p.State().Phase != watchers.Live {
		t.Fatalf("%+v", p.State())
	}
	waitFor := func(what string) {
		t.Helper()
		deadline := time.NewTimer(10 * time.Second)
		defer deadline.Stop()
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for p.Sync(); !strings.Contains(p.State().Why, what); p.Sync() {
			select {
			case <-deadline.C:
				t.Fatalf("%q is not said: %+v", what, p.State())
			case <-tick.C:
			}
		}
	}
	rev := s.Set("/config/ui", `{"dark":false}`)
	waitFor(fmt.Sprintf("changed at revision %d", rev))
	if st := p.State(); st.Phase != watchers.Stale {
		t.Errorf("%+v", st)
	}
	carryOut(p.Refresh())
	p.Sync()
	if st := p.State(); st.Phase != watchers.Live || !strings.Contains(frame(p, 100, 30), "dark: false") {
		t.Errorf("read again: %+v\n%s", st, frame(p, 100, 30))
	}
	s.Delete("/config/ui")
	waitFor("deleted")
	carryOut(p.Refresh())
	if st := p.State(); st.Phase != watchers.Stale || !strings.Contains(st.Why, "no such key") {
		t.Errorf("a deleted key: %+v", st)
	}
}

func TestKeysWithoutEtcd(t *testing.T) {
	env := pictureEnv(false)
	c, err := cluster.Open(cluster.Options{Etcd: cluster.EtcdOptions{Disabled: true, Why: "--no-etcd was given", Env: func(string) string { return "" }}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	env.Cluster = c
	p, err := newKeys(env, Ref{View: "keys"})
	if err != nil {
		t.Fatal(err)
	}
	carryOut(p.(Starter).Start())
	if st := p.State(); st.Phase != watchers.Unsupported || !strings.Contains(st.Why, "--etcd-endpoints") {
		t.Errorf("%+v", st)
	}
	if out := frame(p, 118, 20); !strings.Contains(out, "--etcd-endpoints") {
		t.Errorf("the screen does not say how to give an etcd:\n%s", out)
	}
	if _, err = newValue(env, Ref{View: "value", Object: Object{Key: "/x"}}); err == nil {
		t.Error("a value without an etcd")
	}
}
