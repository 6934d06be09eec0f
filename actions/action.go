// Package actions is the write side: every mutation as one record that says what it does, on what, how risky it is, which
// permission it needs, what it will do (preview) and how it is done. Nothing else in fathom changes anything.
package actions

import (
	"context"
	"time"

	"fathom/cluster"
)

// Risk decides how an action is confirmed.
type Risk uint8

// Risks.
const (
	Reversible  Risk = iota // cordon, scale: confirmed by a dialog with y or Enter
	Destructive             // delete pod, restart, move-leader: confirmed by a dialog that starts on Cancel
	Critical                // member remove, key delete: the name must be typed
)

// Target is what an action acts on, by identity. The UID (or member ID) is the precondition: an object that was replaced
// under the same name is not touched.
type Target struct {
	Kind            string // "Pod", "Node", "Deployment", "Member"
	Group           string // API group, empty for core and for etcd
	Version         string
	Resource        string // plural, "pods"; empty for etcd
	Namespace, Name string
	UID             string
	ResourceVersion string
	Member          uint64 // etcd member ID, for Kind "Member"
	Endpoint        string // etcd client URL of the member
	Detail          map[string]string // what the row knew: "replicas", "leader", ...
}

// Input is the value an action asks for before the confirmation (scale: the number of replicas).
type Input struct {
	Prompt  string
	Initial func(Target) string
	Check   func(Target, string) error // nil error: acceptable
}

// Permission is what the API server must allow (SelfSubjectAccessReview).
type Permission = cluster.Access

// Action is one mutation.
type Action struct {
	ID         string // also the intent the keymap binds: "pods.delete"
	Title      string // in the imperative: "Delete pod"
	Resources  []string // the plural resources it applies to; "members" for etcd
	Risk       Risk
	Permission func(Target) []Permission // nil for etcd
	Input      *Input
	// Preview says in full sentences what will happen; it may read, never write. The lines are untrusted text.
	Preview func(ctx context.Context, c *cluster.Cluster, t Target, input string) ([]string, error)
	// Do performs it. On an ambiguous error (timeout, connection lost after sending) the runner calls Verify.
	Do func(ctx context.Context, c *cluster.Cluster, t Target, input string) (message string, err error)
	// Verify re-reads and reports what it found: done, not done, or still unknown.
	Verify func(ctx context.Context, c *cluster.Cluster, t Target, input string) (Status, string, error)
	Timeout time.Duration // of Do; 0 means 15 s
}

// Status of an outcome.
type Status uint8

// Outcomes.
const (
	Done Status = iota
	Failed
	Denied   // read-only mode, RBAC, or the journal could not be written
	Conflict // the precondition failed: the object is not the one that was confirmed
	Unknown  // timed out or the connection was lost, and re-reading did not settle it
)

// Outcome is what became of an action. Message is untrusted text.
type Outcome struct {
	Action  string
	Target  Target
	Status  Status
	Message string
	Took    time.Duration
	AuditID string
}
