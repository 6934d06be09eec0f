package views

import (
	"fmt"
	"sort"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"fathom/internal/safe"
	"fathom/keymap"
	"fathom/theme"
	"fathom/ui/draw"
	"fathom/ui/table"
	"fathom/watchers"
	"fathom/watchers/etcd"
)

// search looks for keys of etcd and shows them as they are found.
type search struct {
	env    *Env
	ref    Ref
	expr   string
	query  etcd.SearchQuery
	run    *etcd.Search // nil: nothing was asked yet
	snap   *etcd.SearchSnapshot
	table  *table.Table
	tableY int // where the table was drawn last

	filter Filter
	shown  []int // hits that pass the filter; not used without one
	looked int   // hits that the filter has looked at
}

func newSearch(env *Env, r Ref) (Pane, error) {
	p := &search{env: env, ref: r, table: table.New(env.Theme), snap: &etcd.SearchSnapshot{}}
	p.table.SetColumns([]table.Column{
		{Title: "KEY", Flex: true, Min: 20}, {Title: "MODIFIED AT", Align: draw.Right, Priority: 1}, {Title: "CREATED AT", Align: draw.Right, Priority: 3},
		{Title: "WRITES", Align: draw.Right, Priority: 2}, {Title: "LEASE", Priority: 4},
	})
	if p.expr = strings.TrimSpace(r.Filter); p.expr != "" {
		q, err := etcd.ParseSearch(p.expr)
		if err != nil {
			return nil, err
		}
		p.query = q
	}
	return p, nil
}

// Open implements Pane: the search goes on when it was held.
func (p *search) Open() {
	if p.run != nil {
		p.run.Pause(false)
	}
}

// Close implements Pane: nothing is read for a pane that nobody sees.
func (p *search) Close() {
	if p.run != nil {
		p.run.Pause(true)
	}
}

// Start implements Starter.
func (p *search) Start() tea.Cmd {
	if p.run == nil {
		return p.Refresh()
	}
	return nil
}

// Refresh implements Refresher: it searches again.
func (p *search) Refresh() tea.Cmd {
	e := p.env.Cluster.Etcd()
	if e == nil || p.expr == "" {
		return nil
	}
	p.Stop()
	p.run = etcd.NewSearch(p.env.Group, e, p.query)
	p.looked, p.shown = 0, nil
	p.Sync()
	return nil
}

// Stop implements Stopper.
func (p *search) Stop() bool {
	if p.run == nil || !p.run.Running() {
		return false
	}
	p.run.Stop()
	return true
}

// Sync implements Pane.
func (p *search) Sync() bool {
	if p.run == nil {
		return false
	}
	s := p.run.Snapshot()
	if s == p.snap {
		return false
	}
	p.snap = s
	p.arrange()
	return true
}

// arrange looks at the hits that have come since.
func (p *search) arrange() {
	if !p.filter.IsEmpty() {
		for ; p.looked < len(p.snap.Hits); p.looked++ {
			if p.filter.Match(p.snap.Hits[p.looked].Key, nil) {
				p.shown = append(p.shown, p.looked)
			}
		}
	}
	p.table.SetSource(hitSource{p.snap.Hits, p.shown, !p.filter.IsEmpty()})
}

// hitSource is what the table shows: in the order of the keys.
type hitSource struct {
	hits     []etcd.Hit
	shown    []int
	filtered bool
}

func (s hitSource) Len() int {
	if s.filtered {
		return len(s.shown)
	}
	return len(s.hits)
}

func (s hitSource) hit(i int) *etcd.Hit {
	if s.filtered {
		i = s.shown[i]
	}
	return &s.hits[i]
}

func (s hitSource) ID(i int) string { return s.hit(i).Key }

func (s hitSource) Find(id string) (int, bool) {
	i := sort.Search(s.Len(), func(i int) bool { return s.hit(i).Key >= id })
	return i, i < s.Len() && s.hit(i).Key == id
}

func (s hitSource) Cell(i, col int) table.Cell {
	h := s.hit(i)
	switch col {
	case 0:
		return table.Cell{Text: safe.Bounded(h.Key, maxCell), Style: theme.Strong}
	case 1:
		return table.Cell{Text: safe.Sprintf("%d", h.ModRevision)}
	case 2:
		return table.Cell{Text: safe.Sprintf("%d", h.CreateRevision)}
	case 3:
		return table.Cell{Text: safe.Sprintf("%d", h.Version)}
	}
	if h.Lease == 0 {
		return table.Cell{Text: safe.Lit("-"), Style: theme.Dim}
	}
	return table.Cell{Text: safe.Sprintf("%016x", uint64(h.Lease))}
}

// Draw implements Pane.
func (p *search) Draw(a draw.Area, focused bool) {
	p.tableY = 0
	switch {
	case p.env.Cluster.Etcd() == nil:
		sentence(a, 1, 0, a.H(), theme.Default, noEtcd(p.env))
		return
	case p.run == nil:
		p.drawSyntax(a)
		return
	}
	y := p.drawSummary(a)
	p.table.SetEmpty(p.emptyText())
	p.tableY = y
	p.table.Draw(a.Sub(draw.Rect{Y: y, W: a.W(), H: a.H() - y}), focused)
}

// drawSyntax explains what can be typed.
func (p *search) drawSyntax(a draw.Area) {
	a.Text(1, 0, theme.Default, safe.Lit("Look for keys by their names: e, or :search and one of these"))
	w := 0
	for _, s := range etcd.SearchSyntax {
		w = max(w, len(s[0]))
	}
	for i, s := range etcd.SearchSyntax {
		a.Text(3, 2+i, theme.Key, safe.String(s[0]))
		a.Text(3+w+2, 2+i, theme.Default, safe.String(s[1]))
	}
	y := 3 + len(etcd.SearchSyntax)
	for i, l := range []string{
		"Each key there is looked at, without its value, from a follower if there",
		fmt.Sprintf("is one, with rests. It ends at %s keys found. Esc stops it.", Count(etcd.MaxHits)),
	} {
		a.Text(1, y+i, theme.Dim, safe.String(l))
	}
}

// drawSummary says how far it is, and returns the line after.
func (p *search) drawSummary(a draw.Area) int {
	s := p.snap
	var what []draw.Span
	found := plural(len(s.Hits), "key") + " found"
	switch {
	case s.Cut:
		what = append(what, draw.Span{Text: safe.Sprintf("the first %s found, and stopped there: name less to look at, or more to look for", Count(len(s.Hits))), Style: theme.Warn})
	default:
		what = append(what, draw.Span{Text: safe.String(found), Style: theme.Strong})
	}
	drawProgress(a, p.env, 0, s.Progress, endOf(s.Done, s.Stopped, s.Cut, s.Err), what)
	if s.Err != nil && len(s.Hits) > 0 {
		return sentence(a, 0, 1, max(1, a.H()/4), theme.Bad, scanError(s.Err)) + 1
	}
	if s.Waiting != "" && !s.Done {
		return sentence(a, 0, 1, max(1, a.H()/4), theme.Warn, "waiting: "+s.Waiting) + 1
	}
	return 2
}

func (p *search) emptyText() safe.Text {
	switch s := p.snap; {
	case s.Err != nil:
		return safe.String(scanError(s.Err))
	case len(s.Hits) > 0:
		return safe.Sprintf("none of the %s found matches /%s; Esc shows them", plural(len(s.Hits), "key"), p.filter.String())
	case !s.Done:
		return safe.Lit("nothing found yet")
	case s.Stopped:
		return safe.Sprintf("nothing found among the %s looked at before it was stopped; Ctrl-R searches again, e changes what is looked for", plural(int(s.Looked), "key"))
	}
	if p.snap.Looked == 0 {
		return safe.Sprintf("there are no %s; e changes what is looked for", p.query.Where())
	}
	return safe.Sprintf("none of the %s matches; e changes what is looked for", p.query.Where())
}

// Title implements Pane.
func (p *search) Title() Title {
	t := Title{Name: safe.Lit("search"), Scope: safe.Bounded(p.expr, 60), Filter: safe.String(p.filter.String()), Marks: p.table.MarkCount()}
	n := len(p.snap.Hits)
	switch plus := map[bool]string{true: "+"}[p.snap.Cut]; {
	case p.run == nil:
	case !p.filter.IsEmpty():
		t.Count = fmt.Sprintf("%s of %s%s", Count(len(p.shown)), Count(n), plus)
	default:
		t.Count = Count(n) + plus
	}
	return t
}

// State implements Pane.
func (p *search) State() watchers.State {
	switch {
	case p.env.Cluster.Etcd() == nil:
		return watchers.State{Phase: watchers.Unsupported, Resource: "keys", Why: noEtcd(p.env)}
	case p.run == nil:
		return watchers.State{Phase: watchers.Live}
	}
	return scanState(p.snap.Progress, p.snap.Done, p.snap.Err, "keys")
}

// ReadAt implements Aged.
func (p *search) ReadAt() time.Time { return p.snap.Ends }

// Ticks implements Ticker.
func (p *search) Ticks() bool { return p.run != nil }

// Scopes implements Pane.
func (p *search) Scopes() []keymap.Scope { return []keymap.Scope{keymap.Search, keymap.Table} }

// Ref implements Pane.
func (p *search) Ref() Ref { return p.ref }

// Filter implements Filterer: it looks at what was found.
func (p *search) Filter() string { return p.filter.String() }

// SetFilter implements Filterer.
func (p *search) SetFilter(expr string) error {
	f, err := keyFilter(expr)
	if err != nil {
		return err
	}
	p.filter, p.looked, p.shown = f, 0, p.shown[:0:0]
	p.arrange()
	return nil
}

// Do implements Pane.
func (p *search) Do(in keymap.Intent) tea.Cmd {
	switch in {
	case keymap.SearchQuery:
		return prompt("search " + p.expr)
	case keymap.Enter:
		if key, ok := p.table.Cursor(); ok {
			return open(Ref{View: "value", Object: Object{Key: key}})
		}
		if p.run == nil {
			return prompt("search ")
		}
		return nil
	case keymap.CopyName:
		if key, ok := p.table.Cursor(); ok {
			return p.env.copyName(key)
		}
		return nil
	}
	moveTable(p.table, in)
	return nil
}

// Click implements Clicker: a click selects, a click on the selected row opens it.
func (p *search) Click(_, y int) tea.Cmd { return clickTable(p.table, y-p.tableY, p.Do) }

// Wheel implements Clicker.
func (p *search) Wheel(lines int) tea.Cmd {
	p.table.Move(lines)
	return nil
}

// Print implements Printer: everything that was found, once the search is over.
func (p *search) Print(bool) (Printed, bool, error) {
	switch {
	case p.env.Cluster.Etcd() == nil:
		return Printed{}, false, fmt.Errorf("not available: %s", noEtcd(p.env))
	case p.expr == "":
		return Printed{}, false, fmt.Errorf("say what to look for: fathom print 'search /registry/pods/ web'")
	case p.snap.Err != nil:
		return Printed{}, false, p.snap.Err
	case !p.snap.Done:
		return Printed{}, false, nil
	}
	out := Printed{Titles: []string{"KEY", "MODIFIED AT", "CREATED AT", "WRITES", "LEASE"}, Keys: []string{"key", "modRevision", "createRevision", "version", "lease"}}
	src := hitSource{p.snap.Hits, p.shown, !p.filter.IsEmpty()}
	for i := range src.Len() {
		h := src.hit(i)
		row := make([]string, len(out.Titles))
		for c := range row {
			row[c] = src.Cell(i, c).Text.String()
		}
		row[0] = h.Key
		out.Rows = append(out.Rows, row)
		out.Values = append(out.Values, []any{h.Key, h.ModRevision, h.CreateRevision, h.Version, fmt.Sprintf("%x", uint64(h.Lease))})
	}
	return out, true, nil
}
