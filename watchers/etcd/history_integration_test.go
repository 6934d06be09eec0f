//go:build integration

package etcd

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"

	"fathom/cluster"
	"fathom/internal/run"
	"fathom/internal/testcluster"
)

// TestIntegrationHistory walks histories of a real cluster, and compares them with what an independent client did.
func TestIntegrationHistory(t *testing.T) {
	c := testcluster.Start(t, "--etcd-only", "--members", "3")
	env := sandboxEnv(t, c)
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Minute)
	defer cancel()
	open := func(endpoints string) *cluster.Cluster {
		t.Helper()
		cl, err := cluster.Open(cluster.Options{ReadOnly: true, Etcd: cluster.EtcdOptions{Env: func(k string) string {
			if k == "ETCDCTL_ENDPOINTS" && endpoints != "" {
				return endpoints
			}
			return env[k]
		}}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(cl.Close)
		return cl
	}
	cl := open("")
	keys, other := NewKeys(cl.Etcd()), independent(t, env)
	put := func(key, value string) int64 {
		t.Helper()
		r, err := other.Put(ctx, key, value)
		if err != nil {
			t.Fatal(err)
		}
		return r.Header.Revision
	}
	// settled waits until every member has what was written: a serializable read of one that lags is true, though old.
	settled := func(revision int64) {
		t.Helper()
		for _, m := range cl.Etcd().Members() {
			testcluster.Eventually(t, 30*time.Second, m.Endpoint+" has everything", func() error {
				st, err := m.Status(ctx)
				if err == nil && st.Header.Revision < revision {
					err = fmt.Errorf("revision %d of %d", st.Header.Revision, revision)
				}
				return err
			})
		}
	}
	compact := func(revision int64) {
		t.Helper()
		if _, err := other.Compact(ctx, revision); err != nil {
			t.Fatal(err)
		}
		for _, m := range cl.Etcd().Members() { // it is applied by one after the other
			one := NewKeys(open(m.Endpoint).Etcd())
			testcluster.Eventually(t, 30*time.Second, m.Endpoint+" has compacted", func() error {
				if got, err := one.compacted(ctx); err != nil || got < revision {
					return fmt.Errorf("%d of %d, %v", got, revision, err)
				}
				return nil
			})
		}
	}

	t.Run("lives, deletions and the compaction", func(t *testing.T) {
		var want []string
		var revs []int64
		for life := range 3 {
			for version := 1; version <= 4; version++ {
				rev := put("/h/k", strings.Repeat("x", 10*life+version))
				want, revs = append(want, fmt.Sprintf("%d v%d", rev, version)), append(revs, rev)
				put("/h/other", fmt.Sprint(rev))
			}
			r, err := other.Delete(ctx, "/h/k")
			if err != nil {
				t.Fatal(err)
			}
			want, revs = append(want, fmt.Sprintf("%d deleted", r.Header.Revision)), append(revs, r.Header.Revision)
			put("/h/other", "between")
		}
		rev := put("/h/k", "the last life")
		want, revs = append(want, fmt.Sprintf("%d v1", rev)), append(revs, rev)
		settled(rev)
		newestFirst := func(s []string) string {
			s = slices.Clone(s)
			slices.Reverse(s)
			return strings.Join(s, ", ")
		}
		got, end := walk(t, keys.History("/h/k"), 4)
		if said(got) != newestFirst(want) || end.Why != "it was never there before" {
			t.Fatalf("got  %s; %+v\nwant %s", said(got), end, newestFirst(want))
		}
		// At a deletion, within a life, and to the newest. A compaction keeps the state at its revision, so that one is still told.
		for _, i := range []int{4, 7, len(revs) - 1} {
			compact(revs[i])
			got, end = walk(t, keys.History("/h/k"), 100)
			if w := newestFirst(want[i:]); said(got) != w || end.Compacted != revs[i] || !strings.Contains(end.Why, fmt.Sprintf("before revision %d was compacted away", revs[i])) {
				t.Errorf("compacted at %s: got %s; %+v\nwant %s", want[i], said(got), end, w)
			}
		}
		if _, err := keys.GetAt(ctx, "/h/k", revs[0]); !errors.Is(err, rpctypes.ErrCompacted) {
			t.Errorf("a compacted revision: %v", err)
		}
		got, end = walk(t, keys.History("/h/none"), 10)
		if len(got) != 0 || end.Compacted != revs[len(revs)-1] {
			t.Errorf("a key that never was: %s; %+v", said(got), end)
		}
	})

	t.Run("thousands of revisions", func(t *testing.T) {
		const n = 3000
		var wg sync.WaitGroup
		for w := range 16 {
			wg.Go(func() {
				for i := w; i < n; i += 16 {
					if _, err := other.Put(ctx, "/h/busy", strings.Repeat("v", 1000)); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		wg.Wait()
		settled(put("/h/after", "x"))
		before := heap()
		h := keys.History("/h/busy")
		began := time.Now()
		p, err := h.Next(ctx, 100)
		if err != nil || len(p.Revisions) != 100 || p.End.Reached || p.Revisions[0].Version != n {
			t.Fatalf("the first page: %d revisions, %v", len(p.Revisions), err)
		}
		first := time.Since(began)
		rest, end := walk(t, h, 500)
		if len(rest) != n-100 || rest[len(rest)-1].Version != 1 || !end.Reached {
			t.Errorf("%d revisions, %+v", len(rest), end)
		}
		grown := heap() - before
		t.Logf("a page of 100 in %v, all %d in %v, %d KiB of memory", first.Round(time.Millisecond), n, time.Since(began).Round(time.Millisecond), grown>>10)
		if grown > 8<<20 {
			t.Errorf("%d revisions of 1 KB take %d bytes", n, grown)
		}
		runtime.KeepAlive(rest)
	})

	t.Run("values of 1.4 MiB", func(t *testing.T) {
		var rev int64
		for i := range 14 {
			rev = put("/h/large", fmt.Sprint(i)+strings.Repeat("y\n", 700<<10))
		}
		settled(rev)
		h := keys.History("/h/large")
		p, err := h.Next(ctx, 100)
		if err != nil || len(p.Revisions) < 11 || len(p.Revisions) > 12 || p.End.Reached || p.Revisions[0].Size < 1400<<10 {
			t.Fatalf("a page: %d revisions, %v", len(p.Revisions), err)
		}
		if rest, _ := walk(t, h, 100); len(p.Revisions)+len(rest) != 14 {
			t.Errorf("%d and %d revisions", len(p.Revisions), len(rest))
		}
		a, err := keys.GetAt(ctx, "/h/large", rev-1)
		if err != nil {
			t.Fatal(err)
		}
		b, err := keys.GetAt(ctx, "/h/large", rev)
		if err != nil {
			t.Fatal(err)
		}
		if d := Diff("/h/large", a.Value, b.Value, DecodeOptions{}); changes(d) != "-12y\n+13y\n" {
			t.Errorf("%d lines removed, %d added", d.Removed, d.Added)
		}
		// A watch keeps the newest of such values, not all of them.
		g := run.NewGroup(ctx, func(p run.Panic) { t.Errorf("%s: %v", p.Name, p.Value) })
		defer g.Stop()
		w := NewWatch(g, cl.Etcd(), WatchOptions{Key: "/h/large", Revision: rev - 10, Values: 4 << 20})
		s := w.wait(t, "ten large changes", func(s *WatchSnapshot) bool { return s.Total == 10 })
		kept := 0
		for _, e := range s.Events {
			if e.Kept {
				kept++
			}
		}
		if kept != 1 || !s.Events[9].Kept || len(s.Events[9].Prev) < 1400<<10 {
			t.Errorf("%d of %d values are kept in 4 MiB", kept, len(s.Events))
		}
	})

	// The fault table's "compaction during a watch": what the member missed while it was down is compacted away when the watch comes back.
	t.Run("a compaction during a watch", func(t *testing.T) {
		endpoints := strings.Split(env["ETCDCTL_ENDPOINTS"], ",")
		one := open(endpoints[0])
		g := run.NewGroup(ctx, func(p run.Panic) { t.Errorf("%s: %v", p.Name, p.Value) })
		defer g.Stop()
		w := NewWatch(g, one.Etcd(), WatchOptions{Key: "/h/w/", Prefix: true})
		w.wait(t, "the watch", live)
		put("/h/w/a", "seen")
		w.wait(t, "a change", func(s *WatchSnapshot) bool { return s.Total == 1 })
		c.Run(t, "kill", "etcd-1")
		var others []string
		others = append(others, endpoints[1:]...)
		rest := independent(t, map[string]string{"ETCDCTL_ENDPOINTS": strings.Join(others, ","), "ETCDCTL_CACERT": env["ETCDCTL_CACERT"],
			"ETCDCTL_CERT": env["ETCDCTL_CERT"], "ETCDCTL_KEY": env["ETCDCTL_KEY"]})
		var rev int64
		testcluster.Eventually(t, time.Minute, "writes without the member", func() error {
			short, cancel := context.WithTimeout(ctx, 5*time.Second)
			defer cancel()
			for range 5 {
				r, err := rest.Put(short, "/h/w/a", "missed")
				if err != nil {
					return err
				}
				rev = r.Header.Revision
			}
			_, err := rest.Compact(short, rev)
			return err
		})
		c.Run(t, "restart", "etcd-1")
		s := waitWithin(t, w, time.Minute, "the gap", func(s *WatchSnapshot) bool { return s.Gaps > 0 && live(s) })
		gap := slices.IndexFunc(s.Events, func(e KeyEvent) bool { return e.Gap != "" })
		if gap < 1 || s.Events[gap].Revision > rev || !strings.Contains(s.Events[gap].Gap, "compacted away before it was seen") {
			t.Errorf("%+v", s.Events)
		}
		after, err := rest.Put(ctx, "/h/w/a", "after")
		if err != nil {
			t.Fatal(err)
		}
		s = waitWithin(t, w, time.Minute, "the change after the gap", func(s *WatchSnapshot) bool { return s.Events[len(s.Events)-1].Revision == after.Header.Revision })
		if slices.ContainsFunc(s.Events, func(e KeyEvent) bool { return e.Revision > s.Events[0].Revision && e.Revision < rev && e.Gap == "" }) {
			t.Errorf("a change that was compacted away: %+v", s.Events)
		}
	})
}

// waitWithin is wait with more patience.
func waitWithin(t *testing.T, w *Watch, within time.Duration, what string, ok func(*WatchSnapshot) bool) *WatchSnapshot {
	t.Helper()
	testcluster.Eventually(t, within, what, func() error {
		if s := w.Snapshot(); !ok(s) {
			return fmt.Errorf("%d events, %d gaps, %+v", len(s.Events), s.Gaps, s.State)
		}
		return nil
	})
	return w.Snapshot()
}

func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
