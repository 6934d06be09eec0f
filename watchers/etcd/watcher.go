// Package etcd is the read side of etcd: what its members say of themselves, and the keys they keep.
//
// A [Watcher] asks every member for its status once a second, side by side, over the member's own connection and with a deadline
// of its own, times a read of each every two seconds and reads its metrics every five (ten and fifteen while nobody looks, see
// [Watcher.Look]), looks at its certificates every ten minutes, and publishes immutable snapshots. Everything it asks is local to the
// member or a read: it never proposes a raft entry (in particular it never calls Alarm, whose GET is a proposal: etcd
// server/etcdserver/v3_server.go), so the commit index of an idle etcd does not move because somebody looks at it.
package etcd

import (
	"context"
	"sync/atomic"
	"time"

	"fathom/cluster"
	"fathom/internal/run"
	"fathom/watchers"
)

// Snapshot is an immutable picture of the members of an etcd cluster.
type Snapshot struct {
	Gen      uint64       // grows with every published snapshot; 0: no member has answered, or failed to, yet
	Members  []*MemberRow // by name, then ID; also those that were never reached
	Quorum   Quorum
	Findings []Finding // the worst first
	// Timeline are the leaderships since the watcher was started, the oldest first, at most [TimelineLen].
	Timeline []Leadership
	// OurCert is the client certificate that we show to etcd; its NotAfter is zero when there is none.
	OurCert Certificate
	State   watchers.State
	At      time.Time // when it was built
	// Polled is set once every member has answered, or did not in time, at least once: also those of the member list.
	Polled bool
	// ClusterID is the cluster that most reachable members belong to; 0: not known.
	ClusterID uint64
	// Kine is set when the endpoint is kine (k3s on a database): it speaks a part of etcd's API and has no members and no raft.
	// State is then Unsupported and says so.
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

// timing is how often and how long; tests are in more of a hurry than people.
type timing struct {
	poll, pollTimeout   time.Duration // of Status
	probe, probeTimeout time.Duration // of the reads
	list                time.Duration // between two looks at the member list
	// metrics is the time between two readings of a member's metrics, certs between two looks at its certificates, house between two
	// looks at what changes slowly.
	metrics, metricsTimeout, certs, house time.Duration
	// calmProbe and calmMetrics take the place of probe and metrics while nobody has looked for attention.
	calmProbe, calmMetrics, attention time.Duration
	behind                            time.Duration // how much later than the leader the others are asked; see model.lag
	publish                           time.Duration // between two snapshots, at least
}

var usual = timing{
	poll: time.Second, pollTimeout: time.Second,
	probe: 2 * time.Second, probeTimeout: 1500 * time.Millisecond,
	metrics: 5 * time.Second, metricsTimeout: 3 * time.Second, certs: 10 * time.Minute, house: time.Minute,
	calmProbe: 10 * time.Second, calmMetrics: 15 * time.Second, attention: 10 * time.Second,
	list: 10 * time.Second, behind: 50 * time.Millisecond, publish: watchers.MinPublish,
}

// Watcher polls the members of one etcd cluster.
type Watcher struct {
	etcd      *cluster.Etcd
	group     *run.Group
	timing    timing
	started   time.Time
	model     *model
	attention attention
	dirty     chan struct{} // holds one token when there is something to publish
	cur       atomic.Pointer[Snapshot]
}

// NewWatcher starts to poll. It ends with Close, or with the group.
func NewWatcher(g *run.Group, e *cluster.Etcd) *Watcher { return newWatcher(g, e, usual) }

func newWatcher(g *run.Group, e *cluster.Etcd, t timing) *Watcher {
	now := time.Now()
	w := &Watcher{etcd: e, group: g.Child(), timing: t, started: now, model: newModel(now), dirty: make(chan struct{}, 1)}
	w.attention.span, w.attention.looked = t.attention, now
	w.cur.Store(&Snapshot{At: now, State: watchers.State{Phase: watchers.Connecting, Since: now}})
	w.adopt()
	w.group.Go("etcd: snapshots", w.publish)
	w.group.Go("etcd: compaction and our certificate", w.keepHouse)
	return w
}

// Snapshot returns the newest picture; never nil.
func (w *Watcher) Snapshot() *Snapshot { return w.cur.Load() }

// Etcd is the cluster that is watched.
func (w *Watcher) Etcd() *cluster.Etcd { return w.etcd }

// Close ends the polling and waits for its goroutines.
func (w *Watcher) Close() { w.group.Stop() }

func (w *Watcher) changed() {
	select {
	case w.dirty <- struct{}{}:
	default: // there is a token already
	}
}

// adopt starts to poll the endpoints that are not polled yet: the given ones, those of the member list, and those that somebody
// else added.
func (w *Watcher) adopt() {
	for _, url := range w.model.unknownURLs() {
		if _, err := w.etcd.AddEndpoints(url); err != nil {
			w.model.refusedURL(url, err)
		}
	}
	for _, m := range w.etcd.Members() {
		c, added := w.model.conn(m)
		if !added {
			continue
		}
		w.group.Go("etcd: status of "+m.Endpoint, func(ctx context.Context) { w.poll(ctx, c) })
		w.group.Go("etcd: serializable reads of "+m.Endpoint, func(ctx context.Context) { w.probe(ctx, c, true) })
		w.group.Go("etcd: linearizable reads of "+m.Endpoint, func(ctx context.Context) { w.probe(ctx, c, false) })
		w.group.Go("etcd: metrics of "+m.Endpoint, func(ctx context.Context) { w.measure(ctx, c) })
		w.group.Go("etcd: certificates of "+m.Endpoint, func(ctx context.Context) { w.lookAtCerts(ctx, c) })
	}
}

// publish builds a snapshot when something has changed, not more often than people can see, and once per poll in any case: that an
// answer is overdue changes nothing by itself.
func (w *Watcher) publish(ctx context.Context) {
	tick := time.NewTicker(w.timing.poll)
	defer tick.Stop()
	pause := time.NewTimer(0)
	defer pause.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-pause.C:
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-w.dirty:
		}
		w.adopt()
		w.model.noteMove(w.etcd.LastMove())
		if s := w.model.snapshot(time.Now(), w.timing.probe+2*w.timing.probeTimeout); s != nil {
			w.cur.Store(s)
			w.attention.feel(uneasy(s))
		}
		pause.Reset(w.timing.publish)
	}
}
