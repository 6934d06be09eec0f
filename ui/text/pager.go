package text

import (
	"fathom/theme"
	"fathom/ui/draw"
)

// lines is what a pager shows. line may reuse its memory: the result is valid until the next call.
type lines interface {
	count() int
	line(i int) []draw.Span
}

// pager is a window on lines: which row is at the top, wrapped or scrolled sideways. It looks at no line that is not
// near the screen.
type pager struct {
	src    lines
	wrap   bool
	top    int  // the first visible line
	sub    int  // the first visible row of that line, when wrapped
	x      int  // cells scrolled out at the left, when not wrapped
	w, h   int  // of the last area
	last   int  // the last line drawn, even in part
	more   bool // the last draw left something out at the right
	starts []pos
	spans  []draw.Span
}

// rows is the number of rows line i takes.
func (p *pager) rows(i int) int {
	if !p.wrap {
		return 1
	}
	p.starts = wrap(p.starts[:0], p.src.line(i), p.w)
	return len(p.starts)
}

// end is the lowest place of the window: the last row at the bottom of the screen.
func (p *pager) end() (top, sub int) {
	n := p.src.count()
	h := max(p.h, 1)
	if !p.wrap {
		return max(0, n-h), 0
	}
	for i := n - 1; i >= 0; i-- {
		r := p.rows(i)
		if r >= h {
			return i, r - h
		}
		h -= r
	}
	return 0, 0
}

// clamp keeps the window within the lines and reports whether it is at its lowest.
func (p *pager) clamp() (bottom bool) {
	if p.top < 0 {
		p.top, p.sub = 0, 0
	}
	if top, sub := p.end(); p.top > top || p.top == top && p.sub >= sub {
		p.top, p.sub = top, sub
		return true
	}
	if p.sub > 0 { // the line may have fewer rows than when the window was put there
		p.sub = min(p.sub, p.rows(p.top)-1)
	}
	return false
}

// move moves the window n rows down or up.
func (p *pager) move(n int) {
	const far = 1 << 12
	count := p.src.count()
	n = min(max(n, -count-far), count+far)
	switch {
	case !p.wrap:
		p.top += n
		n = 0
	case n > far: // nobody counts rows over that distance
		p.top, n = p.top+n-far, far
	case n < -far:
		p.top, n = p.top+n+far, -far
	}
	p.top = min(max(p.top, 0), max(count-1, 0))
	for ; n > 0; n-- {
		if p.sub+1 < p.rows2(p.top) {
			p.sub++
		} else if p.top+1 < count {
			p.top, p.sub = p.top+1, 0
		} else {
			break
		}
	}
	for ; n < 0; n++ {
		if p.sub > 0 {
			p.sub--
		} else if p.top > 0 {
			p.top--
			p.sub = p.rows2(p.top) - 1
		} else {
			break
		}
	}
}

// rows2 is rows for a line that may not be there.
func (p *pager) rows2(i int) int {
	if i < 0 || i >= p.src.count() {
		return 1
	}
	return p.rows(i)
}

// sideways scrolls n cells to the right or left.
func (p *pager) sideways(n int) {
	if !p.wrap && (n < 0 || p.more) {
		p.x = max(0, p.x+n)
		p.more = false // until the next draw has seen what that brought
	}
}

// resize takes the size of the area; the first visible character stays visible.
func (p *pager) resize(w, h int) {
	if p.wrap && w != p.w && p.sub > 0 && p.top < p.src.count() {
		old := wrap(p.starts[:0], p.src.line(p.top), p.w)
		p.starts = old
		abs := old[min(p.sub, len(old)-1)].abs
		p.w = w
		p.sub = p.rowOf(p.top, abs)
	}
	p.w, p.h = w, h
}

// rowOf is the row of line i that holds byte abs.
func (p *pager) rowOf(i, abs int) int {
	n := p.rows(i)
	if !p.wrap {
		return 0
	}
	for n > 1 && p.starts[n-1].abs > abs {
		n--
	}
	return n - 1
}

// setWrap switches wrapping; the first visible line stays.
func (p *pager) setWrap(on bool) {
	if on != p.wrap {
		p.wrap, p.sub, p.x = on, 0, 0
	}
}

// draw draws the visible rows. matches gives the ranges to highlight in a line.
func (p *pager) draw(a draw.Area, th *theme.Theme, matches func(i int, line []draw.Span) []match) {
	n := p.src.count()
	y := 0
	p.last, p.more = p.top, false
	for i := p.top; i < n && y < p.h; i++ {
		p.last = i
		line := p.src.line(i)
		var ms []match
		if matches != nil {
			ms = matches(i, line)
		}
		end := pos{span: len(line)}
		if !p.wrap {
			from, blank := skip(line, p.x)
			p.more = p.more || draw.SpansWidth(line) > p.x+a.W()
			p.spans = cut(p.spans[:0], line, from, end, ms)
			a.Spans(blank, y, a.W()-blank, p.spans)
			if p.x > 0 && len(line) > 0 {
				a.Glyph(0, y, theme.Dim, th.Glyphs().ScrollLeft)
			}
			y++
			continue
		}
		p.starts = wrap(p.starts[:0], line, p.w)
		from := 0
		if i == p.top {
			from = min(p.sub, len(p.starts)-1)
		}
		for k := from; k < len(p.starts) && y < p.h; k++ {
			to := end
			if k+1 < len(p.starts) {
				to = p.starts[k+1]
			}
			p.spans = cut(p.spans[:0], line, p.starts[k], to, ms)
			a.Spans(0, y, a.W(), p.spans)
			y++
		}
	}
}

// reveal brings byte abs of line i on screen, at a third of it, unless it is there already.
func (p *pager) reveal(i, abs int) {
	if !p.wrap {
		if i < p.top || i >= p.top+max(p.h, 1) {
			p.top = max(0, i-p.h/3)
		}
		switch x := cellOf(p.src.line(i), abs); {
		case x < p.w*3/4:
			p.x = 0
		case x <= p.x || x >= p.x+p.w-8:
			p.x = max(0, x-p.w/3)
		}
		p.clamp()
		return
	}
	row := p.rowOf(i, abs)
	if i > p.top || i == p.top && row >= p.sub {
		below := -p.sub
		for k := p.top; k < i && below < p.h; k++ {
			below += p.rows(k)
		}
		if below+row < p.h {
			return
		}
	}
	p.top, p.sub = i, row
	p.move(-(p.h / 3))
	p.clamp()
}
