package etcd

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"

	"fathom/internal/run"
	"fathom/internal/testetcd"
	"fathom/watchers"
)

func startWatch(t *testing.T, o WatchOptions, servers ...*testetcd.Server) *Watch {
	t.Helper()
	e := openEtcd(t, servers...)
	g := run.NewGroup(t.Context(), func(p run.Panic) { t.Errorf("%s: %v", p.Name, p.Value) })
	t.Cleanup(g.Stop)
	w := newWatch(g, e, o, watchTiming{quiet: 100 * time.Millisecond, hung: 200 * time.Millisecond, retry: 10 * time.Millisecond})
	t.Cleanup(w.Close)
	return w
}

// until waits until a snapshot is as wanted.
func (w *Watch) wait(t *testing.T, what string, ok func(*WatchSnapshot) bool) *WatchSnapshot {
	t.Helper()
	deadline := time.NewTimer(10 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		if s := w.Snapshot(); ok(s) {
			return s
		}
		select {
		case <-deadline.C:
			t.Fatalf("%s never came: %+v", what, w.Snapshot())
		case <-tick.C:
		}
	}
}

func live(s *WatchSnapshot) bool { return s.State.Phase == watchers.Live }

func TestWatch(t *testing.T) {
	s := testetcd.Start(t)
	s.Set("/a/old", "12")
	w := startWatch(t, WatchOptions{Key: "/a/", Prefix: true, Ring: 4}, s)
	first := w.wait(t, "the watch", live)
	if first.Revision != s.Revision() || first.Member != s.URL || len(first.Events) != 0 {
		t.Errorf("at the start: %+v", first)
	}
	if w.Snapshot() != first {
		t.Error("an unchanged picture is made anew")
	}
	s.Set("/a/old", "12345")
	s.Set("/b/other", "x")
	rev := s.Set("/a/new", "x")
	s.Delete("/a/old")
	got := w.wait(t, "three events", func(s *WatchSnapshot) bool { return len(s.Events) == 3 })
	if e := got.Events[0]; e.Key != "/a/old" || e.Size != 5 || e.Before != 2 || e.Created || e.Version != 2 {
		t.Errorf("a change: %+v", e)
	}
	if e := got.Events[1]; e.Key != "/a/new" || !e.Created || e.Before != -1 || e.Revision != rev {
		t.Errorf("a new key: %+v", e)
	}
	if e := got.Events[2]; !e.Deleted || e.Key != "/a/old" || e.Before != 5 {
		t.Errorf("a deletion: %+v", e)
	}
	for i := range 10 {
		s.Set("/a/many", fmt.Sprint(i))
	}
	got = w.wait(t, "the last event", func(w *WatchSnapshot) bool { return w.Revision == s.Revision() })
	if len(got.Events) != 4 || got.Dropped != 9 || got.Events[3].Version != 10 {
		t.Errorf("the ring: %d events, %d dropped: %+v", len(got.Events), got.Dropped, got.Events)
	}
	if len(first.Events) != 0 {
		t.Error("an old picture changed")
	}
}

func TestWatchSurvivesSilenceAndCompaction(t *testing.T) {
	a, b := testetcd.Start(t), testetcd.Start(t)
	for _, s := range []*testetcd.Server{a, b} {
		s.Set("/k", "1")
	}
	w := startWatch(t, WatchOptions{Key: "/k"}, a, b)
	w.wait(t, "the watch on the first member", func(s *WatchSnapshot) bool { return live(s) && s.Member == a.URL })
	// A quiet key is no silent member.
	gen := w.Snapshot().Gen
	w.wait(t, "two answers to progress requests", func(s *WatchSnapshot) bool { return s.Gen >= gen+2 })
	if !live(w.Snapshot()) {
		t.Errorf("a quiet watch: %+v", w.Snapshot().State)
	}
	a.Hang()
	b.Set("/k", "2")
	got := w.wait(t, "the change from the second member", func(s *WatchSnapshot) bool { return live(s) && len(s.Events) == 1 })
	if got.Member != b.URL || got.Events[0].Revision != b.Revision() || got.Gaps != 0 {
		t.Errorf("after the first fell silent: %+v", got)
	}
	// Neither answers: the state says so, and what was seen stays.
	b.Hang()
	got = w.wait(t, "stale", func(s *WatchSnapshot) bool { return s.State.Phase == watchers.Stale })
	if len(got.Events) != 1 || !strings.Contains(got.State.Why, "watch on etcd http://") {
		t.Errorf("with both silent: %+v", got)
	}
	// Meanwhile the history goes on and is compacted: a gap, and then on.
	for _, s := range []*testetcd.Server{a, b} {
		for i := range 5 {
			s.Set("/k", fmt.Sprint(i))
		}
		s.Forget()
		s.Continue()
	}
	got = w.wait(t, "the gap", func(s *WatchSnapshot) bool { return s.Gaps > 0 && live(s) })
	if e := got.Events[1]; e.Gap == "" || e.Key != "" {
		t.Errorf("no gap is marked: %+v", got.Events)
	}
	rev := max(a.Set("/k", "last"), b.Set("/k", "last"))
	w.wait(t, "changes after the gap", func(s *WatchSnapshot) bool {
		return len(s.Events) > 0 && s.Events[len(s.Events)-1].Revision >= rev-1 && s.Events[len(s.Events)-1].Gap == ""
	})
}

func TestWatchFromARevision(t *testing.T) {
	s := testetcd.Start(t)
	rev := s.Set("/k", "1")
	s.Set("/k", "2")
	w := startWatch(t, WatchOptions{Key: "/k", Revision: rev}, s)
	got := w.wait(t, "the change that was before the watch", func(s *WatchSnapshot) bool { return len(s.Events) > 0 })
	if got.Events[0].Revision != rev+1 {
		t.Errorf("%+v", got.Events)
	}
	w.Close() // waits, and may be called twice
	s.Set("/k", "3")
	if n := len(w.Snapshot().Events); n != 1 {
		t.Errorf("%d events after Close", n)
	}
}

// etcd tells no progress of a watch that goes on after the newest revision, until there is a newer one: that is no silence.
func TestWatchGoesOnWhereNothingHappens(t *testing.T) {
	s := testetcd.Start(t)
	rev := s.Set("/k", "1")
	w := startWatch(t, WatchOptions{Key: "/k", Revision: rev}, s)
	began := w.wait(t, "the watch", live).State.Since
	_, _ = s.Ranges()
	w.wait(t, "five looks at the member", func(w *WatchSnapshot) bool { rs, _ := s.Ranges(); return len(rs) >= 5 || !w.State.Since.Equal(began) })
	if got := w.Snapshot(); !live(got) || !got.State.Since.Equal(began) {
		t.Errorf("a watch on a member where nothing happens: %+v", got.State)
	}
	s.Set("/k", "2")
	w.wait(t, "the change", func(s *WatchSnapshot) bool { return len(s.Events) == 1 })
	s.Hang()
	w.wait(t, "stale", func(s *WatchSnapshot) bool { return s.State.Phase == watchers.Stale })
}

// A cluster that was restored has less than what was told: the watch would wait until it has as much again, and miss what happens until then.
func TestWatchAfterARestore(t *testing.T) {
	s := testetcd.Start(t)
	rev := s.Set("/k", "1")
	for range 20 {
		s.Set("/k", "lost")
	}
	w := startWatch(t, WatchOptions{Key: "/k"}, s)
	w.wait(t, "the watch", live)
	s.Rewind(rev)
	got := w.wait(t, "the gap", func(s *WatchSnapshot) bool { return s.Gaps > 0 && live(s) })
	if e := got.Events[len(got.Events)-1]; !strings.Contains(e.Gap, "went back") || e.Revision != rev || got.Revision != rev {
		t.Errorf("%+v", got)
	}
	s.Set("/k", "2")
	got = w.wait(t, "a change after the restore", func(s *WatchSnapshot) bool { return s.Events[len(s.Events)-1].Gap == "" })
	if e := got.Events[len(got.Events)-1]; e.Revision != rev+1 || got.Gaps != 1 {
		t.Errorf("%+v", got)
	}
}

func TestWatchIsRefused(t *testing.T) {
	s := testetcd.Start(t)
	s.Refuse(rpctypes.ErrGRPCPermissionDenied)
	w := startWatch(t, WatchOptions{Prefix: true}, s)
	w.wait(t, "denied", func(s *WatchSnapshot) bool { return s.State.Phase == watchers.Denied && s.State.Verb == "watch" })
	s.Refuse(nil)
	w.wait(t, "the watch", live)
	s.Set("anything", "x")
	w.wait(t, "an event of the whole key space", func(s *WatchSnapshot) bool { return len(s.Events) == 1 })
}

// Values are kept within their bound, the newest ones, and a watch that goes on after another one has its events.
func TestWatchKeepsValues(t *testing.T) {
	s := testetcd.Start(t)
	s.Set("/k", "first")
	w := startWatch(t, WatchOptions{Key: "/k", Ring: 4, Values: 25}, s)
	w.wait(t, "the watch", live)
	for i := range 6 {
		s.Set("/k", fmt.Sprintf("value-%03d", i)) // 9 bytes, and 9 before
	}
	got := w.wait(t, "six events", func(s *WatchSnapshot) bool { return s.Total == 6 })
	if n := len(got.Events); n != 4 || got.Dropped != 2 {
		t.Fatalf("%d events, %d dropped", n, got.Dropped)
	}
	for i, e := range got.Events {
		if newest := i == 3; e.Kept != newest || newest && (string(e.Value) != "value-005" || string(e.Prev) != "value-004") || !newest && e.Value != nil {
			t.Errorf("event %d: %+v", i, e)
		}
	}
	w.Close()
	s.Set("/k", "while nobody looks")
	w = startWatch(t, WatchOptions{Key: "/k", Ring: 4, Values: 25, After: w.Snapshot()}, s)
	got = w.wait(t, "the event in between", func(s *WatchSnapshot) bool { return s.Total == 7 })
	if last := got.Events[len(got.Events)-1]; len(got.Events) != 4 || got.Dropped != 3 || last.Size != len("while nobody looks") || got.Events[2].Size != 9 {
		t.Errorf("after going on: %+v", got)
	}
	bytes := 0
	for _, e := range got.Events {
		bytes += len(e.Value) + len(e.Prev)
	}
	if bytes > 25 {
		t.Errorf("%d bytes are kept of 25", bytes)
	}
}
