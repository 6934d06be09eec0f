package etcd

import "time"

// Growth is how fast a member's database grows: the line of least squares through its sizes of the last quarter of an hour. There is none
// from less than three minutes. When the file shrinks (a defragmentation) it begins anew.
type Growth struct {
	Known          bool
	BytesPerSecond float64       // never negative: the file shrinks only by a defragmentation
	UntilQuota     time.Duration // at this rate; 0: it does not grow, the quota is not known, or it is more than a year
	Over           time.Duration // what it was measured over
}

const (
	growthEvery = 5 * time.Second
	growthOver  = 15 * time.Minute
	growthLeast = 3 * time.Minute
)

// growth keeps the sizes that the rate is computed from.
type growth struct {
	at    []time.Time
	sizes []int64
	last  int64 // also of those that are not kept
}

func (g *growth) add(now time.Time, size int64) {
	n := len(g.at)
	if size < g.last {
		g.at, g.sizes, n = nil, nil, 0
	}
	g.last = size
	if n > 0 && now.Sub(g.at[n-1]) < growthEvery {
		return
	}
	g.at, g.sizes = append(g.at, now), append(g.sizes, size)
	for len(g.at) > 0 && now.Sub(g.at[0]) > growthOver {
		g.at, g.sizes = g.at[1:], g.sizes[1:]
	}
}

// rate says how fast it grows, and when it will have reached the quota, in bytes; 0: none is known.
func (g *growth) rate(size, quota int64) Growth {
	n := len(g.at)
	if n < 2 || g.at[n-1].Sub(g.at[0]) < growthLeast {
		return Growth{}
	}
	var line leastSquares
	for i, t := range g.at {
		line.add(t.Sub(g.at[0]).Seconds(), float64(g.sizes[i]-g.sizes[0]))
	}
	out := Growth{Known: true, BytesPerSecond: max(0, line.slope()), Over: g.at[n-1].Sub(g.at[0])}
	if left := quota - size; quota > 0 && left > 0 && out.BytesPerSecond > 0 {
		const year = 365 * 24 * time.Hour
		if seconds := float64(left) / out.BytesPerSecond; seconds < year.Seconds() {
			out.UntilQuota = time.Duration(seconds * float64(time.Second))
		}
	}
	return out
}

// leastSquares is the line through points.
type leastSquares struct{ n, x, y, xx, xy float64 }

func (l *leastSquares) add(x, y float64) {
	l.n, l.x, l.y, l.xx, l.xy = l.n+1, l.x+x, l.y+y, l.xx+x*x, l.xy+x*y
}

// slope is 0 when there are not two different x.
func (l *leastSquares) slope() float64 {
	d := l.n*l.xx - l.x*l.x
	if d <= 0 {
		return 0
	}
	return (l.n*l.xy - l.x*l.y) / d
}
