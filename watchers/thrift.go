package watchers

import (
	"os"
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"time"
)

const (
	// thriftRows is how many rows must have gone, or come in one list, for memory to be worth giving back: about 2 MB of rows, or
	// 50 MB of objects that were decoded to make them.
	thriftRows = 3000
	// thriftPause is the shortest time between two times of giving back: each is a whole garbage collection.
	thriftPause = 5 * time.Second
	// thriftEvery is the time between two looks at whether the heap has grown, while few rows change; six times that while many do.
	thriftEvery = 5 * time.Second
	// thriftCalm is how long few rows must have changed after many did, and thriftFew how many are few between two looks of the janitor.
	thriftCalm = 5 * time.Second
	thriftFew  = 20
)

// thrift gives memory back to the system after a source was stopped, after a long list has been made into rows, and when a time of many
// changes is over. The runtime alone does so in its own time: what is garbage stays until the heap has doubled, or for two minutes, and an idle fathom on a
// large cluster allocates next to nothing.
type thrift struct {
	rows atomic.Int64 // that went since the last time
	came atomic.Int64 // rows that came in lists
	news atomic.Int64 // rows that were added, replaced or removed, ever

	// The janitor's own.
	seen   int64     // news, when it was looked at last
	since  int64     // news, when memory was given back
	busy   time.Time // when much was changing
	last   time.Time // when memory was given back
	looked time.Time // when the heap was looked at
	held   uint64    // the heap after the last time

	relaxed bool          // see running
	free    func()        // nil: debug.FreeOSMemory; a test's
	heap    func() uint64 // nil: held; a test's
}

// listGC is the garbage collector's target (GOGC) while lists arrive: nearly all of what they allocate is garbage at once, and
// collecting it in a heap that is still small was a fifth of the time they took. It is changeGC once they have: rows that change are made amid
// garbage, and the less of it there is between two collections, the fewer holes there are that cannot be given back.
const (
	listGC   = 200
	changeGC = 50
)

// running is told how many lists run now. It is called with a lock held that orders the calls.
func (t *thrift) running(n int) {
	if relaxed := n > 0; relaxed != t.relaxed && os.Getenv("GOGC") == "" {
		t.relaxed = relaxed
		if relaxed {
			debug.SetGCPercent(listGC)
		} else {
			debug.SetGCPercent(changeGC)
		}
	}
}

func (t *thrift) dropped(rows int) { t.rows.Add(int64(rows)) }

func (t *thrift) listed(rows int) { t.came.Add(int64(rows)) }

func (t *thrift) changed() { t.news.Add(1) }

// calmed reports whether many rows have changed since memory was given back, and none do any more.
func (t *thrift) calmed() bool {
	news := t.news.Load()
	if news-t.seen > thriftFew {
		t.busy = time.Now()
	}
	t.seen = news
	return news-t.since >= thriftRows && time.Since(t.busy) >= thriftCalm
}

// tidy gives memory back when there is something to give. It is called by the janitor.
func (t *thrift) tidy() {
	gone, calmed := t.rows.Load() >= thriftRows, t.calmed()
	switch {
	case time.Since(t.last) < thriftPause:
		return
	case gone || calmed || t.came.Load() >= thriftRows:
	case !t.grown():
		return
	}
	t.rows.Store(0)
	t.came.Store(0)
	t.since = t.seen
	if t.free == nil {
		debug.FreeOSMemory()
		t.held = held()
	} else {
		t.free()
	}
	t.last = time.Now()
	t.looked = t.last
}

// grown reports whether the heap holds noticeably more than after memory was last given back: while few rows change, what it takes to ask
// the members of etcd how they are and to draw ages, which is some MB in a minute; while many do, what would soon come back.
func (t *thrift) grown() bool {
	every, share, least := thriftEvery, uint64(64), uint64(1<<20)
	if time.Since(t.busy) < thriftCalm {
		every, share, least = 6*thriftEvery, 8, 4<<20
	}
	if time.Since(t.looked) < every {
		return false
	}
	now := t.heap
	if now == nil {
		now = held
	}
	t.looked = time.Now()
	return now() > t.held+t.held/share+least
}

// held is how many bytes of heap the system has given us.
func held() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapSys - m.HeapReleased
}
