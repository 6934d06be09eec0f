// Command fathom is a terminal dashboard for Kubernetes and the etcd beneath it.
package main

import (
	"errors"
	"fmt"
	"os"

	"fathom/internal/safe"
	"fathom/ui/term"
)

// Exit codes beside those of a signal (128 + its number).
const (
	exitFailed = 1
	exitUsage  = 2
)

// usageError is a mistake on the command line.
type usageError struct{ error }

func main() {
	os.Exit(execute(os.Args[1:]))
}

func execute(args []string) int {
	cmd := newRoot()
	cmd.SetArgs(args)
	err := cmd.Execute()
	if err == nil {
		return 0
	}
	var ended *term.Ended
	var exit exitCode
	var usage usageError
	switch {
	case errors.As(err, &exit):
		return int(exit)
	case errors.As(err, &ended):
		fmt.Fprintln(os.Stderr, "fathom: "+safe.String(ended.Why).String())
		return ended.Code
	case errors.As(err, &usage):
		fmt.Fprintf(os.Stderr, "fathom: %s; fathom --help lists the flags and commands\n", safe.String(err.Error()).String())
		return exitUsage
	}
	fmt.Fprintln(os.Stderr, "fathom: "+safe.String(err.Error()).String())
	return exitFailed
}

// exitCode is an error that has already been reported.
type exitCode int

func (e exitCode) Error() string { return fmt.Sprintf("exit code %d", int(e)) }
