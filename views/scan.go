package views

import (
	"errors"
	"fmt"
	"time"

	tea "charm.land/bubbletea/v2"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"

	"fathom/internal/safe"
	"fathom/keymap"
	"fathom/theme"
	"fathom/ui/chart"
	"fathom/ui/draw"
	"fathom/ui/table"
	"fathom/watchers"
	"fathom/watchers/etcd"
)

// Stopper is a pane that does something on request which takes a while. Esc ends that before it does anything else.
type Stopper interface {
	// Stop ends it, and reports whether there was anything to end.
	Stop() bool
}

// PromptMsg asks the screen for a command of the user's, which begins with what is given.
type PromptMsg struct{ Line string }

func prompt(line string) tea.Cmd { return func() tea.Msg { return PromptMsg{Line: line} } }

// endOf says how a scan has ended; empty: it goes on.
func endOf(done, stopped, cut bool, err error) string {
	switch {
	case !done:
		return ""
	case err != nil:
		return "broken off"
	case stopped:
		return "stopped"
	case cut:
		return "cut"
	}
	return "done"
}

// drawProgress draws one line about a scan of keys: what has come of it, how far it is, and from whom it reads.
func drawProgress(a draw.Area, env *Env, y int, p etcd.Progress, end string, what []draw.Span) {
	g := env.Theme.Glyphs()
	x := a.Spans(0, y, a.W(), what)
	say := func(style theme.Style, text string) {
		if x+len(text)+3 > a.W() {
			return // what comes last matters least
		}
		if x > 0 {
			x = a.Text(x, y, theme.Dim, safe.String(" "+string(g.Separator)+" "))
		}
		x = a.Text(x, y, style, safe.String(text))
	}
	now := env.Now()
	of := plural(int(p.Looked), "key")
	if p.Total > p.Looked {
		of = fmt.Sprintf("%s of %s", Count(int(p.Looked)), plural(int(p.Total), "key"))
	}
	switch end {
	case "":
		left := ""
		if d := p.Left(now); d > 0 && p.Waiting == "" {
			left = fmt.Sprintf(", %s left", Age(d))
		}
		if label := safe.String(of + left); p.Total > 0 && a.W()-x-2 > label.Width()+8 {
			w := min(label.Width()+20, a.W()-x-2)
			chart.Bar(a, env.Theme, x+2, y, w, chart.Gauge{Value: float64(p.Looked), Total: float64(p.Total), Label: label})
			x += 2 + w
		} else {
			say(theme.Default, of+left)
		}
		say(theme.Dim, "Esc stops it")
	case "done":
		say(theme.Default, of+" in "+took(p.Ends.Sub(p.Began)))
	default:
		say(theme.Warn, end+" after "+of+", "+took(p.Ends.Sub(p.Began)))
	}
	switch p.Role {
	case etcd.Follower, etcd.Leader, etcd.Learner:
		say(theme.Dim, fmt.Sprintf("%s %s", p.Role, p.Member))
	default:
		say(theme.Dim, p.Member)
	}
	if p.Moved != "" {
		say(theme.Warn, p.Moved)
	}
}

// took is how long something took: 0.4s, 12s, 3m20s.
func took(d time.Duration) string {
	if d < 10*time.Second {
		return fmt.Sprintf("%.1fs", d.Seconds())
	}
	return Age(d)
}

// scanState is the state of a pane that reads many keys.
func scanState(p etcd.Progress, done bool, err error, resource string) watchers.State {
	switch {
	case err != nil && errors.Is(err, rpctypes.ErrPermissionDenied):
		return watchers.State{Phase: watchers.Denied, Verb: "read", Resource: resource, Why: err.Error()}
	case err != nil && p.Looked == 0:
		return watchers.State{Phase: watchers.Connecting, Why: err.Error()}
	case err != nil:
		return watchers.State{Phase: watchers.Stale, Since: p.Ends, Why: err.Error()}
	case !done && p.Looked == 0:
		return watchers.State{Phase: watchers.Connecting}
	}
	return watchers.State{Phase: watchers.Live, Since: p.Began}
}

// beginElsewhere is what to do when a user may not read a range of keys.
const beginElsewhere = "begin with a prefix that this user may read"

// scanError adds to an error what to do about it.
func scanError(err error) string {
	if errors.Is(err, rpctypes.ErrPermissionDenied) {
		return err.Error() + "; a user reads a range of keys only if one of its roles covers all of it: " + beginElsewhere
	}
	return err.Error() + "; Ctrl-R tries again"
}

// clickTable selects the row that was clicked, and opens it when it is selected already.
func clickTable(t *table.Table, y int, do func(keymap.Intent) tea.Cmd) tea.Cmd {
	id, ok := t.RowAt(y)
	if !ok {
		return nil
	}
	if cur, _ := t.Cursor(); cur == id {
		return do(keymap.Enter)
	}
	t.MoveTo(id)
	return nil
}

// readState is the state of what is read on request: at is when that succeeded last, err why the newest attempt failed.
func readState(at time.Time, err error) watchers.State {
	switch {
	case err != nil && at.IsZero():
		return watchers.State{Phase: watchers.Connecting, Why: err.Error()}
	case err != nil:
		return watchers.State{Phase: watchers.Stale, Since: at, Why: err.Error()}
	case at.IsZero():
		return watchers.State{Phase: watchers.Connecting}
	}
	return watchers.State{Phase: watchers.Live, Since: at}
}
