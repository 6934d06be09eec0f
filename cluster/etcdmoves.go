package cluster

import "time"

// Move is a move of the leadership that fathom asked for.
type Move struct {
	From, To uint64 // member IDs
	At       time.Time
}

// NoteMove is called by whoever asks etcd to move the leadership, before the request: the timeline of leaders then knows why it
// changed. From is 0 when it is not known.
func (e *Etcd) NoteMove(from, to uint64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.move = Move{from, to, time.Now()}
}

// LastMove is the newest move that fathom asked for; zero: none.
func (e *Etcd) LastMove() Move {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.move
}
