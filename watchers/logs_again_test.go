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

// logServer serves the log of the container app: each stream is what serve writes, and ends when it returns. The first stream is number 1.
func logServer(t *testing.T, state corev1.ContainerState, serve func(a *api, stream int32, w http.ResponseWriter, r *http.Request)) (*api, *atomic.Int32) {
	a, opens := newAPI(t), &atomic.Int32{}
	logPod(a, state)
	a.handle(podPath+"/log", func(w http.ResponseWriter, r *http.Request) {
		n := opens.Add(1)
		w.WriteHeader(http.StatusOK)
		serve(a, n, w, r)
	})
	return a, opens
}

func waitFor(r *http.Request, release <-chan struct{}) {
	select {
	case <-release:
	case <-r.Context().Done():
	}
}

func texts(lines []LogLine) string {
	var out []string
	for _, l := range lines {
		out = append(out, string(l.Text))
	}
	return strings.Join(out, "|")
}

var (
	logRuns = corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}
	logEnds = corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Reason: "Completed"}}
)

// The log of a container that waits to be started again ends as soon as it was read, and is opened again every few seconds. Nothing is
// said of it until there is something new, and what the kubelet says at the end of each stream is said once.
func TestLogsOfACrashLoopAreQuiet(t *testing.T) {
	a, _ := logServer(t, logRuns, func(a *api, n int32, w http.ResponseWriter, _ *http.Request) {
		if n == 1 {
			fmt.Fprint(w, "2026-01-02T03:04:05Z one\n")
		}
		fmt.Fprint(w, "2026-01-02T03:04:06Z two\n") // of the second that is asked for again
		if n == 3 {
			fmt.Fprint(w, "2026-01-02T03:09:00Z three\n")
			logPod(a, logEnds)
			return
		}
		fmt.Fprint(w, "failed to create fsnotify watcher: too many open files")
	})
	s := a.hub(Options{}).OpenLogs(LogOptions{Namespace: "shop", Pod: "web"})
	defer s.Close()
	lines, notes := collect(t, s, 0)
	if got := texts(lines); got != "one|two|failed to create fsnotify watcher: too many open files|three" {
		t.Errorf("lines %q", got)
	}
	if len(notes) != 2 || notes[0] != "reconnected" || !strings.Contains(notes[1], "terminated") {
		t.Errorf("notes %q", notes)
	}
}

// A stream breaks while the container ends: what it has not brought yet is read before the log is called ended.
func TestLogsAreReadToTheEndAfterABreak(t *testing.T) {
	a, _ := logServer(t, logEnds, func(a *api, n int32, w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "2026-01-02T03:04:05Z one\n")
		if n == 1 {
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}
		fmt.Fprint(w, "2026-01-02T03:04:06Z two\n")
	})
	s := a.hub(Options{}).OpenLogs(LogOptions{Namespace: "shop", Pod: "web"})
	defer s.Close()
	if lines, notes := collect(t, s, 0); texts(lines) != "one|two" {
		t.Errorf("lines %q, notes %q", texts(lines), notes)
	}
}

// A stream ends in the middle of a line without an error, as when the kubelet is started again: the line comes again, whole.
func TestLogLineThatWasCutComesWhole(t *testing.T) {
	a, _ := logServer(t, logRuns, func(a *api, n int32, w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "2026-01-02T03:04:05.5Z one\n2026-01-02T03:04:05.5Z tw")
		if n > 1 {
			fmt.Fprint(w, "o\n2026-01-02T03:04:05.5Z three") // no end, and it is all there is
		}
		if n > 2 {
			logPod(a, logEnds)
		}
	})
	s := a.hub(Options{}).OpenLogs(LogOptions{Namespace: "shop", Pod: "web"})
	defer s.Close()
	if lines, _ := collect(t, s, 0); texts(lines) != "one|tw|two|three" {
		t.Errorf("lines %q", texts(lines))
	}
}

// The pod goes while its log is read.
func TestLogsOfAPodThatGoesEnd(t *testing.T) {
	a, _ := logServer(t, logRuns, func(a *api, _ int32, w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "2026-01-02T03:04:05Z one\n")
		w.(http.Flusher).Flush()
		gone := func(w http.ResponseWriter, _ *http.Request) { fail(w, 404, metav1.StatusReasonNotFound, "no such pod") }
		a.handle(podPath, gone)
		a.handle(podPath+"/log", gone)
		panic(http.ErrAbortHandler)
	})
	s := a.hub(Options{}).OpenLogs(LogOptions{Namespace: "shop", Pod: "web"})
	defer s.Close()
	if lines, notes := collect(t, s, 0); texts(lines) != "one" || strings.Join(notes, "|") != "the pod is gone" {
		t.Errorf("lines %q, notes %q", texts(lines), notes)
	}
}

// A stream that was open and quiet for long is stale since it ended, not since the one before did.
func TestLogsAreStaleSinceTheStreamEnded(t *testing.T) {
	release := make(chan struct{})
	a, opens := logServer(t, logRuns, func(a *api, n int32, w http.ResponseWriter, r *http.Request) {
		if n == 1 {
			fmt.Fprint(w, "2026-01-02T03:04:05Z one\n")
			return
		}
		w.(http.Flusher).Flush()
		waitFor(r, release)
	})
	s := a.hub(Options{}).OpenLogs(LogOptions{Namespace: "shop", Pod: "web"})
	defer s.Close()
	within(t, func() string { return fmt.Sprintf("the second stream; %+v", s.State()) }, func() bool {
		return opens.Load() == 2 && s.State().Phase == Live
	})
	a.handle(podPath+"/log", func(w http.ResponseWriter, _ *http.Request) {
		fail(w, 500, metav1.StatusReasonInternalError, "no kubelet")
	})
	quiet := time.Now()
	close(release)
	within(t, func() string { return fmt.Sprintf("stale since %v or later; %+v", quiet, s.State()) }, func() bool {
		st := s.State()
		return st.Phase == Stale && !st.Since.Before(quiet)
	})
}

// An API server that has just started denies everything for a moment: a log that was read before goes on.
func TestLogsGoOnAfterADenialInPassing(t *testing.T) {
	seen := make(chan struct{})
	a, opens := newAPI(t), &atomic.Int32{}
	logPod(a, logRuns)
	a.handle(podPath+"/log", func(w http.ResponseWriter, r *http.Request) {
		switch opens.Add(1) {
		case 1:
			fmt.Fprint(w, "2026-01-02T03:04:05Z one\n")
		case 2:
			fail(w, 403, metav1.StatusReasonForbidden, "no role is known yet")
		default:
			waitFor(r, seen)
			logPod(a, logEnds)
			fmt.Fprint(w, "2026-01-02T03:04:06Z two\n")
		}
	})
	s := a.hub(Options{}).OpenLogs(LogOptions{Namespace: "shop", Pod: "web"})
	defer s.Close()
	within(t, func() string { return fmt.Sprintf("denied; %+v", s.State()) }, func() bool { return s.State().Phase == Denied })
	close(seen)
	if lines, _ := collect(t, s, 0); texts(lines) != "one|two" {
		t.Errorf("lines %q", texts(lines))
	}
}

// A server that throttles the log is said to, and asked again when it has asked to be.
func TestThrottledLogsAreSaid(t *testing.T) {
	a, opens := newAPI(t), &atomic.Int32{}
	logPod(a, logEnds)
	var refused atomic.Int64 // when, since epoch
	a.handle(podPath+"/log", func(w http.ResponseWriter, _ *http.Request) {
		if opens.Add(1) == 1 {
			refused.Store(int64(time.Since(epoch)))
			w.Header().Set("Retry-After", "2")
			http.Error(w, "Too many requests, please try again later.", http.StatusTooManyRequests) // as API priority and fairness does
			return
		}
		if since := time.Since(epoch) - time.Duration(refused.Load()); since < 2*time.Second {
			t.Errorf("asked again after %v", since)
		}
		fmt.Fprint(w, "2026-01-02T03:04:05Z one\n")
	})
	s := a.hub(Options{}).OpenLogs(LogOptions{Namespace: "shop", Pod: "web", Containers: []string{"app"}})
	defer s.Close()
	within(t, func() string { return fmt.Sprintf("said; %+v", s.State()) }, func() bool { return strings.HasPrefix(s.State().Why, "429") })
	if lines, _ := collect(t, s, 0); texts(lines) != "one" {
		t.Errorf("lines %q", texts(lines))
	}
}
