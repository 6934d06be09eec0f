package watchers

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"
)

// source is one watched resource: a store, what is known of how it is kept up to date, and the part that does so. While all
// namespaces together are denied, parts of single namespaces do so instead; see parts.go.
type source struct {
	hub    *Hub
	key    Key
	store  *Store
	status *status
	stop   context.CancelFunc
	main   *part

	// Owned by the hub's lock.
	refs int
	idle time.Time

	// opened is when somebody opened the source last, since epoch; 0 while nobody looks at it.
	opened atomic.Int64

	mu    sync.Mutex
	kicks chan struct{} // closed and replaced by kick
	union *union        // nil: all namespaces are read together
}

func newSource(h *Hub, key Key) *source {
	s := &source{hub: h, key: key, store: newStore(NewProjector()), kicks: make(chan struct{}), stop: func() {}}
	s.status = newStatus(key.resource(), s.store.pokeAll)
	s.status.fallback = key.Namespace == "" && !clusterScoped(key.GVR)
	s.main = &part{src: s, namespace: key.Namespace, status: s.status, rows: wholeRows{s.store, s}}
	s.main.slot = &ticket{slots: &h.slots, part: s.main}
	s.store.onSync = func(rows int) { s.status.whole(); h.thrift.listed(rows) }
	s.store.onChange = h.thrift.changed
	s.status.beat(h.Health())
	if h.cfg == nil {
		s.status.failed("list", ErrNoKube)
	}
	return s
}

// kick ends whatever wait the source is in, but for the one that the server has asked for.
func (s *source) kick() {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.kicks)
	s.kicks = make(chan struct{})
}

func (s *source) kicked() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.kicks
}

func (s *source) run(ctx context.Context) {
	if s.hub.cfg != nil {
		s.main.run(ctx)
	}
}

// part keeps the rows of one namespace, or of all, up to date.
type part struct {
	src       *source
	namespace string // empty: all
	status    *status
	rows      rowStore
	slot      *ticket
	end       context.CancelFunc // of a namespace that stands in for all

	throttles atomic.Int32 // answers 429 in a row
	short     atomic.Int32 // watches in a row that were closed at once
	torn      atomic.Int32 // streamed lists in a row that broke before they were whole
	unstream  atomic.Bool  // the server does not stream lists, though it does not say so
}

// rowStore is a part's way to the store.
type rowStore interface {
	cache.TransformingStore
	cache.ReflectorBookmarkStore
	preview(Row)
	setColumns([]TableColumn)
}

func (p *part) run(ctx context.Context) {
	defer p.slot.give()
	if HasTypedRow(p.src.key.GVR) {
		p.runReflector(ctx)
		return
	}
	p.repeat(ctx, newTable(p).listAndWatch)
}

// runReflector keeps the store up to date with a bare reflector: no informer, no queue, no second copy. The reflector is the
// same across attempts, so that it resumes from the resource version it has seen.
func (p *part) runReflector(ctx context.Context) {
	opt := p.src.hub.opt
	quiet := logr.Discard()
	ctx = klog.NewContext(ctx, quiet) // what went wrong is in the status; nothing may reach the screen
	r := cache.NewReflectorWithOptions(&listWatch{part: p}, nil, p.rows, cache.ReflectorOptions{
		Logger:          &quiet,
		Name:            "fathom",
		TypeDescription: p.src.key.resource(),
		Clock:           &kickClock{ctx: ctx, src: p.src},
		Backoff: &wait.Backoff{
			Duration: opt.BackoffMin, Cap: opt.BackoffMax, Factor: 2, Jitter: 0.5, Steps: 10,
		},
	})
	p.repeat(ctx, r.ListAndWatchWithContext)
}

// repeat runs attempt again and again, with pauses that grow while it fails at once. A kick ends a pause.
func (p *part) repeat(ctx context.Context, attempt func(context.Context) error) {
	opt := p.src.hub.opt
	pause := opt.BackoffMin
	for {
		begun, kicked := time.Now(), p.src.kicked()
		_ = attempt(ctx) // its errors were seen by the status, request by request
		p.slot.give()
		if ctx.Err() != nil {
			return
		}
		limit := opt.BackoffMax
		switch st := p.status.own(); {
		case p.status.isPolling():
			limit = opt.Poll
		case st.Phase == Denied || st.Phase == Unsupported:
			// Not at once: a server that has just started denies everything for a moment.
			limit = opt.DeniedRetry
			p.denied(ctx, st)
		default:
			p.status.closed()
		}
		if time.Since(begun) > 2*opt.BackoffMax {
			pause = opt.BackoffMin
		}
		pause = min(pause, limit)
		t := time.NewTimer(jitter(pause))
		select {
		case <-ctx.Done():
			t.Stop()
			return
		case <-kicked:
			pause = opt.BackoffMin
		case <-t.C:
			pause = 2 * pause
		}
		t.Stop()
	}
}

// jitter is d, up to a quarter more or less.
func jitter(d time.Duration) time.Duration { return d*3/4 + rand.N(d/2+1) }

// pause waits, a little more or less so that sources do not come all at once. A kick ends it.
func (p *part) pause(ctx context.Context, d time.Duration) error {
	kicked := p.src.kicked()
	t := time.NewTimer(jitter(d))
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-kicked:
	case <-t.C:
	}
	return nil
}

// kickClock is a real clock whose waits end early when the source is kicked or stopped: the reflector has waits of its own,
// some of which no context ends.
type kickClock struct {
	clock.RealClock
	ctx context.Context
	src *source
}

func (c *kickClock) After(d time.Duration) <-chan time.Time {
	out := make(chan time.Time, 1)
	kicked := c.src.kicked()
	started := c.src.hub.g.Go("reflector pause", func(context.Context) {
		t := time.NewTimer(d)
		defer t.Stop()
		select {
		case <-c.ctx.Done():
		case <-kicked:
		case <-t.C:
		}
		out <- time.Now()
	})
	if !started { // the hub has ended
		out <- time.Now()
	}
	return out
}
