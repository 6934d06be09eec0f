package etcd

import (
	"cmp"
	"slices"
	"strings"
)

// Bounds of what a scan of the space keeps: nodes of 300 to 400 bytes each, and the largest keys.
const (
	maxSpaceNodes    = 30_000
	maxSpaceChildren = 2_000 // of one node
	maxSpaceDepth    = 8
	maxSpaceTop      = 200 // keys of the list of the largest values, and of that of the most written ones
)

// SpaceUse is what keys take.
type SpaceUse struct {
	Keys       int64
	KeyBytes   int64
	ValueBytes int64
	Writes     int64 // the sum of their versions: how often they were written since they were created
	Largest    SpaceKey
	Most       SpaceKey // the one that was written most often
}

// Bytes is the size of keys and values.
func (u SpaceUse) Bytes() int64 { return u.KeyBytes + u.ValueBytes }

func (u *SpaceUse) add(k SpaceKey) {
	u.Keys++
	u.KeyBytes += int64(len(k.Key))
	u.ValueBytes += k.Bytes
	u.Writes += k.Version
	if k.Bytes > u.Largest.Bytes || u.Largest.Key == "" {
		u.Largest = k
	}
	if k.Version > u.Most.Version {
		u.Most = k
	}
}

// SpaceKey is one key.
type SpaceKey struct {
	Key     string // untrusted
	Bytes   int64  // of its value
	Version int64
}

// SpaceRow is a part of a level of the tree, or a resource, with what it takes.
type SpaceRow struct {
	SpaceUse
	// Name is what it is called on its level; Prefix is what its keys begin with, empty where that is not one prefix. Untrusted.
	Name, Prefix string
	Leaf         bool // there is no level below it: its keys are listed by :keys
	Rest         bool // it stands for what could not be told apart, or lies on this level itself
	// Before is what it took when it was scanned before; nil: it was not, or could not be told from others, or this scan is not over.
	Before *SpaceUse
}

// spaceNode is a prefix.
type spaceNode struct {
	SpaceUse
	name, prefix string
	own          SpaceUse // keys of this level itself
	rest         SpaceUse // keys of children that there was no room for
	children     map[string]*spaceNode
}

// spaceTree is what a scan knows. It is guarded by its owner.
type spaceTree struct {
	prefix    string // the API server's
	base      string // what all keys of the scan begin with, up to a separator
	root      *spaceNode
	nodes     int
	resources map[string]*spaceNode
	largest   []SpaceKey
	most      []SpaceKey
}

func newSpaceTree(apiPrefix, scope string) *spaceTree {
	base := scope[:strings.LastIndex(scope, Separator)+1]
	return &spaceTree{prefix: apiPrefix, base: base, root: &spaceNode{prefix: base}, nodes: 1, resources: map[string]*spaceNode{}}
}

// add counts a key into every level it is on.
func (t *spaceTree) add(k SpaceKey) {
	t.top(k)
	n := t.root
	n.add(k)
	rest := strings.TrimPrefix(k.Key, t.base)
	for depth := 0; ; depth++ {
		from := 0
		if depth == 0 && t.base == "" && strings.HasPrefix(rest, Separator) {
			from = 1 // "/registry" is one name, as in the tree of keys
		}
		i := strings.Index(rest[from:], Separator)
		if i < 0 || depth == maxSpaceDepth {
			n.own.add(k)
			break
		}
		name := rest[:from+i]
		rest = rest[from+i+1:]
		c := n.children[name]
		if c == nil {
			if t.nodes >= maxSpaceNodes || len(n.children) >= maxSpaceChildren {
				n.rest.add(k)
				break
			}
			if n.children == nil {
				n.children = map[string]*spaceNode{}
			}
			name = strings.Clone(name)
			c = &spaceNode{name: name, prefix: strings.Clone(k.Key[:len(k.Key)-len(rest)])}
			n.children[name] = c
			t.nodes++
		}
		c.add(k)
		n = c
	}
	resource := resourceOf(t.prefix, k.Key)
	r := t.resources[resource]
	if r == nil {
		if len(t.resources) >= maxSpaceChildren {
			return
		}
		r = &spaceNode{name: strings.Clone(resource)}
		t.resources[r.name] = r
	}
	r.add(k)
}

// top keeps the largest and the most written keys.
func (t *spaceTree) top(k SpaceKey) {
	keep := func(list *[]SpaceKey, less func(a, b SpaceKey) int) {
		l := *list
		if len(l) == maxSpaceTop && less(k, l[len(l)-1]) >= 0 {
			return
		}
		i, _ := slices.BinarySearchFunc(l, k, less)
		if len(l) == maxSpaceTop {
			l = l[:len(l)-1]
		}
		*list = slices.Insert(l, i, k)
	}
	keep(&t.largest, func(a, b SpaceKey) int { return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), cmp.Compare(a.Key, b.Key)) })
	if k.Version > 1 {
		keep(&t.most, func(a, b SpaceKey) int { return cmp.Or(cmp.Compare(b.Version, a.Version), cmp.Compare(a.Key, b.Key)) })
	}
}

// find is the node of a prefix; nil when there is none, and then it may be among those that there was no room for.
func (t *spaceTree) find(prefix string) (n *spaceNode, untold bool) {
	n = t.root
	for prefix != n.prefix {
		rest, ok := strings.CutPrefix(prefix, n.prefix)
		if !ok {
			return nil, false
		}
		from := 0
		if n.prefix == "" && strings.HasPrefix(rest, Separator) {
			from = 1
		}
		i := strings.Index(rest[from:], Separator)
		if i < 0 {
			return nil, false
		}
		c := n.children[rest[:from+i]]
		if c == nil {
			return nil, n.rest.Keys > 0
		}
		n = c
	}
	return n, false
}

// level lists what is below a prefix: at most maxSpaceChildren rows and two.
func (t *spaceTree) level(prefix string, before *spaceTree) []SpaceRow {
	n, _ := t.find(prefix)
	if n == nil {
		return nil
	}
	old := &spaceNode{}
	if before != nil {
		if b, _ := before.find(prefix); b != nil {
			old = b
		}
	}
	rows := make([]SpaceRow, 0, len(n.children)+2)
	for _, c := range n.children {
		r := SpaceRow{SpaceUse: c.SpaceUse, Name: c.name, Prefix: c.prefix, Leaf: len(c.children) == 0}
		if before != nil {
			switch b, untold := before.find(c.prefix); {
			case b != nil:
				r.Before = &b.SpaceUse
			case !untold:
				r.Before = &SpaceUse{} // it is new
			}
		}
		rows = append(rows, r)
	}
	extra := func(name string, u SpaceUse, was *SpaceUse) {
		if u.Keys == 0 {
			return
		}
		r := SpaceRow{SpaceUse: u, Name: name, Prefix: n.prefix, Leaf: true, Rest: true}
		if before != nil {
			r.Before = was
		}
		rows = append(rows, r)
	}
	if len(n.children) > 0 || n == t.root {
		extra("(keys of this level)", n.own, &old.own)
	}
	extra("(others: too many to tell apart)", n.rest, &old.rest)
	return rows
}

// byResource lists the resources of the API server, and one row for all that is none.
func (t *spaceTree) byResource(before *spaceTree) []SpaceRow {
	rows := make([]SpaceRow, 0, len(t.resources))
	for name, n := range t.resources {
		r := SpaceRow{SpaceUse: n.SpaceUse, Name: name, Leaf: true, Rest: name == ""}
		if name == "" {
			r.Name = "(not of the API server)"
		}
		if before != nil {
			r.Before = &SpaceUse{}
			if b := before.resources[name]; b != nil {
				r.Before = &b.SpaceUse
			}
		}
		rows = append(rows, r)
	}
	return rows
}

// resourceOf is the resource that the API server keeps under a key: "pods", "widgets.example.io"; empty when the key is none of its.
func resourceOf(prefix, key string) string {
	rest, ok := strings.CutPrefix(key, strings.TrimSuffix(prefix, Separator)+Separator)
	if !ok {
		return ""
	}
	first, rest, ok := strings.Cut(rest, Separator)
	if !ok {
		return ""
	}
	second, _, deeper := strings.Cut(rest, Separator)
	switch {
	case first == "services" && second == "endpoints" && deeper:
		return "endpoints"
	case strings.Contains(first, ".") && deeper: // of a group: custom resources, and those that define them
		return second + "." + first
	}
	return atPlace(first).Resource
}

// resourcePart is what keys of the same resource begin with.
func resourcePart(key string) string {
	n := 0
	for i := range key {
		if key[i] == Separator[0] {
			if n++; n == 3 {
				return key[:i]
			}
		}
	}
	return key
}
