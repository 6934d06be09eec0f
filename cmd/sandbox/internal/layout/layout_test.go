package layout

import (
	"os"
	"path/filepath"
	"testing"
)

func TestPrepare(t *testing.T) {
	t.Run("creates", func(t *testing.T) {
		d, _ := New(filepath.Join(t.TempDir(), "new", "deep"))
		if err := d.Prepare(); err != nil {
			t.Fatal(err)
		}
		if st, err := os.Stat(d.Path()); err != nil || st.Mode().Perm() != 0o700 {
			t.Fatalf("%v, %v", st, err)
		}
	})
	t.Run("refuses what is somebody's", func(t *testing.T) {
		d, _ := New(t.TempDir())
		mine := filepath.Join(d.Path(), "thesis.txt")
		if err := os.WriteFile(mine, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := d.Prepare(); err == nil {
			t.Error("took a directory with foreign files")
		}
		if _, err := os.Stat(mine); err != nil {
			t.Error(err)
		}
	})
	t.Run("clears an earlier sandbox", func(t *testing.T) {
		d, _ := New(t.TempDir())
		for _, p := range []string{d.Spec(), d.Ready(), d.Host("/etc/kubernetes/admin.conf")} {
			if err := os.MkdirAll(filepath.Dir(p), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(p, nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := d.Prepare(); err != nil {
			t.Fatal(err)
		}
		left, err := os.ReadDir(d.Path())
		if err != nil || len(left) != 0 {
			t.Errorf("left over: %v, %v", left, err)
		}
	})
}

func TestNewNeedsADirectory(t *testing.T) {
	if _, err := New(""); err == nil {
		t.Error("an empty --dir was accepted")
	}
}
