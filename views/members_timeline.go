package views

import (
	"fmt"
	"time"

	"fathom/internal/safe"
	"fathom/theme"
	"fathom/ui/draw"
	"fathom/watchers/etcd"
)

// drawTimeline answers why there was an election: every term and leader since fathom began, the newest first, each with what came
// before it. It makes no more lines than are shown, and those above them.
func (p *members) drawTimeline(a draw.Area, now time.Time, from int) {
	if a.H() <= 0 {
		return
	}
	n := len(p.snap.Timeline)
	title := safe.Lit("terms and leaders")
	right := safe.Text{}
	if n > 1 {
		right = safe.Sprintf("changes seen: %d", n-1)
	}
	rule(a, p.env.Theme, 0, title, right)
	body := a.Sub(draw.Rect{Y: 1, W: a.W(), H: a.H() - 1})
	f := &facts{width: a.W(), label: 10}
	for i := n - 1; i >= 0 && len(f.lines) < from+body.H()+1; i-- {
		l := &p.snap.Timeline[i]
		p.leadershipFacts(f, l, l.Without > 0 || i > 0 && p.snap.Timeline[i-1].Leader == 0, now)
	}
	if n == 0 {
		f.text("", theme.Dim, "no leader has been seen yet")
	}
	if from > 0 {
		p.scroll = f.clamp(from, body.H())
		from = p.scroll
	}
	f.draw(body, p.env.Theme, from)
}

// leadershipFacts are the lines of one change. follows: it ends a time without a leader, of which the causes are those.
func (p *members) leadershipFacts(f *facts, l *etcd.Leadership, follows bool, now time.Time) {
	style := theme.Strong
	if l.Leader == 0 {
		style = theme.Bad
	}
	age := Age(max(0, now.Sub(l.At)))
	clock := l.At.Format("15:04:05")
	for i, line := range draw.Wrap(fmt.Sprintf("term %d: %s, %s ago", l.Term, leadershipText(l), age), f.room()) {
		name := clock
		if i > 0 {
			name = ""
		}
		f.spans(name, draw.Span{Text: line, Style: style})
	}
	if l.First {
		return
	}
	switch {
	case len(l.Before) > 0:
		for i, b := range l.Before {
			st := theme.Warn
			if i > 0 {
				st = theme.Default
			}
			name := ""
			if i == 0 {
				name = "   before"
			}
			f.text(name, st, b)
		}
	case l.Moved || follows:
	default:
		f.text("", theme.Dim, "nothing was seen before it"+p.blind())
	}
}

// blind says what could not be seen.
func (p *members) blind() string {
	for _, m := range p.snap.Members {
		if m.Metrics == nil && m.Role != etcd.Unstarted {
			return " (without the metrics of " + m.GetName() + " a slow disk or failed heartbeats there cannot be)"
		}
	}
	return ": no slow disk, no failed heartbeats, no member gone"
}

func leadershipText(l *etcd.Leadership) string {
	name := firstOf(l.LeaderName, fmt.Sprintf("%x", l.Leader))
	from := firstOf(l.FromName, fmt.Sprintf("%x", l.From))
	text := ""
	switch {
	case l.Leader == 0 && l.From != 0:
		return from + " lost the leadership, no leader"
	case l.Leader == 0:
		return "no leader"
	case l.First:
		return name + " led already when fathom began to look"
	case l.Moved && l.From != 0:
		text = fmt.Sprintf("fathom moved the leadership from %s to %s", from, name)
	case l.From == l.Leader:
		text = name + " was elected again"
	case l.From != 0:
		text = fmt.Sprintf("%s leads, after %s", name, from)
	default:
		text = name + " leads"
	}
	if l.Without > 0 {
		text += fmt.Sprintf(", %s without a leader", rtt(l.Without))
	}
	return text
}
