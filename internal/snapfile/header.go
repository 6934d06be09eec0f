// Package snapfile knows snapshots of etcd as files: what one looks like from outside, whether it is whole, and how one is written so that
// it is either there in full or not at all. It opens no database: what is inside is for who can bear a damaged one (package
// watchers/etcd/backup/worker).
package snapfile

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"os"
)

// SumSize is the size of the SHA-256 that etcd appends to a snapshot, in bytes.
const SumSize = sha256.Size

// HasSum reports whether a file of size bytes ends with a checksum: the database is a multiple of 512 bytes long (etcd
// etcdutl/snapshot/v3_snapshot.go, hasChecksum).
func HasSum(size int64) bool { return size > SumSize && size%512 == SumSize }

// Header is what the first pages of a file say of the database that it holds (bbolt's meta pages).
type Header struct {
	PageSize int64 // bytes
	Size     int64 // bytes of the database, without the checksum: the pages that are in use
	Txid     uint64
}

// ErrNotSnapshot is the error of a file that is no database of etcd.
var ErrNotSnapshot = errors.New("it is no database of etcd")

// Layout of a bbolt meta page (go.etcd.io/bbolt, internal/common/meta.go): a header of 16 bytes, then the fields below, little-endian on
// the machines that etcd is supported on.
const (
	pageHeader  = 16
	metaSize    = 64
	metaMagic   = 0xED0CDAED
	metaVersion = 2
	minPage     = 512
	maxPage     = 64 << 10
)

// ReadHeader reads the header of a database. The error matches [ErrNotSnapshot] when there is none: the first page decides, since what is not
// ours must be told apart at the cost of one read.
func ReadHeader(r io.ReaderAt) (Header, error) {
	first, err := readMeta(r, 0)
	if err != nil {
		return Header{}, err
	}
	// The second meta page is that of the transaction before, or after: the newer one that is whole counts.
	if second, err := readMeta(r, first.PageSize); err == nil && second.Txid > first.Txid {
		return second, nil
	}
	return first, nil
}

func readMeta(r io.ReaderAt, at int64) (Header, error) {
	var b [pageHeader + metaSize]byte
	if n, err := r.ReadAt(b[:], at); n < len(b) {
		if err == nil || errors.Is(err, io.EOF) {
			err = fmt.Errorf("%w: it is too short", ErrNotSnapshot)
		}
		return Header{}, err
	}
	m := b[pageHeader:]
	u32, u64 := binary.LittleEndian.Uint32, binary.LittleEndian.Uint64
	if u32(m) != metaMagic || u32(m[4:]) != metaVersion {
		return Header{}, ErrNotSnapshot
	}
	sum := fnv.New64a()
	_, _ = sum.Write(m[:metaSize-8]) // a hash takes everything
	if sum.Sum64() != u64(m[metaSize-8:]) {
		return Header{}, fmt.Errorf("%w: its first page is damaged", ErrNotSnapshot)
	}
	h := Header{PageSize: int64(u32(m[8:])), Txid: u64(m[48:])}
	pages := u64(m[40:])
	if h.PageSize < minPage || h.PageSize > maxPage || pages > 1<<40 {
		return Header{}, fmt.Errorf("%w: its first page says what cannot be", ErrNotSnapshot)
	}
	h.Size = int64(pages) * h.PageSize
	return h, nil
}

// readHeaderOf reads the header of a file.
func readHeaderOf(f *os.File) (Header, error) {
	h, err := ReadHeader(f)
	if err != nil {
		return Header{}, fmt.Errorf("reading %s: %w", f.Name(), err)
	}
	return h, nil
}
