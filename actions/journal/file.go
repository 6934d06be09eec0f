package journal

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// openLocked opens the file for appending with nobody else writing it. It refuses a symbolic link and anything but a regular
// file of ours, and takes back permissions that group and others have.
func (j *Journal) openLocked(ctx context.Context) (*os.File, error) {
	if err := privateDir(filepath.Dir(j.path)); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, lockWait)
	defer cancel()
	for {
		f, err := openPrivate(j.path)
		if err != nil {
			return nil, err
		}
		if err := lock(ctx, f, syscall.LOCK_EX); err != nil {
			f.Close()
			return nil, err
		}
		// While we waited, the file may have been moved away: then our lock is on the wrong one.
		if same, err := isStill(f, j.path); err != nil || !same {
			f.Close()
			if err != nil {
				return nil, err
			}
			continue
		}
		return f, nil
	}
}

func privateDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make the journal's directory: %w; set XDG_STATE_HOME to a place you may write", err)
	}
	info, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("look at the journal's directory: %w", err)
	}
	if err := ours(dir, info); err != nil {
		return err
	}
	if info.Mode().Perm()&0o077 != 0 {
		if err := os.Chmod(dir, 0o700); err != nil {
			return fmt.Errorf("make the journal's directory private: %w", err)
		}
	}
	return nil
}

func openPrivate(path string) (*os.File, error) {
	const flags = os.O_RDWR | os.O_APPEND | syscall.O_NOFOLLOW | syscall.O_NONBLOCK | syscall.O_CLOEXEC
	f, err := os.OpenFile(path, flags, 0)
	if errors.Is(err, fs.ErrNotExist) {
		f, err = create(path, flags)
	}
	if errors.Is(err, syscall.ELOOP) {
		return nil, fmt.Errorf("the journal %s is a symbolic link: fathom does not follow it; remove it or set XDG_STATE_HOME", path)
	}
	if err != nil {
		return nil, fmt.Errorf("open the journal: %w", err)
	}
	if err := private(f, path); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func create(path string, flags int) (*os.File, error) {
	f, err := os.OpenFile(path, flags|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	// A new name is on disk only when its directory is.
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		f.Close()
		return nil, err
	}
	defer dir.Close()
	if err := dir.Sync(); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func private(f *os.File, path string) error {
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("look at the journal: %w", err)
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("the journal %s is not a regular file (%s): move it away", path, info.Mode().Type())
	}
	if err := ours(path, info); err != nil {
		return err
	}
	if info.Mode().Perm()&0o077 != 0 {
		if err := f.Chmod(0o600); err != nil {
			return fmt.Errorf("make the journal private: %w", err)
		}
	}
	return nil
}

func ours(path string, info fs.FileInfo) error {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok || int(st.Uid) == os.Geteuid() {
		return nil
	}
	return fmt.Errorf("%s belongs to user %d and fathom runs as %d: set XDG_STATE_HOME to a directory of your own", path, st.Uid, os.Geteuid())
}

// lock waits for a flock(2), which the system gives back when the file is closed, also by a crash.
func lock(ctx context.Context, f *os.File, how int) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		err := syscall.Flock(int(f.Fd()), how|syscall.LOCK_NB)
		if err == nil {
			return nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			return fmt.Errorf("lock the journal %s: %w", f.Name(), err)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("lock the journal %s: another fathom holds it: %w", f.Name(), ctx.Err())
		case <-tick.C:
		}
	}
}

func isStill(f *os.File, path string) (bool, error) {
	have, err := f.Stat()
	if err != nil {
		return false, fmt.Errorf("look at the journal: %w", err)
	}
	now, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look at the journal: %w", err)
	}
	return os.SameFile(have, now), nil
}
