// Package safe turns untrusted bytes into text that may be drawn.
//
// Everything that comes out of a cluster is untrusted: names, annotations, log lines, events, etcd keys and values, server
// warnings and errors. [Text] is the only type the drawing layer accepts, and the constructors of this package are the only
// way to make one, so nothing reaches the screen, the window title or the clipboard without having passed here
// (CVE-2021-25743, CWE-150).
//
// What is not printable is made visible, not deleted: C0 controls and DEL become their control pictures (␛, ␇, ␡), every
// other code point that is invisible, reorders text or has no agreed width becomes \u{202e}, and a byte that is not UTF-8
// becomes \x{ff}. A backslash of the input stays as it is, so that sanitising twice changes nothing; the escapes are for the eye, not for parsing.
package safe

import (
	"fmt"
	"strings"

	"github.com/charmbracelet/x/ansi"
)

// Text is text without any control function: no C0, DEL or C1 controls (as bytes or as UTF-8), no bidi or zero-width
// controls, no line or paragraph separators, no invalid UTF-8. What was there is shown as visible text. The zero Text is
// empty.
//
// A Text is a sequence of base characters of one or two cells, each followed by at most [MaxMarks] combining marks of no
// width. No two base characters join, so terminals that measure by code point and those that measure by grapheme cluster
// agree on its width.
type Text struct{ s string }

// literal is unexported so that only untyped constants of the caller's source convert to it.
type literal string

// Lit makes a Text of a constant of our own source code. It does not compile for anything else.
func Lit(s literal) Text { return String(string(s)) }

// String makes a Text of s. LF is shown as ␊ and TAB as ␉; see [Lines] for text that has lines. Printable ASCII is
// returned as it is, without allocation.
func String(s string) Text {
	i := plainPrefix(s)
	if i == len(s) {
		return Text{s}
	}
	w := newWriter(s, i)
	w.run(s[i:])
	return Text{string(w.dst)}
}

// Bytes makes a Text of b as [String] does. b is not kept.
func Bytes(b []byte) Text { return String(string(b)) }

// Sprintf formats as fmt.Sprintf does and makes a Text of the result, whatever the arguments bring in.
func Sprintf(format literal, args ...any) Text { return String(fmt.Sprintf(string(format), args...)) }

// Bounded makes a Text of at most maxCells cells of s, ending in … when something was cut off. Its cost depends on
// maxCells and not on the length of s.
func Bounded(s string, maxCells int) Text {
	if maxCells <= 0 {
		return Text{}
	}
	// A cell takes at most one base character and MaxMarks marks of four bytes each, so nothing after that can be drawn.
	head := s[:min(len(s), (maxCells+2)*(MaxMarks+1)*4)]
	i := plainPrefix(head)
	if i == len(s) && i <= maxCells {
		return Text{s}
	}
	i = min(i, maxCells) // one ASCII character is one cell
	w := newWriter(head, i)
	w.limit = maxCells
	w.run(head[i:])
	return Text{string(w.dst)}
}

// BoundedBytes is [Bounded] for bytes. Only the part of b that can be drawn is copied.
func BoundedBytes(b []byte, maxCells int) Text {
	n := min(len(b), (max(maxCells, 0)+3)*(MaxMarks+1)*4)
	return Bounded(string(b[:n]), maxCells)
}

// Concat joins texts without anything between them.
func Concat(parts ...Text) Text { return Join(parts, Text{}) }

// Join joins texts with sep between them.
func Join(parts []Text, sep Text) Text {
	n := 0
	for _, p := range parts {
		n += len(p.s) + len(sep.s)
	}
	var b strings.Builder
	b.Grow(n)
	for i, p := range parts {
		if i > 0 {
			b.WriteString(sep.s)
		}
		b.WriteString(p.s)
	}
	return Text{b.String()}
}

// String returns the text for use in widths, comparisons and tests.
func (t Text) String() string { return t.s }

// IsEmpty reports whether there is nothing to draw.
func (t Text) IsEmpty() bool { return t.s == "" }

// Width is the number of cells the text takes.
func (t Text) Width() int {
	if plainPrefix(t.s) == len(t.s) {
		return len(t.s)
	}
	return ansi.StringWidthWc(t.s) // of a Text it is the same as by grapheme clusters, and cheaper
}

// Truncate returns at most the first w cells of the text, ending in … when something was cut off.
func (t Text) Truncate(w int) Text {
	if len(t.s) <= w && plainPrefix(t.s) == len(t.s) {
		return t
	}
	return Bounded(t.s, w)
}
