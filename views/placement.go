package views

import (
	"fmt"
	"strings"

	tea "charm.land/bubbletea/v2"

	"fathom/actions"
	"fathom/internal/safe"
	"fathom/keymap"
	"fathom/ui/draw"
	"fathom/watchers"
)

// placement shows which pods are on which nodes, what the nodes have left, and which pods have no node and why.
type placement struct {
	narrowed
	env *Env

	source *watchers.Derived[placed]
	snap   *watchers.DerivedSnapshot[placed]
	pic    *placed

	cursor string // identity of what the cursor is on
	pos    int    // its position in pic; where the cursor stays when it is gone
	gone   bool   // what the cursor was on is gone, and it has not moved since
	chosen bool   // the next picture is of another filter: what it leaves out is not gone
	lay    placementLayout
}

func newPlacement(env *Env, r Ref) (Pane, error) {
	f, err := ParseFilter(r.Filter)
	if err != nil {
		return nil, err
	}
	p := &placement{env: env, narrowed: narrowed{r, f}, snap: &watchers.DerivedSnapshot[placed]{}, pic: &placed{}}
	p.lay.grid = newPlacedGrid(p.pic, 1)
	return p, nil
}

// Open implements Pane.
func (p *placement) Open() {
	if p.source != nil || p.env.Hub == nil {
		return
	}
	f, before := p.filter, (*placed)(nil)
	p.source = watchers.DerivePlacement(p.env.Hub, p.ref.Namespace, func(pic *watchers.Placement) *placed {
		before = place(pic, f, before)
		return before
	})
}

// Close implements Pane.
func (p *placement) Close() {
	if p.source != nil {
		p.source.Close()
		p.source = nil
	}
}

// Trim implements Trimmer: the picture is given up, where the cursor was is not.
func (p *placement) Trim() {
	if p.source == nil {
		p.snap, p.pic, p.chosen = &watchers.DerivedSnapshot[placed]{}, &placed{}, true
		p.lay.grid = newPlacedGrid(p.pic, p.lay.grid.across)
	}
}

// Sync implements Pane.
func (p *placement) Sync() bool {
	if p.source == nil {
		return false
	}
	s := p.source.Snapshot()
	if s == p.snap || s.Gen == 0 && p.snap.Gen > 0 { // what was seen stays until there is something newer
		return false
	}
	p.take(s)
	return true
}

// take shows a new picture. The cursor stays on what it is on; when that is gone, it stays where it is.
func (p *placement) take(s *watchers.DerivedSnapshot[placed]) {
	p.snap, p.pic = s, s.Value
	p.lay.grid = newPlacedGrid(p.pic, p.lay.grid.across)
	if i, ok := p.pic.index[p.cursor]; ok {
		p.pos, p.gone, p.chosen = i, false, false
		return
	}
	p.pos = max(0, min(p.pos, p.pic.len()-1))
	if p.cursor == "" || p.chosen {
		p.cursor, p.gone = p.pic.id(p.pos), false
	} else {
		p.gone = true
	}
	p.chosen = p.chosen && s.Gen == 0
}

// goTo moves the cursor.
func (p *placement) goTo(i int) {
	if n := p.pic.len(); n > 0 {
		p.pos = max(0, min(i, n-1))
		p.cursor, p.gone = p.pic.id(p.pos), false
	}
}

// Title implements Pane.
func (p *placement) Title() Title {
	t := Title{Name: safe.Lit("placement"), Scope: safe.Lit("all namespaces"), Filter: safe.String(p.filter.String())}
	if p.ref.Namespace != AllNamespaces {
		t.Scope = safe.String(p.ref.Namespace)
	}
	if p.snap.Gen == 0 {
		return t
	}
	t.Count = plural(len(p.pic.nodes), "node")
	if len(p.pic.nodes) != p.pic.allNodes && !p.filter.IsEmpty() {
		t.Count = Count(len(p.pic.nodes)) + " of " + plural(p.pic.allNodes, "node")
	}
	t.Count += ", " + plural(p.pic.pods, "pod")
	if n := len(p.pic.pending); n > 0 {
		t.Count += fmt.Sprintf(", %d pending", n)
	}
	return t
}

// State implements Pane.
func (p *placement) State() watchers.State {
	switch {
	case p.env.Hub == nil && p.snap.Gen == 0:
		return watchers.State{Phase: watchers.Unsupported, Why: "no API server: give --kubeconfig or --context"}
	case p.snap.Gen == 0:
		return watchers.State{Phase: watchers.Connecting}
	}
	return p.snap.State
}

// part is the state of one of the two sources.
func (p *placement) part(k watchers.Key) watchers.State { return p.snap.States[k] }

// Ticks implements Ticker: pending pods have ages.
func (p *placement) Ticks() bool { return len(p.pic.pending) > 0 }

// Draw implements Pane.
func (p *placement) Draw(a draw.Area, focused bool) {
	if a.W() > 0 && a.H() > 0 {
		p.draw(a, focused)
	}
}

// Scopes implements Pane: what can be done depends on what the cursor is on.
func (p *placement) Scopes() []keymap.Scope {
	switch n, pod := p.pic.at(p.pos); {
	case n != nil:
		return []keymap.Scope{keymap.Placement, keymap.Nodes, keymap.Objects, keymap.Table}
	case pod != nil:
		return []keymap.Scope{keymap.Placement, keymap.Pods, keymap.Objects, keymap.Table}
	}
	return []keymap.Scope{keymap.Placement, keymap.Objects, keymap.Table}
}

// SetFilter implements Filterer: nodes by name, zone, status, taints, conditions and labels, pending pods by name, owner, reason
// and labels.
func (p *placement) SetFilter(expr string) error {
	f, err := ParseFilter(expr)
	if err != nil {
		return err
	}
	if f.String() == p.filter.String() {
		return nil
	}
	p.filter = f
	p.chosen = true
	if p.source != nil { // the filter is a part of the builder
		p.Close()
		p.Open()
	}
	return nil
}

// Do implements Pane.
func (p *placement) Do(in keymap.Intent) tea.Cmd {
	if p.moved(in) {
		return nil
	}
	if a, ok := actions.Lookup(string(in)); ok {
		ts, why := p.Targets(a)
		if len(ts) == 0 {
			return toast(why, true)
		}
		return func() tea.Msg { return ActMsg{Action: a, Targets: ts} }
	}
	switch n, pod := p.pic.at(p.pos); {
	case p.gone:
		if in == keymap.Enter {
			return toast("what the cursor was on is gone; move to what you mean first", true)
		}
	case n != nil:
		return p.doNode(in, n)
	case pod != nil:
		return p.doPending(in, pod)
	}
	return nil
}

func (p *placement) doNode(in keymap.Intent, n *watchers.NodePods) tea.Cmd {
	ref := Ref{Object: Object{GVR: watchers.Nodes(), Kind: "Node", Name: n.Node.Name, UID: n.Node.UID}}
	switch in {
	case keymap.Enter:
		to, _ := nodeKind().Down(n.Node)
		to.Namespace = p.ref.Namespace
		return open(to)
	case keymap.YAML:
		ref.View = "yaml"
	case keymap.Describe:
		ref.View = "describe"
	case keymap.OtherSide:
		return p.env.keyOf(ref.Object)
	case keymap.CrossCheck:
		return p.env.crossCheck(ref.Object)
	default:
		return nil
	}
	if n.Missing {
		return toast(fmt.Sprintf("there is no node %s that could be read; pods say that they are on it", n.Node.Name), true)
	}
	return open(ref)
}

func (p *placement) doPending(in keymap.Intent, pod *watchers.PodRow) tea.Cmd {
	ref := Ref{Namespace: pod.Namespace, Object: Object{GVR: watchers.Pods(), Kind: "Pod", Namespace: pod.Namespace, Name: pod.Name, UID: pod.UID,
		Containers: containersOf(pod)}}
	switch in {
	case keymap.Enter, keymap.Describe:
		ref.View = "describe"
	case keymap.YAML:
		ref.View = "yaml"
	case keymap.OtherSide:
		return p.env.keyOf(ref.Object)
	case keymap.CrossCheck:
		return p.env.crossCheck(ref.Object)
	case keymap.Logs, keymap.LogsPrevious, keymap.PodNode:
		return toast("the pod has no node yet: "+pendingReason(pod), false)
	default:
		return nil
	}
	return open(ref)
}

// Targets implements Actor.
func (p *placement) Targets(a actions.Action) ([]actions.Target, string) {
	n, pod := p.pic.at(p.pos)
	switch {
	case p.gone:
		return nil, "what the cursor was on is gone; move to what you mean first"
	case n != nil && n.Missing:
		return nil, fmt.Sprintf("there is no node %s to act on", n.Node.Name)
	case n != nil && a.Applies("nodes"):
		return []actions.Target{target(nodeKind(), n.Node)}, ""
	case pod != nil && a.Applies("pods"):
		return []actions.Target{target(podKind(), pod)}, ""
	case n == nil && pod == nil:
		return nil, "nothing is selected"
	}
	what := "a node"
	if pod != nil {
		what = "a pod"
	}
	return nil, fmt.Sprintf("%s does not apply to %s", a.Title, what)
}

// Unmark implements Actor: there are no marks.
func (p *placement) Unmark() {}

// moved carries out the intents that move the cursor. Nodes stand side by side in rows; pending pods are below them.
func (p *placement) moved(in keymap.Intent) bool {
	page := max(1, p.lay.shown-1)
	switch in {
	case keymap.Down:
		p.vertical(1)
	case keymap.Up:
		p.vertical(-1)
	case keymap.PageDown:
		p.vertical(page)
	case keymap.PageUp:
		p.vertical(-page)
	case keymap.ScrollLeft:
		p.goTo(p.pos - 1)
	case keymap.ScrollRight:
		p.goTo(p.pos + 1)
	case keymap.Top:
		p.goTo(0)
	case keymap.Bottom:
		p.goTo(p.pic.len() - 1)
	default:
		return false
	}
	return true
}

// vertical moves the cursor n rows, without counting the headings of zones.
func (p *placement) vertical(n int) {
	step, nodes, pos := 1, len(p.pic.nodes), p.pos
	if n < 0 {
		step, n = -1, -n
	}
	for range n {
		if pos >= nodes { // among the pending
			if pos+step >= p.pic.len() || pos+step < 0 {
				break
			}
			pos += step
			continue
		}
		row, col := p.lay.grid.place(pos)
		row += step
		if row >= 0 && row < p.lay.grid.rows() && p.lay.grid.row(row).heading {
			row += step
		}
		if row < 0 {
			break
		}
		if row >= p.lay.grid.rows() {
			if len(p.pic.pending) == 0 {
				break
			}
			pos = nodes
			continue
		}
		r := p.lay.grid.row(row)
		pos = min(r.from+col, r.to-1)
	}
	p.goTo(pos)
}

// Click implements Clicker: a click selects, a click on what is selected opens it.
func (p *placement) Click(x, y int) tea.Cmd {
	i, ok := p.lay.hit(x, y)
	if !ok {
		return nil
	}
	if i == p.pos && !p.gone {
		return p.Do(keymap.Enter)
	}
	p.goTo(i)
	return nil
}

// Wheel implements Clicker.
func (p *placement) Wheel(lines int) tea.Cmd {
	p.vertical(lines)
	return nil
}

// workloadName names what a pod belongs to.
func workloadName(p *watchers.PodRow) string {
	switch {
	case p.Workload.Name == "":
		return p.Namespace + "/" + p.Name
	case p.Workload.Kind == "Node":
		return "static pods"
	}
	return p.Namespace + "/" + p.Workload.Name
}

// nodeWords says what is the matter with a node; empty: nothing.
func nodeWords(n *watchers.NodePods) string {
	if n.Missing {
		return "no such node"
	}
	var w []string
	if !n.Node.Ready {
		w = append(w, "NotReady")
	}
	if n.Node.Cordoned {
		w = append(w, "cordoned")
	}
	for _, c := range n.Node.Conditions {
		if !strings.HasPrefix(c, "Ready") && (n.Node.Ready || !strings.HasSuffix(c, "=Unknown")) { // of a node that is silent all are
			w = append(w, c)
		}
	}
	return strings.Join(w, ",")
}
