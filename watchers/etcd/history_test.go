package etcd

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"

	"fathom/internal/testetcd"
)

// walk reads a whole history in pages.
func walk(t *testing.T, h *History, limit int) ([]Revision, HistoryEnd) {
	t.Helper()
	var all []Revision
	for {
		p, err := h.Next(t.Context(), limit)
		if err != nil {
			t.Fatal(err)
		}
		if len(p.Revisions) > limit {
			t.Fatalf("%d revisions in a page of %d", len(p.Revisions), limit)
		}
		all = append(all, p.Revisions...)
		if p.End.Reached {
			return all, p.End
		}
	}
}

// said writes revisions as "12 v3", "11 deleted".
func said(revs []Revision) string {
	var out []string
	for _, r := range revs {
		if r.Deleted {
			out = append(out, fmt.Sprintf("%d deleted", r.Revision))
		} else {
			out = append(out, fmt.Sprintf("%d v%d", r.Revision, r.Version))
		}
	}
	return strings.Join(out, ", ")
}

// lives is a key that was created, changed, deleted and created again, twice, between changes of another one.
func lives(s *testetcd.Server) {
	s.Set("/k", "a") // 2
	s.Set("/other", "x")
	s.Set("/k", "bb") // 4
	s.Delete("/k")    // 5
	s.Set("/other", "y")
	s.Set("/k", "ccc") // 7
	s.Delete("/k")     // 8
	s.Set("/other", "z")
	s.Set("/k", "dddd") // 10
	s.Set("/k", "eeeee")
	s.Set("/other", "zz")
}

func TestHistory(t *testing.T) {
	const all = "11 v2, 10 v1, 8 deleted, 7 v1, 5 deleted, 4 v2, 2 v1"
	for _, c := range []struct {
		name      string
		compact   int64
		then      func(*testetcd.Server)
		want, why string
	}{
		{"whole", 0, nil, all, "it was never there before"},
		{"compacted within a life", 4, nil, "11 v2, 10 v1, 8 deleted, 7 v1, 5 deleted, 4 v2", "what was before revision 4 was compacted away"},
		{"compacted at a deletion", 8, nil, "11 v2, 10 v1, 8 deleted", "what was before revision 8 was compacted away"},
		{"compacted between lives", 9, nil, "11 v2, 10 v1", "it was not there before; what was before revision 9 was compacted away"},
		{"compacted to the newest", 12, nil, "11 v2", "what was before revision 12 was compacted away"},
		{"deleted now", 0, func(s *testetcd.Server) { s.Delete("/k") }, "13 deleted, " + all, "it was never there before"},
		{"never there", 0, func(s *testetcd.Server) { s.Delete("/k"); s.Set("/x", "1"); s.CompactTo(14) }, "", "it was not there before; what was before revision 14 was compacted away"},
	} {
		for _, limit := range []int{1, 3, 100} {
			s := testetcd.Start(t)
			lives(s)
			if c.then != nil {
				c.then(s)
			}
			if c.compact > 0 {
				s.CompactTo(c.compact)
			}
			revs, end := walk(t, NewKeys(openEtcd(t, s)).History("/k"), limit)
			if said(revs) != c.want || end.Why != c.why {
				t.Errorf("%s, in pages of %d: %s; %+v", c.name, limit, said(revs), end)
			}
		}
	}
}

// How far back deletions are looked for is bounded, is said, and goes on when it is asked for.
func TestHistoryLooksThrough(t *testing.T) {
	s := testetcd.Start(t)
	lives(s)
	h := NewKeys(openEtcd(t, s)).History("/k")
	h.through = 4 // of the revisions 9 to 12
	revs, end := walk(t, h, 10)
	if said(revs) != "11 v2, 10 v1" || end.Unseen != 8 || !strings.Contains(end.Why, "before revision 9 was not looked for") {
		t.Errorf("%s; %+v", said(revs), end)
	}
	h.LookThrough(6) // back to 7: the deletion at 8 is found, the one at 5 is not
	revs, end = walk(t, h, 10)
	if said(revs) != "8 deleted, 7 v1" || end.Unseen != 6 {
		t.Errorf("%s; %+v", said(revs), end)
	}
	h.LookThrough(100)
	if revs, end = walk(t, h, 10); said(revs) != "5 deleted, 4 v2, 2 v1" || end.Unseen != 0 {
		t.Errorf("%s; %+v", said(revs), end)
	}
}

func TestHistoryTellsWho(t *testing.T) {
	s := testetcd.Start(t)
	object := func(manager, at, size string) string {
		return fmt.Sprintf(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"managedFields":[{"manager":"first","operation":"Update","time":"2026-01-01T00:00:00Z"},
			{"manager":%q,"operation":"Apply","subresource":"status","time":%q}]},"data":{"n":%q}}`, manager, at, size)
	}
	s.Set("/k", object("helm", "2026-01-02T00:00:00Z", "1"))
	s.Set("/k", object("kubectl", "2026-01-03T00:00:00Z", "2"))
	s.Set("/k", object("kubectl", "2026-01-03T00:00:00Z", "3")) // by somebody who took a field away
	for _, limit := range []int{1, 10} {
		revs, _ := walk(t, NewKeys(openEtcd(t, s)).History("/k"), limit)
		var got []string
		for _, r := range revs {
			got = append(got, fmt.Sprintf("%s %s %s %v", r.By.Manager, r.By.Subresource, r.By.At.Format("01-02"), r.SameBy))
		}
		if want := []string{"kubectl status 01-03 true", "kubectl status 01-03 false", "helm status 01-02 false"}; !slices.Equal(got, want) {
			t.Errorf("in pages of %d: %q", limit, got)
		}
		if r := revs[0]; r.Kind != "ConfigMap" || r.APIVersion != "v1" || r.Format != JSON || r.Size != len(object("kubectl", "2026-01-03T00:00:00Z", "3")) {
			t.Errorf("%+v", r)
		}
	}
}

// A page ends at its bytes, and an error leaves the walk where it was.
func TestHistoryIsBounded(t *testing.T) {
	s := testetcd.Start(t)
	big := strings.Repeat("x", 3<<19) // what etcd accepts
	for i := range 30 {
		s.Set("/k", fmt.Sprint(i, big))
	}
	h := NewKeys(openEtcd(t, s)).History("/k")
	p, err := h.Next(t.Context(), 100)
	if err != nil || len(p.Revisions) < 8 || len(p.Revisions) > 11 || p.End.Reached {
		t.Fatalf("%d revisions of 1.5 MiB in a page, %v", len(p.Revisions), err)
	}
	s.Refuse(rpctypes.ErrGRPCPermissionDenied)
	if _, err := h.Next(t.Context(), 100); !errors.Is(err, rpctypes.ErrPermissionDenied) {
		t.Errorf("refused: %v", err)
	}
	s.Refuse(nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := h.Next(ctx, 100); err == nil {
		t.Error("a page after ctx has ended")
	}
	rest, _ := walk(t, h, 100)
	if n := len(p.Revisions) + len(rest); n != 30 || rest[0].Version != p.Revisions[len(p.Revisions)-1].Version-1 {
		t.Errorf("%d revisions", n)
	}
}

func TestGetAt(t *testing.T) {
	s := testetcd.Start(t)
	lives(s)
	k := NewKeys(openEtcd(t, s))
	if kv, err := k.GetAt(t.Context(), "/k", 6); !errors.Is(err, ErrNoKey) {
		t.Errorf("%+v, %v", kv, err)
	}
	if kv, err := k.GetAt(t.Context(), "/k", 9); !errors.Is(err, ErrNoKey) {
		t.Errorf("%+v, %v", kv, err)
	}
	if kv, err := k.GetAt(t.Context(), "/k", 10); err != nil || string(kv.Value) != "dddd" || kv.ModRevision != 10 {
		t.Errorf("%+v, %v", kv, err)
	}
	s.CompactTo(11)
	if _, err := k.GetAt(t.Context(), "/k", 10); !errors.Is(err, rpctypes.ErrCompacted) || !strings.Contains(err.Error(), "compacted away") {
		t.Error(err)
	}
}
