package check

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"

	"fathom/cluster"
	"fathom/watchers/etcd"
)

// hashTimeout bounds the hash of one member. It reads the whole key space: about a second per gigabyte that lies in memory, minutes from a
// slow disk.
const hashTimeout = 10 * time.Minute

// statusTimeout bounds the question for a member's revision.
const statusTimeout = 3 * time.Second

// ErrRunning is returned when a comparison is under way already.
var ErrRunning = errors.New("the members are being compared already")

// CompareHashes starts a comparison of what the members hold, in the background; [Checker.Hash] shows how far it is. It asks one member after
// the other, the leader last: while a member hashes its key space it applies no writes (HashKV holds the backend's read lock, see
// server/storage/mvcc/kvstore.go), so its clients wait, and those of the others do not. The data is read on the members; a few bytes come here.
func (c *Checker) CompareHashes() error {
	s := c.watcher.Snapshot()
	if s.Kine {
		return errors.New("compare the members' data: this is kine, it has no members")
	}
	run := begin(s, time.Now())
	if len(run.Members) == 0 {
		return errors.New("compare the members' data: no member is known yet; wait until one answers")
	}
	c.hashMu.Lock()
	defer c.hashMu.Unlock()
	if c.hash != nil && c.hash.Running() {
		return ErrRunning
	}
	ctx, cancel := context.WithCancel(c.group.Context())
	before := c.hash
	c.stopHash = cancel
	c.setHash(run) // before it begins: then the run is its goroutine's alone
	if !c.group.Go("etcd: comparison of hashes", func(context.Context) { defer cancel(); c.compare(ctx, run) }) {
		cancel()
		c.hash = before
		return errors.New("compare the members' data: fathom is ending")
	}
	return nil
}

// StopHashes ends a comparison. The member that is hashing goes on until it is done: etcd does not let itself be interrupted.
func (c *Checker) StopHashes() {
	c.hashMu.Lock()
	defer c.hashMu.Unlock()
	if c.hash != nil && c.hash.Running() {
		c.stopHash()
	}
}

// Hash is the newest comparison; nil: there was none.
func (c *Checker) Hash() *HashRun {
	c.hashMu.Lock()
	defer c.hashMu.Unlock()
	return c.hash
}

// setHash publishes a copy. c.hashMu is held.
func (c *Checker) setHash(r *HashRun) {
	out := *r
	out.Members = slices.Clone(r.Members)
	c.hashGen++
	out.Gen = c.hashGen
	c.hash = &out
}

func (c *Checker) publishHash(r *HashRun) {
	c.hashMu.Lock()
	defer c.hashMu.Unlock()
	c.setHash(r)
}

// begin makes a run of the members that are known.
func begin(s *etcd.Snapshot, now time.Time) *HashRun {
	run := &HashRun{Began: now}
	for _, m := range s.Members {
		if m.MemberID == 0 {
			continue // an endpoint that nobody has answered at
		}
		h := MemberHash{ID: m.MemberID, Name: m.GetName(), Endpoint: m.Endpoint, Version: m.Version, Learner: m.IsLearner,
			Leader: m.MemberID == s.Quorum.Leader}
		if m.Votes() {
			run.Voters++
		}
		switch {
		case h.Learner:
			h.Phase, h.Why = Failed, "a learner does not answer HashKV"
		case m.Role == etcd.Unstarted:
			h.Phase, h.Why = Failed, "it has not joined yet"
		case s.ClusterID != 0 && m.ClusterID != 0 && m.ClusterID != s.ClusterID:
			h.Phase, h.Why = Failed, "it belongs to another cluster"
		case !m.Votes():
			h.Phase, h.Why = Failed, "it is not in the member list"
		}
		run.Members = append(run.Members, h)
	}
	slices.SortStableFunc(run.Members, func(a, b MemberHash) int {
		if a.Leader != b.Leader {
			if a.Leader {
				return 1
			}
			return -1
		}
		return cmp.Compare(a.Name, b.Name)
	})
	return run
}

// compare is the run.
func (c *Checker) compare(ctx context.Context, run *HashRun) {
	c.askRevisions(ctx, run)
	for i := range run.Members {
		if r := run.Members[i].Revision; r > 0 && (run.Revision == 0 || r < run.Revision) {
			run.Revision = r
		}
	}
	c.publishHash(run)
	for i := range run.Members {
		m := &run.Members[i]
		if m.Phase != Waiting {
			continue
		}
		if ctx.Err() != nil {
			m.Phase, m.Why = Failed, "not asked: the comparison was ended"
			continue
		}
		m.Phase, m.Began = Hashing, time.Now()
		c.publishHash(run)
		c.askHash(ctx, m, run.Revision)
		m.Took = time.Since(m.Began)
		c.publishHash(run)
	}
	run.Canceled = ctx.Err() != nil
	run.Ended = time.Now()
	run.judge()
	c.publishHash(run)
	c.report()
}

// askRevisions asks all voters at once for their revision.
func (c *Checker) askRevisions(ctx context.Context, run *HashRun) {
	ctx, cancel := context.WithTimeout(ctx, statusTimeout)
	defer cancel()
	var wg sync.WaitGroup
	for i := range run.Members {
		m := &run.Members[i]
		if m.Phase != Waiting {
			continue
		}
		wg.Add(1)
		ask := func(context.Context) {
			defer wg.Done()
			c.askRevision(ctx, m)
		}
		if !c.group.Go("etcd: revision of "+m.Endpoint, ask) {
			wg.Done()
		}
	}
	wg.Wait()
}

func (c *Checker) askRevision(ctx context.Context, m *MemberHash) {
	member, ok := c.etcd.Member(m.Endpoint)
	if !ok {
		m.Phase, m.Why = Failed, "it cannot be reached from here"
		return
	}
	st, err := member.Maintenance().Status(ctx, &pb.StatusRequest{})
	switch {
	case err != nil:
		m.Phase, m.Why = Failed, "it does not answer: "+why(err)
	case st.GetHeader().GetMemberId() != m.ID:
		m.Phase, m.Why = Failed, fmt.Sprintf("member %x answers in its place", st.GetHeader().GetMemberId())
	default:
		m.Revision, m.Version = st.Header.Revision, st.Version
	}
}

// askHash asks one member for the hash of its key space at a revision.
func (c *Checker) askHash(ctx context.Context, m *MemberHash, revision int64) {
	ctx, cancel := context.WithTimeout(ctx, hashTimeout)
	defer cancel()
	m.Phase = Failed
	member, ok := c.etcd.Member(m.Endpoint)
	if !ok {
		m.Why = "it cannot be reached from here"
		return
	}
	r, err := member.Maintenance().HashKV(ctx, &pb.HashKVRequest{Revision: revision})
	e := rpctypes.Error(err)
	switch {
	case errors.Is(e, rpctypes.ErrFutureRev):
		m.Why = fmt.Sprintf("it has not reached revision %d: it is behind the others", revision)
	case errors.Is(e, rpctypes.ErrCompacted):
		m.Why = fmt.Sprintf("it has compacted revision %d away already: another member is far behind", revision)
	case errors.Is(err, context.Canceled):
		m.Why = "the comparison was ended"
	case cluster.Classify(err) == cluster.FaultTimeout:
		m.Why = fmt.Sprintf("no answer within %s", time.Since(m.Began).Round(time.Second))
	case err != nil:
		m.Why = why(err)
	case r.GetHeader().GetMemberId() != m.ID:
		m.Why = fmt.Sprintf("member %x answers in its place", r.GetHeader().GetMemberId())
	case r.HashRevision != 0 && r.HashRevision != revision: // etcd 3.6 and newer say it
		m.Why = fmt.Sprintf("it told the hash of revision %d", r.HashRevision)
	default:
		m.Phase, m.Hash, m.CompactRevision = Answered, r.Hash, r.CompactRevision
	}
}

// why says in words what became of a call.
func why(err error) string {
	if e, ok := rpctypes.Error(err).(rpctypes.EtcdError); ok && cluster.Classify(err) != cluster.FaultTimeout {
		return e.Error()
	}
	return cluster.Explain(err)
}
