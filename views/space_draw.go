package views

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"fathom/internal/safe"
	"fathom/theme"
	"fathom/ui/chart"
	"fathom/ui/draw"
	"fathom/ui/table"
	"fathom/watchers/etcd"
)

// spaceColumn is a column of the table of the space.
type spaceColumn struct {
	table.Column
	key     string
	cell    func(r *etcd.SpaceRow, total etcd.SpaceUse, g *theme.Glyphs) table.Cell
	compare func(a, b *etcd.SpaceRow) int
}

// shareCells is the width of the bar that shows a part of its level.
const shareCells = 10

func spaceColumns(picture spacePicture) []spaceColumn {
	text := func(s string, args ...any) table.Cell { return table.Cell{Text: safe.String(fmt.Sprintf(s, args...))} }
	num := func(title, key string, priority int, get func(*etcd.SpaceRow) int64, show func(int64) string) spaceColumn {
		return spaceColumn{Column: table.Column{Title: title, Align: draw.Right, Priority: priority}, key: key,
			cell: func(r *etcd.SpaceRow, _ etcd.SpaceUse, _ *theme.Glyphs) table.Cell {
				return table.Cell{Text: safe.String(show(get(r)))}
			},
			compare: func(a, b *etcd.SpaceRow) int { return cmp.Compare(get(a), get(b)) },
		}
	}
	count := func(n int64) string { return Count(int(n)) }
	bytes := func(r *etcd.SpaceRow) int64 { return r.Bytes() }
	name := spaceColumn{Column: table.Column{Title: "NAME", Min: 16, Max: 48}, key: "name",
		cell: func(r *etcd.SpaceRow, _ etcd.SpaceUse, _ *theme.Glyphs) table.Cell {
			switch {
			case r.Rest:
				return table.Cell{Text: safe.String(r.Name), Style: theme.Dim}
			case picture == byPrefix:
				return table.Cell{Text: safe.Concat(safe.Bounded(r.Name, maxCell), safe.Lit("/")), Style: theme.Strong}
			}
			return table.Cell{Text: safe.Bounded(r.Name, maxCell), Style: theme.Strong}
		},
		compare: func(a, b *etcd.SpaceRow) int { return cmp.Compare(a.Name, b.Name) },
	}
	share := spaceColumn{Column: table.Column{Title: "SHARE", Width: shareCells + 5, Priority: 3}, key: "share",
		cell: func(r *etcd.SpaceRow, total etcd.SpaceUse, g *theme.Glyphs) table.Cell {
			part := 0.0
			if t := total.Bytes(); t > 0 {
				part = float64(r.Bytes()) / float64(t)
			}
			full := int(part*shareCells + 0.5)
			bar := strings.Repeat(string(g.Bar[len(g.Bar)-1]), full) + strings.Repeat(string(g.BarEmpty), shareCells-full)
			return table.Cell{Text: safe.String(fmt.Sprintf("%s %3.0f%%", bar, 100*part)), Style: theme.BarFill}
		},
		compare: func(a, b *etcd.SpaceRow) int { return cmp.Compare(a.Bytes(), b.Bytes()) },
	}
	if picture >= byValue {
		name.Title, name.Flex, name.Max = "KEY", true, 0
		return []spaceColumn{name, num("VALUE", "bytes", 0, func(r *etcd.SpaceRow) int64 { return r.ValueBytes }, Bytes),
			num("WRITES", "writes", 1, func(r *etcd.SpaceRow) int64 { return r.Writes }, count)}
	}
	cols := []spaceColumn{name, num("KEYS", "keys", 0, func(r *etcd.SpaceRow) int64 { return r.Keys }, count), num("BYTES", "bytes", 0, bytes, Bytes), share,
		num("MEAN", "mean", 5, func(r *etcd.SpaceRow) int64 { return r.Bytes() / max(1, r.Keys) }, Bytes),
		num("LARGEST", "largest", 4, func(r *etcd.SpaceRow) int64 { return r.Largest.Bytes }, Bytes),
		{Column: table.Column{Title: "WRITES/KEY", Align: draw.Right, Priority: 6}, key: "writes",
			cell: func(r *etcd.SpaceRow, _ etcd.SpaceUse, _ *theme.Glyphs) table.Cell {
				return text("%.1f, max %s", float64(r.Writes)/float64(max(1, r.Keys)), Count(int(r.Most.Version)))
			},
			compare: func(a, b *etcd.SpaceRow) int { return cmp.Compare(a.Most.Version, b.Most.Version) }},
		{Column: table.Column{Title: "GROWTH", Align: draw.Right, Priority: 2}, key: "growth",
			cell: func(r *etcd.SpaceRow, _ etcd.SpaceUse, _ *theme.Glyphs) table.Cell {
				if r.Before == nil {
					return table.Cell{Text: safe.Lit("-"), Style: theme.Dim}
				}
				keys, grown := r.Keys-r.Before.Keys, r.Bytes()-r.Before.Bytes()
				switch {
				case keys == 0 && grown == 0:
					return table.Cell{Text: safe.Lit("0"), Style: theme.Dim}
				case grown > 0:
					return table.Cell{Text: safe.Sprintf("%s, %+d keys", "+"+Bytes(grown), keys), Style: theme.Warn}
				}
				return table.Cell{Text: safe.Sprintf("-%s, %+d keys", Bytes(-grown), keys), Style: theme.Good}
			},
			compare: func(a, b *etcd.SpaceRow) int { return cmp.Compare(growth(a), growth(b)) }},
		{Column: table.Column{Title: "LARGEST KEY", Flex: true, Min: 20, Priority: 7}, key: "largestKey",
			cell: func(r *etcd.SpaceRow, _ etcd.SpaceUse, _ *theme.Glyphs) table.Cell {
				return table.Cell{Text: safe.Bounded(r.Largest.Key, maxCell), Style: theme.Dim}
			},
			compare: func(a, b *etcd.SpaceRow) int { return cmp.Compare(a.Largest.Bytes, b.Largest.Bytes) }},
	}
	if picture == byResource {
		cols[0].Title = "RESOURCE"
	}
	return cols
}

func growth(r *etcd.SpaceRow) int64 {
	if r.Before == nil {
		return 0
	}
	return r.Bytes() - r.Before.Bytes()
}

// Draw implements Pane.
func (p *space) Draw(a draw.Area, focused bool) {
	p.tableY = 0
	switch {
	case p.env.Cluster.Etcd() == nil:
		sentence(a, 1, 0, a.H(), theme.Default, noEtcd(p.env))
		return
	case p.scan == nil:
		p.drawPlan(a)
		return
	}
	y := p.drawSummary(a)
	p.table.SetEmpty(p.emptyText())
	p.tableY = y
	p.table.Draw(a.Sub(draw.Rect{Y: y, W: a.W(), H: a.H() - y}), focused)
}

// drawPlan says what a scan would do, before it is asked for.
func (p *space) drawPlan(a draw.Area) {
	under := "in the database"
	if p.prefix != "" {
		under = "that begin with " + p.prefix
	}
	switch {
	case p.err != nil:
		sentence(a, 1, 0, a.H(), theme.Bad, scanError(p.err))
		return
	case p.plan == nil:
		a.Text(1, 0, theme.Dim, safe.Sprintf("counting the keys %s…", under))
		return
	}
	a.Text(1, 0, theme.Strong, safe.Sprintf("%s %s.", plural(int(p.plan.keys), "key"), under))
	for i, l := range []string{
		"r scans them: each is read once, with its value, of which the size is kept.",
		"It reads from a follower if there is one, in small pages with rests,",
		"at most 16 MiB a second and a third of the time. While the member is",
		"slow it waits, and when that lasts it gives up. Esc stops it.",
		fmt.Sprintf("For so many keys it takes %s or more.", took(max(time.Second, etcd.LeastScan(p.plan.keys)))),
	} {
		a.Text(1, 2+i, theme.Default, safe.String(l))
	}
}

// drawSummary says how far the scan is and what it has found, and returns the line after.
func (p *space) drawSummary(a draw.Area) int {
	s := &p.snap
	what := []draw.Span{{Text: safe.Sprintf("%s of keys and values", Bytes(s.All.Bytes())), Style: theme.Strong}}
	drawProgress(a, p.env, 0, s.Progress, endOf(s.Done, s.Stopped, false, s.Err), what)
	y := 1
	switch {
	case s.Err != nil:
		y = sentence(a, 0, y, max(1, a.H()/4), theme.Bad, scanError(s.Err))
	case s.Waiting != "" && !s.Done:
		y = sentence(a, 0, y, max(1, a.H()/4), theme.Warn, "waiting: "+s.Waiting)
	}
	y += p.drawDatabase(a, y)
	return y + 1
}

// drawDatabase compares what the keys take with what the database takes: the difference has names, but no sizes of its own.
func (p *space) drawDatabase(a draw.Area, y int) int {
	db, live := p.snap.Database, p.snap.All.Bytes()
	whole := p.scan.Prefix == "" && p.snap.Done && !p.snap.Stopped && p.snap.Err == nil
	if db.InUse <= 0 || !whole {
		if db.InUse > 0 {
			a.Text(0, y, theme.Dim, safe.Sprintf("the database: %s, in use %s (with old revisions and its own pages)", Bytes(db.Size), Bytes(db.InUse)))
			return 1
		}
		return 0
	}
	other, free := max(0, db.InUse-live), max(0, db.Size-db.InUse)
	g := p.env.Theme.Glyphs()
	w, rest := min(40, a.W()/3), "old revisions and overhead"
	if a.W() < 110 {
		w, rest = 12, "old and overhead"
	}
	chart.StackBar(a, p.env.Theme, 0, y, a.W(), w, []chart.Part{
		{Value: float64(live), Label: safe.Sprintf("%s live", Bytes(live)), Style: theme.Good},
		{Value: float64(other), Label: safe.Sprintf("%s %s", Bytes(other), rest), Style: theme.Info, Glyph: g.Cell},
		{Value: float64(free), Label: safe.Sprintf("%s free", Bytes(free)), Style: theme.Dim, Glyph: g.BarEmpty},
	}, float64(db.Size))
	if a.H() < 16 {
		return 1
	}
	note := "old: revisions since the compaction; overhead: bbolt's. Defragment to free."
	if a.W() > 140 {
		note = "old: revisions since the compaction, and deletions; overhead: bbolt's pages and keys. etcd does not tell them apart. Defragmentation gives back what is free."
	}
	a.Text(0, y+1, theme.Dim, safe.String(note))
	return 2
}

func (p *space) emptyText() safe.Text {
	switch s := &p.snap; {
	case s.Err != nil:
		return safe.Lit("nothing was read")
	case !p.filter.IsEmpty() && s.All.Keys > 0:
		return safe.Sprintf("nothing here matches /%s; Esc shows all", p.filter.String())
	case p.picture == byWrites && s.All.Keys > 0:
		return safe.Lit("no key was written more than once since it was created")
	case !s.Done:
		return safe.Lit("reading…")
	}
	return safe.Sprintf("no key begins with %q", p.at)
}
