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
)

// rolling opens the dialog of an action with steps, answers yes, and returns what its run would say in the end.
func rolling(t *testing.T, s *screen, progress *actions.Progress) tea.Cmd {
	t.Helper()
	a, ok := actions.Lookup("etcd.defragment-all")
	if !ok {
		t.Fatal("no such action")
	}
	s.w.progress = progress
	s.send(views.ActMsg{Action: a, Targets: []actions.Target{{Kind: "Etcd", Resource: "etcd", Name: "prod", UID: "c1"}}})
	s.wait(time.Second)
	_, run := s.Update(keyPress("y"))
	s.View()
	return run
}

func stepsAt(now time.Time) *actions.Progress {
	return &actions.Progress{Gen: 1, Steps: []actions.StepProgress{
		{Title: "Defragment Member etcd-2 (2)", Phase: actions.Ended, Status: actions.Done, Took: 8200 * time.Millisecond,
			Message: "Member etcd-2 (2) is defragmented: from 1.9 GiB to 412 MiB"},
		{Title: "Defragment Member etcd-3 (3)", Phase: actions.Running, Began: now.Add(-3 * time.Second), Expect: 9 * time.Second},
		{Title: "Move the leadership away from Member etcd-1 (1)"},
		{Title: "Defragment Member etcd-1 (1)", Expect: 9 * time.Second},
	}}
}

func TestGoldenSteps(t *testing.T) {
	for name, o := range map[string]theme.Options{"unicode": {}, "ascii": {ASCII: true, NoColor: true}} {
		for stage, play := range map[string]func(s *screen, run tea.Cmd){
			"running": func(s *screen, _ tea.Cmd) {},
			"stopped": func(s *screen, run tea.Cmd) {
				s.press("s")
				s.w.outcome = actions.Outcome{Status: actions.Stopped, Message: "2 of 4 steps are done; stopped as you asked before: Move the leadership away from Member etcd-1 (1)"}
				s.run(run)
			},
		} {
			t.Run(stage+"/"+name, func(t *testing.T) {
				s := newScreen(t, 80, 24, o)
				run := rolling(t, s, stepsAt(s.w.now.Add(time.Second)))
				s.wait(time.Second)
				play(s, run)
				s.drawFrame()
				golden.RequireEqual(t, s.canvas.Render(s.w.th))
			})
		}
	}
}

// A run can be put aside and brought back; stopping it is passed on, once; what came of it stays until it is put away.
func TestStepsAside(t *testing.T) {
	s := newScreen(t, 80, 24, theme.Options{})
	run := rolling(t, s, stepsAt(s.w.now))
	s.mustShow(t, "is defragmented: from 1.9 GiB to 412 MiB (8.2 s)", "s stops after this step", "Move the leadership away")
	s.press("esc")
	s.wait(5 * time.Second) // until the news of that is gone
	s.mustNotShow(t, "Move the leadership")
	s.mustShow(t, "! Defragment all members 1/4")
	s.press("q")
	if s.mustShow(t, "Defragment all members is under way: q again quits and breaks it off"); s.ended {
		t.Fatal("it has ended in the middle of a run, without a question")
	}
	s.press("!")
	s.wait(time.Second)
	s.mustShow(t, "Move the leadership away")
	s.press("s", "s")
	if s.w.stops != 1 {
		t.Errorf("stopped %d times", s.w.stops)
	}
	s.mustShow(t, "stopping after the step")
	s.press("esc")
	s.w.outcome = actions.Outcome{Status: actions.Stopped, Message: "2 of 4 steps are done; stopped as you asked"}
	s.run(run)
	s.mustShow(t, "stopped as you asked", "Esc closes")
	s.press("q") // too early: it was meant for what the dialog covers
	s.mustShow(t, "Esc closes")
	s.wait(time.Second)
	s.press("q")
	s.mustNotShow(t, "Esc closes")
	s.press("!")
	s.mustShow(t, "nothing is under way")
}

// An action whose dialog comes late, because a pane had to read something first, takes the place of none that is open.
func TestDialogComesLate(t *testing.T) {
	late := views.ActMsg{Action: actions.Action{ID: "keys.delete", Title: "Delete key", Risk: actions.Destructive}, Targets: []actions.Target{{Kind: "Key", Name: "late", UID: "late"}}}
	s := newScreen(t, 80, 24, theme.Options{})
	rolling(t, s, stepsAt(s.w.now))
	s.send(late)
	s.mustShow(t, "Key late", "[ Cancel ]")
	s.press("esc")
	s.wait(5 * time.Second) // until the news of that is gone
	s.mustShow(t, "! Defragment all members 1/4")
	s.press("!")
	s.wait(time.Second)
	s.mustShow(t, "Move the leadership away")
	s.press("s")
	if s.w.stops != 1 {
		t.Errorf("stopped %d times", s.w.stops)
	}

	s = newScreen(t, 80, 24, theme.Options{})
	d := asked(s, "typed for ten minutes")
	s.send(late)
	s.mustShow(t, "typed for ten minutes", "Delete key is not asked")
	s.press("!")
	if got := d.input.Value(); s.overlay != overlay(d) || got != "typed for ten minutes!" {
		t.Errorf("the field holds %q", got)
	}
}

// What says how much of it is done is shown so, also while the dialog is put aside.
func TestPartOfAStep(t *testing.T) {
	s := newScreen(t, 80, 24, theme.Options{})
	s.w.progress = &actions.Progress{Gen: 1, Steps: []actions.StepProgress{{Title: "Save snapshot: Member etcd-2 (2)", Phase: actions.Running, Began: s.w.now,
		Doing: "receiving it", Done: 430 << 20, Total: 1000 << 20}}}
	s.press("ctrl+d")
	s.wait(time.Second)
	_, run := s.Update(keyPress("y"))
	s.wait(2 * time.Second)
	s.mustShow(t, "receiving it…", "43 % of 1000.0 MiB, for 3.0 s")
	next := *s.w.progress
	next.Gen, next.Steps = 2, []actions.StepProgress{next.Steps[0]}
	next.Steps[0].Done = 500 << 20
	s.w.progress = &next
	s.press("esc")
	s.wait(5 * time.Second) // until the news of that is gone
	s.mustShow(t, "! Delete pod 50 %")
	s.run(run)
	s.mustNotShow(t, "50 %")
}

// Text to be copied stays, whole, also where its lines are longer than the screen, and can be copied.
func TestPaperStays(t *testing.T) {
	s := newScreen(t, 80, 24, theme.Options{})
	long := "--initial-cluster=" + strings.Repeat("etcd-1=https://10.0.0.1:2380,", 9) + "end"
	s.w.outcome = actions.Outcome{Status: actions.Done, Message: "etcd-4 was added\netcd --name=etcd-4 \\\n  " + long}
	s.press("ctrl+d")
	s.wait(time.Second)
	s.press("y")
	s.mustShow(t, "etcd-4 was added", "etcd --name=etcd-4", "end", "c copies")
	s.wait(time.Second)
	s.press("c")
	if want := "etcd --name=etcd-4 \\\n  " + long; s.w.copied != want {
		t.Errorf("copied %q, want %q", s.w.copied, want)
	}
	s.wait(time.Minute)
	s.mustShow(t, "etcd-4 was added")
	s.press("esc")
	s.mustNotShow(t, "etcd-4 was added")
}

// What is refused and can be overridden is done when exactly that was typed.
func TestOverride(t *testing.T) {
	s := newScreen(t, 80, 24, theme.Options{})
	s.w.denied, s.w.override = "without etcd-2 the quorum is lost", "lose the quorum"
	s.press("ctrl+d")
	s.wait(time.Second)
	s.mustShow(t, "the quorum is lost", "Type lose the quorum to do it all the same")
	s.press("y", "enter")
	s.mustShow(t, "type lose the quorum to go on")
	s.press("backspace")
	s.typed("lose the quorum")
	s.press("enter")
	if want := "[pods.delete web-0 /lose the quorum]"; fmt.Sprint(s.w.ran) != want {
		t.Errorf("ran %q, want %s", s.w.ran, want)
	}
}

// A preview that is longer than the screen is scrolled; what must be typed stays in sight.
func TestLongPreview(t *testing.T) {
	s := newScreen(t, 80, 24, theme.Options{})
	for i := range 40 {
		s.w.preview = append(s.w.preview, fmt.Sprintf("Sentence number %d.", i))
	}
	s.press("ctrl+d")
	s.wait(time.Second)
	s.mustShow(t, "cluster prod", "Sentence number 0.", "lines, arrows scroll", "[ Cancel ]")
	s.mustNotShow(t, "Sentence number 39.")
	s.press("pgdown", "pgdown", "pgdown")
	s.mustShow(t, "Sentence number 39.", "[ Cancel ]")
	// News that comes meanwhile does not cover what is asked.
	long := strings.Repeat("what became of another action ", 8) + "and its end"
	s.send(views.ToastMsg{Text: safe.String(long), Bad: true})
	s.mustShow(t, "[ Cancel ]", "and its end")
	s.wait(time.Minute)
	s.mustShow(t, "[ Cancel ]")
	s.mustNotShow(t, "and its end")
}
