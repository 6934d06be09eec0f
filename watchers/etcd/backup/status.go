package backup

import (
	"context"
	"encoding/hex"
	"errors"
	"os"
	"time"

	"fathom/internal/snapfile"
)

// Status is what is known of a snapshot file.
type Status struct {
	File     string    `json:"file"`
	Size     int64     `json:"size"`     // bytes, with the checksum
	Modified time.Time `json:"modified"` // when it was saved, as far as the file system knows
	SHA256   string    `json:"sha256,omitempty"`
	Verified bool      `json:"verified"`          // the contents are what the checksum says
	Problem  string    `json:"problem,omitempty"` // what is wrong with it; untrusted
	*Inside
}

// Bad reports whether the file should not be relied on.
func (s *Status) Bad() bool { return s.Problem != "" }

// Read finds out about a snapshot: its checksum first, and what is inside only when that is not wrong. inspect opens the database. An error means
// that the file could not be read; what is wrong with it is in Problem.
func Read(ctx context.Context, file string, inspect func(string) (Inside, error), progress func(done, total int64)) (Status, error) {
	s := Status{File: file}
	whole, err := snapfile.Verify(ctx, file, progress)
	if err != nil && !bad(err) {
		return s, err
	}
	st, serr := os.Stat(file)
	if serr != nil {
		return s, serr
	}
	s.Size, s.Modified, s.SHA256, s.Verified = st.Size(), st.ModTime(), hex.EncodeToString(whole.SHA256), err == nil
	if err != nil {
		s.Problem = err.Error()
		if !errors.Is(err, snapfile.ErrNoSum) { // which may be as sound as any, and only cannot prove it
			return s, nil
		}
	}
	in, err := inspect(file)
	if err != nil {
		if s.Problem == "" {
			s.Problem = err.Error()
		}
		s.Verified = false
		return s, nil
	}
	s.Inside = &in
	return s, nil
}

// Inspect asks a worker for what is inside a snapshot.
func (w Worker) Inspect(ctx context.Context, file string) (Inside, error) {
	p, err := w.start(ctx, Request{Op: OpInspect, File: file})
	if err != nil {
		return Inside{}, err
	}
	defer func() { _ = p.stop() }()
	r, err := p.reply()
	if err != nil {
		return Inside{}, err
	}
	return *r.Inside, nil
}
