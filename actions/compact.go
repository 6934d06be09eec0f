package actions

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"fathom/cluster"
)

// compactTimeout is for a physical compaction, which answers when the old revisions are deleted: a million of them take seconds.
const compactTimeout = 5 * time.Minute

// keepRevisions is how many revisions the suggestion leaves; of fewer than twice as many, half of them.
const keepRevisions = 1000

// detailRevision is the key of Target.Detail with the newest revision the screen has seen, in decimal.
const detailRevision = "revision"

func compact() Action {
	return Action{
		ID: "etcd.compact", Title: "Compact history", Verb: "compact", Resources: []string{"etcd"},
		Risk: Critical, Exclusive: true, Timeout: compactTimeout,
		Input: &Input{
			Prompt: "Delete the history before which revision",
			Initial: func(t Target) string {
				rev, _ := strconv.ParseInt(t.Detail[detailRevision], 10, 64)
				return strconv.FormatInt(max(1, rev-min(keepRevisions, rev/2)), 10)
			},
			Check: func(_ Target, s string) error {
				_, err := parseRevision(s)
				return err
			},
		},
		Preview: previewCompact, Do: doCompact, Verify: verifyCompact,
	}
}

func parseRevision(s string) (int64, error) {
	rev, err := strconv.ParseInt(s, 10, 64)
	if err != nil || rev < 1 {
		return 0, fmt.Errorf("%q is not a revision: a whole number from 1 on", s)
	}
	return rev, nil
}

// compaction is what a compaction needs.
type compaction struct {
	q         *quorum
	at        *member // the request goes to
	rev       int64
	now       int64 // the newest revision
	compacted int64 // the history before this one is gone already; 0: all is kept, as far as is known
}

func planCompact(ctx context.Context, c *cluster.Cluster, t Target, input string) (compaction, error) {
	rev, err := parseRevision(input)
	if err != nil {
		return compaction{}, unsent(err)
	}
	q, err := lookAt(ctx, c, t)
	if err != nil {
		return compaction{}, err
	}
	p := compaction{q: q, at: q.sender(0), rev: rev, now: q.revision()}
	if q.leader() == nil {
		return p, &Refusal{Reason: "no member leads now, so nothing can be proposed: let an election finish first"}
	}
	p.compacted, err = reading(ctx, "the revision etcd was compacted at", p.at.compactedAt)
	switch {
	case err != nil:
		return p, err
	case rev > p.now:
		return p, &Refusal{Reason: fmt.Sprintf("revision %d is in the future: the newest is %d", rev, p.now)}
	case rev <= p.compacted:
		return p, &Refusal{Reason: fmt.Sprintf("the history before revision %d is gone already: there is nothing to compact at %d", p.compacted, rev)}
	}
	return p, nil
}

// probeKey is read to learn about revisions; it never exists.
const probeKey = "\x00fathom"

// compactedAt is the revision that a member was compacted at, 0 when all of its history is kept. Only a watch from before it tells.
func (m *member) compactedAt(ctx context.Context) (int64, error) {
	_, err := m.conn.client.Get(ctx, probeKey, clientv3.WithRev(1), clientv3.WithSerializable(), clientv3.WithCountOnly())
	if !errors.Is(err, rpctypes.ErrCompacted) {
		return 0, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for resp := range m.conn.client.Watch(ctx, probeKey, clientv3.WithRev(1)) {
		if resp.CompactRevision > 0 {
			return resp.CompactRevision, nil
		}
		if err := resp.Err(); err != nil {
			return 0, err
		}
	}
	return 0, ctx.Err()
}

func previewCompact(ctx context.Context, c *cluster.Cluster, t Target, input string) ([]string, error) {
	p, err := planCompact(ctx, c, t, input)
	if err != nil {
		return nil, err
	}
	oldest := "its beginning"
	if p.compacted > 0 {
		oldest = fmt.Sprintf("revision %d, the oldest that is kept,", p.compacted)
	}
	return []string{
		fmt.Sprintf("%s, the history of every key from %s to revision %d will be deleted: values that were overwritten or deleted before can no longer be read. What is stored now stays; the newest revision is %d, so the last %d are kept.",
			where(c), oldest, p.rev, p.now, p.now-p.rev),
		"Watches and paged lists that stand at an older revision end with \"compacted\" and begin anew: the API server's clients list again, which costs it something.",
		"Kubernetes needs no hand here: the API server compacts by itself every 5 minutes. The file does not get smaller: that takes a defragmentation.",
	}, nil
}

func doCompact(ctx context.Context, c *cluster.Cluster, r Request) (string, error) {
	p, err := planCompact(ctx, c, r.Target, r.Input)
	if err != nil {
		return "", err
	}
	if err := p.send(ctx); err != nil {
		return "", err
	}
	return fmt.Sprintf("the history before revision %d is deleted", p.rev), nil
}

// send asks for a physical compaction: its answer comes when the member that is asked has deleted the old revisions; the others do
// it at their own pace.
func (p compaction) send(ctx context.Context) error {
	_, err := pb.NewKVClient(p.at.conn.client.ActiveConnection()).Compact(ctx, &pb.CompactionRequest{Revision: p.rev, Physical: true})
	if err != nil {
		return fmt.Errorf("compact at revision %d through %s: %w", p.rev, p.at, rpctypes.Error(err))
	}
	return nil
}

func verifyCompact(ctx context.Context, c *cluster.Cluster, r Request) (Status, string, error) {
	rev, err := parseRevision(r.Input)
	if err != nil {
		return Failed, "", err
	}
	return settle(ctx, func(ctx context.Context) (Status, string, error) { return lookAtCompaction(ctx, c, r.Target, rev) })
}

func lookAtCompaction(ctx context.Context, c *cluster.Cluster, t Target, rev int64) (Status, string, error) {
	q, err := lookAt(ctx, c, t)
	if err != nil {
		return Unknown, "", err
	}
	m := q.sender(0)
	if m == nil {
		return Unknown, "no member answers", nil
	}
	at, err := reading(ctx, "the revision etcd was compacted at", m.compactedAt)
	switch {
	case err != nil:
		return Unknown, "", err
	case at >= rev:
		return Done, fmt.Sprintf("the history before revision %d is gone", at), nil
	default:
		return Unknown, fmt.Sprintf("the history is kept from revision %d on", max(1, at)), nil
	}
}
