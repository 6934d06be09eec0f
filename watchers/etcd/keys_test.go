package etcd

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"

	"fathom/cluster"
	"fathom/internal/testetcd"
)

// open opens the cluster of fake members.
func openEtcd(t testing.TB, servers ...*testetcd.Server) *cluster.Etcd {
	t.Helper()
	var urls []string
	for _, s := range servers {
		urls = append(urls, s.URL)
	}
	c, err := cluster.Open(cluster.Options{ReadOnly: true, Etcd: cluster.EtcdOptions{Endpoints: urls, Env: func(string) string { return "" }}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c.Etcd()
}

func TestChildren(t *testing.T) {
	s := testetcd.Start(t)
	var keys []string
	put := func(k string) {
		s.Set(k, "v")
		keys = append(keys, k)
	}
	for _, k := range []string{"compact_rev_key", "/", "/registry", "/registry/pods/default/a", "/registry/pods/default/b", "/registry/pods/kube-system/x",
		"/registry/pods", "/registry/health", "/registry//odd", "/registry/", "/registry/a\xff/x", "/registry/a\xff\xff/x", "/registry/\xff", "\x00", "\xff\xff",
		"//x", "user/a/b", "user/a", "/registry/\x1b[2J/x\u202e", "/registry/secrets/default/s"} {
		put(k)
	}
	for i := range 300 {
		put(fmt.Sprintf("/registry/leases/kube-node-lease/node-%03d", i))
	}
	slices.Sort(keys)
	k := NewKeys(openEtcd(t, s))
	ctx := t.Context()
	for _, prefix := range []string{"", "/", "/registry/", "/registry/pods/", "/registry/pods/default/", "/registry//", "/registry/leases/kube-node-lease/", "user/", "nothing/"} {
		want := levelOf(keys, prefix)
		for _, limit := range []int{1, 2, 7, 1000} {
			var got []Child
			for after := ""; ; {
				l, err := k.Children(ctx, prefix, after, limit)
				if err != nil {
					t.Fatalf("%q limit %d after %q: %v", prefix, limit, after, err)
				}
				if len(l.Children) > limit || l.More && len(l.Children) != limit {
					t.Fatalf("%q limit %d after %q: %d children, more %v", prefix, limit, after, len(l.Children), l.More)
				}
				got = append(got, l.Children...)
				if !l.More {
					if l.Revision != s.Revision() || l.Member != s.URL {
						t.Errorf("%q: read from %s at %d, want %s at %d", prefix, l.Member, l.Revision, s.URL, s.Revision())
					}
					break
				}
				after = got[len(got)-1].Key
			}
			if !slices.Equal(got, want) {
				t.Errorf("%q limit %d:\ngot  %+v\nwant %+v", prefix, limit, got, want)
			}
		}
	}
	if l, err := k.Children(ctx, "/registry/pods", "", 10); err != nil || len(l.Children) != 2 {
		t.Errorf("a prefix without its separator: %v, %v", l, err)
	}
}

func TestPageCountGet(t *testing.T) {
	s := testetcd.Start(t)
	for i := range 25 {
		s.Set(fmt.Sprintf("/a/%02d", i), "v")
	}
	rev := s.Set("/a/00", "new")
	s.Set("/b", "v")
	s.Lease("/a/01", 0x77, 42)
	k := NewKeys(openEtcd(t, s))
	ctx := t.Context()
	if n, src, err := k.Count(ctx, "/a/"); n != 25 || err != nil || src.Revision != s.Revision() {
		t.Error(n, src, err)
	}
	if n, _, err := k.Count(ctx, ""); n != 26 || err != nil {
		t.Error(n, err)
	}
	var got []string
	for after := ""; ; after = got[len(got)-1] {
		p, err := k.Page(ctx, "/a/", after, 10, true)
		if err != nil {
			t.Fatal(err)
		}
		for _, kv := range p.KVs {
			if kv.Value != nil {
				t.Fatal("a value was read with keysOnly")
			}
			got = append(got, kv.Key)
		}
		if !p.More {
			break
		}
	}
	if len(got) != 25 || !slices.IsSorted(got) {
		t.Errorf("pages: %q", got)
	}
	kv, err := k.Get(ctx, "/a/00")
	if err != nil || string(kv.Value) != "new" || kv.Version != 2 || kv.ModRevision != rev || kv.CreateRevision == rev || kv.TTL >= 0 {
		t.Errorf("%+v, %v", kv, err)
	}
	if kv, err = k.Get(ctx, "/a/01"); err != nil || kv.Lease != 0x77 || kv.TTL != 42*time.Second {
		t.Errorf("%+v, %v", kv, err)
	}
	if _, err = k.Get(ctx, "/none"); !errors.Is(err, ErrNoKey) || !strings.Contains(err.Error(), `"/none"`) {
		t.Error(err)
	}
}

// A member without its peers goes on answering with what it had: what is to be written is not read from it.
func TestCurrentIsNotWhatACutOffMemberHas(t *testing.T) {
	apart, well := testetcd.Start(t), testetcd.Start(t)
	apart.Set("/k", "old")
	well.Set("/k", "old")
	well.Set("/k", "new")
	k := NewKeys(openEtcd(t, apart, well))
	if kv, err := k.Get(t.Context(), "/k"); err != nil || string(kv.Value) != "old" {
		t.Fatalf("a serializable read: %+v, %v", kv, err)
	}
	if kv, err := k.GetCurrent(t.Context(), "/k"); err != nil || string(kv.Value) != "old" {
		t.Errorf("without a quorum: %+v, %v; want what there is", kv, err)
	}
	well.Lead()
	if kv, err := k.GetCurrent(t.Context(), "/k"); err != nil || string(kv.Value) != "new" || kv.Member != well.URL {
		t.Errorf("with a quorum: %+v, %v", kv, err)
	}
	if kv, err := k.Get(t.Context(), "/k"); err != nil || kv.Member != well.URL {
		t.Errorf("after it: %+v, %v; want the member that has the quorum", kv, err)
	}
	well.Delete("/k")
	if _, err := k.GetCurrent(t.Context(), "/k"); !errors.Is(err, ErrNoKey) {
		t.Errorf("deleted: %v", err)
	}
	if _, err := k.GetCurrent(t.Context(), ""); err == nil {
		t.Error("a key without a name was read")
	}
}

func TestAnotherMemberAnswers(t *testing.T) {
	a, b := testetcd.Start(t), testetcd.Start(t)
	a.Set("/k", "a")
	b.Set("/k", "b")
	k := NewKeys(openEtcd(t, a, b))
	k.attempt = 600 * time.Millisecond // short, for it is waited for, and not too short for a busy machine to answer
	a.Hang()
	kv, err := k.Get(t.Context(), "/k")
	if err != nil || kv.Member != b.URL {
		t.Fatalf("with the first member hung: %+v, %v", kv, err)
	}
	start := time.Now()
	if _, err = k.Get(t.Context(), "/k"); err != nil || time.Since(start) >= k.attempt {
		t.Errorf("the member that answered was not asked first: %v after %v", err, time.Since(start))
	}
	b.Hang()
	_, err = k.Get(t.Context(), "/k")
	if err == nil || !strings.Contains(err.Error(), a.URL) || !strings.Contains(err.Error(), b.URL) || !strings.Contains(err.Error(), "no answer within") {
		t.Errorf("with both hung: %v", err)
	}
	if _, err = k.Children(t.Context(), "", "", 10); err == nil {
		t.Error("a level was read from hung members")
	}
	a.Continue()
	if kv, err = k.Get(t.Context(), "/k"); err != nil || kv.Member != a.URL {
		t.Errorf("after the first went on: %+v, %v", kv, err)
	}
	a.Refuse(rpctypes.ErrGRPCPermissionDenied)
	if _, err = k.Get(t.Context(), "/k"); !errors.Is(err, rpctypes.ErrPermissionDenied) {
		t.Errorf("refused: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err = k.Children(ctx, "", "", 10); err == nil {
		t.Error("a level was read with a context that had ended")
	}
}
