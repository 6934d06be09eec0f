package chart

import (
	"fathom/internal/safe"
	"fathom/theme"
	"fathom/ui/draw"
)

// Cell is one thing in a [Grid].
type Cell struct {
	Glyph rune // 0: the theme's cell
	Style theme.Style
}

// Grid places n cells in rows of w, at most h rows of them. When there is not room for all, the end of the last row says how
// many more there are.
type Grid struct {
	n, w, h int
	shown   int
}

// NewGrid makes a grid. h <= 0 is as many rows as it takes.
func NewGrid(n, w, h int) Grid {
	g := Grid{n: max(n, 0), w: w, h: h}
	if w <= 0 {
		return g
	}
	if h <= 0 || g.n <= h*w {
		g.shown = g.n
		return g
	}
	g.shown = h * w
	for g.shown > 0 && h*w-g.shown < 1+g.rest().Width() {
		g.shown--
	}
	return g
}

func (g Grid) rest() safe.Text { return safe.Sprintf("+%d", g.n-g.shown) }

// Height is the number of rows the grid takes.
func (g Grid) Height() int {
	if g.w <= 0 || g.n == 0 {
		return 0
	}
	if g.shown < g.n {
		return g.h
	}
	return (g.n + g.w - 1) / g.w
}

// Shown is how many of the cells have a place; the rest is a number.
func (g Grid) Shown() int { return g.shown }

// At is the number of the cell at x, y relative to the grid.
func (g Grid) At(x, y int) (i int, ok bool) {
	if x < 0 || y < 0 || x >= g.w || y >= g.Height() {
		return 0, false
	}
	i = y*g.w + x
	return i, i < g.shown
}

// Place is where cell i is, relative to the grid.
func (g Grid) Place(i int) (x, y int, ok bool) {
	if i < 0 || i >= g.shown {
		return 0, 0, false
	}
	return i % g.w, i / g.w, true
}

// Draw draws the grid at x, y. cell is called for the shown cells only.
func (g Grid) Draw(a draw.Area, th *theme.Theme, x, y int, cell func(i int) Cell) {
	for i := range g.shown {
		c := cell(i)
		if c.Glyph == 0 {
			c.Glyph = th.Glyphs().Cell
		}
		a.Glyph(x+i%g.w, y+i/g.w, c.Style, c.Glyph)
	}
	if g.shown == g.n || g.w <= 0 || g.h <= 0 {
		return
	}
	rest := g.rest()
	w := min(rest.Width(), g.w)
	a.TextAligned(x+g.w-w, y+g.h-1, w, draw.Right, theme.Dim, rest)
}
