package watchers

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// throttler answers 429 as API priority and fairness does, while it is on.
type throttler struct {
	retryAfter string
	on         atomic.Bool

	mu sync.Mutex
	at map[string][]time.Time // of requests of lists and watches, by path
}

func (x *throttler) wrap(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		x.mu.Lock()
		if x.at == nil {
			x.at = map[string][]time.Time{}
		}
		x.at[r.URL.Path] = append(x.at[r.URL.Path], time.Now())
		x.mu.Unlock()
		if x.on.Load() {
			if x.retryAfter != "" {
				w.Header().Set("Retry-After", x.retryAfter)
			}
			http.Error(w, "Too many requests, please try again later.", http.StatusTooManyRequests)
			return
		}
		h(w, r)
	}
}

func (x *throttler) times(path string) []time.Time {
	x.mu.Lock()
	defer x.mu.Unlock()
	return append([]time.Time(nil), x.at[path]...)
}

func (x *throttler) total() (n int) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, at := range x.at {
		n += len(at)
	}
	return n
}

// A server that always answers 429 with Retry-After: 1 is asked after one second, two, four, by streams, lists and Tables alike;
// the pane says so and until when, and no place is taken meanwhile.
func TestThrottledIsSaidAndWaitedFor(t *testing.T) {
	t.Parallel()
	a, x := newAPI(t), &throttler{retryAfter: "1"}
	x.on.Store(true)
	paths := map[string]Key{podsPath: podsKey(), "/api/v1/services": {GVR: Services()}}
	for i := range 6 {
		name := fmt.Sprint("things", i)
		paths["/apis/example.io/v1/"+name] = crdKey(name)
	}
	h := a.hub(calm(Options{}))
	begun := time.Now()
	var feeds []*Feed
	for path, k := range paths {
		a.handle(path, x.wrap(http.NotFound))
		feeds = append(feeds, h.Open(k, Query{}))
	}
	for _, f := range feeds {
		s := eventually(t, f, "says that it is throttled", func(s *Snapshot) bool {
			return s.State.Phase == Connecting && strings.HasPrefix(s.State.Why, "throttled by the API server (429) until ")
		})
		at := s.State.Why[strings.LastIndexByte(s.State.Why, ' ')+1:]
		if _, err := time.Parse(time.TimeOnly, at); err != nil {
			t.Errorf("%q: %v", s.State.Why, err)
		}
	}
	within(t, func() string { return "nobody has a place" }, func() bool {
		h.slots.mu.Lock()
		defer h.slots.mu.Unlock()
		return len(h.slots.running) == 0 && len(h.slots.waiting) == 0
	})
	h.Kick() // the server's word is worth more
	within(t, func() string { return fmt.Sprintf("three requests each, now %d", x.total()) }, func() bool {
		for path := range paths {
			if len(x.times(path)) < 3 {
				return false
			}
		}
		return true
	})
	for path := range paths {
		at := x.times(path)
		if g := at[1].Sub(at[0]); g < time.Second {
			t.Errorf("%s: asked again after %v", path, g)
		}
		if g := at[2].Sub(at[1]); g < 2*time.Second {
			t.Errorf("%s: asked a third time after %v", path, g)
		}
	}
	took := time.Since(begun)
	t.Logf("%d sources, always 429: %d requests in %v, %.2f a second", len(paths), x.total(), took.Round(time.Millisecond), float64(x.total())/took.Seconds())
	if n := x.total(); n > 4*len(paths) {
		t.Errorf("%d requests", n)
	}
}

// Retry-After is respected beyond our own minimum, in seconds and in the Status of the API machinery; an hour is capped.
func TestRetryAfterIsRespected(t *testing.T) {
	t.Parallel()
	a, x := newAPI(t), &throttler{retryAfter: "3"}
	x.on.Store(true)
	events := make(chan string)
	servePods(a, 2, events)
	a.handle(podsPath, x.wrap(a.on[podsPath]))
	f := a.hub(calm(Options{})).Open(podsKey(), Query{})
	eventually(t, f, "throttled", func(s *Snapshot) bool { return strings.Contains(s.State.Why, "429") })
	x.on.Store(false)
	s := eventually(t, f, "live", live(2))
	if s.State.Why != "" {
		t.Errorf("live, and yet: %s", s.State.Why)
	}
	at := x.times(podsPath)
	if g := at[1].Sub(at[0]); g < 3*time.Second || g > 4*time.Second {
		t.Errorf("asked again after %v", g)
	}
}

func TestRetryAfterHeader(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for in, want := range map[string]int64{"": 0, "7": 7, "-3": 0, "soon": 0, "Fri, 02 Jan 2026 03:04:35 GMT": 30, "Fri, 02 Jan 2026 03:00:00 GMT": 0, "99999999999": 0} {
		if got := retryAfter(in, now); got != want {
			t.Errorf("%q: %d, want %d", in, got, want)
		}
	}
}

func TestAnHourIsCapped(t *testing.T) {
	t.Parallel()
	a, x := newAPI(t), &throttler{retryAfter: "3600"}
	x.on.Store(true)
	a.handle(podsPath, x.wrap(http.NotFound))
	f := a.hub(calm(Options{})).Open(podsKey(), Query{})
	before := time.Now()
	eventually(t, f, "throttled", func(s *Snapshot) bool { return strings.Contains(s.State.Why, "429") })
	f.src.status.mu.Lock()
	until := f.src.status.throttled
	f.src.status.mu.Unlock()
	if d := until.Sub(before); d < throttleCap || d > throttleCap*5/4+time.Second {
		t.Errorf("waits %v", d)
	}
	if f.hub.Close(); time.Since(before) > 5*time.Second {
		t.Error("the wait keeps the hub from closing")
	}
}

// A watch that is throttled when it wants to resume marks its rows stale, and resumes where it was: nothing is listed again.
func TestThrottledWatchResumes(t *testing.T) {
	t.Parallel()
	for name, k := range map[string]Key{"streamed": podsKey(), "table": vmKey()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, x, events := newAPI(t), &throttler{retryAfter: "1"}, make(chan string, 1)
			path, lists := podsPath, atomic.Int32{}
			if name == "table" {
				path = vmPath
			}
			a.handle(path, x.wrap(func(w http.ResponseWriter, r *http.Request) {
				q := r.URL.Query()
				switch {
				case q.Get("sendInitialEvents") != "":
					lists.Add(1)
					w.Header().Set("Content-Type", "application/json")
					fmt.Fprintln(w, event("ADDED", pod("web", "7")))
					fmt.Fprintln(w, listEnd("7"))
					stream(w, r, events)
				case q.Get("watch") == "":
					lists.Add(1)
					reply(w, vmTable("7", "", "a"))
				default:
					if rv := q.Get("resourceVersion"); rv != "8" {
						t.Errorf("resumed from %q", rv)
					}
					stream(w, r, events)
				}
			}))
			add := func(name, rv string) string {
				if k == vmKey() {
					return event("ADDED", vmTable(rv, "", name))
				}
				return event("ADDED", pod(name, rv))
			}
			if name == "table" { // its first watch begins at the list's version
				inner := a.on[path]
				a.handle(path, func(w http.ResponseWriter, r *http.Request) {
					if q := r.URL.Query(); q.Get("watch") != "" && q.Get("resourceVersion") == "7" {
						stream(w, r, events)
						return
					}
					inner(w, r)
				})
			}
			f := a.hub(calm(Options{})).Open(k, Query{})
			eventually(t, f, "live", live(1))
			events <- add("before", "8")
			eventually(t, f, "an event", live(2))
			x.on.Store(true)
			a.srv.CloseClientConnections()
			s := eventually(t, f, "stale", func(s *Snapshot) bool {
				return s.State.Phase == Stale && strings.HasPrefix(s.State.Why, "throttled")
			})
			if s.Len() != 2 || s.State.Since.IsZero() {
				t.Errorf("%d rows, %+v", s.Len(), s.State)
			}
			x.on.Store(false)
			eventually(t, f, "live again", live(2))
			events <- add("after", "9")
			eventually(t, f, "the watch goes on", live(3))
			if n := lists.Load(); n != 1 {
				t.Errorf("%d lists", n)
			}
		})
	}
}

// A list that is throttled between two pages goes on with the next page.
func TestThrottledBetweenPages(t *testing.T) {
	t.Parallel()
	a, x := newAPI(t), &throttler{}
	var firsts atomic.Int32
	a.handle(vmPath, func(w http.ResponseWriter, r *http.Request) {
		switch q := r.URL.Query(); {
		case q.Get("watch") != "":
			stream(w, r, nil)
		case q.Get("continue") == "":
			firsts.Add(1)
			x.on.Store(true)
			reply(w, vmTable("5", "more", "a"))
		case x.on.CompareAndSwap(true, false):
			fail(w, 429, metav1.StatusReasonTooManyRequests, "the storage is initialising")
		default:
			reply(w, vmTable("5", "", "b"))
		}
	})
	f := a.hub(calm(Options{})).Open(vmKey(), Query{})
	s := eventually(t, f, "throttled", func(s *Snapshot) bool { return strings.Contains(s.State.Why, "429") })
	if s.State.Loaded != 1 {
		t.Errorf("%+v", s.State)
	}
	eventually(t, f, "live", live(2))
	if firsts.Load() != 1 {
		t.Errorf("listed %d times", firsts.Load())
	}
}

// A server that ends every watch at once is asked once a second, and what it has listed is not listed again and again.
func TestWatchesThatEndAtOnce(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	var lists, watches atomic.Int32
	closed := make(chan string)
	close(closed)
	a.handle(podsPath, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("sendInitialEvents") != "" {
			lists.Add(1)
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprintln(w, event("ADDED", pod("web", "7")))
			fmt.Fprintln(w, listEnd("7"))
			return
		}
		watches.Add(1)
		stream(w, r, closed)
	})
	begun := time.Now()
	f := a.hub(calm(Options{})).Open(podsKey(), Query{})
	eventually(t, f, "a row", func(s *Snapshot) bool { return s.Len() == 1 })
	within(t, func() string { return fmt.Sprint(watches.Load(), " watches") }, func() bool { return watches.Load() == 4 })
	if took := time.Since(begun); lists.Load() != 1 || took < 3*time.Second {
		t.Errorf("%d lists, 4 watches in %v", lists.Load(), took)
	}
}
