package table

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"fathom/ui/draw"
)

// churn drives a table with random sources, movements and sizes, and checks after every step what must always hold.
func churn(t *testing.T, seed1, seed2 uint64, steps int) {
	r := rand.New(rand.NewPCG(seed1, seed2))
	c := draw.NewCanvas(0, 0)
	next := 0
	var ids []string
	fresh := func() string { next++; return fmt.Sprintf("id-%d", next) }
	src := newPods()
	tb := newTable(unicodeTheme, src)
	for range r.IntN(40) {
		ids = append(ids, fresh())
	}
	for step := range steps {
		before, had := tb.Cursor()
		_, wasGone := tb.Gone()
		marked := tb.Marked()
		switch op := r.IntN(16); op {
		case 0, 1, 2, 3:
			ids = slices.Clone(ids)
			switch r.IntN(5) {
			case 0:
				r.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
			case 1:
				ids = ids[:0]
			}
			for range r.IntN(6) {
				ids = slices.Insert(ids, r.IntN(len(ids)+1), fresh())
			}
			for range r.IntN(6) {
				if len(ids) > 0 {
					i := r.IntN(len(ids))
					ids = slices.Delete(ids, i, i+1)
				}
			}
			src = newPods(ids...)
			tb.SetSource(src)
			after, has := tb.Cursor()
			_, still := src.Find(before)
			switch {
			case had && still && has && after != before:
				t.Fatalf("step %d: the cursor went from %s to %s though that is still there", step, before, after)
			case had && !still && !wasGone:
				if gone, ok := tb.Gone(); !ok || gone != before {
					t.Fatalf("step %d: %s is gone and Gone says %q %v", step, before, gone, ok)
				}
			}
			for _, id := range tb.Marked() {
				if _, ok := src.Find(id); !ok || !slices.Contains(marked, id) {
					t.Fatalf("step %d: %s is marked", step, id)
				}
			}
		case 4:
			tb.Move(r.IntN(9) - 4)
		case 5:
			tb.Page(r.IntN(5) - 2)
		case 6:
			tb.HalfPage(r.IntN(5) - 2)
		case 7:
			tb.Top()
		case 8:
			tb.Bottom()
		case 9:
			tb.ToggleMark()
		case 10:
			tb.MarkRange()
		case 11:
			tb.Left()
		case 12, 13:
			tb.Right()
		case 14:
			if len(ids) > 0 {
				id := ids[r.IntN(len(ids))]
				_, ok := src.Find(id)
				if tb.MoveTo(id) != ok {
					t.Fatalf("step %d: MoveTo(%s) is not %v", step, id, ok)
				}
				tb.Move(0)
			}
		case 15:
			tb.SetSort(r.IntN(10)-1, r.IntN(2) == 0)
		}
		c.Resize(r.IntN(100), r.IntN(12))
		tb.Draw(c.Area(), r.IntN(2) == 0)
		check(t, step, tb, src, c)
	}
}

func check(t *testing.T, step int, tb *Table, src *pods, c *draw.Canvas) {
	t.Helper()
	id, ok := tb.Cursor()
	i, n := tb.Position()
	if n != src.Len() || ok != (n > 0) {
		t.Fatalf("step %d: position %d of %d with %d rows, cursor %v", step, i, n, src.Len(), ok)
	}
	if !ok {
		return
	}
	if i < 1 || i > n || src.ID(i-1) != id {
		t.Fatalf("step %d: position %d of %d is not the cursor's row %s", step, i, n, id)
	}
	if _, h := c.Size(); h > 0 {
		onScreen := false
		for y := range h {
			if at, ok := tb.RowAt(y); ok && at == id {
				onScreen = true
			}
		}
		if !onScreen {
			t.Fatalf("step %d: the cursor is not on screen (top %d, row %d, %d visible)", step, tb.top, tb.idx, tb.visible)
		}
		if n >= tb.visible && tb.top > n-tb.visible {
			t.Fatalf("step %d: blank lines below the last row", step)
		}
	}
}

func TestChurn(t *testing.T) {
	for seed := range uint64(60) {
		churn(t, seed, 1, 200)
	}
}

func FuzzChurn(f *testing.F) {
	f.Add(uint64(1), uint64(2))
	f.Fuzz(func(t *testing.T, a, b uint64) { churn(t, a, b, 100) })
}

// The cursor's row stays on its line of the screen unless the rows above or below it do not reach.
func TestScreenLineIsKept(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 5))
		ids := slices.Clone(numbered(40).ids)
		tb := newTable(unicodeTheme, newPods(ids...))
		show(tb, 80, 11)
		tb.Move(r.IntN(40))
		tb.Move(-r.IntN(9))
		line := tb.idx - tb.top
		keep, _ := tb.Cursor()
		for range 10 {
			for range r.IntN(8) {
				ids = slices.Insert(ids, r.IntN(len(ids)+1), fmt.Sprintf("new-%d", r.Uint64()))
			}
			for range r.IntN(8) {
				if i := r.IntN(len(ids)); ids[i] != keep {
					ids = slices.Delete(ids, i, i+1)
				}
			}
			src := newPods(ids...)
			tb.SetSource(src)
			show(tb, 80, 11)
			i, _ := src.Find(keep)
			want := min(max(0, i-line), max(0, src.Len()-10))
			if tb.top != want || tb.idx != i {
				t.Fatalf("seed %d: row %d is at the top and the cursor on %d, want %d and %d", seed, tb.top, tb.idx, want, i)
			}
			line = tb.idx - tb.top
		}
	}
}

// A place chosen before there was a screen, or while there is none, is on it when there is one.
func TestPlaceBeforeTheFirstFrame(t *testing.T) {
	tb := newTable(unicodeTheme, numbered(30))
	tb.MoveTo("pod-000010")
	show(tb, 80, 21)
	if tb.top != 0 {
		t.Errorf("row %d is at the top, want the first", tb.top)
	}
	tb.Move(15)
	top := tb.top
	for range 3 {
		show(tb, 0, 0)
		show(tb, 80, 0)
	}
	show(tb, 80, 21)
	if tb.top != top {
		t.Errorf("after a screen of no size row %d is at the top, want %d", tb.top, top)
	}
}

// Every size down to nothing, with columns of every kind.
func TestEverySize(t *testing.T) {
	tb := newTable(unicodeTheme, numbered(30))
	for w := range 130 {
		for h := range 5 {
			show(tb, w, h)
			tb.Right()
			show(tb, w, h)
			if len(tb.places) == 0 && w > 0 && h > 0 {
				t.Fatalf("no column at %dx%d", w, h)
			}
			tb.Left()
		}
	}
}

// Only visible rows may be formatted, each once, whatever the length of the source.
func TestOnlyVisibleRowsAreFormatted(t *testing.T) {
	src := numbered(100_000)
	tb := newTable(unicodeTheme, src)
	c := draw.NewCanvas(200, 41)
	for range 3 {
		src.asked = 0
		tb.Move(12_345)
		tb.SetSource(src)
		tb.Draw(c.Area(), true)
		if want := 40 * len(podColumns); src.asked != want {
			t.Errorf("%d cells were asked for, want %d", src.asked, want)
		}
	}
}

func TestAllocations(t *testing.T) {
	src := numbered(100_000)
	tb := newTable(unicodeTheme, src)
	c := draw.NewCanvas(200, 60)
	tb.Draw(c.Area(), true)
	if n := testing.AllocsPerRun(50, func() {
		tb.Move(7)
		tb.SetSource(src)
		tb.Draw(c.Area(), true)
	}); n > 0 {
		t.Errorf("a frame allocates %v times, want none", n)
	}
}

func BenchmarkDraw(b *testing.B) {
	for _, n := range []int{100, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			tb := newTable(unicodeTheme, numbered(n))
			c := draw.NewCanvas(200, 60)
			b.ReportAllocs()
			for b.Loop() {
				tb.Draw(c.Area(), true)
			}
		})
	}
}

func BenchmarkSetSourceAndDraw(b *testing.B) {
	for _, n := range []int{100, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			one, two := numbered(n), newPods(numbered(n).ids[1:]...)
			tb := newTable(unicodeTheme, one)
			tb.Move(n / 2)
			for range 5 {
				tb.ToggleMark()
			}
			c := draw.NewCanvas(200, 60)
			b.ReportAllocs()
			for b.Loop() {
				tb.SetSource(two)
				tb.Draw(c.Area(), true)
				tb.SetSource(one)
				tb.Draw(c.Area(), true)
			}
		})
	}
}
