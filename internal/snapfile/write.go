package snapfile

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// PartSuffix ends the name of a snapshot while it is written.
const PartSuffix = ".part"

// Writer writes one snapshot: first into FILE.part, and under its own name only when all of it is there, checked and on the disk.
// Either [Writer.Commit] or [Writer.Abort] ends it.
type Writer struct {
	path  string
	force bool
	f     *os.File // nil: ended
	size  int64
}

// ErrExists is the error of a file that is there already and is not to be overwritten.
var ErrExists = errors.New("it exists already")

// Create begins to write the snapshot path, with mode 0600. Unless force is set, a file that exists is never overwritten. A .part that nobody
// writes any more, because the machine went down or the process was killed, is removed first.
func Create(path string, force bool) (*Writer, error) {
	if err := CanCreate(path, force); err != nil {
		return nil, err
	}
	part := path + PartSuffix
	for tries := 0; ; tries++ {
		f, err := os.OpenFile(part, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
		switch {
		case err == nil:
			// The lock tells a .part that is being written from one that was left behind. It ends with the process.
			if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
				_ = os.Remove(part)
				_ = f.Close()
				return nil, fmt.Errorf("locking %s: %w", part, err)
			}
			if same(f, part) {
				return &Writer{path: path, force: force, f: f}, nil
			}
			_ = f.Close() // somebody took it for a leftover before it was locked
		case !errors.Is(err, fs.ErrExist):
			return nil, fmt.Errorf("creating %s: %w", part, err)
		default:
			if err := removeLeftover(part); err != nil {
				return nil, err
			}
		}
		if tries == 3 {
			return nil, fmt.Errorf("creating %s: other processes create it as well", part)
		}
	}
}

// same reports whether a name still is that of an open file.
func same(f *os.File, name string) bool {
	a, err := f.Stat()
	if err != nil {
		return false
	}
	b, err := os.Lstat(name)
	return err == nil && os.SameFile(a, b)
}

// CanCreate says why a snapshot could not be written to path, without doing anything.
func CanCreate(path string, force bool) error {
	if filepath.Base(path) == "." || filepath.Base(path) == string(filepath.Separator) {
		return fmt.Errorf("saving a snapshot: %q is no name of a file", path)
	}
	if filepath.Ext(path) == PartSuffix {
		return fmt.Errorf("saving a snapshot: %s ends with %s, which is for files that are not yet whole", path, PartSuffix)
	}
	dir := filepath.Dir(path)
	if st, err := os.Stat(dir); err != nil {
		return fmt.Errorf("saving a snapshot into the folder %s: %w", dir, err)
	} else if !st.IsDir() {
		return fmt.Errorf("saving a snapshot: %s is no folder", dir)
	}
	st, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("saving a snapshot: %w", err)
	case !st.Mode().IsRegular():
		return fmt.Errorf("saving a snapshot: %s is there and is no file", path)
	case !force:
		return fmt.Errorf("saving a snapshot: %s: %w; give another name, or --force to replace it", path, ErrExists)
	}
	return nil
}

// removeLeftover removes a .part that no process holds.
func removeLeftover(part string) error {
	f, err := os.OpenFile(part, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("looking at %s, which is in the way: %w", part, err)
	}
	defer f.Close()
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return fmt.Errorf("%s is being written by another process: wait for it, or give another name", part)
	}
	if !same(f, part) {
		return nil // it was not left behind: the name has changed hands
	}
	if err := os.Remove(part); err != nil {
		return fmt.Errorf("removing %s, which an earlier save left: %w", part, err)
	}
	return nil
}

// InProgress reports whether some process is writing a .part.
func InProgress(part string) bool {
	f, err := os.OpenFile(part, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return false
	}
	defer f.Close()
	return unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB) != nil
}

// Write implements io.Writer.
func (w *Writer) Write(b []byte) (int, error) {
	n, err := w.f.Write(b)
	w.size += int64(n)
	if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
		err = fmt.Errorf("the disk of %s is full after %d bytes: %w", filepath.Dir(w.path), w.size, err)
	}
	return n, err
}

// Size is how many bytes were written.
func (w *Writer) Size() int64 { return w.size }

// Path is the name that the snapshot will have.
func (w *Writer) Path() string { return w.path }

// Commit brings what was written to the disk, reads it back and compares it with its checksum, and only then gives it its name. After an error
// nothing is left. progress, when not nil, is told how many bytes of how many were read back.
func (w *Writer) Commit(ctx context.Context, progress func(done, total int64)) (whole Whole, err error) {
	defer w.Abort()
	if err := w.f.Sync(); err != nil {
		return Whole{}, fmt.Errorf("writing %s to the disk: %w", w.f.Name(), err)
	}
	if whole, err = verify(ctx, w.f, progress); err != nil {
		return whole, err
	}
	part := w.f.Name()
	if err := publish(part, w.path, w.force); err != nil {
		return whole, err
	}
	err = w.f.Close()
	w.f = nil
	if err != nil {
		return whole, fmt.Errorf("closing %s: %w", w.path, err)
	}
	return whole, syncFolder(filepath.Dir(w.path))
}

// publish gives a file its name. Without force this is done by a link, which fails when somebody else has taken the name meanwhile; a rename
// would replace it.
func publish(part, path string, force bool) error {
	if !force {
		err := os.Link(part, path)
		switch {
		case err == nil:
			if err := os.Remove(part); err != nil {
				return fmt.Errorf("removing %s, whose contents are in %s: %w", part, path, err)
			}
			return nil
		case errors.Is(err, fs.ErrExist):
			return fmt.Errorf("%s: %w: it came while this one was saved; nothing was kept", path, ErrExists)
		}
		// The file system knows no links.
		if err := CanCreate(path, false); err != nil {
			return err
		}
	}
	if err := os.Rename(part, path); err != nil {
		return fmt.Errorf("renaming %s: %w", part, err)
	}
	return nil
}

// syncFolder brings the name to the disk.
func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("opening the folder %s to write its names to the disk: %w", dir, err)
	}
	defer d.Close()
	if err := d.Sync(); err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOTSUP) {
		return fmt.Errorf("writing the folder %s to the disk: %w", dir, err)
	}
	return nil
}

// Abort removes what was written. After Commit it does nothing.
func (w *Writer) Abort() {
	if w.f == nil {
		return
	}
	_ = os.Remove(w.f.Name()) // before it is closed: while the lock holds nobody else takes the name
	_ = w.f.Close()
	w.f = nil
}

// Free is how many bytes may still be written to the file system of a folder.
func Free(dir string) (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, fmt.Errorf("asking for the free space of %s: %w", dir, err)
	}
	return int64(st.Bavail) * int64(st.Bsize), nil
}
