package views

import (
	"fmt"
	"slices"
	"time"

	"fathom/internal/safe"
	"fathom/theme"
	"fathom/ui/chart"
	"fathom/ui/draw"
	"fathom/ui/table"
	"fathom/watchers"
	"fathom/watchers/etcd/backup"
)

var backupColumns = []table.Column{
	{Title: "NAME", Flex: true, Min: 25, Max: 70}, {Title: "AGE", Align: draw.Right}, {Title: "SIZE", Align: draw.Right},
	{Title: "REVISION", Align: draw.Right, Priority: 2}, {Title: "STORAGE", Priority: 4}, {Title: "SAVED", Priority: 3},
	{Title: "STATE", Min: 16, Priority: 0},
}

// backupSource is what the table shows.
type backupSource struct {
	p    *backups
	rows []*backup.Row
}

func (s backupSource) Len() int        { return len(s.rows) }
func (s backupSource) ID(i int) string { return s.rows[i].Path }
func (s backupSource) Find(id string) (int, bool) {
	i := slices.IndexFunc(s.rows, func(r *backup.Row) bool { return r.Path == id })
	return i, i >= 0
}

func (s backupSource) Cell(i, col int) table.Cell {
	texts, styles := s.p.cells(s.rows[i])
	return table.Cell{Text: safe.Bounded(texts[col], maxCell), Style: styles[col]}
}

const backupCells = 7

// cells are the cells of a row.
func (p *backups) cells(r *backup.Row) (text [backupCells]string, style [backupCells]theme.Style) {
	style[0] = theme.Strong
	text = [backupCells]string{r.Name, Age(p.env.Now().Sub(r.Modified)), Bytes(r.Size), "-", "-", r.Modified.Local().Format("2006-01-02 15:04"), ""}
	style[3], style[4] = theme.Dim, theme.Dim
	if r.Brief != nil {
		text[3], style[3] = fmt.Sprint(r.Brief.Revision), theme.Default
		text[4], style[4] = firstOf(r.Brief.StorageVersion, "<3.6"), theme.Default
	}
	st := p.state(r)
	text[6], style[6] = fmt.Sprintf("%c %s", st.glyph, st.word), st.style
	return text, style
}

// backupState is what is known of whether a snapshot can be relied on.
type backupState struct {
	glyph rune
	word  string
	style theme.Style
}

func (p *backups) state(r *backup.Row) backupState {
	return stateOf(p.env.Theme.Glyphs(), r, p.env.Now())
}

func stateOf(g *theme.Glyphs, r *backup.Row, now time.Time) backupState {
	bad := func(format string, args ...any) backupState {
		return backupState{g.Bad, fmt.Sprintf(format, args...), theme.Bad}
	}
	switch j := r.Job; {
	case r.Part && r.Writing && r.Total > 0:
		return backupState{g.Pending, fmt.Sprintf("being saved, %d%%", 100*r.Size/r.Total), theme.Info}
	case r.Part && r.Writing:
		return backupState{g.Pending, "being saved", theme.Info}
	case r.Part:
		return backupState{g.Warn, "a save that was cut off", theme.Warn}
	case r.Damage != "":
		return bad("%s", r.Damage)
	case j != nil && j.Ended.IsZero():
		return backupState{g.Pending, string(j.Kind) + " is running", theme.Info}
	case j != nil && j.Report != nil && j.Report.Verdict == backup.Passed:
		return backupState{g.Good, "drill passed " + Age(now.Sub(j.Ended)) + " ago", theme.Good}
	case j != nil && j.Report != nil:
		return bad("drill: %s", j.Report.Verdict)
	case j != nil && j.Err != "":
		return backupState{g.Unknown, string(j.Kind) + " not finished", theme.Warn}
	case r.Status != nil && r.Status.Bad():
		return bad("bad")
	case r.Status != nil:
		return backupState{g.Good, "verified " + Age(now.Sub(j.Ended)) + " ago", theme.Good}
	case r.Why != "" && r.Brief == nil && !r.Unseen:
		return bad("cannot be opened")
	case !r.Sum:
		return backupState{g.Warn, "without a checksum", theme.Warn}
	}
	return backupState{g.Unknown, "not verified", theme.Dim}
}

// Draw implements Pane: how old the newest is, the snapshots, and what is running.
func (p *backups) Draw(a draw.Area, focused bool) {
	p.table.SetEmpty(p.emptyText())
	p.tableY = 0
	h := a.H()
	if p.snap.Dir != "" && p.snap.Gen > 0 && h >= 8 {
		spans := p.summary()
		x := 1
		for _, s := range spans {
			x = a.Text(x, 0, s.Style, s.Text)
		}
		p.tableY = 1
	}
	foot := 0
	if j := p.running(); j != nil && h >= 6 {
		foot = 1
		drawJob(a.Sub(draw.Rect{X: 1, Y: h - 1, W: a.W() - 2, H: 1}), p.env.Theme, j)
	}
	p.table.Draw(a.Sub(draw.Rect{Y: p.tableY, W: a.W(), H: h - p.tableY - foot}), focused)
}

// running is the job that runs.
func (p *backups) running() *backup.Job {
	for _, r := range p.snap.Rows {
		if r.Job != nil && r.Job.Ended.IsZero() {
			return r.Job
		}
	}
	return nil
}

// drawJob draws one line of how far a job is.
func drawJob(a draw.Area, th *theme.Theme, j *backup.Job) {
	x := a.Text(0, 0, theme.Info, safe.Sprintf("%s: %s ", j.Kind, firstOf(j.Step, "beginning")))
	if j.Total > 0 && a.W()-x > 20 {
		chart.Bar(a, th, x+1, 0, min(40, a.W()-x-1), chart.Gauge{Value: float64(j.Done), Total: float64(j.Total)})
	}
}

// summary says in a line whether there is a snapshot to rely on.
func (p *backups) summary() []draw.Span {
	g := p.env.Theme.Glyphs()
	level, text := newestBackup(p.snap, p.env.Now())
	spans := []draw.Span{{Text: safe.Sprintf("%c %s", p.env.Theme.StateGlyph(level), text), Style: level}}
	say := func(format string, args ...any) {
		spans = append(spans, draw.Span{Text: safe.String(" " + string(g.Separator) + " " + fmt.Sprintf(format, args...)), Style: theme.Dim})
	}
	if p.snap.Free > 0 {
		say("%s free", Bytes(p.snap.Free))
	}
	if n := p.snap.Others; n == 1 {
		say("1 other file")
	} else if n > 1 {
		say("%d other files", n)
	}
	if p.env.Cluster.ReadOnly() {
		say("read-only: no file is opened")
	}
	return spans
}

// newestBackup says how old the newest snapshot is, and how bad that is.
func newestBackup(s *backup.Snapshot, now time.Time) (theme.Style, string) {
	switch st := s.State; {
	case s.Dir == "":
		return theme.Dim, "no backup folder named"
	case st.Phase == watchers.Stale || st.Phase == watchers.Connecting && st.Why != "":
		return theme.Warn, "the backup folder cannot be read: " + st.Why
	case s.Gen == 0:
		return theme.Pending, "reading the backup folder"
	case s.Newest == nil:
		return theme.Warn, "no snapshot is in the backup folder"
	}
	age := now.Sub(s.Newest.Modified)
	if age >= backup.TooOld {
		return theme.Warn, fmt.Sprintf("the newest is %s old", Age(age))
	}
	return theme.Good, fmt.Sprintf("the newest is %s old", Age(age))
}

// emptyText is what stands in the place of rows.
func (p *backups) emptyText() safe.Text {
	switch st := p.snap.State; {
	case p.snap.Dir == "":
		return safe.Lit("no backup folder is named: give --backup-dir, or set FATHOM_BACKUP_DIR; s saves a snapshot anywhere")
	case !p.filter.IsEmpty() && len(p.snap.Rows) > 0:
		return safe.Sprintf("no snapshot matches /%s; Esc shows all %d", p.filter.String(), len(p.snap.Rows))
	case st.Why != "":
		return safe.Sprintf("the backup folder cannot be read: %s", st.Why)
	case p.snap.Gen == 0:
		return safe.Lit("reading the folder…")
	}
	return safe.Lit("no snapshot is in this folder; s saves one")
}

// backupKeys are the fields in JSON.
var backupKeys = []string{"name", "path", "size", "modified", "revision", "storageVersion", "checksum", "state"}

// Print implements Printer: once the folder was read and looked into.
func (p *backups) Print(bool) (Printed, bool, error) {
	if p.snap.Dir == "" {
		return Printed{}, false, fmt.Errorf("not available: %s", p.env.Backups.Snapshot().State.Why)
	}
	if st := p.snap.State; st.Why != "" {
		return Printed{}, false, fmt.Errorf("the folder cannot be read: %s", st.Why)
	}
	if p.snap.Gen == 0 || slices.ContainsFunc(p.snap.Rows, func(r *backup.Row) bool { return r.Brief == nil && r.Why == "" && !r.Part && r.Damage == "" }) {
		return Printed{}, false, nil
	}
	out := Printed{Keys: backupKeys}
	for _, c := range backupColumns {
		out.Titles = append(out.Titles, c.Title)
	}
	for _, r := range p.rows {
		text, _ := p.cells(r)
		out.Rows = append(out.Rows, text[:])
		var revision any
		version := ""
		if r.Brief != nil {
			revision, version = r.Brief.Revision, r.Brief.StorageVersion
		}
		out.Values = append(out.Values, []any{r.Name, r.Path, r.Size, r.Modified.UTC().Format(time.RFC3339), revision, version, r.Sum, p.state(r).word})
	}
	return out, true, nil
}
