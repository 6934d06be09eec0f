package watchers

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"
)

// source is one watched resource: a store, what is known of how it is kept up to date, and the goroutine that does so.
type source struct {
	hub    *Hub
	key    Key
	store  *Store
	status *status
	stop   context.CancelFunc

	// Owned by the hub's lock.
	refs int
	idle time.Time

	mu    sync.Mutex
	kicks chan struct{} // closed and replaced by kick
}

func newSource(h *Hub, key Key) *source {
	s := &source{hub: h, key: key, store: newStore(h.proj), kicks: make(chan struct{}), stop: func() {}}
	s.status = newStatus(key.resource(), s.store.pokeAll)
	s.store.onSync = s.status.whole
	s.status.beat(h.Health())
	if h.cfg == nil {
		s.status.failed("list", ErrNoKube)
	}
	return s
}

// kick ends whatever wait the source is in.
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
	switch {
	case s.hub.cfg == nil:
	case HasTypedRow(s.key.GVR):
		s.runReflector(ctx)
	default:
		s.repeat(ctx, newTable(s).listAndWatch)
	}
}

// runReflector keeps the store up to date with a bare reflector: no informer, no queue, no second copy. The reflector is the
// same across attempts, so that it resumes from the resource version it has seen.
func (s *source) runReflector(ctx context.Context) {
	opt := s.hub.opt
	quiet := logr.Discard()
	ctx = klog.NewContext(ctx, quiet) // what went wrong is in the status; nothing may reach the screen
	r := cache.NewReflectorWithOptions(&listWatch{src: s}, nil, s.store, cache.ReflectorOptions{
		Logger:          &quiet,
		Name:            "fathom",
		TypeDescription: s.key.resource(),
		Clock:           &kickClock{ctx: ctx, src: s},
		Backoff: &wait.Backoff{
			Duration: opt.BackoffMin, Cap: opt.BackoffMax, Factor: 2, Jitter: 0.5, Steps: 10,
		},
	})
	s.repeat(ctx, r.ListAndWatchWithContext)
}

// repeat runs attempt again and again, with pauses that grow while it fails at once. A kick ends a pause.
func (s *source) repeat(ctx context.Context, attempt func(context.Context) error) {
	opt := s.hub.opt
	pause := opt.BackoffMin
	for {
		begun, kicked := time.Now(), s.kicked()
		_ = attempt(ctx) // its errors were seen by the status, request by request
		if ctx.Err() != nil {
			return
		}
		limit := opt.BackoffMax
		switch st := s.status.State(); {
		case s.status.isPolling():
			limit = opt.Poll
		case st.Phase == Denied || st.Phase == Unsupported:
			// Not at once: a server that has just started denies everything for a moment.
			limit = opt.DeniedRetry
		default:
			s.status.closed()
		}
		if time.Since(begun) > 2*opt.BackoffMax {
			pause = opt.BackoffMin
		}
		pause = min(pause, limit)
		t := time.NewTimer(pause*3/4 + rand.N(pause/2))
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
