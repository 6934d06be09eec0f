package backup

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"fathom/internal/run"
	"fathom/internal/snapfile"
)

// A disk that is too slow is no fault of the file that is looked into when the time is up.
func TestASlowDiskIsNoDamage(t *testing.T) {
	defer func(was time.Duration) { briefTimeout = was }(briefTimeout)
	briefTimeout = 50 * time.Millisecond
	dir := t.TempDir()
	file := filepath.Join(dir, "s.db")
	if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	g := run.NewGroup(context.Background(), func(p run.Panic) { t.Errorf("%s: %v", p.Name, p.Value) })
	defer g.Stop()
	f := Watch(g, Options{Worker: Worker{Command: []string{"sh", "-c", "read request; read until"}}})
	f.rows = []*Row{{File: snapfile.File{Name: "s.db", Path: file, Size: 1}}}
	f.lookInside(t.Context())
	if r := f.Snapshot().Find(file); r == nil || !r.Unseen || r.Brief != nil || r.Why == "" {
		t.Errorf("%+v", r)
	}
}
