//go:build scale

package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"fathom/internal/pty"
	"fathom/internal/testcluster"
)

var (
	scaleNodes   = flag.Int("scale.nodes", 1000, "nodes of the cluster")
	scalePods    = flag.Int("scale.pods", 50000, "pods of the cluster")
	scaleMembers = flag.Int("scale.members", 0, "etcd members; 0: three, and one when there are more than 100,000 pods")
	scaleJSON    = flag.String("scale.json", "", "file for the raw figures")
	scaleDir     = flag.String("scale.dir", "", "a running sandbox that carries the load already; nothing is started")
	scaleRepeat  = flag.Int("scale.repeat", 5, "times that what is cheap is measured, for the median")
	scaleHour    = flag.Duration("scale.hour", 3*time.Minute, "the shortened hour of churn")
	scaleProfile = flag.String("scale.profile", "", "folder for profiles of fathom while it loads and while pods change; they cost a little themselves")
	scaleOnly    = flag.Bool("scale.short", false, "leave out kubectl, the ten kinds and the hour of churn")
)

const (
	// completeTimeout bounds what loads all pods.
	completeTimeout = 8 * time.Minute
	// settle is how long after a list memory is looked at.
	settle = 5 * time.Second
	// giveBack is when memory that is not needed any more must be given back: within a minute, and a little.
	giveBack = 70 * time.Second
	// churnRate is in changes per second.
	churnRate = 300
)

// figures are the raw results of one run, times in nanoseconds.
type figures struct {
	Time, Machine, Version string
	Nodes, Pods, Members   int
	Load                   time.Duration
	Floor                  []other
	Kubectl                *other
	First, Complete, CPU   []time.Duration
	Memory                 []memory
	Idle                   cost
	Churn                  cost
	ChurnReached           []float64
	Keys                   []time.Duration
	Filter, Sort           []time.Duration
	Nodes1, Placement      time.Duration
	Calm                   memory                       // of the fathom that stays, at rest: what the next ones are compared with
	Back                   memory                       // after ten kinds
	Churning, Churned      memory                       // at the end of the hour of churn, and when it was over for a while
	Servers                map[string]map[string]memory // by moment and component
	ServerCPU              map[string][]float64         // seconds of the API server's, by what it was for
}

// TestScale measures fathom on a large cluster against what the issue demands, with a bare informer and kubectl on the same one.
func TestScale(t *testing.T) {
	r := &scaleRun{t: t, f: figures{
		Time: time.Now().UTC().Format(time.DateTime), Machine: machine(), Nodes: *scaleNodes, Pods: *scalePods,
		Servers: map[string]map[string]memory{}, ServerCPU: map[string][]float64{},
	}}
	if !r.cluster() {
		return
	}
	r.t.Cleanup(r.save) // what was measured, also when the rest fails
	r.note("%d nodes and %d pods on %s", r.f.Nodes, r.f.Pods, r.f.Machine)
	r.servers("loaded")
	r.compare()
	r.steady()
	r.kubectl()
	r.keys()
	r.panes()
	r.long()
	r.d.close()
	r.servers("end")
	r.report()
}

type scaleRun struct {
	t   *testing.T
	c   *testcluster.Cluster
	d   *dash
	f   figures
	now time.Time

	pprof string // fathom's address for profiles, or empty
}

// note tells how far the run is, at once.
func (r *scaleRun) note(format string, args ...any) {
	if r.now.IsZero() {
		r.now = time.Now()
	}
	fmt.Printf("%6.1fs %s\n", time.Since(r.now).Seconds(), fmt.Sprintf(format, args...))
}

// big tells whether this is the largest cluster, with figures of its own.
func (r *scaleRun) big() bool { return r.f.Pods > 100_000 }

// compare loads all pods with the bare informer and with fathom; the last fathom stays. They take turns at being first.
func (r *scaleRun) compare() {
	r.t.Helper()
	for i := range *scaleRepeat {
		if i > 0 {
			r.d.close()
		}
		if i%2 == 0 {
			r.floor()
			r.fathom()
		} else {
			r.fathom()
			r.floor()
		}
	}
	var unknown []string
	r.d.term.Look(func(s *pty.Screen) { unknown = s.Unknown })
	if len(unknown) > 0 {
		r.t.Errorf("fathom sends what this terminal does not know: %q", unknown)
	}
}

func (r *scaleRun) floor() {
	r.t.Helper()
	r.even()
	r.serverCPU("bare informer", func() { r.f.Floor = append(r.f.Floor, measureFloor(r.t, r.c.Kubeconfig())) })
	f := r.f.Floor[len(r.f.Floor)-1]
	r.note("bare informer: %d pods in %.1fs, %.1fs of processor time, %s", f.Pods, f.Complete.Seconds(), f.CPU.Seconds(), mb(f.Memory.RSS))
}

func (r *scaleRun) fathom() {
	r.t.Helper()
	r.even()
	r.serverCPU("fathom", r.open)
	<-time.After(settle)
	r.f.Memory = append(r.f.Memory, r.d.memory())
	i := len(r.f.First) - 1
	r.note("fathom: first rows %.2fs, complete %.1fs, %.1fs of processor time, %s",
		r.f.First[i].Seconds(), r.f.Complete[i].Seconds(), r.f.CPU[i].Seconds(), mb(r.f.Memory[i].RSS))
}

// open opens fathom on all pods and waits until they are there.
func (r *scaleRun) open() {
	r.t.Helper()
	args := []string{"-c", "pods -A"}
	if *scaleProfile != "" {
		r.pprof = freeAddress(r.t)
		args = append(args, "--pprof", r.pprof)
	}
	r.d = openDash(r.t, r.c.Kubeconfig(), args...)
	r.profile("load", 5*time.Second)
	first := r.d.wait(completeTimeout, "the first rows", func(s *pty.Screen) bool { return paneOf(s).name == "pods" && s.Contains("load-0") })
	done := r.d.wait(completeTimeout, "all rows", complete("pods", r.f.Pods))
	cpu, err := cpuOf(r.d.term.PID())
	if err != nil {
		r.t.Error(err)
	}
	r.f.First = append(r.f.First, first.Sub(r.d.term.Started))
	r.f.Complete = append(r.f.Complete, done.Sub(r.d.term.Started))
	r.f.CPU = append(r.f.CPU, cpu)
}

// kubectl measures `kubectl get pods -A`.
func (r *scaleRun) kubectl() {
	if *scaleOnly {
		return
	}
	r.rest()
	r.serverCPU("kubectl", func() {
		k := measureKubectl(r.t, r.c.Kubeconfig())
		r.f.Kubectl = &k
	})
	r.note("kubectl get pods -A: %.1fs, %.1fs of processor time, %s", r.f.Kubectl.Complete.Seconds(), r.f.Kubectl.CPU.Seconds(), mb(r.f.Kubectl.Memory.Peak))
	r.servers("kubectl done")
	r.rest()
}

// steady measures what it costs to look at the list.
func (r *scaleRun) steady() {
	r.t.Helper()
	r.rest()
	server := r.pids()["apiserver"]
	r.f.Idle = r.d.cost(server, 20*time.Second)
	r.f.Calm = r.d.memory()
	r.note("idle: %.1f%% of a core, %.0f B/s, %.1f frames/s, %s", r.f.Idle.CPU, r.f.Idle.Bytes, r.f.Idle.Frames, mb(r.f.Calm.RSS))
	r.churning(40*time.Second, func() {
		r.profile("churn", 30*time.Second)
		r.f.Churn = r.d.cost(server, 30*time.Second)
	})
	r.profile("heap", 0)
	r.note("%d changes/s: %.1f%% of a core, %.0f B/s, %.1f frames/s", churnRate, r.f.Churn.CPU, r.f.Churn.Bytes, r.f.Churn.Frames)
}

// churning does something while pods change. It begins when they do.
func (r *scaleRun) churning(how time.Duration, do func()) {
	r.t.Helper()
	cmd := r.sandbox("churn", "--rate", fmt.Sprint(churnRate), "--for", how.String())
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	<-time.After(4 * time.Second) // it lists the keys first
	if do != nil {
		do()
	}
	if err := cmd.Wait(); err != nil {
		r.t.Errorf("churn: %v: %s", err, errs.String())
		return
	}
	var res struct{ ReachedPerSecond float64 }
	if err := json.Unmarshal(out.Bytes(), &res); err != nil {
		r.t.Errorf("churn: %v: %s", err, out.String())
	}
	r.f.ChurnReached = append(r.f.ChurnReached, res.ReachedPerSecond)
	if res.ReachedPerSecond < 0.9*churnRate {
		r.note("only %.0f changes/s were reached", res.ReachedPerSecond)
	}
}

// keys measures how long keys take.
func (r *scaleRun) keys() {
	r.t.Helper()
	r.churning(20*time.Second, func() { r.f.Keys = r.d.keyToPaint(200) })
	r.note("key to paint: p50 %v, p99 %v", quantile(r.f.Keys, 0.5), quantile(r.f.Keys, 0.99))
	r.d.send("g")
	r.rest()
	r.f.Filter = r.d.timeFrames([]string{"/", "p", "a", "y", "m", "e", "n", "t"}, func() {
		r.d.send("\x1b") // ends the prompt
		r.d.still(500 * time.Millisecond)
		r.d.send("\x1b") // clears the filter
		r.d.still(500 * time.Millisecond)
		r.d.send("g")
	})[1:]
	r.note("filter, each key: %v", r.f.Filter)
	byName := func() {
		r.d.send("N")
		r.d.still(500 * time.Millisecond)
		r.d.send("g")
	}
	byName()
	for range *scaleRepeat {
		r.f.Sort = append(r.f.Sort, r.d.timeFrames([]string{"A", "S"}, byName)...) // by age, by status
	}
	r.note("sort: %v", r.f.Sort)
}

// panes measures other views, and what is left of ten of them.
func (r *scaleRun) panes() {
	r.t.Helper()
	show := func(view, name string, rows int) time.Duration {
		at := r.d.command(view)
		return r.d.wait(completeTimeout, view, complete(name, rows)).Sub(at)
	}
	r.f.Nodes1 = show("nodes", "nodes", r.f.Nodes)
	r.note(":nodes %v", r.f.Nodes1)
	at := r.d.command("placement")
	r.f.Placement = r.d.wait(completeTimeout, "placement", live("placement")).Sub(at)
	r.note(":placement %v", r.f.Placement)
	if *scaleOnly {
		return
	}
	for _, view := range []string{
		"deployments -A", "replicasets -A", "namespaces", "serviceaccounts -A", "configmaps -A", "secrets -A", "events -A", "services -A", "jobs -A", "nodes",
	} {
		r.d.command(view)
		name, _, _ := strings.Cut(view, " ")
		r.d.wait(screenTime, view, live(name))
	}
	at = r.d.command("pods -A")
	back := r.d.wait(completeTimeout, "pods again", complete("pods", 1)).Sub(at)
	r.note("pods again after ten kinds: %v", back)
	<-time.After(giveBack)
	r.f.Back = r.d.memory()
	r.note("memory after ten kinds: %s", mb(r.f.Back.RSS))
}

// long is the shortened hour.
func (r *scaleRun) long() {
	if *scaleOnly {
		return
	}
	r.d.command("pods -A")
	r.d.wait(completeTimeout, "pods again", complete("pods", 1))
	r.churning(*scaleHour, nil)
	r.f.Churning = r.d.memory()
	<-time.After(giveBack)
	r.f.Churned = r.d.memory()
	r.note("memory at the end of %v of churn: %s, %v later: %s", *scaleHour, mb(r.f.Churning.RSS), giveBack, mb(r.f.Churned.RSS))
}

func median[T int64 | time.Duration](values []T) T {
	if n := len(values); n > 0 && n%2 == 0 {
		sorted := slices.Sorted(slices.Values(values))
		return (sorted[n/2-1] + sorted[n/2]) / 2
	}
	return quantile(values, 0.5)
}

func quantile[T int64 | time.Duration](values []T, q float64) T {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))]
}

func mb(n int64) string { return fmt.Sprintf("%.0f MB", float64(n)/1e6) }

func (r *scaleRun) save() {
	if *scaleJSON == "" {
		return
	}
	data, err := json.MarshalIndent(r.f, "", "  ")
	if err == nil {
		err = os.MkdirAll(filepath.Dir(*scaleJSON), 0o755)
	}
	if err == nil {
		err = os.WriteFile(*scaleJSON, append(data, '\n'), 0o644)
	}
	if err != nil {
		r.t.Errorf("the raw figures: %v", err)
	}
}
