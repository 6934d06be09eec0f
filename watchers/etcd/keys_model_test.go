package etcd

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"sort"
	"strings"
	"sync"
	"testing"

	"google.golang.org/grpc"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"

	"fathom/cluster"
)

// keySpace is an etcd of keys only. As the real one it visits every key of a range whatever the limit, and counts what it visits.
type keySpace struct {
	pb.UnimplementedKVServer
	mu      sync.Mutex
	keys    []string
	calls   int
	visited int
}

func (s *keySpace) Range(_ context.Context, r *pb.RangeRequest) (*pb.RangeResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i, j := sort.SearchStrings(s.keys, string(r.Key)), len(s.keys)
	if string(r.RangeEnd) != "\x00" {
		j = max(i, sort.SearchStrings(s.keys, string(r.RangeEnd)))
	}
	s.calls++
	s.visited += j - i
	out := &pb.RangeResponse{Header: &pb.ResponseHeader{Revision: 7}, Count: int64(j - i)}
	if r.CountOnly {
		return out, nil
	}
	for _, k := range s.keys[i:j] {
		if out.More = int64(len(out.Kvs)) == r.Limit; out.More {
			break
		}
		out.Kvs = append(out.Kvs, &mvccpb.KeyValue{Key: []byte(k)})
	}
	return out, nil
}

func (s *keySpace) set(keys []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	slices.Sort(keys)
	s.keys, s.calls, s.visited = slices.Compact(keys), 0, 0
}

func (s *keySpace) serve(t testing.TB) *Keys {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv, done := grpc.NewServer(), make(chan struct{})
	pb.RegisterKVServer(srv, s)
	go func() {
		defer close(done)
		_ = srv.Serve(l) // ends with Stop
	}()
	t.Cleanup(func() {
		srv.Stop()
		<-done
	})
	c, err := cluster.Open(cluster.Options{Etcd: cluster.EtcdOptions{Endpoints: []string{"http://" + l.Addr().String()}, Env: func(string) string { return "" }}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return NewKeys(c.Etcd())
}

// levelOf lists a level by looking at every key.
func levelOf(keys []string, prefix string) []Child {
	var out []Child
	for _, k := range keys {
		if !strings.HasPrefix(k, prefix) {
			continue
		}
		c := childOf(prefix, k)
		if i := slices.IndexFunc(out, func(o Child) bool { return o.Key == c.Key && o.Leaf == c.Leaf }); i >= 0 {
			out[i].Count++
			continue
		}
		c.Count = 1
		out = append(out, c)
	}
	return out
}

// TestChildrenAreWhatAListWouldShow compares levels, in pages of several sizes, with those of a list of all keys: names that are
// prefixes of each other, bytes around the separator, empty names, and bytes that end no range.
func TestChildrenAreWhatAListWouldShow(t *testing.T) {
	s := &keySpace{}
	k := s.serve(t)
	rnd := rand.New(rand.NewPCG(1, 2))
	parts := []string{"/", "/", "a", "b", "-", "\x00", "\xff", "0", ".", "ab", "\xfe"}
	for n := range 30 {
		k.many = []int64{manyKeys, 3}[n%2] // with narrow ranges and without
		var keys []string
		for range rnd.IntN(40) {
			key := strings.Repeat("/", min(1, rnd.IntN(3)))
			for range 1 + rnd.IntN(6) {
				key += parts[rnd.IntN(len(parts))]
			}
			keys = append(keys, key)
		}
		s.set(keys)
		for _, prefix := range []string{"", "/", "/a/", "a/", "/\xff/", "//"} {
			want := levelOf(s.keys, prefix)
			for _, limit := range []int{1, 2, 5, MaxPage} {
				var got []Child
				for after, more := "", true; more; {
					l, err := k.Children(t.Context(), prefix, after, limit)
					if err != nil {
						t.Fatal(err)
					}
					if more = l.More; more && len(l.Children) != limit {
						t.Fatalf("keys %q under %q: a page of %d that is not the last has %d", s.keys, prefix, limit, len(l.Children))
					}
					for _, c := range l.Children {
						after = c.Key
					}
					got = append(got, l.Children...)
				}
				if !slices.Equal(got, want) {
					t.Fatalf("keys %q under %q in pages of %d:\n got %+v\nwant %+v", s.keys, prefix, limit, got, want)
				}
			}
		}
	}
}

// TestLargeLevelsAreCheap: a page of a level is not paid for with a walk of the whole level per child.
func TestLargeLevelsAreCheap(t *testing.T) {
	var keys []string
	for i := range 4 * manyKeys {
		keys = append(keys, fmt.Sprintf("/registry/pods/ns%03d/pod-%06d", i%200, i))
	}
	s := &keySpace{}
	k := s.serve(t)
	s.set(keys)
	l, err := k.Children(t.Context(), "/registry/pods", "", 100)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(l.Children, levelOf(s.keys[:len(keys)/2], "/registry/pods/")) || !l.More {
		t.Errorf("%d children, more %v", len(l.Children), l.More)
	}
	if s.calls > 300 || s.visited > 10*len(keys) {
		t.Errorf("%d reads that visited %d entries of an index of %d", s.calls, s.visited, len(keys))
	}
}

// TestPagesOfOneLargeLevelAreCheap: the first page of a level that holds nothing but keys is paid for with one walk of the index, the next ones with next
// to none.
func TestPagesOfOneLargeLevelAreCheap(t *testing.T) {
	for name, key := range map[string]func(i int) string{
		"numbers": func(i int) string { return fmt.Sprintf("/scale/key-%07d", i) },
		"random":  func(i int) string { return fmt.Sprintf("/scale/%016x", uint64(i)*0x9e3779b97f4a7c15) },
	} {
		keys := make([]string, 2*manyKeys)
		for i := range keys {
			keys[i] = key(i)
		}
		s := &keySpace{}
		k := s.serve(t)
		s.set(keys)
		var got []Child
		for page := range 60 { // over 10,000: more digits of the numbers change
			s.mu.Lock()
			s.calls, s.visited = 0, 0
			s.mu.Unlock()
			after := ""
			if page > 0 {
				after = got[len(got)-1].Key
			}
			l, err := k.Children(t.Context(), "/scale/", after, 200)
			if err != nil || len(l.Children) != 200 || !l.More {
				t.Fatal(len(l.Children), l.More, err)
			}
			got = append(got, l.Children...)
			walks := manyKeys // what is read as a whole anyway
			if page == 0 {
				walks = len(keys) + walks
			}
			if s.calls > 40 || s.visited > walks {
				t.Errorf("%s, page %d: %d reads that visited %d entries of an index of %d", name, page, s.calls, s.visited, len(keys))
			}
		}
		if want := levelOf(s.keys[:4000], "/scale/"); !slices.Equal(got[:4000], want) {
			t.Errorf("%s: not the first 4000 keys", name)
		}
	}
}

func BenchmarkChildrenOfManyKeys(b *testing.B) {
	var keys []string
	for i := range 200_000 {
		keys = append(keys, fmt.Sprintf("/registry/pods/ns%03d/pod-%06d", i%200, i))
	}
	s := &keySpace{}
	k := s.serve(b)
	s.set(keys)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := k.Children(b.Context(), "/registry/pods", "", 100); err != nil {
			b.Fatal(err)
		}
	}
}
