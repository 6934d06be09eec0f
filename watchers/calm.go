package watchers

import (
	"context"
	"net"
	"sync"
	"time"
)

// A server that reports 300 changes a second sends each in a segment of its own. Reading them one by one costs as much in wake-ups,
// TLS records and HTTP/2 frames as decoding them does, and a snapshot is published ten times a second at most. So a connection that
// is busy with small reads is read in batches. One that is idle, that answers a question, or that brings a list is never made to wait.
const (
	batchPause  = 20 * time.Millisecond  // how long a batch is waited for
	batchWindow = 100 * time.Millisecond // in which reads are counted
	batchReads  = 8                      // in one window, from which on a connection is busy
)

// dialCalm makes the connections of dial read in batches when they are busy.
func dialCalm(dial func(context.Context, string, string) (net.Conn, error)) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &batchConn{Conn: c, closed: make(chan struct{})}, nil
	}
}

// batchConn is a connection that, while it is busy, pauses before it reads again what it has just emptied. Reads come from one
// goroutine, as net/http and crypto/tls do it.
type batchConn struct {
	net.Conn
	once   sync.Once
	closed chan struct{} // ends a pause

	began   time.Time // of the window
	reads   int       // that emptied the socket in it
	busy    bool      // the window before had many of them
	drained bool      // the last read brought less than there was room for
}

// Read implements net.Conn.
func (c *batchConn) Read(p []byte) (int, error) {
	if c.drained {
		c.pause()
	}
	n, err := c.Conn.Read(p)
	c.drained = err == nil && n < len(p)
	return n, err
}

// pause counts a read that emptied the socket, and waits when there are many of them.
func (c *batchConn) pause() {
	now := time.Now()
	if d := now.Sub(c.began); d > batchWindow {
		// In pauses there are no more reads than the window holds of them: the half of that keeps a busy connection busy.
		c.busy = d < 2*batchWindow && (c.reads >= batchReads || c.busy && c.reads >= batchReads/2)
		c.began, c.reads = now, 0
	}
	c.reads++
	if !c.busy {
		return
	}
	t := time.NewTimer(batchPause)
	defer t.Stop()
	select {
	case <-t.C:
	case <-c.closed:
	}
}

// Close implements net.Conn.
func (c *batchConn) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.Conn.Close()
}
