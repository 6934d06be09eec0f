//go:build integration

package check

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"go.etcd.io/etcd/client/pkg/v3/transport"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"fathom/cluster"
	"fathom/internal/run"
	"fathom/internal/testcluster"
	"fathom/watchers/etcd"
)

// start opens a sandbox in read-only mode and checks it in more of a hurry than usual.
func start(t *testing.T, c *testcluster.Cluster) (*Checker, *etcd.Watcher, *clientv3.Client) {
	t.Helper()
	env := map[string]string{}
	for _, kv := range c.EtcdEnv(t) {
		k, v, _ := strings.Cut(kv, "=")
		env[k] = v
	}
	cl, err := cluster.Open(cluster.Options{ReadOnly: true, Etcd: cluster.EtcdOptions{Env: func(k string) string { return env[k] }}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	g := run.NewGroup(context.Background(), func(p run.Panic) { t.Errorf("panic in %s: %v\n%s", p.Name, p.Value, p.Stack) })
	t.Cleanup(g.Stop)
	w := etcd.NewWatcher(g, cl.Etcd())
	quick := usual
	quick.adopt, quick.progress, quick.retry = 200*time.Millisecond, 500*time.Millisecond, 200*time.Millisecond
	k := newChecker(g, w, quick)

	cfg, err := transport.TLSInfo{CertFile: env["ETCDCTL_CERT"], KeyFile: env["ETCDCTL_KEY"], TrustedCAFile: env["ETCDCTL_CACERT"]}.ClientConfig()
	if err != nil {
		t.Fatal(err)
	}
	cli, err := clientv3.New(clientv3.Config{Endpoints: strings.Split(env["ETCDCTL_ENDPOINTS"], ","), TLS: cfg, DialTimeout: 10 * time.Second, Logger: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cli.Close() })
	return k, w, cli
}

// write makes changes of every sort, transactions too, and compacts at the newest revision now and then, until the context ends.
func write(ctx context.Context, cli *clientv3.Client) {
	tick := time.NewTicker(30 * time.Millisecond)
	defer tick.Stop()
	for i := 0; ctx.Err() == nil; i++ {
		a, b := fmt.Sprintf("a%d", i%5), fmt.Sprintf("b%d", i%7)
		op, cancel := context.WithTimeout(ctx, 2*time.Second)
		switch {
		case i%11 == 10:
			_, _ = cli.Delete(op, a)
		case i%37 == 36:
			if r, err := cli.Get(op, "a"); err == nil {
				_, _ = cli.Compact(op, r.Header.Revision)
			}
		default:
			_, _ = cli.Txn(op).Then(clientv3.OpPut(a, fmt.Sprint(i)), clientv3.OpPut(b, fmt.Sprint(i))).Commit()
		}
		cancel()
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
}

// noBreach fails when a promise was broken: the sandbox's etcd keeps all of them.
func noBreach(t *testing.T, k *Checker) *Live {
	t.Helper()
	l := k.Live()
	for _, b := range l.Breaches {
		t.Errorf("found what is not so: %s %s: %s\n%s", b.Name, b.Rule, b.Text, strings.Join(b.Evidence, "\n"))
	}
	return l
}

// TestIntegrationCanary watches a real cluster on which much happens, members die and come back, and history is compacted: no promise is broken,
// and all of them are checked.
func TestIntegrationCanary(t *testing.T) {
	c := testcluster.Start(t, "--etcd-only")
	k, w, cli := start(t, c)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); write(ctx, cli) }()
	t.Cleanup(func() { cancel(); <-done })
	watched := func(within time.Duration, what string) {
		t.Helper()
		before := map[uint64]uint64{}
		for _, m := range k.Live().Members {
			before[m.ID] = m.Events
		}
		testcluster.Eventually(t, within, what, func() error {
			l := noBreach(t, k)
			if len(l.Members) != 3 {
				return fmt.Errorf("%d members are watched", len(l.Members))
			}
			for _, m := range l.Members {
				if !m.Watching || m.Events < before[m.ID]+40 || m.Progress == 0 {
					return fmt.Errorf("%+v", m)
				}
			}
			for _, r := range l.Rules {
				if r.Checked < 10 {
					return fmt.Errorf("%s was checked %d times", r.Rule, r.Checked)
				}
			}
			return nil
		})
	}
	watched(time.Minute, "all members are watched, and all is checked")
	for _, m := range k.Live().Members {
		if !m.HasLate || m.HasDelay {
			t.Errorf("%+v", m)
		}
		t.Logf("%s: %d events, at most %v after the first member that told them, progress in %v", m.Name, m.Events, m.Late, m.Progress)
	}
	leader := w.Snapshot().Quorum.LeaderName
	c.Run(t, "kill", leader)
	c.Run(t, "restart", leader)
	watched(time.Minute, "the watches go on after the leader was killed")
	for _, n := range []string{"etcd-1", "etcd-2"} {
		c.Run(t, "blackhole", n)
	}
	testcluster.Eventually(t, time.Minute, "the watches on black holes are given up", func() error {
		for _, m := range k.Live().Members {
			if m.Watching != (m.Name == "etcd-3") {
				return fmt.Errorf("%+v", m)
			}
		}
		return nil
	})
	for _, n := range []string{"etcd-1", "etcd-2"} {
		c.Run(t, "heal", n)
	}
	watched(time.Minute, "the watches go on after the black holes")
}

// TestIntegrationHashes compares the members: alike, one altered behind etcd's back, and with less than a majority to tell who is right.
func TestIntegrationHashes(t *testing.T) {
	c := testcluster.Start(t, "--etcd-only")
	k, w, cli := start(t, c)
	for i := range 50 {
		if _, err := cli.Put(t.Context(), fmt.Sprintf("key%d", i%20), fmt.Sprint(i)); err != nil {
			t.Fatal(err)
		}
	}
	allUp := func() {
		t.Helper()
		testcluster.Eventually(t, time.Minute, "three members that answer", func() error {
			s := w.Snapshot()
			for _, m := range s.Members {
				if !m.Reachable || m.LeaderID == 0 || !m.Linearizable.OK() {
					return fmt.Errorf("%+v", m)
				}
			}
			if len(s.Members) != 3 {
				return fmt.Errorf("%d members", len(s.Members))
			}
			return nil
		})
	}
	compare := func() *HashRun {
		t.Helper()
		if err := k.CompareHashes(); err != nil {
			t.Fatal(err)
		}
		if err := k.CompareHashes(); err != nil && err != ErrRunning { //nolint:errorlint // the sentinel itself
			t.Error(err)
		}
		testcluster.Eventually(t, time.Minute, "the comparison ends", func() error {
			if k.Hash().Running() {
				return fmt.Errorf("%+v", k.Hash())
			}
			return nil
		})
		t.Logf("%s (%v)", k.Hash().Text, k.Hash().Ended.Sub(k.Hash().Began))
		return k.Hash()
	}
	found := func(want bool) {
		t.Helper()
		testcluster.Eventually(t, 20*time.Second, "the finding", func() error {
			has := ""
			for _, f := range w.Snapshot().Findings {
				if f.Kind == FoundHash {
					has = f.Text
				}
			}
			if (has != "") != want {
				return fmt.Errorf("a finding: %q", has)
			}
			return nil
		})
	}
	allUp()
	if r := compare(); r.Verdict != Same || r.Voters != 3 || r.Revision < 50 || !r.Members[2].Leader {
		t.Fatalf("%+v", r)
	}
	found(false)

	c.Run(t, "alter", "etcd-2")
	allUp()
	var r *HashRun
	testcluster.Eventually(t, time.Minute, "every member to tell its hash", func() error { // the restart may not have been noticed yet
		r = compare()
		for _, m := range r.Members {
			if m.Verdict == Unknown {
				return errors.New(m.Name + ": " + m.Why)
			}
		}
		return nil
	})
	if r.Verdict != Differs || !strings.HasPrefix(r.Text, "etcd-2 does not hold") {
		t.Errorf("%+v", r)
	}
	for _, m := range r.Members {
		if (m.Verdict == Differs) != (m.Name == "etcd-2") || m.Verdict == Unknown {
			t.Errorf("%+v", m)
		}
	}
	found(true)

	// Two answer, and they differ: the third one could be on either side.
	c.Run(t, "stop", "etcd-1")
	testcluster.Eventually(t, time.Minute, "etcd-1 is frozen and the others have a leader", func() error {
		s := w.Snapshot()
		for _, m := range s.Members {
			if m.Reachable == (m.Name == "etcd-1") || m.Reachable && m.LeaderID == 0 {
				return fmt.Errorf("%+v", m)
			}
		}
		return nil
	})
	if r := compare(); r.Verdict != Apart || !strings.Contains(r.Text, "not known who is right") {
		t.Errorf("%+v", r)
	}
	c.Run(t, "cont", "etcd-1")
	noBreach(t, k)
}
