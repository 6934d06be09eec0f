package views

import (
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"

	"fathom/actions"
	"fathom/internal/safe"
	"fathom/internal/snapfile"
	"fathom/keymap"
	"fathom/ui/table"
	"fathom/watchers"
	"fathom/watchers/etcd"
	"fathom/watchers/etcd/backup"
)

// backups is the pane of the folder that snapshots of etcd are kept in: how old the newest is, and whether they can be relied on.
type backups struct {
	narrowed
	env    *Env
	snap   *backup.Snapshot
	rows   []*backup.Row // filtered and sorted
	table  *table.Table
	sort   keymap.Intent
	desc   bool
	leave  func() // ends the closer look at the folder; nil: nobody looks
	tableY int
}

func newBackups(env *Env, r Ref) (Pane, error) {
	if env.Backups == nil {
		return nil, errors.New("no backup folder is watched here")
	}
	p := &backups{env: env, narrowed: narrowed{ref: r}, snap: &backup.Snapshot{}, table: table.New(env.Theme), sort: keymap.SortAge}
	p.table.SetColumns(backupColumns)
	return p, p.SetFilter(r.Filter)
}

// Open implements Pane.
func (p *backups) Open() {
	if p.leave == nil {
		p.leave = p.env.Backups.Look()
	}
}

// Close implements Pane.
func (p *backups) Close() {
	if p.leave != nil {
		p.leave()
		p.leave = nil
	}
}

// Sync implements Pane.
func (p *backups) Sync() bool {
	s := p.env.Backups.Snapshot()
	if s == p.snap {
		return false
	}
	p.snap = s
	p.arrange()
	return true
}

// arrange filters and sorts. A folder holds at most snapfile.MaxFiles files, and changes seldom.
func (p *backups) arrange() {
	p.rows = p.rows[:0:0]
	for _, r := range p.snap.Rows {
		if p.filter.IsEmpty() || p.filter.Match(r.Name, watchers.Labels("")) {
			p.rows = append(p.rows, r)
		}
	}
	slices.SortStableFunc(p.rows, func(a, b *backup.Row) int {
		var c int
		switch p.sort {
		case keymap.SortName:
			c = strings.Compare(a.Name, b.Name)
		case keymap.SortStatus:
			c = strings.Compare(string(p.state(a).word), string(p.state(b).word))
		default:
			c = b.Modified.Compare(a.Modified)
		}
		if p.desc {
			c = -c
		}
		return cmp.Or(c, strings.Compare(a.Name, b.Name))
	})
	sorted := slices.Index([]keymap.Intent{keymap.SortName, keymap.SortAge}, p.sort)
	if p.sort == keymap.SortStatus {
		sorted = len(backupColumns) - 1
	}
	p.table.SetSort(sorted, p.desc)
	p.table.SetSource(backupSource{p, p.rows})
}

// Title implements Pane.
func (p *backups) Title() Title {
	t := Title{Name: safe.Lit("backups"), Scope: safe.String(firstOf(p.snap.Dir, "no folder named")), Filter: safe.String(p.filter.String())}
	if p.snap.Gen != 0 && p.snap.Dir != "" {
		t.Count = countOf(len(p.rows), len(p.snap.Rows))
	}
	return t
}

// State implements Pane.
func (p *backups) State() watchers.State { return p.env.Backups.Snapshot().State }

// Ticks implements Ticker: the files have ages.
func (p *backups) Ticks() bool { return true }

// Refresh implements Refresher.
func (p *backups) Refresh() tea.Cmd {
	p.env.Backups.Refresh()
	return nil
}

// Scopes implements Pane.
func (p *backups) Scopes() []keymap.Scope { return []keymap.Scope{keymap.Backups, keymap.Table} }

// SetFilter implements Filterer.
func (p *backups) SetFilter(expr string) error {
	f, err := textFilter(expr, "snapshots", "name")
	return p.narrow(f, err, p.arrange)
}

// Do implements Pane.
func (p *backups) Do(in keymap.Intent) tea.Cmd {
	if moveTable(p.table, in) {
		return nil
	}
	switch in {
	case keymap.SortName, keymap.SortAge, keymap.SortStatus:
		p.sort, p.desc = in, p.sort == in && !p.desc
		p.arrange()
	case keymap.SortReverse:
		p.desc = !p.desc
		p.arrange()
	case keymap.MembersSnapshot:
		return act(p, in)
	case keymap.BackupsGiveUp:
		if !p.env.Backups.GiveUp() {
			return toast("no drill and no verification is running", false)
		}
	case keymap.Enter, keymap.BackupsDrill, keymap.BackupsVerify:
		return p.onRow(in)
	}
	return nil
}

// onRow opens the report of the snapshot under the cursor, after beginning what it reports on.
func (p *backups) onRow(in keymap.Intent) tea.Cmd {
	path, ok := p.table.Cursor()
	if _, gone := p.table.Gone(); gone || !ok {
		return toast("no snapshot is selected; move to the one you mean first", true)
	}
	row := p.snap.Find(path)
	if row != nil && row.Part && in != keymap.Enter {
		return toast("it is not whole yet: a save is under way, or was cut off", true)
	}
	if cmd := beginJob(p.env, in, path); cmd != nil {
		return cmd
	}
	return open(Ref{View: "backup", Object: Object{Key: path}})
}

// beginJob begins what an intent asks for; the command, when not nil, says why not.
func beginJob(env *Env, in keymap.Intent, path string) tea.Cmd {
	var err error
	switch in {
	case keymap.BackupsDrill:
		err = env.Backups.Drill(path)
	case keymap.BackupsVerify:
		err = env.Backups.Verify(path)
	}
	if err != nil {
		return toast(err.Error(), true)
	}
	return nil
}

// Targets implements Actor: of all actions only the saving of a new snapshot is for this pane, and its target is a member of etcd.
func (p *backups) Targets(a actions.Action) ([]actions.Target, string) {
	if a.ID != actions.IDSnapshot {
		return nil, fmt.Sprintf("%s does not apply to snapshots", a.Title)
	}
	if p.env.Etcd == nil {
		return nil, noEtcd(p.env)
	}
	m := snapshotMember(p.env.Etcd.Snapshot())
	if m == nil {
		return nil, "no voting member of etcd answers, so there is nobody to take a snapshot from"
	}
	t := memberTarget(m)
	name := snapfile.Name(p.env.Cluster.Identity().Cluster, p.env.Now())
	t.Detail[actions.DetailFile] = filepath.Join(p.env.Backups.Dir(), name)
	return []actions.Target{t}, ""
}

// Unmark implements Actor.
func (p *backups) Unmark() { p.table.ClearMarks() }

// snapshotMember is a follower that answers and is least behind, or who else answers.
func snapshotMember(s *etcd.Snapshot) *etcd.MemberRow {
	var best *etcd.MemberRow
	rank := func(m *etcd.MemberRow) int {
		if m.Role == etcd.Follower {
			return 0
		}
		return 1
	}
	for _, m := range s.Members {
		if !m.Reachable || m.IsLearner || m.MemberID == 0 {
			continue
		}
		if best == nil || cmp.Or(cmp.Compare(rank(m), rank(best)), cmp.Compare(m.Lag/1000, best.Lag/1000)) < 0 {
			best = m
		}
	}
	return best
}

// Click implements Clicker.
func (p *backups) Click(_, y int) tea.Cmd {
	if id, ok := p.table.RowAt(y - p.tableY); ok {
		p.table.MoveTo(id)
	}
	return nil
}

// Wheel implements Clicker.
func (p *backups) Wheel(lines int) tea.Cmd {
	p.table.Move(lines)
	return nil
}
