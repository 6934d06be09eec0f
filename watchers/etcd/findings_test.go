package etcd

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"fathom/watchers"
)

// found is the finding of a kind; nil: there is none.
func found(s *Snapshot, kind string) *Finding {
	if i := slices.IndexFunc(s.Findings, func(f Finding) bool { return f.Kind == kind }); i >= 0 {
		return &s.Findings[i]
	}
	return nil
}

func (f *facts) want(s *Snapshot, kind string, sev Severity, text string) {
	f.t.Helper()
	got := found(s, kind)
	switch {
	case text == "" && got != nil:
		f.t.Errorf("found %s without a reason: %+v", kind, got)
	case text != "" && got == nil:
		f.t.Errorf("%s is not found: %+v", kind, s.Findings)
	case text != "" && (got.Severity != sev || !strings.Contains(got.Text, text)):
		f.t.Errorf("%+v, want %q with severity %d", got, text, sev)
	}
}

// Every kind of finding says what it means, what to do, and where that is written.
func TestFindingsMeanSomething(t *testing.T) {
	src, err := os.ReadFile("finding.go")
	if err != nil {
		t.Fatal(err)
	}
	kinds := regexp.MustCompile(`Found\w+\s+= "([^"]+)"`).FindAllStringSubmatch(string(src), -1)
	if len(kinds) < 25 || len(kinds) != len(meanings) {
		t.Errorf("%d kinds and %d meanings", len(kinds), len(meanings))
	}
	for _, k := range kinds {
		f := Finding{Kind: k[1]}
		if f.explain(); f.Meaning == "" || f.Next == "" || !strings.HasPrefix(f.Source, "https://") {
			t.Errorf("%s: %+v", k[1], f)
		}
	}
}

func TestFindingsOfTheMemberList(t *testing.T) {
	f := newFacts(t, 3)
	hosts := []string{"https://10.0.0.1:2380", "https://10.0.0.1:2390", "https://127.0.0.1:2380"}
	for i := range f.list {
		f.list[i].PeerURLs = hosts[i : i+1]
	}
	s := f.all(0, 1, 4)
	f.want(s, FoundOneHost, Warning, "etcd-1 and etcd-2 are on one host, 10.0.0.1")
	for i := range f.list {
		f.list[i].PeerURLs = []string{"https://127.0.0.1:2380"}
	}
	f.want(f.at(ms(3)), FoundOneHost, 0, "") // a sandbox, or proxies
	f.want(s, FoundEven, 0, "")
	f.want(s, FoundSingle, 0, "")

	f.list = append(f.list, &pb.Member{ID: 4, ClientURLs: []string{"http://10.0.0.4:2379"}})
	f.refusedURL("http://10.0.0.4:2379", os.ErrInvalid)
	s = f.all(1000, 1, 4)
	f.want(s, FoundEven, Info, "4 voting members: an even number, which may lose 1, as many as 3 may")
	f.want(s, FoundUnstarted, Warning, "was added and has not joined")
	f.list = f.list[:1]
	f.want(f.at(ms(1500)), FoundSingle, Info, "a single voting member")
}

func TestFindingsOfMembersThatDisagree(t *testing.T) {
	f := newFacts(t, 3)
	full := f.list
	f.all(0, 1, 4)
	for id := range uint64(3) {
		f.listed(f.conns[id+1], ms(10), full)
	}
	alone := []*pb.Member{full[2]}
	f.listed(f.conns[3], ms(1000), alone)
	f.want(f.all(1000, 1, 4), FoundLists, 0, "") // once is as long as lists take to spread
	f.listed(f.conns[3], ms(6000), full[:2])
	f.listed(f.conns[3], ms(7000), alone)
	f.listed(f.conns[3], ms(8000), alone)
	f.want(f.all(8000, 1, 4), FoundLists, 0, "") // members come and go
	f.listed(f.conns[3], ms(11_000), alone)
	f.want(f.all(11_000, 1, 4), FoundLists, Critical, "etcd-3 has a member list of itself alone, the others have 3 members")
	ghost := append(slices.Clone(full[:1]), full[2], &pb.Member{ID: 9, Name: "ghost"})
	for at := 19_000; at <= 21_000; at += 1000 {
		f.listed(f.conns[3], ms(at), ghost)
	}
	f.want(f.all(21_000, 1, 4), FoundLists, Critical, "the member list of etcd-3 differs from the leader's: it lacks etcd-2, it has ghost")
	f.listed(f.conns[3], ms(31_000), full)
	f.want(f.all(31_000, 1, 4), FoundLists, 0, "")
	// A zombie: it answers, and the list, which is younger than that, does not have it.
	f.list = full[:2]
	f.want(f.all(32_000, 1, 4), FoundStranger, Critical, "etcd-3 answers and is not in the member list")
}

func TestFindingsOfSpace(t *testing.T) {
	f := newFacts(t, 1)
	say := func(at int, size, used, quota int64) *Snapshot {
		st := status(1, 1, 4, 100, 100)
		st.DbSize, st.DbSizeInUse, st.DbSizeQuota = size, used, quota
		f.say(ms(at), ms(at+1), st)
		return f.at(ms(at + 2))
	}
	f.want(say(0, 300<<20, 100<<20, 1<<30), FoundFragmented, Warning, "of the database of etcd-1, 300 MB, only 33 % is in use")
	f.want(say(1000, 90<<20, 10<<20, 1<<30), FoundFragmented, 0, "")
	f.want(say(2000, 300<<20, 200<<20, 1<<30), FoundFragmented, 0, "")
	// 1 MB a second: 500 MB are full in less than nine minutes.
	var s *Snapshot
	for i := range 300 {
		s = say(10_000+1000*i, int64(200+i)<<20, 200<<20, 1000<<20)
		if g := s.Members[0].Growth; i < 170 && g.Known {
			t.Fatalf("a forecast after %d s: %+v", i, g)
		}
	}
	g := s.Members[0].Growth
	if !g.Known || g.BytesPerSecond < 0.99*(1<<20) || g.BytesPerSecond > 1.01*(1<<20) || g.UntilQuota.Round(10*time.Second) != 500*time.Second {
		t.Errorf("growth %+v", g)
	}
	f.want(s, FoundNearQuota, Warning, "grows by 1049 kB/s: it reaches its quota in 8m0s")
	if s = say(400_000, 100<<20, 90<<20, 1000<<20); s.Members[0].Growth.Known {
		t.Error("after a defragmentation it begins anew")
	}
	for i := range 300 {
		s = say(401_000+1000*i, 100<<20, 90<<20, 1000<<20)
	}
	if g := s.Members[0].Growth; !g.Known || g.BytesPerSecond != 0 || g.UntilQuota != 0 {
		t.Errorf("it does not grow: %+v", g)
	}
	f.want(s, FoundNearQuota, 0, "")
}

func TestFindingsOfLag(t *testing.T) {
	f := newFacts(t, 3)
	f.list[2].IsLearner = true
	run := func(from, seconds int, behind func(i int) uint64) *Snapshot {
		for i := range seconds {
			at, commit := from+1000*i, uint64(10_000_000+1000*(from/1000+i))
			f.say(ms(at), ms(at+1), status(1, 1, 4, commit, commit))
			f.say(ms(at+50), ms(at+51), status(2, 1, 4, commit, commit))
			st := status(3, 1, 4, commit-behind(i), commit-behind(i))
			st.IsLearner = true
			f.say(ms(at+50), ms(at+51), st)
			f.at(ms(at + 60))
		}
		return f.at(ms(from + 1000*seconds))
	}
	s := run(0, 60, func(i int) uint64 { return 900_000 - uint64(50_000*min(i, 16)) })
	f.want(s, FoundLearner, Warning, "etcd-3 is 100000 entries behind the leader and") // etcd's own gate would let it pass at 99 %
	s = run(60_000, 20, func(i int) uint64 { return 100_000 - uint64(1000*i) })
	f.want(s, FoundLearner, 0, "") // it comes nearer
	s = run(80_000, 700, func(int) uint64 { return 3 })
	f.want(s, FoundLearner, 0, "")
	f.want(s, FoundLearnerReady, Info, "etcd-3 is a learner and has caught up")
	s = run(800_000, 40, func(i int) uint64 { return 2000 + uint64(10*i) })
	f.want(s, FoundLearner, Warning, "does not come nearer")
	f.want(s, FoundLag, 0, "")
	f.list[2].IsLearner = false
	for i := range 40 {
		at, commit := 900_000+1000*i, uint64(20_000_000+1000*i)
		f.say(ms(at), ms(at+1), status(1, 1, 4, commit, commit))
		f.say(ms(at+50), ms(at+51), status(3, 1, 4, commit, commit-6000))
	}
	f.want(f.at(ms(940_000)), FoundLag, Warning, "etcd-3 is 6000 entries behind")
}

func TestFindingsOfMetrics(t *testing.T) {
	f := newFacts(t, 3)
	f.all(0, 1, 4)
	half, tiny := 600*time.Millisecond, time.Millisecond
	set := func(m *Metrics) *Snapshot {
		f.conns[2].metrics = m
		return f.at(ms(1000))
	}
	s := set(&Metrics{At: ms(900), FsyncP99: &half, CommitP99: &half, PeerRTTP99: &half})
	f.want(s, FoundFsync, Warning, "etcd-2 needs 600ms for a WAL fsync")
	f.want(s, FoundCommit, Warning, "600ms for a commit")
	f.want(s, FoundRTT, Warning, "from etcd-2 to a peer takes 600ms")
	s = set(&Metrics{At: ms(900), FsyncP99: &tiny})
	for _, k := range []string{FoundFsync, FoundCommit, FoundRTT} {
		f.want(s, k, 0, "")
	}
	s = set(&Metrics{At: ms(900).Add(-time.Minute), FsyncP99: &half})
	f.want(s, FoundFsync, 0, "") // that was then
	f.measured(f.conns[2], nil, "", os.ErrDeadlineExceeded)
	if m := f.row(2, ms(1001)); m.Metrics == nil || m.MetricsWhy == "" {
		t.Errorf("what was known is not kept, or not why there is no more: %+v", m)
	}
}

func TestFindingsOfCertificates(t *testing.T) {
	f := newFacts(t, 3)
	f.all(0, 1, 4)
	day := 24 * time.Hour
	cert := func(use CertUse, left time.Duration) Certificate {
		return Certificate{Use: use, URL: "https://x", NotAfter: ms(100).Add(left), At: ms(50)}
	}
	f.showed(f.conns[2], []Certificate{cert(CertServer, 40*day), cert(CertPeer, 20*day)})
	f.want(f.at(ms(100)), FoundCertificate, Warning, "the certificate that etcd-2 shows to its peers expires in 20 days")
	f.showed(f.conns[2], []Certificate{cert(CertServer, 40*day), {Use: CertPeer, URL: "https://x", Why: "connection refused"}})
	if c := f.row(2, ms(100)).Certs[1]; c.NotAfter.IsZero() || c.Why != "connection refused" {
		t.Errorf("what was shown before is forgotten: %+v", c)
	}
	f.showed(f.conns[2], []Certificate{cert(CertServer, -time.Hour)})
	f.want(f.at(ms(100)), FoundCertificate, Critical, "the certificate that etcd-2 shows to clients has expired on 2026-11-21")
	f.showed(f.conns[2], []Certificate{cert(CertServer, 40*day)})
	f.ours = cert(CertOurs, 36*time.Hour)
	f.want(f.at(ms(100)), FoundCertificate, Critical, "our client certificate expires in 36 hours")
	f.ours = Certificate{}
	f.want(f.at(ms(100)), FoundCertificate, 0, "")
}

func TestFindingsOfCompaction(t *testing.T) {
	f := newFacts(t, 3)
	f.all(0, 1, 4)
	minute := func(n int) time.Time { return t0.Add(time.Duration(n) * time.Minute) }
	for i := range 30 {
		f.compact.see(minute(i), int64(7+i/5), int64(1000+200*i)) // every five minutes
	}
	f.want(f.at(minute(30)), FoundCompaction, 0, "")
	for i := 30; i <= 42; i++ {
		f.compact.see(minute(i), 20, int64(7000+200*i))
	}
	f.want(f.at(minute(42)), FoundCompaction, Warning, "not compacted etcd for 12m0s, in which 2400 revisions were written")
	for i := 43; i < 60; i++ {
		f.compact.see(minute(i), 21, 20_000) // nothing is written: there is nothing to compact
	}
	f.want(f.at(minute(60)), FoundCompaction, 0, "")
	f.compact = compaction{}
	for i := range 30 {
		f.compact.see(minute(i), 0, int64(1000+200*i)) // no Kubernetes
	}
	f.want(f.at(minute(60)), FoundCompaction, 0, "")
}

func TestFindingsOfVersions(t *testing.T) {
	f := newFacts(t, 2)
	var downgrade *pb.DowngradeInfo
	say := func(at int, version, storage string) *Snapshot {
		for id := range uint64(2) {
			st := status(id+1, 1, 4, 10, 10)
			st.DowngradeInfo = downgrade
			if st.Version, st.StorageVersion = version, "3.6.0"; id == 1 {
				st.StorageVersion = storage
			}
			f.say(ms(at), ms(at+1), st)
		}
		return f.at(ms(at + 2))
	}
	f.want(say(0, "3.6.8", "3.5.0"), FoundStorage, 0, "") // as it is for some seconds after an upgrade
	f.want(say(61_000, "3.6.8", "3.5.0"), FoundStorage, Info, "the storage version of etcd-2 is 3.5.0, though all members run 3.6.8")
	f.want(say(62_000, "3.6.8", "3.6.0"), FoundStorage, 0, "")
	downgrade = &pb.DowngradeInfo{Enabled: true, TargetVersion: "3.5.0"}
	say(63_000, "3.6.8", "3.5.0")
	s := say(124_000, "3.6.8", "3.5.0")
	f.want(s, FoundStorage, Info, "though all members run 3.6.8; a downgrade to 3.5.0 is enabled")
	advised := func(s *Snapshot) (out []string) {
		for _, m := range AdvisorInputOf(s).Members {
			out = append(out, m.Storage+" "+m.Downgrade)
		}
		return out
	}
	if got := advised(s); !slices.Equal(got, []string{"3.6.0 3.5.0", "3.5.0 3.5.0"}) {
		t.Errorf("the advisor is told %q", got)
	}
	downgrade = &pb.DowngradeInfo{TargetVersion: "3.5.0"} // and it is given up
	if got := advised(say(125_000, "3.6.8", "3.5.0")); !slices.Equal(got, []string{"3.6.0 ", "3.5.0 "}) {
		t.Errorf("then the advisor is told %q", got)
	}
}

// An applied index that is beyond the commit index of the same answer is nothing: they are not read at one moment.
func TestFindingsOfAppliedBeyondCommit(t *testing.T) {
	f := newFacts(t, 1)
	say := func(at int, commit, applied uint64) *Snapshot {
		f.say(ms(at), ms(at+1), status(1, 1, 4, commit, applied))
		return f.at(ms(at + 2))
	}
	for i := range 10 {
		f.want(say(1000*i, uint64(100*i), uint64(100*i+50)), FoundAppliedAhead, 0, "")
	}
	f.want(say(20_000, 20, 10), FoundAppliedAhead, 0, "") // restarted
	f.want(say(21_000, 30, 30), FoundAppliedAhead, 0, "")
	for i := range 4 {
		say(30_000+1000*i, 100, 200)
	}
	f.want(f.at(ms(35_000)), FoundAppliedAhead, Critical, "etcd-1 had applied entry 200, and knows only of 100 as committed")
}

// Before 3.5.32 and 3.6.12 authentication keeps the status from all but root: the members answer, and have a quorum as far as can be seen.
func TestDeniedStatus(t *testing.T) {
	f := newFacts(t, 3)
	for id, c := range f.conns {
		f.failed(c, ms(1), "etcdserver: permission denied", true)
		f.probed(c, false, ReadProbe{At: ms(int(id)), RTT: time.Millisecond})
	}
	s := f.at(ms(10))
	if q := s.Quorum; !q.Has || q.Reachable != 3 || q.Voters != 3 || q.Leader != 0 {
		t.Errorf("quorum %+v", q)
	}
	if s.State.Phase != watchers.Denied || s.State.Why == "" || len(s.Members) != 3 || s.Members[0].Role != Denied || s.Members[0].Name != "etcd-1" {
		t.Errorf("state %+v, members %+v", s.State, s.Members[0])
	}
	f.want(s, FoundDenied, Warning, "permission denied")
	f.want(s, FoundUnreachable, 0, "")
	f.want(s, FoundNoQuorum, 0, "")
}

func TestQuorumInWords(t *testing.T) {
	words := func(q Quorum) string { return strings.Join(q.Words(), "; ") }
	for want, q := range map[string]Quorum{
		"3 voting members, quorum 2, may lose 1":                                                 {Has: true, Voters: 3, Reachable: 3, CanLose: 1},
		"5 voting members, quorum 3, may lose 2; 1 more may fail now":                            {Has: true, Voters: 5, Reachable: 4, CanLose: 1},
		"7 voting members, quorum 4, may lose 3":                                                 {Has: true, Voters: 7, Reachable: 7, CanLose: 3},
		"3 voting members, quorum 2, may lose 1; 1 member is lost now: no more may fail":         {Has: true, Voters: 3, Reachable: 2},
		"3 voting members, quorum 2, may lose 1; 1 of 3 answer: 1 more must come back before an": {Voters: 3, Reachable: 1},
		"3 voting members, quorum 2, may lose 1; 1 of 3 answer us: as far as they know":          {Has: true, Voters: 3, Reachable: 1},
		"5 voting members, quorum 3, may lose 2; 2 of 5 answer us: as far as they know":          {Has: true, Voters: 5, Reachable: 2},
		"1 voting member: it is the quorum":                                                      {Has: true, Voters: 1, Reachable: 1},
		"4 voting members, quorum 3, may lose 1: no more than 3 members could bear":              {Has: true, Voters: 4, Reachable: 4, CanLose: 1},
	} {
		if got := words(q); !strings.HasPrefix(got, want) {
			t.Errorf("%+v: %q, want %q", q, got, want)
		}
	}
	f := newFacts(t, 3)
	s := f.all(0, 1, 4)
	for id, want := range map[string]string{
		"1": "2 members are left, of which 2 are needed; 0 more may fail then; it leads", "2": "2 members are left", "9": "",
	} {
		if got := s.IfGone(id); !strings.Contains(got, want) || want == "" && got != "" {
			t.Errorf("if %s goes: %q, want %q", id, got, want)
		}
	}
	f.failed(f.conns[3], ms(1000), "connection refused", false)
	s = f.at(ms(1001))
	for id, want := range map[string]string{"2": "no quorum (2 of 3 are needed)", "3": "it is gone, and no other may go: quorum is 2 of 3"} {
		if got := s.IfGone(id); !strings.Contains(got, want) {
			t.Errorf("if %s goes: %q, want %q", id, got, want)
		}
	}
	// One member in our reach, as through a tunnel: the quorum is proved, and who makes it is not seen.
	f.failed(f.conns[2], ms(2000), "connection refused", false)
	f.probed(f.conns[1], false, ReadProbe{At: ms(2000), RTT: time.Millisecond})
	s = f.at(ms(2001))
	for id, want := range map[string]string{"1": "if it goes: whether there is a quorum then cannot be seen from here", "3": "it does not answer us"} {
		if got := s.IfGone(id); !s.Quorum.Has || !strings.HasPrefix(got, want) {
			t.Errorf("if %s goes: %q, want %q", id, got, want)
		}
	}
}

func TestDeniedWords(t *testing.T) {
	f := newFacts(t, 3)
	for id, c := range f.conns {
		f.failed(c, ms(1), "etcdserver: permission denied", true)
		f.probed(c, false, ReadProbe{At: ms(int(id)), RTT: time.Millisecond})
	}
	s := f.at(ms(10))
	if got := strings.Join(s.Quorum.Words(), "; "); got != "3 voting members, quorum 2, may lose 1" {
		t.Errorf("in words: %q", got)
	}
	if got := s.IfGone("1"); !strings.HasPrefix(got, "if it goes: 2 members are left") {
		t.Errorf("if it goes: %q", got)
	}
}

func TestCompactionUnseen(t *testing.T) {
	f := newFacts(t, 3)
	f.all(0, 1, 4)
	minute := func(n int) time.Time { return t0.Add(time.Duration(n) * time.Minute) }
	for i := range 5 {
		f.compact.see(minute(i), 7, int64(1000+200*i))
	}
	f.want(f.at(minute(20)), FoundCompaction, 0, "")
}

func TestReplacedMemberIsNoStranger(t *testing.T) {
	f := newFacts(t, 3)
	f.all(0, 1, 4)
	old := f.list
	for _, id := range []uint64{1, 2, 3} {
		f.listed(f.conns[id], ms(10), old)
	}
	f.at(ms(11))
	// The third was removed, and is added again: it answers under another ID, before the leader is asked for the list again.
	now := []*pb.Member{old[0], old[1], {ID: 4, Name: "etcd-3", ClientURLs: old[2].ClientURLs}}
	f.answered(f.conns[3], ms(5000), ms(5001), status(4, 1, 4, 100, 100))
	f.listed(f.conns[3], ms(5002), now)
	f.want(f.at(ms(5003)), FoundStranger, 0, "")
	f.listed(f.conns[1], ms(6000), old) // the leader does not know it: it is none
	f.want(f.at(ms(6003)), FoundStranger, Critical, "is not in the member list")
}
