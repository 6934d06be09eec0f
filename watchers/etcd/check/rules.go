package check

import (
	"fmt"
	"slices"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
)

// Rule is one of the promises of a watch that Kubernetes relies on (etcd's api_guarantees, tests/robustness/validate/watch.go).
type Rule uint8

// Rules.
const (
	Ordered  Rule = iota // events come in the order of their revisions
	Once                 // none comes twice
	Whole                // the changes of one revision come together
	Previous             // a change of a key that was there brings the value before, which is older
	Created              // an event is a creation exactly when the key's creation is its last change
	Progress             // after "all up to revision R was told" come only events after R, and R is not behind what the member has told
	Reliable             // the value before is the one that was told before: no event was lost
	numRules
)

// Rules are all of them, in their order.
func Rules() []Rule {
	out := make([]Rule, numRules)
	for i := range out {
		out[i] = Rule(i)
	}
	return out
}

// words are a rule's name in findings and in the pane, what it promises, and what it means when it does not hold.
var words = [numRules]struct{ name, promise, meaning string }{
	Ordered:  {"ordered", "events come in the order of their revisions", "A cache fed by this watch can show an older state as the newest one."},
	Once:     {"unique", "no event comes twice", "A cache fed by this watch acts twice on one change."},
	Whole:    {"atomic", "the changes of one revision come together", "A client that resumes after the first part never sees the rest of that transaction."},
	Previous: {"previous", "a change brings the value before it", "The API server ends a watch whose event lacks the value before; controllers then list everything anew."},
	Created:  {"created", "creations are marked as such", "A client takes a change for a creation, or the other way round."},
	Progress: {"progress", "what is told as complete is complete", "A client that resumes at the revision it was told misses events: a cache of the API server stays wrong until it is restarted."},
	Reliable: {"reliable", "no event is left out", "An event was lost: a cache of the API server can stay wrong until it is restarted."},
}

// String is the rule's name.
func (r Rule) String() string { return words[r].name }

// Promise is what the rule says.
func (r Rule) Promise() string { return words[r].promise }

// Breach is a promise that was not kept. No value of a key is in it.
type Breach struct {
	At     time.Time
	Member uint64
	Name   string // of the member; untrusted text
	Rule   Rule
	Text   string // what was promised and what came; untrusted text
	// Evidence are the last answers of the watch, the oldest first: revisions, keys and versions, no values; untrusted text.
	Evidence []string
}

// The bounds of what a stream remembers.
const (
	evidenceLen = 24   // answers
	seenKeys    = 4096 // keys of which the newest revision is known
)

// stream checks what one watch on one member tells. It does no I/O and is told what time it is.
type stream struct {
	member uint64
	name   string
	counts *[numRules]uint64 // how often each rule could be checked

	start    int64           // the revision that the watch was asked to begin with; 0: the next one
	began    int64           // the member's revision when the watch began: what is older is caught up, and may have been compacted
	created  time.Time       // when it began
	word     time.Time       // of the newest answer
	last     int64           // the revision of the newest event
	progress int64           // the newest revision that was told as complete
	at       map[string]bool // keys changed at the revision last
	partial  bool            // the answer goes on with the next message (fragments)
	seen     map[string]told
	evidence []string
}

// told is the newest event of a key.
type told struct {
	rev     int64
	deleted bool
}

// suspect is an event that lacks the value before: that is allowed when it has been compacted, which has to be asked.
type suspect struct {
	key    string
	rev    int64
	breach Breach
}

func newStream(member uint64, name string, counts *[numRules]uint64) *stream {
	return &stream{member: member, name: name, word: time.Now(), counts: counts, at: map[string]bool{}, seen: map[string]told{}}
}

// next is the revision to go on from when the watch is opened again.
func (s *stream) next() int64 { return max(s.last, s.progress) + 1 }

// take checks one answer. What it finds comes with the evidence up to and with this answer.
func (s *stream) take(now time.Time, r *pb.WatchResponse) (breaches []Breach, suspects []suspect) {
	s.note(now, r)
	s.word = now
	breach := func(rule Rule, format string, args ...any) Breach {
		return Breach{At: now, Member: s.member, Name: s.name, Rule: rule, Text: fmt.Sprintf(format, args...), Evidence: slices.Clone(s.evidence)}
	}
	check := func(rule Rule, ok bool, format string, args ...any) {
		s.counts[rule]++
		if !ok {
			breaches = append(breaches, breach(rule, format, args...))
		}
	}
	rev := r.GetHeader().GetRevision()
	switch {
	case r.Created:
		s.began, s.created = rev, now
		if s.partial { // it was cut off within a revision, and goes on after that: the rest of it was not heard
			s.partial = false
			clear(s.seen)
		}
		return nil, nil
	case r.Canceled:
		return nil, nil
	case len(r.Events) == 0:
		s.progress = max(s.progress, rev)
		return nil, nil
	}
	first := !s.partial
	s.partial = r.Fragment
	for _, e := range r.Events {
		kv := e.Kv
		rev, key := kv.ModRevision, string(kv.Key)
		check(Progress, rev > s.progress, "revision %d was told as complete, and then came an event of revision %d", s.progress, rev)
		check(Ordered, rev >= s.last, "an event of revision %d came after one of revision %d", rev, s.last)
		check(Whole, !first || rev != s.last, "the changes of revision %d came in two parts", rev)
		if rev != s.last {
			clear(s.at)
		}
		check(Once, !s.at[key], "the change of %q at revision %d came twice", key, rev)
		s.at[key] = true
		first, s.last = false, max(s.last, rev)

		deleted := e.Type == mvccpb.Event_DELETE
		created := !deleted && kv.CreateRevision == rev
		if !deleted {
			check(Created, created == (kv.Version == 1) && kv.CreateRevision <= rev,
				"%q at revision %d: created at revision %d, version %d", key, rev, kv.CreateRevision, kv.Version)
		}
		switch p := e.PrevKv; {
		case created:
			check(Previous, p == nil, "%q was created at revision %d, and a value before came with it", key, rev)
		case p == nil:
			suspects = append(suspects, suspect{key, rev, breach(Previous, "%q was changed at revision %d, and the value before did not come with it", key, rev)})
		default:
			check(Previous, p.ModRevision < rev && string(p.Key) == key && (deleted || p.CreateRevision == kv.CreateRevision && p.Version == kv.Version-1),
				"%q at revision %d, version %d, came with a value before of revision %d, version %d", key, rev, kv.Version, p.ModRevision, p.Version)
		}
		s.reliable(key, e, created, deleted, check)
		if len(s.seen) >= seenKeys {
			clear(s.seen)
		}
		s.seen[key] = told{rev, deleted}
	}
	return breaches, suspects
}

// reliable compares what came before with what was told before.
func (s *stream) reliable(key string, e *mvccpb.Event, created, deleted bool, check func(Rule, bool, string, ...any)) {
	before, known := s.seen[key]
	if !known || before.rev >= e.Kv.ModRevision {
		return
	}
	rev := e.Kv.ModRevision
	switch p := e.PrevKv; {
	case created:
		check(Reliable, before.deleted, "%q was created at revision %d; that it was deleted after revision %d was not told", key, rev, before.rev)
	case p == nil: // compacted, or a breach of another rule
	case before.deleted:
		check(Reliable, false, "%q was changed at revision %d; that it was created after its deletion at revision %d was not told", key, rev, before.rev)
	default:
		check(Reliable, p.ModRevision == before.rev, "%q was changed at revision %d, before that at %d; what was told is revision %d", key, rev, p.ModRevision, before.rev)
	}
}

// behind checks a progress that was asked for: the member had told before that its revision is known.
func (s *stream) behind(now time.Time, known, told int64) []Breach {
	s.counts[Progress]++
	if told >= known {
		return nil
	}
	return []Breach{{At: now, Member: s.member, Name: s.name, Rule: Progress, Evidence: slices.Clone(s.evidence),
		Text: fmt.Sprintf("the member was at revision %d and then told only revision %d as complete", known, told)}}
}

// note keeps an answer as evidence.
func (s *stream) note(now time.Time, r *pb.WatchResponse) {
	add := func(format string, args ...any) {
		s.evidence = append(s.evidence[max(0, len(s.evidence)-evidenceLen+1):], now.Format("15:04:05.000 ")+fmt.Sprintf(format, args...))
	}
	h := r.GetHeader()
	switch {
	case r.Created:
		add("watch created at revision %d, term %d", h.GetRevision(), h.GetRaftTerm())
	case r.Canceled:
		add("watch ended: %s (compacted %d)", r.CancelReason, r.CompactRevision)
	case len(r.Events) == 0:
		add("complete up to revision %d", h.GetRevision())
	}
	for i, e := range r.Events {
		if i == 4 {
			add("and %d more events up to revision %d", len(r.Events)-i, r.Events[len(r.Events)-1].Kv.ModRevision)
			break
		}
		before := "no value before"
		if e.PrevKv != nil {
			before = fmt.Sprintf("before: revision %d version %d", e.PrevKv.ModRevision, e.PrevKv.Version)
		}
		what := "put"
		if e.Type == mvccpb.Event_DELETE {
			what = "delete"
		}
		add("revision %d %s %.80q created %d version %d, %s", e.Kv.ModRevision, what, e.Kv.Key, e.Kv.CreateRevision, e.Kv.Version, before)
	}
}
