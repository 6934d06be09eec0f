package views

import (
	"context"
	"errors"
	"fmt"
	"regexp"
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

// document is a text that is read once, and again on request: YAML, a description, the value of a key.
type document struct {
	env     *Env
	ref     Ref
	view    *text.View
	read    func(ctx context.Context, reveal string) (string, error)
	paint   func(line string) []draw.Span
	raw     string
	at      time.Time // when raw was read; zero: not yet
	err     error
	search  string
	reveal  string // which masked value is shown, until hideAt; empty: none
	hideAt  time.Time
	plain   string // what was read last with nothing revealed
	plainAt time.Time
	seq     int // of the newest read, so that a late answer to an earlier one is dropped
}

// docRead is the answer of a read.
type docRead struct {
	seq    int
	reveal string
	text   string
	err    error
}

// revealFor is how long a revealed value stays on screen.
const revealFor = 30 * time.Second

func newDocument(env *Env, r Ref, paint func(string) []draw.Span, read func(context.Context, string) (string, error)) *document {
	d := &document{env: env, ref: r, view: text.NewView(env.Theme), read: read, paint: paint}
	d.view.SetEmpty(safe.Lit("reading…"))
	return d
}

func newYAML(env *Env, r Ref) (Pane, error) {
	k := env.Cluster.Kube()
	if k == nil {
		return nil, errors.New("reading YAML: there is no API server; the stored object can be read under :keys")
	}
	return newDocument(env, r, yamlLine, func(ctx context.Context, _ string) (string, error) {
		return fetchYAML(ctx, k, r.Object)
	}), nil
}

func newDescribe(env *Env, r Ref) (Pane, error) {
	k := env.Cluster.Kube()
	if k == nil {
		return nil, errors.New("describing: there is no API server; the stored object can be read under :keys")
	}
	return newDocument(env, r, describeLine, func(context.Context, string) (string, error) {
		return fetchDescription(k, r.Object)
	}), nil
}

// Open implements Pane.
func (d *document) Open() {}

// Close implements Pane: what was revealed is masked again.
func (d *document) Close() { d.hide() }

// hide shows again what was read with nothing revealed. A revealing read that is under way comes too late.
func (d *document) hide() {
	if d.reveal == "" {
		return
	}
	d.seq++
	d.reveal, d.raw, d.at = "", "", d.plainAt
	d.view.SetLines(nil)
	if !d.plainAt.IsZero() {
		d.show(d.plain)
	}
}

// Start implements Starter.
func (d *document) Start() tea.Cmd { return d.Refresh() }

// Refresh implements Refresher.
func (d *document) Refresh() tea.Cmd {
	d.seq++
	seq, reveal := d.seq, d.reveal
	return d.env.Read(d, "reading "+d.ref.View, func(ctx context.Context) any {
		s, err := d.read(ctx, reveal)
		return docRead{seq, reveal, s, err}
	})
}

// Update implements Updater.
func (d *document) Update(msg any) tea.Cmd {
	r, ok := msg.(docRead)
	if !ok || r.seq != d.seq {
		return nil
	}
	if d.err = r.err; r.err != nil {
		d.view.SetEmpty(safe.String(r.err.Error()))
		return nil
	}
	d.at = d.env.Now()
	if r.reveal == "" {
		d.plain, d.plainAt = r.text, d.at
	}
	if r.text != d.raw {
		d.show(r.text)
	}
	return nil
}

func (d *document) show(text string) {
	d.raw = text
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	spans := make([][]draw.Span, len(lines))
	for i, l := range lines {
		spans[i] = d.paint(l)
	}
	d.view.SetLines(spans)
}

// Sync implements Pane: a revealed value is masked again when its time is over.
func (d *document) Sync() bool {
	if d.reveal != "" && d.env.Now().After(d.hideAt) {
		d.hide()
		return true
	}
	return false
}

// Title implements Pane.
func (d *document) Title() Title {
	o := d.ref.Object
	t := Title{Name: safe.String(d.ref.View), Scope: safe.String(scopeOf(o)), Filter: safe.String(d.search)}
	first, last, total := d.view.Position()
	if total > 0 {
		t.Count = fmt.Sprintf("%d-%d of %d", first, last, total)
	}
	if k, n, more := d.view.Match(); n > 0 {
		plus := ""
		if more {
			plus = "+"
		}
		t.Count = fmt.Sprintf("match %d of %d%s", k, n, plus)
	}
	return t
}

// State implements Pane.
func (d *document) State() watchers.State {
	if d.err != nil && d.at.IsZero() {
		return watchers.State{Phase: watchers.Unsupported, Why: "could not be read"}
	}
	return readState(d.at, d.err)
}

// ReadAt implements Aged.
func (d *document) ReadAt() time.Time { return d.at }

// Ticks implements Ticker: the age of the text is shown.
func (d *document) Ticks() bool { return true }

// Draw implements Pane.
func (d *document) Draw(a draw.Area, focused bool) { d.view.Draw(padded(a), focused) }

// padded leaves a blank column on both sides, between text and frame.
func padded(a draw.Area) draw.Area { return a.Sub(draw.Rect{X: 1, W: a.W() - 2, H: a.H()}) }

// scopeOf names what a document is of.
func scopeOf(o Object) string {
	switch {
	case o.Key == "":
		return o.Kind + " " + nameOf(o)
	case o.Base != 0:
		return fmt.Sprintf("%s at %d and %d", o.Key, o.Base, o.Revision)
	case o.Revision != 0:
		return fmt.Sprintf("%s at %d", o.Key, o.Revision)
	}
	return o.Key
}

// Scopes implements Pane.
func (d *document) Scopes() []keymap.Scope { return []keymap.Scope{keymap.TextView, keymap.Scroll} }

// Ref implements Pane.
func (d *document) Ref() Ref { return d.ref }

// Filter implements Filterer: in a text it is a search.
func (d *document) Filter() string { return d.search }

// SetFilter implements Filterer.
func (d *document) SetFilter(expr string) error {
	find, err := finder(expr)
	if err != nil {
		return err
	}
	d.search = expr
	d.view.SetSearch(find)
	return nil
}

// finder makes a search of an expression: plain text, or a regular expression when it is none.
func finder(expr string) (text.MatchFunc, error) {
	if expr == "" {
		return nil, nil
	}
	f, err := ParseFilter(expr)
	if err != nil {
		return nil, err
	}
	re := f.re
	if re == nil {
		re = regexp.MustCompile("(?i)" + regexp.QuoteMeta(expr))
	}
	return func(line string) [][2]int {
		var out [][2]int
		for _, m := range re.FindAllStringIndex(line, 64) {
			out = append(out, [2]int{m[0], m[1]})
		}
		return out
	}, nil
}

// Do implements Pane.
func (d *document) Do(in keymap.Intent) tea.Cmd {
	if scroll(d.view, in) {
		return nil
	}
	switch in {
	case keymap.SearchNext:
		d.view.Next()
	case keymap.SearchPrev:
		d.view.Prev()
	case keymap.TextWrap:
		d.view.SetWrap(!d.view.Wrapped())
	case keymap.OtherSide:
		return d.env.keyOf(d.ref.Object)
	case keymap.CrossCheck:
		return d.env.crossCheck(d.ref.Object)
	}
	return nil
}

// scroller is what text.View and text.LogView have in common.
type scroller interface {
	mover
	Left()
	Right()
}

// scroll carries out the intents that every text knows.
func scroll(v scroller, in keymap.Intent) bool {
	switch in {
	case keymap.ScrollLeft:
		v.Left()
	case keymap.ScrollRight:
		v.Right()
	default:
		return move(v, in)
	}
	return true
}

// Click implements Clicker.
func (d *document) Click(int, int) tea.Cmd { return nil }

// Wheel implements Clicker.
func (d *document) Wheel(lines int) tea.Cmd { d.view.Move(lines); return nil }

// Print implements Printer.
func (d *document) Print(bool) (Printed, bool, error) {
	return Printed{Text: d.raw}, !d.at.IsZero(), d.err
}

// maxLineCells bounds one line of a document: a value of a megabyte in one line stays readable at its beginning.
const maxLineCells = 16 << 10

// yamlLine colours one line of YAML as sigs.k8s.io/yaml writes it: indentation, "- ", a key, a scalar. A highlighter that knows every
// language costs more at every start than this.
func yamlLine(s string) []draw.Span {
	body := strings.TrimLeft(s, " ")
	indent := s[:len(s)-len(body)]
	var out []draw.Span
	add := func(t string, st theme.Style) {
		if t != "" {
			out = append(out, draw.Span{Text: safe.Bounded(t, maxLineCells), Style: st})
		}
	}
	add(indent, theme.Default)
	for strings.HasPrefix(body, "- ") {
		add("- ", theme.SyntaxPunct)
		body = body[2:]
	}
	if strings.HasPrefix(body, "#") {
		add(body, theme.SyntaxComment)
		return out
	}
	if i := keyEnd(body); i > 0 {
		add(body[:i], theme.SyntaxKey)
		add(":", theme.SyntaxPunct)
		body = body[i+1:]
	}
	v := strings.TrimSpace(body)
	switch {
	case v == "":
		add(body, theme.Default)
	case v == "|" || v == "|-" || v == ">" || v == ">-" || v == "{}" || v == "[]" || v == "-":
		add(body, theme.SyntaxPunct)
	case v == "true" || v == "false" || v == "null" || numeric.MatchString(v):
		add(body, theme.SyntaxNumber)
	default:
		add(body, theme.SyntaxString)
	}
	return out
}

var numeric = regexp.MustCompile(`^[-+]?[0-9][0-9.eE+-]*$`)

// keyEnd is where the key of "key: value" or "key:" ends; 0 when the line has none.
func keyEnd(s string) int {
	if strings.HasPrefix(s, `"`) {
		if i := strings.Index(s[1:], `":`); i >= 0 {
			return i + 2
		}
		return 0
	}
	i := strings.Index(s, ":")
	if i > 0 && (i == len(s)-1 || s[i+1] == ' ') && !strings.ContainsAny(s[:i], " '") {
		return i
	}
	return 0
}

// describeLine colours the field names of kubectl's descriptions.
func describeLine(s string) []draw.Span {
	body := strings.TrimLeft(s, " ")
	i := strings.Index(body, ":")
	if i <= 0 || i > 40 || i+1 < len(body) && body[i+1] != ' ' || strings.Contains(body[:i], "  ") {
		return []draw.Span{{Text: safe.Bounded(s, maxLineCells)}}
	}
	i += len(s) - len(body)
	return []draw.Span{{Text: safe.Bounded(s[:i+1], maxLineCells), Style: theme.Key}, {Text: safe.Bounded(s[i+1:], maxLineCells)}}
}
