package ui

import (
	"fmt"
	"runtime"
	"testing"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/colorprofile"
	uv "github.com/charmbracelet/ultraviolet"

	"fathom/internal/safe"
	"fathom/theme"
	"fathom/ui/draw"
	"fathom/ui/table"
	"fathom/ui/term"
)

// What a frame costs from the message to the bytes for the terminal, at 200x60. The rows are made beforehand: what a pane's cells
// cost is that pane's to measure.

type madeRow [8]table.Cell

type madeRows struct {
	ids   []string
	cells []madeRow
}

func (r *madeRows) Len() int                   { return len(r.ids) }
func (r *madeRows) ID(i int) string            { return r.ids[i] }
func (r *madeRows) Cell(i, col int) table.Cell { return r.cells[i][col] }
func (r *madeRows) Find(id string) (int, bool) {
	var i int
	_, err := fmt.Sscanf(id, "uid-%d", &i)
	return i, err == nil && i < len(r.ids)
}

func makeRows(n int) *madeRows {
	r := &madeRows{}
	for i := range n {
		status, style := "Running", theme.Good
		if i%7 == 3 {
			status, style = "CrashLoopBackOff", theme.Bad
		}
		r.ids = append(r.ids, fmt.Sprintf("uid-%d", i))
		r.cells = append(r.cells, madeRow{
			{Text: safe.Sprintf("team-%d", i%5)}, {Text: safe.Sprintf("checkout-%08x-%05x", uint32(i*2654435761), i*40503&0xfffff), Style: theme.Strong},
			{Text: safe.Lit("2/2")}, {Text: safe.String(status), Style: style}, {Text: safe.Sprintf("%d", i%9)},
			{Text: safe.Sprintf("10.20.%d.%d", 100+i/100, 100+i%100)}, {Text: safe.Sprintf("node-%04d", i%100)}, {Text: safe.Sprintf("%dm", i%60), Style: theme.Dim}})
	}
	return r
}

// costScreen is a screen of rows with the terminal behind it that turns frames into bytes.
type costScreen struct {
	*screen
	rows  *madeRows
	paint *term.Painter
	n     int
	bytes int
}

func newCostScreen(t testing.TB) *costScreen {
	s := &costScreen{screen: newScreen(t, 200, 60, theme.Options{}), rows: makeRows(1000), paint: term.NewPainter(colorprofile.TrueColor, true)}
	p := s.w.panes[0]
	p.table.SetColumns([]table.Column{{Title: "NAMESPACE"}, {Title: "NAME", Flex: true}, {Title: "READY"}, {Title: "STATUS"}, {Title: "RESTARTS", Align: draw.Right},
		{Title: "IP"}, {Title: "NODE"}, {Title: "AGE", Align: draw.Right}})
	p.table.SetSource(s.rows)
	s.paint.Enter(200, 60, false)
	s.message(tea.WindowSizeMsg{Width: 200, Height: 60})
	for range 70 { // what is made once, widths, styles, buffers, is made; and the cursor is at the bottom of the page
		s.message(keyPress("j"))
	}
	return s
}

// message takes a message through Update and to the terminal.
func (s *costScreen) message(msg tea.Msg) {
	s.Update(msg)
	s.bytes = 0
	if s.Dirty() {
		s.bytes = len(s.paint.Frame(func(b *uv.RenderBuffer) (term.Frame, bool) { return s.Paint(b, 0) }))
	}
}

// frameCosts are the scenes and what each may cost at most: allocations and allocated bytes per message, and bytes for the terminal. They do not
// depend on the machine; the limits are a quarter above what was measured.
var frameCosts = []struct {
	name                string
	allocs, heap, bytes int
	play                func(s *costScreen)
}{
	{name: "a tick without news", allocs: 8, heap: 400, bytes: 0,
		play: func(s *costScreen) { s.message(tickMsg(s.ticker)) }},
	{name: "a key that moves the cursor", allocs: 680, heap: 15 << 10, bytes: 480,
		play: func(s *costScreen) { s.message(keyPress([]string{"k", "j"}[s.n%2])); s.n++ }},
	{name: "a tick that changes 15 rows", allocs: 2700, heap: 40 << 10, bytes: 110, play: func(s *costScreen) {
		for i := range 15 { // about the cursor, which is at the bottom of the page
			s.rows.cells[70-i*3][4].Text = ninths[(s.n+i)%9]
		}
		s.n++
		s.w.panes[0].dirty = true
		s.message(tickMsg(s.ticker))
	}},
	{name: "a key that scrolls", allocs: 800, heap: 24 << 10, bytes: 560, play: func(s *costScreen) {
		s.message(keyPress("j"))
	}},
}

var ninths = func() (t [9]safe.Text) {
	for i := range t {
		t[i] = safe.Sprintf("%d", i)
	}
	return t
}()

func TestFrameCost(t *testing.T) {
	for _, c := range frameCosts {
		t.Run(c.name, func(t *testing.T) {
			s := newCostScreen(t)
			const runs = 200
			most := 0
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			for range runs {
				c.play(s)
				most = max(most, s.bytes)
			}
			runtime.ReadMemStats(&after)
			allocs, heap := int(after.Mallocs-before.Mallocs)/runs, int(after.TotalAlloc-before.TotalAlloc)/runs
			t.Logf("%d allocations, %d bytes; %d bytes for the terminal", allocs, heap, most)
			if allocs > c.allocs || heap > c.heap || most > c.bytes {
				t.Errorf("%d allocations, %d bytes, %d bytes for the terminal; the limits are %d, %d and %d", allocs, heap, most, c.allocs, c.heap, c.bytes)
			}
		})
	}
}

func BenchmarkFrame(b *testing.B) {
	for _, c := range frameCosts {
		b.Run(c.name, func(b *testing.B) {
			s := newCostScreen(b)
			b.ReportAllocs()
			sum := 0
			for b.Loop() {
				c.play(s)
				sum += s.bytes
			}
			b.ReportMetric(float64(sum)/float64(b.N), "tty-B/op")
		})
	}
}
