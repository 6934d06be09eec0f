package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"fathom/cmd/sandbox/internal/child"
	"fathom/cmd/sandbox/internal/control"
	"fathom/cmd/sandbox/internal/layout"
)

// asCommand makes the test binary behave as the real one, so that the tests
// need no second build. The children it starts carry the hidden verb.
const asCommand = "FATHOM_SANDBOX_TEST_COMMAND"

func TestMain(m *testing.M) {
	if os.Getenv(asCommand) != "" || len(os.Args) > 1 && os.Args[1] == child.Verb {
		main()
		return
	}
	quiet()
	os.Exit(m.Run())
}

// command is a command line of the sandbox in a process of its own.
func command(args ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), asCommand+"=1")
	return cmd
}

// A directory that holds somebody's files is refused and left as it was.
func TestForeignDirectory(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "thesis.txt"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := command("up", "--dir", dir).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "not empty") {
		t.Errorf("%v: %s", err, out)
	}
	if left, _ := os.ReadDir(dir); len(left) != 1 {
		t.Errorf("left in the directory: %v", left)
	}
}

func TestUsage(t *testing.T) {
	for name, c := range map[string]struct {
		args []string
		code int
		say  string
	}{
		"help":            {[]string{"--help"}, 0, "partition"},
		"no directory":    {[]string{"status"}, 2, "--dir"},
		"unknown flag":    {[]string{"up", "--nodez", "3"}, 2, "nodez"},
		"unknown command": {[]string{"upp"}, 2, "upp"},
		"missing name":    {[]string{"kill", "--dir", "x"}, 2, "accepts 1 arg"},
		"bad members":     {[]string{"up", "--dir", "x", "--members", "0"}, 2, "--members 0"},
		"bad seed":        {[]string{"up", "--dir", "x", "--seed", "poppy"}, 2, "sample or none"},
		"too short":       {[]string{"up", "--dir", "x", "--cert-for", "29s"}, 2, "30s or more"},
		"not running":     {[]string{"status", "--dir", t.TempDir()}, 1, "no sandbox is running"},
		"no sandbox":      {[]string{"env", "--dir", t.TempDir()}, 1, "no sandbox in"},
	} {
		t.Run(name, func(t *testing.T) {
			out, err := command(c.args...).CombinedOutput()
			code := 0
			if exit, ok := err.(*exec.ExitError); ok {
				code = exit.ExitCode()
			} else if err != nil {
				t.Fatal(err)
			}
			if code != c.code || !strings.Contains(string(out), c.say) {
				t.Errorf("code %d, want %d; output lacks %q:\n%s", code, c.code, c.say, out)
			}
			if c.code != 0 && strings.Count(string(out), "\n") != 1 {
				t.Errorf("an error is one line, not:\n%s", out)
			}
		})
	}
}

// running is a sandbox of the integration test.
type running struct {
	t   *testing.T
	dir layout.Dir
	up  *exec.Cmd
	out *bytes.Buffer
}

// integration skips unless the suite is asked for.
func integration(t *testing.T) {
	t.Helper()
	if os.Getenv("FATHOM_SANDBOX_TEST") == "" {
		t.Skip("starts a whole control plane; set FATHOM_SANDBOX_TEST=1 to run it")
	}
}

// start brings a sandbox up in a directory whose name is longer than a socket
// address can be.
func start(t *testing.T, args ...string) *running {
	t.Helper()
	path := filepath.Join(t.TempDir(), strings.Repeat("long-directory-name-", 6))
	d, err := layout.New(path)
	if err != nil {
		t.Fatal(err)
	}
	r := &running{t: t, dir: d, out: &bytes.Buffer{}}
	r.up = command(append([]string{"up", "--dir", path}, args...)...)
	r.up.Stdout, r.up.Stderr = r.out, r.out
	if err := r.up.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _ = r.up.Wait(); close(ended) }()
	t.Cleanup(func() {
		_ = r.up.Process.Kill()
		<-ended
		r.nothingLeft()
	})
	began := time.Now()
	r.eventually(60*time.Second, "the sandbox to be ready", func() bool {
		select {
		case <-ended:
			t.Fatalf("up ended:\n%s", r.out)
		default:
		}
		_, err := os.Stat(d.Ready())
		return err == nil
	})
	t.Logf("ready after %.1fs", time.Since(began).Seconds())
	return r
}

func (r *running) eventually(limit time.Duration, what string, ok func() bool) {
	r.t.Helper()
	deadline := time.Now().Add(limit)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		if time.Now().After(deadline) {
			r.t.Fatalf("waited %s in vain for %s\n%s", limit, what, r.logs())
		}
		<-tick.C
	}
}

// logs are the last lines of every child, for a failure's report.
func (r *running) logs() string {
	var b strings.Builder
	names, _ := filepath.Glob(filepath.Join(r.dir.Logs(), "*.log"))
	for _, name := range names {
		text, _ := os.ReadFile(name)
		lines := strings.Split(strings.TrimSpace(string(text)), "\n")
		b.WriteString("== " + filepath.Base(name) + "\n" + strings.Join(lines[max(0, len(lines)-8):], "\n") + "\n")
	}
	return b.String()
}

// run executes a subcommand on the sandbox and returns its output.
func (r *running) run(args ...string) (string, error) {
	out, err := command(append(args, "--dir", r.dir.Path())...).CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

func (r *running) must(args ...string) string {
	r.t.Helper()
	out, err := r.run(args...)
	if err != nil {
		r.t.Fatalf("%v: %v: %s", args, err, out)
	}
	return out
}

func (r *running) component(name string) control.Component {
	r.t.Helper()
	var st control.Status
	if err := json.Unmarshal([]byte(r.must("status", "-o", "json")), &st); err != nil {
		r.t.Fatal(err)
	}
	for _, c := range st.Components {
		if c.Name == name {
			return c
		}
	}
	r.t.Fatalf("status has no %s", name)
	return control.Component{}
}

// nothingLeft fails when a process of the sandbox is still there.
func (r *running) nothingLeft() {
	r.t.Helper()
	left := func() []string {
		var out []string
		cmdlines, _ := filepath.Glob("/proc/[0-9]*/cmdline")
		for _, f := range cmdlines {
			b, _ := os.ReadFile(f)
			if bytes.Contains(b, []byte(r.dir.Path())) {
				out = append(out, strings.ReplaceAll(string(b[:min(len(b), 100)]), "\x00", " "))
			}
		}
		return out
	}
	deadline := time.Now().Add(10 * time.Second)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for len(left()) > 0 {
		if time.Now().After(deadline) {
			r.t.Errorf("processes left: %q", left())
			return
		}
		<-tick.C
	}
}

func withTimeout(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}
