package actions

import (
	"context"
	"fmt"
	"slices"
	"strings"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"fathom/cluster"
)

func promote() Action {
	return Action{
		ID: "members.promote", Title: "Promote learner", Verb: "memberpromote", Resources: []string{"members"},
		Risk: Destructive, Exclusive: true, Preview: previewPromote, Do: doPromote, Verify: verifyPromote,
	}
}

// planPromote has a gate of its own: etcd's is the ratio of two absolute indices (0.9), which at index 10,000,000 lets a learner pass
// that is 1,000,000 entries behind.
func planPromote(ctx context.Context, c *cluster.Cluster, t Target) (*quorum, *member, error) {
	q, err := lookAtQuorum(ctx, c)
	if err != nil {
		return nil, nil, err
	}
	m, err := q.find(t)
	if err != nil {
		return nil, nil, err
	}
	refuse := func(format string, args ...any) (*quorum, *member, error) {
		return nil, nil, &Refusal{Reason: fmt.Sprintf(format, args...)}
	}
	switch lead := q.leader(); {
	case !m.learner:
		return refuse("%s is no learner: it has a vote already", m)
	case m.name == "":
		return refuse("%s was added and has never been started: it has no data; start it, and let it catch up", m)
	case m.status == nil:
		return refuse("%s does not answer (%v): with a vote it would count for the quorum and could not do its part", m, m.err)
	case lead == nil:
		return refuse("no member leads now, so nothing can be proposed: let an election finish first")
	case q.apart(m):
		return refuse("%s has no contact with the leader: with a vote it would count for the quorum and could not do its part", m)
	case q.lag(m) > maxLag:
		return refuse("%s is still %s behind: with a vote it would count for the quorum and could not do its part; let it catch up", m, entries(q.lag(m)))
	case len(q.voting(true))+1 < majority(len(q.voting(false))+1):
		return refuse("with one voter more, %d of %d are needed, and only %d are well", majority(len(q.voting(false))+1), len(q.voting(false))+1, len(q.voting(true))+1)
	}
	return q, m, nil
}

func previewPromote(ctx context.Context, c *cluster.Cluster, t Target, _ string) ([]string, error) {
	q, m, err := planPromote(ctx, c, t)
	if err != nil {
		return nil, err
	}
	n := len(q.voting(false)) + 1
	lines := []string{
		fmt.Sprintf("%s, %s, %s behind, gets a vote: of %d voters %d are a quorum then, and %d may fail.", where(c), m, entries(q.lag(m)), n, majority(n), n-majority(n)),
		"It cannot be made a learner again: to take the vote back it has to be removed.",
	}
	if n%2 == 0 {
		lines = append(lines, fmt.Sprintf("%d voters bear no more failures than %d: add another one.", n, n-1))
	}
	return lines, nil
}

func doPromote(ctx context.Context, c *cluster.Cluster, r Request) (string, error) {
	q, m, err := planPromote(ctx, c, r.Target)
	if err != nil {
		return "", err
	}
	at := q.sender(0)
	if _, err := pb.NewClusterClient(at.conn.client.ActiveConnection()).MemberPromote(ctx, &pb.MemberPromoteRequest{ID: m.id}); err != nil {
		return "", fmt.Errorf("promote %s through %s: %w", m, at, reconfiguration(err))
	}
	return fmt.Sprintf("%s has a vote now: %d voters", m, len(q.voting(false))+1), nil
}

func verifyPromote(ctx context.Context, c *cluster.Cluster, r Request) (Status, string, error) {
	return settle(ctx, func(ctx context.Context) (Status, string, error) {
		q, err := lookAtQuorum(ctx, c)
		if err != nil {
			return Unknown, "", err
		}
		m, err := q.find(r.Target)
		switch {
		case err != nil:
			return Unknown, r.Target.String() + " is no longer a member", nil
		case m.learner:
			return Unknown, fmt.Sprintf("%s is still a learner", m), nil
		default:
			return Done, fmt.Sprintf("%s has a vote: %d voters", m, len(q.voting(false))), nil
		}
	})
}

func removeMember() Action {
	return Action{
		ID: "members.remove", Title: "Remove member", Verb: "memberremove", Resources: []string{"members"},
		Risk: Critical, Exclusive: true, Preview: previewRemove, Do: doRemove, Verify: verifyRemove,
	}
}

// removal is what the removal of a member would leave: voters, of which so many answer. It is about a member with a vote.
type removal struct {
	q            *quorum
	m            *member
	voters, well int
}

func planRemove(ctx context.Context, c *cluster.Cluster, t Target, override string) (removal, error) {
	q, err := lookAtQuorum(ctx, c)
	if err != nil {
		return removal{}, err
	}
	m, err := q.find(t)
	if err != nil {
		return removal{}, err
	}
	p := removal{q: q, m: m, voters: len(without(q.voting(false), m.id)), well: len(without(q.voting(true), m.id))}
	switch {
	case q.leader() == nil:
		return p, &Refusal{Reason: "no member leads now, so nothing can be proposed: let an election finish first"}
	case m.learner:
		return p, nil
	case p.voters == 0:
		return p, &Refusal{Reason: fmt.Sprintf("%s is the only member with a vote: without it there is no cluster", m)}
	case q.sender(m.id) == nil:
		return p, &Refusal{Reason: fmt.Sprintf("no other voter than %s is well: there is nobody to ask who stays", m)}
	}
	// Of those that answer, who is far behind or whose alarm says that its data are not to be trusted is no support for a quorum.
	for _, o := range without(q.voting(true), m.id) {
		if q.lag(o) > maxLag || q.corrupt(o) {
			p.well--
		}
	}
	if phrase := "lose the quorum"; p.well < majority(p.voters) && override != phrase {
		return p, &Refusal{
			Reason: fmt.Sprintf("without %s there are %d voters, of which %d are a quorum, and only %d are well: etcd would stop taking writes. Bring the others back, or remove one that is down, first. (etcd itself refuses too, unless it runs with --strict-reconfig-check=false.)",
				m, p.voters, majority(p.voters), p.well),
			Override: phrase,
		}
	}
	return p, nil
}

func previewRemove(ctx context.Context, c *cluster.Cluster, t Target, _ string) ([]string, error) {
	p, err := planRemove(ctx, c, t, "")
	if p.m == nil {
		return nil, err
	}
	if p.m.learner {
		return []string{fmt.Sprintf("%s, %s, a learner, will no longer be a member. The quorum stays as it is.", where(c), p.m)}, err
	}
	lines := []string{
		fmt.Sprintf("%s, %s will no longer be a member. Of the %d voters that stay, %d are a quorum, and %d are well: %s.",
			where(c), p.m, p.voters, majority(p.voters), p.well, mayFail(p.well-majority(p.voters))),
		"Its process ends by itself, and it cannot come back: to add that host again, its data folder has to be wiped first.",
	}
	if p.q.leader() == p.m {
		lines = append(lines, "It leads: an election follows, and writes wait for it. Move the leadership to another member first.")
	}
	if p.m.status == nil {
		lines = append(lines, fmt.Sprintf("It does not answer (%v).", p.m.err))
	}
	if p.voters%2 == 0 {
		lines = append(lines, fmt.Sprintf("%d voters bear no more failures than %d: add another one soon.", p.voters, p.voters-1))
	}
	return lines, err
}

func mayFail(n int) string {
	switch {
	case n < 0:
		return "the quorum is lost"
	case n == 0:
		return "none of them may fail then"
	case n == 1:
		return "one of them may fail"
	}
	return fmt.Sprintf("%d of them may fail", n)
}

func doRemove(ctx context.Context, c *cluster.Cluster, r Request) (string, error) {
	p, err := planRemove(ctx, c, r.Target, r.Override)
	if err != nil {
		return "", err
	}
	at := p.q.sender(p.m.id)
	if at == nil {
		return "", &Refusal{Reason: "no member with a vote answers: there is nobody to ask"}
	}
	if _, err := pb.NewClusterClient(at.conn.client.ActiveConnection()).MemberRemove(ctx, &pb.MemberRemoveRequest{ID: p.m.id}); err != nil {
		return "", fmt.Errorf("remove %s through %s: %w", p.m, at, reconfiguration(err))
	}
	return fmt.Sprintf("%s is no longer a member; wipe its data folder before that host is added again", p.m), nil
}

func verifyRemove(ctx context.Context, c *cluster.Cluster, r Request) (Status, string, error) {
	return settle(ctx, func(ctx context.Context) (Status, string, error) {
		q, err := lookAtQuorum(ctx, c)
		if err != nil {
			return Unknown, "", err
		}
		if m, err := q.find(r.Target); err == nil {
			return Unknown, fmt.Sprintf("%s is still a member", m), nil
		}
		return Done, r.Target.String() + " is no longer a member", nil
	})
}

func updatePeers() Action {
	return Action{
		ID: "members.update-peers", Title: "Change peer URLs", Verb: "memberupdate", Resources: []string{"members"},
		Risk: Destructive, Exclusive: true,
		Input: &Input{
			Prompt:  "Peer URLs of the member, with commas between them",
			Initial: func(t Target) string { return t.Detail[detailPeerURLs] },
			Check: func(_ Target, s string) error {
				_, err := parsePeerURLs(s)
				return err
			},
		},
		Preview: previewUpdatePeers, Do: doUpdatePeers, Verify: verifyUpdatePeers,
	}
}

func planUpdatePeers(ctx context.Context, c *cluster.Cluster, t Target, input string) (q *quorum, m *member, urls []string, err error) {
	if urls, err = parsePeerURLs(input); err != nil {
		return nil, nil, nil, unsent(err)
	}
	if q, err = lookAtQuorum(ctx, c); err != nil {
		return nil, nil, nil, err
	}
	if m, err = q.find(t); err != nil {
		return nil, nil, nil, err
	}
	refuse := func(format string, args ...any) (*quorum, *member, []string, error) {
		return nil, nil, nil, &Refusal{Reason: fmt.Sprintf(format, args...)}
	}
	switch used := q.usedBy(urls, m.id); {
	case slices.Equal(m.peers, urls):
		return refuse("%s has the peer URLs %s already", m, strings.Join(urls, ", "))
	case used != nil:
		return refuse("%s has this peer URL: two members cannot share one", used)
	case q.leader() == nil:
		return refuse("no member leads now, so nothing can be proposed: let an election finish first")
	}
	if m.learner {
		for _, o := range q.members {
			if o.status == nil && o.id != m.id {
				return refuse("%s is a learner, and %s cannot be reached, so its version is not known: before etcd 3.5.31 and 3.6.12 a change of a learner's peer URLs gives it a vote by mistake (etcd #21694). Bring it back first, or remove the learner and add it again with the right URL", m, o)
			}
			if v, ok := o.version(); o.status != nil && (!ok || !fixedIn(v, [3]int{3, 5, 31}, [3]int{3, 6, 12})) {
				return refuse("%s is a learner, and %s runs etcd %s: before 3.5.31 and 3.6.12 a change of its peer URLs gives it a vote by mistake (etcd #21694). Remove it and add it again with the right URL", m, o, o.status.Version)
			}
		}
	}
	return q, m, urls, nil
}

func previewUpdatePeers(ctx context.Context, c *cluster.Cluster, t Target, input string) ([]string, error) {
	q, m, urls, err := planUpdatePeers(ctx, c, t, input)
	if err != nil {
		return nil, err
	}
	lines := []string{
		fmt.Sprintf("%s, the peer URLs of %s will be %s, and no longer %s.", where(c), m, strings.Join(urls, ", "), strings.Join(m.peers, ", ")),
		"The other members reach it there at once. It has to listen there (--listen-peer-urls, with a certificate that names the host): a wrong URL cuts it off, until it is corrected here.",
	}
	if !m.learner && m.status != nil {
		up, voters := len(without(q.voting(true), m.id)), len(q.voting(false))
		switch {
		case voters == 1:
		case up < majority(voters):
			lines = append(lines, fmt.Sprintf("If it is cut off, the quorum is lost: %d of %d voters would be well, and %d are needed.", up, voters, majority(voters)))
		}
	}
	if s := q.scheme(); s != "" && !strings.HasPrefix(urls[0], s+"://") {
		lines = append(lines, fmt.Sprintf("The peer URLs begin with %s:// now, the new one does not: look twice.", s))
	}
	return lines, nil
}

func doUpdatePeers(ctx context.Context, c *cluster.Cluster, r Request) (string, error) {
	q, m, urls, err := planUpdatePeers(ctx, c, r.Target, r.Input)
	if err != nil {
		return "", err
	}
	at := q.sender(m.id) // it may be on its way to another address
	if at == nil {
		at = q.sender(0)
	}
	if _, err := pb.NewClusterClient(at.conn.client.ActiveConnection()).MemberUpdate(ctx, &pb.MemberUpdateRequest{ID: m.id, PeerURLs: urls}); err != nil {
		return "", fmt.Errorf("change the peer URLs of %s through %s: %w", m, at, reconfiguration(err))
	}
	return fmt.Sprintf("%s is reached by its peers at %s now", m, strings.Join(urls, ", ")), nil
}

func verifyUpdatePeers(ctx context.Context, c *cluster.Cluster, r Request) (Status, string, error) {
	urls, err := parsePeerURLs(r.Input)
	if err != nil {
		return Failed, "", err
	}
	return settle(ctx, func(ctx context.Context) (Status, string, error) {
		q, err := lookAtQuorum(ctx, c)
		if err != nil {
			return Unknown, "", err
		}
		m, err := q.find(r.Target)
		switch {
		case err != nil:
			return Unknown, r.Target.String() + " is no longer a member", nil
		case slices.Equal(m.peers, urls):
			return Done, fmt.Sprintf("the peer URLs of %s are %s", m, strings.Join(urls, ", ")), nil
		default:
			return Unknown, fmt.Sprintf("the peer URLs of %s are %s", m, strings.Join(m.peers, ", ")), nil
		}
	})
}
