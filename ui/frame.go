package ui

import (
	"fmt"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"fathom/actions"
	"fathom/internal/safe"
	"fathom/theme"
	"fathom/ui/draw"
	"fathom/views"
	"fathom/watchers"
)

// drawFrame draws the whole screen into the canvas.
func (m *Model) drawFrame() {
	m.canvas.Resize(m.w, m.h)
	m.canvas.Clear()
	a := m.canvas.Area()
	if m.small() {
		m.tooSmall(a)
		return
	}
	m.drawHeader(a.Sub(draw.Rect{W: m.w, H: 1}))
	body := draw.Rect{Y: 1, W: m.w, H: m.h - 2}
	for i, r := range m.layout(body) {
		m.slots[i].inner = draw.Rect{}
		if p := m.slots[i].top(); p != nil && r.W > 0 && r.H > 0 {
			m.slots[i].inner = m.drawPane(a.Sub(r), r, p, i == m.focus)
		}
	}
	m.drawFooter(a.Sub(draw.Rect{Y: m.h - 1, W: m.w, H: 1}))
	news := 0
	if m.prompt == nil && !m.toast.until.IsZero() {
		news = m.drawNews(a)
	}
	if m.overlay != nil { // above the news: what is asked, and the buttons, stay in sight
		body.H -= max(0, news-1)
		m.overlay.draw(m, a.Sub(body))
	}
}

// small reports whether the screen is too small to draw in.
func (m *Model) small() bool { return m.w < MinWidth || m.h < MinHeight }

func (m *Model) tooSmall(a draw.Area) {
	a.Text(0, 0, theme.Warn, safe.Lit("too small"))
	a.Text(0, 1, theme.Default, safe.Sprintf("%dx%d, needs %dx%d", m.w, m.h, MinWidth, MinHeight))
	a.Text(0, 2, theme.Dim, safe.Lit("q quits"))
	if m.toast.Bad && !m.toast.until.IsZero() { // such as what q would drop
		for i, l := range wrap(m.toast.Text.String(), m.w, theme.Default) {
			a.Text(0, 3+i, theme.Bad, l.text)
		}
	}
}

// drawHeader draws the line that says where we are: it is never hidden.
func (m *Model) drawHeader(a draw.Area) {
	id := m.o.Opener.Identity()
	left := []draw.Span{{Text: safe.Lit("fathom "), Style: theme.Title}}
	if id.ReadOnly {
		left = append(left, draw.Span{Text: safe.Lit("READ-ONLY"), Style: theme.Safe}, draw.Span{Text: safe.Lit(" ")})
	}
	if !id.Context.IsEmpty() {
		left = append(left, draw.Span{Text: id.Context, Style: theme.Strong})
		// A context is often named user@cluster: what it says already is not said again.
		said := strings.FieldsFunc(id.Context.String(), func(r rune) bool { return r == '@' || r == '/' })
		if !id.Cluster.IsEmpty() && !slices.Contains(said, id.Cluster.String()) {
			left = append(left, draw.Span{Text: safe.Lit(" cluster "), Style: theme.Dim}, draw.Span{Text: id.Cluster, Style: theme.Strong})
		}
		if !id.User.IsEmpty() && !slices.Contains(said, id.User.String()) {
			left = append(left, draw.Span{Text: safe.Lit(" as "), Style: theme.Dim}, draw.Span{Text: id.User})
		}
	}
	right := 0
	for _, s := range id.Health {
		right += s.Text.Width()
	}
	if m.w >= 110 && !id.Server.IsEmpty() {
		left = append(left, draw.Span{Text: safe.Lit("  ")}, draw.Span{Text: id.Server, Style: theme.Dim})
	}
	a.Spans(0, 0, max(0, a.W()-right-1), left)
	a.Spans(a.W()-right, 0, right, id.Health)
}

// drawPane draws a pane in its frame and returns the rectangle of its inside on the screen.
func (m *Model) drawPane(a draw.Area, r draw.Rect, p views.Pane, focused bool) draw.Rect {
	// The pane comes first: what its title says (which lines, how many match) is known once it is drawn.
	inner := a.Sub(draw.Rect{X: 1, Y: 1, W: a.W() - 2, H: a.H() - 2})
	p.Draw(inner, focused && m.overlay == nil)
	t := p.Title()
	style := theme.Dim
	if focused {
		style = theme.Title
	}
	title := []draw.Span{{Text: safe.Lit(" ")}, {Text: t.Name, Style: style}}
	if !t.Scope.IsEmpty() {
		title = append(title, draw.Span{Text: safe.Lit(" ")}, draw.Span{Text: t.Scope, Style: theme.Strong})
	}
	if t.Count != "" {
		title = append(title, draw.Span{Text: safe.String(" " + t.Count)})
	}
	if !t.Filter.IsEmpty() {
		title = append(title, draw.Span{Text: safe.Lit(" /"), Style: theme.Match}, draw.Span{Text: t.Filter, Style: theme.Match})
	}
	if t.Marks > 0 {
		title = append(title, draw.Span{Text: safe.Sprintf(" %d marked", t.Marks), Style: theme.Marked})
	}
	title = append(title, draw.Span{Text: safe.Lit(" ")})
	state := stateSpans(p.State(), m.o.Theme, m.o.Now(), a.W()/2)
	if aged, ok := p.(views.Aged); ok && p.State().Phase == watchers.Live && !aged.ReadAt().IsZero() {
		state = readSpans(m.o.Now().Sub(aged.ReadAt()))
	}
	a.Box(title, state, focused, m.o.Theme)
	return draw.Rect{X: r.X + 1, Y: r.Y + 1, W: inner.W(), H: inner.H()}
}

// stateSpans says what a source is doing, for the corner of its pane: glyph, word, colour and how old the data is.
func stateSpans(s watchers.State, th *theme.Theme, now time.Time, room int) []draw.Span {
	g := th.Glyphs()
	var glyph rune
	var style theme.Style
	var word string
	switch s.Phase {
	case watchers.Live:
		glyph, style, word = g.Good, theme.Good, "live"
		if s.Why != "" { // true, but not the whole truth: some namespaces only, or no watch
			word += ": " + s.Why
		}
		if s.Partial {
			glyph, style = g.Warn, theme.Warn
		}
	case watchers.Connecting:
		glyph, style, word = g.Pending, theme.Info, "connecting"
		if s.Loaded > 0 {
			word = fmt.Sprintf("loading %s", views.Count(s.Loaded))
		}
		if s.Why != "" {
			word += ": " + s.Why
		}
	case watchers.Stale:
		glyph, style = g.Warn, theme.Warn
		word = "stale"
		if !s.Since.IsZero() {
			word += " " + views.Age(now.Sub(s.Since))
		}
		if s.Why != "" {
			word += ": " + s.Why
		}
	case watchers.Denied:
		glyph, style = g.Bad, theme.Bad
		word = fmt.Sprintf("denied: may not %s %s", s.Verb, s.Resource)
	default:
		glyph, style = g.Unknown, theme.Dim
		word = "not available"
		if s.Why != "" {
			word += ": " + s.Why
		}
	}
	text := safe.Bounded(word, max(4, room-4))
	return []draw.Span{{Text: safe.Lit(" ")}, {Text: safe.String(string(glyph) + " "), Style: style}, {Text: text, Style: style}, {Text: safe.Lit(" ")}}
}

// readSpans is the state of what was read once: it is true as of then, and nobody watches it.
func readSpans(age time.Duration) []draw.Span {
	return []draw.Span{{Text: safe.Sprintf(" read %s ago ", views.Age(age)), Style: theme.Dim}}
}

// drawNews draws the news in the lowest row, and over as many of those above as it needs to be whole, up to half of the screen.
// It returns how many.
func (m *Model) drawNews(a draw.Area) int {
	style := theme.Info
	glyph := m.o.Theme.Glyphs().Info
	if m.toast.Bad {
		style, glyph = theme.Bad, m.o.Theme.Glyphs().Bad
	}
	rows := m.toast.rows(m.w)
	rows = rows[:min(len(rows), m.h/2)]
	a = a.Sub(draw.Rect{Y: m.h - len(rows), W: m.w, H: len(rows)})
	a.Clear()
	a.Glyph(0, 0, style, glyph)
	for y, l := range rows {
		a.Text(2, y, style, l.text)
	}
	return len(rows)
}

// rows are the rows of the news on a screen of that width.
func (t *toastState) rows(width int) []line {
	return wrap(t.Text.String(), width-2, theme.Default)
}

// drawFooter draws the prompt, or the hints for the keys that work here.
func (m *Model) drawFooter(a draw.Area) {
	switch {
	case m.prompt != nil:
		m.prompt.draw(m, a)
	case !m.toast.until.IsZero(): // the news is drawn over it
	default:
		x := m.drawAside(a)
		for _, b := range m.o.Keys.Hints(m.scopes(), 12) {
			key, help := safe.String(b.Keys[0]), safe.String(b.Help)
			w := key.Width() + 1 + help.Width()
			if x+w > a.W() {
				break
			}
			style := theme.Dim
			if b.Writes && m.o.Opener.Identity().ReadOnly {
				continue
			}
			x = a.Text(x, 0, theme.Key, key)
			x = a.Text(x+1, 0, style, help) + 2
		}
	}
}

// drawAside says in the footer what is under way behind the screen, and where the hints begin.
func (m *Model) drawAside(a draw.Area) int {
	if len(m.aside) == 0 {
		return 0
	}
	d := m.aside[len(m.aside)-1]
	done := 0
	for _, s := range d.progress.Steps {
		if s.Phase == actions.Ended {
			done++
		}
	}
	text := safe.Sprintf("%s %d/%d", d.c.Action.Title, done, len(d.progress.Steps))
	if steps := d.progress.Steps; len(steps) == 1 && steps[0].Total > 0 {
		text = safe.Sprintf("%s %s", d.c.Action.Title, percent(steps[0]))
	}
	if d.stage == ended {
		text = safe.Sprintf("%s has ended", d.c.Action.Title)
	}
	x := a.Text(0, 0, theme.Key, safe.Lit("!"))
	return a.Text(x+1, 0, theme.Info, text) + 2
}

// cursor is where the terminal's own cursor stands: in the prompt, or nowhere.
func (m *Model) cursor() *tea.Cursor {
	if m.small() {
		return nil
	}
	if m.prompt != nil && m.overlay == nil {
		return tea.NewCursor(min(m.prompt.x, m.w-1), m.h-1)
	}
	if d, ok := m.overlay.(*dialog); ok && d.cursorX > 0 {
		return tea.NewCursor(d.cursorX, d.cursorY)
	}
	return nil
}
