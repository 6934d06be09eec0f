package views

import (
	"context"
	"fmt"
	"slices"
	"strconv"
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

// lease shows one lease and the keys that go away with it.
type lease struct {
	env    *Env
	ref    Ref
	id     int64
	keys   *etcd.Keys
	detail etcd.LeaseDetail
	at     time.Time // when it was read; zero: not yet
	err    error
	table  *table.Table
	filter Filter
	shown  []string
	tableY int
}

func newLease(env *Env, r Ref) (Pane, error) {
	e := env.Cluster.Etcd()
	if e == nil {
		return nil, fmt.Errorf("reading a lease: %s", noEtcd(env))
	}
	id, err := strconv.ParseUint(r.Object.Name, 16, 64)
	if err != nil {
		return nil, fmt.Errorf("reading lease %q: its ID is a number in hex, as :leases shows it", r.Object.Name)
	}
	p := &lease{env: env, ref: r, id: int64(id), keys: etcd.NewKeys(e), table: table.New(env.Theme)}
	p.table.SetColumns([]table.Column{{Title: "ATTACHED KEY", Flex: true, Min: 20}})
	return p, nil
}

type leaseRead struct {
	detail etcd.LeaseDetail
	err    error
}

// Open implements Pane.
func (p *lease) Open() {}

// Close implements Pane.
func (p *lease) Close() {}

// Sync implements Pane.
func (p *lease) Sync() bool { return false }

// Start implements Starter.
func (p *lease) Start() tea.Cmd { return p.Refresh() }

// Refresh implements Refresher.
func (p *lease) Refresh() tea.Cmd {
	return p.env.Read(p, "reading a lease", func(ctx context.Context) any {
		d, err := p.keys.Lease(ctx, p.id)
		return leaseRead{d, err}
	})
}

// Update implements Updater.
func (p *lease) Update(msg any) tea.Cmd {
	if m, ok := msg.(leaseRead); ok {
		if p.err = m.err; m.err == nil {
			p.detail, p.at = m.detail, p.env.Now()
			p.arrange()
		}
	}
	return nil
}

func (p *lease) arrange() {
	p.shown = p.detail.Attached
	if !p.filter.IsEmpty() {
		p.shown = slices.DeleteFunc(slices.Clone(p.shown), func(k string) bool { return !p.filter.Match(k, nil) })
	}
	p.table.SetSource(keyNames(p.shown))
}

// keyNames are keys in order.
type keyNames []string

func (s keyNames) Len() int                   { return len(s) }
func (s keyNames) ID(i int) string            { return s[i] }
func (s keyNames) Find(id string) (int, bool) { return slices.BinarySearch(s, id) }
func (s keyNames) Cell(i, _ int) table.Cell {
	return table.Cell{Text: safe.Bounded(s[i], maxCell), Style: theme.Strong}
}

// Draw implements Pane.
func (p *lease) Draw(a draw.Area, focused bool) {
	y := 0
	switch d := &p.detail; {
	case p.at.IsZero():
	case d.Expired:
		a.Text(0, 0, theme.Warn, safe.Lit("the lease has expired or was revoked: its keys are deleted"))
		y = 2
	default:
		a.Text(0, 0, theme.Default, safe.Sprintf("%s of %s left, if nobody renews it; when it ends, its %s are deleted", Age(d.Remaining(p.env.Now())), Age(d.Granted), plural(len(d.Attached), "key")))
		y = 2
	}
	switch {
	case p.err != nil:
		p.table.SetEmpty(safe.Sprintf("%s; Ctrl-R tries again", p.err.Error()))
	case p.at.IsZero():
		p.table.SetEmpty(safe.Lit("reading…"))
	case !p.filter.IsEmpty() && len(p.detail.Attached) > 0:
		p.table.SetEmpty(safe.Sprintf("no key matches /%s; Esc shows them", p.filter.String()))
	default:
		p.table.SetEmpty(safe.Lit("no key is attached to it"))
	}
	p.tableY = y
	p.table.Draw(a.Sub(draw.Rect{Y: y, W: a.W(), H: a.H() - y}), focused)
}

// Title implements Pane.
func (p *lease) Title() Title {
	t := Title{Name: safe.Lit("lease"), Scope: safe.String(p.ref.Object.Name), Filter: safe.String(p.filter.String())}
	if !p.at.IsZero() {
		if t.Count = Count(len(p.detail.Attached)); len(p.shown) != len(p.detail.Attached) {
			t.Count = fmt.Sprintf("%s of %s", Count(len(p.shown)), t.Count)
		}
	}
	return t
}

// State implements Pane.
func (p *lease) State() watchers.State {
	return scanState(etcd.Progress{Looked: int64(len(p.detail.Attached)), Began: p.at, Ends: p.at}, !p.at.IsZero(), p.err, "leases")
}

// ReadAt implements Aged.
func (p *lease) ReadAt() time.Time { return p.at }

// Ticks implements Ticker.
func (p *lease) Ticks() bool { return !p.at.IsZero() }

// Ref implements Pane.
func (p *lease) Ref() Ref { return p.ref }

// Scopes implements Pane.
func (p *lease) Scopes() []keymap.Scope { return []keymap.Scope{keymap.Table} }

// Filter implements Filterer.
func (p *lease) Filter() string { return p.filter.String() }

// SetFilter implements Filterer.
func (p *lease) SetFilter(expr string) error {
	f, err := keyFilter(expr)
	if err != nil {
		return err
	}
	p.filter = f
	p.arrange()
	return nil
}

// Do implements Pane.
func (p *lease) Do(in keymap.Intent) tea.Cmd {
	if key, ok := p.table.Cursor(); ok && in == keymap.Enter {
		return open(Ref{View: "value", Object: Object{Key: key}})
	}
	moveTable(p.table, in)
	return nil
}

// Click implements Clicker: a click selects, a click on the selected row opens it.
func (p *lease) Click(_, y int) tea.Cmd { return clickTable(p.table, y-p.tableY, p.Do) }

// Wheel implements Clicker.
func (p *lease) Wheel(lines int) tea.Cmd {
	p.table.Move(lines)
	return nil
}
