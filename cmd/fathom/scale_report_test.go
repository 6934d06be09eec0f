//go:build scale

package main

import (
	"fmt"
	"os"
	"strings"
	"text/tabwriter"
	"time"
)

// line is one line of the table.
type line struct {
	what, must, floor, kubectl, fathom string
	ok, gate                           bool
}

// report prints the table and fails the test for every gate that does not hold: ratios, memory and bytes, which do not depend on
// the machine. Times alone are reported.
func (r *scaleRun) report() {
	r.t.Helper()
	f := &r.f
	must := targets
	if r.big() {
		must = bigTargets
	}
	floor := other{Complete: median(pick(f.Floor, func(o other) time.Duration { return o.Complete })), Memory: memory{RSS: median(pick(f.Floor, func(o other) int64 { return o.Memory.RSS }))}}
	rss := median(pick(f.Memory, func(m memory) int64 { return m.RSS }))
	first, done := median(f.First), median(f.Complete)
	var kubectlTime, kubectlMemory string
	if f.Kubectl != nil {
		kubectlTime, kubectlMemory = sec(f.Kubectl.Complete), mb(f.Kubectl.Memory.Peak)+" peak"
	}
	ratio := done.Seconds() / floor.Complete.Seconds()
	lines := []line{
		{what: "first rows", must: sec(must.first), kubectl: kubectlTime, fathom: sec(first), ok: first <= must.first},
		{what: "complete and sorted", must: fmt.Sprintf("%.1f x floor", must.ratio), floor: sec(floor.Complete), kubectl: kubectlTime,
			fathom: fmt.Sprintf("%s = %.2f x", sec(done), ratio), ok: ratio <= must.ratio, gate: true},
		{what: "resident memory", must: mb(must.memory), floor: mb(floor.Memory.RSS), kubectl: kubectlMemory, fathom: mb(rss), ok: rss <= must.memory, gate: true},
		{what: "idle: CPU", must: pct(must.idleCPU), fathom: pct(f.Idle.CPU), ok: f.Idle.CPU <= must.idleCPU},
		{what: "idle: bytes while nothing on screen changes", must: "0 B/s", fathom: rate(f.Idle.Vain), ok: f.Idle.Vain == 0, gate: true},
		{what: fmt.Sprintf("%d changes/s: CPU", churnRate), must: pct(must.churnCPU), fathom: pct(f.Churn.CPU), ok: f.Churn.CPU <= must.churnCPU},
		{what: fmt.Sprintf("%d changes/s: bytes to the terminal", churnRate), must: rate(must.churnBytes), fathom: rate(f.Churn.Bytes), ok: f.Churn.Bytes <= must.churnBytes, gate: true},
		timed("key to paint under churn, p50", must.keyP50, quantile(f.Keys, 0.5)),
		timed("key to paint under churn, p99", must.keyP99, quantile(f.Keys, 0.99)),
		timed("filter, slowest key", must.filter, quantile(f.Filter, 1)),
		timed("sort by another column, slowest", must.sort, quantile(f.Sort, 1)),
		timed(":nodes, from Enter to all rows", must.view, f.Nodes1),
		timed(":placement, from Enter to live", must.view, f.Placement),
	}
	if !*scaleOnly {
		was := f.Calm.RSS // of the same process
		lines = append(lines, kept("memory after ten kinds and back", was, f.Back.RSS), kept(fmt.Sprintf("memory after %v of churn", *scaleHour), was, f.Churned.RSS),
			line{what: "memory at its end", fathom: mb(f.Churning.RSS), ok: true})
	}
	var b strings.Builder
	fmt.Fprintf(&b, "\n%d nodes, %d pods; %s; %s\n", f.Nodes, f.Pods, f.Machine, f.Time)
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\tMUST REACH\tBARE INFORMER\tKUBECTL\tFATHOM\t")
	for _, l := range lines {
		mark := "pass"
		switch {
		case l.must == "":
			mark = ""
		case !l.ok && l.gate:
			mark = "FAIL"
			r.t.Errorf("%s: %s, must reach %s", l.what, l.fathom, l.must)
		case !l.ok:
			mark = "missed"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", l.what, dash0(l.must), dash0(l.floor), dash0(l.kubectl), l.fathom, mark)
	}
	_ = w.Flush()
	fmt.Fprintf(&b, "processor time until complete: bare informer %s, fathom %s; idle with the ages that change: %s\n",
		sec(median(pick(f.Floor, func(o other) time.Duration { return o.CPU }))), sec(median(f.CPU)), rate(f.Idle.Bytes))
	fmt.Fprintf(&b, "reached in churn: %.0f changes/s; load took %s\n", f.ChurnReached, sec(f.Load))
	fmt.Fprintln(os.Stdout, b.String())
}

// target is what the issue demands.
type target struct {
	first          time.Duration
	ratio          float64
	memory         int64
	idleCPU        float64
	churnCPU       float64
	churnBytes     float64
	keyP50, keyP99 time.Duration
	filter, sort   time.Duration
	view           time.Duration
}

var (
	targets = target{
		first: 1500 * time.Millisecond, ratio: 1.2, memory: 150e6, idleCPU: 1.5, churnCPU: 10, churnBytes: 4096,
		keyP50: 8 * time.Millisecond, keyP99: 30 * time.Millisecond, filter: 30 * time.Millisecond, sort: 100 * time.Millisecond, view: time.Second,
	}
	bigTargets = target{
		first: 1500 * time.Millisecond, ratio: 1.2, memory: 400e6, idleCPU: 1.5, churnCPU: 10, churnBytes: 4096,
		keyP50: 8 * time.Millisecond, keyP99: 50 * time.Millisecond, filter: 30 * time.Millisecond, sort: 100 * time.Millisecond, view: time.Second,
	}
)

func timed(what string, must, got time.Duration) line {
	return line{what: what, must: ms(must), fathom: ms(got), ok: got <= must}
}

// kept: memory is within a tenth of what it was at first, in the same process.
func kept(what string, first, now int64) line {
	change := float64(now)/float64(first) - 1
	return line{what: what, must: "within 10%", fathom: fmt.Sprintf("%s, %+.0f%%", mb(now), 100*change), ok: change <= 0.1, gate: true}
}

func pick[T, V any](all []T, f func(T) V) []V {
	out := make([]V, len(all))
	for i := range all {
		out[i] = f(all[i])
	}
	return out
}

func sec(d time.Duration) string { return fmt.Sprintf("%.2f s", d.Seconds()) }
func ms(d time.Duration) string {
	if d >= time.Second {
		return sec(d)
	}
	return fmt.Sprintf("%.1f ms", float64(d)/1e6)
}
func pct(v float64) string  { return fmt.Sprintf("%.1f%% of a core", v) }
func rate(v float64) string { return fmt.Sprintf("%.0f B/s", v) }
func dash0(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
