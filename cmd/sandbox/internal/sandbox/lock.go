package sandbox

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"fathom/cmd/sandbox/internal/layout"
)

// acquire takes the directory for this process. The kernel gives the lock back
// when the process ends, however it ends, so a stale file means nothing.
func acquire(d layout.Dir) (*os.File, error) {
	if err := os.MkdirAll(d.Path(), 0o700); err != nil {
		return nil, fmt.Errorf("create sandbox directory %s: %w", d.Path(), err)
	}
	f, err := os.OpenFile(d.Lock(), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock sandbox directory: %w", err)
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		pid, _ := os.ReadFile(d.Lock())
		_ = f.Close()
		return nil, fmt.Errorf("%s is in use by a running sandbox (process %s): end it with `fathom-sandbox down --dir %s`, or choose another --dir",
			d.Path(), strings.TrimSpace(string(pid)), d.Path())
	}
	if err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("lock %s: %w", d.Lock(), err)
	}
	_ = f.Truncate(0)
	_, _ = fmt.Fprintf(f, "%d\n", os.Getpid())
	return f, nil
}

// InUse tells whether a sandbox holds the directory.
func InUse(d layout.Dir) bool {
	f, err := os.Open(d.Lock())
	if err != nil {
		return false
	}
	defer f.Close()
	if unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB) != nil {
		return true
	}
	_ = unix.Flock(int(f.Fd()), unix.LOCK_UN)
	return false
}
