// Package pty runs a program on a terminal of the test's own and notes when each of its bytes arrived: what tmux cannot tell. The
// terminal keeps a screen, so that a test waits for what a user would see, and not for bytes that a renderer may send in any order.
// It can put a slow line between the program and the screen.
package pty

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"fathom/internal/run"
)

// Options of a terminal.
type Options struct {
	Cols, Rows int      // 80x24 when 0
	Env        []string // the whole environment of the program; nil is an empty one with TERM=xterm-256color
	Dir        string   // its folder
	Keep       int      // bytes of output kept for Chunks; 1 MiB when 0
	Line       *Line    // nil: a local terminal, without delay
	// Sync lets the terminal answer that it has synchronized output (mode 2026), as newer terminals do.
	Sync bool
	// Each is called after every piece of output, when the screen has taken it in, by the terminal's goroutine, which waits for it.
	Each func(at time.Time, piece []byte, s *Screen)
}

// Chunk is a piece of output as it arrived.
type Chunk struct {
	At     time.Time
	Offset int64 // in the whole output
	Bytes  []byte
}

// Terminal is a running program and its screen.
type Terminal struct {
	Started time.Time // just before the program was started

	o      Options
	cmd    *exec.Cmd
	master *os.File
	group  *run.Group
	in     *link
	out    *link
	done   chan struct{} // closed when the program has ended and its output is taken in
	exited chan struct{} // closed when the program has ended
	once   sync.Once

	mu      sync.Mutex
	err     error // of the program
	screen  *Screen
	total   int64
	chunks  []Chunk
	kept    int
	waiters map[*waiter]bool
}

type waiter struct {
	ok    func(*Screen) bool
	found chan time.Time
}

// Start starts a program on a new terminal, as the leader of a session that has it as its controlling terminal.
func Start(name string, args []string, o Options) (*Terminal, error) {
	if o.Cols == 0 || o.Rows == 0 {
		o.Cols, o.Rows = 80, 24
	}
	if o.Keep == 0 {
		o.Keep = 1 << 20
	}
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.Env = o.Dir, o.Env
	if cmd.Env == nil {
		cmd.Env = []string{"TERM=xterm-256color"}
	}
	t := &Terminal{
		o: o, cmd: cmd, screen: NewScreen(o.Cols, o.Rows), waiters: map[*waiter]bool{},
		done: make(chan struct{}), exited: make(chan struct{}), Started: time.Now(),
	}
	master, err := startOn(cmd, o.Cols, o.Rows)
	if err != nil {
		return nil, fmt.Errorf("start %s on a terminal: %w", name, err)
	}
	t.master = master
	t.screen.reply = func(b []byte) { _ = t.in.push(b) }
	t.screen.sync = o.Sync
	t.group = run.NewGroup(context.Background(), nil)
	line := Line{}
	if o.Line != nil {
		line = *o.Line
	}
	t.out = newLink(line, t.take)
	t.in = newLink(Line{Latency: line.Latency, Buffer: 1 << 20}, func(b []byte) { _, _ = master.Write(b) })
	t.group.Go("terminal input", t.in.run)
	t.group.Go("terminal output", func(ctx context.Context) {
		defer close(t.done)
		t.out.run(ctx)
		select {
		case <-t.exited: // its exit code is known too
		case <-ctx.Done():
		}
	})
	t.group.Go("terminal read", t.read)
	t.group.Go("program", func(context.Context) {
		err := cmd.Wait()
		t.mu.Lock()
		t.err = err
		t.mu.Unlock()
		close(t.exited)
	})
	return t, nil
}

// read hands what the program writes to the line. A full line is not read from: then the program's writes wait, as on a
// connection whose buffers are full.
func (t *Terminal) read(context.Context) {
	defer t.out.end()
	buf := make([]byte, 32<<10)
	for {
		n, err := t.master.Read(buf)
		if n > 0 && t.out.push(append([]byte(nil), buf[:n]...)) != nil {
			return
		}
		if err != nil {
			return // EIO: nobody has the terminal open any more
		}
	}
}

// take is the far end of the line: the screen.
func (t *Terminal) take(b []byte) {
	now := time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.screen.Write(b)
	t.chunks = append(t.chunks, Chunk{now, t.total, b})
	t.total += int64(len(b))
	for t.kept += len(b); t.kept > t.o.Keep && len(t.chunks) > 1; t.chunks = t.chunks[1:] {
		t.kept -= len(t.chunks[0].Bytes)
	}
	if t.o.Each != nil {
		t.o.Each(now, b, t.screen)
	}
	for w := range t.waiters {
		if w.ok(t.screen) {
			w.found <- now
			delete(t.waiters, w)
		}
	}
}

// Wait waits until ok says yes to the screen and returns when the output arrived that made it so: now, when it was so already. ok
// is called after every piece of output, by the terminal's goroutine, which waits for it.
func (t *Terminal) Wait(within time.Duration, what string, ok func(*Screen) bool) (time.Time, error) {
	t.mu.Lock()
	if ok(t.screen) {
		t.mu.Unlock()
		return time.Now(), nil
	}
	w := &waiter{ok, make(chan time.Time, 1)}
	t.waiters[w] = true
	t.mu.Unlock()
	timer := time.NewTimer(within)
	defer timer.Stop()
	var why string
	select {
	case at := <-w.found:
		return at, nil
	case <-t.done:
		why = fmt.Sprintf("the program has ended (%v)", t.Err())
	case <-timer.C:
		why = fmt.Sprintf("not within %v", within)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.waiters, w)
	select {
	case at := <-w.found:
		return at, nil
	default:
	}
	return time.Time{}, fmt.Errorf("waiting for %s: %s. The screen:\n%s", what, why, t.screen.String())
}

// WaitText is Wait for texts that are all on the screen.
func (t *Terminal) WaitText(within time.Duration, texts ...string) (time.Time, error) {
	return t.Wait(within, fmt.Sprintf("%q on the screen", texts), func(s *Screen) bool {
		for _, text := range texts {
			if !s.Contains(text) {
				return false
			}
		}
		return true
	})
}

// Look calls f with the screen, which must not be kept.
func (t *Terminal) Look(f func(*Screen)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	f(t.screen)
}

// Text is what is on the screen: a line for each row, without the blanks at its end.
func (t *Terminal) Text() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.screen.String()
}

// Send types bytes: letters, "\r", "\x1b[A".
func (t *Terminal) Send(keys string) error {
	if err := t.in.push([]byte(keys)); err != nil {
		return fmt.Errorf("type %q: %w", keys, err)
	}
	return nil
}

// Resize changes the size of the terminal; the program gets SIGWINCH.
func (t *Terminal) Resize(cols, rows int) error {
	t.mu.Lock()
	t.screen.Resize(cols, rows)
	t.mu.Unlock()
	if err := resize(t.master, cols, rows); err != nil {
		return fmt.Errorf("resize the terminal to %dx%d: %w", cols, rows, err)
	}
	return nil
}

// Bytes is how many bytes have arrived on the screen so far.
func (t *Terminal) Bytes() int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.total
}

// Queued is how many bytes of output wait in the line's buffer: what the program has written and the line has not yet carried.
func (t *Terminal) Queued() int { return t.out.waiting() }

// Chunks are the newest pieces of output, at most Keep bytes, the oldest first.
func (t *Terminal) Chunks() []Chunk {
	t.mu.Lock()
	defer t.mu.Unlock()
	return append([]Chunk(nil), t.chunks...)
}

// Output is the text of Chunks.
func (t *Terminal) Output() string {
	var b strings.Builder
	for _, c := range t.Chunks() {
		b.Write(c.Bytes)
	}
	return b.String()
}

// PID is the program's process ID.
func (t *Terminal) PID() int { return t.cmd.Process.Pid }

// Signal sends the program a signal.
func (t *Terminal) Signal(sig os.Signal) error { return t.cmd.Process.Signal(sig) }

// Exited is closed when the program has ended.
func (t *Terminal) Exited() <-chan struct{} { return t.exited }

// Done is closed when the program has ended and all its output has arrived.
func (t *Terminal) Done() <-chan struct{} { return t.done }

// Err is what the program ended with: nil for exit code 0, and while it runs.
func (t *Terminal) Err() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.err
}

// ExitCode is the program's exit code, or -1 while it runs or when a signal ended it.
func (t *Terminal) ExitCode() int {
	select {
	case <-t.exited:
		return t.cmd.ProcessState.ExitCode()
	default:
		return -1
	}
}

// Usage is the program's use of the processor and its largest resident memory, once it has ended.
func (t *Terminal) Usage() (*syscall.Rusage, bool) {
	select {
	case <-t.exited:
		u, ok := t.cmd.ProcessState.SysUsage().(*syscall.Rusage)
		return u, ok
	default:
		return nil, false
	}
}

// hangup is how long a program may take to end when its terminal is gone.
const hangup = 3 * time.Second

// Close takes the terminal away, as a dropped connection does, and ends a program that goes on without it.
func (t *Terminal) Close() error {
	var err error
	t.once.Do(func() {
		t.group.Cancel()
		t.in.end()
		t.out.end()
		_ = t.master.Close()
		select {
		case <-t.exited:
		case <-time.After(hangup):
			// The whole session: a shell's children have its process group unless it does job control.
			_ = syscall.Kill(-t.PID(), syscall.SIGKILL)
			err = errors.New("the program did not end when its terminal was gone: killed")
		}
		t.group.Stop()
	})
	return err
}
