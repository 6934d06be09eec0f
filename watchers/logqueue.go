package watchers

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"sync"
	"time"
)

// patience is how long a full queue makes the reader wait for somebody who takes lines. When nobody has for that long, the oldest
// lines are dropped and counted: a pane that is looked at loses nothing, and one that is not costs no memory.
const patience = time.Second

// lineQueue is a bounded queue of log lines.
type lineQueue struct {
	maxLines, maxBytes int

	mu      sync.Mutex
	lines   []LogLine // from head on
	head    int
	bytes   int
	dropped uint64
	drained time.Time
	room    chan struct{}
}

func newLineQueue(lines, bytes int) *lineQueue {
	return &lineQueue{maxLines: lines, maxBytes: bytes, drained: time.Now(), room: make(chan struct{}, 1)}
}

func (q *lineQueue) full() bool {
	return len(q.lines)-q.head >= q.maxLines || q.bytes >= q.maxBytes
}

// put appends a line, dropping the oldest ones if there is no room.
func (q *lineQueue) put(l LogLine) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for q.full() {
		q.bytes -= len(q.lines[q.head].Text)
		q.lines[q.head] = LogLine{}
		q.head++
		q.dropped++
	}
	if q.head > q.maxLines/2 {
		n := copy(q.lines, q.lines[q.head:])
		clear(q.lines[n:])
		q.lines, q.head = q.lines[:n], 0
	}
	q.lines = append(q.lines, l)
	q.bytes += len(l.Text)
}

// putWait is put with patience. It reports false when ctx has ended.
func (q *lineQueue) putWait(ctx context.Context, l LogLine) bool {
	for {
		q.mu.Lock()
		wait := patience - time.Since(q.drained)
		ok := !q.full() || wait <= 0
		q.mu.Unlock()
		if ok {
			q.put(l)
			return ctx.Err() == nil
		}
		t := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			t.Stop()
			return false
		case <-q.room:
		case <-t.C:
		}
		t.Stop()
	}
}

func (q *lineQueue) drain(max int) []LogLine {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.drained = time.Now()
	n := min(max, len(q.lines)-q.head)
	if n <= 0 {
		return nil
	}
	out := append([]LogLine(nil), q.lines[q.head:q.head+n]...)
	clear(q.lines[q.head : q.head+n])
	q.head += n
	for i := range out {
		q.bytes -= len(out[i].Text)
	}
	if q.head == len(q.lines) {
		q.lines, q.head = q.lines[:0], 0
	}
	select {
	case q.room <- struct{}{}:
	default:
	}
	return out
}

func (q *lineQueue) droppedLines() uint64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.dropped
}

// lineReader reads lines of any length in bounded memory.
type lineReader struct {
	r    *bufio.Reader
	buf  []byte
	open bool // the last line had no end: there may be more of it
}

func newLineReader(r io.Reader) *lineReader { return &lineReader{r: bufio.NewReaderSize(r, 32<<10)} }

// next returns the next line without its end, and how many bytes of it were left out. The line is valid until the next call. A last
// line without an end is a line.
func (l *lineReader) next() (line []byte, cut int, err error) {
	// Room for the timestamp that stands before the text.
	const keep = MaxLogLine + 64
	l.buf = l.buf[:0]
	for {
		part, err := l.r.ReadSlice('\n')
		end := err == nil
		if end {
			part = bytes.TrimSuffix(part[:len(part)-1], []byte("\r"))
		}
		n := min(len(part), keep-len(l.buf))
		l.buf = append(l.buf, part[:n]...)
		cut += len(part) - n
		switch {
		case end:
			return l.buf, cut, nil
		case errors.Is(err, bufio.ErrBufferFull):
		case errors.Is(err, io.EOF) && len(l.buf) > 0:
			l.open = true
			return l.buf, cut, nil
		default:
			return nil, 0, err
		}
	}
}

// splitTimestamp takes the server's timestamp off a line.
func splitTimestamp(line []byte) (time.Time, []byte) {
	stamp, text, ok := bytes.Cut(line, []byte(" "))
	if !ok {
		stamp, text = line, nil
	}
	at, err := time.Parse(time.RFC3339Nano, string(stamp))
	if err != nil {
		return time.Time{}, line
	}
	return at, text
}

// logPosition remembers how far a log was read: the last timestamp, and how many lines bore each timestamp of its second. Resuming
// asks for that whole second again and skips as many lines of each timestamp as were seen: no line twice, none missing.
//
// A line that had no end when the stream ended comes again, whole, when there was more of it. A line without a timestamp is not of the
// log: the kubelet says why it stops reading, again with every stream.
type logPosition struct {
	opened bool      // a stream was open once
	since  time.Time // when the last stream was opened; zero: it was not
	last   time.Time
	counts map[int64]int // of the second of last, by nanosecond since the epoch
	skip   map[int64]int // while what was seen comes again
	openAt int64         // of the line without an end, nanoseconds since the epoch; 0: there is none
	openN  int           // its length in bytes
	said   string        // the line without a timestamp that came last; empty when others have come since
}

// resume is called when the stream is open again.
func (p *logPosition) resume() {
	p.skip = make(map[int64]int, len(p.counts))
	for k, v := range p.counts {
		p.skip[k] = v
	}
}

// seen notes a line of n bytes and reports whether it was there before. open says that it had no end. A line without a timestamp is
// always new.
func (p *logPosition) seen(at time.Time, n int, open bool) bool {
	if at.IsZero() {
		return false
	}
	k := at.UnixNano()
	if p.skip[k] > 0 {
		p.skip[k]--
		if p.openAt != k || p.skip[k] > 0 || n <= p.openN {
			return true
		}
		p.openAt, p.openN = 0, 0
		if open {
			p.openAt, p.openN = k, n
		}
		return false // it is counted already
	}
	if open {
		p.openAt, p.openN = k, n
	}
	if at.Truncate(time.Second).After(p.last.Truncate(time.Second)) {
		p.counts = map[int64]int{}
		p.skip = nil
	}
	if p.counts == nil {
		p.counts = map[int64]int{}
	}
	if !at.Before(p.last.Truncate(time.Second)) {
		p.counts[k]++
	}
	if at.After(p.last) {
		p.last = at
	}
	return false
}

// repeats reports whether a line without a timestamp is what was said when the stream before ended.
func (p *logPosition) repeats(at time.Time, text []byte) bool {
	return at.IsZero() && p.said != "" && string(text) == p.said
}

// say notes a line that is shown.
func (p *logPosition) say(at time.Time, text []byte) {
	if p.said = ""; at.IsZero() {
		p.said = string(text)
	}
}
