package watchers

import (
	"fmt"
	"runtime"
	"testing"
	"time"
)

// What a change costs must not depend on how many rows there are. Allocations and bytes do not depend on the machine: they are a
// gate; the times of the benchmarks beside this are not.
func TestCostOfAChange(t *testing.T) {
	const n, changed = 20_000, 30 // 300 changes per second, ten snapshots per second
	f, store := still(t, Within{})
	over, placed := newOverviewBuilder(""), newPlacementBuilder("")
	in := inputs(t, time.Now(), map[Key][]Row{})
	for _, k := range over.keys.all() {
		in.srcs[k] = &source{store: newStore(NewProjector())}
	}
	in.srcs[over.keys.pods] = &source{store: store}
	d := Derived[Overview]{in: in, keys: over.keys.all(), subs: map[*source]*subscription{}}
	for _, s := range in.srcs {
		d.subs[s] = s.store.subscribe(make(chan struct{}, 1), Within{})
	}
	pod := func(i, restarts int) *PodRow {
		p := somePod(fmt.Sprintf("pod-%05d", i), fmt.Sprintf("node-%03d", i%1000), "Running", "Running", PodRunning)
		p.Restarts = int32(restarts)
		return p
	}
	for i := range n {
		if err := store.Add(pod(i, 0)); err != nil {
			t.Fatal(err)
		}
	}
	f.build()
	in.deltas = d.take(true)
	over.build(in)
	placed.build(in)

	serial := 0
	change := func(rows []*PodRow) {
		for _, r := range rows {
			if err := store.Update(r); err != nil {
				t.Fatal(err)
			}
		}
	}
	fresh := func() []*PodRow {
		rows := make([]*PodRow, changed)
		for i := range rows {
			serial++
			rows[i] = pod(serial*997%n, serial)
		}
		return rows
	}
	for _, c := range []struct {
		what          string
		build         func()
		allocs, bytes uint64
	}{
		// A chunk of 256 rows is 4 KB; 30 changes touch about 30 of 79 chunks.
		{"snapshot", f.build, 60, 192 << 10},
		{"overview", func() { in.deltas = d.take(false); over.build(in) }, 60, 16 << 10},
		// A node's list of 50 pods, and of its zone's nodes.
		{"placement", func() { in.deltas = d.take(false); placed.build(in) }, 160, 96 << 10},
	} {
		const rounds = 40
		var allocs, bytes uint64
		var took time.Duration
		for range rounds {
			rows := fresh()
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			begun := time.Now()
			change(rows)
			c.build()
			took += time.Since(begun)
			runtime.ReadMemStats(&after)
			allocs, bytes = allocs+after.Mallocs-before.Mallocs, bytes+after.TotalAlloc-before.TotalAlloc
		}
		allocs, bytes = allocs/rounds, bytes/rounds
		t.Logf("%s: %v, %d B, %d allocations for %d changed of %d", c.what, took/rounds, bytes, allocs, changed, n)
		if allocs > c.allocs || bytes > c.bytes {
			t.Errorf("%s: %d allocations of %d B, at most %d of %d", c.what, allocs, bytes, c.allocs, c.bytes)
		}
	}
}
