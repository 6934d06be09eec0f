package text

import (
	"unicode"
	"unicode/utf8"

	"github.com/charmbracelet/x/ansi"

	"fathom/internal/safe"
	"fathom/theme"
	"fathom/ui/draw"
)

// pos is a place within a line: a span and a byte of its text, and the byte counted from the start of the line.
type pos struct{ span, off, abs int }

// match is a range of bytes of a line to highlight.
type match struct {
	from, to int
	current  bool
}

// charAt is the length in bytes and the width in cells of the first character of s, which is part of a safe.Text, with the
// combining marks that belong to it.
func charAt(s string) (n, width int) {
	if s[0] < utf8.RuneSelf && (len(s) == 1 || s[1] < utf8.RuneSelf) {
		return 1, 1
	}
	r, n := utf8.DecodeRuneInString(s)
	width = 1
	if r >= 0x1100 { // nothing below is wide
		width = max(1, ansi.StringWidthWc(s[:n]))
	}
	for n < len(s) && s[n] >= utf8.RuneSelf {
		m, size := utf8.DecodeRuneInString(s[n:])
		if !unicode.Is(unicode.Mn, m) {
			break
		}
		n += size
	}
	return n, width
}

// plain reports that every byte of t is a character of one cell: no other character has as many cells as bytes.
func plain(t safe.Text) bool { return t.Width() == len(t.String()) }

// wrap appends to starts where the rows of a line begin that is wrapped at w cells. There is always a first row.
func wrap(starts []pos, line []draw.Span, w int) []pos {
	starts = append(starts, pos{})
	w = max(w, 1)
	used, abs := 0, 0
	for i := range line {
		s := line[i].Text.String()
		if plain(line[i].Text) {
			for off := w - used; off < len(s); off += w {
				starts = append(starts, pos{i, off, abs + off})
			}
			switch n := used + len(s); {
			case len(s) == 0:
			case n%w == 0:
				used = w
			default:
				used = n % w
			}
			abs += len(s)
			continue
		}
		for off := 0; off < len(s); {
			n, width := charAt(s[off:])
			if used+width > w && used > 0 {
				starts = append(starts, pos{i, off, abs + off})
				used = 0
			}
			used += width
			off += n
		}
		abs += len(s)
	}
	return starts
}

// skip is the place of the first character of a line that begins at cell x or after it, and how many cells after.
func skip(line []draw.Span, x int) (p pos, blank int) {
	cells := 0
	for i := range line {
		s := line[i].Text.String()
		if plain(line[i].Text) {
			if cells >= x {
				return pos{i, 0, p.abs}, cells - x
			}
			if cells+len(s) > x {
				p.off = x - cells
				p.abs += p.off
				return p, 0
			}
			cells += len(s)
		} else {
			for off := 0; off < len(s); {
				if cells >= x {
					return pos{i, off, p.abs + off}, cells - x
				}
				n, width := charAt(s[off:])
				cells += width
				off += n
			}
		}
		p.span, p.abs = i+1, p.abs+len(s)
	}
	return p, max(0, cells-x)
}

// cellOf is the cell at which byte abs of a line is drawn when it is not wrapped.
func cellOf(line []draw.Span, abs int) int {
	cells := 0
	for i := range line {
		s := line[i].Text.String()
		if abs >= len(s) {
			abs -= len(s)
			cells += line[i].Text.Width()
			continue
		}
		for off := 0; off < abs; {
			n, width := charAt(s[off:])
			cells += width
			off += n
		}
		break
	}
	return cells
}

// cut appends to dst the spans of a line from one place to another (a span beyond the line is its end), with matches
// in the style of matches.
func cut(dst []draw.Span, line []draw.Span, from, to pos, matches []match) []draw.Span {
	abs := from.abs - from.off
	for i := from.span; i < len(line) && i <= to.span; i++ {
		t := line[i].Text
		s := t.String()
		a, b := 0, len(s)
		if i == from.span {
			a = from.off
		}
		if i == to.span {
			b = to.off
		}
		for a < b {
			end, style := b, line[i].Style
			for len(matches) > 0 && matches[0].to <= abs+a {
				matches = matches[1:]
			}
			if len(matches) > 0 {
				m := matches[0]
				switch {
				case m.from > abs+a:
					end = min(end, m.from-abs)
				default:
					end = min(end, m.to-abs)
					style = theme.Match
					if m.current {
						style |= theme.Reverse
					}
				}
			}
			part := t
			if a > 0 || end < len(s) {
				part = safe.String(s[a:end])
			}
			dst = append(dst, draw.Span{Text: part, Style: style})
			a = end
		}
		abs += len(s)
	}
	return dst
}

// joined is the text of a line.
func joined(buf []byte, line []draw.Span) (string, []byte) {
	switch len(line) {
	case 0:
		return "", buf
	case 1:
		return line[0].Text.String(), buf
	}
	buf = buf[:0]
	for i := range line {
		buf = append(buf, line[i].Text.String()...)
	}
	return string(buf), buf
}

// checked appends the ranges of found that lie within n bytes, in order and without overlap.
func checked(dst []match, found [][2]int, n int) []match {
	last := 0
	for _, f := range found {
		if f[0] < last || f[1] <= f[0] || f[1] > n {
			continue
		}
		dst = append(dst, match{from: f[0], to: f[1]})
		last = f[1]
	}
	return dst
}
