package draw

import (
	"math"
	"strings"
	"testing"

	"github.com/charmbracelet/x/ansi"

	"fathom/internal/safe"
	"fathom/theme"
)

func text(s string) safe.Text { return safe.String(s) }

// rows compares the canvas with what it should look like.
func rows(t *testing.T, c *Canvas, want ...string) {
	t.Helper()
	if got := c.Plain(); got != strings.Join(want, "\n") {
		t.Errorf("the canvas is\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
}

func TestTextIsCutAtTheEdges(t *testing.T) {
	for _, tt := range []struct {
		name, in string
		x, w     int
		want     string
		next     int
	}{
		{"fits", "abc", 1, 6, " abc", 4},
		{"fits exactly", "abc", 0, 3, "abc", 3},
		{"cut", "abcd", 0, 3, "ab…", 3},
		{"cut to one", "abcd", 2, 3, "  …", 3},
		{"beyond", "abc", 3, 3, "", 3},
		{"far beyond", "abc", math.MaxInt, 3, "", math.MaxInt},
		{"left of it", "abcd", -2, 4, "cd", 2},
		{"far left of it", "abcd", -9, 4, "", -5},
		{"left and right of it", "abcdefgh", -2, 3, "cd…", 3},
		{"wide", "日本", 0, 4, "日本", 4},
		{"wide cut", "日本語", 0, 5, "日本…", 5},
		{"wide cut leaves a blank", "日本語", 0, 4, "日 …", 4},
		{"half a wide one on the left", "日本", -1, 4, " 本", 3},
		{"wide in one cell", "日", 0, 1, "…", 1},
		{"marks", "e\u0301x", 0, 2, "e\u0301x", 2},
		{"marks and a cut", "e\u0301xyz", 0, 3, "e\u0301x…", 3},
		{"controls", "\x1b[2J", 0, 4, "␛[2J", 4},
	} {
		c := NewCanvas(tt.w, 1)
		if next := c.Area().Text(tt.x, 0, theme.Default, text(tt.in)); next != tt.next {
			t.Errorf("%s: next column %d, want %d", tt.name, next, tt.next)
		}
		if got := c.Plain(); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestWideCharactersAreNeverHalf(t *testing.T) {
	for x, want := range map[int]string{0: "x 本語", 1: " x本語", 2: "日x 語", 3: "日 x語", 5: "日本 x"} {
		c := NewCanvas(6, 1)
		c.Area().Text(0, 0, theme.Warn, text("日本語"))
		c.Area().Text(x, 0, theme.Default, text("x"))
		if got := c.Plain(); got != want {
			t.Errorf("x at %d: %q, want %q", x, got, want)
		}
	}
	c := NewCanvas(6, 1)
	c.Area().Text(0, 0, theme.Default, text("日本語"))
	c.Area().Text(1, 0, theme.Default, text("中国"))
	rows(t, c, " 中国")
	// Another area may have drawn the other half.
	c.Area().Sub(Rect{X: 2, W: 2, H: 1}).Clear()
	rows(t, c, "") // both characters lost a half
}

func TestAlignAndSpans(t *testing.T) {
	c := NewCanvas(10, 6)
	a := c.Area()
	a.TextAligned(2, 0, 5, Right, theme.Default, text("42"))
	a.TextAligned(2, 1, 5, Left, theme.Default, text("longer"))
	a.TextAligned(8, 2, 5, Right, theme.Default, text("ab")) // the field is cut by the area
	if n := a.Spans(1, 3, 8, []Span{{Text: text("ab")}, {Text: text("cd"), Style: theme.Bad}}); n != 5 {
		t.Errorf("next column %d, want 5", n)
	}
	if n := a.Spans(1, 4, 4, []Span{{Text: text("abcd")}, {Text: text("x")}}); n != 5 { // cut between two spans
		t.Errorf("next column %d, want 5", n)
	}
	a.Text(0, 5, theme.Default, text("0123456789"))
	a.Spans(10, 5, 4, []Span{{Text: text("x")}}) // nothing to draw, nothing to overwrite
	a.Spans(3, 5, 0, []Span{{Text: text("x")}})
	rows(t, c, "     42", "  long…", "", " abcd", " abc…", "0123456789")
	c.Clear()
	a.TextAligned(8, 0, 5, Right, theme.Default, text("abcde"))
	rows(t, c, "        a…", "", "", "", "", "")
}

func TestRender(t *testing.T) {
	th := theme.New(theme.Options{})
	c := NewCanvas(8, 5)
	a := c.Area()
	a.Text(0, 0, theme.Default, text("plain"))
	a.Text(0, 1, theme.Bad, text("bad"))
	a.Text(3, 1, theme.Default, text("ok"))
	a.Text(0, 2, theme.Warn, text("日"))
	a.Fill(Rect{X: 2, Y: 2, W: 1, H: 1}, theme.Warn)
	a.Text(0, 3, theme.Good, text("g"))
	a.Mark(Rect{Y: 3, W: 3, H: 1}, theme.Reverse)
	want := strings.Join([]string{
		"plain",
		th.SGR(theme.Bad) + "bad" + theme.Reset + "ok",
		th.SGR(theme.Warn) + "日 " + theme.Reset,
		th.SGR(theme.Good|theme.Reverse) + "g" + th.SGR(theme.Reverse) + "  " + theme.Reset,
		"",
	}, "\n")
	if got := c.Render(th); got != want {
		t.Errorf("rendered\n%q\nwant\n%q", got, want)
	}
}

func TestRenderASCII(t *testing.T) {
	th := theme.New(theme.Options{ASCII: true})
	c := NewCanvas(12, 2)
	c.Area().Text(0, 0, theme.Default, text("e\u0301 日 \x1b[2J…é"))
	c.Area().Glyph(0, 1, theme.Border, '╭')
	got := c.Render(th)
	if want := "e ?  ^[2J~?\n" + th.SGR(theme.Border) + "+" + theme.Reset; got != want {
		t.Errorf("rendered %q, want %q", got, want)
	}
}

func TestGlyphRefusesWhatIsNotOneCell(t *testing.T) {
	c := NewCanvas(12, 1)
	for i, r := range []rune{0x1b, '\n', 0x7f, 0x9b, 0x202e, 0x200d, 0x0301, '日', 0xfe0f, -1, '│', '✓'} {
		c.Area().Glyph(i, 0, theme.Default, r)
	}
	rows(t, c, "??????????│✓")
}

func TestBox(t *testing.T) {
	th := theme.New(theme.Options{})
	c := NewCanvas(20, 4)
	in := c.Area().Box([]Span{{Text: text(" pods ")}}, []Span{{Text: text(" ✓ live ")}}, true, th)
	in.Text(0, 0, theme.Default, text("a long line that is cut"))
	rows(t, c, "╭─ pods ── ✓ live ─╮", "│a long line that …│", "│                  │", "╰──────────────────╯")
	if in.W() != 18 || in.H() != 2 {
		t.Errorf("inside is %dx%d", in.W(), in.H())
	}
	// The state has precedence over the title.
	c.Resize(16, 2)
	in = c.Area().Box([]Span{{Text: text(" deployments ")}}, []Span{{Text: text(" stale ")}}, false, th)
	rows(t, c, "╭─ de…─ stale ─╮", "╰──────────────╯")
	if in.H() != 0 {
		t.Errorf("a box of two rows has %d rows inside", in.H())
	}
	for w := range 9 {
		for h := range 4 {
			c.Resize(w, h)
			in := c.Area().Box([]Span{{Text: text("日本語")}}, []Span{{Text: text("stale")}}, true, th)
			if in.W() != 0 && in.W() != w-2 || in.H() != 0 && in.H() != h-2 {
				t.Errorf("inside of %dx%d is %dx%d", w, h, in.W(), in.H())
			}
		}
	}
}

func TestNothingPanicsOutside(t *testing.T) {
	th := theme.New(theme.Options{})
	extremes := []int{math.MinInt, -3, -1, 0, 1, 2, 5, math.MaxInt}
	for _, size := range [][2]int{{0, 0}, {1, 1}, {3, 2}, {-1, 4}} {
		c := NewCanvas(size[0], size[1])
		for _, x := range extremes {
			for _, w := range extremes {
				r := Rect{X: x, Y: x, W: w, H: w}
				for _, a := range []Area{c.Area(), c.Area().Sub(r), c.Area().Sub(r).Sub(r), {}} {
					drawAll(a, x, w, r, text("日a\u0301本"), th)
				}
			}
		}
		c.Render(th)
	}
}

func drawAll(a Area, x, w int, r Rect, tx safe.Text, th *theme.Theme) {
	a.Sub(r).Text(0, 0, theme.Good, tx)
	a.Text(x, w, theme.Default, tx)
	a.Text(w, x, theme.Default, tx)
	a.TextAligned(x, 0, w, Right, theme.Bad, tx)
	a.TextAligned(x, 1, w, Left, theme.Bad, tx)
	a.Spans(x, 0, w, []Span{{Text: tx}, {Text: tx, Style: theme.Warn}})
	a.Glyph(x, w, theme.Default, '│')
	a.Fill(r, theme.Warn)
	a.Mark(r, theme.Reverse)
	a.Box([]Span{{Text: tx}}, []Span{{Text: tx}}, true, th)
	a.Clear()
	a.Text(x, 0, theme.Info, tx)
}

func TestSubIsClippedToItsParent(t *testing.T) {
	c := NewCanvas(6, 4)
	a := c.Area().Sub(Rect{X: 1, Y: 1, W: 3, H: 2})
	a.Sub(Rect{X: 1, Y: 0, W: 100, H: 100}).Fill(Rect{W: 100, H: 100}, theme.Warn)
	for i, v := range c.cells {
		x, y := i%6, i/6
		inside := x >= 2 && x <= 3 && y >= 1 && y <= 2
		if (v.style == theme.Warn) != inside {
			t.Errorf("cell %d,%d has style %d", x, y, v.style)
		}
	}
}

func TestRectContains(t *testing.T) {
	r := Rect{X: 1, Y: 2, W: 2, H: 1}
	for _, tt := range []struct {
		x, y int
		want bool
	}{{1, 2, true}, {2, 2, true}, {3, 2, false}, {0, 2, false}, {1, 3, false}, {1, 1, false}} {
		if got := r.Contains(tt.x, tt.y); got != tt.want {
			t.Errorf("Contains(%d, %d) = %t", tt.x, tt.y, got)
		}
	}
}

func TestLogSpans(t *testing.T) {
	got := LogSpans(nil, safe.LogLine([]byte("\x1b[1;31mE\x1b[0m x")))
	if len(got) != 2 || got[0].Style != theme.Log(2, 0, true, false) || got[1].Style != theme.Default || SpansWidth(got) != 3 {
		t.Errorf("spans %+v", got)
	}
}

// frame draws what a full screen of two panes and a table looks like.
func frame(c *Canvas, th *theme.Theme, names []safe.Text, title, state []Span) {
	c.Clear()
	a := c.Area()
	in := a.Box(title, state, true, th)
	for y := range in.H() {
		style := theme.Default
		if y%7 == 3 {
			style = theme.Bad
		}
		in.Glyph(0, y, theme.Good, th.Glyphs().Good)
		in.TextAligned(2, y, in.W()/2, Left, style, names[y%len(names)])
		in.TextAligned(in.W()/2+3, y, 12, Right, theme.Dim, names[0])
		in.Spans(in.W()/2+16, y, in.W(), title)
		in.Glyph(in.W()-1, y, theme.BarFill, '█')
	}
	in.Mark(Rect{Y: 2, W: in.W(), H: 1}, theme.Reverse)
}

var (
	frameNames = []safe.Text{text("kube-system/coredns-5d78c9869d-x2x9q"), text("日本語 pod é"), text("e\u0301vil \x1b[2J")}
	frameTitle = []Span{{Text: text(" pods "), Style: theme.Title}, {Text: text("all namespaces"), Style: theme.Dim}}
	frameState = []Span{{Text: text(" ✓ live "), Style: theme.Good}}
)

func TestFrameAllocatesOnlyItsString(t *testing.T) {
	for _, o := range []theme.Options{{}, {Name: "deep"}, {ASCII: true}} {
		th := theme.New(o)
		c := NewCanvas(200, 60)
		draw := func() {
			frame(c, th, frameNames, frameTitle, frameState)
			_ = c.Render(th)
		}
		draw() // the buffer grows once
		if n := testing.AllocsPerRun(50, draw); n > 1 {
			t.Errorf("%+v: a frame allocates %v times", o, n)
		}
	}
}

func BenchmarkFrame(b *testing.B) {
	for name, size := range map[string][2]int{"80x24": {80, 24}, "200x60": {200, 60}} {
		b.Run(name, func(b *testing.B) {
			th := theme.New(theme.Options{})
			c := NewCanvas(size[0], size[1])
			b.ReportAllocs()
			for b.Loop() {
				frame(c, th, frameNames, frameTitle, frameState)
				_ = c.Render(th)
			}
		})
	}
}

// FuzzArea draws hostile text at any place of any area: nothing outside the area changes, no character is halved, and no
// row is wider than the canvas.
func FuzzArea(f *testing.F) {
	for _, s := range []string{"", "abc", "日本語", "e\u0301\u0301\u0301\u0301", "\x1b[2J", "a日b本c", "👍", "\u202e", strings.Repeat("日", 50)} {
		f.Add(s, 0, 0, 10, 3, 0, 5)
		f.Add(s, 3, 1, 4, 1, -1, 3)
		f.Add(s, -2, -1, 5, 9, 2, 1)
	}
	th := theme.New(theme.Options{})
	f.Fuzz(func(t *testing.T, s string, x, y, w, h, at, field int) {
		const cw, ch = 17, 4
		c := NewCanvas(cw, ch)
		for row := range ch {
			c.Area().Text(0, row, theme.Default, text(".日.日.日.日.日."))
		}
		a := c.Area().Sub(Rect{X: x, Y: y, W: w, H: h})
		inside := a.r
		a.Text(at, 0, theme.Warn, text(s))
		a.TextAligned(at, 1, field, Right, theme.Warn, text(s))
		a.Spans(at, 2, field, []Span{{Text: text(s), Style: theme.Warn}, {Text: text(s), Style: theme.Warn}})
		for i, v := range c.cells {
			cx, cy := i%cw, i/cw
			if v.style == theme.Warn && !inside.Contains(cx, cy) {
				t.Fatalf("%q in %+v changed the cell %d,%d", s, inside, cx, cy)
			}
			switch v.kind {
			case lead:
				if cx+1 >= cw || c.cells[i+1].kind != tail {
					t.Fatalf("%q: half a character at %d,%d", s, cx, cy)
				}
			case tail:
				if cx == 0 || c.cells[i-1].kind != lead {
					t.Fatalf("%q: the second half of nothing at %d,%d", s, cx, cy)
				}
			}
		}
		for i, row := range strings.Split(c.Render(th), "\n") {
			if n := ansi.StringWidth(row); n > cw {
				t.Fatalf("%q: row %d is %d cells: %q", s, i, n, row)
			}
		}
	})
}
