package table

import (
	"cmp"
	"slices"
)

const (
	gutter = 2 // the cursor's sign and the mark
	gap    = 2 // blanks between columns
)

// place is a column on the screen.
type place struct {
	col  int
	x, w int
	want int // what the column would take if it could
}

// natural is the width a column would like to have.
func (t *Table) natural(col int) int {
	c := &t.cols[col]
	if c.Width > 0 {
		return c.Width
	}
	w := c.titleW
	if col == t.sortCol {
		w++ // the arrow
	}
	w = max(w, c.measured, c.Min, 1)
	if c.Max > 0 {
		w = min(w, max(c.Max, 1))
	}
	return w
}

// least is what a column needs so as not to be dropped.
func (t *Table) least(col int) int {
	c, n := &t.cols[col], t.natural(col)
	switch {
	case c.Width > 0 || !c.Flex:
		return n
	case c.Min > 0:
		return min(n, c.Min)
	}
	return min(n, max(c.titleW, 8))
}

// layout places the columns in avail cells behind the gutter. It sets t.places and t.more.
func (t *Table) layout(avail int) {
	t.fit(avail)
	if !t.more {
		t.hscroll = 0 // everything is on screen: nothing to scroll to
	}
	if t.hscroll > 0 {
		t.slide(avail)
	}
	x := gutter
	for i := range t.places {
		t.places[i].x = x
		x += t.places[i].w + gap
	}
}

// fit drops columns by priority until the rest fits, and gives the room that is left to the Flex columns.
func (t *Table) fit(avail int) {
	t.places, t.dropped = t.places[:0], t.dropped[:0]
	t.more = false
	need := -gap
	for i := range t.cols {
		w := t.least(i)
		t.places = append(t.places, place{col: i, w: w, want: t.natural(i)})
		need += w + gap
	}
	for need > avail {
		drop := -1
		for i, p := range t.places {
			if pr := t.cols[p.col].Priority; pr > 0 && (drop < 0 || pr >= t.cols[t.places[drop].col].Priority) {
				drop = i
			}
		}
		if drop < 0 {
			t.squeeze(t.places, avail)
			return
		}
		need -= t.places[drop].w + gap
		t.dropped = append(t.dropped, t.places[drop])
		t.places = append(t.places[:drop], t.places[drop+1:]...)
		t.more = true
	}
	// A wide column that had to go may have left room for a narrow one that went before it.
	for i := len(t.dropped) - 1; i >= 0; i-- {
		p := t.dropped[i]
		if need+p.w+gap > avail {
			continue
		}
		at, _ := slices.BinarySearchFunc(t.places, p.col, func(q place, col int) int { return cmp.Compare(q.col, col) })
		t.places = slices.Insert(t.places, at, p)
		need += p.w + gap
	}
	t.more = len(t.places) < len(t.cols)
	rest := t.grow(avail-need, func(p *place) int { return p.want })
	t.grow(rest, func(p *place) int {
		if m := t.cols[p.col].Max; m > 0 {
			return max(m, p.want)
		}
		return p.w + rest
	})
}

// grow gives cells to the Flex columns, evenly, none more than its limit, and returns what is left.
func (t *Table) grow(rest int, limit func(*place) int) int {
	for rest > 0 {
		hungry := 0
		for i := range t.places {
			if p := &t.places[i]; t.cols[p.col].Flex && p.w < limit(p) {
				hungry++
			}
		}
		if hungry == 0 {
			break
		}
		share := max(1, rest/hungry)
		for i := range t.places {
			if p := &t.places[i]; t.cols[p.col].Flex {
				n := max(0, min(share, rest, limit(p)-p.w))
				p.w += n
				rest -= n
			}
		}
	}
	return rest
}

// squeeze takes cells from the widest of the places until they fit or are one cell wide each.
func (t *Table) squeeze(places []place, avail int) {
	need := -gap
	for _, p := range places {
		need += p.w + gap
	}
	for need > avail {
		widest, second := -1, 1
		for i, p := range places {
			switch {
			case widest < 0 || p.w > places[widest].w:
				if widest >= 0 {
					second = places[widest].w
				}
				widest = i
			case p.w > second:
				second = p.w
			}
		}
		if widest < 0 || places[widest].w <= 1 {
			return
		}
		n := min(need-avail, max(1, places[widest].w-second), places[widest].w-1)
		places[widest].w -= n
		need -= n
	}
}

// slide places the columns of priority 0 and, behind them, the others from number hscroll on in their order: nothing is
// dropped, what does not fit is further right.
func (t *Table) slide(avail int) {
	t.places, t.dropped = t.places[:0], t.dropped[:0]
	t.more = false
	others := 0
	for i := range t.cols {
		if t.cols[i].Priority == 0 {
			t.places = append(t.places, place{col: i, w: t.natural(i)})
		} else {
			others++
		}
	}
	t.hscroll = min(t.hscroll, max(others, 1))
	t.squeeze(t.places, avail/2)
	for _, p := range t.places {
		avail -= p.w + gap
	}
	const useful = 4 // cells below which a cut column is not worth showing
	skip := t.hscroll - 1
	first := true
	for i := range t.cols {
		if t.cols[i].Priority == 0 {
			continue
		}
		if skip > 0 {
			skip--
			continue
		}
		w := t.natural(i)
		if w > avail {
			t.more = true
			if !first && avail < useful || avail <= 0 {
				break
			}
			w = avail
		}
		t.places = append(t.places, place{col: i, w: w})
		avail -= w + gap
		first = false
	}
	if t.lastOther() {
		t.more = false // the last one is as far as it goes, cut or not
	}
}

// lastOther reports whether all but the last of the scrolling columns are scrolled out.
func (t *Table) lastOther() bool {
	others := 0
	for i := range t.cols {
		if t.cols[i].Priority > 0 {
			others++
		}
	}
	return t.hscroll >= others
}

// Left scrolls the columns back by one.
func (t *Table) Left() { t.hscroll = max(0, t.hscroll-1) }

// Right brings columns on screen that were left out at the last Draw: first all of them in their order, then one further
// with each call. Columns of priority 0 stay.
func (t *Table) Right() {
	if t.more {
		t.hscroll++
		t.more = false // until the next Draw has seen what that brought
	}
}
