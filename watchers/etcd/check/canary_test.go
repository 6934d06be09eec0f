package check

import (
	"context"
	"net"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	grpcstatus "google.golang.org/grpc/status"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"fathom/cluster"
	"fathom/internal/run"
	"fathom/watchers/etcd"
)

// member is a fake member of an etcd in which nothing is written.
type member struct {
	pb.UnimplementedKVServer
	pb.UnimplementedWatchServer
	pb.UnimplementedMaintenanceServer
	pb.UnimplementedClusterServer

	url string

	mu      sync.Mutex
	leader  uint64
	list    []*pb.Member                    // that it tells
	notify  int64                           // before it answers a question for the progress it tells this revision by itself; 0: it does not
	streams map[int]context.CancelCauseFunc // the watches that are open
	opened  int
	asked   int // questions for the progress
	status  int // questions for the status
}

const newestRevision = 20

func startMember(t *testing.T) *member {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	m := &member{url: "http://" + l.Addr().String(), leader: 0xa, streams: map[int]context.CancelCauseFunc{}}
	m.list = []*pb.Member{{ID: 0xa, Name: "etcd-1", ClientURLs: []string{m.url}}}
	g := grpc.NewServer()
	pb.RegisterKVServer(g, m)
	pb.RegisterWatchServer(g, m)
	pb.RegisterMaintenanceServer(g, m)
	pb.RegisterClusterServer(g, m)
	done := make(chan struct{})
	go func() { defer close(done); _ = g.Serve(l) }() // ends with Stop
	t.Cleanup(func() { g.Stop(); <-done })
	return m
}

func (m *member) header(revision int64) *pb.ResponseHeader {
	return &pb.ResponseHeader{ClusterId: 0xc1, MemberId: 0xa, Revision: revision, RaftTerm: 2}
}

func (m *member) with(fn func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	fn()
}

func (m *member) Status(context.Context, *pb.StatusRequest) (*pb.StatusResponse, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.status++
	return &pb.StatusResponse{Header: m.header(newestRevision), Leader: m.leader, RaftTerm: 2, RaftIndex: 30, RaftAppliedIndex: 30, Version: "3.6.8"}, nil
}

func (m *member) MemberList(context.Context, *pb.MemberListRequest) (*pb.MemberListResponse, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return &pb.MemberListResponse{Header: m.header(newestRevision), Members: m.list}, nil
}

func (m *member) Range(context.Context, *pb.RangeRequest) (*pb.RangeResponse, error) {
	return &pb.RangeResponse{Header: m.header(newestRevision)}, nil
}

// Watch ends when there is no leader, as of a client that requires one.
func (m *member) Watch(stream pb.Watch_WatchServer) error {
	ctx, cancel := context.WithCancelCause(stream.Context())
	defer cancel(nil)
	m.mu.Lock()
	if m.leader == 0 {
		m.mu.Unlock()
		return grpcstatus.Error(codes.Unavailable, "etcdserver: no leader")
	}
	m.opened++
	id := m.opened
	m.streams[id] = cancel
	m.mu.Unlock()
	defer m.with(func() { delete(m.streams, id) })
	asks := make(chan *pb.WatchRequest)
	go func() {
		for {
			r, err := stream.Recv()
			if err != nil {
				cancel(err)
				return
			}
			select {
			case asks <- r:
			case <-ctx.Done():
				return
			}
		}
	}()
	start := int64(0)
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case r := <-asks:
			var answers []*pb.WatchResponse
			switch {
			case r.GetCreateRequest() != nil:
				start = r.GetCreateRequest().StartRevision
				answers = append(answers, &pb.WatchResponse{Header: m.header(newestRevision), Created: true})
			case r.GetProgressRequest() != nil:
				m.with(func() {
					m.asked++
					if m.notify > 0 {
						answers = append(answers, &pb.WatchResponse{Header: m.header(m.notify)})
					}
				})
				if start <= newestRevision { // as etcd
					answers = append(answers, progress(newestRevision))
					answers[len(answers)-1].Header.MemberId = 0xa
				}
			}
			for _, a := range answers {
				if err := stream.Send(a); err != nil {
					return err
				}
			}
		}
	}
}

// counts are how often it was asked for its progress and its status.
func (m *member) counts() (progress, status int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.asked, m.status
}

// checked checks a fake member in a hurry.
func checked(t *testing.T, m *member) (*Checker, *etcd.Watcher) {
	t.Helper()
	return checkedAt(t, m, timing{adopt: 20 * time.Millisecond, progress: 20 * time.Millisecond, hung: time.Second, retry: 20 * time.Millisecond,
		denied: time.Second, silent: 2 * time.Second})
}

func checkedAt(t *testing.T, m *member, tm timing) (*Checker, *etcd.Watcher) {
	t.Helper()
	cl, err := cluster.OpenEtcd(cluster.EtcdOptions{Endpoints: []string{m.url}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	g := run.NewGroup(context.Background(), func(p run.Panic) { t.Errorf("panic in %s: %v\n%s", p.Name, p.Value, p.Stack) })
	t.Cleanup(g.Stop)
	w := etcd.NewWatcher(g, cl.Etcd())
	return newChecker(g, w, tm), w
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.NewTimer(20 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline.C:
			t.Fatalf("%s never came", what)
		case <-tick.C:
		}
	}
}

func watching(k *Checker) bool {
	l := k.Live()
	return len(l.Members) == 1 && l.Members[0].Watching
}

// What a member tells of its progress by itself may be older than its status: it answers no question.
func TestProgressThatWasNotAskedFor(t *testing.T) {
	m := startMember(t)
	m.notify = newestRevision - 5
	k, _ := checked(t, m)
	eventually(t, "the watch", func() bool { return watching(k) })
	asked, status := m.counts()
	// The status counts from the one on that was asked for after the watch was opened.
	eventually(t, "questions for the progress after a status", func() bool { a, s := m.counts(); return a > asked+20 && s > status+2 })
	if l := k.Live(); len(l.Breaches) > 0 || l.Members[0].Progress == 0 {
		t.Errorf("%+v", l)
	}
}

// etcd tells no progress of a watch that goes on after the newest revision, while nothing is written.
func TestCanaryGoesOnWhereNothingHappens(t *testing.T) {
	m := startMember(t)
	k, _ := checked(t, m)
	eventually(t, "the progress", func() bool { return watching(k) && k.Live().Members[0].Progress > 0 })
	m.with(func() {
		for _, end := range m.streams {
			end(grpcstatus.Error(codes.Unavailable, "the connection ended"))
		}
	})
	eventually(t, "the watch anew", func() bool { m.mu.Lock(); defer m.mu.Unlock(); return m.opened == 2 && len(m.streams) == 1 })
	eventually(t, "that it watches", func() bool { return watching(k) })
	since := k.Live().Members[0].Since
	_, status := m.counts()
	eventually(t, "time for the patience to end", func() bool { _, s := m.counts(); return s > status+3 || !k.Live().Members[0].Since.Equal(since) })
	if l := k.Live(); !l.Members[0].Watching || !l.Members[0].Since.Equal(since) {
		t.Errorf("%+v", l.Members[0])
	}
}

// A member that was without a leader, or away, for a while is not silent: its watch comes a little after its status.
func TestSilenceBeginsWithTheAnswers(t *testing.T) {
	m := startMember(t)
	tm := timing{adopt: 20 * time.Millisecond, progress: 20 * time.Millisecond, hung: time.Second, retry: 5 * time.Second, denied: time.Second, silent: 3 * time.Second}
	k, w := checkedAt(t, m, tm)
	eventually(t, "the watch", func() bool { return watching(k) })
	m.with(func() {
		m.leader = 0
		for _, end := range m.streams {
			end(grpcstatus.Error(codes.Unavailable, "etcdserver: no leader"))
		}
	})
	eventually(t, "more than the patience without a watch", func() bool {
		l := k.Live().Members[0]
		return !l.Watching && time.Since(l.Since) > tm.silent
	})
	m.with(func() { m.leader = 0xa })
	eventually(t, "the watch anew", func() bool {
		for _, f := range w.Snapshot().Findings {
			if f.Kind == FoundSilent {
				t.Fatalf("%+v", f)
			}
		}
		return watching(k)
	})
}
