package etcd

import "time"

// rateSeconds is how far back a Rate goes.
const rateSeconds = 60

// Rate counts events by the second.
type Rate struct {
	last int64 // the second of the newest count, Unix
	n    [rateSeconds]uint32
}

// count counts one event.
func (r *Rate) count(now time.Time) {
	s := now.Unix()
	if s < r.last { // the clock was set back
		r.n, r.last = [rateSeconds]uint32{}, s
	}
	for i := max(r.last+1, s-rateSeconds+1); i <= s; i++ {
		r.n[i%rateSeconds] = 0
	}
	r.last = s
	r.n[s%rateSeconds]++
}

// Seconds are the counts of the last n full seconds before now, the oldest first; n is at most 59.
func (r *Rate) Seconds(now time.Time, n int) []float64 {
	n = min(n, rateSeconds-1)
	out := make([]float64, n)
	for i := range out {
		if s := now.Unix() - int64(n-i); s <= r.last && s > r.last-rateSeconds {
			out[i] = float64(r.n[s%rateSeconds])
		}
	}
	return out
}

// PerSecond is the mean of the last n full seconds before now.
func (r *Rate) PerSecond(now time.Time, n int) float64 {
	sum := 0.0
	seconds := r.Seconds(now, n)
	for _, v := range seconds {
		sum += v
	}
	return sum / float64(max(len(seconds), 1))
}
