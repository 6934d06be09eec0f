package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	xterm "github.com/charmbracelet/x/term"

	"fathom/internal/run"
	"fathom/internal/safe"
	"fathom/views"
	"fathom/watchers/etcd/backup"
)

// untilSignal runs fn with a context that a signal ends, so that what was begun is cleaned up. The exit code is then that of the signal.
func untilSignal(ctx context.Context, fn func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT)
	defer signal.Stop(signals)
	g := run.NewGroup(ctx, nil)
	defer g.Stop()
	g.Go("signals", func(ctx context.Context) {
		select {
		case s := <-signals:
			cancel(signalled{s.(syscall.Signal)})
		case <-ctx.Done():
		}
	})
	err := fn(ctx)
	if s, ok := errors.AsType[signalled](context.Cause(ctx)); ok && err != nil {
		fmt.Fprintln(os.Stderr, "fathom: "+safe.String(err.Error()).String())
		return exitCode(128 + int(s.Signal))
	}
	return err
}

// signalled is the cause of a context that a signal ended.
type signalled struct{ syscall.Signal }

func (s signalled) Error() string { return "ended by a signal (" + s.Signal.String() + ")" }

// progress shows on a terminal how far something is: one line, written over and over.
type progress struct {
	w    io.Writer // nil: nobody looks
	last time.Time
	what string
	wide int
	stop func()
}

func newProgress(f *os.File) *progress {
	if !xterm.IsTerminal(f.Fd()) {
		return &progress{}
	}
	return &progress{w: f}
}

// step returns what shows how far a step is.
func (p *progress) step(what string) func(done, total int64) {
	return func(done, total int64) {
		if p.w == nil || what == p.what && time.Since(p.last) < 100*time.Millisecond {
			return
		}
		p.last, p.what = time.Now(), what
		s := what
		if total > 0 {
			s += fmt.Sprintf(" %d%% of %s", 100*done/total, views.Bytes(total))
		}
		pad := strings.Repeat(" ", max(0, p.wide-len(s)))
		p.wide = len(s)
		fmt.Fprintf(p.w, "\r%s%s", safe.String(s), pad)
	}
}

// follow shows how far something is that does not say so itself, until end.
func (p *progress) follow(what string, look func() (done, total int64)) {
	if p.w == nil {
		return
	}
	g := run.NewGroup(context.Background(), nil)
	show := p.step(what)
	g.Go("progress", func(ctx context.Context) {
		t := time.NewTicker(200 * time.Millisecond)
		defer t.Stop()
		for {
			show(look())
			select {
			case <-ctx.Done():
				return
			case <-t.C:
			}
		}
	})
	p.stop = g.Stop
}

// end removes the line.
func (p *progress) end() {
	if p.stop != nil {
		p.stop()
		p.stop = nil
	}
	if p.w != nil && p.wide > 0 {
		fmt.Fprintf(p.w, "\r%s\r", strings.Repeat(" ", p.wide))
		p.wide, p.what = 0, ""
	}
}

// savedStatus is what save and status print.
type savedStatus struct {
	backup.Status
	Member   string `json:"member,omitempty"` // that it was taken from
	MemberID string `json:"memberID,omitempty"`
}

// printStatus prints what is known of a snapshot; its error is the exit code of a bad one.
func printStatus(s savedStatus, out string) error {
	var err error
	if out == "json" {
		if s.Inside != nil {
			in := *s.Inside
			in.Sample = nil // names of keys, for the drill
			s.Inside = &in
		}
		err = printJSON(s)
	} else {
		w := tabwriter.NewWriter(os.Stdout, 0, 8, 2, ' ', 0)
		line := func(name, format string, args ...any) {
			fmt.Fprintf(w, "%s\t%s\n", name, safe.String(fmt.Sprintf(format, args...)))
		}
		line("file", "%s", s.File)
		if s.Member != "" {
			line("from", "%s", s.Member)
		}
		line("saved", "%s", s.Modified.Format(time.RFC3339))
		line("size", "%s (%d bytes)", views.Bytes(s.Size), s.Size)
		if in := s.Inside; in != nil {
			line("revision", "%d", in.Revision)
			line("keys", "%d (%d revisions stored, history since %d)", in.Keys, in.Revisions, in.CompactRevision)
			line("hash", "%08x (as etcdutl snapshot status has it)", in.Hash)
			line("hashKV", "%08x (as etcdctl endpoint hashkv --rev %d has it)", in.HashKV, in.At())
			line("storage", "%s", firstNonEmpty(in.StorageVersion, "from before etcd 3.6"))
			var names []string
			for _, m := range in.Members {
				names = append(names, firstNonEmpty(m.Name, m.ID))
			}
			line("members", "%s", strings.Join(names, ", "))
		}
		if s.SHA256 != "" {
			line("sha256", "%s", s.SHA256)
		}
		if s.Bad() {
			line("verdict", "BAD: %s", s.Problem)
		} else {
			line("verdict", "whole: the contents are what the checksum says, and every page is sound")
		}
		err = w.Flush()
	}
	if err == nil && s.Bad() {
		return exitCode(exitBad)
	}
	return err
}

func printJSON(v any) error {
	enc := json.NewEncoder(os.Stdout)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// printReport prints what a drill found; its error is the exit code of a bad snapshot.
func printReport(r backup.Report, out string) error {
	var err error
	if out == "json" {
		if r.Inside != nil {
			in := *r.Inside
			in.Sample = nil
			r.Inside = &in
		}
		err = printJSON(r)
	} else {
		w := tabwriter.NewWriter(os.Stdout, 0, 8, 2, ' ', 0)
		for _, c := range r.Checks {
			fmt.Fprintf(w, "%s\t%s\t%s\n", c.Verdict, safe.String(c.Name), safe.String(c.Text))
		}
		err = w.Flush()
		fmt.Println(safe.String(views.DrillVerdict(r)))
	}
	if err == nil && r.Verdict != backup.Passed {
		return exitCode(exitBad)
	}
	return err
}

func firstNonEmpty(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
