package tree

import "slices"

// flatten makes the rows anew when they are stale and puts the cursor where its row went.
func (t *Tree) flatten() {
	if !t.stale {
		return
	}
	t.stale = false
	old := t.rows
	t.rows = make([]row, 0, len(old)+16)
	line := t.idx - t.top
	at := -1
	t.rows, at = t.appendRows(t.rows, t.root, at)
	switch {
	case len(t.rows) == 0:
		t.idx, t.top = 0, 0
		return
	case at >= 0:
		t.idx = at
	default:
		if t.cur.n != nil && t.cur.kind == IsNode && t.gone == "" && t.byID[t.cur.n.ID] != t.cur.n {
			t.gone = t.cur.n.ID
		}
		t.idx = min(max(0, t.successor(old)), len(t.rows)-1)
	}
	t.cur = t.rows[t.idx]
	t.top = t.idx - line
	t.clampTop()
}

// successor is where the cursor goes when its row is gone: to the nearest node after it that is still there. A row that
// stood for children makes room for what came in its place.
func (t *Tree) successor(old []row) int {
	const enough = 64
	if t.cur.kind != IsNode {
		return t.idx
	}
	for i := t.idx + 1; i < min(len(old), t.idx+enough); i++ {
		if r := old[i]; r.kind == IsNode && t.byID[r.n.ID] == r.n {
			if j := slices.Index(t.rows, r); j >= 0 {
				return j
			}
		}
	}
	return t.idx
}

// appendRows appends what is visible below n, and finds the cursor's row.
func (t *Tree) appendRows(rows []row, n *node, at int) ([]row, int) {
	push := func(r row) {
		if r == t.cur {
			at = len(rows)
		}
		rows = append(rows, r)
	}
	for _, c := range n.children {
		push(row{n: c})
		if c.open {
			rows, at = t.appendRows(rows, c, at)
		}
	}
	switch {
	case n.state == loading:
		push(row{n, IsLoading})
	case n.state == failed:
		push(row{n, IsFailed})
	case n.more:
		push(row{n, IsMore})
	}
	return rows, at
}

// clampTop keeps the cursor on screen and the screen within the rows, as soon as there is a screen.
func (t *Tree) clampTop() {
	h := t.visible
	if h <= 0 {
		return
	}
	t.top = min(t.top, t.idx)
	t.top = max(t.top, t.idx-h+1)
	t.top = min(t.top, len(t.rows)-h)
	t.top = max(t.top, 0)
}

func (t *Tree) goTo(i int) {
	if len(t.rows) == 0 {
		return
	}
	t.gone = ""
	t.idx = min(max(0, i), len(t.rows)-1)
	t.cur = t.rows[t.idx]
	t.clampTop()
}

// Cursor is the row under the cursor: the ID of a node, or with another kind the ID of the node whose children the row
// stands for. Not ok when there are no rows.
func (t *Tree) Cursor() (id string, kind Kind, ok bool) {
	t.flatten()
	if len(t.rows) == 0 {
		return "", IsNode, false
	}
	return t.cur.n.ID, t.cur.kind, true
}

// Gone reports that the node under the cursor went away and another row took its place, until the cursor is moved.
func (t *Tree) Gone() (id string, gone bool) {
	t.flatten()
	return t.gone, t.gone != ""
}

// Position is the cursor's row, from 1, and the number of rows; 0, 0 when there are none.
func (t *Tree) Position() (index, total int) {
	t.flatten()
	if len(t.rows) == 0 {
		return 0, 0
	}
	return t.idx + 1, len(t.rows)
}

// Move moves the cursor n rows down, or up when n is negative.
func (t *Tree) Move(n int) {
	t.flatten()
	t.goTo(t.idx + min(max(n, -len(t.rows)), len(t.rows)))
}

// Top moves the cursor to the first row.
func (t *Tree) Top() { t.flatten(); t.goTo(0) }

// Bottom moves the cursor to the last row.
func (t *Tree) Bottom() { t.flatten(); t.goTo(len(t.rows) - 1) }

// Page moves n screens down, or up when n is negative. The cursor keeps its line on screen where it can.
func (t *Tree) Page(n int) { t.scroll(n, max(1, t.visible-1)) }

// HalfPage moves n half screens down, or up when n is negative.
func (t *Tree) HalfPage(n int) { t.scroll(n, max(1, t.visible/2)) }

func (t *Tree) scroll(n, by int) {
	t.flatten()
	n = min(max(n, -len(t.rows)), len(t.rows)) * by
	t.top += n
	t.goTo(t.idx + n)
}

// MoveTo moves the cursor to a node and opens the nodes above it. It costs a look at all rows.
func (t *Tree) MoveTo(id string) (ok bool) {
	n, ok := t.byID[id]
	if !ok || n == t.root {
		return false
	}
	for p := n.parent; p != nil; p = p.parent {
		if !p.open {
			p.open, t.stale = true, true
		}
	}
	t.flatten()
	for i, r := range t.rows {
		if r == (row{n: n}) {
			t.goTo(i)
			return true
		}
	}
	return false
}

// RowAt is the row drawn at line y of the area drawn last, as [Tree.Cursor] has it.
func (t *Tree) RowAt(y int) (id string, kind Kind, ok bool) {
	t.flatten()
	i := t.top + y
	if y < 0 || y >= t.visible || i >= len(t.rows) {
		return "", IsNode, false
	}
	return t.rows[i].n.ID, t.rows[i].kind, true
}
