package text

import (
	"time"

	"fathom/ui/draw"
)

// Line is a line of a log. It must not be changed once it is in a [Ring].
type Line struct {
	Time   time.Time   // zero: not known
	Prefix []draw.Span // pod or container; may be shared by many lines
	Text   []draw.Span
	Marker bool // a line drawn across by the user, not part of the log; Text is its caption, or else Time. It passes every filter.
}

// String is the text without time and prefix.
func (l *Line) String() string {
	s, _ := joined(nil, l.Text)
	return s
}

// size is about what the line takes in memory, in bytes.
func (l *Line) size() int {
	const line, span = 96, 24
	n := line + len(l.Text)*span
	for i := range l.Text {
		n += len(l.Text[i].Text.String())
	}
	return n
}

// Ring keeps the newest lines of a log, bounded in number and bytes. Every line has a sequence number, from 0, that it keeps.
// Appending is O(1) amortised. It is not safe for concurrent use: the goroutine that draws also appends.
type Ring struct {
	buf      []Line
	head     int // index of the oldest
	n        int
	first    uint64 // sequence number of the oldest
	dropped  uint64
	bytes    int
	maxLines int
	maxBytes int
}

// NewRing makes a ring for at most maxLines lines and about maxBytes bytes, whichever is less. The newest line is kept even if
// it is larger than that.
func NewRing(maxLines, maxBytes int) *Ring {
	return &Ring{maxLines: max(maxLines, 1), maxBytes: max(maxBytes, 1)}
}

// Append adds a line; the oldest ones go when there is no room.
func (r *Ring) Append(l Line) {
	if r.n == r.maxLines {
		r.drop()
	}
	if r.n == len(r.buf) {
		grown := make([]Line, min(max(64, 2*len(r.buf)), r.maxLines))
		k := copy(grown, r.buf[r.head:])
		copy(grown[k:], r.buf[:r.head])
		r.buf, r.head = grown, 0
	}
	r.buf[(r.head+r.n)%len(r.buf)] = l
	r.n++
	r.bytes += l.size()
	for r.bytes > r.maxBytes && r.n > 1 {
		r.drop()
	}
}

func (r *Ring) drop() {
	r.bytes -= r.buf[r.head].size()
	r.buf[r.head] = Line{}
	r.head = (r.head + 1) % len(r.buf)
	r.n--
	r.first++
	r.dropped++
}

// Clear forgets all lines. They do not count as dropped, and the numbers go on.
func (r *Ring) Clear() {
	r.first += uint64(r.n)
	r.buf, r.head, r.n, r.bytes = nil, 0, 0, 0
}

// Len is the number of lines kept.
func (r *Ring) Len() int { return r.n }

// Bytes is about what they take in memory.
func (r *Ring) Bytes() int { return r.bytes }

// First is the number of the oldest line kept.
func (r *Ring) First() uint64 { return r.first }

// End is the number the next line will get.
func (r *Ring) End() uint64 { return r.first + uint64(r.n) }

// Dropped is how many lines had to go because there was no room.
func (r *Ring) Dropped() uint64 { return r.dropped }

// At is the line with number seq, or nil when it is not kept.
func (r *Ring) At(seq uint64) *Line {
	if seq < r.first || seq >= r.End() {
		return nil
	}
	return &r.buf[(r.head+int(seq-r.first))%len(r.buf)]
}
