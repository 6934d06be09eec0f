package ui

import (
	"fmt"
	"strings"

	tea "charm.land/bubbletea/v2"

	"fathom/internal/safe"
	"fathom/keymap"
	"fathom/ui/draw"
	"fathom/ui/term"
	"fathom/views"
)

// overlay takes every key while it is open: a dialog, the help.
type overlay interface {
	draw(m *Model, a draw.Area)
	key(m *Model, k tea.KeyPressMsg) tea.Cmd
}

// paster is an overlay with a text field.
type paster interface{ paste(string) }

// key routes a key: overlay, then prompt, then the focused pane's scopes, then the global scope.
func (m *Model) key(k tea.KeyPressMsg) tea.Cmd {
	name := k.String()
	if name == "ctrl+c" {
		return m.quit()
	}
	if name != m.leaving.key {
		m.leaving = leaving{}
	}
	m.lastKey = name
	switch {
	case m.small(): // what cannot be seen is not answered
		if name == "q" && m.mayLeave("quit", "q again quits") {
			return m.quit()
		}
		return nil
	case m.overlay != nil:
		return m.overlay.key(m, k)
	case m.prompt != nil:
		return m.prompt.key(m, k)
	}
	b, ok := m.o.Keys.Lookup(m.scopes(), name)
	if !ok {
		return nil
	}
	m.toast = toastState{}
	return m.do(b)
}

func (m *Model) scopes() []keymap.Scope {
	var s []keymap.Scope
	if p := m.pane(); p != nil {
		s = p.Scopes()
	}
	return append(s[:len(s):len(s)], keymap.Global)
}

func (m *Model) do(b keymap.Binding) tea.Cmd {
	p := m.pane()
	if b.Scope != keymap.Global {
		return p.Do(b.Intent)
	}
	switch b.Intent {
	case keymap.Quit: // "q" goes back while there is something to go back to; ctrl+c always quits
		if len(m.slots) > 0 && len(m.slots[m.focus].stack) > 1 {
			return m.back()
		}
		if !m.mayLeave("quit", "q again quits") {
			return nil
		}
		return m.quit()
	case keymap.Refresh:
		m.o.Opener.Refresh()
		if r, ok := p.(views.Refresher); ok {
			return r.Refresh()
		}
		m.say(views.ToastMsg{Text: safe.Lit("asked every source to try again")})
	case keymap.Back:
		return m.escape()
	case keymap.Command:
		m.prompt = newCommand(m)
	case keymap.Filter:
		f, ok := p.(views.Filterer)
		if !ok {
			m.say(views.ToastMsg{Text: safe.Lit("this view has nothing to filter")})
			return nil
		}
		m.prompt = newFilter(f)
	case keymap.Help:
		m.overlay = newHelp(m)
	case keymap.FocusNext, keymap.FocusPrev:
		if len(m.slots) > 1 {
			m.focus = 1 - m.focus
		}
	case keymap.SplitRight:
		return m.split(false)
	case keymap.SplitDown:
		return m.split(true)
	case keymap.Zoom:
		m.zoomed = !m.zoomed && len(m.slots) > 1
	case keymap.CloseSplit:
		return m.closeSlot()
	case keymap.Aside:
		m.showAside()
	case keymap.Redraw:
		return term.Redraw
	case keymap.Suspend:
		return func() tea.Msg { m.o.Suspend(); return nil }
	case keymap.HistoryBack:
		return m.replay(-1)
	case keymap.HistoryForward:
		return m.replay(+1)
	case keymap.LastView:
		return m.lastView()
	case keymap.AllNamespaces:
		return m.setNamespace(views.AllNamespaces, "")
	default:
		if n, ok := strings.CutPrefix(string(b.Intent), keymap.NamespacePrefix); ok && len(n) == 1 {
			fav := m.o.Opener.Namespaces()
			if i := int(n[0] - '1'); i >= 0 && i < len(fav) {
				return m.setNamespace(fav[i], "")
			}
		}
	}
	return nil
}

// escape stops what the pane does and clears what can be cleared before it goes back: the filter, the marks, then the pane.
func (m *Model) escape() tea.Cmd {
	p := m.pane()
	if s, ok := p.(views.Stopper); ok && s.Stop() {
		return nil
	}
	if f, ok := p.(views.Filterer); ok && f.Filter() != "" {
		_ = f.SetFilter("") // the empty filter is always valid
		return nil
	}
	if a, ok := p.(views.Actor); ok && p.Title().Marks > 0 {
		a.Unmark()
		return nil
	}
	return m.back()
}

// lastView swaps the two newest views of the history.
func (m *Model) lastView() tea.Cmd {
	if m.pastAt < 1 {
		return nil
	}
	return m.open(m.past[m.pastAt-1])
}

// mayLeave tells whether nothing is lost when the panes end, or whether the user has been told what is and asks again while it can be read.
func (m *Model) mayLeave(what, again string) bool {
	why, then := m.unfinished()
	if len(why) == 0 || m.leaving.what == what && m.o.Now().Before(m.leaving.until) {
		return true
	}
	m.say(views.ToastMsg{Text: safe.String(strings.Join(why, "; ") + ": " + again + " and " + strings.Join(then, ", ")), Bad: true})
	m.leaving = leaving{what: what, key: m.lastKey, until: m.toast.until}
	return false
}

// unfinished is what ends with the panes, and what becomes of each.
func (m *Model) unfinished() (why, then []string) {
	dialogs := m.aside
	if d, ok := m.overlay.(*dialog); ok {
		dialogs = append(dialogs[:len(dialogs):len(dialogs)], d)
	}
	for _, d := range dialogs {
		if d.stage == running {
			why, then = append(why, d.c.Action.Title+" is under way"), append(then, "breaks it off")
		}
	}
	switch n := m.o.Opener.Kept(); {
	case n == 1:
		why, then = append(why, "a text typed for a key is not written"), append(then, "drops it")
	case n > 1:
		why, then = append(why, fmt.Sprintf("%d texts typed for keys are not written", n)), append(then, "drops them")
	}
	return why, then
}

func (m *Model) quit() tea.Cmd {
	m.ended = true
	return tea.Quit
}

// command runs what was typed after ":".
func (m *Model) command(line string) tea.Cmd {
	line = strings.TrimSpace(line)
	switch line {
	case "":
		return nil
	case "q", "qa", "quit", "exit":
		if !m.mayLeave("", ":q! or ctrl+c quits") {
			return nil
		}
		return m.quit()
	case "q!":
		return m.quit()
	case "help", "?":
		m.overlay = newHelp(m)
		return nil
	case "split", "vsplit":
		return m.split(line == "split")
	}
	r, err := m.o.Opener.Resolve(line, m.namespace)
	if err != nil {
		m.say(views.ToastMsg{Text: safe.String(err.Error()), Bad: true})
		return nil
	}
	m.namespace = r.Namespace
	return m.open(r)
}

func (m *Model) click(e tea.Mouse) tea.Cmd {
	if m.overlay != nil || m.prompt != nil || m.small() || e.Button != tea.MouseLeft {
		return nil
	}
	for i, s := range m.slots {
		if !s.inner.Contains(e.X, e.Y) {
			continue
		}
		m.focus = i
		if c, ok := s.top().(views.Clicker); ok {
			return c.Click(e.X-s.inner.X, e.Y-s.inner.Y)
		}
	}
	return nil
}

func (m *Model) wheel(e tea.Mouse) tea.Cmd {
	if m.overlay != nil || m.prompt != nil || m.small() {
		return nil
	}
	n := 3
	if e.Button == tea.MouseWheelUp {
		n = -3
	}
	for _, s := range m.slots {
		if c, ok := s.top().(views.Clicker); ok && s.inner.Contains(e.X, e.Y) {
			return c.Wheel(n)
		}
	}
	return nil
}
