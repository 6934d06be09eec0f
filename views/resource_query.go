package views

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	tea "charm.land/bubbletea/v2"

	"fathom/watchers"
)

// query is what the feed's builder goroutine runs: it must not touch the pane, only copies.
func (p *resource) query() watchers.Query {
	p.tag++
	q := watchers.Query{Tag: fmt.Sprint(p.tag)}
	filter, cols := p.filter, p.filter.columns(p.every)
	var where func(watchers.Row) bool
	if p.ref.Where != nil {
		where, q.Within = p.ref.Where.Match, p.ref.Where.Within
	}
	if where != nil || !filter.IsEmpty() {
		q.Match = func(r watchers.Row) bool {
			if where != nil && !where(r) {
				return false
			}
			var set watchers.Labels
			if m := watchers.MetaOf(r); m != nil {
				set = m.Labels
			}
			if !filter.NeedsText() {
				return filter.Match("", set)
			}
			buf := texts.Get().(*[]byte)
			text := appendRowText((*buf)[:0], cols, r)
			ok := filter.matchText(text, set)
			*buf = text
			texts.Put(buf)
			return ok
		}
	}
	if p.sort == "" {
		return q
	}
	key, sign := p.sort, 1
	if p.desc {
		sign = -1
	}
	col := p.column(key)
	if col == nil {
		return q
	}
	q.Sort = fmt.Sprint(key, sign)
	q.Less = func(a, b watchers.Row) int {
		if c := col.compare(a, b); c != 0 { // cmp.Or would compute the rest for every pair
			return sign * c
		}
		if c := strings.Compare(a.GetNamespace(), b.GetNamespace()); c != 0 {
			return c
		}
		return strings.Compare(a.GetName(), b.GetName())
	}
	return q
}

func (p *resource) column(key string) *Column {
	all := p.everyColumn()
	for i := range all {
		if all[i].Key == key {
			return &all[i]
		}
	}
	return nil
}

// rowText is what a filter looks at: the cells as shown, without the ages.
func rowText(cols []Column, r watchers.Row) string { return string(appendRowText(nil, cols, r)) }

func appendRowText(b []byte, cols []Column, r watchers.Row) []byte {
	for i := range cols {
		n := len(b)
		if n > 0 {
			b = append(b, ' ')
		}
		m := len(b)
		if b = cols[i].appendText(b, r); len(b) == m {
			b = b[:n]
		}
	}
	return b
}

// texts are buffers for the texts that are looked at, one at a time.
var texts = sync.Pool{New: func() any { b := make([]byte, 0, 512); return &b }}

// requery asks the feed anew. narrows says that it will show nothing that it does not show now.
func (p *resource) requery(narrows bool) {
	if p.feed != nil {
		before := fmt.Sprint(p.tag)
		q := p.query()
		if narrows {
			q.Narrows = before
		}
		p.feed.SetQuery(q)
		p.asked = q.Tag
	}
}

// answerWait bounds how long a command waits for the answer to a query.
const answerWait = 2 * time.Second

// Await implements Awaiter.
func (p *resource) Await() tea.Cmd {
	f, tag := p.feed, p.asked
	if f == nil || tag == "" {
		return nil
	}
	p.asked = ""
	return func() tea.Msg {
		ctx, cancel := context.WithTimeout(context.Background(), answerWait)
		defer cancel()
		f.Wait(ctx, tag)
		return PullMsg{}
	}
}

// parting is how many rows around the cursor a pane keeps that nobody looks at.
const parting = 128

// Trim implements Trimmer: what stays is what is on screen when the pane is opened again, until its source has everything. Where rows are marked
// all of them stay: a mark is an order that somebody has begun to give, and its row would be gone.
func (p *resource) Trim() {
	if p.feed != nil || p.parted {
		return
	}
	p.seen, p.parted = nil, true
	if p.table.MarkCount() > 0 {
		return
	}
	at, _ := p.table.Position()
	p.snap, _ = p.snap.Window(at-1, parting)
	p.table.SetSource(source{p, p.snap})
}
