package supervisor

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
)

// rotatingFile is a log file that is renamed to NAME.1 when it has grown to
// its limit, so that a child can never use more than twice the limit.
type rotatingFile struct {
	mu    sync.Mutex
	path  string
	limit int64
	size  int64
	file  *os.File
}

// logLimit bounds one log file; with its predecessor a child may use 8 MiB.
const logLimit = 4 << 20

func newRotatingFile(path string, limit int64) (*rotatingFile, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("create log folder: %w", err)
	}
	r := &rotatingFile{path: path, limit: limit}
	return r, r.open()
}

func (r *rotatingFile) open() error {
	f, err := os.OpenFile(r.path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("open log %s: %w", r.path, err)
	}
	st, err := f.Stat()
	if err != nil {
		_ = f.Close()
		return fmt.Errorf("open log %s: %w", r.path, err)
	}
	r.file, r.size = f, st.Size()
	return nil
}

// Write never fails the caller: a full disk must not stop the component whose
// output this is.
func (r *rotatingFile) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.file != nil && r.size > 0 && r.size+int64(len(p)) > r.limit {
		_ = r.file.Close()
		_ = os.Rename(r.path, r.path+".1")
		r.file = nil
	}
	if r.file == nil && r.open() != nil {
		return len(p), nil
	}
	n, _ := r.file.Write(p)
	r.size += int64(n)
	return len(p), nil
}

func (r *rotatingFile) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.file == nil {
		return nil
	}
	err := r.file.Close()
	r.file = nil
	return err
}
