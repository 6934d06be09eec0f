package kubelet

import (
	"bytes"
	"context"
	"io"
	"sync"
)

// keyboard passes the keys of a terminal on, and turns Ctrl-C into the end of
// the command that is running, if one is.
type keyboard struct {
	pr *io.PipeReader
	pw *io.PipeWriter

	mu     sync.Mutex
	cancel context.CancelFunc
}

const ctrlC = 0x03

func newKeyboard(in io.Reader) *keyboard {
	k := &keyboard{}
	k.pr, k.pw = io.Pipe()
	go k.pump(in)
	return k
}

// pump ends when the client closes the stream or the session ends.
func (k *keyboard) pump(in io.Reader) {
	buf := make([]byte, 1024)
	for {
		n, err := in.Read(buf)
		keys := buf[:n]
		if i := bytes.IndexByte(keys, ctrlC); i >= 0 && k.interrupt() {
			keys = keys[i+1:]
		}
		if len(keys) > 0 {
			if _, werr := k.pw.Write(keys); werr != nil {
				return
			}
		}
		if err != nil {
			_ = k.pw.CloseWithError(io.EOF)
			return
		}
	}
}

func (k *keyboard) interrupt() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.cancel == nil {
		return false
	}
	k.cancel()
	return true
}

// during runs a command that Ctrl-C ends.
func (k *keyboard) during(ctx context.Context, f func(context.Context) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	k.mu.Lock()
	k.cancel = cancel
	k.mu.Unlock()
	defer func() {
		k.mu.Lock()
		k.cancel = nil
		k.mu.Unlock()
	}()
	return f(ctx)
}

func (k *keyboard) Read(p []byte) (int, error) { return k.pr.Read(p) }

func (k *keyboard) close() { _ = k.pr.Close() }
