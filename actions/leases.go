package actions

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"

	"fathom/cluster"
)

// maxLeaseKeys bounds how many of a lease's keys a preview names. All of them are counted.
const maxLeaseKeys = 8

// revokeLease is critical: it deletes keys, of any number.
func revokeLease() Action {
	return Action{
		ID: "leases.revoke", Title: "Revoke lease", Verb: "leaserevoke", Resources: []string{"leases"}, Risk: Critical,
		Preview: previewRevokeLease, Do: doRevokeLease, Verify: verifyRevokeLease,
	}
}

// leaseID is the ID in a target's UID, in hexadecimal.
func leaseID(t Target) (int64, error) {
	bits, err := strconv.ParseUint(t.UID, 16, 64) // who grants one may choose its ID, also a negative one
	id := int64(bits)
	if err != nil || id == 0 {
		return 0, unsent(fmt.Errorf("%q is not the ID of a lease: it is hexadecimal, as etcdctl lease list writes it", t.UID))
	}
	return id, nil
}

// readLease reads how long a lease lasts and which keys it has, from the first member that can say. A nil answer: there is no such
// lease any more.
func readLease(ctx context.Context, c *cluster.Cluster, id int64) (*pb.LeaseTimeToLiveResponse, *etcdConn, error) {
	conns, err := etcdOf(c)
	if err != nil {
		return nil, nil, err
	}
	var errs []error
	for _, conn := range conns {
		read, cancel := context.WithTimeout(ctx, readTimeout/2)
		resp, err := pb.NewLeaseClient(conn.client.ActiveConnection()).LeaseTimeToLive(read, &pb.LeaseTimeToLiveRequest{ID: id, Keys: true})
		cancel()
		switch {
		case err == nil && resp.TTL < 0, errors.Is(rpctypes.Error(err), rpctypes.ErrLeaseNotFound):
			return nil, &conn, nil
		case err == nil:
			return resp, &conn, nil
		case errors.Is(rpctypes.Error(err), rpctypes.ErrPermissionDenied):
			return nil, nil, unsent(fmt.Errorf("read lease %x: %w", id, rpctypes.Error(err)))
		}
		errs = append(errs, fmt.Errorf("%s: %w", conn.endpoint, rpctypes.Error(err)))
	}
	if ctx.Err() == context.Canceled { // by our own end: what was not heard says nothing of the members
		return nil, nil, unsent(fmt.Errorf("read lease %x: %w", id, ctx.Err()))
	}
	return nil, nil, &Refusal{Reason: fmt.Sprintf("no member of etcd can say what lease %x holds (%v): without a leader it cannot be revoked", id, errors.Join(errs...))}
}

func previewRevokeLease(ctx context.Context, c *cluster.Cluster, t Target, _ string) ([]string, error) {
	id, err := leaseID(t)
	if err != nil {
		return nil, err
	}
	l, _, err := readLease(ctx, c, id)
	switch {
	case errors.Is(err, rpctypes.ErrPermissionDenied):
		return nil, &Refusal{Reason: "etcd does not allow it: " + err.Error()}
	case err != nil:
		return nil, err
	case l == nil:
		return nil, &Refusal{Reason: fmt.Sprintf("lease %x has ended already: nothing will be sent", id)}
	}
	lines := []string{fmt.Sprintf("%s, lease %x (%d s of %d s left) will be revoked, and with it %s deleted, at once and without a further question.",
		where(c), id, l.TTL, l.GrantedTTL, plural(int32(min(len(l.Keys), 1<<30)), "key"))}
	kubernetes := 0
	for i, k := range l.Keys {
		if ofKubernetes(c, string(k)) {
			kubernetes++
		}
		switch {
		case i < maxLeaseKeys:
			lines = append(lines, "  "+string(k))
		case i == maxLeaseKeys:
			lines = append(lines, fmt.Sprintf("  and %d more", len(l.Keys)-maxLeaseKeys))
		}
	}
	if kubernetes > 0 {
		lines = append(lines, fmt.Sprintf("Of Kubernetes itself: %s, gone beneath the API server, without finalizers and without a word in its audit log.", plural(int32(kubernetes), "key")))
	}
	return append(lines, "Whoever keeps this lease alive (a lock, an election, a registered service) finds it gone. What it holds can change until then: etcd has no condition for this."), nil
}

func doRevokeLease(ctx context.Context, c *cluster.Cluster, r Request) (string, error) {
	id, err := leaseID(r.Target)
	if err != nil {
		return "", err
	}
	l, conn, err := readLease(ctx, c, id)
	if err != nil {
		return "", err
	}
	if l == nil {
		return "", &ConflictError{Reason: fmt.Sprintf("lease %x has ended already: nothing was sent", id)}
	}
	_, err = pb.NewLeaseClient(conn.client.ActiveConnection()).LeaseRevoke(ctx, &pb.LeaseRevokeRequest{ID: id})
	switch {
	case errors.Is(rpctypes.Error(err), rpctypes.ErrLeaseNotFound):
		return "", &ConflictError{Reason: fmt.Sprintf("lease %x ended before it was revoked: nothing was changed by this", id)}
	case err != nil:
		return "", fmt.Errorf("revoke lease %x through %s: %w", id, conn.endpoint, rpctypes.Error(err))
	}
	return fmt.Sprintf("lease %x is revoked, and %s with it", id, plural(int32(min(len(l.Keys), 1<<30)), "key")), nil
}

func verifyRevokeLease(ctx context.Context, c *cluster.Cluster, r Request) (Status, string, error) {
	id, err := leaseID(r.Target)
	if err != nil {
		return Unknown, "", err
	}
	return settle(ctx, func(ctx context.Context) (Status, string, error) {
		l, _, err := readLease(ctx, c, id)
		switch {
		case err != nil:
			return Unknown, "", err
		case l == nil:
			return Done, fmt.Sprintf("lease %x is gone", id), nil
		}
		return Unknown, fmt.Sprintf("lease %x is there, with %d s left", id, l.TTL), nil
	})
}
