package actions

import (
	"context"
	"fmt"
	"slices"
	"strings"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"

	"fathom/cluster"
)

// detailNextName is the key of Target.Detail with a name for a new member that goes with the others' names.
const detailNextName = "nextName"

// addLearner adds a member that has no vote yet: it gets the data first, and is promoted when it has caught up, so that it never
// counts for the quorum while it cannot do its part.
func addLearner() Action {
	return Action{
		ID: "etcd.add-learner", Title: "Add member as learner", Verb: "memberadd", Resources: []string{"etcd"},
		Risk: Destructive, Exclusive: true,
		Input: &Input{
			Prompt:  "Name and peer URL of the new member (NAME=URL, more URLs with commas)",
			Initial: func(t Target) string { return t.Detail[detailNextName] + "=https://" },
			Check: func(_ Target, s string) error {
				_, _, err := parseNewMember(s)
				return err
			},
		},
		Preview: previewAddLearner, Do: doAddLearner, Verify: verifyAddLearner,
	}
}

// maxLearners is etcd's default of --max-learners (before 3.6 --experimental-max-learners).
const maxLearners = 1

func planAddLearner(ctx context.Context, c *cluster.Cluster, t Target, input string) (q *quorum, name string, urls []string, err error) {
	if name, urls, err = parseNewMember(input); err != nil {
		return nil, "", nil, unsent(err)
	}
	if q, err = lookAt(ctx, c, t); err != nil {
		return nil, "", nil, err
	}
	refuse := func(format string, args ...any) (*quorum, string, []string, error) {
		return nil, "", nil, &Refusal{Reason: fmt.Sprintf(format, args...)}
	}
	var learners []*member
	for _, m := range q.members {
		if m.learner {
			learners = append(learners, m)
		}
	}
	switch used := q.usedBy(urls, 0); {
	case len(learners) >= maxLearners:
		return refuse("%s is a learner already: etcd takes one at a time; promote it when it has caught up, or remove it, first", names(learners))
	case q.absent() != "":
		return refuse("%s: a cluster that is not well is not made larger; bring it back, or remove it, first", q.absent())
	case q.leader() == nil:
		return refuse("no member leads now, so nothing can be proposed: let an election finish first")
	case used != nil:
		return refuse("%s has this peer URL already: the new member needs one of its own", used)
	case slices.ContainsFunc(q.members, func(m *member) bool { return m.name == name }):
		return refuse("there is a member named %s already: give the new one another name", name)
	}
	return q, name, urls, nil
}

func previewAddLearner(ctx context.Context, c *cluster.Cluster, t Target, input string) ([]string, error) {
	q, name, urls, err := planAddLearner(ctx, c, t, input)
	if err != nil {
		return nil, err
	}
	lines := []string{
		fmt.Sprintf("%s, %s will be added as a learner at %s: it gets all data, has no vote and does not count for the quorum.", where(c), name, strings.Join(urls, ", ")),
		"Its command line is shown afterwards, to be started on its host with an empty data folder. When it has caught up, promote it (p).",
		"Until it has, the leader sends it a snapshot: with a large database that is work for the leader's disk and network.",
	}
	if s := q.scheme(); s != "" && !strings.HasPrefix(urls[0], s+"://") {
		lines = append(lines, fmt.Sprintf("The other members' peer URLs begin with %s://, this one does not: look twice.", s))
	}
	return lines, nil
}

func doAddLearner(ctx context.Context, c *cluster.Cluster, r Request) (string, error) {
	q, name, urls, err := planAddLearner(ctx, c, r.Target, r.Input)
	if err != nil {
		return "", err
	}
	at := q.sender(0)
	resp, err := pb.NewClusterClient(at.conn.client.ActiveConnection()).MemberAdd(ctx, &pb.MemberAddRequest{PeerURLs: urls, IsLearner: true})
	if err != nil {
		return "", fmt.Errorf("add %s through %s: %w", name, at, reconfiguration(err))
	}
	return q.added(name, resp.Member.GetID(), urls), nil
}

// added says how to go on.
func (q *quorum) added(name string, id uint64, urls []string) string {
	return fmt.Sprintf("%s was added as learner %x; it has not been started yet\n", name, id) +
		"# To start it on its host, with an empty data folder. Folders and TLS files are\n# named as kubeadm does: take those that the other members have.\n" +
		q.commandLine(name, id, urls)
}

// reconfiguration explains errors of changes of the membership that are known to puzzle.
func reconfiguration(err error) error {
	err = rpctypes.Error(err)
	switch err {
	case rpctypes.ErrUnhealthy:
		return fmt.Errorf("%w (etcd wants all members connected for 5 seconds before it changes the membership: wait a moment, look at :members, and try again)", err)
	case rpctypes.ErrMemberNotEnoughStarted:
		return fmt.Errorf("%w (etcd counts members that were added and never started: start or remove them first)", err)
	case rpctypes.ErrTooManyLearners:
		return fmt.Errorf("%w (its --max-learners)", err)
	}
	return err
}

func verifyAddLearner(ctx context.Context, c *cluster.Cluster, r Request) (Status, string, error) {
	name, urls, err := parseNewMember(r.Input)
	if err != nil {
		return Failed, "", err
	}
	return settle(ctx, func(ctx context.Context) (Status, string, error) {
		q, err := lookAt(ctx, c, r.Target)
		if err != nil {
			return Unknown, "", err
		}
		if m := q.usedBy(urls, 0); m != nil {
			return Done, q.added(name, m.id, urls), nil
		}
		return Unknown, "no member has the peer URL " + strings.Join(urls, ", "), nil
	})
}
