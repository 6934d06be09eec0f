//go:build integration

package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"fathom/internal/testcluster"
)

// TestIntegrationOperationKeys performs every operation on etcd by its key, on clusters of etcd alone, and reads its effect back with
// another client.
func TestIntegrationOperationKeys(t *testing.T) {
	for _, n := range []int{3, 5} {
		t.Run(fmt.Sprintf("%d members", n), func(t *testing.T) { testOperationKeys(t, n) })
	}
	t.Run("NOSPACE", testNospaceKeys)
}

// hand is somebody at the members' view of an etcd cluster, and a client that is not fathom's.
type hand struct {
	t    *testing.T
	c    *testcluster.Cluster
	term *testcluster.Terminal
	cli  *clientv3.Client
	env  []string
}

func openMembers(t *testing.T, w, h int, args ...string) *hand {
	t.Helper()
	c := testcluster.Start(t, append([]string{"--etcd-only"}, args...)...)
	env := slices.DeleteFunc(c.Env(t), func(kv string) bool { return strings.HasPrefix(kv, "KUBECONFIG=") })
	term := testcluster.NewTerminal(t, w, h, env)
	x := &hand{t: t, c: c, term: term, cli: etcdClient(t, c), env: env}
	term.Line(testcluster.Binary(t, "fathom") + " -c members; echo exit=$?")
	term.WaitFor("members", "etcd-1", "leader", "follower")
	return x
}

// to moves the cursor to a member, by its name as a filter.
func (x *hand) to(name string) {
	x.t.Helper()
	x.term.Type("/")
	x.term.WaitUntil("the filter line", func(s string) bool { return strings.HasPrefix(lastLine(s), "/") })
	x.term.Keys("C-u")
	x.term.Type(name)
	x.term.Keys("Enter")
	x.term.WaitUntil("only "+name, func(s string) bool { return strings.Contains(s, "/"+name) && strings.Contains(s, "1 of ") })
}

// input gives a value to the dialog and goes on until it asks for it no more.
func (x *hand) input(prompt, value string) {
	x.t.Helper()
	x.term.WaitFor(prompt)
	var last time.Time
	x.term.WaitUntil("the dialog to take "+value, func(s string) bool {
		if !strings.Contains(s, "Enter goes on") || !strings.Contains(s, prompt) {
			return true
		}
		if time.Since(last) > time.Second {
			last = time.Now()
			if value != "" {
				x.term.Keys("C-u")
				x.term.Type(value)
			}
			x.term.Keys("Enter")
		}
		return false
	})
}

// typed types what a critical action asks for.
func (x *hand) typed(phrase string) {
	x.t.Helper()
	x.term.WaitFor("Type " + phrase)
	x.input("Type "+phrase, phrase)
}

// closed puts the dialog of what was done away.
func (x *hand) closed(see ...string) string {
	x.t.Helper()
	s := x.term.WaitFor(append(see, "Esc closes")...)
	x.term.Keys("Escape") // is never too early
	x.term.WaitGone("Esc closes")
	return s
}

// again opens the dialog until what it leads to has been seen: etcd refuses changes of the membership for five seconds after a member has
// connected, and a learner is promoted when it has caught up.
func (x *hand) again(what string, act func(), seen func() bool) {
	x.t.Helper()
	testcluster.Eventually(x.t, 90*time.Second, what, func() error {
		act()
		for range 50 {
			if seen() {
				return nil
			}
			time.Sleep(20 * time.Millisecond)
		}
		return errors.New("not done; the screen:\n" + x.term.Screen())
	})
}

func (x *hand) members() []*pb.Member {
	x.t.Helper()
	list, err := x.cli.MemberList(x.t.Context())
	if err != nil {
		x.t.Fatal(err)
	}
	return list.Members
}

func (x *hand) find(match func(*pb.Member) bool) *pb.Member {
	x.t.Helper()
	ms := x.members()
	if i := slices.IndexFunc(ms, match); i >= 0 {
		return ms[i]
	}
	return nil
}

func (x *hand) status(m *pb.Member) *clientv3.StatusResponse {
	x.t.Helper()
	st, err := x.cli.Status(x.t.Context(), m.ClientURLs[0])
	if err != nil {
		x.t.Fatal(err)
	}
	return st
}

func (x *hand) alarm(member uint64) {
	x.t.Helper()
	_, err := pb.NewMaintenanceClient(x.cli.ActiveConnection()).Alarm(x.t.Context(), &pb.AlarmRequest{Action: pb.AlarmRequest_ACTIVATE, MemberID: member, Alarm: pb.AlarmType_NOSPACE})
	if err != nil {
		x.t.Fatal(err)
	}
}

func (x *hand) noAlarms() error {
	alarms, err := x.cli.AlarmList(x.t.Context())
	if err == nil && len(alarms.Alarms) > 0 {
		err = fmt.Errorf("alarms %v", alarms.Alarms)
	}
	return err
}

// fill leaves history and free space behind.
func (x *hand) fill(rounds int) error {
	value := strings.Repeat("v", 8192)
	for range rounds {
		var ops []clientv3.Op
		for i := range 64 {
			ops = append(ops, clientv3.OpPut(fmt.Sprintf("/fill/%03d", i), value))
		}
		if _, err := x.cli.Txn(x.t.Context()).Then(ops...).Commit(); err != nil {
			return err
		}
	}
	return nil
}

func testOperationKeys(t *testing.T, n int) {
	x := openMembers(t, 120, 40, "--members", fmt.Sprint(n))
	term := x.term
	if err := x.fill(40); err != nil {
		t.Fatal(err)
	}

	// m: the leadership goes to a follower.
	lead := x.c.Run(t, "leader")
	to := "etcd-1"
	if lead == to {
		to = "etcd-2"
	}
	x.to(to)
	term.Type("m")
	term.WaitFor("Move leader", to, "[ Cancel ]")
	answerDialog(t, term, "y")
	testcluster.Eventually(t, 30*time.Second, "the leadership to move", func() error {
		if got := x.c.Run(t, "leader"); got != to {
			return errors.New(got + " leads")
		}
		return nil
	})
	term.Keys("Escape")
	term.WaitGone("/" + to) // a key within 50 ms of Escape would be Alt with that key

	// c: compaction, by the revision that is suggested.
	term.Type("c")
	x.input("before which revision", "35")
	x.typed("etcd")
	testcluster.Eventually(t, 30*time.Second, "the history to be compacted", func() error {
		if _, err := x.cli.Get(t.Context(), "/fill/000", clientv3.WithRev(30)); !errors.Is(err, rpctypes.ErrCompacted) {
			return fmt.Errorf("reading revision 30: %v", err)
		}
		return nil
	})
	term.WaitFor("the history before revision 35 is deleted")

	// f: one member.
	follower := x.find(func(m *pb.Member) bool { return m.Name != to })
	before := x.status(follower).DbSize
	x.to(follower.Name)
	term.Type("f")
	term.WaitFor("Defragment member", follower.Name, "[ Cancel ]")
	answerDialog(t, term, "y")
	testcluster.Eventually(t, 30*time.Second, follower.Name+" to be smaller", func() error {
		if after := x.status(follower).DbSize; after >= before {
			return fmt.Errorf("from %d to %d bytes", before, after)
		}
		return nil
	})
	term.Keys("Escape")
	term.WaitGone("/" + follower.Name)

	// F: all of them; the steps stay on the screen.
	term.Type("F")
	term.WaitFor("Defragment all members", "one after the other", "[ Cancel ]")
	answerDialog(t, term, "y")
	x.closed(fmt.Sprintf("all %d steps are done", n+1), "leads now, in the place of")
	if got := x.c.Run(t, "leader"); got == to {
		t.Errorf("%s still leads, though it was defragmented", got)
	}
	for _, m := range x.members() {
		if st := x.status(m); float64(st.DbSizeInUse) < 0.7*float64(st.DbSize) {
			t.Errorf("%s has %d bytes, %d in use", m.Name, st.DbSize, st.DbSizeInUse)
		}
	}

	// D: an alarm of a member that is no longer there.
	x.alarm(0x99)
	term.WaitFor("NOSPACE")
	term.Type("D")
	term.WaitFor("Disarm alarms", "no longer there", "[ Cancel ]")
	answerDialog(t, term, "y")
	x.closed("is disarmed")
	if err := x.noAlarms(); err != nil {
		t.Error(err)
	}

	// a: one more member, started with the command line on the screen; p: promoted; e: moved; ctrl+d: removed.
	peer, elsewhere := fmt.Sprintf("https://127.0.0.1:%d", testcluster.FreePort(t)), fmt.Sprintf("https://127.0.0.1:%d", testcluster.FreePort(t))
	name := fmt.Sprintf("etcd-%d", n+1)
	isNew := func(m *pb.Member) bool {
		return slices.Contains(m.PeerURLs, peer) || slices.Contains(m.PeerURLs, elsewhere)
	}
	x.again("the member to be added", func() {
		term.Type("a")
		x.input("Name and peer URL", name+"="+peer)
		term.WaitFor("Its command line", "[ Cancel ]")
		answerDialog(t, term, "y")
	}, func() bool { return x.find(isNew) != nil })
	s := x.closed("--initial-cluster-state=existing", "c copies")
	stop := x.c.JoinMember(t, commandOnScreen(t, s), "--listen-peer-urls="+peer+","+elsewhere)
	term.WaitFor(name, "learner")
	x.to(name)
	x.again("the learner to be promoted", func() {
		until(term, "the dialog to say what would be", func() { term.Type("p") }, func(s string) bool { return strings.Contains(s, "[ Cancel ]") || strings.Contains(s, "Esc closes") })
		if strings.Contains(term.Screen(), "[ Cancel ]") {
			answerDialog(t, term, "y")
			return
		}
		x.closed()
	}, func() bool { m := x.find(isNew); return m != nil && !m.IsLearner })
	x.again("the peer URLs to be changed", func() {
		// Etcd may have done what was asked before while its dialog still waits for the answer, and takes the key.
		until(term, "the dialog of the peer URLs", func() { term.Type("e") }, func(s string) bool { return strings.Contains(s, "Peer URLs of the member") })
		x.input("Peer URLs of the member", elsewhere)
		term.WaitFor("Change peer URLs", "[ Cancel ]")
		answerDialog(t, term, "y")
	}, func() bool { m := x.find(isNew); return slices.Equal(m.PeerURLs, []string{elsewhere}) })
	x.again("the member to be removed", func() {
		until(term, "the dialog of the removal", func() { term.Keys("C-d") }, func(s string) bool { return strings.Contains(s, "Remove member") })
		x.typed(name)
	}, func() bool { return x.find(isNew) == nil })
	stop()
	if got := len(x.members()); got != n {
		t.Errorf("%d members", got)
	}
	out, errs, code := fathom(t, x.env, "journal", "verify")
	if code != 0 || !strings.Contains(out, "records") {
		t.Errorf("journal verify: exit %d, %s%s", code, out, errs)
	}
}

// commandOnScreen puts the command line together again that the dialog shows in rows.
func commandOnScreen(t *testing.T, s string) string {
	t.Helper()
	var rows []string
	in := false
	for _, l := range strings.Split(s, "\n") {
		l = strings.Trim(l, " │") // of the dialog and of the pane beneath
		if strings.HasPrefix(l, "etcd --name=") {
			in = true
		}
		if in && strings.HasPrefix(l, "#") {
			break
		}
		if in {
			rows = append(rows, l)
		}
	}
	if len(rows) == 0 {
		t.Fatalf("no command line on the screen:\n%s", s)
	}
	out := rows[0]
	for _, r := range rows[1:] {
		if strings.HasPrefix(r, "--") {
			out = strings.TrimSuffix(strings.TrimSpace(out), "\\") + " "
		}
		out += r
	}
	return out
}

func testNospaceKeys(t *testing.T) {
	x := openMembers(t, 80, 24, "--members", "3", "--quota-bytes", fmt.Sprint(16<<20))
	if err := x.fill(1000); !errors.Is(err, rpctypes.ErrNoSpace) {
		t.Fatalf("filling it up: %v", err)
	}
	x.term.WaitFor("NOSPACE")
	x.term.Type("n")
	x.term.WaitFor("Recover from NOSPACE", "lines, arrows scroll")
	x.typed("etcd")
	x.term.WaitFor("steps are done")
	testcluster.Eventually(t, 10*time.Second, "etcd to take writes", func() error {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		if _, err := x.cli.Put(ctx, "/after", "1"); err != nil {
			return err
		}
		return x.noAlarms()
	})
	x.closed("steps are done")
	x.term.WaitGone("NOSPACE")
}
