package watchers

import (
	"time"

	"k8s.io/apimachinery/pkg/runtime"
)

// Amount is an amount of the resources that are scheduled by.
type Amount struct {
	MilliCPU int64 // thousandths of a core
	Memory   int64 // bytes
	Pods     int64 // for a node: how many pods it takes
}

// Add returns the sum.
func (a Amount) Add(b Amount) Amount {
	return Amount{a.MilliCPU + b.MilliCPU, a.Memory + b.Memory, a.Pods + b.Pods}
}

// Sub returns the difference.
func (a Amount) Sub(b Amount) Amount {
	return Amount{a.MilliCPU - b.MilliCPU, a.Memory - b.Memory, a.Pods - b.Pods}
}

// PodClass sorts the many words of a pod's status into what a reader must do about them.
type PodClass uint8

// Classes of pods.
const (
	PodRunning     PodClass = iota // running and ready
	PodNotReady                    // running, some container is not ready
	PodStarting                    // scheduled, being created or initialised
	PodPending                     // not scheduled
	PodFailing                     // CrashLoopBackOff, ImagePullBackOff, Error, OOMKilled, ...: somebody should look
	PodTerminating                 // being deleted
	PodCompleted                   // ended well
	PodUnknown                     // its node does not answer
)

// String is one word for it.
func (c PodClass) String() string {
	return [...]string{"running", "not ready", "starting", "pending", "failing", "terminating", "completed", "unknown"}[c]
}

// PodRow is a pod.
type PodRow struct {
	Meta
	*PodTemplate          // never nil
	Phase          string // status.phase
	Status         string // the STATUS column exactly as kubectl prints it: CrashLoopBackOff, Init:0/1, Terminating, ...
	Class          PodClass
	ReadyCount     int32
	ContainerCount int32 // sidecars (restartable init containers) included, as kubectl counts
	Restarts       int32
	LastRestart    time.Time // zero when nothing restarted
	Started        time.Time // status.startTime: when the kubelet took it
	IP             string
	Node           string // empty until scheduled
	NominatedNode  string
	Unscheduled    string // the scheduler's message while PodScheduled is False
	Message        string // status.message: why it was evicted, ...; of a container that fails, its waiting message
}

// PodTemplate is what the pods of a workload have in common: they share one.
type PodTemplate struct {
	Priority       int32
	Owner          Owner // the controller: ReplicaSet, StatefulSet, Job, ...
	Workload       Owner // the controller's own: a ReplicaSet of a Deployment gives the Deployment; otherwise Owner
	QoS            string
	PriorityClass  string
	ServiceAccount string
	Requests       Amount // effective requests, as the scheduler counts them (component-helpers/resource.PodRequests)
	Limits         Amount // zero: no limit
	InitContainers Names
	Containers     Names
}

// NodeRow is a node.
type NodeRow struct {
	Meta
	Status        string // as kubectl prints it: "Ready", "NotReady,SchedulingDisabled", ...
	Ready         bool
	Cordoned      bool
	Roles         string // "control-plane,worker"; empty when none
	Zone          string // topology.kubernetes.io/zone
	Region        string
	InstanceType  string
	Version       string // kubelet
	InternalIP    string
	ExternalIP    string
	OSImage       string
	Kernel        string
	Runtime       string
	Arch          string
	Allocatable   Amount
	Capacity      Amount
	Taints        []Taint
	Conditions    []string // conditions that are not as they should be: "MemoryPressure", "Ready=Unknown"; empty is good
	ReadyMessage  string   // the message of the Ready condition when it is not True
	ReadySince    time.Time
	LastHeartbeat time.Time
	PodCIDR       string
}

// Taint is a node's taint; String is as kubectl writes it.
type Taint struct{ Key, Value, Effect string }

// String is key=value:effect.
func (t Taint) String() string {
	s := t.Key
	if t.Value != "" {
		s += "=" + t.Value
	}
	return s + ":" + t.Effect
}

// NamespaceRow is a namespace.
type NamespaceRow struct {
	Meta
	Phase      string // Active, Terminating
	Finalizers Names  // spec.finalizers and metadata.finalizers
	Blocked    string // while terminating: what the namespace controller says is in the way
}

// EventRow is an event (core/v1).
type EventRow struct {
	Meta
	Type      string // Normal, Warning
	Reason    string
	Kind      string // involved object
	Object    string // its name
	ObjectUID string
	Message   string // at most MaxMessage bytes
	Count     int32
	First     time.Time
	Last      time.Time
	Source    string // the reporting component, with its host when it has one
}

// WorkloadRow is a Deployment, ReplicaSet, StatefulSet or DaemonSet.
type WorkloadRow struct {
	Meta
	Kind       string // "Deployment", ...
	Desired    int32
	Current    int32
	Ready      int32
	Updated    int32
	Available  int32
	Generation int64
	Observed   int64 // status.observedGeneration: smaller than Generation means not acted on yet
	Paused     bool
	Owner      Owner
	Containers Names
	Images     Names
	Selector   string // as a label selector
	Strategy   string
	Problem    string // the message of a condition that is not as it should be (Progressing, ReplicaFailure), shortest first
	Service    string // StatefulSet: its governing service
	NodePicker string // DaemonSet: its node selector
}

// AtStrength reports whether everything that is wanted is ready, updated and observed.
func (w *WorkloadRow) AtStrength() bool {
	return w.Ready >= w.Desired && w.Updated >= w.Desired && w.Available >= w.Desired && w.Observed >= w.Generation
}

// JobRow is a job.
type JobRow struct {
	Meta
	Status      string // Running, Complete, Failed, Suspended, ... as kubectl prints it
	Completions int32  // wanted; -1: any one (a work queue)
	Parallelism int32
	Succeeded   int32
	Active      int32
	Failed      int32
	Started     time.Time
	Finished    time.Time     // completion or failure; zero while it runs
	TTL         time.Duration // ttlSecondsAfterFinished; -1: kept
	Owner       Owner
	Containers  Names
	Images      Names
	Selector    string
	Problem     string // the message of the Failed condition
}

// CronJobRow is a cron job.
type CronJobRow struct {
	Meta
	Schedule    string
	TimeZone    string
	Suspended   bool
	Active      int32
	LastRun     time.Time
	LastSuccess time.Time
	Concurrency string
	Containers  Names
	Images      Names
}

// ServiceRow is a service.
type ServiceRow struct {
	Meta
	Type      string
	ClusterIP string // "None" for a headless service
	External  string // as kubectl prints it: addresses, host name, "<pending>", "<none>"
	Ports     string // as kubectl prints them: "80/TCP,443:30443/TCP"
	Selector  string
}

// TableRow is a row of a server-side Table: any kind that has no typed row. Cells belong to [Snapshot].Columns.
//
// Cells are what the server computed when the object last changed. The cell of a column named Age is therefore as old as that;
// show the age of Created instead.
type TableRow struct {
	Meta
	Cells []any // string, float64, bool or nil
}

// DeepCopyObject returns the row itself: rows are immutable. Together with Meta's GetObjectKind it makes a row a
// runtime.Object, which is what a watch.Event carries.
func (r *PodRow) DeepCopyObject() runtime.Object       { return r }
func (r *NodeRow) DeepCopyObject() runtime.Object      { return r }
func (r *NamespaceRow) DeepCopyObject() runtime.Object { return r }
func (r *EventRow) DeepCopyObject() runtime.Object     { return r }
func (r *WorkloadRow) DeepCopyObject() runtime.Object  { return r }
func (r *JobRow) DeepCopyObject() runtime.Object       { return r }
func (r *CronJobRow) DeepCopyObject() runtime.Object   { return r }
func (r *ServiceRow) DeepCopyObject() runtime.Object   { return r }
func (r *TableRow) DeepCopyObject() runtime.Object     { return r }
