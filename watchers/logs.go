package watchers

import (
	"context"
	"time"

	"k8s.io/client-go/kubernetes"

	"fathom/internal/run"
)

// MaxLogLine is the largest part of a log line that is kept, in bytes.
const MaxLogLine = 64 << 10

// LogQueue is how many lines wait for the UI before the oldest are dropped and counted.
const LogQueue = 20000

// LogOptions says which log to read.
type LogOptions struct {
	Namespace, Pod string
	Containers     []string      // empty: all containers of the pod, init containers included
	Previous       bool          // the log of the container's last run; ends when it was read
	Since          time.Duration // 0: from the beginning
	Tail           int64         // lines per container; negative: all
}

// LogLine is one line of a log. Text is untrusted, without its line end; the kubelet's timestamp is already taken off.
type LogLine struct {
	Container string
	Time      time.Time // zero where the server sent none
	Text      []byte
	Cut       int  // bytes that were left out because the line is longer than MaxLogLine
	Note      bool // not of the log: fathom says something (a reconnect, the end of a container)
}

// LogStream reads the logs of one pod. Its methods may be called from any goroutine.
type LogStream struct {
	g *run.Group
}

// OpenLogs starts to read. It returns at once. The stream ends with g or when Close is called.
func OpenLogs(g *run.Group, kube kubernetes.Interface, opt LogOptions) *LogStream {
	s := &LogStream{g: g.Child()}
	s.g.Go("logs", func(context.Context) {})
	return s
}

// Drain returns up to max lines that have arrived, oldest first, and never waits.
func (s *LogStream) Drain(max int) []LogLine { return nil }

// Dropped is how many lines were lost because nobody took them in time.
func (s *LogStream) Dropped() uint64 { return 0 }

// State is Connecting, Live, Stale while it reconnects, Denied, or Unsupported (no such pod, no such container).
func (s *LogStream) State() State { return State{} }

// Ended reports whether every container has terminated and its log was read to the end.
func (s *LogStream) Ended() bool { return false }

// Close ends the stream and waits for it.
func (s *LogStream) Close() { s.g.Stop() }
