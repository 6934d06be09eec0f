package peerproxy

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// echo answers every line with the same line.
func echo(t *testing.T) string {
	l := listen(t)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_, _ = io.Copy(c, c)
			}()
		}
	}()
	return l.Addr().String()
}

// network has two members, a and b; the origin of a connection is what the
// test says it is.
func network(t *testing.T) (n *Network, a, b string, from *atomic.Value) {
	n = New()
	from = new(atomic.Value)
	from.Store("a")
	n.source = func(net.Conn) string { return from.Load().(string) }
	la, lb := listen(t), listen(t)
	n.Add("a", la, echo(t), func() int { return 0 })
	n.Add("b", lb, echo(t), func() int { return 0 })
	t.Cleanup(n.Close)
	return n, la.Addr().String(), lb.Addr().String(), from
}

func dial(t *testing.T, addr string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp4", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	return c
}

// talk sends a line and reads it back.
func talk(c net.Conn) error {
	if _, err := io.WriteString(c, "raft\n"); err != nil {
		return err
	}
	line, err := bufio.NewReader(c).ReadString('\n')
	if err == nil && line != "raft\n" {
		err = fmt.Errorf("read %q", line)
	}
	return err
}

func TestTrafficPasses(t *testing.T) {
	_, _, b, _ := network(t)
	if err := talk(dial(t, b)); err != nil {
		t.Fatal(err)
	}
}

func TestPartitionCutsOpenConnectionsBothWays(t *testing.T) {
	n, a, b, from := network(t)
	from.Store("a")
	out := dial(t, b)
	if err := talk(out); err != nil {
		t.Fatal(err)
	}
	from.Store("b")
	in := dial(t, a)
	if err := talk(in); err != nil {
		t.Fatal(err)
	}
	n.Partition("a")
	for name, c := range map[string]net.Conn{"from a": out, "to a": in} {
		if err := talk(c); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("connection %s survived the partition: %v", name, err)
		}
	}
}

func TestPartitionRefusesNewConnectionsUntilHealed(t *testing.T) {
	n, a, b, from := network(t)
	n.Partition("a")
	for _, c := range []struct{ from, to string }{{"a", b}, {"b", a}, {"", b}} {
		from.Store(c.from)
		conn, err := net.DialTimeout("tcp4", c.to, 10*time.Second)
		if err != nil {
			continue // reset before the dial returned
		}
		_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
		if err := talk(conn); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("a connection from %q was not refused: %v", c.from, err)
		}
		_ = conn.Close()
	}
	from.Store("b")
	if err := talk(dial(t, b)); err != nil {
		t.Errorf("traffic between the others is cut too: %v", err)
	}
	if !n.Partitioned("a") || n.Partitioned("b") {
		t.Error("wrong member is marked as partitioned")
	}
	n.Heal("a")
	from.Store("a")
	if err := talk(dial(t, b)); err != nil {
		t.Errorf("after heal: %v", err)
	}
}

// Whoever is no member of the network can be cut off from it, and nobody else with it.
func TestPartitionOfTheUnknown(t *testing.T) {
	n, a, b, from := network(t)
	from.Store("a")
	member := dial(t, b)
	if err := talk(member); err != nil {
		t.Fatal(err)
	}
	from.Store(Unknown)
	stranger := dial(t, b)
	if err := talk(stranger); err != nil {
		t.Fatal(err)
	}
	n.Partition(Unknown)
	if err := talk(stranger); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("its open connection survived: %v", err)
	}
	if c, err := net.DialTimeout("tcp4", a, 10*time.Second); err == nil {
		_ = c.SetDeadline(time.Now().Add(10 * time.Second))
		if err := talk(c); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("a new connection of it was not refused: %v", err)
		}
		_ = c.Close()
	}
	if err := talk(member); err != nil {
		t.Errorf("a member's open connection: %v", err)
	}
	from.Store("b")
	if err := talk(dial(t, a)); err != nil {
		t.Errorf("a member's new connection: %v", err)
	}
	if n.Partitioned("a") || n.Partitioned("b") || !n.Partitioned(Unknown) {
		t.Error("the wrong ones are marked as partitioned")
	}
	n.Heal(Unknown)
	from.Store(Unknown)
	if err := talk(dial(t, b)); err != nil {
		t.Errorf("after heal: %v", err)
	}
}

func TestHalfCloseIsPassedOn(t *testing.T) {
	_, _, b, _ := network(t)
	c := dial(t, b).(*net.TCPConn)
	if _, err := io.WriteString(c, "x"); err != nil {
		t.Fatal(err)
	}
	_ = c.CloseWrite()
	got, err := io.ReadAll(c)
	if err != nil || string(got) != "x" {
		t.Fatalf("read %q, %v", got, err)
	}
}

// The real lookup finds this very process as the owner of its socket.
func TestSourceByOwner(t *testing.T) {
	n := New()
	l := listen(t)
	n.Add("self", l, echo(t), os.Getpid)
	t.Cleanup(n.Close)
	c := dial(t, l.Addr().String())
	local := netip.MustParseAddrPort(c.LocalAddr().String())
	remote := netip.MustParseAddrPort(c.RemoteAddr().String())
	inode, err := inodeOf(local, remote)
	if err != nil || inode == "" {
		t.Fatalf("inode %q, %v", inode, err)
	}
	if !ownsSocket(os.Getpid(), inode) {
		t.Error("own socket not found")
	}
	if ownsSocket(1<<22+1, inode) {
		t.Error("a process that is not there owns the socket")
	}
}

func TestSocketInode(t *testing.T) {
	const table = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:4E20 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1111 1
   1: 0100007F:C350 0100007F:4E20 01 00000000:00000000 00:00000000 00000000     0        0 2222 1
   2: 0100007F:C351 0100007F:4E20 06 00000000:00000000 00:00000000 00000000     0        0 0 1
`
	for _, c := range []struct{ local, want string }{{"127.0.0.1:50000", "2222"}, {"127.0.0.1:50001", ""}, {"127.0.0.1:50002", ""}} {
		got, err := socketInode(strings.NewReader(table), netip.MustParseAddrPort(c.local), netip.MustParseAddrPort("127.0.0.1:20000"))
		if err != nil || got != c.want {
			t.Errorf("socket of %s: inode %q, %v; want %q", c.local, got, err, c.want)
		}
	}
}
