//go:build integration

package main

import (
	"slices"
	"testing"
	"time"

	"fathom/internal/testcluster"
)

// TestIntegrationIdlePanes goes from pane to pane of an idle etcd for a minute, in read-only mode: what they ask is on the allow-list, and the raft
// index of no member moves.
func TestIntegrationIdlePanes(t *testing.T) {
	const long = time.Minute
	c := testcluster.Start(t, "--etcd-only")
	cli := etcdClient(t, c)
	for _, k := range []string{"/config/a", "/config/b", "/config/a"} {
		if _, err := cli.Put(t.Context(), k, "value"); err != nil {
			t.Fatal(err)
		}
	}
	rec := testcluster.NewRecorder(t, c)
	const attempts = 3
	for attempt := 1; ; attempt++ { // an election, on a machine that is too busy, is an entry of its own
		before := steadyMembers(t, cli)
		mark, began := rec.Count(), time.Now()
		rounds := walkIdlePanes(t, rec, c, long)
		after := steadyMembers(t, cli)
		refuseOthers(t, "the panes", rec.Since(mark))
		seen := map[string]int{}
		for _, r := range rec.Since(mark) {
			seen[r.Path]++
		}
		if slices.Equal(before, after) {
			t.Logf("raft index %d, term %d, before and after %v on all panes, %d times; asked: %v", after[0].index, after[0].term,
				time.Since(began).Round(time.Second), rounds, seen)
			for _, path := range []string{"/etcdserverpb.Maintenance/Status", "/etcdserverpb.KV/Range", "/etcdserverpb.Watch/Watch", "/etcdserverpb.Maintenance/HashKV",
				"/etcdserverpb.Cluster/MemberList", "/etcdserverpb.Lease/LeaseLeases"} {
				if seen[path] == 0 {
					t.Errorf("nothing was asked of %s: %v", path, seen)
				}
			}
			break
		}
		if before[0].term == after[0].term || attempt == attempts {
			t.Fatalf("before %+v, after %+v", before, after)
		}
		t.Logf("the term went from %d to %d by an election: again", before[0].term, after[0].term)
	}
	if _, err := cli.AlarmList(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// walkIdlePanes opens every pane of etcd again and again and returns how often.
func walkIdlePanes(t *testing.T, rec *testcluster.Recorder, c *testcluster.Cluster, long time.Duration) (rounds int) {
	t.Helper()
	term := openThrough(t, rec, c, "--read-only -c members")
	term.WaitFor("READ-ONLY", "etcd-1", "etcd-2", "etcd-3", "leader", "follower")
	for end := time.Now().Add(long); time.Now().Before(end); rounds++ {
		visit(term, "members", "─ members", "quorum 3/3")
		visit(term, "findings", "─ findings", "etcd 3.6.8")
		visit(term, "consistency", "─ consistency", "Live checks")
		term.Type("H")
		term.WaitFor("all 3 voters hold the same data")
		visit(term, "keys /config", "─ keys", "b")
		term.Keys("Enter")
		term.WaitFor("Revisions:")
		visit(term, "history /config/a", "─ history", "created")
		visit(term, "watch /config/", "─ watch", "live")
		visit(term, "search /config/ b", "─ search", "/config/b")
		visit(term, "space", "─ space")
		term.Type("r")
		term.WaitFor("2 keys in")
		visit(term, "leases", "─ leases")
		visit(term, "users", "─ users", "raft proposal")
		visit(term, "backups", "─ backups")
	}
	command(term, "q")
	term.WaitFor("exit=0")
	return rounds
}
