//go:build integration

package etcd

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"fathom/cluster"
	"fathom/internal/run"
	"fathom/internal/testcluster"
	"fathom/watchers"
)

// openSandbox opens the etcd of a sandbox as fathom does.
func openSandbox(t *testing.T, c *testcluster.Cluster, readOnly bool, metrics ...string) *cluster.Etcd {
	t.Helper()
	env := map[string]string{}
	for _, kv := range c.EtcdEnv(t) {
		k, v, _ := strings.Cut(kv, "=")
		env[k] = v
	}
	cl, err := cluster.Open(cluster.Options{ReadOnly: readOnly, Etcd: cluster.EtcdOptions{MetricsURLs: metrics, Env: func(k string) string { return env[k] }}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return cl.Etcd()
}

func watchWith(t *testing.T, e *cluster.Etcd, timing timing) *Watcher {
	t.Helper()
	g := run.NewGroup(context.Background(), func(p run.Panic) { t.Errorf("panic in %s: %v\n%s", p.Name, p.Value, p.Stack) })
	t.Cleanup(g.Stop)
	return newWatcher(g, e, timing)
}

// waiter polls the snapshots of a watcher.
func waiter(t *testing.T, w *Watcher) func(within time.Duration, what string, check func(*Snapshot) error) *Snapshot {
	return func(within time.Duration, what string, check func(*Snapshot) error) (s *Snapshot) {
		t.Helper()
		began := time.Now()
		testcluster.Eventually(t, within, what, func() error {
			s = w.Snapshot()
			if err := check(s); err != nil {
				return fmt.Errorf("%w; quorum %+v, timeline %+v, findings %+v", err, s.Quorum, s.Timeline, s.Findings)
			}
			return nil
		})
		t.Logf("%s: after %v", what, time.Since(began).Round(time.Millisecond))
		return s
	}
}

// call makes a request to a member, with a deadline.
func call(t *testing.T, what string, f func(ctx context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := f(ctx); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

func TestIntegrationRaft(t *testing.T) {
	c := testcluster.Start(t, "--etcd-only", "--members", "3", "--fsync")
	writer := openSandbox(t, c, false)
	e := openSandbox(t, c, true)
	w := watchWith(t, e, usual)
	wait := waiter(t, w)
	wait(time.Minute, "three members", func(s *Snapshot) error { return healthy(s, 3) })

	n := 0
	s := wait(2*time.Minute, "p99 of fsync, commit and round trips, of every member", func(s *Snapshot) error {
		n++
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if _, err := writer.Members()[0].Client().Put(ctx, "test", fmt.Sprint(n)); err != nil {
			return err
		}
		for _, m := range s.Members {
			if q := m.Metrics; q == nil || q.FsyncP99 == nil || q.CommitP99 == nil || q.PeerRTTP99 == nil || len(q.Peers) != 2 {
				return fmt.Errorf("%s: %+v (%s)", m.Name, m.Metrics, m.MetricsWhy)
			}
		}
		return nil
	})
	for _, m := range s.Members {
		q := m.Metrics
		t.Logf("%s: fsync %v, commit %v, round trip %v, over %v, heartbeat failures %+v", m.Name, *q.FsyncP99, *q.CommitP99, *q.PeerRTTP99, q.Over, *q.HeartbeatFailures)
		if *q.FsyncP99 <= 0 || *q.FsyncP99 > 8200*time.Millisecond || *q.CommitP99 <= 0 || *q.PeerRTTP99 <= 0 || q.Over <= 0 || m.MetricsWhy != "" {
			t.Errorf("%s: %+v", m.Name, q)
		}
		if q.ProposalsPending == nil || q.ProposalsFailed == nil || q.SlowApplies == nil || q.LeaderChanges == nil || q.SnapshotsApplying == nil ||
			q.QuotaBytes == nil || int64(*q.QuotaBytes) != m.Quota || time.Since(q.Started) > 10*time.Minute || q.URL != m.Endpoint+"/metrics" {
			t.Errorf("%s: %+v", m.Name, q)
		}
	}
	wait(20*time.Second, "the history has the latencies, from the next poll on", func(s *Snapshot) error {
		for _, m := range s.Members {
			if last := m.History[len(m.History)-1]; last.FsyncP99 == 0 || last.CommitP99 == 0 || last.PeerRTTP99 == 0 {
				return fmt.Errorf("%s: %+v", m.Name, last)
			}
		}
		return nil
	})

	s = wait(time.Minute, "certificates", func(s *Snapshot) error {
		for _, m := range s.Members {
			if len(m.Certs) != 2 || m.Certs[0].NotAfter.IsZero() || m.Certs[1].NotAfter.IsZero() {
				return fmt.Errorf("%s: %+v", m.Name, m.Certs)
			}
		}
		if s.OurCert.NotAfter.IsZero() {
			return fmt.Errorf("ours: %+v", s.OurCert)
		}
		return nil
	})
	for _, m := range s.Members {
		if m.Certs[0].Use != CertServer || m.Certs[1].Use != CertPeer || !m.Certs[0].NotAfter.After(time.Now()) || m.Certs[0].Subject == "" {
			t.Errorf("%s: %+v", m.Name, m.Certs)
		}
	}
	if len(s.Timeline) == 0 || !s.Timeline[0].First || s.Timeline[0].LeaderName == "" {
		t.Errorf("timeline %+v", s.Timeline)
	}

	old := s.Quorum
	var next string
	for _, m := range s.Members {
		if m.Role == Follower {
			next = m.ID()
		}
	}
	i, _ := s.Find(next)
	leader, _ := s.Find(rowID(old.Leader, ""))
	from, ok := writer.Member(s.Members[leader].Endpoint)
	if !ok {
		t.Fatalf("no connection to %s", s.Members[leader].Endpoint)
	}
	e.NoteMove(old.Leader, s.Members[i].MemberID)
	call(t, "move the leadership", func(ctx context.Context) error {
		_, err := from.Maintenance().MoveLeader(ctx, &pb.MoveLeaderRequest{TargetID: s.Members[i].MemberID})
		return err
	})
	s = wait(20*time.Second, "the timeline tells of the move", func(s *Snapshot) error {
		l := s.Timeline[len(s.Timeline)-1]
		if l.From != old.Leader || rowID(l.Leader, "") != next || !l.Moved || len(l.Before) == 0 || !strings.HasPrefix(l.Before[0], "fathom moved") || l.Term <= old.Term {
			return fmt.Errorf("%+v", l)
		}
		return healthy(s, 3)
	})

	old = s.Quorum
	c.Run(t, "kill", old.LeaderName)
	s = wait(30*time.Second, "the timeline says that the leader was gone", func(s *Snapshot) error {
		l := s.Timeline[len(s.Timeline)-1]
		if !s.Quorum.Has || l.From != old.Leader || l.Leader == 0 || l.Leader == old.Leader || len(l.Before) == 0 || !strings.HasPrefix(l.Before[0], old.LeaderName+" stopped answering") {
			return fmt.Errorf("%+v", l)
		}
		return nil
	})
	if got := s.IfGone(rowID(s.Quorum.Leader, "")); !strings.Contains(got, "no quorum (2 of 3 are needed)") {
		t.Errorf("if the new leader goes: %q", got)
	}
	if m := s.named(old.LeaderName); m.Metrics == nil || m.Role != Unreachable {
		t.Errorf("what the dead one told last is forgotten: %+v", m)
	}
	c.Run(t, "restart", old.LeaderName)
	s = wait(time.Minute, "it is back, and its metrics are of the new process", func(s *Snapshot) error {
		if m := s.named(old.LeaderName); m.Metrics == nil || time.Since(m.Metrics.At) > meterFresh || m.MetricsWhy != "" {
			return fmt.Errorf("%+v", m.Metrics)
		}
		return healthy(s, 3)
	})

	var learner uint64
	// For some seconds after a member is back etcd takes the cluster for unhealthy: it wants its peers connected for five.
	testcluster.Eventually(t, time.Minute, "add a learner", func() error {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		r, err := writer.Members()[0].Client().MemberAddAsLearner(ctx, []string{"https://127.0.0.1:1"})
		if err == nil {
			learner = r.Member.ID
		}
		return err
	})
	s = wait(30*time.Second, "a row of the learner that has not started", func(s *Snapshot) error {
		i, ok := s.Find(rowID(learner, ""))
		if !ok || s.Members[i].Role != Unstarted || !s.Members[i].IsLearner || found(s, FoundUnstarted) == nil {
			return fmt.Errorf("%v", ok)
		}
		return nil
	})
	if s.Quorum.Voters != 3 || found(s, FoundEven) != nil {
		t.Errorf("a learner has a vote: %+v", s.Quorum)
	}
	call(t, "remove the learner", func(ctx context.Context) error {
		_, err := writer.Members()[0].Client().MemberRemove(ctx, learner)
		return err
	})
	wait(30*time.Second, "it is gone again", func(s *Snapshot) error {
		if len(s.Members) != 3 {
			return fmt.Errorf("%d members", len(s.Members))
		}
		return nil
	})
	for _, f := range w.Snapshot().Findings {
		if f.Severity == Critical && f.Kind != FoundFsync {
			t.Errorf("after all is well again: %+v", f)
		}
	}
}

// One member, five and seven of them; and members whose metrics cannot be read.
func TestIntegrationSizes(t *testing.T) {
	for _, n := range []int{1, 5, 7} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			c := testcluster.Start(t, "--etcd-only", "--members", fmt.Sprint(n))
			closed := "http://127.0.0.1:1" // the port of tcpmux, on which nobody listens
			wait := waiter(t, watchWith(t, openSandbox(t, c, true), usual))
			without := waiter(t, watchWith(t, openSandbox(t, c, true, closed), usual))
			s := wait(time.Minute, "all members, with metrics", func(s *Snapshot) error {
				for _, m := range s.Members {
					if m.Metrics == nil || m.Metrics.FsyncP99 != nil { // the sandbox does not fsync: nothing is observed
						return fmt.Errorf("%s: %+v (%s)", m.Name, m.Metrics, m.MetricsWhy)
					}
				}
				return healthy(s, n)
			})
			if want := fmt.Sprintf("quorum %d, may lose %d", n/2+1, (n-1)/2); n > 1 && s.Quorum.Words()[0] != fmt.Sprintf("%d voting members, %s", n, want) {
				t.Errorf("%q, want %q", s.Quorum.Words(), want)
			}
			if single := found(s, FoundSingle) != nil; single != (n == 1) || found(s, FoundOneHost) != nil || found(s, FoundEven) != nil {
				t.Errorf("findings %+v", s.Findings)
			}
			s = without(time.Minute, "no metrics, and the rest all the same", func(s *Snapshot) error {
				for _, m := range s.Members {
					if m.Metrics != nil || !strings.Contains(m.MetricsWhy, "refused") {
						return fmt.Errorf("%s: %+v (%s)", m.Name, m.Metrics, m.MetricsWhy)
					}
				}
				return healthy(s, n)
			})
			for _, f := range []string{FoundFsync, FoundCommit, FoundRTT} {
				if found(s, f) != nil {
					t.Errorf("without metrics it finds %s", f)
				}
			}
		})
	}
}

// With authentication on, and a user that may not see the status (etcd before 3.5.32 and 3.6.12 shows it to root only).
func TestIntegrationStatusDenied(t *testing.T) {
	c := testcluster.Start(t, "--etcd-only", "--members", "3")
	writer := openSandbox(t, c, false)
	wait := waiter(t, watchWith(t, openSandbox(t, c, true), usual))
	wait(time.Minute, "three members", func(s *Snapshot) error { return healthy(s, 3) })
	cl := writer.Members()[0].Client()
	for _, step := range []struct {
		what string
		do   func(ctx context.Context) error
	}{
		{"add the user root", func(ctx context.Context) error { _, err := cl.UserAdd(ctx, "root", "secret"); return err }},
		{"grant it the role root", func(ctx context.Context) error { _, err := cl.UserGrantRole(ctx, "root", "root"); return err }},
		{"switch authentication on", func(ctx context.Context) error { _, err := cl.AuthEnable(ctx); return err }},
	} {
		call(t, step.what, step.do)
	}
	s := wait(30*time.Second, "the members answer and deny", func(s *Snapshot) error {
		if s.State.Phase != watchers.Denied || !s.Quorum.Has || s.Quorum.Reachable != 3 || found(s, FoundDenied) == nil || found(s, FoundUnreachable) != nil {
			return fmt.Errorf("state %+v", s.State)
		}
		return nil
	})
	for _, m := range s.Members {
		if m.Role != Denied || m.Name == "" || !m.Linearizable.OK() {
			t.Errorf("%+v", m)
		}
	}
}

// Our looking proposes no raft entry: nobody else is at work, and the commit index of every member stands still. Everything is looked at
// ten times as often as in use, so that these seconds are worth minutes.
func TestIntegrationIdleIndex(t *testing.T) {
	c := testcluster.Start(t, "--etcd-only", "--members", "3")
	e := openSandbox(t, c, true)
	often := usual
	often.poll, often.probe, often.list = 100*time.Millisecond, 200*time.Millisecond, time.Second
	often.metrics, often.certs, often.house = 500*time.Millisecond, 2*time.Second, time.Second
	w := watchWith(t, e, often)
	wait := waiter(t, w)
	index := func(s *Snapshot) (out []uint64) {
		for _, m := range s.Members {
			out = append(out, m.CommitIndex)
		}
		return out
	}
	const still = 8 * time.Second
	var since time.Time
	var at []uint64
	first := wait(time.Minute, "all is looked at", func(s *Snapshot) error {
		for _, m := range s.Members {
			if m.Metrics == nil || len(m.Certs) != 2 {
				return fmt.Errorf("%s: %+v, %+v", m.Name, m.Metrics, m.Certs)
			}
		}
		return healthy(s, 3)
	})
	s := wait(2*time.Minute, "the commit index stands still while we look", func(s *Snapshot) error {
		if err := healthy(s, 3); err != nil {
			since = time.Time{}
			return err
		}
		if now := index(s); !slices.Equal(now, at) || since.IsZero() {
			at, since = now, time.Now()
		}
		if time.Since(since) < still {
			return fmt.Errorf("%v since %v", at, time.Since(since))
		}
		return nil
	})
	for i, m := range s.Members {
		if was := first.Members[i]; !m.Metrics.At.After(was.Metrics.At) || !m.Certs[1].At.After(was.Certs[1].At) || !m.Linearizable.At.After(was.Linearizable.At) {
			t.Errorf("%s was not looked at meanwhile: its index proves nothing", m.Name)
		}
	}
}
