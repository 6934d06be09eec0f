package term

import (
	"time"

	tea "charm.land/bubbletea/v2"
	uv "github.com/charmbracelet/ultraviolet"
	"github.com/charmbracelet/x/ansi"
)

// Model is what a screen shows. Paint takes the place of View: the screen decides when a frame is drawn.
type Model interface {
	tea.Model
	// Dirty reports whether a frame drawn now would show something else than the last one.
	Dirty() bool
	// Paint draws the newest state into the cells and touches those that it changes. When the changes would cost more than budget bytes
	// on the line, by estimate, it may paint a part; then it stays dirty. A budget of 0 is no bound, one below 0 is for the last row
	// only. moved reports that lines may have moved as a whole, and that all of them are touched.
	Paint(cells *uv.RenderBuffer, budget int) (f Frame, moved bool)
}

// RedrawMsg asks for the whole screen to be drawn anew, as Ctrl-L does.
type RedrawMsg struct{}

// Redraw is the command that sends RedrawMsg.
func Redraw() tea.Msg { return RedrawMsg{} }

// drawMsg comes when a frame that could not be drawn may be drawn.
type drawMsg struct{}

// minGap is the time between the beginnings of two frames: a key after a pause is drawn at once, a hundred of them, as a paste
// without brackets is, cost a few frames.
const minGap = 8 * time.Millisecond

// driver stands between Bubble Tea, whose renderer is not used, and the model. Bubble Tea's would flush at the ticks of a clock: a
// key waited up to 17 ms for its frame, and a terminal that took no bytes held up every key.
type driver struct {
	s *Screen
	m Model
}

// Init implements tea.Model.
func (d driver) Init() tea.Cmd {
	w, h := d.s.size()
	_, first := d.m.Update(tea.WindowSizeMsg{Width: w, Height: h})
	return tea.Batch(first, d.m.Init())
}

// Update implements tea.Model.
func (d driver) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case drawMsg:
		return d, nil
	case RedrawMsg:
		d.s.redraw()
		return d, nil
	case tea.CursorPositionMsg:
		d.s.answered()
		return d, nil
	case tea.ModeReportMsg:
		if msg.Mode == ansi.ModeSynchronizedOutput {
			d.s.syncReport(msg.Value)
		}
		return d, nil
	case tea.ResumeMsg:
		d.s.redraw()
	case tea.WindowSizeMsg:
		// Messages can overtake each other; the terminal knows its size.
		w, h := d.s.size()
		if w != msg.Width || h != msg.Height {
			msg = tea.WindowSizeMsg{Width: w, Height: h}
		}
		d.s.resized(w, h)
		_, cmd := d.m.Update(msg)
		return d, cmd
	}
	_, cmd := d.m.Update(msg)
	return d, cmd
}

// View implements tea.Model. Bubble Tea calls it after every message; there is nobody to look at what it returns.
func (d driver) View() tea.View {
	d.s.draw(d.m)
	return tea.View{}
}

// draw draws a frame if there is something to show, the terminal has taken enough of what it was sent, and the last frame is not
// too young. Otherwise a drawMsg comes in time, or the answer that is waited for.
func (s *Screen) draw(m Model) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.away || !s.whole && !m.Dirty() {
		return
	}
	now := time.Now()
	out := s.out.Load()
	if out.busy() { // drained comes
		return
	}
	if !s.pace.on && out.stalled() > stallMax {
		s.pace.start() // a slow line that is no SSH connection
	}
	budget := s.pace.room(now)
	if budget == lastRow && s.whole {
		return // an answer comes, or a tick finds that the terminal is deaf
	}
	if wait := s.next.Sub(now); wait > 0 {
		if !s.timer {
			s.timer = true
			time.AfterFunc(wait, func() {
				s.mu.Lock()
				s.timer = false
				s.mu.Unlock()
				s.p.Send(drawMsg{})
			})
		}
		return
	}
	s.next = now.Add(minGap)
	b := s.paint.Frame(func(cells *uv.RenderBuffer) (Frame, bool) { return m.Paint(cells, budget) })
	s.whole = false
	if len(b) == 0 {
		return
	}
	_, _ = out.Write(b)
	if s.pace.wrote(len(b), now) {
		_, _ = out.Write([]byte(s.paint.ask()))
	}
}

// stallMax is how long a terminal may take nothing before it counts as one on a slow line.
const stallMax = 100 * time.Millisecond

func (s *Screen) redraw() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.away {
		s.paint.erase()
		s.whole = true
	}
}

func (s *Screen) resized(w, h int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.away {
		s.paint.resize(w, h)
		s.whole = true
	}
}

func (s *Screen) answered() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pace.answered(time.Now())
}

// syncReport is the terminal's answer about synchronized output: what it can switch it uses.
func (s *Screen) syncReport(v ansi.ModeSetting) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.askedAt = time.Time{}
	s.paint.sync = !s.o.NoSync && v == ansi.ModeReset
}
