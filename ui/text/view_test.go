package text

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"

	"github.com/charmbracelet/x/ansi"
	"github.com/charmbracelet/x/exp/golden"

	"fathom/internal/safe"
	"fathom/theme"
	"fathom/ui/draw"
)

var (
	unicodeTheme = theme.New(theme.Options{})
	asciiTheme   = theme.New(theme.Options{ASCII: true, NoColor: true})
)

type drawer interface{ Draw(draw.Area, bool) }

func show(th *theme.Theme, v drawer, w, h int) string {
	c := draw.NewCanvas(w, h)
	v.Draw(c.Area(), true)
	return ansi.Strip(c.Render(th))
}

func plainLines(s ...string) [][]draw.Span {
	out := make([][]draw.Span, len(s))
	for i := range s {
		out[i] = []draw.Span{{Text: safe.String(s[i])}}
	}
	return out
}

func numbered(n int) [][]draw.Span {
	s := make([]string, n)
	for i := range s {
		s[i] = fmt.Sprintf("line %d", i)
	}
	return plainLines(s...)
}

func substring(what string) MatchFunc {
	re := regexp.MustCompile(regexp.QuoteMeta(what))
	return func(s string) (out [][2]int) {
		for _, m := range re.FindAllStringIndex(s, -1) {
			out = append(out, [2]int{m[0], m[1]})
		}
		return out
	}
}

const manifest = `apiVersion: v1
kind: Pod
metadata:
  name: checkout-7c9d8b6f5-x2x4z
  annotations:
    description: "a long annotation that says rather a lot about a pod, more than fits on a line of a terminal of eighty columns, and then some"
    greeting: "你好，世界 — これは幅の広い文字でできた行で、折り返しの位置が文字の途中に来てはならない。"
spec:
  nodeName: worker-1
status:
  phase: Running`

// yaml colours keys, so that lines have several spans.
func yaml() (out [][]draw.Span) {
	for _, t := range safe.Lines([]byte(manifest)) {
		key, value, _ := strings.Cut(t.String(), ":")
		out = append(out, []draw.Span{{Text: safe.String(key), Style: theme.SyntaxKey}, {Text: safe.Lit(":"), Style: theme.SyntaxPunct}, {Text: safe.String(value)}})
	}
	return out
}

func TestGolden(t *testing.T) {
	for name, th := range map[string]*theme.Theme{"unicode": unicodeTheme, "ascii": asciiTheme} {
		for _, w := range []int{40, 80, 120} {
			for _, wrap := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s/%d/wrap=%v", name, w, wrap), func(t *testing.T) {
					v := NewView(th)
					v.SetLines(yaml())
					v.SetWrap(wrap)
					golden.RequireEqual(t, show(th, v, w, 20))
				})
			}
		}
	}
	t.Run("sideways", func(t *testing.T) {
		v := NewView(unicodeTheme)
		v.SetLines(yaml())
		show(unicodeTheme, v, 40, 12)
		v.Right()
		v.Right()
		golden.RequireEqual(t, show(unicodeTheme, v, 40, 12))
		for range 100 {
			v.Right()
			show(unicodeTheme, v, 40, 12)
		}
		if s := show(unicodeTheme, v, 40, 12); !strings.Contains(s, "some") {
			t.Errorf("Right goes on where there is nothing more:\n%s", s)
		}
	})
}

// Wrapped at any width, the rows joined are the line: nothing is lost, doubled or cut.
func TestWrapLosesNothing(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	pieces := []string{"a", "bc", " ", "hello world", "é", "é", "世", "界界", "", "–", strings.Repeat("x", 50)}
	for range 2000 {
		var line []draw.Span
		var all strings.Builder
		for range r.IntN(8) {
			s := ""
			for range r.IntN(4) {
				s += pieces[r.IntN(len(pieces))]
			}
			t := safe.String(s)
			line = append(line, draw.Span{Text: t})
			all.WriteString(t.String())
		}
		w := 2 + r.IntN(30)
		starts := wrap(nil, line, w)
		starts = append(starts, pos{span: len(line), abs: all.Len()})
		got := ""
		for k := range len(starts) - 1 {
			row := ""
			for _, s := range cut(nil, line, starts[k], starts[k+1], nil) {
				row += s.Text.String()
			}
			if n := ansi.StringWidthWc(row); n > w || k < len(starts)-2 && n < w-1 {
				t.Fatalf("row %d of %q is %d cells, wrapped at %d: %q", k, all.String(), n, w, row)
			}
			if starts[k].abs != len(got) {
				t.Fatalf("row %d of %q begins at byte %d, not %d", k, all.String(), starts[k].abs, len(got))
			}
			got += row
		}
		if got != all.String() {
			t.Fatalf("%q wrapped at %d is %q", all.String(), w, got)
		}
		x := r.IntN(40)
		p, blank := skip(line, x)
		rest := ""
		for _, s := range cut(nil, line, p, pos{span: len(line)}, nil) {
			rest += s.Text.String()
		}
		if !strings.HasSuffix(all.String(), rest) {
			t.Fatalf("%q from cell %d is %q", all.String(), x, rest)
		}
		if total := ansi.StringWidthWc(all.String()); x <= total && ansi.StringWidthWc(rest)+blank != total-x {
			t.Fatalf("%q from cell %d is %q and %d blanks", all.String(), x, rest, blank)
		}
	}
}

func first(s string) string { return strings.SplitN(s, "\n", 2)[0] }

func TestMovement(t *testing.T) {
	v := NewView(unicodeTheme)
	v.SetLines(numbered(100))
	at := func(want string) {
		t.Helper()
		if got := first(show(unicodeTheme, v, 20, 10)); got != want {
			t.Errorf("the first line is %q, want %q", got, want)
		}
	}
	at("line 0")
	v.Move(-5)
	at("line 0")
	v.Page(1)
	at("line 9")
	v.HalfPage(1)
	at("line 14")
	v.Bottom()
	at("line 90")
	v.Move(1 << 60)
	at("line 90")
	v.SetLines(numbered(50))
	at("line 40")
	v.SetLines(numbered(200))
	at("line 40")
	v.Top()
	at("line 0")
	if f, l, n := v.Position(); f != 1 || l != 10 || n != 200 {
		t.Errorf("Position is %d to %d of %d", f, l, n)
	}
	v.SetLines(nil)
	v.SetEmpty(safe.Lit("nothing"))
	at("nothing")
	v.Move(3)
	v.Bottom()
	v.Next()
	at("nothing")
	v.SetEmpty(safe.Lit("reading /registry/x: etcd-2 did not answer in 5s"))
	if s := strings.ReplaceAll(show(unicodeTheme, v, 20, 10), "\n", ""); s != "reading /registry/x: etcd-2 did not answer in 5s" {
		t.Errorf("a long message is cut: %q", s)
	}
}

func TestMovementWrapped(t *testing.T) {
	v := NewView(unicodeTheme)
	v.SetLines(plainLines("short", strings.Repeat("abcdefghij", 100), "end"))
	v.SetWrap(true)
	show(unicodeTheme, v, 10, 5)
	v.Move(50)
	if got := show(unicodeTheme, v, 10, 5); strings.Count(got, "abcdefghij") != 5 {
		t.Errorf("in the middle of a long line:\n%s", got)
	}
	v.Bottom()
	if got := show(unicodeTheme, v, 10, 5); !strings.HasSuffix(got, "abcdefghij\nend") {
		t.Errorf("the bottom is:\n%s", got)
	}
	for range 97 {
		v.Move(-1)
	}
	if got := first(show(unicodeTheme, v, 10, 5)); got != "short" {
		t.Errorf("97 rows up from the bottom is %q, want the top", got)
	}
}

// What is at the top stays there when the width changes.
func TestResizeKeepsThePlace(t *testing.T) {
	var b strings.Builder
	for i := range 500 {
		fmt.Fprintf(&b, "%04d ", i)
	}
	v := NewView(unicodeTheme)
	v.SetLines(plainLines("x", b.String(), "y"))
	v.SetWrap(true)
	show(unicodeTheme, v, 50, 5)
	v.Move(21) // 10 numbers a row: 0200 is first
	if got := first(show(unicodeTheme, v, 50, 5)); !strings.HasPrefix(got, "0200") {
		t.Fatalf("the top is %q", got)
	}
	for _, w := range []int{20, 100, 50, 35} {
		if got := first(show(unicodeTheme, v, w, 5)); !strings.Contains(got, "0200") {
			t.Errorf("at %d cells the top is %q, want 0200 in it", w, got)
		}
	}
}

func TestSearch(t *testing.T) {
	for _, wrapped := range []bool{false, true} {
		v := NewView(unicodeTheme)
		lines := numbered(1000)
		lines[500] = plainLines(strings.Repeat(".", 300) + "needle and needle")[0]
		lines[20] = []draw.Span{{Text: safe.Lit("nee")}, {Text: safe.Lit("dle"), Style: theme.Bad}}
		v.SetLines(lines)
		v.SetWrap(wrapped)
		show(unicodeTheme, v, 40, 10)
		expect := func(k, n int) {
			t.Helper()
			if gk, gn, more := v.Match(); gk != k || gn != n || more {
				t.Errorf("match %d of %d (%v), want %d of %d", gk, gn, more, k, n)
			}
			if s := show(unicodeTheme, v, 40, 10); n > 0 && !strings.Contains(strings.ReplaceAll(s, "\n", ""), "needle") {
				t.Errorf("match %d is not on screen (wrap %v):\n%s", k, wrapped, s)
			}
		}
		v.SetSearch(substring("needle"))
		expect(1, 3)
		v.Next()
		expect(2, 3)
		v.Next()
		expect(3, 3)
		v.Next()
		expect(1, 3)
		v.Prev()
		expect(3, 3)
		v.SetLines(append(plainLines("needle"), lines...))
		if k, n, _ := v.Match(); k != 3 || n != 4 {
			t.Errorf("after new lines it is match %d of %d", k, n)
		}
		v.Top()
		v.SetSearch(substring("nowhere"))
		expect(0, 0)
		if v.Next() {
			t.Error("Next finds what is not there")
		}
		v.SetSearch(nil)
		expect(0, 0)
		v.SetSearch(func(string) [][2]int { return [][2]int{{-1, 3}, {2, 1}, {0, 1 << 40}} })
		expect(0, 0)
		v.SetSearch(substring("e"))
		show(unicodeTheme, v, 40, 10)
	}
}

func TestMatchesAreHighlighted(t *testing.T) {
	v := NewView(unicodeTheme)
	v.SetLines([][]draw.Span{{{Text: safe.Lit("one nee")}, {Text: safe.Lit("dle two"), Style: theme.Good}}})
	v.SetSearch(substring("needle"))
	c := draw.NewCanvas(40, 1)
	v.Draw(c.Area(), true)
	match, good := unicodeTheme.SGR(theme.Match|theme.Reverse), unicodeTheme.SGR(theme.Good)
	if got, want := c.Render(unicodeTheme), "one "+match+"needle"+good+" two"+theme.Reset; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestTooManyMatches(t *testing.T) {
	v := NewView(unicodeTheme)
	v.SetLines(plainLines(strings.Repeat("a", 2*MaxMatches)))
	v.SetSearch(substring("a"))
	if _, n, more := v.Match(); n != MaxMatches || !more {
		t.Errorf("%d matches, more: %v", n, more)
	}
}

func TestEverySize(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	v := NewView(unicodeTheme)
	v.SetLines(append(yaml(), numbered(30)...))
	v.SetSearch(substring("e"))
	for range 3000 {
		switch r.IntN(9) {
		case 0:
			v.SetWrap(r.IntN(2) == 0)
		case 1:
			v.Right()
		case 2:
			v.Left()
		case 3:
			v.Bottom()
		case 4:
			v.Top()
		case 5:
			v.Next()
		case 6:
			v.Page(r.IntN(5) - 2)
		case 7:
			v.Move(r.IntN(20) - 10)
		case 8:
			v.SetLines(append(yaml(), numbered(r.IntN(40))...))
		}
		w, h := r.IntN(60), r.IntN(8)
		s := show(unicodeTheme, v, w, h)
		if w > 0 && h > 0 && !v.Wrapped() && v.p.x == 0 && strings.TrimSpace(s) == "" {
			t.Fatalf("nothing is drawn at %dx%d, top %d of %d", w, h, v.p.top, v.Len())
		}
	}
}

func BenchmarkDrawWrapped(b *testing.B) {
	for _, n := range []int{100, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			v := NewView(unicodeTheme)
			lines := numbered(n)
			v.SetLines(lines)
			v.SetWrap(true)
			c := draw.NewCanvas(120, 40)
			v.Draw(c.Area(), true)
			v.Bottom()
			b.ReportAllocs()
			for b.Loop() {
				v.Move(-1)
				v.Draw(c.Area(), true)
			}
		})
	}
}

func BenchmarkSearch(b *testing.B) {
	v := NewView(unicodeTheme)
	v.SetLines(numbered(100_000))
	for b.Loop() {
		v.SetSearch(substring("line 99999"))
	}
}
