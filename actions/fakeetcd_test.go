package actions

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc"
)

// fakeEtcd is a cluster of gRPC servers that answer Status and MemberList and record everything they are asked.
type fakeEtcd struct {
	mu      sync.Mutex
	members []*fakeMember
	leader  uint64
	term    uint64
	calls   []string // "etcd-1 /etcdserverpb.Maintenance/MoveLeader"
	// onMove answers MoveLeader in the place of the default, which moves.
	onMove func(ctx context.Context, target uint64) error
	// snapshot is what a member sends; onChunk is called before each piece of it.
	snapshot []byte
	onChunk  func(ctx context.Context, sent int) error
	// onDefragment answers Defragment after the size was changed.
	onDefragment func(ctx context.Context) error
	// onRead is called before a member list, a key or a lease is read; the caller gets no answer then.
	onRead func()
	// cut names a method ("MemberAdd") whose caller loses its connection once it has been done.
	cut       string
	revision  int64
	compacted int64
	alarms    []*pb.AlarmMember
	keys      map[string]string
	quota     int64
	kv        fakeKV // the same on all members
}

type fakeMember struct {
	pb.UnimplementedMaintenanceServer
	pb.UnimplementedClusterServer
	pb.UnimplementedKVServer
	pb.UnimplementedWatchServer
	conns    *connections
	peers    []string
	version  string
	cluster  *fakeEtcd
	id       uint64
	name     string
	endpoint string
	server   *grpc.Server

	learner   bool
	apart     bool // cut off from its peers
	commit    uint64
	applied   uint64
	size, use int64
	errors    []string
}

func newFakeEtcd(t *testing.T, n int) *fakeEtcd {
	t.Helper()
	f := &fakeEtcd{leader: 1, term: 4, revision: 5000, compacted: 3000, keys: map[string]string{}, quota: 2 << 30}
	for i := range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		m := &fakeMember{
			cluster: f, id: uint64(i + 1), name: fmt.Sprintf("etcd-%d", i+1), endpoint: "http://" + l.Addr().String(),
			commit: 100, applied: 100, size: 200 << 20, use: 50 << 20, version: "3.6.8",
			peers: []string{fmt.Sprintf("https://10.0.0.%d:2380", i+1)}, conns: &connections{Listener: l},
		}
		m.server = grpc.NewServer(grpc.UnaryInterceptor(m.record), grpc.StreamInterceptor(m.recordStream))
		pb.RegisterMaintenanceServer(m.server, m)
		pb.RegisterClusterServer(m.server, m)
		pb.RegisterKVServer(m.server, m)
		pb.RegisterWatchServer(m.server, m)
		pb.RegisterLeaseServer(m.server, &f.kv)
		served := make(chan struct{})
		go func() {
			defer close(served)
			m.server.Serve(m.conns) // ends with Stop
		}()
		t.Cleanup(func() {
			m.server.Stop()
			<-served
		})
		f.members = append(f.members, m)
	}
	return f
}

func (f *fakeEtcd) endpoints() []string {
	var out []string
	for _, m := range f.members {
		out = append(out, m.endpoint)
	}
	return out
}

func (f *fakeEtcd) target(n int) Target {
	m := f.members[n-1]
	return Target{
		Kind: "Member", Resource: "members", Name: m.name, Member: m.id, Endpoint: m.endpoint,
		Detail: map[string]string{"dbSize": fmt.Sprint(m.size)},
	}
}

func (f *fakeEtcd) change(fn func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	fn()
}

// mutations are the calls that arrived and are no reads.
func (f *fakeEtcd) mutations() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(f.calls), func(c string) bool {
		return slices.Contains([]string{"Maintenance/Status", "Cluster/MemberList", "KV/Range", "Watch/Watch", "Lease/LeaseTimeToLive"}, c[slices.Index([]byte(c), '.')+1:])
	})
}

func (m *fakeMember) record(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	m.cluster.change(func() { m.cluster.calls = append(m.cluster.calls, m.name+" "+info.FullMethod) })
	m.cluster.mu.Lock()
	on := m.cluster.onRead
	m.cluster.mu.Unlock()
	if name := info.FullMethod[strings.LastIndex(info.FullMethod, "/")+1:]; on != nil && slices.Contains([]string{"MemberList", "Range", "LeaseTimeToLive"}, name) {
		on()
		<-ctx.Done()
		return nil, ctx.Err()
	}
	resp, err := handler(ctx, req)
	if cut := m.cluster.cut; cut != "" && strings.HasSuffix(info.FullMethod, "/"+cut) {
		m.conns.cut()
	}
	return resp, err
}

func (m *fakeMember) recordStream(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	m.cluster.change(func() { m.cluster.calls = append(m.cluster.calls, m.name+" "+info.FullMethod) })
	return handler(srv, ss)
}

func (m *fakeMember) header() *pb.ResponseHeader {
	return &pb.ResponseHeader{ClusterId: 0xc1, MemberId: m.id, RaftTerm: m.cluster.term, Revision: m.cluster.revision}
}

func (m *fakeMember) Status(context.Context, *pb.StatusRequest) (*pb.StatusResponse, error) {
	f := m.cluster
	f.mu.Lock()
	defer f.mu.Unlock()
	errs := slices.Clone(m.errors)
	for _, a := range f.alarms {
		errs = append(errs, fmt.Sprintf("memberID:%d alarm:%s ", a.MemberID, a.Alarm))
	}
	lead := f.leader
	if m.apart {
		lead, errs = 0, append(errs, "etcdserver: no leader")
	}
	return &pb.StatusResponse{
		Header: m.header(), DbSizeQuota: f.quota, Version: m.version, Leader: lead, RaftTerm: f.term, RaftIndex: m.commit, RaftAppliedIndex: m.applied,
		DbSize: m.size, DbSizeInUse: m.use, IsLearner: m.learner, Errors: errs,
	}, nil
}

func (m *fakeMember) MemberList(context.Context, *pb.MemberListRequest) (*pb.MemberListResponse, error) {
	f := m.cluster
	f.mu.Lock()
	defer f.mu.Unlock()
	resp := &pb.MemberListResponse{Header: m.header()}
	for _, o := range f.members {
		resp.Members = append(resp.Members, &pb.Member{ID: o.id, Name: o.name, PeerURLs: o.peers, ClientURLs: []string{o.endpoint}, IsLearner: o.learner})
	}
	return resp, nil
}

func (m *fakeMember) MoveLeader(ctx context.Context, req *pb.MoveLeaderRequest) (*pb.MoveLeaderResponse, error) {
	f := m.cluster
	f.mu.Lock()
	on := f.onMove
	f.mu.Unlock()
	if on != nil {
		if err := on(ctx, req.TargetID); err != nil {
			return nil, err
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.leader != m.id {
		return nil, rpctypes.ErrGRPCNotLeader
	}
	f.leader, f.term = req.TargetID, f.term+1
	return &pb.MoveLeaderResponse{Header: m.header()}, nil
}

func (m *fakeMember) Defragment(ctx context.Context, _ *pb.DefragmentRequest) (*pb.DefragmentResponse, error) {
	f := m.cluster
	f.mu.Lock()
	m.size = m.use
	on := f.onDefragment
	f.mu.Unlock()
	if on != nil {
		if err := on(ctx); err != nil {
			return nil, err
		}
	}
	return &pb.DefragmentResponse{Header: m.header()}, nil
}

// Snapshot implements pb.MaintenanceServer as etcd does: pieces, what remains, and the checksum at the end.
func (m *fakeMember) Snapshot(_ *pb.SnapshotRequest, stream pb.Maintenance_SnapshotServer) error {
	f := m.cluster
	f.mu.Lock()
	data, on := f.snapshot, f.onChunk
	f.mu.Unlock()
	const piece = 4096
	for sent := 0; sent < len(data); sent += piece {
		if on != nil {
			if err := on(stream.Context(), sent); err != nil {
				return err
			}
		}
		end := min(sent+piece, len(data))
		if err := stream.Send(&pb.SnapshotResponse{Blob: data[sent:end], RemainingBytes: uint64(len(data) - end)}); err != nil {
			return err
		}
	}
	return nil
}
