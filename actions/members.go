package actions

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"fathom/cluster"
	"fathom/internal/run"
)

// maxLag is how many raft entries a member may be behind the leader and still be given the leadership or be defragmented. An
// idle or busy healthy member is a few entries behind; thousands mean that it is catching up, perhaps applying a snapshot.
const maxLag = 1000

func memberName(name string, id uint64) string {
	if name == "" {
		return fmt.Sprintf("Member %x", id)
	}
	return fmt.Sprintf("Member %s (%x)", name, id)
}

// member is one member of the etcd cluster as it is now.
type member struct {
	id      uint64
	name    string
	learner bool
	peers   []string           // its peer URLs
	clients []string           // its client URLs; none before it has started
	conn    *etcdConn          // nil when none of our connections reaches it
	status  *pb.StatusResponse // nil when it did not answer
	err     error              // why not
}

func (m *member) String() string { return memberName(m.name, m.id) }

// quorum is a fresh picture of an etcd cluster: who belongs to it (linearizable, so a quorum agrees) and what each says.
type quorum struct {
	members []*member
	cluster uint64 // its ID
}

// lookAtQuorum asks every member, side by side, each with its own deadline. It fails when no member can say, with a quorum
// behind it, who the members are.
func lookAtQuorum(ctx context.Context, c *cluster.Cluster) (*quorum, error) {
	conns, err := etcdOf(c)
	if err != nil {
		return nil, err
	}
	answers := askAll(ctx, conns)
	list, clusterID, err := listMembers(ctx, answers)
	if ctx.Err() == context.Canceled { // by our own end: what was not heard says nothing of the members
		return nil, unsent(fmt.Errorf("ask the members of etcd: %w", ctx.Err()))
	}
	if err != nil {
		if why := withoutQuorum(answers, err); why != "" {
			return nil, &Refusal{Reason: why}
		}
		return nil, unsent(err)
	}
	if known, err := learn(c, conns, list); err != nil {
		return nil, unsent(err)
	} else if len(known) > 0 {
		answers = append(answers, askAll(ctx, known)...)
	}
	q := &quorum{cluster: clusterID}
	for _, l := range list {
		m := &member{id: l.ID, name: l.Name, learner: l.IsLearner, peers: l.PeerURLs, clients: l.ClientURLs, err: errors.New("none of the given endpoints is this member's")}
		for i := range answers {
			a := &answers[i]
			if a.status != nil && a.status.Header.GetMemberId() == m.id {
				m.conn, m.status, m.err = &a.conn, a.status, nil
			} else if a.status == nil && slices.Contains(l.ClientURLs, a.conn.endpoint) {
				m.conn, m.err = &a.conn, a.err
			}
			if m.status != nil {
				break
			}
		}
		q.members = append(q.members, m)
	}
	return q, nil
}

// learn connects to members that no given endpoint reaches and returns the new connections.
func learn(c *cluster.Cluster, have []etcdConn, list []*pb.Member) ([]etcdConn, error) {
	for _, m := range list {
		if _, err := c.Etcd().AddEndpoints(m.ClientURLs...); err != nil {
			return nil, err
		}
	}
	all, err := etcdOf(c)
	if err != nil {
		return nil, err
	}
	return all[len(have):], nil
}

type answer struct {
	conn   etcdConn
	status *pb.StatusResponse
	err    error
}

func askAll(ctx context.Context, conns []etcdConn) []answer {
	answers := make([]answer, len(conns))
	done := make(chan struct{}, len(conns))
	g := run.NewGroup(ctx, nil)
	defer g.Stop()
	for i, conn := range conns {
		answers[i] = answer{conn: conn, err: errors.New("asking for its status failed")}
		g.Go("actions: etcd status", func(ctx context.Context) {
			defer func() { done <- struct{}{} }()
			ctx, cancel := context.WithTimeout(ctx, readTimeout)
			defer cancel()
			answers[i].status, answers[i].err = conn.maintenance.Status(ctx, &pb.StatusRequest{})
		})
	}
	for range conns {
		<-done
	}
	return answers
}

// withoutQuorum says why nothing can be done when members answer and none of them has a quorum behind it; "" when it is something else that
// went wrong: nobody answers, or it is not allowed to ask.
func withoutQuorum(answers []answer, err error) string {
	up := 0
	for _, a := range answers {
		if a.status != nil {
			up++
		}
	}
	if f := cluster.Classify(err); up == 0 || f == cluster.FaultForbidden || f == cluster.FaultUnauthorized || strings.Contains(err.Error(), "permission denied") {
		return ""
	}
	return fmt.Sprintf("etcd has no quorum: %d of %d endpoints answer, and none of them can say with a majority behind it who the members are; "+
		"nothing can be changed until a majority is back", up, len(answers))
}

// listMembers also returns the ID of the cluster.
func listMembers(ctx context.Context, answers []answer) ([]*pb.Member, uint64, error) {
	var errs []error
	for _, a := range answers {
		if a.status == nil {
			errs = append(errs, fmt.Errorf("%s: %w", a.conn.endpoint, a.err))
			continue
		}
		if a.status.IsLearner {
			continue // a learner does not serve a linearizable read
		}
		ctx, cancel := context.WithTimeout(ctx, readTimeout)
		resp, err := a.conn.client.MemberList(ctx)
		cancel()
		if err == nil {
			return resp.Members, resp.Header.GetClusterId(), nil
		}
		errs = append(errs, fmt.Errorf("%s: %w", a.conn.endpoint, err))
	}
	return nil, 0, fmt.Errorf("list the members of etcd: no member could answer with a quorum: %w", errors.Join(errs...))
}

// find returns the member with an ID.
func (q *quorum) find(t Target) (*member, error) {
	for _, m := range q.members {
		if m.id == t.Member {
			return m, nil
		}
	}
	return nil, &ConflictError{Reason: fmt.Sprintf("%s is no longer a member of this etcd cluster: nothing was sent", t)}
}

// leader is the member that says of itself that it leads, in the highest term anybody reports; nil when there is none.
func (q *quorum) leader() *member {
	var term uint64
	for _, m := range q.members {
		if m.status != nil {
			term = max(term, m.status.RaftTerm)
		}
	}
	for _, m := range q.members {
		if m.status != nil && m.status.Leader == m.id && m.status.RaftTerm == term {
			return m
		}
	}
	return nil
}

// lag is how many entries the member has yet to apply of those that any member knows to be committed.
func (q *quorum) lag(m *member) uint64 {
	var commit uint64
	for _, o := range q.members {
		if o.status != nil {
			commit = max(commit, o.status.RaftIndex)
		}
	}
	if m.status == nil || m.status.RaftAppliedIndex >= commit {
		return 0
	}
	return commit - m.status.RaftAppliedIndex
}

func (q *quorum) unreachable() []*member {
	return slices.DeleteFunc(slices.Clone(q.members), func(m *member) bool { return m.status != nil })
}

func (q *quorum) voters() int {
	n := 0
	for _, m := range q.members {
		if !m.learner {
			n++
		}
	}
	return n
}

func names(ms []*member) string {
	out := make([]string, len(ms))
	for i, m := range ms {
		out[i] = m.String()
	}
	return strings.Join(out, ", ")
}

func entries(n uint64) string {
	if n == 1 {
		return "1 entry"
	}
	return fmt.Sprintf("%d entries", n)
}
