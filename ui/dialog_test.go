package ui

import (
	"fmt"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"fathom/actions"
	"fathom/internal/safe"
	"fathom/theme"
	"fathom/ui/draw"
	"fathom/views"
)

// A critical action with an input runs with the input, not with the name that was typed; the lines of a difference are moved through.
func TestDialogInputNameAndDetail(t *testing.T) {
	s := newScreen(t, 80, 24, theme.Options{})
	a := actions.Action{ID: "keys.edit", Title: "Write key", Risk: actions.Critical,
		Input: &actions.Input{Prompt: "New value", Initial: func(actions.Target) string { return " as it was" }, Check: func(actions.Target, string) error { return nil }, Exact: true}}
	s.w.detail = nil
	for i := range 50 {
		s.w.detail = append(s.w.detail, []draw.Span{{Text: safe.String(fmt.Sprintf("+ line %d", i+1))}})
	}
	given := "given\n"
	for _, in := range []*string{nil, &given} {
		s.w.ran = nil
		s.send(views.ActMsg{Action: a, Targets: []actions.Target{{Kind: "Key", Name: "web", UID: "web"}}, Input: in})
		s.Frame()
		s.w.now = s.w.now.Add(grace * 2)
		want := "keys.edit web given\n"
		if in == nil {
			want = "keys.edit web  as it was!"
			s.press("!", "enter")
			s.Frame()
			s.w.now = s.w.now.Add(grace * 2)
		}
		if f := s.Frame(); !strings.Contains(f, "+ line 1 ") || !strings.Contains(f, "arrows scroll") || !strings.Contains(f, "Type web to go on") {
			t.Fatalf("the dialog:\n%s", f)
		}
		for range 20 {
			s.send(tea.KeyPressMsg{Code: tea.KeyPgDown})
			s.Frame()
		}
		if f := s.Frame(); !strings.Contains(f, "+ line 50") || strings.Contains(f, "+ line 1 ") || !strings.Contains(f, "Type web to go on") {
			t.Errorf("at the end of the difference:\n%s", f)
		}
		s.press("w", "e", "b", "enter")
		if len(s.w.ran) != 1 || s.w.ran[0] != want {
			t.Errorf("ran %q, want %q", s.w.ran, want)
		}
	}
}

// The question has a grace of its own: an Enter that comes twice accepts the input, and does not answer what nobody has read yet.
func TestDialogIgnoresKeysTypedBeforeTheQuestion(t *testing.T) {
	s := newScreen(t, 80, 24, theme.Options{})
	a := actions.Action{ID: "workloads.scale", Title: "Scale", Risk: actions.Reversible,
		Input: &actions.Input{Prompt: "Replicas", Initial: func(actions.Target) string { return "3" }, Check: func(actions.Target, string) error { return nil }}}
	s.send(views.ActMsg{Action: a, Targets: []actions.Target{{Kind: "Deployment", Name: "web", UID: "web"}}})
	s.wait(time.Second)
	s.press("enter", "enter", "y") // the dialog of a reversible action begins on its button
	if len(s.w.ran) != 0 {
		t.Fatalf("keys typed before the question could be read ran %q", s.w.ran)
	}
	s.mustShow(t, "[ Scale ]")
	s.wait(time.Second)
	s.press("enter")
	if want := "[workloads.scale web 3]"; fmt.Sprint(s.w.ran) != want {
		t.Errorf("ran %q, want %s", s.w.ran, want)
	}
}

// What was typed for an action and not written is not lost, and the dialog says so: whatever its outcome, and when it is left.
func TestDialogSaysWhatIsKept(t *testing.T) {
	s := newScreen(t, 80, 24, theme.Options{})
	s.w.kept = "Your text is kept: e takes it up again."
	a := actions.Action{ID: "keys.edit", Title: "Write key", Risk: actions.Destructive,
		Input: &actions.Input{Prompt: "New value", Initial: func(actions.Target) string { return "mine" }, Check: func(actions.Target, string) error { return nil }}}
	open := func(in *string) {
		s.send(views.ActMsg{Action: a, Targets: []actions.Target{{Kind: "Key", Name: "web", UID: "web"}}, Input: in, Note: "This is your text.\nEsc drops it."})
		s.wait(time.Second)
	}
	open(nil)
	s.mustShow(t, "This is your text.", "Esc drops it.", "mine")
	s.press("esc")
	s.mustShow(t, "left without a yes")
	for _, no := range []string{"esc", "n", "enter"} { // the dialog begins on Cancel
		open(&s.w.kept)
		s.mustNotShow(t, "Your text is kept")
		s.press(no)
		s.mustShow(t, "left without a yes")
	}
	s.w.denied = "Key web was changed at revision 9"
	open(&s.w.kept)
	s.mustShow(t, "changed at revision 9", "Your text is kept")
	s.press("esc")
	if got := fmt.Sprint(s.w.left); got != "[true false false false false]" {
		t.Errorf("left %s", got)
	}
	s.w.denied, s.w.outcome = "", actions.Outcome{Status: actions.Conflict, Message: "Key web was changed at revision 10"}
	open(&s.w.kept)
	s.press("y")
	s.wait(time.Minute)
	s.mustShow(t, "changed at revision 10", "Your text is kept", "Esc closes")
	s.press("esc")
	s.mustNotShow(t, "Esc closes")
	if len(s.w.left) != 5 {
		t.Error("a dialog that has sent something was left without a yes")
	}
}

// What an action is about, and what is to be typed for it, can be read to the end: two keys may differ there only.
func TestDialogShowsLongNames(t *testing.T) {
	for _, size := range []struct{ w, h int }{{80, 24}, {60, 15}} {
		s := newScreen(t, size.w, size.h, theme.Options{})
		name := strings.Repeat("payments-canary-7d9f8b6c5d  ", 4) + "17f3b6c9a1b2c3d4"
		a := actions.Action{ID: "keys.delete", Title: "Delete key", Risk: actions.Critical}
		s.send(views.ActMsg{Action: a, Targets: []actions.Target{{Kind: "Key", Name: name, UID: "web"}}})
		s.wait(time.Second)
		solid := strings.NewReplacer("│", "", " ", "", "\n", "")
		if n := strings.Count(solid.Replace(s.Frame()), solid.Replace(name)); n < 1 || n < 2 && size.h == 24 {
			t.Errorf("%dx%d: the name can be read %d times:\n%s", size.w, size.h, n, s.Frame())
		}
		s.typed(name)
		s.press("enter")
		if len(s.w.ran) != 1 {
			t.Errorf("%dx%d: what was typed was not taken:\n%s", size.w, size.h, s.Frame())
		}
	}
}

// A name that holds what no key types can be typed as it is shown, and what is said of it leaves nothing of it out.
func TestDialogOddNames(t *testing.T) {
	for name, typed := range map[string]string{"a\tb": "a␉b", "a  b": "a  b", "\xff": `\x{ff}`, "日本": "日本"} {
		s := newScreen(t, 80, 24, theme.Options{})
		s.w.preview = []string{fmt.Sprintf("Key %s will be deleted.", name)}
		a := actions.Action{ID: "keys.delete", Title: "Delete key", Risk: actions.Critical}
		s.send(views.ActMsg{Action: a, Targets: []actions.Target{{Kind: "Key", Name: name, UID: "web"}}})
		s.wait(time.Second)
		s.mustShow(t, "│ Key "+typed, "Key "+typed+" will be deleted.", "Type "+typed+" to go on")
		s.typed("a b")
		s.press("enter")
		if len(s.w.ran) != 0 {
			t.Errorf("%q: another name was taken", name)
		}
		s.press("ctrl+u")
		s.typed(typed)
		s.press("enter")
		if want := "keys.delete " + name + " "; len(s.w.ran) != 1 || s.w.ran[0] != want {
			t.Errorf("ran %q, want %q", s.w.ran, want)
		}
	}
}

// asked opens a dialog that asks for a line, which begins with value.
func asked(s *screen, value string) *dialog {
	a := actions.Action{ID: "keys.edit", Title: "Write key", Risk: actions.Destructive, Input: &actions.Input{Prompt: "New value",
		Initial: func(actions.Target) string { return value }, Check: func(actions.Target, string) error { return nil }}}
	s.send(views.ActMsg{Action: a, Targets: []actions.Target{{Kind: "Key", Name: "web", UID: "web"}}})
	s.wait(time.Second)
	return s.overlay.(*dialog)
}

// What is pasted goes where the cursor is, and what is typed then goes behind it.
func TestDialogPaste(t *testing.T) {
	s := newScreen(t, 80, 24, theme.Options{})
	d := asked(s, "ab")
	s.send(tea.PasteMsg{Content: "cd\n"})
	s.press("e", "left", "left")
	s.send(tea.PasteMsg{Content: "--"})
	s.press("f")
	if got := d.input.Value(); got != "abc--fde" {
		t.Errorf("the field holds %q", got)
	}
}

// The cursor of a field stands on the character that it is at, however long the text is and however wide its characters are.
func TestDialogCursor(t *testing.T) {
	for name, value := range map[string]string{"short": "abc", "long": strings.Repeat("0123456789", 12), "wide": strings.Repeat("日本語", 30)} {
		t.Run(name, func(t *testing.T) {
			s := newScreen(t, 80, 24, theme.Options{})
			d := asked(s, value)
			n := len([]rune(value))
			for at := n; at >= 0; at-- {
				s.Frame()
				c := s.cursor()
				if c == nil {
					t.Fatal("the field has no cursor")
				}
				before, behind := seen(&d.input, 71)
				row := []rune(strings.Split(s.Frame(), "\n")[c.Y])
				x, i := 0, 0
				for ; i < len(row) && x < c.X; i++ {
					x += safe.String(string(row[i])).Width()
				}
				if x != c.X || c.X < 4 || c.X > 75 {
					t.Fatalf("at %d of %d the cursor is in column %d of %q", at, n, c.X, string(row))
				}
				if left := string(row[:i]); !strings.HasSuffix(left, before.String()) {
					t.Fatalf("at %d of %d %q stands before the cursor, not %q", at, n, left, before)
				}
				if at < n && !strings.HasPrefix(behind.String(), string([]rune(value)[at])) {
					t.Fatalf("at %d of %d the cursor is on %q", at, n, behind)
				}
				s.press("left")
			}
		})
	}
}

// A text of any length can be pasted: a key that follows is not kept waiting.
func TestLongPaste(t *testing.T) {
	s := newScreen(t, 80, 24, theme.Options{})
	long := strings.Repeat("a line of a log, pasted by mistake\n", 6000) // takes minutes when each character costs what is there already
	for _, begin := range []func(){func() { s.press("/") }, func() { asked(s, "") }} {
		began := time.Now()
		begin()
		s.send(tea.PasteMsg{Content: long})
		s.press("x")
		s.Frame()
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("pasting took %v", took)
		}
		s.press("esc")
	}
}

// A line that is asked for goes where it belongs, and is no command.
func TestAsk(t *testing.T) {
	s := newScreen(t, 80, 24, theme.Options{})
	got := ""
	s.send(views.AskMsg{Label: safe.Lit("new key:"), Value: "/a/", Answer: func(v string) tea.Cmd { got = v; return nil }})
	if f := s.Frame(); !strings.Contains(f, "new key: /a/") {
		t.Errorf("the prompt:\n%s", f)
	}
	s.press("b", "enter")
	if got != "/a/b" || len(s.commands) != 0 || s.prompt != nil {
		t.Errorf("got %q, commands %q", got, s.commands)
	}
}
