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
	onPanic func(Panic)
	parent  *Group

	mu      sync.Mutex
	live    int           // goroutines of this group and of its children that have not ended
	stopped bool          // no goroutine starts any more
	idle    chan struct{} // closed when stopped and live is 0
}

// NewGroup returns a group whose goroutines end when ctx ends or Stop is called. onPanic is called in the goroutine that
// panicked, before the group is cancelled; it must not block. It may be nil.
func NewGroup(ctx context.Context, onPanic func(Panic)) *Group {
	ctx, cancel := context.WithCancel(ctx)
	return &Group{ctx: ctx, cancel: cancel, onPanic: onPanic, idle: make(chan struct{})}
}

// Context is the group's context.
func (g *Group) Context() context.Context { return g.ctx }

// Child returns a group that ends with this one but can be stopped on its own. The parent's Stop waits for it. A panic in
// a child cancels the child only: whether the rest goes on is for onPanic to decide.
func (g *Group) Child() *Group {
	c := NewGroup(g.ctx, g.onPanic)
	c.parent = g
	return c
}

// Go starts fn with the group's context. fn must return soon after the context ends. Once the group or one of its
// ancestors was stopped nothing is started and Go returns false.
func (g *Group) Go(name string, fn func(ctx context.Context)) bool {
	if !g.enter() {
		return false
	}
	go func() {
		defer g.leave()
		defer g.recover(name)
		fn(g.ctx)
	}()
	return true
}

// enter counts a goroutine in this group and in all its ancestors, the oldest first, or in none of them.
func (g *Group) enter() bool {
	if g.parent != nil && !g.parent.enter() {
		return false
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.stopped {
		if g.parent != nil {
			g.parent.leave()
		}
		return false
	}
	g.live++
	return true
}

func (g *Group) leave() {
	g.mu.Lock()
	g.live--
	if g.stopped && g.live == 0 {
		close(g.idle)
	}
	g.mu.Unlock()
	if g.parent != nil {
		g.parent.leave()
	}
}

func (g *Group) recover(name string) {
	v := recover()
	if v == nil {
		return
	}
	defer g.cancel() // also when the handler panics
	if g.onPanic != nil {
		g.onPanic(Panic{Name: name, Value: v, Stack: debug.Stack()})
	}
}

// Stop cancels the group and its children and waits for all their goroutines. It may be called more than once and by
// several goroutines, but not by one that the group owns: that one would wait for itself; it calls [Group.Cancel].
func (g *Group) Stop() {
	g.cancel()
	g.mu.Lock()
	if !g.stopped {
		g.stopped = true
		if g.live == 0 {
			close(g.idle)
		}
	}
	g.mu.Unlock()
	<-g.idle
}

// Cancel ends the group's context without waiting.
func (g *Group) Cancel() { g.cancel() }
