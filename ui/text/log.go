package text

import (
	"slices"
	"strings"

	"fathom/internal/safe"
	"fathom/theme"
	"fathom/ui/draw"
)

// LogView shows a [Ring]: the newest lines while it follows, or a place that stays when it does not. It is not safe for
// concurrent use. Make one with [NewLogView].
type LogView struct {
	th     *theme.Theme
	ring   *Ring
	p      pager
	empty  safe.Text
	follow bool
	times  bool
	prefix bool

	filter  func(*Line) bool
	seqs    []uint64 // of the lines that pass the filter, from head on; unused without one
	head    int
	scanned uint64 // lines below that number have been looked at
	anchor  uint64 // number of the line at the top

	highlight MatchFunc
	scratch   []draw.Span
	marks     []match
	buf       []byte
}

// NewLogView makes a view that follows, shows prefixes and does not wrap.
func NewLogView(th *theme.Theme, ring *Ring) *LogView {
	v := &LogView{th: th, ring: ring, follow: true, prefix: true, empty: safe.Lit("no lines yet")}
	v.p.src = v
	return v
}

// count is the number of lines that pass the filter.
func (v *LogView) count() int {
	if v.filter == nil {
		return v.ring.Len()
	}
	return len(v.seqs) - v.head
}

// seq is the number of the i-th of them.
func (v *LogView) seq(i int) uint64 {
	if v.filter == nil {
		return v.ring.First() + uint64(i)
	}
	return v.seqs[v.head+i]
}

// line makes the spans of the i-th of them: time, prefix and text.
func (v *LogView) line(i int) []draw.Span {
	l := v.ring.At(v.seq(i))
	v.scratch = v.scratch[:0]
	if l == nil {
		return v.scratch
	}
	if l.Marker {
		return v.marker(l)
	}
	if v.times && !l.Time.IsZero() {
		v.buf = l.Time.AppendFormat(v.buf[:0], "15:04:05.000 ")
		v.scratch = append(v.scratch, draw.Span{Text: safe.Bytes(v.buf), Style: theme.Dim})
	}
	if v.prefix && len(l.Prefix) > 0 {
		v.scratch = append(v.scratch, l.Prefix...)
		if last := l.Prefix[len(l.Prefix)-1].Text; !strings.HasSuffix(last.String(), " ") {
			v.scratch = append(v.scratch, draw.Span{Text: safe.Lit(" ")})
		}
	}
	v.scratch = append(v.scratch, l.Text...)
	return v.scratch
}

func (v *LogView) marker(l *Line) []draw.Span {
	const before = 4
	h := string(v.th.Glyphs().Horizontal)
	rule := func(n int) draw.Span {
		return draw.Span{Text: safe.String(strings.Repeat(h, max(n, 1))), Style: theme.Marked}
	}
	v.scratch = append(v.scratch, rule(before), draw.Span{Text: safe.Lit(" ")})
	switch {
	case len(l.Text) > 0:
		v.scratch = append(v.scratch, l.Text...)
		v.scratch = append(v.scratch, draw.Span{Text: safe.Lit(" ")})
	case !l.Time.IsZero():
		v.scratch = append(v.scratch, draw.Span{Text: safe.String(l.Time.Format("15:04:05 ")), Style: theme.Marked})
	}
	return append(v.scratch, rule(v.p.w-draw.SpansWidth(v.scratch)))
}

// sync looks at the lines that came since the last time, and finds the place again. Every line is filtered once.
func (v *LogView) sync() {
	first := v.ring.First()
	if v.filter != nil {
		for v.head < len(v.seqs) && v.seqs[v.head] < first {
			v.head++
		}
		if v.head > 1024 && v.head > len(v.seqs)/2 {
			v.seqs = slices.Delete(v.seqs, 0, v.head)
			v.head = 0
		}
		for v.scanned = max(v.scanned, first); v.scanned < v.ring.End(); v.scanned++ {
			if l := v.ring.At(v.scanned); l.Marker || v.filter(l) {
				v.seqs = append(v.seqs, v.scanned)
			}
		}
	}
	i := min(v.index(v.anchor), max(v.count()-1, 0))
	if i < v.count() && v.seq(i) != v.anchor { // that line is gone: go on with the nearest there is
		v.p.sub = 0
	}
	v.p.top = i
}

// index is the place of the first line with number seq or more.
func (v *LogView) index(seq uint64) int {
	if v.filter != nil {
		i, _ := slices.BinarySearch(v.seqs[v.head:], seq)
		return i
	}
	return int(min(max(seq, v.ring.First()), v.ring.End()) - v.ring.First())
}

// settle ends a movement: at the bottom the view follows.
func (v *LogView) settle() {
	v.follow = v.p.clamp()
	v.keep()
}

// keep remembers the line at the top by its number.
func (v *LogView) keep() {
	v.anchor = v.ring.End()
	if v.p.top < v.count() {
		v.anchor = v.seq(v.p.top)
	}
}

// Move moves n rows down, or up when n is negative. Moving up stops following, arriving at the bottom resumes it.
func (v *LogView) Move(n int) {
	v.sync()
	if v.follow {
		v.p.top, v.p.sub = v.p.end()
	}
	v.p.move(n)
	v.settle()
}

// Page moves n screens down, or up when n is negative.
func (v *LogView) Page(n int) { v.Move(n * max(1, v.p.h-1)) }

// HalfPage moves n half screens down, or up when n is negative.
func (v *LogView) HalfPage(n int) { v.Move(n * max(1, v.p.h/2)) }

// Top goes to the oldest line kept.
func (v *LogView) Top() {
	v.sync()
	v.p.top, v.p.sub = 0, 0
	v.settle()
}

// Bottom goes to the newest line and follows.
func (v *LogView) Bottom() { v.follow = true }

// SetFollow makes the view follow, or stay where it is.
func (v *LogView) SetFollow(on bool) { v.follow = on }

// Following reports whether new lines are scrolled in.
func (v *LogView) Following() bool { return v.follow }

// Left scrolls a third of the width to the left, unless wrapped.
func (v *LogView) Left() { v.p.sideways(-max(1, v.p.w/3)) }

// Right scrolls a third of the width to the right, unless wrapped.
func (v *LogView) Right() { v.p.sideways(max(1, v.p.w/3)) }

// SetWrap switches between soft wrap and scrolling sideways.
func (v *LogView) SetWrap(on bool) { v.p.setWrap(on) }

// Wrapped reports whether long lines are wrapped.
func (v *LogView) Wrapped() bool { return v.p.wrap }

// SetTimes shows or hides the time of each line.
func (v *LogView) SetTimes(on bool) { v.times = on }

// Times reports whether the time of each line is shown.
func (v *LogView) Times() bool { return v.times }

// SetPrefix shows or hides the prefix of each line.
func (v *LogView) SetPrefix(on bool) { v.prefix = on }

// Prefixed reports whether prefixes are shown.
func (v *LogView) Prefixed() bool { return v.prefix }

// SetEmpty sets what is shown when there are no lines.
func (v *LogView) SetEmpty(msg safe.Text) { v.empty = msg }

// SetFilter shows only the lines for which keep is true, and the markers; nil shows all. The lines in the ring are looked at
// once now, new ones as they come.
func (v *LogView) SetFilter(keep func(*Line) bool) {
	v.filter = keep
	v.seqs, v.head, v.scanned = nil, 0, 0
}

// SetHighlight highlights what find finds in the visible lines, time and prefix included; nil ends it.
func (v *LogView) SetHighlight(find MatchFunc) { v.highlight = find }

// Each calls f with the lines that pass the filter, from the oldest, until it returns false: for saving and copying.
func (v *LogView) Each(f func(*Line) bool) {
	v.sync()
	for i := range v.count() {
		if l := v.ring.At(v.seq(i)); l != nil && !f(l) {
			return
		}
	}
}

// Position is how many lines pass the filter, how many of them are below the screen, and how many lines are in the ring, as
// of the last Draw.
func (v *LogView) Position() (matching, below, total int) {
	n := v.count()
	return n, max(0, n-1-v.p.last), v.ring.Len()
}

// Draw draws the visible rows.
func (v *LogView) Draw(a draw.Area, _ bool) {
	v.sync()
	v.p.resize(a.W(), a.H())
	if a.W() <= 0 || a.H() <= 0 {
		return
	}
	if v.count() == 0 {
		drawMessage(a, v.empty)
		return
	}
	if v.follow {
		v.p.top, v.p.sub = v.p.end()
	} else {
		v.p.clamp()
	}
	v.keep()
	if v.highlight == nil {
		v.p.draw(a, v.th, nil)
		return
	}
	v.p.draw(a, v.th, func(_ int, line []draw.Span) []match {
		var s string
		s, v.buf = joined(v.buf, line)
		v.marks = checked(v.marks[:0], v.highlight(s), len(s))
		return v.marks
	})
}
