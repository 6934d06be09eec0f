package term

import (
	"fmt"
	"regexp"
	"time"

	tea "charm.land/bubbletea/v2"
	xterm "github.com/charmbracelet/x/term"
	"golang.org/x/sys/unix"
)

// through is what Bubble Tea writes to: the output of the moment.
type through struct{ s *Screen }

// Write implements io.Writer.
func (t through) Write(p []byte) (int, error) { return t.s.out.Load().Write(p) }

// size is the terminal's size in cells.
func (s *Screen) size() (w, h int) {
	w, h, err := xterm.GetSize(s.o.Out.Fd())
	if err != nil {
		return 0, 0 // too small to draw on: the next SIGWINCH tells
	}
	return w, h
}

// take takes the terminal: raw, on the alternate screen.
func (s *Screen) take() error {
	if _, err := xterm.MakeRaw(s.o.In.Fd()); err != nil {
		return fmt.Errorf("making the terminal raw: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	o := newOutput(s.o.Out, func() { s.p.Send(drawMsg{}) })
	s.out.Store(o)
	w, h := s.size()
	ask := !s.o.NoSync && !s.paint.sync
	if ask {
		s.askedAt = time.Now()
	}
	_, _ = o.Write(s.paint.Enter(w, h, ask))
	s.pace.reset()
	s.away, s.whole = false, true
	return nil
}

// give gives the terminal back. It reports false when the terminal took nothing any more, or when the event loop did not let go of the screen.
func (s *Screen) give() bool {
	// The event loop draws within milliseconds, unless it is stuck.
	for deadline := time.Now().Add(patience / 2); !s.mu.TryLock(); {
		if time.Now().After(deadline) {
			return false
		}
		<-time.After(time.Millisecond)
	}
	if s.away { // it was with a command that has just been ended
		s.mu.Unlock()
		_ = xterm.Restore(s.o.In.Fd(), s.saved)
		return true
	}
	s.away = true
	last, replies, wait := s.paint.leave(), len(s.pace.asks), drainFar
	if !s.askedAt.IsZero() && time.Since(s.askedAt) < deaf {
		replies++
	}
	if !s.o.Far {
		wait = drainNear
	}
	s.mu.Unlock()

	o := s.out.Load()
	if o.drain(wait/4) && replies > 0 { // drained: the last frame, a text for the clipboard
		s.swallow(replies, wait) // before the shell is seen: what is typed from then on is the shell's
	}
	ok := o.finish(last, patience/3)
	_ = xterm.Restore(s.o.In.Fd(), s.saved)
	return ok
}

// How long the answers to our questions may take to arrive when the terminal is given back.
const (
	drainFar  = 500 * time.Millisecond
	drainNear = 100 * time.Millisecond
)

// reply is what a terminal says that we have asked: where its cursor is, or about synchronized output.
var reply = regexp.MustCompile(`\x1b\[(\d+;\d+R|\?\d+;\d+\$y)`)

// swallow reads the n answers that are still on their way, for at most d, so that the shell does not take them for typing.
func (s *Screen) swallow(n int, d time.Duration) {
	fd := int32(s.o.In.Fd())
	var got []byte
	for deadline := time.Now().Add(d); len(reply.FindAll(got, n)) < n && len(got) < 64<<10; {
		left := time.Until(deadline)
		if left <= 0 {
			return
		}
		fds := []unix.PollFd{{Fd: fd, Events: unix.POLLIN}}
		if k, err := unix.Poll(fds, int(left.Milliseconds())+1); err != nil && err != unix.EINTR || k > 0 && fds[0].Revents&unix.POLLIN == 0 {
			return
		} else if k <= 0 {
			continue
		}
		var b [1]byte // what the user typed behind the answers is the shell's
		k, err := unix.Read(int(fd), b[:])
		if err != nil && err != unix.EINTR || k == 0 && err == nil {
			return
		}
		got = append(got, b[:max(k, 0)]...)
	}
}

var _ tea.Model = driver{}
