package pty

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// within is generous: the machine may be busy.
const within = 20 * time.Second

func start(t *testing.T, o Options, script string) *Terminal {
	t.Helper()
	if o.Env == nil {
		o.Env = []string{"TERM=xterm-256color", "PATH=/usr/bin:/bin"}
	}
	term, err := Start("sh", []string{"-c", script}, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = term.Close() })
	return term
}

func waitText(t *testing.T, term *Terminal, texts ...string) time.Time {
	t.Helper()
	at, err := term.WaitText(within, texts...)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// The program leads a session whose controlling terminal has the size asked for, and gets exactly the environment given.
func TestStart(t *testing.T) {
	term := start(t, Options{Cols: 123, Rows: 45, Env: []string{"A=b c", "PATH=/usr/bin:/bin"}},
		`stty size </dev/tty; cut -d' ' -f1,6 /proc/$$/stat; echo "A is $A, HOME is $HOME."`)
	waitText(t, term, "45 123", fmt.Sprintf("%d %d", term.PID(), term.PID()), "A is b c, HOME is .")
	<-term.Done()
	if term.Err() != nil || term.ExitCode() != 0 {
		t.Errorf("ended with %v, %d", term.Err(), term.ExitCode())
	}
}

func TestKeysAndTimes(t *testing.T) {
	term := start(t, Options{}, `stty raw -echo; echo ready; cat`)
	waitText(t, term, "ready")
	before, bytes := time.Now(), term.Bytes()
	if err := term.Send("hello"); err != nil {
		t.Fatal(err)
	}
	at := waitText(t, term, "hello")
	if at.Before(before) || time.Since(at) > within {
		t.Errorf("seen at %v, sent at %v", at, before)
	}
	if n := term.Bytes() - bytes; n != 5 {
		t.Errorf("%d bytes came of 5", n)
	}
	chunks := term.Chunks()
	if last := chunks[len(chunks)-1]; last.Offset+int64(len(last.Bytes)) != term.Bytes() || last.At.Before(before) {
		t.Errorf("last chunk %+v of %d bytes", last, term.Bytes())
	}
}

func TestKeepsABound(t *testing.T) {
	term := start(t, Options{Keep: 1000}, `seq 10000 19999`)
	waitText(t, term, "19999")
	if out := term.Output(); len(out) > 1000+32<<10 || !strings.Contains(out, "19999") || strings.Contains(out, "10000") {
		t.Errorf("%d bytes kept, the last %q", len(out), out[max(0, len(out)-20):])
	}
	if n := term.Bytes(); n != 70000 {
		t.Errorf("%d bytes counted", n)
	}
}

func TestResize(t *testing.T) {
	term := start(t, Options{}, `trap 'echo now $(stty size)' WINCH; echo ready; while :; do read x; done`)
	waitText(t, term, "ready")
	if err := term.Resize(101, 33); err != nil {
		t.Fatal(err)
	}
	waitText(t, term, "now 33 101")
}

func TestWaitFails(t *testing.T) {
	term := start(t, Options{}, `echo over; exit 7`)
	_, err := term.WaitText(within, "never")
	if err == nil || !strings.Contains(err.Error(), "exit status 7") || !strings.Contains(err.Error(), "over") {
		t.Errorf("%v", err)
	}
	if term.ExitCode() != 7 {
		t.Errorf("exit code %d", term.ExitCode())
	}
	term = start(t, Options{}, `cat`)
	if _, err := term.WaitText(10*time.Millisecond, "never"); err == nil || !strings.Contains(err.Error(), "not within 10ms") {
		t.Errorf("%v", err)
	}
}

func TestClose(t *testing.T) {
	term := start(t, Options{}, `cat`)
	if err := term.Close(); err != nil {
		t.Error(err)
	}
	if err := term.Send("x"); err == nil {
		t.Error("typed on a closed terminal")
	}
	stubborn := start(t, Options{}, `trap '' HUP; echo ready; while :; do sleep 1; done`)
	waitText(t, stubborn, "ready")
	if err := stubborn.Close(); err == nil {
		t.Error("a program that outlives its terminal must be reported")
	}
	<-stubborn.Exited()
}

// A program asks its terminal and gets answers.
func TestAnswers(t *testing.T) {
	for want, sync := range map[string]bool{"2026;2": true, "2026;0": false} {
		term := start(t, Options{Sync: sync}, `stty raw -echo; printf 'abc\033[6n\033[?2026$p'; dd bs=1 count=17 2>/dev/null | tr '\033' '!'`)
		waitText(t, term, "![1;4R!["+"?"+want)
	}
}

func TestLatency(t *testing.T) {
	const each = 60 * time.Millisecond
	term := start(t, Options{Line: &Line{Latency: each}}, `stty raw -echo; echo ready; cat`)
	if at := waitText(t, term, "ready"); at.Sub(term.Started) < each {
		t.Errorf("the first bytes came after %v", at.Sub(term.Started))
	}
	began := time.Now()
	if err := term.Send("k"); err != nil {
		t.Fatal(err)
	}
	if d := waitText(t, term, "k").Sub(began); d < 2*each || d > 2*each+5*time.Second {
		t.Errorf("a key was answered after %v on a line of %v each way", d, each)
	}
}

// A line with a small buffer holds the program back; one with a large buffer takes everything at once, and carries it slowly.
func TestBuffer(t *testing.T) {
	const size, rate = 60_000, 100_000
	for name, buffer := range map[string]int{"small": 2048, "like SSH": 2 << 20} {
		t.Run(name, func(t *testing.T) {
			var mu sync.Mutex
			var first, last time.Time
			line := &Line{BytesPerSecond: rate, Buffer: buffer}
			term := start(t, Options{Line: line, Each: func(at time.Time, _ []byte, _ *Screen) {
				mu.Lock()
				defer mu.Unlock()
				if last = at; first.IsZero() {
					first = at
				}
			}}, fmt.Sprintf(`head -c %d /dev/zero | tr '\0' x`, size))
			<-term.Exited()
			left, queued := size-term.Bytes(), term.Queued()
			if buffer < size {
				// The kernel's own buffers hold a little too.
				if queued > buffer || left > int64(buffer)+32<<10 {
					t.Errorf("the program had ended with %d bytes to come, %d of them queued", left, queued)
				}
			} else if left < size/3 {
				t.Errorf("the program waited until only %d bytes were to come", left)
			}
			select {
			case <-term.Done():
			case <-time.After(within):
				t.Fatal("the line does not run dry")
			}
			mu.Lock()
			defer mu.Unlock()
			if took := last.Sub(first); term.Bytes() != size || took < time.Second*size/rate*8/10 {
				t.Errorf("%d bytes in %v at %d a second", term.Bytes(), took, rate)
			}
		})
	}
}
