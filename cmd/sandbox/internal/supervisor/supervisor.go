// Package supervisor runs the components of the sandbox as child processes,
// lets them be killed, stopped and restarted by name, and restarts those that
// end by themselves, as a kubelet does with static pods.
package supervisor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"fathom/cmd/sandbox/internal/child"
)

// State of a child.
type State string

const (
	Running State = "running"
	// Stopped means SIGSTOP: the process is there and does nothing.
	Stopped State = "stopped"
	Dead    State = "dead"
)

// Spec of one child.
type Spec struct {
	Name string
	Args []string
	Env  []string // on top of ours
	Log  string
}

// Status of one child.
type Status struct {
	Name  string `json:"name"`
	PID   int    `json:"pid,omitempty"`
	State State  `json:"state"`
	// Restarts counts the starts after the first, for whatever reason.
	Restarts int       `json:"restarts"`
	Since    time.Time `json:"since"`
	// Exit says how a dead child ended.
	Exit string `json:"exit,omitempty"`
}

// Supervisor owns the children.
type Supervisor struct {
	spawner *spawner
	mu      sync.Mutex
	procs   map[string]*process
	order   []string
	closed  bool
	notify  func(format string, args ...any)
}

type process struct {
	spec     Spec
	log      *rotatingFile
	cmd      *exec.Cmd
	state    State
	since    time.Time
	starts   int
	exit     string
	keepDead bool
	gone     chan struct{}
	backoff  time.Duration
}

// New makes a supervisor; notify gets one line for each child that ends by
// itself.
func New(notify func(format string, args ...any)) *Supervisor {
	return &Supervisor{spawner: newSpawner(), procs: map[string]*process{}, notify: notify}
}

// Restart delays of a child that ends by itself.
const (
	minBackoff = time.Second
	maxBackoff = 10 * time.Second
	// steady is how long a child must have run for the delay to start anew.
	steady = 30 * time.Second
)

// Start runs a child for the first time.
func (s *Supervisor) Start(spec Spec) error {
	log, err := newRotatingFile(spec.Log, logLimit)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	p := &process{spec: spec, log: log, backoff: minBackoff}
	s.procs[spec.Name] = p
	s.order = append(s.order, spec.Name)
	return s.launch(p)
}

// launch starts the process; the lock is held.
func (s *Supervisor) launch(p *process) error {
	if s.closed {
		return errors.New("the sandbox is ending")
	}
	cmd := exec.Command("/proc/self/exe", append([]string{child.Verb, p.spec.Name}, p.spec.Args...)...)
	cmd.Args[0] = "fathom-sandbox"
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d", child.ParentEnv, os.Getpid()))
	cmd.Env = append(cmd.Env, p.spec.Env...)
	cmd.Stdout, cmd.Stderr = p.log, p.log
	// A grandchild that keeps the pipe open must not keep Wait waiting.
	cmd.WaitDelay = time.Second
	if err := s.spawner.start(cmd); err != nil {
		return fmt.Errorf("start %s: %w", p.spec.Name, err)
	}
	p.cmd, p.state, p.since, p.exit = cmd, Running, time.Now(), ""
	p.keepDead = false
	p.starts++
	p.gone = make(chan struct{})
	go s.reap(p, cmd, p.gone)
	return nil
}

// reap waits for the end of the process and starts it again unless it was
// ended on purpose.
func (s *Supervisor) reap(p *process, cmd *exec.Cmd, gone chan struct{}) {
	err := cmd.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	p.state, p.exit = Dead, "exit status 0"
	if err != nil {
		p.exit = err.Error()
	}
	ran := time.Since(p.since)
	p.since = time.Now()
	close(gone)
	if s.closed || p.keepDead {
		return
	}
	if ran > steady {
		p.backoff = minBackoff
	}
	s.notify("%s ended by itself (%s); starting it again in %s, its log is %s", p.spec.Name, p.exit, p.backoff, p.spec.Log)
	time.AfterFunc(p.backoff, func() { s.revive(p, gone) })
	p.backoff = min(2*p.backoff, maxBackoff)
}

// revive starts a child again after its delay, unless somebody has started or
// killed it meanwhile.
func (s *Supervisor) revive(p *process, gone chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || p.keepDead || p.gone != gone {
		return
	}
	if err := s.launch(p); err != nil {
		s.notify("%v", err)
	}
}

func (s *Supervisor) get(name string) (*process, error) {
	p, ok := s.procs[name]
	if !ok {
		return nil, fmt.Errorf("%s has not been started yet: wait until the sandbox is ready", name)
	}
	return p, nil
}

// Kill sends SIGKILL; the child stays dead until Restart.
func (s *Supervisor) Kill(ctx context.Context, name string) error {
	s.mu.Lock()
	p, err := s.get(name)
	if err != nil {
		s.mu.Unlock()
		return err
	}
	p.keepDead = true
	gone := p.gone
	if p.state != Dead {
		_ = p.cmd.Process.Kill()
	}
	s.mu.Unlock()
	select {
	case <-gone:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("kill %s: %w", name, ctx.Err())
	}
}

// Restart starts the child again, killing it first when it runs.
func (s *Supervisor) Restart(ctx context.Context, name string) error {
	if err := s.Kill(ctx, name); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.procs[name]
	if p.state != Dead {
		return nil // somebody else was quicker
	}
	p.backoff = minBackoff
	return s.launch(p)
}

// SetArgs changes the arguments that a child gets from its next start on.
func (s *Supervisor) SetArgs(name string, args []string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, err := s.get(name)
	if err != nil {
		return err
	}
	p.spec.Args = args
	return nil
}

// Signal stops (SIGSTOP) or continues (SIGCONT) a child.
func (s *Supervisor) signal(name string, sig syscall.Signal, to State) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, err := s.get(name)
	if err != nil {
		return err
	}
	if p.state == Dead {
		return fmt.Errorf("%s is dead: bring it back with `restart %s`", name, name)
	}
	if err := p.cmd.Process.Signal(sig); err != nil {
		return fmt.Errorf("signal %s: %w", name, err)
	}
	p.state = to
	return nil
}

// Stop freezes a child with SIGSTOP.
func (s *Supervisor) Stop(name string) error { return s.signal(name, syscall.SIGSTOP, Stopped) }

// Continue lets a stopped child go on.
func (s *Supervisor) Continue(name string) error { return s.signal(name, syscall.SIGCONT, Running) }

// PID is the child's process id, or 0 when it is not there.
func (s *Supervisor) PID(name string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, ok := s.procs[name]
	if !ok || p.state == Dead || p.cmd == nil {
		return 0
	}
	return p.cmd.Process.Pid
}

// Status of all children in start order.
func (s *Supervisor) Status() []Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]Status, 0, len(s.order))
	for _, name := range s.order {
		p := s.procs[name]
		st := Status{Name: name, State: p.state, Restarts: max(p.starts-1, 0), Since: p.since, Exit: p.exit}
		if p.state != Dead {
			st.PID = p.cmd.Process.Pid
		}
		out = append(out, st)
	}
	return out
}

// Close kills every child and waits until all are gone. SIGKILL is enough:
// nothing a sandbox holds outlives it, so there is nothing to flush.
func (s *Supervisor) Close() {
	s.mu.Lock()
	s.closed = true
	var wait []chan struct{}
	for _, p := range s.procs {
		if p.gone == nil {
			continue
		}
		if p.state != Dead {
			_ = p.cmd.Process.Kill()
		}
		wait = append(wait, p.gone)
	}
	s.mu.Unlock()
	for _, gone := range wait {
		<-gone
	}
	for _, p := range s.procs {
		_ = p.log.Close()
	}
}
