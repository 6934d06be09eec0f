package actions

import (
	stdbytes "bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"fathom/internal/snapfile"
)

// someSnapshot is a database and its checksum.
func someSnapshot(t *testing.T) []byte {
	t.Helper()
	db, err := bolt.Open(filepath.Join(t.TempDir(), "db"), 0o600, nil)
	must(t, err)
	must(t, db.Update(func(tx *bolt.Tx) error { _, err := tx.CreateBucket([]byte("key")); return err }))
	var out stdbytes.Buffer
	must(t, db.View(func(tx *bolt.Tx) error { _, err := tx.WriteTo(&out); return err }))
	must(t, db.Close())
	sum := sha256.Sum256(out.Bytes())
	return append(out.Bytes(), sum[:]...)
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

func TestSnapshotSave(t *testing.T) {
	etcd := newFakeEtcd(t, 3)
	etcd.snapshot = someSnapshot(t)
	r := newRig(t, servers{etcd: etcd})
	dir := t.TempDir()
	file := filepath.Join(dir, "s.db")
	wantContains(t, r.preview(IDSnapshot, file, etcd.target(2)), "Member etcd-2 (2)", "every Secret", "0600", file)
	o := r.act(IDSnapshot, file, etcd.target(2))
	if o.Status != Done {
		t.Fatalf("outcome %+v", o)
	}
	sum := sha256.Sum256(etcd.snapshot[:len(etcd.snapshot)-snapfile.SumSize])
	wantContains(t, o.Message, file, "etcd-2")
	wantContains(t, r.journalText(), `"verb":"snapshot"`, `"fathom/input":"`+file, fmt.Sprintf("%x", sum))
	b, err := os.ReadFile(file)
	must(t, err)
	if st, _ := os.Stat(file); st.Mode() != 0o600 || !stdbytes.Equal(b, etcd.snapshot) || left(t, dir) != "s.db" {
		t.Errorf("mode %s, %d bytes, %q", st.Mode(), len(b), left(t, dir))
	}
	// Once more: it is there already.
	if o := r.act(IDSnapshot, file, etcd.target(2)); o.Status != Refused || !strings.Contains(o.Message, "exists already") {
		t.Errorf("overwriting: %+v", o)
	}
	force := etcd.target(2)
	force.Detail[DetailForce] = "true"
	if o := r.act(IDSnapshot, file, force); o.Status != Done {
		t.Errorf("with force: %+v", o)
	}
}

// After whatever goes wrong nothing is left, and the outcome is known.
func TestSnapshotSaveThatFails(t *testing.T) {
	old := snapshotStall
	t.Cleanup(func() { snapshotStall, free = old, snapfile.Free })
	snapshotStall = 200 * time.Millisecond
	for name, tc := range map[string]struct {
		prepare func(*fakeEtcd)
		want    Status
		text    string
	}{
		"the stream is cut": {func(f *fakeEtcd) {
			f.onChunk = func(_ context.Context, sent int) error {
				if sent > 8000 {
					return status.Error(codes.Unavailable, "transport is closing")
				}
				return nil
			}
		}, Failed, "nothing of it was kept"},
		"it stalls": {func(f *fakeEtcd) {
			f.onChunk = func(ctx context.Context, sent int) error {
				if sent > 8000 {
					<-ctx.Done()
				}
				return nil
			}
		}, Failed, "nothing came for 200ms"},
		"a byte is changed on the way": {func(f *fakeEtcd) { f.snapshot[9000] ^= 1 }, Failed, "not what its checksum says"},
		"it is no snapshot":            {func(f *fakeEtcd) { f.snapshot = []byte("hello") }, Failed, "no database"},
		"a learner":                    {func(f *fakeEtcd) { f.members[1].learner = true }, Refused, "learner"},
		"a corrupt member":             {func(f *fakeEtcd) { f.members[1].errors = []string{"memberID:2 alarm:CORRUPT "} }, Refused, "CORRUPT"},
		"a disk that is too small":     {func(*fakeEtcd) { free = func(string) (int64, error) { return 1 << 20, nil } }, Refused, "has 1 MiB free"},
	} {
		t.Run(name, func(t *testing.T) {
			free = snapfile.Free
			etcd := newFakeEtcd(t, 3)
			etcd.snapshot = someSnapshot(t)
			etcd.change(func() { tc.prepare(etcd) })
			r := newRig(t, servers{etcd: etcd})
			dir := t.TempDir()
			o := r.act(IDSnapshot, filepath.Join(dir, "s.db"), etcd.target(2))
			if o.Status != tc.want || !strings.Contains(o.Message, tc.text) {
				t.Errorf("outcome %s: %s", o.Status, o.Message)
			}
			if got := left(t, dir); got != "" {
				t.Errorf("%q was left", got)
			}
		})
	}
}

// While a member sends, whoever draws sees how far it is; then the file is read back.
func TestSnapshotSaveTellsHowFar(t *testing.T) {
	etcd := newFakeEtcd(t, 1)
	etcd.snapshot = someSnapshot(t)
	r := newRig(t, servers{etcd: etcd})
	c, err := r.Confirm(r.action(IDSnapshot), filepath.Join(t.TempDir(), "s.db"), etcd.target(1))
	must(t, err)
	var seen StepProgress
	etcd.onChunk = func(ctx context.Context, sent int) error {
		for sent > 8000 && seen.Done == 0 { // the first pieces are on their way
			if p := c.Progress(); len(p.Steps) == 1 && p.Steps[0].Done > 0 {
				seen = p.Steps[0]
			}
			if ctx.Err() != nil {
				return ctx.Err()
			}
			runtime.Gosched()
		}
		return nil
	}
	if o := r.Run(t.Context(), c, nil)[0]; o.Status != Done {
		t.Fatalf("%+v", o)
	}
	if seen.Doing != "receiving it" || seen.Done%4096 != 0 || seen.Total != int64(len(etcd.snapshot)) || seen.Phase != Running {
		t.Errorf("while it came, of %d bytes: %+v", len(etcd.snapshot), seen)
	}
	if s := c.Progress().Steps[0]; s.Doing != "reading it back" || s.Done == 0 || s.Total != int64(len(etcd.snapshot)) {
		t.Errorf("at the end: %+v", s)
	}
}

// A save that is given up ends at once.
func TestSnapshotSaveGivenUp(t *testing.T) {
	etcd := newFakeEtcd(t, 1)
	etcd.snapshot = someSnapshot(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	etcd.onChunk = func(ctx context.Context, sent int) error {
		if sent > 8000 {
			cancel(errors.New("enough"))
			<-ctx.Done()
		}
		return nil
	}
	r := newRig(t, servers{etcd: etcd})
	dir := t.TempDir()
	c, err := r.Confirm(r.action(IDSnapshot), filepath.Join(dir, "s.db"), etcd.target(1))
	must(t, err)
	if o := r.Run(ctx, c, nil)[0]; o.Status != Failed || !strings.Contains(o.Message, "enough") || left(t, dir) != "" {
		t.Errorf("%+v, and %q is left", o, left(t, dir))
	}
}

func TestSnapshotMember(t *testing.T) {
	for name, tc := range map[string]struct {
		prepare func(*fakeEtcd)
		want    string // asked for
		name    string // chosen; empty: an error
	}{
		"a follower":               {func(*fakeEtcd) {}, "", "etcd-2"},
		"not the one far behind":   {func(f *fakeEtcd) { f.members[0].commit = 90000; f.members[2].applied = 89990 }, "", "etcd-3"},
		"not the one cut off":      {func(f *fakeEtcd) { f.members[1].apart = true }, "", "etcd-3"},
		"the least bad":            {func(f *fakeEtcd) { f.members[1].apart, f.members[2].apart = true, true }, "", "etcd-1"},
		"not a learner":            {func(f *fakeEtcd) { f.members[1].learner = true }, "", "etcd-3"},
		"not a corrupt one":        {func(f *fakeEtcd) { f.alarms = corruption(2) }, "", "etcd-3"},
		"one of those that differ": {func(f *fakeEtcd) { f.alarms = corruption(0) }, "", "etcd-2"}, // nobody knows which
		"only a corrupt one":       {func(f *fakeEtcd) { f.alarms = corruption(1, 2, 3) }, "", ""},
		"the leader, when alone":   {func(f *fakeEtcd) { f.members[1].server.Stop(); f.members[2].server.Stop() }, "", "etcd-1"},
		"one without a quorum":     {func(f *fakeEtcd) { f.leader = 0; f.members[0].server.Stop(); f.members[1].server.Stop() }, "", "etcd-3"},
		"the one asked for":        {func(*fakeEtcd) {}, "etcd-1", "etcd-1"},
		"by its ID":                {func(*fakeEtcd) {}, "3", "etcd-3"},
		"none of that name":        {func(*fakeEtcd) {}, "etcd-9", ""},
		"only learners":            {func(f *fakeEtcd) { f.members[0].learner, f.members[1].learner, f.members[2].learner = true, true, true }, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			etcd := newFakeEtcd(t, 3)
			etcd.change(func() { tc.prepare(etcd) })
			r := newRig(t, servers{etcd: etcd})
			got, err := SnapshotMember(t.Context(), r.cluster, tc.want)
			if got.Name != tc.name || (err == nil) != (tc.name != "") {
				t.Errorf("%s, %v; want %q", got, err, tc.name)
			}
		})
	}
}
