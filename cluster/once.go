package cluster

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"fathom/cluster/guard"
)

// once is a unary interceptor that lets no call which can change something be sent again. clientv3 sets a retry interceptor for everything on
// its connection, also for what the plain client sends: an answer with the code Canceled or DeadlineExceeded (etcd's "request canceled", or
// of a proxy that lost its patience) is repeated a hundred times, unless our own context has ended. But the change may have been made. Such
// an answer becomes one of the code Unknown, which is not repeated.
func once(
	ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, next grpc.UnaryInvoker, opts ...grpc.CallOption,
) error {
	err := next(ctx, method, req, reply, cc, opts...)
	if err == nil || ctx.Err() != nil || guard.WhyGRPC(method, req) == "" {
		return err
	}
	switch s := status.Convert(err); s.Code() {
	case codes.Canceled, codes.DeadlineExceeded:
		return status.Errorf(codes.Unknown, "the answer is %s: %s", s.Code(), s.Message())
	}
	return err
}
