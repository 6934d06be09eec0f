package views

import (
	"fmt"
	"slices"
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

// findings is the pane of what is wrong with etcd: what the watcher has found, what the version advisor knows, each with its meaning, the
// next step and where that is written, and last what is not known.
type findings struct {
	narrowed
	env    *Env
	snap   *etcd.Snapshot
	advice advised
	all    []*findingRow
	rows   []*findingRow // filtered
	cols   []Column
	table  *table.Table
	zoomed bool // the selected finding has the room of the table
	scroll int
}

// findingRow is one finding.
type findingRow struct {
	etcd.Finding
	id      string
	members string // names; empty: it is about the cluster
	more    []string
}

// ID implements watchers.Row.
func (r *findingRow) ID() string { return r.id }

// GetNamespace implements watchers.Row.
func (r *findingRow) GetNamespace() string { return "" }

// GetName implements watchers.Row.
func (r *findingRow) GetName() string { return r.Kind }

// Kinds of rows that are no findings of the watcher.
const (
	versionKind = "version/" // and the ID of the advisor's rule
	unknownKind = "not-known"
)

// advised is what the version advisor said last, and of what.
type advised struct {
	etcd.Advisory
	of string
}

// sync asks the advisor anew when a member runs another version. It reports whether it did.
func (a *advised) sync(s *etcd.Snapshot) bool {
	in := etcd.AdvisorInputOf(s)
	of := fmt.Sprint(in.Members)
	if of == a.of {
		return false
	}
	a.Advisory, a.of = etcd.Advise(in), of
	return true
}

func newFindings(env *Env, r Ref) (Pane, error) {
	p := &findings{env: env, narrowed: narrowed{ref: r}, snap: &etcd.Snapshot{}, table: table.New(env.Theme)}
	p.cols = findingColumns(env.Theme)
	setColumns(p.table, p.cols)
	return p, p.SetFilter(r.Filter)
}

func findingColumns(th *theme.Theme) []Column {
	col := func(title, key string, priority int, f func(r *findingRow, now time.Time) (string, theme.Style)) Column {
		return Column{Title: title, Key: key, Priority: priority, Cell: func(r watchers.Row, now time.Time) (string, theme.Style) {
			return f(r.(*findingRow), now)
		}}
	}
	since := col("SINCE", "since", 2, func(r *findingRow, now time.Time) (string, theme.Style) {
		if r.Since.IsZero() {
			return "-", theme.Dim
		}
		return Age(max(0, now.Sub(r.Since))), theme.Dim
	})
	since.Align, since.Text = draw.Right, noText
	return []Column{
		col("SEVERITY", "severity", 0, func(r *findingRow, _ time.Time) (string, theme.Style) {
			style := findingLevel(r.Severity)
			return string(th.StateGlyph(style)) + " " + severityWord(r.Severity), style
		}),
		since,
		col("MEMBER", "member", 1, func(r *findingRow, _ time.Time) (string, theme.Style) {
			return firstOf(r.members, "cluster"), theme.Default
		}).most(20),
		col("FINDING", "text", 0, func(r *findingRow, _ time.Time) (string, theme.Style) {
			if r.Severity == etcd.Info {
				return r.Text, theme.Default
			}
			return r.Text, findingLevel(r.Severity)
		}).flex().least(20),
	}
}

func severityWord(s etcd.Severity) string {
	switch s {
	case etcd.Critical:
		return "critical"
	case etcd.Warning:
		return "warning"
	}
	return "info"
}

// Open implements Pane.
func (p *findings) Open() {}

// Close implements Pane.
func (p *findings) Close() {}

// Sync implements Pane.
func (p *findings) Sync() bool {
	if p.env.Etcd == nil {
		return false
	}
	p.env.Etcd.Look()
	s := p.env.Etcd.Snapshot()
	if s == p.snap {
		return false
	}
	p.take(s)
	return true
}

func (p *findings) take(s *etcd.Snapshot) {
	p.snap = s
	p.advice.sync(s)
	p.all = findingRows(s, &p.advice.Advisory)
	p.arrange()
}

// findingRows are the findings and the advice, the worst first, and what is not known at the end.
func findingRows(s *etcd.Snapshot, a *etcd.Advisory) []*findingRow {
	names := func(ids ...string) string {
		var out []string
		for _, id := range ids {
			if i, ok := s.Find(id); ok {
				id = s.Members[i].GetName()
			}
			if id != "" {
				out = append(out, id)
			}
		}
		return strings.Join(out, ", ")
	}
	var out []*findingRow
	if s.Gen == 0 || s.Kine {
		return nil
	}
	used := map[string]int{}
	add := func(f etcd.Finding, members string) *findingRow {
		id := f.Kind + "/" + f.Member
		if used[id]++; used[id] > 1 {
			id = fmt.Sprintf("%s#%d", id, used[id])
		}
		r := &findingRow{Finding: f, id: id, members: members}
		out = append(out, r)
		return r
	}
	for _, f := range s.Findings {
		add(f, names(f.Member))
	}
	for _, x := range a.Advice {
		who := names(x.Members...)
		if len(x.Members) == len(s.Members) && len(x.Members) > 1 {
			who = "all"
		}
		add(etcd.Finding{Kind: versionKind + x.ID, Severity: x.Severity, Text: x.Text, Meaning: x.Meaning, Next: x.Next, Source: x.Source}, who)
	}
	slices.SortStableFunc(out, func(a, b *findingRow) int { return int(b.Severity) - int(a.Severity) })
	if n := len(a.Unknown); n > 0 && s.Polled {
		r := add(etcd.Finding{Kind: unknownKind, Text: fmt.Sprintf("%d things that the version advisor does not know", n)}, "")
		r.more = a.Unknown
	}
	return out
}

func (p *findings) arrange() {
	p.rows = p.rows[:0:0]
	for _, r := range p.all {
		if p.filter.IsEmpty() || p.filter.Match(rowText(p.cols, r)+" "+r.Kind, watchers.Labels("")) {
			p.rows = append(p.rows, r)
		}
	}
	p.table.SetSource(rowSource[*findingRow]{p.env, p.rows, p.cols})
}

// Title implements Pane.
func (p *findings) Title() Title {
	t := Title{Name: safe.Lit("findings"), Scope: safe.Lit("etcd"), Filter: safe.String(p.filter.String())}
	if p.snap.Gen != 0 {
		t.Count = countOf(len(p.rows), len(p.all))
	}
	return t
}

// State implements Pane.
func (p *findings) State() watchers.State {
	if p.env.Etcd == nil {
		return watchers.State{Phase: watchers.Unsupported, Resource: "findings", Why: noEtcd(p.env)}
	}
	return p.snap.State
}

// Ticks implements Ticker.
func (p *findings) Ticks() bool { return len(p.all) > 0 }

// Scopes implements Pane.
func (p *findings) Scopes() []keymap.Scope { return []keymap.Scope{keymap.Findings, keymap.Table} }

// SetFilter implements Filterer.
func (p *findings) SetFilter(expr string) error {
	f, err := textFilter(expr, "findings", "text")
	return p.narrow(f, err, p.arrange)
}

// Do implements Pane.
func (p *findings) Do(in keymap.Intent) tea.Cmd {
	if p.zoomed && scrollBy(&p.scroll, in) {
		return nil
	}
	if moveTable(p.table, in) {
		p.scroll = 0
		return nil
	}
	switch in {
	case keymap.Enter:
		p.zoomed, p.scroll = !p.zoomed, 0
	case keymap.FindingsMember:
		r := p.selected()
		if r == nil || r.Member == "" {
			return toast("it is not about one member", true)
		}
		return open(Ref{View: "members", Object: Object{UID: r.Member}})
	}
	return nil
}

// selected is the finding under the cursor.
func (p *findings) selected() *findingRow {
	id, _ := p.table.Cursor()
	i, ok := rowSource[*findingRow]{rows: p.rows}.Find(id)
	if !ok {
		return nil
	}
	return p.rows[i]
}

// Click implements Clicker.
func (p *findings) Click(_, y int) tea.Cmd {
	if id, ok := p.table.RowAt(y); ok && !p.zoomed {
		p.table.MoveTo(id)
	}
	return nil
}

// Wheel implements Clicker.
func (p *findings) Wheel(lines int) tea.Cmd {
	if p.zoomed {
		p.scroll = max(0, p.scroll+lines)
		return nil
	}
	p.table.Move(lines)
	return nil
}

// Draw implements Pane: the findings, and below them the selected one in full.
func (p *findings) Draw(a draw.Area, focused bool) {
	p.table.SetEmpty(p.emptyText())
	r := p.selected()
	if r != nil && p.zoomed {
		p.drawDetail(a, r)
		return
	}
	const least = 5 // lines that the selected one is worth
	rows := min(max(len(p.rows), 1)+1, max(a.H()/2, a.H()-14, 4))
	if r == nil || a.H()-rows-1 < least {
		p.table.Draw(a, focused)
		return
	}
	p.table.Draw(a.Sub(draw.Rect{W: a.W(), H: rows}), focused)
	p.drawDetail(a.Sub(draw.Rect{Y: rows + 1, W: a.W(), H: a.H() - rows - 1}), r)
}

func (p *findings) drawDetail(a draw.Area, r *findingRow) {
	rule(a, p.env.Theme, 0, safe.String(r.Kind), safe.Text{})
	f := &facts{width: min(a.W(), 120), label: 9}
	f.text("what", findingLevel(r.Severity), r.Text)
	if r.Meaning != "" {
		f.text("means", theme.Default, r.Meaning)
	}
	if r.Next != "" {
		f.text("do", theme.Strong, r.Next)
	}
	for i, u := range r.more {
		f.text([]string{"not known", ""}[min(i, 1)], theme.Default, u)
	}
	if r.Source != "" {
		f.text("source", theme.Dim, r.Source)
	}
	body := a.Sub(draw.Rect{Y: 1, W: a.W(), H: a.H() - 1})
	if p.zoomed {
		p.scroll = f.clamp(p.scroll, body.H())
	}
	f.draw(body, p.env.Theme, p.scroll)
}

// emptyText is what stands in the place of rows.
func (p *findings) emptyText() safe.Text {
	switch st := p.State(); {
	case st.Phase == watchers.Unsupported:
		return safe.Sprintf("not available: %s", st.Why)
	case !p.filter.IsEmpty() && len(p.all) > 0:
		return safe.Sprintf("no finding matches /%s; Esc shows all %d", p.filter.String(), len(p.all))
	case p.snap.Polled:
		return safe.Lit("nothing is wrong that fathom can see")
	case st.Why != "":
		return safe.Sprintf("no member has answered yet: %s", st.Why)
	}
	return safe.Lit("asking the members…")
}

// findingKeys are the fields in JSON. Scripts rely on them and on their order.
var findingKeys = []string{"kind", "severity", "members", "text", "meaning", "next", "source", "since", "unknown"}

// Print implements Printer: once every member has answered or did not in time.
func (p *findings) Print(wide bool) (Printed, bool, error) {
	if st := p.State(); st.Phase == watchers.Unsupported {
		return Printed{}, false, fmt.Errorf("not available: %s", st.Why)
	}
	if !p.snap.Polled {
		return Printed{}, false, nil
	}
	out := Printed{Keys: findingKeys, Titles: []string{"SEVERITY", "SINCE", "MEMBER", "FINDING", "DO"}}
	if wide {
		out.Titles = append(out.Titles, "MEANS", "SOURCE")
	}
	now := p.env.Now()
	for _, r := range p.rows {
		age := "-"
		if !r.Since.IsZero() {
			age = Age(max(0, now.Sub(r.Since)))
		}
		cells := []string{severityWord(r.Severity), age, firstOf(r.members, "cluster"), r.Text, r.Next}
		if wide {
			cells = append(cells, firstOf(r.Meaning, strings.Join(r.more, "; ")), r.Source)
		}
		out.Rows = append(out.Rows, cells)
		out.Values = append(out.Values, []any{r.Kind, severityWord(r.Severity), r.members, r.Text, r.Meaning, r.Next, r.Source, timeValue(r.Since),
			append([]string{}, r.more...)})
	}
	return out, true, nil
}
