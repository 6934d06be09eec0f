package watchers

import (
	"errors"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// scripted is a connection that brings one small message every so often. Only Read and Close are called.
type scripted struct {
	net.Conn
	every time.Duration
	size  int
	next  time.Time
	left  int
	shut  chan struct{}
}

func (s *scripted) Read(p []byte) (int, error) {
	if s.left == 0 {
		return 0, io.EOF
	}
	if d := time.Until(s.next); d > 0 {
		t := time.NewTimer(d)
		defer t.Stop()
		select {
		case <-t.C:
		case <-s.shut:
			return 0, net.ErrClosed
		}
	}
	n := 0
	for s.left > 0 && !s.next.After(time.Now()) && n+s.size <= len(p) {
		n, s.left, s.next = n+s.size, s.left-1, s.next.Add(s.every)
	}
	return n, nil
}

func (s *scripted) Close() error { close(s.shut); return nil }

// readAll reads to the end and says how often, and how late the latest message was.
func readAll(t *testing.T, every time.Duration, messages int) (reads int, took time.Duration) {
	t.Helper()
	start := time.Now()
	c := &batchConn{Conn: &scripted{every: every, size: 100, next: start.Add(every), left: messages, shut: make(chan struct{})},
		closed: make(chan struct{})}
	p := make([]byte, 16<<10)
	for {
		_, err := c.Read(p)
		if errors.Is(err, io.EOF) {
			return reads, time.Since(start)
		}
		if err != nil {
			t.Fatal(err)
		}
		reads++
	}
}

func TestBusyConnectionsAreReadInBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// 300 messages a second for two seconds.
		reads, took := readAll(t, time.Second/300, 600)
		if reads > 150 {
			t.Errorf("%d reads for 600 messages in 2 s: they were not read in batches", reads)
		}
		if took > 2*time.Second+3*batchPause {
			t.Errorf("it took %v to read what came in 2 s", took)
		}
	})
}

func TestIdleConnectionsNeverWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reads, took := readAll(t, 50*time.Millisecond, 40)
		if reads != 40 || took != 2*time.Second {
			t.Errorf("%d reads in %v, 40 in 2 s wanted: an idle connection was made to wait", reads, took)
		}
	})
}

func TestCloseEndsThePause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &batchConn{Conn: &scripted{shut: make(chan struct{})}, closed: make(chan struct{}),
			began: time.Now(), busy: true, drained: true}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		if _, err := c.Read(make([]byte, 10)); err == nil || time.Since(start) != 0 {
			t.Errorf("a read of a closed connection took %v and returned %v", time.Since(start), err)
		}
	})
}
