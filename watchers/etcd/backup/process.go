package backup

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"
)

// Worker starts worker processes: fathom itself, with the hidden command that runs package worker.
type Worker struct {
	Command []string // program and arguments
	// Refused says why no process may be started; empty: it may. Read-only mode starts none.
	Refused string
}

// Self is the worker that is this program. The file may have been replaced since it was started, which /proc does not mind.
func Self(args ...string) Worker {
	program, err := os.Executable()
	if err != nil {
		return Worker{Refused: "the program's own file cannot be found: " + err.Error()}
	}
	if _, err := os.Stat("/proc/self/exe"); err == nil {
		program = "/proc/self/exe"
	}
	return Worker{Command: append([]string{program}, args...)}
}

// DamageError is the error of a worker that came to its end over a file, or said what is wrong with it.
type DamageError struct{ What string }

func (e *DamageError) Error() string { return e.What }

// grace is how long a worker may take to clean up and end when its input has ended.
const grace = 5 * time.Second

// maxReply bounds a line of a worker's answer, in bytes: the names of SampleSize keys, of at most 1.5 MiB each in theory.
const maxReply = 64 << 20

// process is a running worker.
type process struct {
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	out    *bufio.Reader
	errors *tail
	cancel context.CancelFunc

	once  sync.Once
	ended error // of wait
}

// wait waits for the end of the process.
func (p *process) wait() error {
	p.once.Do(func() { p.ended = p.cmd.Wait() })
	return p.ended
}

// start starts a worker and sends it its request. It ends when ctx does, or with [process.stop].
func (w Worker) start(ctx context.Context, req Request) (*process, error) {
	if w.Refused != "" {
		return nil, errors.New(w.Refused)
	}
	line, err := json.Marshal(req)
	if err != nil {
		return nil, fmt.Errorf("starting a worker: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	p := &process{cmd: exec.CommandContext(ctx, w.Command[0], w.Command[1:]...), errors: &tail{}, cancel: cancel}
	p.cmd.Env = workerEnv(os.Environ())
	p.cmd.Stderr = p.errors // a panic goes there, and etcd's logs go nowhere
	ownGroup(p.cmd)
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		cancel()
		return nil, fmt.Errorf("starting a worker: %w", err)
	}
	// The end of ctx asks it to end, which the end of its input does; it is killed when it does not.
	p.cmd.Cancel = p.stdin.Close
	p.cmd.WaitDelay = grace
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		cancel()
		return nil, fmt.Errorf("starting a worker: %w", err)
	}
	p.out = bufio.NewReaderSize(out, 64<<10)
	if err := p.cmd.Start(); err != nil {
		cancel()
		return nil, fmt.Errorf("starting a worker: %w", err)
	}
	if _, err := p.stdin.Write(append(line, '\n')); err != nil {
		err = errors.Join(fmt.Errorf("asking the worker: %w", err), p.stop())
		return nil, err
	}
	return p, nil
}

// workerEnv is the environment of a worker: without what makes etcd's library do something else than it is asked for.
func workerEnv(env []string) []string {
	var out []string
	for _, e := range env {
		if !strings.HasPrefix(e, "ETCD") {
			out = append(out, e)
		}
	}
	return out
}

// reply waits for the next reply. A *DamageError is what the worker says of the file, or what it died of.
func (p *process) reply() (Reply, error) {
	var line []byte
	for {
		part, err := p.out.ReadSlice('\n')
		line = append(line, part...)
		if err == nil {
			break
		}
		if errors.Is(err, bufio.ErrBufferFull) && len(line) < maxReply {
			continue
		}
		if errors.Is(err, io.EOF) {
			return Reply{}, &DamageError{What: p.died()}
		}
		return Reply{}, fmt.Errorf("reading the worker's answer: %w", err)
	}
	var r Reply
	if err := json.Unmarshal(line, &r); err != nil {
		return Reply{}, fmt.Errorf("reading the worker's answer: %w", err)
	}
	if r.Err != "" {
		return r, &DamageError{What: r.Err}
	}
	return r, nil
}

// died says in a sentence what the worker died of.
func (p *process) died() string {
	err := p.wait()
	if why := p.errors.cause(); why != "" {
		return "etcd's library gave up over it: " + why
	}
	if err != nil {
		return fmt.Sprintf("the worker that read it ended: %v", err)
	}
	return "the worker that read it ended without an answer"
}

// stop ends the worker and waits for it. It may be called more than once.
func (p *process) stop() error {
	_ = p.stdin.Close()
	timer := time.AfterFunc(grace, p.cancel)
	defer timer.Stop()
	err := p.wait()
	p.cancel()
	if _, ok := errors.AsType[*exec.ExitError](err); ok || errors.Is(err, context.Canceled) || errors.Is(err, os.ErrClosed) {
		return nil // how it ended was told by its replies
	}
	return err
}

// tail keeps the beginning and the end of what a worker writes to its standard error.
type tail struct {
	mu  sync.Mutex
	buf []byte
}

const maxTail = 16 << 10

// Write implements io.Writer.
func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = append(t.buf, b...)
	if len(t.buf) > 2*maxTail { // a panic's first line is what is wanted, and goroutines are many
		t.buf = append(t.buf[:maxTail:maxTail], t.buf[len(t.buf)-maxTail:]...)
	}
	return len(b), nil
}

// cause is the line of a panic or of a fault.
func (t *tail) cause() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	for line := range bytes.Lines(t.buf) {
		s := strings.TrimSpace(string(line))
		for _, prefix := range []string{"panic: ", "fatal error: ", "unexpected fault address", "fathom: "} {
			if strings.HasPrefix(s, prefix) {
				return strings.TrimPrefix(s, "fathom: ")
			}
		}
	}
	return ""
}
