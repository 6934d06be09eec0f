package views

import (
	"fmt"
	"math"
	"strings"
	"time"

	"fathom/internal/safe"
	"fathom/theme"
	"fathom/ui/chart"
	"fathom/ui/draw"
	"fathom/watchers/etcd"
)

// noMetrics is what stands in the place of a number that a member's metrics would tell. It is never 0.
const noMetrics = "no metrics"

// drawDetail shows one member: what it is, how it did in the last two minutes, what happens if it goes. It returns how many lines it took.
func (p *members) drawDetail(a draw.Area, m *etcd.MemberRow, now time.Time) int {
	if a.H() <= 0 {
		return 0
	}
	f := p.memberFacts(m, a.W(), a.H(), now)
	body := a.Sub(draw.Rect{Y: 1, W: a.W(), H: a.H() - 1})
	from, right := 0, safe.Text{}
	if more := len(f.lines) > body.H(); p.zoomed {
		p.scroll = f.clamp(p.scroll, body.H())
		if from = p.scroll; more {
			right = safe.Sprintf("%d-%d of %d, PgDn", from+1, from+body.H(), len(f.lines))
		}
	} else if more {
		right = safe.Lit("Enter: all of it")
	}
	rule(a, p.env.Theme, 0, safe.Sprintf("%s %s", m.GetName(), string(m.Role)), right)
	f.draw(body, p.env.Theme, from)
	return 1 + min(len(f.lines), body.H())
}

// memberFacts are the lines about a member, for a part of w by h cells. Those that are always there come first and keep their place.
func (p *members) memberFacts(m *etcd.MemberRow, w, h int, now time.Time) *facts {
	f := &facts{width: w, label: 13}
	seen := !m.LastSeen.IsZero()
	if errs := memberErrors(m); len(errs) == 0 {
		f.text("errors", theme.Dim, "none")
	} else {
		name := "errors"
		for _, e := range errs {
			f.text(name, theme.Bad, strings.TrimSpace(e))
			name = ""
		}
	}
	if text := p.snap.IfGone(m.ID()); text != "" {
		style := theme.Default
		if p.snap.Quorum.CanLose == 0 && m.Reachable && !m.IsLearner {
			style = theme.Warn
		}
		if h < 16 && !p.zoomed { // one line of it, so that the measures below have room
			f.spans("quorum", draw.Span{Text: safe.String(text), Style: style})
		} else {
			f.text("quorum", style, text)
		}
	}
	if seen {
		p.databaseFacts(f, m)
	}
	p.sparkFacts(f, m)
	x := m.Metrics
	f.spans("proposals", p.countSpans(m, "pending", gaugeOf(x, func(x *etcd.Metrics) *uint64 { return x.ProposalsPending }),
		"failed", counterOf(x, func(x *etcd.Metrics) *etcd.Counter { return x.ProposalsFailed }),
		"slow applies", counterOf(x, func(x *etcd.Metrics) *etcd.Counter { return x.SlowApplies }))...)
	f.spans("leadership", p.countSpans(m, "heartbeats failed", counterOf(x, func(x *etcd.Metrics) *etcd.Counter { return x.HeartbeatFailures }),
		"leader changes", counterOf(x, func(x *etcd.Metrics) *etcd.Counter { return x.LeaderChanges }))...)
	f.spans("certificates", p.certSpans(m, now)...)
	if seen {
		f.text("raft", theme.Default, fmt.Sprintf("term %d, commit %d, applied %d; revision %d", m.Term, m.CommitIndex, m.AppliedIndex, m.Revision))
		version := fmt.Sprintf("%s, storage %s", firstOf(m.Version, "not told"), firstOf(m.StorageVersion, "not told (etcd tells it from 3.6 on)"))
		if m.Downgrade != "" {
			version += fmt.Sprintf(", a downgrade to %s is enabled", m.Downgrade)
		}
		f.text("version", theme.Default, version)
	}
	f.text("endpoint", theme.Default, m.Endpoint)
	id := "not known: it has never answered"
	if m.MemberID != 0 {
		id = m.ID()
	}
	f.text("id", theme.Default, id)
	if len(m.PeerURLs) > 0 {
		f.text("peer URLs", theme.Default, strings.Join(m.PeerURLs, " "))
	}
	if m.Reachable {
		f.text("status", theme.Default, fmt.Sprintf("answered within %s, %s ago", rtt(m.StatusRTT), Age(max(0, now.Sub(m.LastSeen)))))
	}
	f.metricsFacts(p.snap, m, now)
	return f
}

// metricsFacts say where the metrics come from, and what else they tell.
func (f *facts) metricsFacts(s *etcd.Snapshot, m *etcd.MemberRow, now time.Time) {
	x := m.Metrics
	switch {
	case x == nil && m.MetricsWhy == "":
		f.text("metrics", theme.Dim, "not asked for yet")
		return
	case x == nil:
		f.text("metrics", theme.Warn, noMetrics+": "+m.MetricsWhy)
		return
	case m.MetricsWhy != "":
		f.text("metrics", theme.Warn, fmt.Sprintf("those of %s ago: %s", Age(max(0, now.Sub(x.At))), m.MetricsWhy))
	default:
		f.text("metrics", theme.Default, fmt.Sprintf("%s, read %s ago, p99 of the last %s", x.URL, Age(max(0, now.Sub(x.At))), Age(x.Over)))
	}
	if len(x.Peers) > 0 {
		var parts []string
		for _, r := range x.Peers {
			name := fmt.Sprintf("%x", r.Member)
			if i, ok := s.Find(name); ok {
				name = s.Members[i].GetName()
			}
			text := "nothing observed"
			if r.P99 != nil {
				text = rtt(*r.P99)
			}
			parts = append(parts, name+" "+text)
		}
		f.text("peers p99", theme.Default, strings.Join(parts, ", "))
	}
	var parts []string
	if !x.Started.IsZero() {
		parts = append(parts, "up for "+Age(max(0, now.Sub(x.Started))))
	}
	if x.ResidentBytes != nil {
		parts = append(parts, Bytes(int64(*x.ResidentBytes))+" of memory")
	}
	if x.Keys != nil {
		parts = append(parts, Count(int(*x.Keys))+" keys")
	}
	if x.CompactRevision != nil {
		parts = append(parts, fmt.Sprintf("compacted at %d", *x.CompactRevision))
	}
	if x.SlowWatchers != nil && *x.SlowWatchers > 0 {
		parts = append(parts, fmt.Sprintf("%d slow watchers", *x.SlowWatchers))
	}
	if len(parts) > 0 {
		f.text("process", theme.Default, strings.Join(parts, ", "))
	}
}

// databaseFacts are the bar of the quota, and below it how much of the file is in use and when it is full.
func (p *members) databaseFacts(f *facts, m *etcd.MemberRow) {
	quota := memberQuota(m)
	if quota > 0 {
		f.gauge("database", chart.Gauge{Value: float64(m.DBSize), Total: float64(quota), WarnAt: 0.8, BadAt: 0.95,
			Label: safe.Sprintf("%s of %s (%s)", Bytes(m.DBSize), Bytes(quota), percentText(float64(m.DBSize)/float64(quota)))})
	} else {
		f.text("database", theme.Default, Bytes(m.DBSize)+", quota not known (etcd tells it from 3.6 on, its metrics before)")
	}
	var spans []draw.Span
	say := func(style theme.Style, text string) {
		if len(spans) > 0 {
			spans = append(spans, draw.Span{Text: safe.Lit(", "), Style: theme.Dim})
		}
		spans = append(spans, draw.Span{Text: safe.String(text), Style: style})
	}
	if m.DBSizeInUse > 0 {
		style := theme.Default
		if fragmented(m) {
			style = theme.Warn
		}
		say(theme.Default, Bytes(m.DBSizeInUse)+" in use")
		say(style, percentText(fragmentation(m))+" fragmented")
	}
	text, style := growthText(m)
	say(style, text)
	f.spans("", spans...)
}

// growthText says whether the database grows and when it is full.
func growthText(m *etcd.MemberRow) (string, theme.Style) {
	switch g := m.Growth; {
	case !g.Known:
		return "growth not known yet", theme.Dim
	case g.BytesPerSecond <= 0:
		return "does not grow", theme.Default
	case g.UntilQuota <= 0:
		return fmt.Sprintf("grows %s/min", Bytes(int64(g.BytesPerSecond*60))), theme.Default
	default:
		style := theme.Default
		switch {
		case g.UntilQuota < 4*time.Hour: // as etcd's own alert looks ahead (contrib/mixin, predict_linear)
			style = theme.Bad
		case g.UntilQuota < 3*24*time.Hour:
			style = theme.Warn
		}
		return fmt.Sprintf("grows %s/min: full in %s", Bytes(int64(g.BytesPerSecond*60)), Age(g.UntilQuota)), style
	}
}

// memberQuota is the quota, from the status or the metrics; 0: not known.
func memberQuota(m *etcd.MemberRow) int64 {
	if m.Quota > 0 {
		return m.Quota
	}
	if x := m.Metrics; x != nil && x.QuotaBytes != nil {
		return int64(*x.QuotaBytes)
	}
	return 0
}

func percentText(p float64) string {
	switch {
	case p > 0 && p < 0.01:
		return "<1%"
	case p < 1 && p > 0.99:
		return "99%"
	}
	return fmt.Sprintf("%.0f%%", 100*p)
}

// spark is one measure of the history.
type spark struct {
	name string
	get  func(*etcd.Sample) float64 // NaN: not known
	text func(float64) string
	warn float64 // from which on it is a warning; 0: never
	lack string  // what is said when the newest value is not known
	more func() (string, theme.Style)
}

// sparkFacts adds a line for each measure of the last two minutes.
func (p *members) sparkFacts(f *facts, m *etcd.MemberRow) {
	duration := func(get func(*etcd.Sample) time.Duration) func(*etcd.Sample) float64 {
		return func(s *etcd.Sample) float64 {
			if v := get(s); v > 0 {
				return float64(v)
			}
			return math.NaN()
		}
	}
	ms := func(v float64) string { return rtt(time.Duration(v)) }
	metric := func(name string, get func(*etcd.Sample) time.Duration, warn time.Duration, now func(*etcd.Metrics) *time.Duration) spark {
		return spark{name: name, get: duration(get), text: ms, warn: float64(warn), lack: lackOf(m, now)}
	}
	reads := "read"
	for _, s := range []spark{
		{name: "lag", get: func(s *etcd.Sample) float64 { return float64(s.Lag) }, text: func(v float64) string { return fmt.Sprintf("%.0f", v) },
			warn: lagWarning, lack: "not known", more: func() (string, theme.Style) { return trendText(m) }},
		{name: reads, get: duration(func(s *etcd.Sample) time.Duration { return s.RTT }), text: ms, lack: "failed", more: func() (string, theme.Style) {
			return "serializable " + readText(m.Serializable), theme.Default
		}},
		metric("fsync p99", func(s *etcd.Sample) time.Duration { return s.FsyncP99 }, etcd.FsyncWarning, func(x *etcd.Metrics) *time.Duration { return x.FsyncP99 }),
		metric("commit p99", func(s *etcd.Sample) time.Duration { return s.CommitP99 }, etcd.CommitWarning, func(x *etcd.Metrics) *time.Duration { return x.CommitP99 }),
		metric("peer RTT p99", func(s *etcd.Sample) time.Duration { return s.PeerRTTP99 }, etcd.PeerRTTWarning, func(x *etcd.Metrics) *time.Duration { return x.PeerRTTP99 }),
		{name: "db size", get: func(s *etcd.Sample) float64 { return float64(s.DBSize) }, text: func(v float64) string { return Bytes(int64(v)) }, lack: "not known"},
	} {
		f.spans(s.name, p.sparkSpans(f, m, &s)...)
	}
}

// sparkSpans are a sparkline, the newest value and the highest of those shown. It looks at no more of the history than it shows.
func (p *members) sparkSpans(f *facts, m *etcd.MemberRow, s *spark) []draw.Span {
	const number = 36
	w := max(0, min(f.room()-number, etcd.HistoryLen))
	if w < 8 {
		w = 0
	}
	h := m.History[max(0, len(m.History)-max(w, 1)):]
	values := make([]float64, len(h))
	high, known := math.NaN(), false
	for i := range h {
		values[i] = math.NaN()
		if h[i].OK {
			values[i] = s.get(&h[i])
		}
		if v := values[i]; !math.IsNaN(v) {
			known = true
			if !(v <= high) {
				high = v
			}
		}
	}
	last := math.NaN()
	if len(values) > 0 {
		last = values[len(values)-1]
	}
	var out []draw.Span
	say := func(style theme.Style, text string) {
		out = append(out, draw.Span{Text: safe.String(text), Style: style})
	}
	if w > 0 && known {
		line := chart.Spark(p.env.Theme, values, w)
		if n := line.Width(); n < w { // the newest at the right, so that the numbers stand under each other
			say(theme.Default, strings.Repeat(" ", w-n))
		}
		out = append(out, draw.Span{Text: line, Style: theme.BarFill})
		say(theme.Default, " ")
	}
	style := theme.Default
	switch {
	case math.IsNaN(last) && !m.Reachable:
		say(theme.Dim, "-")
	case math.IsNaN(last):
		say(theme.Dim, s.lack)
	default:
		if s.warn > 0 && last >= s.warn {
			style = theme.Warn
		}
		say(style, s.text(last))
	}
	if known {
		say(theme.Dim, " max "+s.text(high))
	}
	if s.more != nil {
		if text, st := s.more(); text != "" && m.Reachable {
			say(st, " "+text)
		}
	}
	return out
}

// lackOf says why a number of the metrics is not there.
func lackOf(m *etcd.MemberRow, get func(*etcd.Metrics) *time.Duration) string {
	switch x := m.Metrics; {
	case x == nil && m.MetricsWhy == "":
		return "not asked yet"
	case x == nil:
		return noMetrics
	case get(x) == nil && x.Over == 0:
		return "after the next reading"
	case get(x) == nil:
		return "nothing in the last " + Age(x.Over)
	}
	return rtt(*get(m.Metrics)) + " then" // the newest reading failed
}

// trendText says whether a lag grows.
func trendText(m *etcd.MemberRow) (string, theme.Style) {
	v, ok := m.LagTrend()
	switch {
	case !ok || math.Abs(v) < 1:
		return "", theme.Dim
	case v > 0:
		return fmt.Sprintf("growing %.0f/s", v), theme.Warn
	default:
		return fmt.Sprintf("catching up %.0f/s", -v), theme.Good
	}
}

func readText(r etcd.ReadProbe) string {
	switch {
	case r.At.IsZero():
		return "not asked yet"
	case r.Err != "":
		return "failed"
	}
	return rtt(r.RTT)
}
