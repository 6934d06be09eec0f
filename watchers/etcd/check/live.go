package check

import (
	"cmp"
	"slices"
	"time"
)

// Live is the picture of the live checks. It is immutable.
type Live struct {
	Gen   uint64
	Since time.Time
	What  string // what is watched, in words; untrusted text
	// Kubernetes is set when an API server keeps its objects there.
	Kubernetes bool
	Members    []LiveMember
	Rules      []RuleCount
	Breaches   []Breach // the newest first, at most 32
	Broken     uint64   // breaches since Since
}

// LiveMember is the canary on one member.
type LiveMember struct {
	ID       uint64
	Name     string // untrusted text
	Watching bool
	Denied   bool      // it is not allowed to watch
	Why      string    // it is not; untrusted text
	Since    time.Time // since when it watches, or does not
	Events   uint64
	Breaches int
	LastWord time.Time // when the member said something last; zero: never

	// Delay is the median of the last minute's newest events' time from the write, as the writer's clock tells it in the object, to their arrival;
	// negative where that clock is ahead of ours. HasDelay is false where no event tells (it is not a Lease of Kubernetes).
	Delay    time.Duration
	HasDelay bool
	// Late is how much later than from the first member that told them the last minute's newest events came: the 90th percentile. It needs no clock but ours.
	Late    time.Duration
	HasLate bool
	// Progress is how long the newest question for the watch's progress took; 0: none was answered.
	Progress time.Duration
}

// RuleCount is how often a rule could be checked, and how often it did not hold.
type RuleCount struct {
	Rule            Rule
	Checked, Broken uint64
}

// Live returns the newest picture; the same pointer while nothing has changed.
func (c *Checker) Live() *Live {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.live != nil && c.liveGen == c.gen {
		return c.live
	}
	l := &Live{Gen: c.gen + 1, Since: c.since, What: c.reach.words(c.etcd.Prefix()), Broken: c.broken,
		Kubernetes: c.reach.kubernetes}
	counts, now := c.counts, time.Now()
	for _, a := range c.canaries {
		m := LiveMember{ID: a.id, Name: a.name, Watching: a.watching, Denied: a.denied, Why: a.why, Since: a.began, Events: a.events,
			Breaches: a.breaches, LastWord: a.word, Progress: a.progressRTT}
		m.Delay, m.HasDelay = a.delay.quantile(0.5, now)
		m.Late, m.HasLate = a.late.quantile(0.9, now)
		for r := range numRules {
			counts[r] += a.counts[r]
		}
		l.Members = append(l.Members, m)
	}
	slices.SortFunc(l.Members, func(a, b LiveMember) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID)) })
	l.Breaches = slices.Clone(c.breaches)
	slices.Reverse(l.Breaches)
	for _, r := range Rules() {
		n := RuleCount{Rule: r, Checked: counts[r]}
		for _, b := range c.breaches {
			if b.Rule == r {
				n.Broken++
			}
		}
		l.Rules = append(l.Rules, n)
	}
	c.live, c.liveGen = l, c.gen
	return l
}

// samples are the newest of a measure.
type samples struct {
	ring [64]sample
	n    int
}

type sample struct {
	at time.Time
	d  time.Duration
}

// sampleFresh is how long a sample says something of now.
const sampleFresh = time.Minute

func (s *samples) add(now time.Time, d time.Duration) {
	s.ring[s.n%len(s.ring)] = sample{now, d}
	s.n++
}

// quantile is of those that are fresh; false when there is none.
func (s *samples) quantile(q float64, now time.Time) (time.Duration, bool) {
	var fresh []time.Duration
	for _, x := range s.ring[:min(s.n, len(s.ring))] {
		if now.Sub(x.at) <= sampleFresh {
			fresh = append(fresh, x.d)
		}
	}
	if len(fresh) == 0 {
		return 0, false
	}
	slices.Sort(fresh)
	return fresh[min(len(fresh)-1, int(q*float64(len(fresh))))], true
}

// firsts remember when the newest revisions were told first, by whichever member.
type firsts struct {
	ring [256]struct {
		rev int64
		at  time.Time
	}
}

// lateness notes the arrival of a revision and returns how much later it is than the first.
func (f *firsts) lateness(rev int64, now time.Time) time.Duration {
	e := &f.ring[uint64(rev)%uint64(len(f.ring))]
	if e.rev != rev {
		if e.rev < rev {
			e.rev, e.at = rev, now
		}
		return 0
	}
	return now.Sub(e.at)
}
