//go:build integration

package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap"

	"go.etcd.io/etcd/client/pkg/v3/transport"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/etcdutl/v3/snapshot"

	"fathom/internal/testcluster"
	"fathom/watchers/etcd/backup"
)

// independent is a client of the test's own.
func independent(t *testing.T, env []string) *clientv3.Client {
	t.Helper()
	get := func(name string) string { return envOf(t, env, name) }
	config, err := transport.TLSInfo{CertFile: get("ETCDCTL_CERT"), KeyFile: get("ETCDCTL_KEY"), TrustedCAFile: get("ETCDCTL_CACERT")}.ClientConfig()
	if err != nil {
		t.Fatal(err)
	}
	c, err := clientv3.New(clientv3.Config{Endpoints: strings.Split(get("ETCDCTL_ENDPOINTS"), ","), TLS: config, Logger: zap.NewNop(), DialTimeout: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// fill writes n objects, changes and deletes some, gives one a short lease, and compacts.
func fill(t *testing.T, c *clientv3.Client, n int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	pad := strings.Repeat("x", 2000)
	var middle int64
	for i := range n {
		r, err := c.Put(ctx, fmt.Sprintf("/registry/configmaps/shop/c%04d", i), fmt.Sprintf(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"c%04d"},"data":{"k":"%s"}}`, i, pad))
		check(err)
		if i == n/2 {
			middle = r.Header.Revision
		}
	}
	_, err := c.Delete(ctx, "/registry/configmaps/shop/c000", clientv3.WithPrefix())
	check(err)
	lease, err := c.Grant(ctx, 2)
	check(err)
	_, err = c.Put(ctx, "/registry/leases/short", "soon gone", clientv3.WithLease(lease.ID))
	check(err)
	_, err = c.Compact(ctx, middle, clientv3.WithCompactPhysical())
	check(err)
}

// On three members with mTLS: a snapshot is taken from a follower, etcd's own library says that it is what etcd holds, and a drill of it passes;
// of one that was cut off or changed it is refused. A save that is ended leaves nothing.
func TestIntegrationSnapshots(t *testing.T) {
	c := testcluster.Start(t, "--etcd-only", "--members", "3")
	env := append(c.Env(t), "KUBECONFIG=")
	client := independent(t, c.EtcdEnv(t))
	fill(t, client, 400)
	dir := t.TempDir()
	file := filepath.Join(dir, "good.db")
	leader := c.Run(t, "leader")
	out, errs, code := fathom(t, env, "snapshot", "save", file, "-o", "json")
	if code != 0 {
		t.Fatalf("save: exit %d\n%s%s", code, out, errs)
	}
	var saved savedStatus
	if err := json.Unmarshal([]byte(out), &saved); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if saved.Member == leader || saved.Member == "" {
		t.Errorf("it was taken from %q, and %s leads", saved.Member, leader)
	}
	if st, err := os.Stat(file); err != nil || st.Mode() != 0o600 {
		t.Errorf("%v, %v", st, err)
	}
	theirs, err := snapshot.NewV3(zap.NewNop()).Status(file)
	if err != nil || theirs.Hash != saved.Hash || theirs.Revision != saved.Revision || int64(theirs.TotalKey) != saved.Keys {
		t.Errorf("etcd's own library: %+v, %v; fathom: %s", theirs, err, out)
	}
	if _, errs, code := fathom(t, env, "snapshot", "save", file); code != exitFailed || !strings.Contains(errs, "exists already") {
		t.Errorf("saving over it: exit %d, %s", code, errs)
	}
	if _, errs, code := fathom(t, env, "snapshot", "save", filepath.Join(dir, "ro.db"), "--read-only"); code != exitFailed || !strings.Contains(errs, "read-only mode") || strings.Count(errs, "\n") != 1 {
		t.Errorf("in read-only mode: exit %d, %q", code, errs)
	}
	if out, errs, code := fathom(t, env, "journal", "verify"); code != 0 || strings.Contains(out, "open:") {
		t.Errorf("the journal: exit %d, %s%s", code, out, errs)
	}
	t.Run("Drill", func(t *testing.T) { testDrill(t, env, file) })
	t.Run("KilledSave", func(t *testing.T) { testKilledSave(t, env) })
	t.Run("Screen", func(t *testing.T) { testBackupsScreen(t, env, dir) })
}

func testDrill(t *testing.T, env []string, file string) {
	good, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	flipped := bytes.Clone(good)
	flipped[len(flipped)/2] ^= 1
	for _, tc := range []struct {
		name, reason string
		data         []byte
		code         int
		verdict      backup.Verdict
	}{
		{"good", "", good, 0, backup.Passed},
		{"truncated", "cut off", good[:len(good)/3], exitBad, backup.Refused},
		{"flipped", "not what its checksum says", flipped, exitBad, backup.Refused},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f, work := filepath.Join(t.TempDir(), "s.db"), t.TempDir()
			if err := os.WriteFile(f, tc.data, 0o600); err != nil {
				t.Fatal(err)
			}
			out, errs, code := fathom(t, env, "snapshot", "drill", f, "-o", "json", "--work-dir", work)
			var r backup.Report
			if err := json.Unmarshal([]byte(out), &r); err != nil {
				t.Fatalf("exit %d: %v\n%s%s", code, err, out, errs)
			}
			if code != tc.code || r.Verdict != tc.verdict || !strings.Contains(r.Reason, tc.reason) {
				t.Errorf("exit %d, %s: %s\n%s", code, r.Verdict, r.Reason, out)
			}
			if left, err := os.ReadDir(work); err != nil || len(left) > 0 {
				t.Errorf("%v is left in the scratch folder, %v", left, err)
			}
			if tc.verdict == backup.Passed {
				for _, k := range []string{backup.CheckHash, backup.CheckLiveHash, backup.CheckLiveKeys, backup.CheckLive, backup.CheckSample} {
					if !strings.Contains(out, `"name": "`+k+`",`+"\n"+`      "verdict": "passed"`) {
						t.Errorf("%s did not pass:\n%s", k, out)
					}
				}
			}
		})
	}
}

// stingy forwards a member's port, and after some bytes of its answers no more of them: a save through it begins and does not end.
func stingy(t *testing.T, to string, most int64) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", to)
			if err != nil {
				_ = in.Close()
				continue
			}
			t.Cleanup(func() { _, _ = in.Close(), out.Close() })
			go func() { _, _ = io.Copy(out, in) }()
			go func() { _, _ = io.CopyN(in, out, most) }()
		}
	}()
	return "https://" + l.Addr().String()
}

// testKilledSave ends a save in its middle.
func testKilledSave(t *testing.T, env []string) {
	dir := t.TempDir()
	file := filepath.Join(dir, "s.db")
	begin := func() (*exec.Cmd, *bytes.Buffer) {
		url := stingy(t, strings.TrimPrefix(strings.Split(envOf(t, env, "ETCDCTL_ENDPOINTS"), ",")[0], "https://"), 200<<10)
		cmd := exec.Command(testcluster.Binary(t, "fathom"), "snapshot", "save", file, "--etcd-endpoints", url, "--member", url,
			"--etcd-cacert", envOf(t, env, "ETCDCTL_CACERT"), "--etcd-cert", envOf(t, env, "ETCDCTL_CERT"), "--etcd-key", envOf(t, env, "ETCDCTL_KEY"))
		cmd.Env = env
		var errs bytes.Buffer
		cmd.Stderr = &errs
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		testcluster.Eventually(t, 30*time.Second, "the beginning of the save", func() error {
			st, err := os.Stat(file + ".part")
			if err == nil && st.Size() < 64<<10 {
				err = fmt.Errorf("%d bytes", st.Size())
			}
			return err
		})
		return cmd, &errs
	}
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGHUP, syscall.SIGTERM} {
		cmd, errs := begin()
		_ = cmd.Process.Signal(sig)
		_ = cmd.Wait()
		if code := cmd.ProcessState.ExitCode(); code != 128+int(sig) || !strings.Contains(errs.String(), "nothing of it was kept") {
			t.Errorf("%s: exit %d, %s", sig, code, errs)
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			t.Errorf("%s: %v is left, %v", sig, left, err)
		}
	}
	// Killed, it leaves its .part, which is in nobody's way.
	cmd, _ := begin()
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	if _, errs, code := fathom(t, env, "snapshot", "save", file); code != 0 {
		t.Errorf("the save after one that was killed: exit %d, %s", code, errs)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("%v is left, %v", left, err)
	}
}

func envOf(t *testing.T, env []string, name string) string {
	t.Helper()
	for _, e := range env {
		if v, ok := strings.CutPrefix(e, name+"="); ok {
			return v
		}
	}
	t.Fatalf("the sandbox tells no %s", name)
	return ""
}

func testBackupsScreen(t *testing.T, env []string, dir string) {
	old := filepath.Join(dir, "old.db")
	data, err := os.ReadFile(filepath.Join(dir, "good.db"))
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(data[:len(data)-sha256.Size])
	if !bytes.Equal(sum[:], data[len(data)-sha256.Size:]) {
		t.Fatal("the snapshot is not what its checksum says")
	}
	if err := os.WriteFile(old, data, 0o600); err != nil {
		t.Fatal(err)
	}
	ago := time.Now().Add(-30 * time.Hour)
	for _, f := range []string{old, filepath.Join(dir, "good.db")} {
		if err := os.Chtimes(f, ago, ago); err != nil {
			t.Fatal(err)
		}
	}
	term := testcluster.NewTerminal(t, 80, 24, append(env, "FATHOM_BACKUP_DIR="+dir))
	term.Line(testcluster.Binary(t, "fathom") + " -c overview")
	term.WaitFor("the newest is 30h old", "etcd 3/3") // who could send a snapshot is known
	command(term, "backups")
	term.WaitFor("! the newest is 30h old", "old.db", "good.db", "not verified")
	term.Type("s")
	term.WaitFor("File to save it in")
	term.WaitUntil("the dialog to ask", func(s string) bool {
		if strings.Contains(s, "every Secret") {
			return true
		}
		term.Keys("Enter")
		return false
	})
	answerDialog(t, term, "y")
	term.WaitUntil("the new snapshot", func(s string) bool { return strings.Contains(s, "✓ the newest is") && strings.Contains(s, "Z.db") })
	term.Keys("g")
	term.Keys("d")
	checkFrame(t, term.WaitFor("PASSED in"), 80, 24)
	term.Keys("G")
	term.WaitFor("live hash", "live sample")
	term.Keys("Escape")
	term.WaitFor("drill passed")
}
