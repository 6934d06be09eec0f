// Package journal is the record of everything fathom changed: JSON lines with the field names of the Kubernetes audit event
// (audit.k8s.io/v1), synced to disk before and after each mutation, and chained by hashes.
//
// The chain shows that a record was changed, removed from the middle or inserted. It cannot show that the end of the file was
// cut off or that the whole file was written anew by somebody who may write it: for that, keep the head that [Verify] reports
// somewhere else.
package journal

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// tailSize is how much of the end of the file is read to find the last record, in bytes. A record is far smaller.
const tailSize = 1 << 20

// lockWait is how long a record waits for another fathom that is writing.
const lockWait = 2 * time.Second

// Journal appends to one file. It keeps no file open, so it is safe for concurrent use by goroutines and processes, and a
// file that was moved away is begun anew.
type Journal struct{ path string }

// New returns a journal on a file. Nothing is touched until the first record or [Journal.Check].
func New(path string) *Journal { return &Journal{path: path} }

// DefaultPath is $XDG_STATE_HOME/fathom/journal.jsonl, by default ~/.local/state/fathom/journal.jsonl (XDG Base Directory
// Specification: a relative XDG_STATE_HOME is ignored).
func DefaultPath() (string, error) {
	state := os.Getenv("XDG_STATE_HOME")
	if !filepath.IsAbs(state) {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", fmt.Errorf("find a place for the journal: %w; set XDG_STATE_HOME", err)
		}
		state = filepath.Join(home, ".local", "state")
	}
	return filepath.Join(state, "fathom", "journal.jsonl"), nil
}

// Path of the file.
func (j *Journal) Path() string { return j.path }

// Check reports whether a record could be written now, without writing one. It makes the file (0600) and its directory (0700)
// and takes back permissions that others have on them.
func (j *Journal) Check(ctx context.Context) error {
	f, err := j.openLocked(ctx)
	if err != nil {
		return err
	}
	defer f.Close()
	_, _, err = tail(f)
	return err
}

// Append chains e to the last record, writes it and syncs it to the disk. It returns the record as it was written. When it
// fails, the record may be there in part; the next one accounts for these bytes.
func (j *Journal) Append(ctx context.Context, e Event) (Event, error) {
	f, err := j.openLocked(ctx)
	if err != nil {
		return Event{}, err
	}
	defer f.Close() // which also unlocks
	last, damage, err := tail(f)
	if err != nil {
		return Event{}, err
	}
	var out []byte
	if damage.newline {
		out = append(out, '\n')
	}
	if damage.bytes > 0 {
		now := MicroTime{time.Now()}
		rec, line, err := seal(Event{
			Stage: ResponseComplete, Verb: verbRecover,
			RequestReceivedTimestamp: now, StageTimestamp: now,
			ResponseStatus: &ResponseStatus{Status: "Failure", Message: "bytes after the last whole record are not a record: " +
				"fathom or the machine stopped while writing, or the file was changed; what they were about is unknown"},
			Annotations: map[string]string{
				annotationOffset: strconv.FormatInt(damage.offset, 10),
				annotationBytes:  strconv.FormatInt(damage.bytes, 10),
				annotationSHA256: damage.sha256,
			},
		}, last)
		if err != nil {
			return Event{}, err
		}
		last = link{seq: rec.Seq, hash: rec.Hash}
		out = append(append(out, line...), '\n')
	}
	e, line, err := seal(e, last)
	if err != nil {
		return Event{}, err
	}
	out = append(append(out, line...), '\n')
	if _, err := f.Write(out); err != nil {
		return Event{}, fmt.Errorf("write the journal %s: %w", j.path, err)
	}
	if err := f.Sync(); err != nil {
		return Event{}, fmt.Errorf("sync the journal %s to disk: %w", j.path, err)
	}
	return e, nil
}

// link is what a record is chained to.
type link struct {
	seq  uint64
	hash string
}

// damage is what follows the last whole record.
type damage struct {
	offset, bytes int64
	sha256        string
	newline       bool // an LF is lacking at the end of the file
}

// tail finds the last whole record from the end of the file.
func tail(f *os.File) (link, damage, error) {
	info, err := f.Stat()
	if err != nil {
		return link{}, damage{}, fmt.Errorf("read the journal %s: %w", f.Name(), err)
	}
	size := info.Size()
	if size == 0 {
		return link{}, damage{}, nil
	}
	from := max(0, size-tailSize)
	buf := make([]byte, size-from)
	if _, err := io.ReadFull(io.NewSectionReader(f, from, size-from), buf); err != nil {
		return link{}, damage{}, fmt.Errorf("read the journal %s: %w", f.Name(), err)
	}
	d := damage{newline: buf[len(buf)-1] != '\n'}
	end := len(buf)
	for end > 0 {
		line, start := lastLine(buf[:end])
		if start == 0 && from > 0 {
			break // the beginning of this line was not read
		}
		if e, err := parse(line); err == nil {
			d.account(buf, from, end)
			return link{seq: e.Seq, hash: e.Hash}, d, nil
		}
		end = start
	}
	if from > 0 {
		return link{}, damage{}, fmt.Errorf("the last %d bytes of the journal %s hold no whole record: "+
			"move the file away (a new one is begun) and look into it", len(buf), f.Name())
	}
	d.account(buf, 0, 0)
	return link{}, d, nil
}

// account notes buf[end:], which begins at offset from of the file, as damage.
func (d *damage) account(buf []byte, from int64, end int) {
	rest := buf[end:]
	if len(rest) == 0 {
		return
	}
	sum := sha256.Sum256(rest)
	d.offset, d.bytes, d.sha256 = from+int64(end), int64(len(rest)), hex.EncodeToString(sum[:])
}

// lastLine is the last line of b without its LF, and where it begins.
func lastLine(b []byte) (line []byte, start int) {
	end := len(b)
	if b[end-1] == '\n' {
		end--
	}
	start = end
	for start > 0 && b[start-1] != '\n' {
		start--
	}
	return b[start:end], start
}
