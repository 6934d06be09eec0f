package table

import (
	"cmp"
	"slices"
)

// ToggleMark marks the row under the cursor, or takes its mark away, and moves one row down.
func (t *Table) ToggleMark() {
	id, ok := t.Cursor()
	if !ok {
		return
	}
	if _, marked := t.marks[id]; marked {
		delete(t.marks, id)
		t.anchor = ""
	} else {
		t.marks[id] = struct{}{}
		t.anchor = id
	}
	t.Move(1)
}

// MarkRange marks all rows from the one marked last to the one under the cursor. Without such a row it marks only the one under
// the cursor, and the next range begins there.
func (t *Table) MarkRange() {
	id, ok := t.Cursor()
	if !ok {
		return
	}
	from := t.idx
	if i, ok := t.src.Find(t.anchor); ok && t.anchor != "" {
		from = i
	}
	for i := min(from, t.idx); i <= max(from, t.idx); i++ {
		t.marks[t.src.ID(i)] = struct{}{}
	}
	t.anchor = id
	t.gone = "" // the user has chosen this row
}

// ClearMarks forgets all marks.
func (t *Table) ClearMarks() {
	clear(t.marks)
	t.anchor = ""
}

// MarkCount is the number of marked rows.
func (t *Table) MarkCount() int { return len(t.marks) }

// Marked are the IDs of the marked rows, in the order of the source; nil when there are none.
func (t *Table) Marked() []string {
	if len(t.marks) == 0 {
		return nil
	}
	type place struct {
		i  int
		id string
	}
	rows := make([]place, 0, len(t.marks))
	for id := range t.marks {
		if i, ok := t.src.Find(id); ok {
			rows = append(rows, place{i, id})
		}
	}
	slices.SortFunc(rows, func(a, b place) int { return cmp.Compare(a.i, b.i) })
	ids := make([]string, len(rows))
	for k, r := range rows {
		ids[k] = r.id
	}
	return ids
}
