package watchers

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// rbac is a server of pods and of virtual machines that grants by namespace; "" is all of them together.
type rbac struct {
	a *api

	mu     sync.Mutex
	may    map[string]bool
	pods   map[string][]string    // by namespace
	events map[string]chan string // by namespace
	asked  map[string]int         // requests by namespace
	lists  int                    // that run
	most   int
}

func newRBAC(t *testing.T, namespaces ...string) *rbac {
	r := &rbac{a: newAPI(t), may: map[string]bool{}, pods: map[string][]string{}, events: map[string]chan string{"": make(chan string, 9)}, asked: map[string]int{}}
	r.a.handle("/api/v1/pods", r.serve(""))
	r.a.handle("/apis/kubevirt.example.io/v1/virtualmachines", r.serveTable(""))
	r.a.handle("/api/v1/namespaces", func(w http.ResponseWriter, _ *http.Request) {
		fail(w, 403, metav1.StatusReasonForbidden, "namespaces is forbidden")
	})
	for _, ns := range namespaces {
		r.events[ns] = make(chan string, 9)
		r.a.handle("/api/v1/namespaces/"+ns+"/pods", r.serve(ns))
		r.a.handle("/apis/kubevirt.example.io/v1/namespaces/"+ns+"/virtualmachines", r.serveTable(ns))
	}
	return r
}

func (r *rbac) grant(ns string, may bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.may[ns] = may
}

func (r *rbac) allowed(w http.ResponseWriter, ns string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked[ns]++
	if !r.may[ns] {
		fail(w, 403, metav1.StatusReasonForbidden, fmt.Sprintf("eve cannot list this in %q", ns))
		return false
	}
	return true
}

func podIn(ns, name, rv string) *corev1.Pod {
	p := pod(name, rv)
	p.Namespace, p.UID = ns, types.UID("uid-"+ns+"-"+name)
	return p
}

// of is the names of the pods that are seen in a namespace.
func (r *rbac) of(ns string) (out [][2]string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for in, names := range r.pods {
		for _, n := range names {
			if ns == "" || ns == in {
				out = append(out, [2]string{in, n})
			}
		}
	}
	return out
}

func (r *rbac) serve(ns string) http.HandlerFunc {
	return func(w http.ResponseWriter, req *http.Request) {
		if !r.allowed(w, ns) {
			return
		}
		if req.URL.Query().Get("watch") == "" { // the stream was denied a moment ago: the reflector lists instead
			list := corev1.PodList{TypeMeta: metav1.TypeMeta{Kind: "PodList", APIVersion: "v1"}, ListMeta: metav1.ListMeta{ResourceVersion: "5"}}
			for _, p := range r.of(ns) {
				list.Items = append(list.Items, *podIn(p[0], p[1], "5"))
			}
			reply(w, list)
			return
		}
		if req.URL.Query().Get("sendInitialEvents") != "" {
			w.Header().Set("Content-Type", "application/json")
			r.mu.Lock()
			r.lists++
			r.most = max(r.most, r.lists)
			r.mu.Unlock()
			<-time.After(5 * time.Millisecond)
			for _, p := range r.of(ns) {
				fmt.Fprintln(w, event("ADDED", podIn(p[0], p[1], "5")))
			}
			r.mu.Lock()
			r.lists--
			r.mu.Unlock()
			fmt.Fprintln(w, listEnd("5"))
		}
		stream(w, req, r.events[ns])
	}
}

func (r *rbac) serveTable(ns string) http.HandlerFunc {
	return func(w http.ResponseWriter, req *http.Request) {
		if !r.allowed(w, ns) {
			return
		}
		if req.URL.Query().Get("watch") != "" {
			stream(w, req, r.events[ns])
			return
		}
		t := vmTable("5", "")
		for _, p := range r.of(ns) {
			row := vmTable("5", "", p[1])["rows"].([]any)[0].(map[string]any)
			meta := row["object"].(map[string]any)["metadata"].(map[string]any)
			meta["namespace"], meta["uid"] = p[0], "uid-"+p[0]+"-"+p[1]
			t["rows"] = append(t["rows"].([]any), row)
		}
		reply(w, t)
	}
}

func expired() string {
	return event("ERROR", metav1.Status{
		TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Code: 410, Reason: metav1.StatusReasonExpired, Status: "Failure", Message: "too old",
	})
}

func allKeys() map[string]Key {
	vm := vmKey()
	vm.Namespace = ""
	return map[string]Key{"pods": podsKey(), "table": vm}
}

func where(s *Snapshot) string {
	var out []string
	for _, r := range s.All() {
		out = append(out, r.GetNamespace()+"/"+r.GetName())
	}
	return strings.Join(out, " ")
}

// All namespaces are denied, two of four may be read: the rows are those of both, followed by watches of their own, the state is live
// with a note, and when all are allowed the rows of all come.
func TestNamespacesStandInForAll(t *testing.T) {
	for name, key := range allKeys() {
		t.Run(name, func(t *testing.T) {
			r := newRBAC(t, "shop", "data", "other", "secret")
			r.pods = map[string][]string{"shop": {"a", "b"}, "data": {"a"}, "other": {"x"}}
			r.grant("shop", true)
			r.grant("data", true)
			h := r.a.hub(calm(Options{FallbackNamespaces: []string{"shop", "", "data", "shop", "secret"}, DeniedRetry: 100 * time.Millisecond}))
			f := h.Open(key, Query{})
			s := eventually(t, f, "three pods", live(3))
			if where(s) != "data/a shop/a shop/b" {
				t.Errorf("rows %s", where(s))
			}
			s = eventually(t, f, "a note", func(s *Snapshot) bool {
				return s.State.Why == "only shop, data: may not list "+key.GVR.Resource+" in all namespaces"
			})
			if s.State.Phase != Live || !s.State.Partial {
				t.Errorf("%+v", s.State)
			}
			add := func(ns, name string) {
				if key == podsKey() {
					r.events[ns] <- event("ADDED", podIn(ns, name, "9"))
					return
				}
				tab := vmTable("9", "", name)
				meta := tab["rows"].([]any)[0].(map[string]any)["object"].(map[string]any)["metadata"].(map[string]any)
				meta["namespace"], meta["uid"] = ns, "uid-"+ns+"-"+name
				r.events[ns] <- event("ADDED", tab)
			}
			add("data", "b")
			eventually(t, f, "an event of one namespace", func(s *Snapshot) bool { return where(s) == "data/a data/b shop/a shop/b" })

			r.mu.Lock()
			r.pods["shop"] = []string{"c"} // one namespace is read again: only its rows change
			r.mu.Unlock()
			r.events["shop"] <- expired()
			eventually(t, f, "shop read again", func(s *Snapshot) bool { return where(s) == "data/a data/b shop/c" })

			r.grant("secret", true) // a namespace more
			r.mu.Lock()
			r.pods["secret"], r.pods["data"] = []string{"s"}, []string{"a", "b"}
			r.mu.Unlock()
			eventually(t, f, "secret too", func(s *Snapshot) bool {
				return where(s) == "data/a data/b secret/s shop/c" && strings.HasPrefix(s.State.Why, "only shop, data, secret:")
			})

			r.grant("shop", false) // one less, noticed when its watch ends
			r.events["shop"] <- expired()
			eventually(t, f, "without shop", func(s *Snapshot) bool {
				return where(s) == "data/a data/b secret/s" && strings.HasPrefix(s.State.Why, "only data, secret:") && s.State.Phase == Live
			})

			r.grant("", true)
			eventually(t, f, "all", func(s *Snapshot) bool {
				return where(s) == "data/a data/b other/x secret/s shop/c" && s.State.Phase == Live && s.State.Why == "" && !s.State.Partial
			})
			// Told until it is seen: on a busy machine a watch may be given up with the event in its hands, and this server, unlike a
			// real one, does not tell the next watch what the last one missed.
			told := time.Time{}
			within(t, func() string { return "the watch of all goes on: " + where(f.Snapshot()) }, func() bool {
				if time.Since(told) > time.Second && len(r.events[""]) == 0 {
					add("", "late")
					told = time.Now()
				}
				return f.Snapshot().Len() == 6
			})
			r.mu.Lock()
			before := r.asked["data"]
			r.mu.Unlock()
			for _, ns := range []string{"data", "secret"} { // their watches have ended
				select {
				case r.events[ns] <- event("ADDED", podIn(ns, "ghost", "99")):
				default:
				}
			}
			within(t, func() string { return "the part of shop has ended" }, func() bool {
				f.src.mu.Lock()
				defer f.src.mu.Unlock()
				return f.src.union == nil
			})
			r.grant("", false) // and back: what was seen of other namespaces goes
			r.grant("shop", true)
			r.events[""] <- expired()
			eventually(t, f, "only some again", func(s *Snapshot) bool {
				return strings.HasPrefix(s.State.Why, "only shop, data, secret:") && !strings.Contains(where(s), "other/") && s.State.Phase == Live
			})
			r.mu.Lock()
			defer r.mu.Unlock()
			if r.asked["data"] == before {
				t.Error("data was not read again")
			}
		})
	}
}

// Nothing may be read: denied, as it always was, and tried again.
func TestNoNamespaceMayBeRead(t *testing.T) {
	for name, key := range allKeys() {
		t.Run(name, func(t *testing.T) {
			r := newRBAC(t, "shop")
			h := r.a.hub(calm(Options{FallbackNamespaces: []string{"shop"}, DeniedRetry: 50 * time.Millisecond}))
			f := h.Open(key, Query{})
			s := eventually(t, f, "denied", phase(Denied))
			if s.State.Verb != "list" || !strings.Contains(s.State.Why, `in ""`) {
				t.Errorf("%+v", s.State)
			}
			r.pods["shop"] = []string{"a"}
			r.grant("shop", true)
			eventually(t, f, "live", live(1))
		})
	}
}

// Where namespaces may be listed they are tried, at most twenty, those that are named before the others, three lists at a time; the
// note says how many there are.
func TestManyNamespaces(t *testing.T) {
	var names []string
	for i := range 30 {
		names = append(names, fmt.Sprintf("ns%02d", i))
	}
	r := newRBAC(t, names...)
	for _, ns := range names {
		r.pods[ns] = []string{"p"}
		r.grant(ns, true)
	}
	var asked sync.Map
	r.a.handle("/api/v1/namespaces", func(w http.ResponseWriter, req *http.Request) {
		asked.Store(req.URL.RawQuery, true)
		left := int64(8)
		l := &corev1.NamespaceList{ListMeta: metav1.ListMeta{RemainingItemCount: &left, Continue: "more"}}
		l.Kind, l.APIVersion = "NamespaceList", "v1"
		for _, ns := range names[:22] {
			l.Items = append(l.Items, corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ns}})
		}
		reply(w, l)
	})
	h := r.a.hub(calm(Options{FallbackNamespaces: []string{"ns29", "ns28"}}))
	s := eventually(t, h.Open(podsKey(), Query{}), "twenty", live(maxParts))
	if s.State.Why != "only ns29, ns28, ns00 and 17 more (20 of 30 namespaces tried): may not list pods in all namespaces" {
		t.Errorf("%q", s.State.Why)
	}
	if got := where(s); !strings.Contains(got, "ns29/p") || !strings.Contains(got, "ns17/p") || strings.Contains(got, "ns18/p") {
		t.Errorf("rows %s", got)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.most > 3 {
		t.Errorf("%d lists ran at once", r.most)
	}
	t.Logf("%d lists of namespaces at once", r.most)
}

// Kinds that have no namespaces stay denied, and no namespace is asked for them.
func TestNoFallbackWithoutNamespaces(t *testing.T) {
	r := newRBAC(t, "shop")
	r.a.handle("/api/v1/nodes", func(w http.ResponseWriter, _ *http.Request) { fail(w, 403, metav1.StatusReasonForbidden, "no nodes") })
	h := r.a.hub(calm(Options{FallbackNamespaces: []string{"shop"}}))
	eventually(t, h.Open(Key{GVR: Nodes()}, Query{}), "denied", phase(Denied))
	// A kind of which we do not know it: its path in a namespace is not there.
	r.a.handle("/apis/example.io/v1/clusterthings", func(w http.ResponseWriter, _ *http.Request) { fail(w, 403, metav1.StatusReasonForbidden, "no") })
	s := eventually(t, h.Open(crdKey("clusterthings"), Query{}), "denied", phase(Denied))
	if s.State.Resource != "clusterthings.example.io" {
		t.Errorf("%+v", s.State)
	}
	// One namespace that is denied stays so.
	eventually(t, h.Open(Key{GVR: Pods(), Namespace: "shop"}, Query{}), "denied", phase(Denied))
}

// One namespace of several that breaks makes the whole stale, as old as that one.
func TestUnionIsAsGoodAsItsWorstPart(t *testing.T) {
	r := newRBAC(t, "shop", "data")
	r.pods = map[string][]string{"shop": {"a"}, "data": {"b"}}
	r.grant("shop", true)
	r.grant("data", true)
	f := r.a.hub(calm(Options{FallbackNamespaces: []string{"shop", "data"}})).Open(podsKey(), Query{})
	eventually(t, f, "live", live(2))
	r.a.handle("/api/v1/namespaces/data/pods", func(w http.ResponseWriter, _ *http.Request) {
		fail(w, 500, metav1.StatusReasonInternalError, "etcd is ill")
	})
	r.events["data"] <- expired()
	s := eventually(t, f, "stale", phase(Stale))
	if s.Len() != 2 || !strings.Contains(s.State.Why, "etcd is ill") {
		t.Errorf("%d rows, %+v", s.Len(), s.State)
	}
	r.a.handle("/api/v1/namespaces/data/pods", r.serve("data"))
	eventually(t, f, "live again", live(2))
	r.a.stop()
	eventually(t, f, "a hang is seen through the parts too", phase(Stale))
	r.a.cont()
	eventually(t, f, "live again", live(2))
}

// All could be read, and now only one namespace may: the rows of one that is tried and denied do not stay among those that are live.
func TestNamespacesDeniedLaterLoseTheirRows(t *testing.T) {
	for name, key := range allKeys() {
		t.Run(name, func(t *testing.T) {
			r := newRBAC(t, "shop", "data")
			r.pods = map[string][]string{"shop": {"a", "b"}, "data": {"x"}, "other": {"y"}}
			r.grant("", true)
			h := r.a.hub(calm(Options{FallbackNamespaces: []string{"shop", "data"}, DeniedRetry: 50 * time.Millisecond}))
			f := h.Open(key, Query{})
			eventually(t, f, "all of them", func(s *Snapshot) bool { return where(s) == "data/x other/y shop/a shop/b" })
			r.grant("", false)
			r.grant("shop", true)
			r.events[""] <- expired()
			s := eventually(t, f, "only what may be read", func(s *Snapshot) bool {
				return s.State.Phase == Live && s.State.Partial && where(s) == "shop/a shop/b"
			})
			if !strings.HasPrefix(s.State.Why, "only shop:") {
				t.Errorf("%+v", s.State)
			}
		})
	}
}
