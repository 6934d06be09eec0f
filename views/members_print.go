package views

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"fathom/watchers"
	"fathom/watchers/etcd"
)

// memberKeys are the fields in JSON. Scripts rely on them and on their order.
var memberKeys = []string{"name", "id", "endpoint", "role", "term", "commitIndex", "appliedIndex", "lag", "revision", "dbSize",
	"dbSizeInUse", "quota", "version", "storageVersion", "reachable", "errors", "peerUrls", "isLearner", "lagPerSecond", "fragmentation",
	"growthBytesPerSecond", "quotaSecondsLeft", "serializableReadSeconds", "linearizableReadSeconds", "peerRoundTripP99Seconds",
	"walFsyncP99Seconds", "backendCommitP99Seconds", "proposalsPending", "proposalsFailed", "slowApplies", "heartbeatFailures", "leaderChanges",
	"clientCertNotAfter", "peerCertNotAfter", "metrics"}

func memberValues(m *etcd.MemberRow) []any {
	id := ""
	if m.MemberID != 0 {
		id = m.ID()
	}
	return []any{m.Name, id, m.Endpoint, string(m.Role), m.Term, m.CommitIndex, m.AppliedIndex, m.Lag, m.Revision, m.DBSize,
		m.DBSizeInUse, memberQuota(m), m.Version, m.StorageVersion, m.Reachable, memberErrors(m), append([]string{}, m.PeerURLs...), m.IsLearner, lagPerSecond(m),
		known(fragmentation(m), m.DBSizeInUse > 0), known(m.Growth.BytesPerSecond, m.Growth.Known),
		known(m.Growth.UntilQuota.Seconds(), m.Growth.Known && m.Growth.UntilQuota > 0),
		known(m.Serializable.RTT.Seconds(), m.Serializable.OK()), known(m.Linearizable.RTT.Seconds(), m.Linearizable.OK()),
		quantile(m.Metrics, func(x *etcd.Metrics) *time.Duration { return x.PeerRTTP99 }),
		quantile(m.Metrics, func(x *etcd.Metrics) *time.Duration { return x.FsyncP99 }),
		quantile(m.Metrics, func(x *etcd.Metrics) *time.Duration { return x.CommitP99 }),
		gaugeOf(m.Metrics, func(x *etcd.Metrics) *uint64 { return x.ProposalsPending }).value(),
		counterOf(m.Metrics, func(x *etcd.Metrics) *etcd.Counter { return x.ProposalsFailed }).value(),
		counterOf(m.Metrics, func(x *etcd.Metrics) *etcd.Counter { return x.SlowApplies }).value(),
		counterOf(m.Metrics, func(x *etcd.Metrics) *etcd.Counter { return x.HeartbeatFailures }).value(),
		counterOf(m.Metrics, func(x *etcd.Metrics) *etcd.Counter { return x.LeaderChanges }).value(),
		timeValue(firstEnd(m.Certs, etcd.CertServer).NotAfter), timeValue(firstEnd(m.Certs, etcd.CertPeer).NotAfter), metricsState(m)}
}

// known is null in JSON for what is not known.
func known(v float64, ok bool) any {
	if !ok || math.IsNaN(v) || math.IsInf(v, 0) {
		return nil
	}
	return v
}

func lagPerSecond(m *etcd.MemberRow) any {
	v, ok := m.LagTrend()
	return known(math.Round(v*10)/10, ok)
}

func quantile(x *etcd.Metrics, get func(*etcd.Metrics) *time.Duration) any {
	if x == nil || get(x) == nil {
		return nil
	}
	return get(x).Seconds()
}

func (c counted) value() any {
	if !c.known {
		return nil
	}
	return c.total
}

// metricsState is where the metrics come from, or why there are none.
func metricsState(m *etcd.MemberRow) string {
	switch {
	case m.Metrics != nil:
		return m.Metrics.URL
	case m.MetricsWhy != "":
		return noMetrics + ": " + m.MetricsWhy
	}
	return noMetrics + " yet"
}

// memberErrors are what a member complains of and what we complain of; never nil.
func memberErrors(m *etcd.MemberRow) []string {
	out := append([]string{}, m.Errors...)
	if m.Reachable {
		if e := m.Serializable.Err; e != "" {
			out = append(out, "serializable read: "+e)
		}
		if e := m.Linearizable.Err; e != "" && !m.IsLearner {
			out = append(out, "linearizable read: "+e)
		}
	}
	return out
}

// printPatience is how long print waits, once every member has answered or did not, for the first reading of metrics and certificates.
const printPatience = 3 * time.Second

// awaited reports whether a member has still to be asked for its metrics or certificates.
func awaited(s *etcd.Snapshot) bool {
	return slices.ContainsFunc(s.Members, func(m *etcd.MemberRow) bool {
		return m.Reachable && m.MemberID != 0 && (m.Metrics == nil && m.MetricsWhy == "" || len(m.Certs) == 0 && strings.HasPrefix(m.Endpoint, "https:"))
	})
}

// Print implements Printer: once every member has answered or did not in time.
func (p *members) Print(wide bool) (Printed, bool, error) {
	if st := p.State(); st.Phase == watchers.Unsupported && !p.snap.Kine {
		return Printed{}, false, fmt.Errorf("not available: %s", st.Why)
	}
	if !p.snap.Polled {
		return Printed{}, false, nil
	}
	now := p.env.Now()
	if p.polled.IsZero() {
		p.polled = now
	}
	if now.Sub(p.polled) < printPatience && awaited(p.snap) {
		return Printed{}, false, nil
	}
	out := Printed{Keys: memberKeys}
	cols := slices.DeleteFunc(slices.Clone(p.all), func(c Column) bool { return c.Wide && !wide })
	for _, c := range cols {
		out.Titles = append(out.Titles, c.Title)
	}
	for _, m := range p.rows {
		cells := make([]string, len(cols))
		for i := range cols {
			cells[i], _ = cols[i].Cell(m, now)
		}
		out.Rows = append(out.Rows, cells)
		out.Values = append(out.Values, memberValues(m))
	}
	return out, true, nil
}
