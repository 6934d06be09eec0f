package table

import (
	"strings"

	"fathom/internal/safe"
	"fathom/theme"
	"fathom/ui/draw"
)

func (t *Table) draw(a draw.Area, focused bool) {
	w, h := a.W(), a.H()
	t.header = 0
	if h >= 2 {
		t.header = 1
	}
	t.visible = max(0, h-t.header)
	t.clampTop()
	if w <= 0 || h <= 0 {
		return
	}
	n := min(t.visible, t.src.Len()-t.top)
	t.format(n)
	bar := t.arrange(w)
	if t.header > 0 {
		t.drawHeader(a)
	}
	if t.src.Len() == 0 {
		t.drawEmpty(a)
		return
	}
	for r := range n {
		t.drawRow(a, r, focused)
	}
	if bar {
		t.drawBar(a)
	}
}

// format asks for the cells of the n visible rows, once each, and lets the columns grow to their widths.
func (t *Table) format(n int) {
	t.cells = t.cells[:0]
	for r := range n {
		for c := range t.cols {
			cell := t.src.Cell(t.top+r, c)
			t.cells = append(t.cells, cell)
			if col := &t.cols[c]; col.Width == 0 && (col.Max == 0 || col.measured < col.Max) {
				col.measured = max(col.measured, cell.Text.Width())
			}
		}
	}
}

// arrange lays out the columns, with a margin at the right for the scrollbar if that drops no column.
func (t *Table) arrange(w int) (bar bool) {
	const margin = 2
	t.layout(w - gutter)
	if t.src.Len() <= t.visible || t.hscroll > 0 {
		return false
	}
	n := len(t.places)
	cut := t.cut()
	t.layout(w - gutter - margin)
	if len(t.places) == n && (cut || !t.cut()) {
		return true
	}
	t.layout(w - gutter)
	return false
}

// cut reports whether a column has less than it would take.
func (t *Table) cut() bool {
	for _, p := range t.places {
		if p.w < p.want {
			return true
		}
	}
	return false
}

func (t *Table) drawHeader(a draw.Area) {
	g := t.th.Glyphs()
	for _, p := range t.places {
		c := &t.cols[p.col]
		if p.col != t.sortCol {
			a.TextAligned(p.x, 0, p.w, c.Align, theme.Header, c.title)
			continue
		}
		arrow := g.SortAsc
		if t.sortDesc {
			arrow = g.SortDesc
		}
		end := p.x + min(p.w-1, c.titleW)
		if c.Align == draw.Right {
			end = p.x + p.w - 1
		}
		a.TextAligned(p.x, 0, p.w-1, c.Align, theme.Header|theme.Under, c.title)
		if end < a.W() {
			a.Glyph(end, 0, theme.Header, arrow)
		}
	}
	if t.hscroll > 0 {
		a.Glyph(0, 0, theme.Header, g.ScrollLeft)
	}
	if t.more {
		x := a.W() - 1
		if n := len(t.places); n > 0 && t.places[n-1].x+t.places[n-1].w > x {
			x = 1 // not over a title
		}
		a.Glyph(x, 0, theme.Header, g.ScrollRight)
	}
}

// drawRow draws row r of the screen.
func (t *Table) drawRow(a draw.Area, r int, focused bool) {
	i, y := t.top+r, t.header+r
	g := t.th.Glyphs()
	_, marked := t.marks[t.src.ID(i)]
	if marked {
		a.Glyph(1, y, theme.Marked, g.Mark)
	}
	cells := t.cells[r*len(t.cols) : (r+1)*len(t.cols)]
	for k, p := range t.places {
		cell := cells[p.col]
		style := cell.Style
		if marked && k == 0 && style == theme.Default {
			style = theme.Marked
		}
		a.TextAligned(p.x, y, p.w, t.cols[p.col].Align, style, cell.Text)
	}
	if i != t.idx {
		return
	}
	a.Glyph(0, y, theme.Strong, g.Cursor)
	flags := theme.Reverse
	if !focused {
		flags = theme.Bold
	}
	a.Mark(draw.Rect{Y: y, W: a.W(), H: 1}, flags)
}

// drawBar draws the thumb of the scrollbar; its track stays blank.
func (t *Table) drawBar(a draw.Area) {
	total := t.src.Len()
	size := max(1, t.visible*t.visible/total)
	from := 0
	if rest := total - t.visible; rest > 0 {
		from = int(int64(t.top) * int64(t.visible-size) / int64(rest))
	}
	for k := range size {
		a.Glyph(a.W()-1, t.header+from+k, theme.Border, t.th.Glyphs().ScrollThumb)
	}
}

// drawEmpty draws the message for no rows, broken at blanks.
func (t *Table) drawEmpty(a draw.Area) {
	y, line := t.header, ""
	room := a.W() - gutter
	flush := func() {
		a.Text(gutter, y, theme.Dim, safe.String(line))
		y++
	}
	for _, word := range strings.Fields(t.empty.String()) {
		switch {
		case line == "":
			line = word
		case safe.String(line).Width()+1+safe.String(word).Width() > room:
			flush()
			line = word
		default:
			line += " " + word
		}
	}
	flush()
}
