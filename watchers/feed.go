package watchers

import (
	"cmp"
	"context"
	"slices"
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

	mu    sync.Mutex
	query Query
	qgen  uint64

	stop context.CancelFunc
	once sync.Once

	built uint64 // qgen of the newest snapshot; the builder goroutine's own
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

// Close ends the feed. The last snapshot stays readable. The source goes on for the hub's grace period.
func (f *Feed) Close() {
	f.once.Do(func() {
		f.stop()
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

func (f *Feed) build() {
	f.mu.Lock()
	q, qgen := f.query, f.qgen
	f.mu.Unlock()
	less := q.Less
	if less == nil {
		less = compareDefault
	}
	total := func(a, b Row) int {
		if c := less(a, b); c != 0 {
			return c
		}
		return cmp.Compare(a.ID(), b.ID())
	}
	prev := f.cur.Load()
	requery := f.built != qgen || prev.Gen == 0
	d := f.src.store.take(f.sub, requery)
	state := f.src.status.State()
	same := !d.full && len(d.changed) == 0
	if same && state == prev.State && !requery {
		return
	}
	rows, index := prev.Rows, prev.index
	switch {
	case d.full:
		rows = keep(d.rows, q.Match)
		slices.SortFunc(rows, total)
		index = indexOf(rows)
	case !same:
		rows = merge(prev.Rows, keep(d.rows, q.Match), d.changed, total)
		index = indexOf(rows)
	}
	f.built = qgen
	f.cur.Store(&Snapshot{
		Gen: prev.Gen + 1, Tag: q.Tag, Rows: rows, Total: d.total, State: state, At: time.Now(),
		Columns: d.columns, index: index,
	})
}

// keep filters in place: the slice is the caller's own.
func keep(rows []Row, match func(Row) bool) []Row {
	if match == nil {
		return rows
	}
	out := rows[:0]
	for _, r := range rows {
		if match(r) {
			out = append(out, r)
		}
	}
	clear(rows[len(out):])
	return out
}

// merge returns the sorted old rows without those that changed, and with the new ones in their places.
func merge(old, fresh []Row, changed map[string]struct{}, total func(a, b Row) int) []Row {
	slices.SortFunc(fresh, total)
	out := make([]Row, 0, len(old)+len(fresh))
	for _, r := range old {
		if _, gone := changed[r.ID()]; gone {
			continue
		}
		for len(fresh) > 0 && total(fresh[0], r) < 0 {
			out = append(out, fresh[0])
			fresh = fresh[1:]
		}
		out = append(out, r)
	}
	return append(out, fresh...)
}

func indexOf(rows []Row) map[string]int32 {
	index := make(map[string]int32, len(rows))
	for i, r := range rows {
		index[r.ID()] = int32(i)
	}
	return index
}
