package watchers

import (
	"cmp"
	"slices"
)

// placementBuilder keeps the pods of every node, row by row: a change costs its node and the list of nodes of its zone.
type placementBuilder struct {
	nodesKey, podsKey Key

	nodes   map[string]*NodePods // by name; shared with pictures
	zones   map[string][]*NodePods
	pending map[*PodRow]struct{}
	pods    int
	known   int // nodes that are there

	picture *Placement

	// Of the build that is going on.
	dirty      map[string]*NodePods // copies of nodes that change
	dirtyZones map[string]struct{}
	waiting    bool // pending has changed
	bulk       bool // everything is new: sort at the end
}

func newPlacementBuilder(namespace string) *placementBuilder {
	return &placementBuilder{nodesKey: Key{GVR: Nodes()}, podsKey: Key{GVR: Pods(), Namespace: namespace}}
}

func (b *placementBuilder) build(in Inputs) *Placement {
	anew, nodes := in.Changes(b.nodesKey)
	_, pods := in.Changes(b.podsKey)
	b.bulk = anew || b.picture == nil
	if b.bulk {
		b.nodes, b.zones, b.pending = map[string]*NodePods{}, map[string][]*NodePods{}, map[*PodRow]struct{}{}
		b.pods, b.known, b.picture = 0, 0, &Placement{}
	}
	b.dirty, b.dirtyZones, b.waiting = map[string]*NodePods{}, map[string]struct{}{}, b.bulk
	for before, after := range nodes {
		b.node(before, after)
	}
	for before, after := range pods {
		b.pod(before, -1)
		b.pod(after, 1)
	}
	b.settle()
	return b.picture
}

// touch returns the copy of a node that this build may change.
func (b *placementBuilder) touch(name string) *NodePods {
	if n := b.dirty[name]; n != nil {
		return n
	}
	n := &NodePods{}
	if old := b.nodes[name]; old != nil {
		*n = *old
		n.Pods = slices.Clone(old.Pods)
	} else {
		n.Node, n.Missing = &NodeRow{Meta: Meta{Name: name}, Status: "Unknown"}, true
	}
	b.dirty[name] = n
	return n
}

func (b *placementBuilder) node(before, after Row) {
	if old, ok := before.(*NodeRow); ok {
		b.known--
		b.dirtyZones[old.Zone] = struct{}{}
		n := b.touch(old.Name)
		n.Node, n.Missing = &NodeRow{Meta: Meta{Name: old.Name}, Status: "Unknown"}, true
	}
	if fresh, ok := after.(*NodeRow); ok {
		b.known++
		n := b.touch(fresh.Name)
		n.Node, n.Missing = fresh, false
	}
}

// pod puts a pod on its node with n 1, or takes it off with n -1.
func (b *placementBuilder) pod(row Row, n int) {
	p, ok := row.(*PodRow)
	if !ok {
		return
	}
	if p.Node == "" {
		if p.Phase == "Pending" {
			b.waiting = true
			if n > 0 {
				b.pending[p] = struct{}{}
			} else {
				delete(b.pending, p)
			}
		}
		return
	}
	b.pods += n
	on := b.touch(p.Node)
	on.Classes[p.Class] += int32(n)
	var held, limited Amount
	if p.holdsNode() {
		held, limited = p.Requests, p.Limits
		held.Pods = 1
	}
	if n < 0 {
		if i, ok := slices.BinarySearchFunc(on.Pods, p, comparePlaced); ok {
			on.Pods = slices.Delete(on.Pods, i, i+1)
		}
		on.Requested, on.Limited = on.Requested.Sub(held), on.Limited.Sub(limited)
		return
	}
	on.Requested, on.Limited = on.Requested.Add(held), on.Limited.Add(limited)
	if b.bulk {
		on.Pods = append(on.Pods, p)
		return
	}
	i, _ := slices.BinarySearchFunc(on.Pods, p, comparePlaced)
	on.Pods = slices.Insert(on.Pods, i, p)
}

// settle makes the next picture of what has changed.
func (b *placementBuilder) settle() {
	for name, n := range b.dirty {
		old := b.nodes[name]
		if n.Missing && len(n.Pods) == 0 {
			n = nil
			delete(b.nodes, name)
		} else {
			b.nodes[name] = n
			if b.bulk {
				slices.SortFunc(n.Pods, comparePlaced)
			}
		}
		b.place(old, n)
	}
	pic := &Placement{Nodes: b.known, Pods: b.pods, Pending: b.picture.Pending}
	if b.bulk {
		for name := range b.zones {
			slices.SortFunc(b.zones[name], byNodeName)
		}
	}
	for name, nodes := range b.zones {
		if _, dirty := b.dirtyZones[name]; !dirty {
			i := slices.IndexFunc(b.picture.Zones, func(z Zone) bool { return z.Name == name })
			pic.Zones = append(pic.Zones, b.picture.Zones[i])
			continue
		}
		if len(nodes) == 0 {
			delete(b.zones, name)
			continue
		}
		z := Zone{Name: name, Nodes: slices.Clone(nodes)}
		for _, n := range nodes {
			z.Requested = z.Requested.Add(n.Requested)
			z.Allocatable = z.Allocatable.Add(n.Node.Allocatable)
		}
		pic.Zones = append(pic.Zones, z)
	}
	slices.SortFunc(pic.Zones, func(a, b Zone) int {
		if (a.Name == "") != (b.Name == "") {
			return cmp.Compare(b.Name, a.Name)
		}
		return cmp.Compare(a.Name, b.Name)
	})
	if b.waiting {
		pic.Pending = make([]*PodRow, 0, len(b.pending))
		for p := range b.pending {
			pic.Pending = append(pic.Pending, p)
		}
		slices.SortFunc(pic.Pending, func(a, b *PodRow) int {
			return cmp.Or(a.Created.Compare(b.Created), compareDefault(a, b), cmp.Compare(a.ID(), b.ID()))
		})
	}
	b.picture, b.dirty = pic, nil
}

// place keeps a zone's list of nodes: old is taken out and fresh put in; either may be nil.
func (b *placementBuilder) place(old, fresh *NodePods) {
	if old != nil {
		zone := old.Node.Zone
		b.dirtyZones[zone] = struct{}{}
		if i, ok := slices.BinarySearchFunc(b.zones[zone], old, byNodeName); ok {
			if fresh != nil && fresh.Node.Zone == zone {
				b.zones[zone][i] = fresh
				return
			}
			b.zones[zone] = slices.Delete(b.zones[zone], i, i+1)
		}
	}
	if fresh == nil {
		return
	}
	zone := fresh.Node.Zone
	b.dirtyZones[zone] = struct{}{}
	if b.bulk {
		b.zones[zone] = append(b.zones[zone], fresh)
		return
	}
	i, _ := slices.BinarySearchFunc(b.zones[zone], fresh, byNodeName)
	b.zones[zone] = slices.Insert(b.zones[zone], i, fresh)
}

func byNodeName(a, b *NodePods) int { return cmp.Compare(a.Node.Name, b.Node.Name) }

func comparePlaced(a, b *PodRow) int {
	return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Workload.Kind, b.Workload.Kind),
		cmp.Compare(a.Workload.Name, b.Workload.Name), cmp.Compare(a.Name, b.Name), cmp.Compare(a.UID, b.UID))
}
