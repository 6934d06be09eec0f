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
	ended // what came of it stays until it is put away
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
	top      int  // the first line of the text that is drawn
	page     int  // how many were drawn last
	lines    int  // how many there were
	follow   bool // the text moves with the steps, until somebody scrolls

	progress actions.Progress
	stopping bool
	outs     []actions.Outcome
}

// confirm opens the dialog for an action. It may come some time after its key, since a pane may have had to read something first. A dialog that is open
// by then is not lost: one of a run is put aside, and one that waits for an answer goes on waiting.
func (m *Model) confirm(a views.ActMsg) tea.Cmd {
	if len(a.Targets) == 0 {
		return nil
	}
	if d, ok := m.overlay.(*dialog); ok {
		if d.stage < running {
			m.say(views.ToastMsg{Text: safe.Sprintf("%s is not asked: another question was open when it was ready; press its key again", a.Action.Title), Bad: true})
			return nil
		}
		m.aside = append(m.aside, d)
	}
	m.seq++
	c := m.o.Opener.Confirm(a)
	d := &dialog{seq: m.seq, c: c, ok: c.Action.Risk == actions.Reversible}
	m.overlay = d
	if a.Input != nil { // it was given already
		d.c.Value = *a.Input
		return d.prepare(d.c.Value)
	}
	if in := a.Action.Input; in != nil {
		d.input = newInput(in.Initial(a.Targets[0]))
		return nil
	}
	return d.prepare("")
}

// prepare asks what would happen, for the value that was given to the action's Input.
func (d *dialog) prepare(value string) tea.Cmd {
	d.stage = preparing
	seq, prep := d.seq, d.c.Prepare
	return func() tea.Msg {
		p := prep(value)
		return dialogMsg{seq: seq, prepared: &p}
	}
}

// phrase is what must be typed to go on, empty when a key is enough.
func (d *dialog) phrase() string {
	switch {
	case d.stage != ready:
		return ""
	case d.prepared.Denied != "":
		return d.prepared.Override
	case d.c.Action.Risk == actions.Critical:
		return d.c.Name
	}
	return ""
}

// typing reports whether letters go into the field.
func (d *dialog) typing() bool { return d.stage == asking || d.phrase() != "" }

// ticking reports whether the dialog shows how long something takes.
func (d *dialog) ticking() bool { return d.stage == preparing || d.stage == running }

// sync looks at how far the run has come and reports whether that is news.
func (d *dialog) sync() bool {
	if d.stage != running || d.c.Progress == nil {
		return false
	}
	p := d.c.Progress()
	if p.Gen == d.progress.Gen {
		return false
	}
	d.progress = p
	return true
}

func (m *Model) prepared(d *dialog, p views.Prepared) {
	d.prepared, d.stage, d.top = p, ready, 0
	d.drawn = time.Time{} // what was typed before the question could be read is no answer to it
	if d.phrase() != "" {
		d.input = newInput("")
	}
}

// outcome ends a run. What is more than a line stays on the screen until it is put away.
func (m *Model) outcome(d *dialog, outs []actions.Outcome) {
	if d == nil { // nobody waits for it any more
		m.say(outcomeToast(outs))
		return
	}
	d.sync()
	d.outs, d.stage, d.top, d.drawn = outs, ended, 0, time.Time{}
	d.follow = d.paper() == "" // which is read from its beginning
	hidden := m.overlay != overlay(d)
	if !d.stays() {
		m.forget(d)
		m.say(outcomeToast(outs))
		return
	}
	if hidden && m.overlay == nil && m.prompt == nil {
		m.restore(d)
		return
	}
	if hidden {
		t := outcomeToast(outs)
		t.Text = safe.Sprintf("%s  (! shows it)", t.Text)
		m.say(t)
	}
}

// stays reports whether what came of it is more than news of one line.
func (d *dialog) stays() bool {
	if d.c.Action.Steps != nil || d.kept() != "" {
		return true
	}
	for _, o := range d.outs {
		if strings.Contains(o.Message, "\n") {
			return true
		}
	}
	return false
}

// hide puts a dialog aside whose run goes on.
func (m *Model) hide(d *dialog) {
	m.overlay = nil
	m.aside = append(m.aside, d)
	m.say(views.ToastMsg{Text: safe.Sprintf("%s goes on; its outcome will be shown here, ! shows it now", d.c.Action.Title)})
}

// restore brings a dialog back that was put aside.
func (m *Model) restore(d *dialog) {
	m.forget(d)
	d.drawn, d.top = time.Time{}, 0 // keys that were meant for what it covers are not for it
	m.overlay = d
}

// forget takes a dialog off the screen, or from those put aside.
func (m *Model) forget(d *dialog) {
	if m.overlay == overlay(d) {
		m.overlay = nil
	}
	for i, o := range m.aside {
		if o == d {
			m.aside = append(m.aside[:i:i], m.aside[i+1:]...)
			return
		}
	}
}

// dialogOf finds the dialog that a reply is for.
func (m *Model) dialogOf(seq uint64) *dialog {
	if d, ok := m.overlay.(*dialog); ok && d.seq == seq {
		return d
	}
	for _, d := range m.aside {
		if d.seq == seq {
			return d
		}
	}
	return nil
}

// reply takes the reply of a dialog's command.
func (m *Model) reply(msg dialogMsg) tea.Cmd {
	d := m.dialogOf(msg.seq)
	switch {
	case msg.outcome != nil:
		m.outcome(d, *msg.outcome)
		return m.acted(*msg.outcome)
	case d != nil && msg.prepared != nil:
		m.prepared(d, *msg.prepared)
	}
	return nil
}

// acted tells the panes that want to know what became of an action.
func (m *Model) acted(outs []actions.Outcome) tea.Cmd {
	var cmds []tea.Cmd
	for _, p := range m.visible() {
		if a, ok := p.(views.Acted); ok {
			cmds = append(cmds, a.Acted(outs))
		}
	}
	return tea.Batch(cmds...)
}

// showAside brings back what was put aside last.
func (m *Model) showAside() {
	if n := len(m.aside); n > 0 {
		m.restore(m.aside[n-1])
		return
	}
	m.say(views.ToastMsg{Text: safe.Lit("nothing is under way")})
}

func (d *dialog) key(m *Model, k tea.KeyPressMsg) tea.Cmd {
	if k.String() == "esc" { // never too early: it does nothing
		if d.stage == running {
			m.hide(d)
			return nil
		}
		return d.leave(m)
	}
	if d.drawn.IsZero() || m.o.Now().Sub(d.drawn) < grace {
		return nil
	}
	b, _ := m.o.Keys.Lookup([]keymap.Scope{keymap.Dialog}, k.String())
	letter := len([]rune(k.String())) == 1 || k.String() == "space"
	if d.typing() && letter {
		b = keymap.Binding{}
	}
	if d.scroll(b.Intent) {
		return nil
	}
	switch d.stage {
	case asking:
		return d.keyAsking(k)
	case ready:
		return d.keyReady(m, k, b.Intent)
	case running:
		d.keyRunning(m, b.Intent)
	case ended:
		return d.keyEnded(m, b.Intent)
	}
	return nil
}

// scroll moves the text when there is more than fits.
func (d *dialog) scroll(in keymap.Intent) bool {
	last := max(0, d.lines-d.page)
	switch in {
	case keymap.DialogUp, keymap.DialogDown, keymap.DialogPageUp, keymap.DialogPageDown:
		d.follow = false
	}
	switch in {
	case keymap.DialogUp:
		d.top = max(0, d.top-1)
	case keymap.DialogDown:
		d.top = min(last, d.top+1)
	case keymap.DialogPageUp:
		d.top = max(0, d.top-d.page)
	case keymap.DialogPageDown:
		d.top = min(last, d.top+d.page)
	default:
		return false
	}
	return true
}

func (d *dialog) keyAsking(k tea.KeyPressMsg) tea.Cmd {
	if k.String() == "enter" {
		value := d.input.Value()
		if !d.c.Action.Input.Exact {
			value = strings.TrimSpace(value)
		}
		if err := d.c.Action.Input.Check(d.c.Targets[0], value); err != nil {
			d.err = err.Error()
			return nil
		}
		d.c.Value = value
		return d.prepare(value)
	}
	d.err = ""
	d.input, _ = d.input.Update(k)
	return nil
}

func (d *dialog) keyReady(m *Model, k tea.KeyPressMsg, in keymap.Intent) tea.Cmd {
	phrase := d.phrase()
	typed := d.input.Value()
	// A name may hold what no key types, such as a tab: what is shown of it will do.
	given := typed == phrase || typed == safe.String(phrase).String()
	if phrase != "" && k.String() != "enter" {
		d.err = ""
		d.input, _ = d.input.Update(k)
		return nil
	}
	switch {
	case phrase != "" && !given:
		d.err = fmt.Sprintf("type %s to go on, or Esc", phrase)
	case phrase != "" && d.prepared.Denied != "":
		return d.run(m, phrase)
	case phrase != "":
		return d.run(m, "")
	case in == keymap.DialogCancel, d.prepared.Denied != "" && in == keymap.DialogChoose:
		return d.leave(m)
	case d.prepared.Denied != "":
	case in == keymap.DialogConfirm, in == keymap.DialogChoose && d.ok:
		return d.run(m, "")
	case in == keymap.DialogNext:
		d.ok = !d.ok
	case in == keymap.DialogChoose:
		return d.leave(m)
	}
	return nil
}

// leave closes the dialog, and says what becomes of what was typed for it when nothing was sent.
func (d *dialog) leave(m *Model) tea.Cmd {
	m.forget(d)
	if d.stage == ended || d.c.Left == nil {
		return nil
	}
	return d.c.Left(d.stage == asking)
}

// kept says how to get at the text that was given for the action, when it is kept.
func (d *dialog) kept() string {
	if d.c.Kept == nil {
		return ""
	}
	return d.c.Kept()
}

func (d *dialog) keyRunning(m *Model, in keymap.Intent) {
	switch in {
	case keymap.DialogCancel, keymap.DialogChoose:
		m.hide(d)
	case keymap.DialogStop:
		if d.canStop() && !d.stopping {
			d.stopping = true
			d.c.Stop()
		}
	}
}

// canStop reports whether there is something after the request that is under way.
func (d *dialog) canStop() bool {
	return d.c.Stop != nil && (d.c.Action.Steps != nil || len(d.c.Targets) > 1)
}

func (d *dialog) keyEnded(m *Model, in keymap.Intent) tea.Cmd {
	switch in {
	case keymap.DialogCancel, keymap.DialogChoose:
		m.forget(d)
	case keymap.DialogCopy:
		if text := d.paper(); text != "" && d.c.Copy != nil {
			return d.c.Copy(text)
		}
	}
	return nil
}

// paper is the text to be copied: what the messages hold beyond their first line.
func (d *dialog) paper() string {
	var parts []string
	for _, o := range d.outs {
		if _, rest, ok := strings.Cut(o.Message, "\n"); ok {
			parts = append(parts, rest)
		}
	}
	return strings.Join(parts, "\n")
}

func (d *dialog) run(m *Model, override string) tea.Cmd {
	d.stage, d.follow = running, true
	value, seq, run := d.c.Value, d.seq, d.c.Run
	return func() tea.Msg {
		out := run(value, override)
		return dialogMsg{seq: seq, outcome: &out}
	}
}

func (d *dialog) paste(s string) {
	if !d.typing() {
		return
	}
	if in := d.c.Action.Input; d.stage != asking || !in.Exact {
		s = strings.TrimSpace(s)
	}
	d.err = ""
	d.input, _ = d.input.Update(tea.PasteMsg{Content: s})
}

// outcomeToast says in one line what became of an action.
func outcomeToast(outs []actions.Outcome) views.ToastMsg {
	if len(outs) == 1 {
		o := outs[0]
		first, _, _ := strings.Cut(o.Message, "\n")
		return views.ToastMsg{Text: safe.String(first), Bad: o.Status != actions.Done}
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
	for _, st := range []actions.Status{actions.Failed, actions.Denied, actions.Conflict, actions.Unknown, actions.Refused, actions.Stopped} {
		if n[st] > 0 {
			s += fmt.Sprintf(", %d %s", n[st], st)
		}
	}
	if first != "" {
		s += ": " + first
	}
	return views.ToastMsg{Text: safe.String(s), Bad: first != ""}
}
