package views

import (
	"k8s.io/apimachinery/pkg/runtime/schema"

	"fathom/watchers"
)

// AllNamespaces is the namespace of a Ref that shows every namespace.
const AllNamespaces = ""

// Ref names a view and what it is opened on. It is what the history keeps and what a drill-down returns.
type Ref struct {
	View      string // canonical name: "overview", "members", "pods", "virtualmachines.kubevirt.example.io"
	Namespace string // AllNamespaces, or one; meaningless for cluster-scoped views
	Filter    string // as typed after "/"
	Object    Object // for views of one object: logs, yaml, describe; and what a drill-down came from
	Where     *Where // narrows a resource view to what a drill-down means
}

// Object identifies one object of the cluster, by name for reading and by UID for what must not be mistaken.
type Object struct {
	GVR             schema.GroupVersionResource
	Kind            string
	Namespace, Name string
	UID             string
	Containers      string // of a pod, separated by commas, init containers included
	Container       string // logs: only this one
	Key             string // an etcd key; for watches also a prefix
	Revision        int64  // of the key, where it is not the newest: value, diff
	Base            int64  // diff: the revision to compare Revision with; 0: the one before it
	OtherKey        string // where the object is stored if it is not under Key; see etcd.KeyOf
}

// Where narrows a resource view: the pods of a node, the pods of a deployment.
type Where struct {
	Label  string                  // shown in the title: "node/worker-3"
	Within watchers.Within         // what an index can tell
	Match  func(watchers.Row) bool // and what it cannot; nil: nothing
}
