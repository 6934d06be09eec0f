package table

import (
	"fmt"
	"slices"
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

// pods is a source of made-up rows.
type pods struct {
	ids   []string
	index map[string]int
	asked int // calls of Cell
}

func newPods(ids ...string) *pods {
	p := &pods{ids: ids, index: make(map[string]int, len(ids))}
	for i, id := range ids {
		p.index[id] = i
	}
	return p
}

func numbered(n int) *pods {
	ids := make([]string, n)
	for i := range ids {
		ids[i] = fmt.Sprintf("pod-%06d", i)
	}
	return newPods(ids...)
}

func (p *pods) Len() int        { return len(p.ids) }
func (p *pods) ID(i int) string { return p.ids[i] }

func (p *pods) Find(id string) (int, bool) {
	i, ok := p.index[id]
	return i, ok
}

var phases = []Cell{
	{safe.Lit("Running"), theme.Good}, {safe.Lit("Pending"), theme.Pending}, {safe.Lit("CrashLoopBackOff"), theme.Bad},
}

func (p *pods) Cell(i, col int) Cell {
	p.asked++
	switch col {
	case 0:
		return Cell{Text: safe.Lit("shop")}
	case 1:
		return Cell{Text: safe.String(p.ids[i])}
	case 2:
		return Cell{Text: safe.Lit("1/1")}
	case 3:
		return phases[i%7%len(phases)]
	case 4:
		return Cell{Text: safe.Lit("12")}
	case 5:
		return Cell{Text: safe.Lit("10.244.17.130")}
	case 6:
		return Cell{Text: safe.Lit("worker-eu-west-1a-0007")}
	}
	return Cell{Text: safe.Lit("3h12m"), Style: theme.Dim}
}

var podColumns = []Column{
	{Title: "NAMESPACE", Priority: 2, Max: 20},
	{Title: "NAME", Flex: true, Min: 12},
	{Title: "READY", Priority: 1, Align: draw.Right},
	{Title: "STATUS", Max: 20},
	{Title: "RESTARTS", Priority: 3, Align: draw.Right},
	{Title: "IP", Priority: 5},
	{Title: "NODE", Priority: 4},
	{Title: "AGE", Priority: 1, Align: draw.Right, Width: 6},
}

func newTable(th *theme.Theme, s Source) *Table {
	t := New(th)
	t.SetColumns(podColumns)
	t.SetSource(s)
	return t
}

func frame(th *theme.Theme, w, h int, draws func(draw.Area)) string {
	c := draw.NewCanvas(w, h)
	draws(c.Area())
	return ansi.Strip(c.Render(th))
}

func show(t *Table, w, h int) string {
	return frame(t.th, w, h, func(a draw.Area) { t.Draw(a, true) })
}

func TestGolden(t *testing.T) {
	for _, size := range []struct{ w, h int }{{40, 12}, {80, 24}, {120, 40}, {200, 60}} {
		for name, th := range map[string]*theme.Theme{"unicode": unicodeTheme, "ascii": asciiTheme} {
			t.Run(fmt.Sprintf("%dx%d/%s", size.w, size.h, name), func(t *testing.T) {
				tb := newTable(th, numbered(100))
				tb.SetSort(1, true)
				show(tb, size.w, size.h)
				tb.Move(2)
				tb.ToggleMark()
				tb.Move(1)
				golden.RequireEqual(t, show(tb, size.w, size.h))
			})
		}
	}
}

func TestGoldenSideways(t *testing.T) {
	tb := newTable(unicodeTheme, numbered(20))
	var frames []string
	for range 10 {
		frames = append(frames, show(tb, 60, 5))
		tb.Right()
	}
	last := show(tb, 60, 5)
	if !slices.Contains(frames[:len(frames)-1], last) {
		t.Error("Right goes on when there is nothing more to the right")
	}
	frames = slices.Compact(frames)
	all := strings.Join(frames, "\n---\n")
	for _, c := range podColumns {
		if !strings.Contains(all, c.Title) {
			t.Errorf("column %s cannot be reached", c.Title)
		}
	}
	golden.RequireEqual(t, all)
	for range 10 {
		tb.Left()
	}
	if got := show(tb, 60, 5); got != frames[0] {
		t.Errorf("Left does not lead back:\n%s", got)
	}
}

func TestGoldenEmpty(t *testing.T) {
	tb := newTable(unicodeTheme, nil)
	tb.SetEmpty(safe.Lit("you may not list pods here; a namespace you may read can be chosen with :pods NAMESPACE"))
	golden.RequireEqual(t, show(tb, 40, 6))
}

// The cursor must be seen without colour and reach across the whole width.
func TestCursorRow(t *testing.T) {
	tb := newTable(unicodeTheme, newPods("a", "b"))
	c := draw.NewCanvas(100, 5)
	tb.Draw(c.Area(), true)
	row := strings.Split(c.Render(unicodeTheme), "\n")[1]
	if got := ansi.StringWidth(row); got != 100 {
		t.Errorf("the cursor row is %d cells wide, want 100", got)
	}
	if !strings.Contains(row, "7m") || !strings.Contains(row, "▸") {
		t.Errorf("no reverse or no sign in the cursor row: %q", row)
	}
}

func TestCursorFollowsItsRow(t *testing.T) {
	tb := newTable(unicodeTheme, newPods("a", "b", "c", "d", "e", "f", "g", "h"))
	show(tb, 80, 5) // four rows
	tb.Move(3)
	tb.Move(2) // on f, at the bottom of c d e f
	tb.SetSource(newPods("0", "1", "2", "a", "b", "c", "d", "e", "f", "g", "h"))
	got := strings.Split(show(tb, 80, 5), "\n")
	if id, _ := tb.Cursor(); id != "f" {
		t.Fatalf("the cursor is on %s, want f", id)
	}
	for i, want := range []string{"c", "d", "e", "f"} {
		if f := strings.Fields(got[i+1]); !slices.Contains(f, want) {
			t.Errorf("line %d is %q, want %s: the rows have jumped", i+1, got[i+1], want)
		}
	}
}

func TestGone(t *testing.T) {
	tb := newTable(unicodeTheme, newPods("a", "b", "c", "d", "e"))
	show(tb, 80, 10)
	tb.Move(2)
	tb.SetSource(newPods("new", "a", "b", "d", "e"))
	if id, ok := tb.Cursor(); id != "d" || !ok {
		t.Errorf("the cursor is on %s, want d, which took the place of c", id)
	}
	if id, gone := tb.Gone(); id != "c" || !gone {
		t.Errorf("Gone is %q %v, want c", id, gone)
	}
	tb.SetSource(newPods("a", "b", "e"))
	if id, _ := tb.Gone(); id != "c" {
		t.Errorf("after another row went, Gone is %q, want the row the user was on", id)
	}
	tb.Move(0)
	if id, gone := tb.Gone(); gone {
		t.Errorf("after a movement Gone is still %q", id)
	}
	tb.Bottom()
	tb.SetSource(newPods("a"))
	if id, _ := tb.Cursor(); id != "a" {
		t.Errorf("the cursor is on %s, want a", id)
	}
	tb.SetSource(newPods())
	if id, ok := tb.Cursor(); ok {
		t.Errorf("the cursor is on %q of an empty source", id)
	}
	if i, n := tb.Position(); i != 0 || n != 0 {
		t.Errorf("Position is %d of %d in an empty source", i, n)
	}
}

func TestRowsComeBack(t *testing.T) {
	tb := newTable(unicodeTheme, newPods("a", "b", "c"))
	tb.Move(1)
	tb.SetSource(newPods())
	if _, gone := tb.Gone(); !gone {
		t.Error("no word of the cursor's row being gone")
	}
	tb.SetSource(newPods("0", "a", "b", "c"))
	id, _ := tb.Cursor()
	if _, gone := tb.Gone(); id != "b" || gone {
		t.Errorf("the cursor is on %s (gone: %v), want it back on b", id, gone)
	}
}

// Until the user has moved, rows that arrive in pieces fill the screen from the top.
func TestArrivingInPieces(t *testing.T) {
	tb := newTable(unicodeTheme, newPods("m", "n"))
	show(tb, 80, 10)
	tb.SetSource(newPods("a", "b", "m", "n"))
	if s := show(tb, 80, 10); !strings.Contains(s, " a ") {
		t.Errorf("the first rows are not on screen:\n%s", s)
	}
	if id, _ := tb.Cursor(); id != "m" {
		t.Errorf("the cursor is on %s, want m", id)
	}
}

func TestFollowTop(t *testing.T) {
	tb := newTable(unicodeTheme, newPods("b", "c"))
	tb.FollowTop(true)
	tb.SetSource(newPods("a", "b", "c"))
	if id, _ := tb.Cursor(); id != "a" {
		t.Errorf("the cursor is on %s, want the first row", id)
	}
	tb.Move(1)
	tb.SetSource(newPods("0", "a", "b", "c"))
	if id, _ := tb.Cursor(); id != "b" {
		t.Errorf("the cursor is on %s, want b, where it was moved to", id)
	}
	tb.Top()
	tb.SetSource(newPods("new", "0", "a"))
	if id, _ := tb.Cursor(); id != "new" {
		t.Errorf("the cursor is on %s, want the first row again", id)
	}
}

func TestMoveToBeforeItIsThere(t *testing.T) {
	tb := newTable(unicodeTheme, nil)
	if tb.MoveTo("c") {
		t.Fatal("MoveTo found a row in an empty source")
	}
	tb.SetSource(newPods("a", "b"))
	tb.SetSource(newPods("a", "b", "c"))
	if id, _ := tb.Cursor(); id != "c" {
		t.Errorf("the cursor is on %s, want c, which has come", id)
	}
	tb.MoveTo("x")
	tb.Move(-1)
	tb.SetSource(newPods("a", "b", "c", "x"))
	if id, _ := tb.Cursor(); id != "b" {
		t.Errorf("the cursor is on %s, want b: it was moved meanwhile", id)
	}
}

func TestMarks(t *testing.T) {
	tb := newTable(unicodeTheme, newPods("a", "b", "c", "d", "e"))
	tb.ToggleMark()
	if id, _ := tb.Cursor(); id != "b" {
		t.Errorf("after a mark the cursor is on %s, want b", id)
	}
	tb.Move(2)
	tb.MarkRange()
	if got := tb.Marked(); !slices.Equal(got, []string{"a", "b", "c", "d"}) {
		t.Errorf("marked are %v", got)
	}
	tb.SetSource(newPods("d", "x", "a"))
	if got := tb.Marked(); !slices.Equal(got, []string{"d", "a"}) {
		t.Errorf("marked are %v, want those that are left, in their order", got)
	}
	tb.SetSource(newPods("a", "b", "c", "d"))
	if got := tb.Marked(); !slices.Equal(got, []string{"a", "d"}) {
		t.Errorf("marked are %v: a row that came back must not be marked", got)
	}
	tb.MoveTo("a")
	tb.ToggleMark()
	if got := tb.MarkCount(); got != 1 {
		t.Errorf("%d marked, want 1", got)
	}
	tb.ClearMarks()
	if got := tb.Marked(); got != nil {
		t.Errorf("marked are %v after ClearMarks", got)
	}
	tb.Bottom()
	tb.MarkRange()
	if got := tb.Marked(); !slices.Equal(got, []string{"d"}) {
		t.Errorf("a range without a beginning marks %v, want the cursor's row", got)
	}
}

func TestRowAt(t *testing.T) {
	tb := newTable(unicodeTheme, numbered(100))
	show(tb, 80, 11)
	tb.Move(50)
	lines := strings.Split(show(tb, 80, 11), "\n")
	for y, line := range lines {
		id, ok := tb.RowAt(y)
		if ok != (y > 0) || ok && !strings.Contains(line, id) {
			t.Errorf("RowAt(%d) is %q %v on %q", y, id, ok, line)
		}
	}
	for _, y := range []int{-1, 11, 1 << 40} {
		if id, ok := tb.RowAt(y); ok {
			t.Errorf("RowAt(%d) is %q", y, id)
		}
	}
}

func TestPages(t *testing.T) {
	tb := newTable(unicodeTheme, numbered(100))
	show(tb, 80, 11)
	at := func(want int) {
		t.Helper()
		if i, _ := tb.Position(); i != want {
			t.Errorf("the cursor is on row %d, want %d", i, want)
		}
	}
	tb.Page(1)
	at(10)
	tb.Page(1)
	at(19)
	tb.HalfPage(-1)
	at(14)
	tb.Page(1 << 50)
	at(100)
	tb.Page(-1 << 50)
	at(1)
	tb.Bottom()
	at(100)
	tb.Top()
	at(1)
}

// Columns grow while rows scroll, and never shrink.
func TestWidthsAreSticky(t *testing.T) {
	long := "a-pod-with-a-name-that-is-rather-long"
	ids := []string{long}
	for i := range 50 {
		ids = append(ids, fmt.Sprint(i))
	}
	tb := New(unicodeTheme)
	tb.SetColumns([]Column{{Title: "X"}, {Title: "NAME"}, {Title: "READY"}})
	tb.SetSource(newPods(ids...))
	before := strings.Index(show(tb, 120, 10), "READY")
	tb.Bottom()
	if after := strings.Index(show(tb, 120, 10), "READY"); after != before {
		t.Errorf("READY jumped from column %d to %d", before, after)
	}
	tb.SetSource(newPods("x"))
	tb.SetColumns([]Column{{Title: "X"}, {Title: "NAME"}, {Title: "READY"}})
	if after := strings.Index(show(tb, 120, 10), "READY"); after != before {
		t.Errorf("READY jumped from column %d to %d with another source", before, after)
	}
}

func TestLongCellIsCut(t *testing.T) {
	tb := New(asciiTheme)
	tb.SetColumns([]Column{{Title: "X"}, {Title: "NAME", Max: 10}, {Title: "READY"}})
	tb.SetSource(newPods("a-very-long-name"))
	if s := show(tb, 80, 3); !strings.Contains(s, "a-very-lo~  1/1") {
		t.Errorf("the cell is not cut at 10:\n%s", s)
	}
}
