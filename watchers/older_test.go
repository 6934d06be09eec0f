package watchers

import (
	"encoding/json"
	"fmt"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"
	"k8s.io/client-go/kubernetes/scheme"
)

// calm gives the heartbeat its usual pace: on a busy machine a faster one takes the server for dead, and breaks its connections.
func calm(o Options) Options {
	o.Beat, o.BeatTimeout = time.Second, 1500*time.Millisecond
	return o
}

// pagedPods is a server that does not stream lists: pages of limit pods of n, in order, from a continue token that is a number.
type pagedPods struct {
	n      int
	refuse http.HandlerFunc // the answer to a streamed list
	pod    func(i int) *corev1.Pod
	before func(w http.ResponseWriter, from, limit int) (done bool) // of each page

	mu     sync.Mutex
	limits []int
	froms  []int
}

func (s *pagedPods) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	switch {
	case q.Get("sendInitialEvents") != "":
		s.refuse(w, r)
		return
	case q.Get("watch") != "":
		if q.Get("resourceVersion") == "" {
			fail(w, 400, metav1.StatusReasonBadRequest, "where does the watch begin?")
			return
		}
		stream(w, r, nil)
		return
	}
	from, _ := strconv.Atoi(q.Get("continue"))
	limit, _ := strconv.Atoi(q.Get("limit"))
	s.mu.Lock()
	s.limits, s.froms = append(s.limits, limit), append(s.froms, from)
	s.mu.Unlock()
	if s.before != nil && s.before(w, from, limit) {
		return
	}
	l := &corev1.PodList{ListMeta: metav1.ListMeta{ResourceVersion: "77"}}
	l.Kind, l.APIVersion = "PodList", "v1"
	for i := from; i < min(from+limit, s.n); i++ {
		l.Items = append(l.Items, *s.pod(i))
	}
	if from+limit < s.n {
		l.Continue = fmt.Sprint(from + limit)
	}
	w.Header().Set("Content-Type", "application/vnd.kubernetes.protobuf")
	_ = protobuf.NewSerializer(scheme.Scheme, scheme.Scheme).Encode(l, w)
}

// Servers before WatchList say no in many ways; the list is then read in pages of 500, counted as it comes.
func TestServersThatDoNotStreamLists(t *testing.T) {
	for name, refuse := range map[string]http.HandlerFunc{
		"422, the feature is off": func(w http.ResponseWriter, _ *http.Request) {
			fail(w, 422, metav1.StatusReasonInvalid, `sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled`)
		},
		"400": func(w http.ResponseWriter, _ *http.Request) {
			fail(w, 400, metav1.StatusReasonBadRequest, "resourceVersionMatch is forbidden for watch")
		},
		"405, a proxy": func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusMethodNotAllowed) },
		"500, a proxy": func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "<html>oops</html>", http.StatusInternalServerError)
		},
		"200, not a watch": func(w http.ResponseWriter, _ *http.Request) {
			reply(w, map[string]string{"kind": "PodList", "apiVersion": "v1"})
		},
		"added, and then silence": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprintln(w, event("ADDED", pod("p0", "1")))
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		},
		"added, and then changes for ever": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			for i := 0; r.Context().Err() == nil; i++ {
				kind := "MODIFIED"
				if i == 0 {
					kind = "ADDED"
				}
				fmt.Fprintln(w, event(kind, pod("p0", "1")))
				w.(http.Flusher).Flush()
				<-time.After(20 * time.Millisecond)
			}
		},
		"torn": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprintln(w, event("ADDED", pod("p0", "1")))
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newAPI(t)
			srv := &pagedPods{n: 1234, refuse: refuse, pod: func(i int) *corev1.Pod { return pod(fmt.Sprint("p", i), "5") }}
			a.handle(podsPath, srv.ServeHTTP)
			f := a.hub(calm(Options{Stall: 1500 * time.Millisecond})).Open(podsKey(), Query{})
			eventually(t, f, "all", live(1234))
			srv.mu.Lock()
			defer srv.mu.Unlock()
			if fmt.Sprint(srv.limits, srv.froms) != "[500 500 500] [0 500 1000]" {
				t.Errorf("pages %v from %v", srv.limits, srv.froms)
			}
		})
	}
}

// A continue token expires twice: the list begins again with larger pages, and no row is lost or there twice.
func TestContinueTokenExpires(t *testing.T) {
	a := newAPI(t)
	var expired atomic.Int32
	srv := &pagedPods{n: 1000, refuse: func(w http.ResponseWriter, _ *http.Request) { fail(w, 422, metav1.StatusReasonInvalid, "no") }}
	srv.pod = func(i int) *corev1.Pod { return pod(fmt.Sprint("p", i), "5") }
	srv.before = func(w http.ResponseWriter, from, limit int) bool {
		if from > 0 && limit < 160 { // pages of 10, of 40
			expired.Add(1)
			fail(w, 410, metav1.StatusReasonExpired, "The provided continue parameter is too old")
			return true
		}
		return false
	}
	a.handle(podsPath, srv.ServeHTTP)
	f := a.hub(calm(Options{PageSize: 10})).Open(podsKey(), Query{})
	s := eventually(t, f, "all", live(1000))
	if expired.Load() != 2 || s.State.Why != "" {
		t.Errorf("%d tokens expired, %+v", expired.Load(), s.State)
	}
	t.Logf("pages of %v", srv.limits)
}

// A server that is so slow that every token expires gives the token that goes on at a newer revision: the list ends, and says that it
// is of more than one moment.
func TestContinueTokenExpiresForEver(t *testing.T) {
	a := newAPI(t)
	srv := &pagedPods{n: 900, refuse: func(w http.ResponseWriter, _ *http.Request) { fail(w, 422, metav1.StatusReasonInvalid, "no") }}
	srv.pod = func(i int) *corev1.Pod { return pod(fmt.Sprint("p", i), "5") }
	fresh := map[int]bool{}
	srv.before = func(w http.ResponseWriter, from, limit int) bool {
		if from == 0 || fresh[from] {
			return false
		}
		fresh[from] = true
		if limit < 160 {
			fresh[from] = false
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(410)
		_ = json.NewEncoder(w).Encode(metav1.Status{
			TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: "Failure", Code: 410, Reason: metav1.StatusReasonExpired,
			ListMeta: metav1.ListMeta{Continue: fmt.Sprint(from)},
		})
		return true
	}
	a.handle(podsPath, srv.ServeHTTP)
	f := a.hub(calm(Options{PageSize: 10})).Open(podsKey(), Query{})
	s := eventually(t, f, "all", live(900))
	if !strings.Contains(s.State.Why, "too slowly") {
		t.Errorf("%+v", s.State)
	}
	if got := fmt.Sprint(srv.limits, srv.froms); got != "[10 10 40 40 160 160 160 160 160 160 160 160 160 160 160] [0 10 0 40 0 160 160 320 320 480 480 640 640 800 800]" {
		t.Errorf("pages of and from %s", got)
	}
}

// A page that fails is asked for again; the ones before it are not.
func TestAPageFails(t *testing.T) {
	a := newAPI(t)
	var failed atomic.Int32
	srv := &pagedPods{n: 30, refuse: func(w http.ResponseWriter, _ *http.Request) { fail(w, 422, metav1.StatusReasonInvalid, "no") }}
	srv.pod = func(i int) *corev1.Pod { return pod(fmt.Sprint("p", i), "5") }
	srv.before = func(w http.ResponseWriter, from, limit int) bool {
		if n := failed.Load(); from == 10 && n < 2 {
			failed.Add(1)
			if n == 0 {
				fail(w, 500, metav1.StatusReasonInternalError, "etcdserver: request timed out")
				return true
			}
			panic(http.ErrAbortHandler)
		}
		return false
	}
	a.handle(podsPath, srv.ServeHTTP)
	f := a.hub(calm(Options{PageSize: 10})).Open(podsKey(), Query{})
	eventually(t, f, "all", live(30))
	if fmt.Sprint(srv.froms) != "[0 10 10 10 20]" {
		t.Errorf("pages from %v", srv.froms)
	}
}

// A slow server, whose heartbeats take longer than they may as well: rows show as they come, counted, and nothing is called stale or
// not answering while they come.
func TestSlowPages(t *testing.T) {
	for _, streamed := range []bool{false, true} {
		t.Run(fmt.Sprintf("streamed=%v", streamed), func(t *testing.T) {
			t.Parallel()
			a := newAPI(t)
			const pages, pause = 8, 200 * time.Millisecond
			slow := func(w http.ResponseWriter, r *http.Request) { // /livez
				select {
				case <-r.Context().Done():
				case <-time.After(3 * time.Second):
				}
			}
			a.handle("/livez", slow)
			a.handle("/livez/ping", slow)
			srv := &pagedPods{n: pages * 5, refuse: func(w http.ResponseWriter, _ *http.Request) { fail(w, 422, metav1.StatusReasonInvalid, "no") }}
			srv.pod = func(i int) *corev1.Pod { return pod(fmt.Sprint("p", i), "5") }
			srv.before = func(http.ResponseWriter, int, int) bool { <-time.After(pause); return false }
			if streamed {
				srv.refuse = func(w http.ResponseWriter, _ *http.Request) {
					w.Header().Set("Content-Type", "application/json")
					for i := range pages * 5 {
						fmt.Fprintln(w, event("ADDED", srv.pod(i)))
						w.(http.Flusher).Flush()
						<-time.After(pause / 5)
					}
					fmt.Fprintln(w, listEnd("77"))
					w.(http.Flusher).Flush()
					<-time.After(pause)
				}
			}
			a.handle(podsPath, srv.ServeHTTP)
			f := a.hub(Options{PageSize: 5, Beat: 100 * time.Millisecond, BeatTimeout: 400 * time.Millisecond}).Open(podsKey(), Query{})
			seen := map[int]bool{}
			eventually(t, f, "all", func(s *Snapshot) bool {
				if s.State.Phase == Connecting {
					if s.State.Why != "" || s.State.Loaded < s.Len()-5 {
						t.Errorf("%d rows, %+v", s.Len(), s.State)
					}
					seen[s.Len()] = true
				}
				return live(pages * 5)(s)
			})
			if len(seen) < pages/2 {
				t.Errorf("only %d pictures while %d pages came", len(seen), pages)
			}
		})
	}
}

// An API server whose own health check hangs is down though an event comes now and then, and up when it answers.
func TestAnEventIsNoHeartbeat(t *testing.T) {
	a, events := newAPI(t), make(chan string)
	servePods(a, 1, events)
	h := a.hub(Options{})
	f := h.Open(podsKey(), Query{})
	eventually(t, f, "live", live(1))
	a.handle("/livez", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	s := eventually(t, f, "stale", phase(Stale))
	since := s.State.Since
	for i := range 50 { // over five heartbeats
		events <- event("ADDED", pod(fmt.Sprint("late", i), fmt.Sprint(10+i)))
		<-time.After(10 * time.Millisecond)
		if st := f.Snapshot().State; st.Phase != Stale || !st.Since.Equal(since) {
			t.Fatalf("event %d: %+v", i, st)
		}
	}
	a.handle("/livez", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "ok") })
	eventually(t, f, "live", live(51))
}

// What is held while 20,000 pods of 5 KB are listed is the rows and about one page.
func TestMemoryOfAPagedList(t *testing.T) {
	if testing.Short() {
		t.Skip("a list of 100 MB")
	}
	a := newAPI(t)
	const n = 20000
	padding := strings.Repeat("x", 4500)
	one := pod("p", "5")
	one.Annotations = map[string]string{"padding": padding}
	size := one.Size() // on the wire
	live := func() int64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	var base, peak int64
	srv := &pagedPods{n: n, refuse: func(w http.ResponseWriter, _ *http.Request) { fail(w, 422, metav1.StatusReasonInvalid, "no") }}
	srv.pod = func(i int) *corev1.Pod {
		p := *one
		p.Name, p.UID = fmt.Sprint("p", i), "" // the ID is then its name
		p.Annotations = map[string]string{"padding": strings.Clone(padding)}
		return &p
	}
	srv.before = func(_ http.ResponseWriter, from, _ int) bool {
		held := live()
		if from == 0 {
			base = held
		}
		peak = max(peak, held-base)
		return false
	}
	a.handle(podsPath, srv.ServeHTTP)
	f := a.hub(calm(Options{MinPublish: time.Hour})).Open(podsKey(), Query{})
	for end := time.Now().Add(time.Minute); f.src.status.State().Phase != Live; <-time.After(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within a minute: %+v", f.src.status.State())
		}
	}
	rows := live() - base
	page := int64(500 * size)
	t.Logf("pods of %d bytes, %d in all, a page %d KB; held while listing: at most %d KB; rows alone: %d KB", size, n, page>>10, peak>>10, rows>>10)
	if peak > rows+3*page {
		t.Errorf("%d KB are held beyond the rows; a page is %d KB on the wire", (peak-rows)>>10, page>>10)
	}
	if peak > int64(n*size/4) {
		t.Errorf("%d KB are held of %d KB", peak>>10, n*size>>10)
	}
}
