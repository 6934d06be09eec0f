package kubelet

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"path"
	"sort"
	"strconv"
	"strings"
	"time"

	"mvdan.cc/sh/v3/expand"
	"mvdan.cc/sh/v3/interp"
)

// command is a program of the simulated container; it returns its exit code.
type command func(ctx context.Context, s *session, hc interp.HandlerContext, args []string) int

// commands are the programs the containers have, besides the shell's own.
var commands map[string]command

func init() {
	// In a function, because a shell may start any of them and they refer to
	// the table through it.
	commands = map[string]command{
		"cat": cat, "clear": text("\x1b[H\x1b[2J"), "date": date, "env": printEnv, "grep": grep, "head": head,
		"hostname": hostname, "id": text("uid=0(root) gid=0(root) groups=0(root)\n"), "ls": ls, "mkdir": mkdir,
		"printenv": printEnv, "ps": ps, "rm": rm, "sleep": sleep, "stty": stty, "touch": touch, "tty": text("/dev/pts/0\n"),
		"uname": uname, "wc": wc, "whoami": text("root\n"), "yes": yes,
		"sh": subshell, "bash": subshell,
	}
}

func text(out string) command {
	return func(_ context.Context, _ *session, hc interp.HandlerContext, _ []string) int {
		_, _ = io.WriteString(hc.Stdout, out)
		return 0
	}
}

func subshell(ctx context.Context, s *session, hc interp.HandlerContext, args []string) int {
	if err := s.run(ctx, append([]string{"sh"}, args...), hc.Stdin, hc.Stdout, hc.Stderr, false); err != nil {
		if e, ok := err.(interface{ ExitStatus() int }); ok {
			return e.ExitStatus()
		}
		return 1
	}
	return 0
}

func (s *session) at(hc interp.HandlerContext, name string) string {
	if path.IsAbs(name) {
		return name
	}
	return path.Join(hc.Dir, name)
}

// operands are the arguments that are not options.
func operands(args []string) (names []string, options string) {
	for _, a := range args {
		if strings.HasPrefix(a, "-") && a != "-" {
			options += a[1:]
			continue
		}
		names = append(names, a)
	}
	return names, options
}

// input calls f with each named file, or with the standard input.
func (s *session) input(hc interp.HandlerContext, who string, names []string, f func(io.Reader) error) int {
	if len(names) == 0 {
		if hc.Stdin != nil {
			_ = f(hc.Stdin)
		}
		return 0
	}
	code := 0
	for _, n := range names {
		b, err := s.files.read(s.at(hc, n))
		if err != nil {
			fmt.Fprintf(hc.Stderr, "%s: %s: No such file or directory\n", who, n)
			code = 1
			continue
		}
		_ = f(strings.NewReader(string(b)))
	}
	return code
}

func cat(_ context.Context, s *session, hc interp.HandlerContext, args []string) int {
	names, _ := operands(args)
	return s.input(hc, "cat", names, func(r io.Reader) error { _, err := io.Copy(hc.Stdout, r); return err })
}

func head(_ context.Context, s *session, hc interp.HandlerContext, args []string) int {
	limit := 10
	var rest []string
	for i := 0; i < len(args); i++ {
		if args[i] == "-n" && i+1 < len(args) {
			i++
			limit, _ = strconv.Atoi(args[i])
		} else if n, err := strconv.Atoi(strings.TrimPrefix(args[i], "-")); err == nil {
			limit = n
		} else {
			rest = append(rest, args[i])
		}
	}
	return s.input(hc, "head", rest, func(r io.Reader) error {
		sc := bufio.NewScanner(r)
		for n := 0; n < limit && sc.Scan(); n++ {
			fmt.Fprintln(hc.Stdout, sc.Text())
		}
		return nil
	})
}

func grep(_ context.Context, s *session, hc interp.HandlerContext, args []string) int {
	names, _ := operands(args)
	if len(names) == 0 {
		return 2
	}
	code := 1
	s.input(hc, "grep", names[1:], func(r io.Reader) error {
		sc := bufio.NewScanner(r)
		for sc.Scan() {
			if strings.Contains(sc.Text(), names[0]) {
				code = 0
				fmt.Fprintln(hc.Stdout, sc.Text())
			}
		}
		return nil
	})
	return code
}

func wc(_ context.Context, s *session, hc interp.HandlerContext, args []string) int {
	names, options := operands(args)
	return s.input(hc, "wc", names, func(r io.Reader) error {
		b, err := io.ReadAll(r)
		switch options {
		case "l":
			fmt.Fprintln(hc.Stdout, strings.Count(string(b), "\n"))
		case "c":
			fmt.Fprintln(hc.Stdout, len(b))
		default:
			fmt.Fprintln(hc.Stdout, strings.Count(string(b), "\n"), len(strings.Fields(string(b))), len(b))
		}
		return err
	})
}

func ls(_ context.Context, s *session, hc interp.HandlerContext, args []string) int {
	names, options := operands(args)
	if len(names) == 0 {
		names = []string{hc.Dir}
	}
	code := 0
	for _, n := range names {
		entries, err := s.files.list(s.at(hc, n))
		if err != nil {
			st, err := s.files.stat(s.at(hc, n))
			if err != nil {
				fmt.Fprintf(hc.Stderr, "ls: %s: No such file or directory\n", n)
				code = 1
				continue
			}
			entries = append(entries, st.(info))
		}
		for _, e := range entries {
			if i := e.(info); strings.Contains(options, "l") {
				fmt.Fprintf(hc.Stdout, "%s 1 root root %8d %s %s\n", i.Mode(), i.size, i.at.Format("Jan _2 15:04"), i.name)
			} else {
				fmt.Fprintln(hc.Stdout, i.name)
			}
		}
	}
	return code
}

func mkdir(_ context.Context, s *session, hc interp.HandlerContext, args []string) int {
	names, _ := operands(args)
	for _, n := range names {
		s.files.mkdir(s.at(hc, n))
	}
	return 0
}

func touch(_ context.Context, s *session, hc interp.HandlerContext, args []string) int {
	names, _ := operands(args)
	code := 0
	for _, n := range names {
		if _, err := s.files.open(s.at(hc, n), 1); err != nil {
			fmt.Fprintf(hc.Stderr, "touch: %s: No such file or directory\n", n)
			code = 1
		}
	}
	return code
}

func rm(_ context.Context, s *session, hc interp.HandlerContext, args []string) int {
	names, options := operands(args)
	code := 0
	for _, n := range names {
		if err := s.files.remove(s.at(hc, n)); err != nil && !strings.Contains(options, "f") {
			fmt.Fprintf(hc.Stderr, "rm: %s: No such file or directory\n", n)
			code = 1
		}
	}
	return code
}

func printEnv(_ context.Context, _ *session, hc interp.HandlerContext, args []string) int {
	var lines []string
	hc.Env.Each(func(name string, v expand.Variable) bool {
		if v.Exported && (len(args) == 0 || args[0] == name) {
			line := name + "=" + v.String()
			if len(args) > 0 {
				line = v.String()
			}
			lines = append(lines, line)
		}
		return true
	})
	sort.Strings(lines)
	for _, l := range lines {
		fmt.Fprintln(hc.Stdout, l)
	}
	if len(args) > 0 && len(lines) == 0 {
		return 1
	}
	return 0
}

func hostname(_ context.Context, s *session, hc interp.HandlerContext, _ []string) int {
	fmt.Fprintln(hc.Stdout, s.pod.Name)
	return 0
}

func date(_ context.Context, _ *session, hc interp.HandlerContext, _ []string) int {
	fmt.Fprintln(hc.Stdout, time.Now().UTC().Format("Mon Jan _2 15:04:05 UTC 2006"))
	return 0
}

func uname(_ context.Context, s *session, hc interp.HandlerContext, args []string) int {
	if len(args) > 0 && strings.Contains(args[0], "a") {
		fmt.Fprintf(hc.Stdout, "Linux %s 6.12.48+deb13-amd64 #1 SMP PREEMPT_DYNAMIC x86_64 GNU/Linux\n", s.pod.Name)
	} else {
		fmt.Fprintln(hc.Stdout, "Linux")
	}
	return 0
}

func ps(_ context.Context, s *session, hc interp.HandlerContext, _ []string) int {
	main := append(append([]string{}, s.container.Command...), s.container.Args...)
	if len(s.container.Command) == 0 {
		main = append([]string{"/" + s.container.Name}, main...)
	}
	fmt.Fprintf(hc.Stdout, "PID   USER     TIME  COMMAND\n    1 root      0:07 %s\n   31 root      0:00 sh\n   38 root      0:00 ps\n", strings.Join(main, " "))
	return 0
}

func stty(_ context.Context, s *session, hc interp.HandlerContext, args []string) int {
	cols, rows := s.size()
	if len(args) == 1 && args[0] == "size" {
		fmt.Fprintln(hc.Stdout, rows, cols)
		return 0
	}
	fmt.Fprintf(hc.Stdout, "speed 38400 baud; rows %d; columns %d;\n", rows, cols)
	return 0
}

func sleep(ctx context.Context, _ *session, hc interp.HandlerContext, args []string) int {
	if len(args) != 1 {
		return 1
	}
	d, err := time.ParseDuration(args[0])
	if err != nil {
		f, err := strconv.ParseFloat(args[0], 64)
		if err != nil {
			fmt.Fprintf(hc.Stderr, "sleep: invalid number '%s'\n", args[0])
			return 1
		}
		d = time.Duration(f * float64(time.Second))
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return 0
	case <-ctx.Done():
		return 130
	}
}

func yes(ctx context.Context, _ *session, hc interp.HandlerContext, args []string) int {
	line := "y"
	if len(args) > 0 {
		line = strings.Join(args, " ")
	}
	for ctx.Err() == nil {
		if _, err := fmt.Fprintln(hc.Stdout, line); err != nil {
			return 1
		}
	}
	return 130
}
