package etcd

import (
	"context"
	"sync"
	"time"
)

// attention says how often what is dear is asked: the reads that are only timed, and the metrics. While somebody looks at etcd, or
// something is not as it should be, often; otherwise calmly. The status is asked once a second in any case: what happened to the
// leadership is to be known also when nobody was looking.
type attention struct {
	span time.Duration // how long a look lasts

	mu     sync.Mutex
	looked time.Time
	uneasy bool
	woken  chan struct{} // closed at the end of the calm; nil: somebody is awake
}

// look notes that somebody looks.
func (a *attention) look(now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.looked = now
	a.wake()
}

// feel notes whether something is not as it should be.
func (a *attention) feel(uneasy bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.uneasy = uneasy
	if uneasy {
		a.wake()
	}
}

func (a *attention) wake() {
	if a.woken != nil {
		close(a.woken)
		a.woken = nil
	}
}

// calm is nil when somebody looks, or something is wrong; otherwise it is closed when that changes.
func (a *attention) calm(now time.Time) <-chan struct{} {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.uneasy || now.Sub(a.looked) < a.span {
		return nil
	}
	if a.woken == nil {
		a.woken = make(chan struct{})
	}
	return a.woken
}

// Look says that somebody looks at what the watcher tells, and lasts for some seconds: while nobody does and all is well, members are
// asked for reads and metrics a few times less often.
func (w *Watcher) Look() { w.attention.look(time.Now()) }

// rest waits until the next moment of a grid of base, or, while nobody looks, of calm. All pollers have the same grids, so that
// what is asked is asked at one moment, and the process sleeps in between. When the calm ends it ends at once: whoever begins to look
// is not to look at what is old, and what is wrong is not to be judged by it. It returns false when ctx ended first.
func (w *Watcher) rest(ctx context.Context, base, calm, offset time.Duration) bool {
	now := time.Now()
	every, woken := base, w.attention.calm(now)
	if woken != nil {
		every = calm
	}
	next := w.started.Add(offset + (now.Sub(w.started.Add(offset))/every+1)*every)
	timer := time.NewTimer(next.Sub(now))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
	case <-woken:
	}
	return true
}

// uneasy reports whether a picture is one that is watched closely, whoever looks: not every voter answers every question and agrees on
// who leads, or the leader is new.
func uneasy(s *Snapshot) bool {
	if !s.Polled || !s.Quorum.Has || s.Quorum.Leader == 0 || s.Quorum.Reachable < s.Quorum.Voters {
		return true
	}
	for _, m := range s.Members {
		if !m.Reachable || m.LeaderID != s.Quorum.Leader || m.Serializable.Err != "" || m.Linearizable.Err != "" && !m.IsLearner {
			return true
		}
	}
	n := len(s.Timeline)
	return n > 1 && s.At.Sub(s.Timeline[n-1].At) < newLeader
}

// newLeader is how long a leader counts as new.
const newLeader = time.Minute
