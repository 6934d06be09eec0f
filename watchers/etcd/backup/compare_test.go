package backup

import (
	"context"
	"net"
	"testing"

	"google.golang.org/grpc"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"fathom/cluster"
)

// oneMember is a live cluster of one member, at revision 100.
type oneMember struct {
	pb.UnimplementedKVServer
	pb.UnimplementedMaintenanceServer
	pb.UnimplementedClusterServer
}

var header = &pb.ResponseHeader{ClusterId: 0xc1, MemberId: 0xa, Revision: 100}

func (oneMember) Status(context.Context, *pb.StatusRequest) (*pb.StatusResponse, error) {
	return &pb.StatusResponse{Header: header, Leader: 0xa}, nil
}

func (oneMember) MemberList(context.Context, *pb.MemberListRequest) (*pb.MemberListResponse, error) {
	return &pb.MemberListResponse{Header: header, Members: []*pb.Member{{ID: 0xa, Name: "etcd-1"}}}, nil
}

func (oneMember) HashKV(context.Context, *pb.HashKVRequest) (*pb.HashKVResponse, error) {
	return &pb.HashKVResponse{Header: header, Hash: 7}, nil
}

func (oneMember) Range(context.Context, *pb.RangeRequest) (*pb.RangeResponse, error) {
	return &pb.RangeResponse{Header: header, Count: 3}, nil
}

// A restored member that has not got to the revision of its file has failed the drill; what it does not hold is not compared with the live cluster.
func TestARestoredMemberThatIsBehindItsFile(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := grpc.NewServer()
	pb.RegisterKVServer(g, oneMember{})
	pb.RegisterMaintenanceServer(g, oneMember{})
	pb.RegisterClusterServer(g, oneMember{})
	done := make(chan struct{})
	go func() { defer close(done); _ = g.Serve(l) }() // ends with Stop
	defer func() { g.Stop(); <-done }()
	c, err := cluster.OpenEtcd(cluster.EtcdOptions{Endpoints: []string{"http://" + l.Addr().String()}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	m := &restored{member: c.Etcd().Members()[0], inside: &Inside{Revision: 200, Members: []Member{{ID: "a"}}}}
	r := &Report{Inside: m.inside}
	if err := m.compare(t.Context(), r); err != nil || r.Verdict != Failed {
		t.Fatalf("%v, %+v", err, r)
	}
	m.inside.Revision = 50 // of the live cluster's, which is the same server here
	m.compareLive(t.Context(), r, c.Etcd())
	if n := len(r.Checks); r.Checks[n-1].Name != CheckCluster || r.Checks[n-1].Verdict != Unknown {
		t.Errorf("%+v", r.Checks)
	}
}
