//go:build integration

package etcd

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"fathom/cluster"
	"fathom/internal/run"
	"fathom/internal/testcluster"
)

// watchSandbox starts a watcher, in read-only mode, as fathom does.
func watchSandbox(t *testing.T, c *testcluster.Cluster) *Watcher {
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
	if cl.Etcd() == nil {
		t.Fatalf("no etcd: %+v", cl.Missing())
	}
	g := run.NewGroup(context.Background(), func(p run.Panic) { t.Errorf("panic in %s: %v\n%s", p.Name, p.Value, p.Stack) })
	t.Cleanup(g.Stop)
	return NewWatcher(g, cl.Etcd())
}

// healthy says what is missing to n members that are all well.
func healthy(s *Snapshot, n int) error {
	leaders := 0
	terms := map[uint64]bool{}
	for _, m := range s.Members {
		if !m.Reachable || !m.Serializable.OK() || !m.Linearizable.OK() || m.Name == "" {
			return fmt.Errorf("%s: %+v", m.GetName(), m)
		}
		if m.Role == Leader {
			leaders++
		}
		terms[m.Term] = true
	}
	if len(s.Members) != n || leaders != 1 || len(terms) != 1 || !s.Quorum.Has || s.Quorum.CanLose != (n-1)/2 {
		return fmt.Errorf("%d members, %d leaders, terms %v, quorum %+v", len(s.Members), leaders, terms, s.Quorum)
	}
	return nil
}

func TestIntegrationMembers(t *testing.T) {
	c := testcluster.Start(t)
	w := watchSandbox(t, c)
	wait := func(within time.Duration, what string, check func(s *Snapshot) error) *Snapshot {
		t.Helper()
		var s *Snapshot
		began := time.Now()
		testcluster.Eventually(t, within, what, func() error {
			s = w.Snapshot()
			if err := check(s); err != nil {
				return fmt.Errorf("%w; quorum %+v, findings %+v", err, s.Quorum, s.Findings)
			}
			return nil
		})
		t.Logf("%s: after %v; quorum %+v", what, time.Since(began).Round(time.Millisecond), s.Quorum)
		return s
	}
	recovered := func() *Snapshot {
		t.Helper()
		return wait(time.Minute, "three members, one leader, one term", func(s *Snapshot) error { return healthy(s, 3) })
	}

	s := recovered()
	for _, m := range s.Members {
		if m.Revision == 0 || m.CommitIndex < m.AppliedIndex || m.DBSize == 0 || m.DBSizeInUse > m.DBSize || m.Quota == 0 ||
			!strings.HasPrefix(m.Version, "3.") || m.StorageVersion == "" || len(m.PeerURLs) == 0 || m.ClusterID != s.ClusterID {
			t.Errorf("%+v", m)
		}
	}

	t.Log("the leader is killed")
	old := s.Quorum
	c.Run(t, "kill", old.LeaderName)
	s = wait(5*time.Second, "a new leader and a higher term", func(s *Snapshot) error {
		dead := s.named(old.LeaderName)
		if s.Quorum.Leader == 0 || s.Quorum.Leader == old.Leader || s.Quorum.Term <= old.Term || dead.Reachable {
			return fmt.Errorf("dead member reachable: %v", dead.Reachable)
		}
		return nil
	})
	if m := s.named(old.LeaderName); m.Role != Unreachable || m.LastRole != Leader || m.Revision == 0 || len(m.Errors) == 0 || m.MemberID != old.Leader {
		t.Errorf("the dead leader's row: %+v", m)
	}
	wait(10*time.Second, "a quorum without a spare", func(s *Snapshot) error {
		if !s.Quorum.Has || s.Quorum.Reachable != 2 || s.Quorum.CanLose != 0 || s.Quorum.Changes < 1 {
			return fmt.Errorf("not yet")
		}
		return nil
	})

	t.Log("and one more: there is no quorum")
	second := s.Quorum.LeaderName
	c.Run(t, "kill", second)
	s = wait(15*time.Second, "no quorum", func(s *Snapshot) error {
		if s.Quorum.Has || s.Quorum.Reachable != 1 || s.Quorum.Leader != 0 {
			return fmt.Errorf("not yet")
		}
		return nil
	})
	for _, m := range s.Members {
		if m.Reachable && (m.Role != NoLeader || !m.Serializable.OK()) {
			t.Errorf("the member that is left: %+v", m)
		}
	}
	c.Run(t, "restart", old.LeaderName)
	c.Run(t, "restart", second)
	s = recovered()

	t.Log("a follower is frozen: the others go on")
	var frozen string
	for _, m := range s.Members {
		if m.Role == Follower {
			frozen = m.Name
		}
	}
	c.Run(t, "stop", frozen)
	s = wait(6*time.Second, "the frozen member is marked", func(s *Snapshot) error {
		if m := s.named(frozen); m.Reachable || !strings.Contains(strings.Join(m.Errors, " "), "no answer within") {
			return fmt.Errorf("%+v", m)
		}
		return nil
	})
	for gen, until := s.Gen, time.Now().Add(5*time.Second); time.Now().Before(until); {
		wait(3*time.Second, "the next snapshot", func(s *Snapshot) error {
			if s.Gen == gen {
				return fmt.Errorf("still %d", gen)
			}
			return nil
		})
		s = w.Snapshot()
		gen = s.Gen
		for _, m := range s.Members {
			if age := time.Since(m.LastSeen); m.Name != frozen && age > 3*time.Second {
				t.Errorf("%s was seen %v ago: the frozen member holds it up", m.Name, age)
			}
		}
	}
	c.Run(t, "cont", frozen)
	recovered()

	t.Log("the leader is cut off from the others; we still reach all of them")
	old = w.Snapshot().Quorum
	c.Run(t, "partition", old.LeaderName)
	s = wait(15*time.Second, "the others have a leader, it has none", func(s *Snapshot) error {
		m := s.named(old.LeaderName)
		if !s.Quorum.Has || s.Quorum.CanLose != 0 || s.Quorum.Leader == old.Leader || s.Quorum.Leader == 0 || !m.Reachable || m.Role != NoLeader || m.Linearizable.Err == "" {
			return fmt.Errorf("cut off: %+v", m)
		}
		return nil
	})
	for _, f := range s.Findings {
		if f.Kind == FoundTwoLeaders || f.Kind == FoundTermBack || f.Kind == FoundRevisionBack || f.Kind == FoundTwoClusters {
			t.Errorf("found what is not so: %+v", f)
		}
	}
	c.Run(t, "heal", old.LeaderName)
	s = recovered()
	for _, f := range s.Findings {
		if f.Severity == Critical {
			t.Errorf("after all is well again: %+v", f)
		}
	}
}
