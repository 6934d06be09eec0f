package check

import (
	"testing"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
)

// A comparison is published before it begins: what it finds is its goroutine's alone. The race detector watches.
func TestComparisonIsPublishedBeforeItBegins(t *testing.T) {
	m := startMember(t)
	k, w := checked(t, m)
	eventually(t, "the member", func() bool { return w.Snapshot().Polled && w.Snapshot().Quorum.Leader != 0 })
	for range 20 {
		if err := k.CompareHashes(); err != nil {
			t.Fatal(err)
		}
		if k.Hash() == nil {
			t.Fatal("a comparison that was begun is not shown")
		}
		eventually(t, "its end", func() bool { return !k.Hash().Running() })
	}
}

// A member that was removed and still answers has no vote: it makes no majority, and its revision is not the one to compare at.
func TestZombiesAreNotCompared(t *testing.T) {
	m := startMember(t)
	m.list = []*pb.Member{{ID: 0xb, Name: "etcd-2"}, {ID: 0xc, Name: "etcd-3"}, {ID: 0xd, Name: "etcd-4", IsLearner: true}}
	_, w := checked(t, m)
	eventually(t, "all members", func() bool { return len(w.Snapshot().Members) == 4 })
	run := begin(w.Snapshot(), time.Now())
	if run.Voters != 2 {
		t.Errorf("%d voters, want 2", run.Voters)
	}
	for _, h := range run.Members {
		if h.ID == 0xa && (h.Phase != Failed || h.Why != "it is not in the member list") {
			t.Errorf("%+v", h)
		}
	}
}
