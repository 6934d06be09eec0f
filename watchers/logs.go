package watchers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"fathom/internal/run"
)

// Bounds of a log stream.
const (
	MaxLogLine = 64 << 10 // bytes of a line that are kept
	logLines   = 20000    // lines that wait for the UI
	logBytes   = 16 << 20 // bytes of lines that wait for the UI
)

// LogOptions says which log to read.
type LogOptions struct {
	Namespace, Pod string
	Containers     []string      // empty: all containers of the pod, init containers first
	Previous       bool          // the log of the container's last run; the stream ends when it was read
	Since          time.Duration // how far back to begin; 0: see Tail
	Tail           int64         // lines per container to begin with; negative: all; 0: all that Since allows
	// Health, if set, is asked whether the server answers: a server that hangs does not end its log streams.
	Health func() Health
}

// LogLine is one line of a log. Text is untrusted; its line end and the server's timestamp are taken off.
type LogLine struct {
	Container string
	Time      time.Time // zero where the server sent none
	Text      []byte
	Cut       int  // bytes left out because the line is longer than MaxLogLine
	Note      bool // not of the log: fathom says something (a reconnect, the end of a container)
}

// LogStream reads the logs of one pod. Its methods may be called from any goroutine.
type LogStream struct {
	g    *run.Group
	kube kubernetes.Interface
	opt  LogOptions
	q    *lineQueue

	mu    sync.Mutex
	parts map[string]*logPart
	state State // before the containers are known
	began bool
}

// logPart is what is known of one container's stream.
type logPart struct {
	state State
	ended bool
}

// OpenLogs starts to read through the hub's connections, so that its heartbeat speaks for them.
func (h *Hub) OpenLogs(opt LogOptions) *LogStream {
	if opt.Health == nil {
		opt.Health = h.Health
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed || h.kube == nil {
		return OpenLogs(h.g, nil, opt)
	}
	return OpenLogs(h.g, h.kube, opt)
}

// OpenLogs starts to read. It returns at once. The stream ends with g or when Close is called. Without a client it is unsupported.
func OpenLogs(g *run.Group, kube kubernetes.Interface, opt LogOptions) *LogStream {
	s := &LogStream{
		g: g.Child(), kube: kube, opt: opt, q: newLineQueue(logLines, logBytes), parts: map[string]*logPart{},
		state: State{Phase: Connecting, Since: time.Now()},
	}
	if kube == nil {
		s.state = State{Phase: Unsupported, Since: time.Now(), Why: ErrNoKube.Error()}
		return s
	}
	s.g.Go("logs of "+opt.Namespace+"/"+opt.Pod, s.run)
	return s
}

// Drain returns up to max lines that have arrived, oldest first, and never waits.
func (s *LogStream) Drain(max int) []LogLine { return s.q.drain(max) }

// Dropped is how many lines were lost because nobody took them in time.
func (s *LogStream) Dropped() uint64 { return s.q.droppedLines() }

// Ended reports whether every container has terminated for good and its log was read to the end.
func (s *LogStream) Ended() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.parts {
		if !p.ended {
			return false
		}
	}
	return s.began
}

// State is Live while every container's stream is open or has ended; Stale while one reconnects; Denied, or Unsupported when
// there is no such pod.
func (s *LogStream) State() State {
	s.mu.Lock()
	worst := s.state
	first := true
	for _, p := range s.parts {
		if st := p.state; first || badness(st.Phase) > badness(worst.Phase) {
			worst, first = st, false
		}
	}
	s.mu.Unlock()
	if s.opt.Health != nil && worst.Phase == Live {
		if h := s.opt.Health(); h.Down {
			return State{Phase: Stale, Since: h.LastOK, Why: h.Why}
		}
	}
	return worst
}

// Close ends the stream and waits for it.
func (s *LogStream) Close() { s.g.Stop() }

func (s *LogStream) setState(container string, st State) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if container == "" {
		s.state = st
		return
	}
	s.parts[container].state = st
}

func (s *LogStream) run(ctx context.Context) {
	names := s.opt.Containers
	for wait := logBackoffMin; len(names) == 0; wait = min(2*wait, logBackoffMax) {
		pod, err := s.pod(ctx)
		if err == nil {
			names = containerNames(pod)
			break
		}
		if final := s.fail("", "get", err, time.Time{}); final || !pause(ctx, wait) {
			return
		}
	}
	s.mu.Lock()
	for _, n := range names {
		s.parts[n] = &logPart{state: State{Phase: Connecting, Since: time.Now()}}
	}
	s.began = true
	s.mu.Unlock()
	for _, n := range names {
		s.g.Go("log of "+s.opt.Pod+"/"+n, func(ctx context.Context) { s.follow(ctx, n) })
	}
}

func containerNames(pod *corev1.Pod) []string {
	var out []string
	for i := range pod.Spec.InitContainers {
		out = append(out, pod.Spec.InitContainers[i].Name)
	}
	for i := range pod.Spec.Containers {
		out = append(out, pod.Spec.Containers[i].Name)
	}
	return out
}

func (s *LogStream) pod(ctx context.Context) (*corev1.Pod, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	return s.kube.CoreV1().Pods(s.opt.Namespace).Get(ctx, s.opt.Pod, metav1.GetOptions{})
}

// fail notes an error and reports whether trying again is pointless.
func (s *LogStream) fail(container, verb string, err error, since time.Time) bool {
	st := State{Phase: Connecting, Since: time.Now(), Why: explain(err), Resource: "pods/log"}
	if !since.IsZero() {
		st.Phase, st.Since = Stale, since
	}
	final := true
	switch {
	case isDenied(err):
		st.Phase, st.Verb = Denied, verb
	case apierrors.IsNotFound(err):
		st.Phase = Unsupported
	default:
		final = false
	}
	s.setState(container, st)
	return final
}

func (s *LogStream) end(container, why string) {
	s.note(container, why)
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.parts[container]
	p.ended = true
	p.state = State{Phase: Live, Since: time.Now(), Why: why}
}

func (s *LogStream) note(container, text string) {
	s.q.put(LogLine{Container: container, Time: time.Now(), Text: []byte(text), Note: true})
}

// The pauses between two attempts to open a stream.
const (
	logBackoffMin = 500 * time.Millisecond
	logBackoffMax = 5 * time.Second
)

// pause waits and reports whether to go on.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// follow reads one container's log until the container is gone for good.
func (s *LogStream) follow(ctx context.Context, container string) {
	pos := &logPosition{}
	wait := logBackoffMin
	var lost time.Time // since when the stream is not open, once it was
	for {
		last := pos.last
		err := s.stream(ctx, container, pos)
		if ctx.Err() != nil {
			return
		}
		if !pos.since.IsZero() {
			if lost = time.Now(); pos.last.After(last) || lost.Sub(pos.since) > logBackoffMax {
				wait = logBackoffMin
			}
		}
		if s.opt.Previous && err == nil {
			s.end(container, "end of the previous log")
			return
		}
		if apierrors.IsNotFound(err) { // the pod, or only its log: a kubelet says 404 too
			if _, perr := s.pod(ctx); !apierrors.IsNotFound(perr) {
				err = fmt.Errorf("no log yet: %s", err.Error())
			} else if pos.opened {
				s.end(container, "the pod is gone")
				return
			}
		}
		if err != nil && s.fail(container, "get", err, lost) && !(pos.opened && isDenied(err)) {
			return // who was allowed is asked again: an API server that has just started denies everything for a moment
		}
		if err == nil { // of a stream that broke the rest has yet to be read, also when the container has ended meanwhile
			if why, over := s.over(ctx, container); over {
				s.end(container, why)
				return
			}
			if pos.last.IsZero() && s.unscheduled(ctx) {
				// For a pod without a node the API server answers with an empty log that ends at once.
				pos.opened, lost = false, time.Time{}
				s.setState(container, State{Phase: Connecting, Why: "the pod is not on a node yet"})
			} else {
				s.setState(container, State{Phase: Stale, Since: lost, Why: "the log stream ended; opening it again"})
			}
		}
		if n, ok := apierrors.SuggestsClientDelay(err); ok { // client-go would wait by itself, and nobody would know
			wait = max(wait, min(time.Duration(n)*time.Second, throttleCap))
		}
		if !pause(ctx, wait) {
			return
		}
		wait = min(2*wait, logBackoffMax)
	}
}

// unscheduled reports whether the pod has no node, and so nothing that could log.
func (s *LogStream) unscheduled(ctx context.Context) bool {
	pod, err := s.pod(ctx)
	return err == nil && pod.Spec.NodeName == ""
}

// over asks whether the container will write no more.
func (s *LogStream) over(ctx context.Context, container string) (string, bool) {
	pod, err := s.pod(ctx)
	if apierrors.IsNotFound(err) {
		return "the pod is gone", true
	}
	if err != nil {
		return "", false
	}
	init, always := false, pod.Spec.RestartPolicy == corev1.RestartPolicyAlways
	for i := range pod.Spec.InitContainers {
		if c := &pod.Spec.InitContainers[i]; c.Name == container {
			init, always = !isSidecar(c), isSidecar(c)
		}
	}
	done := pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
	for _, list := range [][]corev1.ContainerStatus{pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses} {
		for i := range list {
			t := list[i].State.Terminated
			if list[i].Name != container || t == nil {
				continue
			}
			why := fmt.Sprintf("the container has terminated: %s, exit code %d", terminatedReason(t), t.ExitCode)
			again := always || pod.Spec.RestartPolicy == corev1.RestartPolicyOnFailure && t.ExitCode != 0
			if done || !again || init && t.ExitCode == 0 {
				return why, true
			}
		}
	}
	return "", false
}

// stream opens the log once and reads it to its end.
func (s *LogStream) stream(ctx context.Context, container string, pos *logPosition) error {
	again := pos.opened
	pos.since = time.Time{}
	body, err := s.kube.CoreV1().Pods(s.opt.Namespace).GetLogs(s.opt.Pod, s.request(container, pos)).MaxRetries(0).Stream(ctx)
	if err != nil {
		return err
	}
	defer body.Close()
	pos.opened, pos.since = true, time.Now()
	pos.resume()
	s.setState(container, State{Phase: Live, Since: time.Now()})
	r := newLineReader(body)
	for fresh := again; ; { // fresh: the stream was opened again and has brought nothing new yet
		line, cut, err := r.next()
		if err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		at, text := splitTimestamp(line)
		if pos.seen(at, len(text)+cut, r.open) || fresh && pos.repeats(at, text) {
			continue
		}
		if fresh { // not before: the log of a container that waits to be started again ends at once, every few seconds
			s.note(container, "reconnected")
			fresh = false
		}
		pos.say(at, text)
		l := LogLine{Container: container, Time: at, Text: append([]byte(nil), text...), Cut: cut}
		if !s.q.putWait(ctx, l) {
			return ctx.Err()
		}
	}
}

func (s *LogStream) request(container string, pos *logPosition) *corev1.PodLogOptions {
	o := &corev1.PodLogOptions{Container: container, Follow: !s.opt.Previous, Previous: s.opt.Previous, Timestamps: true}
	switch {
	case !pos.last.IsZero():
		// The server understands whole seconds only; what of that second was seen is skipped when it comes again.
		t := metav1.NewTime(pos.last.Truncate(time.Second))
		o.SinceTime = &t
		return o
	case s.opt.Since > 0:
		sec := max(int64(s.opt.Since/time.Second), 1)
		o.SinceSeconds = &sec
	}
	if s.opt.Tail > 0 {
		tail := s.opt.Tail
		o.TailLines = &tail
	}
	return o
}
