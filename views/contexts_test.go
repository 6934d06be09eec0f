package views

import (
	"strings"
	"testing"
	"time"

	"fathom/cluster"
	"fathom/theme"
	"fathom/ui/table"
	"fathom/watchers/etcd"
)

// The row that followed is under the cursor when its own is gone, in the panes whose rows are not those of a resource.
func TestCursorWhenItsRowIsGone(t *testing.T) {
	env := &Env{Theme: theme.New(theme.Options{}), Now: time.Now}
	newTable := func() *table.Table {
		tab := table.New(env.Theme)
		tab.SetColumns([]table.Column{{Title: "NAME"}})
		return tab
	}
	on := func(tab *table.Table, want string) {
		t.Helper()
		if id, _ := tab.Cursor(); id != want {
			t.Errorf("the cursor is on %q, want %q", id, want)
		}
	}

	c := &contexts{env: env, table: newTable(), all: []cluster.ContextInfo{{Name: "a"}, {Name: "b"}, {Name: "c"}, {Name: "d"}, {Name: "e"}}}
	_ = c.SetFilter("")
	c.table.Move(1)
	_ = c.SetFilter("!^b")
	on(c.table, "c")

	u := &users{env: env, table: newTable(), known: map[string]string{}}
	u.Update(authRead{auth: etcd.Auth{Users: []string{"a", "b", "c", "d", "e"}}})
	u.table.Move(1)
	u.Update(authRead{auth: etcd.Auth{Users: []string{"a", "c", "d", "e"}}})
	on(u.table, "uc")

	l := &leases{env: env, table: newTable(), snap: &etcd.LeasesSnapshot{}}
	l.take(&etcd.LeasesSnapshot{IDs: []int64{1, 2, 3, 4, 5}})
	l.table.Move(1)
	l.take(&etcd.LeasesSnapshot{IDs: []int64{1, 3, 4, 5}})
	on(l.table, leaseID(3))
}

// A filter of contexts that matches none does not say that there are none, and one that cannot match is refused.
func TestContextsFilter(t *testing.T) {
	env := &Env{Theme: theme.New(theme.Options{}), Now: time.Now}
	p := &contexts{env: env, table: table.New(env.Theme), all: []cluster.ContextInfo{{Name: "prod"}, {Name: "stage"}}}
	p.table.SetColumns([]table.Column{{Title: ""}, {Title: "CONTEXT"}, {Title: "CLUSTER"}})
	if err := p.SetFilter("nothing"); err != nil {
		t.Fatal(err)
	}
	if s := frame(p, 80, 10); !strings.Contains(s, "no context matches /nothing; Esc shows all 2") {
		t.Errorf("the pane says:\n%s", s)
	}
	if got := p.Ref().Filter; got != "nothing" {
		t.Errorf("a split would show it with filter %q", got)
	}
	if err := p.SetFilter("-l app=web"); err == nil || !strings.Contains(err.Error(), "no labels") {
		t.Errorf("a filter of labels: %v", err)
	}
}
