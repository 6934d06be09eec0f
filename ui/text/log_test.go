package text

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/charmbracelet/x/exp/golden"

	"fathom/internal/safe"
	"fathom/theme"
	"fathom/ui/draw"
)

func logLine(i int) Line {
	return Line{Text: []draw.Span{{Text: safe.Sprintf("line %d", i)}}}
}

func fill(r *Ring, from, to int) {
	for i := from; i < to; i++ {
		r.Append(logLine(i))
	}
}

func TestRing(t *testing.T) {
	r := NewRing(100, 1<<20)
	fill(r, 0, 1000)
	if r.Len() != 100 || r.First() != 900 || r.End() != 1000 || r.Dropped() != 900 {
		t.Errorf("Len %d, First %d, End %d, Dropped %d", r.Len(), r.First(), r.End(), r.Dropped())
	}
	for seq := r.First(); seq < r.End(); seq++ {
		if got, want := r.At(seq).String(), fmt.Sprintf("line %d", seq); got != want {
			t.Fatalf("At(%d) is %q, want %q", seq, got, want)
		}
	}
	if r.At(899) != nil || r.At(1000) != nil {
		t.Error("there is a line that is not kept")
	}
	r.Clear()
	if r.Len() != 0 || r.Bytes() != 0 || r.End() != 1000 || r.Dropped() != 900 {
		t.Errorf("after Clear: Len %d, Bytes %d, End %d, Dropped %d", r.Len(), r.Bytes(), r.End(), r.Dropped())
	}
	fill(r, 1000, 1001)
	if got := r.At(1000).String(); got != "line 1000" {
		t.Errorf("after Clear the next line is %q", got)
	}
}

func TestRingIsBoundedInBytes(t *testing.T) {
	const limit = 10_000
	r := NewRing(1_000_000, limit)
	rnd := rand.New(rand.NewPCG(1, 1))
	for range 5000 {
		l := Line{Text: []draw.Span{{Text: safe.String(strings.Repeat("x", rnd.IntN(300)))}}}
		r.Append(l)
		sum := 0
		for seq := r.First(); seq < r.End(); seq++ {
			sum += r.At(seq).size()
		}
		if sum != r.Bytes() || sum > limit {
			t.Fatalf("the lines take %d bytes, Bytes says %d, the limit is %d", sum, r.Bytes(), limit)
		}
	}
	r.Append(Line{Text: []draw.Span{{Text: safe.String(strings.Repeat("x", 2*limit))}}})
	if r.Len() != 1 {
		t.Errorf("of lines larger than the limit %d are kept, want the newest", r.Len())
	}
}

func TestFollow(t *testing.T) {
	r := NewRing(100, 1<<20)
	v := NewLogView(unicodeTheme, r)
	frame := func() []string { return strings.Split(show(unicodeTheme, v, 40, 5), "\n") }
	expect := func(top, bottom string, following bool) {
		t.Helper()
		if f := frame(); f[0] != top || f[4] != bottom || v.Following() != following {
			t.Errorf("%q to %q (following: %v), want %q to %q (%v)", f[0], f[4], v.Following(), top, bottom, following)
		}
	}
	if f := frame(); f[0] != "no lines yet" {
		t.Errorf("an empty log shows %q", f[0])
	}
	fill(r, 0, 3)
	expect("line 0", "", true)
	v.Move(-1) // everything is on screen: nothing to scroll to
	fill(r, 3, 50)
	expect("line 45", "line 49", true)
	v.Move(-10)
	expect("line 35", "line 39", false)
	fill(r, 50, 90)
	expect("line 35", "line 39", false)
	if n, below, total := v.Position(); n != 90 || below != 50 || total != 90 {
		t.Errorf("Position is %d, %d below, %d", n, below, total)
	}
	v.Move(49)
	expect("line 84", "line 88", false)
	v.Move(1)
	expect("line 85", "line 89", true)
	fill(r, 90, 100)
	expect("line 95", "line 99", true)
	v.SetFollow(false)
	fill(r, 100, 110)
	expect("line 95", "line 99", false)
	v.Bottom()
	expect("line 105", "line 109", true)
	v.Top()
	expect("line 10", "line 14", false)
	fill(r, 110, 130) // the ring drops what was on screen
	expect("line 30", "line 34", false)
	v.Page(100)
	expect("line 125", "line 129", true)
	r.Clear()
	if f := frame(); f[0] != "no lines yet" {
		t.Errorf("a cleared log shows %q", f[0])
	}
}

func TestFilterIsIncremental(t *testing.T) {
	r := NewRing(100, 1<<20)
	v := NewLogView(unicodeTheme, r)
	fill(r, 0, 50)
	asked := 0
	v.SetFilter(func(l *Line) bool {
		asked++
		return strings.HasSuffix(l.String(), "7")
	})
	frame := func() string { return show(unicodeTheme, v, 40, 3) }
	if got := frame(); got != "line 27\nline 37\nline 47" {
		t.Errorf("filtered:\n%s", got)
	}
	r.Append(Line{Marker: true, Text: []draw.Span{{Text: safe.Lit("here")}}})
	fill(r, 51, 80)
	if got := frame(); got != "line 57\nline 67\nline 77" || asked != 79 {
		t.Errorf("filtered, with %d calls for 79 lines:\n%s", asked, got)
	}
	v.Move(-2)
	if got := frame(); !strings.HasPrefix(got, "line 47\n──── here ──") {
		t.Errorf("the marker does not pass the filter:\n%s", got)
	}
	fill(r, 80, 160) // 47 and the marker are dropped
	if got := frame(); got != "line 67\nline 77\nline 87" {
		t.Errorf("after the place was dropped:\n%s", got)
	}
	if n, _, total := v.Position(); n != 10 || total != 100 {
		t.Errorf("%d of %d lines pass, want 10 of 100", n, total)
	}
	var all []string
	v.Each(func(l *Line) bool { all = append(all, l.String()); return len(all) < 3 })
	if !slices.Equal(all, []string{"line 67", "line 77", "line 87"}) {
		t.Errorf("Each gives %v", all)
	}
	v.SetFilter(nil)
	if got := frame(); got != "line 67\nline 68\nline 69" {
		t.Errorf("without filter the place is not kept:\n%s", got)
	}
	v.SetFilter(func(*Line) bool { return false })
	if got := first(frame()); got != "no lines yet" {
		t.Errorf("with nothing passing: %q", got)
	}
}

func TestGoldenLog(t *testing.T) {
	for name, th := range map[string]*theme.Theme{"unicode": unicodeTheme, "ascii": asciiTheme} {
		for _, wrap := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/wrap=%v", name, wrap), func(t *testing.T) {
				r := NewRing(100, 1<<20)
				v := NewLogView(th, r)
				when := time.Date(2026, 11, 21, 9, 30, 0, 0, time.UTC)
				for i := range 6 {
					when = when.Add(1234 * time.Millisecond)
					raw := fmt.Sprintf("\x1b[32mINFO\x1b[0m request %d handled, and a long tail of words that goes beyond the edge\x1b[2J", i)
					r.Append(Line{
						Time:   when,
						Prefix: []draw.Span{{Text: safe.Sprintf("web-%d", i%2), Style: theme.Key}},
						Text:   draw.LogSpans(nil, safe.LogLine([]byte(raw))),
					})
					if i == 3 {
						r.Append(Line{Marker: true, Time: when})
					}
				}
				v.SetTimes(true)
				v.SetWrap(wrap)
				v.SetHighlight(substring("handled"))
				golden.RequireEqual(t, show(th, v, 60, 16))
			})
		}
	}
}

// Random appends, movements, filters and sizes: the place stays while it does not follow, and nothing panics.
func TestLogChurn(t *testing.T) {
	for seed := range uint64(40) {
		rnd := rand.New(rand.NewPCG(seed, 9))
		r := NewRing(1+rnd.IntN(200), 1+rnd.IntN(20_000))
		v := NewLogView(unicodeTheme, r)
		n := 0
		for step := range 300 {
			switch rnd.IntN(12) {
			case 0, 1, 2:
				to := n + rnd.IntN(60)
				for ; n < to; n++ {
					l := logLine(n)
					l.Marker = rnd.IntN(20) == 0
					l.Text = append(l.Text, draw.Span{Text: safe.String(strings.Repeat("世 x", rnd.IntN(20)))})
					r.Append(l)
				}
			case 3:
				v.Move(rnd.IntN(30) - 20)
			case 4:
				v.Page(rnd.IntN(5) - 3)
			case 5:
				v.SetWrap(rnd.IntN(2) == 0)
			case 6:
				v.SetTimes(rnd.IntN(2) == 0)
				v.SetPrefix(rnd.IntN(2) == 0)
			case 7:
				v.Right()
			case 8:
				v.SetFilter(nil)
				if m := rnd.IntN(5); m > 0 {
					v.SetFilter(func(l *Line) bool { return len(l.String())%m == 0 })
				}
			case 9:
				v.Top()
			case 10:
				v.SetFollow(rnd.IntN(2) == 0)
			case 11:
				if rnd.IntN(10) == 0 {
					r.Clear()
				}
			}
			show(unicodeTheme, v, rnd.IntN(50), rnd.IntN(8))
			if v.count() > 0 && (v.p.top < 0 || v.p.top >= v.count()) {
				t.Fatalf("seed %d step %d: line %d of %d is at the top", seed, step, v.p.top, v.count())
			}
		}
	}
}

func BenchmarkAppend(b *testing.B) {
	r := NewRing(50_000, 64<<20)
	raw := []byte("2026-11-21T09:30:00Z INFO request handled path=/api/v1/things status=200 took=1.2ms")
	b.ReportAllocs()
	for b.Loop() {
		r.Append(Line{Text: draw.LogSpans(nil, safe.LogLine(raw))})
	}
}

// A frame of a log that gets 1000 lines between frames, filtered: what 10,000 lines a second cost at ten frames.
func BenchmarkTail(b *testing.B) {
	r := NewRing(50_000, 64<<20)
	v := NewLogView(unicodeTheme, r)
	v.SetWrap(true)
	v.SetFilter(func(l *Line) bool { return strings.Contains(l.String(), "handled") })
	raw := []byte("2026-11-21T09:30:00Z INFO request handled path=/api/v1/things status=200 took=1.2ms")
	c := draw.NewCanvas(200, 60)
	b.ReportAllocs()
	for b.Loop() {
		for range 1000 {
			r.Append(Line{Text: draw.LogSpans(nil, safe.LogLine(raw))})
		}
		v.Draw(c.Area(), true)
	}
}
