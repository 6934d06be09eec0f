// Package etcd is the read side of etcd: what its members say of themselves, and the keys they keep.
//
// A [Watcher] asks every member for its status once a second, side by side, over the member's own connection and with a deadline
// of its own, and publishes immutable snapshots. Everything it asks is local to the member or a read: it never proposes a raft
// entry (in particular it never calls Alarm, whose GET is a proposal: etcd server/etcdserver/v3_server.go), so the commit index
// of an idle etcd does not move because somebody looks at it.
package etcd

import (
	"sync/atomic"
	"time"

	"fathom/cluster"
	"fathom/internal/run"
	"fathom/watchers"
)

// Snapshot is an immutable picture of the members of an etcd cluster.
type Snapshot struct {
	Gen      uint64       // grows with every published snapshot; 0: nothing was asked yet
	Members  []*MemberRow // by name, then ID; also those that were never reached
	Quorum   Quorum
	Findings []Finding // the worst first
	State    watchers.State
	At       time.Time // when it was built
	// Polled is set once every member has answered, or did not in time, at least once.
	Polled bool
	// ClusterID is the cluster that most reachable members belong to; 0: not known.
	ClusterID uint64
	// Kine is set when the endpoint is kine (k3s on a database): it speaks a part of etcd's API and has no members and no raft.
	Kine bool
}

// Find returns the position of a member's row.
func (s *Snapshot) Find(id string) (int, bool) {
	for i, m := range s.Members {
		if m.ID() == id {
			return i, true
		}
	}
	return 0, false
}

// Watcher polls the members of one etcd cluster.
type Watcher struct {
	etcd  *cluster.Etcd
	group *run.Group
	cur   atomic.Pointer[Snapshot]
}

// NewWatcher starts to poll. It ends with Close, or with the group.
func NewWatcher(g *run.Group, e *cluster.Etcd) *Watcher {
	w := &Watcher{etcd: e, group: g.Child()}
	now := time.Now()
	w.cur.Store(&Snapshot{At: now, State: watchers.State{Phase: watchers.Connecting, Since: now}})
	return w
}

// Snapshot returns the newest picture; never nil.
func (w *Watcher) Snapshot() *Snapshot { return w.cur.Load() }

// Etcd is the cluster that is watched.
func (w *Watcher) Etcd() *cluster.Etcd { return w.etcd }

// Close ends the polling and waits for its goroutines.
func (w *Watcher) Close() { w.group.Stop() }
