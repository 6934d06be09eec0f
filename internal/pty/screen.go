package pty

import (
	"fmt"
	"slices"
	"strings"

	"github.com/charmbracelet/x/ansi"
)

// Attr are the attributes of a cell that a test may ask for; colours are not kept.
type Attr uint8

// Attributes.
const (
	Bold Attr = 1 << iota
	Faint
	Under
	Reverse
)

// Cell is one cell of the screen. The second half of a wide character has an empty Text; a blank has " ".
type Cell struct {
	Text string
	Attr Attr
}

var blank = Cell{Text: " "}

// Screen is what a terminal shows: as much of ECMA-48 and xterm as terminal programs of today send. It is not safe for concurrent use.
type Screen struct {
	w, h        int
	cells, main [][]Cell // main: kept while the alternate screen is on
	x, y        int
	wrap        bool // the last column was written: the next character goes to the next line
	attr        Attr
	top, bottom int // scrolling region, both in it
	savedX      int
	savedY      int
	last        rune // for REP
	noWrap      bool
	insert      bool
	parser      *ansi.Parser
	reply       func([]byte)
	sync        bool

	// Alternate is set while the alternate screen is on; CursorHidden while the cursor is not shown; Synchronized while the
	// program is between the two ends of a synchronized update.
	Alternate, CursorHidden, Synchronized bool
	// Frames counts the ends of synchronized updates; Scrolls the times the terminal scrolled; Clears the times all was erased.
	Frames, Scrolls, Clears int
	// Title is the window's.
	Title string
	// Unknown are sequences that the screen does not know, at most 20.
	Unknown []string
}

// NewScreen returns an empty screen.
func NewScreen(w, h int) *Screen {
	s := &Screen{w: w, h: h, bottom: h - 1, parser: ansi.NewParser()}
	s.cells = s.blanks()
	s.parser.SetHandler(ansi.Handler{
		Print: s.print, Execute: s.execute, HandleCsi: s.csi, HandleEsc: s.esc,
		HandleOsc: func(cmd int, data []byte) {
			if cmd == 0 || cmd == 2 {
				_, title, _ := strings.Cut(string(data), ";")
				s.Title = title
			}
		},
	})
	return s
}

func (s *Screen) blanks() [][]Cell {
	cells := make([][]Cell, s.h)
	for y := range cells {
		cells[y] = s.blankRow()
	}
	return cells
}

func (s *Screen) blankRow() []Cell { return slices.Repeat([]Cell{blank}, s.w) }

// Write takes in output.
func (s *Screen) Write(b []byte) { s.parser.Parse(b) }

// Resize changes the size; what fits stays.
func (s *Screen) Resize(w, h int) {
	old := s.cells
	s.w, s.h = w, h
	s.top, s.bottom, s.wrap = 0, h-1, false
	s.cells = s.blanks()
	for y := range min(h, len(old)) {
		copy(s.cells[y], old[y])
	}
	s.main = nil
	s.x, s.y = min(s.x, w-1), min(s.y, h-1)
}

// Size is the screen's, in cells.
func (s *Screen) Size() (w, h int) { return s.w, s.h }

// Cursor is where the cursor stands.
func (s *Screen) Cursor() (x, y int) { return s.x, s.y }

// At is a cell.
func (s *Screen) At(x, y int) Cell {
	if y < 0 || y >= s.h || x < 0 || x >= s.w {
		return Cell{}
	}
	return s.cells[y][x]
}

// Row is the text of a row without the blanks at its end.
func (s *Screen) Row(y int) string {
	if y < 0 || y >= s.h {
		return ""
	}
	var b strings.Builder
	for _, c := range s.cells[y] {
		b.WriteString(c.Text)
	}
	return strings.TrimRight(b.String(), " ")
}

// String is the text of all rows.
func (s *Screen) String() string {
	rows := make([]string, s.h)
	for y := range rows {
		rows[y] = s.Row(y)
	}
	return strings.Join(rows, "\n")
}

// Contains reports whether a text is in one of the rows.
func (s *Screen) Contains(text string) bool {
	for y := range s.h {
		if strings.Contains(s.Row(y), text) {
			return true
		}
	}
	return false
}

// RowWith is the first row of which more than half of the cells have an attribute, or -1. With Reverse it is the row of a table's cursor.
func (s *Screen) RowWith(a Attr) int {
	for y, row := range s.cells {
		n := 0
		for i := range row {
			if row[i].Attr&a != 0 {
				n++
			}
		}
		if n > s.w/2 {
			return y
		}
	}
	return -1
}

var ascii = func() (t [128]string) {
	for i := range t {
		t[i] = string(rune(i))
	}
	return t
}()

func (s *Screen) print(r rune) {
	text, w := "", 1
	if r < 128 {
		text = ascii[r]
	} else {
		text = string(r)
		w = ansi.StringWidth(text)
	}
	if w == 0 { // joins with what stands before it
		if x := s.x - 1; x >= 0 {
			s.cells[s.y][x].Text += text
		}
		return
	}
	s.last = r
	if s.wrap && !s.noWrap {
		s.x = 0
		s.lineFeed()
	}
	s.wrap = false
	if s.x+w > s.w {
		if s.noWrap || w > s.w {
			return
		}
		s.x = 0
		s.lineFeed()
	}
	if s.insert {
		s.insertCells(w)
	}
	row := s.cells[s.y]
	s.split(s.x)
	s.split(s.x + w)
	row[s.x] = Cell{text, s.attr}
	if w == 2 {
		row[s.x+1] = Cell{"", s.attr}
	}
	s.x += w
	if s.x >= s.w {
		s.x, s.wrap = s.w-1, true
	}
}

// split blanks the halves of a wide character that is cut before column x.
func (s *Screen) split(x int) {
	if x > 0 && x < s.w && s.cells[s.y][x].Text == "" {
		s.cells[s.y][x-1].Text, s.cells[s.y][x].Text = " ", " "
	}
}

func (s *Screen) execute(b byte) {
	switch b {
	case '\r':
		s.x, s.wrap = 0, false
	case '\n', '\v', '\f':
		s.lineFeed()
	case '\b':
		s.x, s.wrap = max(0, s.x-1), false
	case '\t':
		s.x, s.wrap = min(s.w-1, (s.x/8+1)*8), false
	}
}

func (s *Screen) lineFeed() {
	s.wrap = false
	switch {
	case s.y == s.bottom:
		s.scroll(s.top, 1)
	case s.y < s.h-1:
		s.y++
	}
}

// scroll moves the rows from row first to the end of the region up by n; down when n is negative.
func (s *Screen) scroll(first, n int) {
	s.Scrolls++
	region := s.cells[first : s.bottom+1]
	for range min(max(n, -n), len(region)) {
		if n > 0 {
			copy(region, region[1:])
			region[len(region)-1] = s.blankRow()
		} else {
			copy(region[1:], region)
			region[0] = s.blankRow()
		}
	}
}

func (s *Screen) insertCells(n int) {
	row := s.cells[s.y]
	n = min(n, s.w-s.x)
	copy(row[s.x+n:], row[s.x:])
	s.erase(row[s.x : s.x+n])
}

func (s *Screen) erase(cells []Cell) {
	for i := range cells {
		cells[i] = blank
	}
}

func (s *Screen) unknown(format string, args ...any) {
	if len(s.Unknown) < 20 {
		s.Unknown = append(s.Unknown, fmt.Sprintf(format, args...))
	}
}
