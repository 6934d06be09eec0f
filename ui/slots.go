package ui

import (
	"slices"
	"time"

	tea "charm.land/bubbletea/v2"

	"fathom/internal/safe"
	"fathom/ui/draw"
	"fathom/views"
)

// slot is one place for a pane, with the panes it came from beneath it.
type slot struct {
	stack  []views.Pane
	hidden []time.Time // when the pane at the same place of the stack was covered; zero: it shows, or it was trimmed
	inner  draw.Rect   // where the pane was last drawn, on the whole screen
}

// maxStack bounds how many panes Esc can go back through.
const maxStack = 20

// trimAfter is how long a pane keeps everything it has seen after it was covered.
const trimAfter = 30 * time.Second

// push puts a pane on top.
func (s *slot) push(p views.Pane, now time.Time) {
	if n := len(s.hidden); n > 0 {
		s.hidden[n-1] = now
	}
	s.stack, s.hidden = append(s.stack, p), append(s.hidden, time.Time{})
	if n := len(s.stack) - maxStack; n > 0 {
		s.stack, s.hidden = slices.Delete(s.stack, 0, n), slices.Delete(s.hidden, 0, n)
	}
}

// pop removes the pane on top.
func (s *slot) pop() {
	n := len(s.stack) - 1
	s.stack, s.hidden = slices.Delete(s.stack, n, n+1), slices.Delete(s.hidden, n, n+1)
	if n > 0 {
		s.hidden[n-1] = time.Time{}
	}
}

// trim tells the panes that were covered long enough ago, once each.
func (s *slot) trim(now time.Time) {
	for i, at := range s.hidden {
		if at.IsZero() || now.Sub(at) < trimAfter {
			continue
		}
		s.hidden[i] = time.Time{}
		if t, ok := s.stack[i].(views.Trimmer); ok {
			t.Trim()
		}
	}
}

// trim lets the panes that nobody has looked at for a while give their memory back. It looks at most once a second.
func (m *Model) trim() {
	now := m.o.Now()
	if now.Unix() == m.trimAt {
		return
	}
	m.trimAt = now.Unix()
	for _, s := range m.slots {
		s.trim(now)
	}
}

func (s *slot) top() views.Pane {
	if len(s.stack) == 0 {
		return nil
	}
	return s.stack[len(s.stack)-1]
}

func (s *slot) close() {
	if p := s.top(); p != nil {
		p.Close()
	}
}

// pane is the focused pane; nil before anything was opened.
func (m *Model) pane() views.Pane {
	if m.focus >= len(m.slots) {
		return nil
	}
	return m.slots[m.focus].top()
}

// visible are the panes that are drawn.
func (m *Model) visible() []views.Pane {
	var ps []views.Pane
	for i, s := range m.slots {
		if p := s.top(); p != nil && (!m.zoomed || i == m.focus) {
			ps = append(ps, p)
		}
	}
	return ps
}

// open opens a view in the focused slot, on top of the current one.
func (m *Model) open(r views.Ref) tea.Cmd {
	if len(m.slots) == 0 {
		m.slots = append(m.slots, &slot{})
	}
	return m.openIn(m.focus, r, true)
}

func (m *Model) openIn(i int, r views.Ref, remember bool) tea.Cmd {
	p, err := m.o.Opener.Pane(r)
	if err != nil {
		m.say(views.ToastMsg{Text: safe.String(err.Error()), Bad: true})
		return nil
	}
	s := m.slots[i]
	s.close()
	s.push(p, m.o.Now())
	if remember {
		m.past = append(m.past[:min(m.pastAt+1, len(m.past))], r)
		if len(m.past) > maxStack {
			m.past = m.past[1:]
		}
		m.pastAt = len(m.past) - 1
	}
	return m.show(p)
}

// show makes a pane visible.
func (m *Model) show(p views.Pane) tea.Cmd {
	p.Open()
	p.Sync()
	m.dirty = true
	if s, ok := p.(views.Starter); ok {
		return s.Start()
	}
	return nil
}

// back closes the focused pane and shows the one beneath it. On the last one it does nothing.
func (m *Model) back() tea.Cmd {
	if len(m.slots) == 0 {
		return nil
	}
	s := m.slots[m.focus]
	if len(s.stack) < 2 {
		return nil
	}
	s.close()
	s.pop()
	return m.show(s.top())
}

// replay opens an earlier or later view of the history.
func (m *Model) replay(step int) tea.Cmd {
	at := m.pastAt + step
	if at < 0 || at >= len(m.past) || len(m.slots) == 0 {
		return nil
	}
	m.pastAt = at
	return m.openIn(m.focus, m.past[at], false)
}

// setNamespace makes a namespace the current one and opens view, or the current view again, in it.
func (m *Model) setNamespace(ns, view string) tea.Cmd {
	m.namespace = ns
	r := views.Ref{View: view, Namespace: ns}
	if view == "" {
		p := m.pane()
		if p == nil {
			return nil
		}
		r = p.Ref()
		if r.Object != (views.Object{}) || r.Where != nil {
			return nil // a view of one object does not change with the namespace
		}
		r.Namespace = ns
	}
	return m.open(r)
}

// split adds or removes the second slot.
func (m *Model) split(stacked bool) tea.Cmd {
	switch {
	case len(m.slots) == 1:
		m.stacked = stacked
		r := views.Ref{View: "overview", Namespace: m.namespace}
		if p := m.pane(); p != nil {
			r = p.Ref()
		}
		m.slots = append(m.slots, &slot{})
		m.focus = 1
		m.zoomed = false
		return m.openIn(1, r, false)
	case m.stacked != stacked:
		m.stacked = stacked
	default:
		return m.closeSlot()
	}
	m.zoomed = false
	return nil
}

// closeSlot gives up the focused slot when there are two.
func (m *Model) closeSlot() tea.Cmd {
	if len(m.slots) < 2 {
		return nil
	}
	m.slots[m.focus].close()
	m.slots = append(m.slots[:m.focus], m.slots[m.focus+1:]...)
	m.focus, m.zoomed = 0, false
	return nil
}

// layout gives each slot its rectangle. When the screen is too small for two, only the focused one is drawn.
func (m *Model) layout(r draw.Rect) []draw.Rect {
	rs := make([]draw.Rect, len(m.slots))
	two := len(m.slots) == 2 && !m.zoomed
	switch {
	case two && m.stacked && r.H >= 12:
		h := r.H / 2
		rs[0] = draw.Rect{X: r.X, Y: r.Y, W: r.W, H: h}
		rs[1] = draw.Rect{X: r.X, Y: r.Y + h, W: r.W, H: r.H - h}
	case two && !m.stacked && r.W >= 76:
		w := r.W / 2
		rs[0] = draw.Rect{X: r.X, Y: r.Y, W: w, H: r.H}
		rs[1] = draw.Rect{X: r.X + w, Y: r.Y, W: r.W - w, H: r.H}
	default:
		if m.focus < len(rs) {
			rs[m.focus] = r
		}
	}
	return rs
}
