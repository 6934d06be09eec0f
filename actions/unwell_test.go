package actions

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Who answers its clients and has lost its peers is not there for the others: an idle cluster does not show it as a lag.
func TestBesideAMemberThatIsCutOff(t *testing.T) {
	etcd := newFakeEtcd(t, 3)
	etcd.nospace(1)
	etcd.change(func() { etcd.members[2].apart = true })
	r := newRig(t, servers{etcd: etcd})
	for _, id := range []string{"etcd.defragment-all", "etcd.recover-nospace", "etcd.add-learner"} {
		a := hurried(t, r, id)
		if o := r.runAll(a, inputOf(a), etcd.clusterTarget())[0]; o.Status != Refused || !strings.Contains(o.Message, "etcd-3 (3) has no contact with the leader") {
			t.Errorf("%s: %+v", id, o)
		}
	}
	wantSent(t, etcd)
	wantContains(t, r.preview("members.update-peers", "https://10.0.1.2:2380", etcd.target(2)), "the quorum is lost: 1 of 3 voters would be well")
	wantContains(t, r.preview("members.remove", "", etcd.target(3)), "Of the 2 voters that stay, 2 are a quorum, and 2 are well")
	wantContains(t, r.preview(IDSnapshot, filepath.Join(t.TempDir(), "s.db"), etcd.target(3)), "no contact with the leader", "Choose another member")
}

// A rolling defragmentation ends when a member loses its peers meanwhile.
func TestDefragmentAllStopsWhenAMemberIsCutOff(t *testing.T) {
	etcd := newFakeEtcd(t, 5)
	etcd.onDefragment = func(context.Context) error {
		etcd.change(func() { etcd.members[1].apart = true })
		return nil
	}
	r := newRig(t, servers{etcd: etcd})
	o := r.runAll(hurried(t, r, "etcd.defragment-all"), "", etcd.clusterTarget())[0]
	if o.Status != Refused || !strings.Contains(o.Message, "1 of 6 steps are done") || !strings.Contains(o.Message, "etcd-2 (2) has no contact with the leader any more") {
		t.Fatalf("outcome %+v", o)
	}
	wantSent(t, etcd, "etcd-2 /etcdserverpb.Maintenance/Defragment")
}

// An alarm is about one member, and every member reports it: those that it is not about are as good as before.
func TestBesideACorruptMember(t *testing.T) {
	etcd := newFakeEtcd(t, 3)
	etcd.change(func() { etcd.alarms, etcd.snapshot = corruption(1), someSnapshot(t) })
	r := newRig(t, servers{etcd: etcd})
	file := filepath.Join(t.TempDir(), "s.db")
	wantContains(t, r.preview(IDSnapshot, file, etcd.target(2)), "CORRUPT is raised about Member etcd-1 (1)", "compare the members by their hashes")
	if o := r.act(IDSnapshot, file, etcd.target(2)); o.Status != Done {
		t.Errorf("a snapshot of another member: %+v", o)
	}
	if o := r.act("members.move-leader", "", etcd.target(2)); o.Status != Done {
		t.Errorf("the leadership away from it: %+v", o)
	}
	if o := r.act("members.remove", "", etcd.target(1)); o.Status != Done {
		t.Errorf("its removal: %+v", o)
	}
}

// A look that failed is no sign that nothing is left to clean up: members go on deleting after it.
func TestSteadyOnlyByLooksThatHeardAll(t *testing.T) {
	sums := []int64{40, -1, 30, 20, -1, 10, 5, 5, -1, 5, 5, 5} // -1: not all were heard
	n := 0
	done := untilSteady(t.Context(), time.Millisecond, func(context.Context) (int64, bool) {
		s := sums[min(n, len(sums)-1)]
		n++
		return max(s, 0), s >= 0
	})
	if !done || n != 11 {
		t.Errorf("%v after %d looks, want the third in a row that is as small as the smallest", done, n)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if untilSteady(ctx, time.Millisecond, func(context.Context) (int64, bool) { cancel(); return 0, false }) {
		t.Error("steady, though no look heard all members")
	}
}

// Who ends fathom while it asks has not learned that etcd has no quorum.
func TestGivenUpWhileAsking(t *testing.T) {
	for id, target := range map[string]Target{
		"members.move-leader": {Kind: "Member", Resource: "members", Name: "etcd-2", Member: 2},
		"etcd.compact":        {Kind: "Etcd", Resource: "etcd", Name: "prod", UID: "c1"},
		"keys.put":            keyTarget("/a", nil),
		"leases.revoke":       leaseTarget(0x77),
	} {
		etcd := newFakeKeys(t, 3)
		ctx, cancel := context.WithCancel(t.Context())
		etcd.change(func() { etcd.onRead = func() { cancel() } })
		r := newRig(t, servers{etcd: etcd})
		a := r.action(id)
		c, err := r.Confirm(a, inputOf(a), target)
		must(t, err)
		if o := r.Run(ctx, c, nil)[0]; o.Status != Failed || !strings.Contains(o.Message, "canceled") || !strings.Contains(o.Message, "nothing was sent") {
			t.Errorf("%s: %s: %s", id, o.Status, o.Message)
		}
		wantSent(t, etcd)
	}
}
