package views

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"fathom/theme"
	"fathom/ui/draw"
	"fathom/watchers"
	"fathom/watchers/etcd"
)

// memberColumns are the columns of the members' table. What says whether the member is all right stays longest when it is narrow.
func memberColumns(g *theme.Glyphs) []Column {
	col := func(title, key string, priority int, f func(m *etcd.MemberRow, now time.Time) (string, theme.Style)) Column {
		return Column{Title: title, Key: key, Priority: priority, Cell: func(r watchers.Row, now time.Time) (string, theme.Style) {
			m := r.(*etcd.MemberRow)
			text, style := f(m, now)
			if !m.Reachable && style == theme.Default {
				style = theme.Dim // it is what was known before
			}
			return text, style
		}}
	}
	num := func(title, key string, priority int, get func(*etcd.MemberRow) float64, f func(m *etcd.MemberRow) (string, theme.Style)) Column {
		c := col(title, key, priority, func(m *etcd.MemberRow, _ time.Time) (string, theme.Style) {
			if m.LastSeen.IsZero() {
				return "-", theme.Dim
			}
			return f(m)
		})
		c.Align = draw.Right
		c.Compare = func(a, b watchers.Row) int { return cmp.Compare(get(a.(*etcd.MemberRow)), get(b.(*etcd.MemberRow))) }
		return c
	}
	count := func(title, key string, priority int, get func(*etcd.MemberRow) float64) Column {
		return num(title, key, priority, get, func(m *etcd.MemberRow) (string, theme.Style) {
			return fmt.Sprintf("%.0f", get(m)), theme.Default
		})
	}
	return []Column{
		col("NAME", "name", 0, func(m *etcd.MemberRow, _ time.Time) (string, theme.Style) {
			_, host, ok := strings.Cut(m.GetName(), "://")
			if m.Name == "" && ok { // the column only grows, and the name comes with the member list
				return host, theme.Strong
			}
			return m.GetName(), theme.Strong
		}).most(40),
		col("ROLE", "role", 1, func(m *etcd.MemberRow, _ time.Time) (string, theme.Style) { return memberRole(g, m) }),
		col("STATUS", "status", 1, func(m *etcd.MemberRow, now time.Time) (string, theme.Style) { return memberStatus(g, m, now) }),
		count("TERM", "term", 6, func(m *etcd.MemberRow) float64 { return float64(m.Term) }),
		count("COMMIT", "commitIndex", 10, func(m *etcd.MemberRow) float64 { return float64(m.CommitIndex) }),
		count("APPLIED", "appliedIndex", 10, func(m *etcd.MemberRow) float64 { return float64(m.AppliedIndex) }),
		num("LAG", "lag", 2, func(m *etcd.MemberRow) float64 { return float64(m.Lag) }, func(m *etcd.MemberRow) (string, theme.Style) {
			return lagCell(g, m)
		}),
		count("REVISION", "revision", 9, func(m *etcd.MemberRow) float64 { return float64(m.Revision) }),
		num("DB SIZE", "dbSize", 3, func(m *etcd.MemberRow) float64 { return float64(m.DBSize) }, func(m *etcd.MemberRow) (string, theme.Style) {
			return Bytes(m.DBSize), theme.Default
		}),
		num("FRAG", "fragmentation", 7, fragmentation, func(m *etcd.MemberRow) (string, theme.Style) {
			switch {
			case m.DBSizeInUse == 0:
				return "-", theme.Dim
			case fragmented(m):
				return percentText(fragmentation(m)), theme.Warn
			}
			return percentText(fragmentation(m)), theme.Default
		}),
		num("QUOTA", "quotaUsed", 4, quotaUsed, func(m *etcd.MemberRow) (string, theme.Style) {
			switch p := quotaUsed(m); {
			case memberQuota(m) <= 0:
				return "?", theme.Dim
			case p >= 0.95:
				return percentText(p), theme.Bad
			case p >= 0.8:
				return percentText(p), theme.Warn
			default:
				return percentText(p), theme.Default
			}
		}),
		num("FULL IN", "quotaSecondsLeft", 8, untilQuota, func(m *etcd.MemberRow) (string, theme.Style) {
			if g := m.Growth; g.Known && g.UntilQuota > 0 {
				_, style := growthText(m)
				return Age(g.UntilQuota), style
			}
			return "-", theme.Dim
		}),
		metricColumn(num, "FSYNC", "walFsyncP99Seconds", 5, etcd.FsyncWarning, func(x *etcd.Metrics) *time.Duration { return x.FsyncP99 }),
		metricColumn(num, "COMMIT99", "backendCommitP99Seconds", 8, etcd.CommitWarning, func(x *etcd.Metrics) *time.Duration { return x.CommitP99 }),
		metricColumn(num, "PEER RTT", "peerRoundTripP99Seconds", 7, etcd.PeerRTTWarning, func(x *etcd.Metrics) *time.Duration { return x.PeerRTTP99 }),
		col("VERSION", "version", 6, func(m *etcd.MemberRow, _ time.Time) (string, theme.Style) { return m.Version, theme.Default }).most(16),
		readColumn(col, "RTT SER", "serializableRTT", 8, func(m *etcd.MemberRow) etcd.ReadProbe { return m.Serializable }),
		readColumn(col, "RTT LIN", "linearizableRTT", 3, func(m *etcd.MemberRow) etcd.ReadProbe { return m.Linearizable }),
		certColumn(col),
		col("ENDPOINT", "endpoint", 8, func(m *etcd.MemberRow, _ time.Time) (string, theme.Style) { return m.Endpoint, theme.Default }).most(48),
		col("ID", "id", 12, func(m *etcd.MemberRow, _ time.Time) (string, theme.Style) {
			if m.MemberID == 0 {
				return "-", theme.Dim
			}
			return m.ID(), theme.Dim
		}),
		col("ERRORS", "errors", 9, func(m *etcd.MemberRow, _ time.Time) (string, theme.Style) {
			return strings.Join(memberErrors(m), "; "), theme.Bad
		}).flex().least(12),
		col("STORAGE", "storageVersion", 10, func(m *etcd.MemberRow, _ time.Time) (string, theme.Style) {
			return firstOf(m.StorageVersion, "-"), theme.Default
		}).wide(),
		col("PEER URLS", "peerURLs", 11, func(m *etcd.MemberRow, _ time.Time) (string, theme.Style) {
			return strings.Join(m.PeerURLs, ","), theme.Default
		}).wide().most(64),
		counterColumn(num, "PENDING", "proposalsPending", func(x *etcd.Metrics) counted {
			return gaugeOf(x, func(x *etcd.Metrics) *uint64 { return x.ProposalsPending })
		}),
		counterColumn(num, "FAILED", "proposalsFailed", func(x *etcd.Metrics) counted {
			return counterOf(x, func(x *etcd.Metrics) *etcd.Counter { return x.ProposalsFailed })
		}),
		counterColumn(num, "SLOW APPLIES", "slowApplies", func(x *etcd.Metrics) counted {
			return counterOf(x, func(x *etcd.Metrics) *etcd.Counter { return x.SlowApplies })
		}),
		counterColumn(num, "HB FAILED", "heartbeatFailures", func(x *etcd.Metrics) counted {
			return counterOf(x, func(x *etcd.Metrics) *etcd.Counter { return x.HeartbeatFailures })
		}),
		counterColumn(num, "LEADERS", "leaderChanges", func(x *etcd.Metrics) counted {
			return counterOf(x, func(x *etcd.Metrics) *etcd.Counter { return x.LeaderChanges })
		}),
	}
}

// lagWarning is a lag that is worth a look: entries. A busy etcd writes some hundred a second, and a member is asked once a second.
const lagWarning = 1000

// readColumn shows how long a read took, or that it failed.
func readColumn(
	col func(string, string, int, func(*etcd.MemberRow, time.Time) (string, theme.Style)) Column, title, key string, priority int,
	get func(*etcd.MemberRow) etcd.ReadProbe,
) Column {
	c := col(title, key, priority, func(m *etcd.MemberRow, _ time.Time) (string, theme.Style) {
		switch p := get(m); {
		case p.At.IsZero():
			return "-", theme.Dim
		case p.Err != "":
			return "failed", theme.Bad
		default:
			return rtt(p.RTT), theme.Default
		}
	})
	c.Align = draw.Right
	c.Compare = func(a, b watchers.Row) int {
		return cmp.Compare(get(a.(*etcd.MemberRow)).RTT, get(b.(*etcd.MemberRow)).RTT)
	}
	return c
}

// rtt is the time of a round trip: 0.3ms, 12ms, 1.4s.
func rtt(d time.Duration) string {
	ms := float64(d) / float64(time.Millisecond)
	switch {
	case ms < 10:
		return fmt.Sprintf("%.1fms", ms)
	case ms < 1000:
		return fmt.Sprintf("%.0fms", ms)
	}
	return fmt.Sprintf("%.1fs", ms/1000)
}

func quotaUsed(m *etcd.MemberRow) float64 {
	q := memberQuota(m)
	if q <= 0 {
		return 0
	}
	return float64(m.DBSize) / float64(q)
}

// memberRole is the member's part, or what it was when it last answered.
func memberRole(g *theme.Glyphs, m *etcd.MemberRow) (string, theme.Style) {
	switch m.Role {
	case etcd.Leader:
		return string(g.Cell) + " leader", theme.Info
	case etcd.Follower:
		return string(g.CellEmpty) + " follower", theme.Default
	case etcd.Learner:
		return string(g.Pending) + " learner", theme.Pending
	case etcd.Unstarted:
		return string(g.Pending) + " unstarted", theme.Pending
	case etcd.NoLeader:
		return string(g.Unknown) + " no leader", theme.Bad
	}
	if m.LastRole == "" {
		return string(g.Unknown) + " unknown", theme.Dim
	}
	return string(g.Gone) + " was " + string(m.LastRole), theme.Dim
}

// memberStatus says in a word or two whether the member is all right.
func memberStatus(g *theme.Glyphs, m *etcd.MemberRow, now time.Time) (string, theme.Style) {
	bad := func(text string) (string, theme.Style) { return string(g.Bad) + " " + text, theme.Bad }
	switch {
	case !m.Polled:
		return string(g.Pending) + " asking", theme.Pending
	case m.Role == etcd.Unstarted:
		return string(g.Pending) + " not joined", theme.Pending
	case m.Role == etcd.Denied: // it answers: its reads are measured
		return string(g.Warn) + " denied", theme.Warn
	case !m.Reachable && m.LastSeen.IsZero():
		return bad("unreachable")
	case !m.Reachable:
		return bad("unreachable " + Age(max(0, now.Sub(m.LastSeen))))
	case m.Role == etcd.NoLeader:
		return bad("no leader")
	}
	for _, e := range m.Errors {
		if strings.Contains(e, "alarm:") {
			return bad("alarm")
		}
	}
	switch {
	case len(m.Errors) > 0:
		return string(g.Warn) + " errors", theme.Warn
	case m.Serializable.Err != "":
		return string(g.Warn) + " reads fail", theme.Warn
	case m.Linearizable.Err != "" && !m.IsLearner:
		return string(g.Warn) + " stale reads", theme.Warn
	}
	return string(g.Good) + " healthy", theme.Good
}
