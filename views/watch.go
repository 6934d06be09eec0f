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
	"fathom/ui/table"
	"fathom/ui/text"
	"fathom/watchers"
	"fathom/watchers/etcd"
)

const (
	watchRing   = 1000     // changes that are kept
	watchValues = 16 << 20 // bytes of their values that are kept; those of older ones are read again when they are looked at
	// watchAway is for how long a watch goes on where it was after its pane was covered: going on makes the member read every
	// revision in between.
	watchAway = 2 * time.Minute
)

// keyWatch is the changes of a key, or of all keys below a prefix, as they come, the newest first.
type keyWatch struct {
	narrowed
	env    *Env
	prefix bool
	keys   *etcd.Keys

	watch    *etcd.Watch // nil while the pane is closed
	last     *etcd.WatchSnapshot
	paused   *etcd.WatchSnapshot // what is shown while it is not nil
	closedAt time.Time
	started  time.Time
	cleared  uint64          // events up to this number are not shown
	rows     []etcd.KeyEvent // that pass the filter, the newest first
	src      *eventSource    // of rows
	table    *table.Table
	tableY   int

	notes *changeNotes
	noted uint64 // what of the notes is drawn
	view  *text.View
	shown string // the row whose comparison is in view
}

func newKeyWatch(env *Env, r Ref) (Pane, error) {
	e := env.Cluster.Etcd()
	if e == nil {
		return nil, errors.New("watching keys: " + noEtcd(env))
	}
	f, err := keyFilter(r.Filter)
	if err != nil {
		return nil, err
	}
	p := &keyWatch{env: env, narrowed: narrowed{r, f}, keys: etcd.NewKeys(e), last: &etcd.WatchSnapshot{}, table: table.New(env.Theme), view: text.NewView(env.Theme)}
	p.prefix = r.Object.Key == "" || strings.HasSuffix(r.Object.Key, etcd.Separator)
	p.table.SetColumns(watchColumns(p.prefix))
	p.table.FollowTop(true)
	p.view.SetWrap(true)
	p.notes = newChangeNotes(p.keys)
	return p, nil
}

// Open implements Pane: the watch goes on where it was, if that was not long ago.
func (p *keyWatch) Open() {
	if p.watch != nil {
		return
	}
	o := etcd.WatchOptions{Key: p.ref.Object.Key, Prefix: p.prefix, Ring: watchRing, Values: watchValues}
	now := p.env.Now()
	switch {
	case p.started.IsZero():
		p.started = now
	case now.Sub(p.closedAt) > watchAway:
		after := *p.last
		after.Events = append(slices.Clone(after.Events), etcd.KeyEvent{At: now, Revision: after.Revision, Before: -1,
			Gap: fmt.Sprintf("changes after revision %d were not watched: this view was away for %s", after.Revision, Age(now.Sub(p.closedAt)))})
		after.Revision, after.Gaps = 0, after.Gaps+1
		o.After = &after
	default:
		o.After = p.last
	}
	p.watch = etcd.NewWatch(p.env.Group, p.env.Cluster.Etcd(), o)
	p.notes.start(p.env.Group)
}

// Close implements Pane.
func (p *keyWatch) Close() {
	if p.watch == nil {
		return
	}
	p.watch.Close()
	p.last = p.watch.Snapshot()
	p.watch, p.closedAt = nil, p.env.Now()
	p.notes.stop()
}

// Sync implements Pane.
func (p *keyWatch) Sync() bool {
	changed := false
	if gen := p.notes.generation(); gen != p.noted {
		p.noted, changed = gen, true
	}
	if p.watch == nil {
		return changed
	}
	s := p.watch.Snapshot()
	if s == p.last {
		return changed
	}
	p.last = s
	if p.paused == nil {
		p.arrange()
	}
	return true
}

// picture is what is shown.
func (p *keyWatch) picture() *etcd.WatchSnapshot {
	if p.paused != nil {
		return p.paused
	}
	return p.last
}

// arrange filters the ring, which is bounded. Gaps always pass.
func (p *keyWatch) arrange() {
	s := p.picture()
	p.rows = make([]etcd.KeyEvent, 0, len(s.Events))
	first := s.Dropped + 1 // the number of the oldest one
	for i := len(s.Events) - 1; i >= 0 && first+uint64(i) > p.cleared; i-- {
		e := s.Events[i]
		if e.Gap != "" || p.filter.IsEmpty() || p.filter.Match(e.Key+" "+kindOfChange(&e), watchers.Labels("")) {
			p.rows = append(p.rows, e)
		}
	}
	p.src = newEventSource(p)
	p.table.SetSource(p.src)
}

// Title implements Pane.
func (p *keyWatch) Title() Title {
	t := Title{Name: safe.Lit("watch"), Scope: safe.String(firstOf(p.ref.Object.Key, "all keys")), Filter: safe.String(p.filter.String())}
	s := p.picture()
	t.Count = fmt.Sprint(len(p.rows))
	if n := len(s.Events); !p.filter.IsEmpty() && n > 0 {
		t.Count = fmt.Sprintf("%d of %d", len(p.rows), n)
	}
	if p.paused != nil {
		t.Count += " PAUSED"
	}
	return t
}

// State implements Pane.
func (p *keyWatch) State() watchers.State {
	if p.last.State.Phase == 0 && p.last.Gen == 0 {
		return watchers.State{Phase: watchers.Connecting}
	}
	return p.last.State
}

// Ticks implements Ticker: the rate is shown.
func (p *keyWatch) Ticks() bool { return true }

// Scopes implements Pane.
func (p *keyWatch) Scopes() []keymap.Scope { return []keymap.Scope{keymap.WatchView, keymap.Table} }

// SetFilter implements Filterer: it looks at the keys and at what happened to them.
func (p *keyWatch) SetFilter(expr string) error {
	f, err := keyFilter(expr)
	return p.narrow(f, err, p.arrange)
}

// selected is the change under the cursor.
func (p *keyWatch) selected() (etcd.KeyEvent, bool) {
	id, ok := p.table.Cursor()
	if !ok {
		return etcd.KeyEvent{}, false
	}
	i, ok := p.src.Find(id)
	if !ok {
		return etcd.KeyEvent{}, false
	}
	return p.rows[i], true
}

// Do implements Pane.
func (p *keyWatch) Do(in keymap.Intent) tea.Cmd {
	if moveTable(p.table, in) {
		return nil
	}
	switch in {
	case keymap.WatchPause:
		p.pause()
	case keymap.WatchClear:
		s := p.picture()
		p.cleared = s.Dropped + uint64(len(s.Events))
		p.arrange()
	case keymap.WatchSave:
		return p.save()
	case keymap.KeysHistory, keymap.Enter:
		e, ok := p.selected()
		switch {
		case !ok:
			return nil
		case e.Gap != "":
			return toast(e.Gap, true)
		case in == keymap.KeysHistory:
			return open(Ref{View: "history", Object: Object{Key: e.Key}})
		}
		return open(Ref{View: "diff", Object: Object{Key: e.Key, Revision: e.Revision}})
	}
	return nil
}

// pause holds the picture still, or lets it go on. The watch itself goes on in any case.
func (p *keyWatch) pause() {
	if p.paused == nil {
		p.paused = p.last
		return
	}
	p.paused = nil
	p.arrange()
}

// Click implements Clicker.
func (p *keyWatch) Click(_, y int) tea.Cmd {
	id, ok := p.table.RowAt(y - p.tableY)
	if !ok {
		return nil
	}
	if cur, _ := p.table.Cursor(); cur == id {
		return p.Do(keymap.Enter)
	}
	p.table.MoveTo(id)
	return nil
}

// Wheel implements Clicker.
func (p *keyWatch) Wheel(lines int) tea.Cmd {
	p.table.Move(lines)
	return nil
}

// kindOfChange says what happened to a key.
func kindOfChange(e *etcd.KeyEvent) string {
	switch {
	case e.Gap != "":
		return "gap"
	case e.Deleted:
		return "deleted"
	case e.Created:
		return "created"
	}
	return "changed"
}
