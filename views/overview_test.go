package views

import (
	"fmt"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"
	"github.com/charmbracelet/x/exp/golden"

	"fathom/keymap"
	"fathom/theme"
	"fathom/ui/draw"
	"fathom/watchers"
	"fathom/watchers/etcd"
)

var pictureNow = time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)

func pictureEnv(ascii bool) *Env {
	return &Env{Theme: theme.New(theme.Options{ASCII: ascii, NoColor: ascii}), Now: func() time.Time { return pictureNow }}
}

func livePart() watchers.State { return watchers.State{Phase: watchers.Live} }

// overviewFixture is a cluster with one of every common trouble.
func overviewFixture() overviewData {
	ago := func(d time.Duration) time.Time { return pictureNow.Add(-d) }
	pod := func(name, status string, class watchers.PodClass, why string) *watchers.PodRow {
		return &watchers.PodRow{Meta: watchers.Meta{UID: name, Namespace: "shop", Name: name}, Status: status, Class: class, Message: why, PodTemplate: &watchers.PodTemplate{}}
	}
	o := &watchers.Overview{
		Nodes:     watchers.NodeCounts{Total: 12, Ready: 11, Cordoned: 1, Pressure: 1},
		Workloads: 14, ShortTotal: 3, WarnTotal: 17, Window: 15 * time.Minute, Namespaces: 9, Ending: []string{"old-tenant"},
		Requested: watchers.Amount{MilliCPU: 41500, Memory: 61 << 30, Pods: 71}, Allocable: watchers.Amount{MilliCPU: 80000, Memory: 320 << 30, Pods: 1100},
	}
	o.Pods.Total = 78
	for class, n := range map[watchers.PodClass]int{watchers.PodRunning: 62, watchers.PodFailing: 3, watchers.PodPending: 4, watchers.PodStarting: 2,
		watchers.PodCompleted: 5, watchers.PodTerminating: 1, watchers.PodNotReady: 1} {
		o.Pods.ByClass[class] = n
	}
	o.Pods.Problems = []watchers.Problem{
		{Status: "Pending", Class: watchers.PodPending, Count: 4, First: pod("batch-gpu-0", "Pending", watchers.PodPending, "0/12 nodes are available: 1 node(s) had untolerated taint {gpu: true}")},
		{Status: "CrashLoopBackOff", Class: watchers.PodFailing, Count: 2, First: pod("cart-5f6d7c9b8-x2x4z", "CrashLoopBackOff", watchers.PodFailing, "back-off 5m0s restarting failed container")},
		{Status: "ImagePullBackOff", Class: watchers.PodFailing, Count: 1, First: pod("search-0", "ImagePullBackOff", watchers.PodFailing, "Back-off pulling image \"registry.example/search:none\"")},
		{Status: "NotReady", Class: watchers.PodNotReady, Count: 1, First: pod("slow-1", "Running", watchers.PodNotReady, "")},
	}
	for i, w := range []watchers.WorkloadRow{
		{Kind: "Deployment", Desired: 3, Problem: "Deployment does not have minimum availability."},
		{Kind: "StatefulSet", Desired: 3, Ready: 2, Updated: 3, Available: 2},
		{Kind: "DaemonSet", Desired: 12, Ready: 12, Updated: 7, Available: 12},
	} {
		w.Meta = watchers.Meta{UID: fmt.Sprint("w", i), Namespace: "shop", Name: []string{"cart", "orders-db", "agent"}[i]}
		w.Selector = "app=" + w.Name
		o.Short = append(o.Short, &w)
	}
	for i := range 9 {
		w := watchers.WarningGroup{Reason: []string{"BackOff", "FailedScheduling", "Unhealthy"}[i%3], Kind: "Pod", Namespace: "shop",
			Object: fmt.Sprintf("cart-5f6d7c9b8-%d", i), Message: "Readiness probe failed: HTTP probe failed with statuscode: 503", Count: i + 1, Last: ago(time.Duration(i*i*7) * time.Second)}
		o.Warnings = append(o.Warnings, w)
	}
	plane := &watchers.ControlPlaneSnapshot{Gen: 3, Version: "v1.36.3", State: livePart(), Livez: watchers.Probe{OK: true, Code: 200, RTT: 3 * time.Millisecond, At: pictureNow},
		Readyz: watchers.Probe{Code: 500, RTT: 4 * time.Millisecond, At: pictureNow, Checks: []watchers.Check{{Name: "ping", OK: true}, {Name: "etcd"}, {Name: "informer-sync"}}},
		Leases: []watchers.Lease{
			{Name: "kube-controller-manager", Found: true, Holder: "cp-1_5a0b7a2e", Renewed: ago(time.Second), Seen: ago(time.Second), Duration: 15 * time.Second, CheckedAt: pictureNow},
			{Name: "kube-scheduler", Found: true, Holder: "cp-2_0c44d1f0", Renewed: ago(40 * time.Second), Seen: ago(40 * time.Second), Duration: 15 * time.Second, CheckedAt: pictureNow},
		}}
	member := func(name string, id uint64, role etcd.Role) *etcd.MemberRow {
		return &etcd.MemberRow{MemberID: id, Name: name, Role: role, Reachable: role != etcd.Unreachable, Polled: true, DBSize: 5 << 20, Quota: 2 << 30, LastSeen: pictureNow,
			Linearizable: etcd.ReadProbe{At: pictureNow, RTT: 2 * time.Millisecond}}
	}
	dead := member("etcd-3", 3, etcd.Unreachable)
	dead.LastSeen, dead.Errors = ago(50*time.Second), []string{"connection refused"}
	return overviewData{api: true, plane: plane,
		pic: &watchers.DerivedSnapshot[watchers.Overview]{Gen: 5, Value: o, State: livePart(), At: pictureNow},
		etcd: &etcd.Snapshot{Gen: 9, Polled: true, State: livePart(), Members: []*etcd.MemberRow{member("etcd-1", 1, etcd.Follower), member("etcd-2", 2, etcd.Leader), dead},
			Quorum: etcd.Quorum{Has: true, Voters: 3, Reachable: 2, Leader: 2, LeaderName: "etcd-2", Term: 4}}}
}

// healthyFixture is a cluster with nothing to say.
func healthyFixture() overviewData {
	d := overviewFixture()
	o := *d.pic.Value
	o.Nodes = watchers.NodeCounts{Total: 12, Ready: 12}
	o.Pods = watchers.PodCounts{Total: 62}
	o.Pods.ByClass[watchers.PodRunning] = 62
	o.Short, o.ShortTotal, o.Warnings, o.WarnTotal, o.Ending = nil, 0, nil, 0, nil
	d.pic = &watchers.DerivedSnapshot[watchers.Overview]{Gen: 6, Value: &o, State: livePart()}
	plane := *d.plane
	plane.Readyz = plane.Livez
	plane.Leases = []watchers.Lease{plane.Leases[0], plane.Leases[0]}
	plane.Leases[1].Name = "kube-scheduler"
	d.plane = &plane
	e := *d.etcd
	e.Members = e.Members[:2]
	e.Quorum.Reachable, e.Quorum.CanLose = 3, 1
	d.etcd = &e
	return d
}

func overviewPane(t testing.TB, ascii bool, d overviewData) *overview {
	t.Helper()
	p, err := newOverview(pictureEnv(ascii), Ref{View: "overview"})
	if err != nil {
		t.Fatal(err)
	}
	o := p.(*overview)
	o.data = d
	return o
}

func frameOf(p Pane, th *theme.Theme, w, h int) string {
	c := draw.NewCanvas(w, h)
	p.Draw(c.Area(), true)
	return ansi.Strip(c.Render(th))
}

// The sizes are those of the inside of a frame on screens of 80x24, 120x40 and 200x60.
var pictureSizes = [][2]int{{78, 20}, {118, 36}, {198, 56}}

func TestGoldenOverview(t *testing.T) {
	denied := overviewFixture()
	denied.pic.States = map[watchers.Key]watchers.State{{GVR: watchers.Nodes()}: {Phase: watchers.Denied, Verb: "list", Resource: "nodes"}}
	denied.pic.State = denied.pic.States[watchers.Key{GVR: watchers.Nodes()}]
	denied.etcd = nil
	down := overviewFixture()
	stale := watchers.State{Phase: watchers.Stale, Since: pictureNow.Add(-34 * time.Second), Why: "connection refused"}
	down.pic.States = map[watchers.Key]watchers.State{}
	for _, k := range []watchers.Key{{GVR: watchers.Nodes()}, {GVR: watchers.Pods()}, {GVR: watchers.Events()}, {GVR: watchers.Deployments()}} {
		down.pic.States[k] = stale
	}
	down.plane.State, down.pic.State = stale, stale
	down.plane.Livez = watchers.Probe{At: pictureNow, Err: "connection refused"}
	down.health.LastOK = stale.Since
	down.etcd.Quorum = etcd.Quorum{Voters: 3, Reachable: 1, Term: 9, Why: "1 of 3 voters answers"}
	onlyEtcd := overviewFixture()
	onlyEtcd.api, onlyEtcd.pic, onlyEtcd.plane = false, nil, nil
	for name, d := range map[string]overviewData{"trouble": overviewFixture(), "healthy": healthyFixture(), "viewer": denied, "down": down,
		"only etcd": onlyEtcd, "start": {api: true, etcd: &etcd.Snapshot{}}} {
		for _, ascii := range []bool{false, true} {
			for _, size := range pictureSizes {
				if (ascii || size[0] == 118) && name != "trouble" {
					continue
				}
				t.Run(fmt.Sprintf("%s/%dx%d/ascii=%v", name, size[0], size[1], ascii), func(t *testing.T) {
					p := overviewPane(t, ascii, d)
					golden.RequireEqual(t, frameOf(p, p.env.Theme, size[0], size[1]))
				})
			}
		}
	}
}

// What one must see at once is on the screen at 80x24, without scrolling.
func TestOverviewNothingNeededIsBelowTheFold(t *testing.T) {
	p := overviewPane(t, false, overviewFixture())
	got := frameOf(p, p.env.Theme, 78, 20)
	for _, want := range []string{"not ready", "etcd, informer-sync", "lease expired", "quorum 2/3", "11/12 ready", "3 failing", "11/14 at strength", "cpu", "memory",
		"1 terminating", "CrashLoopBackOff", "shop/cart", "BackOff"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not on the screen:\n%s", want, got)
		}
	}
}

func opened(t *testing.T, cmd tea.Cmd) Ref {
	t.Helper()
	if cmd == nil {
		t.Fatal("nothing opens")
	}
	m, ok := cmd().(OpenMsg)
	if !ok {
		t.Fatalf("%T instead of a view", cmd())
	}
	return m.Ref
}

func TestOverviewEveryLineLeadsSomewhere(t *testing.T) {
	for _, size := range pictureSizes {
		p := overviewPane(t, false, overviewFixture())
		frameOf(p, p.env.Theme, size[0], size[1])
		p.Do(keymap.Top)
		views := map[string]bool{}
		seen := map[string]bool{}
		for !seen[p.cursor] {
			seen[p.cursor] = true
			if !strings.HasPrefix(p.cursor, "more/") {
				views[opened(t, p.Do(keymap.Enter)).View] = true
			}
			p.Do(keymap.Down)
		}
		for _, want := range []string{"leases.coordination.k8s.io", "yaml", "members", "nodes", "pods", "deployments", "placement", "namespaces", "events"} {
			if !views[want] {
				t.Errorf("%v: no line leads to %s: %v", size, want, views)
			}
		}
		p.Do(keymap.Bottom)
		if last := p.cursor; !seen[last] {
			t.Errorf("%v: G goes to %q, which j does not reach", size, last)
		}
	}
}

func TestOverviewDrillDown(t *testing.T) {
	p := overviewPane(t, false, overviewFixture())
	frameOf(p, p.env.Theme, 198, 56)
	goTo := func(id string) Ref {
		t.Helper()
		c, r, ok := p.lay.find(id)
		if !ok {
			t.Fatalf("no line %s", id)
		}
		p.put(c, r)
		return opened(t, p.Do(keymap.Enter))
	}
	if r := goTo("problem/CrashLoopBackOff"); r.View != "pods" || r.Filter != "CrashLoopBackOff" {
		t.Errorf("failing pods: %+v", r)
	}
	pod := func(name, app string) watchers.Row {
		return &watchers.PodRow{Meta: watchers.Meta{Namespace: "shop", Name: name, Labels: watchers.Labels("app=" + app)}}
	}
	if r := goTo("workload/w0"); r.View != "pods" || r.Namespace != "shop" || !r.Where.Match(pod("a", "cart")) || r.Where.Match(pod("b", "other")) {
		t.Errorf("a workload: %+v", r)
	}
	event := func(object string) watchers.Row { return &watchers.EventRow{Kind: "Pod", Object: object} }
	if r := goTo("warning/Pod/shop/cart-5f6d7c9b8-0/BackOff"); r.View != "events" || !r.Where.Match(event("cart-5f6d7c9b8-0")) || r.Where.Match(event("other")) {
		t.Errorf("a warning: %+v", r)
	}
	if r := goTo("lease/kube-scheduler"); r.View != "yaml" || r.Object.Name != "kube-scheduler" || r.Object.Namespace != "kube-system" {
		t.Errorf("a lease: %+v", r)
	}
}

// A list that was cut says so, and Enter shows the rest.
func TestOverviewMore(t *testing.T) {
	p := overviewPane(t, false, overviewFixture())
	p.data.pic.Value.Warnings = append(p.data.pic.Value.Warnings, p.data.pic.Value.Warnings...)
	frameOf(p, p.env.Theme, 78, 20)
	c, r, ok := p.lay.find("more/warnings")
	if !ok {
		t.Fatal("18 warnings fit into 20 lines?")
	}
	p.put(c, r)
	p.Do(keymap.Enter)
	if _, _, ok := p.lay.find("more/warnings"); ok || len(p.lay.cols[0].rows) < 25 {
		t.Errorf("%d rows, still cut: %v", len(p.lay.cols[0].rows), ok)
	}
	p.Do(keymap.Bottom)
	if got := frameOf(p, p.env.Theme, 78, 20); p.lay.cols[0].top == 0 {
		t.Errorf("the end is not shown:\n%s", got)
	}
}

// The cursor holds on to the thing, not to the line number.
func TestOverviewCursorIsIdentity(t *testing.T) {
	p := overviewPane(t, false, overviewFixture())
	frameOf(p, p.env.Theme, 198, 56)
	c, r, _ := p.lay.find("workload/w1")
	p.put(c, r)
	next := *p.data.pic.Value
	next.Short = next.Short[1:]
	p.data.pic = &watchers.DerivedSnapshot[watchers.Overview]{Gen: 6, Value: &next, State: livePart()}
	frameOf(p, p.env.Theme, 198, 56)
	if p.cursor != "workload/w1" || p.row != r-1 {
		t.Errorf("the cursor is on %s, row %d", p.cursor, p.row)
	}
	next.Short = next.Short[1:]
	frameOf(p, p.env.Theme, 198, 56)
	if p.cursor == "workload/w1" || p.cursor == "" {
		t.Errorf("its line is gone, and the cursor is on %q", p.cursor)
	}
}

func TestOverviewState(t *testing.T) {
	d := overviewFixture()
	if st := d.state(); st.Phase != watchers.Live {
		t.Errorf("all parts are live: %+v", st)
	}
	d.etcd.State.Phase = watchers.Stale
	if st := d.state(); st.Phase != watchers.Stale {
		t.Errorf("etcd is stale: %+v", st)
	}
	if st := (&overviewData{}).state(); st.Phase != watchers.Unsupported {
		t.Errorf("there is nothing: %+v", st)
	}
}

func TestOverviewPrint(t *testing.T) {
	p := overviewPane(t, false, overviewFixture())
	out, ready, err := p.Print(false)
	if err != nil || !ready {
		t.Fatal(ready, err)
	}
	data, err := out.json()
	if err != nil {
		t.Fatal(err)
	}
	golden.RequireEqual(t, data)
	start := overviewPane(t, false, overviewData{api: true, etcd: &etcd.Snapshot{}})
	if _, ready, err := start.Print(false); ready || err != nil {
		t.Error("nothing has answered:", ready, err)
	}
	none := overviewPane(t, false, overviewData{})
	if _, _, err := none.Print(false); err == nil {
		t.Error("there is nothing to print, and no error")
	}
}

func TestOverviewEverySize(t *testing.T) {
	for _, d := range []overviewData{overviewFixture(), {}, {api: true}} {
		for w := 0; w < 130; w += 11 {
			for h := 0; h < 30; h += 4 {
				p := overviewPane(t, w%2 == 0, d)
				frameOf(p, p.env.Theme, w, h)
				for _, in := range []keymap.Intent{keymap.Down, keymap.Bottom, keymap.PageUp, keymap.PageDown, keymap.ScrollRight, keymap.ScrollLeft, keymap.Top, keymap.Enter} {
					p.Do(in)
					frameOf(p, p.env.Theme, w, h)
				}
				p.Click(3, 4)
				p.Wheel(-2)
			}
		}
	}
}
