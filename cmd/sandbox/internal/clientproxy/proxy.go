// Package clientproxy stands between clients and the etcd members and can make
// a member a black hole: what is sent to it vanishes and nothing comes back,
// while its process, its peers and every open connection stay as they are. TLS
// runs end to end through the proxy.
//
// It differs from a network that drops packets in one way: the kernel still
// accepts connections and acknowledges bytes, so that only what speaks on a
// connection (TLS, HTTP/2 pings, calls) finds out.
package clientproxy

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// Proxy serves the client addresses of all members of one etcd cluster.
type Proxy struct {
	mu      sync.Mutex
	members map[string]*member
	closed  bool
}

type member struct {
	name    string
	addr    string
	listen  net.Listener // nil while there is nobody to listen for
	backend string
	down    bool
	// healed is closed when the black hole ends; nil while there is none.
	healed chan struct{}
	links  map[*link]struct{}
}

// link is one proxied connection.
type link struct{ in, out *net.TCPConn }

// New makes a proxy without members.
func New() *Proxy { return &Proxy{members: map[string]*member{}} }

// Add serves the listener as the client address of a member that really
// listens on backend.
func (p *Proxy) Add(name string, l net.Listener, backend string) {
	m := &member{name: name, addr: l.Addr().String(), listen: l, backend: backend, links: map[*link]struct{}{}}
	p.mu.Lock()
	p.members[name] = m
	p.mu.Unlock()
	go p.serve(m, l)
}

func (p *Proxy) serve(m *member, l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return // the listener was closed
		}
		go p.carry(m, c.(*net.TCPConn))
	}
}

// Down says that the member's process is not there: its clients are refused, as
// the kernel of a host does where nobody listens. Of a black hole they hear
// nothing all the same.
func (p *Proxy) Down(name string) { _ = p.setDown(name, true) } // nothing is opened by it

// Up says that the process is there again. It fails when somebody has taken the
// port meanwhile.
func (p *Proxy) Up(name string) error { return p.setDown(name, false) }

func (p *Proxy) setDown(name string, down bool) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	m := p.members[name]
	if m == nil {
		return nil
	}
	m.down = down
	return p.settle(m)
}

// settle listens, or does not, as the state of the member wants it; the lock is
// held.
func (p *Proxy) settle(m *member) error {
	switch want := !p.closed && (!m.down || m.healed != nil); {
	case want && m.listen == nil:
		l, err := net.Listen("tcp4", m.addr)
		if err != nil {
			return fmt.Errorf("open the client port of %s again: %w", m.name, err)
		}
		m.listen = l
		go p.serve(m, l)
	case !want && m.listen != nil:
		_ = m.listen.Close()
		m.listen = nil
	}
	return nil
}

// BlackHole lets nothing pass any more in either direction. Open connections
// stay open.
func (p *Proxy) BlackHole(name string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	m := p.members[name]
	if m == nil || m.healed != nil || p.closed {
		return nil
	}
	m.healed = make(chan struct{})
	for l := range m.links {
		l.freeze(true)
	}
	return p.settle(m)
}

// Heal ends a black hole. What was sent in the meantime arrives now, as it does
// when a network retransmits.
func (p *Proxy) Heal(name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if m := p.members[name]; m != nil {
		p.heal(m)
	}
}

// heal ends a black hole; the lock is held.
func (p *Proxy) heal(m *member) {
	if m.healed == nil {
		return
	}
	for l := range m.links {
		l.freeze(false)
	}
	close(m.healed)
	m.healed = nil
	_ = p.settle(m) // nothing is opened by it
}

// BlackHoled tells whether the member is a black hole to clients.
func (p *Proxy) BlackHoled(name string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	m := p.members[name]
	return m != nil && m.healed != nil
}

// Reset ends the clients' connections to a member, so that they come back and
// shake hands anew.
func (p *Proxy) Reset(name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if m := p.members[name]; m != nil {
		for l := range m.links {
			l.reset()
		}
	}
}

// Close ends all listeners and connections.
func (p *Proxy) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for _, m := range p.members {
		_ = p.settle(m) // nothing is opened any more
		for l := range m.links {
			l.reset()
		}
		p.heal(m)
	}
}

// wait waits until the member is no black hole, and returns false when the
// proxy was closed.
func (p *Proxy) wait(m *member) bool {
	for {
		p.mu.Lock()
		healed, closed := m.healed, p.closed
		p.mu.Unlock()
		if closed {
			return false
		}
		if healed == nil {
			return true
		}
		<-healed
	}
}

func (p *Proxy) carry(m *member, in *net.TCPConn) {
	defer in.Close()
	if !p.wait(m) {
		return
	}
	c, err := net.Dial("tcp4", m.backend)
	if err != nil {
		// As the kernel of a host does where nobody listens.
		_ = in.SetLinger(0)
		return
	}
	l := &link{in: in, out: c.(*net.TCPConn)}
	defer l.out.Close()
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return
	}
	m.links[l] = struct{}{}
	if m.healed != nil { // it came while dialing
		l.freeze(true)
	}
	p.mu.Unlock()

	var wg sync.WaitGroup
	wg.Go(func() { p.copy(m, l, l.out, l.in) })
	p.copy(m, l, l.in, l.out)
	wg.Wait()

	p.mu.Lock()
	delete(m.links, l)
	p.mu.Unlock()
}

// copy carries one direction. A clean end is passed on as a half-close, an
// error ends both directions.
func (p *Proxy) copy(m *member, l *link, dst, src *net.TCPConn) {
	for {
		_, err := io.Copy(dst, src)
		switch {
		case err == nil:
			_ = dst.CloseWrite()
			return
		case errors.Is(err, os.ErrDeadlineExceeded): // frozen
			if !p.wait(m) {
				return
			}
		default:
			l.reset()
			return
		}
	}
}

// freeze interrupts the reading of both ends, or lets it go on. Nothing that
// was read is lost.
func (l *link) freeze(on bool) {
	var deadline time.Time
	if on {
		deadline = time.Unix(1, 0)
	}
	_ = l.in.SetReadDeadline(deadline)
	_ = l.out.SetReadDeadline(deadline)
}

// reset closes with RST instead of FIN, so that nothing still in a buffer is
// delivered.
func (l *link) reset() {
	for _, c := range []*net.TCPConn{l.in, l.out} {
		_ = c.SetLinger(0)
		_ = c.Close()
	}
}
