package journal

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"syscall"
	"time"
)

// Report is what [Verify] found. Texts of records are untrusted.
type Report struct {
	Path        string
	Records     int
	First, Last time.Time // stage timestamps of the first and last record
	// HeadSeq and HeadHash are the end of the chain. Kept elsewhere, they show later that nothing before was cut off or rewritten.
	HeadSeq  uint64
	HeadHash string
	// Faults show that the file is not what was written. Empty: the chain is whole.
	Faults []Fault
	// Recovered are bytes a crash left half-written which a later record accounts for.
	Recovered []Region
	// Torn are bytes at the end that are no whole record and not yet accounted for; nil when there are none.
	Torn *Region
	// Open are intents without an outcome: fathom ended, or could not write, between the two. What became of them is unknown.
	Open []Event
}

// OK reports whether the chain is whole.
func (r Report) OK() bool { return len(r.Faults) == 0 }

// Fault is one place where the chain does not hold.
type Fault struct {
	Line    int   // from 1
	Offset  int64 // in bytes
	Problem string
}

// Region is a run of bytes of the file.
type Region struct{ Offset, Bytes int64 }

// maxLine bounds the line that is held in memory, in bytes; longer ones are damage.
const maxLine = tailSize

// Verify reads a journal from its beginning and checks form, hashes, order and that every damaged byte is accounted for. The
// error is of reading; what is wrong with the content is in the report. It changes nothing.
func Verify(ctx context.Context, path string) (Report, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
	if err != nil {
		return Report{}, fmt.Errorf("verify the journal: %w", err)
	}
	defer f.Close()
	lockCtx, cancel := context.WithTimeout(ctx, lockWait)
	defer cancel()
	if err := lock(lockCtx, f, syscall.LOCK_SH); err != nil {
		return Report{}, fmt.Errorf("verify the journal: %w", err)
	}
	v := verifier{file: f, report: Report{Path: path}, open: map[string]Event{}, damagedAt: -1}
	r := bufio.NewReaderSize(f, maxLine)
	for {
		if err := ctx.Err(); err != nil {
			return Report{}, fmt.Errorf("verify the journal %s: %w", path, err)
		}
		line, err := r.ReadSlice('\n')
		if err != nil && err != io.EOF && !errors.Is(err, bufio.ErrBufferFull) {
			return Report{}, fmt.Errorf("verify the journal %s: %w", path, err)
		}
		if len(line) > 0 {
			if err := v.line(line); err != nil {
				return Report{}, fmt.Errorf("verify the journal %s: %w", path, err)
			}
		}
		if err == io.EOF {
			return v.end(), nil
		}
	}
}

type verifier struct {
	file      *os.File
	report    Report
	prev      link
	lines     int
	offset    int64 // of the line being read
	damagedAt int64 // where unaccounted bytes begin, or -1
	why       string
	open      map[string]Event
	order     []string
}

func (v *verifier) line(raw []byte) error {
	v.lines++
	start := v.offset
	v.offset += int64(len(raw))
	text := raw
	if text[len(text)-1] == '\n' {
		text = text[:len(text)-1]
	}
	e, err := parse(text)
	if err != nil {
		if v.damagedAt < 0 {
			v.damagedAt, v.why = start, err.Error()
		}
		return nil
	}
	if v.damagedAt >= 0 {
		ok, err := v.accounts(e, start)
		if err != nil {
			return err
		}
		if !ok {
			v.fault(v.damagedAt, fmt.Sprintf("%d bytes are no record (%s), and the next record does not account for them", start-v.damagedAt, v.why))
		}
		v.damagedAt = -1
	} else if e.Verb == verbRecover {
		v.fault(start, "a recovery record where nothing is damaged: bytes were removed before it")
	}
	switch {
	case e.Seq != v.prev.seq+1:
		v.fault(start, fmt.Sprintf("record %d follows record %d: records were removed, repeated or reordered", e.Seq, v.prev.seq))
	case e.Prev != v.prev.hash:
		v.fault(start, fmt.Sprintf("record %d does not follow from the one before it: that one was changed", e.Seq))
	}
	v.prev = link{seq: e.Seq, hash: e.Hash}
	v.count(e)
	return nil
}

// accounts reports whether e is the recovery record of the damaged bytes that end at end. The writer adds an LF of its own
// after bytes that do not end in one.
func (v *verifier) accounts(e Event, end int64) (bool, error) {
	n, err := strconv.ParseInt(e.Annotations[annotationBytes], 10, 64)
	have := end - v.damagedAt
	if e.Verb != verbRecover || err != nil || e.Annotations[annotationOffset] != strconv.FormatInt(v.damagedAt, 10) || (n != have && n != have-1) || n < 0 {
		return false, nil
	}
	h := sha256.New()
	if _, err := io.Copy(h, io.NewSectionReader(v.file, v.damagedAt, n)); err != nil {
		return false, err
	}
	if hex.EncodeToString(h.Sum(nil)) != e.Annotations[annotationSHA256] {
		return false, nil
	}
	v.report.Recovered = append(v.report.Recovered, Region{Offset: v.damagedAt, Bytes: n})
	if n == have {
		// The bytes ended in an LF of their own, so they were whole lines: a crash does not leave these, an editor does.
		v.fault(v.damagedAt, fmt.Sprintf("%d bytes of whole lines were changed after they were written (%s); the next record noted it", n, v.why))
	}
	return true, nil
}

func (v *verifier) count(e Event) {
	v.report.Records++
	if v.report.First.IsZero() {
		v.report.First = e.StageTimestamp.Time
	}
	v.report.Last = e.StageTimestamp.Time
	switch e.Stage {
	case RequestReceived:
		v.open[e.AuditID] = e
		v.order = append(v.order, e.AuditID)
	case ResponseComplete:
		delete(v.open, e.AuditID)
	}
}

func (v *verifier) fault(offset int64, problem string) {
	v.report.Faults = append(v.report.Faults, Fault{Line: v.lines, Offset: offset, Problem: problem})
}

func (v *verifier) end() Report {
	v.report.HeadSeq, v.report.HeadHash = v.prev.seq, v.prev.hash
	if v.damagedAt >= 0 {
		v.report.Torn = &Region{Offset: v.damagedAt, Bytes: v.offset - v.damagedAt}
		// Only the last line may be torn by a crash: whole lines that are no records were put there or changed.
		if last := v.lastLineAt(); last != v.damagedAt {
			v.fault(v.damagedAt, "whole lines that are no records: "+v.why)
		}
	}
	for _, id := range v.order {
		if e, ok := v.open[id]; ok {
			v.report.Open = append(v.report.Open, e)
			delete(v.open, id)
		}
	}
	return v.report
}

// lastLineAt is where a last line without LF begins, or -1 when the file ends in an LF.
func (v *verifier) lastLineAt() int64 {
	n := min(v.offset, tailSize)
	buf := make([]byte, n)
	if _, err := v.file.ReadAt(buf, v.offset-n); err != nil || n == 0 || buf[n-1] == '\n' {
		return -1
	}
	_, start := lastLine(buf)
	return v.offset - n + int64(start)
}
