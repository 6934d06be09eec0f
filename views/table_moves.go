package views

import (
	"fmt"

	tea "charm.land/bubbletea/v2"

	"fathom/actions"
	"fathom/keymap"
	"fathom/ui/table"
)

// mover is what tables, trees and texts have in common.
type mover interface {
	Move(int)
	Page(int)
	Top()
	Bottom()
}

// move carries out the intents that all of them know.
func move(v mover, in keymap.Intent) bool {
	switch in {
	case keymap.Down:
		v.Move(1)
	case keymap.Up:
		v.Move(-1)
	case keymap.PageDown:
		v.Page(1)
	case keymap.PageUp:
		v.Page(-1)
	case keymap.Top:
		v.Top()
	case keymap.Bottom:
		v.Bottom()
	default:
		return false
	}
	return true
}

// moveTable carries out the intents that every table knows.
func moveTable(t *table.Table, in keymap.Intent) bool {
	switch in {
	case keymap.ScrollLeft:
		t.Left()
	case keymap.ScrollRight:
		t.Right()
	case keymap.Mark:
		t.ToggleMark()
	case keymap.MarkRange:
		t.MarkRange()
	case keymap.MarkClear:
		t.ClearMarks()
	default:
		return move(t, in)
	}
	return true
}

// countOf is how many rows of how many are shown.
func countOf(shown, all int) string {
	if shown != all {
		return fmt.Sprintf("%d of %d", shown, all)
	}
	return fmt.Sprint(all)
}

// act asks for an action on the rows of a pane, or says why there are none for it. What is no action is nothing.
func act(p Actor, in keymap.Intent) tea.Cmd {
	a, ok := actions.Lookup(string(in))
	if !ok {
		return nil
	}
	ts, why := p.Targets(a)
	if len(ts) == 0 {
		return toast(why, true)
	}
	return func() tea.Msg { return ActMsg{Action: a, Targets: ts} }
}
