package etcd

import (
	"slices"
	"strings"
	"testing"
	"time"

	"fathom/cluster"
)

// all lets the members of a cluster of three answer, but for those that are down.
func (f *facts) all(at int, leader, term uint64, down ...uint64) *Snapshot {
	for id := range uint64(3) {
		if id++; !slices.Contains(down, id) {
			f.say(ms(at), ms(at+1), status(id, leader, term, 1, 1))
		}
	}
	return f.at(ms(at + 2))
}

func (f *facts) last(s *Snapshot) Leadership {
	f.t.Helper()
	if len(s.Timeline) == 0 {
		f.t.Fatal("the timeline is empty")
	}
	return s.Timeline[len(s.Timeline)-1]
}

func TestTimelineOfALeaderThatDies(t *testing.T) {
	f := newFacts(t, 3)
	first := f.last(f.all(0, 1, 4))
	if !first.First || first.Leader != 1 || first.LeaderName != "etcd-1" || first.Term != 4 || len(first.Before) != 0 {
		t.Errorf("what was there when we came: %+v", first)
	}
	f.all(1000, 1, 4)
	f.failed(f.conns[1], ms(2001), "connection refused", false)
	if s := f.all(2000, 0, 4, 1); len(s.Timeline) != 1 {
		t.Errorf("a second without a leader is an entry of its own: %+v", s.Timeline)
	}
	s := f.all(3000, 2, 5, 1)
	got := f.last(s)
	if len(s.Timeline) != 2 || got.First || got.Leader != 2 || got.Term != 5 || got.From != 1 || got.FromName != "etcd-1" || got.Without != time.Second || got.Moved {
		t.Errorf("%+v", got)
	}
	if len(got.Before) != 1 || got.Before[0] != "etcd-1 stopped answering: connection refused" {
		t.Errorf("it does not say why: %q", got.Before)
	}
	// What happens later explains nothing.
	f.failed(f.conns[3], ms(8000), "no answer within 1s", false)
	if got := f.last(f.at(ms(9000))); len(got.Before) != 1 {
		t.Errorf("a member that failed afterwards: %q", got.Before)
	}
	if s := f.at(ms(60_000)); len(s.Timeline) != 2 || f.last(s).Before[0] != got.Before[0] {
		t.Errorf("the reason is not kept: %+v", s.Timeline)
	}
}

func TestTimelineWithoutLeader(t *testing.T) {
	f := newFacts(t, 3)
	f.all(0, 1, 4)
	f.failed(f.conns[1], ms(1001), "connection refused", false)
	f.failed(f.conns[3], ms(1001), "connection refused", false)
	for at := 1000; at <= 20_000; at += 1000 {
		f.all(at, 0, 4, 1, 3)
	}
	s := f.at(ms(21_000))
	got := f.last(s)
	if len(s.Timeline) != 2 || got.Leader != 0 || !got.At.Equal(ms(1002)) || got.From != 1 {
		t.Fatalf("%+v", s.Timeline)
	}
	if !slices.ContainsFunc(got.Before, func(s string) bool { return strings.Contains(s, "etcd-1 stopped") }) || !strings.Contains(got.Before[0], "etcd-1") {
		t.Errorf("the leader that was lost comes first: %q", got.Before)
	}
	s = f.all(22_000, 1, 6)
	if got := f.last(s); len(s.Timeline) != 3 || got.Leader != 1 || got.From != 1 || got.Without != 21*time.Second {
		t.Errorf("it is back: %+v", got)
	}
}

// That we reach nobody says nothing of who leads.
func TestTimelineWhileNobodyIsReached(t *testing.T) {
	f := newFacts(t, 3)
	f.all(0, 1, 4)
	for id, c := range f.conns {
		f.failed(c, ms(1000+int(id)), "no route to host", false)
	}
	for at := 2000; at <= 20_000; at += 1000 {
		f.at(ms(at))
	}
	if s := f.all(21_000, 1, 4); len(s.Timeline) != 1 || s.Quorum.Changes != 0 {
		t.Errorf("%d changes: %+v", s.Quorum.Changes, s.Timeline)
	}
}

// A leader that was lost to those whom we reach, and is there again in the same term.
func TestTimelineOfTheSameLeaderAgain(t *testing.T) {
	f := newFacts(t, 3)
	f.all(0, 1, 4)
	f.failed(f.conns[1], ms(1001), "no route to host", false)
	for at := 1000; at <= 8000; at += 1000 {
		f.all(at, 0, 4, 1)
	}
	s := f.all(9000, 1, 4)
	if got := f.last(s); len(s.Timeline) != 3 || got.Leader != 1 || got.From != 1 || s.Quorum.Changes != 0 {
		t.Errorf("%d changes: %+v", s.Quorum.Changes, s.Timeline)
	}
}

func TestTimelineOfAMove(t *testing.T) {
	f := newFacts(t, 3)
	f.all(0, 1, 4)
	f.noteMove(cluster.Move{From: 1, To: 3, At: ms(500)})
	got := f.last(f.all(1000, 3, 5))
	if !got.Moved || len(got.Before) != 1 || got.Before[0] != "fathom moved the leadership to etcd-3" {
		t.Errorf("%+v", got)
	}
	got = f.last(f.all(60_000, 2, 6))
	if got.Moved || len(got.Before) != 1 || !strings.HasPrefix(got.Before[0], "nothing was seen") {
		t.Errorf("nobody told of this one: %+v", got)
	}
}

func TestTimelineOfALeaderThatIsCutOff(t *testing.T) {
	f := newFacts(t, 3)
	f.all(0, 1, 4)
	f.all(1000, 2, 5, 1)
	f.say(ms(2000), ms(2001), status(1, 0, 4, 1, 1))
	got := f.last(f.at(ms(2002)))
	if len(got.Before) == 0 || !strings.Contains(got.Before[0], "etcd-1, which led, answers us and knows no leader") {
		t.Errorf("%+v", got)
	}
}

// The metrics that tell why come up to five seconds after the change.
func TestTimelineOfASlowDisk(t *testing.T) {
	f := newFacts(t, 3)
	f.all(0, 1, 4)
	read := func(id uint64, at int, text string) { f.measured(f.conns[id], mustParse(t, text, ms(at)), "u", nil) }
	read(1, 100, page("1", [3]int{100, 0, 0}, [3]int{}, 1, 0, 0))
	read(2, 100, page("2", [3]int{100, 0, 0}, [3]int{}, 1, 0, 0))
	f.all(3000, 2, 5)
	read(1, 5100, page("1", [3]int{100, 0, 10}, [3]int{}, 1, 8, 0))
	read(2, 5100, page("2", [3]int{150, 0, 10}, [3]int{}, 1, 0, 0))
	got := f.last(f.all(6000, 2, 5))
	if len(got.Before) != 3 || !strings.Contains(got.Before[0], "etcd-1: the p99 of its WAL fsync was 1.02s") ||
		!strings.Contains(got.Before[1], "etcd-1 could not send 8 heartbeats") || !strings.Contains(got.Before[2], "etcd-2") {
		t.Errorf("%q", got.Before)
	}
	read(1, 60_000, page("1", [3]int{900, 0, 10}, [3]int{}, 1, 8, 0))
	got = f.last(f.all(62_000, 3, 6))
	if len(got.Before) != 1 || !strings.HasPrefix(got.Before[0], "nothing was seen: etcd-2") {
		t.Errorf("what is a minute old explains nothing: %q", got.Before)
	}
	read(1, 64_000, page("1", [3]int{0, 0, 0}, [3]int{}, 1, 0, 1_800_000_000))
	got = f.last(f.all(65_000, 3, 6))
	if len(got.Before) != 1 || got.Before[0] != "etcd-1 was restarted" {
		t.Errorf("it does not say that a member was restarted: %q", got.Before)
	}
}

// What was published is not written to again.
func TestTimelineIsImmutableAndBounded(t *testing.T) {
	f := newFacts(t, 3)
	f.all(0, 1, 4)
	before := f.all(10_000, 2, 5)
	same := f.at(ms(40_000))
	if &before.Timeline[0] == &same.Timeline[0] && len(before.Timeline[1].Before) == 0 {
		t.Error("the timeline does not say what was before the change")
	}
	if again := f.at(ms(40_001)); &again.Timeline[0] != &same.Timeline[0] {
		t.Error("it is made anew though nothing has changed")
	}
	at, term := 100_000, uint64(10)
	for i := range 2 * TimelineLen {
		f.all(at, uint64(1+i%3), term)
		at, term = at+20_000, term+1
	}
	s := f.at(ms(at))
	if len(s.Timeline) != TimelineLen || before.Timeline[1].Term != 5 || len(before.Timeline) != 2 {
		t.Errorf("%d entries; what was published: %+v", len(s.Timeline), before.Timeline)
	}
}

func TestTermIsOfThisCluster(t *testing.T) {
	f := newFacts(t, 3)
	other, _ := f.conn(&cluster.Member{Endpoint: "http://10.9.9.9:2379"})
	elsewhere := func(at int, term uint64) {
		st := status(77, 77, term, 100, 100)
		st.Header.ClusterId = 0xee
		f.answered(other, ms(at), ms(at+1), st)
	}
	elsewhere(0, 900)
	s := f.all(0, 1, 4)
	if s.Quorum.Term != 4 {
		t.Errorf("the term is %d, want 4", s.Quorum.Term)
	}
	elsewhere(60_000, 901)
	if s = f.all(60_000, 1, 4); len(s.Timeline) != 1 || s.Quorum.Changes != 0 {
		t.Errorf("an election elsewhere is told as one of this cluster: %+v", s.Timeline)
	}
}

func TestTimelineOfALeaderNotSeen(t *testing.T) {
	f := newFacts(t, 3)
	f.all(0, 1, 4)
	f.failed(f.conns[1], ms(1000), "connection refused", false)
	for at := 1000; at < 120_000; at += 1000 {
		f.failed(f.conns[1], ms(at), "connection refused", false)
		f.all(at, 1, 4, 1)
	}
	got := f.last(f.all(120_000, 2, 5, 1))
	if len(got.Before) != 1 || strings.Contains(got.Before[0], "answered all the time") {
		t.Errorf("%q", got.Before)
	}
}
