package actions

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/util/uuid"

	"fathom/actions/journal"
	"fathom/cluster"
)

// Runner performs actions on one cluster and journals them. It is safe for concurrent use.
type Runner struct {
	cluster *cluster.Cluster
	journal *journal.Journal
	version string
	// verifyFor is how long a lost answer is looked for.
	verifyFor time.Duration

	mu        sync.Mutex
	exclusive string // what is running, while an exclusive action is
}

// NewRunner returns a runner for c that journals to j. Version is fathom's own, for the journal.
func NewRunner(c *cluster.Cluster, j *journal.Journal, version string) *Runner {
	return &Runner{cluster: c, journal: j, version: version, verifyFor: verifyFor}
}

// Confirmation is what a user has said yes to: one action, its input and its targets. It can be run once.
type Confirmation struct {
	action  Action
	input   string
	targets []Target
	// override is the phrase that was typed against a refusal.
	override string
	used     bool // guarded by Runner.mu
	track    tracker
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
	if a.Steps != nil && len(targets) > 1 {
		return nil, fmt.Errorf("%s: it is done to one at a time", a.Title)
	}
	for _, t := range targets {
		if err := check(a, t, input); err != nil {
			return nil, err
		}
	}
	return &Confirmation{action: a, input: input, targets: append([]Target(nil), targets...)}, nil
}

// Risk is how an action on these targets is to be confirmed: as the riskiest of them. It does no I/O.
func (r *Runner) Risk(a Action, targets ...Target) Risk {
	risk := a.Risk
	for _, t := range targets {
		if a.RiskOf != nil {
			risk = max(risk, a.RiskOf(r.cluster, t))
		}
	}
	return risk
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
	if isReadOnly(r.cluster) {
		return Decision{Reason: readOnlyReason}, nil
	}
	if err := r.journal.Check(ctx); err != nil {
		return Decision{Reason: "every change is journalled first, and the journal cannot be written: " + err.Error()}, nil
	}
	d := Decision{Allowed: true}
	if a.Permission == nil {
		return d, nil
	}
	var reasons []string
	for _, p := range a.Permission(t) {
		allowed, why, err := can(ctx, r.cluster, p)
		if err != nil {
			return Decision{}, err // which says what was asked
		}
		if allowed {
			continue
		}
		reason := "needs " + phrase(p)
		if why != "" {
			reason += " (" + why + ")"
		}
		d.Allowed = false
		d.Missing = append(d.Missing, p)
		reasons = append(reasons, reason)
	}
	d.Reason = strings.Join(reasons, "; ")
	return d, nil
}

const readOnlyReason = "fathom runs in read-only mode: nothing can be changed"

// phrase says a permission as an administrator would grant it: "patch on deployments/scale in namespace shop".
func phrase(p Permission) string {
	s := p.Verb + " on " + p.Resource
	if p.Subresource != "" {
		s += "/" + p.Subresource
	}
	if p.Namespace != "" {
		return s + " in namespace " + p.Namespace
	}
	return s
}

// Preview says in full sentences what will happen; the lines are untrusted text. A *[Refusal] says that fathom will not do it
// now, and why; a *[ConflictError], that the object is no longer the one the row showed. With a Refusal that can be overridden come
// the lines of what would happen then.
func (r *Runner) Preview(ctx context.Context, a Action, t Target, input string) ([]string, error) {
	if err := check(a, t, input); err != nil {
		return nil, err
	}
	lines, err := a.Preview(ctx, r.cluster, t, input)
	if err != nil {
		return lines, fmt.Errorf("%s: %w", a.Title, err)
	}
	return lines, nil
}

// Run performs a confirmed action on its targets, one after the other, and returns one outcome for each, in order; each, when
// not nil, is called with every outcome as it comes. A confirmation that was run before is refused, and nothing sent. When
// an outcome is unknown, the journal fails or the confirmation is stopped, the targets after it are not touched. The end of ctx
// loses no outcome: what was sent is verified and journalled, what was not yet begun is not begun.
func (r *Runner) Run(ctx context.Context, c *Confirmation, each func(Outcome)) []Outcome {
	outcomes := make([]Outcome, 0, len(c.targets))
	stop := r.begin(c)
	if stop == "" {
		defer r.end(c)
		c.track.plan(perTarget(c))
	}
	for i, t := range c.targets {
		if stop == "" && c.stopping() {
			stop = "not begun: stopped as you asked"
		}
		o := Outcome{Action: c.action.ID, Target: t, Status: Refused, Message: stop}
		switch {
		case stop != "":
		case c.action.Steps != nil:
			o = r.steps(ctx, c, t)
		default:
			c.track.begin(i)
			o, stop = r.one(ctx, c, t, c.track.teller(i))
			c.track.end(i, o)
		}
		outcomes = append(outcomes, o)
		if each != nil {
			each(o)
		}
	}
	return outcomes
}

// perTarget is the progress of an action of one request on each target, before the first.
func perTarget(c *Confirmation) []StepProgress {
	if c.action.Steps != nil {
		return nil // which they are is read first
	}
	out := make([]StepProgress, len(c.targets))
	for i, t := range c.targets {
		out[i] = StepProgress{Title: fmt.Sprintf("%s: %s", c.action.Title, t), Expect: c.action.expect(t)}
	}
	return out
}

// begin takes the confirmation and, for an exclusive action, the turn; it returns why not.
func (r *Runner) begin(c *Confirmation) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if c.action.Exclusive && r.exclusive != "" {
		return r.exclusive + " is still running: etcd maintenance is done one at a time; nothing was sent"
	}
	if c.used {
		return "this confirmation was used already: nothing was sent; look at what it did and confirm anew"
	}
	c.used = true
	if c.action.Exclusive {
		r.exclusive = fmt.Sprintf("%s (%s)", c.action.Title, c.targets[0])
	}
	return ""
}

func (r *Runner) end(c *Confirmation) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if c.action.Exclusive {
		r.exclusive = ""
	}
}

// one performs the action on one target. It also says why the targets after it must not be touched, or "".
func (r *Runner) one(ctx context.Context, c *Confirmation, t Target, tell func(string, int64, int64)) (o Outcome, stop string) {
	req := newRequest(c, t)
	req.tell = tell
	o = r.withJournal(ctx, c.action, req, nil, func(ctx context.Context) (o Outcome) {
		o.Status, o.Message = r.perform(ctx, c.action, req)
		return o
	})
	switch {
	case o.unwritten:
		stop = "not begun: the journal cannot be written"
	case o.Status == Unknown:
		stop = fmt.Sprintf("not begun: what became of %s is unknown", t)
	}
	return o, stop
}

func newRequest(c *Confirmation, t Target) Request {
	return Request{Target: t, Input: c.input, AuditID: string(uuid.NewUUID()), At: time.Now(), Override: c.override}
}

// withJournal writes the intent, performs, and writes the outcome, of which it fills in what do leaves empty.
func (r *Runner) withJournal(ctx context.Context, a Action, req Request, notes map[string]string, do func(context.Context) Outcome) (o Outcome) {
	o = Outcome{Action: a.ID, Target: req.Target}
	defer func() { o.Took = time.Since(req.At) }()
	if isReadOnly(r.cluster) {
		o.Status, o.Message = Denied, readOnlyReason
		return o
	}
	if err := ctx.Err(); err != nil {
		o.Status, o.Message = Failed, "not begun: fathom is ending or the action was given up"
		return o
	}
	intent := r.record(a, req)
	maps.Copy(intent.Annotations, notes)
	if _, err := r.journal.Append(ctx, intent); err != nil {
		o.Status, o.unwritten = Denied, true
		o.Message = "nothing was sent, because the intent could not be journalled: " + err.Error()
		return o
	}
	did := do(ctx)
	o.AuditID, o.Status, o.Message, o.Steps = req.AuditID, did.Status, did.Message, did.Steps
	// Whatever ended ctx, the outcome belongs into the journal.
	if _, err := r.journal.Append(context.WithoutCancel(ctx), r.completed(intent, o)); err != nil {
		o.unwritten = true
		o.Message += fmt.Sprintf(". This outcome is NOT in the journal (audit ID %s has only its intent): %v", o.AuditID, err)
	}
	return o
}

// perform does it once, and re-reads when the answer was lost.
func (r *Runner) perform(ctx context.Context, a Action, req Request) (Status, string) {
	timeout := a.Timeout
	if timeout == 0 {
		timeout = writeTimeout
	}
	doCtx, cancel := context.WithTimeout(ctx, timeout)
	message, err := a.Do(doCtx, r.cluster, req)
	cancel()
	if err == nil {
		return Done, message
	}
	v := judge(err)
	if !v.ambiguous {
		return v.status, v.message
	}
	patience := r.verifyFor
	if ctx.Err() != nil { // somebody waits for fathom to end
		patience = min(patience, verifyAtEnd)
	}
	verifyCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	lost := fmt.Sprintf("there was no clear answer (%v) and nothing was repeated", err)
	found, text, err := a.Verify(verifyCtx, r.cluster, req)
	at := time.Now().Format("15:04:05")
	switch {
	case text == "" && err != nil:
		return Unknown, fmt.Sprintf("%s; it could not be read again either: %v", lost, err)
	case found == Unknown && err != nil:
		return Unknown, fmt.Sprintf("%s; last read: %s; then it could not be read any more: %v", lost, text, err)
	case found == Unknown:
		return Unknown, fmt.Sprintf("%s; read again at %s: %s; it may still take effect", lost, at, text)
	default:
		return found, fmt.Sprintf("%s; read again at %s: %s", lost, at, text)
	}
}
