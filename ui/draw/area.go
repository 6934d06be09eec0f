package draw

import (
	"math"
	"unicode"
	"unicode/utf8"

	"github.com/charmbracelet/x/ansi"

	"fathom/internal/safe"
	"fathom/theme"
)

// Area is a rectangle of a canvas; all coordinates given to its methods are relative to it and clipped to it. Areas are
// values: copying one does not copy cells. The zero Area is empty and may be drawn into. An Area is valid until its canvas
// is resized.
type Area struct {
	c *Canvas
	r Rect // always within the canvas
}

// W is the width in cells.
func (a Area) W() int { return a.r.W }

// H is the height in cells.
func (a Area) H() int { return a.r.H }

// Sub is the part of the area that lies in r. When r begins left of or above the area, the part's origin is the
// area's: nothing is ever drawn at negative coordinates.
func (a Area) Sub(r Rect) Area {
	v := a.clip(r)
	return Area{c: a.c, r: Rect{X: a.r.X + v.X, Y: a.r.Y + v.Y, W: v.W, H: v.H}}
}

// clip is the part of r that lies in the area, still relative to it.
func (a Area) clip(r Rect) Rect {
	x, w := clipSide(r.X, r.W, a.r.W)
	y, h := clipSide(r.Y, r.H, a.r.H)
	if w == 0 || h == 0 {
		return Rect{}
	}
	return Rect{X: x, Y: y, W: w, H: h}
}

func clipSide(start, length, size int) (from, n int) {
	if length <= 0 || start >= size {
		return 0, 0
	}
	if start < 0 {
		length, start = length+start, 0 // cannot overflow: the signs differ
	}
	return start, max(0, min(length, size-start))
}

// Text draws t from x on, cut with … where the area ends, and returns the column after it, at most W.
func (a Area) Text(x, y int, style theme.Style, t safe.Text) (next int) {
	next, _ = a.text(x, y, a.r.W, style, t)
	return next
}

// text draws up to column end. It reports whether something was cut off.
func (a Area) text(x, y, end int, style theme.Style, t safe.Text) (next int, cut bool) {
	s := t.String()
	end = min(end, a.r.W)
	if a.c == nil || y < 0 || y >= a.r.H || x >= end {
		return x, x >= end && s != ""
	}
	for len(s) > 0 {
		n, width, r, marked := next1(s)
		if x > math.MaxInt-2 || x+width > end {
			a.cut(x, y, end, style)
			return end, true
		}
		v := cell{r: r, style: style}
		if marked {
			v.marked = s[:n]
		}
		switch {
		case x >= 0:
			a.c.put(a.r.X+x, a.r.Y+y, width, v)
		case x == -1 && width == 2: // half of it is outside
			a.c.put(a.r.X, a.r.Y+y, 1, cell{style: style})
		}
		x += width
		s = s[n:]
	}
	return x, false
}

// cut puts … into the last cell before end; a wide character that would have begun at x leaves a blank.
func (a Area) cut(x, y, end int, style theme.Style) {
	for ; x < end; x++ {
		if x >= 0 {
			a.c.put(a.r.X+x, a.r.Y+y, 1, cell{style: style})
		}
	}
	if end > 0 {
		a.c.put(a.r.X+end-1, a.r.Y+y, 1, cell{r: '…', style: style})
	}
}

// next1 is the first character of s, which is from a safe.Text: its bytes, cells, base, and whether marks follow the base.
func next1(s string) (n, width int, r rune, marked bool) {
	if s[0] < utf8.RuneSelf && (len(s) == 1 || s[1] < utf8.RuneSelf) {
		if s[0] == ' ' {
			return 1, 1, 0, false
		}
		return 1, 1, rune(s[0]), false
	}
	r, n = utf8.DecodeRuneInString(s)
	width = 1
	if r >= 0x1100 { // nothing below is wide
		width = max(1, ansi.StringWidthWc(s[:n]))
	}
	base := n
	for n < len(s) && s[n] >= utf8.RuneSelf {
		m, size := utf8.DecodeRuneInString(s[n:])
		if !unicode.Is(unicode.Mn, m) {
			break
		}
		n += size
	}
	return n, width, r, n > base
}

// TextAligned draws t into the w cells from x on, cut with … when it is longer, placed by align when it is shorter. The
// rest of the cells stays as it is.
func (a Area) TextAligned(x, y, w int, align Align, style theme.Style, t safe.Text) {
	if w <= 0 || x > a.r.W {
		return
	}
	end := x + min(w, math.MaxInt-max(x, 0))
	if align == Right {
		x += max(0, w-t.Width())
	}
	a.text(x, y, end, style, t)
}

// Spans draws spans one after the other into the w cells from x on, cut with …, and returns the column after them.
func (a Area) Spans(x, y, w int, spans []Span) (next int) {
	if w <= 0 || x > a.r.W {
		return x
	}
	end := min(a.r.W, x+min(w, math.MaxInt-max(x, 0)))
	for i, from := 0, x; i < len(spans); i++ {
		at := x
		var cut bool
		if x, cut = a.text(x, y, end, spans[i].Style, spans[i].Text); cut {
			if at > from && at >= end && end > 0 && y >= 0 && y < a.r.H { // the cut fell between two spans
				a.cut(end, y, end, spans[i-1].Style)
			}
			return max(x, end)
		}
	}
	return x
}

// SpansWidth is the number of cells spans take.
func SpansWidth(spans []Span) int {
	n := 0
	for i := range spans {
		n += spans[i].Text.Width()
	}
	return n
}

// Fill makes the cells of r blanks in style.
func (a Area) Fill(r Rect, style theme.Style) {
	v := a.clip(r)
	for y := range v.H {
		for x := range v.W {
			a.c.put(a.r.X+v.X+x, a.r.Y+v.Y+y, 1, cell{style: style})
		}
	}
}

// Clear makes the whole area blanks in the default style.
func (a Area) Clear() { a.Fill(Rect{W: a.r.W, H: a.r.H}, theme.Default) }

// Glyph draws one character of our own chrome: a border, a bar, a sign. What is not a printable character of one cell is
// drawn as '?'.
func (a Area) Glyph(x, y int, style theme.Style, r rune) {
	if a.c == nil || x < 0 || y < 0 || x >= a.r.W || y >= a.r.H {
		return
	}
	switch {
	case r == ' ':
		r = 0
	case r >= 0x21 && r < 0x7f:
	case r < 0xa0 || !chrome(r):
		r = '?'
	}
	a.c.put(a.r.X+x, a.r.Y+y, 1, cell{r: r, style: style})
}

// chrome reports whether r may be drawn by Glyph. Arrows, operators, box drawing, blocks, geometric shapes, ticks and
// Braille, which are nearly all of it, are decided without a look at the tables.
func chrome(r rune) bool {
	if r >= 0x2190 && r <= 0x2310 || r >= 0x2500 && r <= 0x25fc || r >= 0x2713 && r <= 0x271d || r > 0x2800 && r <= 0x28ff {
		return true
	}
	return unicode.IsPrint(r) && !unicode.Is(unicode.Mn, r) && safe.String(string(r)).Width() == 1
}

// Mark adds attribute flags to the cells of r: the cursor row is what it was, reversed.
func (a Area) Mark(r Rect, flags theme.Style) {
	flags &= theme.Reverse | theme.Bold | theme.Under
	v := a.clip(r)
	for y := range v.H {
		start := (a.r.Y+v.Y+y)*a.c.w + a.r.X + v.X
		for i := range a.c.cells[start : start+v.W] {
			a.c.cells[start+i].style |= flags
		}
	}
}

// Box draws a border around the area, with title at its top left and right at its top right, and returns what is inside.
// right has precedence, since it tells the state; what does not fit is cut. An area smaller than 2x2 has no inside.
func (a Area) Box(title, right []Span, focus bool, t *theme.Theme) Area {
	w, h := a.r.W, a.r.H
	if w < 2 || h < 2 {
		return Area{c: a.c, r: Rect{X: a.r.X, Y: a.r.Y}}
	}
	g := t.Glyphs()
	style := theme.Border
	if focus {
		style = theme.BorderFocus
	}
	for x := 1; x < w-1; x++ {
		a.Glyph(x, 0, style, g.Horizontal)
		a.Glyph(x, h-1, style, g.Horizontal)
	}
	for y := 1; y < h-1; y++ {
		a.Glyph(0, y, style, g.Vertical)
		a.Glyph(w-1, y, style, g.Vertical)
	}
	a.Glyph(0, 0, style, g.TopLeft)
	a.Glyph(w-1, 0, style, g.TopRight)
	a.Glyph(0, h-1, style, g.BottomLeft)
	a.Glyph(w-1, h-1, style, g.BottomRight)

	room := w - 4 // a corner and one piece of border on both sides
	rw := min(SpansWidth(right), room)
	a.Spans(w-2-rw, 0, rw, right)
	if rw > 0 {
		rw++ // a piece of border between the two
	}
	a.Spans(2, 0, room-rw, title)
	return a.Sub(Rect{X: 1, Y: 1, W: w - 2, H: h - 2})
}
