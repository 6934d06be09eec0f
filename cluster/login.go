package cluster

import (
	"context"
	"errors"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
)

// login authenticates with user and password (ETCDCTL_USER, ETCDCTL_PASSWORD) on one member's connection, when the first call needs
// it. clientv3 would do so inside New, where it blocks. Each login is a raft proposal, so read-only mode has none.
type login struct {
	user, password string

	mu    sync.Mutex
	conn  grpc.ClientConnInterface
	token string
	off   bool // the server said that authentication is not enabled
}

// GetRequestMetadata implements credentials.PerRPCCredentials.
func (l *login) GetRequestMetadata(ctx context.Context, _ ...string) (map[string]string, error) {
	if ri, ok := credentials.RequestInfoFromContext(ctx); ok && ri.Method == pb.Auth_Authenticate_FullMethodName {
		return nil, nil // the login itself
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.token == "" && !l.off {
		r, err := pb.NewAuthClient(l.conn).Authenticate(ctx, &pb.AuthenticateRequest{Name: l.user, Password: l.password})
		switch {
		case errors.Is(rpctypes.Error(err), rpctypes.ErrAuthNotEnabled):
			l.off = true
		case err != nil:
			return nil, err
		default:
			l.token = r.Token
		}
	}
	if l.off {
		return nil, nil
	}
	return map[string]string{rpctypes.TokenFieldNameGRPC: l.token}, nil
}

// RequireTransportSecurity implements credentials.PerRPCCredentials. etcdctl allows a login without TLS too.
func (l *login) RequireTransportSecurity() bool { return false }

func (l *login) dialOptions() []grpc.DialOption {
	return []grpc.DialOption{grpc.WithPerRPCCredentials(l), grpc.WithChainUnaryInterceptor(l.renew)}
}

// renew repeats a call whose token the server does not take any more, once: it was not performed. Either it has forgotten the token, or the token is
// of before the users or roles were changed (etcd's JWTs), or there is none because authentication was enabled only after we had asked.
func (l *login) renew(
	ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, next grpc.UnaryInvoker, opts ...grpc.CallOption,
) error {
	err := next(ctx, method, req, reply, cc, opts...)
	switch rpctypes.Error(err) {
	case rpctypes.ErrInvalidAuthToken, rpctypes.ErrAuthOldRevision, rpctypes.ErrUserEmpty:
	default:
		return err
	}
	l.mu.Lock()
	l.token, l.off = "", false
	l.mu.Unlock()
	return next(ctx, method, req, reply, cc, opts...)
}
