package check

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Verdict is what a comparison of hashes says, of a member or of all of them.
type Verdict uint8

// Verdicts. Unknown is never "all right": by etcd's own rules nothing can be said (server/etcdserver/corrupt.go).
const (
	Unknown Verdict = iota
	Same            // as all the others that could be compared
	Partly          // of the whole: the same, but not every voter could be compared
	Differs         // of a member: from a majority of the voters that agree; of the whole: at least one does
	Apart           // the members do not agree and no majority does: nobody knows which of them is right
)

// Phase is how far one member is in a run.
type Phase uint8

// Phases.
const (
	Waiting Phase = iota // its turn has not come
	Hashing              // it reads its key space
	Answered
	Failed // Why says what there is to know
)

// MemberHash is one member's part of a run.
type MemberHash struct {
	ID       uint64
	Name     string // untrusted text
	Endpoint string
	Version  string // untrusted text
	Leader   bool
	Learner  bool // has no vote, and etcd does not let it answer

	Phase           Phase
	Began           time.Time     // when it was asked
	Took            time.Duration // of an answer or failure
	Revision        int64         // of its key space when the run began; 0: it did not say
	Hash            uint32
	CompactRevision int64

	Verdict Verdict
	Why     string // of Unknown, Differs and Apart; untrusted text
}

// HashRun is one comparison of the hashes of all members, or the picture of one that is under way. It is immutable.
type HashRun struct {
	Gen      uint64
	Began    time.Time
	Ended    time.Time // zero: it is under way
	Canceled bool
	// Revision is the one all are asked for: the smallest of the voters' when the run began, so that each of them has it. 0: none could be found.
	Revision int64
	Voters   int
	Members  []MemberHash // in the order in which they are asked: the leader last
	Verdict  Verdict
	Text     string // the verdict in a sentence; untrusted text
}

// Running reports whether members are still asked.
func (r *HashRun) Running() bool { return r.Ended.IsZero() }

// judge says what the answers mean. Two hashes can be compared when they are of the same revision and of key spaces compacted to the same
// revision (etcd issue 13839 and corrupt.go); everything else is unknown. A member is only said to be wrong against a majority of all voters:
// with less, the wrong ones may be the ones that agree.
func (r *HashRun) judge() {
	compared := r.comparable()
	counts := map[uint32]int{}
	for _, m := range compared {
		counts[m.Hash]++
	}
	var best uint32
	for h, n := range counts {
		if n > counts[best] {
			best = h
		}
	}
	majority := r.Voters/2 + 1
	switch {
	case len(compared) == 0:
		r.Verdict, r.Text = Unknown, "unknown: no member told its hash"
	case r.Voters == 1:
		r.Verdict, r.Text = Unknown, "unknown: a single member has nobody to be compared with; that its data changed would not be seen"
	case len(compared) == 1:
		compared[0].Verdict, compared[0].Why = Unknown, "there is nobody to compare it with"
		r.Verdict, r.Text = Unknown, fmt.Sprintf("unknown: only the hash of %s can be used, and there is nobody to compare it with", compared[0].Name)
	case len(counts) == 1:
		for _, m := range compared {
			m.Verdict = Same
		}
		r.Verdict, r.Text = Same, fmt.Sprintf("all %d voters hold the same data at revision %d", r.Voters, r.Revision)
		if len(compared) < r.Voters {
			r.Verdict = Partly
			r.Text = fmt.Sprintf("%d of %d voters hold the same data at revision %d; of the others it is unknown", len(compared), r.Voters, r.Revision)
		}
	case counts[best] >= majority:
		var wrong []string
		for _, m := range compared {
			m.Verdict = Same
			if m.Hash != best {
				m.Verdict, m.Why = Differs, fmt.Sprintf("%d of %d voters agree on another hash", counts[best], r.Voters)
				wrong = append(wrong, m.Name)
			}
		}
		r.Verdict = Differs
		r.Text = fmt.Sprintf("%s does not hold the data that %d of %d voters agree on, at revision %d", strings.Join(wrong, ", "), counts[best], r.Voters, r.Revision)
	default:
		for _, m := range compared {
			m.Verdict, m.Why = Apart, "no majority of the voters agrees on a hash: which one is right is not known"
		}
		r.Verdict = Apart
		r.Text = fmt.Sprintf("the members do not hold the same data at revision %d; no majority agrees, so it is not known who is right", r.Revision)
	}
	if r.Verdict == Differs || r.Verdict == Apart {
		r.Text += r.versionsNote()
	}
}

// comparable are the voters whose answers can be compared: the largest group that was compacted to the same revision. Of the others it is
// said why not.
func (r *HashRun) comparable() []*MemberHash {
	groups := map[int64][]*MemberHash{}
	for i := range r.Members {
		m := &r.Members[i]
		m.Verdict = Unknown
		if m.Phase == Answered && !m.Learner {
			groups[m.CompactRevision] = append(groups[m.CompactRevision], m)
			m.Why = ""
		}
	}
	var best []*MemberHash
	for _, g := range groups {
		if len(g) > len(best) || len(g) == len(best) && g[0].CompactRevision > best[0].CompactRevision {
			best = g
		}
	}
	for rev, g := range groups {
		if rev == best[0].CompactRevision {
			continue
		}
		for _, m := range g {
			m.Why = fmt.Sprintf("its key space was compacted to revision %d and that of others to %d: a compaction came between; compare again", rev, best[0].CompactRevision)
		}
	}
	slices.SortStableFunc(best, func(a, b *MemberHash) int { return cmp.Compare(a.Name, b.Name) })
	return best
}

// versionsNote is a caveat: the hash of equal data was not the same in every version of etcd.
func (r *HashRun) versionsNote() string {
	versions := map[string]bool{}
	for _, m := range r.Members {
		if m.Phase == Answered {
			versions[m.Version] = true
		}
	}
	if len(versions) < 2 {
		return ""
	}
	return "; the members run different versions, some of which compute the hash differently after a compaction (etcd issue 18337): " +
		"compare again when they run the same one"
}
