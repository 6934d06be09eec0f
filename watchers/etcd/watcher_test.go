package etcd

import (
	"fmt"
	"testing"
	"time"

	"fathom/internal/run"
	"fathom/watchers"
)

func TestWatcherHealthy(t *testing.T) {
	f := newFake(t, 3)
	s := eventually(t, f.watch(t), "three members", allUp(3))
	for i, m := range s.Members {
		want := Follower
		if i == 0 {
			want = Leader
		}
		if m.Role != want || m.Term != 4 || m.CommitIndex != 100 || m.AppliedIndex != 100 || m.Lag != 0 || m.Revision != 50 || m.DBSize != 1<<20 ||
			m.DBSizeInUse != 1<<19 || m.Quota != 1<<31 || m.Version != "3.6.8" || m.StorageVersion != "3.6.0" || len(m.PeerURLs) != 1 ||
			m.ID() != fmt.Sprint(i+1) || m.LastSeen.IsZero() || m.StatusRTT <= 0 {
			t.Errorf("member %d: %+v", i, m)
		}
	}
	q := s.Quorum
	if q.Voters != 3 || q.Reachable != 3 || q.CanLose != 1 || q.Leader != 1 || q.LeaderName != "etcd-1" || q.Term != 4 || q.LeaderSince.IsZero() || q.Changes != 0 {
		t.Errorf("quorum %+v", q)
	}
	if s.State.Phase != watchers.Live || len(s.Findings) != 0 || !s.Polled || s.ClusterID != 0xc1 {
		t.Errorf("state %+v, findings %+v, polled %v, cluster %x", s.State, s.Findings, s.Polled, s.ClusterID)
	}
}

// A member that keeps its connections and does not answer is what SIGSTOP and a firewall look like.
func TestWatcherHangingMemberDelaysNobody(t *testing.T) {
	f := newFake(t, 3)
	w := f.watch(t)
	eventually(t, w, "three members", allUp(3))
	f.members[2].hang()
	s := eventually(t, w, "the hanging member is marked", func(s *Snapshot) string {
		if m := s.named("etcd-3"); m.Reachable {
			return "reachable"
		}
		return ""
	})
	m := s.named("etcd-3")
	if m.Role != Unreachable || m.LastRole != Follower || m.CommitIndex != 100 || m.Version != "3.6.8" || len(m.Errors) != 1 || m.Errors[0] != "no answer within 400ms" {
		t.Errorf("what was known is not kept, or not why: %+v", m)
	}
	if !s.Quorum.Has || s.Quorum.Reachable != 2 || s.Quorum.CanLose != 0 {
		t.Errorf("quorum %+v", s.Quorum)
	}
	// The others are asked as often as before: ten polls in far less than ten of the deadlines that the hanging one needs.
	before := map[string]time.Time{}
	began := time.Now()
	polls := 0
	eventually(t, w, "the others go on", func(s *Snapshot) string {
		for _, name := range []string{"etcd-1", "etcd-2"} {
			if m := s.named(name); !m.LastSeen.Equal(before[name]) {
				before[name] = m.LastSeen
				polls++
			}
		}
		if polls < 20 {
			return fmt.Sprintf("%d polls seen", polls)
		}
		return ""
	})
	if d := time.Since(began); d > 10*quick.pollTimeout {
		t.Errorf("ten polls of the members that answer took %v", d)
	}
	f.members[2].cont()
	eventually(t, w, "it goes on", allUp(3))
}

func TestWatcherMemberGoesAndComesBack(t *testing.T) {
	f := newFake(t, 3)
	w := f.watch(t)
	eventually(t, w, "three members", allUp(3))
	f.members[1].stop()
	s := eventually(t, w, "it is marked", func(s *Snapshot) string {
		if s.named("etcd-2").Reachable {
			return "reachable"
		}
		return ""
	})
	if m := s.named("etcd-2"); m.Revision != 50 || len(m.Errors) == 0 || m.ID() != "2" {
		t.Errorf("the last known row is not kept: %+v", m)
	}
	found := false
	for _, fi := range s.Findings {
		found = found || fi.Kind == FoundUnreachable && fi.Member == "2"
	}
	if !found {
		t.Errorf("no finding: %+v", s.Findings)
	}
	f.members[1].start()
	s = eventually(t, w, "it is back", allUp(3))
	gap := false
	for _, h := range s.named("etcd-2").History {
		gap = gap || !h.OK
	}
	if !gap {
		t.Error("the history does not show the time without an answer")
	}
}

func TestWatcherLeaderChange(t *testing.T) {
	f := newFake(t, 3)
	w := f.watch(t)
	first := eventually(t, w, "three members", allUp(3))
	f.members[0].stop()
	f.change(func() { f.leader = 0 })
	lost := eventually(t, w, "no leader", func(s *Snapshot) string {
		if s.Quorum.Has || s.Quorum.Leader != 0 || s.named("etcd-2").Role != NoLeader {
			return fmt.Sprintf("quorum %+v", s.Quorum)
		}
		return ""
	})
	if lost.Quorum.Why == "" {
		t.Errorf("quorum %+v", lost.Quorum)
	}
	f.change(func() { f.leader, f.term = 3, 5 })
	s := eventually(t, w, "a new leader", func(s *Snapshot) string {
		if !s.Quorum.Has || s.Quorum.Leader != 3 || s.named("etcd-2").Term != 5 {
			return fmt.Sprintf("quorum %+v", s.Quorum)
		}
		return ""
	})
	q := s.Quorum
	if q.Term != 5 || q.Changes != 1 || q.LeaderName != "etcd-3" || !q.LeaderSince.After(first.Quorum.LeaderSince) || q.CanLose != 0 {
		t.Errorf("quorum %+v", q)
	}
	if m := s.named("etcd-1"); m.Reachable || m.Role != Unreachable || m.LastRole != Leader {
		t.Errorf("the dead leader: %+v", m)
	}
}

func TestWatcherLearnsMembers(t *testing.T) {
	f := newFake(t, 3)
	f.members[2].stop()
	w := f.watch(t, "http://"+f.members[0].addr)
	first := eventually(t, w, "all were asked", func(s *Snapshot) string {
		if !s.Polled {
			return "no"
		}
		return ""
	})
	if len(first.Members) != 3 || !first.named("etcd-1").Reachable || !first.named("etcd-2").Reachable {
		t.Errorf("said to be complete: %+v", first)
	}
	s := eventually(t, w, "the others, from the member list", func(s *Snapshot) string {
		if len(s.Members) != 3 || !s.named("etcd-2").Reachable || len(s.named("etcd-3").Errors) == 0 {
			return fmt.Sprintf("%d members", len(s.Members))
		}
		return ""
	})
	if m := s.named("etcd-3"); m.ID() != "3" || m.Role != Unreachable || !m.LastSeen.IsZero() || m.Endpoint != "http://"+f.members[2].addr {
		t.Errorf("a member that was never reached: %+v", m)
	}
	if q := s.Quorum; !q.Has || q.Voters != 3 || q.Reachable != 2 {
		t.Errorf("quorum %+v", q)
	}
}

func TestWatcherNothingAnswers(t *testing.T) {
	f := newFake(t, 1)
	f.members[0].stop()
	w := f.watch(t)
	s := eventually(t, w, "polled", func(s *Snapshot) string {
		if !s.Polled {
			return "not polled"
		}
		return ""
	})
	if len(s.Members) != 1 || s.Members[0].ID() != "http://"+f.members[0].addr || s.Members[0].Role != Unreachable || len(s.Members[0].Errors) == 0 {
		t.Errorf("members %+v", s.Members)
	}
	if s.State.Phase != watchers.Connecting || s.State.Why == "" || s.Quorum.Has {
		t.Errorf("state %+v, quorum %+v", s.State, s.Quorum)
	}
	f.members[0].start()
	eventually(t, w, "it answers", allUp(1))
	f.members[0].stop()
	s = eventually(t, w, "stale", func(s *Snapshot) string {
		if s.State.Phase != watchers.Stale {
			return fmt.Sprintf("%+v", s.State)
		}
		return ""
	})
	if s.State.Why == "" || !s.State.Since.Equal(s.Members[0].LastSeen) {
		t.Errorf("stale since %v, seen last %v: %q", s.State.Since, s.Members[0].LastSeen, s.State.Why)
	}
}

// etcd issue 22214: the leader is known, and linearizable reads hang or fail.
func TestWatcherReadsFail(t *testing.T) {
	f := newFake(t, 3)
	f.members[1].noReads = true
	s := eventually(t, f.watch(t), "one member without linearizable reads", func(s *Snapshot) string {
		if m := s.named("etcd-2"); m.Linearizable.Err == "" || !m.Serializable.OK() || !s.named("etcd-1").Linearizable.OK() || len(s.Findings) == 0 || s.Quorum.Reachable < 3 {
			return "not seen"
		}
		return ""
	})
	if m := s.named("etcd-2"); !m.Serializable.OK() || m.Linearizable.Err != "etcdserver: no leader" {
		t.Errorf("reads %+v, %+v", m.Serializable, m.Linearizable)
	}
	if s.Findings[0].Kind != FoundReads || !s.Quorum.Has {
		t.Errorf("quorum %+v, findings %+v", s.Quorum, s.Findings)
	}
}

// What is sent: nothing that proposes a raft entry, nothing that a learner refuses, and not more than is due.
func TestWatcherAsksOnlyWhatIsLocal(t *testing.T) {
	f := newFake(t, 3)
	f.learner = 3
	w := f.watch(t)
	s := eventually(t, w, "two voters and a learner", allUp(3))
	began := w.started
	eventually(t, w, "ten more polls", func(s *Snapshot) string {
		if n := len(s.named("etcd-3").History); n < 12 {
			return fmt.Sprintf("%d polls", n)
		}
		return ""
	})
	if m := s.named("etcd-3"); m.Role != Learner || !m.Linearizable.At.IsZero() && m.Linearizable.Err != "" {
		t.Errorf("learner %+v", m)
	}
	if s.Quorum.Voters != 2 {
		t.Errorf("a learner has no vote: %+v", s.Quorum)
	}
	w.Close()
	most := int(time.Since(began)/quick.poll) + 3
	f.mu.Lock()
	defer f.mu.Unlock()
	allowed := map[string]bool{"Status": true, "Range serializable=true": true, "Range serializable=false": true, "MemberList linearizable=false": true}
	for _, m := range f.members {
		for call, n := range m.calls {
			if !allowed[call] {
				t.Errorf("%s was asked for %s", m.name, call)
			}
			if n > most {
				t.Errorf("%s was asked %d times for %s, at most %d are due", m.name, n, call, most)
			}
		}
	}
	// The first reads leave before the first status told who learns.
	if n := f.members[2].calls["Range serializable=false"]; n > 2 {
		t.Errorf("the learner was asked %d times for a linearizable read", n)
	}
	if n := f.members[2].calls["MemberList linearizable=false"]; n > 0 {
		t.Errorf("the learner was asked %d times for the member list", n)
	}
}

// While nobody looks and all is well only the status is asked for; a look, or a member that goes, ends that at once.
func TestWatcherIsCalm(t *testing.T) {
	f := newFake(t, 3)
	f.timing.calmProbe, f.timing.calmMetrics, f.timing.attention = time.Hour, time.Hour, 0
	w := f.watch(t)
	eventually(t, w, "three members", allUp(3))
	const read, status = "Range serializable=true", "Status"
	count := func(call string) (n int) {
		f.mu.Lock()
		defer f.mu.Unlock()
		return f.members[0].calls[call]
	}
	before := 0
	more := func(call string, n int) {
		t.Helper()
		eventually(t, w, "more calls of "+call, func(*Snapshot) string {
			if got := count(call) - before; got < n {
				return fmt.Sprintf("%d of %d", got, n)
			}
			return ""
		})
	}
	calm := func() {
		t.Helper()
		for settled := false; !settled; { // from the next poll but two on, if it is calm already
			reads := count(read)
			before = count(status)
			more(status, 5)
			settled = count(read) == reads
		}
	}
	calm()
	before = count(read)
	w.Look()
	more(read, 1)
	calm()
	before = count(read)
	f.members[2].stop()
	more(read, 5)
}

func TestWatcherPublishesNotTooOften(t *testing.T) {
	f := newFake(t, 3)
	slow := quick
	slow.poll, slow.probe, slow.publish = 5*time.Millisecond, 5*time.Millisecond, 60*time.Millisecond
	first := f.watch(t)
	first.Close()
	g := run.NewGroup(t.Context(), nil)
	defer g.Stop()
	w := newWatcher(g, first.Etcd(), slow)
	if s := w.Snapshot(); s == nil || s.State.Phase != watchers.Connecting {
		t.Errorf("the first snapshot: %+v", s)
	}
	began := eventually(t, w, "the first", func(s *Snapshot) string {
		if s.Gen == 0 {
			return "none"
		}
		return ""
	})
	last := eventually(t, w, "five more", func(s *Snapshot) string {
		if s.Gen < began.Gen+5 {
			return fmt.Sprint(s.Gen)
		}
		return ""
	})
	if d := last.At.Sub(began.At); d < 5*slow.publish-slow.publish/2 {
		t.Errorf("five snapshots within %v, one in %v is enough", d, slow.publish)
	}
	if usual.publish < 100*time.Millisecond || usual.poll > time.Second || usual.pollTimeout > time.Second {
		t.Errorf("at most ten snapshots a second, and a poll each second: %+v", usual)
	}
}

func TestWatcherEndsWithItsGroup(t *testing.T) {
	f := newFake(t, 2)
	f.members[1].hang()
	w := f.watch(t)
	eventually(t, w, "polled", func(s *Snapshot) string {
		if s.Gen == 0 {
			return "no"
		}
		return ""
	})
	w.Close() // with calls in flight; that no goroutine is left is seen by TestMain
	gen := w.Snapshot().Gen
	w.Close()
	if w.Snapshot().Gen != gen {
		t.Error("a closed watcher publishes")
	}
}
