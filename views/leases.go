package views

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	tea "charm.land/bubbletea/v2"

	"fathom/actions"
	"fathom/internal/safe"
	"fathom/keymap"
	"fathom/theme"
	"fathom/ui/draw"
	"fathom/ui/table"
	"fathom/watchers"
	"fathom/watchers/etcd"
)

// leases lists etcd's leases. The list tells no more than their IDs; about those on the screen, and only those, etcd is asked for more.
type leases struct {
	env    *Env
	ref    Ref
	source *etcd.Leases // nil while the pane is not visible
	snap   *etcd.LeasesSnapshot
	table  *table.Table
	tableY int
	ids    []int64 // that Draw has shown last
	looked []int64 // that were asked about last
}

func newLeases(env *Env, r Ref) (Pane, error) {
	if r.Filter != "" {
		return nil, errors.New("leases cannot be filtered: more than their IDs is known only of those on the screen")
	}
	p := &leases{env: env, ref: r, snap: &etcd.LeasesSnapshot{}, table: table.New(env.Theme)}
	p.table.SetColumns([]table.Column{
		{Title: "LEASE"}, {Title: "REMAINING", Align: draw.Right, Priority: 1}, {Title: "GRANTED", Align: draw.Right, Priority: 2},
		{Title: "KEYS", Align: draw.Right, Priority: 1}, {Title: "FIRST KEY", Flex: true, Min: 20, Priority: 3},
	})
	return p, nil
}

// Open implements Pane.
func (p *leases) Open() {
	if e := p.env.Cluster.Etcd(); e != nil && p.source == nil {
		p.source, p.looked = etcd.NewLeases(p.env.Group, e), nil
	}
}

// Close implements Pane.
func (p *leases) Close() {
	if p.source != nil {
		p.source.Cancel()
		p.source = nil
	}
}

// Refresh implements Refresher.
func (p *leases) Refresh() tea.Cmd {
	if p.source != nil {
		p.source.Refresh()
	}
	return nil
}

// Acted implements Acted: after a revocation, or a write of a key, the list is read again, from a member that has it. What was known
// would be shown as alive until its answer has become old.
func (p *leases) Acted(outs []actions.Outcome) tea.Cmd {
	if p.source == nil || !touched(outs, "") {
		return nil
	}
	source := p.source
	return p.env.Read(p, "reading what was written", func(ctx context.Context) any {
		source.CatchUp(ctx)
		return caughtUp{}
	})
}

// Update implements Updater.
func (p *leases) Update(msg any) tea.Cmd {
	if _, ok := msg.(caughtUp); ok {
		return p.Refresh()
	}
	return nil
}

// Sync implements Pane. It tells the source which rows are on the screen.
func (p *leases) Sync() bool {
	if p.source == nil {
		return false
	}
	if !sameIDs(p.ids, p.looked) {
		p.looked = append(p.looked[:0:0], p.ids...)
		p.source.Look(p.looked)
	}
	s := p.source.Snapshot()
	if s == p.snap || s.At.IsZero() && s.State.Why == "" {
		return false
	}
	p.take(s)
	return true
}

func (p *leases) take(s *etcd.LeasesSnapshot) {
	p.snap = s
	p.table.SetSource(leaseSource{p, s})
}

func sameIDs(a, b []int64) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// leaseSource is what the table shows. It notes the rows that are formatted: these are the visible ones.
type leaseSource struct {
	p    *leases
	snap *etcd.LeasesSnapshot
}

func (s leaseSource) Len() int        { return len(s.snap.IDs) }
func (s leaseSource) ID(i int) string { return leaseID(s.snap.IDs[i]) }
func (s leaseSource) Find(id string) (int, bool) {
	n, err := strconv.ParseUint(id, 16, 64)
	if err != nil {
		return 0, false
	}
	return s.snap.Find(int64(n))
}

func leaseID(id int64) string { return fmt.Sprintf("%016x", uint64(id)) }

func (s leaseSource) Cell(i, col int) table.Cell {
	r := s.snap.Row(i)
	if col == 0 {
		if len(s.p.ids) < etcd.MaxLeaseAsks {
			s.p.ids = append(s.p.ids, r.LeaseID)
		}
		return table.Cell{Text: safe.String(r.ID()), Style: theme.Strong}
	}
	switch {
	case r.Asked.IsZero():
		return table.Cell{Text: safe.Lit("…"), Style: theme.Dim}
	case r.Why != "" && col == 4:
		return table.Cell{Text: safe.Bounded(r.Why, maxCell), Style: theme.Bad}
	case r.Why != "":
		return table.Cell{Text: safe.Lit("?"), Style: theme.Dim}
	case r.Expired && col == 4:
		return table.Cell{Text: safe.Lit("expired or revoked since the list was read"), Style: theme.Dim}
	case r.Expired:
		return table.Cell{Text: safe.Lit("-"), Style: theme.Dim}
	}
	switch col {
	case 1:
		left, style := r.Remaining(s.p.env.Now()), theme.Default
		if left < r.Granted/5 {
			style = theme.Warn
		}
		return table.Cell{Text: safe.String(Age(left)), Style: style}
	case 2:
		return table.Cell{Text: safe.String(Age(r.Granted))}
	case 3:
		return table.Cell{Text: safe.String(Count(r.Keys))}
	}
	if r.Keys == 0 {
		return table.Cell{Text: safe.Lit("no key is attached"), Style: theme.Dim}
	}
	return table.Cell{Text: safe.Bounded(r.First, maxCell)}
}

// Draw implements Pane.
func (p *leases) Draw(a draw.Area, focused bool) {
	p.ids = p.ids[:0]
	y := 0
	switch st := p.State(); {
	case st.Phase == watchers.Unsupported, st.Phase == watchers.Denied:
		p.table.SetEmpty(safe.String(firstOf(st.Why, "not available")))
	case st.Why != "":
		p.table.SetEmpty(safe.Sprintf("%s; Ctrl-R tries again", st.Why))
	case p.snap.At.IsZero():
		p.table.SetEmpty(safe.Lit("listing the leases…"))
	default:
		p.table.SetEmpty(safe.Lit("there are no leases"))
	}
	if n := len(p.snap.IDs); n > 0 && a.H() > 6 {
		asked := p.snap.Asked()
		text := safe.Sprintf("%s; etcd was asked about %d of them: those that were on the screen", plural(n, "lease"), asked)
		if asked >= n {
			text = safe.Sprintf("%s; etcd was asked about all of them", plural(n, "lease"))
		}
		a.Text(0, 0, theme.Dim, text)
		y = 1
	}
	p.tableY = y
	p.table.Draw(a.Sub(draw.Rect{Y: y, W: a.W(), H: a.H() - y}), focused)
}

// Title implements Pane.
func (p *leases) Title() Title {
	t := Title{Name: safe.Lit("leases"), Scope: safe.Lit("etcd"), Marks: p.table.MarkCount()}
	if !p.snap.At.IsZero() {
		t.Count = Count(len(p.snap.IDs))
	}
	return t
}

// State implements Pane.
func (p *leases) State() watchers.State {
	if p.env.Cluster.Etcd() == nil {
		return watchers.State{Phase: watchers.Unsupported, Resource: "leases", Why: noEtcd(p.env)}
	}
	return p.snap.State
}

// ReadAt implements Aged.
func (p *leases) ReadAt() time.Time { return p.snap.At }

// Ticks implements Ticker: what remains of a lease gets less.
func (p *leases) Ticks() bool { return len(p.snap.IDs) > 0 }

// Ref implements Pane.
func (p *leases) Ref() Ref { return p.ref }

// Scopes implements Pane.
func (p *leases) Scopes() []keymap.Scope { return []keymap.Scope{keymap.Leases, keymap.Table} }

// Do implements Pane.
func (p *leases) Do(in keymap.Intent) tea.Cmd {
	switch in {
	case keymap.Enter:
		if id, ok := p.table.Cursor(); ok {
			return open(Ref{View: "lease-keys", Object: Object{Kind: "Lease", Name: id}})
		}
		return nil
	}
	if moveTable(p.table, in) {
		return nil
	}
	return act(p, in)
}

// Targets implements Actor.
func (p *leases) Targets(a actions.Action) ([]actions.Target, string) {
	if !a.Applies("leases") {
		return nil, fmt.Sprintf("%s does not apply to leases of etcd", a.Title)
	}
	ids := p.table.Marked()
	if _, gone := p.table.Gone(); gone && len(ids) == 0 {
		return nil, "the lease you were on is gone; move to the one you mean first"
	}
	if len(ids) == 0 {
		if id, ok := p.table.Cursor(); ok {
			ids = []string{id}
		}
	}
	var ts []actions.Target
	for _, id := range ids {
		ts = append(ts, actions.Target{Kind: "Lease", Resource: "leases", Name: id, UID: id})
	}
	if len(ts) == 0 {
		return nil, "no lease is selected"
	}
	return ts, ""
}

// Unmark implements Actor.
func (p *leases) Unmark() { p.table.ClearMarks() }

// Click implements Clicker: a click selects, a click on the selected row opens it.
func (p *leases) Click(_, y int) tea.Cmd { return clickTable(p.table, y-p.tableY, p.Do) }

// Wheel implements Clicker.
func (p *leases) Wheel(lines int) tea.Cmd {
	p.table.Move(lines)
	return nil
}

// Print implements Printer: the first leases are asked about, as on a screen.
func (p *leases) Print(bool) (Printed, bool, error) {
	switch st := p.State(); {
	case st.Phase == watchers.Unsupported, st.Phase == watchers.Denied:
		return Printed{}, false, fmt.Errorf("not available: %s", st.Why)
	case p.snap.At.IsZero():
		return Printed{}, false, nil
	}
	n := min(len(p.snap.IDs), etcd.MaxLeaseAsks)
	if p.ids = append(p.ids[:0], p.snap.IDs[:n]...); p.snap.Asked() < n {
		return Printed{}, false, nil // Sync asks
	}
	out := Printed{Titles: []string{"LEASE", "REMAINING", "GRANTED", "KEYS", "FIRST KEY"}, Keys: []string{"id", "ttlSeconds", "grantedTTLSeconds", "keys", "firstKey", "error"}}
	src := leaseSource{p, p.snap}
	for i := range p.snap.IDs {
		r := p.snap.Row(i)
		row := make([]string, len(out.Titles))
		for c := range row {
			row[c] = src.Cell(i, c).Text.String()
		}
		out.Rows = append(out.Rows, row)
		values := []any{r.ID(), nil, nil, nil, nil, r.Why}
		if !r.Asked.IsZero() && r.Why == "" {
			values = []any{r.ID(), int64(r.TTL / time.Second), int64(r.Granted / time.Second), r.Keys, r.First, ""}
		}
		out.Values = append(out.Values, values)
	}
	return out, true, nil
}
