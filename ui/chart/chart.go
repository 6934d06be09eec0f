// Package chart draws small pictures of numbers: bars, stacked bars, sparklines and grids of cells. They are pure functions
// of their arguments. A picture never stands alone: the numbers are in text beside it, because a bar cannot be read aloud, copied
// or told apart in a theme without colour.
package chart

import (
	"math"
	"strconv"

	"fathom/internal/safe"
	"fathom/theme"
	"fathom/ui/draw"
)

// Level is how a bar's value compares with its thresholds.
type Level uint8

// Levels.
const (
	Normal Level = iota
	Warn         // at or above WarnAt
	Bad          // at or above BadAt, or above the total
)

// Gauge is a value of a total.
type Gauge struct {
	Value, Total float64
	WarnAt       float64   // part of Total, 0 to 1, from which on it is a warning; 0: never
	BadAt        float64   // part of Total from which on it is bad; 0: only when Value is above Total
	Label        safe.Text // the numbers in words: "3.2/8 cores"; empty: the percentage
	LabelW       int       // least cells for the label, so that bars under each other are of one length
}

// Level compares the value with the thresholds. A total that is not positive has no level.
func (g Gauge) Level() Level {
	part, ok := g.part()
	switch {
	case !ok:
		return Normal
	case part > 1, g.BadAt > 0 && part >= g.BadAt:
		return Bad
	case g.WarnAt > 0 && part >= g.WarnAt:
		return Warn
	}
	return Normal
}

// part is the value as a part of the total; not ok when that means nothing.
func (g Gauge) part() (float64, bool) {
	p := g.Value / g.Total
	if !(g.Total > 0) || math.IsNaN(p) || math.IsInf(p, 0) {
		return 0, false
	}
	return max(0, p), true
}

// text is what stands beside the bar.
func (g Gauge) text() safe.Text {
	if !g.Label.IsEmpty() {
		return g.Label
	}
	p, ok := g.part()
	if !ok {
		return safe.Lit("?")
	}
	return safe.String(percent(p))
}

// percent rounds towards the side that does not hide anything: something is never 0% and not everything never 100%.
func percent(p float64) string {
	n := math.Round(p * 100)
	switch {
	case n == 0 && p > 0:
		n = 1
	case n == 100 && p < 1:
		n = 99
	case n == 100 && p > 1:
		n = 101
	}
	return strconv.FormatFloat(min(n, 9999), 'f', 0, 64) + "%"
}

// least is the shortest bar that is drawn; with less room there is only the text.
const least = 4

// Bar draws g into w cells from x on: the bar, a sign when it is at a threshold (its place is kept), and the numbers. Partial cells
// are drawn in eighths where the theme has them. In ASCII the bar stands in brackets.
func Bar(a draw.Area, th *theme.Theme, x, y, w int, g Gauge) {
	w = min(w, a.W()-x)
	label := g.text()
	style, glyph := theme.BarFill, rune(0)
	switch g.Level() {
	case Warn:
		style, glyph = theme.Warn, th.Glyphs().Warn
	case Bad:
		style, glyph = theme.Bad, th.Glyphs().Bad
	}
	const sign = 2
	room := w - max(label.Width(), g.LabelW) - sign - 1
	if room >= least {
		p, _ := g.part()
		fill(a, th, x, y, room, p, style)
		x += room + 1
		w -= room + 1
	}
	if room >= least || glyph != 0 && w > sign {
		if glyph != 0 {
			a.Glyph(x, y, style, glyph)
		}
		x += sign
		w -= sign
	}
	if style == theme.BarFill {
		style = theme.Default
	}
	a.TextAligned(x, y, w, draw.Left, style, label)
}

// fill draws the part p of w cells.
func fill(a draw.Area, th *theme.Theme, x, y, w int, p float64, style theme.Style) {
	g := th.Glyphs()
	if th.ASCII() {
		a.Glyph(x, y, theme.Border, '[')
		a.Glyph(x+w-1, y, theme.Border, ']')
		x, w = x+1, w-2
	}
	steps := len(g.Bar)
	n := int(math.Round(min(p, 1) * float64(w*steps)))
	switch {
	case n == 0 && p > 0:
		n = 1
	case n == w*steps && p < 1:
		n--
	}
	for i := range w {
		switch k := n - i*steps; {
		case k >= steps:
			a.Glyph(x+i, y, style, g.Bar[steps-1])
		case k > 0:
			a.Glyph(x+i, y, style, g.Bar[k-1])
		default:
			a.Glyph(x+i, y, theme.BarEmpty, g.BarEmpty)
		}
	}
}

// Part is a part of a [StackBar].
type Part struct {
	Value float64
	Label safe.Text // what it is, with its number: "12 running"
	Style theme.Style
	Glyph rune // what its cells are drawn with, so that parts differ without colour; 0: the theme's full bar
}

// StackBar draws parts of a total side by side into barW cells of the w from x on, and then their labels, each with the part's
// own glyph before it. Every part that is not 0 gets a cell when there are enough. A total below the sum of the parts counts
// as the sum. It returns the column after the last label.
func StackBar(a draw.Area, th *theme.Theme, x, y, w, barW int, parts []Part, total float64) (next int) {
	w = min(w, a.W()-x)
	barW = min(barW, w)
	if w <= 0 || y < 0 || y >= a.H() {
		return x
	}
	full := th.Glyphs().Bar[len(th.Glyphs().Bar)-1]
	glyph := func(p Part) rune {
		if p.Glyph == 0 {
			return full
		}
		return p.Glyph
	}
	if barW > 0 {
		at := x
		for i, n := range share(parts, total, barW) {
			for range n {
				if i < len(parts) {
					a.Glyph(at, y, parts[i].Style, glyph(parts[i]))
				} else {
					a.Glyph(at, y, theme.BarEmpty, th.Glyphs().BarEmpty)
				}
				at++
			}
		}
	}
	at, end := x+barW, x+w
	for _, p := range parts {
		if p.Label.IsEmpty() || at+3 >= end {
			continue
		}
		if at > x {
			at++
		}
		a.Glyph(at, y, p.Style, glyph(p))
		at = a.Spans(at+2, y, end-at-2, []draw.Span{{Text: p.Label, Style: p.Style}})
	}
	return at
}

// share gives w cells to the parts by the largest remainder, and to each that is not 0 at least one. The last number is
// what remains of the total.
func share(parts []Part, total float64, w int) []int {
	out := make([]int, len(parts)+1)
	values := make([]float64, len(parts)+1)
	sum := 0.0
	for i, p := range parts {
		if p.Value > 0 && !math.IsInf(p.Value, 0) {
			values[i] = p.Value
			sum += p.Value
		}
	}
	if total > sum && !math.IsInf(total, 0) {
		values[len(parts)] = total - sum
		sum = total
	}
	if !(sum > 0) || math.IsInf(sum, 0) {
		out[len(parts)] = w
		return out
	}
	left := w
	for i, v := range values {
		out[i] = int(v / sum * float64(w))
		left -= out[i]
	}
	for ; left > 0; left-- {
		best, most := 0, math.Inf(-1)
		for i, v := range values {
			if r := v/sum*float64(w) - float64(out[i]); r > most {
				best, most = i, r
			}
		}
		out[best]++
	}
	for i, v := range values[:len(parts)] {
		if v == 0 || out[i] > 0 {
			continue
		}
		rich := 0
		for j := range out {
			if out[j] > out[rich] {
				rich = j
			}
		}
		if out[rich] > 1 || rich == len(parts) && out[rich] > 0 {
			out[rich]--
			out[i]++
		}
	}
	return out
}

// Spark makes a sparkline of at most w cells of the last values, one cell each, scaled from 0 to the largest of those shown.
// NaN, which stands for no measurement, is a blank; negative values count as 0.
func Spark(th *theme.Theme, values []float64, w int) safe.Text {
	if w <= 0 {
		return safe.Text{}
	}
	values = values[max(0, len(values)-w):]
	high := 0.0
	for _, v := range values {
		if !math.IsInf(v, 0) && v > high {
			high = v
		}
	}
	steps := th.Glyphs().Spark
	out := make([]rune, len(values))
	for i, v := range values {
		switch {
		case math.IsNaN(v):
			out[i] = ' '
		case math.IsInf(v, 1):
			out[i] = steps[len(steps)-1]
		case high == 0 || v <= 0:
			out[i] = steps[0]
		default:
			out[i] = steps[min(len(steps)-1, int(v/high*float64(len(steps))))]
		}
	}
	return safe.String(string(out))
}
