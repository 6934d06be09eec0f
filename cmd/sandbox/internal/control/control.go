// Package control lets the other subcommands talk to a running `up`: a small
// HTTP API on a Unix socket inside the sandbox directory.
package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"fathom/cmd/sandbox/internal/layout"
)

// Component is one line of the status.
type Component struct {
	Name        string   `json:"name"`
	PID         int      `json:"pid,omitempty"`
	State       string   `json:"state"`
	Partitioned bool     `json:"partitioned,omitempty"`
	BlackHoled  bool     `json:"blackHoled,omitempty"`
	Restarts    int      `json:"restarts"`
	Endpoints   []string `json:"endpoints"`
	Exit        string   `json:"exit,omitempty"`
}

// Status is the answer of the status call.
type Status struct {
	Dir        string      `json:"dir"`
	PID        int         `json:"pid"`
	Ready      bool        `json:"ready"`
	Seeded     bool        `json:"seeded"`
	Components []Component `json:"components"`
}

// Handler does what the API offers.
type Handler interface {
	Status() Status
	// Fault applies a verb (kill, partition, ...) to a component, or to all
	// etcd members when the name is empty.
	Fault(ctx context.Context, verb, name string) error
	// Down asks the sandbox to end and returns at once.
	Down()
}

// socketAddress reaches the socket through an open handle on the directory: a
// socket address holds 108 bytes at most, a temporary directory's name may be
// longer than that.
func socketAddress(d layout.Dir) (addr string, release func(), err error) {
	fd, err := unix.Open(d.Path(), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", nil, fmt.Errorf("open sandbox directory %s: %w", d.Path(), err)
	}
	return fmt.Sprintf("/proc/self/fd/%d/%s", fd, layout.ControlSocket), func() { _ = unix.Close(fd) }, nil
}

// Serve listens on the control socket. The returned function ends it.
func Serve(d layout.Dir, h Handler) (func(), error) {
	addr, release, err := socketAddress(d)
	if err != nil {
		return nil, err
	}
	defer release()
	_ = os.Remove(addr)
	l, err := net.Listen("unix", addr)
	if err != nil {
		return nil, fmt.Errorf("control socket in %s: %w", d.Path(), err)
	}
	// The address goes through a handle that is closed by now.
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	if err := os.Chmod(addr, 0o600); err != nil {
		_ = l.Close()
		return nil, fmt.Errorf("control socket in %s: %w", d.Path(), err)
	}
	srv := &http.Server{Handler: routes(h)}
	go func() { _ = srv.Serve(l) }()
	return func() { // whoever asked for the end hears that it was heard
		ctx, cancel := context.WithTimeout(context.Background(), farewell)
		defer cancel()
		if srv.Shutdown(ctx) != nil {
			_ = srv.Close()
		}
	}, nil
}

// farewell is how long requests that are being answered may take when the sandbox ends.
const farewell = 2 * time.Second

func routes(h Handler) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(h.Status())
	})
	mux.HandleFunc("POST /down", func(http.ResponseWriter, *http.Request) { h.Down() })
	fault := func(w http.ResponseWriter, r *http.Request) {
		if err := h.Fault(r.Context(), r.PathValue("verb"), r.PathValue("name")); err != nil {
			http.Error(w, err.Error(), http.StatusConflict)
		}
	}
	mux.HandleFunc("POST /fault/{verb}/{name}", fault)
	mux.HandleFunc("POST /fault/{verb}/{$}", fault)
	return mux
}

// Client talks to the sandbox of a directory.
type Client struct{ dir layout.Dir }

// NewClient makes a client; nothing is dialed yet.
func NewClient(d layout.Dir) *Client { return &Client{dir: d} }

// ErrNotRunning is returned by every call when no `up` runs in the directory.
var ErrNotRunning = errors.New("no sandbox is running")

func (c *Client) call(ctx context.Context, method, path string, into any) error {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: c.dial}}
	req, err := http.NewRequestWithContext(ctx, method, "http://sandbox"+path, nil)
	if err != nil {
		return err
	}
	res, err := client.Do(req)
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("%w in %s: start one with `fathom-sandbox up --dir %s`", ErrNotRunning, c.dir.Path(), c.dir.Path())
	}
	if err != nil {
		return fmt.Errorf("ask the sandbox in %s: %w", c.dir.Path(), err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return fmt.Errorf("ask the sandbox in %s: %w", c.dir.Path(), err)
	}
	if res.StatusCode != http.StatusOK {
		return errors.New(string(bytes.TrimSpace(body)))
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(body, into)
}

func (c *Client) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	addr, release, err := socketAddress(c.dir)
	if err != nil {
		return nil, err
	}
	defer release()
	var d net.Dialer
	return d.DialContext(ctx, "unix", addr)
}

// Status asks for the state of all components.
func (c *Client) Status(ctx context.Context) (Status, error) {
	var st Status
	err := c.call(ctx, http.MethodGet, "/status", &st)
	return st, err
}

// Fault applies a verb to a component and returns when it has taken effect.
func (c *Client) Fault(ctx context.Context, verb, name string) error {
	return c.call(ctx, http.MethodPost, "/fault/"+verb+"/"+name, nil)
}

// Down asks the sandbox to end.
func (c *Client) Down(ctx context.Context) error {
	return c.call(ctx, http.MethodPost, "/down", nil)
}
