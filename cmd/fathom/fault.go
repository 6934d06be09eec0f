package main

import (
	"context"
	"fmt"
	"time"

	"fathom/internal/run"
	"fathom/ui"
	"fathom/ui/draw"
	"fathom/views"
)

// The faults that --fault makes, for the tests of what a bug leaves behind. The flag is hidden: nobody else wants it.
const (
	faultPane    = "pane"    // a pane panics while it draws
	faultWatcher = "watcher" // a goroutine of the read side panics
	faultStuck   = "stuck"   // the event loop hangs: only the forced end is left
)

// faultAfter is when the fault happens: the screen has been drawn by then.
const faultAfter = 500 * time.Millisecond

// faulty wraps what the screen is made of so that it fails.
func faulty(kind string, cat *views.Catalog, g *run.Group) (ui.Opener, error) {
	switch kind {
	case "":
		return cat, nil
	case faultWatcher:
		g.Go("a watcher", func(ctx context.Context) {
			select {
			case <-ctx.Done():
			case <-time.After(faultAfter):
				panic("--fault watcher: a value that must not be shown")
			}
		})
		return cat, nil
	case faultPane, faultStuck:
		return faultyOpener{cat, kind}, nil
	}
	return nil, usageError{fmt.Errorf("--fault %s: faults are %s, %s and %s", kind, faultPane, faultWatcher, faultStuck)}
}

type faultyOpener struct {
	*views.Catalog
	kind string
}

// Pane implements ui.Opener.
func (o faultyOpener) Pane(r views.Ref) (views.Pane, error) {
	p, err := o.Catalog.Pane(r)
	return &faultyPane{Pane: p, kind: o.kind, at: time.Now().Add(faultAfter)}, err
}

type faultyPane struct {
	views.Pane
	kind string
	at   time.Time
}

// Ticks makes the pane be drawn again when its time has come.
func (p *faultyPane) Ticks() bool { return true }

// Draw implements views.Pane, and fails when the time has come.
func (p *faultyPane) Draw(a draw.Area, focused bool) {
	if time.Now().After(p.at) {
		switch p.kind {
		case faultPane:
			panic("--fault pane: a value that must not be shown")
		case faultStuck:
			select {}
		}
	}
	p.Pane.Draw(a, focused)
}
