package etcd

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"fathom/cluster"
)

// Revision is one kept state of a key, or its deletion. The value is not kept: [Keys.GetAt] reads it again.
type Revision struct {
	Revision       int64 // mod_revision; of a deletion the revision that deleted the key
	CreateRevision int64 // 0 of a deletion
	Version        int64 // number of writes since it was created; 1: this revision created it
	Lease          int64 // 0: none
	Deleted        bool
	Size           int // of the value, in bytes
	Summary
	// SameBy says that the revision before it has the same newest managedFields entry, so that who made this change is not told.
	SameBy bool
}

// HistoryEnd says where a key's history ends, or where looking for it did.
type HistoryEnd struct {
	Reached bool
	Why     string // a sentence without its full stop
	// Compacted is the revision before which etcd keeps nothing; 0: nothing was compacted, or it was not asked for.
	Compacted int64
	// Unseen is the number of kept revisions in which an earlier life of the key was not looked for; see [History.LookThrough].
	Unseen int64
}

// HistoryPage is a part of a key's history.
type HistoryPage struct {
	Source
	Revisions []Revision // the newest first
	End       HistoryEnd
}

const (
	// maxHistoryBytes bounds the values that are read for one page.
	maxHistoryBytes = 16 << 20
	// lookThrough is in how many revisions deletions of a key are looked for unasked. A watch from an old revision makes the member
	// read every revision since, of all keys, and hold its lock meanwhile (server/storage/mvcc/watchable_store.go, syncWatchers).
	lookThrough = 25_000
	// deletionsTimeout bounds that search on one member, progressEvery how long it waits between two questions for the progress.
	deletionsTimeout = 8 * time.Second
	progressEvery    = 50 * time.Millisecond
)

// History walks the revisions of one key from the newest back to the compaction. It is not safe for concurrent use.
//
// Every revision is a read of its own: one of a key at a revision answers with the state at or before it, whose mod_revision less
// one is where the next read looks. That costs the member an index lookup each, and nobody has to read the revisions of other keys.
// Only where the key did not exist, its deletions are looked for with a watch that filters everything else out.
type History struct {
	keys *Keys
	key  string

	at        int64 // the next revision to look at; 0: the newest
	newest    int64 // revision of the key space at the beginning
	held      *Revision
	deletions []int64 // ascending; those since deletedFrom
	from      int64   // deletions are known from this revision on; 0: not looked for
	through   int64   // how many revisions may be looked through for them
	end       HistoryEnd
}

// History begins a walk. It sends nothing.
func (k *Keys) History(key string) *History { return &History{keys: k, key: key, through: lookThrough} }

// LookThrough says in how many of the newest revisions deletions may be looked for, when [HistoryEnd.Unseen] says that some were
// left out. It costs one member the reading of that many revisions, about as many kilobytes.
func (h *History) LookThrough(revisions int64) {
	if revisions > h.through {
		h.through, h.from, h.deletions = revisions, 0, nil
		h.end = HistoryEnd{}
	}
}

// Next reads the next revisions, at most limit and [MaxPage], fewer when their values are large. What was read before ctx ended is
// returned without an error. After an error, Next tries again where it was.
func (h *History) Next(ctx context.Context, limit int) (HistoryPage, error) {
	p := HistoryPage{End: h.end}
	limit = min(max(limit, 1), MaxPage)
	size := 0
	for !h.end.Reached && len(p.Revisions) < limit && size < maxHistoryBytes {
		r, src, err := h.step(ctx)
		if err != nil && len(p.Revisions) > 0 && ctx.Err() != nil {
			break
		}
		if err != nil {
			return p, fmt.Errorf("reading the history of key %q: %w", h.key, err)
		}
		p.Source = src
		size += r.Size
		// A revision goes out once the one before it is known.
		if h.held != nil {
			h.held.SameBy = h.held.Version > 1 && r.By == h.held.By && !r.By.At.IsZero()
			p.Revisions = append(p.Revisions, *h.held)
			h.held = nil
		}
		if r.Revision != 0 {
			h.held = &r
		}
	}
	p.End = h.end
	return p, nil
}

// step looks at one revision. It returns an empty one when the history has come to its end.
func (h *History) step(ctx context.Context) (Revision, Source, error) {
	r, src, err := h.keys.rangeOn(ctx, &pb.RangeRequest{Key: []byte(h.key), Revision: h.at})
	switch {
	case errors.Is(err, rpctypes.ErrCompacted):
		compacted, err := h.keys.compacted(ctx)
		if err != nil {
			return Revision{}, src, err
		}
		h.end = HistoryEnd{Reached: true, Compacted: compacted, Why: fmt.Sprintf("what was before revision %d was compacted away", compacted)}
		return Revision{}, src, nil
	case err != nil:
		return Revision{}, src, err
	}
	if h.newest == 0 {
		h.newest = src.Revision
	}
	if h.at == 0 {
		h.at = src.Revision
	}
	if len(r.Kvs) == 0 {
		rev, err := h.deleted(ctx)
		return rev, src, err
	}
	kv := r.Kvs[0]
	out := Revision{Revision: kv.ModRevision, CreateRevision: kv.CreateRevision, Version: kv.Version, Lease: kv.Lease,
		Size: len(kv.Value), Summary: Summarize(kv.Value)}
	if h.at = kv.ModRevision - 1; h.at < 1 {
		h.end = HistoryEnd{Reached: true, Why: "it was never there before"}
	}
	return out, src, nil
}

// deleted finds the last deletion of the key at or before h.at, where it did not exist.
func (h *History) deleted(ctx context.Context) (Revision, error) {
	if h.from == 0 {
		compacted, err := h.keys.compacted(ctx)
		if err != nil {
			return Revision{}, err
		}
		from := max(compacted, h.newest-h.through+1, 1)
		if from <= h.at {
			if h.deletions, err = h.keys.deletions(ctx, h.key, from, h.newest); err != nil {
				return Revision{}, err
			}
		}
		h.from = from
		h.end.Compacted = compacted
	}
	// The deletions are sorted; those after h.at are passed.
	i, _ := slices.BinarySearch(h.deletions, h.at+1)
	if i == 0 {
		compacted := h.end.Compacted
		h.end = HistoryEnd{Reached: true, Compacted: compacted}
		switch oldest := max(compacted, 1); {
		case h.from > oldest:
			h.end.Unseen = min(h.from, h.at+1) - oldest
			h.end.Why = fmt.Sprintf("whether there was such a key before revision %d was not looked for: a member would have to read %d more revisions",
				min(h.from, h.at+1), h.end.Unseen)
		case compacted > 0:
			h.end.Why = fmt.Sprintf("it was not there before; what was before revision %d was compacted away", compacted)
		default:
			h.end.Why = "it was never there before"
		}
		return Revision{}, nil
	}
	out := Revision{Revision: h.deletions[i-1], Deleted: true}
	h.at = out.Revision - 1
	return out, nil
}

// GetAt reads a key as it was at a revision. The error matches [ErrNoKey] when there was none, and rpctypes.ErrCompacted when etcd does
// not keep that revision any more.
func (k *Keys) GetAt(ctx context.Context, key string, revision int64) (KV, error) {
	r, src, err := k.rangeOn(ctx, &pb.RangeRequest{Key: []byte(key), Revision: revision})
	switch {
	case errors.Is(err, rpctypes.ErrCompacted):
		return KV{Source: src}, fmt.Errorf("reading key %q at revision %d: it was compacted away meanwhile (%w)", key, revision, err)
	case err != nil:
		return KV{Source: src}, fmt.Errorf("reading key %q at revision %d: %w", key, revision, err)
	case len(r.Kvs) == 0:
		return KV{Source: src}, fmt.Errorf("reading key %q from %s at revision %d: %w", key, src.Member, revision, ErrNoKey)
	}
	return newKV(r.Kvs[0], src), nil
}

// compacted is the revision before which nothing is kept; 0: nothing was compacted. A read tells only whether a revision is kept; a
// watch from one that is not is refused with the number, at no cost. From one that is kept it would not be free, hence the read.
func (k *Keys) compacted(ctx context.Context) (int64, error) {
	_, _, err := k.rangeOn(ctx, &pb.RangeRequest{Key: []byte{0}, Revision: 1, CountOnly: true})
	if err == nil {
		return 0, nil
	}
	if !errors.Is(err, rpctypes.ErrCompacted) {
		return 0, err
	}
	var rev int64
	err = k.watchOn(ctx, func(ctx context.Context, w clientv3.Watcher) error {
		for r := range w.Watch(ctx, "\x00", clientv3.WithRev(1)) {
			if r.CompactRevision > 0 {
				rev = r.CompactRevision
				return nil
			}
			if err := r.Err(); err != nil {
				return err
			}
		}
		return errors.New("the member ended the watch")
	})
	if err != nil {
		return 0, fmt.Errorf("asking for the compacted revision: %w", err)
	}
	return rev, nil
}

// deletions are the revisions since from that deleted a key, ascending; all of them up to the revision upTo.
func (k *Keys) deletions(ctx context.Context, key string, from, upTo int64) ([]int64, error) {
	var revs []int64
	err := k.watchOn(ctx, func(ctx context.Context, w clientv3.Watcher) error {
		revs = nil
		ch := w.Watch(ctx, key, clientv3.WithRev(from), clientv3.WithFilterPut(), clientv3.WithCreatedNotify())
		// The member tells its progress only when it has sent everything up to it (from 3.4.31 and 3.5.13 on), and else says nothing.
		ask := time.NewTicker(progressEvery)
		defer ask.Stop()
		for {
			select {
			case <-ask.C:
				if err := w.RequestProgress(ctx); err != nil {
					return err
				}
			case r, ok := <-ch:
				if !ok {
					return errors.Join(ctx.Err(), errors.New("the member ended the watch"))
				}
				if err := r.Err(); err != nil {
					return err
				}
				for _, ev := range r.Events {
					revs = append(revs, ev.Kv.ModRevision)
				}
				if r.IsProgressNotify() && r.Header.Revision >= upTo {
					return nil
				}
			}
		}
	})
	if err != nil {
		return nil, fmt.Errorf("looking for deletions of key %q since revision %d: %w", key, from, err)
	}
	return revs, nil
}

// watchOn runs a short watch on one member after the other until one does it. It needs no leader, as the reads need none.
func (k *Keys) watchOn(ctx context.Context, fn func(context.Context, clientv3.Watcher) error) error {
	var errs []error
	for _, m := range k.order() {
		err := k.watchMember(ctx, m, fn)
		if err == nil {
			return nil
		}
		err = fmt.Errorf("etcd %s: %w", m.Endpoint, plain(err, deletionsTimeout))
		if ctx.Err() != nil || errors.Is(err, cluster.ErrReadOnly) || isAnswer(err) {
			return err
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func (k *Keys) watchMember(ctx context.Context, m *cluster.Member, fn func(context.Context, clientv3.Watcher) error) error {
	ctx, cancel := context.WithTimeout(ctx, deletionsTimeout)
	w := clientv3.NewWatcher(m.Client())
	defer func() {
		cancel() // first: Close waits for streams that a silent member holds
		_ = w.Close()
	}()
	return fn(ctx, w)
}
