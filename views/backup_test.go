package views

import (
	"strings"
	"testing"
	"time"

	"fathom/internal/snapfile"
	"fathom/theme"
	"fathom/ui/text"
	"fathom/watchers"
	"fathom/watchers/etcd/backup"
)

// The report of a snapshot counts its ages on, and says when the file has gone.
func TestBackupReport(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	env := &Env{Theme: theme.New(theme.Options{}), Now: func() time.Time { return now }}
	p := &backupReport{env: env, ref: Ref{View: "backup", Object: Object{Key: "/b/one.db"}}, view: text.NewView(env.Theme)}
	row := &backup.Row{File: snapfile.File{Path: "/b/one.db", Name: "one.db", Sum: true, Modified: now},
		Job: &backup.Job{Kind: backup.Drilling, Ended: now.Add(-time.Second), Report: &backup.Report{Verdict: backup.Passed}}}
	p.take(&backup.Snapshot{Gen: 1, Dir: "/b", Rows: []*backup.Row{row}})
	if s := frame(p, 80, 20); !strings.Contains(s, "drill passed 1s ago") || strings.Contains(s, "any more") {
		t.Errorf("the report:\n%s", s)
	}
	now = now.Add(time.Hour)
	if s := frame(p, 80, 20); !strings.Contains(s, "drill passed 60m ago") {
		t.Errorf("an hour later:\n%s", s)
	}
	p.take(&backup.Snapshot{Gen: 2, Dir: "/b", State: watchers.State{Phase: watchers.Live}})
	if s := frame(p, 80, 20); !strings.Contains(s, "not in the folder any more") || !strings.Contains(s, "drill passed") {
		t.Errorf("once it has gone:\n%s", s)
	}
	p.take(&backup.Snapshot{Gen: 3, Dir: "/b", Rows: []*backup.Row{row}})
	if s := frame(p, 80, 20); strings.Contains(s, "any more") {
		t.Errorf("once it is back:\n%s", s)
	}
}
