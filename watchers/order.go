package watchers

import (
	"cmp"
	"slices"
	"sort"
)

// Sizes of an order's chunks, in rows. A change of one row copies one chunk: small chunks make changes cheap, large ones make the
// list of chunks, which is copied too, short. Every chunk has room for chunkMax rows, which is 4 KB with the 8 bytes that the runtime adds:
// half a page of its heap. Chunks come and go ten times a second, and what one leaves is what the next needs; in pieces of other sizes
// more than half of the memory stayed unused.
const (
	chunkMax  = 255
	chunkSize = 224 // that a new order begins with
)

// order is an immutable sorted sequence of rows in chunks, none of them empty. Two versions of it share the chunks in which they do
// not differ, so that a snapshot of 150,000 rows in which 30 have changed costs 30 chunks.
type order struct {
	chunks [][]Row
	starts []int32 // index of each chunk's first row, and the number of rows at the end
}

// newOrder cuts rows that are sorted already into chunks. It does not keep the slice: one chunk that nobody changes would keep all of it.
func newOrder(rows []Row) order {
	chunks := make([][]Row, 0, (len(rows)+chunkSize-1)/chunkSize)
	for len(rows) > 0 {
		n := min(chunkSize, len(rows))
		chunks = append(chunks, newChunk(rows[:n]))
		rows = rows[n:]
	}
	return orderOf(chunks)
}

// newChunk is a chunk of these rows, at most chunkMax.
func newChunk(rows []Row) []Row { return append(make([]Row, 0, chunkMax), rows...) }

func orderOf(chunks [][]Row) order {
	o := order{chunks: chunks, starts: make([]int32, len(chunks)+1)}
	for i, c := range chunks {
		o.starts[i+1] = o.starts[i] + int32(len(c))
	}
	return o
}

func (o order) len() int {
	if len(o.starts) == 0 {
		return 0
	}
	return int(o.starts[len(o.starts)-1])
}

// at returns row i.
func (o order) at(i int) Row {
	c := sort.Search(len(o.chunks), func(c int) bool { return int(o.starts[c+1]) > i })
	return o.chunks[c][i-int(o.starts[c])]
}

// all returns the rows in a slice of their own.
func (o order) all() []Row {
	out := make([]Row, 0, o.len())
	for _, c := range o.chunks {
		out = append(out, c...)
	}
	return out
}

// seek returns where a row stands, or would stand: its chunk and its place in it.
func seek(chunks [][]Row, r Row, total func(a, b Row) int) (c, at int, found bool) {
	c = sort.Search(len(chunks), func(i int) bool { return total(chunks[i][0], r) > 0 }) - 1
	if c < 0 {
		return 0, 0, false
	}
	at, found = slices.BinarySearchFunc(chunks[c], r, total)
	return c, at, found
}

// find returns the index of the row that total finds equal to r.
func (o order) find(r Row, total func(a, b Row) int) (int, bool) {
	c, at, found := seek(o.chunks, r, total)
	if !found {
		return 0, false
	}
	return int(o.starts[c]) + at, true
}

// sortRows sorts in place. Many rows are sorted in two halves, by two goroutines.
func sortRows(rows []Row, total func(a, b Row) int) []Row {
	const enough = 8 * chunkSize
	if len(rows) < enough {
		slices.SortFunc(rows, total)
		return rows
	}
	half := len(rows) / 2
	two(func() { slices.SortFunc(rows[:half], total) }, func() { slices.SortFunc(rows[half:], total) })
	a, b := rows[:half], rows[half:]
	out := make([]Row, 0, len(rows))
	for len(a) > 0 && len(b) > 0 {
		if total(b[0], a[0]) < 0 {
			out, b = append(out, b[0]), b[1:]
		} else {
			out, a = append(out, a[0]), a[1:]
		}
	}
	return append(append(out, a...), b...)
}

// two runs two functions at the same time and waits for both. A panic of either is the caller's.
func two(here, there func()) {
	done := make(chan any, 1)
	go func() { // it ends before we do, and its panics are ours
		defer func() { done <- recover() }()
		there()
	}()
	var failed any
	func() {
		defer func() { failed = cmp.Or(recover(), <-done) }()
		here()
	}()
	if failed != nil {
		panic(failed)
	}
}

// filter returns the rows that match, in the same order. Large orders are looked through by two goroutines.
func (o order) filter(match func(Row) bool) order {
	const enough = 8 * chunkSize
	n := len(o.chunks)
	if o.len() < enough {
		return newOrder(matching(nil, o.chunks, match))
	}
	var head, tail []Row
	two(func() { head = matching(nil, o.chunks[:n/2], match) }, func() { tail = matching(nil, o.chunks[n/2:], match) })
	return newOrder(append(head, tail...))
}

func matching(out []Row, chunks [][]Row, match func(Row) bool) []Row {
	for _, c := range chunks {
		for _, r := range c {
			if match(r) {
				out = append(out, r)
			}
		}
	}
	return out
}

// edit makes the next version of an order. Its cost is that of the chunks it touches, and of the list of chunks.
type edit struct {
	total  func(a, b Row) int
	chunks [][]Row
	own    []bool // this chunk is a copy already
}

func (o order) edit(total func(a, b Row) int) *edit {
	return &edit{total: total, chunks: slices.Clone(o.chunks), own: make([]bool, len(o.chunks))}
}

// change takes old out and puts fresh in; either may be nil.
func (e *edit) change(old, fresh Row) {
	if old != nil && fresh != nil && e.total(old, fresh) == 0 {
		if c, at, ok := seek(e.chunks, old, e.total); ok {
			e.copy(c)[at] = fresh
			return
		}
	}
	if old != nil {
		if c, at, ok := seek(e.chunks, old, e.total); ok {
			e.remove(c, at)
		}
	}
	if fresh != nil {
		e.insert(fresh)
	}
}

// copy makes a chunk ours.
func (e *edit) copy(c int) []Row {
	if !e.own[c] {
		e.chunks[c], e.own[c] = newChunk(e.chunks[c]), true
	}
	return e.chunks[c]
}

func (e *edit) remove(c, at int) {
	rows := slices.Delete(e.copy(c), at, at+1)
	e.chunks[c] = rows
	switch next := c + 1; {
	case len(rows) == 0:
		e.chunks, e.own = slices.Delete(e.chunks, c, next), slices.Delete(e.own, c, next)
	case len(rows) < chunkSize/4 && next < len(e.chunks) && len(rows)+len(e.chunks[next]) <= chunkSize:
		e.chunks[c] = append(rows, e.chunks[next]...)
		e.chunks, e.own = slices.Delete(e.chunks, next, next+1), slices.Delete(e.own, next, next+1)
	}
}

func (e *edit) insert(r Row) {
	if len(e.chunks) == 0 {
		e.add(0, []Row{r})
		return
	}
	c, at, found := seek(e.chunks, r, e.total)
	if found { // the same place in the order is the same row
		e.copy(c)[at] = r
		return
	}
	if len(e.chunks[c]) == chunkMax {
		if at == chunkMax { // rows come in order while a list arrives: leave full chunks behind
			e.add(c+1, []Row{r})
			return
		}
		const half = chunkMax / 2
		e.add(c+1, e.chunks[c][half:])
		e.chunks[c] = slices.Delete(e.copy(c), half, chunkMax)
		if at > half {
			c, at = c+1, at-half
		}
	}
	e.chunks[c] = slices.Insert(e.copy(c), at, r)
}

// add makes a copy of rows the chunk at c.
func (e *edit) add(c int, rows []Row) {
	e.chunks, e.own = slices.Insert(e.chunks, c, newChunk(rows)), slices.Insert(e.own, c, true)
}

func (e *edit) order() order { return orderOf(e.chunks) }
