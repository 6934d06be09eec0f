package snapfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"fathom/internal/safe"
)

// MaxFiles bounds how many files of a folder are looked at.
const MaxFiles = 5000

// File is a snapshot in a folder, from outside.
type File struct {
	Name     string // within the folder; untrusted
	Path     string
	Size     int64 // bytes
	Total    int64 // of a part: the bytes it will have when it is whole; 0: not known
	Modified time.Time
	Mode     fs.FileMode
	Sum      bool   // it ends with a checksum
	Part     bool   // a save that is under way, or was cut off
	Writing  bool   // of a part: some process is writing it
	Damage   string // what is wrong at first sight; empty: nothing
}

// List finds the snapshots in a folder, the newest first, and counts the files that are none. Folders within it are not looked into. Files that
// are no longer there when it is their turn are left out.
func List(dir string) (files []File, others int, err error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, 0, fmt.Errorf("reading the backup folder: %w", err)
	}
	defer d.Close()
	entries, err := d.ReadDir(MaxFiles + 1)
	if err != nil && len(entries) == 0 && !errors.Is(err, io.EOF) {
		return nil, 0, fmt.Errorf("reading the backup folder %s: %w", dir, err)
	}
	if len(entries) > MaxFiles {
		return nil, 0, fmt.Errorf("the backup folder %s holds more than %d files: name one that is for snapshots alone", dir, MaxFiles)
	}
	return lookAt(dir, entries)
}

// lookAt looks at the entries of a folder. When they go because the folder does, that is an error: an empty folder is another thing.
func lookAt(dir string, entries []fs.DirEntry) (files []File, others int, err error) {
	for _, e := range entries {
		if e.IsDir() {
			continue
		}
		f, ok := look(dir, e.Name())
		if !ok {
			if _, err := os.Lstat(f.Path); !errors.Is(err, fs.ErrNotExist) {
				others++
			} else if _, err := os.Stat(dir); err != nil {
				return nil, 0, fmt.Errorf("reading the backup folder: %w", err)
			}
			continue
		}
		files = append(files, f)
	}
	slices.SortFunc(files, func(a, b File) int {
		if c := b.Modified.Compare(a.Modified); c != 0 {
			return c
		}
		return strings.Compare(a.Name, b.Name)
	})
	return files, others, nil
}

// look says what a file looks like; ok when it is a snapshot, or was to become one.
func look(dir, name string) (File, bool) {
	f := File{Name: name, Path: filepath.Join(dir, name), Part: strings.HasSuffix(name, PartSuffix)}
	file, err := Open(f.Path)
	if err != nil {
		named := strings.HasSuffix(strings.TrimSuffix(name, PartSuffix), ".db")
		st, serr := os.Stat(f.Path)
		if !named || serr != nil || !st.Mode().IsRegular() {
			return f, false
		}
		f.Size, f.Modified, f.Mode, f.Damage = st.Size(), st.ModTime(), st.Mode(), "it cannot be opened: "+reason(err)
		return f, true
	}
	defer file.Close()
	st, err := file.Stat()
	if err != nil {
		return f, false
	}
	f.Size, f.Modified, f.Mode, f.Sum = st.Size(), st.ModTime(), st.Mode(), HasSum(st.Size())
	h, err := ReadHeader(file)
	if f.Part {
		if err == nil {
			f.Total = h.Size + SumSize
		}
		f.Writing = InProgress(f.Path)
		return f, err == nil || f.Size == 0 || f.Writing
	}
	if errors.Is(err, ErrNotSnapshot) {
		if strings.HasSuffix(name, ".db") { // it says to be one
			f.Damage = reason(err)
			return f, true
		}
		return f, false
	}
	w := Whole{Header: h, FileSize: f.Size}
	if err == nil {
		err = w.length(name)
	}
	if err != nil && !errors.Is(err, ErrNoSum) {
		f.Damage = reason(err)
	}
	return f, true
}

// reason is what an error says, without what was attempted on what.
func reason(err error) string {
	for _, known := range []error{ErrNotSnapshot, ErrCut, ErrNoSum, ErrSum, ErrExists, fs.ErrPermission} {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	return err.Error()
}

// Newest is the newest of files that looks whole.
func Newest(files []File) (File, bool) {
	for _, f := range files {
		if !f.Part && f.Damage == "" {
			return f, true
		}
	}
	return File{}, false
}

// Name is a name for a snapshot of a cluster that was begun at a moment: "prod-20260821T143005Z.db". It sorts by time.
func Name(cluster string, at time.Time) string {
	if cluster == "" {
		cluster = "etcd"
	}
	return safe.FileName(cluster) + "-" + at.UTC().Format("20060102T150405Z") + ".db"
}

// Progress is how much of a snapshot that is being written to path is there, and how much there will be; 0: not known.
func Progress(path string) (done, total int64) {
	f, ok := look(filepath.Dir(path), filepath.Base(path)+PartSuffix)
	if !ok {
		return 0, 0
	}
	return f.Size, f.Total
}
