// Package table is the virtual table: it draws the visible rows of a source of any length, and keeps the cursor, the marks
// and the place on screen by the identity of rows, never by their index. k9s kept an index, and with rows coming and
// going a key press could hit another row than the one the user looked at (derailed/k9s#1950, #1593, #947).
//
// No call costs more than the visible rows (and the marks, which a hand has set), whatever the length of the source.
package table

import (
	"slices"

	"fathom/internal/safe"
	"fathom/theme"
	"fathom/ui/draw"
)

// Source is what a table shows: an immutable snapshot. When anything has changed a new source is given to
// [Table.SetSource]; until then all methods must answer the same, and they are called from the goroutine that draws.
type Source interface {
	// Len is the number of rows.
	Len() int
	// ID is the identity of row i, unique within the source: a UID, an etcd key, a member id. It is never empty.
	ID(i int) string
	// Find is the index of a row by its ID. It has to be fast: a map or a binary search.
	Find(id string) (i int, ok bool)
	// Cell is what stands in a column of row i. It is called once per visible cell and frame.
	Cell(i, col int) Cell
}

// Cell is the content of one cell.
type Cell struct {
	Text  safe.Text
	Style theme.Style
}

// Column describes a column. Its width is that of its title or of the widest cell seen so far, whichever is more, within
// its bounds.
type Column struct {
	Title string // untrusted: of custom resources it comes from the server
	Width int    // fixed width in cells; 0: measured
	Min   int    // least width in cells, also when the area is narrow; 0: the title's for Flex columns, none otherwise
	Max   int    // largest width in cells; 0: no bound
	Flex  bool   // takes the room that is left, and gives it first when there is too little
	Align draw.Align
	// Priority decides which columns go when the area is too narrow: the largest number first, from the right. 0 is
	// never dropped and stays on screen when the table is scrolled sideways.
	Priority int
}

// Table is a virtual table. It is not safe for concurrent use. Make one with [New].
type Table struct {
	th    *theme.Theme
	src   Source
	cols  []column
	empty safe.Text

	sortCol  int
	sortDesc bool

	cur     string // the ID under the cursor; kept while the source is empty
	idx     int    // its index in src
	gone    string // the ID the cursor was on when that row went away; "" when it did not
	wanted  string // where MoveTo was asked to go before that row was there
	moved   bool   // the user has chosen where to be
	pinTop  bool   // see FollowTop
	marks   map[string]struct{}
	anchor  string // the row marked last: where a range begins
	top     int    // index of the first visible row
	visible int    // rows the last area had room for; 0 before the first Draw
	header  int    // lines of the last area taken by the header: 0 or 1
	hscroll int    // columns scrolled out at the left, of those that scroll

	// What drawing reuses from frame to frame.
	cells   []Cell
	places  []place
	dropped []place // columns the area had no room for, the first to go first
	more    bool    // the last Draw left columns out at the right
}

type column struct {
	Column
	title    safe.Text
	titleW   int
	measured int // widest cell seen, in cells: only grows
}

type none struct{}

func (none) Len() int                { return 0 }
func (none) ID(int) string           { return "" }
func (none) Find(string) (int, bool) { return 0, false }
func (none) Cell(int, int) Cell      { return Cell{} }

// New makes an empty table without columns.
func New(th *theme.Theme) *Table {
	return &Table{th: th, src: none{}, sortCol: -1, marks: map[string]struct{}{}, empty: safe.Lit("nothing to show")}
}

// SetColumns sets the columns, which Source.Cell counts from 0. Columns that keep their title keep the width they have
// grown to, so that a change of the sort order or of the set of columns does not make the others jump.
func (t *Table) SetColumns(cols []Column) {
	old := t.cols
	t.cols = make([]column, len(cols))
	for i, c := range cols {
		title := safe.String(c.Title)
		t.cols[i] = column{Column: c, title: title, titleW: title.Width()}
		if j := slices.IndexFunc(old, func(o column) bool { return o.Title == c.Title }); j >= 0 {
			t.cols[i].measured = old[j].measured
		}
	}
	t.sortCol = -1
	t.hscroll = min(t.hscroll, max(0, len(cols)-1))
}

// SetSort says by which column the source is sorted, for the arrow in the header. A column out of range shows no arrow.
// Sorting itself happens where the source is built.
func (t *Table) SetSort(col int, desc bool) { t.sortCol, t.sortDesc = col, desc }

// SetEmpty sets what is shown instead of rows when there are none.
func (t *Table) SetEmpty(msg safe.Text) { t.empty = msg }

// FollowTop makes the cursor stay on the first row, whatever row that is, until the user moves it, and again after
// [Table.Top]. It is for lists of news that nobody acts on, newest first.
func (t *Table) FollowTop(on bool) { t.pinTop = on }

// Len is the number of rows of the source.
func (t *Table) Len() int { return t.src.Len() }

// Cursor is the ID of the row under the cursor; not ok when there are no rows.
func (t *Table) Cursor() (id string, ok bool) {
	if t.src.Len() == 0 {
		return "", false
	}
	return t.cur, true
}

// Gone reports that the row under the cursor went away and another took its place, and which it was. It holds until the
// cursor is moved: what a key press meant for the old row must not be done to the new one.
func (t *Table) Gone() (id string, gone bool) { return t.gone, t.gone != "" }

// Position is the cursor's row, from 1, and the number of rows; 0, 0 when there are none.
func (t *Table) Position() (index, total int) {
	if n := t.src.Len(); n > 0 {
		return t.idx + 1, n
	}
	return 0, 0
}

// RowAt is the row drawn at line y of the area drawn last.
func (t *Table) RowAt(y int) (id string, ok bool) {
	i := t.top + y - t.header
	if y < t.header || y >= t.header+t.visible || i >= t.src.Len() {
		return "", false
	}
	return t.src.ID(i), true
}

// Draw draws header and visible rows into a. The cursor is drawn faintly when the table does not have the focus.
func (t *Table) Draw(a draw.Area, focused bool) { t.draw(a, focused) }
