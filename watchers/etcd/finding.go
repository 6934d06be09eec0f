package etcd

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// Severity of a finding.
type Severity uint8

// Severities.
const (
	Info Severity = iota
	Warning
	Critical
)

// Finding is something about the cluster that somebody should know.
type Finding struct {
	Kind     string // "no-quorum", "alarm", ...: one of the Found constants
	Severity Severity
	Member   string // row ID; empty: it is about the cluster
	Text     string // what is so, a sentence; untrusted text
	Meaning  string // what it means, one or two sentences; may be empty; untrusted text
	Next     string // what to do, in the imperative; may be empty; untrusted text
	Source   string // URL of where that is written; may be empty
	Since    time.Time
}

// Kinds of findings.
const (
	FoundNoQuorum     = "no-quorum"
	FoundTwoClusters  = "cluster-id-mismatch" // members that were restored or bootstrapped apart (etcd issue 13093)
	FoundTwoLeaders   = "two-leaders"         // in one term, which raft rules out
	FoundTermBack     = "term-went-back"      // raft's terms only grow
	FoundRevisionBack = "revision-went-back"  // restored to an older state (etcd issue 16028)
	FoundAppliedAhead = "applied-beyond-commit"
	FoundAlarm        = "alarm"
	FoundReads        = "linearizable-reads" // they fail though the member knows a leader (etcd issue 22214)
	FoundNoLeader     = "no-leader"          // of one member, while the others have one
	FoundUnreachable  = "unreachable"
	FoundDenied       = "status-denied"
	FoundNearQuota    = "near-quota"
	FoundFragmented   = "fragmented"
	FoundVersions     = "mixed-versions"
	FoundStorage      = "storage-version-lag"
	FoundStranger     = "not-in-member-list" // a zombie (etcd issue 13196)
	FoundLists        = "member-lists-differ"
	FoundEven         = "even-number-of-voters"
	FoundSingle       = "single-member"
	FoundOneHost      = "members-on-one-host"
	FoundUnstarted    = "unstarted-member"
	FoundLearner      = "learner-behind"    // it does not catch up
	FoundLearnerReady = "learner-caught-up" // and nobody promotes it
	FoundLag          = "member-behind"
	FoundFsync        = "slow-fsync"
	FoundCommit       = "slow-commit"
	FoundRTT          = "slow-peers"
	FoundCertificate  = "certificate"
	FoundCompaction   = "compaction-stalled"
)

// draft is a finding that may have to be confirmed before it is told: members are not asked at one moment.
type draft struct {
	Finding
	about   string        // tells findings of one kind about one member apart
	confirm time.Duration // how long it must hold before it is told
}

func (d *draft) key() string { return d.Kind + " " + d.Member + " " + d.about }

// drafts collect what holds now.
type drafts []draft

func (ds *drafts) add(kind string, sev Severity, member *MemberRow, format string, args ...any) *draft {
	d := draft{Finding: Finding{Kind: kind, Severity: sev, Text: fmt.Sprintf(format, args...)}}
	if member != nil {
		d.Member = member.ID()
	}
	*ds = append(*ds, d)
	return &(*ds)[len(*ds)-1]
}

// findings are what holds now and what has happened, the worst first. m.mu is held.
func (m *model) findings(s *Snapshot, now time.Time) []Finding {
	var ds drafts
	m.clusterFindings(&ds, s, now)
	for _, r := range s.Members {
		m.memberFindings(&ds, s, r, now)
	}
	since := map[string]time.Time{}
	var out []Finding
	for _, d := range ds {
		d.Since = now
		if t, ok := m.since[d.key()]; ok {
			d.Since = t
		}
		since[d.key()] = d.Since
		if now.Sub(d.Since) >= d.confirm {
			out = append(out, d.Finding)
		}
	}
	m.since = since
	out = append(out, m.events...)
	out = append(out, m.reports()...)
	for i := range out {
		out[i].explain()
	}
	slices.SortStableFunc(out, func(a, b Finding) int { return cmp.Compare(b.Severity, a.Severity) })
	return out
}

// name is what a member is called. m.mu is held.
func (m *model) name(id uint64) string {
	for _, l := range m.list {
		if l.ID == id && l.Name != "" {
			return l.Name
		}
	}
	if name, ok := m.names[id]; ok {
		return name
	}
	return rowID(id, "")
}

// part is size as a part of quota; 0 when there is none known.
func part(size, quota int64) float64 {
	if quota <= 0 {
		return 0
	}
	return float64(size) / float64(quota)
}
