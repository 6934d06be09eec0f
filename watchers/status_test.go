package watchers

import (
	"net/http"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// A list is answered and the watch after it is not, as by a proxy that keeps an answer back until it is whole: nothing that changes
// will be seen, so that the rows are not live.
func TestListedButNoWatchOpens(t *testing.T) {
	for _, key := range []Key{podsKey(), vmKey()} {
		t.Run(key.GVR.Resource, func(t *testing.T) {
			a, release := newAPI(t), make(chan struct{})
			begun := time.Now()
			watch := func(w http.ResponseWriter, r *http.Request) {
				waitFor(r, release)
				stream(w, r, nil)
			}
			a.handle(vmPath, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Query().Get("watch") != "" {
					watch(w, r)
					return
				}
				reply(w, vmTable("5", "", "a"))
			})
			pods := &pagedPods{n: 1, pod: func(int) *corev1.Pod { return pod("a", "5") }}
			a.handle("/api/v1/pods", func(w http.ResponseWriter, r *http.Request) {
				switch q := r.URL.Query(); {
				case q.Get("sendInitialEvents") != "":
					fail(w, 422, "Invalid", "lists are not streamed")
				case q.Get("watch") != "":
					watch(w, r)
				default:
					pods.ServeHTTP(w, r)
				}
			})
			f := a.hub(calm(Options{})).Open(key, Query{})
			s := eventually(t, f, "one row that is not live", func(s *Snapshot) bool { return s.Len() == 1 && s.State.Phase == Stale })
			if s.State.Since.Before(begun) || time.Since(s.State.Since) < reopenGrace || s.State.Why == "" {
				t.Errorf("%+v", s.State)
			}
			close(release)
			eventually(t, f, "live", live(1))
		})
	}
}
