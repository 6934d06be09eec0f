package etcd

import (
	"context"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
)

// compactKey is what the API servers agree on over who compacts: its version grows with every compaction, every five minutes
// (k8s.io/apiserver/pkg/storage/etcd3/compact.go). It is not below their prefix. An etcd of something else does not have it.
const compactKey = "compact_rev_key"

// When a compaction that does not come is one that is missing: two intervals and a little, in which there was something to compact.
const (
	stalledAfter     = 11 * time.Minute
	stalledRevisions = 100
)

// compaction is what has been seen of the API server's compaction.
type compaction struct {
	version  int64 // of the key; 0: there is none
	since    time.Time
	from     int64 // revision of the key space when this version was first seen
	revision int64 // when it was looked at last
	looked   time.Time
}

func (c *compaction) see(now time.Time, version, revision int64) {
	if version != c.version || revision < c.from {
		*c = compaction{version: version, since: now, from: revision}
	}
	c.revision, c.looked = revision, now
}

// stalled is judged by what was seen: while etcd is not reached the API server may compact it as ever.
func (c *compaction) stalled() bool {
	return c.version > 0 && c.looked.Sub(c.since) > stalledAfter && c.revision-c.from >= stalledRevisions
}

// keepHouse looks, once a minute, at what changes slowly: whether etcd is compacted, and when our own certificate ends.
func (w *Watcher) keepHouse(ctx context.Context) {
	for next := w.started.Add(w.timing.house / 60); w.until(ctx, next); next = time.Now().Add(w.timing.house) {
		w.lookAtOurs()
		if c := w.model.best(); c != nil {
			w.lookAtCompaction(ctx, c)
		}
		if ctx.Err() != nil {
			return
		}
		w.changed()
	}
}

// best is the endpoint to ask for what any member can tell: the leader's, or one that answers; nil: there is none, or it is kine.
func (m *model) best() *conn {
	m.mu.Lock()
	defer m.mu.Unlock()
	if c := m.connOf(rowID(m.lead.id, "")); m.lead.id != 0 && c != nil {
		return c
	}
	for _, c := range m.conns {
		if c.ok && c.id != 0 {
			return c
		}
	}
	return nil
}

func (w *Watcher) lookAtCompaction(ctx context.Context, c *conn) {
	ctx, cancel := context.WithTimeout(ctx, w.timing.pollTimeout)
	defer cancel()
	r, err := pb.NewKVClient(c.member.Client().ActiveConnection()).Range(ctx,
		&pb.RangeRequest{Key: []byte(compactKey), KeysOnly: true, Serializable: true})
	if err != nil {
		return // it is looked at again; who may not read the key is not told whether it stalls
	}
	version := int64(0)
	if len(r.Kvs) > 0 {
		version = r.Kvs[0].Version
	}
	w.model.mu.Lock()
	defer w.model.mu.Unlock()
	w.model.compact.see(time.Now(), version, r.GetHeader().GetRevision())
}
