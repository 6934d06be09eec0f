package views

import (
	"fmt"
	"time"

	"fathom/internal/safe"
	"fathom/theme"
	"fathom/ui/draw"
	"fathom/watchers/etcd"
)

const (
	leastDetail = 6   // lines that the part about the selected member is worth, its rule included
	twoColumns  = 140 // cells from which on the timeline stands beside the selected member
)

// Draw implements Pane: the quorum and what is wrong above, the members, and below them, when there is room, more about the selected
// one. The heights depend on the size of the area and the number of members alone, so that nothing jumps when a finding comes or goes.
func (p *members) Draw(a draw.Area, focused bool) {
	p.table.SetEmpty(p.emptyText())
	if p.env.Etcd == nil || p.snap.Gen == 0 || p.snap.Kine && len(p.snap.Members) == 0 {
		p.tableY = 0
		p.table.Draw(a, focused)
		return
	}
	now := p.env.Now()
	m := p.selected()
	if p.zoomed && (m != nil || p.timeline) {
		y := p.drawHead(a, min(1, a.H()/9), now)
		p.drawPart(a.Sub(draw.Rect{Y: y, W: a.W(), H: a.H() - y}), m, now)
		return
	}
	rows := max(len(p.rows), 1) + 1 // with its header
	y := p.drawHead(a, headLines(a.H(), rows), now)
	p.tableY = y
	rest := a.H() - y - rows
	if rest < leastDetail {
		p.table.Draw(a.Sub(draw.Rect{Y: y, W: a.W(), H: a.H() - y}), focused)
		return
	}
	p.table.Draw(a.Sub(draw.Rect{Y: y, W: a.W(), H: rows}), focused)
	p.drawPart(a.Sub(draw.Rect{Y: y + rows + 1, W: a.W(), H: rest - 1}), m, now)
}

// headLines is how many lines the quorum and the findings get in an area of h lines with so many rows, the blank line below included.
func headLines(h, rows int) int {
	n := 6
	switch {
	case h < 8:
		return 0 // the rows matter more
	case h < 14:
		n = 3
	case h >= 48:
		n = 10
	case h >= 30:
		n = 8
	}
	return max(min(n, h-rows), min(n, 3))
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

// drawHead says in n lines whether the cluster can commit, what it can bear, what is wrong and what to do; the last line is blank when
// there is more than one. It returns n.
func (p *members) drawHead(a draw.Area, n int, now time.Time) int {
	if n == 0 {
		return 0
	}
	a = a.Sub(draw.Rect{W: a.W(), H: n})
	a.Spans(0, 0, a.W(), p.summary(now))
	if n < 3 {
		return n
	}
	y := 1
	if n > 4 { // words before findings, so that they keep their line
		if w := p.snap.Quorum.Words(); len(w) > 0 && !p.snap.Kine {
			style := theme.Dim
			if len(w) > 1 {
				style = theme.Default // something is out of order
			}
			text := w[0]
			for _, s := range w[1:] {
				text += "; " + s
			}
			a.Text(0, y, style, safe.String(text))
		}
		y++
	}
	p.drawFindings(a.Sub(draw.Rect{Y: y, W: a.W(), H: n - y - 1}), now)
	return n
}

// summary is the line that is read first: is there a quorum, who leads.
func (p *members) summary(now time.Time) []draw.Span {
	q, g := &p.snap.Quorum, p.env.Theme.Glyphs()
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
		return spans
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
	switch {
	case q.Leader != 0:
		say(theme.Strong, "leader %s", firstOf(q.LeaderName, fmt.Sprintf("%x", q.Leader)))
		say(theme.Default, "for %s", since(now, q.LeaderSince, q.Changes > 0))
	case q.Has:
		say(theme.Bad, "no leader")
	}
	say(theme.Default, "term %d", q.Term)
	say(theme.Dim, "changes %d", q.Changes)
	return spans
}

// drawFindings draws the worst findings, one line each, and with the lines that are left what to do about the first of them.
func (p *members) drawFindings(a draw.Area, now time.Time) {
	h, all := a.H(), p.snap.Findings
	if h <= 0 {
		return
	}
	g := p.env.Theme.Glyphs()
	if len(all) == 0 {
		if p.snap.Polled && p.snap.Quorum.Has {
			text := safe.Lit("nothing is wrong that fathom can see")
			if n := len(p.advisory.Advice); n > 0 {
				text = safe.Sprintf("nothing is wrong that fathom can see; notes on the versions: %d (w)", n)
			}
			x := a.Text(0, 0, theme.Good, safe.String(string(g.Good)+" "))
			a.Text(x, 0, theme.Dim, text)
		}
		return
	}
	shown := all
	if len(all) > h {
		shown = all[:h-1]
	}
	spare := h - len(shown)
	if len(shown) < len(all) {
		a.Text(2, h-1, theme.Dim, safe.Sprintf("and %d more: w shows all, with what they mean", len(all)-len(shown)))
		spare = 0
	}
	y := 0
	for i := range shown {
		f := &shown[i]
		style := findingLevel(f.Severity)
		a.Glyph(0, y, style, p.env.Theme.StateGlyph(style))
		age := safe.String(Age(max(0, now.Sub(f.Since))))
		a.Sub(draw.Rect{W: max(0, a.W()-age.Width()-1), H: h}).Text(2, y, style, safe.String(f.Text))
		a.TextAligned(a.W()-age.Width(), y, age.Width(), draw.Right, theme.Dim, age)
		y++
		if f.Next == "" || spare == 0 {
			continue
		}
		rows := draw.Wrap(f.Next, a.W()-10)
		n := min(len(rows), spare, 3)
		for j, l := range rows[:n] {
			if j == 0 {
				a.Text(4, y, theme.Key, safe.Lit("do:"))
			}
			x := a.Text(8, y, theme.Default, l)
			if j == n-1 && n < len(rows) {
				a.Text(x, y, theme.Dim, safe.String(string(g.Ellipsis)))
			}
			y++
		}
		spare -= n
	}
}

// drawPart draws what stands below the rows: the selected member, or the timeline, or both where there is room.
func (p *members) drawPart(a draw.Area, m *etcd.MemberRow, now time.Time) {
	switch {
	case p.timeline || m == nil:
		p.drawTimeline(a, now, p.scroll)
		return
	case a.W() >= twoColumns:
		w := min(a.W()*11/20, 112)
		p.drawDetail(a.Sub(draw.Rect{W: w - 2, H: a.H()}), m, now)
		right := a.Sub(draw.Rect{X: w, W: a.W() - w, H: a.H()})
		advice := 0
		if n := len(p.advisory.Advice); n > 0 && a.H() >= 16 {
			advice = min(n+2, a.H()/3)
		}
		p.drawTimeline(right.Sub(draw.Rect{W: right.W(), H: a.H() - advice}), now, 0)
		p.drawAdvice(right.Sub(draw.Rect{Y: a.H() - advice, W: right.W(), H: advice}))
		return
	}
	h := p.drawDetail(a, m, now)
	if rest := a.H() - h - 1; rest >= 4 {
		p.drawTimeline(a.Sub(draw.Rect{Y: h + 1, W: a.W(), H: rest}), now, 0)
	}
}

// drawAdvice draws what the version advisor says, one line each.
func (p *members) drawAdvice(a draw.Area) {
	if a.H() < 2 {
		return
	}
	rule(a, p.env.Theme, 0, safe.Lit("versions"), safe.Lit("w shows what they mean"))
	for i, x := range p.advisory.Advice {
		if i+2 == a.H() && i+1 < len(p.advisory.Advice) {
			a.Text(2, a.H()-1, theme.Dim, safe.Sprintf("and %d more", len(p.advisory.Advice)-i))
			return
		}
		style := findingLevel(x.Severity)
		a.Glyph(0, i+1, style, p.env.Theme.StateGlyph(style))
		a.Text(2, i+1, style, safe.String(x.Text))
	}
}
