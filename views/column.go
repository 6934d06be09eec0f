package views

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"time"

	"fathom/internal/safe"
	"fathom/theme"
	"fathom/ui/draw"
	"fathom/ui/table"
	"fathom/watchers"
)

// Column is a column of a pane of rows: how it is drawn, printed, sorted and named in JSON.
type Column struct {
	Title    string
	Key      string // the stable lowerCamelCase name in JSON
	Min, Max int    // width in cells; Max 0: no bound
	Flex     bool   // takes the room that is left
	Align    draw.Align
	Priority int  // lower stays longer when the pane is narrow; 0 is never dropped
	Wide     bool // shown only in the wide layout and in print -o wide
	// Cell is the text on screen, untrusted, and its style. now is for ages.
	Cell func(r watchers.Row, now time.Time) (string, theme.Style)
	// Value is what JSON shows; nil: the cell's text.
	Value func(r watchers.Row) any
	// Text appends what a filter looks at; nil: the cell's text.
	Text func(b []byte, r watchers.Row) []byte
	// Alphabet is the characters that the text is made of, in lower case; empty: any. A filter with others passes the column by.
	Alphabet string
	// Compare orders rows; nil: by the cell's text.
	Compare func(a, b watchers.Row) int
}

// setColumns gives a table the columns of its pane.
func setColumns(t *table.Table, cols []Column) {
	tc := make([]table.Column, len(cols))
	for i, c := range cols {
		tc[i] = table.Column{Title: c.Title, Min: c.Min, Max: c.Max, Flex: c.Flex, Align: c.Align, Priority: c.Priority}
	}
	t.SetColumns(tc)
}

// rowSource is a table's source of a few rows that are drawn by their columns.
type rowSource[R watchers.Row] struct {
	env  *Env
	rows []R
	cols []Column
}

func (s rowSource[R]) Len() int        { return len(s.rows) }
func (s rowSource[R]) ID(i int) string { return s.rows[i].ID() }
func (s rowSource[R]) Find(id string) (int, bool) {
	i := slices.IndexFunc(s.rows, func(r R) bool { return r.ID() == id })
	return i, i >= 0
}
func (s rowSource[R]) Cell(i, col int) table.Cell {
	text, style := s.cols[col].Cell(s.rows[i], s.env.Now())
	return table.Cell{Text: safe.Bounded(text, maxCell), Style: style}
}

// compare orders two rows by the column.
func (c *Column) compare(a, b watchers.Row) int {
	if c.Compare != nil {
		return c.Compare(a, b)
	}
	sa, _ := c.Cell(a, time.Time{})
	sb, _ := c.Cell(b, time.Time{})
	return cmp.Compare(sa, sb)
}

// appendText appends what a filter looks at.
func (c *Column) appendText(b []byte, r watchers.Row) []byte {
	if c.Text != nil {
		return c.Text(b, r)
	}
	s, _ := c.Cell(r, time.Time{})
	return append(b, s...)
}

// noText is the text of ages: they change by themselves, and what a filter says of a row must not.
func noText(b []byte, _ watchers.Row) []byte { return b }

// The helpers below make columns of one row type R. A row of another type (a store shared by mistake) shows empty cells.

func word[R watchers.Row](title, key string, f func(R) string) Column {
	return Column{Title: title, Key: key, Priority: 3,
		Cell: func(r watchers.Row, _ time.Time) (string, theme.Style) {
			if v, ok := r.(R); ok {
				return f(v), theme.Default
			}
			return "", theme.Default
		}}
}

func styled[R watchers.Row](title, key string, f func(R) (string, theme.Style)) Column {
	return Column{Title: title, Key: key, Priority: 1,
		Cell: func(r watchers.Row, _ time.Time) (string, theme.Style) {
			if v, ok := r.(R); ok {
				return f(v)
			}
			return "", theme.Default
		}}
}

func number[R watchers.Row](title, key string, f func(R) int64) Column {
	get := func(r watchers.Row) int64 {
		if v, ok := r.(R); ok {
			return f(v)
		}
		return 0
	}
	return Column{Title: title, Key: key, Align: draw.Right, Priority: 3,
		Cell: func(r watchers.Row, _ time.Time) (string, theme.Style) {
			return strconv.FormatInt(get(r), 10), theme.Default
		},
		Text:     func(b []byte, r watchers.Row) []byte { return strconv.AppendInt(b, get(r), 10) },
		Alphabet: "0123456789-",
		Value:    func(r watchers.Row) any { return get(r) },
		Compare:  func(a, b watchers.Row) int { return cmp.Compare(get(a), get(b)) },
	}
}

// ratio is "ready of wanted", green when they are equal.
func ratio[R watchers.Row](title, key string, f func(R) (have, want int32)) Column {
	return Column{Title: title, Key: key, Align: draw.Right, Priority: 1,
		Cell: func(r watchers.Row, _ time.Time) (string, theme.Style) {
			v, ok := r.(R)
			if !ok {
				return "", theme.Default
			}
			have, want := f(v)
			st := theme.Default
			if have < want {
				st = theme.Warn
			}
			return strconv.Itoa(int(have)) + "/" + strconv.Itoa(int(want)), st
		},
		Text: func(b []byte, r watchers.Row) []byte {
			if v, ok := r.(R); ok {
				have, want := f(v)
				b = append(strconv.AppendInt(b, int64(have), 10), '/')
				b = strconv.AppendInt(b, int64(want), 10)
			}
			return b
		},
		Alphabet: "0123456789-/",
		Compare: func(a, b watchers.Row) int {
			va, _ := a.(R)
			vb, _ := b.(R)
			ha, wa := f(va)
			hb, wb := f(vb)
			return cmp.Or(cmp.Compare(wa-ha, wb-hb), cmp.Compare(wa, wb))
		},
	}
}

// when is a moment shown as an age; the oldest sorts last, as in k9s.
func when[R watchers.Row](title, key string, f func(R) time.Time) Column {
	get := func(r watchers.Row) time.Time {
		if v, ok := r.(R); ok {
			return f(v)
		}
		return time.Time{}
	}
	return Column{Title: title, Key: key, Align: draw.Right, Priority: 2,
		Cell: func(r watchers.Row, now time.Time) (string, theme.Style) {
			t := get(r)
			if t.IsZero() {
				return "-", theme.Dim
			}
			return Age(now.Sub(t)), theme.Default
		},
		Text: noText,
		Value: func(r watchers.Row) any {
			if t := get(r); !t.IsZero() {
				return t.UTC().Format(time.RFC3339)
			}
			return nil
		},
		Compare: func(a, b watchers.Row) int { return get(b).Compare(get(a)) },
	}
}

// name and namespace columns are the same for every Kubernetes row.
func nameColumn() Column {
	return Column{Title: "NAME", Key: "name", Min: 12, Max: 64,
		Cell:    func(r watchers.Row, _ time.Time) (string, theme.Style) { return r.GetName(), theme.Strong },
		Compare: func(a, b watchers.Row) int { return cmp.Compare(a.GetName(), b.GetName()) }}
}

func namespaceColumn() Column {
	return Column{Title: "NAMESPACE", Key: "namespace", Max: 24,
		Cell: func(r watchers.Row, _ time.Time) (string, theme.Style) { return r.GetNamespace(), theme.Default },
		Compare: func(a, b watchers.Row) int {
			return cmp.Or(cmp.Compare(a.GetNamespace(), b.GetNamespace()), cmp.Compare(a.GetName(), b.GetName()))
		}}
}

func ageColumn() Column {
	created := func(r watchers.Row) time.Time {
		if m := watchers.MetaOf(r); m != nil {
			return m.Created
		}
		return time.Time{}
	}
	c := when("AGE", "createdAt", func(r watchers.Row) time.Time { return created(r) })
	return c
}

// wide marks a column as one of the wide layout.
func (c Column) wide() Column { c.Wide = true; return c }

// keep sets how long the column stays when the pane is narrow.
func (c Column) keep(priority int) Column { c.Priority = priority; return c }

// most bounds the column's width.
func (c Column) most(w int) Column { c.Max = w; return c }

// least is the width below which the column is not worth showing.
func (c Column) least(w int) Column { c.Min = w; return c }

// flex lets the column take the room that is left.
func (c Column) flex() Column { c.Flex = true; return c }

// value sets what JSON shows.
func (c Column) value(f func(watchers.Row) any) Column { c.Value = f; return c }

// Age is a duration as kubectl prints it, with two units at most: 45s, 12m, 3h12m, 5d2h, 200d.
func Age(d time.Duration) string {
	switch s := int64(d / time.Second); {
	case s < -1:
		return "<future>"
	case s < 0:
		return "0s"
	case s < 120:
		return fmt.Sprintf("%ds", s)
	case s < 600:
		return two(s/60, "m", s%60, "s")
	case s < 3*3600:
		return fmt.Sprintf("%dm", s/60)
	case s < 8*3600:
		return two(s/3600, "h", s%3600/60, "m")
	case s < 2*86400:
		return fmt.Sprintf("%dh", s/3600)
	case s < 8*86400:
		return two(s/86400, "d", s%86400/3600, "h")
	case s < 2*365*86400:
		return fmt.Sprintf("%dd", s/86400)
	default:
		return two(s/(365*86400), "y", s%(365*86400)/86400, "d")
	}
}

func two(a int64, ua string, b int64, ub string) string {
	if b == 0 {
		return fmt.Sprintf("%d%s", a, ua)
	}
	return fmt.Sprintf("%d%s%d%s", a, ua, b, ub)
}

// Count is a number with its thousands set apart: 50,001.
func Count(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// Bytes is a size with a binary unit: 512 B, 4.0 MiB.
func Bytes(n int64) string { return string(appendBytes(make([]byte, 0, 16), n)) }

func appendBytes(b []byte, n int64) []byte {
	if n < 1024 {
		return append(strconv.AppendInt(b, n, 10), " B"...)
	}
	f, u := float64(n), -1
	for f >= 1024 && u < 5 {
		f /= 1024
		u++
	}
	return append(strconv.AppendFloat(b, f, 'f', 1, 64), ' ', "KMGTPE"[u], 'i', 'B')
}

// CPU is an amount of CPU in cores: 250m, 1.5, 64.
func CPU(milli int64) string { return string(appendCPU(make([]byte, 0, 16), milli)) }

func appendCPU(b []byte, milli int64) []byte {
	switch {
	case milli == 0:
		return append(b, '0')
	case milli < 1000:
		return append(strconv.AppendInt(b, milli, 10), 'm')
	case milli%1000 == 0:
		return strconv.AppendInt(b, milli/1000, 10)
	default:
		return bytes.TrimSuffix(strconv.AppendFloat(b, float64(milli)/1000, 'f', 1, 64), []byte(".0"))
	}
}
