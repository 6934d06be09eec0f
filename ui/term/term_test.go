package term

import (
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	creack "github.com/creack/pty"

	"fathom/internal/pty"
)

// pace is driven with times of the test's own.
func TestPace(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	var p pace
	if b := p.room(now); b != noBudget {
		t.Errorf("a terminal that is not asked has the budget %d", b)
	}
	p.start()
	if p.wrote(100, now) {
		t.Error("asked after 100 bytes")
	}
	for p.room(now) > 0 {
		if !p.wrote(p.room(now), now) {
			t.Fatal("not asked behind a part of a frame")
		}
		if len(p.asks) > 100 {
			t.Fatal("the window never fills")
		}
	}
	if p.sent > startWindow+minWindow {
		t.Errorf("%d bytes were sent without an answer, the window is %d", p.sent, startWindow)
	}
	if b := p.room(now); b != lastRow {
		t.Errorf("with a full window the budget is %d", b)
	}
	// Answers after 300 ms, then later and later: the window shrinks to its smallest, and grows again once they come in time.
	window := p.window
	for i := range len(p.asks) {
		p.answered(now.Add(300*time.Millisecond + time.Duration(i)*200*time.Millisecond))
	}
	if p.window >= window || p.best != 300*time.Millisecond {
		t.Errorf("a queue of seconds: the window went from %d to %d, the best time is %v", window, p.window, p.best)
	}
	for range 400 {
		p.wrote(askEvery, now)
		p.answered(now.Add(310 * time.Millisecond))
	}
	if p.window != maxWindow {
		t.Errorf("without a queue the window is %d", p.window)
	}
	if p.answered(now) {
		t.Error("an answer that nobody asked for was taken")
	}

	// Silence: held for a while by a terminal that has answered before, not for long by one that never has.
	for _, c := range []struct {
		ever bool
		hold time.Duration
	}{{false, deaf}, {true, silent}} {
		p = pace{ever: c.ever}
		p.start()
		p.wrote(2*startWindow, now)
		if b := p.room(now.Add(c.hold - time.Millisecond)); b != lastRow {
			t.Errorf("answered before: %v: not held, budget %d", c.ever, b)
		}
		if b := p.room(now.Add(c.hold + time.Millisecond)); b != noBudget || p.on {
			t.Errorf("answered before: %v: still held, budget %d", c.ever, b)
		}
	}
}

// inShell runs the churn in a shell, which types back what it reads for a moment once the churn has ended.
func inShell(t *testing.T, line *pty.Line, options string) *pty.Terminal {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	x, err := pty.Start("/bin/sh", []string{"-c", "stty -a >before; " + self + "; stty -a >after; echo; echo ended; timeout 2 cat -v; echo over"}, pty.Options{Cols: 100, Rows: 30, Line: line, Sync: true,
		Dir: t.TempDir(), Env: []string{"TERM=xterm-256color", "PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), asProgram + "=" + options, "GORACE=atexit_sleep_ms=0"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = x.Close() })
	return x
}

// No answer of the terminal reaches the shell, however early the program ends; what the user types to the shell does.
func TestAnswersDoNotReachTheShell(t *testing.T) {
	t.Parallel()
	for name, keys := range map[string]string{"at once": "\x03", "after some frames": "aaa\x03"} {
		t.Run(name, func(t *testing.T) {
			x := inShell(t, &pty.Line{Latency: 100 * time.Millisecond, BytesPerSecond: 200_000, Buffer: 1 << 20}, "far")
			for _, k := range keys {
				if _, err := x.WaitText(20*time.Second, "typed "); err != nil {
					t.Fatal(err)
				}
				_ = x.Send(string(k))
			}
			if _, err := x.WaitText(20*time.Second, "ended"); err != nil {
				t.Fatal(err)
			}
			_ = x.Send("mine\r")
			if _, err := x.WaitText(20*time.Second, "over"); err != nil {
				t.Fatal(err)
			}
			text := x.Text()
			if strings.Contains(text, "^[") || strings.Contains(text, "R") || !strings.Contains(text, "mine") {
				t.Errorf("the shell has read something else than what was typed:\n%s", text)
			}
		})
	}
}

// A terminal that never answers holds nothing up for longer than a moment.
func TestATerminalThatNeverAnswers(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = []string{"TERM=xterm-256color", "HOME=" + t.TempDir(), asProgram + "=far"}
	f, err := creack.StartWithSize(cmd, &creack.Winsize{Rows: 60, Cols: 200})
	if err != nil {
		t.Fatal(err)
	}
	begin, n, buf := time.Now(), 0, make([]byte, 32<<10)
	_ = f.SetReadDeadline(begin.Add(20 * time.Second))
	held := 0
	for n < 10*startWindow {
		k, err := f.Read(buf)
		if err != nil {
			t.Fatalf("after %d bytes: %v", n, err)
		}
		n += k
		if time.Since(begin) < deaf/2 {
			held = n
		}
	}
	t.Logf("%d bytes in the first moment, %d after %v", held, n, time.Since(begin).Round(time.Millisecond))
	if held > 3*startWindow {
		t.Errorf("%d bytes were sent to a terminal that had not answered", held)
	}
	_ = f.Close() // it hangs up
	_ = cmd.Wait()
}
