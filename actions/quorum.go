package actions

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"fathom/cluster"
)

// lookAt is lookAtQuorum for an action on the whole cluster: it has to be the cluster that was confirmed.
func lookAt(ctx context.Context, c *cluster.Cluster, t Target) (*quorum, error) {
	q, err := lookAtQuorum(ctx, c)
	if err != nil {
		return nil, err
	}
	if id := fmt.Sprintf("%x", q.cluster); id != t.UID {
		return nil, &ConflictError{Reason: fmt.Sprintf("these endpoints are now those of the etcd cluster %s, and %s was confirmed: nothing was sent", id, t)}
	}
	return q, nil
}

// majority is how many of n voters are a quorum.
func majority(n int) int { return n/2 + 1 }

// voting are the members with a vote, or those of them that answer and are in contact with the leader.
func (q *quorum) voting(onlyWell bool) []*member {
	return slices.DeleteFunc(slices.Clone(q.members), func(m *member) bool { return m.learner || onlyWell && (m.status == nil || q.apart(m)) })
}

// apart reports whether a member answers us and yet does not follow the leader: it is cut off from its peers, and no support for the
// quorum. As long as nothing is written it does not even lag. Without a leader there is none to be apart from.
func (q *quorum) apart(m *member) bool {
	lead := q.leader()
	return lead != nil && m.status != nil && m.status.Leader != lead.id
}

// absent says which members are not there for the others, learners too; empty: all are.
func (q *quorum) absent() string {
	var parts []string
	if away := q.unreachable(); len(away) > 0 {
		parts = append(parts, names(away)+" cannot be reached")
	}
	if apart := slices.DeleteFunc(slices.Clone(q.members), func(m *member) bool { return !q.apart(m) }); len(apart) > 0 {
		has := " has"
		if len(apart) > 1 {
			has = " have"
		}
		parts = append(parts, names(apart)+has+" no contact with the leader")
	}
	return strings.Join(parts, ", and ")
}

// without returns members but for one.
func without(ms []*member, id uint64) []*member {
	return slices.DeleteFunc(slices.Clone(ms), func(m *member) bool { return m.id == id })
}

// sender is the member to send a request to that concerns the cluster: the leader, unless it is the one that is not to be asked;
// then the voter in contact with it that is least behind. nil: there is none.
func (q *quorum) sender(not uint64) *member {
	if l := q.leader(); l != nil && l.id != not {
		return l
	}
	return q.nearest(not)
}

// nearest is the voter other than one that is well and the least behind; nil when there is none.
func (q *quorum) nearest(not uint64) *member {
	ms := without(q.voting(true), not)
	if len(ms) == 0 {
		return nil
	}
	return slices.MinFunc(ms, func(a, b *member) int { return cmp.Or(cmp.Compare(q.lag(a), q.lag(b)), cmp.Compare(a.name, b.name)) })
}

// revision is the newest that any member reports.
func (q *quorum) revision() int64 {
	var r int64
	for _, m := range q.members {
		if m.status != nil {
			r = max(r, m.status.Header.GetRevision())
		}
	}
	return r
}

// alarm is one that etcd has raised. Member 0, or one that is no longer there, is possible: alarms outlive members (etcd #14379),
// and a corruption may have no known culprit.
type alarm struct {
	member uint64
	kind   pb.AlarmType
}

var (
	alarmMember = regexp.MustCompile(`memberID:\s*(\d+)`)
	alarmKind   = regexp.MustCompile(`alarm:\s*([A-Z]+)`)
)

// alarms are those that any member reports, from the text in its status: the Alarm RPC is not for looking, it goes through raft.
func (q *quorum) alarms() []alarm {
	var out []alarm
	for _, m := range q.members {
		if m.status == nil {
			continue
		}
		for _, e := range m.status.Errors {
			kind := alarmKind.FindStringSubmatch(e)
			if kind == nil {
				continue
			}
			a := alarm{kind: pb.AlarmType(pb.AlarmType_value[kind[1]])}
			if id := alarmMember.FindStringSubmatch(e); id != nil {
				a.member, _ = strconv.ParseUint(id[1], 10, 64) // digits; too many of them are no member's
			}
			if a.kind != pb.AlarmType_NONE && !slices.Contains(out, a) {
				out = append(out, a)
			}
		}
	}
	slices.SortFunc(out, func(a, b alarm) int { return cmp.Or(cmp.Compare(a.kind, b.kind), cmp.Compare(a.member, b.member)) })
	return out
}

// raised are the alarms of one kind.
func (q *quorum) raised(kind pb.AlarmType) []alarm {
	return slices.DeleteFunc(q.alarms(), func(a alarm) bool { return a.kind != kind })
}

// whose names the member an alarm is about.
func (q *quorum) whose(a alarm) string {
	if a.member == 0 {
		return "no member in particular"
	}
	for _, m := range q.members {
		if m.id == a.member {
			return m.String()
		}
	}
	return fmt.Sprintf("member %x, which is no longer there", a.member)
}

// corrupt reports whether an alarm is about a member's data. Each member's status has the alarms about all of them, so who reports one says
// nothing of whom it is about.
func (q *quorum) corrupt(m *member) bool { return q.has(alarm{m.id, pb.AlarmType_CORRUPT}) }

// target identifies a member for a step.
func (m *member) target() Target {
	t := Target{Kind: "Member", Resource: "members", Name: m.name, Member: m.id, UID: fmt.Sprintf("%x", m.id)}
	if m.conn != nil {
		t.Endpoint = m.conn.endpoint
	}
	if m.status != nil {
		t.Detail = map[string]string{detailDBSize: fmt.Sprint(m.status.DbSize)}
	}
	return t
}

// version is a member's as three numbers; false when it does not look like one.
func (m *member) version() (v [3]int, ok bool) {
	if m.status == nil {
		return v, false
	}
	core, _, _ := strings.Cut(m.status.Version, "-")
	parts := strings.Split(core, ".")
	if len(parts) != 3 {
		return v, false
	}
	for i, p := range parts {
		n, err := strconv.Atoi(p)
		if err != nil {
			return v, false
		}
		v[i] = n
	}
	return v, true
}

// fixedIn reports whether a version has what was mended in the given patch releases of its minor line; later lines have it.
func fixedIn(v [3]int, in ...[3]int) bool {
	newest := [3]int{}
	for _, f := range in {
		if v[0] == f[0] && v[1] == f[1] {
			return v[2] >= f[2]
		}
		if slices.Compare(f[:], newest[:]) > 0 {
			newest = f
		}
	}
	return slices.Compare(v[:], newest[:]) > 0
}

// tryEvery is the pause between two looks of await.
const tryEvery = 500 * time.Millisecond

// await repeats a plan that is refused until it is not, or for a time: what is waited for is a member that has been away for a
// moment and catches up.
func await[T any](ctx context.Context, atMost time.Duration, plan func(context.Context) (T, error)) (T, error) {
	began := time.Now()
	tick := time.NewTicker(tryEvery)
	defer tick.Stop()
	for {
		v, err := plan(ctx)
		var conflict *ConflictError
		if err == nil || errors.As(err, &conflict) || time.Since(began) >= atMost {
			return v, err
		}
		select {
		case <-ctx.Done():
			return v, unsent(err)
		case <-tick.C:
		}
	}
}
