package views

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	tea "charm.land/bubbletea/v2"

	"fathom/actions"
	"fathom/internal/safe"
	"fathom/keymap"
	"fathom/ui/table"
	"fathom/watchers"
	"fathom/watchers/etcd"
)

// members is the pane of etcd's members: whether there is a quorum, who leads, and how far behind the others are.
type members struct {
	narrowed
	env    *Env
	snap   *etcd.Snapshot
	rows   []*etcd.MemberRow // filtered and sorted
	all    []Column
	cols   []Column // as shown now
	table  *table.Table
	wide   bool
	sort   string // key of the column
	desc   bool
	zoomed bool // the part below the rows has their room
	// timeline: the terms and leaders are shown in the place of the selected member.
	timeline bool
	scroll   int // lines of the zoomed part above the first that is shown
	advisory advised
	polled   time.Time // when Print first saw that every member was polled
	tableY   int       // where the table was drawn last
}

func newMembers(env *Env, r Ref) (Pane, error) {
	p := &members{env: env, narrowed: narrowed{ref: r}, snap: &etcd.Snapshot{}, table: table.New(env.Theme), sort: "name"}
	p.all = memberColumns(env.Theme.Glyphs())
	p.layoutColumns()
	if err := p.SetFilter(r.Filter); err != nil {
		return nil, err
	}
	if r.Object.UID != "" {
		p.table.MoveTo(r.Object.UID)
	}
	return p, nil
}

func (p *members) layoutColumns() {
	p.cols = slices.DeleteFunc(slices.Clone(p.all), func(c Column) bool { return c.Wide && !p.wide })
	setColumns(p.table, p.cols)
	p.table.SetSort(slices.IndexFunc(p.cols, func(c Column) bool { return c.Key == p.sort }), p.desc)
}

// Open implements Pane. The watcher of the members runs as long as the program does.
func (p *members) Open() {}

// Close implements Pane.
func (p *members) Close() {}

// Sync implements Pane.
func (p *members) Sync() bool {
	if p.env.Etcd == nil {
		return false
	}
	p.env.Etcd.Look()
	s := p.env.Etcd.Snapshot()
	if s == p.snap {
		return false
	}
	p.snap = s
	p.advisory.sync(s)
	p.arrange()
	return true
}

// arrange filters and sorts. There are a handful of members: this is nothing that has to be done elsewhere.
func (p *members) arrange() {
	p.rows = p.rows[:0:0]
	for _, m := range p.snap.Members {
		if p.filter.IsEmpty() || p.filter.Match(rowText(p.all, m), watchers.Labels("")) {
			p.rows = append(p.rows, m)
		}
	}
	sign := 1
	if p.desc {
		sign = -1
	}
	if i := slices.IndexFunc(p.all, func(c Column) bool { return c.Key == p.sort }); i >= 0 {
		col := &p.all[i]
		slices.SortStableFunc(p.rows, func(a, b *etcd.MemberRow) int {
			return cmp.Or(sign*col.compare(a, b), cmp.Compare(a.GetName(), b.GetName()), cmp.Compare(a.ID(), b.ID()))
		})
	}
	p.table.SetSource(rowSource[*etcd.MemberRow]{p.env, p.rows, p.cols})
}

// Title implements Pane.
func (p *members) Title() Title {
	t := Title{Name: safe.Lit("members"), Scope: safe.Lit("etcd"), Filter: safe.String(p.filter.String()), Marks: len(p.table.Marked())}
	if p.snap.Gen != 0 {
		t.Count = countOf(len(p.rows), len(p.snap.Members))
	}
	return t
}

// State implements Pane.
func (p *members) State() watchers.State {
	if p.env.Etcd == nil {
		return watchers.State{Phase: watchers.Unsupported, Resource: "members", Why: noEtcd(p.env)}
	}
	return p.snap.State
}

// noEtcd says why there is no etcd to look at and how to give it.
func noEtcd(env *Env) string {
	for _, m := range env.Cluster.Missing() {
		if m.What == "etcd" {
			return m.Why + "; " + m.Fix
		}
	}
	return "no etcd was found; give --etcd-endpoints, --etcd-cacert, --etcd-cert and --etcd-key"
}

// Ticks implements Ticker: how long the leader leads and when a member was last seen are ages.
func (p *members) Ticks() bool { return len(p.snap.Members) > 0 }

// Scopes implements Pane.
func (p *members) Scopes() []keymap.Scope { return []keymap.Scope{keymap.Members, keymap.Table} }

// SetFilter implements Filterer.
func (p *members) SetFilter(expr string) error {
	f, err := textFilter(expr, "members of etcd", "name")
	return p.narrow(f, err, p.arrange)
}

// Do implements Pane.
func (p *members) Do(in keymap.Intent) tea.Cmd {
	if p.zoomed && p.scrolled(in) {
		return nil
	}
	if moveTable(p.table, in) {
		p.scroll = 0
		return nil
	}
	switch in {
	case keymap.Enter:
		p.zoomed, p.scroll = !p.zoomed, 0
		return nil
	case keymap.MembersTimeline:
		p.timeline, p.scroll = !p.timeline, 0
		return nil
	case keymap.MembersFindings:
		return open(Ref{View: "findings"})
	case keymap.MembersCheck:
		return open(Ref{View: "consistency"})
	case keymap.Wide:
		p.wide = !p.wide
		p.resorted()
		return nil
	case keymap.SortNext, keymap.SortPrev, keymap.SortReverse, keymap.SortName, keymap.SortStatus:
		p.resort(in)
		return nil
	}
	return act(p, in)
}

// scrolled moves the text of the zoomed part; up and down go from member to member, but for the timeline, which is of all of them.
func (p *members) scrolled(in keymap.Intent) bool {
	switch {
	case p.timeline && in == keymap.Down:
		p.scroll++
	case p.timeline && in == keymap.Up:
		p.scroll = max(0, p.scroll-1)
	default:
		return scrollBy(&p.scroll, in)
	}
	return true
}

// resort changes the column the rows are sorted by.
func (p *members) resort(in keymap.Intent) {
	at := slices.IndexFunc(p.cols, func(c Column) bool { return c.Key == p.sort })
	pick := func(key string) {
		p.sort, p.desc = key, p.sort == key && !p.desc
	}
	switch n := len(p.cols); in {
	case keymap.SortNext:
		p.sort, p.desc = p.cols[(at+1)%n].Key, false
	case keymap.SortPrev:
		p.sort, p.desc = p.cols[(max(at, 0)+n-1)%n].Key, false
	case keymap.SortReverse:
		p.desc = !p.desc
	case keymap.SortName:
		pick("name")
	case keymap.SortStatus:
		pick("status")
	}
	p.resorted()
}

func (p *members) resorted() {
	p.layoutColumns()
	p.arrange()
}

// Targets implements Actor.
func (p *members) Targets(a actions.Action) ([]actions.Target, string) {
	if a.Applies("etcd") {
		return clusterTarget(p.env.Cluster.Identity().Cluster, p.snap)
	}
	if !a.Applies("members") {
		return nil, fmt.Sprintf("%s does not apply to members of etcd", a.Title)
	}
	ids := p.table.Marked()
	if _, gone := p.table.Gone(); gone && len(ids) == 0 {
		return nil, "the member you were on is gone; move to the one you mean first"
	}
	if len(ids) == 0 {
		if id, ok := p.table.Cursor(); ok {
			ids = []string{id}
		}
	}
	if why, ok := single[a.ID]; ok && len(ids) > 1 {
		return nil, why + ": mark one, or none and move to it"
	}
	var ts []actions.Target
	for _, id := range ids {
		i := slices.IndexFunc(p.rows, func(m *etcd.MemberRow) bool { return m.ID() == id })
		if i < 0 {
			continue
		}
		m := p.rows[i]
		if m.MemberID == 0 {
			return nil, fmt.Sprintf("it is not known which member %s is: it has never answered", m.Endpoint)
		}
		ts = append(ts, memberTarget(m))
	}
	if len(ts) == 0 {
		return nil, "no member is selected"
	}
	return ts, ""
}

// Unmark implements Actor.
func (p *members) Unmark() { p.table.ClearMarks() }

// Click implements Clicker.
func (p *members) Click(_, y int) tea.Cmd {
	if p.zoomed {
		return nil
	}
	if id, ok := p.table.RowAt(y - p.tableY); ok {
		p.table.MoveTo(id)
	}
	return nil
}

// Wheel implements Clicker.
func (p *members) Wheel(lines int) tea.Cmd {
	if p.zoomed {
		p.scroll = max(0, p.scroll+lines)
		return nil
	}
	p.table.Move(lines)
	return nil
}

// emptyText is what stands in the place of rows.
func (p *members) emptyText() safe.Text {
	switch st := p.State(); {
	case st.Phase == watchers.Unsupported:
		return safe.Sprintf("not available: %s", st.Why)
	case !p.filter.IsEmpty() && len(p.snap.Members) > 0:
		return safe.Sprintf("no member matches /%s; Esc shows all %d", p.filter.String(), len(p.snap.Members))
	case st.Why != "":
		return safe.Sprintf("no member has answered yet: %s", st.Why)
	}
	return safe.Lit("asking the members…")
}

// since is an age, and "at least" it when the beginning was not seen.
func since(now, t time.Time, seen bool) string {
	age := Age(now.Sub(t))
	if !seen {
		return "at least " + age
	}
	return age
}
