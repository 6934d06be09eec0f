package views

import (
	"fathom/keymap"
	"fathom/ui/table"
)

// moveTable carries out the intents that every table knows.
func moveTable(t *table.Table, in keymap.Intent) bool {
	switch in {
	case keymap.Down:
		t.Move(1)
	case keymap.Up:
		t.Move(-1)
	case keymap.Top:
		t.Top()
	case keymap.Bottom:
		t.Bottom()
	case keymap.PageDown:
		t.Page(1)
	case keymap.PageUp:
		t.Page(-1)
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
		return false
	}
	return true
}
