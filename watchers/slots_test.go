package watchers

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

// lister serves any number of resources and counts the lists that are under way, streamed ones until the bookmark that ends them. A
// list that the client has given up is counted until the server has noticed, so that its successor may be one too many here.
type lister struct {
	mu           sync.Mutex
	running, max int
	begun        []string // resources, in the order in which their lists began
	ended        map[string]int
	gates        map[string]chan struct{} // a list waits for its gate
}

func newLister() *lister { return &lister{ended: map[string]int{}, gates: map[string]chan struct{}{}} }

func (l *lister) begin(resource string) <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.running++
	l.max = max(l.max, l.running)
	l.begun = append(l.begun, resource)
	if g, ok := l.gates[resource]; ok {
		return g
	}
	open := make(chan struct{})
	close(open)
	return open
}

func (l *lister) end(resource string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.running--
	l.ended[resource]++
}

// count is how many lists of a resource have begun.
func (l *lister) count(resource string) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range l.begun {
		if r == resource {
			n++
		}
	}
	return n
}

// hold makes the lists of a resource wait; the returned function lets them go on.
func (l *lister) hold(t *testing.T, resource string) (release func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	g := make(chan struct{})
	l.gates[resource] = g
	release = sync.OnceFunc(func() { close(g) })
	t.Cleanup(release)
	return release
}

// serve answers for a resource: a typed one by a streamed list, any other by a Table of two pages. Every connection that waits for
// its gate ends when the client goes away.
func (l *lister) serve(a *api, path, resource string, events <-chan string) {
	a.handle(path, func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		stream1 := q.Get("sendInitialEvents") != ""
		if q.Get("watch") != "" && !stream1 {
			stream(w, r, events)
			return
		}
		if stream1 {
			w.Header().Set("Content-Type", "application/json")
			w.(http.Flusher).Flush()
		}
		select {
		case <-l.begin(resource):
		case <-r.Context().Done():
			l.end(resource)
			return
		case <-time.After(time.Minute):
			a.t.Errorf("the list of %s waits for ever", resource)
		}
		l.end(resource)
		switch {
		case stream1:
			fmt.Fprintln(w, event("ADDED", pod("web", "1")))
			fmt.Fprintln(w, listEnd("2"))
			stream(w, r, events)
		case q.Get("continue") == "":
			reply(w, vmTable("5", "more", "a"))
		default:
			reply(w, vmTable("5", "", "b"))
		}
	})
}

func crdKey(name string) Key {
	return Key{GVR: schema.GroupVersionResource{Group: "example.io", Version: "v1", Resource: name}}
}

// Twelve kinds are opened at once, and read again at once when all their watches have expired: never more than three lists run.
func TestThreeListsAtOnce(t *testing.T) {
	a, l := newAPI(t), newLister()
	var events []chan string
	watch := func() chan string { events = append(events, make(chan string, 1)); return events[len(events)-1] }
	l.serve(a, podsPath, "pods", watch())
	keys := []Key{podsKey()}
	for i := range 11 {
		name := fmt.Sprint("things", i)
		l.serve(a, "/apis/example.io/v1/"+name, name, watch())
		keys = append(keys, crdKey(name))
	}
	hold := func() (release func()) {
		var all []func()
		for _, k := range keys {
			all = append(all, l.hold(t, k.GVR.Resource))
		}
		return func() {
			for _, f := range all {
				f()
			}
		}
	}
	h := a.hub(Options{})
	full := func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		h.slots.mu.Lock()
		defer h.slots.mu.Unlock()
		return l.running == 3 && len(h.slots.waiting) == len(keys)-3
	}
	report := func() string {
		l.mu.Lock()
		defer l.mu.Unlock()
		return fmt.Sprintf("%d lists run and the others wait", l.running)
	}
	release := hold()
	var feeds []*Feed
	for _, k := range keys {
		feeds = append(feeds, h.Open(k, Query{}))
	}
	within(t, report, full)
	release()
	for _, f := range feeds {
		eventually(t, f, "live", phase(Live))
	}

	release = hold()
	for _, ch := range events { // every watch ends
		ch <- expired()
	}
	within(t, report, full)
	eventually(t, feeds[11], "says that it waits", func(s *Snapshot) bool { return s.State.Phase == Stale && s.Len() == 2 })
	release()
	for _, f := range feeds {
		eventually(t, f, "live again", phase(Live))
	}
	within(t, func() string { return "all lists are whole" }, func() bool { l.mu.Lock(); defer l.mu.Unlock(); return l.running == 0 && len(l.begun) == 2+2*22 })
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.max > 3 {
		t.Errorf("%d lists ran at once", l.max)
	}
	t.Logf("%d requests of lists, at most %d at once", len(l.begun), l.max)
}

// A pane that is opened while three lists run waits, says so, and is served before those that waited longer.
func TestTheNewestPaneIsServedFirst(t *testing.T) {
	a, l := newAPI(t), newLister()
	h := a.hub(Options{})
	release := map[string]func(){}
	open := func(name string) *Feed {
		release[name] = l.hold(t, name)
		l.serve(a, "/apis/example.io/v1/"+name, name, nil)
		return h.Open(crdKey(name), Query{})
	}
	var held []*Feed
	for i := range maxLists {
		held = append(held, open(fmt.Sprint("held", i)))
	}
	within(t, func() string { return "three lists run" }, func() bool { l.mu.Lock(); defer l.mu.Unlock(); return l.running == maxLists })
	waits := func(s *Snapshot) bool { return s.State.Phase == Connecting && s.State.Why == waitingWhy }
	older := open("older")
	eventually(t, older, "waits", waits)
	<-time.After(2 * together) // the hand is slower than what counts as together
	newer := open("newer")
	eventually(t, newer, "waits", waits)
	release["newer"]()
	release["held0"]()
	eventually(t, newer, "live", live(2))
	release["older"]()
	eventually(t, older, "live", live(2))
	release["held1"]()
	release["held2"]()
	for _, f := range held {
		eventually(t, f, "live", live(2))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if order := strings.Join(l.begun[maxLists:], " "); strings.Index(order, "newer") > strings.Index(order, "older") {
		t.Errorf("served in the order %s", order)
	}
	if l.max > maxLists {
		t.Errorf("%d lists ran at once", l.max)
	}
}

// Lists of panes that were left give way to one that is looked at.
func TestWhatNobodyLooksAtGivesWay(t *testing.T) {
	for _, typed := range []bool{true, false} {
		t.Run(fmt.Sprintf("streamed=%v", typed), func(t *testing.T) {
			a, l := newAPI(t), newLister()
			h := a.hub(Options{})
			keys := []Key{crdKey("a"), crdKey("b"), crdKey("c")}
			paths := []string{"/apis/example.io/v1/a", "/apis/example.io/v1/b", "/apis/example.io/v1/c"}
			if typed {
				keys = []Key{{GVR: Pods()}, {GVR: Services()}, {GVR: Nodes()}}
				paths = []string{podsPath, "/api/v1/services", "/api/v1/nodes"}
			}
			var left []*Feed
			var release []func()
			for i, k := range keys {
				release = append(release, l.hold(t, k.GVR.Resource))
				l.serve(a, paths[i], k.GVR.Resource, nil)
				left = append(left, h.Open(k, Query{}))
			}
			within(t, func() string { return "three lists run" }, func() bool { l.mu.Lock(); defer l.mu.Unlock(); return l.running == maxLists })
			for _, f := range left {
				f.Close()
			}
			l.serve(a, "/apis/example.io/v1/wanted", "wanted", nil)
			eventually(t, h.Open(crdKey("wanted"), Query{}), "live while the others hang", live(2))
			for i, k := range keys {
				release[i]()
				want := live(2)
				if typed {
					want = phase(Live)
				}
				eventually(t, h.Open(k, Query{}), "looked at again", want)
			}
		})
	}
}

// Lists of which nothing comes do not hold their places for ever, whether they are streamed or not.
func TestHungListsLeaveTheirPlaces(t *testing.T) {
	a, l := newAPI(t), newLister()
	h := a.hub(Options{Stall: 100 * time.Millisecond})
	for _, name := range []string{"a", "b"} {
		l.hold(t, name)
		l.serve(a, "/apis/example.io/v1/"+name, name, nil)
	}
	releasePods := l.hold(t, "pods")
	l.serve(a, podsPath, "pods", nil)
	hung := h.Open(crdKey("a"), Query{})
	h.Open(crdKey("b"), Query{})
	h.Open(podsKey(), Query{})
	within(t, func() string { return "three lists run" }, func() bool { l.mu.Lock(); defer l.mu.Unlock(); return l.running == maxLists })
	l.serve(a, "/apis/example.io/v1/good", "good", nil)
	eventually(t, h.Open(crdKey("good"), Query{}), "live", live(2))
	s := eventually(t, hung, "says why", func(s *Snapshot) bool { return strings.Contains(s.State.Why, errStalled.Error()) })
	if s.State.Phase != Connecting {
		t.Errorf("%+v", s.State)
	}
	within(t, func() string { return "the hung ones try again" }, func() bool { return l.count("a") >= 3 && l.count("b") >= 3 && l.count("pods") >= 1 })
	releasePods()
}

// A hub that closes while lists run and others wait ends at once, and so does a source in the queue.
func TestCloseWhileListsWait(t *testing.T) {
	a, l := newAPI(t), newLister()
	h := a.hub(Options{Grace: 10 * time.Millisecond})
	var feeds []*Feed
	for i := range 9 {
		name := fmt.Sprint("n", i)
		l.hold(t, name)
		l.serve(a, "/apis/example.io/v1/"+name, name, nil)
		feeds = append(feeds, h.Open(crdKey(name), Query{}))
	}
	eventually(t, feeds[8], "connecting", phase(Connecting))
	within(t, func() string { return "six wait" }, func() bool {
		h.slots.mu.Lock()
		defer h.slots.mu.Unlock()
		return len(h.slots.waiting) == 6
	})
	for _, f := range feeds[:5] {
		f.Close()
	}
	within(t, func() string { return "those that were closed have left the queue" }, func() bool {
		h.slots.mu.Lock()
		defer h.slots.mu.Unlock()
		return len(h.list()) == 4 && len(h.slots.running) == maxLists && len(h.slots.waiting) == 1
	})
	done := make(chan struct{})
	go func() { h.Close(); close(done) }()
	select {
	case <-done:
	case <-time.After(5 * time.Second):
		t.Fatal("Close hangs")
	}
	if len(h.slots.running)+len(h.slots.waiting) != 0 {
		t.Errorf("%d places are still taken, %d wait", len(h.slots.running), len(h.slots.waiting))
	}
}

func TestNeed(t *testing.T) {
	mk := func(opened int64, synced bool) *ticket {
		s := &source{}
		s.opened.Store(opened)
		return &ticket{part: &part{src: s, status: &status{synced: synced}}}
	}
	left, leftOld := mk(0, false), mk(0, true)
	old, blank, newest := mk(9, true), mk(1, false), mk(5, false)
	for _, c := range []struct{ more, less *ticket }{{blank, left}, {old, left}, {left, leftOld}, {blank, old}, {newest, blank}, {newest, old}} {
		if compareNeed(c.more, c.less) <= 0 || compareNeed(c.less, c.more) >= 0 {
			t.Errorf("%+v is not needed more than %+v", c.more.part.src.opened.Load(), c.less.part.src.opened.Load())
		}
	}
}
