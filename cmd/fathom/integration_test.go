//go:build integration

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"fathom/internal/testcluster"
)

// TestIntegration runs fathom as its user does, on a real control plane. Its parts share one sandbox; those that break it come last
// and mend it again.
func TestIntegration(t *testing.T) {
	c := testcluster.Start(t)
	t.Run("PrintMembers", func(t *testing.T) { testPrintMembers(t, c) })
	t.Run("PrintViews", func(t *testing.T) { testPrintViews(t, c) })
	t.Run("Doctor", func(t *testing.T) { testDoctor(t, c) })
	t.Run("BadInput", func(t *testing.T) { testBadInput(t, c) })
	t.Run("Screens80x24", func(t *testing.T) { testScreens(t, c, 80, 24, "") })
	t.Run("Screens200x60ASCII", func(t *testing.T) { testScreens(t, c, 200, 60, "--ascii") })
	t.Run("OtherSide", func(t *testing.T) { testOtherSide(t, c) })
	t.Run("Delete", func(t *testing.T) { testDelete(t, c) })
	t.Run("MoveLeader", func(t *testing.T) { testMoveLeader(t, c) })
	t.Run("ReadOnlyScreen", func(t *testing.T) { testReadOnlyScreen(t, c) })
	t.Run("Viewer", func(t *testing.T) { testViewer(t, c) })
	t.Run("Hostile", func(t *testing.T) { testHostile(t, c) })
	t.Run("Ends", func(t *testing.T) { testEnds(t, c) })
	t.Run("Faults", func(t *testing.T) { testFaults(t, c) })
	t.Run("TerminalGone", func(t *testing.T) { testTerminalGone(t, c) })
	t.Run("Suspend", func(t *testing.T) { testSuspend(t, c) })
	t.Run("Resize", func(t *testing.T) { testResizeStorm(t, c) })
	t.Run("FirstFrame", func(t *testing.T) { testFirstFrame(t, c) })
	t.Run("FrozenServer", func(t *testing.T) { testFrozenServer(t, c) })
	t.Run("KilledLeader", func(t *testing.T) { testKilledLeader(t, c) })
}

// fathom runs the program once and returns its output and exit code.
func fathom(t *testing.T, env []string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	cmd := exec.Command(testcluster.Binary(t, "fathom"), args...)
	cmd.Env = env
	var out, errb bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errb
	err := cmd.Run()
	if cmd.ProcessState == nil {
		t.Fatalf("fathom %s: %v", strings.Join(args, " "), err)
	}
	return out.String(), errb.String(), cmd.ProcessState.ExitCode()
}

// member is the JSON of `print members`, with exactly the promised names.
type member struct {
	Name           string   `json:"name"`
	ID             string   `json:"id"`
	Endpoint       string   `json:"endpoint"`
	Role           string   `json:"role"`
	Term           uint64   `json:"term"`
	CommitIndex    uint64   `json:"commitIndex"`
	AppliedIndex   uint64   `json:"appliedIndex"`
	Lag            int64    `json:"lag"`
	Revision       int64    `json:"revision"`
	DBSize         int64    `json:"dbSize"`
	DBSizeInUse    int64    `json:"dbSizeInUse"`
	Quota          int64    `json:"quota"`
	Version        string   `json:"version"`
	StorageVersion string   `json:"storageVersion"`
	Reachable      bool     `json:"reachable"`
	Errors         []string `json:"errors"`

	PeerURLs           []string `json:"peerUrls"`
	IsLearner          bool     `json:"isLearner"`
	LagPerSecond       *float64 `json:"lagPerSecond"`
	Fragmentation      *float64 `json:"fragmentation"`
	Growth             *float64 `json:"growthBytesPerSecond"`
	QuotaSecondsLeft   *float64 `json:"quotaSecondsLeft"`
	Serializable       *float64 `json:"serializableReadSeconds"`
	Linearizable       *float64 `json:"linearizableReadSeconds"`
	PeerRTT            *float64 `json:"peerRoundTripP99Seconds"`
	Fsync              *float64 `json:"walFsyncP99Seconds"`
	Commit             *float64 `json:"backendCommitP99Seconds"`
	ProposalsPending   *uint64  `json:"proposalsPending"`
	ProposalsFailed    *uint64  `json:"proposalsFailed"`
	SlowApplies        *uint64  `json:"slowApplies"`
	HeartbeatFailures  *uint64  `json:"heartbeatFailures"`
	LeaderChanges      *uint64  `json:"leaderChanges"`
	ClientCertNotAfter *string  `json:"clientCertNotAfter"`
	PeerCertNotAfter   *string  `json:"peerCertNotAfter"`
	Metrics            string   `json:"metrics"`
}

func members(t *testing.T, c *testcluster.Cluster, env []string) []member {
	t.Helper()
	out, errs, code := fathom(t, env, "print", "members", "-o", "json")
	if code != 0 {
		t.Fatalf("print members: exit %d: %s", code, errs)
	}
	var ms []member
	dec := json.NewDecoder(strings.NewReader(out))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&ms); err != nil {
		t.Fatalf("print members -o json: %v\n%s", err, out)
	}
	return ms
}

func leaderOf(ms []member) (leader member, n int) {
	for _, m := range ms {
		if m.Role == "leader" && m.Reachable {
			leader = m
			n++
		}
	}
	return leader, n
}

func testPrintMembers(t *testing.T, c *testcluster.Cluster) {
	ms := members(t, c, c.Env(t))
	if len(ms) != 3 {
		t.Fatalf("%d members, want 3: %+v", len(ms), ms)
	}
	leader, n := leaderOf(ms)
	if n != 1 {
		t.Errorf("%d leaders: %+v", n, ms)
	}
	for _, m := range ms {
		if m.Term != leader.Term || m.Term == 0 || m.Lag < 0 || !m.Reachable || m.Revision == 0 || m.DBSize == 0 || m.Version == "" || len(m.ID) == 0 {
			t.Errorf("implausible member: %+v", m)
		}
	}
	if want := c.Run(t, "leader"); leader.Name != want {
		t.Errorf("leader is %q, the sandbox says %q", leader.Name, want)
	}
}

func testPrintViews(t *testing.T, c *testcluster.Cluster) {
	env := c.Env(t)
	for view, want := range map[string]string{"namespaces /^kube-s": "kube-system", "search /registry/namespaces/ kube-s": "kube-system"} {
		out, errs, code := fathom(t, env, "print", view)
		if code != 0 || !strings.Contains(out, want) || strings.Contains(out, "default") {
			t.Errorf("print %q: exit %d, %q\n%s", view, code, errs, out)
		}
	}
	for _, view := range []string{"overview", "members", "keys", "placement", "pods", "nodes", "namespaces", "deployments", "replicasets",
		"statefulsets", "daemonsets", "jobs", "cronjobs", "services", "events", "ingresses", "netpol", "pdb", "hpa", "vm", "pvc", "secrets", "crd"} {
		for _, format := range []string{"table", "json", "yaml"} {
			out, errs, code := fathom(t, env, "print", view, "-A", "-o", format)
			if code != 0 || strings.TrimSpace(out) == "" || errs != "" {
				t.Errorf("print %s -o %s: exit %d, %q, %d bytes", view, format, code, errs, len(out))
				continue
			}
			if format == "json" {
				var objects []map[string]any
				if err := json.Unmarshal([]byte(out), &objects); err != nil || len(objects) == 0 {
					t.Errorf("print %s -o json: %d objects, %v", view, len(objects), err)
				}
			}
		}
	}
	// The crash-looping pod runs for some seconds now and then.
	testcluster.Eventually(t, 90*time.Second, "a crash-looping pod is printed", func() error {
		out, _, _ := fathom(t, env, "print", "pods", "-A", "--filter", "CrashLoop", "-o", "json")
		if !strings.Contains(out, "CrashLoopBackOff") || strings.Contains(out, `"Running"`) {
			return fmt.Errorf("printed %s", out)
		}
		return nil
	})
}

func testDoctor(t *testing.T, c *testcluster.Cluster) {
	out, errs, code := fathom(t, c.Env(t), "doctor")
	if code != 0 || !strings.Contains(out, "etcd-1") || !strings.Contains(out, "v1.36.3") {
		t.Errorf("doctor: exit %d, %s\n%s", code, errs, out)
	}
	// Discovery: no flags, no variables, only a control-plane node's files.
	home := t.TempDir()
	bare := []string{"HOME=" + home, "PATH=" + os.Getenv("PATH")}
	out, errs, code = fathom(t, bare, "doctor", "--host-root", c.HostRoot(), "-o", "json")
	var report map[string]any
	if err := json.Unmarshal([]byte(out), &report); err != nil || code != 0 || !strings.Contains(out, "etcd-3") {
		t.Errorf("doctor --host-root: exit %d, %v, %s\n%s", code, err, errs, out)
	}
	out, _, code = fathom(t, bare, "doctor", "--host-root", home)
	if code != 1 {
		t.Errorf("doctor with nothing to show: exit %d\n%s", code, out)
	}
}

// Bad input gives one clear line, the exit code, and leaves the screen alone.
func testBadInput(t *testing.T, c *testcluster.Cluster) {
	dir := t.TempDir()
	write := func(name, text string) string {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return p
	}
	admin, err := os.ReadFile(c.Kubeconfig())
	if err != nil {
		t.Fatal(err)
	}
	refused := write("refused", replaceLine(string(admin), "server:", "server: https://127.0.0.1:1"))
	wrongCA := write("wrongca", replaceLine(string(admin), "certificate-authority-data:", "certificate-authority-data: "+otherCA(t)))
	garbage := write("garbage", "this: [is not\n a kubeconfig")
	expired := write("expired", withExpiredClientCert(t, string(admin)))
	term := testcluster.NewTerminal(t, 200, 30, append(c.Env(t), "NOETCD=--no-etcd"))
	bin := testcluster.Binary(t, "fathom")
	for _, x := range []struct {
		args string
		code int
		say  []string
	}{
		{"--no-etcd --context nowhere", 1, []string{"nowhere", "kubernetes-admin@sandbox"}},
		{"--no-etcd --kubeconfig " + dir + "/missing", 1, []string{"missing"}},
		{"--no-etcd --kubeconfig " + garbage, 1, []string{"garbage"}},
		{"--no-etcd --kubeconfig " + wrongCA, 1, []string{"certificate"}},
		{"--no-etcd --kubeconfig " + refused, 1, []string{"127.0.0.1:1", "refused"}},
		{"--no-etcd --kubeconfig " + expired, 1, []string{"expired"}},
		{"--nonsense", 2, []string{"nonsense", "--help"}},
		{"nonsense", 2, []string{"nonsense"}},
		{"-c nonsense", 1, []string{"nonsense"}},
		{"print nonsense", 1, []string{"nonsense"}},
		{"print pods -o nonsense", 2, []string{"nonsense", "json"}},
		{"print pods --filter '('", 2, []string{"regular expression"}},
		{"--etcd-endpoints https://127.0.0.1:1 --etcd-cacert " + dir + "/no-ca", 1, []string{"no-ca"}},
		{"print", 2, []string{"view"}},
	} {
		term.Line("clear")
		term.WaitUntil("a clear screen", func(s string) bool { return strings.TrimSpace(s) == "$" })
		term.Line(bin + " " + x.args + "; echo exit=$?")
		screen := term.WaitUntil("an exit code", regexp.MustCompile(`exit=\d`).MatchString)
		lines := strings.Split(strings.TrimSpace(screen), "\n")
		text := strings.Join(lines, "")
		if !strings.Contains(screen, fmt.Sprintf("exit=%d", x.code)) {
			t.Errorf("fathom %s: want exit code %d:\n%s", x.args, x.code, screen)
		}
		for _, want := range x.say {
			if !strings.Contains(text[len(x.args):], want) {
				t.Errorf("fathom %s: the message does not name %q:\n%s", x.args, want, screen)
			}
		}
		if alt, cursor, _ := term.Flags(); alt || !cursor {
			t.Errorf("fathom %s: took the screen", x.args)
		}
	}
	// Without a terminal it says so and names print.
	_, errs, code := fathom(t, c.Env(t))
	if code != 2 || !strings.Contains(errs, "print") || strings.Count(strings.TrimSpace(errs), "\n") != 0 {
		t.Errorf("fathom without a terminal: exit %d, %q", code, errs)
	}
}

func replaceLine(text, field, with string) string {
	lines := strings.Split(text, "\n")
	for i, l := range lines {
		if body := strings.TrimLeft(l, " -"); strings.HasPrefix(body, field) {
			lines[i] = l[:len(l)-len(body)] + with
		}
	}
	return strings.Join(lines, "\n")
}

// testKilledLeader is the last: it kills the leader and watches what fathom says.
func testKilledLeader(t *testing.T, c *testcluster.Cluster) {
	env := c.Env(t)
	before, _ := leaderOf(members(t, c, env))
	term := openFathom(t, c, 200, 50, "-c members")
	term.WaitFor("etcd-1", "etcd-2", "etcd-3", "leader")
	c.Run(t, "kill", before.Name)
	defer func() {
		c.Run(t, "restart", before.Name)
		testcluster.Eventually(t, time.Minute, "the killed member is back", func() error {
			for _, m := range members(t, c, env) {
				if !m.Reachable || m.Role != "leader" && m.Role != "follower" {
					return fmt.Errorf("%s is %s", m.Name, m.Role)
				}
			}
			return nil
		})
	}()
	killed := time.Now()
	var took time.Duration
	testcluster.Eventually(t, 20*time.Second, "a new leader is on the screen", func() error {
		s := term.Screen()
		for _, l := range strings.Split(s, "\n") {
			if strings.Contains(l, "leader") && !strings.Contains(l, before.Name) && strings.Contains(l, "etcd-") && strings.Contains(s, "unreachable") {
				took = time.Since(killed)
				return nil
			}
		}
		return fmt.Errorf("the screen:\n%s", s)
	})
	t.Logf("the new leader was on the screen %v after the kill", took)
	if took > 5*time.Second {
		t.Errorf("the new leader took %v to show", took)
	}
	// Its last-known row is kept: the screen was open while it lived.
	if s := term.Screen(); !strings.Contains(s, before.Name) || !strings.Contains(s, before.Endpoint) {
		t.Errorf("the dead member's row is gone:\n%s", s)
	}
	ms := members(t, c, env)
	after, n := leaderOf(ms)
	if n != 1 || after.Name == before.Name || after.Term <= before.Term {
		t.Errorf("after the kill: %d leaders, %+v; before: %+v", n, after, before)
	}
	for _, m := range ms {
		if m.Name == before.Name && m.Reachable {
			t.Errorf("the dead member is called reachable: %+v", m)
		}
	}
}
