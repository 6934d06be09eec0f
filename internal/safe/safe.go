// Package safe turns untrusted bytes into text that may be drawn.
//
// Everything that comes out of a cluster is untrusted: names, annotations, log lines, events, etcd keys and values, server
// warnings and errors. [Text] is the only type the drawing layer accepts, and the constructors of this package are the only
// way to make one, so nothing reaches the screen, the window title or the clipboard without having passed here.
package safe

// Text is text without any control function: no C0, DEL or C1 controls (as bytes or as UTF-8), no bidi or zero-width
// controls, no line or paragraph separators, no invalid UTF-8. What was there is shown as visible text. The zero Text is
// empty.
type Text struct{ s string }

// literal is unexported so that only untyped constants of the caller's source convert to it.
type literal string

// Lit makes a Text of a constant of our own source code. It does not compile for anything else.
func Lit(s literal) Text { return String(string(s)) }

// String returns the text for use in widths, comparisons and tests.
func (t Text) String() string { return t.s }

// IsEmpty reports whether there is nothing to draw.
func (t Text) IsEmpty() bool { return t.s == "" }
