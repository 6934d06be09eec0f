package kubelet

import (
	"bytes"
	"encoding/base64"
	"net/url"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"fathom/cmd/sandbox/internal/controlplane"
)

var start = time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)

func logPod(annotations map[string]string) *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: "shop", UID: "1234", Annotations: annotations}}
	p.Spec.Containers = []corev1.Container{{Name: "nginx", Image: "shop/frontend:1"}, {Name: "app", Image: "shop/app:1"}}
	for _, c := range p.Spec.Containers {
		st := corev1.ContainerStatus{Name: c.Name}
		st.State.Running = &corev1.ContainerStateRunning{StartedAt: metav1.NewTime(start)}
		p.Status.ContainerStatuses = append(p.Status.ContainerStatuses, st)
	}
	return p
}

func mustStream(t *testing.T, p *corev1.Pod, container string, previous bool) *stream {
	t.Helper()
	s, err := podStream(p, container, previous)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestLinesAreOrderedAndRepeatable(t *testing.T) {
	for _, c := range []string{"nginx", "app"} {
		s, again := mustStream(t, logPod(nil), c, false), mustStream(t, logPod(nil), c, false)
		for i := int64(0); i < 500; i++ {
			if !s.due(i).Before(s.due(i + 1)) {
				t.Fatalf("line %d is due after line %d", i, i+1)
			}
			if !bytes.Equal(s.line(i), again.line(i)) {
				t.Fatalf("line %d differs when asked for twice", i)
			}
			if bytes.ContainsAny(s.line(i), "\n\r") {
				t.Fatalf("line %d is not one line", i)
			}
		}
	}
}

func TestCountMatchesDue(t *testing.T) {
	s := mustStream(t, logPod(nil), "app", false)
	for _, d := range []time.Duration{-time.Second, 0, time.Second, time.Minute, 3 * time.Hour} {
		now := start.Add(d)
		n := s.count(now)
		if n > 0 && s.due(n-1).After(now) || !s.due(n).After(now) {
			t.Errorf("after %s: %d lines, the last due %s, the next %s", d, n, s.due(n-1), s.due(n))
		}
	}
}

func TestLogGrowsSeveralLinesASecond(t *testing.T) {
	s := mustStream(t, logPod(nil), "nginx", false)
	if n := s.count(start.Add(10 * time.Second)); n < 15 || n > 90 {
		t.Errorf("%d lines in ten seconds", n)
	}
}

func TestAnnotatedBytesAreVerbatim(t *testing.T) {
	hostile := "a\x1b[2Jb\n\xff\xfe\x9b31m\n"
	p := logPod(map[string]string{LogAnnotation: base64.StdEncoding.EncodeToString([]byte(hostile))})
	s := mustStream(t, p, "app", false)
	if got := string(s.line(0)) + "\n" + string(s.line(1)) + "\n"; got != hostile {
		t.Errorf("%q", got)
	}
	if !bytes.Equal(s.line(2), s.line(0)) {
		t.Error("the lines do not come again")
	}
}

func TestHugeLine(t *testing.T) {
	s := mustStream(t, logPod(map[string]string{LogHugeLineAnnotation: "1048576"}), "app", false)
	if n := len(s.line(100)); n != 1<<20 {
		t.Errorf("line of %d bytes", n)
	}
	if n := len(s.line(101)); n > 1000 {
		t.Errorf("the line after it has %d bytes", n)
	}
}

func TestCrashLog(t *testing.T) {
	p := logPod(nil)
	p.Labels = map[string]string{controlplane.BehaviourLabel: "crash-loop"}
	st := &p.Status.ContainerStatuses[1]
	st.State = corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff"}}
	st.LastTerminationState.Terminated = &corev1.ContainerStateTerminated{StartedAt: metav1.NewTime(start), FinishedAt: metav1.NewTime(start.Add(5 * time.Second))}
	for _, previous := range []bool{false, true} {
		s := mustStream(t, p, "app", previous)
		n := s.count(start.Add(time.Hour))
		if !strings.HasPrefix(string(s.line(3)), "panic:") || !s.over(n) {
			t.Errorf("previous %v: %d lines, fourth %q", previous, n, s.line(3))
		}
	}
}

func TestNoLogReasons(t *testing.T) {
	p := logPod(nil)
	if _, err := podStream(p, "nosuch", false); err == nil {
		t.Error("a container that is not there has a log")
	}
	if _, err := podStream(p, "app", true); err == nil {
		t.Error("a container that never ended has a previous log")
	}
	p.Status.ContainerStatuses[1].State = corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ImagePullBackOff"}}
	if _, err := podStream(p, "app", false); err == nil || !strings.Contains(err.Error(), "waiting to start") {
		t.Errorf("%v", err)
	}
}

func TestLimitBytes(t *testing.T) {
	s := mustStream(t, logPod(nil), "app", false)
	var b bytes.Buffer
	w := &limitedWriter{w: &b, left: 300, flush: func() {}}
	for i := int64(0); w.line(s, i, true); i++ {
	}
	if b.Len() != 300 {
		t.Errorf("%d bytes", b.Len())
	}
}

func TestParseLogOptions(t *testing.T) {
	o, err := parseLogOptions(url.Values{"follow": {"true"}, "tailLines": {"7"}, "sinceSeconds": {"60"}, "limitBytes": {"9"}}, start)
	if err != nil || !o.follow || o.tail != 7 || o.limit != 9 || !o.since.Equal(start.Add(-time.Minute)) {
		t.Errorf("%+v, %v", o, err)
	}
	if _, err := parseLogOptions(url.Values{"tailLines": {"many"}}, start); err == nil {
		t.Error("tailLines=many was accepted")
	}
}
