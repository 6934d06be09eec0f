package views

import (
	"regexp"
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"

	"fathom/actions"
	"fathom/internal/safe"
	"fathom/keymap"
	"fathom/ui/draw"
	"fathom/ui/table"
	"fathom/watchers"
)

// resource is the pane of one resource: typed rows with our columns, or a server-side Table with the server's.
type resource struct {
	narrowed
	env  *Env
	kind Kind
	// listed is set for a kind without typed rows: its columns come with the first snapshot.
	listed bool

	feed   *watchers.Feed
	snap   *watchers.Snapshot // what is shown
	seen   *watchers.Snapshot // the feed's newest
	table  *table.Table
	cols   []Column // as shown now
	wide   bool
	sort   string // key of the column; empty: namespace, name
	desc   bool
	tag    uint64
	asked  string // tag of the query nobody has waited for yet
	parted bool   // snap is only a window of what was seen: the rest was given back

	every []Column // all columns, also those that are not shown: a filter looks at them
}

func newResource(env *Env, r Ref, k Kind, listed bool) (*resource, error) {
	p := &resource{env: env, narrowed: narrowed{ref: r}, kind: k, listed: listed, sort: k.Sort, desc: k.Descending}
	if r.Filter != "" {
		f, err := ParseFilter(r.Filter)
		if err != nil {
			return nil, err
		}
		p.filter = f
	}
	p.snap = &watchers.Snapshot{}
	p.table = table.New(env.Theme)
	p.layoutColumns()
	return p, nil
}

// everyColumn is what print and JSON show, in order.
func (p *resource) everyColumn() []Column {
	cols := make([]Column, 0, len(p.kind.Columns)+3)
	if p.kind.Namespaced {
		cols = append(cols, namespaceColumn())
	}
	if p.kind.Kind == "Event" { // an event's name says nothing
		return append(cols, p.kind.Columns...)
	}
	cols = append(cols, nameColumn())
	cols = append(cols, p.kind.Columns...)
	return append(cols, ageColumn())
}

// layoutColumns decides which columns are shown: the wide ones on request, the namespace when there is more than one.
func (p *resource) layoutColumns() {
	all := p.everyColumn()
	p.every = all
	p.cols = slices.DeleteFunc(slices.Clone(all), func(c Column) bool {
		return c.Wide && !p.wide || c.Key == "namespace" && p.ref.Namespace != AllNamespaces
	})
	setColumns(p.table, p.cols)
	p.table.SetSort(slices.IndexFunc(p.cols, func(c Column) bool { return c.Key == p.sort }), p.desc)
}

// Open implements Pane.
func (p *resource) Open() {
	if p.feed != nil || p.env.Hub == nil {
		return
	}
	key := watchers.Key{GVR: p.kind.GVR}
	if p.kind.Namespaced {
		key.Namespace = p.ref.Namespace
	}
	p.feed = p.env.Hub.Open(key, p.query())
}

// Close implements Pane.
func (p *resource) Close() {
	if p.feed != nil {
		p.feed.Close()
		p.feed = nil
	}
}

// Sync implements Pane.
func (p *resource) Sync() bool {
	if p.feed == nil {
		return false
	}
	s := p.feed.Snapshot()
	if s == p.seen {
		return false
	}
	p.seen = s
	if p.snap.Gen > 0 && (s.Gen == 0 || p.parted && s.State.Phase == watchers.Connecting) {
		// The pane was opened again, and its feed has nothing yet: what was seen stays, and stays under the cursor.
		kept := *p.snap
		kept.State = s.State
		p.snap = &kept
		return true
	}
	if p.listed && len(s.Columns) > 0 && !slices.Equal(s.Columns, p.snap.Columns) {
		p.kind.Columns = tableColumns(s.Columns)
		p.layoutColumns()
		if !p.filter.IsEmpty() || p.sort != "" {
			p.feed.SetQuery(p.query())
		}
	}
	p.snap, p.parted = s, false
	p.table.SetSource(source{p, s})
	return true
}

// source gives the table the visible cells of a snapshot.
type source struct {
	p *resource
	s *watchers.Snapshot
}

func (s source) Len() int                   { return s.s.Len() }
func (s source) ID(i int) string            { return s.s.Row(i).ID() }
func (s source) Find(id string) (int, bool) { return s.s.Find(id) }
func (s source) Cell(i, col int) table.Cell {
	text, style := s.p.cols[col].Cell(s.s.Row(i), s.p.env.Now())
	return table.Cell{Text: safe.Bounded(text, maxCell), Style: style}
}

// maxCell bounds a cell's text before its width is computed.
const maxCell = 512

// Title implements Pane.
func (p *resource) Title() Title {
	t := Title{Name: safe.String(p.ref.View), Filter: safe.String(p.filter.String()), Marks: p.table.MarkCount()}
	switch {
	case p.ref.Where != nil:
		t.Scope = safe.String(p.ref.Where.Label)
	case !p.kind.Namespaced:
	case p.ref.Namespace == AllNamespaces:
		t.Scope = safe.Lit("all namespaces")
	default:
		t.Scope = safe.String(p.ref.Namespace)
	}
	switch n := p.snap.Len(); {
	case p.snap.Gen == 0:
	case n != p.snap.Total && p.ref.Where == nil:
		t.Count = Count(n) + " of " + Count(p.snap.Total)
	default:
		t.Count = Count(n)
	}
	return t
}

// State implements Pane.
func (p *resource) State() watchers.State {
	if p.env.Hub == nil {
		return watchers.State{Phase: watchers.Unsupported, Why: "no API server: give --kubeconfig or --context"}
	}
	return p.snap.State
}

// Ticks implements Ticker: there is an age column.
func (p *resource) Ticks() bool { return p.snap.Len() > 0 }

// Draw implements Pane.
func (p *resource) Draw(a draw.Area, focused bool) {
	p.table.SetEmpty(p.emptyText())
	p.table.Draw(a, focused)
}

func (p *resource) emptyText() safe.Text {
	switch st := p.State(); {
	case st.Phase == watchers.Connecting:
		return safe.Lit("waiting for the first rows…")
	case st.Phase == watchers.Denied:
		return safe.Sprintf("you may not %s %s here; a namespace you may read can be chosen with :%s NAMESPACE", st.Verb, st.Resource, p.ref.View)
	case st.Phase == watchers.Unsupported:
		return safe.Sprintf("not available: %s", st.Why)
	case !p.filter.IsEmpty():
		return safe.Sprintf("no row matches /%s; Esc shows all %d", p.filter.String(), p.snap.Total)
	case p.ref.Where != nil:
		return safe.Sprintf("no %s (%s)", p.ref.View, p.ref.Where.Label)
	case p.kind.Namespaced && p.ref.Namespace != AllNamespaces:
		return safe.Sprintf("no %s in namespace %s; 0 shows all namespaces", p.ref.View, p.ref.Namespace)
	}
	return safe.Sprintf("no %s", p.ref.View)
}

// Scopes implements Pane.
func (p *resource) Scopes() []keymap.Scope {
	return append(slices.Clone(p.kind.Scopes), keymap.Objects, keymap.Table)
}

// SetFilter implements Filterer.
func (p *resource) SetFilter(expr string) error {
	f, err := ParseFilter(expr)
	if err != nil {
		return err
	}
	if f.String() == p.filter.String() {
		return nil
	}
	narrows := f.narrows(p.filter)
	p.filter = f
	p.requery(narrows)
	return nil
}

// row is the row under the cursor.
func (p *resource) row() (watchers.Row, bool) {
	id, ok := p.table.Cursor()
	if !ok {
		return nil, false
	}
	return p.rowOf(id)
}

func (p *resource) rowOf(id string) (watchers.Row, bool) {
	i, ok := p.snap.Find(id)
	if !ok {
		return nil, false
	}
	return p.snap.Row(i), true
}

func (p *resource) object(r watchers.Row) Object {
	o := Object{GVR: p.kind.GVR, Kind: p.kind.Kind, Namespace: r.GetNamespace(), Name: r.GetName(), UID: r.ID()}
	if pod, ok := r.(*watchers.PodRow); ok {
		o.Containers = containersOf(pod)
	}
	return o
}

func containersOf(p *watchers.PodRow) string {
	return strings.Trim(string(p.InitContainers)+","+string(p.Containers), ",")
}

// Do implements Pane.
func (p *resource) Do(in keymap.Intent) tea.Cmd {
	if moveTable(p.table, in) {
		return nil
	}
	switch in {
	case keymap.SortNext, keymap.SortPrev, keymap.SortReverse, keymap.SortName, keymap.SortAge, keymap.SortStatus:
		p.resort(in)
		return nil
	case keymap.Wide:
		p.wide = !p.wide
		p.layoutColumns()
		return nil
	}
	if a, ok := actions.Lookup(string(in)); ok {
		return p.act(a)
	}
	r, ok := p.row()
	if !ok {
		return nil
	}
	return p.doRow(in, r)
}

// doRow carries out an intent on one row.
func (p *resource) doRow(in keymap.Intent, r watchers.Row) tea.Cmd {
	obj := p.object(r)
	ref := Ref{Namespace: r.GetNamespace(), Object: obj}
	switch in {
	case keymap.Enter:
		if p.kind.Kind == "Namespace" {
			ns := r.GetName()
			return func() tea.Msg { return NamespaceMsg{Namespace: ns, View: "pods"} }
		}
		if p.kind.Down != nil {
			if to, ok := p.kind.Down(r); ok {
				return open(to)
			}
		}
		ref.View = "yaml"
	case keymap.YAML:
		ref.View = "yaml"
	case keymap.Describe:
		ref.View = "describe"
	case keymap.Logs:
		ref.View = "logs"
	case keymap.LogsPrevious:
		ref.View = "logs-previous"
	case keymap.CopyName:
		return p.env.copyName(r.GetName())
	case keymap.OtherSide:
		return p.env.keyOf(obj)
	case keymap.CrossCheck:
		return p.env.crossCheck(obj)
	case keymap.PodNode:
		if pod, ok := r.(*watchers.PodRow); ok && pod.Node != "" {
			return open(Ref{View: "nodes", Filter: "^" + regexp.QuoteMeta(pod.Node) + `\s`}) // a blank at its end would be trimmed
		}
		return toast("the pod is not on a node yet", false)
	default:
		return nil
	}
	return open(ref)
}

// Click implements Clicker: a click selects, a click on the selected row opens it.
func (p *resource) Click(_, y int) tea.Cmd {
	id, ok := p.table.RowAt(y)
	if !ok {
		return nil
	}
	if cur, _ := p.table.Cursor(); cur == id {
		return p.Do(keymap.Enter)
	}
	p.table.MoveTo(id)
	return nil
}

// Wheel implements Clicker.
func (p *resource) Wheel(lines int) tea.Cmd {
	p.table.Move(lines)
	return nil
}
