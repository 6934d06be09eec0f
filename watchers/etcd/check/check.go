// Package check looks whether an etcd cluster keeps what it promises. On request it compares what its members hold ([Checker.CompareHashes]).
// And always, at next to no cost, it has a small watch open on every member and checks every answer against what Kubernetes relies on
// ([Checker.Live]). It never writes: it looks at what is written anyway. What it finds becomes findings of the [etcd.Watcher].
package check

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"fathom/cluster"
	"fathom/internal/run"
	"fathom/watchers/etcd"
)

// timing is how long the canaries wait; tests are in more of a hurry.
type timing struct {
	adopt    time.Duration // between two looks at who the members are
	progress time.Duration // between two questions for the progress
	hung     time.Duration // until the answer to one must have come
	retry    time.Duration // between two attempts to watch
	denied   time.Duration // the same, when it is not allowed
	silent   time.Duration // without a watch, though the member answers, until that is a finding
}

var usual = timing{adopt: 2 * time.Second, progress: 10 * time.Second, hung: 5 * time.Second, retry: 2 * time.Second, denied: time.Minute,
	silent: 30 * time.Second}

// Checker checks one etcd cluster.
type Checker struct {
	watcher *etcd.Watcher
	etcd    *cluster.Etcd
	group   *run.Group
	timing  timing
	since   time.Time

	mu       sync.Mutex
	gen      uint64
	canaries map[string]*canary   // by row ID of the member
	able     map[uint64]time.Time // since when a member answers and knows a leader, so that it could tell its changes
	counts   [numRules]uint64     // of canaries that are gone
	breaches []Breach             // the newest last, at most maxBreaches
	broken   uint64               // breaches ever seen
	reach    reach
	firsts   firsts
	live     *Live
	liveGen  uint64

	hashMu   sync.Mutex
	hash     *HashRun
	hashGen  uint64
	stopHash context.CancelFunc
}

// maxBreaches bounds the evidence that is kept.
const maxBreaches = 32

// New starts the live checks. They end with Close, or with the group.
func New(g *run.Group, w *etcd.Watcher) *Checker { return newChecker(g, w, usual) }

func newChecker(g *run.Group, w *etcd.Watcher, t timing) *Checker {
	c := &Checker{watcher: w, etcd: w.Etcd(), group: g.Child(), timing: t, since: time.Now(), canaries: map[string]*canary{}, able: map[uint64]time.Time{}}
	c.group.Go("etcd: live checks", c.adopt)
	return c
}

// Close ends the checks and waits for their goroutines.
func (c *Checker) Close() { c.group.Stop() }

// adopt keeps one canary for each member that can be watched, and tells what was found.
func (c *Checker) adopt(ctx context.Context) {
	tick := time.NewTicker(c.timing.adopt)
	defer tick.Stop()
	defer c.dismiss(nil)
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		s := c.watcher.Snapshot()
		if !s.Polled || s.Kine {
			continue
		}
		c.dismiss(s)
		for _, m := range s.Members {
			// A learner serves no watch (server/etcdserver/api/v3rpc/interceptor.go).
			if member, ok := c.etcd.Member(m.Endpoint); ok && m.Reachable && m.MemberID != 0 && !m.IsLearner {
				c.hire(m, member)
			}
		}
		c.report()
	}
}

// hire starts a canary unless the member has one.
func (c *Checker) hire(m *etcd.MemberRow, member *cluster.Member) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.canaries[m.ID()]; ok {
		return
	}
	a := &canary{checker: c, id: m.MemberID, name: m.GetName(), member: member, began: time.Now(), group: c.group.Child()}
	a.why = "connecting"
	c.canaries[m.ID()] = a
	c.gen++
	a.group.Go("etcd: canary on "+member.Endpoint, a.run)
}

// dismiss ends the canaries of members that are not in the snapshot, as the same member at the same endpoint; without one, of all.
func (c *Checker) dismiss(s *etcd.Snapshot) {
	var gone []*canary
	c.mu.Lock()
	for id, a := range c.canaries {
		if s != nil && slices.ContainsFunc(s.Members, func(m *etcd.MemberRow) bool { return m.ID() == id && m.Endpoint == a.member.Endpoint }) {
			continue
		}
		gone = append(gone, a)
		for r := range numRules {
			c.counts[r] += a.counts[r]
		}
		delete(c.canaries, id)
		delete(c.able, a.id)
		c.gen++
	}
	c.mu.Unlock()
	for _, a := range gone {
		a.group.Stop()
	}
}

// add keeps breaches and tells them. c.mu is not held.
func (c *Checker) add(a *canary, bs []Breach) {
	if len(bs) == 0 {
		return
	}
	c.mu.Lock()
	c.broken += uint64(len(bs))
	a.breaches += len(bs)
	c.breaches = append(c.breaches, bs...)
	c.breaches = c.breaches[max(0, len(c.breaches)-maxBreaches):]
	c.gen++
	c.mu.Unlock()
	c.report()
}

// Kinds of findings.
const (
	FoundHash   = "hash-mismatch"
	FoundBreach = "watch-promise-broken"
	FoundSilent = "watch-silent"
	FoundLate   = "watch-late"
)

// lateWarning is how late events may come, against the first member that tells them, before that is a finding.
const lateWarning = time.Second

// report tells the watcher what has been found.
func (c *Checker) report() {
	s := c.watcher.Snapshot()
	fs := c.hashFindings()
	live := c.Live()
	type at struct {
		member uint64
		rule   Rule
	}
	seen := map[at]bool{}
	for _, b := range live.Breaches { // the newest first
		if seen[at{b.Member, b.Rule}] {
			continue
		}
		seen[at{b.Member, b.Rule}] = true
		fs = append(fs, etcd.Finding{Kind: FoundBreach, Severity: etcd.Critical, Member: fmt.Sprintf("%x", b.Member), Since: b.At,
			Text:    fmt.Sprintf("a watch on %s broke a promise (%s): %s", b.Name, b.Rule, b.Text),
			Meaning: words[b.Rule].meaning,
			Next:    "Keep the evidence that :consistency shows; look at the version advisor for defects of this version; restart the API servers to be sure of their caches.",
			Source:  "https://etcd.io/docs/latest/learning/api_guarantees/"})
	}
	now := time.Now()
	for _, m := range live.Members {
		i, ok := s.Find(fmt.Sprintf("%x", m.ID))
		able := c.couldTell(m.ID, ok && s.Members[i].Reachable && s.Members[i].LeaderID != 0, now)
		if able.IsZero() || m.Denied {
			continue
		}
		switch {
		case !m.Watching && now.Sub(m.Since) > c.timing.silent && now.Sub(able) > c.timing.silent:
			fs = append(fs, etcd.Finding{Kind: FoundSilent, Severity: etcd.Warning, Member: fmt.Sprintf("%x", m.ID), Since: m.Since,
				Text:    fmt.Sprintf("%s answers, and a watch on it gets nothing: %s", m.Name, m.Why),
				Meaning: "Clients that watch on this member, such as an API server, learn of no change.",
				Next:    "Look at the member's log and load; an API server can be pointed at another member."})
		case m.Watching && m.Late > lateWarning:
			fs = append(fs, etcd.Finding{Kind: FoundLate, Severity: etcd.Warning, Member: fmt.Sprintf("%x", m.ID), Since: now,
				Text:    fmt.Sprintf("events come from %s %s later than from the first member that tells them", m.Name, m.Late.Round(10*time.Millisecond)),
				Meaning: "The member applies late or sends late: clients that watch on it act on an older state.",
				Next:    "Look at its lag, its disk (WAL fsync, backend commit) and its slow watchers."})
		}
	}
	c.watcher.Report("check", fs)
}

// couldTell is since when a member could tell its changes; zero: it cannot now. After a restart, or a time without a leader, its watch comes back
// a little later than its status.
func (c *Checker) couldTell(member uint64, now bool, at time.Time) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !now {
		delete(c.able, member)
		return time.Time{}
	}
	if c.able[member].IsZero() {
		c.able[member] = at
	}
	return c.able[member]
}

// hashFindings are what the newest comparison found.
func (c *Checker) hashFindings() []etcd.Finding {
	h := c.Hash()
	if h == nil || h.Running() || h.Verdict != Differs && h.Verdict != Apart {
		return nil
	}
	f := etcd.Finding{Kind: FoundHash, Severity: etcd.Critical, Since: h.Ended, Text: h.Text,
		Meaning: "The members do not hold the same data: what a client reads depends on whom it asks. Raft does not mend that by itself.",
		Source:  "https://etcd.io/docs/latest/op-guide/data_corruption/",
		Next:    "Save a snapshot of every member first; do not restart members that check for corruption. Then compare keys, decide who is right, and replace the others."}
	if h.Verdict == Differs {
		f.Next = "Save a snapshot of a member of the majority. Then replace the one that differs: remove it, delete its data folder, add it as a learner, promote it. Do not restart it: " +
			"a member that checks for corruption refuses to start."
		for _, m := range h.Members {
			if m.Verdict == Differs {
				f.Member = fmt.Sprintf("%x", m.ID)
			}
		}
	}
	return []etcd.Finding{f}
}
