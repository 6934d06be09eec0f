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
}

// Row is one immutable line of a pane. Rows are pointers to slim structs; a changed object is a new Row.
type Row interface {
	// ID is the row's identity: a UID, an etcd member id in hex, an etcd key. Never an index.
	ID() string
	// GetNamespace is empty for cluster-scoped rows.
	GetNamespace() string
	GetName() string
}

// Query says which rows a feed shows and in what order. Both functions run in the feed's builder goroutine, never in the
// UI's, and must not retain the row.
type Query struct {
	Match func(Row) bool     // nil: every row
	Less  func(a, b Row) int // like cmp.Compare; nil: by namespace, then name. Ties are broken by ID
	Tag   string             // copied into the snapshot, so that the UI sees which query a snapshot answers
}

// Snapshot is an immutable, sorted and filtered picture of a source.
type Snapshot struct {
	Gen   uint64 // grows with every published snapshot of a feed
	Tag   string // the query's
	Rows  []Row
	Total int // rows before filtering
	State State
	At    time.Time // when it was built
	// Columns is set for server-side Tables: the columns the server sent.
	Columns []TableColumn
	index   map[string]int32
}

// TableColumn is a column definition of a server-side Table (metav1.TableColumnDefinition).
type TableColumn struct {
	Name, Type, Format, Description string
	Priority                        int32 // 0: shown in the standard view
}

// Find returns the index of the row with that ID.
func (s *Snapshot) Find(id string) (int, bool) {
	i, ok := s.index[id]
	return int(i), ok
}
