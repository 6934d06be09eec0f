package snapfile

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
)

// Errors of a file that is not what etcd sent. They are matched by errors.Is; the errors that wrap them say more.
var (
	ErrCut   = errors.New("it is cut off")
	ErrNoSum = errors.New("it has no checksum at its end")
	ErrSum   = errors.New("its contents are not what its checksum says")
)

// Whole is what was found out about a file from outside.
type Whole struct {
	Header
	FileSize int64  // bytes, with the checksum
	SHA256   []byte // of the database; nil without a checksum
}

// Verify reads a whole file and compares it with the SHA-256 at its end. progress, when not nil, is told after every piece how many bytes were
// read. The errors say what is wrong; they match [ErrNotSnapshot], [ErrCut], [ErrNoSum] and [ErrSum], and of a file without a checksum
// everything else is in Whole.
func Verify(ctx context.Context, path string, progress func(done, total int64)) (Whole, error) {
	f, err := Open(path)
	if err != nil {
		return Whole{}, err
	}
	defer f.Close()
	return verify(ctx, f, progress)
}

// Open opens a regular file for reading.
func Open(path string) (*os.File, error) {
	// Looked at before it is opened: the opening of a pipe waits for its writer.
	st, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("opening the snapshot: %w", err)
	}
	if !st.Mode().IsRegular() {
		return nil, fmt.Errorf("opening the snapshot: %s is no file but a %s", path, kindOf(st.Mode()))
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("opening the snapshot: %w", err)
	}
	return f, nil
}

func kindOf(m os.FileMode) string {
	switch {
	case m.IsDir():
		return "folder"
	case m&os.ModeNamedPipe != 0:
		return "pipe"
	case m&os.ModeSocket != 0:
		return "socket"
	case m&os.ModeDevice != 0:
		return "device"
	}
	return "special file"
}

func verify(ctx context.Context, f *os.File, progress func(done, total int64)) (Whole, error) {
	st, err := f.Stat()
	if err != nil {
		return Whole{}, fmt.Errorf("reading the snapshot: %w", err)
	}
	w := Whole{FileSize: st.Size()}
	if w.Header, err = readHeaderOf(f); err != nil {
		return w, err
	}
	if err := w.length(f.Name()); err != nil {
		return w, err
	}
	data := w.FileSize - SumSize
	h := sha256.New()
	if err := read(ctx, io.NewSectionReader(f, 0, data), h, w.FileSize, progress); err != nil {
		return w, fmt.Errorf("reading %s: %w", f.Name(), err)
	}
	var want [SumSize]byte
	if _, err := f.ReadAt(want[:], data); err != nil {
		return w, fmt.Errorf("reading the checksum of %s: %w", f.Name(), err)
	}
	if w.SHA256 = h.Sum(nil); !bytes.Equal(w.SHA256, want[:]) {
		return w, fmt.Errorf("%s: %w: %x in the place of %x; at least one byte was changed since etcd sent it", f.Name(), ErrSum, w.SHA256, want)
	}
	return w, nil
}

// length says what the size of the file and that of the database have to say to each other.
func (w *Whole) length(name string) error {
	switch {
	case w.FileSize < w.Header.Size:
		return fmt.Errorf("%s: %w: it has %d bytes, and its database %d", name, ErrCut, w.FileSize, w.Header.Size)
	case HasSum(w.FileSize):
		return nil
	case w.FileSize < w.Header.Size+SumSize && w.FileSize > w.Header.Size:
		return fmt.Errorf("%s: %w: it ends within its checksum", name, ErrCut)
	}
	return fmt.Errorf("%s: %w: it is a copy from a member's data folder, or what comes last was lost", name, ErrNoSum)
}

// read copies r to w in pieces, so that it can be given up.
func read(ctx context.Context, r io.Reader, w io.Writer, total int64, progress func(done, total int64)) error {
	buf := make([]byte, 1<<20)
	for done := int64(0); ; {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := r.Read(buf)
		done += int64(n)
		if n > 0 {
			if _, err := w.Write(buf[:n]); err != nil {
				return err
			}
			if progress != nil {
				progress(done, total)
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
