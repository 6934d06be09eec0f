package watchers

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
)

// maxLists is how many lists of a hub run at once, streamed or in pages, the first ones and those after a break alike: ten kinds
// that are read again after an outage must not take the API server (and this process's memory) by storm.
const maxLists = 3

// waitingWhy is what a source says that waits for its turn.
const waitingWhy = "waiting: three lists are running"

// errGaveWay ends a list that nobody looks at, so that one that somebody looks at can begin.
var errGaveWay = errors.New("the list gave way to one that is looked at")

// slots are the places for lists. Who waits is served by need: what is looked at before what is not (a closed pane's source goes on
// for the grace period), an empty pane before one that shows old rows, and then the newest pane first, because the hand that opened
// it is waiting; what was opened together, in order. A list that nobody looks at ends when one that is looked at has to wait: a pane
// opened by hand never waits behind panes that were left.
type slots struct {
	mu      sync.Mutex
	running []*ticket
	waiting []*ticket
	told    func(running int) // called with the lock held, when lists begin and end; nil: nobody asks
}

// tell says how many lists run. It is called with the lock held.
func (s *slots) tell() {
	if s.told != nil {
		s.told(len(s.running))
	}
}

// ticket is one part's place in the queue. Its fields belong to the lock of slots.
type ticket struct {
	slots   *slots
	part    *part
	granted chan struct{} // closed when its turn has come; nil: it does not wait
	giveWay func()        // ends the list that runs
	told    bool          // giveWay was called
}

// take waits for a place. A ticket that has one keeps it.
func (t *ticket) take(ctx context.Context) error {
	s := t.slots
	s.mu.Lock()
	if slices.Contains(s.running, t) {
		s.mu.Unlock()
		return nil
	}
	t.giveWay, t.told = nil, false
	if len(s.running) < maxLists {
		s.running = append(s.running, t)
		s.tell()
		s.mu.Unlock()
		return nil
	}
	granted := make(chan struct{})
	t.granted = granted
	s.waiting = append(s.waiting, t)
	s.mu.Unlock()
	s.rebalance()
	t.part.status.wait(true)
	defer t.part.status.wait(false)
	select {
	case <-granted:
		return nil
	case <-ctx.Done():
		t.give() // the turn may have come meanwhile
		return ctx.Err()
	}
}

// give gives the place, or the place in the queue, back. It may be called at any time.
func (t *ticket) give() {
	s := t.slots
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiting = remove(s.waiting, t)
	if n := len(s.running); n == 0 || !slices.Contains(s.running, t) {
		return
	}
	defer s.tell()
	s.running = remove(s.running, t)
	t.giveWay = nil
	for len(s.running) < maxLists && len(s.waiting) > 0 {
		next := slices.MaxFunc(s.waiting, compareNeed) // the first of equals
		s.waiting = remove(s.waiting, next)
		s.running = append(s.running, next)
		close(next.granted)
		next.granted = nil
	}
}

// onGiveWay says how to end the list that runs.
func (t *ticket) onGiveWay(f func()) {
	t.slots.mu.Lock()
	told := t.told
	t.giveWay = f
	t.slots.mu.Unlock()
	if told {
		f()
	}
}

// rebalance ends a running list that nobody looks at for every waiting one that somebody does. It is called when a list has to wait
// and when panes are opened or closed.
func (s *slots) rebalance() {
	s.mu.Lock()
	need := 0
	for _, t := range s.waiting {
		if t.part.src.opened.Load() > 0 {
			need++
		}
	}
	var end []func()
	for _, t := range s.running {
		if t.told { // its place will be free soon
			need--
		}
	}
	for _, t := range s.running {
		if need <= 0 {
			break
		}
		if !t.told && t.part.src.opened.Load() == 0 {
			t.told = true
			need--
			if t.giveWay != nil {
				end = append(end, t.giveWay)
			}
		}
	}
	s.mu.Unlock()
	for _, f := range end {
		f()
	}
}

// compareNeed is positive when a's list is needed more than b's.
func compareNeed(a, b *ticket) int {
	seenA, seenB := a.part.src.opened.Load(), b.part.src.opened.Load()
	return cmp.Or(
		cmp.Compare(one(seenA > 0), one(seenB > 0)),
		cmp.Compare(one(!a.part.status.isSynced()), one(!b.part.status.isSynced())),
		cmp.Compare(seenA, seenB),
	)
}

func one(b bool) int {
	if b {
		return 1
	}
	return 0
}

func remove(ts []*ticket, t *ticket) []*ticket {
	if i := slices.Index(ts, t); i >= 0 {
		return slices.Delete(ts, i, i+1)
	}
	return ts
}
