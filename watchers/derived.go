package watchers

import (
	"context"
	"iter"
	"sync"
	"sync/atomic"
	"time"
)

// Inputs is what the build function of a Derived may read. It is valid during the call only.
type Inputs struct {
	srcs   map[Key]*source
	deltas map[Key]delta
	Now    time.Time
}

// Changes says what is new of a source since the last build: each with the row before and after it, nil where there is none. When
// full is set, and it is for all sources or for none, after are all rows there are: what was built of the ones before starts anew.
func (in Inputs) Changes(k Key) (full bool, each iter.Seq2[Row, Row]) {
	d, ok := in.deltas[k]
	if !ok {
		return true, func(yield func(before, after Row) bool) {
			for _, r := range in.Rows(k) {
				if !yield(nil, r) {
					return
				}
			}
		}
	}
	return d.full, func(yield func(before, after Row) bool) {
		for _, r := range d.rows {
			if !yield(nil, r) {
				return
			}
		}
		for _, c := range d.changes {
			if !yield(c.before, c.after) {
				return
			}
		}
	}
}

// Changed reports whether anything of a source is new since the last build.
func (in Inputs) Changed(k Key) bool {
	d, ok := in.deltas[k]
	return !ok || !d.empty()
}

// Rows returns all rows of a source, in no order.
func (in Inputs) Rows(k Key) []Row {
	if s := in.srcs[k]; s != nil {
		return s.store.all()
	}
	return nil
}

// State returns the state of a source.
func (in Inputs) State(k Key) State {
	if s := in.srcs[k]; s != nil {
		return s.status.State()
	}
	return State{}
}

// DerivedSnapshot is an immutable picture computed from several sources.
type DerivedSnapshot[T any] struct {
	Gen    uint64
	Value  *T
	State  State         // the worst of the sources' states
	States map[Key]State // each source's own
	At     time.Time
}

// Derived computes a picture from several sources in a builder goroutine of its own, at the same pace as a feed. Its build function
// is called by one goroutine and may keep what it has computed from one call to the next (see [Inputs.Changes]).
type Derived[T any] struct {
	hub   *Hub
	in    Inputs
	keys  []Key
	subs  map[*source]*subscription
	wake  chan struct{}
	fn    func(Inputs) *T
	cur   atomic.Pointer[DerivedSnapshot[T]]
	every time.Duration
	stop  context.CancelFunc
	once  sync.Once
}

// Derive opens the sources and starts the builder. build runs in the builder goroutine. every, if
// positive, is how often to build again though nothing has changed, for pictures that speak of "the last minutes".
func Derive[T any](h *Hub, keys []Key, every time.Duration, build func(Inputs) *T) *Derived[T] {
	d := &Derived[T]{
		hub: h, keys: keys, fn: build, every: every, wake: make(chan struct{}, 1),
		in: Inputs{srcs: map[Key]*source{}}, subs: map[*source]*subscription{},
	}
	d.cur.Store(&DerivedSnapshot[T]{Value: new(T), At: time.Now()})
	for _, k := range keys {
		src := h.acquire(k)
		d.in.srcs[k] = src
		d.subs[src] = src.store.subscribe(d.wake, Within{})
	}
	d.stop = h.start("derived", d.run)
	return d
}

// Snapshot returns the newest picture. It is never nil, and neither is its Value; Gen is 0 until the first was built.
func (d *Derived[T]) Snapshot() *DerivedSnapshot[T] { return d.cur.Load() }

// Close ends the builder and gives the sources back.
func (d *Derived[T]) Close() {
	d.once.Do(func() {
		d.stop()
		for src, sub := range d.subs {
			src.store.unsubscribe(sub)
			d.hub.release(src)
		}
	})
}

func (d *Derived[T]) run(ctx context.Context) {
	var tick <-chan time.Time
	if d.every > 0 {
		t := time.NewTicker(d.every)
		defer t.Stop()
		tick = t.C
	}
	pace(ctx, d.hub.opt.MinPublish, d.wake, tick, d.build)
}

func (d *Derived[T]) build() {
	prev := d.cur.Load()
	in := d.in
	in.Now = time.Now()
	states := make(map[Key]State, len(d.keys))
	worst := State{Phase: Live}
	in.deltas = d.take(prev.Gen == 0)
	for i, k := range d.keys {
		st := in.State(k)
		states[k] = st
		if i == 0 || badness(st.Phase) > badness(worst.Phase) {
			worst = st
		}
	}
	d.cur.Store(&DerivedSnapshot[T]{Gen: prev.Gen + 1, Value: d.fn(in), State: worst, States: states, At: in.Now})
}

// take returns what is new of every source: all of it of all of them, or the changes of each.
func (d *Derived[T]) take(full bool) map[Key]delta {
	deltas := make(map[Key]delta, len(d.keys))
	anew := full
	for _, k := range d.keys {
		src := d.in.srcs[k]
		deltas[k] = src.store.take(d.subs[src], full)
		anew = anew || deltas[k].full
	}
	for k, part := range deltas {
		if anew && !part.full {
			src := d.in.srcs[k]
			deltas[k] = src.store.take(d.subs[src], true)
		}
	}
	return deltas
}

// badness orders phases by how much they take away from a picture.
func badness(p Phase) int {
	switch p {
	case Live:
		return 0
	case Connecting:
		return 2
	case Stale:
		return 3
	default: // Denied, Unsupported: the part is missing, and the pane says which
		return 1
	}
}
