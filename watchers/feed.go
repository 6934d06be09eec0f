package watchers

import (
	"cmp"
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// Feed is a subscription to a source through a query. Its builder goroutine publishes snapshots; Snapshot is an atomic load.
type Feed struct {
	hub   *Hub
	key   Key
	src   *source
	min   time.Duration
	wake  chan struct{}
	asked chan struct{} // a new query: build at once
	sub   *subscription
	cur   atomic.Pointer[Snapshot]

	mu      sync.Mutex
	query   Query
	qgen    uint64
	answers chan struct{} // what Wait waits for; nil: nobody does
	closed  bool

	stop context.CancelFunc
	once sync.Once

	// The builder goroutine's own.
	built  uint64 // qgen of the newest snapshot
	sorted order  // all rows, in the order of the query
	sort   string // the name of that order
}

// Key is what the feed was opened for.
func (f *Feed) Key() Key { return f.key }

// Snapshot returns the newest picture. It is never nil and costs one atomic load.
func (f *Feed) Snapshot() *Snapshot { return f.cur.Load() }

// SetQuery changes which rows are shown and in what order. The next snapshot carries its Tag, and is built at once.
func (f *Feed) SetQuery(q Query) {
	f.mu.Lock()
	f.query = q
	f.qgen++
	f.mu.Unlock()
	select {
	case f.asked <- struct{}{}:
	default:
	}
}

// Wait returns when a snapshot answers the query with that tag, or will not: the feed was closed, or ctx ended.
func (f *Feed) Wait(ctx context.Context, tag string) {
	for {
		f.mu.Lock()
		if f.closed || f.cur.Load().Tag == tag {
			f.mu.Unlock()
			return
		}
		if f.answers == nil {
			f.answers = make(chan struct{})
		}
		answers := f.answers
		f.mu.Unlock()
		select {
		case <-ctx.Done():
			return
		case <-answers:
		}
	}
}

// Close ends the feed. The last snapshot stays readable. The source goes on for the hub's grace period.
func (f *Feed) Close() {
	f.once.Do(func() {
		f.stop()
		f.mu.Lock()
		f.closed = true
		f.answeredLocked()
		f.mu.Unlock()
		f.src.store.unsubscribe(f.sub)
		f.hub.release(f.src)
	})
}

func (f *Feed) run(ctx context.Context) {
	pace(ctx, f.min, f.wake, f.asked, f.build)
}

// pace calls build after wake, at most once in every min, and at once after urgent.
func pace[T any](ctx context.Context, min time.Duration, wake <-chan struct{}, urgent <-chan T, build func()) {
	var last time.Time
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-urgent:
		case <-wake:
			if wait := min - time.Since(last); wait > 0 {
				timer.Reset(wait)
				select {
				case <-ctx.Done():
					return
				case <-timer.C:
				case <-urgent:
				}
			}
		}
		select { // what arrived while we waited is part of this build
		case <-wake:
		default:
		}
		last = time.Now()
		build()
	}
}

func compareDefault(a, b Row) int {
	if c := cmp.Compare(a.GetNamespace(), b.GetNamespace()); c != 0 {
		return c
	}
	return cmp.Compare(a.GetName(), b.GetName())
}

// build makes the next snapshot. It costs what has changed; a new filter costs one look at every row, a new order sorts.
func (f *Feed) build() {
	f.mu.Lock()
	q, qgen := f.query, f.qgen
	f.mu.Unlock()
	if q.Less == nil {
		q.Sort = "namespace, name"
	}
	prev := f.cur.Load()
	requery := f.built != qgen || prev.Gen == 0
	resort := prev.Gen == 0 || f.built != qgen && (q.Sort == "" || q.Sort != f.sort)
	d := f.src.store.take(f.sub, resort)
	state := f.src.status.State()
	if d.empty() && state == prev.State && !requery {
		return
	}
	next := &Snapshot{
		Gen: prev.Gen + 1, Tag: q.Tag, Total: d.total, State: state, At: time.Now(), Columns: d.columns,
		rows: prev.rows, total: prev.total, store: f.src.store, sub: f.sub, seq: d.seq,
	}
	if next.total == nil || requery {
		next.total = totalOrder(q.Less)
	}
	switch {
	case d.full:
		f.sorted, f.sort = newOrder(sortRows(d.rows, next.total)), q.Sort
		next.rows = narrow(f.sorted, q.Match)
	case requery:
		f.sorted = amend(f.sorted, d.changes, next.total, nil)
		if q.Narrows != "" && q.Narrows == prev.Tag {
			next.rows = narrow(amend(prev.rows, d.changes, next.total, q.Match), q.Match)
		} else {
			next.rows = narrow(f.sorted, q.Match)
		}
	case len(d.changes) > 0:
		f.sorted = amend(f.sorted, d.changes, next.total, nil)
		next.rows = f.sorted
		if q.Match != nil {
			next.rows = amend(prev.rows, d.changes, next.total, q.Match)
		}
	}
	f.built = qgen
	f.cur.Store(next)
	if requery {
		f.mu.Lock()
		f.answeredLocked()
		f.mu.Unlock()
	}
}

func (f *Feed) answeredLocked() {
	if f.answers != nil {
		close(f.answers)
		f.answers = nil
	}
}

// totalOrder is less with ties broken by ID.
func totalOrder(less func(a, b Row) int) func(a, b Row) int {
	if less == nil {
		less = compareDefault
	}
	return func(a, b Row) int {
		if c := less(a, b); c != 0 {
			return c
		}
		return cmp.Compare(a.ID(), b.ID())
	}
}

func narrow(o order, match func(Row) bool) order {
	if match == nil {
		return o
	}
	return o.filter(match)
}

// amend returns the next version of an order: without the rows that went, with those that came and match.
func amend(o order, changes []change, total func(a, b Row) int, match func(Row) bool) order {
	if len(changes) == 0 {
		return o
	}
	e := o.edit(total)
	for _, c := range changes {
		after := c.after
		if after != nil && match != nil && !match(after) {
			after = nil
		}
		e.change(c.before, after)
	}
	return e.order()
}
