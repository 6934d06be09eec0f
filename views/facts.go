package views

import (
	"fathom/internal/safe"
	"fathom/keymap"
	"fathom/theme"
	"fathom/ui/chart"
	"fathom/ui/draw"
)

// fact is one line of a part that tells more about one thing: a name, and what is so.
type fact struct {
	name  string // empty: it goes on with the line above
	spans []draw.Span
	gauge *chart.Gauge // in the place of spans
}

// facts are lines for a part of a given width. What is too long is wrapped at words.
type facts struct {
	lines []fact
	width int
	label int // cells of the names
}

// room is what is left beside the names.
func (f *facts) room() int { return max(1, f.width-f.label) }

// text adds untrusted text.
func (f *facts) text(name string, style theme.Style, text string) {
	for i, l := range draw.Wrap(text, f.room()) {
		if i > 0 {
			name = ""
		}
		f.spans(name, draw.Span{Text: l, Style: style})
	}
}

// spans adds one line that is cut where the room ends.
func (f *facts) spans(name string, s ...draw.Span) {
	f.lines = append(f.lines, fact{name: name, spans: s})
}

// gauge adds a bar.
func (f *facts) gauge(name string, g chart.Gauge) {
	f.lines = append(f.lines, fact{name: name, gauge: &g})
}

// draw draws the lines from number from on.
func (f *facts) draw(a draw.Area, th *theme.Theme, from int) {
	from = f.clamp(from, a.H())
	for y := 0; y < a.H() && from+y < len(f.lines); y++ {
		l := &f.lines[from+y]
		if l.name != "" {
			a.Sub(draw.Rect{Y: y, W: max(0, f.label-1), H: 1}).Text(0, 0, theme.Key, safe.String(l.name))
		}
		if l.gauge != nil {
			chart.Bar(a, th, f.label, y, f.room(), *l.gauge)
			continue
		}
		a.Spans(f.label, y, f.room(), l.spans)
	}
}

// clamp keeps the end of the lines at the end of h rows.
func (f *facts) clamp(from, h int) int { return max(0, min(from, len(f.lines)-h)) }

// sentence draws untrusted text, broken at words, from cell x of line y on, and returns the line after it. It takes at most most lines.
func sentence(a draw.Area, x, y, most int, style theme.Style, text string) int {
	rows := draw.Wrap(text, a.W()-x-1)
	for i, l := range rows[:min(len(rows), most)] {
		if i+1 == most && most < len(rows) {
			l = safe.Sprintf("%s …", l)
		}
		a.Text(x, y, style, l)
		y++
	}
	return y
}

// rule draws a line with a title in it.
func rule(a draw.Area, th *theme.Theme, y int, title, right safe.Text) {
	g := th.Glyphs()
	for x := range a.W() {
		a.Glyph(x, y, theme.Border, g.Horizontal)
	}
	row := a.Sub(draw.Rect{X: 2, Y: y, W: a.W() - 4, H: 1})
	row.Text(0, 0, theme.Title, safe.Sprintf(" %s ", title))
	if w := right.Width() + 2; !right.IsEmpty() && title.Width()+4+w < row.W() {
		row.TextAligned(row.W()-w, 0, w, draw.Right, theme.Dim, safe.Sprintf(" %s ", right))
	}
}

// scrollBy moves the first line that is shown of a zoomed part; how far it goes is known when it is drawn.
func scrollBy(from *int, in keymap.Intent) bool {
	const page = 8
	switch in {
	case keymap.PageDown:
		*from += page
	case keymap.PageUp:
		*from = max(0, *from-page)
	case keymap.Top:
		*from = 0
	case keymap.Bottom:
		*from = 1 << 20
	default:
		return false
	}
	return true
}
