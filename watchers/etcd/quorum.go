package etcd

import (
	"fmt"
	"time"

	"fathom/watchers"
)

// Quorum is whether the cluster can commit, as far as its members tell.
type Quorum struct {
	Has         bool
	Why         string // when it has none: why; untrusted text
	Voters      int    // members with a vote; of an unknown member list: the endpoints
	Reachable   int    // voters that answered when last asked
	CanLose     int    // how many of the voters that follow the leader may still fail; 0 when there is no quorum
	Leader      uint64 // member ID; 0: none that most of the reachable voters agree on
	LeaderName  string // untrusted text
	Term        uint64 // the highest term that a reachable member of the list reports
	LeaderSince time.Time
	Changes     int // leaderships seen to begin; 0: it has led since LeaderSince at least, which is when it was first seen
}

// leadership is one leader's time in one term.
type leadership struct {
	id, term uint64
	since    time.Time
	changes  int
}

// quorum judges from what the members say. A member that knows a leader hears its heartbeats, and a leader that does not hear
// from a majority steps down within an election timeout (raft's CheckQuorum, which etcd has on), so a leader that most of the
// voters we reach agree on has a quorum, unless the reads that need one say otherwise (etcd issue 22214). When we reach fewer than
// a majority (the others may only be out of our own reach) such a read is the only proof. fresh is how old its answer may be.
func quorum(rows []*MemberRow, now time.Time, fresh time.Duration) Quorum {
	// Not by leader and term: a status tells the term of the last entry that was applied, which comes after the leader.
	votes := map[uint64]int{}
	var q Quorum
	var reads, answered, denied, confirmed int
	polled := true
	for _, r := range rows {
		polled = polled && r.Polled
		if r.Reachable && !r.stranger { // another cluster has terms of its own
			q.Term = max(q.Term, r.Term)
		}
		if r.IsLearner || r.stranger || r.Role == Unstarted && r.MemberID == 0 {
			continue
		}
		q.Voters++
		if !r.Reachable && r.Role != Denied {
			continue
		}
		q.Reachable++
		if r.Role == Denied {
			denied++
		} else if r.LeaderID != 0 {
			votes[r.LeaderID]++
		}
		if p := r.Linearizable; !p.At.IsZero() && now.Sub(p.At) <= fresh {
			reads++
			if p.OK() {
				answered++
				if r.Role == Denied {
					confirmed++ // it does not say whom it follows, and does: the leader has confirmed its read
				}
			}
		}
	}
	following := 0
	for leader, n := range votes { // at most one has more than half
		if 2*n > q.Reachable-denied {
			q.Leader, following = leader, n
		}
	}
	majority := q.Voters/2 + 1
	switch {
	case q.Reachable == 0:
		q.Why = "no voting member answers"
	case q.Leader == 0 && denied > 0 && answered > 0:
		q.Has = true // who may not look is told so only after the leader has confirmed the read
		q.CanLose = max(0, confirmed-majority)
	case q.Leader == 0 && denied > 0:
		q.Why = "the members do not tell us their status, and none answers a linearizable read"
	case q.Leader == 0 && len(votes) == 0:
		q.Why = "no member that answers knows a leader"
	case q.Leader == 0:
		q.Why = "the members that answer do not agree on a leader"
	case reads > 0 && answered == 0:
		q.Why = "no member answers a linearizable read, though they know a leader"
	case polled && q.Reachable < majority && answered == 0:
		q.Why = fmt.Sprintf("only %d of %d voting members answer, and none of them a linearizable read", q.Reachable, q.Voters)
	default:
		q.Has = true
		q.CanLose = max(0, following+confirmed-majority) // who answers us and is cut off from the leader is lost already
	}
	for _, r := range rows {
		if r.MemberID == q.Leader && q.Leader != 0 {
			q.LeaderName = r.GetName()
		}
	}
	return q
}

// snapshot builds the picture of now; nil while there is nothing to show. fresh is how old the answer to a read may be.
func (m *model) snapshot(now time.Time, fresh time.Duration) *Snapshot {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.polled = m.polled || m.complete()
	s := &Snapshot{Gen: m.gen + 1, At: now, Polled: m.polled, ClusterID: m.clusterID()}
	any := false
	for _, c := range m.conns {
		any = any || c.polled
		s.Kine = s.Kine || c.kine()
	}
	if !any || m.list == nil && !m.polled { // with the list come the names; rows that are named otherwise first would jump
		return nil
	}
	m.gen++
	s.Members, s.OurCert = m.rows(), m.ours
	s.Quorum = quorum(s.Members, now, fresh)
	if s.Kine {
		s.Quorum.Why = kine
	} else {
		m.follow(&s.Quorum, now)
		s.Timeline = m.timeline()
		s.Findings = m.findings(s, now)
	}
	s.State = m.judge(s, now)
	return s
}

// complete reports whether every endpoint was polled, and those that the member list told of too. m.mu is held.
func (m *model) complete() bool {
	for _, c := range m.conns {
		k := m.known[c.key]
		if !c.polled || m.list == nil && c.ok && c.id != 0 && !c.askedList && !k.row.IsLearner {
			return false
		}
	}
	return len(m.conns) > 0 && len(m.missingURLs()) == 0
}

// kine says why there is no raft to show.
const kine = "this is kine, a database behind a part of etcd's API: it has no members and no raft"

// judge is the state of the source. m.mu is held.
func (m *model) judge(s *Snapshot, now time.Time) watchers.State {
	next := watchers.State{Phase: watchers.Live}
	why := ""
	ok, denied := false, false
	for _, c := range m.conns {
		ok, denied = ok || c.ok, denied || c.denied
		if why == "" && c.err != "" {
			why = fmt.Sprintf("%s: %s", c.member.Endpoint, c.err)
		}
	}
	switch {
	case !ok && denied:
		next = watchers.State{Phase: watchers.Denied, Why: why, Verb: "read", Resource: "the status of etcd's members"}
	case !ok && m.contact.IsZero():
		next = watchers.State{Phase: watchers.Connecting, Why: why}
	case !ok:
		next = watchers.State{Phase: watchers.Stale, Why: why, Since: m.contact}
	case s.Kine:
		next = watchers.State{Phase: watchers.Unsupported, Why: kine, Resource: "members"}
	}
	if next.Since.IsZero() {
		next.Since = now
		if next.Phase == m.state.Phase {
			next.Since = m.state.Since
		}
	}
	m.state = next
	return next
}
