package views

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"fathom/internal/safe"
	"fathom/theme"
	"fathom/ui/draw"
	"fathom/ui/table"
	"fathom/watchers/etcd"
)

// Columns of a history.
const (
	revRevision = iota
	revChange
	revVersion
	revSize
	revWhen
	revWho
	revStored
	revLease
)

func historyColumns() []table.Column {
	return []table.Column{
		revRevision: {Title: "REVISION", Align: draw.Right},
		revChange:   {Title: "CHANGE", Width: 7, Priority: 1},
		revVersion:  {Title: "VERSION", Align: draw.Right, Priority: 3},
		revSize:     {Title: "SIZE", Align: draw.Right, Priority: 2},
		revWhen:     {Title: "WRITTEN", Align: draw.Right, Priority: 2},
		revWho:      {Title: "MANAGER", Flex: true, Min: 18, Priority: 1},
		revStored:   {Title: "STORED AS", Max: 40, Priority: 4},
		revLease:    {Title: "LEASE", Max: 16, Priority: 5},
	}
}

// revisionSource is what the table shows: revisions, the newest first.
type revisionSource struct {
	env  *Env
	revs []etcd.Revision
}

func revisionID(revision int64) string { return strconv.FormatInt(revision, 10) }

func (s revisionSource) Len() int        { return len(s.revs) }
func (s revisionSource) ID(i int) string { return revisionID(s.revs[i].Revision) }
func (s revisionSource) Find(id string) (int, bool) {
	n, err := strconv.ParseInt(id, 10, 64)
	i, ok := slices.BinarySearchFunc(s.revs, n, func(r etcd.Revision, n int64) int { return int(min(max(n-r.Revision, -1), 1)) })
	return i, ok && err == nil
}

func (s revisionSource) Cell(i, col int) table.Cell {
	r := &s.revs[i]
	cell := func(st theme.Style, format string, args ...any) table.Cell {
		return table.Cell{Text: safe.Bounded(fmt.Sprintf(format, args...), maxCell), Style: st}
	}
	switch {
	case col == revRevision:
		return cell(theme.Key, "%d", r.Revision)
	case col == revChange:
		st := theme.Default
		switch {
		case r.Deleted:
			st = theme.Gone
		case r.Version == 1:
			st = theme.Good
		}
		return cell(st, "%s", changeOf(*r))
	case r.Deleted:
		return table.Cell{}
	}
	switch col {
	case revVersion:
		return cell(theme.Default, "%d", r.Version)
	case revSize:
		return cell(theme.Default, "%s", Bytes(int64(r.Size)))
	case revWhen:
		if r.By.At.IsZero() || r.SameBy {
			return cell(theme.Dim, "-")
		}
		return cell(theme.Default, "%s", Age(s.env.Now().Sub(r.By.At).Truncate(time.Second)))
	case revWho:
		switch {
		case r.By.Manager == "":
			return cell(theme.Dim, "-")
		case r.SameBy:
			return cell(theme.Dim, "not told")
		}
		return cell(theme.Default, "%s", writerOf(r.By))
	case revStored:
		return cell(theme.Dim, "%s", storedAs(r.Summary))
	case revLease:
		if r.Lease == 0 {
			return cell(theme.Dim, "-")
		}
		return cell(theme.Default, "%x", r.Lease)
	}
	return table.Cell{}
}

// changeOf says what a revision did to the key.
func changeOf(r etcd.Revision) string {
	switch {
	case r.Deleted:
		return "deleted"
	case r.Version == 1:
		return "created"
	}
	return "changed"
}

// writerOf names the writer of an object.
func writerOf(w etcd.Writer) string {
	s := w.Manager
	if w.Subresource != "" {
		s += " /" + w.Subresource
	}
	if w.Operation == "Apply" {
		s += " (apply)"
	}
	return s
}

// storedAs says in which version an object is stored, and how.
func storedAs(s etcd.Summary) string {
	if s.Kind == "" {
		return string(s.Format)
	}
	return fmt.Sprintf("%s %s, %s", s.APIVersion, s.Kind, s.Format)
}

// Least sizes of a table with a comparison.
const (
	leastTable   = 6
	leastPreview = 5
)

// splitForPreview divides an area between a table and a comparison: side by side where it is wide, one above the other where it is high.
// rows is how many lines the table wants, percent its share of the width. Without room for both the comparison has none.
func splitForPreview(a draw.Area, rows, percent int) (tableArea, preview draw.Rect, ok bool) {
	w, h := a.W(), a.H()
	if w >= previewWidth {
		t := max(w*percent/100, 64)
		return draw.Rect{W: t, H: h}, draw.Rect{X: t + 2, W: w - t - 3, H: h}, true
	}
	t := max(leastTable, min(rows, h/2))
	if h-t-1 < leastPreview {
		return draw.Rect{W: w, H: h}, draw.Rect{}, false
	}
	return draw.Rect{W: w, H: t}, draw.Rect{X: 1, Y: t + 1, W: w - 2, H: h - t - 1}, true
}

// drawSplit draws the rule between a table and a comparison.
func drawSplit(a draw.Area, th *theme.Theme, t, v draw.Rect, title safe.Text) {
	g := th.Glyphs()
	if v.Y > 0 {
		a.Text(0, t.H, theme.Border, safe.String(strings.Repeat(string(g.Horizontal), a.W())))
		a.Text(2, t.H, theme.Dim, safe.Concat(safe.Lit(" "), title, safe.Lit(" ")))
		return
	}
	for y := range a.H() {
		a.Glyph(t.W, y, theme.Border, g.Vertical)
	}
}

// Draw implements Pane: the revisions, where they end, and how the selected one differs from the one before.
func (p *history) Draw(a draw.Area, focused bool) {
	note, style := p.note()
	body := a
	if !note.IsEmpty() { // with what to do at its end
		most := max(1, a.H()/4)
		n := min(len(draw.Wrap(note.String(), a.W()-2)), most)
		sentence(a, 1, a.H()-n, most, style, note.String())
		body = a.Sub(draw.Rect{W: a.W(), H: a.H() - n})
	}
	t, v, ok := splitForPreview(body, len(p.revs)+1, 45)
	ok = ok && len(p.revs) > 0
	if !ok {
		t = draw.Rect{W: body.W(), H: body.H()}
	}
	p.beside.wanted = ok || len(p.revs) == 0 // the first look comes with the first page
	p.table.Draw(body.Sub(t), focused)
	if !ok {
		return
	}
	r, selected := p.selected()
	drawSplit(body, p.env.Theme, t, v, safe.Sprintf("revision %d and the one before", r.Revision))
	if !selected {
		return
	}
	right := body.Sub(v)
	if p.beside.id == revisionID(r.Revision) {
		p.beside.view.Draw(right, false)
	} else {
		right.Text(0, 0, theme.Dim, safe.Lit("comparing…"))
	}
}

// note says where the history ends, or that more of it is to be read.
func (p *history) note() (safe.Text, theme.Style) {
	switch {
	case len(p.revs) == 0:
		return safe.Text{}, theme.Dim
	case p.err != nil:
		return safe.String(p.err.Error()), theme.Bad
	case len(p.revs) >= historyMost && !p.end.Reached:
		return safe.Sprintf("the newest %d revisions; older ones are not shown", len(p.revs)), theme.Warn
	case !p.end.Reached:
		return safe.Sprintf("the newest %d revisions; moving down reads on", len(p.revs)), theme.Dim
	case p.end.Unseen > 0:
		return safe.Sprintf("%s; m does it", p.end.Why), theme.Warn
	}
	return safe.Sprintf("the history ends here: %s", p.end.Why), theme.Dim
}
