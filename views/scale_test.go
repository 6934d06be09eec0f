package views

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"fathom/keymap"
	"fathom/theme"
	"fathom/watchers"
)

// manyPods are rows as a large cluster has them.
func manyPods(n int) []watchers.Row {
	rows := make([]watchers.Row, n)
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	for i := range rows {
		app := fmt.Sprintf("app-%d", i%400)
		rows[i] = &watchers.PodRow{
			Meta: watchers.Meta{UID: fmt.Sprintf("0b1c2d3e-%012d", i), Namespace: fmt.Sprintf("team-%02d", i%50), Name: fmt.Sprintf("%s-7d9f8b6c5-%05d", app, i),
				Created: now.Add(-time.Duration(i%10_000) * time.Minute)},
			Phase: "Running", Status: []string{"Running", "Running", "Running", "CrashLoopBackOff"}[i%4], ReadyCount: 2, ContainerCount: 2, Restarts: int32(i % 7),
			IP: fmt.Sprintf("10.%d.%d.%d", i>>16&255, i>>8&255, i&255), Node: fmt.Sprintf("worker-%04d", i%1000),
			PodTemplate: &watchers.PodTemplate{Workload: watchers.Owner{Kind: "Deployment", Name: app},
				Requests: watchers.Amount{MilliCPU: 250, Memory: 512 << 20}, Limits: watchers.Amount{MilliCPU: 1500, Memory: 1 << 30},
				QoS: "Burstable", ServiceAccount: app},
		}
	}
	return rows
}

func podPane(t testing.TB) *resource {
	t.Helper()
	p, err := newResource(&Env{Theme: theme.New(theme.Options{}), Now: time.Now}, Ref{View: "pods", Namespace: AllNamespaces}, podKind(), false)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// What one key of a filter costs over 50,000 rows; the builder has two goroutines for it.
func BenchmarkFilter50k(b *testing.B) {
	rows := manyPods(50_000)
	for _, expr := range []string{"worker-0042", "crash", `^team-1\d+ `, "-f wrk42", "!running"} {
		b.Run(expr, func(b *testing.B) {
			p := podPane(b)
			if err := p.SetFilter(expr); err != nil {
				b.Fatal(err)
			}
			match := p.query().Match
			b.ReportAllocs()
			for b.Loop() {
				n := 0
				for _, r := range rows {
					if match(r) {
						n++
					}
				}
				if n == 0 || n == len(rows) {
					b.Fatal(n)
				}
			}
		})
	}
}

// What another column to sort by costs.
func BenchmarkSort50k(b *testing.B) {
	rows := manyPods(50_000)
	p := podPane(b)
	for range 11 {
		p.Do(keymap.SortNext)
		if p.sort == "" {
			continue
		}
		b.Run(p.sort, func(b *testing.B) {
			less := p.query().Less
			b.ReportAllocs()
			for b.Loop() {
				b.StopTimer()
				mine := slices.Clone(rows)
				b.StartTimer()
				slices.SortFunc(mine, less)
			}
		})
	}
}
