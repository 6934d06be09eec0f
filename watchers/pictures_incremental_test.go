package watchers

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"
)

// However changes are cut into builds, a picture is what one made anew of the same rows is.
func TestPicturesUnderChange(t *testing.T) {
	for seed := range uint64(12) {
		rnd := rand.New(rand.NewPCG(seed, 2))
		now := time.Now().Truncate(time.Second)
		over, placed := newOverviewBuilder(""), newPlacementBuilder("")
		in := inputs(t, now, map[Key][]Row{})
		subs := map[Key]*subscription{}
		for _, k := range over.keys.all() {
			in.srcs[k] = &source{store: newStore(NewProjector())}
			subs[k] = in.srcs[k].store.subscribe(make(chan struct{}, 1), Within{})
		}
		put := func(k Key, r Row, gone bool) {
			store := in.srcs[k].store
			err := store.Add(r)
			if gone {
				err = store.Delete(r)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		for step := range 80 {
			for range rnd.IntN(40) {
				gone := rnd.IntN(4) == 0
				switch rnd.IntN(6) {
				case 0:
					n := someNode(fmt.Sprint("n", rnd.IntN(12)), fmt.Sprint("z", rnd.IntN(3)))
					n.UID, n.Ready = n.Name, rnd.IntN(2) == 0
					put(over.keys.nodes, n, gone)
				case 1:
					w := &WorkloadRow{Meta: Meta{UID: fmt.Sprint(rnd.IntN(8)), Name: "w"}, Desired: 3, Ready: int32(rnd.IntN(4)), Updated: 3, Available: 3}
					put(over.keys.deployments, w, gone)
				case 2:
					e := &EventRow{Meta: Meta{UID: fmt.Sprint(rnd.IntN(20))}, Type: []string{"Normal", "Warning"}[rnd.IntN(2)], Reason: fmt.Sprint("r", rnd.IntN(3)),
						Count: int32(rnd.IntN(9)), Last: now.Add(-time.Duration(rnd.IntN(30)) * time.Minute)}
					put(over.keys.events, e, gone)
				default:
					p := somePod(fmt.Sprint("p", rnd.IntN(60)), fmt.Sprint("n", rnd.IntN(15)), "Running", "Running", PodClass(rnd.IntN(int(PodUnknown)+1)))
					if p.Class == PodFailing {
						p.Status = fmt.Sprint("Reason", rnd.IntN(3))
					}
					if rnd.IntN(5) == 0 {
						p.Node, p.Phase, p.Class, p.Status = "", "Pending", PodPending, "Pending"
					}
					put(over.keys.pods, p, gone)
				}
			}
			if rnd.IntN(20) == 0 {
				in.srcs[over.keys.pods].store.touchAll()
			}
			d := Derived[Overview]{in: in, keys: over.keys.all(), subs: map[*source]*subscription{}}
			for k, s := range in.srcs {
				d.subs[s] = subs[k]
			}
			in.deltas = d.take(step == 0)
			gotO, gotP := over.build(in), placed.build(in)
			anew := Inputs{srcs: in.srcs, Now: now}
			if want := newOverviewBuilder("").build(anew); !reflect.DeepEqual(normal(gotO), normal(want)) {
				t.Fatalf("seed %d, step %d: overview\n%+v, anew\n%+v", seed, step, gotO, want)
			}
			if want := newPlacementBuilder("").build(anew); !reflect.DeepEqual(flat(gotP), flat(want)) {
				t.Fatalf("seed %d, step %d: placement\n%+v, anew\n%+v", seed, step, flat(gotP), flat(want))
			}
		}
	}
}

// normal makes empty and nil lists the same.
func normal(o *Overview) string {
	s := fmt.Sprintf("%+v %+v %v %v %+v %+v %+v %+v", o.Nodes, o.Pods.ByClass, o.Workloads, o.ShortTotal, o.Requested, o.Limited, o.Allocable, o.WarnTotal)
	for _, p := range o.Pods.Problems {
		s += fmt.Sprint(" ", p.Status, p.Count, p.First.Name)
	}
	for _, w := range o.Warnings {
		s += fmt.Sprint(" ", w.Reason, w.Count, w.Event.UID)
	}
	for _, w := range o.Short {
		s += fmt.Sprint(" ", w.Desired-w.Ready)
	}
	return s
}

func flat(p *Placement) []string {
	out := []string{fmt.Sprint(p.Nodes, p.Pods)}
	for _, z := range p.Zones {
		out = append(out, fmt.Sprintf("zone %s %+v %+v", z.Name, z.Requested, z.Allocatable))
		for _, n := range z.Nodes {
			s := fmt.Sprintf("node %s %v %v %+v %+v", n.Node.Name, n.Missing, n.Classes, n.Requested, n.Limited)
			for _, q := range n.Pods {
				s += fmt.Sprint(" ", q.Name, q.Class)
			}
			out = append(out, s)
		}
	}
	for _, q := range p.Pending {
		out = append(out, "pending "+q.Name)
	}
	return out
}
