// Package draw is the cell grid that panes and widgets draw into. It accepts only sanitised text ([safe.Text]) and semantic
// styles ([theme.Style]), clips everything to the area it was given, and is rendered to a string once per frame.
package draw

import (
	"fathom/internal/safe"
	"fathom/theme"
)

// Rect is a rectangle of cells.
type Rect struct{ X, Y, W, H int }

// Area is a rectangle of a canvas; all coordinates given to its methods are relative to it and clipped to it. Areas are
// values: copying one does not copy cells.
type Area struct {
	c *Canvas
	r Rect
}

// Align is how text shorter than its column is placed.
type Align uint8

// Alignments.
const (
	Left Align = iota
	Right
)

// Span is a run of text in one style.
type Span struct {
	Text  safe.Text
	Style theme.Style
}
