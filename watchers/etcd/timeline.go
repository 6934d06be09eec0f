package etcd

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"fathom/cluster"
)

// TimelineLen bounds the timeline.
const TimelineLen = 200

// Leadership is one leader's time in one term, or a time without a leader. All of its text is untrusted.
type Leadership struct {
	At         time.Time // when it was first seen: members are asked once a second
	Term       uint64
	Leader     uint64 // member ID; 0: there is none that most members agree on
	LeaderName string
	// First is set when it is what was there when we began to look: At is then not when it began.
	First bool
	// From is the leader before; 0: none is known. The same as Leader: it was elected again, in a new term.
	From     uint64
	FromName string
	// Without is how long there was no leader before this one, as far as was seen, to a second; 0: no gap was seen.
	Without time.Duration
	// Moved is set when fathom moved the leadership.
	Moved bool
	// Before is what came before the change, within half a minute: sentences, what explains most first. It may grow for some seconds
	// after the change.
	Before []string
}

const (
	omenBefore = 30 * time.Second // how long before a change something counts as having come before it
	omenAfter  = 15 * time.Second // how long after a change we still learn of what came before it: metrics are read every 5 s
	gapLeast   = 2500 * time.Millisecond
	termLate   = 3 * time.Second
	maxOmens   = 64
)

// omen is something that may explain a change of the leader. It was so at some time between from and at.
type omen struct {
	from, at time.Time
	member   uint64
	weight   int // how much it explains of an election; see the weights
	text     string
}

// The weights of omens: those of the leader that was lost count before those of others.
const (
	weightGone = 9 - iota
	weightRestart
	weightFsync
	weightHeartbeat
	weightRTT
)

// omen adds to what may explain a change. m.mu is held.
func (m *model) omen(o omen) { m.omens = append(m.omens[max(0, len(m.omens)-maxOmens+1):], o) }

// omensOf finds what the metrics tell of the time between two readings of a member. m.mu is held.
func (m *model) omensOf(c *conn, before, r *reading) {
	if before == nil || c.id == 0 {
		return
	}
	add := func(weight int, format string, args ...any) {
		m.omen(omen{from: before.at, at: r.at, member: c.id, weight: weight, text: m.name(c.id) + fmt.Sprintf(format, args...)})
	}
	if restarted(before, r) {
		add(weightRestart, " was restarted")
		return
	}
	p99 := func(now, then histogram) *time.Duration {
		if d, ok := now.since(then); ok {
			return d.quantile(0.99)
		}
		return nil
	}
	if d := p99(r.fsync, before.fsync); d != nil && *d > FsyncWarning {
		add(weightFsync, ": the p99 of its WAL fsync was %s, above %s: a leader that cannot write sends no heartbeats", short(*d), short(FsyncWarning))
	}
	if n := r.values[nameHeartbeatFailures] - before.values[nameHeartbeatFailures]; n > 0 {
		add(weightHeartbeat, " could not send %.0f heartbeats in time: slow disk, too little processor, or a slow network", n)
	}
	for id, h := range r.rtt {
		if d := p99(h, before.rtt[id]); d != nil && *d > PeerRTTWarning {
			add(weightRTT, ": the round trip to %s took %s, above %s", m.name(id), short(*d), short(PeerRTTWarning))
		}
	}
}

// short is a duration in no more digits than matter.
func short(d time.Duration) string {
	switch {
	case d < 10*time.Millisecond:
		return d.Round(10 * time.Microsecond).String()
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	}
	return d.Round(10 * time.Millisecond).String()
}

// follow keeps the time of the leader, how often it changed, and the timeline. m.mu is held.
func (m *model) follow(q *Quorum, now time.Time) {
	last := len(m.line) - 1
	again := last >= 0 && m.line[last].Leader == 0
	switch {
	case q.Leader == 0 && (q.Has || q.Reachable == 0): // who leads is not known from here: that is not to say that nobody does
	case q.Leader == 0:
		if m.gap.IsZero() {
			m.gap = now
		}
		// Members are not asked at one moment: while the leader changes they contradict each other for a second.
		if now.Sub(m.gap) >= gapLeast && m.polled && (last < 0 || m.line[last].Leader != 0) {
			m.enter(Leadership{At: m.gap, Term: q.Term, From: m.lead.id, First: last < 0})
		}
	case q.Leader == m.lead.id && q.Term > m.lead.term && m.gap.IsZero() && now.Sub(m.lead.since) < termLate:
		// A status tells the term of the last entry that was applied (server/etcdserver/server.go, Term): it comes after the leader.
		m.lead.term = q.Term
		if last >= 0 {
			m.line[last].Term, m.named = q.Term, nil
		}
	case q.Leader != m.lead.id || q.Term > m.lead.term || again:
		entry := Leadership{At: now, Term: q.Term, Leader: q.Leader, From: m.lead.id, First: last < 0}
		if !m.gap.IsZero() && last >= 0 {
			entry.Without = now.Sub(m.gap)
		}
		m.enter(entry)
		changes := m.lead.changes
		if m.lead.id != 0 && (q.Leader != m.lead.id || q.Term > m.lead.term) {
			changes++
		}
		m.lead = leadership{q.Leader, q.Term, now, changes}
		m.round++
	}
	if q.Leader != 0 {
		m.gap = time.Time{}
		q.LeaderSince = m.lead.since
	}
	q.Changes = m.lead.changes
	m.explain(now)
}

func (m *model) noteMove(v cluster.Move) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.moved = v
}

func (m *model) enter(l Leadership) {
	m.line = append(m.line[max(0, len(m.line)-TimelineLen+1):], l)
	m.named = nil
}

// explain says of the changes that are young what came before them. m.mu is held.
func (m *model) explain(now time.Time) {
	for i := len(m.line) - 1; i >= 0; i-- {
		l := &m.line[i]
		if now.Sub(l.At) > omenAfter {
			return
		}
		if l.First {
			continue
		}
		moved := m.moved.To == l.Leader && l.Leader != 0 && !m.moved.At.IsZero() && l.At.Sub(m.moved.At) < omenBefore && m.moved.At.Sub(l.At) < time.Second
		if before := m.before(l, moved); moved != l.Moved || !slices.Equal(before, l.Before) {
			l.Moved, l.Before, m.named = moved, before, nil
		}
	}
}

// before is what came before a change. m.mu is held.
func (m *model) before(l *Leadership, moved bool) []string {
	lost := l.At.Add(-l.Without) // what came after the old leader was lost does not explain that
	var found []omen
	for _, o := range m.omens {
		if !o.from.After(lost) && lost.Sub(o.at) <= omenBefore {
			if o.member == l.From {
				o.weight += weightGone
			}
			found = append(found, o)
		}
	}
	slices.SortStableFunc(found, func(a, b omen) int { return cmp.Compare(b.weight, a.weight) })
	var out []string
	if moved {
		out = append(out, fmt.Sprintf("fathom moved the leadership to %s", m.name(l.Leader)))
	}
	if c := m.connOf(rowID(l.From, "")); l.From != 0 && l.From != l.Leader && c != nil {
		if k := m.known[c.key]; k != nil && k.row.LeaderID == 0 && !k.row.LastSeen.Before(lost) {
			out = append(out, fmt.Sprintf("%s, which led, answers us and knows no leader: it is cut off from its peers", m.name(l.From)))
		}
	}
	for _, o := range found {
		if !slices.Contains(out, o.text) && len(out) < 6 {
			out = append(out, o.text)
		}
	}
	switch {
	case len(out) > 0 || l.From == 0:
	case !m.answeredUntil(l.From, lost):
		out = append(out, fmt.Sprintf("nothing was seen: %s did not answer us before either, so what became of it cannot be told from here", m.name(l.From)))
	default:
		out = append(out, fmt.Sprintf("nothing was seen: %s answered all the time; somebody else may have moved the leadership (etcdctl move-leader), or its heartbeats came late", m.name(l.From)))
	}
	return out
}

// answeredUntil reports whether a member answered every poll of the half minute before a moment. m.mu is held.
func (m *model) answeredUntil(id uint64, t time.Time) bool {
	k := m.known[rowID(id, "")]
	return k != nil && !slices.ContainsFunc(k.row.History, func(s Sample) bool {
		return !s.OK && !s.At.After(t) && t.Sub(s.At) <= omenBefore
	})
}

// timeline is what is published: it is made anew only when something in it has changed, also a name. m.mu is held.
func (m *model) timeline() []Leadership {
	if m.named == nil && len(m.line) > 0 {
		m.named = slices.Clone(m.line)
		for i := range m.named {
			l := &m.named[i]
			if l.Leader != 0 {
				l.LeaderName = m.name(l.Leader)
			}
			if l.From != 0 {
				l.FromName = m.name(l.From)
			}
		}
	}
	return m.named
}
