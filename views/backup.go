package views

import (
	"errors"
	"fmt"
	"path/filepath"
	"time"

	tea "charm.land/bubbletea/v2"

	"fathom/internal/safe"
	"fathom/keymap"
	"fathom/theme"
	"fathom/ui/draw"
	"fathom/ui/text"
	"fathom/watchers"
	"fathom/watchers/etcd/backup"
)

// backupReport is what is known of one snapshot: what is inside, whether it was verified, and how its drill went.
type backupReport struct {
	env   *Env
	ref   Ref
	snap  *backup.Snapshot
	row   *backup.Row // as it was seen last; nil: it never was
	gone  bool        // it is not in the folder any more
	view  *text.View
	leave func()
	w     int // cells that lines are broken at
}

func newBackup(env *Env, r Ref) (Pane, error) {
	if env.Backups == nil || r.Object.Key == "" {
		return nil, errors.New("no snapshot was named; choose one under :backups")
	}
	p := &backupReport{env: env, ref: r, view: text.NewView(env.Theme), w: 78}
	p.view.SetWrap(true)
	p.view.SetEmpty(safe.Lit("this snapshot is not in the folder any more"))
	return p, nil
}

// Open implements Pane.
func (p *backupReport) Open() {
	if p.leave == nil {
		p.leave = p.env.Backups.Look()
	}
}

// Close implements Pane. A drill goes on: it is given up with its key, or when fathom ends.
func (p *backupReport) Close() {
	if p.leave != nil {
		p.leave()
		p.leave = nil
	}
}

// Sync implements Pane.
func (p *backupReport) Sync() bool {
	s := p.env.Backups.Snapshot()
	if s == p.snap {
		return false
	}
	p.take(s)
	return true
}

// take looks for the snapshot in the folder. One that is there no more is still told of, and that it is gone: a drill of it may have been read about.
func (p *backupReport) take(s *backup.Snapshot) {
	p.snap = s
	row := s.Find(p.ref.Object.Key)
	p.gone = row == nil && s.State.Phase == watchers.Live // of a folder that cannot be read nobody knows
	if row != nil {
		p.row = row
	}
}

func (p *backupReport) lines() [][]draw.Span {
	var out [][]draw.Span
	line := func(spans ...draw.Span) { out = append(out, spans) }
	field := func(name, format string, args ...any) {
		line(draw.Span{Text: safe.String(fmt.Sprintf("%-10s", name+":")), Style: theme.Key}, draw.Span{Text: safe.String(" " + fmt.Sprintf(format, args...))})
	}
	r, g := p.row, p.env.Theme.Glyphs()
	if p.gone {
		line(draw.Span{Text: safe.Sprintf("%c This snapshot is not in the folder any more. What follows was so before it went.", g.Gone), Style: theme.Warn})
		line()
	}
	field("File", "%s", r.Path)
	field("Saved", "%s", r.Modified.Local().Format(time.RFC1123))
	field("Size", "%s (%d bytes), mode %s", Bytes(r.Size), r.Size, r.Mode.Perm())
	if open := r.Mode.Perm() & 0o077; open != 0 {
		line(draw.Span{Text: safe.Sprintf("%11s%c others on this machine may read it, and every Secret in it", "", g.Warn), Style: theme.Warn})
	}
	st := stateOf(g, r, p.env.Now())
	line(draw.Span{Text: safe.String(fmt.Sprintf("%-10s", "State:")), Style: theme.Key}, draw.Span{Text: safe.String(fmt.Sprintf(" %c %s", st.glyph, st.word)), Style: st.style})
	var in *backup.Inside
	switch j := r.Job; {
	case j != nil && j.Report != nil:
		in = j.Report.Inside
	case r.Status != nil:
		in = r.Status.Inside
	}
	switch {
	case in != nil:
		field("Revision", "%d, history since %d", in.At(), in.CompactRevision)
		field("Keys", "%d (%d revisions stored)", in.Keys, in.Revisions)
		field("Hash", "%08x, HashKV %08x", in.Hash, in.HashKV)
		field("Storage", "%s", firstOf(in.StorageVersion, "from before etcd 3.6"))
	case r.Brief != nil:
		field("Revision", "%d", r.Brief.Revision)
		field("Storage", "%s", firstOf(r.Brief.StorageVersion, "from before etcd 3.6"))
	case r.Why != "":
		field("Inside", "%s", r.Why)
	}
	line()
	return append(out, p.jobLines()...)
}

// jobLines are about the last verification or drill.
func (p *backupReport) jobLines() [][]draw.Span {
	var out [][]draw.Span
	say := func(style theme.Style, format string, args ...any) {
		for _, l := range draw.Wrap(fmt.Sprintf(format, args...), max(p.w, 10)) {
			out = append(out, []draw.Span{{Text: l, Style: style}})
		}
	}
	j := p.row.Job
	switch {
	case j == nil && p.row.Part:
		say(theme.Dim, "It gets its name when it is whole, and is removed by the next save of that name when nobody writes it.")
	case j == nil:
		say(theme.Dim, "It was not looked at since fathom began. v verifies its checksum and every page.")
		say(theme.Dim, "d holds a drill: it is restored into a scratch folder, a member is started on it that only fathom can talk to, and what that serves is compared with the file and with the live cluster. Nothing in the cluster changes; the scratch folder goes.")
	case j.Ended.IsZero():
		say(theme.Info, "The %s is running since %s; x gives it up.", j.Kind, j.Began.Local().Format("15:04:05"))
	case j.Err != "":
		say(theme.Bad, "The %s came to no end: %s", j.Kind, j.Err)
	case j.Status != nil && j.Status.Bad():
		say(theme.Bad, "Verified at %s: it is not to be relied on.", j.Ended.Local().Format("15:04:05"))
		say(theme.Bad, "%s", j.Status.Problem)
	case j.Status != nil:
		say(theme.Good, "Verified at %s: its contents are what its SHA-256 says, and every page is sound.", j.Ended.Local().Format("15:04:05"))
		say(theme.Dim, "SHA-256 %s", j.Status.SHA256)
		say(theme.Dim, "Whether it can be restored only a drill shows: d.")
	case j.Report != nil:
		verdict := theme.Good
		if j.Report.Verdict != backup.Passed {
			verdict = theme.Bad
		}
		say(verdict|theme.Bold, "%s", DrillVerdict(*j.Report))
		out = append(out, nil)
		for _, c := range j.Report.Checks {
			out = append(out, p.checkLines(c)...)
		}
	}
	return out
}

// checkLines are those of one check: verdict, name, and the sentence in a column of its own.
func (p *backupReport) checkLines(c backup.Check) (out [][]draw.Span) {
	style := checkStyle(c.Verdict)
	head := []draw.Span{
		{Text: safe.String(fmt.Sprintf("%c %-8s", p.env.Theme.StateGlyph(style), c.Verdict)), Style: style},
		{Text: safe.String(fmt.Sprintf("%-13s", c.Name)), Style: theme.Key},
	}
	const indent = 2 + 8 + 13
	for i, l := range draw.Wrap(c.Text, max(p.w-indent, 10)) {
		if i > 0 {
			head = []draw.Span{{Text: safe.Sprintf("%23s", "")}}
		}
		out = append(out, append(head, draw.Span{Text: l}))
	}
	return out
}

func checkStyle(v backup.Verdict) theme.Style {
	switch v {
	case backup.Passed:
		return theme.Good
	case backup.Unknown:
		return theme.Dim
	}
	return theme.Bad
}

// DrillVerdict says in a sentence how a drill ended.
func DrillVerdict(r backup.Report) string {
	took := r.Took.Round(100 * time.Millisecond)
	switch r.Verdict {
	case backup.Refused:
		return fmt.Sprintf("REFUSED: nothing was restored. %s", r.Reason)
	case backup.Failed:
		return fmt.Sprintf("FAILED after %s: %s", took, r.Reason)
	}
	s := fmt.Sprintf("PASSED in %s: it was restored, and what it serves is what it should", took)
	switch n := r.Unknowns(); {
	case n == 1:
		s += "; 1 comparison could not be made"
	case n > 1:
		s += fmt.Sprintf("; %d comparisons could not be made", n)
	}
	return s
}

// Title implements Pane.
func (p *backupReport) Title() Title {
	return Title{Name: safe.Lit("backup"), Scope: safe.String(filepath.Base(p.ref.Object.Key))}
}

// State implements Pane.
func (p *backupReport) State() watchers.State { return p.env.Backups.Snapshot().State }

// Ticks implements Ticker: what it says has ages.
func (p *backupReport) Ticks() bool { return true }

// Draw implements Pane.
func (p *backupReport) Draw(a draw.Area, focused bool) {
	h := a.H()
	if p.w = a.W() - 2; p.row != nil { // a few dozen lines, with ages
		p.view.SetLines(p.lines())
	}
	if p.row != nil && p.row.Job != nil && p.row.Job.Ended.IsZero() && h > 4 {
		h--
		drawJob(a.Sub(draw.Rect{X: 1, Y: h, W: a.W() - 2, H: 1}), p.env.Theme, p.row.Job)
	}
	p.view.Draw(padded(a.Sub(draw.Rect{W: a.W(), H: h})), focused)
}

// Scopes implements Pane.
func (p *backupReport) Scopes() []keymap.Scope { return []keymap.Scope{keymap.Backup, keymap.Scroll} }

// Ref implements Pane.
func (p *backupReport) Ref() Ref { return p.ref }

// Do implements Pane.
func (p *backupReport) Do(in keymap.Intent) tea.Cmd {
	switch in {
	case keymap.BackupsDrill, keymap.BackupsVerify:
		return beginJob(p.env, in, p.ref.Object.Key)
	case keymap.BackupsGiveUp:
		if !p.env.Backups.GiveUp() {
			return toast("no drill and no verification is running", false)
		}
		return nil
	}
	scroll(p.view, in)
	return nil
}

// Click implements Clicker.
func (p *backupReport) Click(int, int) tea.Cmd { return nil }

// Wheel implements Clicker.
func (p *backupReport) Wheel(lines int) tea.Cmd { p.view.Move(lines); return nil }
