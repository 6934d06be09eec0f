package watchers

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	utilnet "k8s.io/apimachinery/pkg/util/net"
)

// reopenGrace is how long a watch may be closed before its data is called stale: servers end every watch after some minutes,
// and the next one is open within milliseconds.
const reopenGrace = 2 * time.Second

// status keeps what is known of a source and makes its State of it. Its writers are the source's goroutine and the heartbeat.
type status struct {
	resource string
	changed  func() // called without the lock, when the state has changed

	mu       sync.Mutex
	synced   bool      // a whole list has arrived at least once
	open     bool      // a watch is open, or the last poll was answered
	lost     time.Time // when the watch closed
	loaded   int
	watched  bool          // a watch was open once
	refusals int           // of watches, since then
	polling  time.Duration // the source has no watch verb: how often it is listed
	err      error
	verb     string
	health   Health
	cur      State
}

func newStatus(resource string, changed func()) *status {
	return &status{resource: resource, changed: changed, cur: State{Phase: Connecting, Since: time.Now()}}
}

// State returns the current state.
func (s *status) State() State {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cur
}

// set changes what is known and works out the state again.
func (s *status) set(f func()) {
	s.mu.Lock()
	if f != nil {
		f()
	}
	now := time.Now()
	next := s.compute(now)
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
		why := s.health.Why
		if s.err != nil {
			why = explain(s.err)
		}
		return State{Phase: Connecting, Since: now, Why: why, Loaded: s.loaded}
	case s.health.Down:
		since := s.health.LastOK
		if s.lost.Before(since) && !s.lost.IsZero() && !s.open {
			since = s.lost
		}
		return State{Phase: Stale, Since: since, Why: s.health.Why}
	case s.err != nil:
		return State{Phase: Stale, Since: s.lost, Why: explain(s.err)}
	case !s.open && now.Sub(s.lost) > reopenGrace:
		return State{Phase: Stale, Since: s.lost, Why: "the watch is closed and has not opened again yet"}
	case s.polling > 0:
		return State{Phase: Live, Since: now, Why: fmt.Sprintf("no watch: listed every %v", s.polling)}
	}
	return State{Phase: Live, Since: now}
}

// listing: a list has begun.
func (s *status) listing() { s.set(func() { s.loaded = 0 }) }

// opened: a watch is open. resumed says that it goes on where the last one ended, so that the rows are true again; otherwise they
// are when the whole list has arrived.
func (s *status) opened(resumed bool) {
	s.set(func() {
		s.polling, s.watched, s.refusals = 0, true, 0
		if resumed {
			s.open, s.err = true, nil
		} else {
			s.loaded = 0
		}
	})
}

// event: n objects have arrived.
func (s *status) event(n int) {
	s.mu.Lock()
	s.loaded += n
	synced := s.synced
	s.mu.Unlock()
	if !synced {
		s.set(nil)
	}
}

// whole: a whole list has arrived.
func (s *status) whole() {
	s.set(func() {
		s.synced, s.open, s.err = true, true, nil
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

// lastTrue is the last moment at which the rows were known to be true: now, unless the server had stopped answering before.
func (s *status) lastTrue() time.Time {
	if s.health.Down && !s.health.LastOK.IsZero() {
		return s.health.LastOK
	}
	return time.Now()
}

func isDenied(err error) bool { return apierrors.IsForbidden(err) }

func isUnsupported(err error) bool {
	return apierrors.IsNotFound(err) || apierrors.IsMethodNotSupported(err) || errors.Is(err, ErrNoKube)
}

// explain puts an error of a request into words for the corner of a pane. What it returns is untrusted text.
func explain(err error) string {
	switch {
	case apierrors.IsUnauthorized(err):
		return "401: the API server does not accept these credentials (expired?): " + err.Error()
	case utilnet.IsConnectionRefused(err):
		return "nothing listens at the API server's address: connection refused"
	case errors.Is(err, errHung):
		return err.Error()
	}
	var ne net.Error
	if errors.As(err, &ne) && ne.Timeout() {
		return "the API server does not answer: " + shorten(err)
	}
	return shorten(err)
}

// shorten drops the part of a *url.Error that repeats the request.
func shorten(err error) string {
	s := err.Error()
	if i := strings.Index(s, `": `); i >= 0 && (strings.HasPrefix(s, "Get ") || strings.HasPrefix(s, "Post ")) {
		return s[i+3:]
	}
	return s
}
