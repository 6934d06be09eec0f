package ui

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"fathom/actions"
	"fathom/internal/safe"
	"fathom/keymap"
	"fathom/theme"
	"fathom/ui/draw"
	"fathom/ui/table"
	"fathom/views"
	"fathom/watchers"
)

// The screen is tested with panes that show numbered rows: what a pane shows is its own test's business.

type fakePane struct {
	env   *fakeWorld
	ref   views.Ref
	table *table.Table
	n     int
	state watchers.State
	opens int
	dirty bool
	boom  bool
	flt   string

	awaits, trims int
	answer        func() // runs in the command of Await
}

func (p *fakePane) Trim() { p.trims++ }
func (p *fakePane) Await() tea.Cmd {
	p.awaits++
	if p.answer == nil {
		return nil
	}
	return func() tea.Msg { p.answer(); return views.PullMsg{} }
}

func (p *fakePane) Open()                 { p.opens++ }
func (p *fakePane) Close()                { p.opens-- }
func (p *fakePane) Sync() bool            { d := p.dirty; p.dirty = false; return d }
func (p *fakePane) State() watchers.State { return p.state }
func (p *fakePane) Ref() views.Ref        { return p.ref }
func (p *fakePane) Ticks() bool           { return false }
func (p *fakePane) Filter() string        { return p.flt }
func (p *fakePane) SetFilter(s string) error {
	if strings.Contains(s, "(") {
		return errors.New(`filter "(": not a regular expression`)
	}
	p.flt = s
	return nil
}
func (p *fakePane) Title() views.Title {
	return views.Title{Name: safe.String(p.ref.View), Scope: safe.String(p.ref.Namespace), Count: fmt.Sprint(p.n), Filter: safe.String(p.flt), Marks: p.table.MarkCount()}
}
func (p *fakePane) Draw(a draw.Area, focused bool) {
	if p.boom {
		panic("a bug in a pane")
	}
	p.table.Draw(a, focused)
}
func (p *fakePane) Scopes() []keymap.Scope {
	return []keymap.Scope{keymap.Pods, keymap.Objects, keymap.Table}
}
func (p *fakePane) Do(in keymap.Intent) tea.Cmd {
	switch in {
	case keymap.Down:
		p.table.Move(1)
	case keymap.Up:
		p.table.Move(-1)
	case keymap.Mark:
		p.table.ToggleMark()
	case keymap.Enter:
		return func() tea.Msg { return views.OpenMsg{Ref: views.Ref{View: "logs", Namespace: "shop"}} }
	case keymap.PodsDelete:
		id, _ := p.table.Cursor()
		a, _ := actions.Lookup(string(in))
		return func() tea.Msg {
			return views.ActMsg{Action: a, Targets: []actions.Target{{Kind: "Pod", Resource: "pods", Namespace: "shop", Name: id, UID: id}}}
		}
	}
	return nil
}
func (p *fakePane) Targets(actions.Action) ([]actions.Target, string) { return nil, "" }
func (p *fakePane) Unmark()                                           { p.table.ClearMarks() }

type fakeRows int

func (n fakeRows) Len() int        { return int(n) }
func (n fakeRows) ID(i int) string { return fmt.Sprintf("web-%d", i) }
func (n fakeRows) Find(id string) (int, bool) {
	var i int
	_, err := fmt.Sscanf(id, "web-%d", &i)
	return i, err == nil && i < int(n)
}
func (n fakeRows) Cell(i, col int) table.Cell {
	switch col {
	case 0:
		return table.Cell{Text: safe.String(n.ID(i)), Style: theme.Strong}
	case 1:
		if i%5 == 3 {
			return table.Cell{Text: safe.Lit("CrashLoopBackOff"), Style: theme.Bad}
		}
		return table.Cell{Text: safe.Lit("Running"), Style: theme.Good}
	}
	return table.Cell{Text: safe.Sprintf("%dm", i+1)}
}

type fakeWorld struct {
	t        testing.TB
	th       *theme.Theme
	now      time.Time
	panes    []*fakePane
	readOnly bool
	gen      uint64
	ran      []string
	outcome  actions.Outcome
	denied   string
	override string
	preview  []string // in the place of the usual one
	progress *actions.Progress
	stops    int
	copied   string
	detail   [][]draw.Span
	kept     string
	typed    int    // texts for keys
	left     []bool // while something was typed, or not
}

func (w *fakeWorld) Resolve(line, ns string) (views.Ref, error) {
	f := strings.Fields(line)
	if !slices.Contains([]string{"pods", "nodes", "overview"}, f[0]) {
		return views.Ref{}, fmt.Errorf("%q is neither a view nor a resource of this cluster", f[0])
	}
	return views.Ref{View: f[0], Namespace: ns}, nil
}
func (w *fakeWorld) Complete(s string) []string {
	var out []string
	for _, n := range []string{"nodes", "overview", "pods", "poddisruptionbudgets"} {
		if strings.HasPrefix(n, s) {
			out = append(out, n)
		}
	}
	return out
}
func (w *fakeWorld) Pane(r views.Ref) (views.Pane, error) {
	p := &fakePane{env: w, ref: r, n: 200, table: table.New(w.th), state: watchers.State{Phase: watchers.Live}}
	p.table.SetColumns([]table.Column{{Title: "NAME", Flex: true}, {Title: "STATUS", Priority: 1}, {Title: "AGE", Align: draw.Right, Priority: 2}})
	p.table.SetSource(fakeRows(p.n))
	w.panes = append(w.panes, p)
	return p, nil
}
func (w *fakeWorld) Namespaces() []string { return []string{"shop", "default"} }
func (w *fakeWorld) Refresh()             {}
func (w *fakeWorld) Kept() int            { return w.typed }
func (w *fakeWorld) Identity() views.Identity {
	return views.Identity{Context: safe.Lit("prod-eu"), Cluster: safe.Lit("prod"), User: safe.Lit("alice"), Server: safe.Lit("https://10.0.0.1:6443"),
		ReadOnly: w.readOnly, Gen: w.gen, Health: []draw.Span{{Text: safe.Lit("+ API up  + etcd 3/3 "), Style: theme.Good}}}
}
func (w *fakeWorld) Confirm(a views.ActMsg) views.Confirmation {
	return views.Confirmation{Action: a.Action, Targets: a.Targets, Note: a.Note, Identity: []safe.Text{safe.Lit("cluster prod, context prod-eu, as alice")}, Name: a.Targets[0].Name,
		Prepare: func(string) views.Prepared {
			p := views.Prepared{Preview: w.preview, Denied: w.denied, Override: w.override, Detail: w.detail}
			if p.Preview == nil {
				p.Preview = []string{"The pod is deleted. Its owner makes another one."}
			}
			return p
		},
		Progress: func() actions.Progress {
			if w.progress == nil {
				return actions.Progress{}
			}
			return *w.progress
		},
		Stop: func() { w.stops++ },
		Kept: func() string { return w.kept },
		Left: func(typing bool) tea.Cmd {
			w.left = append(w.left, typing)
			return func() tea.Msg { return views.ToastMsg{Text: safe.Lit("left without a yes")} }
		},
		Copy: func(text string) tea.Cmd { w.copied = text; return nil },
		Run: func(in, override string) []actions.Outcome {
			if override != "" {
				in += "/" + override
			}
			w.ran = append(w.ran, a.Action.ID+" "+a.Targets[0].Name+" "+in)
			return []actions.Outcome{w.outcome}
		},
	}
}

// screen is a model with a hand on its keys. Commands are run at once, except timers.
type screen struct {
	*Model
	w *fakeWorld
}

func newScreen(t testing.TB, w, h int, o theme.Options, start ...views.Ref) *screen {
	t.Helper()
	keys, err := keymap.NewDefault()
	if err != nil {
		t.Fatal(err)
	}
	world := &fakeWorld{t: t, th: theme.New(o), now: time.Unix(1_800_000_000, 0)}
	if start == nil {
		start = []views.Ref{{View: "pods", Namespace: "shop"}}
	}
	m := New(Options{Opener: world, Keys: keys, Theme: world.th, Start: start, Namespace: "shop", Now: func() time.Time { return world.now }})
	s := &screen{m, world}
	m.Init() // its only command is the tick, which tests send themselves
	s.send(tea.WindowSizeMsg{Width: w, Height: h})
	return s
}

func (s *screen) send(msg tea.Msg) {
	_, cmd := s.Update(msg)
	_ = s.View()
	if _, tick := msg.(tickMsg); !tick { // its command is the next tick, which tests send themselves
		s.run(cmd)
	}
}

func (s *screen) run(cmd tea.Cmd) {
	if cmd == nil {
		return
	}
	switch msg := cmd().(type) {
	case nil, tickMsg, tea.QuitMsg:
	case tea.BatchMsg:
		for _, c := range msg {
			s.run(c)
		}
	default:
		s.send(msg)
	}
}

// press presses keys by Bubble Tea's names.
func (s *screen) press(keys ...string) {
	for _, k := range keys {
		s.send(keyPress(k))
	}
}

func keyPress(name string) tea.KeyPressMsg {
	var k tea.Key
	for rest, ok := name, true; ok; {
		if rest, ok = strings.CutPrefix(name, "ctrl+"); ok {
			k.Mod |= tea.ModCtrl
			name = rest
			continue
		}
		if rest, ok = strings.CutPrefix(name, "shift+"); ok {
			k.Mod |= tea.ModShift
			name = rest
		}
	}
	special := map[string]rune{"enter": tea.KeyEnter, "esc": tea.KeyEscape, "tab": tea.KeyTab, "space": tea.KeySpace, "up": tea.KeyUp, "down": tea.KeyDown,
		"left": tea.KeyLeft, "right": tea.KeyRight, "backspace": tea.KeyBackspace, "pgdown": tea.KeyPgDown}
	if c, ok := special[name]; ok {
		k.Code = c
		return tea.KeyPressMsg(k)
	}
	k.Code = []rune(name)[0]
	if k.Mod == 0 {
		k.Text = name
	}
	return tea.KeyPressMsg(k)
}

func (s *screen) typed(text string) {
	for _, r := range text {
		s.send(tea.KeyPressMsg{Code: r, Text: string(r)})
	}
}

func (s *screen) wait(d time.Duration) {
	s.w.now = s.w.now.Add(d)
	s.send(tickMsg(s.ticker))
}

func (s *screen) mustShow(t *testing.T, texts ...string) {
	t.Helper()
	f := s.Frame()
	for _, x := range texts {
		if !strings.Contains(f, x) {
			t.Errorf("%q is not on the screen:\n%s", x, f)
		}
	}
}

func (s *screen) mustNotShow(t *testing.T, text string) {
	t.Helper()
	if f := s.Frame(); strings.Contains(f, text) {
		t.Errorf("%q is on the screen:\n%s", text, f)
	}
}
