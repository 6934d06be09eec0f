package watchers

import "time"

// Placement is the picture of where pods are.
type Placement struct {
	Zones   []Zone // by name; nodes without a zone last, under the empty name
	Pending []*PodRow
	Nodes   int
	Pods    int // on nodes
}

// Zone is a failure domain (topology.kubernetes.io/zone).
type Zone struct {
	Name      string
	Nodes     []NodePods // by name
	Requested Amount
	Capacity  Amount // allocatable
}

// NodePods is a node with the pods that are on it.
type NodePods struct {
	Node      *NodeRow
	Pods      []*PodRow // by workload, then by name: neighbours belong together
	Requested Amount    // of the pods that have not finished
	Limited   Amount
	Missing   bool // pods name this node, but it does not exist (any more); Node then has only a name
}

// OpenPlacement starts the placement's builder: nodes of the whole cluster, pods of one namespace or (empty) of all.
func OpenPlacement(h *Hub, namespace string) *Derived[Placement] {
	nodes, pods := Key{GVR: Nodes()}, Key{GVR: Pods(), Namespace: namespace}
	return Derive(h, []Key{nodes, pods}, 0*time.Second, func(in Inputs) *Placement {
		return buildPlacement(in.Rows(nodes), in.Rows(pods))
	})
}
