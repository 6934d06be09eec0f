package etcd

import (
	"slices"
	"testing"
	"time"
)

func TestRate(t *testing.T) {
	var r Rate
	at := func(s int64) time.Time { return time.Unix(1_000_000+s, 0) }
	for range 3 {
		r.count(at(0))
	}
	r.count(at(2))
	if got := r.Seconds(at(3), 4); !slices.Equal(got, []float64{0, 3, 0, 1}) {
		t.Errorf("%v", got)
	}
	if got := r.PerSecond(at(3), 4); got != 1 {
		t.Errorf("%v per second", got)
	}
	r.count(at(100)) // what lies further back than a minute is forgotten
	if got := r.Seconds(at(101), 59); got[58] != 1 || slices.Max(got[:58]) != 0 {
		t.Errorf("after a pause: %v", got)
	}
	if got := r.PerSecond(at(300), 10); got != 0 {
		t.Errorf("%v per second long after", got)
	}
	r.count(at(-50)) // a clock that was set back
	if got := r.Seconds(at(-49), 1); got[0] != 1 {
		t.Errorf("after the clock was set back: %v", got)
	}
}
