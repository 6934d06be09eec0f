package etcd

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"

	"fathom/cluster"
	"fathom/internal/run"
)

func TestMain(m *testing.M) {
	log.SetOutput(io.Discard) // net/http says there that the fakes speak only gRPC
	goleak.VerifyTestMain(m)
}

// fakeCluster is a cluster of gRPC servers on loopback that answer what the watcher asks, and can hang and fail.
type fakeCluster struct {
	t       *testing.T
	mu      sync.Mutex
	members []*fakeServer
	leader  uint64
	term    uint64
	learner uint64
	timing  timing
}

type fakeServer struct {
	pb.UnimplementedMaintenanceServer
	pb.UnimplementedClusterServer
	pb.UnimplementedKVServer
	cluster  *fakeCluster
	id       uint64
	name     string
	addr     string
	grpc     *grpc.Server
	done     chan struct{}
	hung     chan struct{} // closed when it goes on; nil: it runs
	noReads  bool          // linearizable reads fail
	commit   uint64
	revision int64
	errors   []string
	calls    map[string]int
}

func newFake(t *testing.T, n int) *fakeCluster {
	t.Helper()
	f := &fakeCluster{t: t, leader: 1, term: 4, timing: quick}
	for i := range n {
		s := &fakeServer{cluster: f, id: uint64(i + 1), name: fmt.Sprintf("etcd-%d", i+1), addr: "127.0.0.1:0", commit: 100, revision: 50,
			calls: map[string]int{}}
		f.members = append(f.members, s)
		s.start()
		t.Cleanup(s.stop)
	}
	return f
}

func (s *fakeServer) start() {
	s.cluster.t.Helper()
	l, err := net.Listen("tcp", s.addr)
	if err != nil {
		s.cluster.t.Fatal(err)
	}
	s.cluster.change(func() { s.addr = l.Addr().String() }) // it comes back on the same port
	s.grpc = grpc.NewServer(grpc.UnaryInterceptor(s.record))
	pb.RegisterMaintenanceServer(s.grpc, s)
	pb.RegisterClusterServer(s.grpc, s)
	pb.RegisterKVServer(s.grpc, s)
	s.done = make(chan struct{})
	srv, done := s.grpc, s.done
	go func() {
		defer close(done)
		_ = srv.Serve(l) // ends with Stop
	}()
}

// stop ends the server: its port refuses connections.
func (s *fakeServer) stop() {
	s.cont()
	s.grpc.Stop()
	<-s.done
}

func (s *fakeServer) hang() {
	s.cluster.change(func() { s.hung = make(chan struct{}) })
}

func (s *fakeServer) cont() {
	s.cluster.change(func() {
		if s.hung != nil {
			close(s.hung)
			s.hung = nil
		}
	})
}

func (f *fakeCluster) change(fn func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	fn()
}

func (s *fakeServer) record(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	name := info.FullMethod[strings.LastIndex(info.FullMethod, "/")+1:]
	switch r := req.(type) {
	case *pb.RangeRequest:
		name = fmt.Sprintf("Range serializable=%v", r.Serializable)
	case *pb.MemberListRequest:
		name = fmt.Sprintf("MemberList linearizable=%v", r.Linearizable)
	}
	s.cluster.mu.Lock()
	s.calls[name]++
	hung := s.hung
	s.cluster.mu.Unlock()
	if hung != nil {
		select {
		case <-hung:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return handler(ctx, req)
}

func (s *fakeServer) header() *pb.ResponseHeader {
	return &pb.ResponseHeader{ClusterId: 0xc1, MemberId: s.id, RaftTerm: s.cluster.term, Revision: s.revision}
}

func (s *fakeServer) Status(context.Context, *pb.StatusRequest) (*pb.StatusResponse, error) {
	f := s.cluster
	f.mu.Lock()
	defer f.mu.Unlock()
	errs := slices.Clone(s.errors)
	if f.leader == 0 {
		errs = append(errs, "etcdserver: no leader")
	}
	return &pb.StatusResponse{Header: s.header(), Version: "3.6.8", StorageVersion: "3.6.0", Leader: f.leader, RaftTerm: f.term,
		RaftIndex: s.commit, RaftAppliedIndex: s.commit, DbSize: 1 << 20, DbSizeInUse: 1 << 19, DbSizeQuota: 1 << 31,
		IsLearner: s.id == f.learner, Errors: errs}, nil
}

func (s *fakeServer) MemberList(context.Context, *pb.MemberListRequest) (*pb.MemberListResponse, error) {
	f := s.cluster
	f.mu.Lock()
	defer f.mu.Unlock()
	r := &pb.MemberListResponse{Header: s.header()}
	for _, m := range f.members {
		r.Members = append(r.Members, &pb.Member{ID: m.id, Name: m.name, ClientURLs: []string{"http://" + m.addr},
			PeerURLs: []string{"http://peer-of-" + m.name}, IsLearner: m.id == f.learner})
	}
	return r, nil
}

func (s *fakeServer) Range(_ context.Context, r *pb.RangeRequest) (*pb.RangeResponse, error) {
	s.cluster.mu.Lock()
	defer s.cluster.mu.Unlock()
	if !r.Serializable && (s.noReads || s.cluster.leader == 0) {
		return nil, rpctypes.ErrGRPCNoLeader
	}
	return &pb.RangeResponse{Header: s.header()}, nil
}

// quick is a hurried timing.
var quick = timing{
	poll: 50 * time.Millisecond, pollTimeout: 400 * time.Millisecond, probe: 50 * time.Millisecond, probeTimeout: 400 * time.Millisecond,
	metrics: 100 * time.Millisecond, metricsTimeout: 400 * time.Millisecond, certs: 6 * time.Second, house: 3 * time.Second,
	calmProbe: 50 * time.Millisecond, calmMetrics: 100 * time.Millisecond, attention: time.Hour,
	list: 200 * time.Millisecond, behind: 5 * time.Millisecond, publish: 5 * time.Millisecond,
}

// watch starts a watcher of some endpoints of the fake, all of them when none is given.
func (f *fakeCluster) watch(t *testing.T, endpoints ...string) *Watcher {
	t.Helper()
	if len(endpoints) == 0 {
		for _, m := range f.members {
			endpoints = append(endpoints, "http://"+m.addr)
		}
	}
	c, err := cluster.Open(cluster.Options{ReadOnly: true, Etcd: cluster.EtcdOptions{Endpoints: endpoints, Env: func(string) string { return "" }}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	g := run.NewGroup(context.Background(), func(p run.Panic) { t.Errorf("panic in %s: %v\n%s", p.Name, p.Value, p.Stack) })
	t.Cleanup(g.Stop)
	return newWatcher(g, c.Etcd(), f.timing)
}

// eventually waits for a snapshot that is as it should be: check says what is missing.
func eventually(t *testing.T, w *Watcher, what string, check func(*Snapshot) string) *Snapshot {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(20 * time.Second); ; <-tick.C {
		s := w.Snapshot()
		missing := check(s)
		if missing == "" {
			return s
		}
		if time.Now().After(end) {
			t.Fatalf("%s: %s; last snapshot: %+v", what, missing, s)
		}
	}
}

func (s *Snapshot) named(name string) *MemberRow {
	for _, m := range s.Members {
		if m.Name == name {
			return m
		}
	}
	return &MemberRow{}
}

// allUp is the check of a cluster without troubles.
func allUp(n int) func(*Snapshot) string {
	return func(s *Snapshot) string {
		up := 0
		for _, m := range s.Members {
			if m.Reachable && m.Name != "" && m.Serializable.OK() && (m.Linearizable.OK() || m.IsLearner) {
				up++
			}
		}
		if up != n || len(s.Members) != n || !s.Quorum.Has {
			return fmt.Sprintf("%d of %d members up and named, quorum %+v", up, n, s.Quorum)
		}
		return ""
	}
}
