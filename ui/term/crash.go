package term

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"time"

	"golang.org/x/sys/unix"
)

// Crash ends the screen after a panic: it writes a crash file and makes the message that names it. It is called in the goroutine
// that panicked, at most once; later calls do nothing.
func (s *Screen) Crash(where string, v any, stack []byte) {
	if !s.crashed.CompareAndSwap(false, true) {
		return
	}
	msg := fmt.Sprintf("fathom stopped because of a bug in %s (%s)", where, describe(v))
	file, err := writeCrash(s.o.StateDir, where, v, stack)
	if err != nil {
		msg += "; the crash file could not be written: " + err.Error()
	} else {
		msg += "; please report it with " + file
	}
	s.End(&Ended{Why: msg, Code: 1})
}

// CrashHere is Crash with the stack of the caller, for a deferred function that has just recovered.
func (s *Screen) CrashHere(where string, v any) { s.Crash(where, v, debug.Stack()) }

// describe says what kind of panic it was. The text of a panic can hold data of the cluster, so only errors of the Go runtime,
// which cannot, are quoted.
func describe(v any) string {
	if e, ok := v.(runtime.Error); ok {
		return e.Error()
	}
	return fmt.Sprintf("panic of type %T", v)
}

// writeCrash writes the stacks. Stacks hold addresses, never the contents of a string.
func writeCrash(dir, where string, v any, stack []byte) (string, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	name := filepath.Join(dir, time.Now().UTC().Format("crash-20060102T150405.000.txt"))
	f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return "", err
	}
	defer f.Close()
	all := make([]byte, 1<<20)
	all = all[:runtime.Stack(all, true)]
	version := "unknown"
	if b, ok := debug.ReadBuildInfo(); ok {
		version = b.Main.Version + " " + b.GoVersion
	}
	_, err = fmt.Fprintf(f, "fathom %s\n%s\nin: %s\nwhat: %s\n\n%s\n\nall goroutines:\n%s", version,
		time.Now().UTC().Format(time.RFC3339), where, describe(v), stack, all)
	return name, err
}

// quietStderr sends everything written to standard error, by us, by a library, by the Go runtime or by a child, to the log file
// while the screen is up. The returned function gives standard error back.
func quietStderr(dir string) (func(), error) {
	f, err := LogFile(dir)
	if err != nil {
		// A control-plane node with a full or read-only disk is where fathom is needed most: go on without a log.
		if f, err = os.OpenFile(os.DevNull, os.O_WRONLY, 0); err != nil {
			return nil, fmt.Errorf("keeping standard error off the screen: %w", err)
		}
	}
	fd := int(os.Stderr.Fd())
	saved, err := unix.Dup(fd)
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("keeping standard error off the screen: %w", err)
	}
	if err := unix.Dup2(int(f.Fd()), fd); err != nil {
		f.Close()
		return nil, fmt.Errorf("keeping standard error off the screen: %w", err)
	}
	_ = debug.SetCrashOutput(f, debug.CrashOptions{})
	return func() {
		_ = debug.SetCrashOutput(nil, debug.CrashOptions{})
		_ = unix.Dup2(saved, fd)
		_ = unix.Close(saved)
		_ = f.Close()
	}, nil
}

// maxLog is the size at which the log file is started anew.
const maxLog = 4 << 20

// LogFile opens fathom's log file in dir for appending, private to the user.
func LogFile(dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the state directory: %w; set XDG_STATE_HOME to a directory you can write", err)
	}
	name := filepath.Join(dir, "fathom.log")
	flags := os.O_CREATE | os.O_WRONLY | os.O_APPEND
	if st, err := os.Stat(name); err == nil && st.Size() > maxLog {
		flags |= os.O_TRUNC
	}
	f, err := os.OpenFile(name, flags, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the log file: %w; set XDG_STATE_HOME to a directory you can write", err)
	}
	return f, nil
}

// StateDir is where the log, crash files and the journal are: $XDG_STATE_HOME/fathom, by default ~/.local/state/fathom.
func StateDir(env func(string) string) string {
	if d := env("XDG_STATE_HOME"); d != "" {
		return filepath.Join(d, "fathom")
	}
	if home := env("HOME"); home != "" {
		return filepath.Join(home, ".local", "state", "fathom")
	}
	return filepath.Join(os.TempDir(), fmt.Sprintf("fathom-%d", os.Getuid()))
}
