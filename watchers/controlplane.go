package watchers

import (
	"context"
	"sync/atomic"
	"time"

	"fathom/internal/run"
	"k8s.io/client-go/rest"
)

// Check is one line of a verbose health endpoint.
type Check struct {
	Name string
	OK   bool
	Why  string // untrusted text of the server; "reason withheld" mostly
}

// Probe is the outcome of one verbose health endpoint.
type Probe struct {
	OK     bool
	Code   int // HTTP status; 0: no answer
	Err    string
	RTT    time.Duration
	At     time.Time
	Checks []Check
}

// Lease is the leader election lease of a control-plane component.
type Lease struct {
	Name      string // kube-scheduler, kube-controller-manager
	Holder    string // identity of the holder; empty: nobody
	Renewed   time.Time
	Duration  time.Duration // how long it is valid after Renewed
	Changes   int32         // leaseTransitions
	Err       string        // why it could not be read; the last known values are kept
	Found     bool
	Acquired  time.Time
	CheckedAt time.Time
}

// Expired reports whether nobody has renewed the lease for longer than it is valid.
func (l Lease) Expired(now time.Time) bool {
	return l.Found && now.Sub(l.Renewed) > l.Duration
}

// ControlPlaneSnapshot is an immutable picture of the Kubernetes control plane.
type ControlPlaneSnapshot struct {
	Gen           uint64
	Livez, Readyz Probe
	Leases        []Lease
	Version       string // gitVersion of the API server; the last one known
	State         State
	At            time.Time
}

// ControlPlane polls the API server's health endpoints and the leader election leases.
type ControlPlane struct {
	cur  atomic.Pointer[ControlPlaneSnapshot]
	g    *run.Group
	poll func(ctx context.Context)
	cfg  *rest.Config
}

// Snapshot returns the newest picture; never nil.
func (c *ControlPlane) Snapshot() *ControlPlaneSnapshot { return c.cur.Load() }
