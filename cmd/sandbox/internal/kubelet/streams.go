package kubelet

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/cri-streaming/pkg/streaming/portforward"
	"k8s.io/cri-streaming/pkg/streaming/remotecommand"
)

// streamIdle is how long an exec or port-forward may be silent, as for a real
// kubelet (streamingConnectionIdleTimeout).
const streamIdle = 4 * time.Hour

func (s *Server) exec(w http.ResponseWriter, r *http.Request) {
	options, err := remotecommand.NewOptions(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	pod, ok := s.pod(w, r)
	if !ok {
		return
	}
	remotecommand.ServeExec(w, r, &container{s, pod}, pod.Name, string(pod.UID), r.PathValue("container"), r.URL.Query()["command"],
		options, streamIdle, remotecommand.DefaultStreamCreationTimeout, remotecommand.SupportedStreamingProtocols)
}

func (s *Server) attach(w http.ResponseWriter, r *http.Request) {
	options, err := remotecommand.NewOptions(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	pod, ok := s.pod(w, r)
	if !ok {
		return
	}
	remotecommand.ServeAttach(w, r, &container{s, pod}, pod.Name, string(pod.UID), r.PathValue("container"),
		options, streamIdle, remotecommand.DefaultStreamCreationTimeout, remotecommand.SupportedStreamingProtocols)
}

func (s *Server) portForward(w http.ResponseWriter, r *http.Request) {
	options, err := portforward.NewV4Options(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	pod, ok := s.pod(w, r)
	if !ok {
		return
	}
	portforward.ServePortForward(w, r, &container{s, pod}, pod.Name, string(pod.UID), options,
		streamIdle, remotecommand.DefaultStreamCreationTimeout, portforward.SupportedProtocols)
}

// pod is the pod a request is about; when there is none it answers itself.
func (s *Server) pod(w http.ResponseWriter, r *http.Request) (*corev1.Pod, bool) {
	pod, err := s.Client.CoreV1().Pods(r.PathValue("ns")).Get(r.Context(), r.PathValue("pod"), metav1.GetOptions{})
	if err != nil {
		http.Error(w, err.Error(), http.StatusNotFound)
		return nil, false
	}
	return pod, true
}

// filesOf is the made-up file system of a pod; it lives as long as the server.
func (s *Server) filesOf(pod *corev1.Pod) *files {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.volumes == nil {
		s.volumes = map[types.UID]*files{}
	}
	f := s.volumes[pod.UID]
	if f == nil {
		f = newFiles(pod)
		s.volumes[pod.UID] = f
	}
	return f
}

// container serves the streams of one pod.
type container struct {
	server *Server
	pod    *corev1.Pod
}

// ExecInContainer implements remotecommand.Executor.
func (c *container) ExecInContainer(ctx context.Context, _, _, name string, cmd []string, in io.Reader, out, errOut io.WriteCloser, tty bool, resize <-chan remotecommand.TerminalSize, _ time.Duration) error {
	spec, ok := findContainer(c.pod, name)
	status, _ := findStatus(c.pod, name)
	if !ok || status.State.Running == nil {
		return fmt.Errorf("container not found (%q)", name)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var size atomic.Pointer[remotecommand.TerminalSize]
	go func() {
		for {
			select {
			case sz, ok := <-resize:
				if !ok {
					return
				}
				size.Store(&sz)
			case <-ctx.Done():
				return
			}
		}
	}()
	sess := &session{pod: c.pod, container: spec, files: c.server.filesOf(c.pod), size: func() (int, int) {
		if sz := size.Load(); sz != nil {
			return int(sz.Width), int(sz.Height)
		}
		return 80, 24
	}}
	var stdout, stderr io.Writer = out, errOut
	if out == nil {
		stdout = io.Discard
	}
	if errOut == nil {
		stderr = stdout
	}
	if tty {
		// A terminal turns line feeds into new lines; the interactive shell
		// does so itself.
		if len(cmd) != 1 || !shells[strings.TrimPrefix(cmd[0], "/bin/")] {
			stdout = newLines{stdout}
			stderr = stdout
		}
	}
	return sess.run(ctx, cmd, in, stdout, stderr, tty)
}

// newLines writes CR LF for LF.
type newLines struct{ w io.Writer }

func (n newLines) Write(p []byte) (int, error) {
	if _, err := io.WriteString(n.w, strings.ReplaceAll(string(p), "\n", "\r\n")); err != nil {
		return 0, err
	}
	return len(p), nil
}

// AttachContainer implements remotecommand.Attacher: the simulated processes
// read nothing and write their log.
func (c *container) AttachContainer(ctx context.Context, _, _, name string, in io.Reader, out, _ io.WriteCloser, _ bool, _ <-chan remotecommand.TerminalSize) error {
	logs, err := podStream(c.pod, name, false)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if in != nil {
		go func() {
			_, _ = io.Copy(io.Discard, in)
			cancel() // the client has gone
		}()
	}
	if out == nil {
		<-ctx.Done()
		return nil
	}
	c.server.write(ctx, &limitedWriter{w: out, left: -1, flush: func() {}}, logs, logOptions{follow: true, tail: 0, limit: -1}, c.pod)
	return nil
}

// PortForward implements portforward.PortForwarder: every port that the pod
// declares answers HTTP.
func (c *container) PortForward(ctx context.Context, _, _ string, port int32, stream io.ReadWriteCloser) error {
	defer stream.Close()
	open := false
	for _, ctr := range c.pod.Spec.Containers {
		for _, p := range ctr.Ports {
			open = open || p.ContainerPort == port
		}
	}
	if !open {
		return fmt.Errorf("failed to connect to localhost:%d inside namespace of pod %s/%s: connect: connection refused", port, c.pod.Namespace, c.pod.Name)
	}
	l := newOneConn(stream)
	srv := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Server", "fathom-sandbox")
		fmt.Fprintf(w, "pod %s/%s port %d: %s %s\n", c.pod.Namespace, c.pod.Name, port, r.Method, r.URL.Path)
	})}
	stop := context.AfterFunc(ctx, func() { _ = srv.Close() })
	defer stop()
	err := srv.Serve(l)
	if errors.Is(err, http.ErrServerClosed) || errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// oneConn is a listener that accepts one connection and then waits for its end.
type oneConn struct {
	conns chan net.Conn
	done  chan struct{}
}

func newOneConn(stream io.ReadWriteCloser) *oneConn {
	l := &oneConn{conns: make(chan net.Conn, 1), done: make(chan struct{})}
	l.conns <- &streamConn{ReadWriteCloser: stream, done: l.done}
	return l
}

func (l *oneConn) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *oneConn) Close() error   { return nil }
func (l *oneConn) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }

// streamConn makes a connection of a stream, without deadlines.
type streamConn struct {
	io.ReadWriteCloser
	once sync.Once
	done chan struct{}
}

func (c *streamConn) Close() error {
	err := c.ReadWriteCloser.Close()
	c.once.Do(func() { close(c.done) })
	return err
}

func (c *streamConn) LocalAddr() net.Addr              { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }
func (c *streamConn) RemoteAddr() net.Addr             { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }
func (c *streamConn) SetDeadline(time.Time) error      { return nil }
func (c *streamConn) SetReadDeadline(time.Time) error  { return nil }
func (c *streamConn) SetWriteDeadline(time.Time) error { return nil }
