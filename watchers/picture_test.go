package watchers

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	coordv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

func somePod(name, node, phase, status string, class PodClass) *PodRow {
	return &PodRow{Meta: Meta{UID: name, Namespace: "shop", Name: name}, Node: node, Phase: phase, Status: status, Class: class,
		PodTemplate: &PodTemplate{Requests: Amount{MilliCPU: 100, Memory: 10}, Workload: Owner{"Deployment", name[:1]}}}
}

func someNode(name, zone string) *NodeRow {
	return &NodeRow{Meta: Meta{Name: name}, Zone: zone, Ready: true, Allocatable: Amount{1000, 100, 10}}
}

// inputs is what a first build sees.
func inputs(t *testing.T, now time.Time, rows map[Key][]Row) Inputs {
	in := Inputs{srcs: map[Key]*source{}, Now: now}
	for key, rs := range rows {
		s := &source{store: newStore(NewProjector())}
		for _, r := range rs {
			if err := s.store.Add(r); err != nil {
				t.Fatal(err)
			}
		}
		in.srcs[key] = s
	}
	return in
}

func TestPlacement(t *testing.T) {
	p := newPlacementBuilder("").build(inputs(t, time.Now(), map[Key][]Row{{GVR: Nodes()}: {someNode("n2", "z2"), someNode("n1", "z1"), someNode("n0", ""), someNode("n3", "z1")},
		podsKey(): {
			somePod("b1", "n1", "Running", "Running", PodRunning), somePod("a1", "n1", "Running", "Running", PodRunning),
			somePod("a2", "n1", "Succeeded", "Completed", PodCompleted), somePod("c1", "lost", "Running", "Unknown", PodUnknown),
			somePod("w1", "", "Pending", "Pending", PodPending), somePod("x1", "", "Failed", "Evicted", PodFailing),
		}}))
	got := ""
	for _, z := range p.Zones {
		got += z.Name + ":"
		for _, n := range z.Nodes {
			got += " " + n.Node.Name
			for _, q := range n.Pods {
				got += "/" + q.Name
			}
		}
		got += ";"
	}
	if got != "z1: n1/a1/a2/b1 n3;z2: n2;: lost/c1 n0;" {
		t.Errorf("placement %s", got)
	}
	n1 := p.Zones[0].Nodes[0]
	if n1.Requested != (Amount{200, 20, 2}) || p.Zones[0].Allocatable != (Amount{2000, 200, 20}) || !p.Zones[2].Nodes[0].Missing {
		t.Errorf("requested %+v, zone %+v", n1.Requested, p.Zones[0])
	}
	if len(p.Pending) != 1 || p.Pending[0].Name != "w1" || p.Pods != 4 || p.Nodes != 4 {
		t.Errorf("pending %v, %d pods, %d nodes", p.Pending, p.Pods, p.Nodes)
	}
}

func TestOverview(t *testing.T) {
	k := overviewKeys("")
	now := time.Now()
	rows := map[Key][]Row{}
	put := func(key Key, rs ...Row) { rows[key] = rs }
	down := someNode("down", "z")
	down.Ready, down.Cordoned = false, true
	put(k.nodes, someNode("up", "z"), down)
	put(k.pods, somePod("a", "up", "Running", "Running", PodRunning), somePod("b", "up", "Running", "CrashLoopBackOff", PodFailing),
		somePod("c", "up", "Running", "CrashLoopBackOff", PodFailing), somePod("d", "", "Pending", "Pending", PodPending))
	put(k.namespaces, &NamespaceRow{Meta: Meta{Name: "old"}, Phase: "Terminating"}, &NamespaceRow{Meta: Meta{Name: "new"}, Phase: "Active"})
	put(k.deployments, &WorkloadRow{Meta: Meta{Name: "half"}, Desired: 4, Ready: 2, Updated: 4, Available: 2}, &WorkloadRow{Meta: Meta{Name: "ok"}})
	put(k.statefulsets, &WorkloadRow{Meta: Meta{Name: "none"}, Desired: 9})
	warn := func(id string, ago time.Duration, n int32) *EventRow {
		return &EventRow{Meta: Meta{UID: id, Namespace: "shop"}, Type: "Warning", Reason: "BackOff", Object: "b", Last: now.Add(-ago), Count: n, Message: id}
	}
	put(k.events, warn("e1", time.Minute, 3), warn("e2", time.Second, 2), warn("old", time.Hour, 9), &EventRow{Meta: Meta{UID: "n"}, Type: "Normal", Last: now})
	o := newOverviewBuilder("").build(inputs(t, now, rows))
	if o.Nodes != (NodeCounts{Total: 2, Ready: 1, Cordoned: 1}) || o.Allocable != (Amount{1000, 100, 10}) || o.Requested != (Amount{300, 30, 3}) {
		t.Errorf("nodes %+v, allocable %+v, requested %+v", o.Nodes, o.Allocable, o.Requested)
	}
	if o.Pods.Total != 4 || o.Pods.ByClass[PodFailing] != 2 || o.Pods.Problems[0].Status != "CrashLoopBackOff" ||
		o.Pods.Problems[0].Count != 2 || o.Pods.Problems[0].First.Name != "b" {
		t.Errorf("pods %+v", o.Pods)
	}
	if o.ShortTotal != 2 || o.Short[0].Name != "none" || o.Workloads != 3 || fmt.Sprint(o.Ending) != "[old]" || o.Namespaces != 2 {
		t.Errorf("short %v of %d, ending %v", o.Short, o.Workloads, o.Ending)
	}
	if len(o.Warnings) != 1 || o.Warnings[0].Count != 5 || o.Warnings[0].Message != "e2" || o.WarnTotal != 2 {
		t.Errorf("warnings %+v", o.Warnings)
	}
}

func TestDerivedFollowsItsSources(t *testing.T) {
	a, events := newAPI(t), make(chan string, 1)
	servePods(a, 2, events)
	h := a.hub(Options{})
	p := OpenPlacement(h, "")
	within(t, func() string { return fmt.Sprintf("two pending; %+v", p.Snapshot()) }, func() bool {
		s := p.Snapshot()
		return len(s.Value.Pending) == 2 && s.States[podsKey()].Phase == Live && s.States[Key{GVR: Nodes()}].Phase == Unsupported
	})
	if p.Snapshot().State.Phase != Unsupported { // nodes are missing: the picture says so
		t.Errorf("state %+v", p.Snapshot().State)
	}
	events <- event("ADDED", pod("third", "9"))
	within(t, func() string { return "three pending" }, func() bool { return len(p.Snapshot().Value.Pending) == 3 })
	p.Close()
	p.Close()
}

func TestControlPlane(t *testing.T) {
	a := newAPI(t)
	a.handle("/readyz", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(500)
		fmt.Fprint(w, "[+]ping ok\n[-]etcd failed: reason withheld\nreadyz check failed\n")
	})
	a.handle("/version", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"gitVersion":"v1.36.3"}`) })
	renewed := time.Now().Add(-time.Minute)
	a.handle("/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/kube-scheduler", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, coordv1.Lease{TypeMeta: metav1.TypeMeta{Kind: "Lease", APIVersion: "coordination.k8s.io/v1"}, Spec: coordv1.LeaseSpec{
			HolderIdentity: ptr.To("cp-1_abc"), LeaseDurationSeconds: ptr.To(int32(15)), RenewTime: ptr.To(metav1.NewMicroTime(renewed))}})
	})
	c := OpenControlPlane(a.hub(Options{}))
	defer c.Close()
	within(t, func() string { return fmt.Sprintf("%+v", c.Snapshot()) }, func() bool {
		s := c.Snapshot()
		return s.Livez.OK && s.Readyz.Code == 500 && s.Leases[1].Found && s.Leases[0].Err != "" && s.Version == "v1.36.3"
	})
	s := c.Snapshot()
	if s.Readyz.OK || len(s.Readyz.Checks) != 2 || s.Readyz.Checks[1] != (Check{Name: "etcd", Why: "reason withheld"}) {
		t.Errorf("readyz %+v", s.Readyz)
	}
	if l := s.Leases[1]; l.Holder != "cp-1_abc" || !l.Expired() {
		t.Errorf("lease %+v", l)
	}
	if s.State.Phase != Live {
		t.Errorf("state %+v", s.State)
	}
}

// Whether a lease is renewed is told by our clock alone once it was seen to be: the holder's may be far ahead of it, or behind.
func TestLeaseOfAnotherClock(t *testing.T) {
	start := time.Now()
	for _, c := range []struct {
		name    string
		skew    time.Duration // of the holder's clock
		dies    int           // the second after which it is not renewed any more
		expired int           // the second from which on it is told; -1: never
	}{
		{"as ours", 0, 20, 36}, {"ahead", 5 * time.Minute, 20, 36}, {"a little behind", -20 * time.Second, 20, 36}, {"renewed", -20 * time.Second, 100, -1},
		{"long dead", -time.Hour, 0, 0},
	} {
		var l Lease
		first := -1
		for sec := range 60 {
			at := start.Add(time.Duration(sec) * time.Second)
			renewed := start.Add(time.Duration(min(sec, c.dies))*time.Second + c.skew)
			l = Lease{Found: true, Duration: 15 * time.Second, Renewed: renewed, CheckedAt: at}.after(l)
			if l.Expired() && first < 0 {
				first = sec
			}
		}
		if first != c.expired {
			t.Errorf("%s: expired from second %d on, want %d", c.name, first, c.expired)
		}
	}
}
