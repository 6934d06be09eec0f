package actions

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"fathom/actions/journal"
)

// hurried is an action that does not wait long for members to be well again.
func hurried(t *testing.T, r *rig, id string) Action {
	t.Helper()
	switch id {
	case "etcd.defragment-all":
		return defragmentAll(10 * time.Millisecond)
	case "etcd.recover-nospace":
		return recoverNospace(10 * time.Millisecond)
	}
	return r.action(id)
}

func wantSent(t *testing.T, etcd *fakeEtcd, want ...string) {
	t.Helper()
	if got := etcd.mutations(); !slices.Equal(got, want) {
		t.Errorf("sent\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestDefragmentAll(t *testing.T) {
	etcd := newFakeEtcd(t, 3)
	etcd.leader = 2
	r := newRig(t, servers{etcd: etcd})
	target := etcd.clusterTarget()
	wantContains(t, r.preview("etcd.defragment-all", "", target), "3 members", "Member etcd-1 (1), Member etcd-3 (3), and at last Member etcd-2 (2), which leads", "450 MiB come free")
	wantSent(t, etcd)
	o := r.act("etcd.defragment-all", "", target)
	if o.Status != Done || len(o.Steps) != 4 {
		t.Fatalf("outcome %+v", o)
	}
	wantSent(t, etcd, "etcd-1 /etcdserverpb.Maintenance/Defragment", "etcd-3 /etcdserverpb.Maintenance/Defragment",
		"etcd-2 /etcdserverpb.Maintenance/MoveLeader", "etcd-2 /etcdserverpb.Maintenance/Defragment")
	// The run and each of its steps: an intent and an outcome.
	if rep := r.journalled(); rep.Records != 10 || len(rep.Open) != 0 {
		t.Fatalf("journal %+v", rep)
	}
	wantContains(t, r.journalText(), `"verb":"rolling-defragment"`, `"verb":"moveleader"`, `"fathom/step":"2/4 Defragment Member etcd-3 (3)"`, `"fathom/run":"`+o.AuditID+`"`)
}

// The first member that is not well ends it; the others are left alone.
func TestDefragmentAllStopsAtTheFirstThatIsNotWell(t *testing.T) {
	etcd := newFakeEtcd(t, 5)
	etcd.onDefragment = func(context.Context) error {
		etcd.change(func() { etcd.members[4].applied = 0; etcd.members[0].commit = 9000 }) // as by a snapshot that is applied
		return nil
	}
	r := newRig(t, servers{etcd: etcd})
	o := r.runAll(hurried(t, r, "etcd.defragment-all"), "", etcd.clusterTarget())[0]
	if o.Status != Refused || !strings.Contains(o.Message, "1 of 6 steps are done") || !strings.Contains(o.Message, "behind") {
		t.Fatalf("outcome %+v", o)
	}
	wantSent(t, etcd, "etcd-2 /etcdserverpb.Maintenance/Defragment")
}

// A step whose answer is lost ends it as unknown: nothing is repeated, and nothing is done after it.
func TestStepThatLosesItsAnswer(t *testing.T) {
	etcd := newFakeEtcd(t, 3)
	etcd.onDefragment = func(context.Context) error {
		etcd.change(func() { etcd.members[1].size = 200 << 20 }) // not done, as far as can be seen
		return status.Error(codes.Unavailable, "transport is closing")
	}
	r := newRig(t, servers{etcd: etcd})
	o := r.act("etcd.defragment-all", "", etcd.clusterTarget())
	if o.Status != Unknown || !strings.Contains(o.Message, "it may still be at it") {
		t.Fatalf("outcome %+v", o)
	}
	wantSent(t, etcd, "etcd-2 /etcdserverpb.Maintenance/Defragment")
}

// Stop lets the request that is under way end, and begins no other.
func TestStopBetweenSteps(t *testing.T) {
	etcd := newFakeEtcd(t, 3)
	entered, release := make(chan struct{}), make(chan struct{})
	etcd.onDefragment = func(context.Context) error { close(entered); <-release; return nil }
	r := newRig(t, servers{etcd: etcd})
	c, err := r.Confirm(r.action("etcd.defragment-all"), "", etcd.clusterTarget())
	must(t, err)
	out := make(chan Outcome, 1)
	go func() { out <- r.Run(context.Background(), c, nil)[0] }()
	<-entered
	p := c.Progress()
	if len(p.Steps) != 4 || p.Steps[0].Phase != Running || p.Steps[0].Expect == 0 || p.Steps[1].Phase != Waiting {
		t.Errorf("progress %+v", p)
	}
	c.Stop()
	close(release)
	o := <-out
	if o.Status != Stopped || !strings.Contains(o.Message, "1 of 4 steps are done") {
		t.Errorf("outcome %+v", o)
	}
	if p = c.Progress(); p.Steps[0].Phase != Ended || p.Steps[0].Status != Done || p.Steps[1].Phase != Waiting || !p.Stopping {
		t.Errorf("progress %+v", p)
	}
	wantSent(t, etcd, "etcd-2 /etcdserverpb.Maintenance/Defragment")
}

func TestCompact(t *testing.T) {
	etcd := newFakeEtcd(t, 3)
	r := newRig(t, servers{etcd: etcd})
	target := etcd.clusterTarget()
	if got := r.action("etcd.compact").Input.Initial(target); got != "4000" {
		t.Errorf("suggested revision %s", got)
	}
	wantContains(t, r.preview("etcd.compact", "4000", target), "revision 3000, the oldest that is kept, to revision 4000", "the last 1000 are kept", "API server compacts by itself every 5 minutes")
	if o := r.act("etcd.compact", "4000", target); o.Status != Done || etcd.compacted != 4000 {
		t.Fatalf("outcome %+v", o)
	}
	for input, want := range map[string]string{"4000": "gone already", "5001": "in the future"} {
		if o := r.act("etcd.compact", input, target); o.Status != Refused || !strings.Contains(o.Message, want) {
			t.Errorf("at %s: %+v", input, o)
		}
	}
	other := target
	other.UID = "c2"
	if o := r.act("etcd.compact", "4500", other); o.Status != Conflict {
		t.Errorf("another cluster: %+v", o)
	}
	wantSent(t, etcd, "etcd-1 /etcdserverpb.KV/Compact")
}

func TestRecoverNospace(t *testing.T) {
	etcd := newFakeEtcd(t, 3)
	etcd.nospace(2, 0x99) // 99 was removed since
	etcd.onDefragment = func(context.Context) error {
		etcd.change(func() { // another member notices too, while this runs
			if len(etcd.alarms) == 2 {
				etcd.alarms = append(etcd.alarms, &pb.AlarmMember{MemberID: 3, Alarm: pb.AlarmType_NOSPACE})
			}
		})
		return nil
	}
	r := newRig(t, servers{etcd: etcd})
	target := etcd.clusterTarget()
	if o := r.act("etcd.disarm", "", target); o.Status != Refused || !strings.Contains(o.Message, "the cause still holds") {
		t.Errorf("disarmed at the quota: %+v", o)
	}
	wantContains(t, r.preview("etcd.recover-nospace", "", target), "etcd refuses every write", "Compact at revision 5000", WriteCheckPrefix, "200 MiB of a quota of 201 MiB")
	o := r.act("etcd.recover-nospace", "", target)
	if o.Status != Done || len(etcd.alarms) != 0 || len(etcd.keys) != 0 {
		t.Fatalf("outcome %+v; alarms %v, keys %v", o, etcd.alarms, etcd.keys)
	}
	wantSent(t, etcd, "etcd-1 /etcdserverpb.KV/Compact",
		"etcd-2 /etcdserverpb.Maintenance/Defragment", "etcd-3 /etcdserverpb.Maintenance/Defragment",
		"etcd-1 /etcdserverpb.Maintenance/MoveLeader", "etcd-1 /etcdserverpb.Maintenance/Defragment",
		"etcd-2 /etcdserverpb.Maintenance/Alarm", "etcd-2 /etcdserverpb.Maintenance/Alarm", "etcd-2 /etcdserverpb.Maintenance/Alarm",
		"etcd-2 /etcdserverpb.KV/Txn", "etcd-2 /etcdserverpb.KV/Txn")
}

// Compaction and defragmentation that free nothing end the recovery before the alarm is disarmed.
func TestRecoveryThatFreesNothing(t *testing.T) {
	etcd := newFakeEtcd(t, 1)
	etcd.nospace(1)
	etcd.members[0].use = 199 << 20
	r := newRig(t, servers{etcd: etcd})
	wantContains(t, r.preview("etcd.recover-nospace", "", etcd.clusterTarget()), "is not known before", "the only member")
	o := r.act("etcd.recover-nospace", "", etcd.clusterTarget())
	if o.Status != Refused || !strings.Contains(o.Message, "the cause still holds") || len(etcd.alarms) != 1 {
		t.Fatalf("outcome %+v", o)
	}
}

func TestDisarm(t *testing.T) {
	etcd := newFakeEtcd(t, 3)
	etcd.alarms = []*pb.AlarmMember{{MemberID: 0x99, Alarm: pb.AlarmType_NOSPACE}, {MemberID: 0, Alarm: pb.AlarmType_CORRUPT}}
	r := newRig(t, servers{etcd: etcd})
	target := etcd.clusterTarget()
	lines, err := r.Preview(t.Context(), r.action("etcd.disarm"), target, "")
	var refusal *Refusal
	if !errors.As(err, &refusal) || refusal.Override != overrideCorrupt {
		t.Fatalf("CORRUPT: %v", err)
	}
	wantContains(t, strings.Join(lines, "\n"), "member 99, which is no longer there", "CORRUPT about no member in particular")
	if o := r.act("etcd.disarm", "", target); o.Status != Refused {
		t.Fatalf("outcome %+v", o)
	}
	wantSent(t, etcd)
	c, err := r.Confirm(r.action("etcd.disarm"), "", target)
	must(t, err)
	c.Override(overrideCorrupt)
	if o := r.Run(t.Context(), c, nil)[0]; o.Status != Done || len(etcd.alarms) != 0 {
		t.Fatalf("outcome %+v; alarms %v", o, etcd.alarms)
	}
	wantContains(t, r.journalText(), `"fathom/override":"`+overrideCorrupt+`"`)
}

// The command line of a new member is copied into a shell: what members call themselves is a word there, and nothing else.
func TestShellWord(t *testing.T) {
	for _, x := range []struct{ text, quote, want string }{
		{"--name=etcd-4", "", "--name=etcd-4"}, {"etcd-4", `"`, `"etcd-4"`}, {"a=https://10.0.0.1:2380,b=https://h%2:1", "", "a=https://10.0.0.1:2380,b=https://h%2:1"},
		{"$(reboot)", "", "'$(reboot)'"}, {"$(reboot)", `"`, "'$(reboot)'"}, {"it's; true", "", `'it'\''s; true'`}, {"https://[::1]:2380", "", "'https://[::1]:2380'"},
		{"a\nb", "", "'a\nb'"}, {"", `"`, `""`},
	} {
		if got := shellWord(x.text, x.quote); got != x.want {
			t.Errorf("%q is written %s, want %s", x.text, got, x.want)
		}
	}
}

func TestLeaseID(t *testing.T) {
	for uid, want := range map[string]int64{"0694d8a3c8b5e40f": 0x0694d8a3c8b5e40f, "ffffffffffffffff": -1, "0": 0, "xyz": 0, "": 0, "10000000000000000": 0} {
		if got, err := leaseID(Target{UID: uid}); got != want || (err != nil) != (want == 0) {
			t.Errorf("lease %q is %d (%v), want %d", uid, got, err, want)
		}
	}
}

func TestMembership(t *testing.T) {
	etcd := newFakeEtcd(t, 3)
	r := newRig(t, servers{etcd: etcd})
	target := etcd.clusterTarget()
	o := r.act("etcd.add-learner", "etcd-4=https://10.0.0.4:2380", target)
	if o.Status != Done {
		t.Fatalf("outcome %+v", o)
	}
	wantContains(t, o.Message, "etcd-4 was added as learner 4", "--name=etcd-4 ",
		"--initial-cluster=etcd-1=https://10.0.0.1:2380,etcd-2=https://10.0.0.2:2380,etcd-3=https://10.0.0.3:2380,etcd-4=https://10.0.0.4:2380 ",
		"--initial-cluster-state=existing", `ETCD_INITIAL_CLUSTER_STATE="existing"`)
	learner := Target{Kind: "Member", Resource: "members", Member: 4, UID: "4", Name: "4"}
	if o := r.act("members.promote", "", learner); o.Status != Refused || !strings.Contains(o.Message, "never been started") {
		t.Errorf("promoted before it was started: %+v", o)
	}
	if o := r.act("etcd.add-learner", "etcd-5=https://10.0.0.5:2380", target); o.Status != Refused || !strings.Contains(o.Message, "one at a time") {
		t.Errorf("a second learner: %+v", o)
	}
	if o := r.act("members.remove", "", learner); o.Status != Done || len(etcd.members) != 3 {
		t.Errorf("removing the learner: %+v", o)
	}
	for _, input := range []string{"https://10.0.0.4:2380", "etcd-4=10.0.0.4:2380", "etcd-4=https://10.0.0.4", "etcd-4=https://10.0.0.4:2380/x", "a b=https://10.0.0.4:2380", "etcd-4=https://"} {
		if _, err := r.Confirm(r.action("etcd.add-learner"), input, target); err == nil {
			t.Errorf("%q was accepted", input)
		}
	}
	for input, want := range map[string]string{"etcd-4=https://10.0.0.2:2380": "has this peer URL already", "etcd-2=https://10.0.0.4:2380": "another name"} {
		if o := r.act("etcd.add-learner", input, target); o.Status != Refused || !strings.Contains(o.Message, want) {
			t.Errorf("%s: %+v", input, o)
		}
	}
}

func TestPromote(t *testing.T) {
	etcd := newFakeEtcd(t, 4)
	etcd.members[3].learner = true
	r := newRig(t, servers{etcd: etcd})
	if o := r.act("members.promote", "", etcd.target(2)); o.Status != Refused || !strings.Contains(o.Message, "no learner") {
		t.Errorf("a voter: %+v", o)
	}
	// At 0.99 of the leader's index etcd would let it pass.
	etcd.change(func() {
		for _, m := range etcd.members {
			m.commit, m.applied = 10_000_000, 10_000_000
		}
		etcd.members[3].applied = 9_900_000
	})
	if o := r.act("members.promote", "", etcd.target(4)); o.Status != Refused || !strings.Contains(o.Message, "100000 entries behind") {
		t.Errorf("a learner that lags: %+v", o)
	}
	etcd.change(func() { etcd.members[3].applied = 9_999_990 })
	wantContains(t, r.preview("members.promote", "", etcd.target(4)), "10 entries behind", "of 4 voters 3 are a quorum", "no more failures than 3")
	if o := r.act("members.promote", "", etcd.target(4)); o.Status != Done {
		t.Errorf("outcome %+v", o)
	}
	wantSent(t, etcd, "etcd-1 /etcdserverpb.Cluster/MemberPromote")
}

func TestRemove(t *testing.T) {
	etcd := newFakeEtcd(t, 3)
	r := newRig(t, servers{etcd: etcd})
	wantContains(t, r.preview("members.remove", "", etcd.target(1)), "Of the 2 voters that stay, 2 are a quorum", "It leads", "none of them may fail")
	etcd.members[2].server.Stop()
	lines, err := r.Preview(t.Context(), r.action("members.remove"), etcd.target(2), "")
	var refusal *Refusal
	if !errors.As(err, &refusal) || refusal.Override == "" || len(lines) == 0 {
		t.Fatalf("removing one of two that are well: %v, %v", lines, err)
	}
	wantContains(t, refusal.Reason, "only 1 are well")
	if o := r.act("members.remove", "", etcd.target(2)); o.Status != Refused {
		t.Fatalf("outcome %+v", o)
	}
	wantSent(t, etcd)
	if o := r.act("members.remove", "", etcd.target(3)); o.Status != Done { // the one that is down
		t.Fatalf("outcome %+v", o)
	}
	c, err := r.Confirm(r.action("members.remove"), "", etcd.target(1))
	must(t, err)
	c.Override("lose the quorum")
	if o := r.Run(t.Context(), c, nil)[0]; o.Status != Done {
		t.Fatalf("outcome %+v", o)
	}
	// Never through the member itself.
	wantSent(t, etcd, "etcd-1 /etcdserverpb.Cluster/MemberRemove", "etcd-2 /etcdserverpb.Cluster/MemberRemove")
	etcd.change(func() { etcd.leader = 2 })
	if o := r.act("members.remove", "", etcd.target(1)); o.Status != Refused || !strings.Contains(o.Message, "only member") {
		t.Errorf("the last: %+v", o)
	}
}

func TestUpdatePeers(t *testing.T) {
	etcd := newFakeEtcd(t, 4)
	r := newRig(t, servers{etcd: etcd})
	const to = "https://10.0.1.2:2380"
	wantContains(t, r.preview("members.update-peers", to, etcd.target(2)), "will be "+to, "no longer https://10.0.0.2:2380")
	if o := r.act("members.update-peers", to, etcd.target(2)); o.Status != Done || etcd.members[1].peers[0] != to {
		t.Fatalf("outcome %+v", o)
	}
	etcd.change(func() { etcd.members[3].learner = true })
	if o := r.act("members.update-peers", "https://10.0.1.4:2380", etcd.target(4)); o.Status != Refused || !strings.Contains(o.Message, "#21694") {
		t.Errorf("a learner at 3.6.8: %+v", o)
	}
	etcd.change(func() {
		for i, v := range []string{"3.6.12", "3.5.31", "3.7.0", "3.6.13-rc.0"} {
			etcd.members[i].version = v
		}
	})
	etcd.members[3].server.Stop() // the learner itself: a wrong URL may be why
	if o := r.act("members.update-peers", "https://10.0.1.4:2380", etcd.target(4)); o.Status != Done {
		t.Errorf("a learner where that is mended: %+v", o)
	}
	etcd.members[2].server.Stop()
	if o := r.act("members.update-peers", "https://10.0.1.5:2380", etcd.target(4)); o.Status != Refused || !strings.Contains(o.Message, "its version is not known") {
		t.Errorf("a learner beside a member of an unknown version: %+v", o)
	}
}

// A connection that is cut when the request has been done: the outcome is read again, and nothing is sent twice.
func TestCutConnections(t *testing.T) {
	for _, tc := range []struct {
		method, id, input string
		prepare           func(*fakeEtcd) Target
		want              string
	}{
		{"Compact", "etcd.compact", "4000", (*fakeEtcd).clusterTarget, "before revision 4000 is gone"},
		{"MemberAdd", "etcd.add-learner", "etcd-9=https://10.0.0.9:2380", (*fakeEtcd).clusterTarget, "--initial-cluster-state=existing"},
		{"MemberRemove", "members.remove", "", func(f *fakeEtcd) Target { return f.target(3) }, "no longer a member"},
		{"MemberPromote", "members.promote", "", func(f *fakeEtcd) Target { f.members[3].learner = true; return f.target(4) }, "has a vote"},
		{"MemberUpdate", "members.update-peers", "https://10.0.1.3:2380", func(f *fakeEtcd) Target { return f.target(3) }, "10.0.1.3"},
		{"MoveLeader", "members.move-leader", "", func(f *fakeEtcd) Target { return f.target(3) }, "leads"},
		{"Defragment", "members.defragment", "", func(f *fakeEtcd) Target { return f.target(3) }, "went from 200 MiB to 50 MiB"},
		{"Alarm", "etcd.disarm", "", func(f *fakeEtcd) Target {
			f.alarms = []*pb.AlarmMember{{MemberID: 0x99, Alarm: pb.AlarmType_NOSPACE}}
			return f.clusterTarget()
		}, "all 1 steps are done"},
	} {
		t.Run(tc.method, func(t *testing.T) {
			t.Parallel()
			etcd := newFakeEtcd(t, 4)
			etcd.cut = tc.method
			target := tc.prepare(etcd)
			r := newRig(t, servers{etcd: etcd})
			r.verifyFor = 20 * time.Second
			o := r.act(tc.id, tc.input, target)
			said := o.Message
			for _, s := range o.Steps {
				said += "; " + s.Message
			}
			if o.Status != Done || !strings.Contains(said, tc.want) || !strings.Contains(said, "nothing was repeated") {
				t.Errorf("outcome %+v", o)
			}
			if m := etcd.mutations(); len(m) != 1 {
				t.Errorf("sent %v", m)
			}
		})
	}
}

// etcd says with a code that usually means a lost connection that it does not change the membership now: that is an answer.
func TestUnhealthyIsAnAnswer(t *testing.T) {
	v := judge(fmt.Errorf("add: %w", reconfiguration(rpctypes.ErrGRPCUnhealthy)))
	if v.ambiguous || v.status != Failed || !strings.Contains(v.message, "5 seconds") {
		t.Errorf("%+v", v)
	}
	if v := judge(fmt.Errorf("add: %w", reconfiguration(rpctypes.ErrGRPCTimeout))); !v.ambiguous {
		t.Errorf("a time-out inside etcd: %+v", v)
	}
}

// What etcd cannot decide without a quorum is not sent.
func TestWithoutQuorum(t *testing.T) {
	for _, a := range For("etcd") {
		etcd := newFakeEtcd(t, 3)
		etcd.nospace(1)
		for _, m := range etcd.members[1:] {
			m.server.Stop()
		}
		etcd.leader = 0
		r := newRig(t, servers{etcd: etcd})
		o := r.runAll(a, inputOf(a), etcd.clusterTarget())[0]
		if o.Status != Refused && o.Status != Failed {
			t.Errorf("%s: %+v", a.ID, o)
		}
		wantSent(t, etcd)
	}
}

// inputOf is an acceptable input of an action.
func inputOf(a Action) string {
	switch a.ID {
	case "etcd.compact":
		return "4000"
	case "etcd.add-learner":
		return "etcd-9=https://10.0.0.9:2380"
	case "members.update-peers":
		return "https://10.0.1.9:2380"
	}
	if a.Input != nil {
		return "5"
	}
	return ""
}

func TestStepsNeedAJournal(t *testing.T) {
	etcd := newFakeEtcd(t, 3)
	r := newRig(t, servers{etcd: etcd})
	n := 0
	etcd.onDefragment = func(context.Context) error { // the disk is full from here on
		n++
		r.Runner.journal = journal.New("/dev/null/journal")
		return nil
	}
	o := r.act("etcd.defragment-all", "", etcd.clusterTarget())
	if n != 1 || o.Status != Stopped || !strings.Contains(o.Message, "NOT in the journal") {
		t.Errorf("%d defragmentations, outcome %+v", n, o)
	}
}
