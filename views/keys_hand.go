package views

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	tea "charm.land/bubbletea/v2"

	"fathom/actions"
	"fathom/internal/safe"
	"fathom/keymap"
	"fathom/theme"
	"fathom/ui/draw"
	"fathom/ui/text"
	"fathom/ui/tree"
	"fathom/watchers/etcd"
)

// Do implements Pane.
func (p *keyTree) Do(in keymap.Intent) tea.Cmd {
	if move(p.tree, in) {
		return p.look()
	}
	switch in {
	case keymap.KeysSearch:
		return prompt("search " + quoteKey(p.here()) + " ")
	case keymap.KeysSpace:
		return open(Ref{View: "space", Object: Object{Key: p.here()}})
	case keymap.KeysPut, keymap.KeysEdit, keymap.KeysDelete:
		key, base := p.under()
		return p.env.writeKey(in, p.keys, key, base, "")
	case keymap.OtherSide:
		key, _ := p.under()
		return p.env.lookAtObject(p.keys, key)
	case keymap.CrossCheck:
		key, _ := p.under()
		if key == "" {
			return toast("a prefix is no key: open it and choose one", true)
		}
		return p.env.crossCheck(Object{Key: key})
	}
	id, kind, ok := p.tree.Cursor()
	if !ok {
		return nil
	}
	switch in {
	case keymap.Enter, keymap.KeysExpand:
		return p.enter(id, kind, in)
	case keymap.KeysCollapse:
		p.collapse(id, kind)
		return p.look()
	case keymap.KeysHistory, keymap.KeysWatch:
		return p.follow(id, kind, in)
	}
	return nil
}

// here is the prefix under the cursor, or the one that the key under it is in.
func (p *keyTree) here() string {
	id, kind, ok := p.tree.Cursor()
	if c, known := p.nodes[id]; ok && known && kind == tree.IsNode {
		return c.Key[:strings.LastIndex(c.Key, etcd.Separator)+1]
	}
	if prefix := strings.TrimPrefix(id, "p"); ok && kind != tree.IsNode && id != tree.Root {
		return prefix
	}
	return p.base
}

// quoteKey writes a key so that it can stand in a command.
func quoteKey(key string) string {
	if q := strconv.Quote(key); q != `"`+key+`"` || strings.ContainsAny(key, " ") || strings.Contains(key, "..") {
		return q
	}
	return key
}

// under is the key under the cursor, if it is on one, and the prefix that a new key beside it begins with.
func (p *keyTree) under() (key, base string) {
	id, kind, _ := p.tree.Cursor()
	c, ok := p.nodes[id]
	switch {
	case !ok || kind != tree.IsNode:
		return "", p.base
	case !c.Leaf:
		return "", c.Key
	}
	return c.Key, c.Key[:strings.LastIndex(c.Key, etcd.Separator)+1]
}

// Acted implements Acted: what was written is read again.
func (p *keyTree) Acted(outs []actions.Outcome) tea.Cmd {
	if !touched(outs, "") {
		return nil
	}
	return p.env.catchUp(p, p.keys)
}

// touched reports whether something was done, or may have been, to a key; the empty key stands for all.
func touched(outs []actions.Outcome, key string) bool {
	return slices.ContainsFunc(outs, func(o actions.Outcome) bool {
		return o.AuditID != "" && (o.Target.Kind == "Key" && (key == "" || o.Target.Name == key) || o.Target.Kind == "Lease")
	})
}

// enter opens what is under the cursor: a prefix, a value, the next page, or what could not be read before.
func (p *keyTree) enter(id string, kind tree.Kind, in keymap.Intent) tea.Cmd {
	c, isNode := p.nodes[id]
	if kind != tree.IsNode { // the row stands for children of id
		return p.fetchOn(id, kind)
	}
	switch {
	case !isNode:
		return nil
	case c.Leaf && in == keymap.Enter:
		return open(Ref{View: "value", Object: Object{Key: c.Key}})
	case c.Leaf:
		return nil
	case p.tree.Open(id) && in == keymap.Enter:
		p.collapse(id, kind)
		return p.look()
	case p.tree.Open(id):
		p.tree.Move(1)
		return p.look()
	}
	p.open[c.Key] = true
	if p.tree.Expand(id) {
		return p.read(c.Key, "")
	}
	return nil
}

// follow opens the history of the key under the cursor, or the watch of it or of all below the prefix.
func (p *keyTree) follow(id string, kind tree.Kind, in keymap.Intent) tea.Cmd {
	c, ok := p.nodes[id]
	switch {
	case !ok || kind != tree.IsNode:
		return nil
	case in == keymap.KeysWatch:
		return open(Ref{View: "watch", Object: Object{Key: c.Key}})
	case c.Leaf:
		return open(Ref{View: "history", Object: Object{Key: c.Key}})
	}
	return toast("a prefix has no history of its own: move to a key, or press w to watch all below it", true)
}

// fetchOn goes on where the children of a node end so far.
func (p *keyTree) fetchOn(id string, kind tree.Kind) tea.Cmd {
	prefix := p.base
	if id != tree.Root {
		prefix = strings.TrimPrefix(id, "p")
	}
	after := ""
	if l := p.levels[prefix]; l != nil && len(l.children) > 0 && l.more {
		after = l.children[len(l.children)-1].Key
	}
	switch {
	case kind == tree.IsMore && p.tree.More(id), kind == tree.IsFailed && p.tree.Expand(id):
		return p.read(prefix, after)
	}
	return nil
}

// collapse closes the node under the cursor, or goes to its parent when there is nothing to close.
func (p *keyTree) collapse(id string, kind tree.Kind) {
	if kind == tree.IsNode && p.tree.Collapse(id) {
		delete(p.open, p.nodes[id].Key)
		return
	}
	if kind != tree.IsNode && id != tree.Root {
		p.tree.MoveTo(id)
		return
	}
	if parent, ok := p.tree.Parent(id); ok && parent != tree.Root {
		p.tree.MoveTo(parent)
	}
}

// Click implements Clicker: a click selects, a click on the selected row opens it.
func (p *keyTree) Click(_, y int) tea.Cmd {
	id, kind, ok := p.tree.RowAt(y)
	if !ok {
		return nil
	}
	if cur, k, _ := p.tree.Cursor(); cur == id && k == kind {
		return p.Do(keymap.Enter)
	}
	if kind == tree.IsNode {
		p.tree.MoveTo(id)
		return p.look()
	}
	return p.enter(id, kind, keymap.Enter)
}

// Wheel implements Clicker.
func (p *keyTree) Wheel(lines int) tea.Cmd {
	p.tree.Move(lines)
	return p.look()
}

// previewWidth is the width from which on the value under the cursor is shown beside the tree.
const previewWidth = 118

// keyPreview is the value of the key under the cursor, beside the tree.
type keyPreview struct {
	view    *text.View
	wanted  bool   // there is room for it
	key     string // whose value is shown; empty: none
	reading bool
}

// previewRead is the answer of a read for the preview.
type previewRead struct {
	key, text string
	err       error
}

func newPreview(env *Env) *text.View {
	v := text.NewView(env.Theme)
	v.SetWrap(true)
	return v
}

// look reads the value under the cursor, if there is room for it. One read at a time: who holds a key down to move reads what is
// passed by now and then.
func (p *keyTree) look() tea.Cmd {
	c, ok := p.leaf()
	if !ok || !p.preview.wanted || p.preview.reading || p.preview.key == c.Key {
		return nil
	}
	p.preview.reading = true
	return p.env.Read(p, "reading a value", func(ctx context.Context) any {
		s, _, err := readValue(ctx, p.env, p.keys, c.Key, 0, "", "Enter opens it, x then reveals")
		return previewRead{c.Key, s, err}
	})
}

// leaf is the key under the cursor.
func (p *keyTree) leaf() (etcd.Child, bool) {
	id, kind, ok := p.tree.Cursor()
	c, known := p.nodes[id]
	return c, ok && known && kind == tree.IsNode && c.Leaf
}

func (p *keyTree) previewed(m previewRead) tea.Cmd {
	p.preview.reading = false
	if c, ok := p.leaf(); !ok || c.Key != m.key {
		return p.look()
	}
	p.preview.key = m.key
	s := m.text
	switch {
	case errors.Is(m.err, etcd.ErrNoKey):
		s = "the key is gone; Ctrl-R reads the tree again"
	case m.err != nil:
		s = m.err.Error()
	}
	lines := strings.Split(strings.TrimRight(s, "\n"), "\n")
	spans := make([][]draw.Span, len(lines))
	for i, l := range lines {
		spans[i] = yamlLine(l)
	}
	p.preview.view.SetLines(spans)
	p.preview.view.Top()
	return nil
}

// Draw implements Pane.
func (p *keyTree) Draw(a draw.Area, focused bool) {
	p.preview.wanted = a.W() >= previewWidth
	if !p.preview.wanted {
		p.tree.Draw(a, focused)
		return
	}
	w := a.W() * 2 / 5
	p.tree.Draw(a.Sub(draw.Rect{W: w, H: a.H()}), focused)
	for y := range a.H() {
		a.Glyph(w, y, theme.Border, p.env.Theme.Glyphs().Vertical)
	}
	right := a.Sub(draw.Rect{X: w + 2, W: a.W() - w - 3, H: a.H()})
	if c, ok := p.leaf(); ok && c.Key == p.preview.key {
		p.preview.view.Draw(right, false)
		return
	}
	p.drawAbout(right)
}

// drawAbout says what is under the cursor where there is no value to show.
func (p *keyTree) drawAbout(a draw.Area) {
	id, kind, ok := p.tree.Cursor()
	c, known := p.nodes[id]
	if !ok || !known || kind != tree.IsNode {
		return
	}
	a.Text(0, 0, theme.Key, safe.Bounded(c.Key, max(a.W(), 1)))
	if c.Leaf {
		what := safe.Lit("Enter shows its value")
		if p.preview.reading {
			what = safe.Lit("reading…")
		}
		a.Text(0, 1, theme.Dim, what)
		return
	}
	a.Text(0, 1, theme.Default, safe.String(plural(int(c.Count), "key")))
	a.Text(0, 2, theme.Dim, safe.Sprintf("read from %s at revision %d", p.source.Member, p.source.Revision))
}

// Print implements Printer: the children of the prefix.
func (p *keyTree) Print(bool) (Printed, bool, error) {
	if p.keys == nil {
		return Printed{}, false, fmt.Errorf("not available: %s", noEtcd(p.env))
	}
	if p.err != nil {
		return Printed{}, false, p.err
	}
	l := p.levels[p.base]
	if l == nil {
		return Printed{}, false, nil
	}
	out := Printed{Titles: []string{"NAME", "KEYS", "KEY"}, Keys: []string{"name", "key", "count", "leaf"}}
	for _, c := range l.children {
		if !p.passes(c) {
			continue
		}
		count, name := fmt.Sprint(c.Count), c.Name
		if !c.Leaf {
			name += etcd.Separator
		} else {
			count = "-"
		}
		out.Rows = append(out.Rows, []string{name, count, c.Key})
		out.Values = append(out.Values, []any{c.Name, c.Key, c.Count, c.Leaf})
	}
	return out, true, nil
}
