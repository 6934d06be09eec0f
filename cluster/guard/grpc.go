package guard

import (
	"context"

	"google.golang.org/grpc"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
)

// reads are the gRPC methods of etcd that change nothing: no key, no lease, no membership, and no raft entry. Not among them,
// though their names sound like it: Alarm (also GET), AuthStatus, UserGet, UserList, RoleGet and RoleList, which are raft
// proposals; Authenticate, which is one too when authentication is on; Snapshot, which carries every Secret away; and
// LeaseKeepAlive, which prolongs a lease.
var reads = map[string]bool{
	pb.KV_Range_FullMethodName:              true,
	pb.KV_RangeStream_FullMethodName:        true, // etcd 3.7
	pb.Watch_Watch_FullMethodName:           true,
	pb.Cluster_MemberList_FullMethodName:    true,
	pb.Maintenance_Status_FullMethodName:    true,
	pb.Maintenance_Hash_FullMethodName:      true,
	pb.Maintenance_HashKV_FullMethodName:    true,
	pb.Lease_LeaseTimeToLive_FullMethodName: true,
	pb.Lease_LeaseLeases_FullMethodName:     true,
}

var methodWhy = map[string]string{
	pb.Maintenance_Alarm_FullMethodName:    "every alarm request, also a GET, is a raft proposal",
	pb.Auth_AuthStatus_FullMethodName:      "it is a raft proposal",
	pb.Auth_UserGet_FullMethodName:         "it is a raft proposal",
	pb.Auth_UserList_FullMethodName:        "it is a raft proposal",
	pb.Auth_RoleGet_FullMethodName:         "it is a raft proposal",
	pb.Auth_RoleList_FullMethodName:        "it is a raft proposal",
	pb.Auth_Authenticate_FullMethodName:    "a login with user and password is a raft proposal; a client certificate is not",
	pb.Maintenance_Snapshot_FullMethodName: "a snapshot carries every key and Secret away",
	pb.Lease_LeaseKeepAlive_FullMethodName: "it prolongs a lease",
}

// WhyGRPC says why read-only mode does not send a call; "" means that it does. method is the full name ("/etcdserverpb.KV/Txn");
// req is the request message, nil for a stream.
func WhyGRPC(method string, req any) string {
	if reads[method] {
		return ""
	}
	if method == pb.KV_Txn_FullMethodName {
		if txn, ok := req.(*pb.TxnRequest); ok && readsOnly(txn, 0) {
			return ""
		}
		return "the transaction is not of ranges only"
	}
	if why, ok := methodWhy[method]; ok {
		return why
	}
	return "it is not known to be read-only"
}

// maxTxnDepth is far beyond what etcd accepts.
const maxTxnDepth = 8

// readsOnly reports whether a transaction, whichever branch is taken and however deep it nests, holds nothing but ranges.
func readsOnly(txn *pb.TxnRequest, depth int) bool {
	if txn == nil || depth > maxTxnDepth {
		return false
	}
	for _, ops := range [][]*pb.RequestOp{txn.Success, txn.Failure} {
		for _, op := range ops {
			switch r := op.GetRequest().(type) {
			case *pb.RequestOp_RequestRange:
			case *pb.RequestOp_RequestTxn:
				if !readsOnly(r.RequestTxn, depth+1) {
					return false
				}
			default:
				return false
			}
		}
	}
	return true
}

// DialOptions are for every gRPC connection. The interceptors are chained, so that they stand beneath the retry interceptor that
// clientv3 sets, which a plain grpc.WithUnaryInterceptor would replace: every attempt is judged.
func (g *Guard) DialOptions() []grpc.DialOption {
	return []grpc.DialOption{grpc.WithChainUnaryInterceptor(g.unary), grpc.WithChainStreamInterceptor(g.stream)}
}

func (g *Guard) unary(
	ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, next grpc.UnaryInvoker, opts ...grpc.CallOption,
) error {
	if err := g.judge("gRPC", method, WhyGRPC(method, req)); err != nil {
		return err
	}
	return next(ctx, method, req, reply, cc, opts...)
}

func (g *Guard) stream(
	ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, next grpc.Streamer, opts ...grpc.CallOption,
) (grpc.ClientStream, error) {
	if err := g.judge("gRPC", method, WhyGRPC(method, nil)); err != nil {
		return nil, err
	}
	return next(ctx, desc, cc, method, opts...)
}
