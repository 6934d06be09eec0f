package watchers

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// What a query within an index shows is what a look at every row would, however rows come, move and go.
func TestWithinEqualsMatching(t *testing.T) {
	for seed := range uint64(10) {
		rnd := rand.New(rand.NewPCG(seed, 3))
		f, store := still(t, Within{})
		queries := map[string]Within{
			"node": OnNode("n1"), "namespace": InNamespace("ns2"), "owner": OwnedBy("ns1", "ReplicaSet", "web"), "label": Labelled("ns0", "app", "a1"), "all": {},
		}
		same := map[string]func(*PodRow) bool{
			"node":      func(p *PodRow) bool { return p.Node == "n1" },
			"namespace": func(p *PodRow) bool { return p.Namespace == "ns2" },
			"owner":     func(p *PodRow) bool { return p.Namespace == "ns1" && p.Owner == Owner{"ReplicaSet", "web"} },
			"label":     func(p *PodRow) bool { return p.Namespace == "ns0" && p.Labels.Get("app") == "a1" },
			"all":       func(*PodRow) bool { return true },
		}
		feeds := map[string]*Feed{}
		for name, w := range queries {
			g := &Feed{hub: f.hub, key: f.key, src: f.src, wake: make(chan struct{}, 1), asked: make(chan struct{}, 1), query: Query{Within: w}}
			g.cur.Store(&Snapshot{})
			g.sub = store.subscribe(g.wake, w)
			feeds[name] = g
		}
		row := func() *PodRow {
			p := somePod(fmt.Sprint("p", rnd.IntN(80)), fmt.Sprint("n", rnd.IntN(3)), "Running", "Running", PodRunning)
			p.Namespace = fmt.Sprint("ns", rnd.IntN(3)) // an object does not move between namespaces; a new one may have the name
			p.UID = p.Namespace + p.Name
			p.Labels = Labels(fmt.Sprint("app=a", rnd.IntN(2)))
			p.Owner = Owner{"ReplicaSet", []string{"web", "db"}[rnd.IntN(2)]}
			return p
		}
		for range 60 {
			for range rnd.IntN(30) {
				var err error
				switch rnd.IntN(8) {
				case 0, 1:
					err = store.Delete(row())
				case 2:
					if rnd.IntN(10) == 0 {
						var list []any
						for range rnd.IntN(60) {
							list = append(list, row())
						}
						err = store.Replace(list, "")
					}
				default:
					err = store.Add(row())
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			for name, g := range feeds {
				g.build()
				want := slices.DeleteFunc(store.all(), func(r Row) bool { return !same[name](r.(*PodRow)) })
				slices.SortFunc(want, totalOrder(nil))
				s := g.Snapshot()
				if !slices.Equal(s.All(), want) || s.Total != len(want) {
					t.Fatalf("seed %d: %s has %d rows of %d, want %d", seed, name, s.Len(), s.Total, len(want))
				}
				for i, r := range want {
					if j, ok := s.Find(r.ID()); !ok || j != i {
						t.Fatalf("seed %d: %s finds %s at %d, %v", seed, name, r.ID(), j, ok)
					}
				}
			}
		}
		for _, g := range feeds {
			store.unsubscribe(g.sub)
			store.unsubscribe(g.sub)
		}
		if len(store.indexes) != 0 {
			t.Errorf("%d indexes are left that nobody uses", len(store.indexes))
		}
	}
}

// A change outside an index does not wake the query.
func TestOutsideOfAnIndexIsQuiet(t *testing.T) {
	store := newStore(NewProjector())
	wake := make(chan struct{}, 1)
	sub := store.subscribe(wake, OnNode("n1"))
	<-wake
	store.take(sub, true)
	if err := store.Add(somePod("a", "n2", "Running", "Running", PodRunning)); err != nil {
		t.Fatal(err)
	}
	if len(wake) != 0 {
		t.Error("woken for a pod of another node")
	}
	if err := store.Add(somePod("b", "n1", "Running", "Running", PodRunning)); err != nil {
		t.Fatal(err)
	}
	if len(wake) != 1 {
		t.Error("not woken for a pod of the node")
	}
}
