package watchers

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"fathom/internal/run"
)

// ErrNoKube is why every source of a hub without an API server is unsupported.
var ErrNoKube = errors.New("no Kubernetes API server is configured: give --kubeconfig, or --context")

// Hub owns the sources of one cluster: it starts a source when the first feed opens it, shares it between feeds, and stops it
// some time after the last one closed.
type Hub struct {
	opt    Options
	cfg    *rest.Config // nil: no API server
	kube   kubernetes.Interface
	slim   map[string]rest.Interface // for typed rows, by group
	tab    *rest.RESTClient          // for Tables
	conn   *connections
	g      *run.Group
	beat   *heartbeat
	done   chan struct{} // closed when the hub is closed
	slots  slots         // places for lists
	spaces spaces        // what to read where all namespaces are denied
	heard  heard         // when something came from the server last
	thrift thrift

	mu      sync.Mutex
	closed  bool
	sources map[Key]*source
}

// NewHub makes a hub on an API server. cfg is a guarded configuration (cluster.Kube.Config), or nil when there is no API server:
// then every source is unsupported and says why. No traffic happens before the first Open except the heartbeat. The hub ends
// with g, or when Close is called; both wait for all of its goroutines.
func NewHub(g *run.Group, cfg *rest.Config, opt Options) (*Hub, error) {
	h := &Hub{
		opt: opt.withDefaults(), g: g.Child(), done: make(chan struct{}), sources: map[Key]*source{},
	}
	if cfg != nil {
		if err := h.dial(cfg); err != nil {
			return nil, fmt.Errorf("set up watching %s: %w", cfg.Host, err)
		}
	}
	h.slots.told = h.thrift.running
	h.beat = newHeartbeat(h)
	if cfg != nil {
		h.g.Go("heartbeat", h.beat.run)
	}
	h.g.Go("source janitor", h.janitor)
	g.Go("hub", func(ctx context.Context) {
		select {
		case <-ctx.Done():
			h.Close()
		case <-h.done:
		}
	})
	return h, nil
}

// Open subscribes to a source through a query. It returns at once: the feed's snapshot is empty and Connecting until rows have
// arrived. Close the feed when nobody looks at it any more.
func (h *Hub) Open(key Key, q Query) *Feed {
	src := h.acquire(key)
	f := &Feed{
		hub: h, key: key, src: src, min: h.opt.MinPublish, query: q,
		wake: make(chan struct{}, 1), asked: make(chan struct{}, 1),
	}
	f.cur.Store(&Snapshot{Tag: q.Tag, State: src.status.State(), At: time.Now()})
	f.sub = src.store.subscribe(f.wake, q.Within)
	f.asked <- struct{}{} // a source that is already full is shown at once
	f.stop = h.start("feed "+key.resource(), f.run)
	return f
}

// Row returns one row of a source that is open, by ID.
func (h *Hub) Row(key Key, id string) (Row, bool) {
	h.mu.Lock()
	src := h.sources[key]
	h.mu.Unlock()
	if src == nil {
		return nil, false
	}
	return src.store.get(id)
}

// Health returns what the heartbeat knows of the API server.
func (h *Hub) Health() Health { return h.beat.health() }

// Kick makes every source that waits before its next attempt try at once ("reconnect now").
func (h *Hub) Kick() {
	for _, s := range h.list() {
		s.kick()
	}
}

// Close ends all sources and feeds and waits for their goroutines.
func (h *Hub) Close() {
	h.mu.Lock()
	first := !h.closed
	h.closed = true
	h.mu.Unlock()
	if first {
		close(h.done)
	}
	h.g.Stop()
	if h.conn != nil {
		h.conn.closeAll()
	}
}

func (h *Hub) list() []*source {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := make([]*source, 0, len(h.sources))
	for _, s := range h.sources {
		out = append(out, s)
	}
	return out
}

// together is how close two panes must be opened to be opened at once: what one picture is made of comes in its own order.
const together = 100 * time.Millisecond

// acquire returns the source of a key, started, with one more reference to it.
func (h *Hub) acquire(key Key) *source {
	defer h.slots.rebalance() // without the lock
	h.mu.Lock()
	defer h.mu.Unlock()
	src := h.sources[key]
	if src == nil {
		src = newSource(h, key)
		h.sources[key] = src
		if !h.closed {
			src.stop = h.startLocked("source "+key.resource(), src.run)
		}
	}
	src.refs++
	src.opened.Store(int64(time.Since(epoch).Truncate(together)) + 1)
	return src
}

func (h *Hub) release(src *source) {
	h.mu.Lock()
	src.refs--
	src.idle = time.Now()
	if src.refs == 0 {
		src.opened.Store(0)
	}
	h.mu.Unlock()
	h.slots.rebalance()
}

// start runs fn in the hub's group until the returned function is called or the hub is closed.
func (h *Hub) start(name string, fn func(context.Context)) context.CancelFunc {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.startLocked(name, fn)
}

func (h *Hub) startLocked(name string, fn func(context.Context)) context.CancelFunc {
	ctx, cancel := context.WithCancel(h.g.Context())
	if h.closed {
		return cancel
	}
	h.g.Go(name, func(context.Context) { defer cancel(); fn(ctx) })
	return cancel
}

// janitor stops sources that nobody has looked at for the grace period, and notices watches that do not come back.
func (h *Hub) janitor(ctx context.Context) {
	t := time.NewTicker(min(500*time.Millisecond, max(h.opt.Grace/2, 10*time.Millisecond)))
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		h.mu.Lock()
		for key, src := range h.sources {
			if src.refs == 0 && time.Since(src.idle) > h.opt.Grace {
				src.stop()
				delete(h.sources, key)
				h.thrift.dropped(src.store.count())
			}
		}
		h.mu.Unlock()
		h.thrift.tidy()
		for _, src := range h.list() {
			src.each(func(s *status) { s.set(nil) })
		}
	}
}
