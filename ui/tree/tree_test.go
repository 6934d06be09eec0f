package tree

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/charmbracelet/x/ansi"
	"github.com/charmbracelet/x/exp/golden"

	"fathom/internal/safe"
	"fathom/theme"
	"fathom/ui/draw"
)

var (
	unicodeTheme = theme.New(theme.Options{})
	asciiTheme   = theme.New(theme.Options{ASCII: true, NoColor: true})
)

func show(t *Tree, w, h int) string {
	c := draw.NewCanvas(w, h)
	t.Draw(c.Area(), true)
	return ansi.Strip(c.Render(t.th))
}

// prefix is a node as the tree of etcd's keys has it: its ID is the whole key.
func prefix(id string, count int) Node {
	name := strings.TrimSuffix(id, "/")
	name = name[strings.LastIndexByte(name, '/')+1:]
	n := Node{ID: id, Label: []draw.Span{{Text: safe.String(name)}}, Leaf: !strings.HasSuffix(id, "/")}
	if !n.Leaf {
		n.Label = append(n.Label, draw.Span{Text: safe.Lit("/"), Style: theme.Dim})
		n.Right = []draw.Span{{Text: safe.Sprintf("%d", count), Style: theme.Value}}
	}
	return n
}

func sample(th *theme.Theme) *Tree {
	t := New(th)
	t.SetChildren(Root, []Node{prefix("/registry/", 1234), prefix("/compact_rev_key", 0)}, false)
	t.Expand("/registry/")
	t.SetChildren("/registry/", []Node{prefix("/registry/leases/", 40), prefix("/registry/pods/", 1000), prefix("/registry/secrets/", 17), prefix("/registry/services/", 9)}, false)
	t.Expand("/registry/pods/")
	t.SetChildren("/registry/pods/", []Node{prefix("/registry/pods/default/", 3), prefix("/registry/pods/kube-system/", 997)}, true)
	t.Expand("/registry/pods/default/")
	t.SetChildren("/registry/pods/default/", []Node{prefix("/registry/pods/default/a", 0), prefix("/registry/pods/default/b", 0), prefix("/registry/pods/default/a-pod-with-a-name-that-goes-on-and-on-and-on", 0)}, false)
	t.Expand("/registry/secrets/")
	t.Expand("/registry/services/")
	t.SetFailed("/registry/services/", safe.Lit("range /registry/services/: etcd-2 did not answer in 5s"))
	return t
}

func TestGolden(t *testing.T) {
	for name, th := range map[string]*theme.Theme{"unicode": unicodeTheme, "ascii": asciiTheme} {
		for _, w := range []int{30, 80} {
			t.Run(fmt.Sprintf("%s/%d", name, w), func(t *testing.T) {
				tr := sample(th)
				tr.MoveTo("/registry/pods/default/b")
				golden.RequireEqual(t, show(tr, w, 24))
			})
		}
	}
}

// What stands in the place of rows may be an error that tells what to do, at its end.
func TestEmptyIsWhole(t *testing.T) {
	tr := New(theme.New(theme.Options{}))
	long := "reading keys: permission denied; a user reads a range of keys only if one of its roles covers all of it: begin with a prefix that this user may read"
	tr.SetEmpty(safe.String(long))
	if got := strings.Join(strings.Fields(show(tr, 40, 8)), " "); got != long {
		t.Errorf("it says %q", got)
	}
}

func at(t *testing.T, tr *Tree, want string, kind Kind) {
	t.Helper()
	if id, k, ok := tr.Cursor(); id != want || k != kind || !ok {
		t.Errorf("the cursor is on %s (%d, %v), want %s (%d)", id, k, ok, want, kind)
	}
}

func TestLazyChildren(t *testing.T) {
	tr := New(unicodeTheme)
	if _, _, ok := tr.Cursor(); ok {
		t.Error("there is a cursor in an empty tree")
	}
	if !tr.Expand(Root) {
		t.Error("the roots are not asked for")
	}
	if s := show(tr, 40, 3); !strings.Contains(s, "loading") {
		t.Errorf("nothing says that the roots are loading:\n%s", s)
	}
	tr.SetChildren(Root, []Node{prefix("/a/", 2), prefix("/b", 0)}, false)
	at(t, tr, "/a/", IsNode)
	if !tr.Expand("/a/") {
		t.Error("children are not asked for when a node is opened first")
	}
	if tr.Expand("/a/") {
		t.Error("children are asked for again while they are loading")
	}
	tr.Move(1)
	at(t, tr, "/a/", IsLoading)
	tr.SetChildren("/a/", []Node{prefix("/a/1", 0), prefix("/a/2", 0)}, true)
	at(t, tr, "/a/1", IsNode) // it took the place
	tr.Move(2)
	at(t, tr, "/a/", IsMore)
	if !tr.More("/a/") || tr.More("/a/") {
		t.Error("the next page is not asked for exactly once")
	}
	tr.Append("/a/", []Node{prefix("/a/3", 0), prefix("/a/1", 0)}, false)
	at(t, tr, "/a/3", IsNode)
	if _, n := tr.Position(); n != 5 {
		t.Errorf("there are %d rows, want 5: /a/1 is there already", n)
	}
	for range 2 {
		if tr.Toggle("/a/") {
			t.Error("children that are there are asked for again")
		}
	}
	if tr.Expand("/b") || tr.Expand("/nothing") {
		t.Error("a leaf or an unknown node was opened")
	}
	tr.SetFailed("/a/", safe.Lit("no answer"))
	if !tr.Expand("/a/") {
		t.Error("a failure cannot be tried again")
	}
}

func TestCollapseTakesTheCursorAlong(t *testing.T) {
	tr := sample(unicodeTheme)
	tr.MoveTo("/registry/pods/default/b")
	if !tr.Collapse("/registry/pods/") || tr.Collapse("/registry/pods/") || tr.Collapse(Root) {
		t.Error("Collapse does not say whether there was something to close")
	}
	at(t, tr, "/registry/pods/", IsNode)
	tr.MoveTo("/registry/pods/default/a")
	if !tr.Open("/registry/pods/") {
		t.Error("MoveTo did not open the way")
	}
	if p, ok := tr.Parent("/registry/pods/default/a"); !ok || p != "/registry/pods/default/" {
		t.Errorf("the parent is %q", p)
	}
}

func TestRefreshKeepsWhatIsOpen(t *testing.T) {
	tr := sample(unicodeTheme)
	tr.MoveTo("/registry/pods/default/b")
	tr.SetChildren("/registry/", []Node{prefix("/registry/configmaps/", 1), prefix("/registry/pods/", 1001)}, false)
	at(t, tr, "/registry/pods/default/b", IsNode)
	if s := show(tr, 80, 24); !strings.Contains(s, "1001") || strings.Contains(s, "services") {
		t.Errorf("the new children are not shown:\n%s", s)
	}
	if tr.Loaded("/registry/services/") {
		t.Error("a node that is gone is still known")
	}
	tr.SetChildren("/registry/pods/default/", []Node{prefix("/registry/pods/default/a", 0), prefix("/registry/pods/default/z", 0)}, false)
	at(t, tr, "/registry/pods/kube-system/", IsNode) // the nearest that is left
	if id, gone := tr.Gone(); !gone || id != "/registry/pods/default/b" {
		t.Errorf("Gone is %q %v", id, gone)
	}
	tr.Move(0)
	if _, gone := tr.Gone(); gone {
		t.Error("Gone holds after a movement")
	}
	tr.SetChildren(Root, nil, false)
	if s := show(tr, 80, 3); !strings.Contains(s, "nothing to show") {
		t.Errorf("an empty tree shows %q", s)
	}
}

// Random trees, movements and sizes: nothing panics, the cursor stays on what is there, rows match the tree.
func TestChurn(t *testing.T) {
	for seed := range uint64(40) {
		churn(t, seed)
	}
}

func churn(t *testing.T, seed uint64) {
	r := rand.New(rand.NewPCG(seed, 3))
	tr := New(unicodeTheme)
	pick := func() string {
		ids := make([]string, 0, len(tr.byID))
		for id := range tr.byID {
			ids = append(ids, id)
		}
		slices.Sort(ids)
		return ids[r.IntN(len(ids))]
	}
	children := func(id string) (out []Node) {
		for range r.IntN(5) {
			out = append(out, Node{ID: fmt.Sprintf("%s.%d", id, r.IntN(7)), Leaf: r.IntN(4) == 0})
		}
		return out
	}
	for step := range 300 {
		before, kind, had := tr.Cursor()
		structural := false
		switch r.IntN(14) {
		case 0, 1:
			id := pick()
			structural = true
			tr.SetChildren(id, children(id), r.IntN(3) == 0)
		case 2:
			id := pick()
			structural = true
			tr.Append(id, children(id), r.IntN(2) == 0)
		case 3, 4, 5:
			structural = true
			tr.Expand(pick())
		case 6:
			tr.Toggle(pick())
		case 7:
			tr.Collapse(pick())
		case 8:
			tr.SetFailed(pick(), safe.Lit("no"))
		case 9:
			tr.More(pick())
		case 10:
			tr.Move(r.IntN(9) - 4)
		case 11:
			tr.Page(r.IntN(3) - 1)
		case 12:
			id := pick()
			if ok := tr.MoveTo(id); ok {
				at(t, tr, id, IsNode)
			}
		case 13:
			if r.IntN(2) == 0 {
				tr.Top()
			} else {
				tr.Bottom()
			}
		}
		after, _, has := tr.Cursor()
		if _, still := tr.byID[before]; structural && had && kind == IsNode && still && visible(tr, before) && after != before {
			t.Fatalf("seed %d step %d: the cursor went from %s to %s", seed, step, before, after)
		}
		show(tr, r.IntN(60), r.IntN(10))
		i, n := tr.Position()
		if has && (i < 1 || i > n || tr.rows[i-1] != tr.cur) {
			t.Fatalf("seed %d step %d: position %d of %d", seed, step, i, n)
		}
		for _, row := range tr.rows {
			if tr.byID[row.n.ID] != row.n {
				t.Fatalf("seed %d step %d: a row of %s, which is not in the tree", seed, step, row.n.ID)
			}
		}
	}
}

func visible(tr *Tree, id string) bool {
	return slices.ContainsFunc(tr.rows, func(r row) bool { return r.n.ID == id && r.kind == IsNode })
}

func big(n int) *Tree {
	tr := New(unicodeTheme)
	nodes := make([]Node, n)
	for i := range nodes {
		nodes[i] = prefix(fmt.Sprintf("/k%06d", i), 0)
	}
	tr.SetChildren(Root, nodes, false)
	return tr
}

func TestAllocations(t *testing.T) {
	tr := big(100_000)
	c := draw.NewCanvas(80, 40)
	tr.Draw(c.Area(), true)
	if n := testing.AllocsPerRun(50, func() {
		tr.Move(1234)
		tr.Draw(c.Area(), true)
	}); n > 0 {
		t.Errorf("a frame allocates %v times, want none", n)
	}
}

func BenchmarkMoveAndDraw(b *testing.B) {
	for _, n := range []int{100, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			tr := big(n)
			c := draw.NewCanvas(120, 40)
			b.ReportAllocs()
			for b.Loop() {
				tr.Move(1)
				tr.Draw(c.Area(), true)
			}
		})
	}
}

func BenchmarkSetChildren(b *testing.B) {
	tr := big(100_000)
	nodes := make([]Node, 0, 100_000)
	for _, n := range tr.root.children {
		nodes = append(nodes, n.Node)
	}
	for b.Loop() {
		tr.SetChildren(Root, nodes, false)
		tr.Move(1)
	}
}
