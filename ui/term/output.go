package term

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// output is the way to the terminal. Write never blocks: it hands the bytes to one goroutine, which the screen owns. All bytes are
// written, in order, until the output is finished; what keeps the memory bounded is that nobody draws a frame while bytes wait.
type output struct {
	fd    int
	close func()
	chunk int // most bytes in one write; a descriptor that blocks gets few at a time

	mu      sync.Mutex
	buf     []byte // handed over and not yet taken by the goroutine
	work    int    // bytes the goroutine is writing
	notify  bool   // somebody waits for all of it to be written
	stop    bool   // write nothing more
	failed  error
	cut     bool          // something was left out, perhaps in the middle of a sequence
	blocked time.Duration // the longest time that the terminal took nothing, since it was last asked for

	drained func() // called by the goroutine once everything is written after busy said that it was not
	wake    chan struct{}
	done    chan struct{}
}

// pollEvery is how often the goroutine looks whether it should stop while the terminal takes nothing.
const pollEvery = 20 * time.Millisecond

// newOutput opens the terminal that f is once more, so that it can be non-blocking without becoming so for the shell, whose open
// file it shares otherwise. Where that is not permitted (after su), f itself is used, with small writes.
func newOutput(f *os.File, drained func()) *output {
	o := &output{drained: drained, wake: make(chan struct{}, 1), done: make(chan struct{})}
	fd, err := unix.Open(fmt.Sprintf("/proc/self/fd/%d", f.Fd()), unix.O_WRONLY|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err == nil {
		o.fd, o.chunk, o.close = fd, 32<<10, func() { _ = unix.Close(fd) }
	} else {
		o.fd, o.chunk, o.close = int(f.Fd()), 256, func() {}
	}
	go o.run()
	return o
}

// Write implements io.Writer. It does not block and does not fail: a terminal that is gone is noticed elsewhere.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	if o.failed == nil && !o.stop {
		o.buf = append(o.buf, p...)
	}
	o.mu.Unlock()
	select {
	case o.wake <- struct{}{}:
	default:
	}
	return len(p), nil
}

// busy reports whether bytes wait for the terminal. When they do, drained is called once they are written.
func (o *output) busy() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.buf)+o.work == 0 || o.failed != nil {
		return false
	}
	o.notify = true
	return true
}

// stalled is the longest time that the terminal has taken nothing since the last call.
func (o *output) stalled() time.Duration {
	o.mu.Lock()
	defer o.mu.Unlock()
	d := o.blocked
	o.blocked = 0
	return d
}

func (o *output) run() {
	defer close(o.done)
	var work []byte
	for {
		o.mu.Lock()
		work, o.buf = o.buf, work[:0]
		o.work = len(work)
		if cap(o.buf) > 1<<20 { // one enormous paste into the clipboard is not kept for ever
			o.buf = nil
		}
		stop, notify := o.stop, false
		if len(work) == 0 && o.notify {
			notify, o.notify = true, false
		}
		o.mu.Unlock()
		switch {
		case stop:
			o.mu.Lock()
			o.cut = o.cut || len(work) > 0
			o.work = 0
			o.mu.Unlock()
			return
		case len(work) > 0:
			o.write(work)
		default:
			if notify {
				o.drained()
			}
			<-o.wake
		}
	}
}

// write writes all of p, unless the output is stopped or the terminal gone.
func (o *output) write(p []byte) {
	var since time.Time // when the terminal stopped taking bytes
	for len(p) > 0 {
		n, err := 0, error(unix.EAGAIN)
		if o.ready(0) {
			n, err = unix.Write(o.fd, p[:min(len(p), o.chunk)])
		}
		if n > 0 {
			p = p[n:]
			since = time.Time{}
		}
		switch {
		case err == nil || errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EAGAIN):
			if since.IsZero() {
				since = time.Now()
			}
			if o.ready(pollEvery) && n < 0 { // ready, and yet it took nothing: not in a circle
				<-time.After(time.Millisecond)
			}
		default:
			o.mu.Lock()
			o.failed, o.work, o.buf = err, 0, nil
			o.mu.Unlock()
			return
		}
		o.mu.Lock()
		o.work = len(p)
		if !since.IsZero() {
			o.blocked = max(o.blocked, time.Since(since))
		}
		stop := o.stop
		o.cut = o.cut || stop && len(p) > 0
		o.mu.Unlock()
		if stop {
			return
		}
	}
}

// ready waits until the terminal takes bytes, for at most d.
func (o *output) ready(d time.Duration) bool {
	fds := []unix.PollFd{{Fd: int32(o.fd), Events: unix.POLLOUT}}
	n, err := unix.Poll(fds, int(d.Milliseconds()))
	return err == nil && n > 0
}

// drain waits until everything is written, for at most d, and reports whether it is.
func (o *output) drain(d time.Duration) bool {
	for deadline := time.Now().Add(d); ; {
		o.mu.Lock()
		left, failed := len(o.buf)+o.work, o.failed
		o.mu.Unlock()
		if left == 0 {
			return failed == nil
		}
		if time.Now().After(deadline) {
			return false
		}
		t := time.NewTimer(time.Millisecond)
		<-t.C
	}
}

// finish ends the goroutine and writes last, for at most d. What still waited is left out: the sequence that was cut is cancelled,
// and a terminal that takes nothing at all loses what it has not taken. It reports whether last was written. Later calls write
// their last only.
func (o *output) finish(last string, d time.Duration) bool {
	o.mu.Lock()
	o.stop = true
	o.mu.Unlock()
	select {
	case o.wake <- struct{}{}:
	default:
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-o.done:
	case <-t.C: // blocked in a write, on a descriptor that blocks
		discardOutput(o.fd)
	}
	o.mu.Lock()
	cut, failed := o.cut || len(o.buf) > 0, o.failed
	o.cut, o.buf = false, nil
	o.mu.Unlock()
	if failed != nil {
		return false
	}
	p := []byte(last)
	if cut {
		p = append([]byte("\x18\x1b\\"), p...) // CAN ends any sequence, ST a string
	}
	for deadline, flushed := time.Now().Add(d), false; len(p) > 0; {
		if o.ready(pollEvery) {
			n, err := unix.Write(o.fd, p[:min(len(p), o.chunk)])
			if n > 0 {
				p = p[n:]
			}
			if err != nil && !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EINTR) {
				return false
			}
		}
		if len(p) > 0 && time.Now().After(deadline) {
			if flushed {
				return false
			}
			// It may take ours when what it has not read is thrown away.
			flushed, deadline = true, time.Now().Add(d)
			discardOutput(o.fd)
			p = append([]byte("\x18\x1b\\"), last...)
		}
	}
	return true
}
