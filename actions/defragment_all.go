package actions

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"fathom/cluster"
)

// healthWait is how long a step of a rolling operation waits for the members to be well again after the one before it.
const healthWait = 30 * time.Second

// defragmentAll defragments every member, one at a time, as etcd-defrag does (github.com/ahrtr/etcd-defrag): the followers first,
// then the leader, from which the leadership is moved away before. It stops at the first member that is not well.
func defragmentAll(wait time.Duration) Action {
	return Action{
		ID: "etcd.defragment-all", Title: "Defragment all members", Verb: "rolling-defragment", Resources: []string{"etcd"},
		Risk: Destructive, Exclusive: true, Preview: previewDefragmentAll,
		Steps: func(ctx context.Context, c *cluster.Cluster, r Request) ([]Step, error) {
			q, err := planDefragmentAll(ctx, c, r.Target)
			if err != nil {
				return nil, err
			}
			return q.rolling(wait), nil
		},
	}
}

// planDefragmentAll looks anew. Every member has to be there and well: whoever is away would be left out.
func planDefragmentAll(ctx context.Context, c *cluster.Cluster, t Target) (*quorum, error) {
	q, err := lookAt(ctx, c, t)
	if err != nil {
		return nil, err
	}
	if absent := q.absent(); absent != "" {
		return nil, &Refusal{Reason: absent + ": all members have to be well, for each is away in its turn; bring it back, or remove it, first"}
	}
	return q, q.mayPause("one member after the other")
}

// order is that of a rolling operation: the followers by name, then the leader.
func (q *quorum) order() []*member {
	lead := q.leader()
	ms := q.voting(false)
	slices.SortFunc(ms, func(a, b *member) int {
		return cmp.Or(compareBool(a == lead, b == lead), cmp.Compare(a.name, b.name), cmp.Compare(a.id, b.id))
	})
	return ms
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	default:
		return 1
	}
}

// rolling are the steps of defragmenting all members.
func (q *quorum) rolling(wait time.Duration) []Step {
	var steps []Step
	for _, m := range q.order() {
		if m == q.leader() && len(q.voting(false)) > 1 {
			steps = append(steps, moveAway(m, wait))
		}
		steps = append(steps, Step{
			Title: "Defragment " + m.String(), Verb: "defragment", Target: m.target(), Timeout: wait + defragTimeout, Expect: defragTakes(m.status.DbSizeInUse),
			Do: func(ctx context.Context, c *cluster.Cluster, r Request) (string, error) {
				return defragmentInTurn(ctx, c, r, wait)
			},
			Verify: verifyDefragment,
		})
	}
	return steps
}

// defragmentInTurn waits until all members are well, defragments one, and waits until it serves again.
func defragmentInTurn(ctx context.Context, c *cluster.Cluster, r Request, wait time.Duration) (string, error) {
	m, err := await(ctx, wait, func(ctx context.Context) (*member, error) {
		q, m, err := planDefragment(ctx, c, r.Target)
		switch {
		case err != nil:
			return nil, err
		case q.absent() != "":
			return nil, &Refusal{Reason: q.absent() + " any more: the others are left alone"}
		case q.leader() == m && len(q.voting(false)) > 1:
			return nil, &ConflictError{Reason: fmt.Sprintf("the leadership came to %s while the others were done: somebody else works on this cluster, or there was an election; look at it and begin again", m)}
		}
		return m, nil
	})
	if err != nil {
		return "", err
	}
	return m.defragment(ctx)
}

// moveAway moves the leadership away from a member, to the voter that is the least behind.
func moveAway(from *member, wait time.Duration) Step {
	return Step{
		Title: "Move the leadership away from " + from.String(), Verb: "moveleader", Target: from.target(), Timeout: wait + writeTimeout,
		Do: func(ctx context.Context, c *cluster.Cluster, r Request) (string, error) {
			p, err := await(ctx, wait, func(ctx context.Context) (transfer, error) { return planMoveAway(ctx, c, r.Target) })
			if err != nil {
				return "", err
			}
			if p.from == nil {
				return fmt.Sprintf("%s leads, so nothing had to be sent", p.to), nil
			}
			return p.send(ctx, c)
		},
		Verify: func(ctx context.Context, c *cluster.Cluster, r Request) (Status, string, error) {
			return settleLeader(ctx, c, func(id uint64) bool { return id != r.Target.Member })
		},
	}
}

// planMoveAway has no from when the leadership is somewhere else already.
func planMoveAway(ctx context.Context, c *cluster.Cluster, t Target) (transfer, error) {
	q, err := lookAtQuorum(ctx, c)
	if err != nil {
		return transfer{}, err
	}
	lead := q.leader()
	switch {
	case lead == nil:
		return transfer{}, &Refusal{Reason: "no reachable member leads now: there is nobody to take the leadership from"}
	case lead.id != t.Member:
		return transfer{to: lead}, nil
	}
	to := q.nearest(lead.id)
	switch {
	case to == nil:
		return transfer{}, &Refusal{Reason: fmt.Sprintf("no other voter than %s answers and is in contact with it: the leadership cannot be moved", lead)}
	case q.lag(to) > maxLag:
		return transfer{}, &Refusal{Reason: fmt.Sprintf("every other voter is far behind (%s by %s): let them catch up first", to, entries(q.lag(to)))}
	}
	return transfer{from: lead, to: to, lag: q.lag(to)}, nil
}

func previewDefragmentAll(ctx context.Context, c *cluster.Cluster, t Target, _ string) ([]string, error) {
	q, err := planDefragmentAll(ctx, c, t)
	if err != nil {
		return nil, err
	}
	var free, takes int64
	for _, m := range q.voting(false) {
		free += max(0, m.status.DbSize-m.status.DbSizeInUse)
		takes += int64(defragTakes(m.status.DbSizeInUse))
	}
	lines := []string{fmt.Sprintf("%s, the databases of %d members will be rewritten, one after the other: %s. About %s come free in all; it will take %s.",
		where(c), len(q.voting(false)), q.inWords(), bytes(free), about(time.Duration(takes)))}
	lines = append(lines, "While a member is rewritten, all reads and writes on it wait. Before each the members are looked at again: at the first that is not well, or not reached, it ends, and the others are left alone.")
	return append(lines, q.pauseLines()...), nil
}

// inWords is the order of a rolling operation: "etcd-2, etcd-3, then etcd-1, which leads, after the leadership has been moved away".
func (q *quorum) inWords() string {
	ms := q.order()
	s := ""
	for i, m := range ms {
		if i > 0 {
			s += ", "
		}
		if m == q.leader() && len(ms) > 1 {
			return s + fmt.Sprintf("and at last %s, which leads: the leadership is moved away from it first", m)
		}
		s += m.String()
	}
	return s
}

// pauseLines say what it means that there is no member to spare.
func (q *quorum) pauseLines() []string {
	switch len(q.voting(false)) {
	case 1:
		return []string{"It is the only member: the whole of Kubernetes waits for it."}
	case 2:
		return []string{"There are two members, so no write is accepted anywhere while one of them is away."}
	}
	return nil
}
