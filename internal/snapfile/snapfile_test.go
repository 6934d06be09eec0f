package snapfile

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"
)

// database makes a database as a snapshot has it, without its checksum.
func database(t *testing.T) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "db")
	db, err := bolt.Open(path, 0o600, nil)
	must(t, err)
	must(t, db.Update(func(tx *bolt.Tx) error {
		b, err := tx.CreateBucket([]byte("key"))
		if err != nil {
			return err
		}
		for i := range 500 {
			if err := b.Put([]byte{byte(i >> 8), byte(i)}, bytes.Repeat([]byte("v"), 100)); err != nil {
				return err
			}
		}
		return nil
	}))
	var out bytes.Buffer
	must(t, db.View(func(tx *bolt.Tx) error { _, err := tx.WriteTo(&out); return err }))
	must(t, db.Close())
	return out.Bytes()
}

// snapshot makes a snapshot.
func snapshot(t *testing.T) []byte {
	t.Helper()
	data := database(t)
	sum := sha256.Sum256(data)
	return append(data, sum[:]...)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, path string, data []byte) string {
	t.Helper()
	must(t, os.WriteFile(path, data, 0o600))
	return path
}

func TestVerify(t *testing.T) {
	good := snapshot(t)
	flipped := bytes.Clone(good)
	flipped[len(flipped)/2] ^= 1
	sum := bytes.Clone(good)
	sum[len(sum)-1] ^= 1
	half := good[:len(good)/2/512*512]
	for _, tc := range []struct {
		name string
		data []byte
		want error
	}{
		{"good", good, nil},
		{"flipped", flipped, ErrSum},
		{"the checksum flipped", sum, ErrSum},
		{"cut off", half, ErrCut},
		{"cut off where a checksum could end", append(bytes.Clone(half), good[:SumSize]...), ErrCut},
		{"cut off by a byte", good[:len(good)-1], ErrCut},
		{"without its checksum", good[:len(good)-SumSize], ErrNoSum},
		{"empty", nil, ErrNotSnapshot},
		{"text", []byte(strings.Repeat("no database\n", 1000)), ErrNotSnapshot},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var done int64
			w, err := Verify(t.Context(), write(t, filepath.Join(t.TempDir(), "s.db"), tc.data), func(d, _ int64) { done = d })
			if !errors.Is(err, tc.want) || tc.want == nil && err != nil {
				t.Fatalf("got %v, want %v", err, tc.want)
			}
			if tc.want != nil {
				return
			}
			if want := sha256.Sum256(good[:len(good)-SumSize]); !bytes.Equal(w.SHA256, want[:]) || done != int64(len(good)-SumSize) || w.Header.Size != done {
				t.Errorf("%+v, and %d bytes of progress", w, done)
			}
		})
	}
}

func TestVerifyOfNoFile(t *testing.T) {
	for _, path := range []string{t.TempDir(), "/dev/null", filepath.Join(t.TempDir(), "none")} {
		if _, err := Verify(t.Context(), path, nil); err == nil || errors.Is(err, ErrNotSnapshot) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func names(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	must(t, err)
	var out []string
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return strings.Join(out, " ")
}

func TestWriter(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "s.db")
	w, err := Create(path, false)
	must(t, err)
	if got := names(t, dir); got != "s.db.part" {
		t.Errorf("while it is written there is %q", got)
	}
	if !InProgress(path + PartSuffix) {
		t.Error("nobody seems to write it")
	}
	if _, err := Create(path, false); err == nil || !strings.Contains(err.Error(), "another process") {
		t.Errorf("a second writer: %v", err)
	}
	_, err = w.Write(snapshot(t))
	must(t, err)
	_, err = w.Commit(t.Context(), nil)
	must(t, err)
	w.Abort()
	if got := names(t, dir); got != "s.db" {
		t.Errorf("then there is %q", got)
	}
	if st, err := os.Stat(path); err != nil || st.Mode() != 0o600 {
		t.Errorf("%v, %v", st.Mode(), err)
	}
	if _, err := Create(path, false); !errors.Is(err, ErrExists) {
		t.Errorf("overwriting: %v", err)
	}
	w, err = Create(path, true)
	must(t, err)
	w.Abort()
	if got := names(t, dir); got != "s.db" {
		t.Errorf("after a forced one that was given up there is %q", got)
	}
}

// What is not whole gets no name, and leaves nothing.
func TestWriterKeepsNothingThatIsBad(t *testing.T) {
	good := snapshot(t)
	bad := bytes.Clone(good)
	bad[len(bad)/3] ^= 4
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for name, tc := range map[string]struct {
		ctx  context.Context
		data []byte
	}{
		"flipped": {t.Context(), bad}, "cut": {t.Context(), good[:len(good)-1000]}, "empty": {t.Context(), nil}, "given up": {cancelled, good},
	} {
		dir := t.TempDir()
		w, err := Create(filepath.Join(dir, "s.db"), false)
		must(t, err)
		_, err = w.Write(tc.data)
		must(t, err)
		if _, err := w.Commit(tc.ctx, nil); err == nil {
			t.Errorf("%s: it was kept", name)
		}
		if got := names(t, dir); got != "" {
			t.Errorf("%s: %q was left", name, got)
		}
	}
}

// A name that somebody takes while the snapshot is written is not taken from them.
func TestWriterDoesNotOverwriteWhatCame(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "s.db")
	w, err := Create(path, false)
	must(t, err)
	_, err = w.Write(snapshot(t))
	must(t, err)
	write(t, path, []byte("theirs"))
	if _, err := w.Commit(t.Context(), nil); !errors.Is(err, ErrExists) {
		t.Errorf("got %v", err)
	}
	if b, err := os.ReadFile(path); err != nil || string(b) != "theirs" || names(t, dir) != "s.db" {
		t.Errorf("%q, %v, %q", b, err, names(t, dir))
	}
}

// A .part that a killed process left is no hindrance.
func TestWriterRemovesLeftovers(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "s.db")
	write(t, path+PartSuffix, []byte("half"))
	w, err := Create(path, false)
	must(t, err)
	w.Abort()
	if got := names(t, dir); got != "" {
		t.Errorf("%q is left", got)
	}
}

func TestCanCreate(t *testing.T) {
	dir := t.TempDir()
	file := write(t, filepath.Join(dir, "there.db"), nil)
	must(t, os.Symlink(file, filepath.Join(dir, "link.db")))
	for path, want := range map[string]string{
		"/": "no name", filepath.Join(dir, "x.db.part"): "not yet whole", filepath.Join(dir, "no", "x.db"): "no such file", filepath.Join(file, "x.db"): "is no folder",
		file: "exists already", dir: "is no file", filepath.Join(dir, "link.db"): "is no file",
	} {
		if err := CanCreate(path, false); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", path, err, want)
		}
	}
	must(t, CanCreate(file, true))
}

func TestList(t *testing.T) {
	dir := t.TempDir()
	good := snapshot(t)
	now := time.Now()
	old := func(name string, data []byte, age time.Duration) {
		must(t, os.Chtimes(write(t, filepath.Join(dir, name), data), now, now.Add(-age)))
	}
	old("new", good, time.Hour)
	old("cut.db", good[:len(good)-512], time.Minute)
	old("old.db", good, 48*time.Hour)
	old("text.db", []byte("no database"), 72*time.Hour)
	old("readme.txt", []byte("no database"), 0)
	old("bare.db", good[:len(good)-SumSize], 96*time.Hour)
	old("s.db.part", good[:len(good)/2], 97*time.Hour)
	must(t, os.Mkdir(filepath.Join(dir, "sub.db"), 0o700))
	files, others, err := List(dir)
	must(t, err)
	var got []string
	for _, f := range files {
		got = append(got, f.Name)
	}
	if s := strings.Join(got, " "); s != "cut.db new old.db text.db bare.db s.db.part" || others != 1 {
		t.Fatalf("%s and %d others", s, others)
	}
	if n, ok := Newest(files); !ok || n.Name != "new" {
		t.Errorf("the newest is %+v", n)
	}
	if f := files[0]; f.Damage != ErrCut.Error() {
		t.Errorf("cut.db: %q", f.Damage)
	}
	if f := files[3]; f.Damage == "" {
		t.Errorf("text.db: %+v", f)
	}
	if f := files[4]; f.Sum || f.Damage != "" {
		t.Errorf("bare.db: %+v", f)
	}
	if f := files[5]; !f.Part || f.Writing || f.Total != int64(len(good)) {
		t.Errorf("the part: %+v", f)
	}
	if _, _, err := List(filepath.Join(dir, "none")); err == nil {
		t.Error("a folder that is not there was read")
	}
}

func TestName(t *testing.T) {
	at := time.Date(2026, 8, 21, 14, 30, 5, 0, time.UTC)
	for cluster, want := range map[string]string{"": "etcd-20260821T143005Z.db", "prod": "prod-20260821T143005Z.db", "a/../b c": "a_.._b_c-20260821T143005Z.db"} {
		if got := Name(cluster, at); got != want {
			t.Errorf("%q: %s", cluster, got)
		}
	}
}

// A folder that goes while it is read is gone, and not empty; a file that goes is none of the others.
func TestFolderThatGoesWhileItIsRead(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "backups")
	must(t, os.Mkdir(dir, 0o700))
	for _, name := range []string{"a.db", "b.db", "notes"} {
		must(t, os.WriteFile(filepath.Join(dir, name), []byte("x"), 0o600))
	}
	entries, err := os.ReadDir(dir)
	must(t, err)
	must(t, os.Remove(filepath.Join(dir, "a.db")))
	if files, others, err := lookAt(dir, entries); err != nil || len(files) != 1 || files[0].Name != "b.db" || others != 1 {
		t.Errorf("%+v, %d others, %v", files, others, err)
	}
	must(t, os.Rename(dir, dir+"-away"))
	if files, others, err := lookAt(dir, entries); err == nil {
		t.Errorf("the folder is gone: %+v, %d others", files, others)
	}
}
