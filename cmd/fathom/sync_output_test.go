package main

import (
	"strings"
	"testing"
	"time"

	"fathom/internal/pty"
)

// Synchronized output (mode 2026) is used where the terminal says that it has it, over SSH as anywhere, and not where it is not wanted. The
// terminal's answer is awaited with a key: what comes before it on the wire has been handled by then.
func TestSynchronizedOutput(t *testing.T) {
	const query, begin = "\x1b[?2026$p", "\x1b[?2026h"
	for _, c := range []struct {
		name         string
		env, args    []string
		has          bool // the terminal has it
		asked, usage bool
	}{
		{"here", nil, nil, true, true, true},
		{"over SSH", []string{"SSH_TTY=/dev/pts/1", "SSH_CONNECTION=192.0.2.1 1 192.0.2.2 22"}, nil, true, true, true},
		{"a terminal without it", []string{"SSH_TTY=/dev/pts/1"}, nil, false, true, false},
		{"not wanted, by flag", []string{"SSH_TTY=/dev/pts/1"}, []string{"--no-sync-output"}, true, false, false},
		{"not wanted, by environment", []string{"FATHOM_NO_SYNC_OUTPUT=1"}, nil, true, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			env, _ := silentEnv(t)
			x := startSelf(t, append(env, c.env...), pty.Options{Cols: 100, Rows: 30, Sync: c.has}, append(c.args, "--no-etcd")...)
			if _, err := x.WaitText(20*time.Second, "overview"); err != nil {
				t.Fatal(err)
			}
			for _, key := range []string{"?", "\x1b"} { // the answer was sent before the first of them
				if err := x.Send(key); err != nil {
					t.Fatal(err)
				}
				want := key == "?"
				if _, err := x.Wait(20*time.Second, "the help", func(s *pty.Screen) bool { return s.Contains("Esc closes") == want }); err != nil {
					t.Fatal(err)
				}
			}
			out := x.Output()
			if got := strings.Contains(out, query); got != c.asked {
				t.Errorf("the terminal was asked: %v, want %v", got, c.asked)
			}
			if got := strings.Contains(out, begin); got != c.usage {
				t.Errorf("used: %v, want %v", got, c.usage)
			}
			x.Look(func(s *pty.Screen) {
				if c.usage != (s.Frames > 0) || s.Synchronized {
					t.Errorf("%d synchronized updates, and one is open: %v", s.Frames, s.Synchronized)
				}
			})
			if err := x.Send("\x03"); err != nil {
				t.Fatal(err)
			}
			select {
			case <-x.Done():
			case <-time.After(10 * time.Second):
				t.Fatal("it has not ended")
			}
			x.Look(func(s *pty.Screen) {
				if s.Synchronized || s.Alternate || s.CursorHidden {
					t.Errorf("left behind: synchronized %v, alternate screen %v, no cursor %v", s.Synchronized, s.Alternate, s.CursorHidden)
				}
			})
		})
	}
}

// While nothing on the screen changes, nothing is written to the terminal.
func TestNothingIsWrittenWhileNothingChanges(t *testing.T) {
	env, _ := silentEnv(t)
	x := startSelf(t, env, pty.Options{Cols: 200, Rows: 60, Sync: true}, "--no-etcd", "-c", "contexts")
	if _, err := x.WaitText(20*time.Second, "contexts"); err != nil {
		t.Fatal(err)
	}
	// Once no byte has come for a second everything has settled; then none may come for three more.
	quiet, since := x.Bytes(), time.Now()
	deadline := since.Add(30 * time.Second)
	for time.Since(since) < 4*time.Second {
		<-time.After(20 * time.Millisecond)
		if n := x.Bytes(); n != quiet {
			if time.Since(since) > time.Second && time.Now().After(deadline) {
				t.Fatalf("%d bytes were written after %v without a change:\n%q", n-quiet, time.Since(since), x.Chunks()[len(x.Chunks())-1].Bytes)
			}
			quiet, since = n, time.Now()
		}
	}
}
