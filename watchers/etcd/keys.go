package etcd

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"fathom/cluster"
	"fathom/internal/run"
)

// Keys reads the key space of an etcd cluster. All its reads but [Keys.GetCurrent] are serializable: they are answered by one member from
// its own store, also when there is no leader, and may be older than what the leader has; every answer says which member gave it and at
// what revision. It is safe for concurrent use.
type Keys struct {
	etcd *cluster.Etcd
	// good is the endpoint that answered last; it is asked first.
	good atomic.Pointer[string]
	// attempt bounds how long one member is waited for before the next one is asked.
	attempt time.Duration
	// many is how many keys a level may hold for its rest to be walked per child; see scan.next.
	many int64

	mu    sync.Mutex
	memos map[string]levelMemo // by prefix
}

// NewKeys makes a reader. It sends nothing.
func NewKeys(e *cluster.Etcd) *Keys { return &Keys{etcd: e, attempt: 2 * time.Second, many: manyKeys} }

// Prefix is the API server's --etcd-prefix, "/registry" when not known otherwise.
func (k *Keys) Prefix() string { return k.etcd.Prefix() }

// Source says who answered a read.
type Source struct {
	Member   string // endpoint
	Revision int64  // of that member's key space when it answered
}

// ErrNoKey is the error of reading a key that does not exist (any more).
var ErrNoKey = errors.New("no such key")

// MaxPage bounds the number of keys of one read.
const MaxPage = 1000

// KV is one key as it is stored.
type KV struct {
	Source
	Key            string // untrusted bytes
	Value          []byte // untrusted; nil when only keys were asked for
	CreateRevision int64
	ModRevision    int64 // an object's resourceVersion
	Version        int64 // number of writes since it was created
	Lease          int64 // 0: none
	// TTL is what is left of the lease when the key was read; negative: not known (TTLWhy says why), or there is no lease.
	TTL, GrantedTTL time.Duration
	TTLWhy          string
}

// PageOf is a part of a range of keys, in the order of their bytes.
type PageOf struct {
	Source
	KVs  []KV
	More bool // there are keys after the last one
}

// Count counts the keys that begin with prefix; the empty prefix counts all. The member walks its index for it, a million keys in
// about a tenth of a second, and reads no values.
func (k *Keys) Count(ctx context.Context, prefix string) (int64, Source, error) {
	r, src, err := k.rangeOn(ctx, &pb.RangeRequest{Key: from(prefix), RangeEnd: prefixEnd(prefix), CountOnly: true})
	if err != nil {
		return 0, src, fmt.Errorf("counting the keys under %q: %w", prefix, err)
	}
	return r.Count, src, nil
}

// Page reads the keys that begin with prefix and sort after the key after (empty: from the first one), at most limit, which is
// bounded by [MaxPage]. With keysOnly no values are sent.
func (k *Keys) Page(ctx context.Context, prefix, after string, limit int, keysOnly bool) (PageOf, error) {
	start := from(prefix)
	if after >= prefix && after != "" {
		start = []byte(after + "\x00")
	}
	r, src, err := k.rangeOn(ctx, &pb.RangeRequest{Key: start, RangeEnd: prefixEnd(prefix), KeysOnly: keysOnly, Limit: int64(min(max(limit, 1), MaxPage))})
	if err != nil {
		return PageOf{Source: src}, fmt.Errorf("reading the keys under %q: %w", prefix, err)
	}
	p := PageOf{Source: src, More: r.More, KVs: make([]KV, len(r.Kvs))}
	for i, kv := range r.Kvs {
		p.KVs[i] = newKV(kv, src)
	}
	return p, nil
}

// Get reads one key, and how long its lease still lasts. The error matches [ErrNoKey] when there is none.
func (k *Keys) Get(ctx context.Context, key string) (KV, error) {
	if key == "" {
		return KV{}, errors.New("reading a key: its name is empty")
	}
	r, src, err := k.rangeOn(ctx, &pb.RangeRequest{Key: []byte(key)})
	if err != nil {
		return KV{Source: src}, fmt.Errorf("reading key %q: %w", key, err)
	}
	return k.single(ctx, key, r, src)
}

// GetCurrent is [Keys.Get] with a quorum behind the answer: what a write is based on. A member that is cut off from its peers answers a
// serializable read for ever with what it had, and a write that is based on that is refused for ever. All members are asked at once, and the
// first that can say is asked first from then on. When none can, in time, it is Get: nothing can be written then, and whoever writes is told so.
func (k *Keys) GetCurrent(ctx context.Context, key string) (KV, error) {
	r, src, ok := k.current(ctx, key)
	if !ok {
		return k.Get(ctx, key)
	}
	return k.single(ctx, key, r, src)
}

func (k *Keys) current(ctx context.Context, key string) (*pb.RangeResponse, Source, bool) {
	members := k.order()
	type answer struct {
		from *cluster.Member
		r    *pb.RangeResponse
	}
	answers := make(chan answer, len(members))
	ctx, cancel := context.WithTimeout(ctx, k.attempt)
	defer cancel()
	g := run.NewGroup(ctx, nil)
	defer g.Stop()
	for _, m := range members {
		g.Go("etcd: read a key with a quorum", func(ctx context.Context) {
			a := answer{from: m}
			defer func() { answers <- a }()
			if r, err := pb.NewKVClient(m.Client().ActiveConnection()).Range(ctx, &pb.RangeRequest{Key: []byte(key)}); err == nil {
				a.r = r
			}
		})
	}
	for range members {
		if a := <-answers; a.r != nil {
			k.good.Store(&a.from.Endpoint)
			return a.r, Source{Member: a.from.Endpoint, Revision: a.r.GetHeader().GetRevision()}, true
		}
	}
	return nil, Source{}, false
}

// single is the answer of a read of one key.
func (k *Keys) single(ctx context.Context, key string, r *pb.RangeResponse, src Source) (KV, error) {
	if len(r.Kvs) == 0 {
		return KV{Source: src}, fmt.Errorf("reading key %q from %s at revision %d: %w", key, src.Member, src.Revision, ErrNoKey)
	}
	kv := newKV(r.Kvs[0], src)
	if kv.Lease != 0 {
		k.lease(ctx, &kv)
	}
	return kv, nil
}

func newKV(kv *mvccpb.KeyValue, src Source) KV {
	return KV{Source: src, Key: string(kv.Key), Value: kv.Value, CreateRevision: kv.CreateRevision, ModRevision: kv.ModRevision,
		Version: kv.Version, Lease: kv.Lease, TTL: -1}
}

// rangeOn asks one member after the other, the one that answered last first, until one answers.
func (k *Keys) rangeOn(ctx context.Context, req *pb.RangeRequest) (*pb.RangeResponse, Source, error) {
	req.Serializable = true
	var errs []string
	for _, m := range k.order() {
		r, err := k.ask(ctx, m, req)
		if err == nil {
			k.good.Store(&m.Endpoint)
			return r, Source{Member: m.Endpoint, Revision: r.GetHeader().GetRevision()}, nil
		}
		if ctx.Err() != nil || errors.Is(err, cluster.ErrReadOnly) || isAnswer(err) {
			return nil, Source{Member: m.Endpoint}, fmt.Errorf("etcd %s: %w", m.Endpoint, plain(err, k.attempt))
		}
		errs = append(errs, fmt.Sprintf("etcd %s: %v", m.Endpoint, plain(err, k.attempt)))
	}
	if len(errs) == 0 {
		return nil, Source{}, errors.New("no etcd endpoint is known; give --etcd-endpoints")
	}
	return nil, Source{}, fmt.Errorf("no member answered: %s", strings.Join(errs, "; "))
}

func (k *Keys) ask(ctx context.Context, m *cluster.Member, req *pb.RangeRequest) (*pb.RangeResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, k.attempt)
	defer cancel()
	// Not clientv3's Get: that one repeats a read on its own until the deadline.
	return pb.NewKVClient(m.Client().ActiveConnection()).Range(ctx, req)
}

// CatchUp waits until the member that is read from has applied what was committed before, for at most the time that one member is waited
// for: after a write of our own its serializable reads then show it. It is one linearizable read; whether it succeeded shows in
// what is read next.
func (k *Keys) CatchUp(ctx context.Context) {
	ms := k.order()
	if len(ms) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, k.attempt)
	defer cancel()
	_, _ = pb.NewKVClient(ms[0].Client().ActiveConnection()).Range(ctx, &pb.RangeRequest{Key: []byte{0}, CountOnly: true})
}

// order is the order in which members are asked.
func (k *Keys) order() []*cluster.Member {
	ms := k.etcd.Members()
	if good := k.good.Load(); good != nil {
		if i := slices.IndexFunc(ms, func(m *cluster.Member) bool { return m.Endpoint == *good }); i > 0 {
			ms[0], ms[i] = ms[i], ms[0]
		}
	}
	return ms
}

// isAnswer reports whether an error is what etcd as a whole says of a request, so that no other member would say otherwise.
func isAnswer(err error) bool {
	switch rpctypes.Error(err) {
	case rpctypes.ErrPermissionDenied, rpctypes.ErrEmptyKey, rpctypes.ErrCompacted, rpctypes.ErrUserEmpty:
		return true
	}
	return false
}

// plain puts an error of a call into words and keeps it for errors.Is.
func plain(err error, timeout time.Duration) error {
	return &callError{text: why(err, timeout), err: rpctypes.Error(err)}
}

type callError struct {
	text string
	err  error
}

func (e *callError) Error() string { return e.text }
func (e *callError) Unwrap() error { return e.err }

// from is where a range that begins with prefix starts: etcd takes an empty key for an error.
func from(prefix string) []byte {
	if prefix == "" {
		return []byte{0}
	}
	return []byte(prefix)
}

// prefixEnd is the end of the range of keys that begin with prefix.
func prefixEnd(prefix string) []byte {
	if prefix == "" {
		return []byte{0} // all keys from the start of the range
	}
	return []byte(clientv3.GetPrefixRangeEnd(prefix))
}
