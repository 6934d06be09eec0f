package views

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/charmbracelet/x/exp/golden"

	"fathom/actions"
	"fathom/keymap"
	"fathom/ui/draw"
	"fathom/watchers"
)

// placementFixture is a small cluster with one of every trouble.
func placementFixture(zones, perZone, pods int) *watchers.Placement {
	pic := &watchers.Placement{}
	classes := []watchers.PodClass{watchers.PodRunning, watchers.PodRunning, watchers.PodRunning, watchers.PodFailing, watchers.PodRunning, watchers.PodStarting,
		watchers.PodNotReady, watchers.PodCompleted, watchers.PodTerminating, watchers.PodUnknown}
	k := 0
	for z := range zones {
		zone := watchers.Zone{Name: fmt.Sprintf("zone-%c", 'a'+z%26)}
		for i := range perZone {
			name := fmt.Sprintf("worker-%02d", z*perZone+i+1)
			n := &watchers.NodeRow{Meta: watchers.Meta{UID: "uid-" + name, Name: name, Labels: watchers.Labels("disk=ssd,zone=" + zone.Name), ResourceVersion: "7"},
				Status: "Ready", Ready: true, Zone: zone.Name, Allocatable: watchers.Amount{MilliCPU: 8000, Memory: 32 << 30, Pods: 110}}
			np := &watchers.NodePods{Node: n}
			switch k {
			case 1:
				n.Cordoned, n.Status = true, "Ready,SchedulingDisabled"
				n.Taints = []watchers.Taint{{Key: "node.kubernetes.io/unschedulable", Effect: "NoSchedule"}}
			case 4:
				n.Taints = []watchers.Taint{{Key: "nvidia.com/gpu", Value: "true", Effect: "NoSchedule"}}
			case 6:
				n.Ready, n.Status, n.Conditions = false, "NotReady", []string{"Ready=Unknown"}
			case 7:
				n.Conditions = []string{"MemoryPressure"}
			}
			for j := range pods + k%5 {
				p := &watchers.PodRow{Meta: watchers.Meta{UID: fmt.Sprintf("%s-p%d", name, j), Namespace: "shop", Name: fmt.Sprintf("web-%d-%d", k, j)}, Phase: "Running",
					Node: name, Class: classes[(j*j+k)%len(classes)], Status: "Running", PodTemplate: &watchers.PodTemplate{Workload: watchers.Owner{Kind: "Deployment", Name: []string{"web", "cart", "search"}[j*3/(pods+k%5)]}}}
				np.Pods = append(np.Pods, p)
				np.Classes[p.Class]++
				np.Requested = np.Requested.Add(watchers.Amount{Memory: 1 << 30, Pods: 1})
			}
			np.Requested.MilliCPU = int64(1500 + k%8*1000)
			zone.Requested, zone.Allocatable = zone.Requested.Add(np.Requested), zone.Allocatable.Add(n.Allocatable)
			zone.Nodes = append(zone.Nodes, np)
			pic.Nodes++
			k++
		}
		pic.Zones = append(pic.Zones, zone)
	}
	for i, why := range []string{
		"0/12 nodes are available: 1 node(s) had untolerated taint {nvidia.com/gpu: true}, 11 Insufficient cpu. preemption: 0/12 nodes are available: 12 Preemption is not helpful for scheduling.",
		"0/12 nodes are available: 12 node(s) didn't match Pod's node affinity/selector.", ""} {
		pic.Pending = append(pic.Pending, &watchers.PodRow{Meta: watchers.Meta{UID: fmt.Sprint("pending", i), Namespace: "batch", Name: fmt.Sprintf("train-%d", i), Created: pictureNow.Add(-time.Duration(40-i) * time.Minute)},
			Phase: "Pending", Status: "Pending", Class: watchers.PodPending, Unscheduled: why, PodTemplate: &watchers.PodTemplate{Workload: watchers.Owner{Kind: "Job", Name: "train"}}})
	}
	return pic
}

func placementPane(t testing.TB, ascii bool, pic *watchers.Placement, filter string) *placement {
	t.Helper()
	p, err := newPlacement(pictureEnv(ascii), Ref{View: "placement", Filter: filter})
	if err != nil {
		t.Fatal(err)
	}
	pl := p.(*placement)
	pl.show(pic)
	return pl
}

// show is what Sync does when the watcher has a new picture.
func (p *placement) show(pic *watchers.Placement) {
	p.take(&watchers.DerivedSnapshot[placed]{Gen: p.snap.Gen + 1, Value: place(pic, p.filter, p.pic), State: livePart(),
		States: map[watchers.Key]watchers.State{{GVR: watchers.Nodes()}: livePart(), {GVR: watchers.Pods()}: livePart()}})
}

func TestGoldenPlacement(t *testing.T) {
	for name, pic := range map[string]*watchers.Placement{"small": placementFixture(3, 4, 9), "large": placementFixture(3, 1000, 30), "dense": placementFixture(2, 3, 120)} {
		for _, ascii := range []bool{false, true} {
			for _, size := range append([][2]int{{248, 66}}, pictureSizes...) {
				if (ascii || size[0] == 248) && name != "small" {
					continue
				}
				t.Run(fmt.Sprintf("%s/%dx%d/ascii=%v", name, size[0], size[1], ascii), func(t *testing.T) {
					p := placementPane(t, ascii, pic, "")
					p.Do(keymap.Down)
					golden.RequireEqual(t, frameOf(p, p.env.Theme, size[0], size[1]))
				})
			}
		}
	}
}

func TestPlacementFilter(t *testing.T) {
	pic := placementFixture(3, 4, 9)
	for filter, want := range map[string]string{
		"": "12 nodes 3 pending", "worker-03": "1 nodes 0 pending", "zone-b": "4 nodes 0 pending", "gpu": "1 nodes 1 pending", "-l disk=ssd": "12 nodes 0 pending",
		"MemoryPressure": "1 nodes 0 pending", "SchedulingDisabled": "1 nodes 0 pending", "!zone": "0 nodes 3 pending", "affinity": "0 nodes 1 pending",
		"nothing": "0 nodes 0 pending",
	} {
		p := placementPane(t, false, pic, filter)
		if got := fmt.Sprintf("%d nodes %d pending", len(p.pic.nodes), len(p.pic.pending)); got != want {
			t.Errorf("/%s: %s, want %s", filter, got, want)
		}
		for _, size := range pictureSizes {
			if got := frameOf(p, p.env.Theme, size[0], size[1]); filter == "nothing" && !strings.Contains(got, "no node and no pending pod matches /nothing") {
				t.Errorf("nothing matches, and the pane does not say so:\n%s", got)
			}
		}
	}
	p := placementPane(t, false, pic, "zone-a")
	if err := p.SetFilter("("); err == nil || p.Filter() != "zone-a" {
		t.Errorf("an invalid filter: %v, the filter is now %q", err, p.Filter())
	}
	if err := p.SetFilter("zone-c"); err != nil {
		t.Fatal(err)
	}
	p.show(pic)
	if p.gone || p.cursor != "node/uid-worker-09" || p.Ref().Filter != "zone-c" {
		t.Errorf("after another filter the cursor is on %q (gone %v)", p.cursor, p.gone)
	}
	if _, err := newPlacement(pictureEnv(false), Ref{Filter: "["}); err == nil {
		t.Error("opened with an invalid filter")
	}
}

// without returns the picture without one node.
func without(pic *watchers.Placement, name string) *watchers.Placement {
	out := *pic
	out.Zones = nil
	for _, z := range pic.Zones {
		var keep []*watchers.NodePods
		for _, n := range z.Nodes {
			if n.Node.Name != name {
				keep = append(keep, n)
			}
		}
		z.Nodes = keep
		out.Zones = append(out.Zones, z)
	}
	return &out
}

func TestPlacementCursorIsIdentity(t *testing.T) {
	pic := placementFixture(3, 4, 9)
	p := placementPane(t, false, pic, "")
	cordon, _ := actions.Lookup(string(keymap.NodesCordon))
	frameOf(p, p.env.Theme, 198, 56)
	p.goTo(5)
	if p.cursor != "node/uid-worker-06" {
		t.Fatal(p.cursor)
	}
	p.show(without(pic, "worker-01")) // another one goes
	if p.pos != 4 || p.gone || p.cursor != "node/uid-worker-06" {
		t.Errorf("the cursor is at %d on %s", p.pos, p.cursor)
	}
	if ts, why := p.Targets(cordon); len(ts) != 1 || ts[0].UID != "uid-worker-06" || ts[0].Kind != "Node" || ts[0].ResourceVersion != "7" {
		t.Errorf("targets %+v: %s", ts, why)
	}
	p.show(without(pic, "worker-06")) // it goes itself
	if ts, why := p.Targets(cordon); len(ts) != 0 || !strings.Contains(why, "gone") || !p.gone {
		t.Errorf("its node is gone, and the target is %+v (%s)", ts, why)
	}
	if cmd := p.Do(keymap.Enter); cmd == nil {
		t.Error("enter says nothing")
	} else if _, ok := cmd().(ToastMsg); !ok {
		t.Errorf("enter on what is gone opens %+v", cmd())
	}
	p.show(pic) // and comes back
	if p.gone || p.pos != 5 {
		t.Errorf("it is back, the cursor is at %d, gone %v", p.pos, p.gone)
	}
	p.show(without(pic, "worker-06"))
	p.Do(keymap.Down)
	if ts, _ := p.Targets(cordon); p.gone || len(ts) != 1 {
		t.Errorf("moved, and still gone %v, targets %v", p.gone, ts)
	}
}

func TestPlacementMoves(t *testing.T) {
	for _, size := range append([][2]int{{248, 66}, {20, 8}}, pictureSizes...) {
		p := placementPane(t, false, placementFixture(3, 4, 9), "")
		frameOf(p, p.env.Theme, size[0], size[1])
		p.Do(keymap.Top)
		seen := map[int]bool{}
		for range 40 {
			seen[p.pos] = true
			p.Do(keymap.Down)
			got := frameOf(p, p.env.Theme, size[0], size[1])
			if strings.Count(got, "▸") != 1 {
				t.Fatalf("%v: the cursor is not on the screen:\n%s", size, got)
			}
		}
		if p.pos != p.pic.len()-1 || p.lay.grid.across == 1 && len(seen) != p.pic.len() {
			t.Errorf("%v: j ends at %d of %d, seen %d", size, p.pos, p.pic.len(), len(seen))
		}
		for range 40 {
			p.Do(keymap.Up)
		}
		if row, _ := p.lay.grid.place(p.pos); row != 1 {
			t.Errorf("%v: k ends in row %d", size, row)
		}
		p.Do(keymap.Top)
		for i := range p.pic.len() {
			if p.pos != i {
				t.Fatalf("%v: l goes to %d, want %d", size, p.pos, i)
			}
			p.Do(keymap.ScrollRight)
		}
		p.Do(keymap.PageUp)
		p.Do(keymap.PageDown)
		p.Do(keymap.Bottom)
		if p.pos != p.pic.len()-1 {
			t.Errorf("%v: G goes to %d", size, p.pos)
		}
	}
}

func TestPlacementDrillDown(t *testing.T) {
	p := placementPane(t, false, placementFixture(3, 4, 9), "")
	frameOf(p, p.env.Theme, 118, 36)
	r := opened(t, p.Do(keymap.Enter))
	on := func(node string) watchers.Row {
		return &watchers.PodRow{Node: node, PodTemplate: &watchers.PodTemplate{}}
	}
	if r.View != "pods" || !r.Where.Within.Holds(on("worker-01")) || r.Where.Within.Holds(on("worker-02")) {
		t.Errorf("a node leads to %+v", r)
	}
	if r := opened(t, p.Do(keymap.YAML)); r.View != "yaml" || r.Object.Kind != "Node" || r.Object.UID != "uid-worker-01" {
		t.Errorf("y on a node leads to %+v", r)
	}
	p.Do(keymap.Bottom)
	if r := opened(t, p.Do(keymap.Enter)); r.View != "describe" || r.Object.UID != "pending2" {
		t.Errorf("a pending pod leads to %+v", r)
	}
	del, _ := actions.Lookup(string(keymap.PodsDelete))
	if ts, why := p.Targets(del); len(ts) != 1 || ts[0].UID != "pending2" || ts[0].Kind != "Pod" {
		t.Errorf("targets %+v (%s)", ts, why)
	}
	cordon, _ := actions.Lookup(string(keymap.NodesCordon))
	if ts, why := p.Targets(cordon); len(ts) != 0 || why == "" {
		t.Errorf("a pending pod is cordoned: %+v (%s)", ts, why)
	}
}

func TestPlacementScopesAreStacks(t *testing.T) {
	p := placementPane(t, false, placementFixture(1, 2, 3), "")
	check := func(what string) {
		t.Helper()
		want := fmt.Sprint(append(p.Scopes(), keymap.Global))
		for _, s := range keymap.Stacks() {
			if fmt.Sprint(s) == want {
				return
			}
		}
		t.Errorf("%s: %s is no stack of the key map", what, want)
	}
	check("on a node")
	p.Do(keymap.Bottom)
	check("on a pending pod")
	p.show(&watchers.Placement{})
	check("on nothing")
}

func TestPlacementClick(t *testing.T) {
	p := placementPane(t, false, placementFixture(3, 4, 9), "")
	for _, size := range pictureSizes {
		got := strings.Split(frameOf(p, p.env.Theme, size[0], size[1]), "\n")
		for y, line := range got {
			if i := strings.Index(line, "worker-07"); i >= 0 && y < p.lay.gridH {
				p.Click(len([]rune(line[:i])), y)
				break
			}
		}
		if p.cursor != "node/uid-worker-07" {
			t.Errorf("%v: a click on worker-07 goes to %s", size, p.cursor)
		}
		p.Do(keymap.Top)
	}
	p.Click(4, p.lay.pendY)
	if p.cursor != "pod/pending0" {
		t.Errorf("a click on the first pending pod goes to %s", p.cursor)
	}
}

func TestPlacementPrint(t *testing.T) {
	pic := placementFixture(2, 2, 3)
	pic.Zones[1].Nodes[1].Missing = true
	p := placementPane(t, false, pic, "")
	out, ready, err := p.Print(false)
	if err != nil || !ready {
		t.Fatal(ready, err)
	}
	data, err := out.json()
	if err != nil {
		t.Fatal(err)
	}
	golden.RequireEqual(t, data)
	p.snap.States = map[watchers.Key]watchers.State{{GVR: watchers.Nodes()}: {Phase: watchers.Denied, Verb: "list"}}
	if _, _, err := p.Print(false); err == nil {
		t.Error("nodes are denied, and it prints")
	}
}

func TestPlacementEverySize(t *testing.T) {
	none := placementPane(t, false, &watchers.Placement{}, "")
	pendingOnly := placementFixture(0, 0, 0)
	for _, p := range []*placement{placementPane(t, true, placementFixture(3, 4, 60), ""), none, placementPane(t, false, pendingOnly, "")} {
		for w := 0; w < 260; w += 17 {
			for h := 0; h < 40; h += 5 {
				frameOf(p, p.env.Theme, w, h)
				for _, in := range []keymap.Intent{keymap.Bottom, keymap.Up, keymap.PageUp, keymap.PageDown, keymap.Top, keymap.ScrollRight, keymap.Down, keymap.Enter} {
					p.Do(in)
					frameOf(p, p.env.Theme, w, h)
				}
				p.Click(w/2, h/2)
				p.Wheel(3)
			}
		}
	}
}

// Drawing costs what is visible, not what there is.
func TestPlacementDrawIsBounded(t *testing.T) {
	cost := func(perZone int) float64 {
		p := placementPane(t, false, placementFixture(3, perZone, 30), "")
		p.goTo(p.pic.len() / 2)
		c := draw.NewCanvas(198, 56)
		p.Draw(c.Area(), true)
		return testing.AllocsPerRun(20, func() { c.Clear(); p.Draw(c.Area(), true) })
	}
	if small, large := cost(50), cost(2000); large > small*1.3 {
		t.Errorf("a frame of 150 nodes allocates %.0f times, of 6,000 nodes %.0f times", small, large)
	}
}

func BenchmarkPlacementDraw(b *testing.B) {
	for _, n := range []int{100, 5000} {
		p := placementPane(b, false, placementFixture(5, n/5, 30), "")
		c := draw.NewCanvas(248, 66)
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				c.Clear()
				p.Do(keymap.Down)
				p.Draw(c.Area(), true)
			}
		})
	}
}
