package views

import (
	"context"
	"sync"

	"fathom/internal/run"
	"fathom/watchers/etcd"
)

// maxNotes bounds how many changes are known to more than the watch tells.
const maxNotes = 2000

// changeNote is what is to be told of a change beyond what the watch says of it.
type changeNote struct {
	by             etcd.Writer
	stored         etcd.Summary
	removed, added int
	lines          []string // the comparison; only of the change that is selected
	err            error
}

// changeNotes decodes and compares the values of the changes that are on screen, in a goroutine of its own.
type changeNotes struct {
	keys  *etcd.Keys
	group *run.Group
	kick  chan struct{} // holds one token when there is something to do

	mu       sync.Mutex
	rows     []etcd.KeyEvent // on screen
	selected string          // whose comparison is wanted as lines
	have     map[string]*changeNote
	gen      uint64
}

func newChangeNotes(keys *etcd.Keys) *changeNotes {
	return &changeNotes{keys: keys, kick: make(chan struct{}, 1), have: map[string]*changeNote{}}
}

func (n *changeNotes) start(g *run.Group) {
	n.group = g.Child()
	n.group.Go("etcd: decoding of changes", n.run)
}

// stop ends the goroutine without waiting: a large comparison may still be under way.
func (n *changeNotes) stop() { n.group.Cancel() }

func (n *changeNotes) generation() uint64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.gen
}

// get is what is known of a change; nil: nothing yet.
func (n *changeNotes) get(id string) *changeNote {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.have[id]
}

// want says which changes are on screen and not known yet, and which one is selected.
func (n *changeNotes) want(rows []etcd.KeyEvent, selected string) {
	n.mu.Lock()
	n.rows, n.selected = rows, selected
	n.mu.Unlock()
	select {
	case n.kick <- struct{}{}:
	default: // there is a token already
	}
}

func (n *changeNotes) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-n.kick:
		}
		for ctx.Err() == nil {
			e, lines, ok := n.next()
			if !ok {
				break
			}
			note := n.make(ctx, e, lines)
			n.mu.Lock()
			if len(n.have) >= maxNotes {
				clear(n.have)
			}
			n.have[e.ID()] = note
			n.gen++
			n.mu.Unlock()
		}
	}
}

// next is a change that is wanted and not known: the selected one first.
func (n *changeNotes) next() (e etcd.KeyEvent, lines, ok bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for i := range n.rows {
		id := n.rows[i].ID()
		if have := n.have[id]; id == n.selected && (have == nil || have.lines == nil) {
			return n.rows[i], true, true
		}
		if !ok && n.have[id] == nil {
			e, ok = n.rows[i], true
		}
	}
	return e, false, ok
}

// make decodes and compares. Values that are not kept any more are read again, for the selected change only.
func (n *changeNotes) make(ctx context.Context, e etcd.KeyEvent, lines bool) *changeNote {
	note := &changeNote{removed: -1, added: -1}
	var d etcd.Difference
	var before string
	switch {
	case e.Kept:
		note.stored = etcd.Summarize(e.Value)
		if !e.Created && len(e.Prev) == 0 && e.Before < 0 { // compacted away
			before = "# What it was before was compacted away."
			d = etcd.Diff(e.Key, e.Value, e.Value, etcd.DecodeOptions{Prefix: n.keys.Prefix()})
		} else {
			d = etcd.Diff(e.Key, e.Prev, e.Value, etcd.DecodeOptions{Prefix: n.keys.Prefix()})
			note.removed, note.added = d.Removed, d.Added
		}
		if e.Deleted {
			note.stored = etcd.Summarize(e.Prev)
		}
	case lines:
		ctx, cancel := context.WithTimeout(ctx, readTimeout)
		defer cancel()
		s, err := readStates(ctx, n.keys, e.Key, e.Revision, 0)
		if err != nil {
			note.err, note.lines = err, []string{"# " + err.Error()}
			return note
		}
		d, before = s.diff, s.note
		note.removed, note.added = d.Removed, d.Added
	default:
		return note
	}
	if !e.Deleted { // of a deletion nothing tells who made it
		note.by = note.stored.By
	}
	if lines {
		note.lines = diffLines(d, previewLines)
		if before != "" {
			note.lines = append([]string{before}, note.lines...)
		}
		if len(note.lines) == 0 {
			note.lines = []string{"# Nothing differs."}
		}
	}
	return note
}
