// Package watchers is the read side: informers, etcd status and key watches, log streams. Events become O(1) updates of a
// store; a builder goroutine per visible feed publishes immutable snapshots at most every [MinPublish]; the UI pulls.
package watchers

import "time"

// MinPublish is the shortest time between two snapshots of a feed.
const MinPublish = 100 * time.Millisecond

// Phase is what a source is doing.
type Phase uint8

// Phases of a source.
const (
	Connecting  Phase = iota // no data yet; Loaded counts what has arrived
	Live                     // the watch is open and its server answers
	Stale                    // it was live; the data is from Since and Why says what went wrong
	Denied                   // the server refused Verb on Resource
	Unsupported              // the server does not have this
)

// State is a source's state. Old data stays on screen, marked, when a source goes stale.
type State struct {
	Phase    Phase
	Since    time.Time // when the phase began; for Stale, when the data was last known to be true
	Why      string    // untrusted text: an error of a server or of the network
	Verb     string    // Denied: the verb that was refused
	Resource string    // Denied, Unsupported: the resource as group/resource
	Loaded   int       // Connecting: objects received so far
	Partial  bool      // Live: of what was asked for only a part may be read; Why says which
}

// Row is one immutable line of a pane. Rows are pointers to slim structs; a changed object is a new Row.
type Row interface {
	// ID is the row's identity: a UID, an etcd member id in hex, an etcd key. Never an index.
	ID() string
	// GetNamespace is empty for cluster-scoped rows.
	GetNamespace() string
	GetName() string
}

// Query says which rows a feed shows and in what order. The functions run in the feed's builder goroutines, never in the
// UI's, possibly in two at once, and must not retain the row. What they say of a row must not change while the row does not.
type Query struct {
	Match func(Row) bool     // nil: every row
	Less  func(a, b Row) int // like cmp.Compare; nil: by namespace, then name. Ties are broken by ID
	// Sort names Less: queries of a feed with the same name order equally, so that a new filter does not sort again.
	Sort string
	// Narrows is the tag of a query of the feed, if every row that this one matches that one matched too: then only what it showed is
	// looked at.
	Narrows string
	// Within restricts the query to what an index has. It is fixed when the feed is opened.
	Within Within
	Tag    string // copied into the snapshot, so that the UI sees which query a snapshot answers
}

// Snapshot is an immutable, sorted and filtered picture of a source.
type Snapshot struct {
	Gen   uint64 // grows with every published snapshot of a feed
	Tag   string // the query's
	Total int    // rows before filtering
	State State
	At    time.Time // when it was built
	// Columns is set for server-side Tables: the columns the server sent.
	Columns []TableColumn

	rows  order
	total func(a, b Row) int
	store *Store
	sub   *subscription
	seq   uint64
}

// TableColumn is a column definition of a server-side Table (metav1.TableColumnDefinition).
type TableColumn struct {
	Name, Type, Format, Description string
	Priority                        int32 // 0: shown in the standard view
}

// Len is the number of rows.
func (s *Snapshot) Len() int { return s.rows.len() }

// Row returns row i, with 0 <= i < Len(). It costs a search among chunks of rows.
func (s *Snapshot) Row(i int) Row { return s.rows.at(i) }

// All returns the rows in a slice of its own: for print, not for drawing.
func (s *Snapshot) All() []Row { return s.rows.all() }

// Find returns the index of the row with that ID. It costs two searches of logarithmic length for a snapshot that is one of the
// newest of an open feed, and a look at every row for any other.
func (s *Snapshot) Find(id string) (int, bool) {
	if s.store != nil {
		if r, known := s.store.rowAt(s.sub, s.seq, id); known {
			if r == nil {
				return 0, false
			}
			return s.rows.find(r, s.total)
		}
	}
	n := 0
	for _, c := range s.rows.chunks {
		for i, r := range c {
			if r.ID() == id {
				return n + i, true
			}
		}
		n += len(c)
	}
	return 0, false
}

// Window returns a snapshot of at most n rows around row i, which holds on to nothing else, and the index of row i in it. It is
// for a pane that is no longer looked at.
func (s *Snapshot) Window(i, n int) (*Snapshot, int) {
	from := max(0, min(i-n/2, s.Len()-n))
	var rows []Row
	for k := from; k < min(from+n, s.Len()); k++ {
		rows = append(rows, s.Row(k))
	}
	w := *s
	w.rows, w.store, w.sub = newOrder(rows), nil, nil
	return &w, i - from
}
