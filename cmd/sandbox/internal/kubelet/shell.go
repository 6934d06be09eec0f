package kubelet

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"

	"golang.org/x/term"
	corev1 "k8s.io/api/core/v1"
	utilexec "k8s.io/utils/exec"
	"mvdan.cc/sh/v3/expand"
	"mvdan.cc/sh/v3/interp"
	"mvdan.cc/sh/v3/syntax"
)

// session is one exec in a simulated container. It interprets shell commands
// inside this process, on the pod's made-up files.
type session struct {
	pod       *corev1.Pod
	container corev1.Container
	files     *files
	size      func() (cols, rows int)
}

var shells = map[string]bool{"sh": true, "bash": true, "ash": true, "dash": true}

// run executes a command line and returns its end as the exec protocol wants
// it: nil, an exit code, or a failure to start at all.
func (s *session) run(ctx context.Context, cmd []string, in io.Reader, out, errOut io.Writer, tty bool) error {
	if len(cmd) == 0 {
		return errors.New("no command given")
	}
	name := path.Base(cmd[0])
	if !shells[name] {
		if _, ok := commands[name]; !ok && !interp.IsBuiltin(name) {
			return fmt.Errorf("OCI runtime exec failed: exec failed: unable to start container process: exec: %q: executable file not found in $PATH", cmd[0])
		}
		var words []string
		for _, arg := range append([]string{name}, cmd[1:]...) {
			w, err := syntax.Quote(arg, syntax.LangBash)
			if err != nil {
				return fmt.Errorf("argument %q: %w", arg, err)
			}
			words = append(words, w)
		}
		return s.script(ctx, strings.Join(words, " "), nil, in, out, errOut)
	}
	args := cmd[1:]
	for len(args) > 0 && strings.HasPrefix(args[0], "-") && !strings.Contains(args[0], "c") {
		args = args[1:] // -i, -l, -x: nothing to do for them
	}
	switch {
	case len(args) >= 2 && strings.HasPrefix(args[0], "-"):
		// The first word after the script is $0.
		return s.script(ctx, args[1], args[min(3, len(args)):], in, out, errOut)
	case len(args) > 0:
		text, err := s.files.read(args[0])
		if err != nil {
			fmt.Fprintf(errOut, "%s: %s: not found\n", name, args[0])
			return exit(127)
		}
		return s.script(ctx, string(text), args[1:], in, out, errOut)
	case tty && in != nil:
		return s.interactive(ctx, in, out)
	case in == nil:
		return nil
	}
	text, err := io.ReadAll(io.LimitReader(in, maxFile))
	if err != nil {
		return err
	}
	return s.script(ctx, string(text), nil, nil, out, errOut)
}

func exit(code int) error {
	if code == 0 {
		return nil
	}
	return utilexec.CodeExitError{Err: fmt.Errorf("exit status %d", code), Code: code}
}

func exitOf(err error) error {
	var status interp.ExitStatus
	if errors.As(err, &status) {
		return exit(int(status))
	}
	return err
}

// script runs shell text to its end.
func (s *session) script(ctx context.Context, text string, params []string, in io.Reader, out, errOut io.Writer) error {
	prog, err := syntax.NewParser(syntax.Variant(syntax.LangBash)).Parse(strings.NewReader(text), "sh")
	if err != nil {
		fmt.Fprintf(errOut, "%v\n", err)
		return exit(2)
	}
	r, err := s.runner(in, out, errOut, params)
	if err != nil {
		return err
	}
	return exitOf(r.Run(ctx, prog))
}

func (s *session) runner(in io.Reader, out, errOut io.Writer, params []string) (*interp.Runner, error) {
	if errOut == nil {
		errOut = out
	}
	return interp.New(
		interp.StdIO(in, out, errOut),
		interp.Env(expand.ListEnviron(s.environ()...)),
		interp.Dir("/"),
		interp.Params(append([]string{"--"}, params...)...),
		interp.ExecHandlers(func(interp.ExecHandlerFunc) interp.ExecHandlerFunc { return s.exec }),
		interp.OpenHandler(func(ctx context.Context, name string, flag int, _ os.FileMode) (io.ReadWriteCloser, error) {
			return s.files.open(s.abs(ctx, name), flag)
		}),
		interp.ReadDirHandler2(func(ctx context.Context, name string) ([]fs.DirEntry, error) {
			return s.files.list(s.abs(ctx, name))
		}),
		interp.StatHandler(func(ctx context.Context, name string, _ bool) (fs.FileInfo, error) {
			return s.files.stat(s.abs(ctx, name))
		}),
		interp.AccessHandler(func(ctx context.Context, name string, _ interp.AccessMode) error {
			_, err := s.files.stat(s.abs(ctx, name))
			return err
		}),
	)
}

func (s *session) abs(ctx context.Context, name string) string {
	if path.IsAbs(name) {
		return name
	}
	return path.Join(interp.HandlerCtx(ctx).Dir, name)
}

func (s *session) environ() []string {
	env := []string{
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "TERM=xterm",
		"HOSTNAME=" + s.pod.Name, "KUBERNETES_SERVICE_HOST=10.96.0.1", "KUBERNETES_SERVICE_PORT=443",
	}
	for _, e := range s.container.Env {
		if e.ValueFrom == nil {
			env = append(env, e.Name+"="+e.Value)
		}
	}
	return env
}

// exec is what the shell calls for a command that it does not know itself.
func (s *session) exec(ctx context.Context, args []string) error {
	hc := interp.HandlerCtx(ctx)
	f, ok := commands[path.Base(args[0])]
	if !ok {
		fmt.Fprintf(hc.Stderr, "sh: %s: not found\n", args[0])
		return interp.ExitStatus(127)
	}
	if code := f(ctx, s, hc, args[1:]); code != 0 {
		return interp.ExitStatus(uint8(code))
	}
	return nil
}

// interactive is a shell at a terminal: we are its line discipline too, since
// the terminal's user has put it into raw mode.
func (s *session) interactive(ctx context.Context, in io.Reader, out io.Writer) error {
	keys := newKeyboard(in)
	defer keys.close()
	t := term.NewTerminal(struct {
		io.Reader
		io.Writer
	}{keys, out}, "")
	r, err := s.runner(nil, t, t, nil)
	if err != nil {
		return err
	}
	// A runner is made ready by its first run; without one the prompt has no
	// directory to show.
	r.Reset()
	for {
		if cols, rows := s.size(); cols > 0 {
			_ = t.SetSize(cols, rows)
		}
		t.SetPrompt(fmt.Sprintf("root@%s:%s# ", s.pod.Name, r.Dir))
		line, err := t.ReadLine()
		if err != nil {
			_, _ = io.WriteString(t, "exit\n")
			return nil
		}
		prog, err := syntax.NewParser(syntax.Variant(syntax.LangBash)).Parse(strings.NewReader(line), "sh")
		if err != nil {
			fmt.Fprintf(t, "%v\n", err)
			continue
		}
		err = keys.during(ctx, func(ctx context.Context) error { return r.Run(ctx, prog) })
		if r.Exited() {
			return exitOf(err)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}
