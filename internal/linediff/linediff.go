// Package linediff compares two texts line by line.
package linediff

import (
	"slices"
	"strings"
)

// Kind says in which of the two texts a line is.
type Kind uint8

// Kinds of lines.
const (
	Same    Kind = iota // in both
	Removed             // in the old one only
	Added               // in the new one only
)

// Line is one line of a comparison.
type Line struct {
	Kind     Kind
	Old, New int    // its number in the old and in the new text, from 1; 0 where it is not
	Text     string // without its line end
}

// Hunk is a run of lines that differ, with the equal ones around them.
type Hunk struct {
	Skipped int // equal lines that are left out before it
	Lines   []Line
}

// maxEdits bounds the work: it grows with the square of the number of lines that differ, a million steps and 8 MB for this many.
const maxEdits = 1000

// Lines compares two texts and returns all lines of both in order, by Myers' algorithm ("An O(ND) Difference Algorithm and Its
// Variations", 1986) between their common beginning and end. Where more than 1000 lines differ, everything between is given as
// removed and added: true, though longer than it need be. When the last line of one has no line end and that of the
// other has, it says so.
func Lines(before, after string) []Line {
	a, b := split(before), split(after)
	if open := unended(before); open != unended(after) && before != "" && after != "" {
		side := a
		if !open {
			side = b
		}
		side[len(side)-1] += noEnd
	}
	head := 0
	for head < len(a) && head < len(b) && a[head] == b[head] {
		head++
	}
	tail := 0
	for tail < len(a)-head && tail < len(b)-head && a[len(a)-1-tail] == b[len(b)-1-tail] {
		tail++
	}
	out := make([]Line, 0, max(len(a), len(b)))
	at := func(x, y int, k Kind) {
		switch k {
		case Same:
			out = append(out, Line{Same, x + 1, y + 1, a[x]})
		case Removed:
			out = append(out, Line{Removed, x + 1, 0, a[x]})
		case Added:
			out = append(out, Line{Added, 0, y + 1, b[y]})
		}
	}
	for i := range head {
		at(i, i, Same)
	}
	x, y := head, head
	for _, k := range middle(a[head:len(a)-tail], b[head:len(b)-tail]) {
		at(x, y, k)
		if k != Added {
			x++
		}
		if k != Removed {
			y++
		}
	}
	for i := range tail {
		at(x+i, y+i, Same)
	}
	return out
}

// noEnd marks a last line that has no line end, when the other text's has one.
const noEnd = " (no line end)"

func split(s string) []string {
	if s == "" {
		return nil
	}
	lines := strings.Split(s, "\n")
	if last := len(lines) - 1; lines[last] == "" {
		return lines[:last]
	}
	return lines
}

// unended reports whether the last line of a text has no line end.
func unended(s string) bool { return s != "" && !strings.HasSuffix(s, "\n") }

// middle is the shortest edit script of two lists that differ in their first and last lines.
func middle(a, b []string) []Kind {
	n, m := len(a), len(b)
	if n == 0 || m == 0 {
		return replaced(n, m)
	}
	// v[k] is how far along a the furthest path on diagonal k (k = x - y) has come; trace keeps it for every number of edits.
	limit := min(n+m, maxEdits)
	v := make([]int, 2*limit+2)
	var trace [][]int
	for d := 0; d <= limit; d++ {
		for k := -d; k <= d; k += 2 {
			var x int
			if k == -d || k != d && v[limit+k-1] < v[limit+k+1] {
				x = v[limit+k+1]
			} else {
				x = v[limit+k-1] + 1
			}
			for x < n && x-k < m && x-k >= 0 && a[x] == b[x-k] {
				x++
			}
			v[limit+k] = x
			if x >= n && x-k >= m {
				return back(trace, n, m, d)
			}
		}
		trace = append(trace, append([]int(nil), v[limit-d:limit+d+1]...)) // only what d edits can have reached
	}
	return replaced(n, m)
}

// back walks the trace from the end.
func back(trace [][]int, x, y, d int) []Kind {
	var rev []Kind
	for ; d > 0; d-- {
		prev := trace[d-1] // diagonals -(d-1) to d-1
		get := func(k int) int {
			if i := k + d - 1; i >= 0 && i < len(prev) {
				return prev[i]
			}
			return -1
		}
		k := x - y
		pk := k - 1
		if k == -d || k != d && get(k-1) < get(k+1) {
			pk = k + 1
		}
		px := get(pk)
		py := px - pk
		for x > px && y > py {
			rev = append(rev, Same)
			x--
			y--
		}
		if pk == k+1 {
			rev = append(rev, Added)
		} else {
			rev = append(rev, Removed)
		}
		x, y = px, py
	}
	for range x { // without edits: equal to the beginning
		rev = append(rev, Same)
	}
	slices.Reverse(rev)
	return rev
}

func replaced(n, m int) []Kind {
	out := make([]Kind, 0, n+m)
	for range n {
		out = append(out, Removed)
	}
	for range m {
		out = append(out, Added)
	}
	return out
}

// Count is how many lines were removed and added.
func Count(lines []Line) (removed, added int) {
	for _, l := range lines {
		switch l.Kind {
		case Removed:
			removed++
		case Added:
			added++
		}
	}
	return removed, added
}

// Hunks leaves out the equal lines that are further than context lines from one that differs. It returns nothing when no line
// differs. after is how many equal lines are left out behind the last hunk.
func Hunks(lines []Line, context int) (hunks []Hunk, after int) {
	end := 0 // lines[:end] are in a hunk or left out
	for i := 0; i < len(lines); {
		if lines[i].Kind == Same {
			i++
			continue
		}
		begin := max(i-context, end)
		last := i
		for j := i; j < len(lines) && j-last <= 2*context; j++ {
			if lines[j].Kind != Same {
				last = j
			}
		}
		stop := min(last+1+context, len(lines))
		hunks = append(hunks, Hunk{Skipped: begin - end, Lines: lines[begin:stop]})
		end, i = stop, stop
	}
	if len(hunks) == 0 {
		return nil, len(lines)
	}
	return hunks, len(lines) - end
}
