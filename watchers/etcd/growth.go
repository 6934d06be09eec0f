package etcd

import "time"

// Growth is how fast a member's database file grows: the line of least squares through its sizes of up to the last hour. There is none
// from less than three minutes. A defragmentation begins it anew.
type Growth struct {
	Known          bool
	BytesPerSecond float64       // negative never: the file shrinks only by a defragmentation
	UntilQuota     time.Duration // at this rate; 0: it does not grow, or the quota is not known; at most a year
	Over           time.Duration // what it was measured over
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
