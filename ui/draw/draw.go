// Package draw is the cell grid that panes and widgets draw into. It accepts only sanitised text ([safe.Text]) and semantic
// styles ([theme.Style]), clips everything to the area it was given, and is rendered to a string once per frame.
package draw

import (
	"unicode/utf8"

	"fathom/internal/safe"
	"fathom/theme"
)

// Rect is a rectangle of cells.
type Rect struct{ X, Y, W, H int }

// Contains reports whether the cell at x, y lies in r.
func (r Rect) Contains(x, y int) bool {
	return x >= r.X && y >= r.Y && x-r.X < r.W && y-r.Y < r.H
}

// Align is how text shorter than its column is placed.
type Align uint8

// Alignments.
const (
	Left Align = iota
	Right
)

// Span is a run of text in one style.
type Span struct {
	Text  safe.Text
	Style theme.Style
}

// LogSpans appends to dst the spans of a log line in their own colours.
func LogSpans(dst []Span, line []safe.Span) []Span {
	for _, s := range line {
		dst = append(dst, Span{Text: s.Text, Style: theme.Log(s.SGR.FG, s.SGR.BG, s.SGR.Bold, s.SGR.Underline)})
	}
	return dst
}

// kind says which part of a character a cell holds.
type kind uint8

const (
	single kind = iota
	lead        // the left half of a wide character
	tail        // the right half; it has the style of the lead and nothing else
)

// cell is one cell of the grid; the zero cell is a blank in the default style.
type cell struct {
	marked string // the whole grapheme when it has combining marks, otherwise ""
	r      rune   // the base character; 0 is a blank
	style  theme.Style
	kind   kind
}

func (c *cell) blank() bool { return c.r == 0 && c.style == theme.Default && c.kind == single }

// Canvas is a grid of cells. It is reused from frame to frame and belongs to one goroutine.
type Canvas struct {
	w, h  int
	cells []cell
	buf   []byte // Render's, kept for the next frame
	paint painted
}

// NewCanvas makes a blank canvas. Negative sizes count as 0.
func NewCanvas(w, h int) *Canvas {
	c := &Canvas{}
	c.Resize(w, h)
	return c
}

// Resize sets the size and blanks the canvas. It allocates only when the canvas grows beyond what it ever was.
func (c *Canvas) Resize(w, h int) {
	c.w, c.h = max(w, 0), max(h, 0)
	if n := c.w * c.h; n > cap(c.cells) {
		c.cells = make([]cell, n)
	} else {
		c.cells = c.cells[:n]
	}
	c.Clear()
}

// Size is the width and height in cells.
func (c *Canvas) Size() (w, h int) { return c.w, c.h }

// Clear makes every cell a blank in the default style.
func (c *Canvas) Clear() { clear(c.cells) }

// Area is the whole canvas.
func (c *Canvas) Area() Area { return Area{c: c, r: Rect{W: c.w, H: c.h}} }

// put sets one character at x, y, which with its width lies within the canvas. Of a wide character that is half
// overwritten the other half becomes a blank.
func (c *Canvas) put(x, y, width int, v cell) {
	row := c.cells[y*c.w : (y+1)*c.w]
	c.split(row, x)
	if width == 2 {
		c.split(row, x+1)
		v.kind = lead
		row[x+1] = cell{style: v.style, kind: tail}
	}
	row[x] = v
}

// split prepares the cell at x for being overwritten.
func (c *Canvas) split(row []cell, x int) {
	switch row[x].kind {
	case lead:
		row[x+1] = cell{style: row[x+1].style}
	case tail:
		row[x-1] = cell{style: row[x-1].style}
	}
	row[x].kind = single
}

// Render is the frame: the rows joined by LF, with one SGR sequence per change of style and a reset at the end of each
// row. Blanks in the default style at the end of a row are left out. With an ASCII theme every byte is ASCII. The canvas
// allocates nothing but the string once it has rendered a frame of that size.
func (c *Canvas) Render(t *theme.Theme) string {
	b := c.buf[:0]
	ascii := t.ASCII()
	for y := range c.h {
		if y > 0 {
			b = append(b, '\n')
		}
		row := c.used(y)
		cur, reset := theme.Default, true
		for i := range row {
			v := &row[i]
			if v.kind == tail {
				continue
			}
			if v.style != cur || i == 0 {
				cur = v.style
				n := len(b)
				b = t.AppendSGR(b, cur)
				if string(b[n:]) == theme.Reset {
					if reset {
						b = b[:n]
					}
					reset = true
				} else {
					reset = false
				}
			}
			switch {
			case v.r == 0:
				b = append(b, ' ')
			case v.r < utf8.RuneSelf && v.marked == "":
				b = append(b, byte(v.r))
			case ascii:
				b = append(b, byte(t.Fold(v.r)))
				if v.kind == lead {
					b = append(b, ' ')
				}
			case v.marked != "":
				b = append(b, v.marked...)
			default:
				b = utf8.AppendRune(b, v.r)
			}
		}
		if !reset {
			b = append(b, theme.Reset...)
		}
	}
	c.buf = b
	return string(b)
}

// Plain is the frame without styles, for tests and print. Blanks at the end of a row are left out.
func (c *Canvas) Plain() string {
	b := c.buf[:0]
	for y := range c.h {
		if y > 0 {
			b = append(b, '\n')
		}
		end := len(b)
		for _, v := range c.cells[y*c.w : (y+1)*c.w] {
			switch {
			case v.kind == tail:
				continue
			case v.r == 0 || v.r == ' ' && v.marked == "":
				b = append(b, ' ')
				continue
			case v.marked != "":
				b = append(b, v.marked...)
			default:
				b = utf8.AppendRune(b, v.r)
			}
			end = len(b)
		}
		b = b[:end]
	}
	c.buf = b
	return string(b)
}

// used is row y without the default blanks at its end.
func (c *Canvas) used(y int) []cell {
	row := c.cells[y*c.w : (y+1)*c.w]
	n := len(row)
	for n > 0 && row[n-1].blank() {
		n--
	}
	return row[:n]
}
