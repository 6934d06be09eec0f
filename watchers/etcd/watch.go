package etcd

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"fathom/cluster"
	"fathom/internal/run"
	"fathom/watchers"
)

// KeyEvent is one change of a key, or a gap in what is known.
type KeyEvent struct {
	At       time.Time // when it arrived here
	Revision int64     // of the change
	Key      string    // untrusted bytes; empty: a gap
	Deleted  bool
	Created  bool
	Version  int64
	// Size and Before are the bytes of the value and of the one before; Before is -1 where there was none or it is compacted.
	Size, Before int
	// Gap says why changes before Revision are not known. What was read of these keys before has to be read again.
	Gap string
	// Kept says that Value and Prev are here, see WatchOptions.Values; nil is then no value, or for Prev one that is compacted away.
	// Untrusted, and shared with other snapshots: not to be changed.
	Kept        bool
	Value, Prev []byte
}

// ID is the identity of a change: no key changes twice in one revision.
func (e *KeyEvent) ID() string {
	if e.Gap != "" {
		return "gap " + strconv.FormatInt(e.At.UnixNano(), 10)
	}
	return strconv.FormatInt(e.Revision, 10) + " " + e.Key
}

// WatchSnapshot is an immutable picture of a watch.
type WatchSnapshot struct {
	Gen     uint64
	Events  []KeyEvent // the newest last, at most the ring's size
	Dropped uint64     // events that fell out of the ring
	Gaps    uint64     // how often changes were missed
	Total   uint64     // events since the watch began, those that were dropped included
	Rate    Rate
	// Revision is the newest one that everything before is known of; 0: none yet.
	Revision int64
	Member   string
	State    watchers.State
}

// WatchOptions say what to watch.
type WatchOptions struct {
	Key      string
	Prefix   bool  // watch the keys that begin with Key; the empty Key with it watches all
	Revision int64 // changes after this revision; 0: from now on
	Ring     int   // how many events are kept; default 500
	// Values bounds the bytes of the newest events' values, and of those before them, that are kept; 0: none are.
	Values int
	// After is the last picture of an earlier watch of the same keys: this one goes on after it, with its events, and Revision does not
	// count. Starting far back is not free for the member, see lookThrough.
	After *WatchSnapshot
}

// watchTiming is how long a watch waits.
type watchTiming struct {
	quiet time.Duration // without a word from the member until it is asked for its progress
	hung  time.Duration // without an answer to that until another member is tried
	retry time.Duration // between two attempts
}

var usualWatch = watchTiming{quiet: 5 * time.Second, hung: 3 * time.Second, retry: 500 * time.Millisecond}

// Watch follows the changes of keys live. When the member fails, has no leader any more or says nothing, the watch goes on with
// another one where it was.
type Watch struct {
	etcd   *cluster.Etcd
	opt    WatchOptions
	timing watchTiming
	group  *run.Group

	mu    sync.Mutex
	s     WatchSnapshot
	bytes int  // of the values in s.Events
	bare  int  // s.Events[:bare] have lost theirs
	stale bool // Events has to be copied anew
	cur   *WatchSnapshot
}

// NewWatch starts a watch. It ends with Close, or with the group.
func NewWatch(g *run.Group, e *cluster.Etcd, o WatchOptions) *Watch {
	return newWatch(g, e, o, usualWatch)
}

func newWatch(g *run.Group, e *cluster.Etcd, o WatchOptions, t watchTiming) *Watch {
	if o.Ring <= 0 {
		o.Ring = 500
	}
	w := &Watch{etcd: e, opt: o, timing: t, group: g.Child(), stale: true}
	w.s = WatchSnapshot{Revision: o.Revision}
	if o.After != nil {
		w.s = *o.After
		w.s.Events = nil
		for _, e := range o.After.Events {
			w.add(&w.s, e)
		}
	}
	w.s.State = watchers.State{Phase: watchers.Connecting, Since: time.Now()}
	w.group.Go(fmt.Sprintf("etcd: watch of %q", o.Key), w.run)
	return w
}

// Snapshot returns the newest picture; the same pointer while nothing has changed.
func (w *Watch) Snapshot() *WatchSnapshot {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stale {
		s := w.s
		s.Events = slices.Clone(s.Events)
		w.cur, w.stale = &s, false
	}
	return w.cur
}

// Close ends the watch and waits for its goroutines.
func (w *Watch) Close() { w.group.Stop() }

// change changes the snapshot.
func (w *Watch) change(fn func(s *WatchSnapshot)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	fn(&w.s)
	w.s.Gen++
	w.stale = true
}

// add puts events into the ring. w.mu is held.
func (w *Watch) add(s *WatchSnapshot, e KeyEvent) {
	s.Events = append(s.Events, e)
	w.bytes += len(e.Value) + len(e.Prev)
	n := max(len(s.Events)-w.opt.Ring, 0)
	for w.bare < len(s.Events) && (w.bytes > w.opt.Values || w.bare < n) {
		old := &s.Events[w.bare]
		w.bytes -= len(old.Value) + len(old.Prev)
		old.Value, old.Prev, old.Kept = nil, nil, false
		w.bare++
	}
	if n > 0 {
		s.Events = slices.Delete(s.Events, 0, n)
		s.Dropped += uint64(n)
		w.bare -= n
	}
}

// run watches on one member after the other until ctx ends.
func (w *Watch) run(ctx context.Context) {
	pause := time.NewTimer(0)
	defer pause.Stop()
	for i := 0; ; i++ {
		select {
		case <-ctx.Done():
			return
		case <-pause.C:
		}
		members := w.etcd.Members()
		if len(members) == 0 {
			return
		}
		m := members[i%len(members)]
		err := w.follow(ctx, m)
		if ctx.Err() != nil {
			return
		}
		w.failed(m, err)
		pause.Reset(w.timing.retry)
	}
}

// failed notes why the watch on a member ended.
func (w *Watch) failed(m *cluster.Member, err error) {
	w.change(func(s *WatchSnapshot) {
		text := fmt.Sprintf("watch on etcd %s: %s", m.Endpoint, why(err, w.timing.quiet+w.timing.hung))
		if errors.Is(err, rpctypes.ErrPermissionDenied) || errors.Is(err, cluster.ErrReadOnly) {
			s.State = watchers.State{Phase: watchers.Denied, Since: time.Now(), Verb: "watch", Resource: "etcd keys", Why: text}
			return
		}
		since := s.State.Since
		if s.State.Phase == watchers.Live {
			since = time.Now()
		}
		phase := watchers.Stale
		if s.Revision == 0 {
			phase = watchers.Connecting
		}
		s.State = watchers.State{Phase: phase, Since: since, Why: text}
	})
}

// errWentBack ends the watch on a member that has less than was told before.
var errWentBack = errors.New("its revision went back")

// errSilent ends the watch on a member that says nothing any more: a stopped process keeps its connections.
var errSilent = errors.New("the member says nothing any more")

// follow watches on one member until that fails.
func (w *Watch) follow(ctx context.Context, m *cluster.Member) error {
	// With a required leader a member that is cut off from it cancels the watch instead of staying silent (kubernetes issue 89488).
	ctx, cancel := context.WithCancel(clientv3.WithRequireLeader(ctx))
	watcher := clientv3.NewWatcher(m.Client())
	defer func() {
		cancel() // first: Close waits for streams that a silent member holds
		_ = watcher.Close()
	}()
	opts := []clientv3.OpOption{clientv3.WithPrevKV(), clientv3.WithProgressNotify(), clientv3.WithCreatedNotify(), clientv3.WithFragment()}
	key := w.opt.Key
	if w.opt.Prefix {
		if key == "" {
			key = "\x00"
			opts = append(opts, clientv3.WithFromKey())
		} else {
			opts = append(opts, clientv3.WithPrefix())
		}
	}
	if rev := w.revision(); rev > 0 {
		opts = append(opts, clientv3.WithRev(rev+1))
	}
	ch := watcher.Watch(ctx, key, opts...)
	patience := time.NewTimer(w.timing.hung) // for the first word
	defer patience.Stop()
	asked, newest := true, int64(0)
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-patience.C:
			known := w.revision()
			if asked && (newest == 0 || newest > known) {
				return errSilent
			}
			if asked { // nothing has happened since, of which it could tell progress
				asked = false
				patience.Reset(w.timing.quiet)
				continue
			}
			if newest = w.newest(ctx, m); newest < 0 {
				return errSilent
			}
			if newest > 0 && newest < known {
				w.wentBack(m, known, newest)
				return errWentBack
			}
			asked = true
			patience.Reset(w.timing.hung)
			if err := w.ask(ctx, watcher); err != nil {
				return err
			}
		case r, ok := <-ch:
			if !ok {
				return errors.New("the member ended the watch")
			}
			if err := w.take(m, r); err != nil {
				return err
			}
			asked = false
			patience.Reset(w.timing.quiet)
		}
	}
}

// revision is the newest one that everything before is known of.
func (w *Watch) revision() int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.s.Revision
}

// newest is the member's revision by a read of one key. It is needed beside the progress: of a watch that goes on after the newest revision
// etcd tells none until there is a newer one (server/storage/mvcc/watchable_store.go, progressIfSync). 0: the member does not let us read
// that; negative: it does not answer.
func (w *Watch) newest(ctx context.Context, m *cluster.Member) int64 {
	ctx, cancel := context.WithTimeout(ctx, w.timing.hung)
	defer cancel()
	r, err := pb.NewKVClient(m.Client().ActiveConnection()).Range(ctx, &pb.RangeRequest{Key: from(w.opt.Key), CountOnly: true, Serializable: true})
	switch {
	case err == nil:
		return r.GetHeader().GetRevision()
	case isAnswer(err) || denied(err):
		return 0
	}
	return -1
}

// wentBack marks that the member has less than what was told before, for longer than it may take a member to catch up. Where the cluster was
// restored from a backup the revisions in between come a second time, as other changes.
func (w *Watch) wentBack(m *cluster.Member, known, newest int64) {
	w.change(func(s *WatchSnapshot) {
		s.Revision = newest
		s.Gaps++
		w.add(s, KeyEvent{At: time.Now(), Revision: newest, Before: -1,
			Gap: fmt.Sprintf("the revision of etcd %s went back from %d to %d: restored from a backup, or far behind; read again", m.Endpoint, known, newest)})
	})
}

// ask asks for the member's progress. While the client reconnects, the request waits.
func (w *Watch) ask(ctx context.Context, watcher clientv3.Watcher) error {
	ctx, cancel := context.WithTimeout(ctx, w.timing.hung)
	defer cancel()
	return watcher.RequestProgress(ctx)
}

// take takes one answer in.
func (w *Watch) take(m *cluster.Member, r clientv3.WatchResponse) error {
	if err := r.Err(); err != nil { // before Canceled: it says more (etcd client, watch.go)
		if errors.Is(err, rpctypes.ErrCompacted) {
			w.gap(r)
		}
		return err
	}
	w.change(func(s *WatchSnapshot) {
		now := time.Now()
		if s.State.Phase != watchers.Live {
			s.State = watchers.State{Phase: watchers.Live, Since: now}
		}
		s.Member = m.Endpoint
		for _, ev := range r.Events {
			e := KeyEvent{At: now, Revision: ev.Kv.ModRevision, Key: string(ev.Kv.Key), Deleted: ev.Type == clientv3.EventTypeDelete,
				Created: ev.IsCreate(), Version: ev.Kv.Version, Size: len(ev.Kv.Value), Before: -1}
			if ev.PrevKv != nil {
				e.Before = len(ev.PrevKv.Value)
			}
			if w.opt.Values > 0 {
				e.Kept, e.Value = true, ev.Kv.Value
				if ev.PrevKv != nil {
					e.Prev = ev.PrevKv.Value
				}
			}
			w.add(s, e)
			s.Total++
			s.Rate.count(now)
		}
		switch n := len(r.Events); {
		case n > 0: // the client has put fragments together, and etcd does not split a revision
			s.Revision = max(s.Revision, r.Events[n-1].Kv.ModRevision)
		case r.Created && s.Revision == 0, r.IsProgressNotify():
			s.Revision = max(s.Revision, r.Header.Revision)
		}
	})
	return nil
}

// gap marks that changes were compacted away before they were seen, and goes on after them.
func (w *Watch) gap(r clientv3.WatchResponse) {
	w.change(func(s *WatchSnapshot) {
		// The oldest revision that can be watched is the compacted one; what is left of the history comes after it.
		s.Revision = max(s.Revision, r.CompactRevision-1)
		s.Gaps++
		w.add(s, KeyEvent{At: time.Now(), Revision: r.CompactRevision, Before: -1,
			Gap: fmt.Sprintf("compacted away before it was seen: changes before revision %d; read again", r.CompactRevision)})
	})
}
