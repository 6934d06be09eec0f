package views

import (
	"strings"
	"testing"

	"fathom/keymap"
	"fathom/watchers"
)

// A pane nobody looks at keeps a window around the cursor, and shows that until its source has everything again.
func TestTrim(t *testing.T) {
	hub := hubWithPods(t, 5_000)
	p := podPane(t)
	p.env.Hub = hub
	p.Open()
	synced(t, p, 5_000)
	p.table.Move(3_000)
	id, _ := p.table.Cursor()
	p.Trim()
	if p.snap.Len() != 5_000 {
		t.Error("an open pane gave rows away")
	}
	p.Close()
	p.Trim()
	if n := p.snap.Len(); n > parting {
		t.Errorf("%d rows are kept", n)
	}
	if now, ok := p.table.Cursor(); !ok || now != id {
		t.Errorf("the cursor went from %s to %s", id, now)
	}
	if r, ok := p.row(); !ok || r.ID() != id {
		t.Errorf("the row under the cursor is %v", r)
	}
	p.Trim() // once more changes nothing
	p.Open()
	synced(t, p, 5_000)
	if now, _ := p.table.Cursor(); now != id {
		t.Errorf("the cursor came back on %s, want %s", now, id)
	}
	p.Close()
}

// Marks outlast the time in which nobody looks at the pane.
func TestTrimKeepsMarks(t *testing.T) {
	p := podPane(t)
	p.env.Hub = hubWithPods(t, 5_000)
	p.Open()
	synced(t, p, 5_000)
	p.table.ToggleMark()
	p.table.Move(3_000)
	p.table.ToggleMark()
	p.Close()
	p.Trim()
	p.Open()
	synced(t, p, 5_000)
	if n := p.Title().Marks; n != 2 {
		t.Errorf("of 2 marks %d are left", n)
	}
	p.Close()
}

// From a pod to its node, and to no other whose name begins with the same or only looks like it.
func TestPodNode(t *testing.T) {
	p := podPane(t)
	msg, ok := p.doRow(keymap.PodNode, &watchers.PodRow{Node: "ip-10-0-0-1.ec2", PodTemplate: &watchers.PodTemplate{}})().(OpenMsg)
	if !ok || msg.Ref.View != "nodes" {
		t.Fatalf("opens %+v", msg)
	}
	f, err := ParseFilter(msg.Ref.Filter)
	if err != nil {
		t.Fatal(err)
	}
	nodes, err := newResource(p.env, Ref{View: "nodes"}, nodeKind(), false)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{"ip-10-0-0-1.ec2": true, "ip-10-0-0-1.ec2b": false, "ip-10-0-0-1xec2": false, "an-ip-10-0-0-1.ec2": false} {
		row := &watchers.NodeRow{Meta: watchers.Meta{Name: name}, Status: "Ready"}
		if got := f.Match(rowText(nodes.every, row), watchers.Labels("")); got != want {
			t.Errorf("/%s shows node %s: %v", msg.Ref.Filter, name, got)
		}
	}
}

// What is typed into a filter is answered without waiting for a tick.
func TestAwait(t *testing.T) {
	p := podPane(t)
	p.env.Hub = hubWithPods(t, 100)
	p.Open()
	defer p.Close()
	synced(t, p, 100)
	if p.Await() != nil {
		t.Error("a wait for nothing")
	}
	if err := p.SetFilter("worker-0042"); err != nil {
		t.Fatal(err)
	}
	cmd := p.Await()
	if cmd == nil {
		t.Fatal("nobody waits for the filter")
	}
	if _, ok := cmd().(PullMsg); !ok {
		t.Error("the wait does not end in a pull")
	}
	if p.Sync(); p.snap.Len() != 1 || p.snap.Row(0).(*watchers.PodRow).Node != "worker-0042" {
		t.Errorf("%d rows right after the wait", p.snap.Len())
	}
}

// Pictures of the whole cluster are not cut to the current namespace: a node's requests would be those of a part of its pods.
func TestWideViews(t *testing.T) {
	c := &Catalog{kinds: Typed(), special: specials()}
	for _, x := range []struct{ line, only, want string }{
		{"placement", "", AllNamespaces}, {"overview", "", AllNamespaces}, {"placement shop", "", "shop"}, {"pods", "", "default"},
		{"overview", "shop", "shop"}, {"overview -A", "shop", AllNamespaces}, {"pods -A", "", AllNamespaces},
	} {
		c.Only(x.only)
		r, err := c.Resolve(x.line, "default")
		if err != nil || r.Namespace != x.want {
			t.Errorf(":%s, started with -n %q, shows namespace %q (%v), want %q", x.line, x.only, r.Namespace, err, x.want)
		}
	}
}

// What is typed after a view is taken whole, or refused with what would be right.
func TestResolveArguments(t *testing.T) {
	c := &Catalog{kinds: Typed(), special: specials()}
	for _, x := range []struct{ line, namespace, filter, refused string }{
		{"pods", "default", "", ""}, {"pods shop", "shop", "", ""}, {"pods -n shop", "shop", "", ""}, {"pods -A", "", "", ""}, {"pods all", "", "", ""},
		{"pods shop /web  api", "shop", "web api", ""}, {"pods /!web", "default", "!web", ""}, {"pods -A -l app=web", "", "-l app=web", ""},
		{"pods -l app in (a, b)", "default", "-l app in (a, b)", ""}, {"pods -n shop -f wb", "shop", "-f wb", ""}, {"pods /-l app=web", "default", "-l app=web", ""},
		{"pods shop web", "", "", `"web" after "shop"`}, {"pods -A shop", "", "", `"shop" after "-A"`}, {"pods -n", "", "", "write a namespace after it"},
		{"pods -o wide", "", "", `"-o" is no option here`}, {"pods default/web-0", "", "", `"default/web-0" can be no namespace`},
		{"pods -l a==b==c", "", "", "not a label selector"}, {"pods /(", "", "", "not a regular expression"},
	} {
		r, err := c.Resolve(x.line, "default")
		switch {
		case x.refused != "":
			if err == nil || !strings.Contains(err.Error(), x.refused) {
				t.Errorf(":%s is %+v, %v; want it refused with %q", x.line, r, err, x.refused)
			}
		case err != nil || r.Namespace != x.namespace || r.Filter != x.filter:
			t.Errorf(":%s shows namespace %q with filter %q (%v), want %q and %q", x.line, r.Namespace, r.Filter, err, x.namespace, x.filter)
		}
	}
	if r, err := c.Resolve("keys /a key with blanks ", "default"); err != nil || r.Object.Key != "/a key with blanks" {
		t.Errorf("a key with blanks is %q, %v", r.Object.Key, err)
	}
}

// What an empty drill-down says is true of it: no key shows it for all namespaces.
func TestEmptyDrillDown(t *testing.T) {
	p := podPane(t)
	p.env.Hub = hubWithPods(t, 3)
	p.ref.Namespace, p.ref.Where = "shop", &Where{Label: "node/worker-9999", Within: watchers.OnNode("worker-9999")}
	p.Open()
	defer p.Close()
	synced(t, p, 0)
	if got := p.emptyText().String(); got != "no pods (node/worker-9999)" {
		t.Errorf("an empty drill-down says %q", got)
	}
}
