package ui

import (
	"fmt"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/exp/golden"

	"fathom/actions"
	"fathom/internal/safe"
	"fathom/theme"
	"fathom/views"
	"fathom/watchers"
)

// The frames at three sizes, in colour and in ASCII without it.
func TestGoldenFrames(t *testing.T) {
	for _, size := range []struct{ w, h int }{{80, 24}, {120, 40}, {200, 60}} {
		for name, o := range map[string]theme.Options{"colour": {}, "ascii": {ASCII: true, NoColor: true}} {
			scenes := map[string]func(s *screen){
				"pods":   func(*screen) {},
				"split":  func(s *screen) { s.press("|", "tab", "j", "j") },
				"help":   func(s *screen) { s.press("?") },
				"dialog": func(s *screen) { s.press("ctrl+d") },
			}
			for scene, play := range scenes {
				t.Run(fmt.Sprintf("%s/%dx%d/%s", scene, size.w, size.h, name), func(t *testing.T) {
					s := newScreen(t, size.w, size.h, o)
					play(s)
					s.drawFrame()
					golden.RequireEqual(t, s.canvas.Render(s.w.th))
				})
			}
		}
	}
}

func TestTooSmallStillQuits(t *testing.T) {
	s := newScreen(t, 59, 20, theme.Options{})
	s.mustShow(t, "too small", "59x20", "60x15")
	for _, size := range []struct{ w, h int }{{1, 1}, {0, 0}, {300, 2}, {2, 300}} {
		s.send(tea.WindowSizeMsg{Width: size.w, Height: size.h})
		s.Frame()
	}
	_, cmd := s.Update(keyPress("q"))
	if cmd == nil || cmd() != tea.Quit() {
		t.Error("q does not quit")
	}
}

// Of a screen that is too small to draw in only q and ctrl+c do anything: nobody answers a question that is not to be seen, and q quits
// though there is a view to go back to.
func TestTooSmallAnswersNothing(t *testing.T) {
	s := newScreen(t, 80, 24, theme.Options{})
	s.press("enter", "ctrl+d")
	s.wait(time.Second)
	s.mustShow(t, "[ Cancel ]")
	s.send(tea.WindowSizeMsg{Width: 40, Height: 10})
	s.press("y", "esc")
	s.send(tea.PasteMsg{Content: "y"})
	s.send(tea.MouseClickMsg{X: 3, Y: 5, Button: tea.MouseLeft})
	if len(s.w.ran) != 0 {
		t.Errorf("answered without being seen: %q", s.w.ran)
	}
	s.send(tea.WindowSizeMsg{Width: 80, Height: 24})
	s.mustShow(t, "[ Cancel ]")
	s.press("esc", ":")
	s.send(tea.WindowSizeMsg{Width: 40, Height: 10})
	s.press("d")
	if got := s.prompt.input.Value(); got != "" {
		t.Errorf("typed without being seen: %q", got)
	}
	s.w.typed = 1
	s.press("q")
	if s.ended {
		t.Fatal("a kept text was dropped unasked")
	}
	s.mustShow(t, "again quits and drops it")
	s.press("q")
	if !s.ended {
		t.Error("q does not quit")
	}
}

// The cursor of a dialog does not stand on a screen that does not show it.
func TestTooSmallHasNoCursor(t *testing.T) {
	s := newScreen(t, 80, 24, theme.Options{})
	s.w.denied, s.w.override = "without etcd-2 the quorum is lost", "lose the quorum"
	s.press("ctrl+d")
	s.wait(time.Second)
	if s.cursor() == nil {
		t.Fatal("the field has no cursor")
	}
	s.send(tea.WindowSizeMsg{Width: 40, Height: 10})
	if c := s.cursor(); c != nil {
		t.Errorf("a cursor at %d, %d", c.X, c.Y)
	}
}

// Nobody is kept awake by a screen on which nothing happens, and nobody waits for one on which something does.
func TestTicksSlowDown(t *testing.T) {
	s := newScreen(t, 80, 24, theme.Options{})
	quiet := func() {
		t.Helper()
		for range quietAfter {
			if s.pace() == quietTick {
				t.Error("it was slow too soon")
			}
			s.wait(s.pace())
		}
		if s.pace() != quietTick {
			t.Errorf("a tick after %v though nothing happens", s.pace())
		}
		for range 10 { // seconds go by
			s.wait(s.pace())
		}
		if s.pace() != quietTick {
			t.Errorf("a tick after %v because time goes by", s.pace())
		}
	}
	fast := func(why string) {
		t.Helper()
		if s.pace() != s.o.Tick {
			t.Errorf("%s: the next tick comes after %v", why, s.pace())
		}
	}
	quiet()
	s.w.panes[0].dirty = true
	s.wait(quietTick)
	fast("a pane has news")

	quiet()
	old := s.ticker
	s.press("j")
	fast("a key was pressed")
	if s.ticker == old {
		t.Error("the key waits for the slow tick that is on its way")
	}
	if _, cmd := s.Update(tickMsg(old)); cmd != nil {
		t.Error("the slow chain of ticks goes on beside the fast one")
	}
	s.wait(s.pace())
	fast("the new chain goes on")
}

// The frame is drawn only when something changed: the same string is returned otherwise.
func TestFrameIsCached(t *testing.T) {
	s := newScreen(t, 80, 24, theme.Options{})
	n := s.frames
	for range 50 {
		s.send(tickMsg(s.ticker))
	}
	if s.frames != n {
		t.Errorf("%d frames were drawn though nothing changed", s.frames-n)
	}
	s.w.panes[0].dirty = true
	s.send(tickMsg(s.ticker))
	if s.frames != n+1 {
		t.Errorf("%d frames were drawn for one change", s.frames-n)
	}
}

func TestFilterIsNeverSilentlyEmpty(t *testing.T) {
	s := newScreen(t, 80, 24, theme.Options{})
	s.press("/")
	s.typed("web-1")
	if got := s.w.panes[0].flt; got != "web-1" {
		t.Fatalf("the filter applied while typing is %q", got)
	}
	s.typed("(")
	s.mustShow(t, "not a regular expression")
	if got := s.w.panes[0].flt; got != "web-1" {
		t.Errorf("an invalid filter was applied: %q", got)
	}
	s.press("enter") // refused: the prompt stays
	s.mustShow(t, "not a regular expression")
	s.press("backspace", "enter")
	s.mustShow(t, "/web-1")
	s.press("esc")
	if got := s.w.panes[0].flt; got != "" {
		t.Errorf("Esc did not clear the filter: %q", got)
	}
}

func TestCommandLine(t *testing.T) {
	s := newScreen(t, 100, 24, theme.Options{})
	s.press(":")
	s.typed("nod")
	s.press("tab", "enter")
	s.mustShow(t, "nodes shop")
	s.press(":")
	s.typed("nonsense")
	s.press("enter")
	s.mustShow(t, "neither a view nor a resource")
	s.press("esc", "esc")
	s.mustShow(t, "pods shop")
	s.press(":", "up", "up", "enter") // the earlier commands are kept
	s.mustShow(t, "nodes shop")
}

// Panes that are not visible give everything back; going back opens them again.
func TestPanesAreOpenOnlyWhileVisible(t *testing.T) {
	s := newScreen(t, 100, 24, theme.Options{})
	s.press("enter")
	opens := func() (n []int) {
		for _, p := range s.w.panes {
			n = append(n, p.opens)
		}
		return n
	}
	if got := fmt.Sprint(opens()); got != "[0 1]" {
		t.Errorf("open counts after a drill-down: %s", got)
	}
	s.press("esc")
	if got := fmt.Sprint(opens()); got != "[1 0]" {
		t.Errorf("open counts after going back: %s", got)
	}
	s.press("|")
	s.press("X")
	s.Close()
	for i, p := range s.w.panes {
		if p.opens != 0 {
			t.Errorf("pane %d was opened %d times more than closed", i, p.opens)
		}
	}
}

func TestDialogIgnoresKeysTypedBeforeItCouldBeRead(t *testing.T) {
	s := newScreen(t, 80, 24, theme.Options{})
	s.w.outcome = actions.Outcome{Status: actions.Done, Message: "deleted shop/web-0"}
	s.press("ctrl+d", "y", "y", "enter") // hammered
	if len(s.w.ran) != 0 {
		t.Fatalf("keys typed before the dialog was drawn ran %q", s.w.ran)
	}
	s.mustShow(t, "Delete", "shop/web-0", "cluster prod", "Its owner makes another one")
	s.wait(time.Second)
	s.press("enter") // the dialog of a destructive action starts on Cancel
	if len(s.w.ran) != 0 {
		t.Fatalf("Enter on Cancel ran %q", s.w.ran)
	}
	s.press("ctrl+d")
	s.wait(time.Second)
	s.press("y")
	if want := "[pods.delete web-0 ]"; fmt.Sprint(s.w.ran) != want {
		t.Errorf("ran %q, want %s", s.w.ran, want)
	}
	s.mustShow(t, "deleted shop/web-0")
}

func TestDialogDenied(t *testing.T) {
	s := newScreen(t, 80, 24, theme.Options{})
	s.w.denied = "needs delete on pods in namespace shop"
	s.press("ctrl+d")
	s.wait(time.Second)
	s.mustShow(t, "needs delete on pods")
	s.press("y")
	if len(s.w.ran) != 0 {
		t.Errorf("a denied action ran: %q", s.w.ran)
	}
	s.press("esc")
	s.mustNotShow(t, "needs delete on pods")
}

// The outcome of an action whose dialog was hidden is still shown.
func TestOutcomeAfterHiding(t *testing.T) {
	s := newScreen(t, 80, 24, theme.Options{})
	s.w.outcome = actions.Outcome{Status: actions.Unknown, Message: "it is not known whether shop/web-0 was deleted"}
	s.press("ctrl+d")
	s.wait(time.Second)
	_, run := s.Update(keyPress("y"))
	s.View()
	s.press("esc")
	s.mustShow(t, "goes on")
	s.run(run)
	s.mustShow(t, "it is not known whether")
}

func TestReadOnlyIsAlwaysOnScreen(t *testing.T) {
	s := newScreen(t, 80, 24, theme.Options{NoColor: true})
	s.w.readOnly, s.w.gen = true, 1
	s.wait(time.Second)
	s.mustShow(t, "READ-ONLY", "prod-eu")
	s.mustNotShow(t, "delete") // the hint of an action that would be refused
}

func TestStatesAreDrawnInTheCorner(t *testing.T) {
	s := newScreen(t, 100, 24, theme.Options{})
	for want, st := range map[string]watchers.State{
		"live":                            {Phase: watchers.Live},
		"loading 34,120":                  {Phase: watchers.Connecting, Loaded: 34120},
		"stale 42s: connection refused":   {Phase: watchers.Stale, Since: s.w.now.Add(-42 * time.Second), Why: "connection refused"},
		"denied: may not list secrets":    {Phase: watchers.Denied, Verb: "list", Resource: "secrets"},
		"not available: no such resource": {Phase: watchers.Unsupported, Why: "no such resource"},
		`stale 1s: bad\u{9b}2J`:           {Phase: watchers.Stale, Since: s.w.now.Add(-time.Second), Why: "bad\u009b2J"},
	} {
		s.w.panes[0].state, s.w.panes[0].dirty = st, true
		s.send(tickMsg(s.ticker))
		if f := s.Frame(); !strings.Contains(strings.SplitN(f, "\n", 3)[1], want) {
			t.Errorf("%q is not in the corner:\n%s", want, f)
		}
	}
}

func TestPanicInAPaneEndsInOrder(t *testing.T) {
	s := newScreen(t, 80, 24, theme.Options{})
	var where string
	s.o.Recover = func(w string, _ any) { where = w }
	s.w.panes[0].boom = true
	s.press("j")
	if where != "draw" {
		t.Fatalf("the panic was reported from %q", where)
	}
	if _, cmd := s.Update(tickMsg(s.ticker)); cmd == nil || cmd() != tea.Quit() {
		t.Error("the screen goes on after a panic")
	}
}

// The help says that there is more of it than is shown, and shows as much as there is room for when the screen has grown.
func TestHelpIsWhole(t *testing.T) {
	s := newScreen(t, 80, 24, theme.Options{})
	s.press("?")
	s.mustShow(t, "lines, arrows scroll", "logs of the previous run")
	s.press("G")
	s.mustShow(t, "suspend fathom")
	s.mustNotShow(t, "logs of the previous run")
	s.send(tea.WindowSizeMsg{Width: 80, Height: 200})
	s.mustShow(t, "suspend fathom", "logs of the previous run")
	s.mustNotShow(t, "arrows scroll")
}

func TestSplitAndFocus(t *testing.T) {
	s := newScreen(t, 120, 30, theme.Options{}, views.Ref{View: "pods"}, views.Ref{View: "nodes"})
	s.mustShow(t, "pods", "nodes")
	s.press("tab", "z")
	s.mustNotShow(t, " pods ")
	s.press("z", "_")
	s.mustShow(t, "pods", "nodes")
}

func TestErrorsOfPanesAreToasts(t *testing.T) {
	s := newScreen(t, 80, 24, theme.Options{})
	s.send(views.ToastMsg{Text: safe.String("opening logs: \x1b[2J gone"), Bad: true})
	s.mustShow(t, "␛[2J gone")
	s.wait(time.Minute)
	s.mustNotShow(t, "gone")
}

// News that is longer than a row is whole, in the lowest rows, and stays longer; what was beneath is there again afterwards.
func TestLongNewsIsWhole(t *testing.T) {
	s := newScreen(t, 80, 24, theme.Options{})
	before := s.Frame()
	long := "saving a snapshot of etcd-2 in /var/backups/etcd: the folder has 1.2 GiB free and the database is 1.9 GiB: name another folder, or make room; " +
		"nothing was written, and what was there is there"
	s.send(views.ToastMsg{Text: safe.String(long), Bad: true})
	rows := strings.Split(s.Frame(), "\n")
	if got := strings.Join(strings.Fields(strings.Join(rows[21:], " "))[1:], " "); got != long {
		t.Errorf("the lowest rows say %q", got)
	}
	for _, r := range rows[21:] {
		if len([]rune(r)) > 80 {
			t.Errorf("%q is wider than the screen", r)
		}
	}
	s.wait(12 * time.Second)
	s.mustShow(t, "name another folder")
	s.wait(10 * time.Second)
	if s.Frame() != before {
		t.Errorf("afterwards the screen is another:\n%s", s.Frame())
	}
	s.send(views.ToastMsg{Text: safe.String(strings.Repeat("word ", 2000)), Bad: true})
	if f := s.Frame(); !strings.Contains(f, "web-0") || strings.Count(f, "\n") != 23 {
		t.Errorf("news without end covers more than half of the screen:\n%s", f)
	}
}

// Nobody loses what was typed for a key without having read that it would be lost; ctrl+c and :q! ask nothing.
func TestLeavingAsksForKeptTexts(t *testing.T) {
	for _, c := range []struct {
		name  string
		leave func(*screen)
		again string
	}{
		{"q", func(s *screen) { s.press("q") }, "q again quits and drops it"},
		{":q", func(s *screen) { s.press(":", "q", "enter") }, ":q! or ctrl+c quits"},
		{"another context", func(s *screen) { s.press("enter"); s.send(views.ContextMsg{Context: "other"}) }, "Enter again goes there"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newScreen(t, 80, 24, theme.Options{})
			s.w.typed = 1
			c.leave(s)
			if s.mustShow(t, "a text typed for a key is not written", c.again); s.ended || s.Switch != "" {
				t.Fatal("it has ended all the same")
			}
			s.press("j")
			if c.leave(s); s.ended || s.Switch != "" {
				t.Fatal("it took a key that was pressed long after for a yes")
			}
			if c.name == ":q" {
				s.press(":", "q", "!", "enter")
			} else {
				c.leave(s)
			}
			if !s.ended && s.Switch == "" {
				t.Error("asked again it does not end")
			}
		})
	}
	s := newScreen(t, 80, 24, theme.Options{})
	s.w.typed = 2
	s.press("q")
	s.mustShow(t, "2 texts typed for keys are not written: q again quits and drops them")
	s.wait(time.Minute)
	if s.press("q"); s.ended {
		t.Error("a yes to what is no longer on the screen")
	}
	if s.press("ctrl+c"); !s.ended {
		t.Error("ctrl+c does not end it at once")
	}
}

// What a key asks of another goroutine is awaited, and drawn when it is there; nothing asked, nothing awaited.
func TestAKeyIsAwaited(t *testing.T) {
	s := newScreen(t, 80, 24, theme.Options{})
	p := s.w.panes[0]
	s.press("j")
	if p.awaits != 1 {
		t.Fatalf("Await was called %d times for one key", p.awaits)
	}
	p.answer = func() { p.dirty = true } // what the feed does before the command returns
	n := s.frames
	s.press("/", "w") // each key: a frame of its own, and one for the answer
	if got := s.frames - n; got != 4 {
		t.Errorf("%d frames for two keys with an answer each", got)
	}
	s.send(tea.PasteMsg{Content: "eb"})
	if got := p.flt; got != "web" || p.awaits != 4 {
		t.Errorf("after a paste the filter is %q and Await was called %d times", got, p.awaits)
	}
}

// A pane that was covered gives its memory back after 30 s, once, and not when it was uncovered before.
func TestCoveredPanesAreTrimmedOnce(t *testing.T) {
	s := newScreen(t, 80, 24, theme.Options{})
	first := s.w.panes[0]
	s.press("enter")
	s.wait(20 * time.Second)
	s.press("esc", "enter") // looked at again: the time starts anew
	s.wait(20 * time.Second)
	if first.trims != 0 {
		t.Fatal("trimmed 20 s after it was last seen")
	}
	s.wait(11 * time.Second)
	s.wait(time.Hour)
	if first.trims != 1 || s.w.panes[2].trims != 0 {
		t.Errorf("the covered pane was trimmed %d times, the visible one %d times", first.trims, s.w.panes[2].trims)
	}
	s.press("esc", "enter")
	s.wait(trimAfter)
	if first.trims != 2 {
		t.Errorf("covered again, it was trimmed %d times in all, want 2", first.trims)
	}
}

// A pane asks for a line: what is there already can be changed, Enter answers, Esc does not, and commands' keys are letters meanwhile.
func TestQuestionOfAPane(t *testing.T) {
	s := newScreen(t, 80, 24, theme.Options{})
	var answers []string
	ask := views.AskMsg{Label: safe.Lit("save to"), Value: "a.txt", Hint: safe.Lit("a file"), Answer: func(v string) tea.Cmd { answers = append(answers, v); return nil }}
	s.send(ask)
	s.mustShow(t, "save to a.txt")
	s.press("backspace", "q", "?", "tab", "up", "enter")
	if len(answers) != 1 || answers[0] != "a.txq?" {
		t.Errorf("%q", answers)
	}
	s.send(ask)
	s.press("esc")
	if len(answers) != 1 || s.prompt != nil {
		t.Errorf("Esc answered: %q", answers)
	}
	ask.Value = ""
	s.send(ask)
	s.mustShow(t, "save to", "a file")
	for range 100 { // a long name: its end stays in sight, and the cursor on the screen
		s.press("x")
	}
	s.press("y")
	if out := s.Frame(); !strings.Contains(out, "xy") || s.prompt.x >= 80 {
		t.Errorf("the cursor is at %d:\n%s", s.prompt.x, out)
	}
}
