package tree

import (
	"fathom/internal/safe"
	"fathom/theme"
	"fathom/ui/draw"
)

const (
	gutter = 2 // the cursor's sign and a blank
	indent = 2 // cells per level
)

// Draw draws the visible rows into a.
func (t *Tree) Draw(a draw.Area, focused bool) {
	t.visible = max(0, a.H())
	t.flatten()
	if a.W() <= 0 || a.H() <= 0 {
		return
	}
	if len(t.rows) == 0 {
		t.drawEmpty(a)
		return
	}
	t.clampTop()
	for y := range min(t.visible, len(t.rows)-t.top) {
		t.drawRow(a, y, focused)
	}
}

// drawEmpty draws the message for no rows, broken at blanks: it may be an error that tells what to do.
func (t *Tree) drawEmpty(a draw.Area) {
	for y, row := range draw.Wrap(t.empty.String(), a.W()-gutter) {
		a.Text(gutter, y, theme.Dim, row)
	}
}

func (t *Tree) drawRow(a draw.Area, y int, focused bool) {
	g := t.th.Glyphs()
	r := t.rows[t.top+y]
	depth := r.n.depth
	if r.kind != IsNode {
		depth++
	}
	// A deep node must not be indented out of a narrow area.
	x := gutter + min(depth*indent, max(0, a.W()/2-gutter))
	switch r.kind {
	case IsNode:
		t.drawNode(a, x, y, r.n)
	case IsMore:
		a.Text(x+2, y, theme.Key, safe.Lit("more…"))
	case IsLoading:
		a.Glyph(x, y, theme.Info, g.Pending)
		a.Text(x+2, y, theme.Info, safe.Lit("loading…"))
	case IsFailed:
		a.Glyph(x, y, theme.Bad, g.Bad)
		a.Text(x+2, y, theme.Bad, r.n.failure)
	}
	if t.top+y != t.idx {
		return
	}
	a.Glyph(0, y, theme.Strong, g.Cursor)
	flags := theme.Reverse
	if !focused {
		flags = theme.Bold
	}
	a.Mark(draw.Rect{Y: y, W: a.W(), H: 1}, flags)
}

func (t *Tree) drawNode(a draw.Area, x, y int, n *node) {
	g := t.th.Glyphs()
	switch {
	case n.Leaf:
	case n.open:
		a.Glyph(x, y, theme.Key, g.Open)
	default:
		a.Glyph(x, y, theme.Key, g.Closed)
	}
	x += 2
	room := a.W() - x
	rw := draw.SpansWidth(n.Right)
	if rw > 0 && room-rw-1 >= room/2 {
		a.Spans(a.W()-rw, y, rw, n.Right)
		room -= rw + 1
	}
	a.Spans(x, y, room, n.Label)
}
