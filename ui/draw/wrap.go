package draw

import (
	"strings"

	"fathom/internal/safe"
)

// Wrap breaks untrusted text at blanks and line ends into rows of at most width cells. Nothing else of it is left out: there may be two blanks in
// a name, or a tab.
func Wrap(s string, width int) []safe.Text {
	var rows []safe.Text
	cur, begun := "", false
	s = safe.String(strings.ReplaceAll(strings.TrimSpace(s), "\n", " ")).String()
	for w := range strings.SplitSeq(s, " ") {
		for safe.String(w).Width() > width && width > 0 { // a word that is longer than a row goes on in the next
			if begun {
				rows = append(rows, safe.String(cur))
				begun = false
			}
			n := Cells(w, width)
			rows = append(rows, safe.String(w[:n]))
			w = w[n:]
		}
		switch {
		case !begun:
			cur, begun = w, true
		case safe.String(cur+" "+w).Width() > width:
			rows = append(rows, safe.String(cur))
			cur = w
		default:
			cur += " " + w
		}
	}
	return append(rows, safe.String(cur))
}

// Cells is how many bytes of s, at least those of one character, fit into so many cells.
func Cells(s string, width int) int {
	for i, r := range s {
		if i > 0 && safe.String(s[:i+len(string(r))]).Width() > width {
			return i
		}
	}
	return len(s)
}
