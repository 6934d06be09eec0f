// Package actions is the write side: every mutation as one record that says what it does, on what, how risky it is, which
// permission it needs, what it will do (preview) and how it is done. Nothing else in fathom changes anything.
//
// The way of a mutation, all of it on a [Runner]:
//
//	Preflight  may I?                      -> Decision, with the missing verb
//	Preview    what will happen?           -> sentences for the dialog, or a *Refusal
//	Confirm    the user said yes to this   -> *Confirmation, good for one run
//	Run        journal, do, verify, journal -> one Outcome per target
//
// An action that takes several requests has Steps: each is journalled, done and verified by itself, and the first that is not
// done is the last. See [Step].
package actions

import (
	"context"
	"fmt"
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

// String is the word the dialog shows.
func (r Risk) String() string {
	switch r {
	case Reversible:
		return "reversible"
	case Destructive:
		return "destructive"
	default:
		return "critical"
	}
}

// Target is what an action acts on, by identity. The UID (or member ID) is the precondition: an object that was replaced
// under the same name is not touched. A Target without one is refused.
//
// The target of what is done to a whole etcd cluster (compaction) is Kind "Etcd", Resource "etcd", UID the cluster ID in hex.
type Target struct {
	Kind            string // "Pod", "Node", "Deployment", "Member", "Etcd"
	Group           string // API group, empty for core and for etcd
	Version         string // "v1"; empty for etcd
	Resource        string // plural, "pods"; "members", "keys", "leases" for etcd
	Namespace, Name string
	UID             string // metadata.uid; empty for Kind "Member"
	// ResourceVersion the row had. It goes into the journal; it is not a precondition, because every status update of a
	// busy object changes it. Actions that replace a value read the object anew, compare the UID and Detail, and send the
	// resourceVersion they have just read.
	ResourceVersion string
	Member          uint64 // etcd member ID, for Kind "Member"
	Endpoint        string // etcd client URL of the member; informative, members are found by ID
	// Detail is what the row knew, when it knew it: "replicas" is spec.replicas (a scale is refused when it has changed),
	// "dbSize" a member's database size in bytes (tells after a lost answer whether it was defragmented), "dbSizeInUse" what of it
	// is in use, "revision" the newest one seen, "peerURLs" those of a member with commas, "nextName" a name for a new member.
	Detail map[string]string
}

// String names the target for sentences: "Pod shop/cart-0", "Node node-1", "Member etcd-2 (8e9e05c52164694d)". It is untrusted
// text.
func (t Target) String() string {
	switch t.Kind {
	case "Member":
		return memberName(t.Name, t.Member)
	case "Etcd":
		return fmt.Sprintf("etcd cluster %s (%s)", t.Name, t.UID)
	}
	if t.Namespace == "" {
		return t.Kind + " " + t.Name
	}
	return t.Kind + " " + t.Namespace + "/" + t.Name
}

// Input is the value an action asks for before the confirmation (scale: the number of replicas).
type Input struct {
	Prompt  string
	Initial func(Target) string
	Check   func(Target, string) error // nil error: acceptable
	Exact   bool                       // taken as it is typed, with the blanks around it
	Hidden  bool                       // it may be secret or large: the journal has its size and hash only
}

// Permission is what the API server must allow (SelfSubjectAccessReview).
type Permission = cluster.Access

// Request is one performance of an action on one target.
type Request struct {
	Target Target
	Input  string
	// AuditID names this request in fathom's journal and, because it is sent as the Audit-ID header, in the audit log of the
	// API server (k8s.io/apiserver/pkg/audit: a client's Audit-ID of at most 64 bytes is kept).
	AuditID string
	At      time.Time // when it was begun
	// Override is the phrase that was typed to go on in spite of a [Refusal] that allows it.
	Override string

	tell func(doing string, done, total int64)
}

// Tell says how far Do has come, where it knows: what it is doing, untrusted text, and how many bytes of how many are done. It never waits.
func (r Request) Tell(doing string, done, total int64) {
	if r.tell != nil {
		r.tell(doing, done, total)
	}
}

// Action is one mutation.
type Action struct {
	ID        string   // also the intent the keymap binds: "pods.delete"
	Title     string   // in the imperative: "Delete pod"
	Verb      string   // of the audit event: "delete", "patch"; for etcd the RPC's name in lower case
	Resources []string // the plural resources it applies to; "members", "keys", "leases" for etcd
	Risk      Risk
	// RiskOf raises Risk for some targets; nil: it is the same for all. See [Runner.Risk].
	RiskOf     func(c *cluster.Cluster, t Target) Risk
	Permission func(Target) []Permission // nil for etcd, which has no such question
	Input      *Input                    // nil: nothing is asked
	// Preview says in full sentences what will happen; it may read, never write. The lines are untrusted text. A *Refusal
	// says that fathom will not do it now, and why.
	Preview func(ctx context.Context, c *cluster.Cluster, t Target, input string) ([]string, error)
	// Do performs it and says what was done. It sends at most one mutating request and never repeats it. On an ambiguous error
	// (timeout, connection lost after sending) the runner calls Verify. The first line of the message says what was done; further
	// lines are text that the user will need (a command line), and stay on the screen until they are put away.
	Do func(ctx context.Context, c *cluster.Cluster, r Request) (message string, err error)
	// Verify re-reads and reports what it found: Done, Failed (it did not happen and cannot happen any more) or Unknown, with a
	// sentence.
	Verify  func(ctx context.Context, c *cluster.Cluster, r Request) (Status, string, error)
	Timeout time.Duration // of Do; 0 means 15 s
	// Steps, of an action of several requests, reads anew and says which, in their order; Do and Verify are nil then, and there is
	// one target. It sends nothing that changes anything.
	Steps func(ctx context.Context, c *cluster.Cluster, r Request) ([]Step, error)
	// Expect is how long it will take, as far as the row can tell; 0 or nil: a moment, or not known. No I/O.
	Expect func(Target) time.Duration
	// Subresource of the object that is written ("scale"), for the journal.
	Subresource string
	// Exclusive actions do not run beside each other in one fathom (etcd maintenance).
	Exclusive bool
}

// Applies reports whether the action can be offered for a plural resource name.
func (a Action) Applies(resource string) bool {
	for _, r := range a.Resources {
		if r == resource {
			return true
		}
	}
	return false
}

// Status of an outcome.
type Status uint8

// Outcomes.
const (
	Done     Status = iota
	Failed          // answered with an error, or never sent
	Denied          // read-only mode, RBAC, or the journal could not be written
	Conflict        // the precondition failed: the object is not, or no longer is, the one that was confirmed
	Unknown         // timed out or the connection was lost, and re-reading did not settle it
	Refused         // fathom did not send it, because it would do harm now; the message says why
	Stopped         // the user stopped it between two steps
)

// String is the word toasts, the journal and tests use.
func (s Status) String() string {
	switch s {
	case Done:
		return "done"
	case Failed:
		return "failed"
	case Denied:
		return "denied"
	case Conflict:
		return "conflict"
	case Refused:
		return "refused"
	case Stopped:
		return "stopped"
	default:
		return "unknown"
	}
}

// Outcome is what became of an action on one target. Message is untrusted text.
type Outcome struct {
	Action  string // Action.ID
	Target  Target
	Status  Status
	Message string
	Took    time.Duration
	AuditID string // in the journal, and in the API server's audit log; empty when nothing was attempted
	// Steps are the outcomes of the steps that were begun, of an action that has some.
	Steps []Outcome

	unwritten bool // the journal could not be written: nothing more may be done
}

// Decision is the answer of a preflight.
type Decision struct {
	Allowed bool
	// Reason in a sentence when not allowed: "needs patch on deployments/scale in namespace shop". Untrusted text.
	Reason string
	// Missing are the permissions that are lacking; empty when the reason is another one (read-only, journal).
	Missing []Permission
}

// Refusal is the error of an action that fathom will not perform now, though it may. When there can be good reasons to do it all
// the same, Override is the phrase that must be typed for that (Request.Override).
type Refusal struct{ Reason, Override string }

func (r *Refusal) Error() string { return r.Reason }

// ConflictError is the error of a precondition that fathom itself found broken before anything was sent.
type ConflictError struct{ Reason string }

func (e *ConflictError) Error() string { return e.Reason }
