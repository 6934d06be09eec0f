// Package peerproxy carries the Raft traffic between etcd members and can cut
// one member off. Every member advertises a proxy's address as its peer URL,
// so all its incoming peer connections come through here; the outgoing ones
// arrive at the other members' proxies, where the process that owns the far
// socket tells which member is calling. TLS runs end to end through the proxy.
package peerproxy

import (
	"io"
	"net"
	"net/netip"
	"sync"
)

// Network is the peer network of one etcd cluster.
type Network struct {
	mu      sync.Mutex
	members map[string]*member
	cut     map[string]bool
	links   map[*link]struct{}
	closed  bool

	// source names the member a connection comes from, Unknown for any other.
	// It is a field for the tests.
	source func(net.Conn) string
}

type member struct {
	name    string
	listen  net.Listener
	backend string
	pid     func() int
}

// link is one proxied connection.
type link struct {
	from, to string
	in, out  *net.TCPConn
}

// Unknown stands for whoever is not a member of this network, in Partition, Heal
// and Partitioned: a member, say, that has joined and was not started by the
// sandbox. Connections of such a one to the members come through here, those to
// it do not.
const Unknown = ""

// New makes an empty network.
func New() *Network {
	n := &Network{members: map[string]*member{}, cut: map[string]bool{}, links: map[*link]struct{}{}}
	n.source = n.sourceByOwner
	return n
}

// Add serves the listener as the peer address of a member that really listens
// on backend. pid gives the member's process id, 0 while it is not running.
func (n *Network) Add(name string, l net.Listener, backend string, pid func() int) {
	m := &member{name: name, listen: l, backend: backend, pid: pid}
	n.mu.Lock()
	n.members[name] = m
	n.mu.Unlock()
	go n.serve(m)
}

func (n *Network) serve(m *member) {
	for {
		c, err := m.listen.Accept()
		if err != nil {
			return // the listener was closed
		}
		go n.carry(m, c.(*net.TCPConn))
	}
}

// Partition cuts all peer traffic to and from the member: open connections are
// reset, new ones refused.
func (n *Network) Partition(name string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.cut[name] = true
	for l := range n.links {
		// A connection of unknown origin could be the member's.
		if l.from == name || l.to == name || l.from == Unknown {
			l.reset()
		}
	}
}

// Heal lets the member's peer traffic pass again.
func (n *Network) Heal(name string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.cut, name)
}

// Partitioned tells whether the member is cut off.
func (n *Network) Partitioned(name string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.cut[name]
}

// Close ends all listeners and connections.
func (n *Network) Close() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.closed = true
	for _, m := range n.members {
		_ = m.listen.Close()
	}
	for l := range n.links {
		l.reset()
	}
}

// allowed tells whether a connection may be; the lock is held. While anybody
// is cut off, a connection of unknown origin may not: it could be theirs.
func (n *Network) allowed(from, to string) bool {
	if n.closed || n.cut[to] {
		return false
	}
	if from == Unknown {
		return len(n.cut) == 0
	}
	return !n.cut[from]
}

func (n *Network) carry(m *member, in *net.TCPConn) {
	from := n.source(in)
	n.mu.Lock()
	ok := n.allowed(from, m.name)
	n.mu.Unlock()
	if !ok {
		reset(in)
		return
	}
	c, err := net.Dial("tcp4", m.backend)
	if err != nil {
		reset(in)
		return
	}
	l := &link{from: from, to: m.name, in: in, out: c.(*net.TCPConn)}
	// Asked again: the partition may have come while dialing.
	n.mu.Lock()
	if !n.allowed(from, m.name) {
		n.mu.Unlock()
		l.reset()
		return
	}
	n.links[l] = struct{}{}
	n.mu.Unlock()

	var wg sync.WaitGroup
	wg.Add(1)
	go func() {
		defer wg.Done()
		l.copy(l.out, l.in)
	}()
	l.copy(l.in, l.out)
	wg.Wait()

	n.mu.Lock()
	delete(n.links, l)
	n.mu.Unlock()
	_ = l.in.Close()
	_ = l.out.Close()
}

// copy carries one direction. A clean end is passed on as a half-close, an
// error ends both directions.
func (l *link) copy(dst, src *net.TCPConn) {
	if _, err := io.Copy(dst, src); err != nil {
		l.reset()
		return
	}
	_ = dst.CloseWrite()
}

func (l *link) reset() {
	reset(l.in)
	reset(l.out)
}

// reset closes with RST instead of FIN, so that the other side notices at once
// and nothing still in a buffer is delivered.
func reset(c *net.TCPConn) {
	_ = c.SetLinger(0)
	_ = c.Close()
}

func (n *Network) sourceByOwner(c net.Conn) string {
	remote, err1 := netip.ParseAddrPort(c.RemoteAddr().String())
	local, err2 := netip.ParseAddrPort(c.LocalAddr().String())
	if err1 != nil || err2 != nil {
		return ""
	}
	// Seen from the caller's socket, the ends are the other way round.
	inode, err := inodeOf(remote, local)
	if err != nil || inode == "" {
		return ""
	}
	n.mu.Lock()
	members := make([]*member, 0, len(n.members))
	for _, m := range n.members {
		members = append(members, m)
	}
	n.mu.Unlock()
	for _, m := range members {
		if pid := m.pid(); pid > 0 && ownsSocket(pid, inode) {
			return m.name
		}
	}
	return ""
}
