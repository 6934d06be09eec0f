package term

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/charmbracelet/colorprofile"
	uv "github.com/charmbracelet/ultraviolet"

	"fathom/internal/pty"
	"fathom/internal/safe"
	"fathom/theme"
	"fathom/ui/draw"
)

// What a terminal shows after any sequence of frames is what was drawn: changed cells, rows that have moved, wide characters, other
// sizes, and frames that went out in parts.
func TestTheTerminalShowsWhatWasDrawn(t *testing.T) {
	for _, o := range []theme.Options{{}, {ASCII: true, NoColor: true}} {
		for seed := range uint64(6) {
			t.Run(fmt.Sprintf("ascii=%v/%d", o.ASCII, seed), func(t *testing.T) {
				r := rand.New(rand.NewPCG(seed, 1))
				w, h := 60, 20
				th, canvas, paint, screen := theme.New(o), draw.NewCanvas(w, h), NewPainter(colorprofile.TrueColor, true), pty.NewScreen(w, h)
				screen.Write(paint.Enter(w, h, false))
				lines := make([]string, 90)
				for i := range lines {
					lines[i] = fmt.Sprintf("row %03d %s", i, strings.Repeat(string(rune('a'+i%26)), r.IntN(40)))
				}
				top, cursor := 0, 0
				for n := range 400 {
					switch r.IntN(8) {
					case 0, 1:
						top = min(max(top+r.IntN(7)-3, 0), 50) // scrolled
					case 2, 3:
						cursor = r.IntN(h)
					case 4:
						lines[r.IntN(len(lines))] = "wide 漢字 and é, " + strings.Repeat("界", r.IntN(12))
					case 5:
						for range r.IntN(20) {
							lines[r.IntN(len(lines))] = fmt.Sprintf("changed in frame %d", n)
						}
					case 6:
						lines[r.IntN(len(lines))] = ""
					case 7:
						if r.IntN(10) == 0 {
							w, h = 40+r.IntN(40), 12+r.IntN(20)
							screen.Resize(w, h)
							paint.resize(w, h)
						}
					}
					canvas.Resize(w, h)
					for y := range h {
						canvas.Area().Text(1, y, theme.Style(y%int(theme.NumRoles)), safe.String(lines[top+y]))
						if y == cursor%h {
							canvas.Area().Mark(draw.Rect{Y: y, W: w, H: 1}, theme.Reverse)
						}
					}
					budget := []int{0, 0, 100, 600}[r.IntN(4)]
					if r.IntN(10) == 0 { // the last row, and the rest later
						screen.Write(paint.Frame(func(b *uv.RenderBuffer) (f Frame, moved bool) {
							_, moved = canvas.Paint(b, th, -1)
							return Frame{}, moved
						}))
					}
					for done := false; !done; {
						screen.Write(paint.Frame(func(b *uv.RenderBuffer) (f Frame, moved bool) {
							done, moved = canvas.Paint(b, th, budget)
							return Frame{Cursor: n%3 == 0, CursorX: n % w, CursorY: n % h, Title: fmt.Sprint("frame ", n/10)}, moved
						}))
					}
					want := strings.Split(canvas.Plain(), "\n")
					if o.ASCII {
						want = strings.Split(stripSGR(canvas.Render(th)), "\n")
					}
					for y := range h {
						if got := strings.TrimRight(screen.Row(y), " "); got != strings.TrimRight(want[y], " ") {
							t.Fatalf("frame %d, budget %d, row %d: on the terminal\n%q, drawn\n%q", n, budget, y, got, want[y])
						}
						if got := screen.At(0, y).Attr&pty.Reverse != 0; got != (y == cursor%h) {
							t.Fatalf("frame %d, row %d: reverse %v, the cursor is in row %d", n, y, got, cursor%h)
						}
					}
					if x, y := screen.Cursor(); n%3 == 0 && (x != n%w || y != n%h) {
						t.Fatalf("frame %d: the cursor is at %d,%d, want %d,%d", n, x, y, n%w, n%h)
					}
				}
			})
		}
	}
}

func stripSGR(s string) string {
	var b strings.Builder
	for s != "" {
		i := strings.IndexByte(s, 0x1b)
		if i < 0 {
			b.WriteString(s)
			break
		}
		b.WriteString(s[:i])
		s = s[i+strings.IndexByte(s[i:], 'm')+1:]
	}
	return b.String()
}
