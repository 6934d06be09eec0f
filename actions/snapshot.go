package actions

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"

	"fathom/cluster"
	"fathom/internal/snapfile"
)

// IDSnapshot is the action that saves a snapshot: its target is the member that sends it, its input the file.
const IDSnapshot = "members.snapshot"

// Keys of Target.Detail for IDSnapshot.
const (
	// DetailFile is the file that the dialog proposes.
	DetailFile = "file"
	// DetailForce is "true" when a file that exists is to be replaced.
	DetailForce = "force"
)

const (
	// snapshotTimeout bounds a save. What ends a hanging one is snapshotStall.
	snapshotTimeout = 24 * time.Hour
	// snapshotReserve is what must stay free on the disk beside the snapshot, in bytes.
	snapshotReserve = 16 << 20
)

// snapshotStall is how long nothing may come from the member.
var snapshotStall = 30 * time.Second

// free is snapfile.Free; tests have smaller disks.
var free = snapfile.Free

func saveSnapshot() Action {
	return Action{
		ID: IDSnapshot, Title: "Save snapshot", Verb: "snapshot", Resources: []string{"members"},
		Risk: Destructive, Timeout: snapshotTimeout, // destructive in the other way: every Secret leaves the cluster
		Input: &Input{
			Prompt: "File to save it in",
			Initial: func(t Target) string {
				if f := t.Detail[DetailFile]; f != "" {
					return f
				}
				return snapfile.Name("etcd", time.Now())
			},
			Check: func(_ Target, s string) error {
				if strings.TrimSpace(s) == "" {
					return errors.New("give the name of a file")
				}
				return nil
			},
		},
		Preview: previewSnapshot, Do: doSnapshot, Verify: verifySnapshot,
	}
}

// snapshotPlan is a save that could begin now.
type snapshotPlan struct {
	q     *quorum
	m     *member
	file  string // absolute
	force bool
	room  int64 // free on the disk, in bytes
}

// planSnapshot looks anew. It needs no quorum: a snapshot of what one member still has is the first thing to save when the others are gone.
func planSnapshot(ctx context.Context, c *cluster.Cluster, t Target, input string) (p snapshotPlan, err error) {
	refuse := func(format string, args ...any) (snapshotPlan, error) {
		return snapshotPlan{}, &Refusal{Reason: fmt.Sprintf(format, args...)}
	}
	if p.file, err = filepath.Abs(strings.TrimSpace(input)); err != nil {
		return refuse("%q is no name of a file: %v", input, err)
	}
	p.force = t.Detail[DetailForce] == "true"
	if p.q, err = lookAtMembers(ctx, c); err != nil {
		return p, err
	}
	if p.m, err = p.q.find(t); err != nil {
		return p, err
	}
	switch {
	case p.m.status == nil:
		return refuse("%s does not answer: %v", p.m, p.m.err)
	case p.m.learner:
		return refuse("%s is a learner: it may not have all of the data yet; choose a follower", p.m)
	case p.q.corrupt(p.m):
		return refuse("the alarm CORRUPT is raised about %s: a snapshot of it would keep the corruption; choose another member", p.m)
	}
	if err := snapfile.CanCreate(p.file, p.force); err != nil {
		return refuse("%v", err)
	}
	if p.room, err = free(filepath.Dir(p.file)); err != nil {
		return refuse("%v", err)
	}
	if need := p.m.status.DbSize + snapfile.SumSize; p.room < need+snapshotReserve {
		return refuse("the disk of %s has %s free, and the snapshot takes %s: nothing was begun; name a folder on another disk",
			filepath.Dir(p.file), bytes(p.room), bytes(need))
	}
	return p, nil
}

func previewSnapshot(ctx context.Context, c *cluster.Cluster, t Target, input string) ([]string, error) {
	p, err := planSnapshot(ctx, c, t, input)
	if err != nil {
		return nil, err
	}
	st := p.m.status
	lines := []string{
		fmt.Sprintf("%s, %s will send its database as of revision %d or later, %s, into %s (%s free).",
			where(c), p.m, st.GetHeader().GetRevision(), bytes(st.DbSize), p.file, bytes(p.room)),
		"All that is in etcd leaves the cluster in that file: every Secret, in clear unless the API server encrypts them. Only you may read it (mode 0600); keep it as you keep the cluster's keys.",
		"The member reads its whole database from its disk meanwhile; reads and writes go on. Nothing in the cluster changes.",
	}
	if p.force {
		lines = append(lines, "A file of that name is replaced, once the new one is whole.")
	}
	if as := p.q.raised(pb.AlarmType_CORRUPT); len(as) > 0 {
		lines = append(lines, fmt.Sprintf("The alarm CORRUPT is raised about %s. Whether this member's data are right it does not say: compare the members by their hashes (:consistency) before you rely on the file.",
			p.q.whose(as[0])))
	}
	switch lead := p.q.leader(); {
	case lead == nil:
		lines = append(lines, "No reachable member leads: what this member has not heard of is not in its snapshot.")
	case lead == p.m && len(p.q.followers()) > 0:
		lines = append(lines, "It is the leader: a follower would do as well and has less to do.")
	case p.q.apart(p.m):
		lines = append(lines, "It has no contact with the leader: what was written since it lost it is not in its snapshot. Choose another member.")
	case p.q.lag(p.m) > maxLag:
		lines = append(lines, fmt.Sprintf("It is %s behind: what it has not applied is not in its snapshot.", entries(p.q.lag(p.m))))
	}
	return lines, nil
}

// doSnapshot saves the snapshot. After an error nothing is left of it, so the outcome is never unknown.
func doSnapshot(ctx context.Context, c *cluster.Cluster, r Request) (string, error) {
	p, err := planSnapshot(ctx, c, r.Target, r.Input)
	if err != nil {
		return "", err
	}
	began := time.Now()
	whole, err := p.save(ctx, r.Tell)
	if err != nil {
		return "", settledError{fmt.Errorf("saving a snapshot of %s: %w", p.m, err)}
	}
	return fmt.Sprintf("%s is saved: %s from %s in %s, and its contents are what its SHA-256 says (%x)",
		p.file, bytes(whole.FileSize), p.m, time.Since(began).Round(time.Millisecond), whole.SHA256), nil
}

func (p *snapshotPlan) save(ctx context.Context, tell func(doing string, done, total int64)) (snapfile.Whole, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	// The end of the patience with a member that sends nothing any more.
	stall := time.AfterFunc(snapshotStall, func() { cancel(fmt.Errorf("nothing came for %s", snapshotStall)) })
	defer stall.Stop()
	because := func(err error) error {
		if cause := context.Cause(ctx); cause != nil && ctx.Err() != nil {
			return fmt.Errorf("%w; nothing of it was kept", cause)
		}
		if e, ok := rpctypes.Error(err).(rpctypes.EtcdError); ok {
			return e
		}
		return fmt.Errorf("%w; nothing of it was kept", err)
	}
	// The plain client, not clientv3's: that one would begin the stream anew after an error.
	stream, err := p.m.conn.maintenance.Snapshot(ctx, &pb.SnapshotRequest{})
	if err != nil {
		return snapfile.Whole{}, because(err)
	}
	resp, err := stream.Recv() // before there is a file: in read-only mode the guard refuses here
	if err != nil {
		return snapfile.Whole{}, because(err)
	}
	w, err := snapfile.Create(p.file, p.force)
	if err != nil {
		return snapfile.Whole{}, err
	}
	defer w.Abort()
	for remaining := uint64(0); ; {
		stall.Reset(snapshotStall)
		if _, err := w.Write(resp.Blob); err != nil {
			return snapfile.Whole{}, err
		}
		remaining = resp.RemainingBytes // of the database; its checksum comes behind it
		tell("receiving it", w.Size(), w.Size()+int64(remaining))
		resp, err = stream.Recv()
		if errors.Is(err, io.EOF) {
			if remaining > 0 {
				return snapfile.Whole{}, fmt.Errorf("the member ended %d bytes too early; nothing of it was kept", remaining)
			}
			break
		}
		if err != nil {
			return snapfile.Whole{}, because(err)
		}
	}
	stall.Stop()
	return w.Commit(ctx, func(done, total int64) { tell("reading it back", done, total) })
}

// verifySnapshot is never needed: every error of doSnapshot is settled.
func verifySnapshot(_ context.Context, _ *cluster.Cluster, r Request) (Status, string, error) {
	return Failed, fmt.Sprintf("no snapshot was saved in %s", r.Input), nil
}

// lookAtMembers asks every member without asking for a quorum's agreement.
func lookAtMembers(ctx context.Context, c *cluster.Cluster) (*quorum, error) {
	conns, err := etcdOf(c)
	if err != nil {
		return nil, err
	}
	answers := askAll(ctx, conns)
	var list []*pb.Member
	if r, err := c.Etcd().MemberList(ctx); err == nil {
		list = r.Members
		if known, err := learn(c, conns, list); err != nil {
			return nil, unsent(err)
		} else if len(known) > 0 {
			answers = append(answers, askAll(ctx, known)...)
		}
	}
	q := &quorum{}
	var errs []error
	for i := range answers {
		a := &answers[i]
		if a.status == nil {
			errs = append(errs, fmt.Errorf("%s: %w", a.conn.endpoint, a.err))
			continue
		}
		id := a.status.GetHeader().GetMemberId()
		if slices.ContainsFunc(q.members, func(m *member) bool { return m.id == id }) {
			continue
		}
		m := &member{id: id, learner: a.status.IsLearner, conn: &a.conn, status: a.status}
		if l := slices.IndexFunc(list, func(l *pb.Member) bool { return l.ID == id }); l >= 0 {
			m.name = list[l].Name
		}
		q.members = append(q.members, m)
	}
	if len(q.members) == 0 {
		return nil, unsent(fmt.Errorf("no member of etcd answers: %w", errors.Join(errs...)))
	}
	return q, nil
}

// followers are the voters that do not lead, and answer.
func (q *quorum) followers() []*member {
	lead := q.leader()
	return slices.DeleteFunc(slices.Clone(q.members), func(m *member) bool { return m == lead || m.learner || m.status == nil })
}

// SnapshotMember chooses the member that a snapshot is best taken from: a follower that is not behind, or whoever there is. want, when not
// empty, is the name, the ID in hex or the client URL of the one that is asked for.
func SnapshotMember(ctx context.Context, c *cluster.Cluster, want string) (Target, error) {
	q, err := lookAtMembers(ctx, c)
	if err != nil {
		return Target{}, err
	}
	var all []string
	for _, m := range q.members {
		if want != "" && (m.name == want || fmt.Sprintf("%x", m.id) == want || strings.TrimSuffix(m.conn.endpoint, "/") == strings.TrimSuffix(want, "/")) {
			return m.snapshotTarget(), nil
		}
		all = append(all, m.String())
	}
	if want != "" {
		return Target{}, fmt.Errorf("no member %q answers; there are %s", want, strings.Join(all, ", "))
	}
	old := func(m *member) bool { return q.apart(m) || q.lag(m) > maxLag }
	var best *member
	for _, m := range append(q.followers(), q.members...) {
		if m.learner || q.corrupt(m) {
			continue
		}
		if best == nil || old(best) && (!old(m) || q.lag(m) < q.lag(best)) {
			best = m
		}
	}
	if best == nil {
		return Target{}, fmt.Errorf("no member is fit to send a snapshot: %s are learners, or have the alarm CORRUPT", strings.Join(all, ", "))
	}
	return best.snapshotTarget(), nil
}

func (m *member) snapshotTarget() Target {
	return Target{Kind: "Member", Resource: "members", Name: firstNonEmpty(m.name, fmt.Sprintf("%x", m.id)), Member: m.id,
		UID: fmt.Sprintf("%x", m.id), Endpoint: m.conn.endpoint, Detail: map[string]string{}}
}

func firstNonEmpty(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
