package watchers

import (
	"cmp"
	"slices"
)

// Placement is the picture of where pods are.
type Placement struct {
	Zones   []Zone    // by name; nodes without a zone last, under the empty name
	Pending []*PodRow // without a node, the longest waiting first; Unscheduled is the scheduler's message
	Nodes   int
	Pods    int // on nodes, finished ones included
}

// Zone is a failure domain (topology.kubernetes.io/zone).
type Zone struct {
	Name        string
	Nodes       []NodePods // by name
	Requested   Amount
	Allocatable Amount
}

// NodePods is a node with the pods that are on it.
type NodePods struct {
	Node      *NodeRow
	Pods      []*PodRow // by workload, then by name: neighbours belong together
	Requested Amount    // of the pods that have not finished; compare with Node.Allocatable
	Limited   Amount
	Missing   bool // pods name this node, but there is no such node; Node then has only a name
}

// OpenPlacement starts the placement's builder: nodes of the whole cluster, pods of one namespace or (empty) of all.
func OpenPlacement(h *Hub, namespace string) *Derived[Placement] {
	return DerivePlacement(h, namespace, func(p *Placement) *Placement { return p })
}

// DerivePlacement is OpenPlacement with something made of every picture, in the builder goroutine: an index, a selection. The
// picture is build's own.
func DerivePlacement[T any](h *Hub, namespace string, build func(*Placement) *T) *Derived[T] {
	nodes, pods := Key{GVR: Nodes()}, Key{GVR: Pods(), Namespace: namespace}
	return Derive(h, []Key{nodes, pods}, 0, func(in Inputs) *T {
		return build(buildPlacement(in.Rows(nodes), in.Rows(pods)))
	})
}

// buildPlacement costs one pass over the nodes and one over the pods, and sorting.
func buildPlacement(nodes, pods []Row) *Placement {
	pic := &Placement{}
	byName := make(map[string]*NodePods, len(nodes))
	for _, r := range nodes {
		if n, ok := r.(*NodeRow); ok {
			byName[n.Name] = &NodePods{Node: n}
			pic.Nodes++
		}
	}
	for _, r := range pods {
		p, ok := r.(*PodRow)
		switch {
		case !ok:
			continue
		case p.Node == "":
			if p.Phase == "Pending" {
				pic.Pending = append(pic.Pending, p)
			}
			continue
		}
		pic.Pods++
		n := byName[p.Node]
		if n == nil {
			n = &NodePods{Node: &NodeRow{Meta: Meta{Name: p.Node}, Status: "Unknown"}, Missing: true}
			byName[p.Node] = n
		}
		n.Pods = append(n.Pods, p)
		if p.holdsNode() {
			n.Requested = n.Requested.Add(p.Requests)
			n.Requested.Pods++
			n.Limited = n.Limited.Add(p.Limits)
		}
	}
	zones := map[string]*Zone{}
	for _, n := range byName {
		z := zones[n.Node.Zone]
		if z == nil {
			z = &Zone{Name: n.Node.Zone}
			zones[n.Node.Zone] = z
		}
		slices.SortFunc(n.Pods, comparePlaced)
		z.Nodes = append(z.Nodes, *n)
		z.Requested = z.Requested.Add(n.Requested)
		z.Allocatable = z.Allocatable.Add(n.Node.Allocatable)
	}
	for _, z := range zones {
		slices.SortFunc(z.Nodes, func(a, b NodePods) int { return cmp.Compare(a.Node.Name, b.Node.Name) })
		pic.Zones = append(pic.Zones, *z)
	}
	slices.SortFunc(pic.Zones, func(a, b Zone) int {
		if (a.Name == "") != (b.Name == "") {
			return cmp.Compare(b.Name, a.Name)
		}
		return cmp.Compare(a.Name, b.Name)
	})
	slices.SortFunc(pic.Pending, func(a, b *PodRow) int {
		return cmp.Or(a.Created.Compare(b.Created), compareDefault(a, b), cmp.Compare(a.ID(), b.ID()))
	})
	return pic
}

func comparePlaced(a, b *PodRow) int {
	return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Workload.Kind, b.Workload.Kind),
		cmp.Compare(a.Workload.Name, b.Workload.Name), cmp.Compare(a.Name, b.Name), cmp.Compare(a.UID, b.UID))
}
