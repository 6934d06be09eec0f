package ui

import (
	"fmt"
	"strings"
	"time"

	"fathom/actions"
	"fathom/internal/safe"
	"fathom/theme"
	"fathom/ui/chart"
	"fathom/ui/draw"
	"fathom/views"
)

// line is one row of the dialog's text.
type line struct {
	text  safe.Text
	style theme.Style
	glyph rune // in front of it, when there is one
	field bool // the input stands here
	gauge *chart.Gauge
	now   bool        // the step that is under way
	spans []draw.Span // in the place of text
}

// head says on what it is done. Names are whole: two long ones may differ at their ends only.
func (d *dialog) head(width int) []line {
	var ls []line
	for _, t := range d.c.Identity {
		ls = append(ls, wrap(t.String(), width, theme.Dim)...)
	}
	const most = 6
	for i, t := range d.c.Targets {
		if i == most && len(d.c.Targets) > most+1 {
			ls = append(ls, line{text: safe.Sprintf("and %d more", len(d.c.Targets)-most), style: theme.Strong})
			break
		}
		ls = append(ls, whole(t.String(), width, theme.Strong)...)
	}
	return append(ls, line{})
}

// text is what can be scrolled, foot what stands beneath it in any case.
func (d *dialog) text(m *Model, width int) (body, foot []line) {
	body = d.head(width)
	switch d.stage {
	case asking:
		if d.c.Note != "" {
			for l := range strings.SplitSeq(d.c.Note, "\n") {
				body = append(body, wrap(l, width, theme.Warn)...)
			}
			body = append(body, line{})
		}
		foot = append(wrap(d.c.Action.Input.Prompt+":", width, theme.Default), line{field: true})
	case preparing:
		body = append(body, line{text: safe.Lit("reading permissions and the current state…"), style: theme.Info})
	case ready:
		if d.prepared.Denied == "" || d.prepared.Override != "" {
			for _, p := range d.prepared.Preview {
				body = append(body, wrap(p, width, theme.Default)...)
			}
			if len(d.prepared.Detail) > 0 {
				body = append(body, line{})
			}
			for _, spans := range d.prepared.Detail {
				body = append(body, line{spans: spans})
			}
		}
		if d.prepared.Denied != "" {
			body = append(body, wrap(d.prepared.Denied, width, theme.Bad)...)
			body = append(body, d.keeps(width)...)
		}
		if p := d.phrase(); p != "" {
			verb := "go on"
			if d.prepared.Denied != "" {
				verb = "do it all the same"
			}
			foot = append(append(append(foot, line{}), toType(p, verb, width)...), line{field: true})
		}
	case running:
		body = append(body, d.steps(m, width)...)
	case ended:
		body = append(body, d.steps(m, width)...)
		for _, o := range d.outs {
			first, rest, more := strings.Cut(o.Message, "\n")
			style := theme.Good
			if o.Status != actions.Done {
				style = theme.Bad
			}
			body = append(body, line{})
			body = append(body, wrap(first, width, style)...)
			if more {
				body = append(body, line{})
				body = append(body, verbatim(rest, width)...)
			}
		}
		body = append(body, d.keeps(width)...)
	}
	if d.err != "" {
		foot = append(foot, wrap(d.err, width, theme.Bad)...)
	}
	return body, foot
}

// keeps says that what was typed is not lost.
func (d *dialog) keeps(width int) []line {
	kept := d.kept()
	if kept == "" {
		return nil
	}
	return append([]line{{}}, wrap(kept, width, theme.Info)...)
}

// steps are the requests of a run and where it is.
func (d *dialog) steps(m *Model, width int) []line {
	g := m.o.Theme.Glyphs()
	if len(d.progress.Steps) == 0 {
		if d.stage == ended {
			return nil
		}
		return []line{{text: safe.Lit("looking at the current state once more…"), style: theme.Info}}
	}
	if len(d.progress.Steps) == 1 && d.c.Action.Steps == nil {
		if d.stage == ended {
			return nil
		}
		doing := safe.Lit("asked; waiting for the answer…")
		if s := d.progress.Steps[0].Doing; s != "" {
			doing = safe.Sprintf("%s…", s)
		}
		return append([]line{{text: doing, style: theme.Info}}, elapsed(m.o.Now(), d.progress.Steps[0])...)
	}
	const indent = 2
	var ls []line
	for _, s := range d.progress.Steps {
		switch {
		case s.Phase == actions.Waiting:
			ls = append(ls, bullet(g.Pending, theme.Dim, wrap(s.Title, width-indent, theme.Dim))...)
		case s.Phase == actions.Running:
			at := bullet(g.Cursor, theme.Strong, wrap(s.Title, width-indent, theme.Strong))
			at[0].now = true
			ls = append(ls, at...)
			ls = append(ls, bullet(' ', theme.Default, elapsed(m.o.Now(), s))...)
		case s.Status == actions.Done:
			ls = append(ls, bullet(g.Good, theme.Good, wrap(fmt.Sprintf("%s (%s)", firstLine(s.Message), took(s.Took)), width-indent, theme.Default))...)
		default:
			ls = append(ls, bullet(g.Bad, theme.Bad, wrap(fmt.Sprintf("%s: %s", s.Title, s.Status), width-indent, theme.Bad))...)
		}
	}
	return ls
}

func firstLine(s string) string {
	first, _, _ := strings.Cut(s, "\n")
	return first
}

// bullet indents lines and puts a glyph in front of the first.
func bullet(glyph rune, style theme.Style, ls []line) []line {
	for i := range ls {
		ls[i].glyph = ' '
		if i == 0 {
			ls[i].glyph = glyph
			if ls[i].style == theme.Default {
				ls[i].style = style
			}
		}
	}
	return ls
}

// elapsed says how long a request has been under way, and how long it will take as far as that is known.
func elapsed(now time.Time, s actions.StepProgress) []line {
	so := now.Sub(s.Began)
	switch {
	case s.Phase == actions.Running && s.Total > 0:
		return []line{{gauge: &chart.Gauge{Value: float64(s.Done), Total: float64(s.Total),
			Label: safe.Sprintf("%s of %s, for %s", percent(s), views.Bytes(s.Total), took(so))}}}
	case s.Phase != actions.Running || so < time.Second:
		return nil
	case s.Expect == 0:
		return []line{{text: safe.Sprintf("for %s", took(so)), style: theme.Info}}
	case so > s.Expect:
		return []line{{text: safe.Sprintf("for %s; about %s were expected", took(so), took(s.Expect)), style: theme.Warn}}
	}
	return []line{{gauge: &chart.Gauge{Value: so.Seconds(), Total: s.Expect.Seconds(), Label: safe.Sprintf("%s of about %s, by its size", took(so), took(s.Expect))}}}
}

// percent is how much of a step is done, of one that says so.
func percent(s actions.StepProgress) string { return fmt.Sprintf("%d %%", 100*s.Done/s.Total) }

func took(d time.Duration) string {
	if d < 10*time.Second {
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	return d.Round(time.Second).String()
}

// wrap is [draw.Wrap] for the rows of a dialog.
func wrap(s string, width int, st theme.Style) []line {
	var ls []line
	for _, t := range draw.Wrap(s, width) {
		ls = append(ls, line{text: t, style: st})
	}
	return ls
}

// verbatim keeps lines and blanks as they are: it is text to be copied. What is longer than a row goes on in the next.
func verbatim(s string, width int) []line {
	var ls []line
	for _, l := range strings.Split(s, "\n") {
		ls = append(ls, whole(l, width, theme.Value)...)
	}
	return ls
}

// whole is one line of untrusted text as it is, blanks and all. What is longer than a row goes on in the next.
func whole(l string, width int, st theme.Style) (ls []line) {
	for safe.String(l).Width() > width && width > 0 {
		n := draw.Cells(l, width)
		ls = append(ls, line{text: safe.String(l[:n]), style: st})
		l = l[n:]
	}
	return append(ls, line{text: safe.String(l), style: st})
}

// maxPhrase bounds the rows of what is to be typed, so that the line to type it in has room. Whoever has to type more finds all of it above,
// where it can be scrolled.
const maxPhrase = 6

// toType says what is to be typed. It is seen whole: nobody can type what is cut off.
func toType(phrase, verb string, width int) []line {
	if l := whole(fmt.Sprintf("Type %s to %s:", phrase, verb), width, theme.Danger); len(l) == 1 {
		return l
	}
	rows := whole(phrase, width, theme.Strong)
	return append([]line{{text: safe.Sprintf("Type this to %s:", verb), style: theme.Danger}}, rows[:min(len(rows), maxPhrase)]...)
}

func (d *dialog) draw(m *Model, a draw.Area) {
	if d.drawn.IsZero() {
		d.drawn = m.o.Now()
	}
	d.sync()
	w := min(a.W()-2, 76)
	if d.stage == ended && d.paper() != "" {
		w = min(a.W()-2, 132) // lines to be copied are better whole
	}
	if d.stage == ready && len(d.prepared.Detail) > 0 {
		w = min(a.W()-2, 120)
	}
	body, foot := d.text(m, w-4)
	h := min(len(body)+len(foot)+4, a.H())
	x, y := (a.W()-w)/2, (a.H()-h)/2
	box := a.Sub(draw.Rect{X: x, Y: y, W: w, H: h})
	box.Clear()
	style := theme.Strong
	if d.c.Action.Risk != actions.Reversible {
		style = theme.Danger
	}
	title := safe.Sprintf(" %s ", d.c.Action.Title)
	if n := len(d.c.Targets); n > 1 {
		title = safe.Sprintf(" %s (%d) ", d.c.Action.Title, n)
	}
	room := max(0, h-4-len(foot))
	d.lines, d.page = len(body), room
	if d.follow {
		d.top = newest(body) + 3 - room // the step that is under way, and what is left to say of it
	}
	d.top = max(0, min(d.top, d.lines-d.page))
	in := box.Box([]draw.Span{{Text: title, Style: style}}, d.more(), true, m.o.Theme)
	body = body[d.top:min(len(body), d.top+room)]
	d.cursorX, d.cursorY = 0, 0
	field := -1
	for i, l := range append(body[:len(body):len(body)], foot...) {
		d.drawLine(m, in, i, l)
		if l.field {
			field = i
		}
	}
	if d.typing() && field >= 0 {
		line := in.Sub(draw.Rect{W: in.W() - 1, H: in.H()})
		before, behind := seen(&d.input, line.W()-1)
		at := line.Text(1, field, theme.Value|theme.Under, before)
		line.Text(at, field, theme.Value|theme.Under, safe.Sprintf("%s ", behind))
		// The cursor is where the next letter goes; +1: the dialog's border; +2: that and the header row above the body
		d.cursorX, d.cursorY = x+1+at, y+field+2
	}
	d.buttons(in.Sub(draw.Rect{X: 1, Y: in.H() - 1, W: in.W() - 2, H: 1}))
}

// newest is the place of the step that is under way; when there is none, the end.
func newest(body []line) int {
	for i, l := range body {
		if l.now {
			return i
		}
	}
	return len(body)
}

func (d *dialog) drawLine(m *Model, in draw.Area, y int, l line) {
	x := 1
	if l.glyph != 0 {
		in.Glyph(x, y, l.style, l.glyph)
		x += 2
	}
	if l.gauge != nil {
		chart.Bar(in, m.o.Theme, x, y, min(in.W()-x-1, 60), *l.gauge)
		return
	}
	if l.spans != nil {
		in.Spans(x, y, max(in.W()-x-1, 0), l.spans)
		return
	}
	in.Text(x, y, l.style, l.text)
}

// more says in the border that there is more text than is drawn.
func (d *dialog) more() []draw.Span {
	if d.lines <= d.page {
		return nil
	}
	return []draw.Span{{Text: safe.Sprintf(" %d-%d of %d lines, arrows scroll ", d.top+1, min(d.lines, d.top+d.page), d.lines), Style: theme.Warn}}
}

func (d *dialog) buttons(a draw.Area) {
	var hint safe.Text
	switch {
	case d.stage == asking:
		hint = safe.Lit("Enter goes on   Esc cancels")
	case d.stage == running && d.stopping:
		hint = safe.Lit("stopping after the step that is under way   Esc hides this")
	case d.stage == running && d.canStop():
		hint = safe.Lit("s stops after this step   Esc hides this; it goes on")
	case d.stage == running:
		hint = safe.Lit("Esc hides this; the action goes on")
	case d.stage == ended && d.paper() != "":
		hint = safe.Lit("c copies   Esc closes")
	case d.stage == ended:
		hint = safe.Lit("Esc closes")
	case d.phrase() != "":
		hint = safe.Lit("Enter goes on   Esc cancels")
	case d.stage == ready && d.prepared.Denied != "":
		hint = safe.Lit("Esc closes")
	case d.stage == ready:
		cancel, do := theme.Default, theme.Default
		if d.ok {
			do = theme.Strong | theme.Reverse
		} else {
			cancel = theme.Strong | theme.Reverse
		}
		x := a.Text(0, 0, cancel, safe.Lit("[ Cancel ]"))
		x = a.Text(x+2, 0, do, safe.Sprintf("[ %s ]", d.c.Action.Title))
		a.Text(x+2, 0, theme.Dim, safe.Lit("y/n"))
		return
	default:
		hint = safe.Lit("Esc cancels")
	}
	a.Text(0, 0, theme.Dim, hint)
}
