package etcd

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"fathom/cluster"
	"fathom/internal/run"
	"fathom/watchers"
)

// Database is how large a member's database is.
type Database struct {
	Size, InUse int64 // bytes; 0: not known
}

// SpaceSnapshot is how far a scan has come. What it has found is asked of [Space.Level] and its neighbours.
type SpaceSnapshot struct {
	Progress
	Gen uint64
	// All is the sum of everything that was found; Resources is how many resources of the API server there are.
	All       SpaceUse
	Resources int
	// Database is that of the member that was read, at the end; before it at the beginning.
	Database      Database
	Done, Stopped bool
	Err           error
	// Before is when the scan ended that this one is compared with; zero: there is none.
	Before time.Time
}

// Space is a scan that tells what fills the database: every key under a prefix is read once with its value, of which only the size is kept,
// and the keys themselves are not kept but for the largest. It runs at a bounded pace, see [Pace], and takes a bounded amount of
// memory. It is safe for concurrent use.
type Space struct {
	Prefix string // of the keys; empty: all

	group  *run.Group
	etcd   *cluster.Etcd
	gate   *gate
	before *Space

	mu   sync.Mutex
	tree *spaceTree
	s    SpaceSnapshot
	at   time.Time
}

// SpaceScans keeps the last scan, with which the next one is compared, as long as the program runs.
type SpaceScans struct {
	mu     sync.Mutex
	last   *Space // the newest
	ended  *Space // the newest that has seen everything
	custom Pace
}

// Last is the newest scan; nil: there was none.
func (h *SpaceScans) Last() *Space {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.last
}

// Start starts a scan of the keys that begin with prefix. The one before is stopped if it still runs.
func (h *SpaceScans) Start(g *run.Group, e *cluster.Etcd, prefix string) *Space {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.last != nil {
		h.last.Stop()
		if s := h.last.Snapshot(); s.Done && !s.Stopped && s.Err == nil {
			h.ended = h.last
		}
		h.last.forget() // memory is bounded: two scans, not a chain of them
	}
	pace := h.custom
	if pace.Page == 0 {
		pace = spacePace
	}
	var before *Space
	if h.ended != nil && strings.HasPrefix(prefix, h.ended.Prefix) {
		before = h.ended
	}
	h.last = newSpace(g, e, prefix, before, pace)
	return h.last
}

func newSpace(g *run.Group, e *cluster.Etcd, prefix string, before *Space, pace Pace) *Space {
	s := &Space{Prefix: prefix, group: g.Child(), etcd: e, gate: newGate(), before: before, tree: newSpaceTree(e.Prefix(), prefix)}
	s.s.Began = time.Now()
	if before != nil {
		s.s.Before = before.Snapshot().Ends
	}
	sw := &sweep{etcd: e, from: prefix, end: prefixEnd(prefix), floor: len(prefix), pace: newPacer(pace), probe: time.Second, gate: s.gate, page: s.page}
	s.group.Go(fmt.Sprintf("etcd: scan of the space under %q", prefix), func(ctx context.Context) {
		defer s.group.Cancel()
		err := sw.run(ctx)
		db := s.database(ctx, sw.p.Member)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.publish(sw.p)
		s.s.Done = true
		if db.Size > 0 {
			s.s.Database = db
		}
		switch {
		case err == nil:
		case errors.Is(err, errStopped) || errors.Is(err, context.Canceled):
			s.s.Stopped = true
		default:
			s.s.Err = fmt.Errorf("reading the keys under %q: %w", prefix, err)
		}
	})
	return s
}

// page takes a page in.
func (s *Space) page(kvs []*mvccpb.KeyValue, p Progress) bool {
	s.mu.Lock()
	for _, kv := range kvs {
		s.tree.add(SpaceKey{Key: string(kv.Key), Bytes: int64(len(kv.Value)), Version: kv.Version})
	}
	now := time.Now()
	first := s.s.Gen == 0
	if kvs == nil || now.Sub(s.at) >= 2*watchers.MinPublish || first {
		s.at = now
		s.publish(p)
	}
	s.mu.Unlock()
	if first {
		if db := s.database(s.group.Context(), p.Member); db.Size > 0 {
			s.mu.Lock()
			s.s.Database = db
			s.mu.Unlock()
		}
	}
	return true
}

// publish takes the progress over. s.mu is held.
func (s *Space) publish(p Progress) {
	s.s.Progress, s.s.All, s.s.Resources = p, s.tree.root.SpaceUse, len(s.tree.resources)
	if _, other := s.tree.resources[""]; other {
		s.s.Resources--
	}
	s.s.Gen++
}

// database asks the member for the size of its database.
func (s *Space) database(ctx context.Context, endpoint string) Database {
	m, ok := s.etcd.Member(endpoint)
	if !ok || ctx.Err() != nil {
		return Database{}
	}
	ctx, cancel := context.WithTimeout(ctx, leaseTimeout)
	defer cancel()
	st, err := m.Maintenance().Status(ctx, &pb.StatusRequest{})
	if err != nil {
		return Database{}
	}
	return Database{Size: st.DbSize, InUse: st.DbSizeInUse}
}

// Snapshot returns how far it has come.
func (s *Space) Snapshot() SpaceSnapshot {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.s
}

// compare is the tree of the scan before when this one is over: parts of a scan are compared with nothing. s.mu is held.
func (s *Space) compare() *spaceTree {
	if s.before == nil || !s.s.Done || s.s.Stopped || s.s.Err != nil {
		return nil
	}
	return s.before.tree // it is over too: nothing changes it
}

// Base is the prefix of the first level.
func (s *Space) Base() string { return s.tree.base }

// Level lists what is below a prefix that ends in a separator, in no order: some 2,000 rows at most.
func (s *Space) Level(prefix string) []SpaceRow {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tree.level(prefix, s.compare())
}

// Resources lists the resources of the API server with what they take, in no order.
func (s *Space) Resources() []SpaceRow {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tree.byResource(s.compare())
}

// Largest are the keys with the largest values, and MostWritten those that were written most often, that one first.
func (s *Space) Largest() []SpaceKey {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]SpaceKey(nil), s.tree.largest...)
}

// MostWritten: see [Space.Largest].
func (s *Space) MostWritten() []SpaceKey {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]SpaceKey(nil), s.tree.most...)
}

// forget lets go of the scan before.
func (s *Space) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.before = nil
}

// Pause holds the scan while nobody looks at it; it is given up after two minutes.
func (s *Space) Pause(on bool) { s.gate.set(on) }

// Stop ends the scan; what was found stays. It does not wait.
func (s *Space) Stop() { s.group.Cancel() }

// Running reports whether the scan goes on.
func (s *Space) Running() bool { return !s.Snapshot().Done }
