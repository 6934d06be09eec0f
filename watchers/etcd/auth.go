package etcd

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
)

// Auth asks etcd for its users and roles. All of it but [Keys.AuthGuess] are raft proposals, though they read only: each writes an entry into
// the log and needs a quorum (server/etcdserver/v3_server.go). They are asked for by a hand only, never repeated by itself, and refused in read-only
// mode.
type Auth struct {
	Enabled      bool
	Revision     uint64 // of the auth store
	Users, Roles []string
	Member       string
	At           time.Time
	Proposals    int // how many entries of the raft log asking has cost
}

// AuthRole is what a role may do.
type AuthRole struct {
	Name        string
	Permissions []AuthPermission
}

// AuthPermission is one permission of a role.
type AuthPermission struct {
	Type     string // READ, WRITE, READWRITE
	Key, End string // untrusted; End empty: this key only, "\x00": all keys from Key on
}

// Where says in words which keys a permission is for. Untrusted.
func (p AuthPermission) Where() string {
	switch {
	case p.End == "":
		return "key " + p.Key
	case p.End == "\x00" && (p.Key == "" || p.Key == "\x00"):
		return "all keys"
	case p.End == "\x00":
		return "keys from " + p.Key + " on"
	case p.End == string(prefixEnd(p.Key)):
		return "keys that begin with " + p.Key
	}
	return "keys from " + p.Key + " to " + p.End
}

// AuthGuess is what is known of authentication without a proposal.
type AuthGuess struct {
	On   bool   // certainly: etcd has said so
	Text string // in a sentence
}

// AuthGuess does one read that only a user with all permissions may do, if there are users at all.
func (k *Keys) AuthGuess(ctx context.Context) (AuthGuess, error) {
	// The range has next to no keys, and permissions are asked for the range, not for the keys in it.
	_, src, err := k.rangeOn(ctx, &pb.RangeRequest{Key: []byte("\xff\xff\xff"), RangeEnd: []byte{0}, CountOnly: true, Limit: 1})
	switch {
	case err == nil:
		return AuthGuess{Text: "this user may read every key: authentication is off, or it is on and this is root or nearly so"}, nil
	case errors.Is(err, rpctypes.ErrPermissionDenied):
		return AuthGuess{On: true, Text: fmt.Sprintf("authentication is on: %s does not let this user read all keys", src.Member)}, nil
	case errors.Is(err, rpctypes.ErrUserEmpty):
		return AuthGuess{On: true, Text: fmt.Sprintf("authentication is on: %s knows no user for these credentials; set ETCDCTL_USER, or use a certificate with the user's name as CN", src.Member)}, nil
	}
	return AuthGuess{}, err
}

// authTimeout bounds each of the calls: they need a quorum.
const authTimeout = 5 * time.Second

// Auth asks whether authentication is on, and for the names of the users and roles: three proposals. It asks one member, once: an error says
// how far it came.
func (k *Keys) Auth(ctx context.Context) (Auth, error) {
	var a Auth
	err := k.propose(ctx, "asking for users and roles", func(ctx context.Context, c pb.AuthClient, member string) error {
		a.Member = member
		a.Proposals++
		st, err := c.AuthStatus(ctx, &pb.AuthStatusRequest{})
		if err != nil {
			return err
		}
		a.Enabled, a.Revision = st.Enabled, st.AuthRevision
		a.Proposals++
		us, err := c.UserList(ctx, &pb.AuthUserListRequest{})
		if err != nil {
			return err
		}
		a.Proposals++
		rs, err := c.RoleList(ctx, &pb.AuthRoleListRequest{})
		if err != nil {
			return err
		}
		a.Users, a.Roles = us.Users, rs.Roles
		slices.Sort(a.Users)
		slices.Sort(a.Roles)
		return nil
	})
	a.At = time.Now()
	return a, err
}

// AuthUser asks for the roles of a user: one proposal.
func (k *Keys) AuthUser(ctx context.Context, name string) (roles []string, err error) {
	err = k.propose(ctx, fmt.Sprintf("asking for the roles of user %q", name), func(ctx context.Context, c pb.AuthClient, _ string) error {
		r, err := c.UserGet(ctx, &pb.AuthUserGetRequest{Name: name})
		roles = r.GetRoles()
		return err
	})
	return roles, err
}

// AuthRole asks for the permissions of a role: one proposal.
func (k *Keys) AuthRole(ctx context.Context, name string) (AuthRole, error) {
	role := AuthRole{Name: name}
	err := k.propose(ctx, fmt.Sprintf("asking for the permissions of role %q", name), func(ctx context.Context, c pb.AuthClient, _ string) error {
		r, err := c.RoleGet(ctx, &pb.AuthRoleGetRequest{Role: name})
		for _, p := range r.GetPerm() {
			role.Permissions = append(role.Permissions, AuthPermission{Type: p.PermType.String(), Key: string(p.Key), End: string(p.RangeEnd)})
		}
		return err
	})
	return role, err
}

// propose asks the member that answered last. Another one is not tried: a proposal is not repeated.
func (k *Keys) propose(ctx context.Context, what string, do func(context.Context, pb.AuthClient, string) error) error {
	ms := k.order()
	if len(ms) == 0 {
		return errors.New("no etcd endpoint is known; give --etcd-endpoints")
	}
	ctx, cancel := context.WithTimeout(ctx, authTimeout)
	defer cancel()
	if err := do(ctx, pb.NewAuthClient(ms[0].Client().ActiveConnection()), ms[0].Endpoint); err != nil {
		return fmt.Errorf("%s: etcd %s: %w", what, ms[0].Endpoint, plain(err, authTimeout))
	}
	return nil
}
