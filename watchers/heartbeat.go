package watchers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	utilnet "k8s.io/apimachinery/pkg/util/net"
)

// errHung is why a source is stale when the server's address accepts connections and nobody answers.
var errHung = errors.New("the API server does not answer")

// Health is what the heartbeat knows of the API server.
type Health struct {
	Down   bool          // no heartbeat was answered for a while
	Why    string        // why it is down; untrusted text
	LastOK time.Time     // when the last answered heartbeat was sent
	RTT    time.Duration // round trip of the last answered heartbeat
}

// heartbeat asks the API server for /livez again and again. A stopped process leaves its TCP connections open, and a watch on
// one of them looks alive for minutes: only a request with a deadline of its own tells. It uses the same connections as the
// watches, so that it proves them.
type heartbeat struct {
	hub *Hub

	mu  sync.Mutex
	cur Health
}

func newHeartbeat(h *Hub) *heartbeat { return &heartbeat{hub: h} }

func (b *heartbeat) health() Health {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.cur
}

func (b *heartbeat) run(ctx context.Context) {
	opt := b.hub.opt
	timer := time.NewTimer(0)
	defer timer.Stop()
	var started, rotated time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		sent := time.Now()
		if started.IsZero() {
			started, rotated = sent, sent
		}
		err := b.ask(ctx, "/livez", opt.BeatTimeout)
		if ctx.Err() != nil {
			return
		}
		prev := b.health()
		next := prev
		next.RTT = time.Since(sent)
		switch {
		case err == nil:
			next.Down, next.Why, next.LastOK = false, "", sent
			rotated = time.Now()
		case errors.Is(err, context.DeadlineExceeded) && b.hub.heard.since(sent, prev.Down):
			// It speaks, on the same connection: a long list on a slow line, or a slow server.
			next.RTT = prev.RTT
			next.Down, next.Why, next.LastOK = false, "", sent
			rotated = time.Now()
		case time.Since(latest(prev.LastOK, started)) > 2*opt.Beat+opt.BeatTimeout/3:
			next.RTT = prev.RTT
			next.Down, next.Why = true, b.why(ctx, err)
		default:
			next.RTT = prev.RTT
		}
		b.mu.Lock()
		b.cur = next
		b.mu.Unlock()
		for _, src := range b.hub.list() {
			src.each(func(s *status) { s.beat(next) })
		}
		if prev.Down && !next.Down {
			b.hub.Kick()
		}
		// A connection whose other end went away without a word would hang for a long time yet.
		if next.Down && time.Since(rotated) > 10*opt.Beat && !utilnet.IsConnectionRefused(err) {
			b.hub.conn.closeAll()
			rotated = time.Now()
		}
		wait := opt.Beat
		if err != nil {
			wait /= 2
		}
		timer.Reset(wait)
	}
}

// ask returns nil when the server has answered: an answer that refuses is an answer, one that reports a fault is not.
func (b *heartbeat) ask(ctx context.Context, path string, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	body, err := b.hub.tab.Get().AbsPath(path).MaxRetries(0).Stream(ctx)
	if body != nil {
		defer body.Close()
		_, _ = io.CopyN(io.Discard, body, 4096)
	}
	var st apierrors.APIStatus
	if errors.As(err, &st) && st.Status().Code != 0 && st.Status().Code < http.StatusInternalServerError {
		return nil
	}
	return err
}

// why tells a server that hangs from one whose etcd does.
func (b *heartbeat) why(ctx context.Context, err error) string {
	if utilnet.IsConnectionRefused(err) {
		return explain(err)
	}
	if b.ask(ctx, "/livez/ping", b.hub.opt.BeatTimeout/3) == nil {
		return "the API server runs, but its own health check does not pass: is its etcd reachable, has it a quorum? (" + shorten(err) + ")"
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Sprintf("%v: /livez was silent for %v", errHung, b.hub.opt.BeatTimeout)
	}
	return explain(err)
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
