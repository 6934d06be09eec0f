package backup_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/server/v3/embed"

	"fathom/internal/run"
	"fathom/watchers"
	"fathom/watchers/etcd/backup"
	"fathom/watchers/etcd/backup/worker"
)

const asWorker = "FATHOM_TEST_WORKER"

func TestMain(m *testing.M) {
	if os.Getenv(asWorker) != "" {
		if err := worker.Main(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, "fathom: "+err.Error())
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("go.etcd.io/etcd/client/pkg/v3/logutil.init.0.func1"))
}

// self is a worker that is this test program.
func self(t *testing.T) backup.Worker {
	t.Helper()
	t.Setenv(asWorker, "1")
	return backup.Self()
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// takeSnapshot makes a snapshot of a real etcd: n keys, of which one was deleted and one written twice, and a compaction.
func takeSnapshot(t *testing.T, n int) []byte {
	t.Helper()
	dir := t.TempDir()
	t.Chdir(dir) // its peer socket
	parse := func(s string) []url.URL {
		u, err := url.Parse(s)
		must(t, err)
		return []url.URL{*u}
	}
	cfg := embed.NewConfig()
	cfg.Dir, cfg.Name = filepath.Join(dir, "data"), "source"
	cfg.ListenPeerUrls, cfg.AdvertisePeerUrls = parse("unix://peers:1"), parse("http://127.0.0.1:1")
	cfg.ListenClientUrls, cfg.AdvertiseClientUrls = parse("unix://clients:1"), parse("http://127.0.0.1:1")
	cfg.InitialCluster = "source=http://127.0.0.1:1"
	cfg.TickMs, cfg.ElectionMs, cfg.UnsafeNoFsync = 20, 200, true
	cfg.EnableGRPCGateway = false
	cfg.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zap.NewNop())
	e, err := embed.StartEtcd(cfg)
	must(t, err)
	defer e.Close()
	<-e.Server.ReadyNotify()
	put := func(k string, v []byte) {
		_, err := e.Server.Put(t.Context(), &pb.PutRequest{Key: []byte(k), Value: v})
		must(t, err)
	}
	for i := range n {
		put(fmt.Sprintf("/registry/configmaps/shop/c%04d", i), []byte(fmt.Sprintf(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"c%04d"}}`, i)))
	}
	put("/registry/configmaps/shop/c0001", []byte("again"))
	_, err = e.Server.DeleteRange(t.Context(), &pb.DeleteRangeRequest{Key: []byte("/registry/configmaps/shop/c0002")})
	must(t, err)
	_, err = e.Server.Compact(t.Context(), &pb.CompactionRequest{Revision: int64(n), Physical: true})
	must(t, err)
	var out bytes.Buffer
	e.Server.Backend().ForceCommit()
	s := e.Server.Backend().Snapshot()
	_, err = s.WriteTo(&out)
	must(t, err)
	must(t, s.Close())
	sum := sha256.Sum256(out.Bytes())
	return append(out.Bytes(), sum[:]...)
}

func write(t *testing.T, path string, data []byte) string {
	t.Helper()
	must(t, os.WriteFile(path, data, 0o600))
	return path
}

func left(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	must(t, err)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return strings.Join(names, " ")
}

// A drill of a good snapshot passes; of one that was cut off or changed it is refused with the reason, and nothing is left in any case.
func TestDrill(t *testing.T) {
	const n = 300
	good := takeSnapshot(t, n)
	w := self(t)
	flipped := bytes.Clone(good)
	flipped[len(flipped)*2/3] ^= 0x10
	// What a checksum does not tell: the pages are broken, and the sum is of them.
	broken := bytes.Clone(good[:len(good)-sha256.Size])
	for i := 3 * 4096; i < len(broken)-4096; i++ {
		broken[i] ^= 0x5a
	}
	sum := sha256.Sum256(broken)
	broken = append(broken, sum[:]...)
	for _, tc := range []struct {
		name, want string
		data       []byte
		verdict    backup.Verdict
	}{
		{"good", "", good, backup.Passed},
		{"truncated", "cut off", good[:len(good)/2], backup.Refused},
		{"truncated within its checksum", "within its checksum", good[:len(good)-5], backup.Refused},
		{"without its checksum", "no checksum", good[:len(good)-sha256.Size], backup.Refused},
		{"flipped", "not what its checksum says", flipped, backup.Refused},
		{"broken inside", "", broken, backup.Refused},
	} {
		t.Run(tc.name, func(t *testing.T) {
			work := t.TempDir()
			file := write(t, filepath.Join(t.TempDir(), "s.db"), tc.data)
			r, err := backup.Drill(t.Context(), backup.DrillOptions{File: file, Dir: work, Worker: w})
			must(t, err)
			if r.Verdict != tc.verdict || !strings.Contains(r.Reason, tc.want) {
				t.Errorf("%s: %s %+v", r.Verdict, r.Reason, r.Checks)
			}
			if got := left(t, work); got != "" {
				t.Errorf("%q was left in the scratch folder", got)
			}
			if tc.verdict != backup.Passed {
				return
			}
			for _, c := range r.Checks {
				if c.Verdict != backup.Passed && c.Name != backup.CheckCluster {
					t.Errorf("%+v", c)
				}
			}
			if in := r.Inside; in.Keys != n-1 || in.Revision != n+3 || in.CompactRevision != n || len(in.Members) != 1 || in.Members[0].Name != "source" {
				t.Errorf("inside: %+v", in)
			}
		})
	}
}

func TestDrillThatCannotBeHeld(t *testing.T) {
	good := takeSnapshot(t, 3)
	w := self(t)
	file := write(t, filepath.Join(t.TempDir(), "s.db"), good)
	if _, err := backup.Drill(t.Context(), backup.DrillOptions{File: file + "x", Worker: w}); err == nil {
		t.Error("a file that is not there was drilled")
	}
	if _, err := backup.Drill(t.Context(), backup.DrillOptions{File: file, Dir: "/none", Worker: w}); err == nil || !strings.Contains(err.Error(), "--work-dir") {
		t.Errorf("without a scratch folder: %v", err)
	}
	if _, err := backup.Drill(t.Context(), backup.DrillOptions{File: file, Worker: backup.Worker{Refused: "not here"}}); err == nil || !strings.Contains(err.Error(), "not here") {
		t.Errorf("where no process may be started: %v", err)
	}
	// Given up while it goes on: it ends, and cleans up.
	work := t.TempDir()
	ctx, cancel := context.WithCancelCause(t.Context())
	_, err := backup.Drill(ctx, backup.DrillOptions{File: file, Dir: work, Worker: w, Progress: func(step string, _, _ int64) {
		if step == "restoring it" {
			cancel(errors.New("enough"))
		}
	}})
	if err == nil || !strings.Contains(err.Error(), "enough") || left(t, work) != "" {
		t.Errorf("%v, and %q is left", err, left(t, work))
	}
}

// The folder of a drill whose process was killed goes with the next drill there.
func TestDrillSweepsWhatWasLeft(t *testing.T) {
	good := takeSnapshot(t, 3)
	w := self(t)
	work := t.TempDir()
	old := filepath.Join(work, "fathom-drill-1234")
	must(t, os.MkdirAll(filepath.Join(old, "data"), 0o700))
	write(t, filepath.Join(old, "lock"), nil)
	r, err := backup.Drill(t.Context(), backup.DrillOptions{File: write(t, filepath.Join(t.TempDir(), "s.db"), good), Dir: work, Worker: w})
	must(t, err)
	if r.Verdict != backup.Passed || left(t, work) != "" {
		t.Errorf("%s, and %q is left", r.Verdict, left(t, work))
	}
}

// A worker whose parent was killed while it restored cleans up and ends: what it restored holds every Secret.
func TestWorkerWhoseParentIsGone(t *testing.T) {
	good := takeSnapshot(t, 3)
	dir := filepath.Join(t.TempDir(), "drill")
	must(t, os.Mkdir(dir, 0o700))
	request, err := json.Marshal(backup.Request{Op: backup.OpDrill, File: write(t, filepath.Join(t.TempDir(), "s.db"), good), Dir: dir})
	must(t, err)
	program, err := os.Executable()
	must(t, err)
	cmd := exec.CommandContext(t.Context(), program)
	cmd.Env = append(os.Environ(), asWorker+"=1")
	in, err := cmd.StdinPipe()
	must(t, err)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	_, err = in.Write(append(request, '\n'))
	must(t, err)
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil { // it has looked inside, and restores now
		t.Error(err)
	}
	must(t, out.Close())
	must(t, in.Close())
	ended := cmd.Wait()
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%q is left (%v); the worker ended: %v", left(t, dir), err, ended)
	}
}

// wait waits for a picture of the folder.
func wait(t *testing.T, f *backup.Folder, what string, ok func(*backup.Snapshot) bool) *backup.Snapshot {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		s := f.Snapshot()
		if ok(s) {
			return s
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: not in time; %+v", what, s)
		}
		<-tick.C
	}
}

func TestFolder(t *testing.T) {
	good := takeSnapshot(t, 20)
	w := self(t)
	dir := t.TempDir()
	g := run.NewGroup(t.Context(), func(p run.Panic) { t.Errorf("%s: %v\n%s", p.Name, p.Value, p.Stack) })
	defer g.Stop()
	f := backup.Watch(g, backup.Options{Dir: dir, Worker: w, WorkDir: t.TempDir(), Every: time.Hour, Closely: 20 * time.Millisecond})
	s := wait(t, f, "the empty folder", func(s *backup.Snapshot) bool { return s.Gen > 0 && s.State.Phase == watchers.Live })
	if s.Newest != nil || len(s.Rows) != 0 {
		t.Errorf("%+v", s)
	}
	leave := f.Look()
	defer leave()
	file := write(t, filepath.Join(dir, "a.db"), good)
	write(t, filepath.Join(dir, "cut.db"), good[:8192])
	s = wait(t, f, "the revision of the file", func(s *backup.Snapshot) bool { r := s.Find(file); return r != nil && r.Brief != nil })
	if r := s.Find(file); r.Brief.Revision != 23 || s.Newest != r || s.Free <= 0 {
		t.Errorf("%+v", r)
	}
	must(t, f.Verify(file))
	if s = wait(t, f, "the verification", func(s *backup.Snapshot) bool { r := s.Find(file); return r.Job != nil && !r.Job.Ended.IsZero() }); !s.Find(file).Status.Verified {
		t.Errorf("%+v", s.Find(file).Job)
	}
	must(t, f.Drill(file))
	if err := f.Drill(file); err == nil {
		t.Error("two drills at once")
	}
	s = wait(t, f, "the drill", func(s *backup.Snapshot) bool {
		r := s.Find(file)
		return r.Job != nil && r.Job.Kind == backup.Drilling && !r.Job.Ended.IsZero()
	})
	if j := s.Find(file).Job; j.Report == nil || j.Report.Verdict != backup.Passed {
		t.Errorf("%+v", j)
	}
	must(t, os.Rename(dir, dir+"-away"))
	s = wait(t, f, "the folder that is gone", func(s *backup.Snapshot) bool { return s.State.Phase == watchers.Stale })
	if s.Newest == nil || !strings.Contains(s.State.Why, "no such file") {
		t.Errorf("%+v", s)
	}
	must(t, os.Rename(dir+"-away", dir))
	wait(t, f, "the folder that is back", func(s *backup.Snapshot) bool { return s.State.Phase == watchers.Live })
}

func TestNoFolder(t *testing.T) {
	g := run.NewGroup(t.Context(), nil)
	defer g.Stop()
	f := backup.Watch(g, backup.Options{})
	if s := f.Snapshot(); s.State.Phase != watchers.Unsupported || !strings.Contains(s.State.Why, "--backup-dir") {
		t.Errorf("%+v", s)
	}
}

func TestRead(t *testing.T) {
	good := takeSnapshot(t, 5)
	dir := t.TempDir()
	st, err := backup.Read(t.Context(), write(t, filepath.Join(dir, "good.db"), good), worker.Inspect, nil)
	if err != nil || st.Bad() || !st.Verified || st.Keys != 4 {
		t.Errorf("%+v, %v", st, err)
	}
	bare, err := backup.Read(t.Context(), write(t, filepath.Join(dir, "bare.db"), good[:len(good)-sha256.Size]), worker.Inspect, nil)
	if err != nil || !bare.Bad() || bare.Verified || bare.Inside == nil || bare.Hash != st.Hash {
		t.Errorf("without a checksum: %+v, %v", bare, err)
	}
	cut, err := backup.Read(t.Context(), write(t, filepath.Join(dir, "cut.db"), good[:4096]), worker.Inspect, nil)
	if err != nil || !cut.Bad() || cut.Inside != nil {
		t.Errorf("cut off: %+v, %v", cut, err)
	}
}
