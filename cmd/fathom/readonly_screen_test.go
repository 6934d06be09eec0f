//go:build integration

package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"fathom/actions"
	"fathom/internal/testcluster"
	"fathom/keymap"
)

// openThrough opens the dashboard by way of a recorder.
func openThrough(t *testing.T, rec *testcluster.Recorder, c *testcluster.Cluster, args string) *testcluster.Terminal {
	t.Helper()
	term := testcluster.NewTerminal(t, 140, 45, append(rec.Env(t, c), "FATHOM_BACKUP_DIR="+t.TempDir()))
	term.Line(testcluster.Binary(t, "fathom") + " " + args + "; echo exit=$?")
	return term
}

// visit opens a view by its command and waits until the command has been taken and the texts are on the screen.
func visit(term *testcluster.Terminal, line string, see ...string) {
	command(term, line)
	term.WaitUntil(fmt.Sprintf("%q with %q", line, see), func(s string) bool {
		if strings.HasPrefix(lastLine(s), ":") {
			return false
		}
		for _, text := range see {
			if !strings.Contains(s, text) {
				return false
			}
		}
		return true
	})
}

// testReadOnlyWalk uses the program itself: every view is looked at and the key of every action pressed. What has reached the
// proxies in the meantime is on the allow-list.
func testReadOnlyWalk(t *testing.T, c *testcluster.Cluster) {
	rec := testcluster.NewRecorder(t, c)
	term := openThrough(t, rec, c, "--read-only")
	term.WaitFor("READ-ONLY", "API up", "overview")

	for _, view := range []struct {
		command string
		see     []string
	}{
		{"members", []string{"members", "etcd-1", "etcd-2", "etcd-3", "leader", "follower"}},
		{"keys /registry", []string{"keys", "deployments"}},
		{"search /registry/namespaces/ KUBE-", []string{"search", "/registry/namespaces/kube-system", "keys in"}},
		{"space /registry/pods", []string{"space", "r scans them"}},
		{"leases", []string{"leases", "etcd was asked about"}},
		{"users", []string{"users", "raft proposal", "This fathom is read-only"}},
		{"findings", []string{"─ findings", "etcd 3.6.8"}},
		{"history /registry/namespaces/default", []string{"─ history"}},
		{"watch /registry/leases/", []string{"─ watch", "live"}},
		{"backups", []string{"─ backups"}},
		{"consistency", []string{"─ consistency", "Live checks"}},
		{"pods -A", []string{"pods", "all namespaces", "Running", "live"}},
		{"nodes", []string{"nodes", "NotReady", "Ready"}},
		{"placement", []string{"placement", "eu-central-1a"}},
		{"events -A", []string{"events", "Warning"}},
		{"contexts", []string{"contexts", "current"}},
		{"namespaces", []string{"namespaces", "Terminating"}},
		{"vm -A", []string{"virtualmachines", "legacy-erp"}},
		{"secrets -A", []string{"secrets", "live"}},
		{"deployments -A", []string{"deployments", "READY"}},
		{"statefulsets -A", []string{"statefulsets", "postgres"}},
		{"overview", []string{"overview", "3/3"}},
	} {
		visit(term, view.command, view.see...)
	}
	// Of one pod; and into a value of etcd.
	for _, doc := range []struct{ key, see string }{{"l", "logs "}, {"y", "apiVersion"}, {"d", "Namespace:"}} {
		visit(term, "pods data", "─ pods data", "▸ postgres-0")
		term.Type(doc.key)
		term.WaitFor(doc.see)
	}
	visit(term, "keys /registry/namespaces", "kube-system")
	term.Keys("Enter")
	term.WaitFor("kind: Namespace")

	visit(term, "consistency", "─ consistency", "the leases of the control plane")
	term.Type("H")
	term.WaitFor("all 3 voters hold the same data")

	pressEveryAction(t, term)
	command(term, "q")
	term.WaitFor("exit=0")

	rs := rec.Requests()
	refuseOthers(t, "the screen", rs)
	seen := map[string]int{}
	for _, r := range rs {
		seen[r.Path]++
	}
	t.Logf("%d requests to %d paths", len(rs), len(seen))
	for _, path := range []string{
		"/livez", "/readyz", "/api/v1/pods", "/api/v1/nodes", "/api/v1/namespaces/data/pods/postgres-0", "/api/v1/namespaces/data/pods/postgres-0/log",
		"/apis/kubevirt.example.io/v1/virtualmachines", "/etcdserverpb.KV/Range", "/etcdserverpb.Maintenance/Status", "/etcdserverpb.Cluster/MemberList",
		"/etcdserverpb.Watch/Watch", "/etcdserverpb.Maintenance/HashKV",
	} {
		if seen[path] == 0 {
			t.Errorf("nothing was asked of %s: has fathom found a way around the recorder? %v", path, seen)
		}
	}
}

// asks is the beginning of what an action asks for: the rest may be in the next row.
func asks(a actions.Action) string { return a.Input.Prompt[:min(20, len(a.Input.Prompt))] }

// pressEveryAction presses the key of every action on a view that offers it, and answers yes: the dialog says that it cannot be.
func pressEveryAction(t *testing.T, term *testcluster.Terminal) {
	t.Helper()
	views := map[keymap.Scope]struct{ command, title, row string }{
		keymap.Pods:      {"pods shop /frontend", "─ pods shop", "▸ frontend-"},
		keymap.Workloads: {"deployments shop /frontend", "─ deployments shop", "▸ frontend"},
		keymap.Nodes:     {"nodes -A", "─ nodes", "▸ "},
		keymap.Members:   {"members /follower", "─ members", "▸ etcd-"},
		keymap.Backups:   {"backups", "─ backups", "no snapshot is in the backup folder"},
		keymap.Leases:    {"leases", "─ leases", "▸ "},
		keymap.KeyTree:   {"keys /registry/namespaces", "─ keys", "▸   batch"},
	}
	left, pressed := map[string]actions.Action{}, map[string]bool{}
	for _, a := range actions.All() {
		left[a.ID] = a
	}
	for _, b := range keymap.Default() {
		if !b.Writes {
			continue
		}
		if pressed[string(b.Intent)] { // in another scope
			continue
		}
		a, ok := left[string(b.Intent)]
		view, known := views[b.Scope]
		if !ok || !known {
			t.Errorf("%s in scope %s writes, and this test knows no action or no view for it", b.Intent, b.Scope)
			continue
		}
		delete(left, a.ID)
		pressed[a.ID] = true
		visit(term, view.command, view.title, view.row)
		if b.Scope != keymap.KeyTree && b.Scope != keymap.Leases { // they are read, not watched
			term.WaitFor("live")
		}
		term.Keys(strings.Replace(b.Keys[0], "ctrl+", "C-", 1))
		if a.Input != nil && b.Scope != keymap.KeyTree { // of a key nothing is asked in read-only mode
			term.WaitFor(a.Title, asks(a))
			// A dialog that has just been drawn does not answer. When it asks no more, Enter would be an answer to what it says then.
			var pressed time.Time
			term.WaitUntil("the dialog to take Enter", func(s string) bool {
				if !strings.Contains(s, asks(a)) {
					return true
				}
				if time.Since(pressed) > time.Second {
					pressed = time.Now()
					if in, ok := inputs[a.ID]; ok {
						term.Keys("C-u")
						term.Type(in)
					}
					term.Keys("Enter")
				}
				return false
			})
		}
		s := term.WaitFor(a.Title, "read-only mode")
		if strings.Contains(s, "[ Cancel ]") {
			t.Errorf("%s: a confirmation is offered:\n%s", a.ID, s)
		}
		term.Type("y")
		term.Keys("Escape") // once: a letter that comes too late would be the view's
		term.WaitGone("read-only mode")
	}
	for id := range left {
		t.Errorf("no key for action %s was pressed", id)
	}
}

// testIdleEtcd looks at an etcd that nobody writes to: fathom does not move its raft index by one, in read-only mode or out of it.
func testIdleEtcd(t *testing.T) {
	c := testcluster.Start(t, "--seed", "none", "--nodes", "1")
	for _, name := range []string{"kwok", "scheduler", "controller-manager", "apiserver"} {
		c.Run(t, "kill", name)
	}
	cli := etcdClient(t, c)
	leases, err := cli.Leases(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range leases.Leases { // each would expire by a raft proposal
		if _, err := cli.Revoke(t.Context(), l.ID); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range []string{"--read-only -c members", "-c members"} {
		t.Run(args, func(t *testing.T) { lookAtIdleEtcd(t, c, cli, args) })
	}
	// That the index can tell: asking for the alarms, though it only reads, is a proposal.
	before := steadyMembers(t, cli)
	if _, err := cli.AlarmList(t.Context()); err != nil {
		t.Fatal(err)
	}
	if after := steadyMembers(t, cli); after[0].index <= before[0].index {
		t.Errorf("the raft index is %d after a proposal and was %d: it tells nothing", after[0].index, before[0].index)
	}
}

// lookAtIdleEtcd compares the raft indices from before and after fathom was open. An election is an entry of its own; when the
// machine was so busy that there was one, it is looked at once more.
func lookAtIdleEtcd(t *testing.T, c *testcluster.Cluster, cli *clientv3.Client, args string) {
	const attempts = 3
	for attempt := 1; ; attempt++ {
		before := steadyMembers(t, cli)
		watchIdleEtcd(t, c, args)
		after := steadyMembers(t, cli)
		if slices.Equal(before, after) {
			t.Logf("raft index %d, term %d, before and after", after[0].index, after[0].term)
			return
		}
		if before[0].term == after[0].term || attempt == attempts {
			t.Fatalf("before %+v, after %+v", before, after)
		}
		t.Logf("the term went from %d to %d by an election: again", before[0].term, after[0].term)
	}
}

// steadyMembers are the members once they agree on an index that has not moved for two seconds.
func steadyMembers(t *testing.T, cli *clientv3.Client) []memberState {
	t.Helper()
	var last []memberState
	var since time.Time
	testcluster.Eventually(t, time.Minute, "the raft index stands still", func() error {
		now := membersOf(t, cli)
		for _, m := range now {
			if m.index != now[0].index || m.term != now[0].term {
				return fmt.Errorf("the members are apart: %+v", now)
			}
		}
		if !slices.Equal(now, last) {
			last, since = now, time.Now()
		}
		if time.Since(since) < 2*time.Second {
			return fmt.Errorf("still for %v: %+v", time.Since(since), now)
		}
		return nil
	})
	return last
}

// watchIdleEtcd opens the members and the keys and stays until every member was asked for its status and probed again and again.
func watchIdleEtcd(t *testing.T, c *testcluster.Cluster, args string) {
	t.Helper()
	const refreshes = 12 // one a second
	rec := testcluster.NewRecorder(t, c)
	term := openThrough(t, rec, c, args)
	term.WaitFor("members", "etcd-1", "etcd-2", "etcd-3", "leader", "follower")
	calls := func(path string) map[string]int {
		n := map[string]int{}
		for _, r := range rec.Requests() {
			if r.Path == path {
				n[r.Server]++
			}
		}
		return n
	}
	testcluster.Eventually(t, time.Minute, "the members were read again and again", func() error {
		for _, path := range []string{"/etcdserverpb.Maintenance/Status", "/etcdserverpb.KV/Range"} {
			n := calls(path)
			if len(n) != 3 {
				return fmt.Errorf("%s: %v", path, n)
			}
			for server, n := range n {
				if path == "/etcdserverpb.Maintenance/Status" && n < refreshes || n == 0 {
					return fmt.Errorf("%s of %s: %d", path, server, n)
				}
			}
		}
		return nil
	})
	visit(term, "keys /registry", "keys", "namespaces")
	visit(term, "keys /registry/namespaces", "kube-system")
	term.Keys("Enter")
	term.WaitFor("kind: Namespace")
	command(term, "q")
	term.WaitFor("exit=0")
	refuseOthers(t, args, rec.Requests())
}
