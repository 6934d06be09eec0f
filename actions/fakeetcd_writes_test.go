package actions

import (
	"context"
	"fmt"
	"net"
	"slices"
	"sync"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
)

// connections are those a listener has accepted.
type connections struct {
	net.Listener
	mu    sync.Mutex
	conns []net.Conn
}

func (c *connections) Accept() (net.Conn, error) {
	conn, err := c.Listener.Accept()
	if err == nil {
		c.mu.Lock()
		c.conns = append(c.conns, conn)
		c.mu.Unlock()
	}
	return conn, err
}

// cut ends every connection there is; new ones are accepted.
func (c *connections) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, conn := range c.conns {
		conn.Close()
	}
	c.conns = nil
}

// cluster is the target of what is done to the whole cluster.
func (f *fakeEtcd) clusterTarget() Target {
	return Target{Kind: "Etcd", Resource: "etcd", Name: "prod", UID: "c1", Detail: map[string]string{"revision": "5000", "nextName": "etcd-4"}}
}

// nospace raises the alarm, with databases at the quota; a defragmentation brings them down.
func (f *fakeEtcd) nospace(members ...uint64) {
	f.quota = 201 << 20
	for _, id := range members {
		f.alarms = append(f.alarms, &pb.AlarmMember{MemberID: id, Alarm: pb.AlarmType_NOSPACE})
	}
}

// corruption are alarms about members, of which 0 is none in particular.
func corruption(members ...uint64) []*pb.AlarmMember {
	var out []*pb.AlarmMember
	for _, id := range members {
		out = append(out, &pb.AlarmMember{MemberID: id, Alarm: pb.AlarmType_CORRUPT})
	}
	return out
}

func (m *fakeMember) Alarm(_ context.Context, req *pb.AlarmRequest) (*pb.AlarmResponse, error) {
	f := m.cluster
	f.mu.Lock()
	defer f.mu.Unlock()
	if req.Action == pb.AlarmRequest_DEACTIVATE {
		f.alarms = slices.DeleteFunc(f.alarms, func(a *pb.AlarmMember) bool { return a.MemberID == req.MemberID && a.Alarm == req.Alarm })
	}
	return &pb.AlarmResponse{Header: m.header(), Alarms: f.alarms}, nil
}

func (m *fakeMember) Compact(_ context.Context, req *pb.CompactionRequest) (*pb.CompactionResponse, error) {
	f := m.cluster
	f.mu.Lock()
	defer f.mu.Unlock()
	if req.Revision <= f.compacted {
		return nil, rpctypes.ErrGRPCCompacted
	}
	f.compacted = req.Revision
	return &pb.CompactionResponse{Header: m.header()}, nil
}

func (m *fakeMember) Range(ctx context.Context, req *pb.RangeRequest) (*pb.RangeResponse, error) {
	f := m.cluster
	if f.servesKeys() {
		return f.kv.Range(ctx, req)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if req.Revision > 0 && req.Revision < f.compacted {
		return nil, rpctypes.ErrGRPCCompacted
	}
	resp := &pb.RangeResponse{Header: m.header()}
	if _, ok := f.keys[string(req.Key)]; ok {
		resp.Count = 1
	}
	return resp, nil
}

func (m *fakeMember) Txn(ctx context.Context, req *pb.TxnRequest) (*pb.TxnResponse, error) {
	f := m.cluster
	if f.servesKeys() {
		return f.kv.Txn(ctx, req)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, op := range req.Success {
		if len(f.alarms) > 0 {
			return nil, rpctypes.ErrGRPCNoSpace
		}
		if p := op.GetRequestPut(); p != nil {
			f.keys[string(p.Key)] = string(p.Value)
		}
		if d := op.GetRequestDeleteRange(); d != nil {
			delete(f.keys, string(d.Key))
		}
	}
	f.revision++
	return &pb.TxnResponse{Header: m.header(), Succeeded: true}, nil
}

// Watch tells what was compacted and no more.
func (m *fakeMember) Watch(s pb.Watch_WatchServer) error {
	if _, err := s.Recv(); err != nil {
		return err
	}
	m.cluster.mu.Lock()
	header, at := m.header(), m.cluster.compacted
	m.cluster.mu.Unlock()
	if err := s.Send(&pb.WatchResponse{Header: header, Created: true}); err != nil {
		return err
	}
	if err := s.Send(&pb.WatchResponse{Header: header, Canceled: true, CompactRevision: at}); err != nil {
		return err
	}
	<-s.Context().Done()
	return s.Context().Err()
}

func (m *fakeMember) MemberAdd(_ context.Context, req *pb.MemberAddRequest) (*pb.MemberAddResponse, error) {
	f := m.cluster
	f.mu.Lock()
	defer f.mu.Unlock()
	added := &fakeMember{cluster: f, id: uint64(len(f.members) + 1), peers: req.PeerURLs, learner: req.IsLearner}
	f.members = append(f.members, added)
	return &pb.MemberAddResponse{Header: m.header(), Member: &pb.Member{ID: added.id, PeerURLs: added.peers, IsLearner: added.learner}}, nil
}

func (m *fakeMember) MemberRemove(_ context.Context, req *pb.MemberRemoveRequest) (*pb.MemberRemoveResponse, error) {
	f := m.cluster
	f.mu.Lock()
	defer f.mu.Unlock()
	f.members = slices.DeleteFunc(slices.Clone(f.members), func(o *fakeMember) bool { return o.id == req.ID })
	return &pb.MemberRemoveResponse{Header: m.header()}, nil
}

func (f *fakeEtcd) member(id uint64) (*fakeMember, error) {
	for _, m := range f.members {
		if m.id == id {
			return m, nil
		}
	}
	return nil, fmt.Errorf("no member %x: %w", id, rpctypes.ErrGRPCMemberNotFound)
}

func (m *fakeMember) MemberPromote(_ context.Context, req *pb.MemberPromoteRequest) (*pb.MemberPromoteResponse, error) {
	f := m.cluster
	f.mu.Lock()
	defer f.mu.Unlock()
	o, err := f.member(req.ID)
	if err != nil {
		return nil, err
	}
	o.learner = false
	return &pb.MemberPromoteResponse{Header: m.header()}, nil
}

func (m *fakeMember) MemberUpdate(_ context.Context, req *pb.MemberUpdateRequest) (*pb.MemberUpdateResponse, error) {
	f := m.cluster
	f.mu.Lock()
	defer f.mu.Unlock()
	o, err := f.member(req.ID)
	if err != nil {
		return nil, err
	}
	o.peers = req.PeerURLs
	return &pb.MemberUpdateResponse{Header: m.header()}, nil
}
