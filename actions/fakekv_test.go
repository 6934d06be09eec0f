package actions

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
)

// fakeKV is the key space and the leases of a [fakeEtcd]: single keys, and transactions that compare mod revisions.
type fakeKV struct {
	pb.UnimplementedLeaseServer

	mu       sync.Mutex
	revision int64
	keys     map[string]*mvccpb.KeyValue
	leases   map[int64]int64 // seconds
	txns     []*pb.TxnRequest
	// onTxn answers before (nil: go on) and after a transaction took effect.
	onTxn    func() error
	afterTxn func() error
	refuse   error // of every read

	serves bool // the members serve this key space and not the few keys of their own; guarded by fakeEtcd.mu
}

// newFakeKeys is a cluster of n members that serve the key space of its kv.
func newFakeKeys(t *testing.T, n int) *fakeEtcd {
	f := newFakeEtcd(t, n)
	f.kv.serves = true
	return f
}

func (f *fakeEtcd) servesKeys() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.kv.serves
}

// set writes a key past fathom and returns its target.
func (f *fakeKV) set(key, value string, lease int64) Target {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.put(&pb.PutRequest{Key: []byte(key), Value: []byte(value), Lease: lease})
	if lease != 0 {
		if f.leases == nil {
			f.leases = map[int64]int64{}
		}
		f.leases[lease] = 60
	}
	return keyTarget(key, f.keys[key])
}

func (f *fakeKV) remove(key string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.keys, key)
	f.revision++
}

func (f *fakeKV) get(key string) *mvccpb.KeyValue {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.keys[key]
}

func (f *fakeKV) put(r *pb.PutRequest) {
	if f.keys == nil {
		f.keys, f.revision = map[string]*mvccpb.KeyValue{}, 100
	}
	f.revision++
	kv := &mvccpb.KeyValue{Key: r.Key, Value: r.Value, Lease: r.Lease, ModRevision: f.revision, CreateRevision: f.revision, Version: 1}
	if was := f.keys[string(r.Key)]; was != nil {
		kv.CreateRevision, kv.Version = was.CreateRevision, was.Version+1
		if r.IgnoreLease {
			kv.Lease = was.Lease
		}
	}
	f.keys[string(r.Key)] = kv
}

func (f *fakeKV) Range(_ context.Context, r *pb.RangeRequest) (*pb.RangeResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.refuse != nil {
		return nil, f.refuse
	}
	if r.Serializable {
		return nil, errors.New("a write is decided on by a linearizable read")
	}
	return f.read(r), nil
}

func (f *fakeKV) read(r *pb.RangeRequest) *pb.RangeResponse {
	out := &pb.RangeResponse{Header: &pb.ResponseHeader{Revision: f.revision}}
	if kv := f.keys[string(r.Key)]; kv != nil {
		out.Kvs = []*mvccpb.KeyValue{kv}
	}
	return out
}

func (f *fakeKV) Txn(_ context.Context, r *pb.TxnRequest) (*pb.TxnResponse, error) {
	f.mu.Lock()
	on, after := f.onTxn, f.afterTxn
	f.mu.Unlock()
	if on != nil {
		if err := on(); err != nil {
			return nil, err
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.txns = append(f.txns, r)
	out := &pb.TxnResponse{Succeeded: true}
	for _, c := range r.Compare {
		rev := int64(0)
		if kv := f.keys[string(c.Key)]; kv != nil {
			rev = kv.ModRevision
		}
		out.Succeeded = out.Succeeded && c.Target == pb.Compare_MOD && c.Result == pb.Compare_EQUAL && rev == c.GetModRevision()
	}
	ops := r.Success
	if !out.Succeeded {
		ops = r.Failure
	}
	for _, op := range ops {
		switch o := op.Request.(type) {
		case *pb.RequestOp_RequestPut:
			if o.RequestPut.IgnoreLease && f.keys[string(o.RequestPut.Key)] == nil {
				return nil, rpctypes.ErrGRPCKeyNotFound
			}
			f.put(o.RequestPut)
		case *pb.RequestOp_RequestDeleteRange:
			delete(f.keys, string(o.RequestDeleteRange.Key))
			f.revision++
		case *pb.RequestOp_RequestRange:
			out.Responses = append(out.Responses, &pb.ResponseOp{Response: &pb.ResponseOp_ResponseRange{ResponseRange: f.read(o.RequestRange)}})
		}
	}
	out.Header = &pb.ResponseHeader{Revision: f.revision}
	if after != nil {
		return nil, after()
	}
	return out, nil
}

func (f *fakeKV) LeaseTimeToLive(_ context.Context, r *pb.LeaseTimeToLiveRequest) (*pb.LeaseTimeToLiveResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.refuse != nil {
		return nil, f.refuse
	}
	ttl, ok := f.leases[r.ID]
	if !ok {
		return &pb.LeaseTimeToLiveResponse{ID: r.ID, TTL: -1}, nil
	}
	out := &pb.LeaseTimeToLiveResponse{ID: r.ID, TTL: ttl, GrantedTTL: ttl}
	for k, kv := range f.keys {
		if kv.Lease == r.ID && r.Keys {
			out.Keys = append(out.Keys, []byte(k))
		}
	}
	slices.SortFunc(out.Keys, slices.Compare)
	return out, nil
}

func (f *fakeKV) LeaseRevoke(_ context.Context, r *pb.LeaseRevokeRequest) (*pb.LeaseRevokeResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, ok := f.leases[r.ID]; !ok {
		return nil, rpctypes.ErrGRPCLeaseNotFound
	}
	delete(f.leases, r.ID)
	for k, kv := range f.keys {
		if kv.Lease == r.ID {
			delete(f.keys, k)
		}
	}
	f.revision++
	if f.afterTxn != nil {
		return nil, f.afterTxn()
	}
	return &pb.LeaseRevokeResponse{}, nil
}
