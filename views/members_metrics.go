package views

import (
	"cmp"
	"fmt"
	"math"
	"time"

	"fathom/internal/safe"
	"fathom/theme"
	"fathom/ui/draw"
	"fathom/watchers"
	"fathom/watchers/etcd"
)

// counted is a number of the metrics: how many since the process started, and of those how many lately.
type counted struct {
	total, recent uint64
	known         bool
	gauge         bool // there is no total and recent, only now
}

func gaugeOf(x *etcd.Metrics, get func(*etcd.Metrics) *uint64) counted {
	if x == nil || get(x) == nil {
		return counted{}
	}
	return counted{total: *get(x), known: true, gauge: true}
}

func counterOf(x *etcd.Metrics, get func(*etcd.Metrics) *etcd.Counter) counted {
	if x == nil || get(x) == nil {
		return counted{}
	}
	c := get(x)
	return counted{total: c.Total, recent: c.Recent, known: true}
}

// countSpans are pairs of a name and a counted: "0 pending, 3 failed (2 lately)".
func (p *members) countSpans(m *etcd.MemberRow, pairs ...any) []draw.Span {
	if m.Metrics == nil {
		return []draw.Span{{Text: safe.Lit(noMetrics), Style: theme.Dim}}
	}
	var out []draw.Span
	for i := 0; i+1 < len(pairs); i += 2 {
		name, c := pairs[i].(string), pairs[i+1].(counted)
		if i > 0 {
			out = append(out, draw.Span{Text: safe.Lit(", "), Style: theme.Dim})
		}
		style, text := theme.Default, fmt.Sprintf("%d %s", c.total, name)
		switch {
		case !c.known:
			style, text = theme.Dim, name+" not told"
		case c.recent > 0:
			style, text = theme.Warn, fmt.Sprintf("%s (%d lately)", text, c.recent)
		}
		out = append(out, draw.Span{Text: safe.String(text), Style: style})
	}
	return out
}

// certSpans say when the member's certificates end.
func (p *members) certSpans(m *etcd.MemberRow, now time.Time) []draw.Span {
	if len(m.Certs) == 0 {
		return []draw.Span{{Text: safe.Lit("not seen yet, or there is no TLS"), Style: theme.Dim}}
	}
	var out []draw.Span
	for i, c := range m.Certs {
		if i > 0 {
			out = append(out, draw.Span{Text: safe.Lit(", "), Style: theme.Dim})
		}
		text, style := certText(c, now)
		out = append(out, draw.Span{Text: safe.String(string(c.Use) + " " + text), Style: style})
	}
	return out
}

// certText says when a certificate ends: "ends in 364d".
func certText(c etcd.Certificate, now time.Time) (string, theme.Style) {
	switch left := c.NotAfter.Sub(now); {
	case c.NotAfter.IsZero() && c.Why == "":
		return "not seen yet", theme.Dim
	case c.NotAfter.IsZero():
		return "not known: " + c.Why, theme.Dim
	case left <= 0:
		return "ended " + Age(-left) + " ago", theme.Bad
	case left < etcd.CertCritical:
		return "ends in " + Age(left), theme.Bad
	case left < etcd.CertWarning:
		return "ends in " + Age(left), theme.Warn
	default:
		return "ends in " + Age(left), theme.Default
	}
}

// firstEnd is the certificate of a use that ends first; its NotAfter is zero when none is known.
func firstEnd(certs []etcd.Certificate, uses ...etcd.CertUse) (out etcd.Certificate) {
	for _, c := range certs {
		for _, u := range uses {
			if c.Use == u && !c.NotAfter.IsZero() && (out.NotAfter.IsZero() || c.NotAfter.Before(out.NotAfter)) {
				out = c
			}
		}
	}
	return out
}

// fragmentation is the part of the file that a defragmentation would give back; 0: not known, or none.
func fragmentation(m *etcd.MemberRow) float64 {
	if m.DBSize <= 0 || m.DBSizeInUse <= 0 || m.DBSizeInUse > m.DBSize {
		return 0
	}
	return 1 - float64(m.DBSizeInUse)/float64(m.DBSize)
}

// fragmented reports whether that is worth a defragmentation: more than half of a file that is not small (contrib/mixin,
// etcdDatabaseHighFragmentationRatio).
func fragmented(m *etcd.MemberRow) bool { return fragmentation(m) > 0.5 && m.DBSize > 100<<20 }

// lagCell is the lag and where it goes.
func lagCell(g *theme.Glyphs, m *etcd.MemberRow) (string, theme.Style) {
	text, style := fmt.Sprint(m.Lag), theme.Default
	if m.Lag > lagWarning {
		style = theme.Warn
	}
	if v, ok := m.LagTrend(); ok && m.Reachable {
		switch {
		case v >= 1:
			text += string(g.SortAsc)
		case v <= -1:
			text += string(g.SortDesc)
		}
	}
	return text, style
}

// untilQuota orders by the time until the quota; what does not grow is last.
func untilQuota(m *etcd.MemberRow) float64 {
	if g := m.Growth; g.Known && g.UntilQuota > 0 {
		return g.UntilQuota.Seconds()
	}
	return math.Inf(1)
}

// numColumn makes a column of numbers; see memberColumns.
type numColumn func(title, key string, priority int, get func(*etcd.MemberRow) float64, f func(*etcd.MemberRow) (string, theme.Style)) Column

// metricColumn shows a quantile of the metrics.
func metricColumn(num numColumn, title, key string, priority int, warn time.Duration, get func(*etcd.Metrics) *time.Duration) Column {
	value := func(m *etcd.MemberRow) float64 {
		if m.Metrics == nil || get(m.Metrics) == nil {
			return -1
		}
		return float64(*get(m.Metrics))
	}
	return num(title, key, priority, value, func(m *etcd.MemberRow) (string, theme.Style) {
		switch {
		case m.Metrics == nil && m.MetricsWhy != "":
			return noMetrics, theme.Dim
		case m.Metrics == nil || get(m.Metrics) == nil:
			return "-", theme.Dim
		}
		d := *get(m.Metrics)
		if d >= warn {
			return rtt(d), theme.Warn
		}
		return rtt(d), theme.Default
	})
}

// counterColumn shows a counter of the metrics, in the wide layout.
func counterColumn(num numColumn, title, key string, get func(*etcd.Metrics) counted) Column {
	value := func(m *etcd.MemberRow) float64 {
		if c := get(m.Metrics); c.known {
			return float64(c.total)
		}
		return -1
	}
	return num(title, key, 13, value, func(m *etcd.MemberRow) (string, theme.Style) {
		c := get(m.Metrics)
		switch {
		case m.Metrics == nil && m.MetricsWhy != "":
			return noMetrics, theme.Dim
		case !c.known:
			return "-", theme.Dim
		case c.recent > 0:
			return fmt.Sprint(c.total), theme.Warn
		}
		return fmt.Sprint(c.total), theme.Default
	}).wide()
}

// certColumn shows when the first of a member's certificates ends.
func certColumn(col func(string, string, int, func(*etcd.MemberRow, time.Time) (string, theme.Style)) Column) Column {
	c := col("CERTS", "certNotAfter", 8, func(m *etcd.MemberRow, now time.Time) (string, theme.Style) {
		first := firstEnd(m.Certs, etcd.CertServer, etcd.CertPeer)
		if first.NotAfter.IsZero() {
			return "-", theme.Dim
		}
		_, style := certText(first, now)
		if left := first.NotAfter.Sub(now); left > 0 {
			return Age(left), style
		}
		return "ended", style
	})
	c.Align, c.Text = draw.Right, noText
	c.Compare = func(a, b watchers.Row) int {
		end := func(r watchers.Row) int64 {
			if t := firstEnd(r.(*etcd.MemberRow).Certs, etcd.CertServer, etcd.CertPeer).NotAfter; !t.IsZero() {
				return t.Unix()
			}
			return math.MaxInt64
		}
		return cmp.Compare(end(a), end(b))
	}
	return c
}
