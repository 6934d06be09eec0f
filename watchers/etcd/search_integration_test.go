//go:build integration

package etcd

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"fathom/cluster"
	"fathom/internal/testcluster"
)

// TestIntegrationScans searches, scans and lists on a real cluster of three members, and looks at what it costs: no raft entry, and nothing
// of the leader.
func TestIntegrationScans(t *testing.T) {
	c := testcluster.Start(t, "--etcd-only", "--members", "3")
	env := sandboxEnv(t, c)
	cl, err := cluster.Open(cluster.Options{ReadOnly: true, Etcd: cluster.EtcdOptions{Env: func(k string) string { return env[k] }}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	other := independent(t, env)
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	var bytes int64
	for i := range 40 {
		var ops []clientv3.Op
		for k := range 100 {
			key, value := fmt.Sprintf("/registry/pods/ns-%02d/pod-%03d", i, k), strings.Repeat("x", 10*k)
			bytes += int64(len(key) + len(value))
			ops = append(ops, clientv3.OpPut(key, value))
		}
		if _, err := other.Txn(ctx).Then(ops...).Commit(); err != nil {
			t.Fatal(err)
		}
	}
	lease, err := other.Grant(ctx, 600)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		key := fmt.Sprintf("/leased/%d", i)
		bytes += int64(len(key))
		if _, err := other.Put(ctx, key, "", clientv3.WithLease(lease.ID)); err != nil {
			t.Fatal(err)
		}
	}
	index := func() uint64 {
		t.Helper()
		st, err := other.Status(ctx, cl.Etcd().Members()[0].Endpoint)
		if err != nil {
			t.Fatal(err)
		}
		return st.RaftIndex
	}
	// Every member has all of it before it is looked at.
	rev := int64(0)
	testcluster.Eventually(t, 20*time.Second, "equal revisions", func() error {
		for _, m := range cl.Etcd().Members() {
			st, err := m.Status(ctx)
			if err != nil {
				return err
			}
			if rev = max(rev, st.Header.Revision); st.Header.Revision != rev || rev < 44 {
				return fmt.Errorf("%s is at revision %d, another one at %d", m.Endpoint, st.Header.Revision, rev)
			}
		}
		return nil
	})
	g := testGroup(t)
	before := index()

	q, err := ParseSearch(`/registry/pods/ ~ ns-1\d/pod-09[05]$`)
	if err != nil {
		t.Fatal(err)
	}
	se := NewSearch(g, cl.Etcd(), q)
	until(t, "the end of the search", func() bool { return !se.Running() })
	if s := se.Snapshot(); s.Err != nil || len(s.Hits) != 20 || s.Looked != 4000 || s.Role != Follower {
		t.Errorf("%d found of %d, from a %s, %v", len(s.Hits), s.Looked, s.Role, s.Err)
	}
	scans := &SpaceScans{}
	sp := scans.Start(g, cl.Etcd(), "")
	until(t, "the end of the scan", func() bool { return !sp.Running() })
	s := sp.Snapshot()
	all, err := other.Get(ctx, "\x00", clientv3.WithFromKey(), clientv3.WithCountOnly())
	if err != nil {
		t.Fatal(err)
	}
	if s.Err != nil || s.All.Keys != all.Count || s.All.Bytes() < bytes || s.Role != Follower || s.Database.InUse <= 0 {
		t.Errorf("%+v, want %d keys of %d bytes or more", s, all.Count, bytes)
	}
	for _, r := range sp.Resources() {
		if r.Name == "pods" && (r.Keys != 4000 || r.Largest.Bytes != 990) {
			t.Errorf("pods: %+v", r)
		}
	}
	leases := NewLeases(g, cl.Etcd())
	leases.Look([]int64{int64(lease.ID)})
	until(t, "the lease", func() bool { s := leases.Snapshot(); return len(s.IDs) > 0 && s.Asked() > 0 })
	ls := leases.Snapshot()
	if i, ok := ls.Find(int64(lease.ID)); !ok || ls.Row(i).Keys != 3 || ls.Row(i).First != "/leased/0" || ls.Row(i).Granted != 600*time.Second || ls.Row(i).TTL <= 0 {
		t.Errorf("%+v", ls)
	}
	leases.Close()
	keys := NewKeys(cl.Etcd())
	if guess, err := keys.AuthGuess(ctx); err != nil || guess.On {
		t.Errorf("%+v, %v", guess, err)
	}
	if _, err := keys.Auth(ctx); !errors.Is(err, cluster.ErrReadOnly) {
		t.Errorf("users are asked for in read-only mode: %v", err)
	}
	if after := index(); after != before {
		t.Errorf("the raft index went from %d to %d", before, after)
	}
	t.Run("a follower that dies is gone on without", func(t *testing.T) {
		slow := spacePace
		slow.Page, slow.BytesPerSecond = 100, 300<<10
		sp := newSpace(g, cl.Etcd(), "/registry/", nil, slow)
		until(t, "the first keys", func() bool { return sp.Snapshot().Looked > 0 })
		first := sp.Snapshot().Member
		c.Run(t, "kill", memberAt(t, other, first))
		until(t, "the end of the scan", func() bool { return !sp.Running() })
		if s := sp.Snapshot(); s.Err != nil || s.All.Keys != 4000 || s.Moved == "" || s.Member == first {
			t.Errorf("%+v", s)
		}
	})
}

// memberAt is the name of the member with a client URL.
func memberAt(t *testing.T, cl *clientv3.Client, endpoint string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	r, err := cl.MemberList(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range r.Members {
		for _, u := range m.ClientURLs {
			if u == endpoint {
				return m.Name
			}
		}
	}
	t.Fatalf("no member has the client URL %s", endpoint)
	return ""
}

// TestIntegrationUsers asks for users and roles where authentication is on, as root and as a user who may read one prefix.
func TestIntegrationUsers(t *testing.T) {
	c := testcluster.Start(t, "--etcd-only", "--members", "1")
	env := sandboxEnv(t, c)
	other := independent(t, env)
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	for _, do := range []func() error{
		func() error { _, err := other.Put(ctx, "/app/a", "v"); return err },
		func() error { _, err := other.Put(ctx, "/other/b", "v"); return err },
		func() error { _, err := other.RoleAdd(ctx, "app"); return err },
		func() error {
			_, err := other.RoleGrantPermission(ctx, "app", "/app/", clientv3.GetPrefixRangeEnd("/app/"), clientv3.PermissionType(clientv3.PermRead))
			return err
		},
		func() error { _, err := other.UserAdd(ctx, "root", "r"); return err },
		func() error { _, err := other.UserGrantRole(ctx, "root", "root"); return err },
		func() error { _, err := other.UserAdd(ctx, "jane", "j"); return err },
		func() error { _, err := other.UserGrantRole(ctx, "jane", "app"); return err },
		func() error { _, err := other.AuthEnable(ctx); return err },
	} {
		if err := do(); err != nil {
			t.Fatal(err)
		}
	}
	as := func(user string) *cluster.Cluster {
		cl, err := cluster.Open(cluster.Options{Etcd: cluster.EtcdOptions{Env: func(k string) string {
			if k == "ETCDCTL_USER" {
				return user
			}
			return env[k]
		}}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(cl.Close)
		return cl
	}
	root := NewKeys(as("root:r").Etcd())
	a, err := root.Auth(ctx)
	if err != nil || !a.Enabled || strings.Join(a.Users, ",") != "jane,root" || strings.Join(a.Roles, ",") != "app" || a.Proposals != 3 {
		t.Errorf("%+v, %v", a, err)
	}
	if roles, err := root.AuthUser(ctx, "jane"); err != nil || len(roles) != 1 || roles[0] != "app" {
		t.Errorf("%v, %v", roles, err)
	}
	if role, err := root.AuthRole(ctx, "app"); err != nil || len(role.Permissions) != 1 || role.Permissions[0].Where() != "keys that begin with /app/" || role.Permissions[0].Type != "READ" {
		t.Errorf("%+v, %v", role, err)
	}
	limited := as("jane:j").Etcd()
	jane := NewKeys(limited)
	if g, err := jane.AuthGuess(ctx); err != nil || !g.On {
		t.Errorf("%+v, %v", g, err)
	}
	if _, err := jane.Auth(ctx); !errors.Is(err, rpctypes.ErrPermissionDenied) {
		t.Errorf("jane asks for users: %v", err)
	}
	g := testGroup(t)
	for expr, found := range map[string]int{"/app/": 1, "b": -1} {
		q, err := ParseSearch(expr)
		if err != nil {
			t.Fatal(err)
		}
		se := NewSearch(g, limited, q)
		until(t, "the end of the search", func() bool { return !se.Running() })
		s := se.Snapshot()
		if found < 0 && !errors.Is(s.Err, rpctypes.ErrPermissionDenied) || found >= 0 && (s.Err != nil || len(s.Hits) != found) {
			t.Errorf("jane looks for %s: %d found, %v", expr, len(s.Hits), s.Err)
		}
	}
}
