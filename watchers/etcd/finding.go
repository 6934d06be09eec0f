package etcd

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
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
	FoundAlarm        = "alarm"
	FoundReads        = "linearizable-reads" // they fail though the member knows a leader (etcd issue 22214)
	FoundNoLeader     = "no-leader"          // of one member, while the others have one
	FoundUnreachable  = "unreachable"
	FoundNearQuota    = "near-quota"
	FoundVersions     = "mixed-versions"
	FoundStranger     = "not-in-member-list"
)

// The parts of the quota from which on a database is found to be near it; 95 % is that of etcd's own alerts (contrib/mixin).
const (
	quotaWarning  = 0.80
	quotaCritical = 0.95
)

// findings are what holds now and what has happened. m.mu is held.
func (m *model) findings(s *Snapshot, now time.Time) []Finding {
	var out []Finding
	add := func(kind string, sev Severity, member *MemberRow, format string, args ...any) {
		f := Finding{Kind: kind, Severity: sev, Text: fmt.Sprintf(format, args...)}
		if member != nil {
			f.Member = member.ID()
		}
		out = append(out, f)
	}
	q := &s.Quorum
	if s.Polled && !q.Has {
		add(FoundNoQuorum, Critical, nil, "no quorum: %s", q.Why)
	}
	alarms := map[string]bool{}
	versions := map[string][]string{}
	leaders := map[[2]uint64]uint64{} // cluster and term -> leader
	for _, r := range s.Members {
		name := r.GetName()
		if !r.Reachable {
			if r.Polled && r.Role != Unstarted {
				add(FoundUnreachable, Warning, r, "%s does not answer: %s", name, strings.Join(r.Errors, "; "))
			}
			continue
		}
		if r.Version != "" {
			versions[r.Version] = append(versions[r.Version], name)
		}
		if r.ClusterID != s.ClusterID {
			add(FoundTwoClusters, Critical, r, "%s belongs to another cluster (%x) than the others (%x)", name, r.ClusterID, s.ClusterID)
		} else if m.list != nil && !slices.ContainsFunc(m.list, func(l *pb.Member) bool { return l.ID == r.MemberID }) {
			add(FoundStranger, Critical, r, "%s answers and is not in the member list", name)
		}
		at := [2]uint64{r.ClusterID, r.Term}
		if other, ok := leaders[at]; ok && r.LeaderID != 0 && other != r.LeaderID {
			add(FoundTwoLeaders, Critical, r, "two leaders in term %d: %x and, says %s, %x", r.Term, other, name, r.LeaderID)
		} else if r.LeaderID != 0 {
			leaders[at] = r.LeaderID
		}
		for _, e := range r.Errors {
			if strings.Contains(e, "alarm:") && !alarms[e] { // every member reports every alarm
				alarms[e] = true
				add(FoundAlarm, Critical, nil, "%s", m.explainAlarm(e, s.Members))
			}
		}
		switch {
		case r.LeaderID == 0 && q.Has:
			add(FoundNoLeader, Warning, r, "%s knows no leader, the others do: it may be cut off from them", name)
		case r.LeaderID != 0 && r.Linearizable.Err != "" && !r.IsLearner:
			add(FoundReads, Warning, r, "%s knows a leader and answers no linearizable read: %s", name, r.Linearizable.Err)
		}
		if p := part(r.DBSize, r.Quota); p >= quotaWarning {
			sev := Warning
			if p >= quotaCritical {
				sev = Critical
			}
			add(FoundNearQuota, sev, r, "the database of %s has %.0f %% of its quota: at 100 %% etcd refuses writes", name, 100*p)
		}
	}
	if len(versions) > 1 {
		var parts []string
		for _, v := range slices.Sorted(maps.Keys(versions)) {
			parts = append(parts, fmt.Sprintf("%s (%s)", v, strings.Join(versions[v], ", ")))
		}
		add(FoundVersions, Info, nil, "members run different versions: %s", strings.Join(parts, ", "))
	}
	since := map[string]time.Time{}
	for i := range out {
		key := out[i].Kind + " " + out[i].Member
		if out[i].Kind == FoundAlarm {
			key += out[i].Text
		}
		out[i].Since = now
		if t, ok := m.since[key]; ok {
			out[i].Since = t
		}
		since[key] = out[i].Since
	}
	m.since = since
	out = append(out, m.events...)
	out = append(out, m.reports()...)
	slices.SortStableFunc(out, func(a, b Finding) int { return cmp.Compare(b.Severity, a.Severity) })
	return out
}

// wentBack finds what must only grow and did not. The cluster is the one that the member was seen in before; a restart may show
// an older revision for a moment, until the log is applied, so one poll is not believed. m.mu is held.
func (m *model) wentBack(k *known, now time.Time, h *pb.ResponseHeader, st *pb.StatusResponse) {
	event := func(kind, format string, args ...any) {
		f := Finding{Kind: kind, Severity: Critical, Member: rowID(h.MemberId, ""), Text: fmt.Sprintf(format, args...), Since: now}
		m.events = append(m.events[max(0, len(m.events)-maxEvents+1):], f)
	}
	if h.MemberId == 0 {
		return
	}
	if h.ClusterId != k.row.ClusterID {
		k.high, k.highTerm, k.below = 0, 0, 0
	}
	name := m.name(h.MemberId)
	if st.RaftTerm < k.highTerm {
		event(FoundTermBack, "the term of %s went back from %d to %d", name, k.highTerm, st.RaftTerm)
	}
	k.highTerm = st.RaftTerm
	if h.Revision >= k.high {
		k.high, k.below = h.Revision, 0
		return
	}
	if k.below++; k.below > 1 {
		event(FoundRevisionBack, "the revision of %s went back from %d to %d: was it restored from a backup?", name, k.high, h.Revision)
		k.high, k.below = h.Revision, 0
	}
}

// name is what a member is called. m.mu is held.
func (m *model) name(id uint64) string {
	for _, l := range m.list {
		if l.ID == id && l.Name != "" {
			return l.Name
		}
	}
	return rowID(id, "")
}

// explainAlarm says what an alarm means, as it stands in Status.errors: "memberID:10276657743932975437 alarm:NOSPACE". m.mu is held.
func (m *model) explainAlarm(text string, rows []*MemberRow) string {
	var id uint64
	who := "a member"
	if _, err := fmt.Sscanf(text, "memberID:%d", &id); err == nil && id != 0 {
		who = m.name(id)
		if !slices.ContainsFunc(rows, func(r *MemberRow) bool { return r.MemberID == id }) {
			who += " (which is no member any more)"
		}
	}
	switch {
	case strings.Contains(text, "NOSPACE"):
		return fmt.Sprintf("alarm NOSPACE of %s: etcd refuses writes; compact, defragment each member, then disarm the alarm", who)
	case strings.Contains(text, "CORRUPT"):
		return fmt.Sprintf("alarm CORRUPT, raised for %s: members do not hold the same data; which one is wrong is not certain", who)
	}
	return text
}

// part is size as a part of quota; 0 when there is none known.
func part(size, quota int64) float64 {
	if quota <= 0 {
		return 0
	}
	return float64(size) / float64(quota)
}
