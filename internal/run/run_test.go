package run

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestStopWaitsForGoroutinesOfChildren(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := NewGroup(t.Context(), nil)
		var ended atomic.Int32
		slow := func(ctx context.Context) {
			<-ctx.Done()
			<-time.After(time.Second) // bubble time
			ended.Add(1)
		}
		g.Go("own", slow)
		c := g.Child()
		c.Go("child", slow)
		c.Child().Go("grandchild", slow)
		g.Stop()
		if n := ended.Load(); n != 3 {
			t.Fatalf("Stop returned when %d of 3 goroutines had ended", n)
		}
	})
}

func TestChildStopsAlone(t *testing.T) {
	g := NewGroup(t.Context(), nil)
	defer g.Stop()
	c := g.Child()
	c.Go("child", func(ctx context.Context) { <-ctx.Done() })
	c.Stop()
	c.Stop() // twice is fine
	if err := g.Context().Err(); err != nil {
		t.Fatalf("stopping a child cancelled its parent: %v", err)
	}
	if !g.Go("after", func(context.Context) {}) {
		t.Fatal("the parent starts nothing any more")
	}
}

func TestGoAfterStopStartsNothing(t *testing.T) {
	g := NewGroup(t.Context(), nil)
	c := g.Child()
	g.Stop()
	for name, group := range map[string]*Group{"group": g, "child of a stopped group": c, "late child": g.Child()} {
		if group.Go("late", func(context.Context) { t.Error("started after Stop") }) {
			t.Errorf("%s: Go after Stop says it started", name)
		}
		group.Stop()
	}
}

func TestPanicIsReportedAndCancels(t *testing.T) {
	var mu sync.Mutex
	var got []Panic
	g := NewGroup(t.Context(), func(p Panic) {
		mu.Lock()
		defer mu.Unlock()
		got = append(got, p)
	})
	g.Go("watcher of pods", func(context.Context) { panic("boom") })
	<-g.Context().Done()
	g.Stop()
	if len(got) != 1 || got[0].Name != "watcher of pods" || got[0].Value != "boom" {
		t.Fatalf("reported %+v", got)
	}
	if !strings.Contains(string(got[0].Stack), "TestPanicIsReportedAndCancels") {
		t.Errorf("the stack does not name the function that panicked:\n%s", got[0].Stack)
	}
}

func TestPanicInChildLeavesParentRunning(t *testing.T) {
	reported := make(chan Panic, 1)
	g := NewGroup(t.Context(), func(p Panic) { reported <- p })
	defer g.Stop()
	c := g.Child()
	c.Go("child", func(context.Context) { panic("boom") })
	<-reported
	<-c.Context().Done()
	if g.Context().Err() != nil {
		t.Fatal("a panic in a child cancelled the parent")
	}
}

// Many starts and a stop at the same time: whatever started has ended when Stop returns.
func TestStopRacesWithGo(t *testing.T) {
	for range 200 {
		g := NewGroup(t.Context(), nil)
		c := g.Child()
		var running atomic.Int32
		var starters sync.WaitGroup
		for range 4 {
			starters.Go(func() {
				for range 10 {
					running.Add(1)
					if !c.Go("x", func(context.Context) { running.Add(-1) }) {
						running.Add(-1)
					}
				}
			})
		}
		g.Stop()
		starters.Wait()
		if n := running.Load(); n != 0 {
			t.Fatalf("%d goroutines were running after Stop", n)
		}
	}
}
