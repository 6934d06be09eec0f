package etcd

import "time"

// TimelineLen bounds the timeline.
const TimelineLen = 200

// Leadership is one leader's time in one term, or a time without a leader. All of its text is untrusted.
type Leadership struct {
	At         time.Time // when it was first seen
	Term       uint64
	Leader     uint64 // member ID; 0: there is none that most members agree on
	LeaderName string
	// First is set when it is what was there when we began to look: At is then not when it began.
	First bool
	// From is the leader before; 0: none is known. The same as Leader: it was elected again, in a new term.
	From     uint64
	FromName string
	// Without is how long there was no leader before this one, as far as was seen; 0: no gap was seen.
	Without time.Duration
	// Moved is set when fathom moved the leadership.
	Moved bool
	// Before is what came before the change, within half a minute: sentences, what explains most first. Empty: nothing was seen.
	Before []string
}

// NoteMove tells the watcher that fathom has moved the leadership from a member to another: the timeline says so of the change that
// follows. It may be called from any goroutine.
func (w *Watcher) NoteMove(from, to uint64) { w.model.noteMove(from, to, time.Now()) }

// move is a change of the leader that fathom asked for.
type move struct {
	from, to uint64
	at       time.Time
}

func (m *model) noteMove(from, to uint64, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.moved = move{from, to, now}
}
