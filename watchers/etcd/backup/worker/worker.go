// Package worker is what opens, restores and serves snapshots, in a process of its own: `fathom snapshot-worker`, which nobody else calls. It
// reads one request from its standard input and writes replies to its standard output, both lines of JSON (package backup says which), and
// ends when its input does: when whoever started it is done or gone.
package worker

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"fathom/watchers/etcd/backup"
)

// Main answers one request. An error means that the answer could not be given; what is wrong with a snapshot is in the replies.
func Main(in io.Reader, out io.Writer) error {
	// Whoever started it may be gone: an answer that nobody takes must not end it before it has cleaned up.
	signal.Ignore(syscall.SIGPIPE)
	r := bufio.NewReader(in)
	line, err := r.ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("reading the request: %w", err)
	}
	var req backup.Request
	if err := json.Unmarshal(line, &req); err != nil {
		return fmt.Errorf("reading the request: %w", err)
	}
	enc := json.NewEncoder(out)
	switch req.Op {
	case backup.OpBrief:
		for _, f := range req.Files {
			rep := backup.Reply{File: f}
			if b, err := brief(f); err != nil {
				rep.Err = err.Error()
			} else {
				rep.Brief = &b
			}
			if err := enc.Encode(rep); err != nil {
				return err
			}
		}
		return nil
	case backup.OpInspect:
		inside, err := Inspect(req.File)
		return enc.Encode(reply(backup.Reply{Inside: &inside}, err))
	case backup.OpDrill:
		return drill(req, r, enc)
	}
	return fmt.Errorf("%q is no request", req.Op)
}

// Inspect reads all of a snapshot. A damaged one may end the process: call it where that does no harm.
func Inspect(file string) (backup.Inside, error) { return inspect(file) }

func reply(r backup.Reply, err error) backup.Reply {
	if err != nil {
		return backup.Reply{Err: err.Error()}
	}
	return r
}

// drill restores a snapshot and serves it until the input ends.
func drill(req backup.Request, in io.Reader, enc *json.Encoder) error {
	defer os.RemoveAll(req.Dir) // the parent does so too; it may be gone
	inside, err := inspect(req.File)
	if err := enc.Encode(reply(backup.Reply{Inside: &inside}, err)); err != nil || inside.TotalSize == 0 {
		return err
	}
	ended := make(chan struct{})
	go func() { // the process is this goroutine's owner
		defer close(ended)
		_, _ = io.Copy(io.Discard, in)
	}()
	took, err := restore(req)
	if err := enc.Encode(reply(backup.Reply{Restored: took, Version: etcdVersion()}, err)); err != nil || took == 0 {
		return err
	}
	m, err := serve(req)
	if err != nil {
		return enc.Encode(backup.Reply{Err: err.Error()})
	}
	defer m.close()
	if err := enc.Encode(backup.Reply{URL: m.url}); err != nil {
		return err
	}
	select {
	case <-ended:
		return nil
	case err := <-m.failed():
		return enc.Encode(backup.Reply{Err: fmt.Sprintf("the throw-away member ended: %v", err)})
	}
}
