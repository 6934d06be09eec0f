package views

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	tea "charm.land/bubbletea/v2"

	"fathom/actions"
	"fathom/internal/safe"
	"fathom/keymap"
	"fathom/ui/draw"
	"fathom/ui/table"
	"fathom/ui/text"
	"fathom/watchers"
	"fathom/watchers/etcd"
)

const (
	historyPage = 100    // revisions that are read at once
	historyMost = 20_000 // revisions that are kept, about 5 MB
)

// history is the revisions of one key that etcd still keeps, the newest first, and how the selected one differs from the one before.
type history struct {
	env  *Env
	ref  Ref
	keys *etcd.Keys
	walk *etcd.History

	revs    []etcd.Revision
	end     etcd.HistoryEnd
	source  etcd.Source
	at      time.Time // when the last page was read
	err     error     // of the last page
	gen     int       // grows with every walk: replies to earlier ones are dropped
	reading bool
	anew    bool // the next page begins a walk
	table   *table.Table
	tableY  int
	beside  diffPreview
}

// historyRead is the answer of a read of a page.
type historyRead struct {
	gen  int
	page etcd.HistoryPage
	err  error
}

// diffPreview is a comparison beside or below a table.
type diffPreview struct {
	view    *text.View
	wanted  bool   // there is room for it
	id      string // of the row that is shown; empty: none
	reading bool
}

// diffRead is the answer of a read for the preview.
type diffRead struct {
	id    string
	lines []string
	err   error
}

func newHistory(env *Env, r Ref) (Pane, error) {
	e := env.Cluster.Etcd()
	switch {
	case e == nil:
		return nil, errors.New("reading a key's history: " + noEtcd(env))
	case r.Object.Key == "":
		return nil, errors.New("reading a key's history: none was named; type :history KEY, or press H on a key under :keys")
	}
	p := &history{env: env, ref: r, keys: etcd.NewKeys(e), table: table.New(env.Theme)}
	p.beside.view = text.NewView(env.Theme)
	p.table.SetColumns(historyColumns())
	p.table.SetEmpty(safe.Lit("reading…"))
	p.table.FollowTop(true)
	return p, nil
}

// Open implements Pane.
func (p *history) Open() {}

// Close implements Pane.
func (p *history) Close() {}

// Sync implements Pane.
func (p *history) Sync() bool { return false }

// Start implements Starter: what was read before is kept.
func (p *history) Start() tea.Cmd {
	if p.walk != nil {
		return p.look()
	}
	return p.Refresh()
}

// Refresh implements Refresher: the walk begins anew at the newest revision.
func (p *history) Refresh() tea.Cmd {
	p.gen++
	p.walk, p.reading, p.anew, p.end = p.keys.History(p.ref.Object.Key), false, true, etcd.HistoryEnd{}
	return p.read()
}

// read reads the next page. One at a time: a walk is not safe for two.
func (p *history) read() tea.Cmd {
	if p.reading || p.end.Reached || !p.anew && len(p.revs) >= historyMost {
		return nil
	}
	p.reading = true
	gen, walk := p.gen, p.walk
	return p.env.Read(p, "reading a key's history", func(ctx context.Context) any {
		page, err := walk.Next(ctx, historyPage)
		return historyRead{gen, page, err}
	})
}

// readAll implements allReader.
func (p *history) readAll() tea.Cmd {
	p.gen++
	p.anew = true
	gen, walk := p.gen, p.keys.History(p.ref.Object.Key)
	return p.env.Read(p, "reading a key's history", func(ctx context.Context) any {
		var all etcd.HistoryPage
		for len(all.Revisions) < historyMost && !all.End.Reached {
			page, err := walk.Next(ctx, etcd.MaxPage)
			if err != nil {
				return historyRead{gen: gen, err: err}
			}
			all.Source, all.End, all.Revisions = page.Source, page.End, append(all.Revisions, page.Revisions...)
			if ctx.Err() != nil {
				return historyRead{gen: gen, err: fmt.Errorf("reading the history of key %q: %w", p.ref.Object.Key, ctx.Err())}
			}
		}
		return historyRead{gen, all, nil}
	})
}

// Update implements Updater.
func (p *history) Update(msg any) tea.Cmd {
	switch m := msg.(type) {
	case diffRead:
		return p.previewed(m)
	case historyRead:
		if m.gen != p.gen {
			return nil
		}
		p.arrived(m)
	}
	return p.more()
}

// arrived takes a page in.
func (p *history) arrived(m historyRead) {
	p.reading = false
	if p.err = m.err; m.err != nil {
		p.table.SetEmpty(safe.String(m.err.Error()))
		return
	}
	if p.anew {
		p.revs, p.anew = nil, false
		p.beside.id = ""
	}
	p.at, p.end = p.env.Now(), m.page.End
	if m.page.Member != "" {
		p.source = m.page.Source
	}
	p.revs = append(p.revs, m.page.Revisions...)
	p.table.SetSource(revisionSource{p.env, p.revs})
	if len(p.revs) == 0 && p.end.Reached {
		p.table.SetEmpty(safe.Sprintf("no such key at revision %d, and etcd keeps nothing of one: %s", p.source.Revision, p.end.Why))
	}
}

// more reads on when the cursor comes near the end of what was read, and else the comparison of the row under it.
func (p *history) more() tea.Cmd {
	if at, n := p.table.Position(); p.err == nil && at+historyPage/2 > n {
		if cmd := p.read(); cmd != nil {
			return tea.Batch(cmd, p.look())
		}
	}
	return p.look()
}

// selected is the revision under the cursor, and its place.
func (p *history) selected() (etcd.Revision, bool) {
	id, ok := p.table.Cursor()
	if !ok {
		return etcd.Revision{}, false
	}
	i, ok := revisionSource{p.env, p.revs}.Find(id)
	if !ok {
		return etcd.Revision{}, false
	}
	return p.revs[i], true
}

// look reads how the revision under the cursor differs from the one before, if there is room for it. One read at a time.
func (p *history) look() tea.Cmd {
	r, ok := p.selected()
	id := revisionID(r.Revision)
	if !ok || !p.beside.wanted || p.beside.reading || p.beside.id == id {
		return nil
	}
	p.beside.reading = true
	keys, key := p.keys, p.ref.Object.Key
	return p.env.Read(p, "comparing revisions", func(ctx context.Context) any { return readDiff(ctx, keys, key, r.Revision, id) })
}

// previewLines bounds a comparison beside a table.
const previewLines = 400

// readDiff reads and compares a revision with the one before.
func readDiff(ctx context.Context, keys *etcd.Keys, key string, revision int64, id string) diffRead {
	s, err := readStates(ctx, keys, key, revision, 0)
	if err != nil {
		return diffRead{id: id, err: err}
	}
	lines := diffLines(s.diff, previewLines)
	if s.note != "" {
		lines = append([]string{"# " + s.note}, lines...)
	}
	return diffRead{id: id, lines: lines}
}

func (p *history) previewed(m diffRead) tea.Cmd {
	p.beside.reading = false
	if id, ok := p.table.Cursor(); !ok || id != m.id {
		return p.look()
	}
	p.beside.show(m)
	return nil
}

// show shows a comparison that was read.
func (v *diffPreview) show(m diffRead) {
	v.id = m.id
	if m.err != nil {
		m.lines = []string{"# " + m.err.Error()}
	}
	lines := make([][]draw.Span, len(m.lines))
	for i, l := range m.lines {
		lines[i] = diffSpans(l)
	}
	v.view.SetLines(lines)
	v.view.Top()
}

// Title implements Pane.
func (p *history) Title() Title {
	t := Title{Name: safe.Lit("history"), Scope: safe.String(p.ref.Object.Key), Marks: p.table.MarkCount()}
	if at, n := p.table.Position(); n > 0 {
		t.Count = fmt.Sprintf("%d of %d", at, n)
		if !p.end.Reached {
			t.Count += "+"
		}
	}
	return t
}

// State implements Pane.
func (p *history) State() watchers.State {
	return readState(p.at, p.err)
}

// ReadAt implements Aged.
func (p *history) ReadAt() time.Time { return p.at }

// Ticks implements Ticker: ages are shown.
func (p *history) Ticks() bool { return !p.at.IsZero() }

// Scopes implements Pane.
func (p *history) Scopes() []keymap.Scope { return []keymap.Scope{keymap.History, keymap.Table} }

// Ref implements Pane.
func (p *history) Ref() Ref { return p.ref }

// Targets implements Actor, for the marks: what is past cannot be acted on.
func (p *history) Targets(a actions.Action) ([]actions.Target, string) {
	return nil, fmt.Sprintf("%s does not apply to revisions", a.Title)
}

// Unmark implements Actor.
func (p *history) Unmark() { p.table.ClearMarks() }

// Do implements Pane.
func (p *history) Do(in keymap.Intent) tea.Cmd {
	if moveTable(p.table, in) {
		return p.more()
	}
	key := p.ref.Object.Key
	switch in {
	case keymap.HistoryFurther:
		return p.further()
	case keymap.KeysWatch:
		return open(Ref{View: "watch", Object: Object{Key: key}})
	case keymap.HistoryDiff:
		return p.compare()
	case keymap.Enter:
		r, ok := p.selected()
		switch {
		case !ok:
			return nil
		case r.Deleted:
			return toast(fmt.Sprintf("at revision %d there is no value: the key was deleted; d shows what it was", r.Revision), false)
		}
		return open(Ref{View: "value", Object: Object{Key: key, Revision: r.Revision}})
	}
	return nil
}

// compare opens the comparison of the two marked revisions, or of the one under the cursor with the one before.
func (p *history) compare() tea.Cmd {
	o := Object{Key: p.ref.Object.Key}
	switch marked := p.table.Marked(); len(marked) {
	case 0:
		r, ok := p.selected()
		if !ok {
			return nil
		}
		o.Revision = r.Revision
	case 2:
		a, _ := strconv.ParseInt(marked[0], 10, 64)
		b, _ := strconv.ParseInt(marked[1], 10, 64)
		o.Base, o.Revision = min(a, b), max(a, b)
	default:
		return toast(fmt.Sprintf("%s: mark two to compare them, or none to compare with the one before; Esc clears the marks",
			plural(len(marked), "revision")+" marked"), true)
	}
	return open(Ref{View: "diff", Object: o})
}

// further looks for earlier lives of the key in all that is kept.
func (p *history) further() tea.Cmd {
	switch {
	case p.reading:
		return toast("its history is still being read", false)
	case !p.end.Reached:
		return toast("its history goes on: move down to read on", false)
	case p.end.Unseen == 0:
		return toast("nothing older is kept: "+p.end.Why, false)
	}
	p.walk.LookThrough(p.source.Revision)
	p.end = etcd.HistoryEnd{}
	return p.read()
}

// Click implements Clicker.
func (p *history) Click(_, y int) tea.Cmd {
	id, ok := p.table.RowAt(y - p.tableY)
	if !ok {
		return nil
	}
	if cur, _ := p.table.Cursor(); cur == id {
		return p.Do(keymap.Enter)
	}
	p.table.MoveTo(id)
	return p.more()
}

// Wheel implements Clicker.
func (p *history) Wheel(lines int) tea.Cmd {
	p.table.Move(lines)
	return p.more()
}

// Print implements Printer.
func (p *history) Print(wide bool) (Printed, bool, error) {
	if p.err != nil {
		return Printed{}, false, p.err
	}
	if p.at.IsZero() {
		return Printed{}, false, nil
	}
	out := Printed{Keys: []string{"revision", "change", "version", "createRevision", "size", "lease", "time", "manager", "operation", "subresource", "apiVersion", "kind", "format"}}
	cols := historyColumns()
	for _, c := range cols {
		out.Titles = append(out.Titles, c.Title)
	}
	src := revisionSource{p.env, p.revs}
	for i, r := range p.revs {
		cells := make([]string, len(cols))
		for c := range cols {
			cells[c] = src.Cell(i, c).Text.String()
		}
		out.Rows = append(out.Rows, cells)
		at, lease := "", ""
		if !r.By.At.IsZero() {
			at = r.By.At.Format(time.RFC3339)
		}
		if r.Lease != 0 {
			lease = strconv.FormatInt(r.Lease, 16)
		}
		out.Values = append(out.Values, []any{r.Revision, changeOf(r), r.Version, r.CreateRevision, r.Size, lease, at, r.By.Manager, r.By.Operation,
			r.By.Subresource, r.APIVersion, r.Kind, string(r.Format)})
	}
	return out, true, nil
}
