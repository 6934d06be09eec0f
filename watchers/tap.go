package watchers

import (
	"context"
	"io"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// epoch is what times of atomics are counted from, so that they do not jump with the clock.
var epoch = time.Now()

// tap is what the transport tells about one request while it runs, as net/http/httptrace does: when something of the answer came
// last, and how long a server that throttles wants us to wait. client-go tells neither.
type tap struct {
	hub        *Hub
	heard      atomic.Int64 // when bytes came last, or when the request was sent; since epoch
	retryAfter atomic.Int64 // Retry-After of an answer, in seconds; 0: it had none
	list       atomic.Bool  // what comes is read from the storage now, not waited for
}

// heard is when something came from the server last, of any list or watch and of lists alone; since epoch.
type heard struct{ any, list atomic.Int64 }

// since reports whether something has come since then: an answer to a list says more than an event of a watch, which may have waited
// in the API server while its etcd was gone.
func (h *heard) since(then time.Time, listOnly bool) bool {
	at := &h.any
	if listOnly {
		at = &h.list
	}
	return epoch.Add(time.Duration(at.Load())).After(then)
}

type tapKey struct{}

// withTap returns a context whose request is listened to.
func (h *Hub) withTap(ctx context.Context) (context.Context, *tap) {
	t := &tap{hub: h}
	t.heard.Store(int64(time.Since(epoch)))
	return context.WithValue(ctx, tapKey{}, t), t
}

func (t *tap) hear(good bool) {
	now := int64(time.Since(epoch))
	t.heard.Store(now)
	if good {
		t.hub.heard.any.Store(now)
		if t.list.Load() {
			t.hub.heard.list.Store(now)
		}
	}
}

// quiet is how long nothing has come.
func (t *tap) quiet() time.Duration { return time.Since(epoch) - time.Duration(t.heard.Load()) }

// tapped is the transport of a hub.
type tapped struct{ next http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (r *tapped) RoundTrip(req *http.Request) (*http.Response, error) {
	res, err := r.next.RoundTrip(req)
	t, ok := req.Context().Value(tapKey{}).(*tap)
	if err != nil || !ok {
		return res, err
	}
	good := res.StatusCode < http.StatusMultipleChoices
	t.hear(good)
	t.retryAfter.Store(retryAfter(res.Header.Get("Retry-After"), time.Now()))
	res.Body = &tapBody{ReadCloser: res.Body, tap: t, good: good}
	return res, nil
}

// WrappedRoundTripper is for client-go, which looks for the transport under its wrappers to close idle connections.
func (r *tapped) WrappedRoundTripper() http.RoundTripper { return r.next }

// retryAfter reads the header (RFC 9110, 10.2.3): seconds, or a date.
func retryAfter(header string, now time.Time) int64 {
	if n, err := strconv.ParseInt(header, 10, 32); err == nil {
		return max(0, n)
	}
	if at, err := http.ParseTime(header); err == nil {
		return max(0, int64(at.Sub(now)/time.Second))
	}
	return 0
}

type tapBody struct {
	io.ReadCloser
	tap  *tap
	good bool // not the body of an error
}

// Read implements io.Reader.
func (b *tapBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if n > 0 {
		b.tap.hear(b.good)
	}
	return n, err
}

// guard calls stalled when the request has been quiet for the limit, and ends. stop ends it before.
func (h *Hub) guard(t *tap, limit time.Duration, stalled func()) (stop func()) {
	done := make(chan struct{})
	h.g.Go("list guard", func(ctx context.Context) {
		timer := time.NewTimer(limit)
		defer timer.Stop()
		for {
			select {
			case <-done:
				return
			case <-ctx.Done():
				return
			case <-timer.C:
			}
			quiet := t.quiet()
			if quiet >= limit {
				stalled()
				return
			}
			timer.Reset(limit - quiet)
		}
	})
	return sync.OnceFunc(func() { close(done) })
}
