package views

import (
	"fmt"

	tea "charm.land/bubbletea/v2"

	"fathom/internal/safe"
	"fathom/keymap"
	"fathom/ui/draw"
	"fathom/watchers"
)

// overview is the first thing people see: whether the cluster is all right, and if not where to look.
type overview struct {
	env  *Env
	ref  Ref
	data overviewData

	pic   *watchers.Derived[watchers.Overview]
	plane *watchers.ControlPlane

	lay      overviewLayout
	w, h     int // of the last frame
	cursor   string
	col, row int             // where the cursor was, for when its line is gone
	open     map[string]bool // sections whose whole list is shown
}

func newOverview(env *Env, r Ref) (Pane, error) {
	r.Filter = "" // there are no rows to filter
	p := &overview{env: env, ref: r, open: map[string]bool{}, w: 80, h: 24}
	p.data.namespace = r.Namespace
	p.data.api = env.Hub != nil
	if env.Etcd != nil {
		p.data.etcd = env.Etcd.Snapshot()
	}
	return p, nil
}

// Open implements Pane.
func (p *overview) Open() {
	if p.env.Hub == nil || p.pic != nil {
		return
	}
	p.pic = watchers.OpenOverview(p.env.Hub, p.ref.Namespace)
	p.plane = watchers.OpenControlPlane(p.env.Hub)
}

// Close implements Pane. What was seen stays until the pane is opened again.
func (p *overview) Close() {
	if p.pic != nil {
		p.pic.Close()
		p.plane.Close()
		p.pic, p.plane = nil, nil
	}
}

// Sync implements Pane.
func (p *overview) Sync() bool {
	changed := false
	if p.pic != nil {
		if s := p.pic.Snapshot(); s != p.data.pic && (s.Gen > 0 || p.data.pic == nil) {
			p.data.pic, changed = s, true
		}
		if s := p.plane.Snapshot(); s != p.data.plane && (s.Gen > 0 || p.data.plane == nil) {
			p.data.plane, changed = s, true
		}
		p.data.health = p.env.Hub.Health()
	}
	if p.env.Etcd != nil {
		p.env.Etcd.Look()
		if s := p.env.Etcd.Snapshot(); s != p.data.etcd {
			p.data.etcd, changed = s, true
		}
	}
	if p.env.Backups != nil {
		if s := p.env.Backups.Snapshot(); s != p.data.backups {
			p.data.backups, changed = s, true
		}
	}
	if changed {
		p.layout()
	}
	return changed
}

// layout puts the newest data in its place and keeps the cursor on its line.
func (p *overview) layout() {
	secs := p.data.sections(p.env.Theme, p.env.Now())
	tops := make([]int, 0, 2)
	for i := range p.lay.cols {
		tops = append(tops, p.lay.cols[i].top)
	}
	p.lay = arrange(secs, p.data.verdict(p.env.Theme, secs), p.w, p.h, p.open)
	for i := range p.lay.cols {
		c := &p.lay.cols[i]
		if i < len(tops) {
			c.top = max(0, min(tops[i], len(c.rows)-p.lay.h))
		}
	}
	col, row, ok := p.lay.find(p.cursor)
	if !ok {
		col = min(p.col, len(p.lay.cols)-1)
		row, ok = p.lay.near(col, p.row)
	}
	if ok {
		p.put(col, row)
	}
}

// put moves the cursor to a row of a column.
func (p *overview) put(col, row int) {
	c := &p.lay.cols[col]
	p.cursor, p.col, p.row = c.rows[row].id(), col, row
	c.show(row, p.lay.h)
}

// Title implements Pane.
func (p *overview) Title() Title {
	t := Title{Name: safe.Lit("overview")}
	switch {
	case !p.data.api:
	case p.ref.Namespace == AllNamespaces:
		t.Scope = safe.Lit("all namespaces")
	default:
		t.Scope = safe.String(p.ref.Namespace)
	}
	return t
}

// State implements Pane: the worst of the parts.
func (p *overview) State() watchers.State { return p.data.state() }

// Ticks implements Ticker: renewals and warnings have ages.
func (p *overview) Ticks() bool { return true }

// Draw implements Pane.
func (p *overview) Draw(a draw.Area, focused bool) {
	if a.W() <= 0 || a.H() <= 0 {
		return
	}
	p.w, p.h = a.W(), a.H()
	p.layout()
	overviewPainter{th: p.env.Theme, focused: focused, cursor: p.cursor}.draw(a, &p.lay)
}

// Scopes implements Pane.
func (p *overview) Scopes() []keymap.Scope { return []keymap.Scope{keymap.Overview, keymap.Table} }

// Ref implements Pane.
func (p *overview) Ref() Ref { return p.ref }

// Do implements Pane.
func (p *overview) Do(in keymap.Intent) tea.Cmd {
	if len(p.lay.cols) == 0 {
		p.layout()
	}
	switch in {
	case keymap.Down:
		p.move(1)
	case keymap.Up:
		p.move(-1)
	case keymap.PageDown:
		p.move(max(1, p.lay.h-1))
	case keymap.PageUp:
		p.move(-max(1, p.lay.h-1))
	case keymap.Top:
		p.edge(false)
	case keymap.Bottom:
		p.edge(true)
	case keymap.ScrollLeft:
		p.across(0)
	case keymap.ScrollRight:
		p.across(len(p.lay.cols) - 1)
	case keymap.Enter:
		return p.enter()
	}
	return nil
}

// move goes n lines further, over the end of a column into the next one.
func (p *overview) move(n int) {
	step := 1
	if n < 0 {
		n, step = -n, -1
	}
	col, row := p.col, p.row
	for n > 0 {
		row += step
		switch {
		case row >= 0 && row < len(p.lay.cols[col].rows):
		case step > 0 && col+1 < len(p.lay.cols):
			col, row = col+1, 0
		case step < 0 && col > 0:
			col--
			row = len(p.lay.cols[col].rows) - 1
		default:
			return
		}
		n--
		if p.lay.cols[col].rows[row].id() != "" {
			p.put(col, row)
		} else {
			n = max(n, 1) // headings do not count
		}
	}
}

func (p *overview) edge(last bool) {
	col, row := 0, 0
	if last {
		col = len(p.lay.cols) - 1
		row = len(p.lay.cols[col].rows) - 1
	}
	if r, ok := p.lay.near(col, row); ok {
		p.put(col, r)
	}
}

func (p *overview) across(col int) {
	if col == p.col {
		return
	}
	row := p.row - p.lay.cols[p.col].top + p.lay.cols[col].top
	if r, ok := p.lay.near(col, row); ok {
		p.put(col, r)
	}
}

func (p *overview) enter() tea.Cmd {
	col, row, ok := p.lay.find(p.cursor)
	if !ok {
		return nil
	}
	r := p.lay.cols[col].rows[row]
	if r.more > 0 {
		p.open[r.sec.key] = true
		p.layout()
		return nil
	}
	if r.line.ref == nil {
		return toast(fmt.Sprintf("%s: %s; %s", r.line.name, r.line.status, r.line.detail), false)
	}
	return open(*r.line.ref)
}

// Click implements Clicker: a click selects, a click on the selected line opens it.
func (p *overview) Click(x, y int) tea.Cmd {
	y -= p.h - p.lay.h
	for i := range p.lay.cols {
		c := &p.lay.cols[i]
		if y < 0 || x < c.x || x >= c.x+c.w || y+c.top >= len(c.rows) || c.rows[y+c.top].id() == "" {
			continue
		}
		if c.rows[y+c.top].id() == p.cursor {
			return p.enter()
		}
		p.put(i, y+c.top)
	}
	return nil
}

// Wheel implements Clicker.
func (p *overview) Wheel(lines int) tea.Cmd {
	p.move(lines)
	return nil
}
