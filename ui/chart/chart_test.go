package chart

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/charmbracelet/x/ansi"
	"github.com/charmbracelet/x/exp/golden"

	"fathom/internal/safe"
	"fathom/theme"
	"fathom/ui/draw"
)

var themes = map[string]*theme.Theme{
	"unicode": theme.New(theme.Options{}),
	"ascii":   theme.New(theme.Options{ASCII: true, NoColor: true}),
}

func frame(th *theme.Theme, w, h int, draws func(draw.Area)) string {
	c := draw.NewCanvas(w, h)
	draws(c.Area())
	return ansi.Strip(c.Render(th))
}

func TestGoldenBars(t *testing.T) {
	gauges := []Gauge{
		{Value: 0, Total: 8, Label: safe.Lit("0/8 cores")},
		{Value: 0.001, Total: 8, Label: safe.Lit("1m/8 cores")},
		{Value: 3.3, Total: 8, Label: safe.Lit("3.3/8 cores")},
		{Value: 6.5, Total: 8, WarnAt: 0.8, BadAt: 0.95, Label: safe.Lit("6.5/8 cores")},
		{Value: 7.999, Total: 8, WarnAt: 0.8, BadAt: 0.95, Label: safe.Lit("8/8 cores")},
		{Value: 8, Total: 8, Label: safe.Lit("8/8 cores")},
		{Value: 12, Total: 8, Label: safe.Lit("12/8 cores")},
		{Value: 1, Total: 0, Label: safe.Lit("1 core of an unknown number")},
		{Value: 1, Total: 3},
		{Value: 1, Total: 1000},
		{Value: 999, Total: 1000},
		{Value: math.NaN(), Total: 1000},
	}
	for name, th := range themes {
		for _, w := range []int{10, 30, 80} {
			t.Run(fmt.Sprintf("%s/%d", name, w), func(t *testing.T) {
				golden.RequireEqual(t, frame(th, 80, len(gauges), func(a draw.Area) {
					for y, g := range gauges {
						g.LabelW = 11
						Bar(a, th, 0, y, w, g)
					}
				}))
			})
		}
	}
}

// What is there is never drawn as nothing, and not everything never as everything.
func TestBarDoesNotHide(t *testing.T) {
	for name, th := range themes {
		g := th.Glyphs()
		full := g.Bar[len(g.Bar)-1]
		little := frame(th, 40, 1, func(a draw.Area) { Bar(a, th, 0, 0, 40, Gauge{Value: 1, Total: 1e9}) })
		if !strings.ContainsAny(strings.Fields(little)[0], string(g.Bar)) || !strings.Contains(little, " 1%") {
			t.Errorf("%s: a little is drawn as nothing: %q", name, little)
		}
		nearly := frame(th, 40, 1, func(a draw.Area) { Bar(a, th, 0, 0, 40, Gauge{Value: 1e9 - 1, Total: 1e9}) })
		bar := strings.Trim(strings.Fields(nearly)[0], "[]")
		if strings.Count(bar, string(full)) == ansi.StringWidth(bar) || !strings.Contains(nearly, "99%") {
			t.Errorf("%s: nearly all is drawn as all: %q", name, nearly)
		}
	}
}

func TestGoldenStacks(t *testing.T) {
	th := themes["unicode"]
	part := func(n float64, what string, s theme.Style, glyph rune) Part {
		return Part{Value: n, Label: safe.Sprintf("%v %s", n, what), Style: s, Glyph: glyph}
	}
	for name, th := range themes {
		g := th.Glyphs()
		t.Run(name, func(t *testing.T) {
			golden.RequireEqual(t, frame(th, 80, 5, func(a draw.Area) {
				StackBar(a, th, 0, 0, 80, 20, []Part{part(12, "running", theme.Good, 0), part(3, "pending", theme.Pending, g.Pending), part(1, "failed", theme.Bad, g.Bad)}, 0)
				StackBar(a, th, 0, 1, 80, 20, []Part{part(1000, "running", theme.Good, 0), part(1, "failed", theme.Bad, g.Bad)}, 0)
				StackBar(a, th, 0, 2, 80, 20, []Part{part(5, "used", theme.Good, 0)}, 10)
				StackBar(a, th, 0, 3, 80, 20, nil, 0)
				StackBar(a, th, 0, 4, 40, 10, []Part{part(12, "running", theme.Good, 0), part(3, "pending", theme.Pending, g.Pending), part(1, "failed", theme.Bad, g.Bad)}, 0)
			}))
		})
	}
	for _, w := range []int{0, 1, 2, 3, 5, 100} {
		for _, total := range []float64{0, 1, 1e300, math.Inf(1), math.NaN()} {
			parts := []Part{part(12, "a", theme.Good, 0), part(0, "b", theme.Good, 0), part(0.1, "c", theme.Good, 0), part(-4, "d", theme.Good, 0), part(math.NaN(), "e", theme.Good, 0)}
			sum := 0
			for i, n := range share(parts, total, w) {
				sum += n
				if n < 0 {
					t.Errorf("part %d of %v has %d cells", i, total, n)
				}
			}
			if sum != w {
				t.Errorf("%d cells of %d are shared out for a total of %v", sum, w, total)
			}
			frame(th, w, 1, func(a draw.Area) { StackBar(a, th, 0, 0, w, w, parts, total) })
		}
	}
}

func TestSpark(t *testing.T) {
	th := themes["unicode"]
	for _, c := range []struct {
		values []float64
		w      int
		want   string
	}{
		{nil, 5, ""},
		{[]float64{1, 2}, 0, ""},
		{[]float64{0, 0}, 5, "▁▁"},
		{[]float64{0, 1, 2, 3, 4, 5, 6, 7, 8}, 9, "▁▂▃▄▅▆▇██"},
		{[]float64{100, 0, 1, 2}, 3, "▁▅█"},
		{[]float64{1, math.NaN(), 1, math.Inf(1), -5}, 9, "█ ██▁"},
	} {
		if got := Spark(th, c.values, c.w).String(); got != c.want {
			t.Errorf("Spark(%v, %d) = %q, want %q", c.values, c.w, got, c.want)
		}
	}
	if got := Spark(themes["ascii"], []float64{0, 1, 2, 3, 4}, 9).String(); got != "_.-=#" && got != "_.-##" {
		t.Errorf("in ASCII it is %q", got)
	}
}

func TestGrid(t *testing.T) {
	for _, c := range []struct{ n, w, h, height, shown int }{
		{0, 10, 0, 0, 0}, {10, 10, 0, 1, 10}, {11, 10, 0, 2, 11}, {100, 0, 0, 0, 0},
		{20, 10, 2, 2, 20}, {21, 10, 2, 2, 17}, {1000, 10, 2, 2, 15}, {50, 2, 1, 1, 0}, {-3, 5, 5, 0, 0},
	} {
		g := NewGrid(c.n, c.w, c.h)
		if g.Height() != c.height || g.Shown() != c.shown {
			t.Errorf("a grid of %d in %dx%d is %d high and shows %d, want %d and %d", c.n, c.w, c.h, g.Height(), g.Shown(), c.height, c.shown)
		}
		for i := range max(c.n, 0) {
			x, y, ok := g.Place(i)
			if back, is := g.At(x, y); ok != (i < c.shown) || ok && (!is || back != i) {
				t.Errorf("cell %d of %+v is at %d,%d where At finds %d", i, c, x, y, back)
			}
		}
		if _, ok := g.At(c.w, 0); ok {
			t.Errorf("%+v has a cell right of itself", c)
		}
	}
}

func TestGoldenGrid(t *testing.T) {
	for name, th := range themes {
		t.Run(name, func(t *testing.T) {
			golden.RequireEqual(t, frame(th, 30, 3, func(a draw.Area) {
				NewGrid(100, 20, 3).Draw(a, th, 2, 0, func(i int) Cell {
					if i%9 == 0 {
						return Cell{Glyph: th.Glyphs().Bad, Style: theme.Bad}
					}
					return Cell{Style: theme.Good}
				})
			}))
		})
	}
}

// Nothing is drawn outside the width that was given, whatever that is.
func TestEverySize(t *testing.T) {
	for _, th := range themes {
		for w := range 40 {
			s := frame(th, 40, 2, func(a draw.Area) {
				Bar(a, th, 0, 0, w, Gauge{Value: 7, Total: 8, WarnAt: 0.5, Label: safe.Lit("7/8 cores")})
				StackBar(a, th, 0, 1, w, 9, []Part{{Value: 1, Label: safe.Lit("one")}, {Value: 2, Label: safe.Lit("two")}}, 0)
			})
			for _, line := range strings.Split(s, "\n") {
				if ansi.StringWidth(line) > w {
					t.Errorf("in %d cells: %q", w, line)
				}
			}
			NewGrid(50, w, w%4).Draw(draw.NewCanvas(w, 2).Area(), th, 0, 0, func(int) Cell { return Cell{} })
		}
	}
}
