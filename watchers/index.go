package watchers

import (
	"slices"
	"strings"
)

// Index names a way to find the rows that belong together without looking at all of them. A store makes an index when a query first
// asks for it, keeps it row by row, and gives it up with the last query that does.
type Index string

// Indexes. Their values are made by [OnNode], [InNamespace], [OwnedBy] and [Labelled].
const (
	byNode      Index = "node"
	byNamespace Index = "namespace"
	byOwner     Index = "owner"
	byLabel     Index = "label/" // and the label's key
)

// Within restricts a query to the rows with one value of an index: what is outside costs nothing, neither at first nor when it
// changes. The zero Within restricts nothing.
type Within struct {
	index Index
	value string
}

// OnNode is the pods of a node.
func OnNode(name string) Within { return Within{byNode, name} }

// InNamespace is the rows of a namespace.
func InNamespace(ns string) Within { return Within{byNamespace, ns} }

// OwnedBy is the rows whose controller is the named object of the same namespace.
func OwnedBy(ns, kind, name string) Within { return Within{byOwner, ns + "/" + kind + "/" + name} }

// Labelled is the rows of a namespace with a label: the first step of a selector.
func Labelled(ns, key, value string) Within { return Within{byLabel + Index(key), ns + "/" + value} }

// of returns a row's value; empty: it is not in the index.
func (x Index) of(r Row) string {
	switch x {
	case byNode:
		if p, ok := r.(*PodRow); ok {
			return p.Node
		}
		return ""
	case byNamespace:
		return r.GetNamespace()
	case byOwner:
		o := ownerOf(r)
		if o.Kind == "" {
			return ""
		}
		return r.GetNamespace() + "/" + o.Kind + "/" + o.Name
	}
	key, _ := strings.CutPrefix(string(x), string(byLabel))
	if m := MetaOf(r); m != nil {
		if v, ok := m.Labels.Lookup(key); ok {
			return m.Namespace + "/" + v
		}
	}
	return ""
}

func ownerOf(r Row) Owner {
	switch r := r.(type) {
	case *PodRow:
		return r.Owner
	case *WorkloadRow:
		return r.Owner
	case *JobRow:
		return r.Owner
	}
	return Owner{}
}

// Holds reports whether a row is within; a nil row is not. Everything is within the zero Within.
func (w *Within) Holds(r Row) bool { return r != nil && (w.index == "" || w.index.of(r) == w.value) }

// only returns the row if it is within, nil otherwise.
func (w *Within) only(r Row) Row {
	if w.index != "" && !w.Holds(r) {
		return nil
	}
	return r
}

// index is the rows of a store by their values. It belongs to the store's lock.
type index struct {
	key   Index
	rows  map[string][]Row // in no order
	users int
}

func newIndex(key Index, rows map[string]Row) *index {
	x := &index{key: key, rows: map[string][]Row{}}
	for _, r := range rows {
		x.change(nil, r)
	}
	return x
}

// change takes before out and puts after in; either may be nil.
func (x *index) change(before, after Row) {
	from, to := "", ""
	if before != nil {
		from = x.key.of(before)
	}
	if after != nil {
		to = x.key.of(after)
	}
	if from != "" {
		rows := x.rows[from]
		if i := slices.Index(rows, before); i >= 0 {
			if from == to {
				rows[i] = after
				return
			}
			last := len(rows) - 1
			rows[i], rows[last] = rows[last], nil
			x.rows[from] = rows[:last]
			if last == 0 {
				delete(x.rows, from)
			}
		}
	}
	if to != "" {
		x.rows[to] = append(x.rows[to], after)
	}
}

// indexFor returns the index of a query, made if nobody had it. It is called with the lock held.
func (s *Store) indexFor(key Index) *index {
	x := s.indexes[key]
	if x == nil {
		x = newIndex(key, s.rows)
		if s.indexes == nil {
			s.indexes = map[Index]*index{}
		}
		s.indexes[key] = x
	}
	return x
}

// reindex makes the indexes anew after all rows were replaced. It is called with the lock held.
func (s *Store) reindex() {
	for key, x := range s.indexes {
		fresh := newIndex(key, s.rows)
		fresh.users = x.users
		s.indexes[key] = fresh
	}
}
