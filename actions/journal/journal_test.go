package journal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func event(id, stage string) Event {
	at := MicroTime{time.Date(2026, 11, 21, 2, 0, 0, 123456000, time.UTC)}
	return Event{
		AuditID: id, Stage: stage, Verb: "delete", User: User{Username: "kubernetes-admin", Groups: []string{"ops"}},
		ObjectRef:                &ObjectRef{Resource: "pods", Namespace: "shop", Name: "cart-0", UID: "u-1", APIVersion: "v1"},
		RequestReceivedTimestamp: at, StageTimestamp: at,
		Annotations: map[string]string{"fathom/cluster": "prod"},
	}
}

func write(t *testing.T, j *Journal, id, stage string) Event {
	t.Helper()
	e, err := j.Append(t.Context(), event(id, stage))
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func verify(t *testing.T, j *Journal) Report {
	t.Helper()
	r, err := Verify(t.Context(), j.Path())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func fresh(t *testing.T) *Journal {
	t.Helper()
	return New(filepath.Join(t.TempDir(), "state", "fathom", "journal.jsonl"))
}

func TestChain(t *testing.T) {
	j := fresh(t)
	first := write(t, j, "a", RequestReceived)
	write(t, j, "a", ResponseComplete)
	last := write(t, j, "b", RequestReceived)
	r := verify(t, j)
	if !r.OK() || r.Records != 3 || r.HeadSeq != 3 || r.HeadHash != last.Hash || r.Torn != nil {
		t.Fatalf("report %+v", r)
	}
	if len(r.Open) != 1 || r.Open[0].AuditID != "b" {
		t.Fatalf("open intents %+v, want only b", r.Open)
	}
	if first.Seq != 1 || first.Prev != "" || last.Seq != 3 {
		t.Fatalf("first %+v last %+v", first, last)
	}
	for path, want := range map[string]os.FileMode{j.Path(): 0o600, filepath.Dir(j.Path()): 0o700} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != want {
			t.Errorf("%s has mode %o, want %o", path, info.Mode().Perm(), want)
		}
	}
}

// The form is fixed: what other programs check the chain with must not change under them.
func TestCanonicalForm(t *testing.T) {
	j := fresh(t)
	e := event("a", ResponseComplete)
	e.ResponseStatus = &ResponseStatus{Status: "Failure", Message: "\x1b[2J<é\u202e\u2028\U0001F600\xff>"}
	if _, err := j.Append(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(j.Path())
	if err != nil {
		t.Fatal(err)
	}
	want := `{"annotations":{"fathom/cluster":"prod"},"apiVersion":"audit.k8s.io/v1","auditID":"a",` +
		`"hash":"8f1db9bf95d93c8eedb07447552fd3ab8e3b689d16d936deb667eac7195b551b","kind":"Event","level":"Metadata",` +
		`"objectRef":{"apiVersion":"v1","name":"cart-0","namespace":"shop","resource":"pods","uid":"u-1"},"prev":"",` +
		`"requestReceivedTimestamp":"2026-11-21T02:00:00.123456Z",` +
		`"responseStatus":{"message":"\u001b[2J<\u00e9\u202e\u2028\ud83d\ude00\ufffd>","status":"Failure"},"seq":1,` +
		`"stage":"ResponseComplete","stageTimestamp":"2026-11-21T02:00:00.123456Z",` +
		`"user":{"groups":["ops"],"username":"kubernetes-admin"},"verb":"delete"}` + "\n"
	if string(b) != want {
		t.Fatalf("line\n%s\nwant\n%s", b, want)
	}
}

func TestTampering(t *testing.T) {
	lines := func(b []byte) [][]byte { return bytes.SplitAfter(bytes.TrimSuffix(b, []byte("\n")), []byte("\n")) }
	for name, tamper := range map[string]func([]byte) []byte{
		"a changed name":           func(b []byte) []byte { return bytes.Replace(b, []byte("cart-0"), []byte("cart-1"), 1) },
		"a removed record":         func(b []byte) []byte { l := lines(b); return bytes.Join([][]byte{l[0], l[2], l[3], {'\n'}}, nil) },
		"two records exchanged":    func(b []byte) []byte { l := lines(b); return bytes.Join([][]byte{l[0], l[2], l[1], l[3], {'\n'}}, nil) },
		"the first record removed": func(b []byte) []byte { return b[bytes.IndexByte(b, '\n')+1:] },
		"white space":              func(b []byte) []byte { return bytes.Replace(b, []byte(`"seq":2`), []byte(`"seq": 2`), 1) },
		"an inserted line":         func(b []byte) []byte { return append([]byte("{}\n"), b...) },
		"a removed hash":           func(b []byte) []byte { i := bytes.Index(b, []byte(`"hash":"`)); return append(b[:i:i], b[i+74:]...) },
		"the last record changed": func(b []byte) []byte {
			i := bytes.LastIndex(b, []byte("cart-0"))
			return append(append(append([]byte{}, b[:i]...), "cart-1"...), b[i+6:]...)
		},
	} {
		t.Run(name, func(t *testing.T) {
			j := fresh(t)
			for i := range 4 {
				write(t, j, fmt.Sprint(i), ResponseComplete)
			}
			b, err := os.ReadFile(j.Path())
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(j.Path(), tamper(bytes.Clone(b)), 0o600); err != nil {
				t.Fatal(err)
			}
			if r := verify(t, j); r.OK() {
				t.Fatalf("not seen: %+v", r)
			}
			// A record written afterwards does not hide it.
			write(t, j, "later", ResponseComplete)
			if r := verify(t, j); r.OK() {
				t.Fatalf("hidden by a later record: %+v", r)
			}
		})
	}
}

// A crash may stop a write at any byte: the rest is accounted for by the next record, and nothing before it is lost.
func TestTornLine(t *testing.T) {
	j := fresh(t)
	for i := range 2 {
		write(t, j, fmt.Sprint(i), ResponseComplete)
	}
	whole, err := os.ReadFile(j.Path())
	if err != nil {
		t.Fatal(err)
	}
	second := bytes.IndexByte(whole, '\n') + 1
	for n := second; n < len(whole); n++ {
		if n > second+3 && n < len(whole)-3 && n%13 != 0 {
			continue // every cut is the same in the middle, and each costs a sync to the disk
		}
		if err := os.WriteFile(j.Path(), whole[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		r := verify(t, j)
		torn := n > second && n < len(whole)-1 // the last byte is the LF: without it the record is still whole
		if !r.OK() || (r.Torn != nil) != torn {
			t.Fatalf("cut at %d of %d: %+v", n, len(whole), r)
		}
		write(t, j, "next", ResponseComplete)
		r = verify(t, j)
		if !r.OK() || r.Torn != nil || (len(r.Recovered) == 1) != torn {
			t.Fatalf("after cut at %d and another record: %+v", n, r)
		}
		if torn && r.Recovered[0] != (Region{Offset: int64(second), Bytes: int64(n - second)}) {
			t.Fatalf("cut at %d: recovered %+v", n, r.Recovered)
		}
		b, err := os.ReadFile(j.Path())
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.HasPrefix(b, whole[:n]) {
			t.Fatalf("cut at %d: bytes of the file were dropped", n)
		}
	}
}

func TestTornTwice(t *testing.T) {
	j := fresh(t)
	write(t, j, "0", ResponseComplete)
	app(t, j, `{"annotations":{"half`)
	write(t, j, "1", ResponseComplete)
	b, err := os.ReadFile(j.Path())
	if err != nil {
		t.Fatal(err)
	}
	// The recovery record itself is cut.
	if err := os.WriteFile(j.Path(), b[:bytes.Index(b, []byte("recovered-bytes"))], 0o600); err != nil {
		t.Fatal(err)
	}
	write(t, j, "2", ResponseComplete)
	if r := verify(t, j); !r.OK() || r.Records != 3 || len(r.Recovered) != 1 {
		t.Fatalf("report %+v", r)
	}
	// Other bytes in the place of those that were accounted for are seen.
	b, err = os.ReadFile(j.Path())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(j.Path(), bytes.Replace(b, []byte("half"), []byte("calf"), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	if r := verify(t, j); r.OK() {
		t.Fatalf("a changed torn region is not seen: %+v", r)
	}
}

func app(t *testing.T, j *Journal, s string) {
	t.Helper()
	f, err := os.OpenFile(j.Path(), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(s); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestUnwritable(t *testing.T) {
	for name, tc := range map[string]struct {
		prepare func(t *testing.T, path string)
		want    string
	}{
		"a symbolic link": {func(t *testing.T, path string) {
			must(t, os.WriteFile(path+".other", nil, 0o600))
			must(t, os.Symlink(path+".other", path))
		}, "symbolic link"},
		"a dangling link": {func(t *testing.T, path string) { must(t, os.Symlink(path+".none", path)) }, "symbolic link"},
		"a directory":     {func(t *testing.T, path string) { must(t, os.Mkdir(path, 0o700)) }, "is a directory"},
		"a file in place of the directory": {func(t *testing.T, path string) {
			must(t, os.Remove(filepath.Dir(path)))
			must(t, os.WriteFile(filepath.Dir(path), nil, 0o600))
		}, "not a directory"},
	} {
		t.Run(name, func(t *testing.T) {
			j := fresh(t)
			must(t, os.MkdirAll(filepath.Dir(j.Path()), 0o700))
			tc.prepare(t, j.Path())
			_, err := j.Append(t.Context(), event("a", RequestReceived))
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Fatalf("error %v, want one with %q", err, tc.want)
			}
			if err := j.Check(t.Context()); err == nil {
				t.Fatal("Check found nothing")
			}
		})
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestPermissionsAreTakenBack(t *testing.T) {
	j := fresh(t)
	must(t, os.MkdirAll(filepath.Dir(j.Path()), 0o755))
	must(t, os.WriteFile(j.Path(), nil, 0o644))
	must(t, j.Check(t.Context()))
	for path, want := range map[string]os.FileMode{j.Path(): 0o600, filepath.Dir(j.Path()): 0o700} {
		info, err := os.Stat(path)
		must(t, err)
		if info.Mode().Perm() != want {
			t.Errorf("%s has mode %o, want %o", path, info.Mode().Perm(), want)
		}
	}
}

func TestLockedByAnother(t *testing.T) {
	j := fresh(t)
	held, err := j.openLocked(t.Context())
	must(t, err)
	defer held.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := j.Append(ctx, event("a", RequestReceived)); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("error %v, want a deadline", err)
	}
}

func TestLongAndHostileTextsFit(t *testing.T) {
	j := fresh(t)
	e := event("a", ResponseComplete)
	e.ResponseStatus = &ResponseStatus{Message: strings.Repeat("\x1b\u202e", 1<<19)}
	e.User.Groups = make([]string, 1000)
	_, err := j.Append(t.Context(), e)
	must(t, err)
	info, err := os.Stat(j.Path())
	must(t, err)
	if info.Size() > 64<<10 {
		t.Fatalf("a record of %d bytes", info.Size())
	}
	if r := verify(t, j); !r.OK() || r.Records != 1 {
		t.Fatalf("report %+v", r)
	}
}

// Several processes write one file: the chain stays whole. The test runs itself as these processes.
func TestProcesses(t *testing.T) {
	const processes, each = 4, 15
	if path := os.Getenv("FATHOM_JOURNAL_TEST_FILE"); path != "" {
		for i := range each {
			_, err := New(path).Append(t.Context(), event(fmt.Sprintf("%d-%d", os.Getpid(), i), ResponseComplete))
			must(t, err)
		}
		return
	}
	j := fresh(t)
	var running []*exec.Cmd
	for range processes {
		c := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestProcesses$")
		c.Env = append(os.Environ(), "FATHOM_JOURNAL_TEST_FILE="+j.Path())
		c.Stderr = os.Stderr
		must(t, c.Start())
		running = append(running, c)
	}
	for _, c := range running {
		must(t, c.Wait())
	}
	if r := verify(t, j); !r.OK() || r.Records != processes*each {
		t.Fatalf("report %+v", r)
	}
}

func TestDefaultPath(t *testing.T) {
	t.Setenv("HOME", "/home/someone")
	for state, want := range map[string]string{
		"":         "/home/someone/.local/state/fathom/journal.jsonl",
		"relative": "/home/someone/.local/state/fathom/journal.jsonl",
		"/var/s":   "/var/s/fathom/journal.jsonl",
	} {
		t.Setenv("XDG_STATE_HOME", state)
		if got, err := DefaultPath(); err != nil || got != want {
			t.Errorf("XDG_STATE_HOME=%q: %q, %v; want %q", state, got, err, want)
		}
	}
}

// FuzzParse: whatever a file holds, reading it does not panic, and what is accepted is written the same again.
func FuzzParse(f *testing.F) {
	_, line, err := seal(event("a", ResponseComplete), link{})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(line)
	f.Add([]byte(`{"hash":"","seq":18446744073709551616}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := parse(b)
		if err != nil {
			return
		}
		if len(e.Hash) != 64 {
			t.Fatalf("accepted without a hash: %q", b)
		}
	})
}
