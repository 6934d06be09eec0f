package views

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"fathom/internal/safe"
	"fathom/keymap"
	"fathom/theme"
	"fathom/ui/draw"
	"fathom/ui/text"
	"fathom/watchers"
)

// Bounds of the log that is kept for one pane.
const (
	logLines   = 50_000
	logBytes   = 32 << 20
	logPerSync = 4_000 // lines taken over in one frame
)

// logs shows the log of a pod: of one container or of all of them.
type logs struct {
	narrowed
	env        *Env
	stream     *watchers.LogStream
	opts       watchers.LogOptions
	containers []string
	ring       *text.Ring
	view       *text.LogView
	state      watchers.State
	dropped    uint64 // lines that the stream had no room for
	before     uint64 // lines that the ring had dropped when the stream began
	styles     map[string]theme.Style
	since      string // the time range, for the title
}

// tailLines is how much of a log is read at first.
const tailLines = 500

func newLogs(env *Env, r Ref) (Pane, error) {
	if env.Hub == nil {
		return nil, errors.New("reading logs: there is no API server, and logs come through it")
	}
	p := &logs{env: env, narrowed: narrowed{ref: r}, ring: text.NewRing(logLines, logBytes), styles: map[string]theme.Style{}, since: "tail"}
	p.view = text.NewLogView(env.Theme, p.ring)
	p.view.SetEmpty(safe.Lit("no lines yet"))
	p.opts = watchers.LogOptions{Namespace: r.Object.Namespace, Pod: r.Object.Name, Tail: tailLines, Previous: r.View == "logs-previous"}
	if r.Object.Containers != "" {
		p.containers = strings.Split(r.Object.Containers, ",")
	}
	if r.Object.Container != "" {
		p.opts.Containers = []string{r.Object.Container}
	}
	return p, p.SetFilter(r.Filter)
}

// Open implements Pane.
func (p *logs) Open() {
	if p.stream == nil {
		p.empty()
		p.stream = p.env.Hub.OpenLogs(p.opts)
		p.state = watchers.State{Phase: watchers.Connecting}
		p.view.SetPrefix(len(p.opts.Containers) != 1)
	}
}

// empty makes room for a stream, which begins with the tail again: nothing of it is dropped yet.
func (p *logs) empty() {
	p.ring.Clear()
	p.dropped, p.before = 0, p.ring.Dropped()
}

// Close implements Pane.
func (p *logs) Close() {
	if p.stream != nil {
		p.stream.Close()
		p.stream = nil
	}
}

func (p *logs) reopen() {
	p.Close()
	p.Open()
}

// Sync implements Pane.
func (p *logs) Sync() bool {
	if p.stream == nil {
		return false
	}
	changed := false
	if st := p.stream.State(); st != p.state {
		p.state, changed = st, true
	}
	if d := p.stream.Dropped(); d != p.dropped {
		p.dropped, changed = d, true
	}
	for _, l := range p.stream.Drain(logPerSync) {
		p.ring.Append(p.line(l))
		changed = true
	}
	return changed
}

// line turns a line of a log into what is drawn: controls made visible, its own colours kept.
func (p *logs) line(l watchers.LogLine) text.Line {
	out := text.Line{Time: l.Time}
	if l.Container != "" {
		out.Prefix = []draw.Span{{Text: safe.String(l.Container + " "), Style: p.style(l.Container)}}
	}
	if l.Note {
		out.Text = []draw.Span{{Text: safe.Bytes(l.Text), Style: theme.Info}}
		return out
	}
	for _, s := range safe.LogLine(l.Text) {
		out.Text = append(out.Text, draw.Span{Text: s.Text, Style: theme.Log(s.SGR.FG, s.SGR.BG, s.SGR.Bold, s.SGR.Underline)})
	}
	if l.Cut > 0 {
		out.Text = append(out.Text, draw.Span{Text: safe.Sprintf(" (%s more in this line)", Bytes(int64(l.Cut))), Style: theme.Dim})
	}
	return out
}

// style tells containers apart.
func (p *logs) style(container string) theme.Style {
	st, ok := p.styles[container]
	if !ok {
		palette := []theme.Style{theme.Info, theme.Key, theme.Pending, theme.Match, theme.Title}
		st = palette[len(p.styles)%len(palette)].Role()
		p.styles[container] = st
	}
	return st
}

// Title implements Pane.
func (p *logs) Title() Title {
	scope := nameOf(p.ref.Object)
	switch {
	case len(p.opts.Containers) == 1:
		scope += " " + p.opts.Containers[0]
	case len(p.containers) > 1:
		scope += fmt.Sprintf(" (%d containers)", len(p.containers))
	}
	match, below, total := p.view.Position()
	count := fmt.Sprintf("%d lines, %s", total, p.since)
	if !p.filter.IsEmpty() {
		count = fmt.Sprintf("%d of %d lines", match, total)
	}
	if d := p.dropped + p.ring.Dropped() - p.before; d > 0 {
		count += fmt.Sprintf(", %d older dropped", d)
	}
	if !p.view.Following() {
		count += fmt.Sprintf(", %d below", below)
	}
	return Title{Name: safe.String(p.ref.View), Scope: safe.String(scope), Count: count, Filter: safe.String(p.filter.String())}
}

// State implements Pane.
func (p *logs) State() watchers.State {
	if p.stream != nil && p.stream.Ended() {
		return watchers.State{Phase: watchers.Unsupported, Why: "the log has ended"}
	}
	return p.state
}

// Draw implements Pane.
func (p *logs) Draw(a draw.Area, focused bool) { p.view.Draw(padded(a), focused) }

// Scopes implements Pane.
func (p *logs) Scopes() []keymap.Scope { return []keymap.Scope{keymap.LogView, keymap.Scroll} }

// SetFilter implements Filterer.
func (p *logs) SetFilter(expr string) error {
	f, err := ParseFilter(expr)
	if err != nil {
		return err
	}
	if f.selector != nil {
		return errors.New("filter: a log line has no labels; -l works in lists")
	}
	p.filter = f
	if f.IsEmpty() {
		p.view.SetFilter(nil)
		p.view.SetHighlight(nil)
		return nil
	}
	p.view.SetFilter(func(l *text.Line) bool { return f.Match(l.String(), watchers.Labels("")) })
	find, err := finder(f.String()) // as it filters: without the blanks around it
	if err != nil || f.not || f.fuzzy != "" {
		find = nil
	}
	p.view.SetHighlight(find)
	return nil
}

// Do implements Pane.
func (p *logs) Do(in keymap.Intent) tea.Cmd {
	if scroll(p.view, in) {
		return nil
	}
	ranges := map[keymap.Intent]time.Duration{keymap.Logs1m: time.Minute, keymap.Logs5m: 5 * time.Minute, keymap.Logs15m: 15 * time.Minute,
		keymap.Logs30m: 30 * time.Minute, keymap.Logs1h: time.Hour}
	switch in {
	case keymap.LogsFollow:
		p.view.SetFollow(!p.view.Following())
	case keymap.LogsWrap:
		p.view.SetWrap(!p.view.Wrapped())
	case keymap.LogsTimestamps:
		p.view.SetTimes(!p.view.Times())
	case keymap.LogsMark:
		p.ring.Append(text.Line{Marker: true, Time: p.env.Now(), Text: []draw.Span{{Text: safe.String(p.env.Now().Format("15:04:05"))}}})
	case keymap.LogsClear:
		p.ring.Clear()
	case keymap.LogsContainers:
		p.nextContainer()
	case keymap.LogsTail:
		p.opts.Tail, p.opts.Since, p.since = tailLines, 0, "tail"
		p.reopen()
	case keymap.LogsHead:
		p.opts.Tail, p.opts.Since, p.since = -1, 0, "from the beginning"
		p.reopen()
		p.view.SetFollow(false)
	default:
		if d, ok := ranges[in]; ok {
			p.opts.Tail, p.opts.Since, p.since = -1, d, "last "+Age(d)
			p.reopen()
		}
	}
	return nil
}

// nextContainer goes round: all containers, then each one alone.
func (p *logs) nextContainer() {
	if len(p.containers) < 2 {
		return
	}
	i := -1
	if len(p.opts.Containers) == 1 {
		i = slices.Index(p.containers, p.opts.Containers[0])
	}
	if i+1 < len(p.containers) {
		p.opts.Containers = []string{p.containers[i+1]}
	} else {
		p.opts.Containers = nil
	}
	p.reopen()
}

// Click implements Clicker.
func (p *logs) Click(int, int) tea.Cmd { return nil }

// Wheel implements Clicker.
func (p *logs) Wheel(lines int) tea.Cmd { p.view.Move(lines); return nil }
