package watchers

import (
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
	free func()       // nil: debug.FreeOSMemory; a test's
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
