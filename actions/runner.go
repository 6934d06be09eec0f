package actions

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"fathom/actions/journal"
	"fathom/cluster"
)

// Runner performs actions on one cluster and journals them. It is safe for concurrent use.
type Runner struct {
	cluster *cluster.Cluster
	journal *journal.Journal
	version string

	mu        sync.Mutex
	exclusive string // what is running, while an exclusive action is
}

// NewRunner returns a runner for c that journals to j. Version is fathom's own, for the journal.
func NewRunner(c *cluster.Cluster, j *journal.Journal, version string) *Runner {
	return &Runner{cluster: c, journal: j, version: version}
}

// Confirmation is what a user has said yes to: one action, its input and its targets. It can be run once.
type Confirmation struct {
	action  Action
	input   string
	targets []Target
	used    atomic.Bool
}

// Action that was confirmed.
func (c *Confirmation) Action() Action { return c.action }

// Targets that were confirmed, in the order they will be acted on. The slice must not be changed.
func (c *Confirmation) Targets() []Target { return c.targets }

// Input that was confirmed.
func (c *Confirmation) Input() string { return c.input }

// Confirm binds an action, its input and its targets together, at the moment the user says yes. It does no I/O. It fails when a
// target has no identity, the action is not for it, or the input is not acceptable.
func (r *Runner) Confirm(a Action, input string, targets ...Target) (*Confirmation, error) {
	if len(targets) == 0 {
		return nil, fmt.Errorf("%s: nothing is selected", a.Title)
	}
	for _, t := range targets {
		if err := check(a, t, input); err != nil {
			return nil, err
		}
	}
	return &Confirmation{action: a, input: input, targets: append([]Target(nil), targets...)}, nil
}

func check(a Action, t Target, input string) error {
	if !a.Applies(t.Resource) {
		return fmt.Errorf("%s does not apply to %s", a.Title, t)
	}
	if t.UID == "" && t.Member == 0 {
		return fmt.Errorf("%s: %s has no UID, so it cannot be told from another of the same name: refresh the view", a.Title, t)
	}
	if a.Input != nil {
		if err := a.Input.Check(t, input); err != nil {
			return fmt.Errorf("%s: %s: %w", a.Title, t, err)
		}
	}
	return nil
}

// Preflight asks whether the action is possible before anything is shown for confirmation: read-only mode, the journal, and
// for the API server the permissions it needs. An error means that the question could not be answered.
func (r *Runner) Preflight(ctx context.Context, a Action, t Target) (Decision, error) {
	return Decision{}, errors.New("not built yet")
}

// Preview says in full sentences what will happen; the lines are untrusted text. A *[Refusal] says that fathom will not do it
// now, and why.
func (r *Runner) Preview(ctx context.Context, a Action, t Target, input string) ([]string, error) {
	return nil, errors.New("not built yet")
}

// Run performs a confirmed action on its targets, one after the other, and returns one outcome for each, in order; each, when
// not nil, is called with every outcome as it comes. It never panics on a used confirmation: that is refused, and nothing sent.
// When an outcome is unknown, the targets after it are not touched. The end of ctx does not lose an outcome: what was sent is
// verified and journalled.
func (r *Runner) Run(ctx context.Context, c *Confirmation, each func(Outcome)) []Outcome {
	return nil
}
