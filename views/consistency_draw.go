package views

import (
	"fmt"
	"strings"
	"time"

	"github.com/charmbracelet/x/ansi"

	"fathom/internal/safe"
	"fathom/theme"
	"fathom/ui/draw"
	"fathom/watchers"
	"fathom/watchers/etcd"
	"fathom/watchers/etcd/check"
)

// consistencyColumns are the columns of the members: what they hold, then how a watch on them does.
func consistencyColumns(g *theme.Glyphs) []Column {
	col := func(title string, priority int, f func(r consistencyRow, now time.Time) (string, theme.Style)) Column {
		return Column{Title: title, Priority: priority, Cell: func(r watchers.Row, now time.Time) (string, theme.Style) {
			return f(r.(consistencyRow), now)
		}}
	}
	right := func(c Column) Column { c.Align = draw.Right; return c }
	live := func(title string, priority int, f func(l *check.LiveMember) (string, theme.Style)) Column {
		return right(col(title, priority, func(r consistencyRow, _ time.Time) (string, theme.Style) {
			if r.live == nil {
				return "-", theme.Dim
			}
			text, style := f(r.live)
			if !r.live.Watching && style != theme.Bad {
				style = theme.Dim // it is what was seen before the watch ended
			}
			return text, style
		}))
	}
	latency := func(d time.Duration, known bool) (string, theme.Style) {
		switch {
		case !known:
			return "-", theme.Dim
		case d > time.Second:
			return lasted(d), theme.Warn
		}
		return rtt(max(0, d)), theme.Default
	}
	return []Column{
		col("MEMBER", 0, func(r consistencyRow, _ time.Time) (string, theme.Style) { return r.GetName(), theme.Strong }).most(32),
		col("DATA", 1, func(r consistencyRow, now time.Time) (string, theme.Style) { return dataCell(g, r.hash, now) }),
		col("HASH", 3, func(r consistencyRow, _ time.Time) (string, theme.Style) {
			if r.hash == nil || r.hash.Phase != check.Answered {
				return "-", theme.Dim
			}
			return fmt.Sprintf("%08x", r.hash.Hash), theme.Default
		}),
		right(col("COMPACTED", 6, func(r consistencyRow, _ time.Time) (string, theme.Style) {
			if r.hash == nil || r.hash.Phase != check.Answered {
				return "-", theme.Dim
			}
			if r.hash.CompactRevision <= 0 {
				return "never", theme.Dim
			}
			return fmt.Sprint(r.hash.CompactRevision), theme.Default
		})),
		right(col("TOOK", 7, func(r consistencyRow, now time.Time) (string, theme.Style) {
			switch {
			case r.hash == nil || r.hash.Began.IsZero():
				return "-", theme.Dim
			case r.hash.Phase == check.Hashing:
				return Age(now.Sub(r.hash.Began)), theme.Pending
			}
			return lasted(r.hash.Took), theme.Default
		})),
		col("WATCH", 1, func(r consistencyRow, now time.Time) (string, theme.Style) { return watchCell(g, r, now) }),
		live("EVENTS", 4, func(l *check.LiveMember) (string, theme.Style) { return fmt.Sprint(l.Events), theme.Default }),
		live("FROM WRITE", 5, func(l *check.LiveMember) (string, theme.Style) {
			if l.HasDelay && l.Delay < -10*time.Millisecond {
				return "clock " + lasted(-l.Delay) + " ahead", theme.Dim
			}
			return latency(l.Delay, l.HasDelay)
		}),
		live("LATE", 5, func(l *check.LiveMember) (string, theme.Style) { return latency(l.Late, l.HasLate) }),
		live("PROGRESS", 6, func(l *check.LiveMember) (string, theme.Style) { return latency(l.Progress, l.Progress > 0) }),
		live("BROKEN", 2, func(l *check.LiveMember) (string, theme.Style) {
			if l.Breaches > 0 {
				return fmt.Sprint(l.Breaches), theme.Bad
			}
			return "0", theme.Default
		}),
	}
}

// dataCell says what the comparison found of one member.
func dataCell(g *theme.Glyphs, h *check.MemberHash, now time.Time) (string, theme.Style) {
	switch {
	case h == nil:
		return "not asked", theme.Dim
	case h.Phase == check.Waiting:
		return "waits", theme.Dim
	case h.Phase == check.Hashing:
		return fmt.Sprintf("%c hashing", g.Pending), theme.Pending
	case h.Verdict == check.Same:
		return fmt.Sprintf("%c same", g.Good), theme.Good
	case h.Verdict == check.Differs:
		return fmt.Sprintf("%c differs", g.Bad), theme.Bad
	case h.Verdict == check.Apart:
		return fmt.Sprintf("%c no agreement", g.Bad), theme.Bad
	case h.Phase == check.Answered && h.Why == "" && h.Took > 0:
		return "answered", theme.Default
	}
	return fmt.Sprintf("%c unknown", g.Unknown), theme.Info
}

// watchCell says whether a watch on the member runs.
func watchCell(g *theme.Glyphs, r consistencyRow, now time.Time) (string, theme.Style) {
	switch l := r.live; {
	case r.IsLearner:
		return "learner: none", theme.Dim
	case l == nil:
		return "-", theme.Dim
	case l.Watching:
		return fmt.Sprintf("%c %s", g.Good, Age(now.Sub(l.Since))), theme.Good
	case l.Denied:
		return fmt.Sprintf("%c denied", g.Warn), theme.Warn
	}
	return fmt.Sprintf("%c none", g.Warn), theme.Warn
}

// polled are the checks that the status of every second makes, by the kinds of what they find.
var polled = []struct {
	promise, kind string
	kubernetes    bool // only where there is an API server
}{
	{"the term never goes back within a cluster", etcd.FoundTermBack, false},
	{"the revision never goes back within a cluster", etcd.FoundRevisionBack, false},
	{"a term has one leader", etcd.FoundTwoLeaders, false},
	{"nothing is applied that is not committed", "applied-beyond-commit", false},
	{"the API server compacts the history", "compaction-stalled", true},
}

// lines are the text below the members: why something is unknown, the rules, and what broke.
func (p *consistency) lines() [][]draw.Span {
	g := p.env.Theme.Glyphs()
	var out [][]draw.Span
	line := func(spans ...draw.Span) { out = append(out, spans) }
	span := func(style theme.Style, format string, args ...any) draw.Span {
		return draw.Span{Text: safe.Bounded(fmt.Sprintf(format, args...), maxLineCells), Style: style}
	}
	before := len(out)
	for _, m := range p.members {
		if h := m.hash; h != nil && h.Why != "" && h.Phase > check.Hashing {
			line(span(theme.Key, "%s  ", h.Name), span(theme.Warn, "%s", h.Why))
		}
		if l := m.live; l != nil && !l.Watching && l.Why != "" {
			line(span(theme.Key, "%s  ", l.Name), span(theme.Warn, "no watch: %s", l.Why))
		}
	}
	if len(out) > before {
		line()
	}
	what := p.live.What
	if what == "" {
		what = "nothing yet"
	}
	line(span(theme.Title, "Live checks"), span(theme.Dim, "  since %s; a watch on each member, of %s", p.live.Since.Format("15:04:05"), what))
	for _, b := range p.live.Breaches[:min(3, len(p.live.Breaches))] {
		line(span(theme.Bad, "%c %s  %s", g.Bad, b.At.Format("15:04:05"), b.Name), span(theme.Default, "  %s", b.Text))
	}
	rule := func(style theme.Style, glyph rune, promise, count string) {
		line(span(style, "%c ", glyph), span(theme.Default, "%-46s", promise), span(theme.Dim, "%s", count))
	}
	for _, r := range p.live.Rules {
		switch count := fmt.Sprintf("checked %d times", r.Checked); {
		case r.Broken > 0:
			rule(theme.Bad, g.Bad, r.Rule.Promise(), fmt.Sprintf("%s, broken %d", count, r.Broken))
		case r.Checked == 0:
			rule(theme.Dim, g.Pending, r.Rule.Promise(), "nothing to check yet")
		default:
			rule(theme.Good, g.Good, r.Rule.Promise(), count)
		}
	}
	for _, c := range polled {
		if c.kubernetes && !p.live.Kubernetes {
			continue
		}
		found := ""
		for _, f := range p.snap.Findings {
			if f.Kind == c.kind {
				found = f.Text
				break
			}
		}
		if found == "" {
			rule(theme.Good, g.Good, c.promise, "by the polls")
			continue
		}
		rule(theme.Bad, g.Bad, c.promise, found)
	}
	line()
	for _, l := range [][2]string{
		{"FROM WRITE", "a Lease says when it was renewed, by its writer's clock"},
		{"LATE", "than the first member that told the event; 90th percentile"},
		{"PROGRESS", "time to answer how far the watch is; last one"},
	} {
		line(span(theme.Key, "%-12s", l[0]), span(theme.Dim, "%s", l[1]))
	}
	for _, b := range p.live.Breaches {
		line()
		line(span(theme.Bad, "%c %s  %s  %s", g.Bad, b.At.Format("15:04:05"), b.Name, b.Rule), span(theme.Default, "  %s", b.Text))
		for _, e := range b.Evidence {
			line(span(theme.Dim, "    %s", e))
		}
	}
	return out
}

// wrapped breaks a sentence into lines of a width.
func wrapped(s string, w int) []string {
	return strings.Split(ansi.Wrap(safe.String(s).String(), w, ""), "\n")
}
