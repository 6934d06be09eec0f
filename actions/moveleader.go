package actions

import (
	"context"
	"errors"
	"fmt"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"

	"fathom/cluster"
)

func moveLeader() Action {
	return Action{
		ID: "members.move-leader", Title: "Move leadership here", Verb: "moveleader", Resources: []string{"members"},
		Risk: Destructive, Exclusive: true,
		Preview: previewMoveLeader, Do: doMoveLeader, Verify: verifyMoveLeader,
	}
}

// transfer is what a move of the leadership needs: from is nil when the target leads already.
type transfer struct {
	from, to *member
	lag      uint64 // of to, in entries
}

// planTransfer looks anew and refuses what etcd would refuse or what would end in an election without a winner.
func planTransfer(ctx context.Context, c *cluster.Cluster, t Target) (transfer, error) {
	q, err := lookAtQuorum(ctx, c)
	if err != nil {
		return transfer{}, err
	}
	to, err := q.find(t)
	if err != nil {
		return transfer{}, err
	}
	lead := q.leader()
	switch {
	case lead == nil:
		return transfer{}, &Refusal{Reason: "no reachable member leads now (an election may be going on, or the leader is out of reach): there is nobody to ask"}
	case to.learner:
		return transfer{}, &Refusal{Reason: fmt.Sprintf("%s is a learner: it has no vote and cannot lead; promote it first", to)}
	case to.status == nil:
		return transfer{}, &Refusal{Reason: fmt.Sprintf("%s does not answer (%v): leadership is not moved to a member that may be down", to, to.err)}
	case lead.id == to.id:
		return transfer{to: to}, nil
	case q.apart(to):
		return transfer{}, &Refusal{Reason: fmt.Sprintf("%s has no contact with the leader: writes would wait for it in vain; find out what keeps its peers from it first", to)}
	case q.lag(to) > maxLag:
		return transfer{}, &Refusal{Reason: fmt.Sprintf("%s is %d entries behind: it would have to catch up before it can lead, and writes would wait; let it catch up first", to, q.lag(to))}
	case q.corrupt(to):
		return transfer{}, &Refusal{Reason: fmt.Sprintf("the alarm CORRUPT is raised about %s: a member whose data may be corrupt must not lead", to)}
	case q.has(alarm{0, pb.AlarmType_CORRUPT}):
		return transfer{}, &Refusal{Reason: fmt.Sprintf("the alarm CORRUPT is raised about no member in particular, so it may be %s: a member whose data may be corrupt must not lead; compare them by their hashes (:consistency)", to)}
	}
	return transfer{from: lead, to: to, lag: q.lag(to)}, nil
}

func previewMoveLeader(ctx context.Context, c *cluster.Cluster, t Target, _ string) ([]string, error) {
	p, err := planTransfer(ctx, c, t)
	if err != nil {
		return nil, err
	}
	if p.from == nil {
		return []string{fmt.Sprintf("%s, %s leads already: nothing will be sent.", where(c), p.to)}, nil
	}
	return []string{
		fmt.Sprintf("%s, the leadership of etcd (term %d) will move from %s to %s.", where(c), p.from.status.RaftTerm, p.from, p.to),
		fmt.Sprintf("The new leader is %s behind. Proposals wait until it leads, usually a few milliseconds, at worst an election timeout; some writes in flight may fail and be repeated by their clients.", entries(p.lag)),
	}, nil
}

func doMoveLeader(ctx context.Context, c *cluster.Cluster, r Request) (string, error) {
	p, err := planTransfer(ctx, c, r.Target)
	if err != nil {
		return "", err
	}
	if p.from == nil {
		return fmt.Sprintf("%s led already: nothing was sent", p.to), nil
	}
	return p.send(ctx, c)
}

// send asks the leader to hand over. The timeline of leaders is told first.
func (p transfer) send(ctx context.Context, c *cluster.Cluster) (string, error) {
	c.Etcd().NoteMove(p.from.id, p.to.id)
	// The plain client, not clientv3's Maintenance: that one repeats a MoveLeader after an error.
	_, err := p.from.conn.maintenance.MoveLeader(ctx, &pb.MoveLeaderRequest{TargetID: p.to.id})
	switch {
	case errors.Is(rpctypes.Error(err), rpctypes.ErrNotLeader):
		return "", &ConflictError{Reason: fmt.Sprintf("%s no longer leads: the leadership moved while this was confirmed; look again and confirm again", p.from)}
	case err != nil:
		return "", fmt.Errorf("move the leadership from %s to %s: %w", p.from, p.to, rpctypes.Error(err))
	}
	return fmt.Sprintf("%s leads now, in the place of %s", p.to, p.from), nil
}

func verifyMoveLeader(ctx context.Context, c *cluster.Cluster, r Request) (Status, string, error) {
	return settleLeader(ctx, c, func(id uint64) bool { return id == r.Target.Member })
}

// settleLeader reads until the leader is one that is wanted.
func settleLeader(ctx context.Context, c *cluster.Cluster, wanted func(id uint64) bool) (Status, string, error) {
	return settle(ctx, func(ctx context.Context) (Status, string, error) {
		q, err := lookAtQuorum(ctx, c)
		if err != nil {
			return Unknown, "", err
		}
		lead := q.leader()
		if lead == nil {
			return Unknown, "no reachable member leads", nil
		}
		status := Unknown
		if wanted(lead.id) {
			status = Done
		}
		return status, fmt.Sprintf("%s leads (term %d)", lead, lead.status.RaftTerm), nil
	})
}
