package views

import (
	"fmt"
	"strings"
	"time"

	"fathom/theme"
	"fathom/watchers"
	"fathom/watchers/etcd"
)

// etcdSection says whether etcd can commit and how much more it can bear, and what its members are.
func (d *overviewData) etcdSection(now time.Time) overviewSection {
	s := overviewSection{key: "etcd", title: "etcd"}
	e := d.etcd
	l := overviewLine{id: "etcd", name: "etcd", ref: &Ref{View: "members"}}
	switch {
	case e == nil:
		l.ref = nil
		l.level, l.status, l.detail = theme.Default, "not found", "--etcd-endpoints, or run on a control-plane node"
		s.head = []overviewLine{l}
		return s
	case e.State.Phase == watchers.Unsupported || e.State.Phase == watchers.Denied:
		l.level, l.status, l.detail, _ = missing(e.State)
		s.unseen = l.status
		s.head = []overviewLine{l}
		return s
	case e.Gen == 0 || !e.Polled && !e.Quorum.Has:
		l.level, l.status, l.detail = theme.Pending, "waiting", e.State.Why
		s.head = []overviewLine{l}
		return s
	}
	q := e.Quorum
	l.value, l.total, l.stale = n64(int64(q.Reachable)), n64(int64(q.Voters)), aged(e.State, now)
	l.status = fmt.Sprintf("quorum %d/%d", q.Reachable, q.Voters)
	var facts []string
	switch {
	case !q.Has:
		l.level = theme.Bad
		l.status = "no " + l.status
		facts = append(facts, firstOf(q.Why, "nothing can be written"))
	case q.Voters == 1:
		l.level = theme.Good
		facts = append(facts, "a single member")
	case q.CanLose == 0:
		l.level = theme.Warn
		facts = append(facts, "no more may fail")
	default:
		l.level = theme.Good
		facts = append(facts, fmt.Sprintf("%d more may fail", q.CanLose))
	}
	if q.Has && q.Reachable < q.Voters {
		l.level = theme.Warn
	}
	if l.level != theme.Good {
		s.issue = "etcd " + l.status
	}
	if q.Leader != 0 {
		facts = append(facts, "leader "+firstOf(q.LeaderName, fmt.Sprintf("%x", q.Leader)))
	}
	if q.Term > 0 {
		facts = append(facts, fmt.Sprintf("term %d", q.Term))
	}
	for _, f := range e.Findings {
		level := findingLevel(f.Severity)
		s.list = append(s.list, overviewLine{id: strings.Join([]string{"finding", f.Kind, f.Member}, "/"), level: level, name: f.Kind,
			detail: f.Text, at: f.Since, ref: &Ref{View: "findings"}})
		if severity(level) < severity(theme.Warn) {
			continue
		}
		s.compact++
		if severity(level) > severity(l.level) {
			l.level = level
		}
		if s.issue == "" {
			s.issue = "etcd " + strings.ReplaceAll(f.Kind, "-", " ")
		}
	}
	l.detail = strings.Join(facts, " · ")
	s.head = []overviewLine{l}
	for _, m := range e.Members {
		s.list = append(s.list, memberLine(m, now))
	}
	return s
}

func findingLevel(v etcd.Severity) theme.Style {
	switch v {
	case etcd.Critical:
		return theme.Bad
	case etcd.Warning:
		return theme.Warn
	}
	return theme.Info
}

func memberLine(m *etcd.MemberRow, now time.Time) overviewLine {
	l := overviewLine{id: "member/" + m.ID(), level: theme.Good, name: m.GetName(), status: string(m.Role), kind: "Member", at: m.LastSeen,
		ref: &Ref{View: "members"}}
	switch {
	case m.Role == etcd.Unreachable && !m.Polled:
		l.level, l.status = theme.Pending, "waiting"
		return l
	case m.Role == etcd.Unreachable:
		l.level = theme.Bad
		if !m.LastSeen.IsZero() {
			l.detail = "last seen " + Age(now.Sub(m.LastSeen)) + " ago"
		}
		l.detail = join(l.detail, strings.Join(m.Errors, ", "))
		return l
	case m.Role == etcd.NoLeader || m.Role == etcd.Unstarted || len(m.Errors) > 0:
		l.level = theme.Warn
	}
	l.detail = fmt.Sprintf("lag %d · %s", m.Lag, Bytes(m.DBSize))
	if m.Quota > 0 {
		l.detail += " of " + Bytes(m.Quota)
	}
	if m.Linearizable.OK() {
		l.detail += " · read " + millis(m.Linearizable.RTT)
	}
	return l
}
