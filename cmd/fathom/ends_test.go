//go:build integration

package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"

	"fathom/internal/testcluster"
)

// launch starts fathom in a terminal whose modes were noted before, and are noted again afterwards.
func launch(t *testing.T, term *testcluster.Terminal, args string) {
	t.Helper()
	term.Line("clear; stty -a >before; echo ready")
	term.WaitFor("ready")
	term.Line("clear; sh -c 'echo $$ >pid; exec " + testcluster.Binary(t, "fathom") + " " + args + "'; echo exit=$?; stty -a >after")
}

// here opens a terminal with a shell in a folder of its own.
func here(t *testing.T, c *testcluster.Cluster, w, h int) (*testcluster.Terminal, string) {
	t.Helper()
	dir := t.TempDir()
	term := testcluster.NewTerminal(t, w, h, c.Env(t))
	term.Line("cd " + dir)
	return term, dir
}

func pidOf(t *testing.T, dir string) int {
	t.Helper()
	var pid int
	testcluster.Eventually(t, 10*time.Second, "the process ID is written", func() error {
		data, err := os.ReadFile(filepath.Join(dir, "pid"))
		if err != nil {
			return err
		}
		pid, err = strconv.Atoi(strings.TrimSpace(string(data)))
		return err
	})
	return pid
}

// checkGivenBack checks that the terminal is as it was before.
func checkGivenBack(t *testing.T, term *testcluster.Terminal, dir string) {
	t.Helper()
	testcluster.Eventually(t, 10*time.Second, "stty has run", func() error {
		_, err := os.Stat(filepath.Join(dir, "after"))
		return err
	})
	term.Line("echo still-$((40+2))") // the shell reads and echoes lines
	term.WaitFor("still-42")
	before, _ := os.ReadFile(filepath.Join(dir, "before"))
	after, _ := os.ReadFile(filepath.Join(dir, "after"))
	if string(before) != string(after) {
		t.Errorf("the terminal's modes have changed:\n%s\n%s", before, after)
	}
	if alt, cursor, mouse := term.Flags(); alt || !cursor || mouse {
		t.Errorf("alternate screen %v, cursor %v, mouse %v", alt, cursor, mouse)
	}
}

// testEnds ends fathom by every signal that asks for it.
func testEnds(t *testing.T, c *testcluster.Cluster) {
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGQUIT} {
		t.Run(sig.String(), func(t *testing.T) {
			term, dir := here(t, c, 100, 30)
			launch(t, term, "--mouse -c \"pods shop\"")
			term.WaitFor("frontend-")
			if err := syscall.Kill(pidOf(t, dir), sig); err != nil {
				t.Fatal(err)
			}
			term.WaitFor("fathom: ended by", "exit="+strconv.Itoa(128+int(sig)))
			checkGivenBack(t, term, dir)
		})
	}
}

// testFaults lets parts of fathom panic or hang: the terminal is given back, and a crash file without secrets is named.
func testFaults(t *testing.T, c *testcluster.Cluster) {
	for _, fault := range []string{faultPane, faultWatcher} {
		t.Run(fault, func(t *testing.T) {
			term, dir := here(t, c, 150, 30)
			launch(t, term, "--fault "+fault)
			s := term.WaitFor("fathom stopped because of a bug", "exit=1")
			checkGivenBack(t, term, dir)
			file := regexp.MustCompile(`/\S*crash-[0-9T.]+\.txt`).FindString(strings.ReplaceAll(s, "\n", ""))
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatalf("the crash file %q: %v\n%s", file, err, s)
			}
			if !strings.Contains(string(data), "goroutine") || strings.Contains(string(data), "must not be shown") || strings.Contains(s, "must not be shown") {
				t.Errorf("the crash file or the message is wrong:\n%s\n%.2000s", s, data)
			}
			if st, err := os.Stat(file); err != nil || st.Mode().Perm() != 0o600 {
				t.Errorf("the crash file's mode: %v, %v", st.Mode(), err)
			}
		})
	}
	t.Run(faultStuck, func(t *testing.T) {
		term, dir := here(t, c, 100, 30)
		launch(t, term, "--fault "+faultStuck)
		term.WaitFor("overview")
		pid := pidOf(t, dir)
		testcluster.Eventually(t, 20*time.Second, "the loop is stuck", func() error {
			before := term.Screen()
			term.Type("?") // opens or closes the help, unless nobody listens
			for deadline := time.Now().Add(time.Second); time.Now().Before(deadline); {
				if term.Screen() != before {
					return errors.New("a key is still answered")
				}
			}
			return nil
		})
		start := time.Now()
		if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		term.WaitFor("exit=143")
		if took := time.Since(start); took > 3*time.Second {
			t.Errorf("the forced end took %v", took)
		}
		checkGivenBack(t, term, dir)
	})
}

// testTerminalGone takes the terminal away. SIGHUP is ignored, as under nohup, so that only the watch on the terminal is left.
func testTerminalGone(t *testing.T, c *testcluster.Cluster) {
	term, dir := here(t, c, 100, 30)
	term.Line("trap '' HUP")
	launch(t, term, "-c \"pods shop\"")
	term.WaitFor("frontend-")
	pid := pidOf(t, dir)
	term.Tmux("kill-server")
	start := time.Now()
	testcluster.Eventually(t, 10*time.Second, "fathom has ended", func() error {
		if err := syscall.Kill(pid, 0); err == nil {
			return os.ErrProcessDone
		}
		return nil
	})
	took := time.Since(start)
	t.Logf("ended %v after its terminal was gone", took)
	if took > time.Second {
		t.Errorf("fathom outlived its terminal by %v", took)
	}
}

// testSuspend stops fathom with Ctrl-Z and continues it.
func testSuspend(t *testing.T, c *testcluster.Cluster) {
	term := openFathom(t, c, 100, 30, "-c 'pods shop'")
	term.WaitFor("frontend-")
	term.Keys("C-z")
	term.WaitUntil("the shell is back", func(s string) bool { return !strings.Contains(s, "frontend-") })
	if alt, cursor, _ := term.Flags(); alt || !cursor {
		t.Error("the terminal was not given back for the suspend")
	}
	term.Line("echo in-the-shell")
	term.WaitFor("in-the-shell")
	term.Line("fg")
	s := term.WaitFor("frontend-", "API up")
	checkFrame(t, s, 100, 30)
	term.Type("?")
	term.WaitFor("Esc closes")
}

// testResizeStorm resizes 200 times, down to 1x1.
func testResizeStorm(t *testing.T, c *testcluster.Cluster) {
	term := openFathom(t, c, 120, 40, "-c 'pods shop'")
	term.WaitFor("frontend-")
	for i := range 200 {
		w, h := 1+(i*37)%200, 1+(i*13)%60
		if i%20 == 0 {
			w, h = 1, 1
		}
		term.Resize(w, h)
	}
	term.Resize(100, 30)
	s := term.WaitUntil("a whole frame", func(s string) bool {
		return strings.Contains(s, "frontend-") && strings.Contains(s, "live") && len(strings.Split(s, "\n")) >= 29
	})
	checkFrame(t, s, 100, 30)
	term.Type("?")
	term.WaitFor("Esc closes")
}

// testFirstFrame measures the time to the first frame while no server answers.
func testFirstFrame(t *testing.T, c *testcluster.Cluster) {
	c.Run(t, "stop", "apiserver")
	t.Cleanup(func() { c.Run(t, "cont", "apiserver") })
	const most = 100 * time.Millisecond
	best, tries := time.Hour, 0
	for ; tries < 30 && best > most; tries++ { // what it takes when the machine has time for it
		best = min(best, firstFrame(t, c))
	}
	t.Logf("first frame %v after the start, with the API server stopped (best of %d)", best, tries)
	if best > most {
		t.Errorf("the first frame took %v, more than %v", best, most)
	}
}

// firstFrame starts fathom on a pseudo-terminal and returns the time until the pane's frame was written.
func firstFrame(t *testing.T, c *testcluster.Cluster) time.Duration {
	t.Helper()
	cmd := exec.Command(testcluster.Binary(t, "fathom"), "-c", "pods")
	cmd.Env = c.Env(t)
	start := time.Now()
	f, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 24, Cols: 80})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		go func() { // what it still writes must go somewhere
			buf := make([]byte, 4096)
			for {
				if _, err := f.Read(buf); err != nil {
					return
				}
			}
		}()
		_ = cmd.Wait()
		_ = f.Close()
	}()
	var seen []byte
	buf := make([]byte, 4096)
	for {
		n, err := f.Read(buf)
		if err != nil {
			t.Fatalf("reading the screen: %v; so far %q", err, seen)
		}
		seen = append(seen, buf[:n]...)
		if strings.Contains(string(seen), "pods") && strings.Contains(string(seen), "connecting") {
			return time.Since(start)
		}
	}
}
