package etcd

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"

	"fathom/cluster"
	"fathom/internal/run"
	"fathom/watchers"
)

// MaxHits bounds the keys that a search finds: it ends there and says so. They take about 150 bytes each, and the keys themselves.
const MaxHits = 10_000

// Hit is a key that was found, as it was when it was looked at.
type Hit struct {
	Key                         string // untrusted bytes
	CreateRevision, ModRevision int64
	Version                     int64 // number of writes since it was created
	Lease                       int64 // 0: none
}

// SearchSnapshot is an immutable picture of a search.
type SearchSnapshot struct {
	Progress
	Gen  uint64
	Hits []Hit // in the order of the keys
	// Done: it is over. Cut: because MaxHits were found; Stopped: because somebody has stopped it. Err: why it could not go on.
	Done, Cut, Stopped bool
	Err                error
}

// Search looks at the keys of a range one after the other and keeps those that match. It reads no values and runs at a bounded pace.
type Search struct {
	group *run.Group
	gate  *gate
	query SearchQuery

	hits []Hit // appended to by the search's goroutine only; snapshots share what they show of it
	cur  atomic.Pointer[SearchSnapshot]
	at   time.Time // of the last snapshot
}

// NewSearch starts a search. It ends by itself, with Stop, or with the group.
func NewSearch(g *run.Group, e *cluster.Etcd, q SearchQuery) *Search {
	return newSearch(g, e, q, searchPace)
}

func newSearch(g *run.Group, e *cluster.Etcd, q SearchQuery, pace Pace) *Search {
	s := &Search{group: g.Child(), gate: newGate(), query: q}
	s.cur.Store(&SearchSnapshot{Progress: Progress{Began: time.Now()}})
	sw := &sweep{etcd: e, from: q.from, end: q.end, floor: q.floor, keysOnly: true, pace: newPacer(pace), probe: time.Second, gate: s.gate, page: s.page}
	s.group.Go("etcd: search of "+q.expr, func(ctx context.Context) {
		defer s.group.Cancel() // its context is not kept by the parent's
		err := sw.run(ctx)
		s.publish(sw.p, func(n *SearchSnapshot) {
			n.Done, n.Cut = true, len(s.hits) >= MaxHits
			switch {
			case err == nil || n.Cut:
			case errors.Is(err, errStopped) || errors.Is(err, context.Canceled):
				n.Stopped = true
			default:
				n.Err = fmt.Errorf("searching %s: %w", q.where, err)
			}
		})
	})
	return s
}

// page takes a page in.
func (s *Search) page(kvs []*mvccpb.KeyValue, p Progress) bool {
	for _, kv := range kvs {
		if !s.query.Match(kv.Key) {
			continue
		}
		if len(s.hits) == MaxHits {
			return false
		}
		s.hits = append(s.hits, Hit{Key: string(kv.Key), CreateRevision: kv.CreateRevision, ModRevision: kv.ModRevision, Version: kv.Version, Lease: kv.Lease})
	}
	if now := time.Now(); kvs == nil || now.Sub(s.at) >= watchers.MinPublish || s.cur.Load().Gen == 0 {
		s.at = now
		s.publish(p, func(*SearchSnapshot) {})
	}
	return len(s.hits) < MaxHits
}

func (s *Search) publish(p Progress, end func(*SearchSnapshot)) {
	n := &SearchSnapshot{Progress: p, Gen: s.cur.Load().Gen + 1, Hits: s.hits[:len(s.hits):len(s.hits)]}
	end(n)
	s.cur.Store(n)
}

// Snapshot returns the newest picture; never nil.
func (s *Search) Snapshot() *SearchSnapshot { return s.cur.Load() }

// Pause holds the search while nobody looks at it; it is given up after two minutes.
func (s *Search) Pause(on bool) { s.gate.set(on) }

// Stop ends the search; what was found stays. It does not wait.
func (s *Search) Stop() { s.group.Cancel() }

// Running reports whether the search goes on.
func (s *Search) Running() bool { return !s.Snapshot().Done }
