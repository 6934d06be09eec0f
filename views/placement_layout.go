package views

// Sizes of the placement, in cells.
const (
	cardWide     = 58 // least width of a card of several lines
	cardLine     = 76 // least width of a node in one line, where there are several side by side
	cardGap      = 2  // between two side by side
	cardGutter   = 3  // the cursor, the glyph of the state, a blank
	compactWords = 14 // what is the matter with a node, in one line
)

// placementLayout is where everything was drawn last.
type placementLayout struct {
	grid   placedGrid
	card   bool // nodes in several lines each; otherwise one
	cardW  int  // with the gap
	cardH  int
	top    int // first row of the grid that is shown
	shown  int // rows of the grid that are shown
	gridH  int // lines of the grid
	ptop   int // first pending pod that is shown
	pendY  int // line of the first pending pod
	pendH  int // lines of pending pods
	podRow int // lines for the pods of a node
}

// fit decides how nodes are drawn in w times h cells and how much is left for the pending pods.
func (p *placement) fit(w, h int) (legend, detail int) {
	l, pic := &p.lay, p.pic
	if h >= 6 {
		legend = 1
	}
	if h >= 4 {
		detail = 1 + min(1, h/24)
	}
	l.pendH = 0
	if n := len(pic.pending); n > 0 {
		l.pendH = min(n, max(1, h/5))
	}
	l.gridH = max(0, h-legend-detail-l.pendH-min(1, l.pendH))
	l.podRow = 1
	if len(pic.nodes) == 0 && l.pendH > 0 { // pending pods only: they take what the nodes do not need
		l.pendH = min(len(pic.pending), max(1, l.pendH+l.gridH-2))
		l.gridH = h - legend - detail - l.pendH - 1
	}
	across := max(1, w/cardWide)
	if n := pic.mostNodes; n > across { // no row of one node below a full one
		across = (n + (n+across-1)/across - 1) / ((n + across - 1) / across)
	} else if n > 0 {
		across = n
	}
	l.grid = p.gridFor(across)
	if pic.mostPods > w/across-cardGutter-cardGap {
		l.podRow = 2
	}
	l.cardH = 2 + l.podRow
	lines := func() int { return len(pic.zones) + (l.grid.rows()-len(pic.zones))*l.cardH }
	if l.card = w >= cardWide && lines() <= l.gridH; l.card {
		l.cardH++
		if lines() > l.gridH { // a blank line between them, if there is room
			l.cardH--
		}
	} else {
		across, l.podRow, l.cardH = max(1, w/cardLine), 1, 1
		l.grid = p.gridFor(across)
	}
	l.cardW = w / across
	l.pendY = l.gridH + 1
	return legend, detail
}

func (p *placement) gridFor(across int) placedGrid {
	if p.lay.grid.across == across && p.lay.grid.p == p.pic {
		return p.lay.grid
	}
	return newPlacedGrid(p.pic, across)
}

func (l *placementLayout) height(row int) int {
	if l.grid.row(row).heading {
		return 1
	}
	return l.cardH
}

// reveal scrolls so that the row of a node is visible, and no room is left at the end that rows could take.
func (l *placementLayout) reveal(row int) {
	if row >= 0 {
		if row <= l.top {
			l.top = row
			if row > 0 && l.grid.row(row-1).heading {
				l.top--
			}
		}
		l.top = max(l.top, l.above(row))
	}
	l.top = max(0, min(l.top, l.above(l.grid.rows()-1)))
}

// above is the first row that is visible when the given one is the last.
func (l *placementLayout) above(row int) int {
	lines := 0
	for ; row >= 0; row-- {
		if lines += l.height(row); lines > l.gridH {
			return row + 1
		}
	}
	return 0
}

// hit is the position of what is drawn at x, y.
func (l *placementLayout) hit(x, y int) (int, bool) {
	if y >= l.pendY && y < l.pendY+l.pendH {
		return len(l.grid.p.nodes) + l.ptop + y - l.pendY, true
	}
	line := 0
	for r := l.top; r < l.top+l.shown; r++ {
		h := l.height(r)
		if y < line+h {
			row := l.grid.row(r)
			i := row.from + x/max(1, l.cardW)
			return i, !row.heading && i < row.to
		}
		line += h
	}
	return 0, false
}
