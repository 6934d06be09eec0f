package etcd

import (
	"context"
	"errors"
	"fmt"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"

	"fathom/cluster"
)

// poll asks one member for its status until ctx ends. All members are asked at the same moment of each second, only the others a
// little after the leader.
func (w *Watcher) poll(ctx context.Context, c *conn) {
	for next := w.started; w.until(ctx, next.Add(w.model.behind(c, w.timing.behind))); {
		asked := time.Now()
		st, err := w.status(ctx, c)
		if ctx.Err() != nil {
			return
		}
		now := time.Now()
		if err != nil {
			w.model.failed(c, now, why(err, w.timing.pollTimeout), denied(err))
		} else {
			w.model.answered(c, asked, now, st)
		}
		w.changed()
		if (err == nil || denied(err)) && w.model.wantsList(c, now, w.timing.list) {
			w.list(ctx, c)
		}
		for now = time.Now(); !next.After(now); {
			next = next.Add(w.timing.poll)
		}
	}
}

// until waits for a moment. It returns false when ctx ended first.
func (w *Watcher) until(ctx context.Context, t time.Time) bool {
	timer := time.NewTimer(time.Until(t))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

func (w *Watcher) status(ctx context.Context, c *conn) (*pb.StatusResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, w.timing.pollTimeout)
	defer cancel()
	return c.member.Maintenance().Status(ctx, &pb.StatusRequest{})
}

// list reads the member list as this member has it: serializable, since it must also be seen when there is no leader.
func (w *Watcher) list(ctx context.Context, c *conn) {
	ctx, cancel := context.WithTimeout(ctx, w.timing.pollTimeout)
	defer cancel()
	// Not clientv3's Cluster: that one repeats the call on its own until the deadline.
	r, err := pb.NewClusterClient(c.member.Client().ActiveConnection()).MemberList(ctx, &pb.MemberListRequest{})
	if err != nil {
		r = nil // another member's will do, and this one is asked again
	}
	w.model.listed(c, time.Now(), r.GetMembers())
	w.changed()
}

// probeKey does not exist. etcdctl endpoint health asks for it too, so it is what roles are given access to.
const probeKey = "health"

// probe does one small read after the other: from the member's own store, or one that the leader must confirm. Both are needed:
// a member with a leader may still not answer linearizable reads (etcd issue 22214).
func (w *Watcher) probe(ctx context.Context, c *conn, serializable bool) {
	for ok := w.until(ctx, w.started.Add(w.timing.behind)); ok; ok = w.rest(ctx, w.timing.probe, w.timing.calmProbe, w.timing.behind) {
		if serializable || !w.model.isLearner(c) { // a learner serves no linearizable read (server/etcdserver/api/v3rpc/util.go)
			p := w.read(ctx, c, serializable)
			if ctx.Err() != nil {
				return
			}
			w.model.probed(c, serializable, p)
			w.changed()
		}
	}
}

func (w *Watcher) read(ctx context.Context, c *conn, serializable bool) ReadProbe {
	ctx, cancel := context.WithTimeout(ctx, w.timing.probeTimeout)
	defer cancel()
	asked := time.Now()
	// Not clientv3's Get: that one repeats a read on its own until the deadline.
	_, err := pb.NewKVClient(c.member.Client().ActiveConnection()).Range(ctx,
		&pb.RangeRequest{Key: []byte(probeKey), CountOnly: true, Serializable: serializable})
	p := ReadProbe{At: time.Now()}
	p.RTT = p.At.Sub(asked)
	// Who may not read this key was answered all the same, after the read index (server/etcdserver/v3_server.go, Range): etcdctl
	// endpoint health sees it so too.
	if err != nil && !denied(err) {
		p.Err = why(err, w.timing.probeTimeout)
	}
	return p
}

// denied reports whether a call was answered with a refusal: authentication is on, and the user that we are may not.
func denied(err error) bool {
	switch err := rpctypes.Error(err); {
	case errors.Is(err, rpctypes.ErrPermissionDenied), errors.Is(err, rpctypes.ErrUserEmpty), errors.Is(err, rpctypes.ErrUserNotFound),
		errors.Is(err, rpctypes.ErrInvalidAuthToken):
		return true
	}
	return false
}

// why says in words what became of a call.
func why(err error, timeout time.Duration) string {
	// gRPC's error of a deadline may carry what is wrong with the connection, which says more.
	if cluster.Classify(err) == cluster.FaultTimeout {
		return fmt.Sprintf("no answer within %s", timeout)
	}
	if e, ok := rpctypes.Error(err).(rpctypes.EtcdError); ok {
		return e.Error()
	}
	return cluster.Explain(err)
}
