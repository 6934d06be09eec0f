// Package views holds one pane per thing to look at: its columns, its drawing, the actions it offers. Panes are plain structs
// driven by the one model in package ui; they pull immutable snapshots from the watchers and never do I/O themselves.
package views

import (
	"time"

	tea "charm.land/bubbletea/v2"

	"fathom/actions"
	"fathom/internal/safe"
	"fathom/keymap"
	"fathom/ui/draw"
	"fathom/watchers"
)

// Pane is one picture on the screen. All methods are called from the UI's goroutine; Sync, Draw and Do do no I/O and cost no
// more than what is visible.
type Pane interface {
	// Open subscribes to what the pane shows. It is called whenever the pane becomes visible, also again after Close.
	Open()
	// Close gives everything back; what was seen stays for when the pane is opened again.
	Close()
	// Sync pulls the newest snapshots and reports whether what Draw shows has changed.
	Sync() bool
	// Title is what stands in the frame.
	Title() Title
	// State is the state of the pane's source, drawn by the frame, always in the same corner.
	State() watchers.State
	// Draw draws the inside of the frame.
	Draw(a draw.Area, focused bool)
	// Scopes are the key scopes that are active while the pane has the focus, innermost first.
	Scopes() []keymap.Scope
	// Do carries out an intent of one of its scopes. The command it returns may do I/O.
	Do(in keymap.Intent) tea.Cmd
	// Ref is how to open the same view again.
	Ref() Ref
}

// Title is what a pane's frame says.
type Title struct {
	Name   safe.Text // "pods"
	Scope  safe.Text // "shop", "all namespaces", "etcd-2"
	Count  string    // "42", "7 of 42"
	Filter safe.Text // the active filter, as typed
	Marks  int       // marked rows
}

// Filterer is a pane whose rows can be filtered with "/".
type Filterer interface {
	Filter() string
	// SetFilter applies the expression as it is typed. An invalid expression changes nothing and is returned as an error.
	SetFilter(expr string) error
}

// Actor is a pane whose rows can be acted on.
type Actor interface {
	// Targets are the marked rows, or the one under the cursor, that the action applies to. why says, when there are none,
	// what is missing.
	Targets(a actions.Action) (t []actions.Target, why string)
	// Unmark forgets the marks, once an action on them was carried out.
	Unmark()
}

// Updater is a pane that handles the replies of its own commands.
type Updater interface {
	// Update gets the Msg of a PaneMsg addressed to this pane.
	Update(msg any) tea.Cmd
}

// Starter is a pane that begins with a command of its own.
type Starter interface{ Start() tea.Cmd }

// Refresher is a pane whose content is read again on request.
type Refresher interface{ Refresh() tea.Cmd }

// Aged is a pane whose content was read once: the frame says how long ago. Zero: it has not been read yet, or is being read.
type Aged interface{ ReadAt() time.Time }

// Ticker is a pane that shows ages: it is redrawn once a second even if nothing else changed.
type Ticker interface{ Ticks() bool }

// Awaiter is a pane whose answer to a key comes from another goroutine: a filter, a sort. After every key, paste and click the
// screen runs Await of the panes it shows. The command waits, for a bounded time, until the source has answered the newest
// question, and returns a [PullMsg]; Await returns nil when nothing was asked. So what was typed is on the screen when it is
// ready and not at the next tick.
type Awaiter interface{ Await() tea.Cmd }

// Trimmer is a pane that gives memory back when nobody has looked at it for a while: the screen calls Trim once, 30 s after a
// pane was covered by another one. It costs the same whatever the pane holds. The pane may be opened again afterwards.
type Trimmer interface{ Trim() }

// PullMsg asks the screen to pull the newest snapshots at once.
type PullMsg struct{}

// Clicker is a pane that understands the mouse. Coordinates are relative to the area it drew last.
type Clicker interface {
	Click(x, y int) tea.Cmd
	Wheel(lines int) tea.Cmd
}

// PaneMsg is the reply of a command that a pane started.
type PaneMsg struct {
	To  Pane
	Msg any
}

// OpenMsg asks the screen to open a view on top of the current one.
type OpenMsg struct{ Ref Ref }

// BackMsg asks the screen to go back to the view before.
type BackMsg struct{}

// NamespaceMsg asks the screen to make a namespace the current one; empty means all namespaces.
type NamespaceMsg struct {
	Namespace string
	View      string // the view to open afterwards
}

// ContextMsg asks the program to reconnect to another context of the kubeconfig.
type ContextMsg struct{ Context string }

// ToastMsg is one line of news for the footer.
type ToastMsg struct {
	Text safe.Text
	Bad  bool
}

// ActMsg asks the screen to confirm and run an action on targets.
type ActMsg struct {
	Action  actions.Action
	Targets []actions.Target
	Input   *string // the action's input when it was given already; nil: the dialog asks for it
	Note    string  // what is to be said where the input is asked for; untrusted text
	draft   *draft  // what the value of a key is made from; nil: no such value is asked for
}

// Acted is a pane that wants to know when an action, of whatever pane, has come to an end while it is shown.
type Acted interface {
	Acted(outcomes []actions.Outcome) tea.Cmd
}

// AskMsg asks the user for a line of text, at the bottom of the screen. It is not shown over a dialog.
type AskMsg struct {
	Label safe.Text // "save to"
	Value string    // what stands there already
	Hint  safe.Text // what stands there when nothing does
	// Answer gets what was typed when Enter is pressed. After Esc nothing is called.
	Answer func(value string) tea.Cmd
}
