package watchers

import (
	"os"
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
)

// thrift gives memory back to the system after a source was stopped, and after a long list has been made into rows. The runtime
// alone does so in its own time: what is garbage stays until the heap has doubled, or for two minutes, and an idle fathom on a
// large cluster allocates next to nothing.
type thrift struct {
	rows atomic.Int64 // that went since the last time
	came atomic.Int64 // rows that came in lists
	last time.Time    // the janitor's own

	relaxed bool   // see running
	free    func() // nil: debug.FreeOSMemory; a test's
}

// listGC is the garbage collector's target (GOGC) while lists arrive: nearly all of what they allocate is garbage at once, and
// collecting it in a heap that is still small was a fifth of the time they took. It is 100 otherwise.
const listGC = 200

// running is told how many lists run now. It is called with a lock held that orders the calls.
func (t *thrift) running(n int) {
	if relaxed := n > 0; relaxed != t.relaxed && os.Getenv("GOGC") == "" {
		t.relaxed = relaxed
		if relaxed {
			debug.SetGCPercent(listGC)
		} else {
			debug.SetGCPercent(100)
		}
	}
}

func (t *thrift) dropped(rows int) { t.rows.Add(int64(rows)) }

func (t *thrift) listed(rows int) { t.came.Add(int64(rows)) }

// tidy gives memory back when there is something to give. It is called by the janitor.
func (t *thrift) tidy(p *Projector) {
	gone := t.rows.Load() >= thriftRows
	if !gone && t.came.Load() < thriftRows || time.Since(t.last) < thriftPause {
		return
	}
	if gone {
		p.forget()
	}
	t.rows.Store(0)
	t.came.Store(0)
	if t.free == nil {
		debug.FreeOSMemory()
	} else {
		t.free()
	}
	t.last = time.Now()
}
