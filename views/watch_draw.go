package views

import (
	"fmt"
	"strings"

	"fathom/internal/safe"
	"fathom/theme"
	"fathom/ui/chart"
	"fathom/ui/draw"
	"fathom/ui/table"
	"fathom/watchers"
	"fathom/watchers/etcd"
)

// Columns of a watch.
const (
	evTime = iota
	evRevision
	evChange
	evKey
	evSize
	evLines
	evWho
)

func watchColumns(prefix bool) []table.Column {
	cols := []table.Column{
		evTime:     {Title: "TIME", Width: 8},
		evRevision: {Title: "REVISION", Align: draw.Right, Priority: 4},
		evChange:   {Title: "CHANGE", Width: 7, Priority: 1},
		evKey:      {Title: "KEY", Flex: true, Min: 20, Priority: 1},
		evSize:     {Title: "SIZE", Align: draw.Right, Priority: 5},
		evLines:    {Title: "LINES", Align: draw.Right, Priority: 3},
		evWho:      {Title: "MANAGER", Max: 32, Priority: 2},
	}
	if !prefix { // it is in the title; the column tells of gaps
		cols[evKey] = table.Column{Width: 1, Priority: 9}
		cols[evWho].Flex, cols[evWho].Max = true, 0
	}
	return cols
}

// eventSource is what the table shows. Cells that are drawn and not known yet are collected in missing.
type eventSource struct {
	p    *keyWatch
	rows []etcd.KeyEvent
	ids  map[string]int
}

func newEventSource(p *keyWatch) *eventSource {
	s := &eventSource{p: p, rows: p.rows, ids: make(map[string]int, len(p.rows))}
	for i := range p.rows {
		s.ids[p.rows[i].ID()] = i
	}
	return s
}

func (s *eventSource) Len() int                   { return len(s.rows) }
func (s *eventSource) ID(i int) string            { return s.rows[i].ID() }
func (s *eventSource) Find(id string) (int, bool) { i, ok := s.ids[id]; return i, ok }

func (s *eventSource) Cell(i, col int) table.Cell {
	e := &s.rows[i]
	cell := func(st theme.Style, format string, args ...any) table.Cell {
		return table.Cell{Text: safe.Bounded(fmt.Sprintf(format, args...), maxCell), Style: st}
	}
	switch {
	case col == evTime:
		return cell(theme.Dim, "%s", e.At.Format("15:04:05"))
	case col == evChange:
		return cell(changeStyle(e), "%s", kindOfChange(e))
	case e.Gap != "" && (col == evKey && s.p.prefix || col == evWho && !s.p.prefix):
		return cell(theme.Warn, "%s", e.Gap)
	case e.Gap != "":
		return table.Cell{}
	}
	switch col {
	case evRevision:
		return cell(theme.Default, "%d", e.Revision)
	case evKey:
		if s.p.prefix {
			return cell(theme.Key, "%s", firstOf(strings.TrimPrefix(e.Key, s.p.ref.Object.Key), e.Key))
		}
	case evSize:
		return cell(theme.Default, "%s", sizeChange(e))
	case evLines:
		if n := s.p.notes.get(e.ID()); n != nil && n.added >= 0 {
			return cell(theme.Default, "+%d -%d", n.added, n.removed)
		}
	case evWho:
		if n := s.p.notes.get(e.ID()); n != nil {
			if n.by.Manager == "" {
				return cell(theme.Dim, "-")
			}
			return cell(theme.Default, "%s", writerOf(n.by))
		}
	}
	return table.Cell{}
}

func changeStyle(e *etcd.KeyEvent) theme.Style {
	switch {
	case e.Gap != "":
		return theme.Warn
	case e.Deleted:
		return theme.Gone
	case e.Created:
		return theme.Good
	}
	return theme.Default
}

// sizeChange is the size of a value and by how much it grew.
func sizeChange(e *etcd.KeyEvent) string {
	switch d := e.Size - e.Before; {
	case e.Deleted:
		return "-"
	case e.Before < 0 || d == 0:
		return Bytes(int64(e.Size))
	default:
		return fmt.Sprintf("%s %+d", Bytes(int64(e.Size)), d)
	}
}

// Draw implements Pane: the rate, the changes, and how the selected one changed its key.
func (p *keyWatch) Draw(a draw.Area, focused bool) {
	p.table.SetEmpty(p.emptyText())
	p.drawSummary(a)
	p.tableY = 1
	body := a.Sub(draw.Rect{Y: 1, W: a.W(), H: a.H() - 1})
	t, v, ok := splitForPreview(body, max(len(p.rows)+1, body.H()/2), 58)
	ok = ok && len(p.rows) > 0
	if !ok {
		t = draw.Rect{W: body.W(), H: body.H()}
	}
	p.table.Draw(body.Sub(t), focused)
	e, selected := p.selected()
	p.ask(t.H, e.ID(), ok && selected)
	if !ok || !selected {
		return
	}
	title := safe.Sprintf("revision %d", e.Revision)
	if v.Y > 0 {
		title = safe.Bounded(fmt.Sprintf("%s at %d", e.Key, e.Revision), max(v.W-4, 1))
	}
	drawSplit(body, p.env.Theme, t, v, title)
	p.drawChange(body.Sub(v), &e)
}

// ask tells which rows are on screen, so that they are decoded.
func (p *keyWatch) ask(lines int, selected string, compare bool) {
	var missing []etcd.KeyEvent
	for y := range lines {
		id, ok := p.table.RowAt(y)
		if !ok {
			continue
		}
		n := p.notes.get(id)
		if n != nil && (id != selected || !compare || n.lines != nil) {
			continue
		}
		if i, ok := p.src.Find(id); ok && p.rows[i].Gap == "" {
			missing = append(missing, p.rows[i])
		}
	}
	if !compare {
		selected = ""
	}
	if len(missing) > 0 {
		p.notes.want(missing, selected)
	}
}

// drawChange draws how a change changed its key.
func (p *keyWatch) drawChange(a draw.Area, e *etcd.KeyEvent) {
	if e.Gap != "" {
		p.shown = ""
		p.view.SetLines([][]draw.Span{{{Text: safe.String(e.Gap), Style: theme.Warn}}})
		p.view.Draw(a, false)
		return
	}
	n := p.notes.get(e.ID())
	if n == nil || n.lines == nil {
		a.Text(0, 0, theme.Dim, safe.Lit("comparing…"))
		return
	}
	if p.shown != e.ID() {
		p.shown = e.ID()
		lines := make([][]draw.Span, len(n.lines))
		for i, l := range n.lines {
			lines[i] = diffSpans(l)
		}
		p.view.SetLines(lines)
		p.view.Top()
	}
	p.view.Draw(a, false)
}

// rateSeconds is over how long the rate is taken.
const rateSeconds = 10

// drawSummary draws how many changes there are, and at what rate.
func (p *keyWatch) drawSummary(a draw.Area) {
	now, s, g := p.env.Now(), p.last, p.env.Theme.Glyphs()
	sep := draw.Span{Text: safe.String(" " + string(g.Separator) + " "), Style: theme.Dim}
	var spans []draw.Span
	say := func(style theme.Style, format string, args ...any) {
		if len(spans) > 0 {
			spans = append(spans, sep)
		}
		spans = append(spans, draw.Span{Text: safe.String(fmt.Sprintf(format, args...)), Style: style})
	}
	if p.paused != nil {
		say(theme.Warn, "PAUSED, %d new; space goes on", s.Total-p.paused.Total)
	}
	rate := s.Rate // its methods want an address
	say(theme.Strong, "%.1f/s", rate.PerSecond(now, rateSeconds))
	if w := 30; a.W() >= 70 {
		spans = append(spans, draw.Span{Text: safe.Lit(" ")}, draw.Span{Text: chart.Spark(p.env.Theme, rate.Seconds(now, w), w), Style: theme.BarFill})
	}
	since := p.started.Format("15:04:05")
	say(theme.Default, "%s since %s", plural(int(s.Total), "change"), since)
	if s.Gaps > 0 {
		say(theme.Warn, "%s", plural(int(s.Gaps), "gap"))
	}
	if s.Dropped > 0 {
		say(theme.Dim, "%d older dropped", s.Dropped)
	}
	if s.Member != "" {
		say(theme.Dim, "from %s", s.Member)
	}
	a.Spans(1, 0, a.W()-2, spans)
}

// emptyText is what stands in the place of rows.
func (p *keyWatch) emptyText() safe.Text {
	switch st := p.last.State; {
	case !p.filter.IsEmpty() && len(p.picture().Events) > 0:
		return safe.Sprintf("none of %d changes matches /%s; Esc shows them", len(p.picture().Events), p.filter.String())
	case st.Phase == watchers.Live:
		return safe.Lit("no change yet: they are shown as they come")
	case st.Why != "":
		return safe.String(st.Why)
	}
	return safe.Lit("starting the watch…")
}
