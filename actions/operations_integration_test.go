//go:build integration

package actions

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"k8s.io/cli-runtime/pkg/genericclioptions"

	"fathom/actions/journal"
	"fathom/cluster"
	"fathom/internal/testcluster"
)

// TestIntegrationOperations performs every operation on members of real clusters, and reads its effect back with another client.
func TestIntegrationOperations(t *testing.T) {
	for _, n := range []int{3, 5} {
		t.Run(fmt.Sprintf("%d members", n), func(t *testing.T) { testOperations(t, n) })
	}
	t.Run("NOSPACE", testNospace)
	t.Run("LostAnswers", testLostAnswers)
	t.Run("DefragmentationKilled", testDefragmentationKilled)
}

// etcdRig is a real etcd cluster, a runner on it, and a client that is not fathom's.
type etcdRig struct {
	*rig
	c   *testcluster.Cluster
	cli *clientv3.Client
}

func startEtcd(t *testing.T, args ...string) *etcdRig {
	t.Helper()
	c := testcluster.Start(t, append([]string{"--etcd-only"}, args...)...)
	s := &sandbox{Cluster: c, env: etcdEnv(c.EtcdEnv(t))}
	return &etcdRig{rig: openEtcd(t, s.env), c: c, cli: s.etcd(t)}
}

func etcdEnv(kvs []string) map[string]string {
	env := map[string]string{}
	for _, kv := range kvs {
		k, v, _ := strings.Cut(kv, "=")
		env[k] = v
	}
	return env
}

func openEtcd(t *testing.T, env map[string]string) *rig {
	t.Helper()
	o := cluster.Options{Flags: genericclioptions.NewConfigFlags(false)}
	o.Etcd = cluster.EtcdOptions{HostRoot: t.TempDir(), Env: func(k string) string { return env[k] }}
	c, err := cluster.Open(o)
	must(t, err)
	t.Cleanup(c.Close)
	j := journal.New(filepath.Join(t.TempDir(), "fathom", "journal.jsonl"))
	return &rig{Runner: NewRunner(c, j, "integration"), t: t, cluster: c, journal: j}
}

// do performs an action that is to succeed. etcd refuses changes of the membership for five seconds after a member has connected.
func (e *etcdRig) do(id, input string, target Target) Outcome {
	e.t.Helper()
	var o Outcome
	eventually(e.t, id, func(context.Context) bool {
		o = e.act(id, input, target)
		e.t.Logf("%s: %s: %s", id, o.Status, o.Message)
		return o.Status != Failed || !strings.Contains(o.Message, "unhealthy cluster") && !strings.Contains(o.Message, "in sync with leader")
	})
	if o.Status != Done {
		e.t.Fatalf("%s: outcome %+v", id, o)
	}
	return o
}

func (e *etcdRig) members() []*pb.Member {
	e.t.Helper()
	list, err := e.cli.MemberList(e.t.Context())
	must(e.t, err)
	return list.Members
}

func (e *etcdRig) status(m *pb.Member) *clientv3.StatusResponse {
	e.t.Helper()
	st, err := e.cli.Status(e.t.Context(), m.ClientURLs[0])
	must(e.t, err)
	return st
}

func (e *etcdRig) leader() uint64 { return e.status(e.members()[0]).Leader }

func (e *etcdRig) whole() Target {
	e.t.Helper()
	got, err := e.cli.Get(e.t.Context(), "x")
	must(e.t, err)
	return Target{Kind: "Etcd", Resource: "etcd", Name: "etcd", UID: fmt.Sprintf("%x", got.Header.ClusterId),
		Detail: map[string]string{detailRevision: fmt.Sprint(got.Header.Revision)}}
}

func (e *etcdRig) targetOf(m *pb.Member) Target {
	t := Target{Kind: "Member", Resource: "members", Name: m.Name, Member: m.ID, UID: fmt.Sprintf("%x", m.ID)}
	if len(m.ClientURLs) > 0 {
		t.Detail = map[string]string{detailDBSize: fmt.Sprint(e.status(m).DbSize)}
	}
	return t
}

func (e *etcdRig) follower() *pb.Member {
	lead := e.leader()
	ms := e.members()
	return ms[slices.IndexFunc(ms, func(m *pb.Member) bool { return m.ID != lead && !m.IsLearner })]
}

// fill writes n values of a size below a prefix, as often as rounds says.
func (e *etcdRig) fill(prefix string, n, rounds, size int) error {
	value := strings.Repeat("v", size)
	for range rounds {
		for at := 0; at < n; {
			var ops []clientv3.Op
			for ; at < n && len(ops) < 64 && len(ops)*size < 1<<20; at++ {
				ops = append(ops, clientv3.OpPut(fmt.Sprintf("%s%05d", prefix, at), value))
			}
			if _, err := e.cli.Txn(e.t.Context()).Then(ops...).Commit(); err != nil {
				return err
			}
		}
	}
	return nil
}

func testOperations(t *testing.T, n int) {
	e := startEtcd(t, "--members", fmt.Sprint(n))
	e.t = t
	must(t, e.fill("/fill/", 200, 20, 4096))

	to := e.follower()
	e.do("members.move-leader", "", e.targetOf(to))
	if got := e.leader(); got != to.ID {
		t.Errorf("another client says that %x leads, not %x", got, to.ID)
	}

	target := e.whole()
	rev := target.Detail[detailRevision] // all history but the newest, so that there is something to free
	t.Log(e.preview("etcd.compact", rev, target))
	e.do("etcd.compact", rev, target)
	at, err := parseRevision(rev)
	must(t, err)
	if _, err := e.cli.Get(t.Context(), "/fill/00000", clientv3.WithRev(at-1)); !errors.Is(err, rpctypes.ErrCompacted) {
		t.Errorf("the history before revision %d: %v", at, err)
	}
	if _, err := e.cli.Get(t.Context(), "/fill/00000", clientv3.WithRev(at)); err != nil {
		t.Errorf("the history from revision %d on: %v", at, err)
	}

	small := e.follower()
	before := e.status(small).DbSize
	e.do("members.defragment", "", e.targetOf(small))
	if after := e.status(small).DbSize; after >= before {
		t.Errorf("another client says that the database of %s went from %d to %d bytes", small.Name, before, after)
	}

	t.Log(e.preview("etcd.defragment-all", "", target))
	led := e.leader()
	o := e.do("etcd.defragment-all", "", target)
	if len(o.Steps) != n+1 || e.leader() == led {
		t.Errorf("%d steps; %x led before, and leads now: %v", len(o.Steps), led, e.leader() == led)
	}
	for _, m := range e.members() {
		if st := e.status(m); float64(st.DbSizeInUse) < 0.8*float64(st.DbSize) {
			t.Errorf("%s has %d bytes, of which %d are in use", m.Name, st.DbSize, st.DbSizeInUse)
		}
	}

	// A member that is no longer there has left an alarm behind.
	ghost := &pb.AlarmRequest{Action: pb.AlarmRequest_ACTIVATE, MemberID: 0x99, Alarm: pb.AlarmType_NOSPACE}
	_, err = pb.NewMaintenanceClient(e.cli.ActiveConnection()).Alarm(t.Context(), ghost)
	must(t, err)
	wantContains(t, e.preview("etcd.disarm", "", target), "member 99, which is no longer there")
	e.do("etcd.disarm", "", target)
	if alarms, err := e.cli.AlarmList(t.Context()); err != nil || len(alarms.Alarms) != 0 {
		t.Errorf("alarms %v, %v", alarms, err)
	}

	testNewMember(t, e, n)
	if rep := e.journalled(); len(rep.Open) != 0 {
		t.Errorf("journal %+v", rep)
	}
}

// testNewMember adds a learner, starts it with what was printed, promotes it, moves it to another peer URL and removes it.
func testNewMember(t *testing.T, e *etcdRig, n int) {
	peer := fmt.Sprintf("https://127.0.0.1:%d", testcluster.FreePort(t))
	elsewhere := fmt.Sprintf("https://127.0.0.1:%d", testcluster.FreePort(t))
	name := fmt.Sprintf("etcd-%d", n+1)
	find := func() *pb.Member {
		ms := e.members()
		i := slices.IndexFunc(ms, func(m *pb.Member) bool {
			return slices.Contains(m.PeerURLs, peer) || slices.Contains(m.PeerURLs, elsewhere)
		})
		if i < 0 {
			return nil
		}
		return ms[i]
	}
	o := e.do("etcd.add-learner", name+"="+peer, e.whole())
	m := find()
	if m == nil || !m.IsLearner {
		t.Fatalf("another client sees the members %v", e.members())
	}
	if o := e.act("members.promote", "", e.targetOf(m)); o.Status != Refused {
		t.Errorf("promoted before it was started: %+v", o)
	}
	_, command, _ := strings.Cut(o.Message, "etcd --name")
	stop := e.c.JoinMember(t, "etcd --name"+command, "--listen-peer-urls="+peer+","+elsewhere)
	eventually(t, "the learner to be started and to follow", func(ctx context.Context) bool {
		if m = find(); m.Name != name || len(m.ClientURLs) == 0 {
			return false
		}
		st, err := e.cli.Status(ctx, m.ClientURLs[0])
		return err == nil && st.IsLearner && st.Leader != 0 && st.RaftAppliedIndex > 0
	})
	if o := e.act("members.update-peers", elsewhere, e.targetOf(m)); o.Status != Refused || !strings.Contains(o.Message, "#21694") {
		t.Errorf("peer URLs of a learner: %+v", o)
	}
	e.do("members.promote", "", e.targetOf(m))
	if m = find(); m.IsLearner {
		t.Error("another client says that it is still a learner")
	}
	e.do("members.update-peers", elsewhere, e.targetOf(m))
	if m = find(); !slices.Equal(m.PeerURLs, []string{elsewhere}) {
		t.Errorf("another client sees the peer URLs %v", m.PeerURLs)
	}
	eventually(t, "the member to follow at its new peer URL", func(ctx context.Context) bool {
		_, err := e.cli.Put(ctx, "/moved", "here")
		must(t, err)
		st, err := e.cli.Status(ctx, m.ClientURLs[0])
		return err == nil && st.Leader == e.leader()
	})
	t.Log(e.preview("members.remove", "", e.targetOf(m)))
	e.do("members.remove", "", e.targetOf(m))
	if find() != nil || len(e.members()) != n {
		t.Errorf("another client sees the members %v", e.members())
	}
	stop()
}

func testNospace(t *testing.T) {
	e := startEtcd(t, "--members", "3", "--quota-bytes", fmt.Sprint(16<<20))
	if err := e.fill("/fill/", 64, 1000, 16384); !errors.Is(err, rpctypes.ErrNoSpace) {
		t.Fatalf("filling it up: %v", err)
	}
	target := e.whole()
	if o := e.act("etcd.disarm", "", target); o.Status != Refused || !strings.Contains(o.Message, "the cause still holds") {
		t.Errorf("disarmed while it is full: %+v", o)
	}
	t.Log(e.preview("etcd.recover-nospace", "", target))
	o := e.do("etcd.recover-nospace", "", target)
	for _, s := range o.Steps {
		t.Log(s.Message)
	}
	if alarms, err := e.cli.AlarmList(t.Context()); err != nil || len(alarms.Alarms) != 0 {
		t.Errorf("alarms %v, %v", alarms, err)
	}
	if _, err := e.cli.Put(t.Context(), "/after", "1"); err != nil {
		t.Errorf("a write afterwards: %v", err)
	}
	if got, err := e.cli.Get(t.Context(), WriteCheckPrefix, clientv3.WithPrefix()); err != nil || got.Count != 0 {
		t.Errorf("what was written to see it is left: %v, %v", got, err)
	}
	for _, m := range e.members() {
		if st := e.status(m); st.DbSize > 8<<20 {
			t.Errorf("%s still has %d bytes", m.Name, st.DbSize)
		}
	}
}

// testLostAnswers resets the stream of each request once etcd has answered it: the outcome is read again, and nothing is sent twice.
func testLostAnswers(t *testing.T) {
	e := startEtcd(t, "--members", "3")
	must(t, e.fill("/fill/", 100, 20, 4096))
	rec := testcluster.NewRecorder(t, e.c)
	through := openEtcd(t, etcdEnv(rec.EtcdEnv()))
	through.verifyFor = 20 * time.Second
	mutates := func(r testcluster.Request) bool {
		return slices.Contains([]string{"MoveLeader", "Defragment", "Compact", "MemberAdd", "MemberRemove", "Alarm"}, filepath.Base(r.Path))
	}
	rec.Cut(mutates)
	lose := func(id, input string, target Target) {
		t.Helper()
		mark := rec.Count()
		o := through.act(id, input, target)
		said := o.Message
		for _, s := range o.Steps {
			said += "; " + s.Message
		}
		t.Log(said)
		sent := slices.DeleteFunc(rec.Since(mark), func(r testcluster.Request) bool { return !mutates(r) })
		if o.Status != Done || !strings.Contains(said, "nothing was repeated") || len(sent) != 1 {
			t.Errorf("%s: outcome %+v; sent %v", id, o, sent)
		}
	}
	to := e.follower()
	lose("members.move-leader", "", e.targetOf(to))
	if e.leader() != to.ID {
		t.Error("the leadership has not moved")
	}
	lose("etcd.compact", "35", e.whole())
	lose("members.defragment", "", e.targetOf(e.follower()))
	_, err := pb.NewMaintenanceClient(e.cli.ActiveConnection()).Alarm(t.Context(), &pb.AlarmRequest{Action: pb.AlarmRequest_ACTIVATE, MemberID: 0x99, Alarm: pb.AlarmType_NOSPACE})
	must(t, err)
	lose("etcd.disarm", "", e.whole())
	peer := fmt.Sprintf("https://127.0.0.1:%d", testcluster.FreePort(t))
	// Until etcd takes changes of the membership: five seconds after the last connection of one member to another.
	e.do("etcd.add-learner", "etcd-9=https://127.0.0.1:9", e.whole())
	first := e.members()
	e.do("members.remove", "", e.targetOf(first[slices.IndexFunc(first, func(m *pb.Member) bool { return m.IsLearner })]))
	lose("etcd.add-learner", "etcd-4="+peer, e.whole())
	ms := e.members()
	i := slices.IndexFunc(ms, func(m *pb.Member) bool { return m.IsLearner })
	if i < 0 {
		t.Fatalf("no learner among %v", ms)
	}
	lose("members.remove", "", e.targetOf(ms[i]))
	if len(e.members()) != 3 {
		t.Errorf("members %v", e.members())
	}
}

// testDefragmentationKilled kills a member while it is rewriting its database: the outcome is unknown, and said to be; the member comes
// back with what it had.
func testDefragmentationKilled(t *testing.T) {
	e := startEtcd(t, "--members", "3")
	must(t, e.fill("/big/", 192, 1, 1<<20))
	m := e.follower()
	number := strings.TrimPrefix(m.Name, "etcd-")
	root := e.c.HostRoot()
	if number != "1" {
		root = filepath.Join(e.c.Dir, "members", m.Name)
	}
	snap := filepath.Join(root, "var/lib/etcd/member/snap")
	out := make(chan Outcome, 1)
	target := e.targetOf(m)
	e.verifyFor = 3 * time.Second
	go func() { out <- e.act("members.defragment", "", target) }()
	testcluster.Eventually(t, 30*time.Second, "the new database file", func() error {
		tmp, err := filepath.Glob(filepath.Join(snap, "db.tmp.*"))
		if err == nil && len(tmp) == 0 {
			err = errors.New("not there yet")
		}
		return err
	})
	e.c.Run(t, "kill", m.Name)
	o := <-out
	t.Log(o.Message)
	if o.Status != Unknown || !strings.Contains(o.Message, "nothing was repeated") {
		t.Errorf("outcome %+v", o)
	}
	e.c.Run(t, "restart", m.Name)
	eventually(t, "the member back, with its data", func(ctx context.Context) bool {
		st, err := e.cli.Status(ctx, m.ClientURLs[0])
		return err == nil && st.Leader != 0 && st.DbSizeInUse > 100<<20
	})
	if left, _ := filepath.Glob(filepath.Join(snap, "db.tmp.*")); len(left) > 0 {
		t.Logf("etcd has left %v behind", left)
		for _, f := range left {
			_ = os.Remove(f)
		}
	}
	eventually(t, "fathom's own connection to the member again", func(ctx context.Context) bool {
		_, err := e.Preview(ctx, e.action("members.defragment"), e.targetOf(m), "")
		return err == nil
	})
	e.do("members.defragment", "", e.targetOf(m))
}
