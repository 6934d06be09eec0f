package term

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"syscall"

	tea "charm.land/bubbletea/v2"
)

// errEnding is the error of lending a terminal that is being given back for good.
var errEnding = errors.New("fathom is ending")

// Lend gives the terminal to a command, as it was before fathom took it, and takes it back when the command ends. Meanwhile the model
// goes on and nothing is drawn. The keys that interrupt or stop (Ctrl-C, Ctrl-\, Ctrl-Z) are the command's. When ctx or the screen ends, the command is sent
// SIGHUP, and killed if it does not end of that. The error says what could not be done, or is the command's *[exec.ExitError].
//
// It is called from a goroutine that is not the event loop's; one command at a time has the terminal.
func (s *Screen) Lend(ctx context.Context, name string, args ...string) error {
	s.hand.Lock()
	defer s.hand.Unlock()
	if s.over || s.ctx.Err() != nil {
		return fmt.Errorf("start %s: %w", name, errEnding)
	}
	if err := s.p.ReleaseTerminal(); err != nil {
		return fmt.Errorf("giving the terminal to %s: %w", name, err)
	}
	s.give()
	err := s.lent(ctx, name, args)
	if s.ctx.Err() != nil {
		return errors.Join(err, errEnding) // Run restores what the command may have left
	}
	if back := s.takeBack(); back != nil {
		s.End(&Ended{Why: "the terminal could not be taken back from " + name + ": " + back.Error(), Code: 1})
		return errors.Join(err, back)
	}
	return err
}

// lent runs the command on the terminal.
func (s *Screen) lent(ctx context.Context, name string, args []string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.ctx, cancel)()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = s.o.In, s.o.Out, s.o.Out // our own standard error is the log
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGHUP) }
	cmd.WaitDelay = patience / 3
	s.lending.Store(true)
	defer s.lending.Store(false)
	return cmd.Run()
}

// takeBack takes the terminal again after it was given away for a while.
func (s *Screen) takeBack() error {
	if err := s.take(); err != nil {
		return err
	}
	if err := s.p.RestoreTerminal(); err != nil {
		return err
	}
	s.p.Send(tea.WindowSizeMsg{})
	s.p.Send(tea.ResumeMsg{})
	return nil
}

// handle carries out a signal that came while a command has the terminal, and reports whether that is all. Keys that make signals go to
// everything in the foreground, and are not meant for us. An editor that is stopped stops its whole job; so do we, with the terminal as
// the editor has left it, and go on when the shell continues the job.
func (s *Screen) handle(sig syscall.Signal) bool {
	if !s.lending.Load() {
		return false
	}
	switch sig {
	case syscall.SIGINT, syscall.SIGQUIT:
		return true
	case syscall.SIGTSTP:
		_ = syscall.Kill(syscall.Getpid(), syscall.SIGSTOP)
		return true
	}
	return false
}
