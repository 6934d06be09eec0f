// Package tree is a tree whose children are fetched when they are asked for: the prefixes of etcd's key space, owners and
// what they own. The visible nodes are kept flattened, so that moving and drawing cost what is on screen; flattening anew costs
// the open part of the tree and happens when a node was opened or closed or children came.
package tree

import (
	"fathom/internal/safe"
	"fathom/theme"
	"fathom/ui/draw"
)

// Node is what the tree's owner knows of a node.
type Node struct {
	ID    string // unique in the whole tree, not empty
	Label []draw.Span
	Right []draw.Span // drawn at the right edge: counts, sizes
	Leaf  bool        // it cannot have children
}

// Root is the ID under which the children of the tree itself are set: they are the roots.
const Root = ""

// Kind is what a row of the tree is.
type Kind uint8

// Kinds of rows.
const (
	IsNode    Kind = iota
	IsMore         // "more…": there are children that were not fetched yet
	IsLoading      // the children are being fetched
	IsFailed       // fetching the children failed
)

type state uint8

const (
	unknown state = iota // children were never asked for
	loading
	loaded
	failed
)

type node struct {
	Node
	parent   *node
	children []*node
	depth    int
	state    state
	open     bool
	more     bool
	failure  safe.Text
}

type row struct {
	n    *node // of rows that are not nodes: the one whose children they stand for
	kind Kind
}

// Tree is a lazy tree. It is not safe for concurrent use. Make one with [New].
type Tree struct {
	th    *theme.Theme
	root  *node
	byID  map[string]*node
	rows  []row
	stale bool // rows has to be made anew

	cur     row
	idx     int
	gone    string
	top     int
	visible int
	empty   safe.Text
}

// New makes an empty tree. Its roots are set with SetChildren(Root, …).
func New(th *theme.Theme) *Tree {
	root := &node{depth: -1, open: true}
	return &Tree{th: th, root: root, byID: map[string]*node{Root: root}, empty: safe.Lit("nothing to show")}
}

// SetEmpty sets what is shown when there are no roots.
func (t *Tree) SetEmpty(msg safe.Text) { t.empty = msg }

// Expand opens a node. It returns true when its children were never fetched, or fetching them failed: then the caller
// fetches them and calls [Tree.SetChildren] or [Tree.SetFailed]; until then the node says that it is loading.
func (t *Tree) Expand(id string) (fetch bool) {
	n, ok := t.byID[id]
	if !ok || n.Leaf {
		return false
	}
	if !n.open {
		n.open = true
		t.stale = true
	}
	if n.state == unknown || n.state == failed {
		n.state = loading
		t.stale = true
		return true
	}
	return false
}

// More says that the next page of a node's children is being fetched, for the loading mark. It returns false when there
// is none or it is being fetched already. [Tree.Append] or [Tree.SetFailed] ends it.
func (t *Tree) More(id string) (fetch bool) {
	n, ok := t.byID[id]
	if !ok || !n.more || n.state == loading {
		return false
	}
	n.state = loading
	t.stale = true
	return true
}

// Collapse closes a node. It returns false when there was nothing to close. A cursor within it goes to the node.
func (t *Tree) Collapse(id string) bool {
	n, ok := t.byID[id]
	if !ok || !n.open || n == t.root {
		return false
	}
	t.flatten()
	for c := t.cur.n; c != nil; c = c.parent {
		if c == n && (t.cur.n != n || t.cur.kind != IsNode) {
			t.cur = row{n: n}
			break
		}
	}
	n.open = false
	t.stale = true
	return true
}

// Toggle opens a closed node and closes an open one. fetch is as of [Tree.Expand].
func (t *Tree) Toggle(id string) (fetch bool) {
	if t.Collapse(id) {
		return false
	}
	return t.Expand(id)
}

// Open reports whether a node is open.
func (t *Tree) Open(id string) bool {
	n, ok := t.byID[id]
	return ok && n.open
}

// Loaded reports whether children of a node were delivered.
func (t *Tree) Loaded(id string) bool {
	n, ok := t.byID[id]
	return ok && (n.state == loaded || len(n.children) > 0)
}

// Parent is the ID of a node's parent, [Root] of a root; not ok for nodes that are not in the tree.
func (t *Tree) Parent(id string) (parent string, ok bool) {
	n, ok := t.byID[id]
	if !ok || n == t.root {
		return Root, false
	}
	return n.parent.ID, true
}

// SetChildren replaces the children of a node. more says that there are others that were not fetched. Children that were
// there before keep what is below them and whether they are open. Of nodes with an ID that is taken elsewhere in the tree,
// and of doubles, the later ones are left out.
func (t *Tree) SetChildren(id string, nodes []Node, more bool) {
	n, ok := t.byID[id]
	if !ok {
		return
	}
	t.flatten() // where the cursor is now decides where it goes
	old := n.children
	n.children = make([]*node, 0, len(nodes))
	keep := make(map[*node]struct{}, len(old))
	for _, c := range nodes {
		k, taken := t.byID[c.ID]
		if taken {
			if _, twice := keep[k]; twice || k.parent != n {
				continue
			}
			k.Node = c
			if c.Leaf {
				t.forget(k.children)
				k.children, k.open, k.state, k.more = nil, false, unknown, false
			}
		} else {
			k = t.add(n, c)
		}
		keep[k] = struct{}{}
		n.children = append(n.children, k)
	}
	for _, c := range old {
		if _, ok := keep[c]; !ok {
			t.forget([]*node{c})
		}
	}
	t.delivered(n, more)
}

// Append adds the next page of children to a node.
func (t *Tree) Append(id string, nodes []Node, more bool) {
	n, ok := t.byID[id]
	if !ok {
		return
	}
	t.flatten()
	for _, c := range nodes {
		if _, taken := t.byID[c.ID]; !taken {
			n.children = append(n.children, t.add(n, c))
		}
	}
	t.delivered(n, more)
}

// SetFailed says that fetching a node's children failed and why. Those that were there stay.
func (t *Tree) SetFailed(id string, why safe.Text) {
	if n, ok := t.byID[id]; ok {
		t.flatten()
		n.state, n.failure = failed, why
		t.stale = true
	}
}

// SetNode changes what is shown of a node that is in the tree: a new count.
func (t *Tree) SetNode(c Node) (ok bool) {
	n, ok := t.byID[c.ID]
	if ok && n != t.root {
		leaf := n.Leaf
		n.Node = c
		n.Leaf = leaf // whether it has children is decided when it is added
	}
	return ok
}

func (t *Tree) add(parent *node, c Node) *node {
	k := &node{Node: c, parent: parent, depth: parent.depth + 1}
	t.byID[c.ID] = k
	return k
}

func (t *Tree) delivered(n *node, more bool) {
	n.state, n.more = loaded, more
	t.stale = true
}

// forget takes nodes and all that is below them out of the index.
func (t *Tree) forget(nodes []*node) {
	for _, n := range nodes {
		if t.byID[n.ID] == n {
			delete(t.byID, n.ID)
		}
		t.forget(n.children)
	}
}
