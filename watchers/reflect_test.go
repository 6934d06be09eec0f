package watchers

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const podsPath = "/api/v1/pods"

func podsKey() Key { return Key{GVR: Pods()} }

// servePods streams n pods as an initial list, and then what comes through events. A watch that resumes gets only the events.
func servePods(a *api, n int, events <-chan string) {
	a.handle(podsPath, func(w http.ResponseWriter, r *http.Request) {
		first := make(chan string, n+1)
		if r.URL.Query().Get("sendInitialEvents") == "true" {
			for i := range n {
				first <- event("ADDED", pod(fmt.Sprintf("web-%d", i), fmt.Sprint(i+1)))
			}
			first <- listEnd(fmt.Sprint(n))
		}
		close(first)
		stream(w, r, first)
		stream(w, r, events)
	})
}

func TestWatchListThenEvents(t *testing.T) {
	a, events := newAPI(t), make(chan string, 9)
	servePods(a, 3, events)
	f := a.hub(Options{}).Open(podsKey(), Query{})
	s := eventually(t, f, "three pods", live(3))
	if got := s.Row(1).GetName(); got != "web-1" {
		t.Errorf("default order is by name, second row is %q", got)
	}
	if i, ok := s.Find("uid-web-2"); !ok || i != 2 {
		t.Errorf("Find(uid-web-2) = %d, %v", i, ok)
	}
	p := pod("web-1", "11")
	p.Status.Phase = corev1.PodRunning
	events <- event("MODIFIED", p)
	events <- event("DELETED", pod("web-0", "12"))
	events <- event("ADDED", pod("web-9", "13"))
	s = eventually(t, f, "web-1 running, web-0 gone, web-9 there", func(s *Snapshot) bool {
		i, ok := s.Find("uid-web-1")
		_, gone := s.Find("uid-web-0")
		_, come := s.Find("uid-web-9")
		return ok && s.Row(i).(*PodRow).Status == "Running" && !gone && come
	})
	if s.Total != 3 || s.Gen < 2 {
		t.Errorf("total %d, generation %d", s.Total, s.Gen)
	}
	if reqs := a.requests(podsPath); len(reqs) != 1 || !strings.Contains(reqs[0].Header.Get("Accept"), "protobuf") {
		t.Errorf("want one request that prefers protobuf, got %d: %v", len(reqs), reqs[0].Header)
	}
}

func TestRowsShowWhileTheyLoad(t *testing.T) {
	a, gate := newAPI(t), make(chan string, 2)
	a.handle(podsPath, func(w http.ResponseWriter, r *http.Request) { stream(w, r, gate) })
	f := a.hub(Options{}).Open(podsKey(), Query{})
	gate <- event("ADDED", pod("early", "1"))
	s := eventually(t, f, "a preview", func(s *Snapshot) bool { return s.Len() == 1 })
	if s.State.Phase != Connecting {
		t.Errorf("phase %v before the list is whole", s.State.Phase)
	}
	eventually(t, f, "loaded 1", func(s *Snapshot) bool { return s.State.Loaded == 1 })
	gate <- listEnd("1")
	eventually(t, f, "live", live(1))
}

func TestDenied(t *testing.T) {
	a := newAPI(t)
	a.handle(podsPath, func(w http.ResponseWriter, _ *http.Request) {
		fail(w, 403, metav1.StatusReasonForbidden, `pods is forbidden: User "eve" cannot list resource "pods"`)
	})
	f := a.hub(Options{}).Open(podsKey(), Query{})
	s := eventually(t, f, "denied", phase(Denied))
	if s.State.Verb != "list" || s.State.Resource != "pods" || !strings.Contains(s.State.Why, "eve") {
		t.Errorf("state %+v", s.State)
	}
}

func TestUnauthorizedIsNotDenied(t *testing.T) {
	a := newAPI(t)
	servePods(a, 1, nil)
	h := a.hub(Options{})
	f := h.Open(podsKey(), Query{})
	eventually(t, f, "live", live(1))
	a.handle(podsPath, func(w http.ResponseWriter, _ *http.Request) {
		fail(w, 401, metav1.StatusReasonUnauthorized, "Unauthorized")
	})
	a.srv.CloseClientConnections()
	s := eventually(t, f, "stale", func(s *Snapshot) bool {
		return s.State.Phase == Stale && strings.Contains(s.State.Why, "401")
	})
	if s.Len() != 1 {
		t.Errorf("%d rows are left", s.Len())
	}
}

func TestUnsupported(t *testing.T) {
	a := newAPI(t)
	f := a.hub(Options{}).Open(Key{GVR: CronJobs()}, Query{})
	s := eventually(t, f, "unsupported", phase(Unsupported))
	if s.State.Resource != "cronjobs.batch" {
		t.Errorf("state %+v", s.State)
	}
}

func TestPagedListWhereListsAreNotStreamed(t *testing.T) {
	a := newAPI(t)
	var lists atomic.Int32
	a.handle(podsPath, func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		switch {
		case q.Get("sendInitialEvents") != "":
			fail(w, 422, metav1.StatusReasonInvalid, "sendInitialEvents is forbidden")
		case q.Get("watch") != "":
			if q.Get("resourceVersion") != "77" {
				t.Errorf("the watch begins at %q", q.Get("resourceVersion"))
			}
			stream(w, r, nil)
		default:
			n := lists.Add(1)
			if q.Get("limit") != "2" || q.Get("resourceVersion") != "" {
				t.Errorf("list with %v", q)
			}
			l := &corev1.PodList{ListMeta: metav1.ListMeta{ResourceVersion: "77"}}
			l.Kind, l.APIVersion = "PodList", "v1"
			for i := range 2 {
				l.Items = append(l.Items, *pod(fmt.Sprintf("web-%d-%d", n, i), "5"))
			}
			if n < 3 {
				l.Continue = fmt.Sprint("page ", n)
			}
			reply(w, l)
		}
	})
	f := a.hub(Options{PageSize: 2}).Open(podsKey(), Query{})
	eventually(t, f, "six pods", live(6))
	if n := lists.Load(); n != 3 {
		t.Errorf("%d pages", n)
	}
}

func TestListedButNotWatched(t *testing.T) {
	a := newAPI(t)
	var lists atomic.Int32
	a.handle(podsPath, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("watch") != "" {
			fail(w, 403, metav1.StatusReasonForbidden, `cannot watch`)
			return
		}
		lists.Add(1)
		l := &corev1.PodList{ListMeta: metav1.ListMeta{ResourceVersion: "7"}, Items: []corev1.Pod{*pod("a", "1")}}
		l.Kind, l.APIVersion = "PodList", "v1"
		reply(w, l)
	})
	f := a.hub(Options{Poll: 20 * time.Millisecond}).Open(podsKey(), Query{})
	s := eventually(t, f, "live by polling", func(s *Snapshot) bool { return live(1)(s) && s.State.Why != "" })
	if !strings.Contains(s.State.Why, "listed every 20ms") {
		t.Errorf("why %q", s.State.Why)
	}
	within(t, func() string { return "three lists" }, func() bool { return lists.Load() >= 3 })
}

func TestExpiredWatchReadsAgain(t *testing.T) {
	a, events := newAPI(t), make(chan string, 1)
	servePods(a, 2, events)
	f := a.hub(Options{}).Open(podsKey(), Query{})
	eventually(t, f, "live", live(2))
	servePods(a, 5, nil)
	events <- event("ERROR", metav1.Status{
		TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Code: 410, Reason: metav1.StatusReasonExpired, Message: "too old",
	})
	eventually(t, f, "five pods", live(5))
}

func TestTornStreamResumesWhereItWas(t *testing.T) {
	a, events := newAPI(t), make(chan string, 1)
	servePods(a, 2, events)
	f := a.hub(Options{}).Open(podsKey(), Query{})
	events <- event("ADDED", pod("before", "8"))
	eventually(t, f, "live", live(3)) // a watch that brought nothing and lasted less than a second is not resumed
	servePods(a, 99, events)
	a.srv.CloseClientConnections()
	events <- event("ADDED", pod("after", "9"))
	eventually(t, f, "the pod that came after", live(4))
	last := a.requests(podsPath)[1].URL.Query()
	if last.Get("resourceVersion") != "8" || last.Get("sendInitialEvents") != "" {
		t.Errorf("the second watch asks for %v", last)
	}
}

func TestHangMakesStaleAndLiveAgain(t *testing.T) {
	a, events := newAPI(t), make(chan string, 1)
	servePods(a, 2, events)
	h := a.hub(Options{})
	f := h.Open(podsKey(), Query{})
	eventually(t, f, "live", live(2))
	within(t, func() string { return "a first heartbeat" }, func() bool { return !h.Health().LastOK.IsZero() })

	before := time.Now()
	a.stop()
	s := eventually(t, f, "stale", phase(Stale))
	if took := time.Since(before); took > time.Second {
		t.Errorf("it took %v with heartbeats of 50 ms", took)
	}
	if s.Len() != 2 || !strings.Contains(s.State.Why, "does not answer") {
		t.Errorf("%d rows, %+v", s.Len(), s.State)
	}
	if s.State.Since.After(before.Add(20*time.Millisecond)) || before.Sub(s.State.Since) > time.Second {
		t.Errorf("stale since %v, stopped at %v", s.State.Since, before)
	}
	if !h.Health().Down {
		t.Error("the heartbeat does not say down")
	}
	a.cont()
	eventually(t, f, "live again", live(2))
	events <- event("ADDED", pod("later", "9"))
	eventually(t, f, "the watch goes on", live(3))
	if h.Health().RTT <= 0 {
		t.Error("no round trip time")
	}
}

func TestASickEtcdIsNotAHang(t *testing.T) {
	a := newAPI(t)
	servePods(a, 1, nil)
	h := a.hub(Options{})
	f := h.Open(podsKey(), Query{})
	eventually(t, f, "live", live(1))
	a.handle("/livez", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(500)
		fmt.Fprint(w, "[+]ping ok\n[-]etcd failed: reason withheld")
	})
	s := eventually(t, f, "stale", phase(Stale))
	if !strings.Contains(s.State.Why, "etcd") {
		t.Errorf("why %q", s.State.Why)
	}
}

func TestNoServer(t *testing.T) {
	a := newAPI(t)
	servePods(a, 1, nil)
	h := a.hub(Options{})
	f := h.Open(podsKey(), Query{})
	eventually(t, f, "live", live(1))
	a.srv.Listener.Close()
	a.srv.CloseClientConnections()
	s := eventually(t, f, "stale", phase(Stale))
	if s.Len() != 1 || !strings.Contains(s.State.Why, "refused") {
		t.Errorf("%d rows, %+v", s.Len(), s.State)
	}
}

func TestSourcesAreSharedAndEndAfterGrace(t *testing.T) {
	a := newAPI(t)
	servePods(a, 1, nil)
	h := a.hub(Options{Grace: 30 * time.Millisecond})
	f, g := h.Open(podsKey(), Query{}), h.Open(podsKey(), Query{})
	eventually(t, f, "live", live(1))
	eventually(t, g, "live", live(1))
	if n := len(a.requests(podsPath)); n != 1 {
		t.Errorf("two feeds made %d watches", n)
	}
	if _, ok := h.Row(podsKey(), "uid-web-0"); !ok {
		t.Error("Row does not find web-0")
	}
	f.Close()
	f.Close()
	g.Close()
	within(t, func() string { return "the source has ended" }, func() bool { return len(h.list()) == 0 })
	if f.Snapshot().Len() != 1 {
		t.Error("a closed feed has lost its last snapshot")
	}
}

func TestHubWithoutServer(t *testing.T) {
	a := newAPI(t)
	h := a.hub(Options{})
	h.Close()
	h.Close()
	if s := h.Open(podsKey(), Query{}).Snapshot(); s.State.Phase != Connecting {
		t.Errorf("a closed hub's feed: %+v", s.State)
	}
}
