package watchers

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
	Nodes       []*NodePods // by name
	Requested   Amount
	Allocatable Amount
}

// NodePods is a node with the pods that are on it. It is immutable: a picture shares those that have not changed with the one before.
type NodePods struct {
	Node      *NodeRow
	Pods      []*PodRow             // by workload, then by name: neighbours belong together
	Classes   [PodUnknown + 1]int32 // how many pods of each class
	Requested Amount                // of the pods that have not finished; compare with Node.Allocatable
	Limited   Amount
	Missing   bool // pods name this node, but there is no such node; Node then has only a name
}

// OpenPlacement starts the placement's builder: nodes of the whole cluster, pods of one namespace or (empty) of all.
func OpenPlacement(h *Hub, namespace string) *Derived[Placement] {
	return DerivePlacement(h, namespace, func(p *Placement) *Placement { return p })
}

// DerivePlacement is OpenPlacement with something made of every picture, in the builder goroutine: an index, a selection. The
// picture is immutable.
func DerivePlacement[T any](h *Hub, namespace string, build func(*Placement) *T) *Derived[T] {
	b := newPlacementBuilder(namespace)
	return Derive(h, []Key{b.nodesKey, b.podsKey}, 0, func(in Inputs) *T { return build(b.build(in)) })
}
