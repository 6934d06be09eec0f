package watchers

import "time"

// Overview is the picture of the cluster's condition.
type Overview struct {
	Nodes      NodeCounts
	Pods       PodCounts
	Short      []*WorkloadRow // workloads not at strength, the most missing first; at most TopN
	ShortTotal int
	Workloads  int
	Warnings   []WarningGroup // the most recent first; at most TopN
	WarnTotal  int            // warning events in the window
	Window     time.Duration  // what "the last minutes" means
	Requested  Amount         // by pods that have a node and have not finished
	Limited    Amount
	Allocable  Amount // of all nodes that are not cordoned and are ready
	Capacity   Amount // allocatable of all nodes
	Namespaces int
	Ending     []string // namespaces that are terminating
}

// NodeCounts counts nodes.
type NodeCounts struct{ Total, Ready, Cordoned, Pressure int }

// PodCounts counts pods by class and, of those that fail or wait, by their status word.
type PodCounts struct {
	Total    int
	ByClass  [PodUnknown + 1]int
	Problems []Problem // the most frequent first
}

// Problem is a status word and how many pods show it.
type Problem struct {
	Status string
	Class  PodClass
	Count  int
	First  *PodRow // one of them, to go to
}

// WarningGroup is a number of warning events of the same reason about the same object.
type WarningGroup struct {
	Reason, Kind, Namespace, Object string
	Message                         string // of the latest
	Count                           int
	Last                            time.Time
	Event                           *EventRow // the latest
}

// TopN bounds the lists of an Overview.
const TopN = 50

// OpenOverview starts the overview's builder. namespace restricts pods, workloads and events; nodes are always all nodes.
func OpenOverview(h *Hub, namespace string) *Derived[Overview] {
	b := newOverviewBuilder(namespace)
	return Derive(h, b.keys.all(), 5*time.Second, b.build)
}
