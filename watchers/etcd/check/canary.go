package check

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"fathom/cluster"
	"fathom/internal/run"
)

// canary watches on one member. It speaks the protocol itself: etcd's client hides some of what is to be checked.
type canary struct {
	checker *Checker
	id      uint64
	name    string
	member  *cluster.Member
	group   *run.Group

	// Under the checker's mutex.
	watching    bool
	denied      bool
	why         string
	began       time.Time // since when it watches or does not
	word        time.Time
	events      uint64
	breaches    int
	counts      [numRules]uint64
	delay, late samples
	progressRTT time.Duration
}

// resumable is how long a watch may have been away to go on where it was; later it begins anew, so that what comes at once stays small.
const resumable = time.Minute

// maxMessage bounds one answer; etcd cuts larger ones into fragments of its largest request, 1.5 MiB by default.
const maxMessage = 16 << 20

func (a *canary) run(ctx context.Context) {
	pause := time.NewTimer(0)
	defer pause.Stop()
	var s *stream
	round := -1
	for {
		select {
		case <-ctx.Done():
			return
		case <-pause.C:
		}
		now, err := a.choose(ctx)
		if err == nil {
			if s == nil || now != round || time.Since(s.word) > resumable {
				s, round = newStream(a.id, a.name, &a.counts), now
			}
			err = a.follow(ctx, s, round)
		}
		if ctx.Err() != nil {
			return
		}
		if errors.Is(err, rpctypes.ErrCompacted) || errors.Is(err, errWentBack) {
			s = nil
		}
		pause.Reset(a.failed(err))
	}
}

// errNarrowed ends a watch that took in too much.
var errNarrowed = errors.New("it told too much: less is watched now")

// errWentBack ends a watch on a member that has less than it had: what was told before is no measure any more. That is a finding of the status.
var errWentBack = errors.New("the member's revision went back")

// failed notes why there is no watch and returns when to try again.
func (a *canary) failed(err error) time.Duration {
	c := a.checker
	if errors.Is(err, errNarrowed) || errors.Is(err, errWentBack) {
		return 0
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if a.watching {
		a.began = time.Now()
	}
	f := cluster.Classify(err)
	a.watching, a.why = false, why(err)
	a.denied = f == cluster.FaultForbidden || f == cluster.FaultUnauthorized || errors.Is(rpctypes.Error(err), rpctypes.ErrPermissionDenied)
	c.gen++
	if a.denied {
		return c.timing.denied
	}
	return c.timing.retry
}

// choose finds out what to watch, once for all members, and returns the round of that choice.
func (a *canary) choose(ctx context.Context) (round int, err error) {
	c := a.checker
	c.mu.Lock()
	chosen, round := c.reach.chosen, c.reach.round
	c.mu.Unlock()
	if chosen {
		return round, nil
	}
	ctx, cancel := context.WithTimeout(ctx, c.timing.hung)
	defer cancel()
	p := c.etcd.Prefix() + leases
	r, err := pb.NewKVClient(a.member.Client().ActiveConnection()).Range(ctx, &pb.RangeRequest{
		Key: []byte(p), RangeEnd: []byte(clientv3.GetPrefixRangeEnd(p)), CountOnly: true, Serializable: true})
	if err != nil {
		return 0, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.reach.chosen {
		c.reach.chosen, c.reach.kubernetes = true, r.Count > 0
		if r.Count == 0 {
			c.reach.scope = byAll
		}
	}
	return c.reach.round, nil
}

// follow watches until that fails.
func (a *canary) follow(ctx context.Context, s *stream, round int) error {
	c := a.checker
	// With a required leader a member that is cut off ends the watch instead of staying silent (kubernetes issue 89488).
	ctx, cancel := context.WithCancel(clientv3.WithRequireLeader(ctx))
	defer cancel()
	w, err := pb.NewWatchClient(a.member.Client().ActiveConnection()).Watch(ctx, grpc.MaxCallRecvMsgSize(maxMessage))
	if err != nil {
		return err
	}
	c.mu.Lock()
	key, end := c.reach.rangeOf(c.etcd.Prefix())
	c.mu.Unlock()
	create := &pb.WatchCreateRequest{Key: []byte(key), RangeEnd: []byte(end), PrevKv: true, ProgressNotify: true, Fragment: true}
	if s.last > 0 || s.progress > 0 {
		create.StartRevision = s.next()
	}
	s.start = create.StartRevision
	if err := w.Send(&pb.WatchRequest{RequestUnion: &pb.WatchRequest_CreateRequest{CreateRequest: create}}); err != nil {
		return err
	}
	answers := make(chan *pb.WatchResponse, 16)
	ended := make(chan error, 1)
	a.group.Go("etcd: canary's ears on "+a.member.Endpoint, func(context.Context) {
		for {
			r, err := w.Recv()
			if err != nil {
				ended <- err
				return
			}
			select {
			case answers <- r:
			case <-ctx.Done():
				return
			}
		}
	})
	return a.listen(ctx, s, round, w, answers, ended)
}

// listen takes the answers in, and asks for the progress now and then.
func (a *canary) listen(ctx context.Context, s *stream, round int, w pb.Watch_WatchClient, answers <-chan *pb.WatchResponse, ended <-chan error) error {
	c := a.checker
	ask := time.NewTicker(c.timing.progress)
	defer ask.Stop()
	patience := time.NewTimer(c.timing.hung) // for the watch's creation, then for each progress
	defer patience.Stop()
	created := false    // the watch is there: the member can be asked for its progress
	var asked time.Time // of the question that is open
	var known int64     // the member's revision before it was asked
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-ended:
			return err
		case <-patience.C:
			return fmt.Errorf("the member says nothing: no answer within %s", c.timing.hung)
		case <-ask.C:
			if !created || !asked.IsZero() {
				continue
			}
			if known = a.revision(s.created); known < s.start {
				continue // of a watch that begins later than now etcd tells no progress (server/storage/mvcc/watchable_store.go, progressIfSync)
			}
			asked = time.Now()
			if err := w.Send(&pb.WatchRequest{RequestUnion: &pb.WatchRequest_ProgressRequest{ProgressRequest: &pb.WatchProgressRequest{}}}); err != nil {
				return err
			}
			patience.Reset(c.timing.hung)
		case r := <-answers:
			now := time.Now()
			var rtt time.Duration
			switch {
			case !asked.IsZero() && isReply(r):
				patience.Stop()
				rtt = now.Sub(asked)
				c.mu.Lock()
				behind := s.behind(now, known, r.GetHeader().GetRevision())
				c.mu.Unlock()
				c.add(a, behind)
				asked = time.Time{}
			case r.Created:
				created = true
				patience.Stop()
			case len(r.Events) > 0 && !asked.IsZero():
				patience.Reset(c.timing.hung) // it speaks; the progress comes behind the events
			}
			if err := a.took(ctx, s, round, now, rtt, r); err != nil {
				return err
			}
		}
	}
}

// isReply reports whether an answer is one to a question for the progress: etcd gives it the watch ID -1 (server/etcdserver/api/v3rpc/watch.go).
// What a member tells by itself now and then (--watch-progress-notify-interval) has the watch's, and may have been under way while its
// status was read.
func isReply(r *pb.WatchResponse) bool {
	return r.WatchId == clientv3.InvalidWatchID && len(r.Events) == 0 && !r.Created && !r.Canceled
}

// revision is what the member told of its revision in its status since the watch began; 0: it has told none.
func (a *canary) revision(since time.Time) int64 {
	s := a.checker.watcher.Snapshot()
	if i, ok := s.Find(fmt.Sprintf("%x", a.id)); ok && s.Members[i].LastSeen.After(since) {
		return s.Members[i].Revision
	}
	return 0
}

// took takes one answer in.
func (a *canary) took(ctx context.Context, s *stream, round int, now time.Time, rtt time.Duration, r *pb.WatchResponse) error {
	c := a.checker
	if id := r.GetHeader().GetMemberId(); id != 0 && id != a.id {
		return fmt.Errorf("member %x answers in its place", id)
	}
	if r.Created && r.GetHeader().GetRevision() < s.next()-1 {
		return errWentBack
	}
	c.mu.Lock()
	breaches, suspects := s.take(now, r)
	a.word = now
	a.events += uint64(len(r.Events))
	if r.Created && !a.watching {
		a.watching, a.denied, a.why, a.began = true, false, "", now
	}
	if rtt > 0 {
		a.progressRTT = rtt
	}
	for _, e := range r.Events {
		if d, ok := sinceWrite(e, now); ok && e.Kv.ModRevision > s.began {
			a.delay.add(now, d)
		}
		if late := c.firsts.lateness(e.Kv.ModRevision, now); e.Kv.ModRevision > s.began {
			a.late.add(now, late)
		}
	}
	narrowed := c.reach.round != round
	if n := len(r.Events); n > 0 && !narrowed {
		narrowed = c.reach.spend(now, n, proto.Size(r), string(r.Events[n-1].Kv.Key))
	}
	c.gen++
	c.mu.Unlock()
	for _, q := range suspects {
		if a.guilty(ctx, q) {
			breaches = append(breaches, q.breach)
		}
	}
	c.add(a, breaches)
	switch {
	case r.Canceled && r.CompactRevision > 0:
		return rpctypes.ErrCompacted
	case r.Canceled:
		return fmt.Errorf("the member ended the watch: %s", r.CancelReason)
	case narrowed:
		return errNarrowed
	}
	return nil
}

// guilty asks whether the value before a change is still there: only then it should have come with the event.
func (a *canary) guilty(ctx context.Context, q suspect) bool {
	ctx, cancel := context.WithTimeout(ctx, a.checker.timing.hung)
	defer cancel()
	r, err := pb.NewKVClient(a.member.Client().ActiveConnection()).Range(ctx, &pb.RangeRequest{
		Key: []byte(q.key), Revision: q.rev - 1, Serializable: true, KeysOnly: true})
	return err == nil && len(r.Kvs) > 0
}
