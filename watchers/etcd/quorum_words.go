package etcd

import "fmt"

// Words says in sentences what the quorum can bear: how many members vote, how many of them are needed, how many may still fail.
func (q *Quorum) Words() []string {
	if q.Voters == 0 {
		return nil
	}
	need := q.Voters/2 + 1
	spare := q.Voters - need
	var out []string
	switch {
	case q.Voters == 1:
		out = append(out, "1 voting member: it is the quorum; when it fails nothing can be written, and without a backup all is lost with its disk")
	case q.Voters%2 == 0:
		out = append(out, fmt.Sprintf("%d voting members, quorum %d, may lose %d: no more than %d members could bear, so the one more is a risk without a gain; have %d or %d",
			q.Voters, need, spare, q.Voters-1, q.Voters-1, q.Voters+1))
	default:
		out = append(out, fmt.Sprintf("%d voting members, quorum %d, may lose %d", q.Voters, need, spare))
	}
	switch down := q.Voters - q.Reachable; {
	case !q.Has && q.Reachable < need:
		out = append(out, fmt.Sprintf("%d of %d answer: %d more must come back before anything can be written", q.Reachable, q.Voters, need-q.Reachable))
	case !q.Has:
		out = append(out, "nothing can be written: "+q.Why)
	case q.unseen():
		out = append(out, fmt.Sprintf("%d of %d answer us: as far as they know there is a quorum, and how many more may fail cannot be seen from here", q.Reachable, q.Voters))
	case q.Voters > 1 && q.CanLose == 0 && spare > 0:
		out = append(out, fmt.Sprintf("%s now: no more may fail", count(q.Voters-need, "member is lost", "members are lost")))
	case down > 0 || q.CanLose < spare:
		out = append(out, fmt.Sprintf("%d more may fail now", q.CanLose))
	}
	return out
}

// unseen reports whether there is a quorum of which fewer than a majority answer us: they may well be out of our reach only.
func (q *Quorum) unseen() bool { return q.Has && q.Reachable < q.Voters/2+1 }

// IfGone says what happens when a member goes: stops, or is removed from the cluster. It is empty for a row that is not there.
func (s *Snapshot) IfGone(id string) string {
	i, ok := s.Find(id)
	if !ok || s.Kine {
		return ""
	}
	m, q := s.Members[i], &s.Quorum
	need := q.Voters/2 + 1
	gone := !m.Reachable && m.Role != Denied
	switch {
	case m.MemberID == 0 || s.ClusterID != 0 && m.ClusterID != 0 && m.ClusterID != s.ClusterID:
		return "it is no member of this cluster: the quorum does not need it"
	case m.IsLearner:
		return "if it goes: the quorum does not change, a learner has no vote"
	case m.Role == Unstarted:
		return fmt.Sprintf("it has not joined and counts all the same: %d of %d votes are needed, and it gives none", need, q.Voters)
	case gone && !q.Has:
		return "it is gone: " + q.Why
	case gone && q.unseen():
		return "it does not answer us, and may be well: there is a quorum of members that we do not all reach"
	case gone && q.CanLose == 0:
		return fmt.Sprintf("it is gone, and no other may go: quorum is %d of %d", need, q.Voters)
	case gone:
		return fmt.Sprintf("it is gone: %s may still go", count(q.CanLose, "other", "others"))
	case !q.Has:
		return "there is no quorum already"
	case m.Role == NoLeader:
		return fmt.Sprintf("it is cut off already, the quorum does not count on it: %d more may fail", q.CanLose)
	case q.Voters == 1:
		return "if it goes: nothing can be read or written; it is the only one"
	case q.unseen():
		return "if it goes: whether there is a quorum then cannot be seen from here, where too few members answer"
	case q.CanLose == 0:
		return fmt.Sprintf("if it goes: no quorum (%d of %d are needed), nothing can be written until it is back", need, q.Voters)
	}
	then := fmt.Sprintf("if it goes: %s left, of which %d are needed; %d more may fail then", count(q.CanLose+need-1, "member is", "members are"), need, q.CanLose-1)
	if m.Role == Leader {
		then += "; it leads: a new leader is elected within about a second or two, and writes wait as long (move the leadership first)"
	}
	return then
}

// count is a number with the word for one of it, or for several.
func count(n int, one, several string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, several)
}
