// Package term runs a Bubble Tea program so that the terminal is given back whatever happens.
//
// Bubble Tea restores the terminal on SIGTERM, SIGINT and panics of its own goroutines. The rest is done here: SIGHUP, SIGQUIT and
// SIGTSTP, panics of any other goroutine, a terminal that is simply gone (an SSH connection that dropped), an event loop that is
// stuck, and everything that writes to standard error behind our back.
package term

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/colorprofile"
	xterm "github.com/charmbracelet/x/term"
	"golang.org/x/sys/unix"
)

// patience is how long an orderly end may take before the terminal is restored by force. It is below the second that fathom
// promises after its terminal went away.
const patience = 700 * time.Millisecond

// Options of a run.
type Options struct {
	In, Out  *os.File
	NoColor  bool // render without colour whatever the terminal can
	FPS      int  // most frames per second that are flushed; 0: 60. The first frame waits for one flush
	StateDir string
}

// Ended is why the screen ended without having been asked to by the user.
type Ended struct {
	Why  string // one clear line
	Code int    // the exit code: 128 + the signal's number, 1 for a crash
}

// Error implements error.
func (e *Ended) Error() string { return e.Why }

// Screen is one run of a program on a terminal.
type Screen struct {
	o       Options
	p       *tea.Program
	ctx     context.Context
	cancel  context.CancelCauseFunc
	saved   *xterm.State
	crashed atomic.Bool
	gone    atomic.Bool
	done    chan struct{}
}

// New prepares a run. Nothing is written to the terminal before Run.
func New(ctx context.Context, o Options) *Screen {
	ctx, cancel := context.WithCancelCause(ctx)
	return &Screen{o: o, ctx: ctx, cancel: cancel, done: make(chan struct{})}
}

// Context ends when the screen ends or must end.
func (s *Screen) Context() context.Context { return s.ctx }

// Run shows the model until it quits. The terminal is as it was when Run returns. A non-nil error is an *[Ended], or says why the
// screen could not be opened.
func (s *Screen) Run(model tea.Model) (tea.Model, error) {
	if !xterm.IsTerminal(s.o.Out.Fd()) || !xterm.IsTerminal(s.o.In.Fd()) {
		return model, errors.New("fathom draws on a terminal and this is none")
	}
	s.saved, _ = xterm.GetState(s.o.In.Fd())
	restoreErr, err := quietStderr(s.o.StateDir)
	if err != nil {
		return model, err
	}
	defer restoreErr()

	fps := s.o.FPS
	if fps == 0 {
		fps = 60
	}
	opts := []tea.ProgramOption{tea.WithContext(s.ctx), tea.WithInput(s.o.In), tea.WithOutput(s.o.Out),
		tea.WithoutSignalHandler(), tea.WithFPS(fps)}
	if s.o.NoColor {
		opts = append(opts, tea.WithColorProfile(colorprofile.ASCII))
	}
	s.p = tea.NewProgram(model, opts...)

	sigs := make(chan os.Signal, 4)
	signal.Notify(sigs, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGTSTP)
	stopped := make(chan struct{})
	go func() { defer close(stopped); s.signals(sigs) }()
	watched := make(chan struct{})
	go func() { defer close(watched); s.watchTerminal() }()

	final, runErr := s.p.Run()
	close(s.done)
	signal.Stop(sigs)
	<-stopped
	<-watched
	if why := context.Cause(s.ctx); why != nil {
		var e *Ended
		if errors.As(why, &e) {
			return final, e
		}
	}
	s.cancel(nil)
	if runErr != nil && !errors.Is(runErr, tea.ErrProgramKilled) {
		return final, &Ended{Why: "the screen failed: " + runErr.Error(), Code: 1}
	}
	return final, nil
}

// Suspend stops the process as the shell's job control does, with the terminal restored meanwhile.
func (s *Screen) Suspend() { _ = syscall.Kill(os.Getpid(), syscall.SIGTSTP) }

// End ends the screen from any goroutine, for a reason the user is told afterwards.
func (s *Screen) End(e *Ended) {
	s.cancel(e)
	go s.force(e)
}

// force restores the terminal and exits when the orderly end does not come.
func (s *Screen) force(e *Ended) {
	t := time.NewTimer(patience)
	defer t.Stop()
	select {
	case <-s.done:
		return
	case <-t.C:
	}
	if !s.gone.Load() {
		s.restore()
		fmt.Fprintln(s.o.Out, "fathom: "+e.Why)
	}
	os.Exit(e.Code)
}

// restore gives the terminal back without Bubble Tea's help. The descriptor is made non-blocking first: a terminal that takes no
// bytes must not keep us.
func (s *Screen) restore() {
	fd := int(s.o.Out.Fd())
	_ = unix.SetNonblock(fd, true)
	const reset = "\x1b[?2026l\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?1004l\x1b[?2004l\x1b[<u\x1b[>4m\x1b[0m\x1b[?1049l\x1b[?25h\r\n"
	_, _ = unix.Write(fd, []byte(reset))
	_ = unix.SetNonblock(fd, false)
	if s.saved != nil {
		_ = xterm.Restore(s.o.In.Fd(), s.saved)
	}
}

func (s *Screen) signals(sigs <-chan os.Signal) {
	for {
		select {
		case <-s.done:
			return
		case sig := <-sigs:
			if sig == syscall.SIGTSTP {
				s.suspend()
				continue
			}
			n, _ := sig.(syscall.Signal)
			s.End(&Ended{Why: "ended by " + unix.SignalName(n), Code: 128 + int(n)})
		}
	}
}

// suspend restores the terminal, stops this process (and only this one), and comes back when it is continued. Bubble Tea's own
// suspend signals the whole process group and does not see a SIGTSTP from outside.
func (s *Screen) suspend() {
	if err := s.p.ReleaseTerminal(); err != nil {
		return
	}
	// The stop can reach this thread late: without waiting for the SIGCONT that ends it, the terminal would be taken back before.
	cont := make(chan os.Signal, 1)
	signal.Notify(cont, syscall.SIGCONT)
	defer signal.Stop(cont)
	_ = syscall.Kill(os.Getpid(), syscall.SIGSTOP)
	<-cont
	if err := s.p.RestoreTerminal(); err != nil {
		s.End(&Ended{Why: "the terminal could not be taken back after a suspend: " + err.Error(), Code: 1})
		return
	}
	s.p.Send(tea.ResumeMsg{})
}

// watchTerminal ends the screen when the terminal is gone. A hang-up is also signalled, but not to a process that was started with
// SIGHUP ignored (nohup), and that would otherwise live on without a terminal.
func (s *Screen) watchTerminal() {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-s.done:
			return
		case <-tick.C:
		}
		fds := []unix.PollFd{{Fd: int32(s.o.Out.Fd())}} // no events asked for: only errors and hang-ups are reported
		n, err := unix.Poll(fds, 0)
		if err == nil && n > 0 && fds[0].Revents&(unix.POLLHUP|unix.POLLERR|unix.POLLNVAL) != 0 {
			s.gone.Store(true)
			s.End(&Ended{Why: "the terminal is gone", Code: 128 + int(syscall.SIGHUP)})
			return
		}
	}
}
