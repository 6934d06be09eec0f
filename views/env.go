package views

import (
	"context"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"fathom/actions"
	"fathom/cluster"
	"fathom/internal/run"
	"fathom/internal/safe"
	"fathom/theme"
	"fathom/watchers"
	"fathom/watchers/etcd"
	"fathom/watchers/etcd/backup"
	"fathom/watchers/etcd/check"
)

// Env is what panes are made of. Hub is nil without an API server, Etcd without an etcd.
type Env struct {
	Cluster *cluster.Cluster
	Hub     *watchers.Hub
	Etcd    *etcd.Watcher
	Check   *check.Checker // nil without an etcd
	Runner  *actions.Runner
	Backups *backup.Folder // nil: nobody watches one
	Theme   *theme.Theme
	Group   *run.Group       // owns what panes start
	Scans   *etcd.SpaceScans // of this session; the catalog makes it
	Now     func() time.Time
	// Resources are the API server's, as discovery told them last: nil, or returning nil, while it has not. It never blocks.
	Resources func() *cluster.Resources
	// Clipboard is whether OSC 52 may be used: off over SSH, where the clipboard is another machine's.
	Clipboard bool
	// Edit opens a file in the user's editor, which has the terminal meanwhile. It is nil in read-only mode: no helper process starts.
	Edit func(ctx context.Context, file string) error
	// Crashed is told of panics in commands, which end the screen.
	Crashed func(where string, v any)

	drafts drafts // texts typed for keys, until they are written
}

// readTimeout bounds every read that a pane starts on request (YAML, describe, a page of keys).
const readTimeout = 10 * time.Second

// Read makes a command of a function that does I/O for a pane. Its result comes back to the pane's Update. ctx ends after
// readTimeout or with the program.
func (e *Env) Read(to Pane, what string, fn func(ctx context.Context) any) tea.Cmd {
	return func() (msg tea.Msg) {
		defer func() {
			if v := recover(); v != nil && e.Crashed != nil {
				e.Crashed(what, v)
				msg = tea.Quit()
			}
		}()
		ctx, cancel := context.WithTimeout(e.Group.Context(), readTimeout)
		defer cancel()
		return PaneMsg{To: to, Msg: fn(ctx)}
	}
}

// job makes a command of a function that takes as long as it takes (somebody edits). The group waits for it to end, which it does soon after its
// context has ended. It returns the message for the screen.
func (e *Env) job(what string, fn func(ctx context.Context) tea.Msg) tea.Cmd {
	return func() tea.Msg {
		done := make(chan tea.Msg, 1)
		if !e.Group.Go(what, func(ctx context.Context) {
			var msg tea.Msg
			defer func() { done <- msg }()
			msg = fn(ctx)
		}) {
			return nil
		}
		return <-done
	}
}

func toast(text string, bad bool) tea.Cmd {
	return func() tea.Msg { return ToastMsg{Text: safe.String(text), Bad: bad} }
}

func open(r Ref) tea.Cmd { return func() tea.Msg { return OpenMsg{Ref: r} } }

// copyName puts a name into the clipboard of the terminal. Whether the terminal took it cannot be known.
func (e *Env) copyName(name string) tea.Cmd {
	text := safe.Bounded(name, 1024)
	if !e.Clipboard {
		return func() tea.Msg {
			return ToastMsg{Text: safe.Sprintf("over SSH the clipboard is off; the name is %s", text)}
		}
	}
	return tea.Batch(tea.SetClipboard(text.String()), func() tea.Msg { return ToastMsg{Text: safe.Sprintf("asked the terminal to copy %s", text)} })
}

// copyText puts a text of several lines into the clipboard of the terminal.
func (e *Env) copyText(text string) tea.Cmd {
	if !e.Clipboard {
		return toast("over SSH the clipboard is off: select it with the mouse, or find it in fathom's journal", true)
	}
	lines := strings.Split(text, "\n")
	for i, l := range lines {
		lines[i] = safe.String(l).String()
	}
	return tea.Batch(tea.SetClipboard(strings.Join(lines, "\n")), toast("asked the terminal to copy it", false))
}
