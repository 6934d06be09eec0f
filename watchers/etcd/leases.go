package etcd

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	grpcstatus "google.golang.org/grpc/status"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"fathom/cluster"
	"fathom/internal/run"
	"fathom/watchers"
)

// Bounds of what is asked of leases: the list of them tells only their IDs, and every other question is one call for one lease.
const (
	leasesAtOnce = 4                // calls in flight
	MaxLeaseAsks = 100              // leases that are asked about for one screen
	leaseFresh   = 10 * time.Second // how long an answer is good: a lease may be renewed, or a key attached
	leaseGap     = 2 * time.Millisecond
	// maxLeasesKnown bounds the leases of which an answer is kept.
	maxLeasesKnown = 2000
)

// LeaseRow is a lease.
type LeaseRow struct {
	LeaseID int64
	Asked   time.Time // when its member has answered; zero: it was not asked, or has not answered
	// TTL is what was left when it was asked, Granted what it was granted with and is renewed to. Expired: it is gone.
	TTL, Granted time.Duration
	Expired      bool
	Keys         int    // attached ones
	First        string // the first of them; untrusted
	Why          string // why nothing is known
}

// ID is the lease's ID in hex, as etcdctl writes it.
func (r *LeaseRow) ID() string { return fmt.Sprintf("%016x", uint64(r.LeaseID)) }

// GetNamespace implements watchers.Row.
func (r *LeaseRow) GetNamespace() string { return "" }

// GetName implements watchers.Row.
func (r *LeaseRow) GetName() string { return r.ID() }

// Remaining is what is left of the lease now, if nobody renews it.
func (r *LeaseRow) Remaining(now time.Time) time.Duration {
	return max(0, r.TTL-max(0, now.Sub(r.Asked)))
}

// LeasesSnapshot is an immutable picture of the leases.
type LeasesSnapshot struct {
	Gen    uint64
	IDs    []int64 // all, in order
	State  watchers.State
	Member string
	At     time.Time // when IDs were listed
	asked  map[int64]*LeaseRow
}

// Asked is how many leases more than the ID is known of.
func (s *LeasesSnapshot) Asked() int { return len(s.asked) }

// Row is lease i; it is never nil.
func (s *LeasesSnapshot) Row(i int) *LeaseRow {
	if r := s.asked[s.IDs[i]]; r != nil {
		return r
	}
	return &LeaseRow{LeaseID: s.IDs[i]}
}

// Find is the index of a lease by its ID.
func (s *LeasesSnapshot) Find(id int64) (int, bool) { return slices.BinarySearch(s.IDs, id) }

// Leases lists the leases of an etcd cluster, and asks about those that somebody looks at. Both are reads: they propose nothing and prolong
// nothing. It lists when it starts and on request.
type Leases struct {
	keys  *Keys
	group *run.Group
	list  chan struct{} // holds a token when the list is to be read
	want  chan []int64  // holds the leases that are looked at now

	mu    sync.Mutex
	s     LeasesSnapshot
	asked map[int64]*LeaseRow
	stale bool
	cur   *LeasesSnapshot
}

// NewLeases starts to list. It ends with Close, or with the group.
func NewLeases(g *run.Group, e *cluster.Etcd) *Leases {
	l := &Leases{keys: NewKeys(e), group: g.Child(), list: make(chan struct{}, 1), want: make(chan []int64, 1), asked: map[int64]*LeaseRow{}, stale: true}
	l.s.State = watchers.State{Phase: watchers.Connecting, Since: time.Now()}
	l.Refresh()
	l.group.Go("etcd: leases", l.run)
	return l
}

// Cancel ends it and does not wait.
func (l *Leases) Cancel() { l.group.Cancel() }

// Close ends it and waits.
func (l *Leases) Close() { l.group.Stop() }

// Refresh lists the leases again, and asks again about those that are looked at.
func (l *Leases) Refresh() {
	select {
	case l.list <- struct{}{}:
	default:
	}
}

// CatchUp is [Keys.CatchUp] for what is listed.
func (l *Leases) CatchUp(ctx context.Context) { l.keys.CatchUp(ctx) }

// Look says which leases are looked at: at most [MaxLeaseAsks] of them are asked about, again when the answer has become old. It does not block.
func (l *Leases) Look(ids []int64) {
	ids = slices.Clone(ids[:min(len(ids), MaxLeaseAsks)])
	for {
		select {
		case l.want <- ids:
			return
		default:
		}
		select {
		case <-l.want: // what was looked at before
		default:
		}
	}
}

// Snapshot returns the newest picture; the same pointer while nothing has changed.
func (l *Leases) Snapshot() *LeasesSnapshot {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stale {
		s := l.s
		s.asked = make(map[int64]*LeaseRow, len(l.asked))
		for id, r := range l.asked {
			s.asked[id] = r
		}
		l.cur, l.stale = &s, false
	}
	return l.cur
}

func (l *Leases) change(fn func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	fn()
	l.s.Gen++
	l.stale = true
}

func (l *Leases) run(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	var looked []int64
	for {
		select {
		case <-ctx.Done():
			return
		case <-l.list:
			l.readList(ctx)
			l.askAll(ctx, looked, 0)
		case looked = <-l.want:
			l.askAll(ctx, looked, leaseFresh)
		case <-tick.C:
			l.askAll(ctx, looked, leaseFresh)
		}
	}
}

// readList reads the IDs from the first member that answers.
func (l *Leases) readList(ctx context.Context) {
	var last error
	var at string
	for _, m := range l.keys.order() {
		ids, err := l.idsOf(ctx, m)
		if err == nil {
			slices.Sort(ids)
			now := time.Now()
			l.change(func() {
				l.s.IDs, l.s.Member, l.s.At = ids, m.Endpoint, now
				l.s.State = watchers.State{Phase: watchers.Live, Since: now}
			})
			return
		}
		if ctx.Err() != nil {
			return
		}
		last, at = err, m.Endpoint
		if isAnswer(err) {
			break
		}
	}
	if last == nil {
		last = errors.New("no etcd endpoint is known; give --etcd-endpoints")
	}
	l.change(func() {
		text := fmt.Sprintf("listing the leases from etcd %s: %s", at, why(last, l.keys.attempt))
		switch grpcstatus.Code(last) {
		case codes.PermissionDenied:
			l.s.State = watchers.State{Phase: watchers.Denied, Verb: "list", Resource: "leases", Why: text}
		case codes.Unimplemented:
			l.s.State = watchers.State{Phase: watchers.Unsupported, Resource: "leases", Why: text}
		default:
			phase := watchers.Connecting
			if !l.s.At.IsZero() {
				phase = watchers.Stale
			}
			l.s.State = watchers.State{Phase: phase, Since: l.s.At, Why: text}
		}
	})
}

func (l *Leases) idsOf(ctx context.Context, m *cluster.Member) ([]int64, error) {
	ctx, cancel := context.WithTimeout(ctx, l.keys.attempt)
	defer cancel()
	r, err := pb.NewLeaseClient(m.Client().ActiveConnection()).LeaseLeases(ctx, &pb.LeaseLeasesRequest{}, grpc.MaxCallRecvMsgSize(maxAnswer))
	if err != nil {
		return nil, err
	}
	ids := make([]int64, len(r.Leases))
	for i, s := range r.Leases {
		ids[i] = s.ID
	}
	return ids, nil
}

// askAll asks about the leases that are looked at and of which the answer is older than fresh.
func (l *Leases) askAll(ctx context.Context, ids []int64, fresh time.Duration) {
	var wait sync.WaitGroup
	defer wait.Wait()
	slots := make(chan struct{}, leasesAtOnce)
	pause := time.NewTimer(0)
	defer pause.Stop()
	for _, id := range l.due(ids, fresh) {
		select {
		case <-ctx.Done():
			return
		case <-pause.C:
			pause.Reset(leaseGap)
		}
		slots <- struct{}{}
		wait.Go(func() {
			defer func() { <-slots }()
			d, _ := l.keys.Lease(ctx, id) // the row says what went wrong
			if ctx.Err() == nil {
				l.change(func() { l.asked[id] = &d.LeaseRow })
			}
		})
	}
}

// due are the leases that are to be asked about. It also forgets what was asked long ago of leases that nobody looks at.
func (l *Leases) due(ids []int64, fresh time.Duration) []int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.asked) > maxLeasesKnown {
		for id := range l.asked {
			if !slices.Contains(ids, id) {
				delete(l.asked, id)
			}
		}
		l.stale = true
	}
	now := time.Now()
	return slices.DeleteFunc(slices.Clone(ids), func(id int64) bool {
		r := l.asked[id]
		return r != nil && now.Sub(r.Asked) < fresh
	})
}

// LeaseDetail is a lease with the keys that are attached to it.
type LeaseDetail struct {
	LeaseRow
	Attached []string // untrusted, in order
}

// Lease asks how long a lease lasts and which keys are attached to it. Followers ask the leader. The error is also in the row.
func (k *Keys) Lease(ctx context.Context, id int64) (LeaseDetail, error) {
	d := LeaseDetail{LeaseRow: LeaseRow{LeaseID: id}}
	var last error
	for _, m := range k.order() {
		r, err := k.leaseOf(ctx, m, id)
		d.Asked = time.Now()
		if err == nil {
			k.good.Store(&m.Endpoint)
			d.TTL, d.Granted, d.Expired = time.Duration(max(0, r.TTL))*time.Second, time.Duration(r.GrantedTTL)*time.Second, r.TTL < 0
			for _, key := range r.Keys {
				d.Attached = append(d.Attached, string(key))
			}
			slices.Sort(d.Attached)
			if d.Keys = len(d.Attached); d.Keys > 0 {
				d.First = d.Attached[0]
			}
			return d, nil
		}
		last = fmt.Errorf("asking etcd %s about lease %s: %w", m.Endpoint, d.ID(), plain(err, k.attempt))
		d.Why = why(err, k.attempt)
		if tooLarge(err) {
			d.Why = fmt.Sprintf("too many keys are attached to list them: more than %d MiB of names", maxAnswer>>20)
			break
		}
		if ctx.Err() != nil || isAnswer(err) || errors.Is(err, cluster.ErrReadOnly) {
			break
		}
	}
	if last == nil {
		last = errors.New("no etcd endpoint is known; give --etcd-endpoints")
		d.Why = last.Error()
	}
	return d, last
}

func (k *Keys) leaseOf(ctx context.Context, m *cluster.Member, id int64) (*pb.LeaseTimeToLiveResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, k.attempt)
	defer cancel()
	return pb.NewLeaseClient(m.Client().ActiveConnection()).LeaseTimeToLive(ctx, &pb.LeaseTimeToLiveRequest{ID: id, Keys: true},
		grpc.MaxCallRecvMsgSize(maxAnswer))
}
