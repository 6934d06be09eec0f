package watchers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const podPath = "/api/v1/namespaces/shop/pods/web"

func logPod(a *api, state corev1.ContainerState) {
	p := pod("web", "1")
	p.Spec.RestartPolicy = corev1.RestartPolicyNever
	p.Spec.Containers = []corev1.Container{{Name: "app"}}
	p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "app", State: state}}
	a.handle(podPath, func(w http.ResponseWriter, _ *http.Request) { reply(w, p) })
}

// collect drains a stream until it has n lines that are of the log, or has ended.
func collect(t *testing.T, s *LogStream, n int) (lines []LogLine, notes []string) {
	t.Helper()
	within(t, func() string { return fmt.Sprintf("%d lines; have %d, notes %q, %+v", n, len(lines), notes, s.State()) }, func() bool {
		ended := s.Ended() // before the drain: nothing comes after
		for _, l := range s.Drain(10000) {
			if l.Note {
				notes = append(notes, string(l.Text))
			} else {
				lines = append(lines, l)
			}
		}
		return len(lines) >= n && n > 0 || ended
	})
	return lines, notes
}

// A stream that breaks in the middle of a second, in the middle of a line, goes on with no line twice and none missing.
func TestLogsResumeWithoutGapOrDouble(t *testing.T) {
	a := newAPI(t)
	logPod(a, corev1.ContainerState{Running: &corev1.ContainerStateRunning{}})
	all := []string{
		"2026-01-02T03:04:05.100000000Z one", "2026-01-02T03:04:06.000000001Z two", "2026-01-02T03:04:06.000000001Z two",
		"2026-01-02T03:04:06.5Z three", "2026-01-02T03:04:07Z four",
	}
	var opens atomic.Int32
	a.handle(podPath+"/log", func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		if q.Get("timestamps") != "true" || q.Get("follow") != "true" || q.Get("container") != "app" {
			t.Errorf("asked for %v", q)
		}
		if opens.Add(1) == 1 {
			fmt.Fprint(w, strings.Join(all[:2], "\n")+"\n"+all[2][:33])
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}
		if since := q.Get("sinceTime"); since != "2026-01-02T03:04:06Z" {
			t.Errorf("resumes at %q", since)
		}
		logPod(a, corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Reason: "Completed"}})
		fmt.Fprint(w, strings.Join(all[1:], "\n")) // the last line has no end
	})
	s := a.hub(Options{}).OpenLogs(LogOptions{Namespace: "shop", Pod: "web"})
	defer s.Close()
	lines, notes := collect(t, s, 0)
	var got []string
	for _, l := range lines {
		got = append(got, string(l.Text))
	}
	if fmt.Sprint(got) != "[one two two three four]" {
		t.Errorf("lines %q", got)
	}
	if !lines[0].Time.Equal(time.Date(2026, 1, 2, 3, 4, 5, 100000000, time.UTC)) || lines[0].Container != "app" {
		t.Errorf("first line %+v", lines[0])
	}
	if len(notes) != 2 || notes[0] != "reconnected" || !strings.Contains(notes[1], "Completed, exit code 0") {
		t.Errorf("notes %q", notes)
	}
}

func TestLogStates(t *testing.T) {
	a := newAPI(t)
	h := a.hub(Options{})
	until := func(s *LogStream, p Phase) {
		t.Helper()
		defer s.Close()
		within(t, func() string { return fmt.Sprintf("phase %v; is %+v", p, s.State()) }, func() bool { return s.State().Phase == p })
	}
	until(h.OpenLogs(LogOptions{Namespace: "shop", Pod: "nobody"}), Unsupported)
	logPod(a, corev1.ContainerState{})
	a.handle(podPath+"/log", func(w http.ResponseWriter, _ *http.Request) { fail(w, 403, metav1.StatusReasonForbidden, "no") })
	until(h.OpenLogs(LogOptions{Namespace: "shop", Pod: "web"}), Denied)
	a.handle(podPath+"/log", func(w http.ResponseWriter, r *http.Request) { stream(w, r, nil) })
	s := h.OpenLogs(LogOptions{Namespace: "shop", Pod: "web", Containers: []string{"app"}})
	defer s.Close()
	within(t, func() string { return "live" }, func() bool { return s.State().Phase == Live })
	a.stop() // the stream stays open
	within(t, func() string { return "stale" }, func() bool { return s.State().Phase == Stale })
	a.cont()
	within(t, func() string { return "live again" }, func() bool { return s.State().Phase == Live })
	if st := OpenLogs(h.g, nil, LogOptions{}).State(); st.Phase != Unsupported {
		t.Errorf("without a client: %+v", st)
	}
}

func TestLongLinesAreCut(t *testing.T) {
	long := strings.Repeat("x", 3*MaxLogLine)
	r := newLineReader(strings.NewReader("2026-01-02T03:04:05Z " + long + "\r\nshort\r\n\nlast"))
	line, cut, err := r.next()
	if err != nil || len(line)+cut != len(long)+21 || len(line) > MaxLogLine+64 {
		t.Errorf("kept %d, cut %d, %v", len(line), cut, err)
	}
	for _, want := range []string{"short", "", "last"} {
		if line, cut, err := r.next(); string(line) != want || cut != 0 || err != nil {
			t.Errorf("got %q %d %v, want %q", line, cut, err, want)
		}
	}
	if _, _, err := r.next(); !errors.Is(err, io.EOF) {
		t.Errorf("at the end: %v", err)
	}
}

func TestQueueDropsTheOldestOnlyWhenNobodyReads(t *testing.T) {
	q := newLineQueue(100, 1<<20)
	q.drained = time.Now().Add(-2 * patience)
	for i := range 250 {
		if !q.putWait(t.Context(), LogLine{Text: fmt.Append(nil, i)}) {
			t.Fatal("put")
		}
	}
	if q.droppedLines() != 150 {
		t.Errorf("dropped %d", q.droppedLines())
	}
	if l := q.drain(1000); len(l) != 100 || string(l[0].Text) != "150" || q.bytes != 0 {
		t.Errorf("%d lines, first %s, %d bytes left", len(l), l[0].Text, q.bytes)
	}
	// Somebody reads: nothing is lost, the writer waits.
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range 1000 {
			q.putWait(context.Background(), LogLine{Text: fmt.Append(nil, i)})
		}
	}()
	next := 0
	within(t, func() string { return fmt.Sprint("line ", next) }, func() bool {
		for _, l := range q.drain(7) {
			if string(l.Text) != fmt.Sprint(next) {
				t.Fatalf("line %s, want %d", l.Text, next)
			}
			next++
		}
		return next == 1000
	})
	<-done
	if q.droppedLines() != 150 {
		t.Errorf("dropped %d", q.droppedLines())
	}
}
