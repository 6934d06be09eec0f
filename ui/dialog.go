package ui

import (
	"fmt"
	"strings"
	"time"

	"charm.land/bubbles/v2/textinput"
	tea "charm.land/bubbletea/v2"

	"fathom/actions"
	"fathom/internal/safe"
	"fathom/keymap"
	"fathom/theme"
	"fathom/ui/draw"
	"fathom/views"
)

// grace is how long a dialog does not answer to keys after it was first drawn: what was typed before somebody could read it
// was not meant for it.
const grace = 400 * time.Millisecond

type dialogMsg struct {
	seq      uint64
	prepared *views.Prepared
	outcome  *[]actions.Outcome
}

type stage uint8

const (
	asking    stage = iota // for the input
	preparing              // reading permissions and preview
	ready                  // waiting for the answer
	running
)

type dialog struct {
	seq      uint64
	c        views.Confirmation
	stage    stage
	input    textinput.Model
	err      string
	prepared views.Prepared
	ok       bool // the OK button has the focus
	drawn    time.Time
	cursorX  int
	cursorY  int
}

// confirm opens the dialog for an action.
func (m *Model) confirm(a views.ActMsg) tea.Cmd {
	if len(a.Targets) == 0 {
		return nil
	}
	m.seq++
	d := &dialog{seq: m.seq, c: m.o.Opener.Confirm(a), ok: a.Action.Risk == actions.Reversible}
	m.overlay = d
	if in := a.Action.Input; in != nil {
		d.input = newInput(in.Initial(a.Targets[0]))
		return nil
	}
	return d.prepare()
}

func (d *dialog) prepare() tea.Cmd {
	d.stage = preparing
	if d.c.Action.Risk == actions.Critical {
		d.input = newInput("")
	}
	value, seq, prep := d.value(), d.seq, d.c.Prepare
	return func() tea.Msg {
		p := prep(value)
		return dialogMsg{seq: seq, prepared: &p}
	}
}

// value is what was given to the action's Input.
func (d *dialog) value() string {
	if d.c.Action.Input == nil {
		return ""
	}
	return strings.TrimSpace(d.input.Value())
}

func (d *dialog) ticking() bool { return d.stage == preparing || d.stage == running }

func (d *dialog) update(m *Model, msg dialogMsg) tea.Cmd {
	if msg.prepared != nil {
		d.prepared = *msg.prepared
		d.stage = ready
	}
	if msg.outcome != nil {
		m.overlay = nil
		m.say(outcomeToast(*msg.outcome))
	}
	return nil
}

func (d *dialog) key(m *Model, k tea.KeyPressMsg) tea.Cmd {
	if k.String() == "esc" { // never too early: it does nothing
		m.overlay = nil
		if d.stage == running {
			m.say(views.ToastMsg{Text: safe.Sprintf("%s goes on; its outcome will be shown here", d.c.Action.Title)})
		}
		return nil
	}
	if d.drawn.IsZero() || m.o.Now().Sub(d.drawn) < grace {
		return nil
	}
	switch d.stage {
	case asking:
		return d.keyAsking(k)
	case ready:
		return d.keyReady(m, k)
	}
	return nil
}

func (d *dialog) keyAsking(k tea.KeyPressMsg) tea.Cmd {
	if k.String() == "enter" {
		if err := d.c.Action.Input.Check(d.c.Targets[0], d.value()); err != nil {
			d.err = err.Error()
			return nil
		}
		return d.prepare()
	}
	d.err = ""
	d.input, _ = d.input.Update(k)
	return nil
}

func (d *dialog) keyReady(m *Model, k tea.KeyPressMsg) tea.Cmd {
	typed := d.prepared.Denied == "" && d.c.Action.Risk == actions.Critical
	if typed && k.String() != "enter" {
		d.err = ""
		d.input, _ = d.input.Update(k)
		return nil
	}
	b, ok := m.o.Keys.Lookup([]keymap.Scope{keymap.Dialog}, k.String())
	if !ok {
		return nil
	}
	switch {
	case b.Intent == keymap.DialogCancel, d.prepared.Denied != "" && b.Intent == keymap.DialogChoose:
		m.overlay = nil
	case d.prepared.Denied != "":
	case typed && d.input.Value() != d.c.Name:
		d.err = fmt.Sprintf("type %s to go on, or Esc", d.c.Name)
	case typed, b.Intent == keymap.DialogConfirm, b.Intent == keymap.DialogChoose && d.ok:
		return d.run()
	case b.Intent == keymap.DialogNext:
		d.ok = !d.ok
	case b.Intent == keymap.DialogChoose:
		m.overlay = nil
	}
	return nil
}

func (d *dialog) run() tea.Cmd {
	d.stage = running
	value, seq, run := d.value(), d.seq, d.c.Run
	return func() tea.Msg {
		out := run(value)
		return dialogMsg{seq: seq, outcome: &out}
	}
}

func (d *dialog) paste(s string) {
	if d.stage == asking || d.stage == ready && d.c.Action.Risk == actions.Critical {
		d.input.SetValue(d.input.Value() + strings.TrimSpace(s))
	}
}

// line is one row of the dialog's text.
type line struct {
	text  safe.Text
	style theme.Style
	field bool // the input stands here
}

func (d *dialog) lines(width int, th *theme.Theme) []line {
	var ls []line
	for _, t := range d.c.Identity {
		ls = append(ls, line{text: t, style: theme.Dim})
	}
	const most = 6
	for i, t := range d.c.Targets {
		if i == most && len(d.c.Targets) > most+1 {
			ls = append(ls, line{text: safe.Sprintf("and %d more", len(d.c.Targets)-most), style: theme.Strong})
			break
		}
		name := t.Name
		if t.Namespace != "" {
			name = t.Namespace + "/" + name
		}
		ls = append(ls, line{text: safe.Sprintf("%s %s", t.Kind, name), style: theme.Strong})
	}
	ls = append(ls, line{})
	switch d.stage {
	case asking:
		ls = append(ls, line{text: safe.Sprintf("%s:", d.c.Action.Input.Prompt), style: theme.Default}, line{field: true})
	case preparing:
		ls = append(ls, line{text: safe.Lit("reading permissions and the current state…"), style: theme.Info})
	case ready:
		if d.prepared.Denied != "" {
			ls = append(ls, wrap(d.prepared.Denied, width, theme.Bad)...)
			break
		}
		for _, p := range d.prepared.Preview {
			ls = append(ls, wrap(p, width, theme.Default)...)
		}
		if d.c.Action.Risk == actions.Critical {
			ls = append(ls, line{}, line{text: safe.Sprintf("Type %s to go on:", d.c.Name), style: theme.Danger}, line{field: true})
		}
	case running:
		ls = append(ls, line{text: safe.Lit("asked; waiting for the answer…"), style: theme.Info})
	}
	if d.err != "" {
		ls = append(ls, wrap(d.err, width, theme.Bad)...)
	}
	return ls
}

// wrap breaks untrusted text at spaces into rows of at most width cells.
func wrap(s string, width int, st theme.Style) []line {
	var ls []line
	cur := ""
	for _, w := range strings.Fields(s) {
		switch {
		case cur == "":
			cur = w
		case safe.String(cur+" "+w).Width() > width:
			ls = append(ls, line{text: safe.String(cur), style: st})
			cur = w
		default:
			cur += " " + w
		}
	}
	return append(ls, line{text: safe.String(cur), style: st})
}

func (d *dialog) draw(m *Model, a draw.Area) {
	if d.drawn.IsZero() {
		d.drawn = m.o.Now()
	}
	w := min(a.W()-2, 76)
	ls := d.lines(w-4, m.o.Theme)
	h := min(len(ls)+4, a.H())
	x, y := (a.W()-w)/2, (a.H()-h)/2
	box := a.Sub(draw.Rect{X: x, Y: y, W: w, H: h})
	box.Clear()
	style := theme.Strong
	if d.c.Action.Risk != actions.Reversible {
		style = theme.Danger
	}
	title := safe.Sprintf(" %s ", d.c.Action.Title)
	if n := len(d.c.Targets); n > 1 {
		title = safe.Sprintf(" %s (%d) ", d.c.Action.Title, n)
	}
	in := box.Box([]draw.Span{{Text: title, Style: style}}, nil, true, m.o.Theme)
	room := max(0, in.H()-2)
	if len(ls) > room {
		ls = ls[len(ls)-room:]
	}
	d.cursorX, d.cursorY = 0, 0
	typing := d.stage == asking || d.stage == ready && d.c.Action.Risk == actions.Critical && d.prepared.Denied == ""
	field := -1
	for i, l := range ls {
		in.Text(1, i, l.style, l.text)
		if l.field {
			field = i
		}
	}
	if typing && field >= 0 {
		end := in.Text(1, field, theme.Value|theme.Under, safe.Sprintf("%s ", d.input.Value()))
		// +2: the dialog's border and the header row above the body
		d.cursorX, d.cursorY = x+end, y+field+2
	}
	d.buttons(in.Sub(draw.Rect{X: 1, Y: in.H() - 1, W: in.W() - 2, H: 1}))
}

func (d *dialog) buttons(a draw.Area) {
	var hint safe.Text
	switch {
	case d.stage == asking:
		hint = safe.Lit("Enter goes on   Esc cancels")
	case d.stage == running:
		hint = safe.Lit("Esc hides this; the action goes on")
	case d.stage == ready && d.prepared.Denied != "":
		hint = safe.Lit("Esc closes")
	case d.stage == ready && d.c.Action.Risk == actions.Critical:
		hint = safe.Lit("Enter goes on   Esc cancels")
	case d.stage == ready:
		cancel, do := theme.Default, theme.Default
		if d.ok {
			do = theme.Strong | theme.Reverse
		} else {
			cancel = theme.Strong | theme.Reverse
		}
		x := a.Text(0, 0, cancel, safe.Lit("[ Cancel ]"))
		x = a.Text(x+2, 0, do, safe.Sprintf("[ %s ]", d.c.Action.Title))
		a.Text(x+2, 0, theme.Dim, safe.Lit("y/n"))
		return
	default:
		hint = safe.Lit("Esc cancels")
	}
	a.Text(0, 0, theme.Dim, hint)
}

// outcomeToast says in one line what became of an action.
func outcomeToast(outs []actions.Outcome) views.ToastMsg {
	if len(outs) == 1 {
		o := outs[0]
		return views.ToastMsg{Text: safe.String(o.Message), Bad: o.Status != actions.Done}
	}
	n := map[actions.Status]int{}
	first := ""
	for _, o := range outs {
		n[o.Status]++
		if o.Status != actions.Done && first == "" {
			first = o.Message
		}
	}
	s := fmt.Sprintf("%d done", n[actions.Done])
	for _, st := range []actions.Status{actions.Failed, actions.Denied, actions.Conflict, actions.Unknown, actions.Refused} {
		if n[st] > 0 {
			s += fmt.Sprintf(", %d %s", n[st], st)
		}
	}
	if first != "" {
		s += ": " + first
	}
	return views.ToastMsg{Text: safe.String(s), Bad: first != ""}
}
