// Package term runs a Bubble Tea program so that keys are answered at once and the terminal is given back whatever happens.
//
// Bubble Tea keeps the event loop and reads the keys; the screen draws itself, with the renderer beneath Bubble Tea's (ultraviolet):
// a frame is drawn when there is something new and the terminal has taken what it was sent, and only then. A slow line therefore
// drops frames and does not queue them, and nothing that writes ever waits for the terminal.
//
// Giving back covers SIGHUP, SIGQUIT and SIGTSTP, panics of any goroutine, a terminal that is simply gone (an SSH connection that
// dropped) or takes no bytes, an event loop that is stuck, and everything that writes to standard error behind our back.
package term

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"sync"
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
	Far      bool // the terminal is behind SSH: it is asked how far it has read, since the connection's buffers hide that it is slow
	NoSync   bool // do not use synchronized output (mode 2026) even where the terminal has it
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
	out     atomic.Pointer[output] // of this run, or of the time since the last suspend

	// What draws. Held by the event loop while it draws, so whoever must not hang with it does not take it.
	mu      sync.Mutex
	paint   *Painter
	pace    pace
	away    bool      // the terminal is not ours: suspended, or ended
	whole   bool      // a whole frame is wanted, whether the model has news or not
	timer   bool      // a drawMsg is on its way
	next    time.Time // before this no frame is drawn
	askedAt time.Time // when the terminal was asked about synchronized output; zero when it has answered

	hand    sync.Mutex  // held while the terminal is with somebody else: the shell, a command
	over    bool        // Run has ended: nothing takes the terminal again; guarded by hand
	lending atomic.Bool // a command has the terminal
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
func (s *Screen) Run(model Model) error {
	if !xterm.IsTerminal(s.o.Out.Fd()) || !xterm.IsTerminal(s.o.In.Fd()) {
		return errors.New("fathom draws on a terminal and this is none")
	}
	restoreErr, err := quietStderr(s.o.StateDir)
	if err != nil {
		return err
	}
	defer restoreErr()
	profile := colorprofile.Detect(s.o.Out, os.Environ())
	if s.o.NoColor {
		profile = colorprofile.ASCII
	}
	if s.saved, err = xterm.GetState(s.o.In.Fd()); err != nil {
		return fmt.Errorf("reading the modes of the terminal: %w", err)
	}
	s.paint = NewPainter(profile, s.saved.Oflag&unix.TABDLY == unix.TAB0)
	if s.o.Far {
		s.pace.start()
	}
	if err := s.take(); err != nil {
		return err
	}
	w, h := s.size()
	// Bubble Tea's clock only sends what is not part of a frame, a text for the clipboard: four times a second is enough.
	s.p = tea.NewProgram(driver{s, model}, tea.WithContext(s.ctx), tea.WithInput(s.o.In), tea.WithOutput(through{s}),
		tea.WithoutSignalHandler(), tea.WithoutRenderer(), tea.WithFPS(4), tea.WithWindowSize(w, h), tea.WithColorProfile(profile))

	sigs, winch := make(chan os.Signal, 4), make(chan os.Signal, 1)
	signal.Notify(sigs, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGTSTP)
	signal.Notify(winch, syscall.SIGWINCH)
	var watch sync.WaitGroup
	watch.Go(func() { s.signals(sigs, winch) })
	watch.Go(s.watchTerminal)

	_, runErr := s.p.Run()
	s.hand.Lock() // a command that has the terminal ends first: the end of the context ends it
	s.over = true
	given := s.give()
	s.hand.Unlock()
	close(s.done)
	signal.Stop(sigs)
	signal.Stop(winch)
	watch.Wait()
	var e *Ended
	if errors.As(context.Cause(s.ctx), &e) {
		runErr = nil
	} else if runErr != nil && !errors.Is(runErr, tea.ErrProgramKilled) {
		e = &Ended{Why: "the screen failed: " + runErr.Error(), Code: 1}
	}
	s.cancel(nil)
	if !given { // whoever writes to this terminal next waits for ever
		code := 0
		if e != nil {
			code = e.Code
		}
		time.AfterFunc(patience, func() { os.Exit(code) })
	}
	if e != nil {
		return e
	}
	return nil
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
		s.restore("fathom: " + e.Why + "\r\n")
	}
	os.Exit(e.Code)
}

// restore gives the terminal back without the event loop's help, and without a lock that it may hold.
func (s *Screen) restore(say string) {
	const reset = "\x1b[?2026l\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?1004l\x1b[?2004l\x1b[<u\x1b[>4m\x1b[0m\x1b[?1049l\x1b[?25h\r\n"
	if o := s.out.Load(); o != nil {
		o.finish(reset+say, 100*time.Millisecond)
	}
	if s.saved != nil {
		_ = xterm.Restore(s.o.In.Fd(), s.saved)
	}
}

func (s *Screen) signals(sigs, winch <-chan os.Signal) {
	for {
		select {
		case <-s.done:
			return
		case <-winch:
			// The size is read when the message is handled. This goroutine must not wait for an event loop that is stuck.
			go s.p.Send(tea.WindowSizeMsg{})
		case sig := <-sigs:
			n, _ := sig.(syscall.Signal)
			if s.handle(n) {
				continue
			}
			if n == syscall.SIGTSTP {
				s.suspend()
				continue
			}
			s.End(&Ended{Why: "ended by " + unix.SignalName(n), Code: 128 + int(n)})
		}
	}
}

// suspend restores the terminal, stops this process (and only this one), and comes back when it is continued. Bubble Tea's own
// suspend signals the whole process group and does not see a SIGTSTP from outside.
func (s *Screen) suspend() {
	s.hand.Lock()
	defer s.hand.Unlock()
	if s.over {
		return
	}
	if err := s.p.ReleaseTerminal(); err != nil {
		return
	}
	s.give()
	// The stop can reach this thread late: without waiting for the SIGCONT that ends it, the terminal would be taken back before.
	cont := make(chan os.Signal, 1)
	signal.Notify(cont, syscall.SIGCONT)
	defer signal.Stop(cont)
	_ = syscall.Kill(os.Getpid(), syscall.SIGSTOP)
	<-cont
	if err := s.takeBack(); err != nil {
		s.End(&Ended{Why: "the terminal could not be taken back after a suspend: " + err.Error(), Code: 1})
	}
}

// watchTerminal ends the screen when the terminal is gone. A hang-up is also signalled, but not to a process that was started with
// SIGHUP ignored (nohup), and that would otherwise live on without a terminal.
func (s *Screen) watchTerminal() {
	over, end, err := os.Pipe()
	if err != nil { // no descriptor is left
		return
	}
	defer over.Close()
	go func() { <-s.done; end.Close() }()
	for {
		// No events of the terminal are asked for: only errors and hang-ups are reported.
		fds := []unix.PollFd{{Fd: int32(s.o.Out.Fd())}, {Fd: int32(over.Fd()), Events: unix.POLLIN}}
		n, err := unix.Poll(fds, -1)
		if err != nil && err != unix.EINTR || n > 0 && fds[1].Revents != 0 {
			return
		}
		if n > 0 && fds[0].Revents&(unix.POLLHUP|unix.POLLERR|unix.POLLNVAL) != 0 {
			s.gone.Store(true)
			s.End(&Ended{Why: "the terminal is gone", Code: 128 + int(syscall.SIGHUP)})
			return
		}
	}
}
