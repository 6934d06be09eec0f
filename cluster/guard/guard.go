// Package guard holds the wall of read-only mode, below everything that could forget it: an HTTP round tripper that allows by
// method and path, and gRPC interceptors that allow by full method name and by body. Both deny by default.
//
// In normal mode the same wrappers are in place and only count, so that there is no second way to build a client.
package guard

import (
	"errors"
	"fmt"
	"sync/atomic"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// ErrReadOnly matches, with errors.Is, every error of a request that read-only mode did not send.
var ErrReadOnly = errors.New("read-only mode")

// Refused is the error of a request that was not sent.
type Refused struct {
	Method string // HTTP method, or "gRPC"
	Path   string // URL path, or full gRPC method name: untrusted text
	Why    string // a clause: "exec runs commands in a container"
}

// Error says what was refused and why.
func (r *Refused) Error() string {
	return fmt.Sprintf("read-only mode: %s %s was not sent: %s", r.Method, r.Path, r.Why)
}

// Is matches ErrReadOnly.
func (r *Refused) Is(target error) bool { return target == ErrReadOnly }

// GRPCStatus lets gRPC clients see a code that no retry policy repeats.
func (r *Refused) GRPCStatus() *status.Status { return status.New(codes.PermissionDenied, r.Error()) }

// Counts is what passed a guard since it was made.
type Counts struct{ Sent, Refused uint64 }

// Guard decides for one cluster, its API server and its etcd. It is safe for concurrent use.
type Guard struct {
	readOnly      bool
	sent, refused atomic.Uint64
}

// New returns a guard. One that is not read-only lets everything pass and counts it.
func New(readOnly bool) *Guard { return &Guard{readOnly: readOnly} }

// ReadOnly reports the mode. It never changes during the life of a guard.
func (g *Guard) ReadOnly() bool { return g.readOnly }

// Counts returns how many requests were sent and how many were refused.
func (g *Guard) Counts() Counts { return Counts{Sent: g.sent.Load(), Refused: g.refused.Load()} }

// judge counts a request and returns the error of one that must not be sent. An empty why allows it.
func (g *Guard) judge(method, path, why string) error {
	if g.readOnly && why != "" {
		g.refused.Add(1)
		return &Refused{Method: method, Path: path, Why: why}
	}
	g.sent.Add(1)
	return nil
}
