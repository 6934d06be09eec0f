package views

import (
	"fathom/actions"
	"fathom/internal/safe"
	"fathom/ui/draw"
)

// Identity is what the first line of the screen says. It changes as sources come and go.
type Identity struct {
	Context, Cluster, User, Server safe.Text
	ReadOnly                       bool
	Health                         []draw.Span // API and etcd, in that order
	Gen                            uint64      // grows when anything above changed
}

// Confirmation is one action on its targets, waiting for a yes. Prepare and Run do I/O and are called from commands, never from
// Update.
type Confirmation struct {
	Action   actions.Action
	Targets  []actions.Target
	Identity []safe.Text // which cluster, through which context
	Name     string      // what must be typed for a critical action
	Prepare  func(input string) Prepared
	Run      func(input string) []actions.Outcome
}

// Prepared is what was found out before the question is asked.
type Prepared struct {
	Preview []string // untrusted text, one sentence each
	Denied  string   // why it cannot be done; empty when it can
}
