package watchers

import (
	"testing"
	"time"
)

// Memory is given back when much has gone or come, once, and not for a handful of rows.
func TestThrift(t *testing.T) {
	n, heap := 0, uint64(0)
	th := thrift{free: func() { n++ }, heap: func() uint64 { return heap }}
	th.listed(thriftRows - 1)
	th.dropped(thriftRows - 1)
	if th.tidy(); n != 0 {
		t.Error("a collection for a few rows")
	}
	th.listed(1)
	if th.tidy(); n != 1 {
		t.Errorf("%d collections after a long list", n)
	}
	th.dropped(thriftRows)
	if th.tidy(); n != 1 {
		t.Error("no pause between two collections")
	}
	th.last = time.Now().Add(-thriftPause)
	if th.tidy(); n != 2 {
		t.Errorf("%d collections after rows went", n)
	}
	th.last = time.Time{}
	if th.tidy(); n != 2 {
		t.Error("a collection for nothing")
	}
	th.held, heap, th.looked = 80<<20, 82<<20, time.Time{}
	if th.tidy(); n != 2 {
		t.Error("a collection for a heap that has hardly grown")
	}
	heap = 84 << 20
	if th.tidy(); n != 2 {
		t.Error("the heap was looked at again at once")
	}
	th.looked = time.Now().Add(-thriftEvery)
	if th.tidy(); n != 3 {
		t.Error("what is done while nothing changes left its garbage")
	}
	changes := func() {
		for range thriftFew + 1 {
			th.changed()
		}
		th.last = time.Time{}
	}
	changes()
	th.held, heap, th.looked = 80<<20, 93<<20, time.Time{}
	if th.tidy(); n != 3 {
		t.Error("a collection while rows change, for a heap that has hardly grown")
	}
	heap = 120 << 20
	changes()
	th.looked = time.Now().Add(-thriftEvery)
	if th.tidy(); n != 3 {
		t.Error("the heap was looked at soon while rows change")
	}
	changes()
	th.looked = time.Now().Add(-6 * thriftEvery)
	if th.tidy(); n != 4 {
		t.Error("what changed left its garbage")
	}

	for range thriftRows {
		th.changed()
	}
	th.last = time.Time{}
	if th.tidy(); n != 4 {
		t.Error("a collection while rows change")
	}
	for range thriftFew {
		th.changed()
	}
	th.busy = time.Now().Add(-thriftCalm)
	if th.tidy(); n != 5 {
		t.Error("what many changes left was not given back when they were over")
	}
	th.last = time.Time{}
	if th.tidy(); n != 5 {
		t.Error("a second collection for the same changes")
	}
}
