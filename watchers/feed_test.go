package watchers

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"

	"fathom/internal/run"
)

// loose gives a feed on a store that no server fills.
func loose(t testing.TB, opt Options) (*Feed, *Store) {
	t.Helper()
	g := run.NewGroup(context.Background(), nil)
	h, err := NewHub(g, nil, opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Stop)
	f := h.Open(podsKey(), Query{})
	return f, f.src.store
}

// still gives a feed on a store that no server fills and no builder reads: the test's goroutine builds.
func still(t testing.TB, within Within) (*Feed, *Store) {
	t.Helper()
	f, store := loose(t, Options{MinPublish: time.Hour})
	own := &Feed{hub: f.hub, key: f.key, src: f.src, wake: make(chan struct{}, 1), asked: make(chan struct{}, 1), query: Query{Within: within}}
	own.cur.Store(&Snapshot{})
	own.sub = store.subscribe(own.wake, within)
	f.Close()
	return own, store
}

func TestNoServerConfigured(t *testing.T) {
	f, _ := loose(t, Options{})
	if s := f.Snapshot().State; s.Phase != Unsupported || s.Why != ErrNoKube.Error() {
		t.Errorf("%+v", s)
	}
}

func TestQueryFiltersSortsAndTags(t *testing.T) {
	f, store := loose(t, Options{MinPublish: time.Millisecond})
	for i := range 10 {
		if err := store.Add(pod(fmt.Sprint("p", i), fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
	}
	f.SetQuery(Query{
		Tag:   "even, backwards",
		Match: func(r Row) bool { return (r.GetName()[1]-'0')%2 == 0 },
		Less:  func(a, b Row) int { return cmp.Compare(b.GetName(), a.GetName()) },
	})
	s := eventually(t, f, "the new query", func(s *Snapshot) bool { return s.Tag == "even, backwards" && s.Total == 10 })
	var names []string
	for _, r := range s.All() {
		names = append(names, r.GetName())
	}
	if fmt.Sprint(names) != "[p8 p6 p4 p2 p0]" {
		t.Errorf("rows %v", names)
	}
	if err := store.Delete(s.Row(1)); err != nil {
		t.Fatal(err)
	}
	s = eventually(t, f, "p6 gone", func(s *Snapshot) bool { return s.Len() == 4 })
	if i, ok := s.Find("uid-p4"); !ok || i != 1 {
		t.Errorf("p4 is at %d, %v", i, ok)
	}
	if _, ok := s.Find("uid-p6"); ok {
		t.Error("p6 is still found")
	}
	// Equal keys: by ID.
	f.SetQuery(Query{Tag: "equal", Less: func(a, b Row) int { return 0 }})
	s = eventually(t, f, "equal", func(s *Snapshot) bool { return s.Tag == "equal" })
	if !slices.IsSortedFunc(s.All(), func(a, b Row) int { return cmp.Compare(a.ID(), b.ID()) }) {
		t.Error("ties are not broken by ID")
	}
}

// However changes are cut into snapshots, the last one is what a snapshot of everything would be.
func TestIncrementalBuildEqualsFullBuild(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	f, store := still(t, Within{})
	byStatus := Query{
		Match: func(r Row) bool { return r.(*PodRow).Restarts%3 != 0 },
		Less:  func(a, b Row) int { return cmp.Compare(a.(*PodRow).Restarts, b.(*PodRow).Restarts) },
	}
	f.SetQuery(byStatus)
	for step := range 3000 {
		p := pod(fmt.Sprint("p", rnd.IntN(200)), fmt.Sprint(step))
		p.Status.ContainerStatuses = []corev1.ContainerStatus{running(true, int32(rnd.IntN(50)))}
		var err error
		if rnd.IntN(4) == 0 {
			err = store.Delete(p)
		} else {
			err = store.Update(p)
		}
		if err != nil {
			t.Fatal(err)
		}
		if rnd.IntN(40) == 0 {
			f.build()
		}
	}
	f.build()
	want := slices.DeleteFunc(store.all(), func(r Row) bool { return !byStatus.Match(r) })
	slices.SortFunc(want, func(a, b Row) int { return cmp.Or(byStatus.Less(a, b), cmp.Compare(a.ID(), b.ID())) })
	s := f.Snapshot()
	if !slices.Equal(s.All(), want) {
		t.Fatalf("%d rows are not those of a full build, %d", s.Len(), len(want))
	}
	if s.Gen < 20 {
		t.Errorf("only %d snapshots: the incremental path was not taken", s.Gen)
	}
	for i, r := range s.All() {
		if j, ok := s.Find(r.ID()); !ok || j != i {
			t.Fatalf("Find(%s) = %d, %v; it is at %d", r.ID(), j, ok, i)
		}
	}
}

func TestSnapshotsAreSpacedAndIdleIsIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		store := newStore(NewProjector())
		wake := make(chan struct{}, 1)
		sub := store.subscribe(wake, Within{})
		var builds []time.Time
		done := make(chan struct{})
		urgent := make(chan struct{}, 1)
		go func() {
			defer close(done)
			pace(ctx, 100*time.Millisecond, wake, urgent, func() {
				store.take(sub, false)
				builds = append(builds, time.Now())
			})
		}()
		for i := range 1000 { // a thousand events in one second
			if err := store.Add(pod(fmt.Sprint(i), "1")); err != nil {
				t.Fatal(err)
			}
			<-time.After(time.Millisecond)
		}
		<-time.After(time.Second)
		synctest.Wait()
		n := len(builds)
		if n < 9 || n > 12 {
			t.Errorf("%d snapshots in one second at 100 ms", n)
		}
		for i := 1; i < n; i++ {
			if gap := builds[i].Sub(builds[i-1]); gap < 100*time.Millisecond {
				t.Errorf("a gap of %v", gap)
			}
		}
		<-time.After(time.Hour)
		synctest.Wait()
		if len(builds) != n {
			t.Errorf("%d snapshots in an idle hour", len(builds)-n)
		}
		at := time.Now()
		urgent <- struct{}{}
		synctest.Wait()
		if len(builds) != n+1 || !builds[n].Equal(at) {
			t.Error("a new query waited")
		}
		cancel()
		<-done
	})
}

func BenchmarkProjectPod(b *testing.B) {
	proj, p := NewProjector(), bigPod(1)
	b.ReportAllocs()
	for b.Loop() {
		proj.Project(p)
	}
}

// What one changed row of 50 000 costs until its snapshot is published.
func BenchmarkUpdateAndPublish50k(b *testing.B) {
	f, store := still(b, Within{})
	for i := range 50000 {
		if err := store.Add(bigPod(i)); err != nil {
			b.Fatal(err)
		}
	}
	f.build()
	p := bigPod(25000)
	b.ReportAllocs()
	for b.Loop() {
		if err := store.Update(p); err != nil {
			b.Fatal(err)
		}
		f.build()
	}
	if n := f.Snapshot().Len(); n != 50000 {
		b.Fatalf("%d rows", n)
	}
}

func BenchmarkFullBuild50k(b *testing.B) {
	f, store := still(b, Within{})
	for i := range 50000 {
		if err := store.Add(bigPod(i)); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		store.touchAll()
		f.build()
	}
}

func TestWaitEndsWithTheAnswer(t *testing.T) {
	f, _ := loose(t, Options{MinPublish: time.Hour})
	wait := func(tag string) chan struct{} {
		done := make(chan struct{})
		go func() { defer close(done); f.Wait(t.Context(), tag) }()
		return done
	}
	early := wait("asked")
	f.SetQuery(Query{Tag: "asked"})
	<-early
	<-wait("asked") // answered already
	never := wait("never asked")
	select {
	case <-never:
		t.Error("an answer nobody gave")
	default:
	}
	f.Close()
	<-never
	<-wait("after the end")
}
