package watchers

import (
	"fmt"
	"sync"

	"k8s.io/client-go/tools/cache"
)

// maxDelta is how many changed rows a subscriber remembers before its next build starts from all rows again.
const maxDelta = 4096

// Store holds the rows of one source. A write is O(1): it replaces a row and tells the builders that are subscribed. It is the
// store of a cache.Reflector (cache.TransformingStore): objects are projected into rows as they are decoded.
type Store struct {
	projector *Projector

	mu      sync.RWMutex
	rows    map[string]Row
	columns []TableColumn
	synced  bool
	subs    map[*subscription]struct{}

	onSync func() // the source's: a whole list has arrived
}

var (
	_ cache.TransformingStore      = (*Store)(nil)
	_ cache.ReflectorBookmarkStore = (*Store)(nil)
)

// subscription is what one builder has yet to see of a store. Its fields belong to the store's lock.
type subscription struct {
	wake    chan struct{}
	changed map[string]struct{} // rows added, replaced or removed
	all     bool                // too much has changed to be told one by one
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

func (s *Store) subscribe(wake chan struct{}) *subscription {
	sub := &subscription{wake: wake, changed: map[string]struct{}{}, all: true}
	s.mu.Lock()
	s.subs[sub] = struct{}{}
	s.mu.Unlock()
	sub.poke()
	return sub
}

func (s *Store) unsubscribe(sub *subscription) {
	s.mu.Lock()
	delete(s.subs, sub)
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
	s.rows[id] = row
	s.touch(id)
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
	if _, ok := s.rows[id]; ok {
		delete(s.rows, id)
		s.touch(id)
	}
	s.mu.Unlock()
	return nil
}

// touch is called with the lock held.
func (s *Store) touch(id string) {
	for sub := range s.subs {
		if !sub.all {
			sub.changed[id] = struct{}{}
			if len(sub.changed) > maxDelta {
				sub.all = true
			}
		}
		sub.poke()
	}
}

// Replace swaps all rows for the list, in one step: nobody sees an empty store in between.
func (s *Store) Replace(list []any, _ string) error {
	rows := make(map[string]Row, len(list))
	for _, obj := range list {
		row, ok := s.projector.Project(obj)
		if !ok {
			return fmt.Errorf("keep a list: no row for %T", obj)
		}
		rows[row.ID()] = row
	}
	s.mu.Lock()
	s.rows, s.synced = rows, true
	s.touchAll()
	s.mu.Unlock()
	if s.onSync != nil {
		s.onSync()
	}
	return nil
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
		id := row.ID()
		s.rows[id] = row
		s.touch(id)
	}
	s.mu.Unlock()
}

func (s *Store) setColumns(c []TableColumn) {
	s.mu.Lock()
	s.columns = c
	s.touchAll()
	s.mu.Unlock()
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

// delta is what a builder takes from a store.
type delta struct {
	full    bool
	rows    []Row               // full: all of them; otherwise the changed rows that are there
	changed map[string]struct{} // not full: the IDs that changed
	total   int
	columns []TableColumn
}

// take returns what has changed for a subscriber since the last call; everything when full is asked for or too much changed.
func (s *Store) take(sub *subscription, full bool) delta {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := delta{full: full || sub.all, total: len(s.rows), columns: s.columns}
	if d.full {
		d.rows = make([]Row, 0, len(s.rows))
		for _, r := range s.rows {
			d.rows = append(d.rows, r)
		}
	} else {
		for id := range sub.changed {
			if r, ok := s.rows[id]; ok {
				d.rows = append(d.rows, r)
			}
		}
	}
	if len(sub.changed) > 0 {
		d.changed, sub.changed = sub.changed, map[string]struct{}{}
	}
	sub.all = false
	return d
}

// forget marks everything as seen.
func (s *Store) forget(sub *subscription) {
	s.mu.Lock()
	clear(sub.changed)
	sub.all = false
	s.mu.Unlock()
}
