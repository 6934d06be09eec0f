package actions

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func TestMoveLeader(t *testing.T) {
	etcd := newFakeEtcd(t, 3)
	r := newRig(t, servers{etcd: etcd})
	wantContains(t, r.preview("members.move-leader", "", etcd.target(3)), "term 4", "from Member etcd-1 (1) to Member etcd-3 (3)", "0 entries behind")
	if m := etcd.mutations(); len(m) != 0 {
		t.Fatalf("a preview sent %v", m)
	}
	o := r.act("members.move-leader", "", etcd.target(3))
	if o.Status != Done || !strings.Contains(o.Message, "etcd-3 (3) leads now") {
		t.Fatalf("outcome %+v", o)
	}
	// It went to the leader of that moment, and the next one to the new leader.
	o = r.act("members.move-leader", "", etcd.target(2))
	if o.Status != Done {
		t.Fatalf("outcome %+v", o)
	}
	want := []string{"etcd-1 /etcdserverpb.Maintenance/MoveLeader", "etcd-3 /etcdserverpb.Maintenance/MoveLeader"}
	if got := etcd.mutations(); !slices.Equal(got, want) {
		t.Fatalf("sent %v, want %v", got, want)
	}
	o = r.act("members.move-leader", "", etcd.target(2))
	if o.Status != Done || !strings.Contains(o.Message, "nothing was sent") || len(etcd.mutations()) != 2 {
		t.Fatalf("moving to the leader: %+v", o)
	}
	if rep := r.journalled(); rep.Records != 6 {
		t.Fatalf("journal %+v", rep)
	}
	wantContains(t, r.journalText(), `"verb":"moveleader"`, `"resource":"members"`, `"fathom/member-id":"3"`)
}

// One endpoint is given: the others are learned from the member list.
func TestMembersAreLearned(t *testing.T) {
	etcd := newFakeEtcd(t, 3)
	first := etcd.members[0].endpoint
	all := etcd.members
	etcd.members = all[:1]
	r := newRig(t, servers{etcd: etcd})
	etcd.change(func() { etcd.members = all })
	if o := r.act("members.move-leader", "", etcd.target(2)); o.Status != Done {
		t.Fatalf("only %s was given: %+v", first, o)
	}
}

func TestEtcdRefusals(t *testing.T) {
	for _, tc := range []struct {
		name, id string
		n        int // of the target
		prepare  func(*fakeEtcd)
		want     string
	}{
		{"to a learner", "members.move-leader", 3, func(f *fakeEtcd) { f.members[2].learner = true }, "has no vote"},
		{"to a member that is down", "members.move-leader", 3, func(f *fakeEtcd) { f.members[2].server.Stop() }, "does not answer"},
		{"to a member far behind", "members.move-leader", 3, func(f *fakeEtcd) { f.members[0].commit = 5000 }, "4900 entries behind"},
		{"without a leader", "members.move-leader", 3, func(f *fakeEtcd) { f.leader = 0 }, "no reachable member leads"},
		{"a leader that cannot be reached", "members.move-leader", 3, func(f *fakeEtcd) { f.members[0].server.Stop() }, "no reachable member leads"},
		{"to a corrupt member", "members.move-leader", 3, func(f *fakeEtcd) { f.alarms = corruption(3) }, "CORRUPT is raised about Member etcd-3 (3)"},
		{"to a member that may be corrupt", "members.move-leader", 3, func(f *fakeEtcd) { f.alarms = corruption(0) }, "no member in particular"},
		{"of a corrupt member", IDSnapshot, 3, func(f *fakeEtcd) { f.alarms = corruption(3) }, "choose another member"},
		{"without the support of a corrupt one", "members.remove", 2, func(f *fakeEtcd) { f.alarms = corruption(3) }, "only 1 are well"},
		{"to a member that is cut off", "members.move-leader", 3, func(f *fakeEtcd) { f.members[2].apart = true }, "no contact with the leader"},
		{"beside a member that is cut off", "members.defragment", 3, func(f *fakeEtcd) { f.members[1].apart = true }, "etcd-2 (2) has no contact with the leader, so the quorum has no slack"},
		{"the member is cut off", "members.defragment", 3, func(f *fakeEtcd) { f.members[2].apart = true }, "no contact with the leader"},
		{"without the support of one that is cut off", "members.remove", 2, func(f *fakeEtcd) { f.members[2].apart = true }, "only 1 are well"},
		{"a learner that is cut off", "members.promote", 3, func(f *fakeEtcd) { f.members[2].learner, f.members[2].apart = true, true }, "no contact with the leader"},
		{"without slack", "members.defragment", 3, func(f *fakeEtcd) { f.members[1].server.Stop() }, "no slack"},
		{"the member is down", "members.defragment", 3, func(f *fakeEtcd) { f.members[2].server.Stop() }, "does not answer"},
		{"a learner", "members.defragment", 3, func(f *fakeEtcd) { f.members[2].learner = true }, "does not serve Defragment"},
		{"beside a learner", "members.defragment", 3, func(f *fakeEtcd) { f.members[1].learner = true }, "learner"},
		{"beside a snapshot", "members.defragment", 3, func(f *fakeEtcd) { f.members[0].commit = 5000 }, "may be applying a snapshot"},
		{"with corruption", "members.defragment", 3, func(f *fakeEtcd) { f.alarms = corruption(2) }, "CORRUPT is raised about Member etcd-2 (2)"},
		{"no leader", "members.defragment", 3, func(f *fakeEtcd) { f.leader = 0 }, "no member leads"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			etcd := newFakeEtcd(t, 3)
			etcd.change(func() { tc.prepare(etcd) })
			r := newRig(t, servers{etcd: etcd})
			input := ""
			if tc.id == IDSnapshot {
				input = filepath.Join(t.TempDir(), "s.db")
			}
			var refusal *Refusal
			if _, err := r.Preview(t.Context(), r.action(tc.id), etcd.target(tc.n), input); !errors.As(err, &refusal) {
				t.Fatalf("preview: %v, want a refusal", err)
			}
			o := r.act(tc.id, input, etcd.target(tc.n))
			if o.Status != Refused {
				t.Fatalf("outcome %s: %s", o.Status, o.Message)
			}
			wantContains(t, o.Message, tc.want)
			if m := etcd.mutations(); len(m) != 0 {
				t.Fatalf("sent %v", m)
			}
		})
	}
}

func TestMemberThatLeft(t *testing.T) {
	etcd := newFakeEtcd(t, 3)
	r := newRig(t, servers{etcd: etcd})
	gone := etcd.target(3)
	gone.Member = 0xdead
	for _, id := range []string{"members.move-leader", "members.defragment"} {
		if o := r.act(id, "", gone); o.Status != Conflict {
			t.Errorf("%s: %+v", id, o)
		}
	}
}

func TestMoveLeaderAnswers(t *testing.T) {
	for _, tc := range []struct {
		name string
		on   func(f *fakeEtcd) func(context.Context, uint64) error
		want Status
		text string
	}{
		{"the leader changed meanwhile", func(*fakeEtcd) func(context.Context, uint64) error {
			return func(context.Context, uint64) error { return rpctypes.ErrGRPCNotLeader }
		}, Conflict, "no longer leads"},
		{"etcd refuses the target", func(*fakeEtcd) func(context.Context, uint64) error {
			return func(context.Context, uint64) error { return rpctypes.ErrGRPCBadLeaderTransferee }
		}, Failed, "bad leader transferee"},
		{"etcd gives up waiting", func(*fakeEtcd) func(context.Context, uint64) error {
			return func(context.Context, uint64) error { return rpctypes.ErrGRPCTimeout }
		}, Unknown, "Member etcd-1 (1) leads"},
		{"something between gives up", func(*fakeEtcd) func(context.Context, uint64) error {
			return func(context.Context, uint64) error { return status.Error(codes.DeadlineExceeded, "upstream timeout") }
		}, Unknown, "upstream timeout"},
		{"something between ends it", func(*fakeEtcd) func(context.Context, uint64) error {
			return func(context.Context, uint64) error { return status.Error(codes.Canceled, "upstream went away") }
		}, Unknown, "nothing was repeated"},
		{"etcd cancels it, and it was done", func(f *fakeEtcd) func(context.Context, uint64) error {
			return func(_ context.Context, target uint64) error {
				f.change(func() { f.leader, f.term = target, f.term+1 })
				return rpctypes.ErrGRPCCanceled
			}
		}, Done, "Member etcd-3 (3) leads (term 5)"},
		{"the answer is lost", func(f *fakeEtcd) func(context.Context, uint64) error {
			return func(_ context.Context, target uint64) error {
				f.change(func() { f.leader, f.term = target, f.term+1 })
				return status.Error(codes.Unavailable, "transport is closing")
			}
		}, Done, "Member etcd-3 (3) leads (term 5)"},
		{"not permitted", func(*fakeEtcd) func(context.Context, uint64) error {
			return func(context.Context, uint64) error { return rpctypes.ErrGRPCPermissionDenied }
		}, Denied, "does not allow"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			etcd := newFakeEtcd(t, 3)
			etcd.onMove = tc.on(etcd)
			r := newRig(t, servers{etcd: etcd})
			o := r.act("members.move-leader", "", etcd.target(3))
			if o.Status != tc.want {
				t.Fatalf("outcome %s: %s; want %s", o.Status, o.Message, tc.want)
			}
			wantContains(t, o.Message, tc.text)
			if m := etcd.mutations(); len(m) != 1 {
				t.Errorf("sent %v, want one MoveLeader: nothing is repeated", m)
			}
		})
	}
}

func TestDefragment(t *testing.T) {
	etcd := newFakeEtcd(t, 3)
	r := newRig(t, servers{etcd: etcd})
	wantContains(t, r.preview("members.defragment", "", etcd.target(2)),
		"Member etcd-2 (2)", "200 MiB now, 50 MiB in use", "150 MiB come free", "reads and writes on this member wait")
	wantContains(t, r.preview("members.defragment", "", etcd.target(1)), "It is the leader: move the leadership")
	o := r.act("members.defragment", "", etcd.target(2))
	if o.Status != Done || !strings.Contains(o.Message, "from 200 MiB to 50 MiB") {
		t.Fatalf("outcome %+v", o)
	}
	if got := etcd.mutations(); !slices.Equal(got, []string{"etcd-2 /etcdserverpb.Maintenance/Defragment"}) {
		t.Fatalf("sent %v", got)
	}
}

func TestDefragmentLosesItsAnswer(t *testing.T) {
	etcd := newFakeEtcd(t, 3)
	etcd.onDefragment = func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
	r := newRig(t, servers{etcd: etcd})
	a := r.action("members.defragment")
	if a.Timeout < time.Minute {
		t.Errorf("timeout %s: a large database takes minutes", a.Timeout)
	}
	a.Timeout = 2 * time.Second // time enough to ask the members before, on a busy machine
	if o := r.runAll(a, "", etcd.target(2))[0]; o.Status != Done || !strings.Contains(o.Message, "went from 200 MiB to 50 MiB") {
		t.Fatalf("outcome %+v", o)
	}
	unknowing := etcd.target(2)
	unknowing.Detail = nil
	if o := r.runAll(a, "", unknowing)[0]; o.Status != Unknown || !strings.Contains(o.Message, "may still be at it") {
		t.Fatalf("outcome %+v", o)
	}
	if m := etcd.mutations(); len(m) != 2 {
		t.Fatalf("sent %v", m)
	}
}

// Two members must not be away at once because one user is quick.
func TestMaintenanceIsExclusive(t *testing.T) {
	etcd := newFakeEtcd(t, 3)
	entered, release := make(chan struct{}), make(chan struct{})
	etcd.onDefragment = func(context.Context) error { close(entered); <-release; return nil }
	r := newRig(t, servers{etcd: etcd})
	first := make(chan Outcome, 1)
	c, err := r.Confirm(r.action("members.defragment"), "", etcd.target(2))
	must(t, err)
	go func() { first <- r.Run(context.Background(), c, nil)[0] }()
	<-entered
	second := r.act("members.defragment", "", etcd.target(3))
	close(release)
	if o := <-first; o.Status != Done {
		t.Errorf("the first: %+v", o)
	}
	if second.Status != Refused || !strings.Contains(second.Message, "still running") {
		t.Errorf("the second: %+v", second)
	}
	etcd.change(func() { etcd.onDefragment = nil })
	if o := r.act("members.defragment", "", etcd.target(3)); o.Status != Done {
		t.Errorf("after the first has ended: %+v", o)
	}
}
