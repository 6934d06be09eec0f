package actions

import (
	"context"
	"fmt"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"

	"fathom/cluster"
)

// roomBelow is the part of the quota that a database has to be below before its NOSPACE alarm is disarmed: right above it the next
// writes would raise it again. etcd-defrag's --auto-disalarm has the same threshold.
const roomBelow = 0.9

// overrideCorrupt is what must be typed to disarm a CORRUPT alarm.
const overrideCorrupt = "data were checked"

func disarm() Action {
	return Action{
		ID: "etcd.disarm", Title: "Disarm alarms", Verb: "alarm-deactivate", Resources: []string{"etcd"},
		Risk: Destructive, Exclusive: true, Preview: previewDisarm,
		Steps: func(ctx context.Context, c *cluster.Cluster, r Request) ([]Step, error) {
			q, err := planDisarm(ctx, c, r.Target, r.Override)
			if err != nil {
				return nil, err
			}
			var steps []Step
			for _, a := range q.alarms() {
				steps = append(steps, q.disarm(a, r.Target))
			}
			return steps, nil
		},
	}
}

func planDisarm(ctx context.Context, c *cluster.Cluster, t Target, override string) (*quorum, error) {
	q, err := lookAt(ctx, c, t)
	if err != nil {
		return nil, err
	}
	if len(q.alarms()) == 0 {
		return q, &Refusal{Reason: "no member that answers reports an alarm: there is nothing to disarm"}
	}
	if q.leader() == nil {
		return q, &Refusal{Reason: "no member leads now, so nothing can be proposed: let an election finish first"}
	}
	if len(q.raised(pb.AlarmType_NOSPACE)) > 0 {
		if err := q.room(); err != nil {
			return q, err
		}
	}
	if as := q.raised(pb.AlarmType_CORRUPT); len(as) > 0 && override != overrideCorrupt {
		return q, &Refusal{
			Reason:   fmt.Sprintf("CORRUPT, about %s, says that members have different data for the same revision. Disarmed, they go on with it, and Kubernetes with them. Compare the members by their hashes (:consistency), replace the one that differs (remove, wipe, add), and disarm then.", q.whose(as[0])),
			Override: overrideCorrupt,
		}
	}
	return q, nil
}

// room refuses as long as a database is too near to its quota. Before etcd 3.6 a member does not tell its quota; then nothing is known,
// and etcd raises the alarm again if it must.
func (q *quorum) room() error {
	if away := q.unreachable(); len(away) > 0 {
		for _, m := range away {
			if !m.learner {
				return &Refusal{Reason: fmt.Sprintf("%s cannot be reached, so it is not known whether its database has room: bring it back first", m)}
			}
		}
	}
	for _, m := range q.members {
		if m.status == nil || m.status.DbSizeQuota <= 0 || float64(m.status.DbSize) < roomBelow*float64(m.status.DbSizeQuota) {
			continue
		}
		return &Refusal{Reason: fmt.Sprintf("the cause still holds: the database of %s is %s of a quota of %s (%s in use). The next writes would raise NOSPACE again; the recovery (n) compacts and defragments first",
			m, bytes(m.status.DbSize), bytes(m.status.DbSizeQuota), bytes(m.status.DbSizeInUse))}
	}
	return nil
}

func previewDisarm(ctx context.Context, c *cluster.Cluster, t Target, _ string) ([]string, error) {
	q, err := planDisarm(ctx, c, t, "")
	if q == nil || len(q.alarms()) == 0 {
		return nil, err
	}
	var lines []string
	for i, a := range q.alarms() {
		at := "The"
		if i == 0 {
			at = where(c) + ", the"
		}
		lines = append(lines, fmt.Sprintf("%s alarm %s about %s will be disarmed%s.", at, a.kind, q.whose(a), q.note(a)))
	}
	if len(q.raised(pb.AlarmType_NOSPACE)) > 0 {
		lines = append(lines, "With the last NOSPACE alarm gone, etcd takes writes again.")
	}
	return lines, err
}

func (q *quorum) note(a alarm) string {
	for _, m := range q.members {
		if m.id != a.member {
			continue
		}
		if m.status != nil && m.status.DbSizeQuota > 0 && a.kind == pb.AlarmType_NOSPACE {
			return fmt.Sprintf(" (its database is %s of a quota of %s)", bytes(m.status.DbSize), bytes(m.status.DbSizeQuota))
		}
		return ""
	}
	if a.member != 0 {
		return ": a removed member cannot take it back itself"
	}
	return ""
}

// disarm is the step that deactivates one alarm, if it is still there.
func (q *quorum) disarm(a alarm, t Target) Step {
	return Step{
		Title: fmt.Sprintf("Disarm %s about %s", a.kind, q.whose(a)), Verb: "alarm-deactivate",
		Do: func(ctx context.Context, c *cluster.Cluster, _ Request) (string, error) {
			q, err := lookAt(ctx, c, t)
			if err != nil {
				return "", err
			}
			if !q.has(a) {
				return fmt.Sprintf("%s has no alarm %s: nothing was sent", q.whose(a), a.kind), nil
			}
			if a.kind == pb.AlarmType_NOSPACE {
				if err := q.room(); err != nil {
					return "", err
				}
			}
			at := q.sender(0)
			if at == nil {
				return "", &Refusal{Reason: "no member with a vote answers: there is nobody to ask"}
			}
			_, err = at.conn.maintenance.Alarm(ctx, &pb.AlarmRequest{Action: pb.AlarmRequest_DEACTIVATE, MemberID: a.member, Alarm: a.kind})
			if err != nil {
				return "", fmt.Errorf("disarm %s through %s: %w", a.kind, at, rpctypes.Error(err))
			}
			return fmt.Sprintf("%s about %s is disarmed", a.kind, q.whose(a)), nil
		},
		Verify: func(ctx context.Context, c *cluster.Cluster, _ Request) (Status, string, error) {
			return settle(ctx, func(ctx context.Context) (Status, string, error) {
				q, err := lookAt(ctx, c, t)
				switch {
				case err != nil:
					return Unknown, "", err
				case q.has(a):
					return Unknown, fmt.Sprintf("%s about %s is still reported", a.kind, q.whose(a)), nil
				default:
					return Done, fmt.Sprintf("%s about %s is no longer reported", a.kind, q.whose(a)), nil
				}
			})
		},
	}
}

func (q *quorum) has(a alarm) bool {
	for _, o := range q.alarms() {
		if o == a {
			return true
		}
	}
	return false
}
