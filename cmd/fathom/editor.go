package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"

	"fathom/ui/term"
)

// editor is the command of the user's editor: $VISUAL, $EDITOR, vi.
func editor(env func(string) string) string {
	for _, name := range []string{"VISUAL", "EDITOR"} {
		if e := strings.TrimSpace(env(name)); e != "" {
			return e
		}
	}
	return "vi"
}

// edit opens a file in the user's editor on fathom's terminal and waits for it to end.
func edit(ctx context.Context, s *term.Screen, env func(string) string, file string) error {
	e := editor(env)
	// By a shell, as git does it: the command may have options and quotes. With exec, so that what is ended is the editor itself; an
	// assignment before the command cannot be exec'ed.
	script := e + ` "$1"`
	if first, _, _ := strings.Cut(e, " "); !strings.Contains(first, "=") {
		script = "exec " + script
	}
	err := s.Lend(ctx, "sh", "-c", script, "sh", file)
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return fmt.Errorf("the editor (%s; set EDITOR to another one) ended with %s: nothing is taken of it", e, exit.ProcessState)
	}
	return err
}
