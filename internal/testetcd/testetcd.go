// Package testetcd is an etcd of one member for tests: the key space, watches and leases of one, over gRPC on loopback, and able to
// hang, to compact and to refuse. It counts what it is asked.
package testetcd

import (
	"bytes"
	"context"
	"net"
	"slices"
	"sync"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
)

// Server is the fake member. Its revision grows by one with every change.
type Server struct {
	pb.UnimplementedKVServer
	pb.UnimplementedWatchServer
	pb.UnimplementedLeaseServer

	// URL is the client URL.
	URL string

	mu        sync.Mutex
	kvs       []*mvccpb.KeyValue // sorted
	history   []*mvccpb.Event
	revision  int64
	compacted int64
	changed   chan struct{} // closed, and made anew, with every change
	hung      chan struct{} // closed when it goes on; nil: it runs
	refuse    error
	leader    bool // there is one: linearizable reads and writes are served
	ranges    []*pb.RangeRequest
	walked    int64 // keys that ranges went over, as etcd's index does
	ttl       map[int64]int64
	leaseAsks int
}

// Start starts a server that ends with the test.
func Start(t testing.TB) *Server {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{URL: "http://" + l.Addr().String(), revision: 1, changed: make(chan struct{}), ttl: map[int64]int64{}}
	g := grpc.NewServer()
	pb.RegisterKVServer(g, s)
	pb.RegisterWatchServer(g, s)
	pb.RegisterLeaseServer(g, s)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = g.Serve(l) // ends with Stop
	}()
	t.Cleanup(func() {
		s.Continue()
		g.Stop()
		<-done
	})
	return s
}

func (s *Server) change(fn func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fn()
	close(s.changed)
	s.changed = make(chan struct{})
}

func (s *Server) find(key []byte) (int, bool) { return search(s.kvs, key) }

// at is the key space at a revision.
func (s *Server) at(revision int64) []*mvccpb.KeyValue {
	var kvs []*mvccpb.KeyValue
	for _, e := range s.history {
		i, ok := search(kvs, e.Kv.Key)
		switch {
		case e.Kv.ModRevision > revision:
			return kvs
		case e.Type == mvccpb.Event_DELETE:
			kvs = slices.Delete(kvs, i, i+1)
		case ok:
			kvs[i] = e.Kv
		default:
			kvs = slices.Insert(kvs, i, e.Kv)
		}
	}
	return kvs
}

func search(kvs []*mvccpb.KeyValue, key []byte) (int, bool) {
	return slices.BinarySearchFunc(kvs, key, func(kv *mvccpb.KeyValue, k []byte) int { return bytes.Compare(kv.Key, k) })
}

// Set writes a key and returns the revision.
func (s *Server) Set(key, value string) int64 {
	s.change(func() {
		s.revision++
		i, ok := s.find([]byte(key))
		kv := &mvccpb.KeyValue{Key: []byte(key), Value: []byte(value), CreateRevision: s.revision, ModRevision: s.revision, Version: 1}
		ev := &mvccpb.Event{Type: mvccpb.Event_PUT, Kv: kv}
		if ok {
			kv.CreateRevision, kv.Version, kv.Lease = s.kvs[i].CreateRevision, s.kvs[i].Version+1, s.kvs[i].Lease
			ev.PrevKv = s.kvs[i]
			s.kvs[i] = kv
		} else {
			s.kvs = slices.Insert(s.kvs, i, kv)
		}
		s.history = append(s.history, ev)
	})
	return s.Revision()
}

// Delete deletes a key.
func (s *Server) Delete(key string) {
	s.change(func() {
		if i, ok := s.find([]byte(key)); ok {
			s.revision++
			s.history = append(s.history, &mvccpb.Event{Type: mvccpb.Event_DELETE, PrevKv: s.kvs[i],
				Kv: &mvccpb.KeyValue{Key: []byte(key), ModRevision: s.revision}})
			s.kvs = slices.Delete(s.kvs, i, i+1)
		}
	})
}

// Lease attaches a lease to a key.
func (s *Server) Lease(key string, id, ttl int64) {
	s.change(func() {
		if i, ok := s.find([]byte(key)); ok {
			s.kvs[i].Lease = id
			s.ttl[id] = ttl
		}
	})
}

// Revision is the newest one.
func (s *Server) Revision() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.revision
}

// Forget compacts the history before the newest revision away.
func (s *Server) Forget() { s.CompactTo(s.Revision()) }

// CompactTo compacts the history before a revision away.
func (s *Server) CompactTo(revision int64) { s.change(func() { s.compacted = revision }) }

// Rewind goes back to a revision, as a member does that was restored from a backup.
func (s *Server) Rewind(revision int64) {
	s.change(func() {
		s.kvs, s.revision = s.at(revision), revision
		s.history = slices.DeleteFunc(s.history, func(e *mvccpb.Event) bool { return e.Kv.ModRevision > revision })
	})
}

// Hang makes the server silent; Continue lets it go on.
func (s *Server) Hang() { s.change(func() { s.hung = make(chan struct{}) }) }

// Continue ends Hang.
func (s *Server) Continue() {
	s.change(func() {
		if s.hung != nil {
			close(s.hung)
			s.hung = nil
		}
	})
}

// Refuse makes every request fail.
func (s *Server) Refuse(err error) { s.change(func() { s.refuse = err }) }

// Ranges are the range requests so far; walked is how many keys their ranges held, which is what they cost a real member.
func (s *Server) Ranges() (rs []*pb.RangeRequest, walked int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.ranges), s.walked
}

// enter waits while the server hangs.
func (s *Server) enter(ctx context.Context) error {
	s.mu.Lock()
	hung, refuse := s.hung, s.refuse
	s.mu.Unlock()
	if hung != nil {
		select {
		case <-hung:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return refuse
}

func (s *Server) header() *pb.ResponseHeader {
	return &pb.ResponseHeader{ClusterId: 0xc1, MemberId: 1, Revision: s.revision}
}

// Lead gives the member a leader, so that it serves linearizable reads, and writes.
func (s *Server) Lead() { s.change(func() { s.leader = true }) }

// Range implements pb.KVServer. Until [Server.Lead] it refuses what a member without a leader could not serve.
func (s *Server) Range(ctx context.Context, r *pb.RangeRequest) (*pb.RangeResponse, error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ranges = append(s.ranges, r)
	if len(r.Key) == 0 {
		return nil, rpctypes.ErrGRPCEmptyKey
	}
	if !r.Serializable && !s.leader {
		return nil, rpctypes.ErrGRPCNoLeader
	}
	kvs := s.kvs
	switch {
	case r.Revision > s.revision:
		return nil, rpctypes.ErrGRPCFutureRev
	case r.Revision > 0 && r.Revision < s.compacted:
		return nil, rpctypes.ErrGRPCCompacted
	case r.Revision > 0:
		kvs = s.at(r.Revision)
	}
	from, found := search(kvs, r.Key)
	to := from
	switch {
	case len(r.RangeEnd) == 0 && found:
		to = from + 1
	case len(r.RangeEnd) == 0:
	case len(r.RangeEnd) == 1 && r.RangeEnd[0] == 0:
		to = len(kvs)
	default:
		to, _ = search(kvs, r.RangeEnd)
	}
	to = max(to, from)
	s.walked += int64(to - from)
	out := &pb.RangeResponse{Header: s.header(), Count: int64(to - from)}
	if r.CountOnly {
		return out, nil
	}
	for _, kv := range kvs[from:to] {
		if r.Limit > 0 && int64(len(out.Kvs)) == r.Limit {
			out.More = true
			break
		}
		c := &mvccpb.KeyValue{Key: kv.Key, Value: kv.Value, CreateRevision: kv.CreateRevision, ModRevision: kv.ModRevision, Version: kv.Version, Lease: kv.Lease}
		if r.KeysOnly {
			c.Value = nil
		}
		out.Kvs = append(out.Kvs, c)
	}
	return out, nil
}

// Txn implements pb.KVServer: it puts one key if its mod revision is the one that it is compared with. A test writes the key itself before or after it.
func (s *Server) Txn(_ context.Context, r *pb.TxnRequest) (*pb.TxnResponse, error) {
	if len(r.Compare) != 1 || r.Compare[0].Target != pb.Compare_MOD || len(r.Success) != 1 || r.Success[0].GetRequestPut() == nil {
		return nil, status.Error(codes.Unimplemented, "only a put under one comparison of a mod revision")
	}
	put := r.Success[0].GetRequestPut()
	s.mu.Lock()
	leader, resp := s.leader, &pb.TxnResponse{Header: s.header()}
	i, ok := s.find(put.Key)
	resp.Succeeded = !ok && r.Compare[0].GetModRevision() == 0 || ok && r.Compare[0].GetModRevision() == s.kvs[i].ModRevision
	s.mu.Unlock()
	if !leader {
		return nil, rpctypes.ErrGRPCNoLeader
	}
	if resp.Succeeded {
		resp.Header.Revision = s.Set(string(put.Key), string(put.Value))
	}
	return resp, nil
}

// LeaseTimeToLive implements pb.LeaseServer.
func (s *Server) LeaseTimeToLive(ctx context.Context, r *pb.LeaseTimeToLiveRequest) (*pb.LeaseTimeToLiveResponse, error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	ttl, ok := s.ttl[r.ID]
	if !ok {
		ttl = -1
	}
	out := &pb.LeaseTimeToLiveResponse{Header: s.header(), ID: r.ID, TTL: ttl, GrantedTTL: ttl}
	for _, kv := range s.kvs {
		if r.Keys && kv.Lease == r.ID {
			out.Keys = append(out.Keys, kv.Key)
		}
	}
	s.leaseAsks++
	return out, nil
}

// LeaseLeases implements pb.LeaseServer.
func (s *Server) LeaseLeases(ctx context.Context, _ *pb.LeaseLeasesRequest) (*pb.LeaseLeasesResponse, error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	out := &pb.LeaseLeasesResponse{Header: s.header()}
	for id := range s.ttl {
		out.Leases = append(out.Leases, &pb.LeaseStatus{ID: id})
	}
	return out, nil
}

// Grant makes a lease without keys.
func (s *Server) Grant(id, ttl int64) { s.change(func() { s.ttl[id] = ttl }) }

// LeaseAsks is how often somebody has asked for the time to live of a lease.
func (s *Server) LeaseAsks() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.leaseAsks
}

// Watch implements pb.WatchServer: one watch per stream.
func (s *Server) Watch(stream pb.Watch_WatchServer) error {
	ctx := stream.Context()
	if err := s.enter(ctx); err != nil {
		return err
	}
	asks := make(chan *pb.WatchRequest)
	go func() {
		defer close(asks)
		for {
			r, err := stream.Recv()
			if err != nil {
				return
			}
			select {
			case asks <- r:
			case <-ctx.Done():
				return
			}
		}
	}()
	var create *pb.WatchCreateRequest
	next, start := int64(0), int64(0)
	for {
		s.mu.Lock()
		changed := s.changed
		s.mu.Unlock()
		if create != nil {
			if err := s.enter(ctx); err != nil {
				return err
			}
			done, err := s.send(stream, create, &next)
			if err != nil {
				return err
			}
			if done {
				create = nil // the watch is over, its stream is not: clientv3 may else see the stream's end before the answer
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changed:
		case r, ok := <-asks:
			switch {
			case !ok:
				return nil
			case r.GetCreateRequest() != nil:
				create = r.GetCreateRequest()
				start = create.StartRevision
				s.mu.Lock()
				h := s.header()
				s.mu.Unlock()
				if next = create.StartRevision; next == 0 {
					next = h.Revision + 1
				}
				if err := stream.Send(&pb.WatchResponse{Header: h, Created: true}); err != nil {
					return err
				}
			case r.GetProgressRequest() != nil:
				if err := s.enter(ctx); err != nil {
					return err
				}
				s.mu.Lock()
				h := s.header()
				s.mu.Unlock()
				if h.Revision < start { // as etcd: of a watch that begins later than now it tells no progress (mvcc, progressIfSync)
					continue
				}
				if err := stream.Send(&pb.WatchResponse{Header: h, WatchId: -1}); err != nil {
					return err
				}
			}
		}
	}
}

// send sends what has happened since next.
func (s *Server) send(stream pb.Watch_WatchServer, c *pb.WatchCreateRequest, next *int64) (done bool, err error) {
	s.mu.Lock()
	r := &pb.WatchResponse{Header: s.header()}
	if *next < s.compacted {
		r.Canceled, r.CompactRevision = true, s.compacted
		s.mu.Unlock()
		return true, stream.Send(r)
	}
	for _, e := range s.history {
		in := bytes.Equal(e.Kv.Key, c.Key)
		if len(c.RangeEnd) > 0 {
			in = bytes.Compare(e.Kv.Key, c.Key) >= 0 && (len(c.RangeEnd) == 1 && c.RangeEnd[0] == 0 || bytes.Compare(e.Kv.Key, c.RangeEnd) < 0)
		}
		if e.Type == mvccpb.Event_PUT && slices.Contains(c.Filters, pb.WatchCreateRequest_NOPUT) {
			continue
		}
		if e.Kv.ModRevision >= *next && in {
			r.Events = append(r.Events, e)
		}
	}
	*next = max(*next, s.revision+1)
	s.mu.Unlock()
	if len(r.Events) == 0 {
		return false, nil
	}
	return false, stream.Send(r)
}
