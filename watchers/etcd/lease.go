package etcd

import (
	"context"
	"errors"
	"fmt"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"fathom/cluster"
)

// leaseTimeout bounds how long a key waits for the time to live of its lease: followers ask the leader for it, and there may be
// none.
const leaseTimeout = time.Second

// lease fills in how long the lease of a key lasts. LeaseTimeToLive is a read: no raft entry, and it prolongs nothing.
func (k *Keys) lease(ctx context.Context, kv *KV) {
	m, ok := k.etcd.Member(kv.Member)
	if !ok {
		kv.TTLWhy = "the member is gone"
		return
	}
	ctx, cancel := context.WithTimeout(ctx, leaseTimeout)
	defer cancel()
	r, err := pb.NewLeaseClient(m.Client().ActiveConnection()).LeaseTimeToLive(ctx, &pb.LeaseTimeToLiveRequest{ID: kv.Lease})
	switch {
	case errors.Is(err, cluster.ErrReadOnly):
		kv.TTLWhy = err.Error()
	case err != nil:
		kv.TTLWhy = why(err, leaseTimeout)
	case r.TTL < 0:
		kv.TTLWhy = fmt.Sprintf("lease %x has expired", kv.Lease)
	default:
		kv.TTL, kv.GrantedTTL = time.Duration(r.TTL)*time.Second, time.Duration(r.GrantedTTL)*time.Second
	}
}
