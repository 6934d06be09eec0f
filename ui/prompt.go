package ui

import (
	"slices"
	"strings"
	"unicode"

	"charm.land/bubbles/v2/textinput"
	tea "charm.land/bubbletea/v2"

	"fathom/internal/safe"
	"fathom/keymap"
	"fathom/theme"
	"fathom/ui/draw"
	"fathom/views"
)

// prompt is the line at the bottom that takes a command or a filter.
type prompt struct {
	input    textinput.Model
	filter   views.Filterer // nil: a command, or a question
	ask      *views.AskMsg  // the question of a pane
	before   string         // the filter to go back to with Esc
	err      string
	complete []string // what the command could become
	at       int      // how far back in the earlier commands; 0: none of them
	x        int      // where the cursor is on the screen
}

func newInput(value string) textinput.Model {
	in := textinput.New()
	in.Prompt = ""
	in.SetValue(value)
	in.CursorEnd()
	in.Focus()
	return in
}

func newCommand(m *Model) *prompt {
	p := &prompt{input: newInput("")}
	p.complete = m.o.Opener.Complete("")
	return p
}

func newFilter(f views.Filterer) *prompt {
	return &prompt{input: newInput(f.Filter()), filter: f, before: f.Filter()}
}

func newQuestion(q views.AskMsg) *prompt { return &prompt{input: newInput(q.Value), ask: &q} }

// isCommand reports whether what is typed is a command.
func (p *prompt) isCommand() bool { return p.filter == nil && p.ask == nil }

func (p *prompt) key(m *Model, k tea.KeyPressMsg) tea.Cmd {
	b, _ := m.o.Keys.Lookup([]keymap.Scope{keymap.Prompt}, k.String())
	switch b.Intent {
	case keymap.PromptCancel:
		m.prompt = nil
		if p.filter != nil {
			_ = p.filter.SetFilter(p.before) // it was valid before
		}
		return nil
	case keymap.PromptAccept:
		return p.accept(m)
	case keymap.PromptComplete:
		p.take(m)
		return nil
	case keymap.PromptPrev:
		p.recall(m, -1)
		return nil
	case keymap.PromptNext:
		p.recall(m, +1)
		return nil
	}
	if k.String() == "right" && p.input.Position() == len([]rune(p.input.Value())) {
		p.take(m)
		return nil
	}
	p.input, _ = p.input.Update(k) // its only command is the blinking of a cursor we do not draw
	p.changed(m)
	return nil
}

func (p *prompt) accept(m *Model) tea.Cmd {
	value := p.input.Value()
	if p.ask != nil {
		m.prompt = nil
		return p.ask.Answer(value)
	}
	if p.filter != nil {
		if err := p.filter.SetFilter(value); err != nil {
			p.err = err.Error()
			return nil
		}
		m.prompt = nil
		return nil
	}
	m.prompt = nil
	if value != "" {
		m.commands = append(slices.DeleteFunc(m.commands, func(s string) bool { return s == value }), value)
	}
	// What was typed is the beginning of one name only: take that name, as the completion on the line promised.
	if len(p.complete) == 1 && !strings.Contains(value, " ") && strings.HasPrefix(p.complete[0], value) && value != "" {
		if _, err := m.o.Opener.Resolve(value, m.namespace); err != nil {
			value = p.complete[0]
		}
	}
	return m.command(value)
}

// take accepts the completion that is shown.
func (p *prompt) take(m *Model) {
	if !p.isCommand() || len(p.complete) == 0 {
		return
	}
	p.input.SetValue(p.complete[0])
	p.input.CursorEnd()
	p.changed(m)
}

// recall shows an earlier or later command.
func (p *prompt) recall(m *Model, step int) {
	if !p.isCommand() || len(m.commands) == 0 {
		return
	}
	p.at = min(max(p.at+step, -len(m.commands)), 0)
	p.input.SetValue("")
	if p.at < 0 {
		p.input.SetValue(m.commands[len(m.commands)+p.at])
	}
	p.input.CursorEnd()
	p.changed(m)
}

func (p *prompt) paste(m *Model, s string) tea.Cmd {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s)
	p.input, _ = p.input.Update(tea.PasteMsg{Content: s})
	p.changed(m)
	return nil
}

// changed applies a filter while it is typed, and finds completions of a command.
func (p *prompt) changed(m *Model) {
	p.err = ""
	switch {
	case p.ask != nil:
		return
	case p.filter == nil:
		p.complete = m.o.Opener.Complete(p.input.Value())
		return
	}
	if err := p.filter.SetFilter(p.input.Value()); err != nil {
		p.err = err.Error()
	}
}

// seen is what of a field is shown in so many cells, before its cursor and behind it. What has no room is left out at the beginning: the cursor
// stays in sight. It costs what is shown, whatever was pasted into the field.
func seen(in *textinput.Model, room int) (before, behind safe.Text) {
	value := []rune(in.Value())
	pos := min(in.Position(), len(value))
	most := 4 * max(room, 1) // a character of one cell has at most three combining marks
	from := max(0, pos-most)
	before = safe.String(string(value[from:pos]))
	for from < pos && before.Width() >= room {
		from++
		before = safe.String(string(value[from:pos]))
	}
	return before, safe.String(string(value[pos:min(len(value), pos+most)]))
}

// draw draws the prompt into one row and remembers where the cursor is.
func (p *prompt) draw(m *Model, a draw.Area) {
	sign, style := safe.Lit(":"), theme.Strong
	if p.filter != nil {
		sign = safe.Lit("/")
	}
	if p.ask != nil {
		sign = safe.Concat(p.ask.Label, safe.Lit(" "))
	}
	if p.err != "" {
		style = theme.Bad
	}
	x := a.Text(0, 0, theme.Key, sign)
	before, behind := seen(&p.input, a.W()-x)
	x = a.Text(x, 0, style, before)
	p.x = x
	x = a.Text(x, 0, style, behind)
	empty := before.IsEmpty() && behind.IsEmpty()
	switch {
	case p.err != "":
		a.Text(x+2, 0, theme.Bad, safe.String(p.err))
	case p.ask != nil:
		if empty {
			a.Text(x+1, 0, theme.Dim, p.ask.Hint)
		}
	case p.filter == nil && len(p.complete) > 0:
		typed := p.input.Value()
		if rest, ok := strings.CutPrefix(p.complete[0], typed); ok {
			x = a.Text(x, 0, theme.Dim, safe.String(rest))
		}
		for _, c := range p.complete[min(1, len(p.complete)):] {
			x = a.Text(x+2, 0, theme.Dim, safe.String(c))
		}
	case p.filter != nil && empty:
		a.Text(x+1, 0, theme.Dim, safe.Lit("text, regexp, !not, -l label=value, -f fuzzy"))
	}
}
