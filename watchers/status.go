package watchers

import (
	"fmt"
	"sync"
	"time"
)

// reopenGrace is how long a watch may be closed before its data is called stale: servers end every watch after some minutes,
// and the next one is open within milliseconds.
const reopenGrace = 2 * time.Second

// status keeps what is known of a source and makes its State of it. Its writers are the source's goroutines and the heartbeat.
type status struct {
	resource string
	changed  func() // called without the lock, when the state has changed

	mu        sync.Mutex
	synced    bool      // a whole list has arrived at least once
	open      bool      // a watch is open, or the last poll was answered
	lost      time.Time // when the watch closed
	listing   bool      // a list is arriving
	streamed  bool      // it comes through the watch that then goes on
	listed    time.Time // when a list was whole whose watch has not been opened yet; zero: it has, or there was none
	waiting   bool      // for a place among the lists that run
	throttled time.Time // the server has asked not to be asked before
	loaded    int
	note      string        // what a live source has to say
	watched   bool          // a watch was open once
	refusals  int           // of watches, since then
	polling   time.Duration // the source has no watch verb: how often it is listed
	err       error
	verb      string
	health    Health
	fallback  bool                  // when all namespaces are denied, they are tried one by one
	union     func(own State) State // of the namespaces that are read instead, while that is so
	cur       State
}

func newStatus(resource string, changed func()) *status {
	return &status{resource: resource, changed: changed, cur: State{Phase: Connecting, Since: time.Now()}}
}

// State returns the current state.
func (s *status) State() State {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cur.Phase == Connecting && s.union == nil {
		s.cur.Loaded = s.loaded
	}
	return s.cur
}

// own is the state of the source's own requests: not of the namespaces that stand in for them.
func (s *status) own() State {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.compute(time.Now())
}

func (s *status) isSynced() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.synced
}

// set changes what is known and works out the state again.
func (s *status) set(f func()) {
	s.mu.Lock()
	if f != nil {
		f()
	}
	now := time.Now()
	next := s.compute(now)
	switch {
	case s.union != nil:
		next = s.union(next)
	case s.fallback && next.Phase == Denied:
		next = State{Phase: Connecting, Since: now, Why: next.Why}
	}
	if next.Phase == s.cur.Phase && next.Phase != Stale {
		next.Since = s.cur.Since
	}
	diff := next != s.cur
	s.cur = next
	s.mu.Unlock()
	if diff && s.changed != nil {
		s.changed()
	}
}

func (s *status) compute(now time.Time) State {
	switch {
	case s.err != nil && isDenied(s.err):
		return State{Phase: Denied, Since: now, Why: explain(s.err), Verb: s.verb, Resource: s.resource}
	case s.err != nil && isUnsupported(s.err):
		return State{Phase: Unsupported, Since: now, Why: explain(s.err), Verb: s.verb, Resource: s.resource}
	case !s.synced:
		return State{Phase: Connecting, Since: now, Why: s.trouble(), Loaded: s.loaded}
	case s.health.Down:
		since := s.health.LastOK
		if s.lost.Before(since) && !s.lost.IsZero() && !s.open {
			since = s.lost
		}
		return State{Phase: Stale, Since: since, Why: s.health.Why}
	case s.err != nil, !s.throttled.IsZero() && !s.open, !s.open && now.Sub(s.lost) > reopenGrace:
		st := State{Phase: Stale, Since: s.lost, Why: s.trouble()}
		if st.Why == "" && s.listing {
			st.Why = fmt.Sprintf("everything is read again, %d so far", s.loaded)
		} else if st.Why == "" {
			st.Why = "the watch is closed and has not opened again yet"
		}
		return st
	case s.polling == 0 && !s.listed.IsZero() && now.Sub(s.listed) > reopenGrace:
		return State{Phase: Stale, Since: s.listed, Why: "the API server has not opened the watch yet: what is shown was listed"}
	case s.polling > 0:
		return State{Phase: Live, Since: now, Why: fmt.Sprintf("no watch: listed every %v", s.polling)}
	}
	return State{Phase: Live, Since: now, Why: s.note}
}

// trouble is what keeps a source from being live, empty when nothing does.
func (s *status) trouble() string {
	switch {
	case !s.throttled.IsZero():
		return "throttled by the API server (429) until " + s.throttled.Format(time.TimeOnly)
	case s.err != nil:
		return explain(s.err)
	case s.health.Down:
		return s.health.Why
	case s.waiting:
		return waitingWhy
	}
	return ""
}

// list: a list begins; what was counted before is counted again.
func (s *status) list() {
	s.set(func() { s.loaded, s.listing, s.streamed, s.note = 0, true, false, "" })
}

// wait: the next list waits for its turn, or no longer does.
func (s *status) wait(on bool) { s.set(func() { s.waiting = on }) }

// throttle: the server has asked not to be asked again before until; the zero time: that is over.
func (s *status) throttle(until time.Time) {
	s.set(func() {
		if s.throttled = until; until.IsZero() {
			return
		}
		if s.open || s.lost.IsZero() {
			s.lost = s.lastTrue()
		}
		s.open, s.err = false, nil
	})
}

// opened: a watch is open. resumed says that it goes on where the last one ended, so that the rows are true again; otherwise they
// are when the whole list has arrived.
func (s *status) opened(resumed bool) {
	s.set(func() {
		s.polling, s.watched, s.refusals = 0, true, 0
		if resumed {
			s.open, s.listing, s.err, s.listed = true, false, nil, time.Time{}
		} else {
			s.loaded, s.listing, s.streamed, s.note = 0, true, true, ""
		}
	})
}

// event: n objects have arrived.
func (s *status) event(n int) {
	s.mu.Lock()
	s.loaded += n
	listing := s.listing
	// What is loaded is told with the rows (see State): fifty thousand objects of a list do not compute the state each.
	tell := listing && (s.loaded == n || s.err != nil)
	if listing {
		s.err = nil // what was wrong is over
	}
	s.mu.Unlock()
	if tell {
		s.set(nil)
	}
}

// remark is what a live source says of itself until it is listed again.
func (s *status) remark(note string) { s.set(func() { s.note = note }) }

// whole: a whole list has arrived.
func (s *status) whole() {
	s.set(func() {
		s.synced, s.open, s.listing, s.err, s.union = true, true, false, nil, nil
		if s.listed = (time.Time{}); !s.streamed {
			s.listed = time.Now()
		}
	})
}

// closed: the watch ended, for a good reason or a bad one.
func (s *status) closed() {
	s.set(func() {
		if s.open {
			s.open, s.lost = false, s.lastTrue()
		}
	})
}

// failed: a request was answered with an error, or not at all.
func (s *status) failed(verb string, err error) {
	s.set(func() {
		if s.open || s.lost.IsZero() {
			s.lost = s.lastTrue()
		}
		s.open, s.err, s.verb = false, err, verb
	})
}

// polled says that a watch was refused though the list was not: the source is listed again and again. A source that has been
// watched is not given up at once: a server that has just started refuses everything for a moment.
func (s *status) polled(every time.Duration) {
	s.set(func() {
		if s.refusals++; !s.watched || s.refusals > 3 {
			s.polling = every
		}
	})
}

func (s *status) isPolling() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.polling > 0 && s.err == nil
}

// beat takes over what the heartbeat found.
func (s *status) beat(h Health) {
	s.set(func() { s.health = h })
}

// lastTrue is the last moment at which the rows were known to be true: now, unless the server had stopped answering before, or they were
// only listed so far.
func (s *status) lastTrue() time.Time {
	if !s.listed.IsZero() {
		return s.listed
	}
	if s.health.Down && !s.health.LastOK.IsZero() {
		return s.health.LastOK
	}
	return time.Now()
}
