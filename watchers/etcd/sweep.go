package etcd

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	grpcstatus "google.golang.org/grpc/status"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"

	"fathom/cluster"
)

// Progress is how far the reading of many keys has come.
type Progress struct {
	Member      string // endpoint that is read from
	Role        Role   // of that member when it began
	Looked      int64  // keys
	Total       int64  // keys when it began
	Bytes       int64  // of keys and values received
	Reads       int64  // requests
	Began, Ends time.Time
	First, Last int64  // revisions of the first and the last answer: what is read in between may be of any of them
	Waiting     string // why nothing is read at the moment; empty: it goes on
	Moved       string // why another member than at first is read from; empty: it is the first one
}

// Part is how much is done, from 0 to 1.
func (p Progress) Part() float64 {
	if p.Total <= 0 {
		return 0
	}
	return min(1, float64(p.Looked)/float64(p.Total))
}

// Left estimates how much longer it takes at the speed so far; 0: not known yet.
func (p Progress) Left(now time.Time) time.Duration {
	took := now.Sub(p.Began)
	if p.Looked < 1000 || took <= 0 || p.Total <= p.Looked {
		return 0
	}
	return time.Duration(float64(took) / float64(p.Looked) * float64(p.Total-p.Looked)).Round(time.Second)
}

// maxAnswer bounds an answer in bytes. gRPC's own bound of 4 MiB is below what a single value may have (etcd's --max-request-bytes is
// 1.5 MiB by default, and is raised).
const maxAnswer = 64 << 20

// sweepTimeout bounds one read of a sweep.
const sweepTimeout = 5 * time.Second

// sweep reads every key of a range once, in order, page by page from one member, at a bounded pace. Reads are serializable, each at the
// newest revision of the member: a fixed one could be compacted away before the end.
type sweep struct {
	etcd     *cluster.Etcd
	from     string
	end      []byte
	floor    int
	keysOnly bool
	pace     *pacer
	probe    time.Duration // between two small reads that tell how the member does
	gate     *gate
	// page is called with every page, and with none when only the progress has changed. It returns false to end the sweep.
	page func(kvs []*mvccpb.KeyValue, p Progress) bool

	members []*cluster.Member // those not tried yet, the best first
	p       Progress
}

// errStopped ends a sweep that somebody has stopped.
var errStopped = errors.New("stopped")

func (s *sweep) run(ctx context.Context) error {
	s.p.Began = time.Now()
	defer func() { s.p.Ends = time.Now() }()
	var roles []Role
	s.members, roles = followersFirst(ctx, s.etcd)
	if len(s.members) == 0 {
		return errors.New("no etcd endpoint is known; give --etcd-endpoints")
	}
	step := newStride(s.from, s.end, s.floor)
	var probed time.Time
	for i := 0; ; {
		m := s.members[i]
		s.p.Member, s.p.Role = m.Endpoint, roles[i]
		err := s.hold(ctx)
		if err == nil && time.Since(probed) >= s.probe {
			err = s.watchOut(ctx, m)
			probed = time.Now()
		}
		var done bool
		if err == nil {
			done, err = s.read(ctx, m, step)
		}
		var f *memberFailed
		switch {
		case done:
			return nil
		case err == nil:
		case errors.As(err, &f) && i+1 < len(s.members) && ctx.Err() == nil:
			i++
			s.p.Moved = fmt.Sprintf("%s failed: %s", m.Endpoint, f.text)
			s.pace.rtt, s.pace.slow, probed = 0, time.Time{}, time.Time{}
		default:
			return err
		}
	}
}

// memberFailed is an error of one member: another one may do better.
type memberFailed struct{ text string }

func (e *memberFailed) Error() string { return e.text }

// read reads the next page and rests after it.
func (s *sweep) read(ctx context.Context, m *cluster.Member, step *stride) (done bool, err error) {
	end, _ := step.bound()
	limit := s.pace.limit
	req := &pb.RangeRequest{Key: from(step.at), RangeEnd: end, KeysOnly: s.keysOnly, Limit: int64(limit), Serializable: true}
	asked := time.Now()
	r, err := s.ask(ctx, m, req)
	took := time.Since(asked)
	s.p.Reads++
	switch {
	case err == nil:
	case ctx.Err() != nil:
		return false, ctx.Err()
	case tooLarge(err) || cluster.Classify(err) == cluster.FaultTimeout && limit > firstPage:
		if s.pace.halve() {
			return false, nil // the same again, with fewer keys
		}
		return false, fmt.Errorf("reading from key %q: its value is larger than %d MiB", step.at, maxAnswer>>20)
	case isAnswer(err) || errors.Is(err, cluster.ErrReadOnly):
		return false, fmt.Errorf("etcd %s: %w", m.Endpoint, plain(err, sweepTimeout))
	default:
		return false, &memberFailed{fmt.Sprintf("etcd %s: %s", m.Endpoint, why(err, sweepTimeout))}
	}
	if s.p.First == 0 {
		s.p.First, s.p.Total = r.Header.GetRevision(), r.Count // the first read is of the whole range
	}
	s.p.Last = r.Header.GetRevision()
	bytes, first, last := 0, "", ""
	for _, kv := range r.Kvs {
		bytes += len(kv.Key) + len(kv.Value)
	}
	if n := len(r.Kvs); n > 0 {
		first, last = string(r.Kvs[0].Key), string(r.Kvs[n-1].Key)
		if !s.keysOnly && resourcePart(first) != resourcePart(last) {
			s.pace.careful()
		}
	}
	done = step.took(len(r.Kvs), first, last, r.Count, r.More, limit)
	s.p.Looked += int64(len(r.Kvs))
	s.p.Total = max(s.p.Total, s.p.Looked)
	s.p.Bytes += int64(bytes)
	if len(r.Kvs) > 0 && !s.page(r.Kvs, s.p) {
		return false, errStopped
	}
	if done {
		return true, nil
	}
	if len(r.Kvs) == 0 {
		return false, nil // next to no work for the member
	}
	return false, s.rest(ctx, s.pace.paged(len(r.Kvs), bytes, took))
}

func (s *sweep) ask(ctx context.Context, m *cluster.Member, req *pb.RangeRequest) (*pb.RangeResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, sweepTimeout)
	defer cancel()
	return pb.NewKVClient(m.Client().ActiveConnection()).Range(ctx, req, grpc.MaxCallRecvMsgSize(maxAnswer))
}

// tooLarge reports whether gRPC has refused an answer for its size.
func tooLarge(err error) bool { return err != nil && strings.Contains(err.Error(), "larger than max") }

// watchOut does a small read, and waits while it takes much longer than it did at first.
func (s *sweep) watchOut(ctx context.Context, m *cluster.Member) error {
	for {
		asked := time.Now()
		_, err := s.ask(ctx, m, &pb.RangeRequest{Key: []byte(probeKey), CountOnly: true, Serializable: true})
		s.p.Reads++
		if ctx.Err() != nil {
			return ctx.Err()
		}
		// Who may not read this key was answered all the same.
		if err != nil && !errors.Is(rpctypes.Error(err), rpctypes.ErrPermissionDenied) {
			if isAnswer(err) {
				return fmt.Errorf("etcd %s: %w", m.Endpoint, plain(err, sweepTimeout))
			}
			return &memberFailed{fmt.Sprintf("etcd %s: %s", m.Endpoint, why(err, sweepTimeout))}
		}
		wait, err := s.pace.probed(time.Now(), time.Since(asked))
		if err != nil {
			return fmt.Errorf("etcd %s: %w", m.Endpoint, err)
		}
		s.waiting(wait)
		if wait == "" {
			return nil
		}
		if err := s.rest(ctx, s.probe); err != nil {
			return err
		}
	}
}

func (s *sweep) waiting(why string) {
	if s.p.Waiting != why {
		s.p.Waiting = why
		s.page(nil, s.p)
	}
}

// hold waits while nobody looks.
func (s *sweep) hold(ctx context.Context) error { return s.gate.pass(ctx) }

func (s *sweep) rest(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// followersFirst orders the members by how little it matters to read much of them: followers, then the leader, then those that do not
// answer. Learners may be behind, and come after the leader. It asks all at once for their status.
func followersFirst(ctx context.Context, e *cluster.Etcd) ([]*cluster.Member, []Role) {
	all := e.Members()
	roles := make([]Role, len(all))
	var wait sync.WaitGroup
	for i, m := range all {
		wait.Go(func() {
			roles[i] = Unreachable
			ctx, cancel := context.WithTimeout(ctx, leaseTimeout)
			defer cancel()
			st, err := m.Maintenance().Status(ctx, &pb.StatusRequest{})
			switch {
			case err != nil && (isAnswer(err) || grpcstatus.Code(err) == codes.Unimplemented), err == nil && st.Leader == 0:
				roles[i] = NoLeader // it answers: kine, a user who may not ask, no quorum
			case err != nil:
			case st.IsLearner:
				roles[i] = Learner
			case st.Leader == st.Header.GetMemberId():
				roles[i] = Leader
			default:
				roles[i] = Follower
			}
		})
	}
	wait.Wait()
	var members []*cluster.Member
	var is []Role
	for _, want := range []Role{Follower, Leader, NoLeader, Learner, Unreachable} {
		for i, m := range all {
			if roles[i] == want {
				members, is = append(members, m), append(is, want)
			}
		}
	}
	return members, is
}

// gate lets a sweep through while somebody looks at it.
type gate struct {
	mu      sync.Mutex
	changed chan struct{} // closed, and made anew, when shut changes
	shut    bool
	idle    time.Duration // after which a sweep that nobody looks at is given up
}

// abandoned is how long a scan waits for somebody to look at it again.
const abandoned = 2 * time.Minute

func newGate() *gate { return &gate{changed: make(chan struct{}), idle: abandoned} }

func (g *gate) set(shut bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.shut != shut {
		g.shut = shut
		close(g.changed)
		g.changed = make(chan struct{})
	}
}

func (g *gate) pass(ctx context.Context) error {
	g.mu.Lock()
	shut, changed := g.shut, g.changed
	g.mu.Unlock()
	if !shut {
		return ctx.Err()
	}
	t := time.NewTimer(g.idle)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-changed:
		return g.pass(ctx)
	case <-t.C:
		return fmt.Errorf("nobody has looked at it for %s: %w", g.idle, errStopped)
	}
}
