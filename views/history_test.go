package views

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/exp/golden"

	"fathom/cluster"
	"fathom/internal/testetcd"
	"fathom/keymap"
	"fathom/watchers"
)

// storedObject is an object as the API server stores it.
func storedObject(kind, manager, at, data string) string {
	return fmt.Sprintf(`{"apiVersion":"v1","kind":%q,"metadata":{"name":"db","managedFields":[{"manager":%q,"operation":"Update","time":%q,"fieldsV1":{}}]},"data":%s}`,
		kind, manager, at, data)
}

const secretKey = "/registry/secrets/shop/db"

// historyFixture has a Secret that was created, changed twice, deleted and created again.
func historyFixture(t *testing.T) *testetcd.Server {
	s := testetcd.Start(t)
	s.Set("/registry/other", "x")
	s.Set(secretKey, storedObject("Secret", "kubectl-create", "2026-11-21T09:00:00Z", `{"password":"aHVzaC1odXNo"}`)) // 3
	s.Set(secretKey, storedObject("Secret", "helm", "2026-11-21T09:30:00Z", `{"password":"SFVTSC1IVVNI"}`))
	s.Set(secretKey, storedObject("Secret", "helm", "2026-11-21T09:30:00Z", `{"password":"SFVTSC1IVVNI","user":"bWU="}`))
	s.Delete(secretKey)
	s.Set(secretKey, storedObject("Secret", "rotator", "2026-11-21T09:59:00Z", `{"password":"aHVzaC1odXNo"}`)) // 7
	return s
}

func openHistory(t *testing.T, env *Env, key string, w, h int) *history {
	t.Helper()
	pane, err := newHistory(env, Ref{View: "history", Object: Object{Key: key}})
	if err != nil {
		t.Fatal(err)
	}
	p := pane.(*history)
	p.Open()
	t.Cleanup(p.Close)
	frame(p, w, h)
	carryOut(p.Start())
	return p
}

func TestGoldenHistory(t *testing.T) {
	s := historyFixture(t)
	for _, size := range [][2]int{{78, 20}, {198, 56}} {
		for _, ascii := range []bool{false, true} {
			env := keyEnv(t, ascii, true, s)
			p := openHistory(t, env, secretKey, size[0], size[1])
			for range 3 {
				frame(p, size[0], size[1])
				do(p, keymap.Down)
			}
			t.Run(fmt.Sprintf("%dx%d/ascii=%v", size[0], size[1], ascii), func(t *testing.T) {
				golden.RequireEqual(t, []byte(steady(s, frameOf(p, env.Theme, size[0], size[1]))))
			})
		}
	}
}

func TestHistoryComparesAndStaysMasked(t *testing.T) {
	s := historyFixture(t)
	env := keyEnv(t, false, true, s)
	p := openHistory(t, env, secretKey, 198, 40)
	out := frame(p, 198, 40)
	for _, want := range []string{"rotator", "kubectl-create", "not told", "deleted", "created", "it was never there before", "password: <masked, 9 bytes>"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not on\n%s", want, out)
		}
	}
	diffOf := func(msg tea.Msg) string {
		t.Helper()
		m, ok := msg.(OpenMsg)
		if !ok || m.Ref.View != "diff" {
			t.Fatalf("%#v", msg)
		}
		pane, err := newDiff(env, m.Ref)
		if err != nil {
			t.Fatal(err)
		}
		carryOut(pane.(Starter).Start())
		return frame(pane, 100, 40)
	}
	p.table.MoveTo("4")
	if out := diffOf(do(p, keymap.HistoryDiff)); !strings.Contains(out, "-  password: <masked, 9 bytes>") || !strings.Contains(out, "+  password: <masked, 9 bytes, changed>") {
		t.Errorf("with the one before:\n%s", out)
	}
	p.table.MoveTo("3") // the first: all of it is new
	if out := diffOf(do(p, keymap.HistoryDiff)); !strings.Contains(out, "--- no such key at revision 2") || !strings.Contains(out, "+  password: <masked, 9 bytes>") {
		t.Errorf("the first:\n%s", out)
	}
	do(p, keymap.Mark)
	if msg, ok := do(p, keymap.HistoryDiff).(ToastMsg); !ok || !msg.Bad {
		t.Errorf("with one mark: %#v", msg)
	}
	p.table.MoveTo("7")
	do(p, keymap.Mark)
	if out := diffOf(do(p, keymap.HistoryDiff)); !strings.Contains(out, "--- revision 3, version 1") || !strings.Contains(out, "+++ revision 7, version 1") || !strings.Contains(out, "managedFields differs") {
		t.Errorf("the two that are marked:\n%s", out)
	}
	p.Unmark()
	p.table.MoveTo("6")
	if out := diffOf(do(p, keymap.HistoryDiff)); !strings.Contains(out, "+++ no such key at revision 6") || !strings.Contains(out, "-kind: Secret") {
		t.Errorf("a deletion:\n%s", out)
	}
	if _, ok := do(p, keymap.Enter).(ToastMsg); !ok {
		t.Error("the value of a deletion is opened")
	}
	p.table.MoveTo("5")
	m, ok := do(p, keymap.Enter).(OpenMsg)
	if !ok || m.Ref.View != "value" || m.Ref.Object.Revision != 5 {
		t.Fatalf("Enter: %#v", m)
	}
	pane, _ := newValue(env, m.Ref)
	carryOut(pane.(Starter).Start())
	if out := frame(pane, 100, 30); !strings.Contains(out, "as it was at revision 5 of 7") || !strings.Contains(out, "user: <masked, 2 bytes>") {
		t.Errorf("the value at a revision:\n%s", out)
	}
	if pane.Sync(); pane.State().Phase != watchers.Live {
		t.Errorf("what is past has changed: %+v", pane.State())
	}
	s.CompactTo(5)
	if out := diffOf(OpenMsg{Ref{View: "diff", Object: Object{Key: secretKey, Revision: 5}}}); !strings.Contains(out, "before revision 5 was compacted away") {
		t.Errorf("with what was compacted away:\n%s", out)
	}
	for _, out := range []string{out, frame(pane, 100, 30)} {
		if strings.Contains(out, "aHVzaC1odXNo") || strings.Contains(strings.ToLower(out), "hush") {
			t.Errorf("a Secret is shown:\n%s", out)
		}
	}
}

// A long history is read page by page as the cursor moves down.
func TestHistoryReadsOn(t *testing.T) {
	s := testetcd.Start(t)
	for i := range 350 {
		s.Set("/k", fmt.Sprint(i))
	}
	p := openHistory(t, keyEnv(t, false, true, s), "/k", 78, 20)
	// Every page asks for the next one while the cursor is near its end: with the cursor at the top there is one.
	if n := len(p.revs); n != historyPage || p.Title().Count != "1 of 100+" {
		t.Errorf("%d revisions at first, %s", n, p.Title().Count)
	}
	for range 10 {
		settleAll(p.Do(keymap.Bottom))
	}
	if n := len(p.revs); n != 350 || !strings.Contains(frame(p, 78, 20), "the history ends here: it was never there before") {
		t.Errorf("%d revisions at last:\n%s", n, frame(p, 78, 20))
	}
	rs, _ := s.Ranges()
	s.Set("/k", "newest")
	carryOut(p.Refresh())
	if again, _ := s.Ranges(); p.revs[0].Version != 351 || len(p.revs) != historyPage || len(again)-len(rs) > historyPage+3 {
		t.Errorf("read again: %d revisions, the newest %+v, by %d reads", len(p.revs), p.revs[0], len(again)-len(rs))
	}
}

// settleAll carries out a command, those it consists of, and what comes of them.
func settleAll(cmd tea.Cmd) {
	if cmd == nil {
		return
	}
	switch m := cmd().(type) {
	case tea.BatchMsg:
		for _, c := range m {
			settleAll(c)
		}
	case PaneMsg:
		settleAll(m.To.(Updater).Update(m.Msg))
	}
}

func TestHistoryFailsAndPrints(t *testing.T) {
	s := historyFixture(t)
	env := keyEnv(t, false, true, s)
	p := openHistoryNow(t, env, "/none")
	carryOut(p.Start())
	if out := frame(p, 100, 20); !strings.Contains(out, "no such key") {
		t.Errorf("a key that never was:\n%s", out)
	}
	var b strings.Builder
	if err := Print(t.Context(), openHistoryNow(t, env, secretKey), JSONFormat, &b); err != nil {
		t.Fatal(err)
	}
	var got []struct {
		Revision                    int64
		Change, Manager, Time, Kind string
	}
	if err := json.Unmarshal([]byte(b.String()), &got); err != nil || len(got) != 5 || got[0].Manager != "rotator" || got[1].Change != "deleted" || got[4].Time != "2026-11-21T09:00:00Z" {
		t.Errorf("%v: %s", err, b.String())
	}
	c, err := cluster.Open(cluster.Options{Etcd: cluster.EtcdOptions{Disabled: true, Why: "--no-etcd was given", Env: func(string) string { return "" }}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	env = pictureEnv(false)
	env.Cluster = c
	for _, open := range []func(*Env, Ref) (Pane, error){newHistory, newKeyWatch, newDiff} {
		if _, err := open(env, Ref{Object: Object{Key: "/k", Revision: 2}}); err == nil || !strings.Contains(err.Error(), "--etcd-endpoints") {
			t.Errorf("without an etcd: %v", err)
		}
	}
}

func openHistoryNow(t *testing.T, env *Env, key string) *history {
	t.Helper()
	pane, err := newHistory(env, Ref{View: "history", Object: Object{Key: key}})
	if err != nil {
		t.Fatal(err)
	}
	return pane.(*history)
}

func openWatch(t *testing.T, env *Env, key string) *keyWatch {
	t.Helper()
	pane, err := newKeyWatch(env, Ref{View: "watch", Object: Object{Key: key}})
	if err != nil {
		t.Fatal(err)
	}
	p := pane.(*keyWatch)
	p.Open()
	t.Cleanup(p.Close)
	return p
}

// shows waits until every text is in the frame, as the screen does: it syncs and draws.
func (p *keyWatch) shows(t *testing.T, w, h int, texts ...string) string {
	t.Helper()
	deadline := time.NewTimer(20 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		p.Sync()
		out := frame(p, w, h)
		missing := ""
		for _, text := range texts {
			if !strings.Contains(out, text) {
				missing = text
			}
		}
		if missing == "" {
			return out
		}
		select {
		case <-deadline.C:
			t.Fatalf("%q is not on\n%s", missing, out)
		case <-tick.C:
		}
	}
}

func TestKeyWatch(t *testing.T) {
	s := historyFixture(t)
	env := keyEnv(t, false, true, s)
	p := openWatch(t, env, "/registry/secrets/")
	p.shows(t, 120, 30, "no change yet")
	s.Set(secretKey, storedObject("Secret", "attacker", "2026-11-21T09:59:30Z", `{"password":"SFVTSC1IVVNI"}`))
	p.shows(t, 198, 30, "changed", "shop/db", "attacker", "+1 -1", "+  password: <masked, 9 bytes, changed>", "1 change since")
	s.Delete(secretKey)
	out := p.shows(t, 78, 20, "deleted", "-kind: Secret", "2 changes since")
	if strings.Contains(out, "SFVTSC1IVVNI") || strings.Contains(strings.ToLower(out), "hush") {
		t.Errorf("a Secret is shown:\n%s", out)
	}
	// Paused, the picture stands still and the watch goes on.
	do(p, keymap.WatchPause)
	s.Set("/registry/secrets/shop/new", "x")
	if out := p.shows(t, 120, 30, "PAUSED, 1 new"); strings.Contains(out, "shop/new") || !strings.Contains(p.Title().Count, "PAUSED") {
		t.Errorf("paused:\n%s", out)
	}
	do(p, keymap.WatchPause)
	p.shows(t, 120, 30, "shop/new", "created")
	if err := p.SetFilter("DB"); err != nil {
		t.Fatal(err)
	}
	if out := p.shows(t, 120, 30, "shop/db"); strings.Contains(out, "shop/new") || p.Title().Count != "2 of 3" {
		t.Errorf("filtered, %s:\n%s", p.Title().Count, out)
	}
	if err := p.SetFilter("-l app=web"); err == nil {
		t.Error("a label selector is taken for a filter of keys")
	}
	m, ok := do(p, keymap.Enter).(OpenMsg)
	if !ok || m.Ref.View != "diff" || m.Ref.Object.Key != secretKey || m.Ref.Object.Revision == 0 {
		t.Errorf("Enter: %#v", m)
	}
	if m, ok = do(p, keymap.KeysHistory).(OpenMsg); !ok || m.Ref.View != "history" || m.Ref.Object.Key != secretKey {
		t.Errorf("H: %#v", m)
	}
}

// While the pane is covered for a moment nothing is missed; after a while, and after a compaction, a gap is marked that no filter hides.
func TestKeyWatchMarksGaps(t *testing.T) {
	s := testetcd.Start(t)
	s.Set("/k", "1")
	env := keyEnv(t, false, true, s)
	now := pictureNow
	env.Now = func() time.Time { return now }
	p := openWatch(t, env, "/k")
	p.shows(t, 120, 30, "no change yet")
	p.Close()
	s.Set("/k", "22")
	p.Open()
	p.shows(t, 120, 30, "changed", "1 change since")
	p.Close()
	s.Set("/k", "333")
	s.Forget()
	s.Set("/k", "4444")
	s.Forget()
	p.Open()
	p.shows(t, 198, 30, "1 gap", "compacted away before it was seen", "2 changes since")
	p.Close()
	now = now.Add(time.Hour)
	s.Set("/k", "55555")
	p.Open()
	p.shows(t, 198, 30, "2 gaps", "this view was away for")
	if err := p.SetFilter("nothing like this"); err != nil {
		t.Fatal(err)
	}
	if out := frame(p, 120, 30); strings.Count(out, " gap ") < 2 {
		t.Errorf("a filter hides gaps:\n%s", out)
	}
}

func TestKeyWatchSaves(t *testing.T) {
	s := historyFixture(t)
	env := keyEnv(t, false, true, s)
	p := openWatch(t, env, "")
	if msg, ok := do(p, keymap.WatchSave).(ToastMsg); !ok || !msg.Bad {
		t.Errorf("with nothing to save: %#v", msg)
	}
	p.shows(t, 120, 30, "no change yet")
	s.Set("/first\x1b[2J", "a\x1b]0;title\x07\n")
	s.Set(secretKey, storedObject("Secret", "rotator", "2026-11-21T09:59:30Z", `{"password":"SFVTSC1IVVNI"}`))
	p.shows(t, 120, 30, "2 changes since")
	ask, ok := do(p, keymap.WatchSave).(AskMsg)
	if !ok || !strings.HasPrefix(ask.Value, "fathom-watch-2026") {
		t.Fatalf("%#v", ask)
	}
	path := filepath.Join(t.TempDir(), "changes.txt")
	if msg, ok := carryOut(ask.Answer(path)).(ToastMsg); !ok || msg.Bad || !strings.Contains(msg.Text.String(), "2 changes") {
		t.Errorf("%#v", msg)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	data, _ := os.ReadFile(path)
	text := string(data)
	for _, want := range []string{"/first␛[2J", "+  password: <masked, 9 bytes, changed>", "newest managedFields entry: rotator", "+a␛]0;title"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
	if strings.Contains(text, "SFVTSC1IVVNI") || strings.ContainsRune(text, '\x1b') || strings.Index(text, "/first") > strings.Index(text, secretKey) {
		t.Errorf("saved:\n%s", text)
	}
	if msg, ok := carryOut(ask.Answer(path)).(ToastMsg); !ok || !msg.Bad || !strings.Contains(msg.Text.String(), "already") {
		t.Errorf("a file that is there: %#v", msg)
	}
	if msg, ok := carryOut(ask.Answer(" ")).(ToastMsg); !ok || !msg.Bad {
		t.Errorf("no name: %#v", msg)
	}
}

// A drift is said only of what the API server serves in another version.
func TestDrift(t *testing.T) {
	s := testetcd.Start(t)
	s.Set("/registry/cronjobs/shop/c", `{"apiVersion":"batch/v1beta1","kind":"CronJob","metadata":{"name":"c"}}`)
	s.Set("/registry/apiextensions.k8s.io/customresourcedefinitions/c", `{"apiVersion":"apiextensions.k8s.io/v1beta1","kind":"CustomResourceDefinition","metadata":{"name":"c"}}`)
	s.Set("/registry/jobs/shop/j", `{"apiVersion":"batch/v1","kind":"Job","metadata":{"name":"j"}}`)
	env := keyEnv(t, false, true, s)
	env.Resources = func() *cluster.Resources {
		return &cluster.Resources{List: []cluster.Resource{{Name: "cronjobs", Kind: "CronJob", Group: "batch", Version: "v1"}, {Name: "jobs", Kind: "Job", Group: "batch", Version: "v1"},
			{Name: "customresourcedefinitions", Kind: "CustomResourceDefinition", Group: "apiextensions.k8s.io", Version: "v1"}}}
	}
	if out := frame(openValue(t, env, "/registry/cronjobs/shop/c"), 140, 30); !strings.Contains(out, "Drift:     stored as batch/v1beta1, the API server prefers batch/v1") {
		t.Errorf("a drift is not said:\n%s", out)
	}
	for _, key := range []string{"/registry/jobs/shop/j", "/registry/apiextensions.k8s.io/customresourcedefinitions/c"} {
		if out := frame(openValue(t, env, key), 140, 30); strings.Contains(out, "Drift") || !strings.Contains(out, "kind:") {
			t.Errorf("a drift is said where there is none:\n%s", out)
		}
	}
}
