package views

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"

	"fathom/internal/safe"
	"fathom/keymap"
	"fathom/theme"
	"fathom/ui/draw"
	"fathom/ui/tree"
	"fathom/watchers"
	"fathom/watchers/etcd"
)

// keyPage is how many children of a prefix are read at once.
const keyPage = 200

// keyTree is etcd's key space as a tree of prefixes, read level by level when they are opened.
type keyTree struct {
	narrowed
	env  *Env
	keys *etcd.Keys // nil without an etcd
	tree *tree.Tree
	base string // the prefix whose children are the roots

	levels map[string]*keyLevel  // by prefix: what was read
	nodes  map[string]etcd.Child // by ID in the tree
	open   map[string]bool       // prefixes that are open
	shown  int                   // nodes that pass the filter
	source etcd.Source
	at     time.Time // when the last level was read
	err    error     // of the base level
	gen    int       // grows when everything is read again: replies to earlier reads are dropped
	todo   []string  // prefixes that are read one after the other
	first  bool      // the base was never read

	preview keyPreview
}

// keyLevel is what was read of the children of a prefix.
type keyLevel struct {
	children []etcd.Child
	more     bool
}

// levelRead is the answer of a read of a level.
type levelRead struct {
	gen           int
	prefix, after string
	level         etcd.Level
	err           error
}

func newKeys(env *Env, r Ref) (Pane, error) {
	f, err := keyFilter(r.Filter)
	if err != nil {
		return nil, err
	}
	p := &keyTree{env: env, narrowed: narrowed{r, f}, tree: tree.New(env.Theme), base: r.Object.Key, first: true,
		levels: map[string]*keyLevel{}, nodes: map[string]etcd.Child{}, open: map[string]bool{}}
	if p.base != "" && !strings.HasSuffix(p.base, etcd.Separator) {
		p.base += etcd.Separator
	}
	if e := env.Cluster.Etcd(); e != nil {
		p.keys = etcd.NewKeys(e)
		p.tree.SetEmpty(safe.Lit("reading…"))
	} else {
		p.tree.SetEmpty(safe.String(noEtcd(env)))
	}
	p.preview.view = newPreview(env)
	return p, nil
}

// Open implements Pane.
func (p *keyTree) Open() {}

// Close implements Pane.
func (p *keyTree) Close() {}

// Sync implements Pane.
func (p *keyTree) Sync() bool { return false }

// Start implements Starter.
func (p *keyTree) Start() tea.Cmd { return p.Refresh() }

// Refresh implements Refresher: every open level is read again, from the top, and the cursor stays where it is.
func (p *keyTree) Refresh() tea.Cmd {
	if p.keys == nil {
		return nil
	}
	p.gen++
	p.todo = p.todo[:0]
	for prefix := range p.levels {
		if prefix != p.base && p.open[prefix] {
			p.todo = append(p.todo, prefix)
		}
	}
	slices.Sort(p.todo)
	p.preview.key = "" // its value is read again as well
	return p.read(p.base, "")
}

// read reads children of a prefix: those after one of them, or all that were read before.
func (p *keyTree) read(prefix, after string) tea.Cmd {
	gen, limit := p.gen, keyPage
	if l := p.levels[prefix]; l != nil && after == "" {
		limit = max(limit, min(len(l.children), etcd.MaxPage))
	}
	return p.env.Read(p, "reading keys", func(ctx context.Context) any {
		level, err := p.keys.Children(ctx, prefix, after, limit)
		return levelRead{gen, prefix, after, level, err}
	})
}

// readAll implements allReader.
func (p *keyTree) readAll() tea.Cmd {
	if p.keys == nil {
		return nil
	}
	p.gen++
	gen := p.gen
	return p.env.Read(p, "reading keys", func(ctx context.Context) any {
		var all etcd.Level
		after := ""
		for {
			level, err := p.keys.Children(ctx, p.base, after, etcd.MaxPage)
			if err != nil {
				return levelRead{gen: gen, prefix: p.base, err: err}
			}
			all.Source, all.Children = level.Source, append(all.Children, level.Children...)
			if !level.More {
				return levelRead{gen: gen, prefix: p.base, level: all}
			}
			after = all.Children[len(all.Children)-1].Key
		}
	})
}

// Update implements Updater.
func (p *keyTree) Update(msg any) tea.Cmd {
	switch m := msg.(type) {
	case caughtUp:
		return p.Refresh()
	case previewRead:
		return p.previewed(m)
	case levelRead:
		if m.gen != p.gen {
			return nil
		}
		p.arrived(m)
	}
	if cmd := p.next(); cmd != nil {
		return cmd
	}
	return p.look()
}

// next reads the next level that waits for it.
func (p *keyTree) next() tea.Cmd {
	for len(p.todo) > 0 {
		prefix := p.todo[0]
		p.todo = p.todo[1:]
		if prefix == p.base || p.has(prefix) {
			return p.read(prefix, "")
		}
	}
	return nil
}

// has reports whether a prefix is in the tree.
func (p *keyTree) has(prefix string) bool {
	_, ok := p.nodes[prefixID(prefix)]
	return ok
}

// arrived takes a level in.
func (p *keyTree) arrived(m levelRead) {
	if m.prefix == p.base {
		if p.err = m.err; m.err != nil {
			p.tree.SetEmpty(safe.String(m.err.Error()))
		}
	}
	if m.err != nil {
		if p.levels[m.prefix] == nil {
			delete(p.open, m.prefix) // it is opened again by asking again
		}
		short := m.err
		if inner := errors.Unwrap(m.err); inner != nil { // the row tells which level it is
			short = inner
		}
		if errors.Is(short, rpctypes.ErrPermissionDenied) {
			short = fmt.Errorf("permission denied: %s", beginElsewhere) // every member says so: what counts stands first
		}
		p.tree.SetFailed(p.idOf(m.prefix), safe.Bounded(short.Error(), maxCell))
		return
	}
	p.source, p.at = m.level.Source, p.env.Now()
	l := p.levels[m.prefix]
	if l == nil || m.after == "" {
		if l != nil {
			p.prune(l.children, m.level.Children)
		}
		l = &keyLevel{}
		p.levels[m.prefix] = l
	}
	l.children, l.more = append(l.children, m.level.Children...), m.level.More
	if m.prefix == p.base && p.first {
		p.first = false
		p.begin()
	}
	if m.after != "" && p.filter.IsEmpty() {
		p.add(m.prefix, m.level)
		return
	}
	p.rebuild()
}

// add puts the next page of a level into the tree. It costs the page, not what was read before.
func (p *keyTree) add(prefix string, l etcd.Level) {
	nodes := make([]tree.Node, 0, len(l.Children))
	for _, c := range l.Children {
		id := childID(c)
		p.nodes[id] = c
		nodes = append(nodes, keyNode(id, c))
	}
	p.shown += len(nodes)
	p.tree.Append(p.idOf(prefix), nodes, l.More)
}

// begin opens the API server's prefix when the tree starts at its root.
func (p *keyTree) begin() {
	if p.base != "" {
		return
	}
	reg := strings.TrimSuffix(p.keys.Prefix(), etcd.Separator) + etcd.Separator
	if slices.ContainsFunc(p.levels[""].children, func(c etcd.Child) bool { return c.Key == reg }) {
		p.open[reg] = true
		p.todo = append(p.todo, reg)
	}
}

// prune forgets what was below children that are gone.
func (p *keyTree) prune(old, now []etcd.Child) {
	there := make(map[string]bool, len(now))
	for _, c := range now {
		there[c.Key] = true
	}
	for _, c := range old {
		if c.Leaf || there[c.Key] {
			continue
		}
		for prefix := range p.levels {
			if strings.HasPrefix(prefix, c.Key) {
				delete(p.levels, prefix)
				delete(p.open, prefix)
			}
		}
	}
}

// IDs in the tree: a key and a prefix may be the same bytes.
func prefixID(prefix string) string { return "p" + prefix }

func childID(c etcd.Child) string {
	if c.Leaf {
		return "k" + c.Key
	}
	return prefixID(c.Key)
}

func (p *keyTree) idOf(prefix string) string {
	if prefix == p.base {
		return tree.Root
	}
	return prefixID(prefix)
}

// rebuild gives the tree what was read and passes the filter. It costs what was read, and happens when something was.
func (p *keyTree) rebuild() {
	clear(p.nodes)
	p.shown = 0
	p.deliver(p.base)
	if !p.filter.IsEmpty() {
		p.tree.SetEmpty(safe.Sprintf("none of the %d keys and prefixes read so far matches /%s; Esc shows them", p.loaded(), p.filter.String()))
	} else if p.err == nil {
		p.tree.SetEmpty(safe.Sprintf("no key begins with %q", p.base))
	}
}

func (p *keyTree) deliver(prefix string) {
	l := p.levels[prefix]
	if l == nil {
		return
	}
	var nodes []tree.Node
	var below []string
	for _, c := range l.children {
		if !p.passes(c) {
			continue
		}
		p.shown++
		id := childID(c)
		p.nodes[id] = c
		nodes = append(nodes, keyNode(id, c))
		if !c.Leaf && (p.levels[c.Key] != nil || p.open[c.Key]) {
			below = append(below, c.Key)
		}
	}
	p.tree.SetChildren(p.idOf(prefix), nodes, l.more)
	for _, b := range below {
		p.deliver(b)
		if p.open[b] {
			p.tree.Expand(prefixID(b)) // what it has to fetch is on its way
		}
	}
}

// passes reports whether a child or something that was read below it matches the filter.
func (p *keyTree) passes(c etcd.Child) bool {
	if p.filter.Match(c.Key, nil) {
		return true
	}
	l := p.levels[c.Key]
	return !c.Leaf && l != nil && slices.ContainsFunc(l.children, p.passes)
}

func keyNode(id string, c etcd.Child) tree.Node {
	n := tree.Node{ID: id, Leaf: c.Leaf}
	switch {
	case c.Leaf && c.Name == "":
		n.Label = []draw.Span{{Text: safe.Lit("(the prefix itself)"), Style: theme.Dim}}
	case c.Leaf:
		n.Label = []draw.Span{{Text: safe.Bounded(c.Name, maxCell)}}
	default:
		n.Label = []draw.Span{{Text: safe.Bounded(c.Name, maxCell), Style: theme.Key}, {Text: safe.Lit("/"), Style: theme.Dim}}
		n.Right = []draw.Span{{Text: safe.Sprintf("%d ", c.Count), Style: theme.Dim}}
	}
	return n
}

// loaded is how many keys and prefixes were read.
func (p *keyTree) loaded() int {
	n := 0
	for _, l := range p.levels {
		n += len(l.children)
	}
	return n
}

// Title implements Pane. The filter can only look at what was read, and the title says so.
func (p *keyTree) Title() Title {
	t := Title{Name: safe.Lit("keys"), Scope: safe.String(firstOf(p.base, "all")), Filter: safe.String(p.filter.String())}
	switch n := p.loaded(); {
	case p.at.IsZero():
	case p.filter.IsEmpty():
		t.Count = fmt.Sprintf("%d loaded", n)
	default:
		t.Count = fmt.Sprintf("%d of %d loaded", p.shown, n)
	}
	return t
}

// State implements Pane.
func (p *keyTree) State() watchers.State {
	switch {
	case p.keys == nil:
		return watchers.State{Phase: watchers.Unsupported, Resource: "keys", Why: noEtcd(p.env)}
	case errors.Is(p.err, rpctypes.ErrPermissionDenied):
		what := "keys"
		if p.base != "" {
			what = fmt.Sprintf("keys below %q", p.base)
		}
		return watchers.State{Phase: watchers.Denied, Verb: "read", Resource: what, Why: p.err.Error()}
	}
	return readState(p.at, p.err)
}

// ReadAt implements Aged.
func (p *keyTree) ReadAt() time.Time { return p.at }

// Ticks implements Ticker: the age of what was read is shown.
func (p *keyTree) Ticks() bool { return !p.at.IsZero() }

// Scopes implements Pane.
func (p *keyTree) Scopes() []keymap.Scope { return []keymap.Scope{keymap.KeyTree, keymap.Table} }

// SetFilter implements Filterer: it looks at what was read so far, by the whole key.
func (p *keyTree) SetFilter(expr string) error {
	f, err := keyFilter(expr)
	return p.narrow(f, err, func() {
		if p.levels[p.base] != nil {
			p.rebuild()
		}
	})
}
