package views

import (
	tea "charm.land/bubbletea/v2"

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
	Value    string      // what was given to the action's Input; the dialog keeps it here
	Note     string      // ActMsg.Note
	Prepare  func(input string) Prepared
	// Run performs it. override is the phrase that was typed against a refusal, or empty.
	Run func(input, override string) []actions.Outcome
	// Progress is how far Run has come, Stop lets it end after the request that is under way. Neither waits. nil: not told.
	Progress func() actions.Progress
	Stop     func()
	// Copy asks the terminal to copy a text. nil: it cannot.
	Copy func(text string) tea.Cmd
	// Kept says how to get at the text that was given, as long as it is kept; empty: none is. Left is told that the dialog was closed without a yes,
	// typing when a line was still typed in it, and returns what the user is to know. Neither waits. nil: nothing is ever kept.
	Kept func() string
	Left func(typing bool) tea.Cmd
}

// Prepared is what was found out before the question is asked.
type Prepared struct {
	Preview []string      // untrusted text, one sentence each
	Detail  [][]draw.Span // lines to be shown as they are, below the sentences: what differs
	Denied  string        // why it cannot be done; empty when it can
	// Override is what can be typed to do it in spite of Denied; empty: nothing can.
	Override string
}
