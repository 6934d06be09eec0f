package cluster

import (
	"context"
	"crypto/tls"
	"fmt"
	"math"
	"net/http"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"fathom/cluster/discover"
	"fathom/cluster/guard"
)

// Etcd is one etcd cluster: a client for each known member.
type Etcd struct {
	source string
	prefix string
	guard  *guard.Guard
	tls    *tls.Config // nil: plain text
	user   string      // empty: no login
	pass   string
	cert   certificate // ours, if there is one

	metrics      []string // given URLs of metrics
	localMetrics []discover.Metrics
	plain        *http.Transport

	mu      sync.Mutex
	closed  bool
	members []*Member
	move    Move
}

// Member is one endpoint of etcd with a connection of its own, which is opened on first use and kept.
type Member struct {
	// Endpoint is the client URL.
	Endpoint string
	// Learned endpoints came from the member list, not from the user.
	Learned bool

	client *clientv3.Client
	maint  pb.MaintenanceClient
}

// Source says what found this etcd: "flags", "environment", or a file. It may hold file names: untrusted text.
func (e *Etcd) Source() string { return e.source }

// Prefix is the API server's --etcd-prefix, "/registry" when not known otherwise.
func (e *Etcd) Prefix() string { return e.prefix }

// Members returns the members, in a stable order: as they were given, then as they were learned.
func (e *Etcd) Members() []*Member {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.members)
}

// Member returns the member of an endpoint.
func (e *Etcd) Member(endpoint string) (*Member, bool) {
	for _, m := range e.Members() {
		if m.Endpoint == endpoint {
			return m, true
		}
	}
	return nil, false
}

// AddEndpoints adds members for client URLs that the member list told of and returns how many were new. A URL of an interface that
// is not reachable from here (k0s advertises 127.0.0.1 on every node) does no harm: its member stays unreachable.
func (e *Etcd) AddEndpoints(urls ...string) (int, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	n := 0
	for _, u := range urls {
		if slices.ContainsFunc(e.members, func(m *Member) bool { return discover.Same(m.Endpoint, u) }) {
			continue
		}
		if err := e.add(u, true); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

// add is the only place where a gRPC connection is made: it puts the guard in. It sends nothing; e.mu is held.
func (e *Etcd) add(endpoint string, learned bool) error {
	if e.closed {
		return fmt.Errorf("add etcd endpoint %s: the connection to the cluster is closed", endpoint)
	}
	opts := append(e.guard.DialOptions(), dialOptions...)
	var l *login
	if e.user != "" {
		l = &login{user: e.user, password: e.pass}
		opts = append(opts, l.dialOptions()...)
	}
	c, err := clientv3.New(clientv3.Config{
		Endpoints:            []string{endpoint},
		TLS:                  e.tls,
		DialKeepAliveTime:    10 * time.Second,
		DialKeepAliveTimeout: 3 * time.Second,
		Logger:               zap.NewNop(),
		DialOptions:          opts,
	})
	if err != nil {
		return fmt.Errorf("etcd endpoint %s: %w", endpoint, err)
	}
	if l != nil {
		l.conn = c.ActiveConnection()
	}
	e.members = append(e.members, &Member{
		Endpoint: endpoint, Learned: learned, client: c, maint: pb.NewMaintenanceClient(c.ActiveConnection()),
	})
	return nil
}

var dialOptions = []grpc.DialOption{
	grpc.WithUserAgent("fathom"),
	grpc.WithChainUnaryInterceptor(once),
	// As clientv3 has it for its own calls: with gRPC's usual 4 MiB, what a server lets through (--max-request-bytes, a lease with very
	// many keys) could be seen and not be written. The server bounds it.
	grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(math.MaxInt32)),
	// A member that comes back is to be seen within seconds, not after gRPC's usual two minutes.
	grpc.WithConnectParams(grpc.ConnectParams{
		Backoff:           backoff.Config{BaseDelay: 200 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 2 * time.Second},
		MinConnectTimeout: 2 * time.Second,
	}),
}

// Client is the member's client; it speaks to this member only. Give every call a deadline: a stopped member keeps its
// connections open.
func (m *Member) Client() *clientv3.Client { return m.client }

// Maintenance calls this member on the connection it already has; clientv3's own Status, HashKV and Defragment dial anew for
// every call (client/v3/maintenance.go).
func (m *Member) Maintenance() pb.MaintenanceClient { return m.maint }

// Status asks the member for its status: local to the member, no raft. Without a deadline in ctx it waits for two seconds.
func (m *Member) Status(ctx context.Context) (*pb.StatusResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, statusTimeout)
	defer cancel()
	r, err := m.maint.Status(ctx, &pb.StatusRequest{})
	if err != nil {
		return nil, fmt.Errorf("status of etcd %s: %w", m.Endpoint, err)
	}
	return r, nil
}

const statusTimeout = 2 * time.Second

// MemberList asks all members at once for the member list and returns the first answer. It is serializable: it needs no leader,
// and it may be old.
func (e *Etcd) MemberList(ctx context.Context) (*clientv3.MemberListResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, statusTimeout)
	defer cancel()
	members := e.Members()
	type answer struct {
		r   *clientv3.MemberListResponse
		err error
	}
	answers := make(chan answer, len(members))
	for _, m := range members {
		go func() {
			r, err := m.client.MemberList(ctx, clientv3.WithSerializable())
			if err != nil {
				err = fmt.Errorf("member list of etcd %s: %w", m.Endpoint, err)
			}
			answers <- answer{r, err}
		}()
	}
	var first error
	for range members {
		a := <-answers
		if a.err == nil {
			return a.r, nil
		}
		if first == nil {
			first = a.err
		}
	}
	return nil, first
}

func (e *Etcd) close() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.closed = true
	if e.plain != nil {
		e.plain.CloseIdleConnections()
	}
	for _, m := range e.members {
		_ = m.client.Close()
	}
}
