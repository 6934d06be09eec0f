//go:build integration

package main

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"fathom/internal/pty"
	"fathom/internal/testcluster"
)

// TestIntegrationEtcdFaults breaks a real etcd of three members in every way and looks at what the members' pane and the findings show, at
// whether it comes back by itself, and at how long a key takes to be on the screen meanwhile. All faults share one etcd, healed between them.
func TestIntegrationEtcdFaults(t *testing.T) {
	f := &faults{T: t, c: testcluster.Start(t, "--etcd-only")}
	f.cli = etcdClient(t, f.c)
	for i := range 20 {
		if _, err := f.cli.Put(t.Context(), fmt.Sprintf("/config/key%d", i), "value"); err != nil {
			t.Fatal(err)
		}
	}
	f.open()
	f.whole()
	for _, x := range []struct {
		name string
		test func(*faults)
	}{
		{"nothing", func(*faults) {}},
		{"SIGKILL of a follower", killFollower},
		{"SIGKILL of the leader", killLeader},
		{"SIGSTOP of a follower", stopFollower},
		{"SIGSTOP of the leader", stopLeader},
		{"peer partition of the leader", partitionLeader},
		{"client black hole of a follower", blackHole},
		{"client black hole of all", blackHoleOfAll},
		{"quorum loss", quorumLoss},
		{"alarm NOSPACE", func(f *faults) { alarm(f, pb.AlarmType_NOSPACE) }},
		{"alarm CORRUPT", func(f *faults) { alarm(f, pb.AlarmType_CORRUPT) }},
		{"a learner that was never started", unstartedLearner},
		{"a learner that falls behind", laggingLearner},
		{"an expired certificate", expiredCertificate},
		{"restore to an older revision", olderRevision},
		{"auth with a limited user", limitedUser},
	} {
		t.Run(x.name, func(t *testing.T) {
			g := *f
			g.T = t
			x.test(&g)
			if x.name == "nothing" {
				g.keys(x.name)
			}
			g.whole()
		})
	}
	// What the panes found is over; what the live checks found never was.
	f.command("consistency")
	f.wait("no promise was broken", func(s *pty.Screen) bool {
		return s.Contains("Live checks") && !s.Contains("broken") && s.Contains("no event is left out")
	})
	f.end()
}

// faults is fathom on a terminal, on an etcd that is broken and healed.
type faults struct {
	*testing.T
	c   *testcluster.Cluster
	cli *clientv3.Client
	x   *pty.Terminal
}

// open opens the members beside the findings, wide enough for both.
func (f *faults) open() {
	f.Helper()
	x, err := pty.Start(testcluster.Binary(f, "fathom"), []string{"-c", "members", "-c", "findings"},
		pty.Options{Cols: 240, Rows: 60, Env: f.c.Env(f), Sync: true})
	if err != nil {
		f.Fatal(err)
	}
	f.x = x
	f.Cleanup(func() { _ = x.Close() })
}

// end quits: that works whatever etcd does.
func (f *faults) end() {
	f.Helper()
	sent := time.Now()
	_ = f.x.Send("\x03")
	select {
	case <-f.x.Exited():
		f.Logf("ended %v after Ctrl-C", time.Since(sent).Round(time.Millisecond))
	case <-time.After(20 * time.Second):
		f.Fatal("Ctrl-C did not end it")
	}
}

// faultTime bounds every wait: seconds on a quiet machine.
const faultTime = 90 * time.Second

func (f *faults) wait(what string, ok func(*pty.Screen) bool) {
	f.Helper()
	began := time.Now()
	if _, err := f.x.Wait(faultTime, what, ok); err != nil {
		f.Fatal(err)
	}
	f.Logf("%s: after %v", what, time.Since(began).Round(10*time.Millisecond))
}

// see waits until all of the texts are on the screen.
func (f *faults) see(texts ...string) {
	f.Helper()
	f.wait(fmt.Sprintf("%q", texts), func(s *pty.Screen) bool {
		return !slices.ContainsFunc(texts, func(t string) bool { return !s.Contains(t) })
	})
}

// command types a command after ":".
func (f *faults) command(text string) {
	f.Helper()
	_ = f.x.Send(":")
	f.wait("a prompt", func(s *pty.Screen) bool { _, h := s.Size(); return strings.HasPrefix(s.Row(h-1), ":") })
	_ = f.x.Send(text + "\r")
}

// whole waits until the cluster is well and the screen says so.
func (f *faults) whole() {
	f.Helper()
	testcluster.Eventually(f, faultTime, "three members that answer and agree on a leader", func() error {
		ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
		defer cancel()
		leaders := map[uint64]bool{}
		for _, e := range f.cli.Endpoints() {
			s, err := f.cli.Status(ctx, e)
			if err != nil {
				return err
			}
			if s.Leader == 0 || len(s.Errors) > 0 {
				return fmt.Errorf("%s: leader %x, %v", e, s.Leader, s.Errors)
			}
			leaders[s.Leader] = true
		}
		if len(leaders) != 1 {
			return fmt.Errorf("%d leaders", len(leaders))
		}
		return nil
	})
	f.wait("all is well", func(s *pty.Screen) bool {
		return s.Contains("quorum 3/3") && !s.Contains("does not answer") && !s.Contains("knows no leader") && !s.Contains("unreachable") && !s.Contains("permission denied")
	})
}

// keys measures how long a key takes to be on the screen: j and k move the cursor between the members.
func (f *faults) keys(name string) {
	f.Helper()
	cursor := func(s *pty.Screen) string {
		_, h := s.Size()
		for y := range h {
			if row, ok := strings.CutPrefix(s.Row(y), "│▸ "); ok {
				return strings.Fields(row)[0]
			}
		}
		return ""
	}
	_ = f.x.Send("g")
	_, _ = f.x.Wait(300*time.Millisecond, "the first row", func(*pty.Screen) bool { return false }) // it may have been there already
	const presses, tries = 16, 6
	const middle, most = 50 * time.Millisecond, 250 * time.Millisecond
	for try := 1; ; try++ { // what it takes when the machine has time for it
		var took []time.Duration
		for i := range presses {
			<-time.After(time.Duration(23+i*37%61) * time.Millisecond) // at no fixed phase of what happens every second
			var before string
			f.x.Look(func(s *pty.Screen) { before = cursor(s) })
			sent := time.Now()
			_ = f.x.Send([]string{"j", "k"}[i%2])
			at, err := f.x.Wait(faultTime, "the cursor on another row than "+before, func(s *pty.Screen) bool { return cursor(s) != "" && cursor(s) != before })
			if err != nil {
				f.Fatal(err)
			}
			took = append(took, max(0, at.Sub(sent)))
		}
		slices.Sort(took)
		median, worst := took[presses/2], took[presses-1]
		f.Logf("keys during %s: median %v, worst %v of %d", name, median.Round(100*time.Microsecond), worst.Round(100*time.Microsecond), presses)
		if median <= middle && worst <= most {
			return
		}
		if try == tries {
			f.Errorf("keys are answered after %v, the slowest after %v", median, worst)
			return
		}
	}
}

func (f *faults) leader() string { f.Helper(); return f.c.Run(f, "leader") }

func (f *faults) follower() string {
	f.Helper()
	if f.leader() == "etcd-2" {
		return "etcd-3"
	}
	return "etcd-2"
}

// otherLeader waits until the screen names another leader.
func (f *faults) otherLeader(old string) {
	f.Helper()
	f.wait("another leader than "+old, func(s *pty.Screen) bool {
		return !s.Contains("leader "+old) && (s.Contains("leader etcd-1") || s.Contains("leader etcd-2") || s.Contains("leader etcd-3"))
	})
}

// down is a fault that makes a member not answer.
func down(f *faults, how, back, member string, see ...string) {
	f.Helper()
	was := f.leader()
	f.c.Run(f, how, member)
	f.see(append([]string{member + " does not answer", "quorum 2/3"}, see...)...)
	if member == was {
		f.otherLeader(was)
	}
	f.keys(how + " " + member)
	f.c.Run(f, back, member)
}

func killFollower(f *faults) { down(f, "kill", "restart", f.follower(), "refused") }
func killLeader(f *faults)   { down(f, "kill", "restart", f.leader(), "refused") }
func stopFollower(f *faults) { down(f, "stop", "cont", f.follower(), "no answer within") }
func stopLeader(f *faults)   { down(f, "stop", "cont", f.leader(), "no answer within") }
func blackHole(f *faults)    { down(f, "blackhole", "heal", f.follower(), "no answer within") }

func partitionLeader(f *faults) {
	cut := f.leader()
	f.c.Run(f, "partition", cut)
	f.see(cut+" knows no leader", "quorum")
	f.otherLeader(cut)
	f.keys("partition of the leader")
	f.c.Run(f, "heal", cut)
}

// blackHoleOfAll: nobody answers; keys do, what was known stays, and another fathom can be ended.
func blackHoleOfAll(f *faults) {
	for _, m := range []string{"etcd-1", "etcd-2", "etcd-3"} {
		f.c.Run(f, "blackhole", m)
	}
	f.see("stale", "etcd-1", "etcd-2", "etcd-3", "no quorum")
	f.keys("black holes")
	other := *f
	other.open()
	if _, err := other.x.WaitText(faultTime, "members"); err != nil {
		f.Fatal(err)
	}
	other.end()
	for _, m := range []string{"etcd-1", "etcd-2", "etcd-3"} {
		f.c.Run(f, "heal", m)
	}
}

// quorumLoss: what one member has can be read, nothing can be changed and it is said why, and all comes back by itself.
func quorumLoss(f *faults) {
	f.c.Run(f, "kill", "etcd-2")
	f.c.Run(f, "kill", "etcd-3")
	defer f.c.Run(f, "restart", "etcd-3")
	defer f.c.Run(f, "restart", "etcd-2")
	f.see("no quorum", "etcd-2 does not answer", "etcd-3 does not answer")
	f.keys("quorum loss")
	f.command("keys /config")
	f.see("key19")
	f.command("members")
	f.see("▸ etcd-1")
	f.keys("quorum loss, later")
	// An operation that needs the quorum: the dialog says why not, and offers no button.
	_ = f.x.Send("m")
	f.wait("why the leader cannot be moved", func(s *pty.Screen) bool {
		return s.Contains("etcd has no quorum: 1 of 3") && !s.Contains("[ Cancel ]")
	})
	for closed := false; !closed; { // a dialog that has just been drawn takes no answer
		_ = f.x.Send("n")
		_, err := f.x.Wait(time.Second, "the dialog closed", func(s *pty.Screen) bool { return !s.Contains("Esc closes") })
		closed = err == nil
	}
}

// alarm raises an alarm as etcd itself does, and takes it back.
func alarm(f *faults, which pb.AlarmType) {
	ctx, cancel := context.WithTimeout(context.Background(), faultTime)
	defer cancel()
	s, err := f.cli.Status(ctx, f.cli.Endpoints()[0])
	if err != nil {
		f.Fatal(err)
	}
	raise := func(action pb.AlarmRequest_AlarmAction) {
		f.Helper()
		if _, err := pb.NewMaintenanceClient(f.cli.ActiveConnection()).Alarm(ctx, &pb.AlarmRequest{Action: action, MemberID: s.Header.MemberId, Alarm: which}); err != nil {
			f.Fatal(err)
		}
	}
	raise(pb.AlarmRequest_ACTIVATE)
	f.see("alarm " + which.String())
	f.keys("alarm " + which.String())
	raise(pb.AlarmRequest_DEACTIVATE)
	f.wait("the alarm is gone", func(s *pty.Screen) bool { return !s.Contains("alarm " + which.String()) })
}

func unstartedLearner(f *faults) {
	ctx, cancel := context.WithTimeout(context.Background(), faultTime)
	defer cancel()
	var id uint64
	testcluster.Eventually(f, faultTime, "the learner is added", func() error { // "unhealthy cluster" while peers are connected for less than 5 s
		r, err := f.cli.MemberAddAsLearner(ctx, []string{"https://127.0.0.1:1"})
		if err == nil {
			id = r.Member.ID
		}
		return err
	})
	f.see(fmt.Sprintf("%x", id), "unstarted")
	f.keys("a learner that was never started")
	if _, err := f.cli.MemberRemove(ctx, id); err != nil {
		f.Fatal(err)
	}
	f.wait("the learner is gone", func(s *pty.Screen) bool { return !s.Contains("unstarted") })
}

// laggingLearner: a learner that runs and has caught up is cut off from its peers, while its clients still reach it.
func laggingLearner(f *faults) {
	ctx, cancel := context.WithTimeout(context.Background(), 3*faultTime)
	defer cancel()
	gate := testcluster.NewGate(f)
	peer := fmt.Sprintf("https://127.0.0.1:%d", gate.Port)
	var added *clientv3.MemberAddResponse
	testcluster.Eventually(f, faultTime, "the learner is added", func() (err error) { // "unhealthy cluster" while peers are connected for less than 5 s
		added, err = f.cli.MemberAddAsLearner(ctx, []string{peer})
		return err
	})
	initial := "etcd-4=" + peer
	for _, m := range added.Members {
		if m.Name != "" {
			initial += "," + m.Name + "=" + m.PeerURLs[0]
		}
	}
	const pki = "/etc/kubernetes/pki/etcd"
	stop := f.c.JoinMember(f, "etcd --name=etcd-4 --initial-cluster-state=existing --initial-cluster="+initial+" --initial-advertise-peer-urls="+peer+
		" --cert-file="+pki+"/server.crt --key-file="+pki+"/server.key --client-cert-auth --trusted-ca-file="+pki+"/ca.crt"+
		" --peer-cert-file="+pki+"/peer.crt --peer-key-file="+pki+"/peer.key --peer-client-cert-auth --peer-trusted-ca-file="+pki+"/ca.crt",
		fmt.Sprintf("--listen-peer-urls=https://127.0.0.1:%d", gate.Behind))

	// What the learner has applied, and the leader with it, as the other client sees it.
	behind := func() (int, error) {
		list, err := f.cli.MemberList(ctx)
		if err != nil {
			return 0, err
		}
		var url string
		for _, m := range list.Members {
			if m.ID == added.Member.ID && len(m.ClientURLs) > 0 {
				url = m.ClientURLs[0]
			}
		}
		if url == "" {
			return 0, errors.New("it has told no client URL")
		}
		op, cancel := context.WithTimeout(ctx, 3*time.Second)
		defer cancel()
		voter, err := f.cli.Status(op, f.cli.Endpoints()[0])
		if err != nil {
			return 0, err
		}
		learner, err := f.cli.Status(op, url)
		if err != nil {
			return 0, err
		}
		if !learner.IsLearner {
			return 0, errors.New("it is no learner")
		}
		return int(voter.RaftIndex) - int(learner.RaftAppliedIndex), nil
	}
	caughtUp := func() {
		f.Helper()
		testcluster.Eventually(f, faultTime, "the learner has what the leader has", func() error {
			n, err := behind()
			if err == nil && n > 0 {
				err = fmt.Errorf("it is %d entries behind", n)
			}
			return err
		})
	}
	// found is what an expression finds in a row of the screen; nil: nothing.
	found := func(s *pty.Screen, row *regexp.Regexp) []string {
		_, h := s.Size()
		for y := range h {
			if cells := row.FindStringSubmatch(s.Row(y)); cells != nil {
				return cells
			}
		}
		return nil
	}
	number := func(s *pty.Screen, row *regexp.Regexp) int {
		if cells := found(s, row); cells != nil {
			n, _ := strconv.Atoi(cells[1])
			return n
		}
		return -1
	}
	lag := func(s *pty.Screen) int { return number(s, learnerRow) }
	caughtUp()
	f.wait("a learner without lag, of which no linearizable read is asked", func(s *pty.Screen) bool { return lag(s) == 0 && found(s, learnerFailed) == nil })

	f.c.Run(f, "partition", "joined")
	gate.Close()
	f.write(ctx, lagEntries)
	if n, err := behind(); err != nil || n < lagEntries {
		f.Fatalf("the learner is %d entries behind, %v: it is not cut off", n, err)
	}
	f.wait("the learner's lag", func(s *pty.Screen) bool { return lag(s) >= lagEntries })
	f.keys("a learner that falls behind")
	// It takes half a minute to say so: it could be about to catch up.
	f.wait("that it does not come nearer", func(s *pty.Screen) bool {
		return number(s, learnerFound) >= lagEntries && lag(s) >= lagEntries && s.Contains("quorum 3/3")
	})

	f.c.Run(f, "heal", "joined")
	gate.Open()
	caughtUp()
	f.wait("the finding is over", func(s *pty.Screen) bool { return lag(s) == 0 && !s.Contains("entries behind the leader") })
	testcluster.Eventually(f, faultTime, "the learner is removed", func() error {
		_, err := f.cli.MemberRemove(ctx, added.Member.ID)
		return err
	})
	stop()
	f.wait("the learner is gone", func(s *pty.Screen) bool { return !s.Contains("etcd-4") })
}

// lagEntries are enough for a finding: 1000 are.
const lagEntries = 1500

var (
	// In the members' pane the lag stands before the size of the database; an arrow says where it goes.
	learnerRow    = regexp.MustCompile(`etcd-4 .* learner .* (\d+)\D? +[\d.]+ [KM]iB`)
	learnerFailed = regexp.MustCompile(`etcd-4 .* learner .*failed`)
	learnerFound  = regexp.MustCompile(`etcd-4 is (\d+) entries behind the leader and does not come nearer`)
)

// write proposes entries, some at a time.
func (f *faults) write(ctx context.Context, entries int) {
	f.Helper()
	const writers = 10
	errs := make(chan error, writers)
	for range writers {
		go func() {
			var err error
			for i := 0; i < entries/writers && err == nil; i++ {
				_, err = f.cli.Put(ctx, "/behind", fmt.Sprint(i))
			}
			errs <- err
		}()
	}
	for range writers {
		if err := <-errs; err != nil {
			f.Fatal(err)
		}
	}
}

func expiredCertificate(f *faults) {
	member := f.follower()
	f.c.Run(f, "expire", member)
	f.see(member+" does not answer", "expired")
	f.keys("an expired certificate")
	f.c.Run(f, "renew", member)
}

func olderRevision(f *faults) {
	f.c.Run(f, "keep")
	f.whole()
	ctx, cancel := context.WithTimeout(context.Background(), faultTime)
	defer cancel()
	var rev int64
	for i := range 50 {
		r, err := f.cli.Put(ctx, "/later", fmt.Sprint(i))
		if err != nil {
			f.Fatal(err)
		}
		rev = r.Header.Revision
	}
	f.see(fmt.Sprintf("revision %d", rev)) // of the member under the cursor
	f.c.Run(f, "rewind")
	f.see("went back")
	f.keys("a restore to an older revision")
}

// limitedUser turns authentication on: fathom's certificate is that of a user who may read a few keys.
func limitedUser(f *faults) {
	ctx, cancel := context.WithTimeout(context.Background(), faultTime)
	defer cancel()
	const us = "kube-etcd-healthcheck-client" // the common name of the certificate
	check := func(err error) {
		f.Helper()
		if err != nil {
			f.Fatal(err)
		}
	}
	_, err := f.cli.RoleAdd(ctx, "reader")
	check(err)
	_, err = f.cli.RoleGrantPermission(ctx, "reader", "/config/", clientv3.GetPrefixRangeEnd("/config/"), clientv3.PermissionType(clientv3.PermRead))
	check(err)
	_, err = f.cli.RoleAdd(ctx, "root")
	check(err)
	_, err = f.cli.UserAdd(ctx, "root", "secret")
	check(err)
	_, err = f.cli.UserGrantRole(ctx, "root", "root")
	check(err)
	_, err = f.cli.UserAddWithOptions(ctx, us, "", &clientv3.UserAddOptions{NoPassword: true})
	check(err)
	_, err = f.cli.UserGrantRole(ctx, us, "reader")
	check(err)
	_, err = f.cli.AuthEnable(ctx)
	check(err)
	root := etcdClientAs(f.T, f.c, "root", "secret")
	defer func() {
		testcluster.Eventually(f, faultTime, "authentication is turned off", func() error {
			op, cancel := context.WithTimeout(context.Background(), 5*time.Second)
			defer cancel()
			_, err := root.AuthDisable(op)
			return err
		})
	}()
	f.see("permission denied", "etcd-1", "etcd-2", "etcd-3")
	f.keys("auth with a limited user")
	f.command("keys /config")
	f.see("key19")
	f.command("keys /other")
	f.see(`may not read keys below "/other/"`)
	f.command("members")
}
