package views

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"fathom/internal/safe"
	"fathom/keymap"
	"fathom/ui/table"
	"fathom/watchers"
	"fathom/watchers/etcd"
)

// spacePicture is one way to look at what a scan has found.
type spacePicture int

const (
	byPrefix spacePicture = iota
	byResource
	byValue
	byWrites
	spacePictures
)

var pictureNames = [spacePictures]string{"by prefix", "by resource", "largest values", "most written"}

// space tells what fills etcd's database. It reads all values, so it begins only when it is told to.
type space struct {
	narrowed
	env    *Env
	prefix string
	scans  *etcd.SpaceScans
	scan   *etcd.Space // nil: there was none
	snap   etcd.SpaceSnapshot
	plan   *spacePlan // what a scan would read; nil: not known yet
	err    error      // of the plan

	picture spacePicture
	at      string // the prefix whose level is shown
	rows    []etcd.SpaceRow
	index   map[string]int // of rows, by ID
	total   etcd.SpaceUse  // of the level
	cols    []spaceColumn
	sort    string
	desc    bool
	table   *table.Table
	tableY  int
}

// spacePlan is what a scan would read.
type spacePlan struct {
	keys   int64
	source etcd.Source
	at     time.Time
}

func newSpace(env *Env, r Ref) (Pane, error) {
	p := &space{env: env, narrowed: narrowed{ref: r}, prefix: r.Object.Key, scans: env.Scans, table: table.New(env.Theme), sort: "bytes", desc: true}
	if p.scans == nil {
		p.scans = &etcd.SpaceScans{}
	}
	if last := p.scans.Last(); last != nil && strings.HasPrefix(p.prefix, last.Prefix) {
		p.take(last)
		if at := p.prefix[:strings.LastIndex(p.prefix, etcd.Separator)+1]; len(at) > len(p.at) {
			p.at = at
		}
	}
	p.layout()
	return p, p.SetFilter(r.Filter)
}

// take shows a scan from its first level on.
func (p *space) take(s *etcd.Space) {
	p.scan, p.at, p.snap = s, s.Base(), etcd.SpaceSnapshot{}
}

// Open implements Pane: the scan goes on when it was held.
func (p *space) Open() {
	if p.scan != nil {
		p.scan.Pause(false)
	}
}

// Close implements Pane: nothing is read for a pane that nobody sees.
func (p *space) Close() {
	if p.scan != nil {
		p.scan.Pause(true)
	}
}

// Start implements Starter: it counts what a scan would read.
func (p *space) Start() tea.Cmd {
	e := p.env.Cluster.Etcd()
	if e == nil || p.scan != nil || p.plan != nil {
		return nil
	}
	keys := etcd.NewKeys(e)
	return p.env.Read(p, "counting keys", func(ctx context.Context) any {
		n, src, err := keys.Count(ctx, p.prefix)
		return planRead{spacePlan{n, src, p.env.Now()}, err}
	})
}

type planRead struct {
	spacePlan
	err error
}

// Update implements Updater.
func (p *space) Update(msg any) tea.Cmd {
	if m, ok := msg.(planRead); ok {
		if p.err = m.err; m.err == nil {
			p.plan = &m.spacePlan
		}
	}
	return nil
}

// Refresh implements Refresher. It does not scan: that is asked for with a key of its own.
func (p *space) Refresh() tea.Cmd {
	if p.scan != nil {
		return toast("r scans again; what is shown was found "+p.found(), false)
	}
	p.plan = nil
	return p.Start()
}

func (p *space) found() string {
	if !p.snap.Done {
		return "so far"
	}
	return Age(p.env.Now().Sub(p.snap.Ends)) + " ago"
}

// Stop implements Stopper.
func (p *space) Stop() bool {
	if p.scan == nil || !p.scan.Running() {
		return false
	}
	p.scan.Stop()
	return true
}

// Sync implements Pane.
func (p *space) Sync() bool {
	if p.scan == nil {
		return false
	}
	s := p.scan.Snapshot()
	if s.Gen == p.snap.Gen && s.Done == p.snap.Done && s.Database == p.snap.Database {
		return false
	}
	p.snap = s
	p.arrange()
	return true
}

// arrange reads the level that is shown and sorts it. There are some 2,000 rows at most, whatever the number of keys.
func (p *space) arrange() {
	if p.scan == nil {
		return
	}
	var rows []etcd.SpaceRow
	switch p.picture {
	case byPrefix:
		rows = p.scan.Level(p.at)
	case byResource:
		rows = p.scan.Resources()
	default:
		list := p.scan.Largest()
		if p.picture == byWrites {
			list = p.scan.MostWritten()
		}
		for _, k := range list {
			rows = append(rows, etcd.SpaceRow{Name: k.Key, Prefix: k.Key, Leaf: true,
				SpaceUse: etcd.SpaceUse{Keys: 1, KeyBytes: int64(len(k.Key)), ValueBytes: k.Bytes, Writes: k.Version, Largest: k, Most: k}})
		}
	}
	p.total = etcd.SpaceUse{}
	for _, r := range rows {
		p.total.Keys += r.Keys
		p.total.KeyBytes += r.KeyBytes
		p.total.ValueBytes += r.ValueBytes
	}
	if p.picture >= byValue {
		p.total = p.snap.All // a list is a part of everything
	}
	if !p.filter.IsEmpty() {
		rows = slices.DeleteFunc(rows, func(r etcd.SpaceRow) bool { return !p.filter.Match(r.Name, nil) })
	}
	sign := 1
	if p.desc {
		sign = -1
	}
	if i := slices.IndexFunc(p.cols, func(c spaceColumn) bool { return c.key == p.sort }); i >= 0 {
		slices.SortFunc(rows, func(a, b etcd.SpaceRow) int {
			return cmp.Or(sign*p.cols[i].compare(&a, &b), cmp.Compare(a.Name, b.Name), cmp.Compare(rowID(&a), rowID(&b)))
		})
	}
	p.rows, p.index = rows, make(map[string]int, len(rows))
	for i := range rows {
		p.index[rowID(&rows[i])] = i
	}
	p.table.SetSource(spaceSource{p.env, p.cols, p.rows, p.index, p.total})
}

// rowID is unique on a level: names of prefixes have no separator at their end, and the rows that stand for the rest have names of ours.
func rowID(r *etcd.SpaceRow) string {
	if r.Rest {
		return "r" + r.Name
	}
	return "n" + r.Name
}

type spaceSource struct {
	env   *Env
	cols  []spaceColumn
	rows  []etcd.SpaceRow
	index map[string]int
	total etcd.SpaceUse
}

func (s spaceSource) Len() int                   { return len(s.rows) }
func (s spaceSource) ID(i int) string            { return rowID(&s.rows[i]) }
func (s spaceSource) Find(id string) (int, bool) { i, ok := s.index[id]; return i, ok }
func (s spaceSource) Cell(i, col int) table.Cell {
	return s.cols[col].cell(&s.rows[i], s.total, s.env.Theme.Glyphs())
}

// layout sets the columns of the picture.
func (p *space) layout() {
	p.cols = spaceColumns(p.picture)
	tc := make([]table.Column, len(p.cols))
	sorted := -1
	for i, c := range p.cols {
		tc[i] = c.Column
		if c.key == p.sort {
			sorted = i
		}
	}
	p.table.SetColumns(tc)
	p.table.SetSort(sorted, p.desc)
}

// resort changes the column the rows are sorted by.
func (p *space) resort(in keymap.Intent) {
	at := slices.IndexFunc(p.cols, func(c spaceColumn) bool { return c.key == p.sort })
	switch n := len(p.cols); in {
	case keymap.SortNext:
		p.sort, p.desc = p.cols[(at+1)%n].key, true
	case keymap.SortPrev:
		p.sort, p.desc = p.cols[(max(at, 0)+n-1)%n].key, true
	case keymap.SortReverse:
		p.desc = !p.desc
	case keymap.SortName:
		p.sort, p.desc = "name", p.sort == "name" && !p.desc
	}
	p.layout()
	p.arrange()
}

// show changes the picture.
func (p *space) show(picture spacePicture) {
	p.picture = picture
	p.sort, p.desc = map[spacePicture]string{byWrites: "writes"}[picture], true
	if p.sort == "" {
		p.sort = "bytes"
	}
	p.table = table.New(p.env.Theme) // another list: its cursor begins at the top
	p.layout()
	p.arrange()
}

// Do implements Pane.
func (p *space) Do(in keymap.Intent) tea.Cmd {
	switch in {
	case keymap.SpaceScan:
		return p.begin()
	case keymap.SpacePicture:
		if p.scan != nil {
			p.show((p.picture + 1) % spacePictures)
		}
		return nil
	case keymap.Enter, keymap.SpaceInto:
		return p.enter(in)
	case keymap.SpaceUp:
		p.up()
		return nil
	case keymap.SortNext, keymap.SortPrev, keymap.SortReverse, keymap.SortName:
		p.resort(in)
		return nil
	}
	moveTable(p.table, in)
	return nil
}

// begin scans.
func (p *space) begin() tea.Cmd {
	e := p.env.Cluster.Etcd()
	if e == nil {
		return toast(noEtcd(p.env), true)
	}
	if p.scan != nil && p.scan.Running() {
		return toast("it scans already; Esc stops it", false)
	}
	picture, at := p.picture, p.at
	again := p.scan != nil && p.scan.Prefix == p.prefix
	p.take(p.scans.Start(p.env.Group, e, p.prefix))
	if again {
		p.at = at
	}
	p.picture = picture
	p.Sync()
	return nil
}

// enter goes a level deeper, and where there is none to the keys themselves.
func (p *space) enter(in keymap.Intent) tea.Cmd {
	id, ok := p.table.Cursor()
	i, there := p.index[id]
	if !ok || !there {
		if p.scan == nil && in == keymap.Enter {
			return p.begin()
		}
		return nil
	}
	r := p.rows[i]
	switch {
	case p.picture == byPrefix && !r.Leaf:
		p.at = r.Prefix
		p.show(byPrefix)
	case in != keymap.Enter:
	case p.picture >= byValue:
		return open(Ref{View: "value", Object: Object{Key: r.Name}})
	case p.picture == byPrefix:
		return open(Ref{View: "keys", Object: Object{Key: r.Prefix}})
	case r.Largest.Key != "":
		return open(Ref{View: "value", Object: Object{Key: r.Largest.Key}})
	}
	return nil
}

// up goes to the level above.
func (p *space) up() {
	if p.scan == nil || p.picture != byPrefix || len(p.at) <= len(p.scan.Base()) {
		return
	}
	was := strings.TrimSuffix(p.at, etcd.Separator)
	p.at = was[:strings.LastIndex(was, etcd.Separator)+1]
	if p.at == etcd.Separator && p.scan.Base() == "" {
		p.at = "" // "/registry" is one name
	}
	p.show(byPrefix)
	p.table.MoveTo("n" + strings.TrimPrefix(was, p.at))
}

// Scopes implements Pane.
func (p *space) Scopes() []keymap.Scope { return []keymap.Scope{keymap.Space, keymap.Table} }

// SetFilter implements Filterer.
func (p *space) SetFilter(expr string) error {
	f, err := keyFilter(expr)
	return p.narrow(f, err, p.arrange)
}

// Ticks implements Ticker.
func (p *space) Ticks() bool { return p.scan != nil || p.plan != nil }

// ReadAt implements Aged.
func (p *space) ReadAt() time.Time {
	if p.scan == nil && p.plan != nil {
		return p.plan.at // the number of keys was read once
	}
	return p.snap.Ends
}

// Title implements Pane.
func (p *space) Title() Title {
	scope := p.prefix
	if p.scan != nil {
		scope = p.at
	}
	if p.picture != byPrefix {
		scope = ""
		if p.scan != nil {
			scope = p.scan.Prefix
		}
	}
	t := Title{Name: safe.Lit("space"), Scope: safe.Bounded(firstOf(scope, "all"), 60), Filter: safe.String(p.filter.String())}
	if p.scan != nil {
		t.Count = pictureNames[p.picture]
	}
	return t
}

// State implements Pane.
func (p *space) State() watchers.State {
	switch {
	case p.env.Cluster.Etcd() == nil:
		return watchers.State{Phase: watchers.Unsupported, Resource: "keys", Why: noEtcd(p.env)}
	case p.scan != nil:
		return scanState(p.snap.Progress, p.snap.Done, p.snap.Err, "keys")
	case p.err != nil:
		return scanState(etcd.Progress{}, true, p.err, "keys")
	case p.plan == nil:
		return watchers.State{Phase: watchers.Connecting}
	}
	return watchers.State{Phase: watchers.Live}
}

// Click implements Clicker: a click selects, a click on the selected row opens it.
func (p *space) Click(_, y int) tea.Cmd { return clickTable(p.table, y-p.tableY, p.Do) }

// Wheel implements Clicker.
func (p *space) Wheel(lines int) tea.Cmd {
	p.table.Move(lines)
	return nil
}

// Print implements Printer: to print it is to ask for the scan.
func (p *space) Print(bool) (Printed, bool, error) {
	switch {
	case p.env.Cluster.Etcd() == nil:
		return Printed{}, false, fmt.Errorf("not available: %s", noEtcd(p.env))
	case p.scan == nil:
		p.begin()
		return Printed{}, false, nil
	case p.snap.Err != nil:
		return Printed{}, false, p.snap.Err
	case !p.snap.Done:
		return Printed{}, false, nil
	}
	p.show(byResource)
	out := Printed{Keys: []string{"resource", "keys", "keyBytes", "valueBytes", "largestKey", "largestBytes", "writes"}}
	for _, c := range p.cols {
		out.Titles = append(out.Titles, c.Title)
	}
	for i := range p.rows {
		r := &p.rows[i]
		var row []string
		for _, c := range p.cols {
			row = append(row, c.cell(r, p.total, p.env.Theme.Glyphs()).Text.String())
		}
		out.Rows = append(out.Rows, row)
		out.Values = append(out.Values, []any{r.Name, r.Keys, r.KeyBytes, r.ValueBytes, r.Largest.Key, r.Largest.Bytes, r.Writes})
	}
	return out, true, nil
}
