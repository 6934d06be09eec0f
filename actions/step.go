package actions

import (
	"context"
	"fmt"
	"sync"
	"time"

	"fathom/cluster"
)

// Step is one request of an action that takes several. A step re-reads before it sends, like any action.
type Step struct {
	Title  string // in the imperative, with its object: "Defragment etcd-2"; untrusted text
	Verb   string // as Action.Verb
	Target Target // what it is done to; the zero Target is the action's own
	// Do and Verify are as those of an Action.
	Do      func(ctx context.Context, c *cluster.Cluster, r Request) (message string, err error)
	Verify  func(ctx context.Context, c *cluster.Cluster, r Request) (Status, string, error)
	Timeout time.Duration // of Do; 0 means 15 s
	Expect  time.Duration // how long it will take, roughly; 0: a moment, or not known
}

// Plan reads anew and returns what would be sent for a request: an action without Steps is one step. An error is a *[Refusal], a
// *[ConflictError], or a failure to read; nothing was sent.
func (a Action) Plan(ctx context.Context, c *cluster.Cluster, r Request) ([]Step, error) {
	if a.Steps == nil {
		return []Step{{Title: a.Title, Verb: a.Verb, Target: r.Target, Do: a.Do, Verify: a.Verify, Timeout: a.Timeout, Expect: a.expect(r.Target)}}, nil
	}
	steps, err := a.Steps(ctx, c, r)
	if err != nil {
		return nil, err
	}
	for i := range steps {
		if steps[i].Target.Kind == "" {
			steps[i].Target = r.Target
		}
	}
	return steps, nil
}

func (a Action) expect(t Target) time.Duration {
	if a.Expect == nil {
		return 0
	}
	return a.Expect(t)
}

// Phase is where a step of a run is.
type Phase uint8

// Phases.
const (
	Waiting Phase = iota
	Running
	Ended
)

// StepProgress is one step of a run: a request, on one of the targets or of an action of several.
type StepProgress struct {
	Title  string // untrusted text
	Phase  Phase
	Began  time.Time
	Took   time.Duration // once it has ended
	Expect time.Duration // 0: not known
	// Doing, untrusted text, is what a running request is at, and Done of Total the bytes that it has done of it; Total 0: it does not say.
	Doing       string
	Done, Total int64
	// Status and Message are those of its outcome, once it has ended. Message is untrusted text.
	Status  Status
	Message string
}

// Progress is how far a run has come. It is immutable.
type Progress struct {
	Gen      uint64 // grows with every change
	Steps    []StepProgress
	Stopping bool // Stop was called: no further step is begun
}

// tracker keeps the progress of one run.
type tracker struct {
	mu  sync.Mutex
	cur Progress
}

func (t *tracker) change(fn func(p *Progress)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	p := t.cur
	p.Steps = append([]StepProgress(nil), p.Steps...)
	p.Gen++
	fn(&p)
	t.cur = p
}

func (t *tracker) plan(steps []StepProgress) {
	t.change(func(p *Progress) { p.Steps = steps })
}

func (t *tracker) begin(i int) {
	t.change(func(p *Progress) { p.Steps[i].Phase, p.Steps[i].Began = Running, time.Now() })
}

// tellEvery is how often the progress within a step changes at most, but for its beginning and its end.
const tellEvery = 100 * time.Millisecond

// teller is what Do of step i tells how far it is.
func (t *tracker) teller(i int) func(doing string, done, total int64) {
	var last time.Time
	was := ""
	return func(doing string, done, total int64) {
		if doing == was && done != total && time.Since(last) < tellEvery {
			return
		}
		last, was = time.Now(), doing
		t.change(func(p *Progress) {
			s := &p.Steps[i]
			s.Doing, s.Done, s.Total = doing, done, total
		})
	}
}

func (t *tracker) end(i int, o Outcome) {
	t.change(func(p *Progress) {
		s := &p.Steps[i]
		s.Phase, s.Status, s.Message, s.Took = Ended, o.Status, o.Message, o.Took
		if s.Expect <= 0 || o.Status != Done || o.Took <= 0 {
			return
		}
		for j := i + 1; j < len(p.Steps); j++ { // on these disks it goes as it went just now: that is better than a guess from afar
			p.Steps[j].Expect = time.Duration(float64(p.Steps[j].Expect) * float64(o.Took) / float64(s.Expect))
		}
	})
}

func (t *tracker) get() Progress {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.cur
}

// Progress is how far the run of this confirmation has come. It is for whoever draws: it never waits.
func (c *Confirmation) Progress() Progress { return c.track.get() }

// Stop lets the run end after the request that is under way, which is not cut short: what was sent cannot be called back.
func (c *Confirmation) Stop() { c.track.change(func(p *Progress) { p.Stopping = true }) }

func (c *Confirmation) stopping() bool { return c.track.get().Stopping }

// Override takes the phrase that was typed to go on in spite of a [Refusal]. It is called before the run.
func (c *Confirmation) Override(phrase string) { c.override = phrase }

// steps performs an action of several requests on its one target.
func (r *Runner) steps(ctx context.Context, c *Confirmation, t Target) Outcome {
	run := newRequest(c, t)
	return r.withJournal(ctx, c.action, run, nil, func(ctx context.Context) Outcome { return r.stepByStep(ctx, c, run) })
}

// planFor bounds the reads before the first step.
const planFor = 15 * time.Second

func (r *Runner) stepByStep(ctx context.Context, c *Confirmation, run Request) (o Outcome) {
	planCtx, cancel := context.WithTimeout(ctx, planFor)
	steps, err := c.action.Plan(planCtx, r.cluster, run)
	cancel()
	if err != nil {
		v := judge(unsent(err))
		return Outcome{Status: v.status, Message: v.message}
	}
	c.track.plan(waiting(steps))
	for i, s := range steps {
		left := fmt.Sprintf("%d of %d steps are done", i, len(steps))
		switch {
		case ctx.Err() != nil:
			o.Status, o.Message = Stopped, left+": fathom is ending; not begun: "+s.Title
			return o
		case c.stopping():
			o.Status, o.Message = Stopped, left+"; stopped as you asked before: "+s.Title
			return o
		}
		req := newRequest(c, s.Target)
		req.tell = c.track.teller(i)
		notes := map[string]string{annotationRun: run.AuditID, annotationStep: fmt.Sprintf("%d/%d %s", i+1, len(steps), s.Title)}
		a := c.action
		a.Verb, a.Do, a.Verify, a.Timeout = s.Verb, s.Do, s.Verify, s.Timeout
		c.track.begin(i)
		did := r.withJournal(ctx, a, req, notes, func(ctx context.Context) (d Outcome) {
			d.Status, d.Message = r.perform(ctx, a, req)
			return d
		})
		c.track.end(i, did)
		o.Steps = append(o.Steps, did)
		if did.Status != Done {
			o.Status, o.Message = did.Status, fmt.Sprintf("%s; then %q was %s: %s", left, s.Title, did.Status, did.Message)
			return o
		}
		if did.unwritten {
			o.Status, o.Message = Stopped, fmt.Sprintf("%d of %d steps are done; stopped, because the journal cannot be written: %s", i+1, len(steps), did.Message)
			return o
		}
	}
	o.Status, o.Message = Done, fmt.Sprintf("%s: all %d steps are done", c.action.Title, len(steps))
	if n := len(o.Steps); n > 0 {
		o.Message += "; " + o.Steps[n-1].Message
	}
	return o
}

func waiting(steps []Step) []StepProgress {
	out := make([]StepProgress, len(steps))
	for i, s := range steps {
		out[i] = StepProgress{Title: s.Title, Expect: s.Expect}
	}
	return out
}
