package clientproxy

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
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

// proxy stands in front of a server that answers every line with the same line.
func proxy(t *testing.T) (p *Proxy, addr string, backend net.Listener) {
	backend = listen(t)
	go func() {
		for {
			c, err := backend.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_, _ = io.Copy(c, c)
			}()
		}
	}()
	p = New()
	front := listen(t)
	p.Add("a", front, backend.Addr().String())
	t.Cleanup(p.Close)
	return p, front.Addr().String(), backend
}

type conn struct {
	net.Conn
	r *bufio.Reader
}

func dial(t *testing.T, addr string) *conn {
	t.Helper()
	c, err := net.Dial("tcp4", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return &conn{c, bufio.NewReader(c)}
}

func (c *conn) say(t *testing.T, line string) {
	t.Helper()
	if _, err := io.WriteString(c, line+"\n"); err != nil {
		t.Fatal(err)
	}
}

func (c *conn) hear(within time.Duration) (string, error) {
	_ = c.SetReadDeadline(time.Now().Add(within))
	return c.r.ReadString('\n')
}

func (c *conn) talk(t *testing.T, line string) {
	t.Helper()
	c.say(t, line)
	if got, err := c.hear(10 * time.Second); err != nil || got != line+"\n" {
		t.Fatalf("said %q, heard %q, %v", line, got, err)
	}
}

// A black hole answers nothing and closes nothing; afterwards everything that was said arrives, once and in order.
func TestBlackHole(t *testing.T) {
	p, addr, _ := proxy(t)
	c := dial(t, addr)
	c.talk(t, "before")
	if err := p.BlackHole("a"); err != nil {
		t.Fatal(err)
	}
	if !p.BlackHoled("a") {
		t.Error("it does not say so")
	}
	fresh := dial(t, addr)
	for i := range 3 {
		c.say(t, fmt.Sprintf("lost %d", i))
	}
	fresh.say(t, "hello")
	for name, c := range map[string]*conn{"open": c, "new": fresh} {
		if got, err := c.hear(150 * time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("the %s connection heard %q, %v", name, got, err)
		}
	}
	p.Heal("a")
	for i := range 3 {
		if got, err := c.hear(10 * time.Second); err != nil || got != fmt.Sprintf("lost %d\n", i) {
			t.Fatalf("after healing: %q, %v", got, err)
		}
	}
	if got, err := fresh.hear(10 * time.Second); err != nil || got != "hello\n" {
		t.Fatalf("the connection made meanwhile: %q, %v", got, err)
	}
	c.talk(t, "after")
}

// A member that is down refuses, as without the proxy; Reset ends what is open.
func TestResetAndRefuse(t *testing.T) {
	p, addr, backend := proxy(t)
	c := dial(t, addr)
	c.talk(t, "before")
	p.Reset("a")
	if got, err := c.hear(10 * time.Second); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("after a reset: %q, %v", got, err)
	}
	dial(t, addr).talk(t, "again")
	_ = backend.Close()
	refused, err := net.Dial("tcp4", addr)
	if err != nil {
		return // reset before the dial returned
	}
	defer refused.Close()
	if got, err := (&conn{refused, bufio.NewReader(refused)}).hear(10 * time.Second); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("nobody listens, and the proxy says %q, %v", got, err)
	}
}

// Where the process is gone clients are refused, until it is back; of a black hole they hear nothing also then.
func TestDown(t *testing.T) {
	p, addr, _ := proxy(t)
	refused := func(when string) {
		t.Helper()
		c, err := net.Dial("tcp4", addr)
		if err == nil {
			_ = c.Close()
		}
		if !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("%s: %v", when, err)
		}
	}
	silent := func(when string) {
		t.Helper()
		c := dial(t, addr)
		c.say(t, "hello")
		if got, err := c.hear(150 * time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: %q, %v", when, got, err)
		}
	}
	up := func() {
		t.Helper()
		if err := p.Up("a"); err != nil {
			t.Fatal(err)
		}
	}
	dial(t, addr).talk(t, "before")
	p.Down("a")
	p.Down("a")
	refused("down")
	up()
	up()
	dial(t, addr).talk(t, "up again")

	if err := p.BlackHole("a"); err != nil {
		t.Fatal(err)
	}
	p.Down("a")
	silent("down in a black hole")
	p.Heal("a")
	refused("down, and healed")
	if err := p.BlackHole("a"); err != nil {
		t.Fatal(err)
	}
	silent("a black hole of one that is down")
	up()
	silent("a black hole of one that is up again")
	p.Heal("a")
	dial(t, addr).talk(t, "after")
}

// Closing the proxy ends a black hole too: nothing waits for ever.
func TestCloseInBlackHole(t *testing.T) {
	p, addr, _ := proxy(t)
	c := dial(t, addr)
	c.talk(t, "before")
	if err := p.BlackHole("a"); err != nil {
		t.Fatal(err)
	}
	p.Close()
	if got, err := c.hear(10 * time.Second); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("after Close: %q, %v", got, err)
	}
}
