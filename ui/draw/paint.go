package draw

import (
	"unicode/utf8"

	uv "github.com/charmbracelet/ultraviolet"

	"fathom/theme"
)

// painted is what a canvas last put into a buffer, so that only cells that differ are converted.
type painted struct {
	buf    *uv.RenderBuffer
	theme  *theme.Theme
	w, h   int
	cells  []cell
	styles map[theme.Style]uv.Style
	runes  map[rune]string // characters outside ASCII, bounded by maxRunes
	rows   []int           // those that differ, while painting
	next   int             // where the next part begins when a frame goes out in parts
}

const (
	maxRunes = 4096
	// manyRows is how many rows must differ before a frame is looked at as one that has scrolled: looking costs the renderer a pass
	// over the whole screen.
	manyRows = 6
	// rowCost and styleCost are estimates, in bytes, for moving to a row and for another style in it.
	rowCost   = 10
	styleCost = 8
)

// Paint brings buf to what is drawn on the canvas. Only the cells that differ from the last Paint are set; the whole buffer is,
// when buf, its size or the theme is another one. scrolled reports that so many rows differ that the renderer should look for
// lines that have moved: all lines are touched then, as its search needs.
//
// budget bounds the bytes that the changes will cost on a line, by estimate; 0 means no bound. When they would cost more, and
// have not merely scrolled, a part is painted: the last row, where a prompt is, and then rows in turn from where the part before
// ended. done is false then, and the rest is painted by the next call, with whatever the canvas shows by then. A budget below 0
// paints the last row only.
func (c *Canvas) Paint(buf *uv.RenderBuffer, t *theme.Theme, budget int) (done, scrolled bool) {
	p := &c.paint
	if p.buf != buf || p.theme != t || p.w != c.w || p.h != c.h || buf.Width() != c.w || buf.Height() != c.h {
		buf.Resize(c.w, c.h)
		buf.Buffer.Clear() // every cell of it is blank now, as in p.cells
		buf.Touched = make([]*uv.LineData, c.h)
		*p = painted{buf: buf, theme: t, w: c.w, h: c.h, cells: make([]cell, len(c.cells)), styles: map[theme.Style]uv.Style{}, runes: map[rune]string{}}
		touchAll(buf)
		for y := range c.h {
			c.paintRow(y)
		}
		return true, false
	}
	p.rows = p.rows[:0]
	cost := 0
	for y := range c.h {
		if n := c.rowBytes(y, y); n > 0 {
			p.rows = append(p.rows, y)
			cost += n
		}
	}
	if len(p.rows) == 0 {
		return true, false
	}
	scrolled = len(p.rows) >= manyRows && c.moved()
	if budget != 0 && cost > budget && !(scrolled && c.shifted(budget)) {
		done, scrolled = false, false
		c.paintPart(budget)
	} else {
		done = true
		for _, y := range p.rows {
			c.paintRow(y)
		}
	}
	if scrolled || c.endsBlank() {
		touchAll(buf)
	}
	return done, scrolled
}

// endsBlank reports whether the last row is blank as painted. The renderer clears blank rows at the bottom together with the row
// above them, and then counts on that one being touched.
func (c *Canvas) endsBlank() bool {
	for _, v := range c.paint.cells[max(0, len(c.paint.cells)-c.w):] {
		if !v.blank() {
			return false
		}
	}
	return true
}

// paintPart paints rows until the budget is spent. A last row that has changed is always painted, and goes first.
func (c *Canvas) paintPart(budget int) {
	p := &c.paint
	last := c.h - 1
	if n := c.rowBytes(last, last); n > 0 {
		budget -= n
		c.paintRow(last)
	}
	for range c.h {
		if budget <= 0 {
			return
		}
		y := p.next % c.h
		p.next = y + 1
		if n := c.rowBytes(y, y); n > 0 {
			budget -= n
			c.paintRow(y)
		}
	}
}

// moved reports whether one of three of the rows that differ stood elsewhere before, exactly as it is now.
func (c *Canvas) moved() bool {
	rows := c.paint.rows
	for _, y := range [3]int{rows[len(rows)/4], rows[len(rows)/2], rows[len(rows)*3/4]} {
		for from := range c.h {
			if first, end := c.rowDiff(y, from); from != y && first == end {
				return true
			}
		}
	}
	return false
}

// shifted reports whether most rows have moved by the same number of lines, so that the change costs no more than budget.
func (c *Canvas) shifted(budget int) bool {
	for k := 1; k <= c.h/2; k++ {
		for _, by := range [2]int{k, -k} {
			cost := 0
			for y := 0; y < c.h && cost <= budget; y++ {
				n := c.rowBytes(y, y)
				if from := y + by; n > 0 && from >= 0 && from < c.h {
					n = min(n, c.rowBytes(y, from))
				}
				cost += n
			}
			if cost <= budget {
				return true
			}
		}
	}
	return false
}

// rowDiff is the first cell in which row y differs from row from as it was painted, and the one after the last.
func (c *Canvas) rowDiff(y, from int) (first, end int) {
	a, b := c.cells[y*c.w:(y+1)*c.w], c.paint.cells[from*c.w:(from+1)*c.w]
	i, j := 0, c.w
	for i < j && a[i] == b[i] {
		i++
	}
	for j > i && a[j-1] == b[j-1] {
		j--
	}
	return i, j
}

// rowBytes estimates what it costs to make row y of what row from shows; 0 when they are the same.
func (c *Canvas) rowBytes(y, from int) int {
	first, end := c.rowDiff(y, from)
	if first == end {
		return 0
	}
	n := rowCost + end - first
	for row, x := c.cells[y*c.w:(y+1)*c.w], first+1; x < end; x++ {
		if row[x].style != row[x-1].style {
			n += styleCost
		}
	}
	return n
}

// paintRow sets the cells of one row that differ.
func (c *Canvas) paintRow(y int) {
	p := &c.paint
	row, old := c.cells[y*c.w:(y+1)*c.w], p.cells[y*c.w:(y+1)*c.w]
	first, end := c.rowDiff(y, y)
	if first == end {
		return
	}
	line := p.buf.Lines[y]
	for x := first; x < end; x++ {
		if row[x] != old[x] {
			line[x] = p.cell(&row[x])
		}
	}
	copy(old[first:end], row[first:end])
	p.buf.TouchLine(first, y, end-first)
}

// cell is a cell as the renderer wants it.
func (p *painted) cell(v *cell) uv.Cell {
	style, ok := p.styles[v.style]
	if !ok {
		style = p.style(v.style)
		p.styles[v.style] = style
	}
	switch {
	case v.kind == tail && p.theme.ASCII(): // a wide character is folded to one, and a blank
		return uv.Cell{Content: " ", Style: style, Width: 1}
	case v.kind == tail:
		return uv.Cell{}
	case v.r == 0:
		return uv.Cell{Content: " ", Style: style, Width: 1}
	case v.r < utf8.RuneSelf && v.marked == "":
		return uv.Cell{Content: ascii[v.r : v.r+1], Style: style, Width: 1}
	case p.theme.ASCII():
		f := p.theme.Fold(v.r)
		return uv.Cell{Content: ascii[f : f+1], Style: style, Width: 1}
	}
	width := 1
	if v.kind == lead {
		width = 2
	}
	if v.marked != "" {
		return uv.Cell{Content: v.marked, Style: style, Width: width}
	}
	s, ok := p.runes[v.r]
	if !ok {
		if len(p.runes) >= maxRunes {
			clear(p.runes)
		}
		s = string(v.r)
		p.runes[v.r] = s
	}
	return uv.Cell{Content: s, Style: style, Width: width}
}

// style asks the renderer's own parser what a control sequence of the theme means.
func (p *painted) style(s theme.Style) uv.Style {
	b := uv.NewScreenBuffer(1, 1)
	uv.NewStyledString(p.theme.SGR(s)+"x").Draw(b, b.Bounds())
	return b.CellAt(0, 0).Style
}

func touchAll(buf *uv.RenderBuffer) {
	for y := range buf.Lines {
		buf.TouchLine(0, y, buf.Width())
	}
}

// ascii has every character below 0x80 at its own place.
var ascii = func() string {
	var b [utf8.RuneSelf]byte
	for i := range b {
		b[i] = byte(i)
	}
	return string(b[:])
}()
