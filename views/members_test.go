package views

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/charmbracelet/x/ansi"
	"github.com/charmbracelet/x/exp/golden"

	"fathom/actions"
	"fathom/cluster"
	"fathom/keymap"
	"fathom/ui/draw"
	"fathom/watchers"
	"fathom/watchers/etcd"
)

func memberHistory(n int, ok func(i int) bool) []etcd.Sample {
	out := make([]etcd.Sample, n)
	for i := range out {
		out[i] = etcd.Sample{At: pictureNow.Add(time.Duration(i-n) * time.Second), OK: ok(i), RTT: time.Duration(1+i*i%17) * time.Millisecond,
			Lag: uint64(i % 9 * 3), DBSize: int64(40+i) << 20, FsyncP99: time.Duration(2+i%5) * time.Millisecond,
			CommitP99: time.Duration(5+i%7) * time.Millisecond, PeerRTTP99: time.Duration(900+i%400) * time.Microsecond}
	}
	return out
}

// membersFixture is a cluster of which one member is down, one is behind, and one raises an alarm.
func membersFixture() *etcd.Snapshot {
	probe := func(d time.Duration) etcd.ReadProbe { return etcd.ReadProbe{At: pictureNow, RTT: d} }
	row := func(id uint64, n int) *etcd.MemberRow {
		return &etcd.MemberRow{
			MemberID: id, ClusterID: 0xc1, Name: fmt.Sprintf("etcd-%d", n), Endpoint: fmt.Sprintf("https://10.0.0.%d:2379", n),
			PeerURLs: []string{fmt.Sprintf("https://10.0.0.%d:2380", n)}, Role: etcd.Follower, LastRole: etcd.Follower, Reachable: true, Polled: true,
			LastSeen: pictureNow.Add(-200 * time.Millisecond), Term: 7, LeaderID: 0x8e9e05c52164694d, CommitIndex: 5240881, AppliedIndex: 5240881,
			Revision: 4711042, DBSize: 160 << 20, DBSizeInUse: 91 << 20, Quota: 2 << 30, Version: "3.6.8", StorageVersion: "3.6.0",
			StatusRTT: 900 * time.Microsecond, Serializable: probe(700 * time.Microsecond), Linearizable: probe(2300 * time.Microsecond),
			History: memberHistory(120, func(int) bool { return true }), Metrics: memberMetrics(n),
			Growth: etcd.Growth{Known: true, BytesPerSecond: 41000, UntilQuota: 13*time.Hour + 20*time.Minute, Over: 10 * time.Minute},
			Certs: []etcd.Certificate{{Use: etcd.CertServer, NotAfter: pictureNow.Add(364 * 24 * time.Hour)},
				{Use: etcd.CertPeer, NotAfter: pictureNow.Add(time.Duration(n) * 10 * 24 * time.Hour)}},
		}
	}
	lead := row(0x8e9e05c52164694d, 1)
	lead.Role, lead.LastRole = etcd.Leader, etcd.Leader
	lag := row(0xcb8f1a2b3c4d5e6f, 2)
	lag.Lag, lag.AppliedIndex, lag.DBSize = 4200, 5236681, 1990<<20
	lag.Errors = []string{"memberID:14668571027599468478 alarm:NOSPACE "}
	lag.Linearizable.Err, lag.Linearizable.RTT = "no answer within 1.5s", 1500*time.Millisecond
	dead := row(0x77cc2a1b00f3d9e1, 3)
	dead.Role, dead.Reachable, dead.LastSeen = etcd.Unreachable, false, pictureNow.Add(-72*time.Second)
	dead.Errors = []string{"connection refused: nothing listens there; check that the server runs, and its address (dial tcp 10.0.0.3:2379: connect: connection refused)"}
	dead.History = memberHistory(120, func(i int) bool { return i < 60 })
	dead.Metrics, dead.MetricsWhy, dead.Growth = nil, "connection refused", etcd.Growth{}
	for i := range dead.History {
		dead.History[i].FsyncP99, dead.History[i].CommitP99, dead.History[i].PeerRTTP99 = 0, 0, 0
	}
	for i := range lag.History[90:] {
		lag.History[90+i].Lag, lag.History[90+i].FsyncP99 = uint64(1300+100*i), time.Duration(300+20*i)*time.Millisecond
	}
	return &etcd.Snapshot{
		Gen: 9, Polled: true, At: pictureNow, ClusterID: 0xc1, State: livePart(), Members: []*etcd.MemberRow{lead, lag, dead},
		Quorum: etcd.Quorum{Has: true, Voters: 3, Reachable: 2, Leader: lead.MemberID, LeaderName: "etcd-1", Term: 7,
			LeaderSince: pictureNow.Add(-4 * time.Minute), Changes: 1},
		Timeline: []etcd.Leadership{
			{At: pictureNow.Add(-41 * time.Minute), Term: 5, Leader: dead.MemberID, LeaderName: "etcd-3", First: true},
			{At: pictureNow.Add(-20 * time.Minute), Term: 6, Leader: lag.MemberID, LeaderName: "etcd-2", From: dead.MemberID, FromName: "etcd-3", Moved: true},
			{At: pictureNow.Add(-4*time.Minute - 2*time.Second), Term: 6, From: lag.MemberID, FromName: "etcd-2",
				Before: []string{"etcd-2 synced its log slowly: fsync p99 was 812 ms, above 500 ms", "12 heartbeats of etcd-2 failed"}},
			{At: pictureNow.Add(-4 * time.Minute), Term: 7, Leader: lead.MemberID, LeaderName: "etcd-1", From: lag.MemberID, FromName: "etcd-2", Without: 2100 * time.Millisecond},
		},
		Findings: []etcd.Finding{
			{Kind: etcd.FoundAlarm, Severity: etcd.Critical, Since: pictureNow.Add(-3 * time.Minute),
				Meaning: "the database has reached its quota; reads and deletions go on, everything else is refused until the alarm is disarmed",
				Next:    "compact, defragment one member after the other, then disarm the alarm", Source: "https://etcd.io/docs/latest/op-guide/maintenance/#space-quota",
				Text: "alarm NOSPACE of etcd-2: etcd refuses writes; compact, defragment each member, then disarm the alarm"},
			{Kind: etcd.FoundUnreachable, Severity: etcd.Warning, Since: pictureNow.Add(-72 * time.Second), Member: dead.ID(),
				Meaning: "a member that stays away is one that can be lost less", Next: "look at its process and its log; when its disk is lost, remove it and add it anew", Text: "etcd-3 does not answer: connection refused"},
		},
	}
}

// healthyMembers is a cluster of n members with nothing wrong.
func healthyMembers(n int) *etcd.Snapshot {
	s := membersFixture()
	lead := s.Members[0]
	s.Members, s.Findings, s.Timeline = nil, nil, s.Timeline[3:]
	s.Timeline[0] = etcd.Leadership{At: pictureNow.Add(-4 * time.Minute), Term: 7, Leader: lead.MemberID, LeaderName: "etcd-1", First: true}
	for i := range n {
		m := *lead
		if m.Name = fmt.Sprintf("etcd-%d", i+1); i > 0 {
			m.MemberID, m.Role, m.LastRole = uint64(i), etcd.Follower, etcd.Follower
		}
		m.Version = "3.6.14"
		for j := range m.History {
			m.History[j].Lag = 0
		}
		s.Members = append(s.Members, &m)
	}
	s.Quorum = etcd.Quorum{Has: true, Voters: n, Reachable: n, CanLose: (n - 1) / 2, Leader: lead.MemberID, LeaderName: "etcd-1", Term: 7, LeaderSince: pictureNow.Add(-4 * time.Minute)}
	return s
}

// Nothing moves when a finding comes or goes: the rows keep their lines.
func TestMembersDoesNotJump(t *testing.T) {
	for _, size := range [][2]int{{80, 20}, {118, 36}, {198, 56}} {
		line := func(findings []etcd.Finding) int {
			s := membersFixture()
			s.Findings = findings
			for i, l := range strings.Split(frame(membersPane(t, false, s), size[0], size[1]), "\n") {
				if strings.Contains(l, "ROLE") {
					return i
				}
			}
			t.Fatalf("%v: no header", size)
			return 0
		}
		all := membersFixture().Findings
		none, two, many := line(nil), line(all), line(append(append(append([]etcd.Finding{}, all...), all...), append(all, all...)...))
		if none != two || two != many {
			t.Errorf("%v: the header is in line %d without findings, %d with two, %d with eight", size, none, two, many)
		}
	}
}

// "Why did we elect?" has an answer on the screen, at every size.
func TestMembersTimeline(t *testing.T) {
	p := membersPane(t, false, membersFixture())
	if out := frame(p, 198, 56); !strings.Contains(out, "fsync p99 was 812 ms") {
		t.Errorf("a wide screen has room for the causes:\n%s", out)
	}
	p.Do(keymap.MembersTimeline)
	for _, want := range []string{"etcd-1 leads", "2.1s without a leader", "fsync p99 was 812 ms"} {
		if out := frame(p, 80, 20); !strings.Contains(out, want) {
			t.Errorf("%q is missing:\n%s", want, out)
		}
	}
	p.Do(keymap.Enter)
	if out := frame(p, 80, 24); !strings.Contains(out, "fathom moved the leadership from etcd-3 to etcd-2") || !strings.Contains(out, "led already when fathom began") {
		t.Errorf("all of it, zoomed:\n%s", out)
	}
	frame(p, 80, 6)
	p.Do(keymap.Bottom)
	if out := frame(p, 80, 6); !strings.Contains(out, "led already") {
		t.Errorf("its end cannot be reached on a small screen:\n%s", out)
	}
	p.Do(keymap.MembersTimeline)
	if out := frame(p, 80, 20); strings.Contains(out, "terms and leaders") || !strings.Contains(out, "etcd-1 leader") {
		t.Errorf("the same key goes back to the member:\n%s", out)
	}
	if msg, ok := p.Do(keymap.MembersFindings)().(OpenMsg); !ok || msg.Ref.View != "findings" {
		t.Errorf("the key to the findings opens %+v", msg)
	}
}

// What a member does not tell is "no metrics", and never 0.
func TestMembersWithoutMetrics(t *testing.T) {
	s := membersFixture()
	for _, m := range s.Members {
		m.Metrics, m.MetricsWhy, m.Growth, m.Certs = nil, "connection refused; give --etcd-metrics-urls", etcd.Growth{}, nil
		for i := range m.History {
			m.History[i].FsyncP99, m.History[i].CommitP99, m.History[i].PeerRTTP99 = 0, 0, 0
		}
	}
	p := membersPane(t, false, s)
	p.Do(keymap.Enter)
	out := frame(p, 118, 56)
	for _, line := range []string{"fsync p99    no metrics", "commit p99   no metrics", "peer RTT p99 no metrics", "proposals    no metrics", "leadership   no metrics",
		"metrics      no metrics: connection refused; give --etcd-metrics-urls", "certificates not seen", "growth not known"} {
		if !strings.Contains(out, line) {
			t.Errorf("%q is missing:\n%s", line, out)
		}
	}
	values := memberValues(s.Members[0])
	for i, k := range memberKeys {
		if strings.HasSuffix(k, "P99Seconds") || strings.HasPrefix(k, "proposals") || k == "slowApplies" || k == "clientCertNotAfter" || k == "quotaSecondsLeft" {
			if values[i] != nil {
				t.Errorf("%s is %v in JSON, want null", k, values[i])
			}
		}
	}
	if len(values) != len(memberKeys) {
		t.Errorf("%d values for %d names", len(values), len(memberKeys))
	}
}

func memberMetrics(n int) *etcd.Metrics {
	d := func(ms float64) *time.Duration { v := time.Duration(ms * float64(time.Millisecond)); return &v }
	u := func(v uint64) *uint64 { return &v }
	return &etcd.Metrics{At: pictureNow.Add(-3 * time.Second), URL: fmt.Sprintf("https://10.0.0.%d:2379/metrics", n), Over: time.Minute,
		FsyncP99: d(float64(2 * n)), CommitP99: d(7), PeerRTTP99: d(1.3), Peers: []etcd.PeerRTT{{Member: 0x8e9e05c52164694d, P99: d(1.3)}, {Member: 0x77cc2a1b00f3d9e1}},
		ProposalsPending: u(0), ProposalsFailed: &etcd.Counter{Total: 3}, SlowApplies: &etcd.Counter{Total: 17, Recent: 2},
		HeartbeatFailures: &etcd.Counter{}, Keys: u(48211), CompactRevision: u(4710001), ResidentBytes: u(310 << 20), Started: pictureNow.Add(-26 * time.Hour)}
}

func membersPane(t *testing.T, ascii bool, s *etcd.Snapshot) *members {
	t.Helper()
	env := pictureEnv(ascii)
	env.Etcd = &etcd.Watcher{}
	p, err := newMembers(env, Ref{View: "members"})
	if err != nil {
		t.Fatal(err)
	}
	m := p.(*members)
	m.snap = s
	m.advisory.sync(s)
	m.arrange()
	return m
}

func frame(p Pane, w, h int) string {
	c := draw.NewCanvas(w, h)
	p.Draw(c.Area(), true)
	return c.Plain()
}

func TestGoldenMembers(t *testing.T) {
	quorumLost := membersFixture()
	for _, m := range quorumLost.Members[1:] {
		m.Role, m.Reachable, m.LastSeen = etcd.Unreachable, false, pictureNow.Add(-9*time.Second)
		m.Errors = []string{"no answer within 1s"}
	}
	quorumLost.Members[0].Role, quorumLost.Members[0].LeaderID = etcd.NoLeader, 0
	quorumLost.Members[0].Errors = []string{"etcdserver: no leader"}
	quorumLost.Quorum = etcd.Quorum{Voters: 3, Reachable: 1, Term: 8, Changes: 1, Why: "no member that answers knows a leader"}
	quorumLost.Findings = []etcd.Finding{{Kind: etcd.FoundNoQuorum, Severity: etcd.Critical, Since: pictureNow.Add(-9 * time.Second),
		Text: "no quorum: no member that answers knows a leader", Meaning: "nothing can be written, and what is read may be old",
		Next: "bring one of etcd-2, etcd-3 back; do not remove members and do not restore while a majority can still come back"}}
	neverReached := &etcd.Snapshot{Gen: 1, Polled: true, At: pictureNow, State: watchers.State{Phase: watchers.Connecting},
		Quorum:  etcd.Quorum{Voters: 1, Why: "no voting member answers"},
		Members: []*etcd.MemberRow{{Endpoint: "https://10.0.0.1:2379", Role: etcd.Unreachable, Polled: true, Errors: []string{"no answer within 1s"}}}}
	healthy := healthyMembers(3)
	for name, c := range map[string]struct {
		snap *etcd.Snapshot
		down int
	}{"trouble": {membersFixture(), 1}, "dead": {membersFixture(), 2}, "no-quorum": {quorumLost, 0}, "never-reached": {neverReached, 0},
		"healthy": {healthy, 0}, "single": {healthyMembers(1), 0}, "seven": {healthyMembers(7), 3}} {
		for _, size := range [][2]int{{80, 20}, {118, 36}, {198, 56}} { // the inside of frames of 80x24, 120x40 and 200x60
			for glyphs, ascii := range map[string]bool{"unicode": false, "ascii": true} {
				t.Run(fmt.Sprintf("%s/%dx%d/%s", name, size[0], size[1], glyphs), func(t *testing.T) {
					p := membersPane(t, ascii, c.snap)
					for range c.down {
						p.Do(keymap.Down)
					}
					c := draw.NewCanvas(size[0], size[1])
					p.Draw(c.Area(), true)
					out := ansi.Strip(c.Render(p.env.Theme)) // Plain would not fold to ASCII
					if i := strings.IndexFunc(out, func(r rune) bool { return r > 0x7e }); ascii && i >= 0 {
						t.Errorf("a character outside ASCII: %q", out[i:min(len(out), i+8)])
					}
					golden.RequireEqual(t, out)
				})
			}
		}
	}
}

func TestMembersHostileText(t *testing.T) {
	s := membersFixture()
	evil := "\x1b[2J\x1b]52;c;AAAA\x07\u009b31m\u202e\nx"
	for _, m := range s.Members {
		m.Name, m.Version, m.StorageVersion, m.Endpoint = evil+m.Name, evil, evil, evil
		m.PeerURLs, m.Errors = []string{evil}, []string{evil}
	}
	s.Findings[0].Text, s.Quorum.LeaderName = evil, evil
	for _, size := range [][2]int{{80, 20}, {198, 56}, {20, 5}, {3, 2}, {0, 0}} {
		out := frame(membersPane(t, false, s), size[0], size[1])
		if i := strings.IndexAny(out, "\x1b\x07\u009b\u202e"); i >= 0 {
			t.Fatalf("%v: a control character reaches the screen: %q", size, out[i:min(len(out), i+10)])
		}
	}
}

func TestMembersFilterAndSort(t *testing.T) {
	p := membersPane(t, false, membersFixture())
	order := func() (out string) {
		for _, m := range p.rows {
			out += m.Name[len("etcd-"):]
		}
		return out
	}
	if order() != "123" {
		t.Fatalf("by name: %s", order())
	}
	for p.sort != "lag" {
		p.Do(keymap.SortNext)
	}
	p.Do(keymap.SortReverse)
	if order() != "213" {
		t.Errorf("the largest lag first, then the names: %s", order())
	}
	p.Do(keymap.SortName)
	p.Do(keymap.SortName)
	if order() != "321" {
		t.Errorf("by name, pressed twice: %s", order())
	}
	if err := p.SetFilter("etcd-2"); err != nil || order() != "2" {
		t.Errorf("filter etcd-2: %s, %v", order(), err)
	}
	if got := p.Title().Count; got != "1 of 3" {
		t.Errorf("count %q", got)
	}
	if err := p.SetFilter("-l app=x"); err == nil {
		t.Error("a label selector is accepted, though members have no labels")
	}
}

func TestMembersTargets(t *testing.T) {
	p := membersPane(t, false, membersFixture())
	lead, ok := actions.Lookup(string(keymap.MembersMoveLeader))
	defrag, ok2 := actions.Lookup(string(keymap.MembersDefragment))
	if !ok || !ok2 {
		t.Fatal("the actions of members are not registered")
	}
	p.Do(keymap.Down)
	ts, why := p.Targets(lead)
	if len(ts) != 1 {
		t.Fatalf("no target: %s", why)
	}
	got := ts[0]
	if got.Kind != "Member" || got.Resource != "members" || got.Name != "etcd-2" || got.Member != 0xcb8f1a2b3c4d5e6f || got.UID != "cb8f1a2b3c4d5e6f" ||
		got.Endpoint != "https://10.0.0.2:2379" || got.Detail["dbSize"] != fmt.Sprint(1990<<20) || got.Detail["leader"] != "false" {
		t.Errorf("target %+v", got)
	}
	if msg, ok := p.Do(keymap.MembersMoveLeader)().(ActMsg); !ok || len(msg.Targets) != 1 || msg.Action.ID != lead.ID {
		t.Errorf("the key asks for %+v", msg)
	}
	p.Do(keymap.Mark)
	p.Do(keymap.Down)
	p.Do(keymap.Mark)
	if ts, why := p.Targets(lead); len(ts) != 0 || why == "" {
		t.Errorf("the leadership is moved to %d members", len(ts))
	}
	if ts, _ := p.Targets(defrag); len(ts) != 2 {
		t.Errorf("%d targets of two marked members", len(ts))
	}
	p.Unmark()
	s := membersFixture()
	s.Members = s.Members[:2] // the one under the cursor was removed
	p.snap = s
	p.arrange()
	if ts, why := p.Targets(defrag); len(ts) != 0 || !strings.Contains(why, "gone") {
		t.Errorf("acts on %v in the place of the member that is gone (%s)", ts, why)
	}
	scale, _ := actions.Lookup(string(keymap.WorkloadsScale))
	if ts, _ := p.Targets(scale); len(ts) != 0 {
		t.Error("members can be scaled")
	}
}

func TestMembersNeverIdentified(t *testing.T) {
	s := &etcd.Snapshot{Gen: 1, Polled: true, Members: []*etcd.MemberRow{{Endpoint: "https://10.0.0.1:2379", Role: etcd.Unreachable, Polled: true}}}
	p := membersPane(t, false, s)
	a, _ := actions.Lookup(string(keymap.MembersDefragment))
	if ts, why := p.Targets(a); len(ts) != 0 || !strings.Contains(why, "never answered") {
		t.Errorf("an endpoint without a member is a target: %v, %q", ts, why)
	}
}

func TestMembersZoom(t *testing.T) {
	p := membersPane(t, false, membersFixture())
	small := frame(p, 60, 9)
	if strings.Contains(small, "in use") || !strings.Contains(small, "etcd-3") {
		t.Fatalf("the rows come first where there is no room for more:\n%s", small)
	}
	p.Do(keymap.Enter)
	p.Do(keymap.Down)
	if out := frame(p, 60, 9); !strings.Contains(out, "etcd-2 follower") || !strings.Contains(out, "in use") || strings.Contains(out, "was follower") {
		t.Errorf("Enter shows the selected member in the place of the rows:\n%s", out)
	}
	p.Do(keymap.Enter)
	if out := frame(p, 60, 9); !strings.Contains(out, "was follower") {
		t.Errorf("and once more goes back:\n%s", out)
	}
}

func TestMembersPrint(t *testing.T) {
	p := membersPane(t, false, membersFixture())
	out, ready, err := p.Print(false)
	if err != nil || !ready {
		t.Fatal(ready, err)
	}
	data, err := out.json()
	if err != nil {
		t.Fatal(err)
	}
	golden.RequireEqual(t, data)
	p = membersPane(t, false, membersFixture())
	now := pictureNow
	p.env.Now = func() time.Time { return now }
	p.snap.Members[0].Metrics = nil
	if _, ready, _ := p.Print(false); ready {
		t.Error("printed before the metrics were asked for")
	}
	now = now.Add(printPatience)
	if _, ready, _ := p.Print(false); !ready {
		t.Error("waits for metrics forever")
	}
	p.snap = &etcd.Snapshot{Gen: 1}
	if _, ready, _ := p.Print(false); ready {
		t.Error("printed before every member was asked")
	}
}

func TestMembersWithoutEtcd(t *testing.T) {
	env := pictureEnv(false)
	c, err := cluster.Open(cluster.Options{Etcd: cluster.EtcdOptions{Disabled: true, Why: "--no-etcd was given", Env: func(string) string { return "" }}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	env.Cluster = c
	p, err := newMembers(env, Ref{View: "members"})
	if err != nil {
		t.Fatal(err)
	}
	st := p.State()
	if st.Phase != watchers.Unsupported || !strings.Contains(st.Why, "--no-etcd") || !strings.Contains(st.Why, "--etcd-endpoints") {
		t.Errorf("state %+v: it does not say why and how", st)
	}
	if out := frame(p, 118, 20); !strings.Contains(out, "--etcd-endpoints") {
		t.Errorf("the screen does not say how to give an etcd:\n%s", out)
	}
	if _, _, err := p.(Printer).Print(false); err == nil {
		t.Error("printing without an etcd is no error")
	}
}
