//go:build integration

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"fathom/internal/testcluster"
)

// TestIntegrationKeysByHand writes keys by the keys of the keyboard, on an etcd of three members with mTLS, and reads every effect back by
// another client. The editor is a script.
func TestIntegrationKeysByHand(t *testing.T) {
	c := testcluster.Start(t, "--etcd-only", "--members", "3")
	h := &keyHand{t: t, c: c, cli: etcdClient(t, c), dir: t.TempDir()}
	t.Run("PutEditDelete", h.testPutEditDelete)
	t.Run("Editor", h.testEditor)
	t.Run("EditorAndSignals", h.testEditorAndSignals)
	t.Run("Conflict", h.testConflict)
	t.Run("RevokeLease", h.testRevokeLease)
	t.Run("ReadOnly", h.testReadOnly)
}

type keyHand struct {
	t   *testing.T
	c   *testcluster.Cluster
	cli *clientv3.Client
	dir string
}

// open opens fathom on a prefix; script is what the editor does, with the file as $1.
func (h *keyHand) open(t *testing.T, args, script string) *testcluster.Terminal {
	t.Helper()
	file := filepath.Join(h.dir, strings.ReplaceAll(t.Name(), "/", "-"))
	if err := os.WriteFile(file, []byte("#!/bin/sh\necho opened >>"+file+".log\n"+script+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	env := append(h.c.Env(t), "EDITOR="+file+" -w", "XDG_RUNTIME_DIR="+h.dir)
	env = slices.DeleteFunc(env, func(kv string) bool { return strings.HasPrefix(kv, "KUBECONFIG=") })
	term := testcluster.NewTerminal(t, 110, 34, env)
	term.Line(testcluster.Binary(t, "fathom") + " " + args + "; echo exit=$?")
	term.WaitFor("fathom ", "etcd 3/3")
	return term
}

func (h *keyHand) put(t *testing.T, key, value string, opts ...clientv3.OpOption) {
	t.Helper()
	if _, err := h.cli.Put(t.Context(), key, value, opts...); err != nil {
		t.Fatal(err)
	}
}

// holds waits until a key has a value and a lease, as the other client sees it.
func (h *keyHand) holds(t *testing.T, key, value string, lease clientv3.LeaseID) {
	t.Helper()
	testcluster.Eventually(t, 30*time.Second, fmt.Sprintf("%s holds %q", key, value), func() error {
		r, err := h.cli.Get(t.Context(), key)
		if err != nil {
			return err
		}
		if len(r.Kvs) == 0 {
			return fmt.Errorf("there is no such key")
		}
		if kv := r.Kvs[0]; string(kv.Value) != value || kv.Lease != int64(lease) {
			return fmt.Errorf("it holds %q under lease %x", kv.Value, kv.Lease)
		}
		return nil
	})
}

// until presses keys again until the screen shows something: a dialog that has just been drawn does not answer.
func until(term *testcluster.Terminal, what string, press func(), ok func(s string) bool) {
	var last time.Time
	term.WaitUntil(what, func(s string) bool {
		if ok(s) {
			return true
		}
		if time.Since(last) > 3*time.Second {
			last = time.Now()
			press()
		}
		return false
	})
}

func (h *keyHand) testPutEditDelete(t *testing.T) {
	lease, err := h.cli.Grant(t.Context(), 3600)
	if err != nil {
		t.Fatal(err)
	}
	h.put(t, "/app/first", "1")
	term := h.open(t, "-c 'keys /app'", "exit 1")
	term.WaitFor("first")
	term.Type("a")
	term.WaitFor("new key: /app/")
	term.Type("second")
	term.Keys("Enter")
	term.WaitFor("Make key", "Key /app/second", "Value")
	until(term, "the value to be typed", func() { term.Keys("C-u"); term.Type("2") }, regexp.MustCompile(`│ 2 +│`).MatchString)
	until(term, "the question", func() { term.Keys("Enter") }, func(s string) bool { return strings.Contains(s, "[ Cancel ]") })
	s := term.WaitFor("will be made in etcd", "without a lease", "+2")
	if !strings.Contains(s, "Key /app/second") {
		t.Errorf("the dialog does not name the key:\n%s", s)
	}
	answerDialog(t, term, "y")
	r, err := h.cli.Get(t.Context(), "/app/second")
	testcluster.Eventually(t, 30*time.Second, "the key is made", func() error {
		if r, err = h.cli.Get(t.Context(), "/app/second"); err != nil || len(r.Kvs) != 1 {
			return fmt.Errorf("%v, %v", r, err)
		}
		return nil
	})
	if value := string(r.Kvs[0].Value); value != "2" {
		t.Errorf("the key holds %q", value)
	}

	// Under a lease, which stays; in the dialog's line.
	h.put(t, "/app/second", "two", clientv3.WithLease(lease.ID))
	term.WaitFor("second")
	term.Keys("G")
	until(term, "the value in the line", func() { term.Type("e") }, func(s string) bool { return strings.Contains(s, "Write key") && strings.Contains(s, "two") })
	until(term, "the cursor at work", func() { term.Keys("BSpace") }, func(s string) bool { return !strings.Contains(s, "two") })
	until(term, "the question", func() { term.Keys("Enter") }, func(s string) bool { return strings.Contains(s, "[ Cancel ]") })
	term.WaitFor("replaced", fmt.Sprintf("lease %x", lease.ID), "-two", "+tw")
	answerDialog(t, term, "y")
	h.holds(t, "/app/second", "tw", lease.ID)

	until(term, "the question of the delete", func() { term.Keys("C-d") }, func(s string) bool { return strings.Contains(s, "Type second to go on") })
	term.WaitFor("will be deleted", "-tw")
	until(term, "the name", func() { term.Keys("C-u"); term.Type("second") }, regexp.MustCompile(`│ second +│`).MatchString)
	until(term, "the end of the dialog", func() { term.Keys("Enter") }, func(s string) bool { return !strings.Contains(s, "Type second") })
	testcluster.Eventually(t, 30*time.Second, "the key is gone", func() error {
		r, err := h.cli.Get(t.Context(), "/app/second")
		if err != nil || len(r.Kvs) != 0 {
			return fmt.Errorf("%v, %v", r, err)
		}
		return nil
	})
	term.WaitUntil("the key gone from the tree", func(s string) bool { return strings.Contains(s, "first") && !strings.Contains(s, "▸   second") })
}

// The editor has the terminal; a text that cannot be stored comes back to it with the reason.
func (h *keyHand) testEditor(t *testing.T) {
	h.put(t, "/json/a", "{\n  \"size\": 1\n}\n")
	term := h.open(t, "-c 'keys /json'", `if grep -q '^# fathom: ' "$2"; then sed -i 's/"size": }/"size": 2}/' "$2"; else printf '{"size": }\n' >"$2"; fi`)
	term.WaitFor("▸   a")
	term.Keys("Enter")
	term.WaitFor("Format", "json")
	term.Type("e")
	term.WaitFor("Write key", "[ Cancel ]", "+size: 2", "-size: 1")
	answerDialog(t, term, "y")
	h.holds(t, "/json/a", "{\"size\": 2}\n", 0)
	term.WaitFor("size: 2") // read again by itself
	if log, _ := os.ReadFile(filepath.Join(h.dir, strings.ReplaceAll(t.Name(), "/", "-")+".log")); strings.Count(string(log), "opened") != 2 {
		t.Errorf("the editor was opened %q", log)
	}
	if left, _ := filepath.Glob(filepath.Join(h.dir, "fathom-edit-*")); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
}

// Ctrl-C in the editor is the editor's. When fathom is ended the editor ends, nothing is left, and the terminal is as it was.
func (h *keyHand) testEditorAndSignals(t *testing.T) {
	h.put(t, "/sig/a", "line 1\nline 2\n")
	term := h.open(t, "-c 'keys /sig'", `trap 'echo interrupted' INT; echo "in the editor"; for i in 1 2 3 4 5 6 7 8 9; do sleep 100; done`)
	term.WaitFor("▸   a")
	term.Type("e")
	term.WaitFor("in the editor")
	if alt, cursor, _ := term.Flags(); alt || !cursor {
		t.Error("the editor does not have the terminal as the shell has it")
	}
	term.Keys("C-c")
	term.WaitFor("interrupted")
	if s := term.Screen(); regexp.MustCompile(`exit=\d`).MatchString(s) {
		t.Fatalf("Ctrl-C in the editor has ended fathom:\n%s", s)
	}
	shell := strings.TrimSpace(term.Tmux("display-message", "-p", "#{pane_pid}"))
	children, err := os.ReadFile("/proc/" + shell + "/task/" + shell + "/children")
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(children)))
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	term.WaitFor("exit=143")
	term.Line("echo the shell works")
	term.WaitFor("the shell works")
	testcluster.Eventually(t, 10*time.Second, "nothing is left of the edited value", func() error {
		if left, _ := filepath.Glob(filepath.Join(h.dir, "fathom-edit-*")); len(left) != 0 {
			return fmt.Errorf("left: %v", left)
		}
		return nil
	})
}

// What was changed between the question and the yes is not overwritten, and what was typed is not lost: e takes it up again, based on what is
// stored by then. In the dialog's line and in the editor.
func (h *keyHand) testConflict(t *testing.T) {
	h.put(t, "/race/a", "mine")
	h.put(t, "/race/b", "{\n  \"size\": 1,\n  \"dark\": false\n}\n")
	// The editor types its text once; what it is given then it leaves as it is, and notes what that was.
	seen := filepath.Join(h.dir, "conflict-seen")
	term := h.open(t, "-c 'keys /race'", `cp "$2" `+seen+`; sed -i 's/"size": 1,/"size": 42,/' "$2"`)
	term.WaitFor("▸   a")
	term.Type("e")
	term.WaitFor("Write key", "mine")
	until(term, "the value changed", func() { term.Type("!") }, func(s string) bool { return strings.Contains(s, "mine!") })
	until(term, "the question", func() { term.Keys("Enter") }, func(s string) bool { return strings.Contains(s, "[ Cancel ]") })
	typed := regexp.MustCompile(`\+(mine!+)`).FindStringSubmatch(term.Screen())
	if typed == nil {
		t.Fatalf("the difference does not show what was typed:\n%s", term.Screen())
	}
	h.put(t, "/race/a", "theirs")
	answerDialog(t, term, "y")
	term.WaitFor("was changed at revision", "Your text is kept", "Esc closes")
	h.holds(t, "/race/a", "theirs", 0)
	closed := func(s string) bool { return !strings.Contains(s, "Esc closes") }
	until(term, "the dialog to close", func() { term.Keys("Escape") }, closed)
	until(term, "the text in the line", func() { term.Type("e") }, func(s string) bool {
		return strings.Contains(s, "This is your text") && strings.Contains(s, "now it holds: theirs") && strings.Contains(s, typed[1])
	})
	until(term, "the question", func() { term.Keys("Enter") }, func(s string) bool { return strings.Contains(s, "[ Cancel ]") })
	term.WaitFor("-theirs", "+"+typed[1])
	answerDialog(t, term, "y")
	h.holds(t, "/race/a", typed[1], 0)

	term.WaitUntil("the end of the dialog", func(s string) bool { return !strings.Contains(s, "Write key") })
	until(term, "the other key", func() { term.Keys("Down") }, regexp.MustCompile(`▸ +b\b`).MatchString)
	until(term, "the question", func() { term.Type("e") }, func(s string) bool { return strings.Contains(s, "[ Cancel ]") && strings.Contains(s, "42") })
	h.put(t, "/race/b", "{\n  \"size\": 1,\n  \"dark\": true\n}\n")
	answerDialog(t, term, "y")
	term.WaitFor("was changed at revision", "Your text is kept")
	until(term, "the dialog to close", func() { term.Keys("Escape") }, closed)
	until(term, "the question", func() { term.Type("e") }, func(s string) bool { return strings.Contains(s, "[ Cancel ]") && strings.Contains(s, "42") })
	if got, err := os.ReadFile(seen); err != nil || !strings.Contains(string(got), "# fathom: This is your text") || !strings.Contains(string(got), "# fathom: +dark: true") ||
		!strings.Contains(string(got), "\n  \"size\": 42,\n") {
		t.Errorf("the editor was given (%v)\n%s", err, got)
	}
	term.WaitFor("-dark: true", "+dark: false")
	answerDialog(t, term, "y")
	h.holds(t, "/race/b", "{\n  \"size\": 42,\n  \"dark\": false\n}\n", 0)
}

func (h *keyHand) testReadOnly(t *testing.T) {
	h.put(t, "/ro/a", "line 1\nline 2\n")
	term := h.open(t, "--read-only -c 'keys /ro'", "touch "+filepath.Join(h.dir, "started"))
	term.WaitFor("▸   a")
	for _, key := range []string{"a", "e", "C-d"} {
		if len(key) == 1 {
			term.Type(key)
		} else {
			term.Keys(key)
		}
		term.WaitFor("read-only mode", "Esc closes")
		until(term, "the dialog to close", func() { term.Type("n") }, func(s string) bool { return !strings.Contains(s, "Esc closes") })
	}
	if _, err := os.Stat(filepath.Join(h.dir, "started")); err == nil {
		t.Error("an editor started in read-only mode")
	}
	h.holds(t, "/ro/a", "line 1\nline 2\n", 0)
}
