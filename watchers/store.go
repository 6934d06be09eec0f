package watchers

import (
	"fmt"
	"maps"
	"slices"
	"sync"

	"k8s.io/client-go/tools/cache"
)

// maxDelta is how many changed rows a subscriber remembers before its next build starts from all rows again; more when there are
// many rows, see touch.
const maxDelta = 4096

// maxRecent is how many builds back a snapshot can still find its rows by ID; the UI is one behind at most.
const maxRecent = 8

// Store holds the rows of one source. A write is O(1): it replaces a row and tells the builders that are subscribed. It is the
// store of a cache.Reflector (cache.TransformingStore): objects are projected into rows as they are decoded.
type Store struct {
	projector *Projector

	mu      sync.RWMutex
	rows    map[string]Row
	columns []TableColumn
	next    []TableColumn // of the list that is arriving, while the rows are still those of the one before; nil: none
	synced  bool
	subs    map[*subscription]struct{}
	indexes map[Index]*index // those that queries ask for

	onSync   func(rows int) // the source's: a whole list has arrived
	onChange func()         // the source's: a row was added, replaced or removed
}

var (
	_ cache.TransformingStore      = (*Store)(nil)
	_ cache.ReflectorBookmarkStore = (*Store)(nil)
)

// subscription is what one builder has yet to see of a store. Its fields belong to the store's lock.
type subscription struct {
	wake    chan struct{}
	within  Within         // all it wants to know of
	changed map[string]Row // the rows added, replaced or removed, as the builder knows them; nil: it does not
	all     bool           // too much has changed to be told one by one
	closed  bool
	seq     uint64 // number of the last take
	recent  []take // the last ones, the oldest first: see rowAt
}

// take is what one build has changed: the rows as they were before.
type take struct {
	seq    uint64
	before map[string]Row
}

func (s *subscription) poke() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func newStore(p *Projector) *Store {
	return &Store{projector: p, rows: map[string]Row{}, subs: map[*subscription]struct{}{}}
}

func (s *Store) subscribe(wake chan struct{}, within Within) *subscription {
	sub := &subscription{wake: wake, within: within, changed: map[string]Row{}, all: true}
	s.mu.Lock()
	s.subs[sub] = struct{}{}
	if within.index != "" {
		s.indexFor(within.index).users++
	}
	s.mu.Unlock()
	sub.poke()
	return sub
}

func (s *Store) unsubscribe(sub *subscription) {
	s.mu.Lock()
	delete(s.subs, sub)
	if x := s.indexes[sub.within.index]; x != nil && !sub.closed {
		if x.users--; x.users == 0 {
			delete(s.indexes, x.key)
		}
	}
	sub.closed, sub.changed, sub.recent = true, nil, nil
	s.mu.Unlock()
}

// Add puts an object, or a row, into the store.
func (s *Store) Add(obj any) error { return s.put(obj) }

// Update is Add.
func (s *Store) Update(obj any) error { return s.put(obj) }

func (s *Store) put(obj any) error {
	row, ok := s.projector.Project(obj)
	if !ok {
		return fmt.Errorf("keep an object: no row for %T", obj)
	}
	id := row.ID()
	s.mu.Lock()
	s.setLocked(id, row)
	s.mu.Unlock()
	return nil
}

// Delete removes an object, or a row, or what a cache.DeletedFinalStateUnknown holds.
func (s *Store) Delete(obj any) error {
	row, ok := s.projector.Project(obj)
	if !ok {
		return fmt.Errorf("remove an object: no row for %T", obj)
	}
	id := row.ID()
	s.mu.Lock()
	s.removeLocked(id)
	s.mu.Unlock()
	return nil
}

func (s *Store) setLocked(id string, row Row) {
	old := s.rows[id]
	s.rows[id] = row
	if old != row {
		for _, x := range s.indexes {
			x.change(old, row)
		}
		s.touch(id, old, row)
	}
}

func (s *Store) removeLocked(id string) {
	old, ok := s.rows[id]
	if !ok {
		return
	}
	delete(s.rows, id)
	for _, x := range s.indexes {
		x.change(old, nil)
	}
	s.touch(id, old, nil)
}

// touch tells the builders of a row that is no longer what it was: old is nil for a new one, row for one that is gone. It is called
// with the lock held.
func (s *Store) touch(id string, old, row Row) {
	if s.onChange != nil {
		s.onChange()
	}
	for sub := range s.subs {
		if sub.all {
			sub.poke()
			continue
		}
		before := old
		if sub.within.index != "" {
			if before = sub.within.only(old); before == nil && !sub.within.Holds(row) {
				continue
			}
		}
		if _, known := sub.changed[id]; !known {
			sub.changed[id] = before
		}
		if n := len(sub.changed); n > maxDelta && n > len(s.rows)/4 {
			sub.all = true
			clear(sub.changed)
		}
		sub.poke()
	}
}

// Replace makes the list all there is, in one step: nobody sees an empty store in between. Rows that have not changed, which is
// most of them after a break of the connection, are not a change.
func (s *Store) Replace(list []any, _ string) error {
	rows, err := s.rowsOf(list)
	if err != nil {
		return err
	}
	s.mu.Lock()
	before := s.rows
	s.rows, s.synced = rows, true
	for id, row := range rows {
		if old := before[id]; old != row {
			if old != nil && sameVersion(old, row) {
				rows[id] = old // what is shown stays what it is
				continue
			}
			s.touch(id, old, row)
		}
	}
	for id, old := range before {
		if _, ok := rows[id]; !ok {
			s.touch(id, old, nil)
		}
	}
	s.reindex()
	s.columnsLocked()
	s.pokeLocked()
	s.mu.Unlock()
	if s.onSync != nil {
		s.onSync(len(list))
	}
	return nil
}

// rowsOf makes rows of a list, by ID.
func (s *Store) rowsOf(list []any) (map[string]Row, error) {
	rows := make(map[string]Row, len(list))
	for _, obj := range list {
		row, ok := s.projector.Project(obj)
		if !ok {
			return nil, fmt.Errorf("keep a list: no row for %T", obj)
		}
		rows[row.ID()] = row
	}
	return rows, nil
}

// sameVersion reports whether two rows of one object were made of the same version of it, and so say the same. A server-side Table
// may hold what changes by itself.
func sameVersion(a, b Row) bool {
	if _, ok := a.(*TableRow); ok {
		return false
	}
	ma, mb := MetaOf(a), MetaOf(b)
	return ma != nil && mb != nil && ma.ResourceVersion != "" && ma.ResourceVersion == mb.ResourceVersion
}

func (s *Store) pokeLocked() {
	for sub := range s.subs {
		sub.poke()
	}
}

func (s *Store) touchAll() {
	for sub := range s.subs {
		sub.all = true
		sub.poke()
	}
}

// pokeAll wakes the builders for a reason other than a row: the source's state has changed.
func (s *Store) pokeAll() {
	s.mu.RLock()
	for sub := range s.subs {
		sub.poke()
	}
	s.mu.RUnlock()
}

// preview puts a row of a list that is still arriving into a store that has never been whole, so that something can be looked
// at while fifty thousand pods load. Replace settles what is true.
func (s *Store) preview(row Row) {
	s.mu.Lock()
	if !s.synced {
		s.setLocked(row.ID(), row)
	}
	s.mu.Unlock()
}

// setColumns is told the columns of a list that begins to arrive. Rows that are shown keep theirs until Replace: a cell is never
// under another's title.
func (s *Store) setColumns(c []TableColumn) {
	s.mu.Lock()
	if s.next = c; !s.synced {
		s.columnsLocked()
	}
	s.mu.Unlock()
}

// columnsLocked makes the columns of the list that has arrived those of the store. It is called with the lock held.
func (s *Store) columnsLocked() {
	if s.next != nil && !slices.Equal(s.next, s.columns) {
		s.columns = s.next
		s.touchAll()
	}
	s.next = nil
}

// Resync does nothing: rows have no other place to be reconciled with.
func (s *Store) Resync() error { return nil }

// Bookmark does nothing: the reflector keeps the resource version.
func (s *Store) Bookmark(string) error { return nil }

// Transformer projects objects into rows. The reflector applies it to objects of the list that is still arriving, and passes
// the rows to Replace: it is idempotent.
func (s *Store) Transformer() cache.TransformFunc {
	return func(obj any) (any, error) {
		row, ok := s.projector.Project(obj)
		if !ok {
			return nil, fmt.Errorf("project an object: no row for %T", obj)
		}
		return row, nil
	}
}

// get returns one row.
func (s *Store) get(id string) (Row, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	r, ok := s.rows[id]
	return r, ok
}

// count is the number of rows.
func (s *Store) count() int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return len(s.rows)
}

// all returns every row, in no order.
func (s *Store) all() []Row {
	s.mu.RLock()
	defer s.mu.RUnlock()
	out := make([]Row, 0, len(s.rows))
	for _, r := range s.rows {
		out = append(out, r)
	}
	return out
}

// rowAt returns a row as it was when the subscriber took for the seq-th time. known is false when that is too long ago.
func (s *Store) rowAt(sub *subscription, seq uint64, id string) (r Row, known bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	switch {
	case sub.closed, sub.all, seq > sub.seq:
		return nil, false
	case seq < sub.seq && (len(sub.recent) == 0 || sub.recent[0].seq > seq+1):
		return nil, false
	}
	for _, t := range sub.recent {
		if t.seq > seq {
			if r, ok := t.before[id]; ok {
				return r, true
			}
		}
	}
	if r, ok := sub.changed[id]; ok {
		return r, true
	}
	return s.rows[id], true
}

// change is one row before and after; nil: it was not there, or is no longer.
type change struct{ before, after Row }

// delta is what a builder takes from a store.
type delta struct {
	full    bool
	rows    []Row    // full: all of them
	changes []change // not full: what has changed
	seq     uint64
	total   int
	columns []TableColumn
}

func (d *delta) empty() bool { return !d.full && len(d.changes) == 0 }

// take returns what has changed for a subscriber since the last call; everything when full is asked for or too much changed.
func (s *Store) take(sub *subscription, full bool) delta {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := delta{full: full || sub.all, total: len(s.rows), columns: s.columns}
	x := s.indexes[sub.within.index]
	if x != nil {
		d.total = len(x.rows[sub.within.value])
	}
	switch {
	case d.full:
		if x != nil {
			d.rows = slices.Clone(x.rows[sub.within.value])
		} else {
			d.rows = slices.AppendSeq(make([]Row, 0, len(s.rows)), maps.Values(s.rows))
		}
		sub.recent = nil
		if sub.changed != nil {
			sub.changed = map[string]Row{} // a map that was large stays large
		}
		sub.seq++
	case len(sub.changed) > 0:
		d.changes = make([]change, 0, len(sub.changed))
		for id, before := range sub.changed {
			if after := sub.within.only(s.rows[id]); before != after {
				d.changes = append(d.changes, change{before, after})
			}
		}
		sub.seq++
		if len(sub.recent) == maxRecent {
			copy(sub.recent, sub.recent[1:])
			sub.recent = sub.recent[:maxRecent-1]
		}
		sub.recent = append(sub.recent, take{sub.seq, sub.changed})
		sub.changed = map[string]Row{}
	}
	sub.all = false
	d.seq = sub.seq
	return d
}

// replaceNamespace makes the list all there is in one namespace, in one step; the rows of other namespaces stay. See parts.go.
func (s *Store) replaceNamespace(namespace string, list []any) error {
	rows, err := s.rowsOf(list)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.synced = true
	s.columnsLocked()
	for id, old := range s.rows {
		if _, ok := rows[id]; !ok && old.GetNamespace() == namespace {
			s.removeLocked(id)
		}
	}
	for id, row := range rows {
		if old := s.rows[id]; old == nil || !sameVersion(old, row) {
			s.setLocked(id, row)
		}
	}
	s.pokeLocked()
	return nil
}

// keepNamespaces removes the rows of all other namespaces.
func (s *Store) keepNamespaces(names []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, old := range s.rows {
		if !slices.Contains(names, old.GetNamespace()) {
			s.removeLocked(id)
		}
	}
}
