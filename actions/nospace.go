package actions

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"

	"fathom/cluster"
)

// WriteCheckPrefix is where the recovery from NOSPACE writes a key of a few bytes, to see that etcd takes writes again; it deletes it
// in the next step. Nothing of Kubernetes is below it.
const WriteCheckPrefix = "/fathom/write-check/"

// recoverNospace is the way out of a full database as etcd's documentation has it (op-guide/maintenance, "space quota"): compact,
// defragment every member, disarm, and see that a write passes. The API server cannot do it: its own compaction begins with a write.
func recoverNospace(wait time.Duration) Action {
	return Action{
		ID: "etcd.recover-nospace", Title: "Recover from NOSPACE", Verb: "recover-nospace", Resources: []string{"etcd"},
		Risk: Critical, Exclusive: true, Preview: previewNospace,
		Steps: func(ctx context.Context, c *cluster.Cluster, r Request) ([]Step, error) {
			p, err := planNospace(ctx, c, r.Target)
			if err != nil {
				return nil, err
			}
			return p.steps(r, wait), nil
		},
	}
}

// recovery is what the recovery from NOSPACE finds.
type recovery struct {
	q         *quorum
	rev       int64 // the newest revision: all before it is compacted
	compacted int64 // what is gone already
}

func planNospace(ctx context.Context, c *cluster.Cluster, t Target) (recovery, error) {
	q, err := lookAt(ctx, c, t)
	if err != nil {
		return recovery{}, err
	}
	p := recovery{q: q, rev: q.revision()}
	if len(q.raised(pb.AlarmType_NOSPACE)) == 0 {
		return p, &Refusal{Reason: "no member that answers reports NOSPACE: there is nothing to recover from. Compact (c) and defragment (F) do the same before it comes to that"}
	}
	if absent := q.absent(); absent != "" {
		return p, &Refusal{Reason: absent + ": every member has to be defragmented; bring it back, or remove it, first"}
	}
	if err := q.mayPause("one member after the other"); err != nil {
		return p, err
	}
	p.compacted, err = reading(ctx, "the revision etcd was compacted at", q.sender(0).compactedAt)
	return p, err
}

func previewNospace(ctx context.Context, c *cluster.Cluster, t Target, _ string) ([]string, error) {
	p, err := planNospace(ctx, c, t)
	if err != nil {
		return nil, err
	}
	q := p.q
	lines := []string{fmt.Sprintf("%s, a database has reached its quota, so etcd refuses every write, and with it the API server; reads and deletes go on. The API server cannot help itself: its compaction begins with a write.", where(c))}
	var takes time.Duration
	full := false
	for _, m := range q.order() {
		takes += defragTakes(m.status.DbSizeInUse)
		quota := "a quota it does not tell (etcd before 3.6)"
		if m.status.DbSizeQuota > 0 {
			quota = "a quota of " + bytes(m.status.DbSizeQuota)
		}
		lines = append(lines, fmt.Sprintf("%s: %s of %s, %s in use.", m, bytes(m.status.DbSize), quota, bytes(m.status.DbSizeInUse)))
		full = full || m.status.DbSizeQuota > 0 && float64(m.status.DbSizeInUse) > roomBelow*float64(m.status.DbSizeQuota)
	}
	if full {
		lines = append(lines, "How much of that is history, which compaction frees, is not known before. If it is not enough, this ends before disarming: then delete keys (deletes are allowed) or raise --quota-backend-bytes.")
	}
	if p.rev > p.compacted {
		lines = append(lines, fmt.Sprintf("1. Compact at revision %d, the newest: all history is deleted, what is stored now stays; watches that lag behind begin anew.", p.rev))
	} else {
		lines = append(lines, "1. There is no history left to compact.")
	}
	lines = append(lines,
		fmt.Sprintf("2. Defragment %s. Each stands still in its turn; %s in all.", q.inWords(), about(takes)),
		"3. Disarm NOSPACE, if every database is below 90 % of its quota by then.",
		fmt.Sprintf("4. Write a key of a few bytes below %s and delete it again, to see that etcd takes writes.", WriteCheckPrefix),
		"It ends at the first step that is not done. Afterwards find out what filled it: the space view tells.")
	return append(lines, q.pauseLines()...), nil
}

func (p recovery) steps(r Request, wait time.Duration) []Step {
	var steps []Step
	if p.rev > p.compacted {
		steps = append(steps, compactAll(r.Target, p.rev))
	}
	steps = append(steps, p.q.rolling(wait)...)
	// While this runs, clients go on trying, and another member may raise the alarm too: so each is looked at, not only those of now.
	known := map[uint64]bool{}
	for _, m := range p.q.voting(false) {
		known[m.id] = true
		steps = append(steps, p.q.disarm(alarm{member: m.id, kind: pb.AlarmType_NOSPACE}, r.Target))
	}
	for _, a := range p.q.raised(pb.AlarmType_NOSPACE) {
		if !known[a.member] {
			steps = append(steps, p.q.disarm(a, r.Target))
		}
	}
	key := WriteCheckPrefix + r.AuditID
	return append(steps, writeCheck(r.Target, key), deleteCheck(r.Target, key))
}

// compactAll compacts and waits until every member has deleted the old revisions: what a defragmentation copies before that comes
// back as free space only with the next one.
func compactAll(t Target, rev int64) Step {
	return Step{
		Title: "Compact at revision " + strconv.FormatInt(rev, 10), Verb: "compact", Timeout: compactTimeout,
		Do: func(ctx context.Context, c *cluster.Cluster, r Request) (string, error) {
			p, err := planCompact(ctx, c, t, strconv.FormatInt(rev, 10))
			if err != nil {
				return "", err
			}
			if err := p.send(ctx); err != nil && !errors.Is(err, rpctypes.ErrCompacted) {
				return "", err
			}
			const atMost = 2 * time.Minute
			ctx, cancel := context.WithTimeout(ctx, atMost)
			defer cancel()
			done := untilSteady(ctx, tryEvery, func(ctx context.Context) (sum int64, ok bool) {
				q, err := lookAt(ctx, c, t)
				if err != nil || len(q.unreachable()) > 0 {
					return 0, false
				}
				for _, m := range q.members {
					sum += m.status.DbSizeInUse
				}
				return sum, true
			})
			if !done {
				return fmt.Sprintf("the history before revision %d is deleted; some member still cleans up", rev), nil
			}
			return fmt.Sprintf("the history before revision %d is deleted", rev), nil
		},
		Verify: func(ctx context.Context, c *cluster.Cluster, _ Request) (Status, string, error) {
			return settle(ctx, func(ctx context.Context) (Status, string, error) { return lookAtCompaction(ctx, c, t, rev) })
		},
	}
}

// untilSteady looks every so often until the data have not shrunk at three looks in a row; false: ctx has ended before. A look that did not
// hear all members (not ok) says nothing: taken for a number, it would be smaller than all that follow.
func untilSteady(ctx context.Context, every time.Duration, look func(context.Context) (sum int64, ok bool)) bool {
	const steady = 3
	tick := time.NewTicker(every)
	defer tick.Stop()
	for same, last := 0, int64(-1); same < steady; {
		select {
		case <-ctx.Done():
			return false
		case <-tick.C:
		}
		sum, ok := look(ctx)
		if !ok {
			continue
		}
		if same++; last < 0 || sum < last {
			same, last = 0, sum
		}
	}
	return true
}

func writeCheck(t Target, key string) Step {
	return Step{
		Title: "Write " + key, Verb: "txn",
		Do: func(ctx context.Context, c *cluster.Cluster, r Request) (string, error) {
			// Only if it is not there, so that a key is made, and never one changed.
			_, err := sendTxn(ctx, c, t, key, 0, &pb.RequestOp{Request: &pb.RequestOp_RequestPut{RequestPut: &pb.PutRequest{
				Key: []byte(key), Value: []byte("fathom looks whether etcd takes writes; may be deleted"),
			}}})
			if err != nil {
				return "", fmt.Errorf("write %s: %w", key, err)
			}
			return "etcd takes writes again", nil
		},
		Verify: lookForKey(t, key, true),
	}
}

func deleteCheck(t Target, key string) Step {
	return Step{
		Title: "Delete it again", Verb: "txn",
		Do: func(ctx context.Context, c *cluster.Cluster, r Request) (string, error) {
			_, err := sendTxn(ctx, c, t, key, 1, &pb.RequestOp{Request: &pb.RequestOp_RequestDeleteRange{RequestDeleteRange: &pb.DeleteRangeRequest{Key: []byte(key)}}})
			if err != nil {
				return "", fmt.Errorf("delete %s: %w", key, err)
			}
			return "etcd takes writes again, and the key that was written to see it is deleted", nil
		},
		Verify: lookForKey(t, key, false),
	}
}

// sendTxn does op if the key has been written so many times since it was made.
func sendTxn(ctx context.Context, c *cluster.Cluster, t Target, key string, version int64, op *pb.RequestOp) (*pb.TxnResponse, error) {
	q, err := lookAt(ctx, c, t)
	if err != nil {
		return nil, err
	}
	at := q.sender(0)
	if at == nil {
		return nil, &Refusal{Reason: "no member with a vote answers: there is nobody to ask"}
	}
	resp, err := pb.NewKVClient(at.conn.client.ActiveConnection()).Txn(ctx, &pb.TxnRequest{
		Compare: []*pb.Compare{{
			Key: []byte(key), Target: pb.Compare_VERSION, Result: pb.Compare_EQUAL, TargetUnion: &pb.Compare_Version{Version: version},
		}},
		Success: []*pb.RequestOp{op},
	})
	if err != nil {
		return nil, rpctypes.Error(err)
	}
	if !resp.Succeeded {
		return nil, &ConflictError{Reason: fmt.Sprintf("somebody else writes %s: nothing was done", key)}
	}
	return resp, nil
}

// lookForKey verifies that a key is there, or that it is not.
func lookForKey(t Target, key string, there bool) func(context.Context, *cluster.Cluster, Request) (Status, string, error) {
	return func(ctx context.Context, c *cluster.Cluster, _ Request) (Status, string, error) {
		return settle(ctx, func(ctx context.Context) (Status, string, error) {
			q, err := lookAt(ctx, c, t)
			if err != nil {
				return Unknown, "", err
			}
			at := q.sender(0)
			if at == nil {
				return Unknown, "no member with a vote answers", nil
			}
			resp, err := at.conn.client.Get(ctx, key)
			switch {
			case err != nil:
				return Unknown, "", err
			case (resp.Count > 0) == there && there:
				return Done, key + " is there", nil
			case (resp.Count > 0) == there:
				return Done, key + " is gone", nil
			case there:
				return Unknown, key + " is not there", nil
			default:
				return Unknown, key + " is still there", nil
			}
		})
	}
}
