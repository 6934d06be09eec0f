package views

import (
	"fmt"

	"fathom/internal/safe"
	"fathom/theme"
	"fathom/ui/chart"
	"fathom/ui/draw"
)

// Sizes of the overview, in cells.
const (
	overviewTwoColumns = 116 // inside the frame of a 120 column screen
	overviewGap        = 3   // between the columns
	overviewGutter     = 4   // the cursor, the state's glyph and the blanks after them
	overviewName       = 18  // the name of a line that is always there
)

// overviewRow is one line of the screen.
type overviewRow struct {
	sec     *overviewSection
	line    *overviewLine // nil: a heading or a blank
	heading bool
	list    bool
	more    int           // so many lines of the list have no room; Enter shows them
	rest    int           // the same, said at the end of the last line because there is no line for it
	picture *overviewLine // the bar of a line, in a line of its own
	shown   int           // of a line that is always there: how much of its list is shown
}

// id is what the cursor holds on to.
func (r overviewRow) id() string {
	switch {
	case r.more > 0:
		return "more/" + r.sec.key
	case r.line == nil:
		return ""
	}
	return r.line.id
}

// overviewColumn is a column of the screen with a scroll offset of its own.
type overviewColumn struct {
	x, w int
	rows []overviewRow
	top  int
}

// overviewLayout is where everything is at one size.
type overviewLayout struct {
	verdict []draw.Span
	cols    []overviewColumn
	h       int // of the columns
}

// arrange gives every line its place. open names the sections whose whole list is wanted.
func arrange(secs []overviewSection, verdict []draw.Span, w, h int, open map[string]bool) overviewLayout {
	lay := overviewLayout{verdict: verdict, h: max(0, h-1)}
	if w < overviewTwoColumns {
		all := make([]*overviewSection, len(secs))
		for i := range secs {
			all[i] = &secs[i]
		}
		lay.cols = []overviewColumn{{w: w, rows: stackUp(all, lay.h, true, open)}}
		return lay
	}
	var left, right []*overviewSection
	for i := range secs {
		switch secs[i].key {
		case "workloads", "warnings":
			right = append(right, &secs[i])
		default:
			left = append(left, &secs[i])
		}
	}
	lw := (w - overviewGap) / 2
	if len(right) == 0 {
		lw = w
	}
	lay.h = max(0, h-2) // a blank below the verdict
	lay.cols = []overviewColumn{{w: lw, rows: stackUp(left, lay.h, false, open)}}
	if len(right) > 0 {
		lay.cols = append(lay.cols, overviewColumn{x: lw + overviewGap, w: w - lw - overviewGap, rows: stackUp(right, lay.h, false, open)})
	}
	return lay
}

// lowPane is the height below which only the lines of a list that are worth it are shown.
const lowPane = 30

// leastMore is the number of list lines from which on one of them is spent to say how many more there are.
const leastMore = 3

// stackUp puts sections under each other and shares what room is left among their lists, one line each in turn.
func stackUp(secs []*overviewSection, h int, compact bool, open map[string]bool) []overviewRow {
	room := h
	want, give := make([]int, len(secs)), make([]int, len(secs))
	heads := make([][]overviewLine, len(secs))
	all := 0
	for _, s := range secs {
		all += len(s.head) + min(s.compact, len(s.list))
	}
	for i, s := range secs {
		heads[i] = s.head
		if compact && all > h && s.brief != nil {
			heads[i] = s.brief
		}
		room -= len(heads[i])
		if !compact {
			room -= min(i, 1) + 1 // a blank and a heading
			for j := range heads[i] {
				if heads[i][j].stack != nil {
					room--
				}
			}
		}
		want[i] = len(s.list)
		if compact && h < lowPane {
			want[i] = min(s.compact, len(s.list))
		}
		if open[s.key] {
			want[i] = len(s.list)
			give[i] = want[i]
			room -= want[i]
		}
	}
	for again := true; again && room > 0; {
		again = false
		for i := range secs {
			if give[i] < want[i] && room > 0 {
				give[i]++
				room--
				again = true
			}
		}
	}
	var rows []overviewRow
	for i, s := range secs {
		if !compact {
			if i > 0 {
				rows = append(rows, overviewRow{})
			}
			rows = append(rows, overviewRow{sec: s, heading: true})
		}
		for j := range heads[i] {
			l := &heads[i][j]
			rows = append(rows, overviewRow{sec: s, line: l, shown: give[i]})
			if !compact && l.stack != nil {
				rows = append(rows, overviewRow{sec: s, picture: l})
			}
		}
		n, hidden := give[i], want[i]-give[i]
		more := hidden > 0 && n >= leastMore
		if more { // the last place says how many more there are
			n--
		}
		for j := range n {
			rows = append(rows, overviewRow{sec: s, line: &s.list[j], list: true})
		}
		switch {
		case more:
			rows = append(rows, overviewRow{sec: s, list: true, more: hidden + 1})
		case hidden > 0 && n > 0:
			rows[len(rows)-1].rest = hidden
		}
	}
	return rows
}

// find is the place of a line; ok is false when it has none.
func (lay *overviewLayout) find(id string) (col, row int, ok bool) {
	if id == "" {
		return 0, 0, false
	}
	for c := range lay.cols {
		for r := range lay.cols[c].rows {
			if lay.cols[c].rows[r].id() == id {
				return c, r, true
			}
		}
	}
	return 0, 0, false
}

// near is the line with something to go to that is nearest to a place in a column; ok is false when there is none.
func (lay *overviewLayout) near(col, row int) (int, bool) {
	rows := lay.cols[col].rows
	for d := range len(rows) + 1 {
		for _, r := range [2]int{row + d, row - d} {
			if r >= 0 && r < len(rows) && rows[r].id() != "" {
				return r, true
			}
		}
	}
	return 0, false
}

// show scrolls a column so that a row is visible, with the headings above it when it is the first one.
func (c *overviewColumn) show(row, h int) {
	if row < c.top {
		c.top = row
	}
	if row >= c.top+h {
		c.top = row - h + 1
	}
	c.top = max(0, min(c.top, len(c.rows)-h))
	for first := 0; first < len(c.rows); first++ {
		if c.rows[first].id() != "" {
			if row == first && row < h {
				c.top = 0
			}
			return
		}
	}
}

// overviewPainter draws one frame.
type overviewPainter struct {
	th      *theme.Theme
	focused bool
	cursor  string
}

func (p overviewPainter) draw(a draw.Area, lay *overviewLayout) {
	a.Spans(1, 0, a.W()-1, lay.verdict)
	y := a.H() - lay.h
	for i := range lay.cols {
		c := &lay.cols[i]
		p.column(a.Sub(draw.Rect{X: c.x, Y: y, W: c.w, H: lay.h}), c)
	}
}

func (p overviewPainter) column(a draw.Area, c *overviewColumn) {
	g := p.th.Glyphs()
	end := min(len(c.rows), c.top+a.H())
	widths := map[*overviewSection][3]int{}
	names, labels := overviewName, 0
	if c.headings() {
		names = 0
	}
	nameOf := map[*overviewSection]int{}
	for _, r := range c.rows {
		if r.line == nil || r.list {
			continue
		}
		nameOf[r.sec] = max(nameOf[r.sec], names, min(safe.Bounded(r.line.name, 40).Width(), overviewName))
		if r.line.gauge != nil {
			labels = max(labels, r.line.gauge.Label.Width())
		}
	}
	for _, r := range c.rows[c.top:max(c.top, end)] {
		if !r.list || r.line == nil {
			continue
		}
		first, second := r.line.name, r.line.status
		if r.sec.swap {
			first, second = second, first
		}
		w := widths[r.sec]
		w[0] = max(w[0], safe.Bounded(r.line.lead, 8).Width())
		w[1] = max(w[1], min(safe.Bounded(first, 80).Width(), a.W()*2/5))
		w[2] = max(w[2], min(safe.Bounded(second, 80).Width(), a.W()*3/10))
		widths[r.sec] = w
	}
	for i := c.top; i < end; i++ {
		r, y := c.rows[i], i-c.top
		switch {
		case r.heading:
			x := a.Text(1, y, theme.Title, safe.String(r.sec.title)) + 1
			for ; x < a.W(); x++ {
				a.Glyph(x, y, theme.Border, g.Horizontal)
			}
			continue
		case r.more > 0:
			a.Text(overviewGutter+2, y, theme.Dim, safe.Sprintf("and %d more", r.more))
		case r.picture != nil:
			x := overviewGutter + nameOf[r.sec] + 1
			chart.StackBar(a, p.th, x, y, a.W()-x, a.W()-x, bare(r.picture.stack), 0)
			continue
		case r.line == nil:
			continue
		case r.list:
			p.listLine(a, y, r, widths[r.sec])
		default:
			p.headLine(a, y, r, nameOf[r.sec], labels)
		}
		if r.id() == p.cursor {
			a.Glyph(0, y, theme.Strong, g.Cursor)
			flags := theme.Reverse
			if !p.focused {
				flags = theme.Bold
			}
			a.Mark(draw.Rect{Y: y, W: a.W(), H: 1}, flags)
		}
	}
	if c.top > 0 {
		a.Glyph(a.W()-1, 0, theme.Border, g.ScrollUp)
	}
	if end < len(c.rows) {
		a.Glyph(a.W()-1, a.H()-1, theme.Border, g.ScrollDown)
	}
}

// levelGlyph is the sign of a level; what is not known has one too.
func (p overviewPainter) levelGlyph(s theme.Style) (rune, theme.Style) {
	if s.Role() == theme.Default {
		return p.th.Glyphs().Unknown, theme.Dim
	}
	return p.th.StateGlyph(s), s
}

func (p overviewPainter) headLine(a draw.Area, y int, r overviewRow, nameW, labelW int) {
	l := r.line
	glyph, style := p.levelGlyph(l.level)
	a.Glyph(2, y, style, glyph)
	a.TextAligned(overviewGutter, y, nameW, draw.Left, theme.Strong, safe.Bounded(l.name, 40))
	x := overviewGutter + nameW + 1
	if l.stale != "" {
		t := safe.Sprintf("%c %s", p.th.Glyphs().Warn, l.stale)
		a.Text(a.W()-t.Width()-1, y, theme.Warn, t)
		a = a.Sub(draw.Rect{W: a.W() - t.Width() - 2, H: a.H()})
	}
	room := a.W() - x
	switch {
	case l.gauge != nil:
		g := *l.gauge
		g.LabelW = labelW
		chart.Bar(a, p.th, x, y, min(room, labelW+60), g)
	case l.gauges != nil:
		n := len(l.gauges)
		for i, g := range l.gauges {
			w := (room - 2*(n-1)) / n
			chart.Bar(a, p.th, x+i*(w+2), y, w, g)
		}
	case l.stack != nil:
		x = a.Text(x, y, theme.Strong, safe.String(l.status))
		chart.StackBar(a, p.th, x+1, y, a.W()-x-1, 0, l.stack, 0)
	default:
		detail := safe.Bounded(l.detail, 300)
		if l.repeats && r.shown > 0 {
			detail = safe.Text{}
		}
		a.Spans(x, y, room, []draw.Span{{Text: safe.Bounded(l.status, 80), Style: style}, {Text: safe.Lit("  ")}, {Text: detail}})
	}
}

// bare are the parts without their labels.
func bare(parts []chart.Part) []chart.Part {
	out := make([]chart.Part, len(parts))
	for i, p := range parts {
		p.Label = safe.Text{}
		out[i] = p
	}
	return out
}

// headings reports whether the sections of the column have a heading, which then names them.
func (c *overviewColumn) headings() bool { return len(c.rows) > 0 && c.rows[0].heading }

func (p overviewPainter) listLine(a draw.Area, y int, r overviewRow, w [3]int) {
	l := r.line
	glyph, style := p.levelGlyph(l.level)
	if r.rest > 0 {
		t := safe.Sprintf("+%d more", r.rest)
		a.Text(a.W()-t.Width()-1, y, theme.Dim, t)
		a = a.Sub(draw.Rect{W: a.W() - t.Width() - 3, H: a.H()})
	}
	x := overviewGutter
	a.Glyph(x, y, style, glyph)
	x += 2
	if w[0] > 0 {
		a.TextAligned(x, y, w[0], draw.Right, theme.Dim, safe.Bounded(l.lead, 8))
		x += w[0] + 1
	}
	name, status := draw.Span{Text: safe.Bounded(l.name, 80), Style: theme.Strong}, draw.Span{Text: safe.Bounded(l.status, 80), Style: style}
	if r.sec.swap {
		name, status = status, name
		status.Style = theme.Default
	}
	for i, s := range [2]draw.Span{name, status} {
		if w[i+1] > 0 {
			a.TextAligned(x, y, w[i+1], draw.Left, s.Style, s.Text)
			x += w[i+1] + 2
		}
	}
	a.TextAligned(x, y, a.W()-x, draw.Left, theme.Dim, safe.Bounded(l.detail, 300))
}

// verdict says in one line whether the cluster is all right, and if not where to look.
func (d *overviewData) verdict(th *theme.Theme, secs []overviewSection) []draw.Span {
	level := theme.Good
	var issues, unseen, waiting string
	for pass := 4; pass >= 2; pass-- { // the worst first
		for i := range secs {
			s := &secs[i]
			if severity(s.level()) != pass {
				continue
			}
			if severity(s.level()) > severity(level) {
				level = s.level()
			}
			if s.level() == theme.Pending {
				waiting = joinWith(waiting, ", ", s.key)
			} else if s.issue != "" {
				issues = joinWith(issues, ", ", s.issue)
			}
		}
	}
	for i := range secs {
		if s := &secs[i]; s.unseen != "" && s.level() != theme.Pending {
			unseen = joinWith(unseen, ", ", fmt.Sprintf("%s (%s)", s.key, s.unseen))
		}
	}
	style, text := level, ""
	switch {
	case issues != "":
		text = issues
	case waiting != "":
		style, text = theme.Pending, "asking the cluster"
	case unseen != "" || !d.api || d.etcd == nil:
		style, text = theme.Good, "what can be seen is all right"
	default:
		style, text = theme.Good, "all is well"
	}
	out := []draw.Span{{Text: safe.Sprintf(" %c ", th.StateGlyph(style)), Style: style}, {Text: safe.Bounded(text, 300), Style: style | theme.Bold}}
	if unseen != "" {
		out = append(out, draw.Span{Text: safe.Sprintf("   not seen: %s", unseen), Style: theme.Dim})
	}
	return out
}
