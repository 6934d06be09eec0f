// Package text shows lines of text: YAML, descriptions, help, hex dumps ([View]) and logs ([Ring], [LogView]). Lines are wrapped
// when they are about to be drawn, never all of them, so that the number of lines does not matter.
package text

import (
	"fathom/internal/safe"
	"fathom/theme"
	"fathom/ui/draw"
)

// MaxMatches bounds how many matches of a search are counted.
const MaxMatches = 10_000

// MatchFunc finds the ranges of bytes in a line to highlight, in order and without overlap. Other ranges are left out.
type MatchFunc func(line string) [][2]int

// View is a pager with search. It is not safe for concurrent use. Make one with [NewView].
type View struct {
	th    *theme.Theme
	lines [][]draw.Span
	p     pager
	empty safe.Text

	find   MatchFunc
	hits   []hit
	hit    int // the current one
	more   bool
	unseen bool // the current match has still to be brought on screen
	buf    []byte
	marks  []match
}

// hit is a match of the search.
type hit struct{ line, from, to int }

// NewView makes an empty view that does not wrap.
func NewView(th *theme.Theme) *View {
	v := &View{th: th}
	v.p.src = v
	return v
}

func (v *View) count() int             { return len(v.lines) }
func (v *View) line(i int) []draw.Span { return v.lines[i] }

// SetLines shows lines, which are not copied and must not change. The place stays the same line of the text, as far as there are
// as many, and so does the current match.
func (v *View) SetLines(lines [][]draw.Span) {
	v.lines = lines
	if v.find != nil {
		at := hit{line: v.p.top}
		if v.hit < len(v.hits) {
			at = v.hits[v.hit]
		}
		v.scan(at)
	}
	v.p.clamp()
}

// SetEmpty sets what is shown when there are no lines.
func (v *View) SetEmpty(msg safe.Text) { v.empty = msg }

// Len is the number of lines.
func (v *View) Len() int { return len(v.lines) }

// SetWrap switches between soft wrap and scrolling sideways.
func (v *View) SetWrap(on bool) { v.p.setWrap(on) }

// Wrapped reports whether long lines are wrapped.
func (v *View) Wrapped() bool { return v.p.wrap }

// Move moves n rows down, or up when n is negative.
func (v *View) Move(n int) { v.p.move(n); v.p.clamp() }

// Page moves n screens down, or up when n is negative, less one row to go on reading from.
func (v *View) Page(n int) { v.Move(n * max(1, v.p.h-1)) }

// HalfPage moves n half screens down, or up when n is negative.
func (v *View) HalfPage(n int) { v.Move(n * max(1, v.p.h/2)) }

// Top goes to the first line.
func (v *View) Top() { v.p.top, v.p.sub = 0, 0 }

// Bottom goes to the end: the last line is at the bottom of the screen.
func (v *View) Bottom() { v.p.top, v.p.sub = v.p.end() }

// Left scrolls a third of the width to the left, unless wrapped.
func (v *View) Left() { v.p.sideways(-max(1, v.p.w/3)) }

// Right scrolls a third of the width to the right, unless wrapped.
func (v *View) Right() { v.p.sideways(max(1, v.p.w/3)) }

// Position is the first line on screen, the last, both from 1, and the number of lines, as of the last Draw.
func (v *View) Position() (first, last, total int) {
	if len(v.lines) == 0 {
		return 0, 0, 0
	}
	return v.p.top + 1, min(v.p.last+1, len(v.lines)), len(v.lines)
}

// SetSearch highlights what find finds and goes to the first match on screen or below it, or else to the first of all. nil
// ends the search. It looks at all lines once.
func (v *View) SetSearch(find MatchFunc) {
	v.find = find
	v.hits, v.hit, v.more = v.hits[:0], 0, false
	if find != nil {
		v.scan(hit{line: v.p.top})
		v.show()
	}
}

// scan finds the matches anew and makes the first one from at on the current one.
func (v *View) scan(at hit) {
	v.hits, v.hit, v.more = v.hits[:0], 0, false
	chosen := false
	for i, line := range v.lines {
		var s string
		s, v.buf = joined(v.buf, line)
		v.marks = checked(v.marks[:0], v.find(s), len(s))
		for _, m := range v.marks {
			if len(v.hits) == MaxMatches {
				v.more = true
				return
			}
			if !chosen && (i > at.line || i == at.line && m.from >= at.from) {
				chosen = true
				v.hit = len(v.hits)
			}
			v.hits = append(v.hits, hit{i, m.from, m.to})
		}
	}
}

func (v *View) show() {
	v.unseen = v.p.h == 0 // before there is a screen nobody knows what fits on it
	if v.hit < len(v.hits) && !v.unseen {
		v.p.reveal(v.hits[v.hit].line, v.hits[v.hit].from)
	}
}

// Next goes to the next match, after the last to the first. It returns false when there is none.
func (v *View) Next() bool { return v.step(1) }

// Prev goes to the match before, before the first to the last.
func (v *View) Prev() bool { return v.step(-1) }

func (v *View) step(d int) bool {
	n := len(v.hits)
	if n == 0 {
		return false
	}
	v.hit = (v.hit + d + n) % n
	v.show()
	return true
}

// Match is the number of the current match, from 1, and how many there are; 0, 0 when there are none. more: there are more
// than [MaxMatches], which were not counted.
func (v *View) Match() (k, n int, more bool) {
	if len(v.hits) == 0 {
		return 0, 0, false
	}
	return v.hit + 1, len(v.hits), v.more
}

// Draw draws the visible rows.
func (v *View) Draw(a draw.Area, _ bool) {
	v.p.resize(a.W(), a.H())
	if a.W() <= 0 || a.H() <= 0 {
		return
	}
	if len(v.lines) == 0 {
		drawMessage(a, v.empty)
		return
	}
	if v.unseen {
		v.show()
	}
	v.p.clamp()
	if v.find == nil {
		v.p.draw(a, v.th, nil)
		return
	}
	v.p.draw(a, v.th, v.matches)
}

// drawMessage draws what stands where there are no lines, wrapped: it may be an error that tells what to do.
func drawMessage(a draw.Area, msg safe.Text) {
	line := []draw.Span{{Text: msg, Style: theme.Dim}}
	starts := append(wrap(nil, line, a.W()), pos{span: 1})
	for y := range min(len(starts)-1, a.H()) {
		a.Spans(0, y, a.W(), cut(nil, line, starts[y], starts[y+1], nil))
	}
}

// matches are the matches of line i.
func (v *View) matches(i int, line []draw.Span) []match {
	var s string
	s, v.buf = joined(v.buf, line)
	v.marks = checked(v.marks[:0], v.find(s), len(s))
	if v.hit < len(v.hits) && v.hits[v.hit].line == i {
		for k := range v.marks {
			v.marks[k].current = v.marks[k].from == v.hits[v.hit].from
		}
	}
	return v.marks
}
