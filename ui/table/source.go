package table

// SetSource shows a new snapshot. The cursor stays on its row wherever that went, and the row stays on its line of the
// screen when there are enough rows around it. When the row is gone, the row that followed it is under the cursor, and
// [Table.Gone] says so. Marks of rows that are no longer there are forgotten. nil is an empty source.
func (t *Table) SetSource(s Source) {
	if s == nil {
		s = none{}
	}
	old := t.src
	t.src = s
	for id := range t.marks {
		if _, ok := s.Find(id); !ok {
			delete(t.marks, id)
		}
	}
	if t.anchor != "" {
		if _, ok := t.marks[t.anchor]; !ok {
			t.anchor = ""
		}
	}
	n := s.Len()
	if n == 0 {
		if t.cur != "" && t.gone == "" {
			t.gone = t.cur
		}
		return // cur and the place on screen wait for rows to come back
	}
	line := t.idx - t.top
	switch i, found := t.locate(); {
	case t.pinTop && !t.moved:
		t.idx, t.gone = 0, ""
	case found:
		t.idx, t.gone = i, ""
	case t.cur == "":
		t.idx = 0
	default:
		if t.gone == "" {
			t.gone = t.cur
		}
		t.idx = min(max(0, t.successor(old)), n-1)
	}
	t.cur = s.ID(t.idx)
	t.top = t.idx - line
	if !t.moved && t.wanted == "" && t.idx < max(1, t.visible) {
		t.top = 0 // nobody has been anywhere yet: rows that arrive in pieces fill the screen from the top
	}
	t.clampTop()
}

// locate finds the row that was asked for before it was there, or the cursor's.
func (t *Table) locate() (int, bool) {
	if t.wanted != "" {
		if i, ok := t.src.Find(t.wanted); ok {
			t.wanted, t.moved = "", true
			return i, true
		}
	}
	if t.cur == "" {
		return 0, false
	}
	return t.src.Find(t.cur)
}

// successor is where the cursor goes when its row is gone: to the nearest row after it that is still there, or behind the
// nearest before it. Only as many rows are tried as fit on a screen.
func (t *Table) successor(old Source) int {
	const enough = 64
	n := old.Len()
	for i := t.idx + 1; i < min(n, t.idx+enough); i++ {
		if j, ok := t.src.Find(old.ID(i)); ok {
			return j
		}
	}
	for i := min(t.idx, n) - 1; i >= max(0, t.idx-enough); i-- {
		if j, ok := t.src.Find(old.ID(i)); ok {
			return j + 1
		}
	}
	return t.idx
}

// clampTop keeps the cursor on screen and the screen within the rows. Before the first Draw, and while there is no room
// at all, there is no screen to keep it on.
func (t *Table) clampTop() {
	h := t.visible
	if h <= 0 {
		return
	}
	t.top = min(t.top, t.idx)
	t.top = max(t.top, t.idx-h+1)
	t.top = min(t.top, t.src.Len()-h)
	t.top = max(t.top, 0)
}

// goTo puts the cursor on row i because the user said so.
func (t *Table) goTo(i int) {
	n := t.src.Len()
	t.wanted = ""
	if n == 0 {
		return
	}
	t.moved = true
	t.gone = ""
	t.idx = min(max(0, i), n-1)
	t.cur = t.src.ID(t.idx)
	t.clampTop()
}

// Move moves the cursor n rows down, or up when n is negative, as far as there are rows.
func (t *Table) Move(n int) {
	total := t.src.Len()
	t.goTo(t.idx + min(max(n, -total), total))
}

// Top moves the cursor to the first row.
func (t *Table) Top() {
	t.goTo(0)
	if t.pinTop {
		t.moved = false
	}
}

// Bottom moves the cursor to the last row.
func (t *Table) Bottom() { t.goTo(t.src.Len() - 1) }

// Page moves n screens down, or up when n is negative. The cursor keeps its line on screen where it can.
func (t *Table) Page(n int) { t.scroll(n, max(1, t.visible-1)) }

// HalfPage moves n half screens down, or up when n is negative.
func (t *Table) HalfPage(n int) { t.scroll(n, max(1, t.visible/2)) }

func (t *Table) scroll(n, by int) {
	total := t.src.Len()
	n = min(max(n, -total), total) * by
	t.top += n // the line of the cursor stays the same
	t.goTo(t.idx + n)
}

// MoveTo moves the cursor to a row. When that row is not there yet the cursor goes to it as soon as it is, unless it is
// moved before.
func (t *Table) MoveTo(id string) (ok bool) {
	i, ok := t.src.Find(id)
	if !ok {
		t.wanted = id
		return false
	}
	t.goTo(i)
	return true
}
