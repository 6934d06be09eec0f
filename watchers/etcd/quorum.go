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
	Term        uint64 // the highest term that a reachable member reports
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
	type vote struct{ leader, term uint64 }
	votes := map[vote]int{}
	var q Quorum
	var reads, answered int
	polled := true
	for _, r := range rows {
		polled = polled && r.Polled
		if r.Reachable {
			q.Term = max(q.Term, r.Term)
		}
		if r.IsLearner || r.Role == Unstarted && r.MemberID == 0 {
			continue
		}
		q.Voters++
		if !r.Reachable {
			continue
		}
		q.Reachable++
		if r.LeaderID != 0 {
			votes[vote{r.LeaderID, r.Term}]++
		}
		if p := r.Linearizable; !p.At.IsZero() && now.Sub(p.At) <= fresh {
			reads++
			if p.OK() {
				answered++
			}
		}
	}
	following := 0
	for v, n := range votes {
		if 2*n > q.Reachable {
			q.Leader, following = v.leader, n
		}
	}
	majority := q.Voters/2 + 1
	switch {
	case q.Reachable == 0:
		q.Why = "no voting member answers"
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
		q.CanLose = max(0, following-majority) // who answers us and is cut off from the leader is lost already
	}
	for _, r := range rows {
		if r.MemberID == q.Leader && q.Leader != 0 {
			q.LeaderName = r.GetName()
		}
	}
	return q
}

// follow keeps the time of the leader, and how often it changed. m.mu is held.
func (m *model) follow(q *Quorum, now time.Time) {
	if q.Leader != 0 && (q.Leader != m.lead.id || q.Term != m.lead.term) {
		changes := m.lead.changes
		if m.lead.id != 0 {
			changes++
		}
		m.lead = leadership{q.Leader, q.Term, now, changes}
		m.round++
	}
	q.Changes = m.lead.changes
	if q.Leader != 0 {
		q.LeaderSince = m.lead.since
	}
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
		s.Kine = s.Kine || c.ok && c.id == 0
	}
	if !any || m.list == nil && !m.polled { // with the list come the names; rows that are named otherwise first would jump
		return nil
	}
	m.gen++
	s.Members = m.rows()
	s.Quorum = quorum(s.Members, now, fresh)
	if s.Kine {
		s.Quorum.Why = kine
	} else {
		m.follow(&s.Quorum, now)
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
	ok := false
	for _, c := range m.conns {
		ok = ok || c.ok
		if why == "" && c.err != "" {
			why = fmt.Sprintf("%s: %s", c.member.Endpoint, c.err)
		}
	}
	switch {
	case s.Kine:
		next = watchers.State{Phase: watchers.Unsupported, Why: kine, Resource: "members"}
	case !ok && m.contact.IsZero():
		next = watchers.State{Phase: watchers.Connecting, Why: why}
	case !ok:
		next = watchers.State{Phase: watchers.Stale, Why: why, Since: m.contact}
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
