// Package ui is the screen: the one tea.Model of fathom with its layout, focus, frame scheduler and overlays. It draws what
// the panes of package views give it and turns keys into intents; it knows nothing of Kubernetes or etcd.
package ui

import (
	"time"

	tea "charm.land/bubbletea/v2"
	uv "github.com/charmbracelet/ultraviolet"

	"fathom/keymap"
	"fathom/theme"
	"fathom/ui/draw"
	"fathom/ui/term"
	"fathom/views"
)

// Smallest terminal that fathom draws in; below it says so and still quits.
const (
	MinWidth  = 60
	MinHeight = 15
)

// Opener makes panes; package views has the real one.
type Opener interface {
	// Resolve turns what was typed after ":" into a view. namespace is the current one.
	Resolve(command, namespace string) (views.Ref, error)
	// Complete lists what the typed words could become, best first.
	Complete(command string) []string
	// Pane makes the pane for a view. It does not subscribe yet.
	Pane(views.Ref) (views.Pane, error)
	// Refresh makes every source that waits before its next attempt try at once.
	Refresh()
	// Namespaces are the favourite namespaces for the keys 1 to 9.
	Namespaces() []string
	// Identity is the cluster's identity and health, for the first line.
	Identity() views.Identity
	// Confirm makes the confirmation of an action.
	Confirm(views.ActMsg) views.Confirmation
	// Kept is how many texts that somebody typed are neither written nor dropped: they end with the panes.
	Kept() int
}

// Options of the screen.
type Options struct {
	Opener    Opener
	Keys      *keymap.Map
	Theme     *theme.Theme
	Tick      time.Duration // between two pulls of snapshots: 100 ms, 250 ms over SSH; see also quietTick
	Start     []views.Ref   // one or two views to open on
	Namespace string
	Now       func() time.Time
	Mouse     bool
	Recover   func(where string, v any) // called when a pane panicked; the screen ends after it
	Suspend   func()                    // stops the process as the shell's job control does
}

// Model is the one tea.Model. It is used by one goroutine, Bubble Tea's.
type Model struct {
	o      Options
	w, h   int
	canvas *draw.Canvas

	slots     []*slot // one or two
	focus     int
	stacked   bool // two slots one above the other, not side by side
	zoomed    bool // only the focused slot is drawn
	namespace string
	past      []views.Ref // for "[" and "]"
	pastAt    int
	commands  []string // typed after ":", the newest last

	prompt  *prompt
	overlay overlay   // nil, or what takes every key
	aside   []*dialog // hidden ones of actions that are under way, or whose outcome has not been looked at
	toast   toastState
	leaving leaving
	lastKey string
	seq     uint64 // numbers dialogs, so that late replies find theirs

	ticker uint64 // the newest chain of ticks; those of older ones end
	quiet  int    // ticks since something has happened

	dirty  bool
	partly bool  // the canvas shows more than has been painted
	second int64 // the wall-clock second of the last frame
	trimAt int64 // the wall-clock second in which hidden panes were last looked at
	idGen  uint64
	ended  bool
	Switch string // set when the program should reconnect to another context
	frames int    // drawn frames, for tests
}

type toastState struct {
	views.ToastMsg
	until time.Time
}

// leaving is what was asked for while texts were kept, and not done: the same again does it.
type leaving struct {
	what, key string // the key that asked for it
	until     time.Time
}

// tickMsg is a tick of the chain of that number.
type tickMsg uint64

// Every look for news wakes the process up, which is what an idle fathom costs. So after quietAfter ticks in which neither the cluster
// nor the user has done anything it looks every quietTick only.
const (
	quietAfter = 20
	quietTick  = 250 * time.Millisecond
)

// New makes the model. Nothing is opened before Init.
func New(o Options) *Model {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Tick == 0 {
		o.Tick = 100 * time.Millisecond
	}
	return &Model{o: o, canvas: draw.NewCanvas(0, 0), namespace: o.Namespace, dirty: true}
}

// Init implements tea.Model.
func (m *Model) Init() tea.Cmd {
	cmds := []tea.Cmd{m.tick()}
	for i, r := range m.o.Start[:min(len(m.o.Start), 2)] {
		m.slots = append(m.slots, &slot{})
		cmds = append(cmds, m.openIn(i, r, true))
	}
	return tea.Batch(cmds...)
}

func (m *Model) tick() tea.Cmd {
	chain := m.ticker
	return tea.Tick(m.pace(), func(time.Time) tea.Msg { return tickMsg(chain) })
}

// pace is the time until the next tick.
func (m *Model) pace() time.Duration {
	if m.quiet >= quietAfter {
		return max(m.o.Tick, quietTick)
	}
	return m.o.Tick
}

// stirred notes that something has happened. After a quiet time it begins a new chain of ticks: what comes of it is not to wait.
func (m *Model) stirred() tea.Cmd {
	was := m.quiet
	m.quiet = 0
	if was < quietAfter {
		return nil
	}
	m.ticker++
	return m.tick()
}

// Update implements tea.Model. It does no I/O and nothing proportional to the number of rows.
func (m *Model) Update(msg tea.Msg) (_ tea.Model, cmd tea.Cmd) {
	if m.ended {
		return m, tea.Quit
	}
	defer func() {
		if v := recover(); v != nil {
			cmd = m.crashed("update", v)
		}
	}()
	if chain, ok := msg.(tickMsg); ok {
		return m, m.ticked(uint64(chain))
	}
	cmd = m.update(msg)
	if more := m.stirred(); more != nil {
		cmd = tea.Batch(cmd, more)
	}
	return m, cmd
}

func (m *Model) ticked(chain uint64) tea.Cmd {
	if chain != m.ticker {
		return nil
	}
	m.quiet++
	if m.pull() {
		m.quiet = 0
	}
	m.trim()
	return m.tick()
}

func (m *Model) update(msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case views.PullMsg:
		m.pull()
	case tea.WindowSizeMsg:
		m.w, m.h = msg.Width, msg.Height
		m.dirty = true
	case tea.KeyPressMsg:
		m.dirty = true
		return m.await(m.key(msg))
	case tea.PasteMsg:
		if m.dirty = true; m.small() {
			return nil
		}
		if m.prompt != nil {
			return m.await(m.prompt.paste(m, msg.Content))
		}
		if o, ok := m.overlay.(paster); ok {
			o.paste(msg.Content)
		}
	case tea.MouseClickMsg:
		m.dirty = true
		return m.await(m.click(msg.Mouse()))
	case tea.MouseWheelMsg:
		m.dirty = true
		return m.wheel(msg.Mouse())
	case tea.ResumeMsg:
		m.dirty = true
		return term.Redraw
	case views.PaneMsg:
		m.dirty = true
		if u, ok := msg.To.(views.Updater); ok {
			return u.Update(msg.Msg)
		}
	case views.OpenMsg:
		m.dirty = true
		return m.open(msg.Ref)
	case views.PromptMsg:
		m.dirty = true
		m.prompt = newCommand(m)
		m.prompt.input = newInput(msg.Line)
		m.prompt.changed(m)
	case views.BackMsg:
		m.dirty = true
		return m.back()
	case views.NamespaceMsg:
		m.dirty = true
		return m.setNamespace(msg.Namespace, msg.View)
	case views.ContextMsg:
		m.dirty = true
		if !m.mayLeave("context "+msg.Context, "Enter again goes there") {
			return nil
		}
		m.Switch = msg.Context
		return tea.Quit
	case views.ToastMsg:
		m.say(msg)
	case views.ActMsg:
		m.dirty = true
		return m.confirm(msg)
	case views.AskMsg:
		if m.overlay == nil && m.prompt == nil {
			m.prompt, m.dirty = newQuestion(msg), true
		}
	case dialogMsg:
		m.dirty = true
		return m.reply(msg)
	}
	return nil
}

// Say shows a line of news, before the model runs: later it comes as a message.
func (m *Model) Say(t views.ToastMsg) { m.say(t) }

func (m *Model) say(t views.ToastMsg) {
	d := 4 * time.Second
	if t.Bad {
		d = 10 * time.Second
	}
	m.toast = toastState{ToastMsg: t}
	if m.w >= MinWidth {
		d += time.Duration(len(m.toast.rows(m.w))-1) * longer
	}
	m.toast.until = m.o.Now().Add(d)
	m.dirty = true
}

// longer is how much longer the news stays for each row that it has more than one.
const longer = 3 * time.Second

// await adds to cmd the waiting for what a key has asked of the visible panes.
func (m *Model) await(cmd tea.Cmd) tea.Cmd {
	if m.ended {
		return cmd
	}
	cmds := []tea.Cmd{cmd}
	for _, p := range m.visible() {
		if a, ok := p.(views.Awaiter); ok {
			if c := a.Await(); c != nil {
				cmds = append(cmds, c)
			}
		}
	}
	if len(cmds) == 1 {
		return cmd
	}
	return tea.Batch(cmds...)
}

// pull asks every visible pane for news and decides whether a frame must be drawn. It reports whether there were any: that a second has
// gone by is none.
func (m *Model) pull() (news bool) {
	now := m.o.Now()
	newSecond := now.Unix() != m.second
	for _, p := range m.visible() {
		if p.Sync() {
			news = true
		}
		if t, ok := p.(views.Ticker); ok && newSecond && t.Ticks() {
			m.dirty = true
		}
		if newSecond && p.State().Phase != 1 { // not live: the corner counts seconds
			m.dirty = true
		}
	}
	if g := m.o.Opener.Identity().Gen; g != m.idGen {
		m.idGen, news = g, true
	}
	if o, ok := m.overlay.(*dialog); ok {
		if o.sync() {
			news = true
		}
		if newSecond && o.ticking() {
			m.dirty = true
		}
	}
	for _, d := range m.aside { // the footer tells how far they are
		if d.sync() {
			news = true
		}
	}
	if !m.toast.until.IsZero() && now.After(m.toast.until) {
		m.toast = toastState{}
		m.dirty = true
	}
	m.second = now.Unix()
	m.dirty = m.dirty || news
	return news
}

// View implements tea.Model. The screen is drawn by Paint; this is for whoever runs the model without one.
func (m *Model) View() (v tea.View) {
	defer func() {
		if e := recover(); e != nil {
			m.crashed("draw", e)
			v = tea.NewView("")
		}
	}()
	m.redraw()
	m.partly = false
	v = tea.NewView(m.canvas.Render(m.o.Theme))
	v.AltScreen = true
	v.Cursor = m.cursor()
	v.WindowTitle = m.title()
	return v
}

// Dirty implements term.Model.
func (m *Model) Dirty() bool { return (m.dirty || m.partly) && !m.ended }

// Paint implements term.Model.
func (m *Model) Paint(cells *uv.RenderBuffer, budget int) (f term.Frame, moved bool) {
	defer func() {
		if e := recover(); e != nil {
			m.crashed("draw", e)
		}
	}()
	m.redraw()
	done, moved := m.canvas.Paint(cells, m.o.Theme, budget)
	m.partly = !done
	f = term.Frame{Title: m.title(), Mouse: m.o.Mouse}
	if c := m.cursor(); c != nil {
		f.Cursor, f.CursorX, f.CursorY = true, c.X, c.Y
	}
	return f, moved
}

// redraw draws the frame into the canvas when something has changed.
func (m *Model) redraw() {
	if !m.dirty || m.ended {
		return
	}
	m.drawFrame()
	m.dirty = false
	m.frames++
}

// Frame returns the frame as it would be drawn now, without styles; for golden tests.
func (m *Model) Frame() string {
	m.drawFrame()
	return m.canvas.Plain()
}

func (m *Model) title() string {
	id := m.o.Opener.Identity()
	s := "fathom"
	if !id.Context.IsEmpty() {
		s += " " + id.Context.String()
	}
	if id.ReadOnly {
		s += " [read-only]"
	}
	return s
}

// crashed ends the screen after a panic in a pane. The next Update quits.
func (m *Model) crashed(where string, v any) tea.Cmd {
	m.ended = true
	if m.o.Recover == nil {
		panic(v)
	}
	m.o.Recover(where, v)
	return tea.Quit
}

// Close closes every pane. The model is not used afterwards.
func (m *Model) Close() {
	for _, s := range m.slots {
		s.close()
	}
}
