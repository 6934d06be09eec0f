package actions

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"

	"fathom/cluster"
)

// defragTimeout is how long a defragmentation may take. It copies the whole database, seconds to minutes for some GB on a slow
// disk; when our patience ends, etcd goes on.
const defragTimeout = 10 * time.Minute

// detailDBSize is the key of Target.Detail with the row's database size, in bytes, in decimal.
const detailDBSize = "dbSize"

// detailInUse is the key of Target.Detail with how much of it is in use, in bytes, in decimal.
const detailInUse = "dbSizeInUse"

func defragment() Action {
	return Action{
		ID: "members.defragment", Title: "Defragment member", Verb: "defragment", Resources: []string{"members"},
		Risk: Destructive, Exclusive: true, Timeout: defragTimeout,
		Preview: previewDefragment, Do: doDefragment, Verify: verifyDefragment,
		Expect: func(t Target) time.Duration {
			inUse, _ := strconv.ParseInt(t.Detail[detailInUse], 10, 64)
			return defragTakes(inUse)
		},
	}
}

// planDefragment looks anew and refuses where the member's pause would cost the quorum, or where etcd is known to suffer.
func planDefragment(ctx context.Context, c *cluster.Cluster, t Target) (*quorum, *member, error) {
	q, err := lookAtQuorum(ctx, c)
	if err != nil {
		return nil, nil, err
	}
	m, err := q.find(t)
	if err != nil {
		return nil, nil, err
	}
	if m.learner {
		return nil, nil, &Refusal{Reason: fmt.Sprintf("%s is a learner: etcd does not serve Defragment there, and it is still receiving data", m)}
	}
	if m.status == nil {
		return nil, nil, &Refusal{Reason: fmt.Sprintf("%s does not answer: %v", m, m.err)}
	}
	if q.apart(m) {
		return nil, nil, &Refusal{Reason: fmt.Sprintf("%s has no contact with the leader: find out what keeps its peers from it, and let it catch up first", m)}
	}
	if err := q.mayPause(m.String()); err != nil {
		return nil, nil, err
	}
	return q, m, nil
}

// mayPause refuses when a voter cannot be spared for a while, or must not be rewritten now. With one or two voters none can ever be
// spared; that is for the preview to say.
func (q *quorum) mayPause(name string) error {
	refuse := func(format string, args ...any) error { return &Refusal{Reason: fmt.Sprintf(format, args...)} }
	voters, up := len(q.voting(false)), len(q.voting(true))
	if up < voters && up-1 < majority(voters) {
		return refuse("%s, so the quorum has no slack: %s would be away too while it is defragmented", q.absent(), name)
	}
	if q.leader() == nil {
		return refuse("no member leads now: let an election finish first")
	}
	if as := q.raised(pb.AlarmType_CORRUPT); len(as) > 0 {
		return refuse("the alarm CORRUPT is raised about %s: find out about the corruption before anything is rewritten", q.whose(as[0]))
	}
	for _, o := range q.members {
		if o.learner {
			return refuse("%s is a learner that is still being brought up: defragmenting while a snapshot is sent or applied can stall it, and before etcd 3.5.23 and 3.6.5 corrupt the database", o)
		}
		if lag := q.lag(o); lag > maxLag {
			return refuse("%s is %s behind, it may be applying a snapshot: defragmenting now could cost the quorum, and before etcd 3.5.23 and 3.6.5 corrupt the database", o, entries(lag))
		}
	}
	return nil
}

// defragRate is what etcd copies of the data in use on an ordinary SSD, in bytes per second; it is a guess to be beaten, for the
// expected time only.
const defragRate = 60 << 20

// defragTakes is how long a database with so many bytes in use will take, roughly.
func defragTakes(inUse int64) time.Duration {
	return 200*time.Millisecond + time.Duration(float64(inUse)/defragRate*float64(time.Second))
}

// about writes an expected duration: it is no more than a guess, and looks like one.
func about(d time.Duration) string {
	switch {
	case d < time.Second:
		return "about a second"
	case d < time.Minute:
		return fmt.Sprintf("about %d s", int(d.Round(time.Second).Seconds()))
	default:
		return fmt.Sprintf("about %d min", int((d + 30*time.Second).Minutes()))
	}
}

func previewDefragment(ctx context.Context, c *cluster.Cluster, t Target, _ string) ([]string, error) {
	q, m, err := planDefragment(ctx, c, t)
	if err != nil {
		return nil, err
	}
	size, used := m.status.DbSize, m.status.DbSizeInUse
	lines := []string{
		fmt.Sprintf("%s, the database of %s will be rewritten: %s now, %s in use, so about %s come free.", where(c), m, bytes(size), bytes(used), bytes(max(0, size-used))),
		fmt.Sprintf("All reads and writes on this member wait until it is finished: %s for this size, minutes on a slow disk. etcd does not tell how far it is.", about(defragTakes(used))),
		fmt.Sprintf("Its disk needs up to %s more for the copy.", bytes(used)),
	}
	switch n := q.voters(); {
	case n == 1:
		lines = append(lines, "It is the only member: the whole of Kubernetes waits for it.")
	case n == 2:
		lines = append(lines, "There are two members, so no write is accepted anywhere while it is away.")
	case q.leader() == m:
		lines = append(lines, "It is the leader: move the leadership to another member first, or writes stop everywhere and an election follows.")
	}
	return lines, nil
}

func doDefragment(ctx context.Context, c *cluster.Cluster, r Request) (string, error) {
	_, m, err := planDefragment(ctx, c, r.Target)
	if err != nil {
		return "", err
	}
	return m.defragment(ctx)
}

// defragment sends the request and says what came of it.
func (m *member) defragment(ctx context.Context) (string, error) {
	if _, err := m.conn.maintenance.Defragment(ctx, &pb.DefragmentRequest{}); err != nil {
		return "", fmt.Errorf("defragment %s: %w", m, rpctypes.Error(err))
	}
	before := m.status.DbSize
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	after, err := m.conn.maintenance.Status(ctx, &pb.StatusRequest{})
	if err != nil {
		return fmt.Sprintf("%s is defragmented; it was %s before", m, bytes(before)), nil
	}
	return fmt.Sprintf("%s is defragmented: from %s to %s", m, bytes(before), bytes(after.DbSize)), nil
}

func verifyDefragment(ctx context.Context, c *cluster.Cluster, r Request) (Status, string, error) {
	before, _ := strconv.ParseInt(r.Target.Detail[detailDBSize], 10, 64)
	return settle(ctx, func(ctx context.Context) (Status, string, error) {
		q, err := lookAtQuorum(ctx, c)
		if err != nil {
			return Unknown, "", err
		}
		m, err := q.find(r.Target)
		if err != nil {
			return Unknown, r.Target.String() + " is no longer a member", nil
		}
		if m.status == nil {
			return Unknown, fmt.Sprintf("%s does not answer: it may still be at it", m), nil
		}
		if size := m.status.DbSize; before > 0 && size < before {
			return Done, fmt.Sprintf("the database of %s went from %s to %s", m, bytes(before), bytes(size)), nil
		}
		return Unknown, fmt.Sprintf("the database of %s is %s, of which %s are in use: it may still be at it", m, bytes(m.status.DbSize), bytes(m.status.DbSizeInUse)), nil
	})
}

// bytes writes a size as etcd's quota is given, in powers of 1024.
func bytes(n int64) string {
	const step = 1024
	f, unit := float64(n), 0
	units := []string{"B", "KiB", "MiB", "GiB", "TiB"}
	for f >= step && unit < len(units)-1 {
		f /= step
		unit++
	}
	return strings.TrimSuffix(strconv.FormatFloat(f, 'f', 1, 64), ".0") + " " + units[unit]
}
