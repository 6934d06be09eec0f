package testcluster

import (
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
)

// Gate stands in front of the peer port of a member that joins a sandbox: its peers reach it through the gate only, and the gate can be
// closed. What the member dials itself does not come by here: `fathom-sandbox partition joined` cuts that.
type Gate struct {
	// Port is where the gate listens, Behind where the member is to.
	Port, Behind int

	mu     sync.Mutex
	closed bool
	open   map[net.Conn]struct{}
}

// NewGate opens a gate on the loopback address. It is gone when the test ends.
func NewGate(t testing.TB) *Gate {
	t.Helper()
	l := listen(t)
	g := &Gate{Port: l.Addr().(*net.TCPAddr).Port, Behind: FreePort(t), open: map[net.Conn]struct{}{}}
	var carried sync.WaitGroup
	carried.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			carried.Go(func() { g.carry(c) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		g.Close()
		carried.Wait()
	})
	return g
}

// Close ends all connections and lets no new one pass.
func (g *Gate) Close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = true
	for c := range g.open {
		_ = c.Close()
	}
}

// Open lets connections pass again.
func (g *Gate) Open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = false
}

// enter keeps a connection so that Close ends it, and reports whether it may pass.
func (g *Gate) enter(c net.Conn) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return false
	}
	g.open[c] = struct{}{}
	return true
}

func (g *Gate) leave(c net.Conn) {
	_ = c.Close()
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.open, c)
}

func (g *Gate) carry(in net.Conn) {
	defer g.leave(in)
	if !g.enter(in) {
		return
	}
	out, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", g.Behind))
	if err != nil {
		return // it has not been started, or has ended
	}
	defer g.leave(out)
	if !g.enter(out) {
		return
	}
	var other sync.WaitGroup
	other.Go(func() {
		_, _ = io.Copy(out, in)
		_ = out.(*net.TCPConn).CloseWrite()
	})
	_, _ = io.Copy(in, out)
	_ = in.Close() // etcd's peers leave no connection half closed
	other.Wait()
}
