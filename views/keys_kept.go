package views

import (
	"fmt"
	"sync"

	tea "charm.land/bubbletea/v2"

	"fathom/actions"
	"fathom/internal/safe"
	"fathom/watchers/etcd"
)

// draft is a text that somebody types for a key, and what it was made from. It is kept from the moment it is typed until it is written or dropped, in
// memory only: whatever keeps it from being written, nobody types it twice. There are as many as keys that somebody has typed for.
type draft struct {
	text     string // as the editor has it; guarded by drafts
	base     []byte // the value it was made from; nil: there was no such key
	revision int64  // at which that was written
}

// drafts are those of a session on one cluster, by key.
type drafts struct {
	mu  sync.Mutex
	all map[string]*draft
}

// keep keeps a text, in the place of the one that was kept for the key. The same text again stays what was made from the earlier value: whoever made
// it has not yet taken up what became of the key since.
func (d *drafts) keep(key string, one *draft, text string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.all == nil {
		d.all = map[string]*draft{}
	}
	one.text = text
	if was := d.all[key]; was == nil || was.text != text {
		d.all[key] = one
	}
}

// of is a copy of what is kept for a key; nil: nothing is.
func (d *drafts) of(key string) *draft {
	d.mu.Lock()
	defer d.mu.Unlock()
	one, ok := d.all[key]
	if !ok {
		return nil
	}
	c := *one
	return &c
}

// count is how many keys have a text.
func (d *drafts) count() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.all)
}

// drop forgets what is kept for a key: only the text of that draft, or, given nil, whichever it is.
func (d *drafts) drop(key string, only *draft) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if was := d.all[key]; was != nil && (only == nil || was.text == only.text) {
		delete(d.all, key)
	}
}

// Where a kept text is, for a line of news and for a dialog.
const (
	keptShort = "your text is kept: e takes it up again"
	keptLong  = "Your text is kept: e on the key takes it up again, based on what is stored by then; a with its name where there is no such key."
)

// changedSince says, for somebody whose draft was made from an earlier value, what the key is now. The value is masked.
func (d *draft) changedSince(kv etcd.KV, o etcd.DecodeOptions) string {
	o.Reveal = ""
	shown := safe.Bounded(etcd.Decode(kv.Key, kv.Value, o).Text, maxLine)
	switch {
	case kv.ModRevision == d.revision:
		return ""
	case d.revision == 0:
		return fmt.Sprintf("Somebody made the key meanwhile; at revision %d it holds: %s", kv.ModRevision, shown)
	}
	return fmt.Sprintf("The key was changed since, at revision %d; now it holds: %s", kv.ModRevision, shown)
}

// maxRemarks bounds the lines of a difference above a text in the editor.
const maxRemarks = 200

// remarks say above a text in the editor that it is a kept one, and what became of the key meanwhile; kv is nil when it is gone. What differs is masked.
func (d *draft) remarks(kv *etcd.KV, o etcd.DecodeOptions) []string {
	notes := []string{"This is your text, which was not written."}
	switch {
	case kv == nil:
		return append(notes, "There is no such key now: it would be made.")
	case kv.ModRevision == d.revision:
		return append(notes, fmt.Sprintf("The key is what it was when you began, at revision %d.", kv.ModRevision))
	case d.revision == 0:
		notes = append(notes, fmt.Sprintf("The key was made by somebody else meanwhile, at revision %d. What it holds, and your text does not know of:", kv.ModRevision))
	default:
		notes = append(notes, fmt.Sprintf("The key was changed since, at revision %d; your text was made from revision %d. What was changed, and your text does not know of:",
			kv.ModRevision, d.revision))
	}
	return append(notes, diffLines(etcd.Diff(kv.Key, d.base, kv.Value, o), maxRemarks)...)
}

// confirmText makes a dialog keep what was typed for a key until it is written.
func (e *Env) confirmText(c *Confirmation, d *draft, given bool) {
	key, prepare, run := c.Targets[0].Name, c.Prepare, c.Run
	if !given { // an editor's text is kept already
		c.Prepare = func(input string) Prepared {
			if d.revision != 0 && input == string(d.base) {
				e.drafts.drop(key, nil)
			} else {
				e.drafts.keep(key, d, input+"\n")
			}
			return prepare(input)
		}
	}
	c.Run = func(input, override string) []actions.Outcome {
		outs := run(input, override)
		if len(outs) == 1 && outs[0].Status == actions.Done {
			e.drafts.drop(key, d)
		}
		return outs
	}
	c.Kept = func() string {
		if e.drafts.of(key) == nil {
			return ""
		}
		return keptLong
	}
	c.Left = func(typing bool) tea.Cmd {
		switch {
		case e.drafts.of(key) == nil:
			return nil
		case typing:
			e.drafts.drop(key, nil)
			return toast("your text is dropped", false)
		}
		return toast("nothing was sent; "+keptShort, false)
	}
}
