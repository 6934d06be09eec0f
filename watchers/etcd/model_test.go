package etcd

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"fathom/cluster"
	"fathom/watchers"
)

var t0 = time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)

func ms(n int) time.Time { return t0.Add(time.Duration(n) * time.Millisecond) }

// facts drives a model by hand, with a clock of its own.
type facts struct {
	*model
	t     *testing.T
	conns map[uint64]*conn
}

// newFacts is a cluster of n voters, whose IDs count from 1, with its member list.
func newFacts(t *testing.T, n int) *facts {
	f := &facts{model: newModel(t0), t: t, conns: map[uint64]*conn{}}
	for i := range n {
		id := uint64(i + 1)
		c, added := f.conn(&cluster.Member{Endpoint: fmt.Sprintf("http://10.0.0.%d:2379", id)})
		if !added {
			t.Fatal("an endpoint is not new")
		}
		f.conns[id] = c
		f.list = append(f.list, &pb.Member{ID: id, Name: fmt.Sprintf("etcd-%d", id), ClientURLs: []string{c.member.Endpoint}})
	}
	return f
}

func status(id, leader, term, commit, applied uint64) *pb.StatusResponse {
	return &pb.StatusResponse{Header: &pb.ResponseHeader{ClusterId: 0xc1, MemberId: id, Revision: 10}, Leader: leader, RaftTerm: term,
		RaftIndex: commit, RaftAppliedIndex: applied, Version: "3.6.8"}
}

func (f *facts) say(asked, answered time.Time, st *pb.StatusResponse) {
	f.answered(f.conns[st.Header.MemberId], asked, answered, st)
}

func (f *facts) at(now time.Time) *Snapshot {
	f.t.Helper()
	s := f.snapshot(now, 5*time.Second)
	if s == nil {
		f.t.Fatal("no snapshot")
	}
	return s
}

func (f *facts) row(id uint64, now time.Time) *MemberRow {
	f.t.Helper()
	for _, m := range f.at(now).Members {
		if m.MemberID == id {
			return m
		}
	}
	f.t.Fatalf("no row of member %d", id)
	return nil
}

// Members are not asked at one moment, and entries are written between the questions: that is no lag.
func TestLag(t *testing.T) {
	f := newFacts(t, 3)
	f.say(ms(0), ms(1), status(1, 1, 4, 1000, 1000))
	f.say(ms(50), ms(52), status(2, 1, 4, 1100, 1100))
	if lag := f.row(2, ms(60)).Lag; lag != 0 {
		t.Errorf("asked after the leader and further than it was: lag %d", lag)
	}
	f.say(ms(50), ms(52), status(3, 1, 4, 1000, 900))
	if lag := f.row(3, ms(60)).Lag; lag != 100 {
		t.Errorf("the leader had committed 1000 before member 3 was asked, and it has applied 900: lag %d", lag)
	}
	f.say(ms(1000), ms(1030), status(1, 1, 4, 5000, 5000)) // 4000 entries more, answered while member 2 was being asked
	f.say(ms(1010), ms(1012), status(2, 1, 4, 1200, 1200))
	if lag := f.row(2, ms(1040)).Lag; lag != 0 {
		t.Errorf("the leader's later answer counts: lag %d", lag)
	}
	f.say(ms(1050), ms(1052), status(2, 1, 4, 4990, 4990))
	if lag := f.row(2, ms(1060)).Lag; lag != 10 {
		t.Errorf("lag %d, want 10", lag)
	}
	f.say(ms(1100), ms(1101), status(1, 1, 4, 5100, 5090))
	if lag := f.row(1, ms(1110)).Lag; lag != 10 {
		t.Errorf("the leader's own lag is what it has not applied: %d", lag)
	}
	f.say(ms(9000), ms(9001), status(2, 1, 4, 5000, 5000)) // the leader has not answered for long
	if lag := f.row(2, ms(9001)).Lag; lag != 0 {
		t.Errorf("an answer of eight seconds ago counts: lag %d", lag)
	}
}

func TestLagWithoutLeader(t *testing.T) {
	f := newFacts(t, 2)
	f.say(ms(0), ms(1), status(1, 0, 4, 1000, 1000))
	f.say(ms(50), ms(52), status(2, 0, 4, 900, 890))
	if lag := f.row(2, ms(60)).Lag; lag != 110 {
		t.Errorf("lag %d behind the newest commit that anybody knows, want 110", lag)
	}
}

func TestQuorum(t *testing.T) {
	const no = ^uint64(0) // does not answer
	now := ms(10_000)
	ok, failed := ReadProbe{At: ms(9000)}, ReadProbe{At: ms(9000), Err: "no answer within 1.5s"}
	old := ReadProbe{At: ms(1000)}
	for name, c := range map[string]struct {
		leaders []uint64 // whom each voter takes for the leader
		reads   ReadProbe
		polled  bool
		want    Quorum
	}{
		"all agree":                           {[]uint64{1, 1, 1}, ok, true, Quorum{Has: true, Voters: 3, Reachable: 3, CanLose: 1, Leader: 1}},
		"one down":                            {[]uint64{1, 1, no}, ok, true, Quorum{Has: true, Voters: 3, Reachable: 2, Leader: 1}},
		"the leader is out of our reach":      {[]uint64{no, 1, 1}, ok, true, Quorum{Has: true, Voters: 3, Reachable: 2, Leader: 1}},
		"two down, no leader":                 {[]uint64{0, no, no}, failed, true, Quorum{Voters: 3, Reachable: 1}},
		"one in our reach, reads fail":        {[]uint64{1, no, no}, failed, true, Quorum{Voters: 3, Reachable: 1, Leader: 1}},
		"one in our reach, reads unproved":    {[]uint64{1, no, no}, ReadProbe{}, true, Quorum{Voters: 3, Reachable: 1, Leader: 1}},
		"one in our reach, read long ago":     {[]uint64{1, no, no}, old, true, Quorum{Voters: 3, Reachable: 1, Leader: 1}},
		"one in our reach, reads answered":    {[]uint64{1, no, no}, ok, true, Quorum{Has: true, Voters: 3, Reachable: 1, Leader: 1}},
		"one was asked yet":                   {[]uint64{1, no, no}, ReadProbe{}, false, Quorum{Has: true, Voters: 3, Reachable: 1, Leader: 1}},
		"a leader, and all reads fail":        {[]uint64{1, 1, 1}, failed, true, Quorum{Voters: 3, Reachable: 3, Leader: 1}},
		"an election":                         {[]uint64{0, 0, 0}, failed, true, Quorum{Voters: 3, Reachable: 3}},
		"one cut off":                         {[]uint64{1, 1, 0}, ok, true, Quorum{Has: true, Voters: 3, Reachable: 3, Leader: 1}},
		"most know no leader":                 {[]uint64{1, 0, 0}, ok, true, Quorum{Voters: 3, Reachable: 3}},
		"they do not agree":                   {[]uint64{1, 2, 3, 4}, ok, true, Quorum{Voters: 4, Reachable: 4}},
		"a single member":                     {[]uint64{1}, ok, true, Quorum{Has: true, Voters: 1, Reachable: 1, Leader: 1}},
		"nobody":                              {[]uint64{no, no, no}, ReadProbe{}, true, Quorum{Voters: 3}},
		"four of five":                        {[]uint64{1, 1, 1, 1, no}, ok, true, Quorum{Has: true, Voters: 5, Reachable: 4, CanLose: 1, Leader: 1}},
		"an even number needs more than half": {[]uint64{1, 1, 1, no}, ok, true, Quorum{Has: true, Voters: 4, Reachable: 3, Leader: 1}},
	} {
		var rows []*MemberRow
		for i, l := range c.leaders {
			r := &MemberRow{MemberID: uint64(i + 1), Name: fmt.Sprintf("etcd-%d", i+1), Polled: c.polled || l != no, Reachable: l != no, Linearizable: c.reads}
			if r.Reachable {
				r.LeaderID, r.Term = l, 4
				c.want.Term = 4
			}
			rows = append(rows, r)
		}
		rows = append(rows, &MemberRow{MemberID: 99, IsLearner: true, Reachable: true, Polled: true, LeaderID: 99, Term: c.want.Term, Linearizable: ok})
		got := quorum(rows, now, 5*time.Second)
		if got.Has == (got.Why != "") {
			t.Errorf("%s: has %v, why %q", name, got.Has, got.Why)
		}
		if c.want.Leader != 0 {
			c.want.LeaderName = fmt.Sprintf("etcd-%d", c.want.Leader)
		}
		got.Why = ""
		if got != c.want {
			t.Errorf("%s:\n got %+v\nwant %+v", name, got, c.want)
		}
	}
}

func TestLeadership(t *testing.T) {
	f := newFacts(t, 3)
	all := func(at int, leader, term uint64) *Snapshot {
		for id := range uint64(3) {
			f.say(ms(at), ms(at+1), status(id+1, leader, term, 1, 1))
		}
		return f.at(ms(at + 2))
	}
	want := func(s *Snapshot, leader uint64, since, changes int) {
		t.Helper()
		if q := s.Quorum; q.Leader != leader || q.Changes != changes || since >= 0 && !q.LeaderSince.Equal(ms(since)) {
			t.Errorf("%+v, want leader %d since %v and %d changes", q, leader, ms(since), changes)
		}
	}
	want(all(0, 1, 4), 1, 2, 0)
	want(all(1000, 1, 4), 1, 2, 0)
	want(all(2000, 0, 5), 0, -1, 0)
	want(all(3000, 2, 5), 2, 3002, 1)
	want(all(4000, 2, 6), 2, 3002, 1) // the term comes after the leader: with the first entry of the new term that is applied
	want(all(8000, 2, 7), 2, 8002, 2) // elected again
	want(all(9000, 2, 7), 2, 8002, 2)
}

func TestFindings(t *testing.T) {
	find := func(s *Snapshot, kind string) *Finding {
		for i := range s.Findings {
			if s.Findings[i].Kind == kind {
				return &s.Findings[i]
			}
		}
		return nil
	}
	for name, c := range map[string]struct {
		kind   string
		change func(st *pb.StatusResponse) // of member 2
		sev    Severity
		text   string
	}{
		"another cluster": {FoundTwoClusters, func(st *pb.StatusResponse) { st.Header.ClusterId = 0xdd }, Critical, "etcd-2 belongs to another cluster (dd)"},
		"two leaders":     {FoundTwoLeaders, func(st *pb.StatusResponse) { st.Leader = 2 }, Critical, "two leaders in term 4"},
		"no leader":       {FoundNoLeader, func(st *pb.StatusResponse) { st.Leader = 0 }, Warning, "etcd-2 knows no leader"},
		"no space": {FoundAlarm, func(st *pb.StatusResponse) { st.Errors = []string{"memberID:2 alarm:NOSPACE "} }, Critical,
			"alarm NOSPACE of etcd-2"},
		"corrupt": {FoundAlarm, func(st *pb.StatusResponse) { st.Errors = []string{"memberID:3 alarm:CORRUPT "} }, Critical,
			"alarm CORRUPT, raised for etcd-3"},
		"the alarm of a member that is gone": {FoundAlarm, func(st *pb.StatusResponse) { st.Errors = []string{"memberID:77 alarm:NOSPACE "} },
			Critical, "no member any more"},
		"near the quota":       {FoundNearQuota, func(st *pb.StatusResponse) { st.DbSize, st.DbSizeQuota = 85, 100 }, Warning, "85 %"},
		"nearer the quota":     {FoundNearQuota, func(st *pb.StatusResponse) { st.DbSize, st.DbSizeQuota = 96, 100 }, Critical, "96 %"},
		"mixed versions":       {FoundVersions, func(st *pb.StatusResponse) { st.Version = "3.5.21" }, Info, "3.5.21 (etcd-2)"},
		"no quota is known":    {FoundNearQuota, func(st *pb.StatusResponse) { st.DbSize = 1 << 40 }, 0, ""},
		"all is well":          {FoundNoQuorum, func(*pb.StatusResponse) {}, 0, ""},
		"a term of its own":    {FoundTwoLeaders, func(st *pb.StatusResponse) { st.Leader, st.RaftTerm = 2, 5 }, 0, ""},
		"a cluster of its own": {FoundTwoLeaders, func(st *pb.StatusResponse) { st.Leader, st.Header.ClusterId = 2, 0xdd }, 0, ""},
	} {
		f := newFacts(t, 3)
		for id := range uint64(3) {
			st := status(id+1, 1, 4, 100, 100)
			if id == 1 {
				c.change(st)
			} else if c.kind == FoundAlarm { // every member tells of every alarm
				other := status(2, 1, 4, 100, 100)
				c.change(other)
				st.Errors = other.Errors
			}
			f.say(ms(0), ms(1), st)
		}
		if c.kind == FoundTwoLeaders && find(f.at(ms(2)), c.kind) != nil {
			t.Errorf("%s: told of one look at members that are not asked at one moment", name)
		}
		f.at(ms(2))
		s := f.at(ms(4000))
		got := find(s, c.kind)
		switch {
		case c.text == "" && got != nil:
			t.Errorf("%s: found %+v", name, got)
		case c.text != "" && (got == nil || got.Severity != c.sev || !strings.Contains(got.Text, c.text)):
			t.Errorf("%s: found %+v, want %q", name, s.Findings, c.text)
		case c.text != "" && len(s.Findings) != 1:
			t.Errorf("%s: more than one finding: %+v", name, s.Findings)
		case c.text != "":
			if later := find(f.at(ms(5000)), c.kind); later == nil || !later.Since.Equal(ms(2)) {
				t.Errorf("%s: since %v, found at %v", name, later, ms(2))
			}
		}
	}
}

func TestWentBack(t *testing.T) {
	kinds := func(s *Snapshot) (out []string) {
		for _, f := range s.Findings {
			if f.Kind != FoundSingle {
				out = append(out, f.Kind)
			}
		}
		return out
	}
	f := newFacts(t, 1)
	say := func(at int, term uint64, revision int64, clusterID uint64) []string {
		st := status(1, 1, term, 100, 100)
		st.Header.Revision, st.Header.ClusterId = revision, clusterID
		f.say(ms(at), ms(at+1), st)
		return kinds(f.at(ms(at + 2)))
	}
	say(0, 7, 500, 0xc1)
	if got := say(1000, 7, 480, 0xc1); len(got) != 0 {
		t.Errorf("one poll, as after a restart while the log is applied: %v", got)
	}
	if got := say(2000, 7, 520, 0xc1); len(got) != 0 {
		t.Errorf("it has caught up: %v", got)
	}
	say(3000, 7, 400, 0xc1)
	if got := say(4000, 7, 400, 0xc1); !slices.Equal(got, []string{FoundRevisionBack}) {
		t.Errorf("the revision stays below: %v", got)
	}
	if got := say(5000, 6, 400, 0xc1); !slices.Contains(got, FoundTermBack) {
		t.Errorf("the term went back: %v", got)
	}
	if got := say(6000, 6, 410, 0xc1); len(got) != 2 {
		t.Errorf("what happened is kept, once: %v", got)
	}
	g := newFacts(t, 1)
	f = g
	say(0, 7, 500, 0xc1)
	say(1000, 1, 3, 0xee)
	if got := say(2000, 1, 3, 0xee); len(got) != 0 {
		t.Errorf("a new cluster in the old one's place has terms of its own: %v", got)
	}
	for i := range 100 {
		say(3000+i, uint64(200-i), 3, 0xee)
	}
	if n := len(f.events); n != maxEvents {
		t.Errorf("%d events are kept, want %d", n, maxEvents)
	}
}

func TestPublishedRowsDoNotChange(t *testing.T) {
	f := newFacts(t, 1)
	f.say(ms(0), ms(1), status(1, 1, 4, 100, 100))
	s := f.at(ms(2))
	row, before := s.Members[0], *s.Members[0]
	h := before.History[0]
	for i := range 3 * HistoryLen {
		f.say(ms(1000*(i+1)), ms(1000*(i+1)+1), status(1, 1, 4, uint64(200+i), 200))
	}
	f.failed(f.conns[1], ms(900_000), "no answer within 1s", false)
	last := f.row(1, ms(900_001))
	if row.CommitIndex != before.CommitIndex || len(row.History) != 1 || row.History[0] != h || !row.Reachable {
		t.Errorf("a published row changed: %+v", row)
	}
	if n := len(last.History); n != HistoryLen || last.History[n-1].OK {
		t.Errorf("history of %d samples, the last %+v", n, last.History[n-1])
	}
	if last.Reachable || last.Role != Unreachable || last.LastRole != Leader || last.CommitIndex != 200+3*HistoryLen-1 || last.Errors[0] != "no answer within 1s" {
		t.Errorf("what was known last: %+v", last)
	}
}

func TestRows(t *testing.T) {
	f := newFacts(t, 3)
	alias, _ := f.conn(&cluster.Member{Endpoint: "http://etcd-one:2379"}) // another name of the first
	stranger, _ := f.conn(&cluster.Member{Endpoint: "http://10.9.9.9:2379"})
	f.list[2].Name = "" // added, not joined yet
	f.answered(alias, ms(0), ms(1), status(1, 1, 4, 100, 100))
	f.failed(f.conns[1], ms(1), "no route to host", false)
	f.say(ms(0), ms(1), status(2, 1, 4, 100, 100))
	f.failed(f.conns[3], ms(1), "connection refused", false)
	f.failed(stranger, ms(1), "no such host", false)
	s := f.at(ms(2))
	var got []string
	for _, m := range s.Members {
		got = append(got, fmt.Sprintf("%s %s %s", m.GetName(), m.Endpoint, m.Role))
	}
	want := []string{"3 http://10.0.0.3:2379 unstarted", "etcd-1 http://etcd-one:2379 leader", "etcd-2 http://10.0.0.2:2379 follower",
		"http://10.9.9.9:2379 http://10.9.9.9:2379 unreachable"}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	for i, m := range s.Members {
		if j, ok := s.Find(m.ID()); !ok || j != i {
			t.Errorf("row %s is not found", m.ID())
		}
	}
	f.answered(f.conns[1], ms(1000), ms(1001), status(2, 1, 4, 100, 100)) // a load balancer: somebody else answers there now
	f.failed(alias, ms(1001), "connection refused", false)
	if m := f.row(1, ms(1002)); m.Reachable || m.Errors[0] != "connection refused" {
		t.Errorf("member 1: %+v", m)
	}
}

func TestKine(t *testing.T) {
	f := newFacts(t, 0)
	c, _ := f.conn(&cluster.Member{Endpoint: "http://127.0.0.1:2379"})
	f.answered(c, ms(0), ms(1), &pb.StatusResponse{Header: &pb.ResponseHeader{}, DbSize: 4096, Version: "3.5.13"})
	s := f.at(ms(2))
	if !s.Kine || s.State.Phase != watchers.Unsupported || !strings.Contains(s.State.Why, "kine") || s.Quorum.Has || len(s.Findings) != 0 {
		t.Errorf("snapshot %+v", s)
	}
	if len(s.Members) != 1 || s.Members[0].DBSize != 4096 || s.Members[0].ID() != "http://127.0.0.1:2379" {
		t.Errorf("members %+v", s.Members)
	}
	if f.wantsList(c, ms(2), time.Second) {
		t.Error("kine is asked for members")
	}
}

func TestKineGoesDown(t *testing.T) {
	f := newFacts(t, 0)
	c, _ := f.conn(&cluster.Member{Endpoint: "http://127.0.0.1:2379"})
	f.answered(c, ms(0), ms(1), &pb.StatusResponse{Header: &pb.ResponseHeader{}, DbSize: 4096, Version: "3.5.13"})
	f.at(ms(2))
	f.failed(c, ms(1000), "connection refused", false)
	s := f.at(ms(1001))
	if !s.Kine || len(s.Findings) != 0 {
		t.Errorf("kine is down: kine %v, findings %+v", s.Kine, s.Findings)
	}
	if s.State.Phase != watchers.Stale || !strings.Contains(s.State.Why, "connection refused") {
		t.Errorf("state %+v", s.State)
	}
}

// What was known of one member is not told of another that answers at its endpoint now.
func TestAnotherMemberAtTheEndpoint(t *testing.T) {
	f := newFacts(t, 3)
	f.all(0, 1, 4)
	quota := uint64(1 << 30)
	f.conns[3].metrics = &Metrics{At: ms(0), QuotaBytes: &quota}
	f.probed(f.conns[3], false, ReadProbe{At: ms(5), Err: "no answer within 1.5s"})
	f.list = []*pb.Member{f.list[0], f.list[1], {ID: 4, Name: "etcd-3", ClientURLs: f.list[2].ClientURLs}}
	f.answered(f.conns[3], ms(9000), ms(9001), status(4, 1, 4, 1, 1))
	if r := f.row(4, ms(9002)); r.Metrics != nil || r.Quota != 0 || r.Linearizable.Err != "" {
		t.Errorf("metrics %+v, quota %d, reads %+v are those of the member before", r.Metrics, r.Quota, r.Linearizable)
	}
}
