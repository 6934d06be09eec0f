//go:build integration

package watchers

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/tools/clientcmd"

	"fathom/internal/run"
	"fathom/internal/testcluster"
)

// TestIntegration watches a real control plane. Its parts share one sandbox; the last stops and kills the API server.
func TestIntegration(t *testing.T) {
	c := testcluster.Start(t)
	t.Run("TypedKinds", func(t *testing.T) { testTypedKinds(t, c) })
	t.Run("Tables", func(t *testing.T) { testTables(t, c) })
	t.Run("Pictures", func(t *testing.T) { testPictures(t, c) })
	t.Run("Logs", func(t *testing.T) { testLogs(t, c) })
	t.Run("APIServerStopsAndGoesOn", func(t *testing.T) { testAPIServerStopsAndGoesOn(t, c) })
}

// hubOn is a hub on the sandbox's API server.
func hubOn(t *testing.T, c *testcluster.Cluster) *Hub {
	t.Helper()
	cfg, err := clientcmd.BuildConfigFromFlags("", c.Kubeconfig())
	if err != nil {
		t.Fatal(err)
	}
	g := run.NewGroup(context.Background(), func(p run.Panic) { t.Errorf("panic in %s: %v\n%s", p.Name, p.Value, p.Stack) })
	h, err := NewHub(g, cfg, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Stop)
	return h
}

func testTypedKinds(t *testing.T, c *testcluster.Cluster) {
	h := hubOn(t, c)
	for _, gvr := range []schema.GroupVersionResource{
		Pods(), Nodes(), Namespaces(), Events(), Services(), Deployments(), ReplicaSets(), StatefulSets(), DaemonSets(), Jobs(), CronJobs(),
	} {
		f := h.Open(Key{GVR: gvr}, Query{})
		s := eventually(t, f, gvr.Resource, func(s *Snapshot) bool { return s.State.Phase == Live && s.Len() > 0 })
		t.Logf("%s: %d rows, first %+v", gvr.Resource, s.Len(), s.Row(0))
	}
}

func testTables(t *testing.T, c *testcluster.Cluster) {
	h := hubOn(t, c)
	for _, gvr := range []schema.GroupVersionResource{
		{Version: "v1", Resource: "secrets"}, {Version: "v1", Resource: "configmaps"}, {Version: "v1", Resource: "componentstatuses"},
		{Group: "networking.k8s.io", Version: "v1", Resource: "ingresses"},
		{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"},
		{Group: "rbac.authorization.k8s.io", Version: "v1", Resource: "clusterroles"},
	} {
		f := h.Open(Key{GVR: gvr}, Query{})
		s := eventually(t, f, gvr.Resource, func(s *Snapshot) bool { return s.State.Phase == Live && s.Len() > 0 })
		r := s.Row(0).(*TableRow)
		t.Logf("%s: %d rows, %q, columns %v, first %q %v", gvr.Resource, s.Len(), s.State.Why, s.Columns, r.Name, r.Cells)
		if len(r.Cells) != len(s.Columns) {
			t.Errorf("%s: %d cells, %d columns", gvr.Resource, len(r.Cells), len(s.Columns))
		}
	}
	f := h.Open(Key{GVR: schema.GroupVersionResource{Group: "no.such", Version: "v1", Resource: "things"}}, Query{})
	eventually(t, f, "unsupported", phase(Unsupported))
}

func testPictures(t *testing.T, c *testcluster.Cluster) {
	h := hubOn(t, c)
	o, p, cp := OpenOverview(h, ""), OpenPlacement(h, ""), OpenControlPlane(h)
	within(t, func() string { return fmt.Sprintf("overview: %+v", o.Snapshot()) }, func() bool {
		s := o.Snapshot()
		return s.State.Phase == Live && s.Value.Nodes.Total > 0 && s.Value.Pods.Total > 0 && s.Value.Workloads > 0
	})
	t.Logf("overview %+v", *o.Snapshot().Value)
	within(t, func() string { return fmt.Sprintf("placement: %+v", p.Snapshot()) }, func() bool {
		s := p.Snapshot()
		return s.State.Phase == Live && s.Value.Nodes > 0 && s.Value.Pods > 0 && len(s.Value.Pending) >= 3
	})
	for _, z := range p.Snapshot().Value.Zones {
		t.Logf("zone %q: %d nodes, %+v of %+v", z.Name, len(z.Nodes), z.Requested, z.Allocatable)
	}
	for _, pod := range p.Snapshot().Value.Pending {
		t.Logf("pending %s/%s: %s", pod.Namespace, pod.Name, pod.Unscheduled)
		if pod.Unscheduled == "" {
			t.Errorf("%s waits and the scheduler's message is missing", pod.Name)
		}
	}
	within(t, func() string { return fmt.Sprintf("control plane: %+v", cp.Snapshot()) }, func() bool {
		s := cp.Snapshot()
		return s.Livez.OK && s.Readyz.OK && len(s.Readyz.Checks) > 5 && s.Leases[0].Holder != "" && s.Leases[1].Holder != "" && s.Version != ""
	})
	t.Logf("control plane %+v", cp.Snapshot())
}

func testLogs(t *testing.T, c *testcluster.Cluster) {
	h := hubOn(t, c)
	f := h.Open(podsKey(), Query{Match: func(r Row) bool { p := r.(*PodRow); return p.Class == PodRunning && p.Namespace == "shop" }})
	s := eventually(t, f, "a running pod", func(s *Snapshot) bool { return s.Len() > 0 })
	r := s.Row(0).(*PodRow)
	l := h.OpenLogs(LogOptions{Namespace: r.Namespace, Pod: r.Name, Tail: 20})
	defer l.Close()
	var lines []LogLine
	within(t, func() string { return fmt.Sprintf("lines of %s: %d, %+v", r.Name, len(lines), l.State()) }, func() bool {
		for _, line := range l.Drain(100) {
			if !line.Note {
				lines = append(lines, line)
			}
		}
		return len(lines) >= 5
	})
	t.Logf("%v %s: %s", lines[0].Time, lines[0].Container, lines[0].Text)
}

// The API server is stopped (its connections stay open), goes on, is killed, and comes back: the rows stay, and say how old they are.
func testAPIServerStopsAndGoesOn(t *testing.T, c *testcluster.Cluster) {
	h := hubOn(t, c)
	pods := h.Open(podsKey(), Query{})
	secrets := h.Open(Key{GVR: schema.GroupVersionResource{Version: "v1", Resource: "secrets"}}, Query{})
	for _, f := range []*Feed{pods, secrets} {
		eventually(t, f, "live", func(s *Snapshot) bool { return s.State.Phase == Live && s.Len() > 0 })
	}
	n := pods.Snapshot().Len()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	both := func(what string, p Phase, limit time.Duration) {
		t.Helper()
		begun := time.Now()
		for _, f := range []*Feed{pods, secrets} {
			end := begun.Add(limit)
			for f.Snapshot().State.Phase != p {
				if time.Now().After(end) {
					t.Fatalf("%s: %s not %v within %v: %+v", what, f.Key().GVR.Resource, p, limit, f.Snapshot().State)
				}
				<-tick.C
			}
			t.Logf("%s: %s after %v: %+v", what, f.Key().GVR.Resource, time.Since(begun).Round(10*time.Millisecond), f.Snapshot().State)
			if f.Snapshot().Len() == 0 {
				t.Errorf("%s: no rows", what)
			}
		}
	}
	t.Cleanup(func() { c.Run(t, "cont", "apiserver") })
	c.Run(t, "stop", "apiserver")
	both("stopped", Stale, 5*time.Second)
	for end := time.Now().Add(15 * time.Second); time.Now().Before(end); { // long enough for the connections to be given up
		if s := pods.Snapshot(); s.Len() != n || s.State.Phase != Stale {
			t.Fatalf("%d of %d rows are left, %+v", s.Len(), n, s.State)
		}
		<-tick.C
	}
	c.Run(t, "cont", "apiserver")
	both("cont", Live, 15*time.Second)
	c.Run(t, "kill", "apiserver")
	both("killed", Stale, 5*time.Second)
	c.Run(t, "restart", "apiserver")
	both("restarted", Live, 40*time.Second)
	if why := pods.Snapshot().State.Why; strings.Contains(why, "refused") {
		t.Errorf("live, and yet: %s", why)
	}
}
