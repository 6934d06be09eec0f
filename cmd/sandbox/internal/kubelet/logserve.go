package kubelet

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"fathom/cmd/sandbox/internal/controlplane"
)

// logOptions are the query parameters of a log request.
type logOptions struct {
	follow, timestamps, previous bool
	tail                         int64 // -1: all
	limit                        int64 // bytes, -1: no limit
	since                        time.Time
}

func parseLogOptions(q url.Values, now time.Time) (logOptions, error) {
	o := logOptions{tail: -1, limit: -1}
	o.follow, _ = strconv.ParseBool(q.Get("follow"))
	o.timestamps, _ = strconv.ParseBool(q.Get("timestamps"))
	o.previous, _ = strconv.ParseBool(q.Get("previous"))
	var err error
	number := func(name string, to *int64) {
		if v := q.Get(name); v != "" && err == nil {
			if *to, err = strconv.ParseInt(v, 10, 64); err != nil {
				err = fmt.Errorf("%s=%q is not a number", name, v)
			}
		}
	}
	number("tailLines", &o.tail)
	number("limitBytes", &o.limit)
	seconds := int64(-1)
	number("sinceSeconds", &seconds)
	if seconds >= 0 {
		o.since = now.Add(-time.Duration(seconds) * time.Second)
	}
	if v := q.Get("sinceTime"); v != "" && err == nil {
		if o.since, err = time.Parse(time.RFC3339, v); err != nil {
			err = fmt.Errorf("sinceTime=%q is not a time", v)
		}
	}
	return o, err
}

func (s *Server) containerLogs(w http.ResponseWriter, r *http.Request) {
	options, err := parseLogOptions(r.URL.Query(), time.Now())
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	pod, err := s.Client.CoreV1().Pods(r.PathValue("ns")).Get(r.Context(), r.PathValue("pod"), metav1.GetOptions{})
	if err != nil {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	logs, err := podStream(pod, r.PathValue("container"), options.previous)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "text/plain")
	w.WriteHeader(http.StatusOK)
	out := &limitedWriter{w: w, left: options.limit, flush: func() {}}
	if f, ok := w.(http.Flusher); ok {
		f.Flush() // the headers, before the first line is due
		out.flush = f.Flush
	}
	s.write(r.Context(), out, logs, options, pod)
}

// podStream is the log of a container, or the kubelet's reason for there being
// none.
func podStream(pod *corev1.Pod, name string, previous bool) (*stream, error) {
	container, ok := findContainer(pod, name)
	if !ok {
		return nil, fmt.Errorf("container %s is not valid for pod %s", name, pod.Name)
	}
	status, _ := findStatus(pod, name)
	state := status.State
	if previous {
		state = status.LastTerminationState
	}
	crashes := pod.Labels[controlplane.BehaviourLabel] == "crash-loop"
	if crashes && state.Running == nil && state.Terminated == nil {
		// Waiting for the next try: the kubelet still has the last one's log.
		state = status.LastTerminationState
	}
	var logs *stream
	switch {
	case state.Running != nil:
		logs = newStream(pod, container, state.Running.StartedAt.Time, time.Time{})
	case state.Terminated != nil:
		logs = newStream(pod, container, state.Terminated.StartedAt.Time, state.Terminated.FinishedAt.Time)
	case previous:
		return nil, fmt.Errorf("previous terminated container %q in pod %q not found", name, pod.Name)
	default:
		reason := "ContainerCreating"
		if state.Waiting != nil {
			reason = state.Waiting.Reason
		}
		switch reason {
		case "ErrImagePull":
			reason = "image can't be pulled"
		case "ImagePullBackOff":
			reason = "trying and failing to pull image"
		}
		return nil, fmt.Errorf("container %q in pod %q is waiting to start: %s", name, pod.Name, reason)
	}
	if crashes && logs.fixed == nil {
		logs.fixed, logs.every = crashLines(container), 300*time.Millisecond
	}
	return logs, nil
}

func findContainer(pod *corev1.Pod, name string) (corev1.Container, bool) {
	for _, list := range [][]corev1.Container{pod.Spec.Containers, pod.Spec.InitContainers} {
		for _, c := range list {
			if c.Name == name {
				return c, true
			}
		}
	}
	return corev1.Container{}, false
}

func findStatus(pod *corev1.Pod, name string) (corev1.ContainerStatus, bool) {
	for _, list := range [][]corev1.ContainerStatus{pod.Status.ContainerStatuses, pod.Status.InitContainerStatuses} {
		for _, c := range list {
			if c.Name == name {
				return c, true
			}
		}
	}
	return corev1.ContainerStatus{}, false
}

// write sends the lines that are there, and follows when asked to, until the
// container, the pod or the reader has gone.
func (s *Server) write(ctx context.Context, out *limitedWriter, logs *stream, o logOptions, pod *corev1.Pod) {
	end := logs.count(time.Now())
	from := max(0, end-keptLines)
	if o.tail >= 0 {
		from = max(from, end-o.tail)
	}
	for ; from < end && logs.due(from).Before(o.since); from++ {
	}
	for i := from; i < end; i++ {
		if !out.line(logs, i, o.timestamps) {
			return
		}
	}
	out.flush()
	if !o.follow {
		return
	}
	check := time.NewTicker(3 * time.Second)
	defer check.Stop()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for i := end; !logs.over(i); {
		timer.Reset(time.Until(logs.due(i)))
		select {
		case <-ctx.Done():
			return
		case <-check.C:
			if s.gone(ctx, pod) {
				return
			}
		case <-timer.C:
			if !out.line(logs, i, o.timestamps) {
				return
			}
			out.flush()
			i++
		}
	}
}

// gone tells whether the pod has been deleted or has ended.
func (s *Server) gone(ctx context.Context, pod *corev1.Pod) bool {
	now, err := s.Client.CoreV1().Pods(pod.Namespace).Get(ctx, pod.Name, metav1.GetOptions{ResourceVersion: "0"})
	if err != nil {
		return apierrors.IsNotFound(err)
	}
	return now.UID != pod.UID || now.Status.Phase == corev1.PodSucceeded || now.Status.Phase == corev1.PodFailed
}

// limitedWriter stops after a number of bytes, as limitBytes asks.
type limitedWriter struct {
	w     io.Writer
	left  int64 // -1: no limit
	flush func()
}

// line writes one line; false means that no more is wanted.
func (l *limitedWriter) line(logs *stream, i int64, timestamps bool) bool {
	var b []byte
	if timestamps {
		b = append(logs.due(i).UTC().AppendFormat(nil, time.RFC3339Nano), ' ')
	}
	b = append(append(b, logs.line(i)...), '\n')
	if l.left >= 0 && int64(len(b)) > l.left {
		_, _ = l.w.Write(b[:l.left])
		l.left = 0
		return false
	}
	if l.left > 0 {
		l.left -= int64(len(b))
	}
	_, err := l.w.Write(b)
	return err == nil
}
