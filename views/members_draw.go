package views

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/charmbracelet/x/ansi"

	"fathom/internal/safe"
	"fathom/theme"
	"fathom/ui/chart"
	"fathom/ui/draw"
	"fathom/watchers/etcd"
)

// leastDetail is the least number of lines that the part about the selected member is worth, its rule included.
const leastDetail = 6

// Draw implements Pane: the quorum above, the members, and below them, when there is room, more about the selected one.
func (p *members) Draw(a draw.Area, focused bool) {
	p.table.SetEmpty(p.emptyText())
	if p.env.Etcd == nil || p.snap.Gen == 0 || p.snap.Kine && len(p.snap.Members) == 0 {
		p.tableY = 0
		p.table.Draw(a, focused)
		return
	}
	now := p.env.Now()
	y := p.drawSummary(a, now)
	if m := p.selected(); m != nil && p.zoomed {
		p.drawDetail(a.Sub(draw.Rect{Y: y, W: a.W(), H: a.H() - y}), m, now)
		return
	}
	p.tableY = y
	rows := max(len(p.rows), 1) + 1 // with its header
	rest := a.H() - y - rows
	if rest < leastDetail {
		p.table.Draw(a.Sub(draw.Rect{Y: y, W: a.W(), H: a.H() - y}), focused)
		return
	}
	p.table.Draw(a.Sub(draw.Rect{Y: y, W: a.W(), H: rows}), focused)
	if m := p.selected(); m != nil {
		p.drawDetail(a.Sub(draw.Rect{Y: y + rows + 1, W: a.W(), H: rest - 1}), m, now)
	}
}

// selected is the member under the cursor.
func (p *members) selected() *etcd.MemberRow {
	id, _ := p.table.Cursor()
	for _, m := range p.rows {
		if m.ID() == id {
			return m
		}
	}
	return nil
}

// drawSummary says whether the cluster can commit and what is the matter with it, and returns the line after.
func (p *members) drawSummary(a draw.Area, now time.Time) int {
	if a.H() < 8 {
		return 0 // the rows matter more
	}
	q, g := p.snap.Quorum, p.env.Theme.Glyphs()
	sep := draw.Span{Text: safe.String(" " + string(g.Separator) + " "), Style: theme.Dim}
	var spans []draw.Span
	say := func(style theme.Style, format string, args ...any) {
		if len(spans) > 0 {
			spans = append(spans, sep)
		}
		spans = append(spans, draw.Span{Text: safe.String(fmt.Sprintf(format, args...)), Style: style})
	}
	switch {
	case p.snap.Kine:
		say(theme.Warn, "%c %s", g.Warn, q.Why)
	case !q.Has && !p.snap.Polled:
		say(theme.Pending, "%c asking %d members", g.Pending, len(p.snap.Members))
	case !q.Has:
		say(theme.Bad, "%c no quorum %d/%d", g.Bad, q.Reachable, q.Voters)
		say(theme.Bad, "%s", q.Why)
	case q.CanLose < (q.Voters-1)/2:
		say(theme.Warn, "%c quorum %d/%d", g.Warn, q.Reachable, q.Voters)
	default:
		say(theme.Good, "%c quorum %d/%d", g.Good, q.Reachable, q.Voters)
	}
	switch {
	case !q.Has:
	case q.Voters == 1:
		say(theme.Default, "a single member")
	case q.CanLose == 0:
		say(theme.Warn, "none may fail")
	default:
		say(theme.Default, "%d may fail", q.CanLose)
	}
	if !p.snap.Kine {
		if q.Leader == 0 {
			say(theme.Bad, "no leader")
		} else {
			say(theme.Strong, "leader %s", firstOf(q.LeaderName, fmt.Sprintf("%x", q.Leader)))
			say(theme.Default, "for %s", since(now, q.LeaderSince, q.Changes > 0))
		}
		say(theme.Default, "term %d", q.Term)
		say(theme.Dim, "changes %d", q.Changes)
	}
	a.Spans(0, 0, a.W(), spans)
	y := 1
	most := max(1, a.H()/6)
	for i, f := range p.snap.Findings {
		if i == most-1 && len(p.snap.Findings) > most {
			a.Text(2, y, theme.Dim, safe.Sprintf("and %d more findings", len(p.snap.Findings)-i))
			y++
			break
		}
		style := findingLevel(f.Severity)
		glyph := map[theme.Style]rune{theme.Bad: g.Bad, theme.Warn: g.Warn, theme.Info: g.Info}[style]
		x := a.Text(0, y, style, safe.String(string(glyph)+" "))
		age := safe.String(Age(now.Sub(f.Since)))
		a.Sub(draw.Rect{W: max(0, a.W()-age.Width()-1), H: a.H()}).Text(x, y, style, safe.String(f.Text))
		a.TextAligned(a.W()-age.Width(), y, age.Width(), draw.Right, theme.Dim, age)
		y++
	}
	return y + 1
}

// drawDetail shows how one member did in the last two minutes, and its errors in full.
func (p *members) drawDetail(a draw.Area, m *etcd.MemberRow, now time.Time) {
	g := p.env.Theme.Glyphs()
	rule := strings.Repeat(string(g.Horizontal), a.W())
	a.Text(0, 0, theme.Border, safe.String(rule))
	a.Text(2, 0, theme.Title, safe.Sprintf(" %s %s ", m.GetName(), m.Role))
	y := 1
	const label = 12
	line := func(name string, style theme.Style, text string) {
		if y < a.H() {
			a.Text(0, y, theme.Key, safe.String(name))
			a.Text(label, y, style, safe.String(text))
			y++
		}
	}
	line("endpoint", theme.Default, m.Endpoint)
	if m.MemberID != 0 {
		line("id", theme.Default, m.ID())
	}
	if len(m.PeerURLs) > 0 {
		line("peers", theme.Default, strings.Join(m.PeerURLs, " "))
	}
	if m.Reachable {
		line("status", theme.Default, fmt.Sprintf("answered within %s, %s ago", rtt(m.StatusRTT), Age(max(0, now.Sub(m.LastSeen)))))
	}
	if !m.LastSeen.IsZero() {
		line("database", theme.Default, database(m))
	}
	if errs := memberErrors(m); len(errs) > 0 && a.W() > label {
		name := "errors"
		for _, e := range errs {
			for _, l := range strings.Split(ansi.Wrap(safe.String(e).String(), a.W()-label, ""), "\n") {
				line(name, theme.Bad, l)
				name = ""
			}
		}
	}
	p.drawSparks(a, y, label, m)
}

// drawSparks draws one line for each measure of the history.
func (p *members) drawSparks(a draw.Area, y, label int, m *etcd.MemberRow) {
	const number = 28
	w := min(a.W()-label-number, etcd.HistoryLen)
	if w < 8 || len(m.History) == 0 {
		return
	}
	last := m.History[len(m.History)-1]
	reads := "read RTT"
	for _, s := range []struct {
		name string
		get  func(etcd.Sample) float64
		text func(float64) string
		now  float64
	}{
		{reads, func(s etcd.Sample) float64 {
			if s.RTT == 0 {
				return math.NaN()
			}
			return float64(s.RTT)
		}, func(v float64) string { return rtt(time.Duration(v)) }, float64(last.RTT)},
		{"lag", func(s etcd.Sample) float64 { return float64(s.Lag) }, func(v float64) string { return fmt.Sprintf("%.0f", v) }, float64(last.Lag)},
		{"db size", func(s etcd.Sample) float64 { return float64(s.DBSize) }, func(v float64) string { return Bytes(int64(v)) }, float64(last.DBSize)},
	} {
		if y >= a.H() {
			return
		}
		values := make([]float64, 0, len(m.History))
		for _, h := range m.History {
			v := s.get(h)
			if !h.OK {
				v = math.NaN()
			}
			values = append(values, v)
		}
		values = values[max(0, len(values)-w):]
		high := math.NaN()
		for _, v := range values {
			if !math.IsNaN(v) && !(v <= high) {
				high = v
			}
		}
		a.Text(0, y, theme.Key, safe.String(s.name))
		x := a.Text(label, y, theme.BarFill, chart.Spark(p.env.Theme, values, w))
		now := s.text(s.now)
		if !last.OK || s.name == reads && s.now == 0 {
			now = "-"
		}
		x = a.Text(x+1, y, theme.Default, safe.String(now))
		if !math.IsNaN(high) {
			a.Text(x+1, y, theme.Dim, safe.String("max "+s.text(high)))
		}
		y++
	}
}

// database says how large the database is, how much of it is in use, and of what.
func database(m *etcd.MemberRow) string {
	text := Bytes(m.DBSize)
	if m.DBSizeInUse > 0 {
		text += fmt.Sprintf(", in use %s (%.0f%%)", Bytes(m.DBSizeInUse), 100*inUse(m))
	}
	if m.Quota > 0 {
		return text + fmt.Sprintf(", quota %s (%.1f%%)", Bytes(m.Quota), 100*quotaUsed(m))
	}
	return text + ", quota not known (etcd tells it from 3.6 on)"
}
