package views

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"fathom/actions"
	"fathom/internal/testetcd"
	"fathom/keymap"
	"fathom/watchers"
)

// settled opens a pane and waits until its picture is as it should be.
func settled(t *testing.T, p Pane, w, h int, what string, ok func(screen string) bool) string {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(20 * time.Second); ; <-tick.C {
		p.Sync()
		out := frame(p, w, h)
		if ok(out) {
			return out
		}
		if time.Now().After(end) {
			t.Fatalf("%s: not within 20 s:\n%s", what, out)
		}
	}
}

func openPane(t *testing.T, env *Env, r Ref, make func(*Env, Ref) (Pane, error)) Pane {
	t.Helper()
	p, err := make(env, r)
	if err != nil {
		t.Fatal(err)
	}
	p.Open()
	t.Cleanup(p.Close)
	if s, ok := p.(Starter); ok {
		carryOut(s.Start())
	}
	return p
}

func has(texts ...string) func(string) bool {
	return func(s string) bool {
		for _, t := range texts {
			if !strings.Contains(s, t) {
				return false
			}
		}
		return true
	}
}

func TestSearchPane(t *testing.T) {
	s := keyFixture(t)
	env := keyEnv(t, false, true, s)
	p := openPane(t, env, Ref{View: "search", Filter: "/registry/ WEB"}, newSearch).(*search)
	out := settled(t, p, 78, 20, "the end", has("3 keys found", " keys in ")) // the deployment and two pods
	if !has("/registry/pods/shop/web-1", "/registry/pods/shop/web-2", "/registry/deployments/shop/web", "KEY", "WRITES")(out) || strings.Contains(out, "pg-0") {
		t.Errorf("found:\n%s", out)
	}
	if st, title := p.State(), p.Title(); st.Phase != watchers.Live || title.Count != "3" {
		t.Errorf("%+v, %+v", st, title)
	}
	if err := p.SetFilter("web-2"); err != nil {
		t.Fatal(err)
	}
	if out = frame(p, 78, 20); strings.Contains(out, "web-1") || !strings.Contains(out, "web-2") || p.Title().Count != "1 of 3" {
		t.Errorf("filtered (%s):\n%s", p.Title().Count, out)
	}
	if m, ok := do(p, keymap.Enter).(OpenMsg); !ok || m.Ref.View != "value" || m.Ref.Object.Key != "/registry/pods/shop/web-2" {
		t.Errorf("Enter opens %+v", m)
	}
	if m, ok := do(p, keymap.SearchQuery).(PromptMsg); !ok || m.Line != "search /registry/ WEB" {
		t.Errorf("e asks for %+v", m)
	}
	if p.Stop() {
		t.Error("a search that has ended can be stopped")
	}
	p = openPane(t, env, Ref{View: "search", Filter: `~ evil`}, newSearch).(*search)
	if out = settled(t, p, 78, 20, "the end", has("1 key found", " keys in ")); strings.Contains(out, "\x1b") || strings.Contains(out, "\u202e") {
		t.Errorf("a hostile key got through:\n%q", out)
	}
	p = openPane(t, env, Ref{View: "search"}, newSearch).(*search)
	if out = frame(p, 78, 20); !has("/registry/pods/ web", "~ web-", "Esc stops it")(out) {
		t.Errorf("the syntax is not explained:\n%s", out)
	}
	if _, err := newSearch(env, Ref{View: "search", Filter: "~ ("}); err == nil {
		t.Error("a bad expression is taken")
	}
}

func TestSearchThatMayNotRead(t *testing.T) {
	s := keyFixture(t)
	s.Refuse(status.Error(codes.PermissionDenied, "etcdserver: permission denied"))
	p := openPane(t, keyEnv(t, false, true, s), Ref{View: "search", Filter: "web"}, newSearch).(*search)
	out := settled(t, p, 118, 20, "the refusal", has("permission denied"))
	if !strings.Contains(out, "begin with a prefix") || p.State().Phase != watchers.Denied {
		t.Errorf("%+v\n%s", p.State(), out)
	}
}

func TestCatalogTakesSearchesWhole(t *testing.T) {
	c := &Catalog{special: specials()}
	r, err := c.Resolve(`search /registry/ ~ a  b`, "shop")
	if err != nil || r.View != "search" || r.Filter != "/registry/ ~ a  b" {
		t.Errorf("%+v, %v", r, err)
	}
	if _, err := c.Resolve("search b..a", ""); err == nil {
		t.Error("an empty range is taken")
	}
	if r, err := c.Resolve("space /registry/pods/", ""); err != nil || r.Object.Key != "/registry/pods/" {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestTreeOpensSearchAndSpace(t *testing.T) {
	p := openKeys(t, keyEnv(t, false, true, keyFixture(t)), "", 78, 20)
	p.tree.MoveTo("p/registry/pods/")
	if m, ok := do(p, keymap.KeysSearch).(PromptMsg); !ok || m.Line != "search /registry/pods/ " {
		t.Errorf("s asks for %+v", m)
	}
	if m, ok := do(p, keymap.KeysSpace).(OpenMsg); !ok || m.Ref.View != "space" || m.Ref.Object.Key != "/registry/pods/" {
		t.Errorf("u opens %+v", m)
	}
	if got := quoteKey("/a b/"); got != `"/a b/"` {
		t.Error(got)
	}
}

func TestSpacePane(t *testing.T) {
	s := keyFixture(t)
	s.Set("/registry/services/specs/shop/web", "v")
	s.Set("/registry/widgets.example.io/widgets/shop/w", strings.Repeat("w", 50000))
	env := keyEnv(t, false, true, s)
	p := openPane(t, env, Ref{View: "space"}, newSpace).(*space)
	if out := frame(p, 118, 30); !has("262 keys in the database", "r scans them")(out) || p.scan != nil {
		t.Errorf("before it is asked for:\n%s", out)
	}
	if p.ReadAt().IsZero() || !p.Ticks() {
		t.Error("the number of keys, which was read once, is shown as live")
	}
	do(p, keymap.SpaceScan)
	out := settled(t, p, 118, 30, "the end", has("262 keys in "))
	if !has("/registry/", "/config/", "(keys of this level)", "SHARE", "GROWTH")(out) {
		t.Errorf("the first level:\n%s", out)
	}
	p.table.MoveTo("n/registry")
	do(p, keymap.Enter)
	out = frame(p, 118, 30)
	if i, j := strings.Index(out, "widgets.example.io/"), strings.Index(out, "events/"); i < 0 || j < 0 || i > j || p.Title().Scope.String() != "/registry/" {
		t.Errorf("the second level, the largest first, of %s:\n%s", p.Title().Scope, out)
	}
	p.table.MoveTo("nevents")
	do(p, keymap.Enter)
	if m, ok := do(p, keymap.Enter).(OpenMsg); !ok || m.Ref.View != "keys" || m.Ref.Object.Key != "/registry/events/shop/" {
		t.Errorf("Enter on the last level opens %+v", m)
	}
	do(p, keymap.SpaceUp)
	if id, _ := p.table.Cursor(); id != "nevents" {
		t.Errorf("a level up the cursor is on %s", id)
	}
	do(p, keymap.SpacePicture)
	if out = frame(p, 118, 30); !has("RESOURCE", "widgets.widgets.example.io", "events", "secrets", "(not of the API server)", "services ")(out) {
		t.Errorf("by resource:\n%s", out)
	}
	do(p, keymap.SpacePicture)
	if out = frame(p, 118, 30); !has("largest", "/registry/widgets.example.io/widgets/shop/w", "48.8 KiB")(out + p.Title().Count) {
		t.Errorf("the largest values:\n%s", out)
	}
	do(p, keymap.SpacePicture)
	if out = frame(p, 118, 30); !has("/registry/secrets/shop/db")(out) || strings.Contains(out, "widgets") {
		t.Errorf("the most written keys:\n%s", out)
	}
	do(p, keymap.SpacePicture)

	// What has grown since is told by the next scan.
	for i := range 10 {
		s.Set(fmt.Sprintf("/registry/events/shop/new-%d", i), strings.Repeat("x", 100))
	}
	s.Delete("/registry/pods/data/pg-0")
	env.Scans = p.scans
	p = openPane(t, env, Ref{View: "space"}, newSpace).(*space)
	p.Sync()
	if p.scan == nil || !strings.Contains(frame(p, 118, 30), "262 keys in ") {
		t.Error("the scan of before is gone")
	}
	do(p, keymap.SpaceScan)
	settled(t, p, 118, 30, "the end", has("271 keys in "))
	p.table.MoveTo("n/registry")
	do(p, keymap.Enter)
	if out = frame(p, 158, 30); !has("KiB, +10 keys", ", -1 keys")(out) {
		t.Errorf("growth:\n%s", out)
	}
}

func TestLeasesPane(t *testing.T) {
	s := testetcd.Start(t)
	s.Set("/registry/events/a", "v")
	s.Set("/registry/events/b", "v")
	s.Lease("/registry/events/a", 0x1001, 3600)
	s.Lease("/registry/events/b", 0x1001, 3600)
	for i := range 300 {
		s.Grant(int64(0x2000+i), 60)
	}
	env := keyEnv(t, false, true, s)
	env.Now = time.Now
	p := openPane(t, env, Ref{View: "leases"}, newLeases).(*leases)
	out := settled(t, p, 98, 20, "what is on the screen", func(out string) bool {
		return has("301 leases", "/registry/events/a", "no key is attached")(out) && !strings.Contains(out, "…")
	})
	if n := s.LeaseAsks(); n > 20 || !has("0000000000001001", "60m", "60s")(strings.NewReplacer("59s", "60s", "58s", "60s").Replace(out)) {
		t.Errorf("%d leases were asked about:\n%s", n, out)
	}
	do(p, keymap.Bottom)
	settled(t, p, 98, 20, "the end of the list", func(out string) bool {
		return strings.Contains(out, "000000000000212b") && !strings.Contains(out, "…")
	})
	do(p, keymap.Top)

	// After a revocation by fathom the list is read again; after what came to nothing it is not.
	s.Grant(0x3000, 60)
	if cmd := p.Acted([]actions.Outcome{{Target: actions.Target{Kind: "Lease"}}}); cmd != nil {
		t.Error("nothing was attempted, and the list is read again")
	}
	read := p.Acted([]actions.Outcome{{AuditID: "1", Target: actions.Target{Kind: "Lease"}}})().(PaneMsg)
	p.Update(read.Msg)
	settled(t, p, 98, 20, "the list read again", has("302 leases"))

	m, ok := do(p, keymap.Enter).(OpenMsg)
	if !ok || m.Ref.View != "lease-keys" {
		t.Fatalf("Enter opens %+v", m)
	}
	l := openPane(t, env, m.Ref, newLease)
	if out := frame(l, 98, 20); !has("/registry/events/a", "/registry/events/b", "its 2 keys are deleted")(out) {
		t.Errorf("the lease:\n%s", out)
	}
	if m, ok := do(l, keymap.Enter).(OpenMsg); !ok || m.Ref.Object.Key != "/registry/events/a" {
		t.Errorf("Enter opens %+v", m)
	}
}

// What went wrong, and what to do about it, is whole on 80 columns.
func TestScanErrorIsWhole(t *testing.T) {
	s := keyFixture(t)
	s.Refuse(status.Error(codes.PermissionDenied, "etcdserver: permission denied"))
	p := openPane(t, keyEnv(t, false, true, s), Ref{View: "space"}, newSpace)
	if out := strings.Join(strings.Fields(frame(p, 78, 20)), " "); !strings.Contains(out, "permission denied") || !strings.HasSuffix(out, beginElsewhere) {
		t.Errorf("it says %q", out)
	}
}

func TestUsersAreNotAskedForUnasked(t *testing.T) {
	s := keyFixture(t)
	p := openPane(t, keyEnv(t, false, true, s), Ref{View: "users"}, newUsers).(*users)
	if out := frame(p, 98, 20); !has("may read every key", "raft proposal", "read-only")(out) {
		t.Errorf("%s", out)
	}
	if m, ok := do(p, keymap.UsersAsk).(ToastMsg); !ok || !m.Bad || !strings.Contains(m.Text.String(), "read-only mode") {
		t.Errorf("asked in read-only mode: %+v", m)
	}
	if p.ReadAt().IsZero() || !p.Ticks() {
		t.Error("what was found out once is shown as live")
	}
	s.Refuse(status.Error(codes.PermissionDenied, "etcdserver: permission denied"))
	carryOut(p.Refresh())
	if out := frame(p, 98, 20); !strings.Contains(out, "authentication is on") {
		t.Errorf("%s", out)
	}
	if n := len(p.rows) + p.spent; n != 0 {
		t.Error("something was asked")
	}
}
