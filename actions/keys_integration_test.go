//go:build integration

package actions

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"

	"fathom/cluster"
	"fathom/internal/testcluster"
)

// TestIntegrationKeys makes, edits and deletes keys and revokes a lease on a real etcd of three members with mTLS, and reads every effect
// back by another client.
func TestIntegrationKeys(t *testing.T) {
	s := &sandbox{Cluster: testcluster.Start(t, "--etcd-only", "--members", "3"), env: map[string]string{}}
	for _, kv := range s.EtcdEnv(t) {
		k, v, _ := strings.Cut(kv, "=")
		s.env[k] = v
	}
	cli, r, auditor := s.etcd(t), s.runner(t, "", false), s.runner(t, "", true)
	get := func(key string) (value string, target Target) {
		t.Helper()
		resp, err := cli.Get(t.Context(), key)
		must(t, err)
		if len(resp.Kvs) == 0 {
			return "", keyTarget(key, nil)
		}
		kv := resp.Kvs[0]
		target = keyTarget(key, nil)
		target.ResourceVersion, target.Detail = fmt.Sprint(kv.ModRevision), map[string]string{detailVersion: fmt.Sprint(kv.Version)}
		return string(kv.Value), target
	}
	refused := func(id, input string, target Target) {
		t.Helper()
		if o := auditor.act(id, input, target); o.Status != Denied {
			t.Errorf("read-only %s: %+v", id, o)
		}
		if _, err := auditor.action(id).Do(t.Context(), auditor.cluster, Request{Target: target, Input: input, AuditID: "t"}); !errors.Is(err, cluster.ErrReadOnly) {
			t.Errorf("read-only %s past the runner: %v", id, err)
		}
	}

	_, target := get("/config/ui")
	refused("keys.put", "made", target)
	t.Log(r.preview("keys.put", "made", target))
	if o := r.act("keys.put", "made", target); o.Status != Done {
		t.Fatalf("put: %+v", o)
	}
	if v, _ := get("/config/ui"); v != "made" {
		t.Fatalf("put: the key holds %q", v)
	}
	if o := r.act("keys.put", "again", target); o.Status != Conflict {
		t.Errorf("put on a key that exists: %+v", o)
	}

	lease, err := cli.Grant(t.Context(), 3600)
	must(t, err)
	_, err = cli.Put(t.Context(), "/config/ui", "leased", clientv3.WithLease(lease.ID))
	must(t, err)
	_, target = get("/config/ui")
	refused("keys.edit", "edited", target)
	t.Log(r.preview("keys.edit", "edited", target))
	o := r.act("keys.edit", "edited", target)
	t.Log(o.Message)
	if o.Status != Done {
		t.Fatalf("edit: %+v", o)
	}
	resp, err := cli.Get(t.Context(), "/config/ui")
	must(t, err)
	if kv := resp.Kvs[0]; string(kv.Value) != "edited" || kv.Lease != int64(lease.ID) {
		t.Errorf("edit: the key holds %q under lease %x, want lease %x", kv.Value, kv.Lease, lease.ID)
	}
	for _, id := range []string{"keys.edit", "keys.delete"} { // target is as of before the edit
		if o := r.act(id, valueFor(r.action(id), "late"), target); o.Status != Conflict {
			t.Errorf("%s of what was changed meanwhile: %+v", id, o)
		}
	}
	// etcd's own comparison, with fathom's reading passed by.
	plan, _, conn, err := planKey(t.Context(), r.cluster, func() Target { _, now := get("/config/ui"); return now }())
	must(t, err)
	_, err = cli.Put(t.Context(), "/config/ui", "theirs", clientv3.WithIgnoreLease())
	must(t, err)
	if _, err := commit(t.Context(), conn, target, plan, put(target, plan, "ours")); judge(err).status != Conflict {
		t.Errorf("etcd was to refuse it: %v", err)
	}
	v, target := get("/config/ui")
	if v != "theirs" {
		t.Errorf("it was overwritten: %q", v)
	}

	refused("keys.delete", "", target)
	t.Log(r.preview("keys.delete", "", target))
	if o := r.act("keys.delete", "", target); o.Status != Done {
		t.Fatalf("delete: %+v", o)
	}
	if _, gone := get("/config/ui"); gone.ResourceVersion != absent {
		t.Errorf("delete: it is there: %+v", gone)
	}

	for i := range 3 {
		_, err = cli.Put(t.Context(), fmt.Sprintf("/locks/%d", i), "x", clientv3.WithLease(lease.ID))
		must(t, err)
	}
	refused("leases.revoke", "", leaseTarget(int64(lease.ID)))
	wantContains(t, r.preview("leases.revoke", "", leaseTarget(int64(lease.ID))), "3 keys", "/locks/2")
	if o := r.act("leases.revoke", "", leaseTarget(int64(lease.ID))); o.Status != Done {
		t.Fatalf("revoke: %+v", o)
	}
	resp, err = cli.Get(t.Context(), "/locks/", clientv3.WithPrefix(), clientv3.WithCountOnly())
	must(t, err)
	if ttl, err := cli.TimeToLive(t.Context(), lease.ID); err != nil || ttl.TTL != -1 || resp.Count != 0 {
		t.Errorf("revoke: %d keys are left, the lease lasts %+v (%v)", resp.Count, ttl, err)
	}
	if rep := r.journalled(); len(rep.Open) != 0 {
		t.Errorf("journal %+v", rep)
	}
}
