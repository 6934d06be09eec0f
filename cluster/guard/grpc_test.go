package guard

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// recordingEtcd accepts every method of every service and notes its name.
type recordingEtcd struct {
	mu   sync.Mutex
	seen []string
}

func (r *recordingEtcd) methods() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.seen)
}

func startRecorder(t *testing.T) (*recordingEtcd, string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &recordingEtcd{}
	s := grpc.NewServer(grpc.UnknownServiceHandler(func(_ any, stream grpc.ServerStream) error {
		m, _ := grpc.MethodFromServerStream(stream)
		r.mu.Lock()
		r.seen = append(r.seen, m)
		r.mu.Unlock()
		return stream.SendMsg(&emptypb.Empty{})
	}))
	done := make(chan struct{})
	go func() { defer close(done); _ = s.Serve(l) }()
	t.Cleanup(func() { s.Stop(); <-done })
	return r, l.Addr().String()
}

var services = []grpc.ServiceDesc{
	pb.KV_ServiceDesc, pb.Watch_ServiceDesc, pb.Lease_ServiceDesc, pb.Cluster_ServiceDesc, pb.Maintenance_ServiceDesc, pb.Auth_ServiceDesc,
}

func allMethods() (unary, streams []string) {
	for _, s := range services {
		for _, m := range s.Methods {
			unary = append(unary, "/"+s.ServiceName+"/"+m.MethodName)
		}
		for _, m := range s.Streams {
			streams = append(streams, "/"+s.ServiceName+"/"+m.StreamName)
		}
	}
	return unary, streams
}

// TestEveryMethod calls every method that etcd's API has, and some that it has not.
func TestEveryMethod(t *testing.T) {
	server, addr := startRecorder(t)
	g := New(true)
	conn, err := grpc.NewClient(addr, append(g.DialOptions(), grpc.WithTransportCredentials(insecure.NewCredentials()))...)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	unary, streams := allMethods()
	if len(unary)+len(streams) < 40 {
		t.Fatalf("only %d methods: has the API moved?", len(unary)+len(streams))
	}
	unary = append(unary, "/v3lockpb.Lock/Lock", "/v3electionpb.Election/Campaign", "/etcdserverpb.KV/range", "/grpc.health.v1.Health/Check")
	allowed := []string{
		"/etcdserverpb.KV/Range", "/etcdserverpb.KV/RangeStream", "/etcdserverpb.Watch/Watch", "/etcdserverpb.Cluster/MemberList", "/etcdserverpb.Maintenance/Status",
		"/etcdserverpb.Maintenance/Hash", "/etcdserverpb.Maintenance/HashKV", "/etcdserverpb.Lease/LeaseTimeToLive", "/etcdserverpb.Lease/LeaseLeases",
	}
	check := func(method string, err error) {
		t.Helper()
		if slices.Contains(allowed, method) {
			if err != nil {
				t.Errorf("%s: %v", method, err)
			}
			return
		}
		var r *Refused
		if !errors.As(err, &r) || !errors.Is(err, ErrReadOnly) || r.Path != method || r.Why == "" {
			t.Errorf("%s is not refused: %v", method, err)
		}
	}
	for _, m := range unary {
		check(m, conn.Invoke(ctx, m, &emptypb.Empty{}, &emptypb.Empty{}))
	}
	for _, m := range streams {
		s, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, m)
		if err == nil {
			_ = s.CloseSend()
			err = s.RecvMsg(&emptypb.Empty{})
		}
		check(m, err)
	}
	seen := server.methods()
	slices.Sort(seen)
	slices.Sort(allowed)
	if !slices.Equal(seen, allowed) {
		t.Errorf("the server saw\n%s\nwant\n%s", strings.Join(seen, "\n"), strings.Join(allowed, "\n"))
	}
}

func TestTxnBody(t *testing.T) {
	rng := &pb.RequestOp{Request: &pb.RequestOp_RequestRange{RequestRange: &pb.RangeRequest{Key: []byte("a")}}}
	put := &pb.RequestOp{Request: &pb.RequestOp_RequestPut{RequestPut: &pb.PutRequest{Key: []byte("a")}}}
	del := &pb.RequestOp{Request: &pb.RequestOp_RequestDeleteRange{RequestDeleteRange: &pb.DeleteRangeRequest{Key: []byte("a")}}}
	nest := func(inner *pb.TxnRequest) *pb.RequestOp {
		return &pb.RequestOp{Request: &pb.RequestOp_RequestTxn{RequestTxn: inner}}
	}
	txn := func(success []*pb.RequestOp, failure ...*pb.RequestOp) *pb.TxnRequest {
		return &pb.TxnRequest{Success: success, Failure: failure}
	}
	ops := func(o ...*pb.RequestOp) []*pb.RequestOp { return o }
	deep := txn(ops(rng))
	for range maxTxnDepth + 1 {
		deep = txn(ops(nest(deep)))
	}
	for name, c := range map[string]struct {
		req   any
		allow bool
	}{
		"empty":                   {&pb.TxnRequest{}, true},
		"ranges":                  {txn(ops(rng, rng), rng), true},
		"ranges, nested":          {txn(ops(nest(txn(ops(rng), nest(txn(ops(rng))))))), true},
		"put":                     {txn(ops(put)), false},
		"delete":                  {txn(ops(rng, del)), false},
		"put in failure":          {txn(ops(rng), put), false},
		"put, nested":             {txn(ops(nest(txn(nil, nest(txn(ops(put))))))), false},
		"operation without body":  {txn(ops(&pb.RequestOp{})), false},
		"nil operation":           {txn(ops(nil)), false},
		"nested nil":              {txn(ops(nest(nil))), false},
		"too deep":                {deep, false},
		"not a transaction":       {&pb.PutRequest{}, false},
		"nothing, as on a stream": {nil, false},
	} {
		if got := WhyGRPC(pb.KV_Txn_FullMethodName, c.req) == ""; got != c.allow {
			t.Errorf("%s: allowed is %v", name, got)
		}
	}
}

// TestClientv3 goes through etcd's own client, with its retries and its connections of its own for maintenance.
func TestClientv3(t *testing.T) {
	server, addr := startRecorder(t)
	g := New(true)
	c, err := clientv3.New(clientv3.Config{Endpoints: []string{"http://" + addr}, DialOptions: g.DialOptions(), Logger: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for name, call := range map[string]func() error{
		"put":       func() error { _, err := c.Put(ctx, "a", "b"); return err },
		"delete":    func() error { _, err := c.Delete(ctx, "a"); return err },
		"txn":       func() error { _, err := c.Txn(ctx).Then(clientv3.OpPut("a", "b")).Commit(); return err },
		"compact":   func() error { _, err := c.Compact(ctx, 1); return err },
		"grant":     func() error { _, err := c.Grant(ctx, 5); return err },
		"keepalive": func() error { _, err := c.KeepAliveOnce(ctx, 5); return err },
		"alarms":    func() error { _, err := c.AlarmList(ctx); return err },
		"disarm":    func() error { _, err := c.AlarmDisarm(ctx, &clientv3.AlarmMember{}); return err },
		"defrag":    func() error { _, err := c.Defragment(ctx, "http://"+addr); return err },
		"move":      func() error { _, err := c.MoveLeader(ctx, 1); return err },
		"snapshot":  func() error { _, err := c.Snapshot(ctx); return err },
		"remove":    func() error { _, err := c.MemberRemove(ctx, 1); return err },
		"users":     func() error { _, err := c.UserList(ctx); return err },
		"downgrade": func() error { _, err := c.Downgrade(ctx, clientv3.DowngradeCancel, ""); return err },
	} {
		if err := call(); !errors.Is(err, ErrReadOnly) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if seen := server.methods(); len(seen) != 0 {
		t.Errorf("the server saw %v", seen)
	}
	if _, err := c.Get(ctx, "a"); err != nil {
		t.Error(err)
	}
	if _, err := c.Status(ctx, "http://"+addr); err != nil {
		t.Error(err)
	}
	if _, err := c.Txn(ctx).Then(clientv3.OpGet("a")).Commit(); err != nil && errors.Is(err, ErrReadOnly) {
		t.Error(err)
	}
	if seen := server.methods(); !slices.Contains(seen, pb.KV_Range_FullMethodName) || !slices.Contains(seen, pb.KV_Txn_FullMethodName) {
		t.Errorf("the server saw %v", seen)
	}
}

// TestEveryAttemptIsJudged: the guard stands beneath the retry interceptor.
func TestEveryAttemptIsJudged(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer(grpc.UnknownServiceHandler(func(any, grpc.ServerStream) error {
		return status.Error(codes.Unavailable, "etcdserver: leader changed")
	}))
	done := make(chan struct{})
	go func() { defer close(done); _ = s.Serve(l) }()
	t.Cleanup(func() { s.Stop(); <-done })
	g := New(false)
	c, err := clientv3.New(clientv3.Config{
		Endpoints: []string{"http://" + l.Addr().String()}, DialOptions: g.DialOptions(), Logger: zap.NewNop(),
		MaxUnaryRetries: 4, BackoffWaitBetween: time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if _, err := c.Get(ctx, "a"); err == nil {
		t.Error("no error")
	}
	if n := g.Counts().Sent; n < 2 {
		t.Errorf("%d attempts counted: the retry interceptor is gone, or stands beneath the guard", n)
	}
}
