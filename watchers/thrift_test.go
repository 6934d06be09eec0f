package watchers

import (
	"testing"
	"time"
)

// Memory is given back when much has gone or come, once, and not for a handful of rows.
func TestThrift(t *testing.T) {
	n := 0
	th := thrift{free: func() { n++ }}
	p := NewProjector()
	p.share("kept")
	th.listed(thriftRows - 1)
	th.dropped(thriftRows - 1)
	if th.tidy(p); n != 0 {
		t.Error("a collection for a few rows")
	}
	th.listed(1)
	if th.tidy(p); n != 1 || len(p.pool) != 1 {
		t.Errorf("%d collections after a long list, %d shared strings", n, len(p.pool))
	}
	th.dropped(thriftRows)
	if th.tidy(p); n != 1 {
		t.Error("no pause between two collections")
	}
	th.last = time.Now().Add(-thriftPause)
	if th.tidy(p); n != 2 || len(p.pool) != 0 {
		t.Errorf("%d collections after rows went, %d shared strings", n, len(p.pool))
	}
	th.last = time.Time{}
	if th.tidy(p); n != 2 {
		t.Error("a collection for nothing")
	}
}
