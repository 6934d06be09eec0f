package watchers

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Check is one line of a verbose health endpoint.
type Check struct {
	Name string
	OK   bool
	Why  string // untrusted text of the server; mostly "reason withheld"
}

// Probe is the outcome of one verbose health endpoint.
type Probe struct {
	OK     bool
	Code   int           // HTTP status; 0: no answer, or none yet (At is zero)
	Err    string        // why it is not OK; untrusted text
	RTT    time.Duration // how long the answer took
	At     time.Time     // when it was asked
	Checks []Check       // of the last answer that had any
}

// Lease is the leader election lease of a control-plane component, in kube-system.
type Lease struct {
	Name      string        // kube-scheduler, kube-controller-manager
	Found     bool          // false: never read, or there is none
	Holder    string        // identity of the holder; empty: nobody
	Acquired  time.Time     // when the holder got it
	Renewed   time.Time     // when the holder last renewed it
	Duration  time.Duration // how long it is valid after Renewed
	Changes   int32         // how often it changed hands
	Err       string        // why it could not be read; the last known values are kept
	CheckedAt time.Time     // when it was last read
	Seen      time.Time     // when it was first read with this Renewed
	Followed  bool          // a renewal was seen: Renewed has changed since it was first read
}

// leaseSkew is how far the holder's clock and ours may differ before a lease that was read for the first time is called expired wrongly.
const leaseSkew = 30 * time.Second

// Expired reports whether nobody has renewed the lease for longer than it was valid when it was last read. Renewed is of the holder's
// clock: as candidates do (client-go's leaderelection), we go by when we saw it change. Only of a lease that was never seen to be renewed, the
// time itself has to do.
func (l Lease) Expired() bool {
	if !l.Found {
		return false
	}
	return l.CheckedAt.Sub(l.Seen) > l.Duration || !l.Followed && l.CheckedAt.Sub(l.Renewed) > l.Duration+leaseSkew
}

// after compares a lease that was just read with what was known of it.
func (l Lease) after(prev Lease) Lease {
	switch l.Seen = l.CheckedAt; {
	case !prev.Found:
	case l.Renewed.Equal(prev.Renewed):
		l.Seen, l.Followed = prev.Seen, prev.Followed
	default:
		l.Followed = true
	}
	return l
}

// ControlPlaneSnapshot is an immutable picture of the Kubernetes control plane.
type ControlPlaneSnapshot struct {
	Gen           uint64
	Livez, Readyz Probe
	Leases        []Lease // kube-controller-manager, kube-scheduler
	Version       string  // gitVersion of the API server; the last one known
	State         State
	At            time.Time
}

// ControlPlane polls the API server's health endpoints and the leader election leases.
type ControlPlane struct {
	hub   *Hub
	cur   atomic.Pointer[ControlPlaneSnapshot]
	mu    sync.Mutex
	stops []context.CancelFunc
}

// pollControlPlane is the time between two looks; every request has controlPlaneTimeout.
const (
	pollControlPlane    = 2 * time.Second
	controlPlaneTimeout = 2 * time.Second
)

// OpenControlPlane starts the pollers. They end with Close, or with the hub.
func OpenControlPlane(h *Hub) *ControlPlane {
	c := &ControlPlane{hub: h}
	now := time.Now()
	first := &ControlPlaneSnapshot{
		At: now, State: State{Phase: Connecting, Since: now},
		Leases: []Lease{{Name: "kube-controller-manager"}, {Name: "kube-scheduler"}},
	}
	if h.cfg == nil {
		first.State = State{Phase: Unsupported, Since: now, Why: ErrNoKube.Error()}
	}
	c.cur.Store(first)
	if h.cfg == nil {
		return c
	}
	c.poll("livez", func(ctx context.Context) {
		p := c.probe(ctx, "/livez")
		c.publish(func(s *ControlPlaneSnapshot) { s.Livez = p.after(s.Livez) })
	})
	c.poll("readyz", func(ctx context.Context) {
		p := c.probe(ctx, "/readyz")
		c.publish(func(s *ControlPlaneSnapshot) { s.Readyz = p.after(s.Readyz) })
	})
	for i, l := range first.Leases {
		c.poll("lease "+l.Name, func(ctx context.Context) { c.lease(ctx, i) })
	}
	c.poll("version", c.version)
	return c
}

// Snapshot returns the newest picture; never nil.
func (c *ControlPlane) Snapshot() *ControlPlaneSnapshot { return c.cur.Load() }

// Close ends the pollers.
func (c *ControlPlane) Close() {
	for _, stop := range c.stops {
		stop()
	}
}

func (c *ControlPlane) poll(name string, ask func(context.Context)) {
	c.stops = append(c.stops, c.hub.start(name, func(ctx context.Context) {
		t := time.NewTicker(pollControlPlane)
		defer t.Stop()
		for {
			ask(ctx)
			select {
			case <-ctx.Done():
				return
			case <-t.C:
			}
		}
	}))
}

func (c *ControlPlane) publish(change func(*ControlPlaneSnapshot)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	next := *c.cur.Load()
	change(&next)
	next.Gen++
	next.At = time.Now()
	st := State{Phase: Live, Since: next.State.Since}
	if h := c.hub.Health(); h.Down {
		st = State{Phase: Stale, Since: h.LastOK, Why: h.Why}
		if h.LastOK.IsZero() {
			st = State{Phase: Connecting, Since: next.State.Since, Why: h.Why}
		}
	} else if next.Livez.Code == 0 && next.Readyz.Code == 0 {
		st = State{Phase: Connecting, Since: next.State.Since, Why: next.Livez.Err}
	} else if next.State.Phase != Live {
		st.Since = next.At
	}
	next.State = st
	c.cur.Store(&next)
}

// after keeps the checks of an earlier answer when there was none this time.
func (p Probe) after(prev Probe) Probe {
	if p.Code == 0 {
		p.Checks = prev.Checks
	}
	return p
}

func (c *ControlPlane) probe(ctx context.Context, path string) Probe {
	ctx, cancel := context.WithTimeout(ctx, controlPlaneTimeout)
	defer cancel()
	p := Probe{At: time.Now()}
	res := c.hub.tab.Get().AbsPath(path).Param("verbose", "").MaxRetries(0).Do(ctx)
	body, err := res.Raw()
	res.StatusCode(&p.Code)
	p.RTT = time.Since(p.At)
	var st apierrors.APIStatus
	if errors.As(err, &st) { // plain text with a bad status: client-go keeps it as a cause of the error
		p.Code = int(st.Status().Code)
		if d := st.Status().Details; d != nil {
			for _, c := range d.Causes {
				body = append(body, c.Message...)
			}
		}
	}
	p.Checks = parseChecks(string(body))
	p.OK = err == nil
	switch {
	case err == nil:
	case errors.Is(err, context.DeadlineExceeded):
		p.Err = "no answer within " + controlPlaneTimeout.String()
	case len(p.Checks) > 0:
		p.Err = "a check does not pass"
	default:
		p.Err = explain(err)
	}
	return p
}

// parseChecks reads the lines "[+]ping ok" and "[-]etcd failed: reason withheld".
func parseChecks(body string) []Check {
	var out []Check
	for line := range strings.Lines(body) {
		line = strings.TrimSpace(line)
		bad, failed := strings.CutPrefix(line, "[-]")
		good, passed := strings.CutPrefix(line, "[+]")
		switch {
		case passed:
			name, _, _ := strings.Cut(good, " ")
			out = append(out, Check{Name: name, OK: true})
		case failed:
			name, why, _ := strings.Cut(bad, " ")
			out = append(out, Check{Name: name, Why: strings.TrimPrefix(why, "failed: ")})
		}
	}
	return out
}

func (c *ControlPlane) lease(ctx context.Context, i int) {
	ctx, cancel := context.WithTimeout(ctx, controlPlaneTimeout)
	defer cancel()
	prev := c.cur.Load().Leases[i] // only this poller changes it
	l := prev
	got, err := c.hub.kube.CoordinationV1().Leases("kube-system").Get(ctx, l.Name, metav1.GetOptions{})
	if err != nil {
		l.Err = explain(err)
		if apierrors.IsNotFound(err) {
			l = Lease{Name: l.Name, Err: "there is no such lease", CheckedAt: time.Now()}
		}
	} else {
		sp := &got.Spec
		l = Lease{Name: l.Name, Found: true, CheckedAt: time.Now()}
		if sp.HolderIdentity != nil {
			l.Holder = *sp.HolderIdentity
		}
		if sp.AcquireTime != nil {
			l.Acquired = sp.AcquireTime.Time
		}
		if sp.RenewTime != nil {
			l.Renewed = sp.RenewTime.Time
		}
		if sp.LeaseDurationSeconds != nil {
			l.Duration = time.Duration(*sp.LeaseDurationSeconds) * time.Second
		}
		if sp.LeaseTransitions != nil {
			l.Changes = *sp.LeaseTransitions
		}
		l = l.after(prev)
	}
	c.publish(func(s *ControlPlaneSnapshot) {
		s.Leases = append([]Lease(nil), s.Leases...)
		s.Leases[i] = l
	})
}

func (c *ControlPlane) version(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, controlPlaneTimeout)
	defer cancel()
	body, err := c.hub.tab.Get().AbsPath("/version").Do(ctx).Raw()
	if err != nil {
		return // the health probes say what is wrong
	}
	if v := parseVersion(body); v != "" && v != c.cur.Load().Version {
		c.publish(func(s *ControlPlaneSnapshot) { s.Version = v })
	}
}

func parseVersion(body []byte) string {
	var v struct {
		GitVersion string `json:"gitVersion"`
	}
	_ = json.Unmarshal(body, &v) // no version is shown when there is none to read
	return v.GitVersion
}
