// Package run starts goroutines that have an owner and cannot take the terminal down with them.
//
// A panic in a goroutine that Bubble Tea did not start would leave the terminal raw, so every goroutine of fathom is started
// through a [Group], which recovers, reports the panic to the owner's handler and lets the program end in order.
package run

import (
	"context"
	"runtime/debug"
	"sync"
)

// Panic is a recovered panic.
type Panic struct {
	Name  string // the goroutine's name, as given to Go
	Value any
	Stack []byte
}

// Group owns goroutines. The zero Group is not usable; see [NewGroup].
type Group struct {
	ctx     context.Context
	cancel  context.CancelFunc
	wg      sync.WaitGroup
	onPanic func(Panic)
}

// NewGroup returns a group whose goroutines end when ctx ends or Stop is called. onPanic is called in the goroutine that
// panicked, before the group is cancelled; it must not block.
func NewGroup(ctx context.Context, onPanic func(Panic)) *Group {
	ctx, cancel := context.WithCancel(ctx)
	return &Group{ctx: ctx, cancel: cancel, onPanic: onPanic}
}

// Context is the group's context.
func (g *Group) Context() context.Context { return g.ctx }

// Child returns a group that ends with this one but can be stopped on its own. The parent's Stop waits for it.
func (g *Group) Child() *Group {
	c := NewGroup(g.ctx, g.onPanic)
	return c
}

// Go starts fn with the group's context. fn must return soon after the context ends.
func (g *Group) Go(name string, fn func(ctx context.Context)) {
	g.wg.Add(1)
	go func() {
		defer g.wg.Done()
		defer g.recover(name)
		fn(g.ctx)
	}()
}

func (g *Group) recover(name string) {
	v := recover()
	if v == nil {
		return
	}
	if g.onPanic != nil {
		g.onPanic(Panic{Name: name, Value: v, Stack: debug.Stack()})
	}
	g.cancel()
}

// Stop cancels the group and waits for its goroutines.
func (g *Group) Stop() {
	g.cancel()
	g.wg.Wait()
}
