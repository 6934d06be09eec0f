package kubelet

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	utilexec "k8s.io/utils/exec"
)

func newSession() *session {
	p := logPod(nil)
	p.Spec.Containers[0].Env = []corev1.EnvVar{{Name: "UPSTREAM", Value: "http://checkout"}}
	return &session{pod: p, container: p.Spec.Containers[0], files: newFiles(p), size: func() (int, int) { return 100, 40 }}
}

func TestExec(t *testing.T) {
	for name, c := range map[string]struct {
		cmd  []string
		in   string
		out  string
		code int
	}{
		"plain command":        {cmd: []string{"hostname"}, out: "web\n"},
		"quoted arguments":     {cmd: []string{"echo", "a b", "$HOME", "'x'"}, out: "a b $HOME 'x'\n"},
		"shell":                {cmd: []string{"/bin/sh", "-c", "for i in 1 2; do echo $i; done"}, out: "1\n2\n"},
		"environment":          {cmd: []string{"sh", "-c", "echo $UPSTREAM"}, out: "http://checkout\n"},
		"parameters":           {cmd: []string{"sh", "-c", "echo $1", "x", "y"}, out: "y\n"},
		"exit code":            {cmd: []string{"sh", "-c", "exit 7"}, code: 7},
		"failing command":      {cmd: []string{"cat", "/nosuch"}, code: 1},
		"not found in a shell": {cmd: []string{"sh", "-c", "nosuch"}, code: 127},
		"syntax error":         {cmd: []string{"sh", "-c", "if"}, code: 2},
		"stdin":                {cmd: []string{"cat"}, in: "hello\n", out: "hello\n"},
		"script on stdin":      {cmd: []string{"sh"}, in: "echo $((6*7))\n", out: "42\n"},
		"files":                {cmd: []string{"sh", "-c", "cd /tmp; echo one > f; echo two >> f; cat f; ls; rm f; ls"}, out: "one\ntwo\nf\n"},
		"pipe":                 {cmd: []string{"sh", "-c", "echo abc | wc -c"}, out: "4\n"},
		"size":                 {cmd: []string{"stty", "size"}, out: "40 100\n"},
	} {
		t.Run(name, func(t *testing.T) {
			var out, errOut bytes.Buffer
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			defer cancel()
			var in io.Reader
			if c.in != "" {
				in = strings.NewReader(c.in)
			}
			err := newSession().run(ctx, c.cmd, in, &out, &errOut, false)
			code := 0
			var exit utilexec.ExitError
			if errors.As(err, &exit) {
				code = exit.ExitStatus()
			} else if err != nil {
				t.Fatal(err)
			}
			if out.String() != c.out || code != c.code {
				t.Errorf("output %q, code %d (stderr %q); want %q, %d", out.String(), code, errOut.String(), c.out, c.code)
			}
		})
	}
}

func TestExecOfNoSuchProgramFailsToStart(t *testing.T) {
	err := newSession().run(context.Background(), []string{"nosuch"}, nil, io.Discard, io.Discard, false)
	if err == nil || !strings.Contains(err.Error(), "executable file not found") {
		t.Errorf("%v", err)
	}
}

// Nothing of the host can be seen or started from a container.
func TestExecStaysInside(t *testing.T) {
	for _, script := range []string{"cat /etc/passwd", "cat /proc/self/environ", "/usr/bin/id -u && cat /etc/shadow", "ls /usr", "cd /usr"} {
		var out, errOut bytes.Buffer
		if err := newSession().run(context.Background(), []string{"sh", "-c", script}, nil, &out, &errOut, false); err == nil {
			t.Errorf("%s succeeded: %s", script, out.String())
		}
	}
}

func TestInteractiveShell(t *testing.T) {
	pr, pw := io.Pipe()
	var out bytes.Buffer
	done := make(chan error, 1)
	go func() { done <- newSession().run(context.Background(), []string{"sh"}, pr, &out, &out, true) }()
	if _, err := io.WriteString(pw, "echo hi\rexit 5\r"); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-done:
		var exit utilexec.ExitError
		if !errors.As(err, &exit) || exit.ExitStatus() != 5 {
			t.Errorf("ended with %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the shell did not end")
	}
	if !strings.Contains(out.String(), "root@web:/# ") || !strings.Contains(out.String(), "hi\r\n") {
		t.Errorf("screen: %q", out.String())
	}
}

func TestCtrlCEndsACommand(t *testing.T) {
	pr, pw := io.Pipe()
	done := make(chan error, 1)
	go func() {
		done <- newSession().run(context.Background(), []string{"sh"}, pr, io.Discard, io.Discard, true)
	}()
	if _, err := io.WriteString(pw, "sleep 3600\r"); err != nil {
		t.Fatal(err)
	}
	// The interrupt may come before the command has started; then it would
	// end the shell's line instead, so it is sent until something ends.
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	go func() {
		for range tick.C {
			if _, err := pw.Write([]byte{ctrlC}); err != nil {
				return
			}
		}
	}()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Fatal("Ctrl-C did not end the command")
	}
	_ = pr.Close()
}
