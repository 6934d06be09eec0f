package views

import (
	"slices"
	"strings"

	"fathom/watchers"
)

// placed is a picture of where pods are, made for drawing: filtered, flat, and with an index by identity. It is built in the
// goroutine of the watcher and never changed.
type placed struct {
	zones   []placedZone
	nodes   []*watchers.NodePods // of all zones, in order
	pending []*watchers.PodRow
	index   map[string]int // identity -> position: nodes first, then pending pods

	allNodes, allPending int // before filtering
	pods                 int
	classes              [watchers.PodUnknown + 1]int // pods on the nodes that are shown, and pending ones
	mostPods             int                          // on one node
	mostNodes            int                          // in one zone
	names                int                          // cells of the longest name of a node, at most placedName
}

// placedZone is a zone's part of the nodes.
type placedZone struct {
	name                   string
	from, to               int // positions of its nodes
	requested, allocatable watchers.Amount
}

// placedName bounds the column of node names.
const placedName = 24

// place makes the picture of the nodes and pending pods that pass the filter. It costs one pass over nodes and pending pods. before
// is the picture made before, nil for the first: what it knows and is still true is not made again.
func place(pic *watchers.Placement, f Filter, before *placed) *placed {
	p := &placed{allNodes: pic.Nodes, allPending: len(pic.Pending), names: 8, nodes: make([]*watchers.NodePods, 0, pic.Nodes)}
	for i := range pic.Zones {
		z := &pic.Zones[i]
		zone := placedZone{name: z.Name, from: len(p.nodes)}
		for _, n := range z.Nodes {
			if !f.IsEmpty() && !f.Match(nodeText(n), n.Node.Labels) {
				continue
			}
			p.nodes = append(p.nodes, n)
			zone.requested = zone.requested.Add(n.Requested)
			zone.allocatable = zone.allocatable.Add(n.Node.Allocatable)
			p.pods += len(n.Pods)
			p.mostPods = max(p.mostPods, len(n.Pods))
			p.names = max(p.names, min(len(n.Node.Name), placedName))
			for class, k := range n.Classes {
				p.classes[class] += int(k)
			}
		}
		if zone.to = len(p.nodes); zone.to > zone.from {
			p.zones = append(p.zones, zone)
			p.mostNodes = max(p.mostNodes, zone.to-zone.from)
		}
	}
	for _, pod := range pic.Pending {
		if !f.IsEmpty() && !f.Match(pendingText(pod), pod.Labels) {
			continue
		}
		p.pending = append(p.pending, pod)
		p.classes[pod.Class]++
	}
	if before != nil && samePlaces(p, before) {
		p.index = before.index
		return p
	}
	p.index = make(map[string]int, p.len())
	for i := range p.len() {
		p.index[p.id(i)] = i
	}
	return p
}

// samePlaces reports whether two pictures have the same things in the same places, which is so unless nodes or pending pods come or go.
func samePlaces(a, b *placed) bool {
	return slices.EqualFunc(a.nodes, b.nodes, func(m, n *watchers.NodePods) bool { return m == n || m.Node.ID() == n.Node.ID() }) &&
		slices.EqualFunc(a.pending, b.pending, func(m, n *watchers.PodRow) bool { return m == n || m.ID() == n.ID() })
}

// nodeText and pendingText are what a filter looks at: what the pane says of a node and of a pending pod.
func nodeText(n *watchers.NodePods) string {
	return strings.Join([]string{n.Node.Name, n.Node.Zone, n.Node.Status, n.Node.Roles, strings.Join(taintList(n.Node.Taints), " "),
		strings.Join(n.Node.Conditions, " ")}, " ")
}

func pendingText(p *watchers.PodRow) string {
	return strings.Join([]string{p.Namespace, p.Name, p.Status, owner(p.Workload), pendingReason(p)}, " ")
}

// pendingReason is why a pod has no node, as the scheduler says it.
func pendingReason(p *watchers.PodRow) string {
	return firstOf(p.Unscheduled, p.Message, "the scheduler has not said why")
}

// len is the number of things the cursor can be on.
func (p *placed) len() int { return len(p.nodes) + len(p.pending) }

// at is what stands at a position: a node or a pending pod.
func (p *placed) at(i int) (*watchers.NodePods, *watchers.PodRow) {
	switch {
	case i < 0 || i >= p.len():
		return nil, nil
	case i < len(p.nodes):
		return p.nodes[i], nil
	}
	return nil, p.pending[i-len(p.nodes)]
}

func (p *placed) id(i int) string {
	switch n, pod := p.at(i); {
	case n != nil:
		return "node/" + n.Node.ID()
	case pod != nil:
		return "pod/" + pod.ID()
	}
	return ""
}

// placedRow is a row of the screen's list of nodes: a zone's heading, or as many nodes as stand side by side.
type placedRow struct {
	zone     int
	heading  bool
	from, to int
}

// placedGrid says in which row of cards every node stands, at one number of cards side by side. It is a sum over the zones: what
// is in a row is computed when it is asked for.
type placedGrid struct {
	p      *placed
	across int
	starts []int // row of every zone's heading, and the number of rows at the end
}

func newPlacedGrid(p *placed, across int) placedGrid {
	g := placedGrid{p: p, across: max(1, across), starts: make([]int, 0, len(p.zones)+1)}
	at := 0
	for _, z := range p.zones {
		g.starts = append(g.starts, at)
		at += 1 + (z.to-z.from+g.across-1)/g.across
	}
	g.starts = append(g.starts, at)
	return g
}

func (g *placedGrid) rows() int { return g.starts[len(g.starts)-1] }

// zoneAt is the zone of a row.
func (g *placedGrid) zoneAt(row int) int {
	lo, hi := 0, len(g.p.zones)-1
	for lo < hi {
		mid := (lo + hi + 1) / 2
		if g.starts[mid] <= row {
			lo = mid
		} else {
			hi = mid - 1
		}
	}
	return lo
}

func (g *placedGrid) row(r int) placedRow {
	i := g.zoneAt(r)
	z := g.p.zones[i]
	k := r - g.starts[i]
	if k == 0 {
		return placedRow{zone: i, heading: true}
	}
	from := z.from + (k-1)*g.across
	return placedRow{zone: i, from: from, to: min(z.to, from+g.across)}
}

// place is the row and the place in it of a node.
func (g *placedGrid) place(node int) (row, col int) {
	lo, hi := 0, len(g.p.zones)-1
	for lo < hi {
		mid := (lo + hi + 1) / 2
		if g.p.zones[mid].from <= node {
			lo = mid
		} else {
			hi = mid - 1
		}
	}
	k := node - g.p.zones[lo].from
	return g.starts[lo] + 1 + k/g.across, k % g.across
}
