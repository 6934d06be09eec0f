package watchers

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"

	"fathom/internal/run"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("k8s.io/klog/v2.(*flushDaemon).run.func1"))
}

// api is an API server as far as HTTP goes: a handler per path, a health endpoint, and a way to hang like a stopped process.
type api struct {
	t    *testing.T
	srv  *httptest.Server
	mu   sync.Mutex
	hung chan struct{} // closed when it goes on; nil: it runs
	reqs []*http.Request
	on   map[string]http.HandlerFunc
}

func newAPI(t *testing.T) *api {
	a := &api{t: t, on: map[string]http.HandlerFunc{}}
	a.srv = httptest.NewUnstartedServer(http.HandlerFunc(a.serve))
	a.srv.Start()
	t.Cleanup(func() {
		a.cont()
		a.srv.CloseClientConnections()
		a.srv.Close()
	})
	return a
}

func (a *api) serve(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	hung, h := a.hung, a.on[r.URL.Path]
	a.reqs = append(a.reqs, r)
	a.mu.Unlock()
	if hung != nil {
		select {
		case <-hung:
		case <-r.Context().Done():
			return
		}
	}
	switch {
	case h != nil:
		h(w, r)
	case strings.HasPrefix(r.URL.Path, "/livez"):
		fmt.Fprint(w, "ok")
	default:
		fail(w, http.StatusNotFound, metav1.StatusReasonNotFound, "the server could not find the requested resource")
	}
}

func (a *api) handle(path string, h http.HandlerFunc) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.on[path] = h
}

func (a *api) stop() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.hung = make(chan struct{})
}

func (a *api) cont() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.hung != nil {
		close(a.hung)
		a.hung = nil
	}
}

// requests returns the requests of a path so far.
func (a *api) requests(path string) []*http.Request {
	a.mu.Lock()
	defer a.mu.Unlock()
	var out []*http.Request
	for _, r := range a.reqs {
		if r.URL.Path == path {
			out = append(out, r)
		}
	}
	return out
}

func (a *api) hub(opt Options) *Hub {
	a.t.Helper()
	if opt.MinPublish == 0 {
		opt.MinPublish = 5 * time.Millisecond
	}
	if opt.Beat == 0 {
		opt.Beat, opt.BeatTimeout = 50*time.Millisecond, 100*time.Millisecond
	}
	if opt.BackoffMin == 0 {
		opt.BackoffMin, opt.BackoffMax = 10*time.Millisecond, 50*time.Millisecond
	}
	g := run.NewGroup(context.Background(), func(p run.Panic) { a.t.Errorf("panic in %s: %v\n%s", p.Name, p.Value, p.Stack) })
	h, err := NewHub(g, &rest.Config{Host: a.srv.URL}, opt)
	if err != nil {
		a.t.Fatal(err)
	}
	a.t.Cleanup(g.Stop)
	return h
}

func fail(w http.ResponseWriter, code int, reason metav1.StatusReason, msg string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(metav1.Status{
		TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: "Failure", Code: int32(code), Reason: reason, Message: msg,
	})
}

func reply(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}

// stream serves a watch with the events of a channel. As from a real server, what was sent to a connection that is gone is not lost: who
// asks for what came after a resource version gets it from what all the watches of the channel were to send.
func stream(w http.ResponseWriter, r *http.Request, events <-chan string) {
	w.Header().Set("Content-Type", "application/json")
	w.(http.Flusher).Flush()
	l := logOf(events)
	at := l.after(r.URL.Query().Get("resourceVersion"))
	for {
		ev, changed := l.next(at)
		if ev != "" {
			fmt.Fprintln(w, ev)
			w.(http.Flusher).Flush()
			at++
			continue
		}
		select {
		case <-r.Context().Done():
			return
		case <-changed:
		case ev, ok := <-events:
			if !ok {
				return
			}
			l.add(ev)
		}
	}
}

// eventLog is what has been taken from a channel of events.
type eventLog struct {
	mu      sync.Mutex
	events  []string
	changed chan struct{} // closed, and made anew, with every event
}

var eventLogs sync.Map // *eventLog by <-chan string

func logOf(events <-chan string) *eventLog {
	l, _ := eventLogs.LoadOrStore(events, &eventLog{changed: make(chan struct{})})
	return l.(*eventLog)
}

func (l *eventLog) add(ev string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.events = append(l.events, ev)
	close(l.changed)
	l.changed = make(chan struct{})
}

func (l *eventLog) next(at int) (string, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if at < len(l.events) {
		return l.events[at], nil
	}
	return "", l.changed
}

// after is where the events after a resource version begin: those to come when none is given.
func (l *eventLog) after(version string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	from, err := strconv.Atoi(version)
	if err != nil || from == 0 {
		return len(l.events)
	}
	at := len(l.events)
	for i, text := range slices.Backward(l.events) {
		var ev struct {
			Type   string
			Object struct {
				Metadata struct{ ResourceVersion string }
			}
		}
		if json.Unmarshal([]byte(text), &ev) != nil || ev.Type == "ERROR" { // what was before it is known from a list
			break
		}
		if n, err := strconv.Atoi(ev.Object.Metadata.ResourceVersion); err == nil && n > from {
			at = i
		}
	}
	return at
}

func event(kind string, obj any) string {
	b, err := json.Marshal(map[string]any{"type": kind, "object": obj})
	if err != nil {
		panic(err)
	}
	return string(b)
}

func pod(name, rv string) *corev1.Pod {
	return &corev1.Pod{
		TypeMeta:   metav1.TypeMeta{Kind: "Pod", APIVersion: "v1"},
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "shop", UID: types.UID("uid-" + name), ResourceVersion: rv},
		Status:     corev1.PodStatus{Phase: corev1.PodPending},
	}
}

// listEnd is the bookmark that ends a streamed list.
func listEnd(rv string) string {
	return event("BOOKMARK", &corev1.Pod{
		TypeMeta: metav1.TypeMeta{Kind: "Pod", APIVersion: "v1"},
		ObjectMeta: metav1.ObjectMeta{
			ResourceVersion: rv, Annotations: map[string]string{metav1.InitialEventsAnnotationKey: "true"},
		},
	})
}

// eventually waits for a condition of a snapshot.
func eventually(t *testing.T, f *Feed, what string, ok func(*Snapshot) bool) *Snapshot {
	t.Helper()
	var s *Snapshot
	within(t, func() string { return fmt.Sprintf("%s; last: %d rows, %+v", what, s.Len(), s.State) }, func() bool {
		s = f.Snapshot()
		return ok(s)
	})
	return s
}

func within(t *testing.T, what func() string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); ; {
		if ok() {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("not within 10 s: %s", what())
		}
		<-time.After(2 * time.Millisecond)
	}
}

func live(n int) func(*Snapshot) bool {
	return func(s *Snapshot) bool { return s.State.Phase == Live && s.Len() == n }
}

func phase(p Phase) func(*Snapshot) bool {
	return func(s *Snapshot) bool { return s.State.Phase == p }
}
