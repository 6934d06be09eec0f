package testcluster

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Terminal is a real terminal (tmux, with a server of its own) that runs a shell.
type Terminal struct {
	t      testing.TB
	socket string
}

// NewTerminal opens a terminal of w by h cells that runs a shell with exactly this environment. It is gone when the test ends.
func NewTerminal(t testing.TB, w, h int, env []string) *Terminal {
	t.Helper()
	if _, err := exec.LookPath("tmux"); err != nil {
		t.Fatalf("the terminal suite needs tmux (%v): apt-get install tmux", err)
	}
	dir, err := os.MkdirTemp("", "fathom-tmux-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	term := &Terminal{t: t, socket: filepath.Join(dir, "s")}
	args := []string{"-S", term.socket, "-f", "/dev/null", "new-session", "-d", "-x", fmt.Sprint(w), "-y", fmt.Sprint(h),
		"env", "-i"}
	args = append(args, env...)
	args = append(args, "PS1=$ ", "sh")
	cmd := exec.Command("tmux", args...)
	cmd.Env = append(os.Environ(), "LANG=C.UTF-8", "LC_ALL=C.UTF-8", "TMUX=")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("tmux: %v\n%s", err, out)
	}
	t.Cleanup(func() { _, _ = term.try("kill-server") })
	term.Tmux("set", "-g", "status", "off")
	term.Tmux("set", "-s", "escape-time", "0")
	term.Tmux("resize-window", "-x", fmt.Sprint(w), "-y", fmt.Sprint(h))
	term.WaitFor("$") // the prompt; a capture has no trailing blanks
	return term
}

// Tmux runs a tmux command on this terminal.
func (x *Terminal) Tmux(args ...string) string {
	x.t.Helper()
	out, err := x.try(args...)
	if err != nil {
		x.t.Fatalf("tmux %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

func (x *Terminal) try(args ...string) (string, error) {
	cmd := exec.Command("tmux", append([]string{"-S", x.socket}, args...)...)
	cmd.Env = append(os.Environ(), "LANG=C.UTF-8", "LC_ALL=C.UTF-8", "TMUX=")
	out, err := cmd.CombinedOutput()
	return strings.TrimRight(string(out), "\n"), err
}

// Screen is what is on the screen, as text.
func (x *Terminal) Screen() string { return x.Tmux("capture-pane", "-p") }

// Coloured is what is on the screen, with its SGR sequences.
func (x *Terminal) Coloured() string { return x.Tmux("capture-pane", "-p", "-e") }

// Keys presses keys, by tmux's names: "j", "Enter", "Escape", "C-d", "Space".
func (x *Terminal) Keys(keys ...string) {
	x.t.Helper()
	x.Tmux(append([]string{"send-keys"}, keys...)...)
}

// Type types text literally.
func (x *Terminal) Type(text string) {
	x.t.Helper()
	x.Tmux("send-keys", "-l", text)
}

// Line types a line into the shell and presses Enter.
func (x *Terminal) Line(text string) {
	x.t.Helper()
	x.Type(text)
	x.Keys("Enter")
}

// Resize changes the size of the terminal.
func (x *Terminal) Resize(w, h int) {
	x.t.Helper()
	x.Tmux("resize-window", "-x", fmt.Sprint(w), "-y", fmt.Sprint(h))
}

// WaitFor waits until every one of the texts is on the screen, and returns the screen.
func (x *Terminal) WaitFor(texts ...string) string {
	x.t.Helper()
	return x.WaitUntil(fmt.Sprintf("%q on the screen", texts), func(s string) bool {
		for _, t := range texts {
			if !strings.Contains(s, t) {
				return false
			}
		}
		return true
	})
}

// WaitGone waits until a text is not on the screen any more.
func (x *Terminal) WaitGone(text string) string {
	x.t.Helper()
	return x.WaitUntil(fmt.Sprintf("%q gone from the screen", text), func(s string) bool { return !strings.Contains(s, text) })
}

// screenTimeout is how long WaitFor waits: generous, because the machine may be busy; a test that waits this long has failed.
const screenTimeout = 30 * time.Second

// WaitUntil waits until ok says yes to a screen, and returns that screen.
func (x *Terminal) WaitUntil(what string, ok func(screen string) bool) string {
	x.t.Helper()
	deadline := time.Now().Add(screenTimeout)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		s := x.Screen()
		if ok(s) {
			return s
		}
		if time.Now().After(deadline) {
			x.t.Fatalf("not within %v: %s. The screen:\n%s", screenTimeout, what, s)
		}
		<-tick.C
	}
}

// Flags are the terminal's modes: whether the alternate screen is on, the cursor shown, the mouse taken.
func (x *Terminal) Flags() (alternate, cursor, mouse bool) {
	f := strings.Fields(x.Tmux("display-message", "-p", "#{alternate_on} #{cursor_flag} #{mouse_any_flag}"))
	if len(f) != 3 {
		x.t.Fatalf("tmux flags: %q", f)
	}
	return f[0] == "1", f[1] == "1", f[2] == "1"
}
