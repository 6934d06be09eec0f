package views

import (
	"time"

	"fathom/theme"
	"fathom/watchers/etcd/backup"
)

// backupLine says how old the newest snapshot is. Where no folder was named it is only in the list: that is no fault of the cluster's.
func backupLine(b *backup.Snapshot, now time.Time) (l overviewLine, named bool) {
	level, text := newestBackup(b, now)
	l = overviewLine{id: "backups", name: "backups", level: level, status: text, ref: &Ref{View: "backups"}}
	if b.Dir == "" {
		l.level, l.status, l.detail = theme.Default, "no folder named", "--backup-dir names it"
		return l, false
	}
	if n := b.Newest; n != nil {
		l.at, l.detail = n.Modified, n.Name
	}
	return l, true
}

// backups adds the line to the section of etcd.
func (s *overviewSection) backups(b *backup.Snapshot, now time.Time) {
	if b == nil {
		return
	}
	l, named := backupLine(b, now)
	switch {
	case !named:
		s.list = append(s.list, l)
		return
	case severity(l.level) >= severity(theme.Warn) && s.issue == "":
		s.issue = "backups: " + l.status
	}
	s.head = append(s.head, l)
}
