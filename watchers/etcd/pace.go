package etcd

import (
	"fmt"
	"time"
)

// Pace bounds what reading many keys costs the member that serves them.
type Pace struct {
	// Page is the largest number of keys of one read; PageBytes the size of an answer that is aimed at.
	Page, PageBytes int
	// BytesPerSecond bounds what is read, on average over a page and the pause after it.
	BytesPerSecond int
	// Share is the part of the time, of 1, in which the member is kept busy: after a page that took it 5 ms, a share of 0.25 rests 15 ms.
	Share float64
	// Patience is how long a member that has become slow is waited for before the scan is given up.
	Patience time.Duration
}

// Paces of what fathom reads on request. Values are read where their size is asked for, and before etcd 3.7 a member reads them from disk
// also when only keys are wanted.
var (
	searchPace = Pace{Page: 1000, PageBytes: 1 << 20, BytesPerSecond: 32 << 20, Share: 0.5, Patience: 10 * time.Second}
	spacePace  = Pace{Page: 500, PageBytes: 512 << 10, BytesPerSecond: 16 << 20, Share: 0.34, Patience: 10 * time.Second}
)

const (
	firstPage = 16                    // keys of the first page: the size of the values is not known yet
	longPage  = 40 * time.Millisecond // a page that keeps a member busy for longer is followed by a smaller one
	quickPage = 10 * time.Millisecond
	slowProbe = 200 * time.Millisecond // a small read that takes as long, and slowTimes what it took before, says that the member suffers
	slowTimes = 10
)

// pacer decides the size of the next page and the pause before it.
type pacer struct {
	Pace
	limit int
	rtt   time.Duration // the fastest small read: what an answer takes without work
	slow  time.Time     // since when the member is slow; zero: it is not
}

func newPacer(p Pace) *pacer { return &pacer{Pace: p, limit: min(firstPage, p.Page)} }

// paged takes note of a page and says how long to rest.
func (p *pacer) paged(n, bytes int, took time.Duration) (rest time.Duration) {
	busy := max(0, took-p.rtt)
	switch {
	case bytes > p.PageBytes:
		p.limit = max(1, min(p.limit/2, n*p.PageBytes/bytes))
	case busy > longPage:
		p.limit = max(1, p.limit/2)
	case busy < quickPage && bytes < p.PageBytes/2:
		p.limit = min(p.Page, p.limit*2)
	}
	rest = time.Duration(float64(busy) * (1/p.Share - 1))
	if p.BytesPerSecond > 0 {
		rest = max(rest, time.Duration(float64(bytes)/float64(p.BytesPerSecond)*float64(time.Second))-took)
	}
	return max(rest, time.Millisecond)
}

// careful is for where values may be of another size: with the next resource.
func (p *pacer) careful() { p.limit = min(p.limit, 4*firstPage) }

// halve is for an answer that was too large or too late. It reports whether a smaller page can be asked for.
func (p *pacer) halve() bool {
	if p.limit == 1 {
		return false
	}
	p.limit /= 2
	return true
}

// probed takes note of what a small read took. wait says that the member is slow and why nothing is read for now; err that it was for too
// long.
func (p *pacer) probed(now time.Time, took time.Duration) (wait string, err error) {
	if p.rtt == 0 || took < p.rtt {
		p.rtt = took
	}
	if took < slowProbe || took < slowTimes*p.rtt {
		p.slow = time.Time{}
		return "", nil
	}
	if p.slow.IsZero() {
		p.slow = now
	}
	why := fmt.Sprintf("a small read takes %s, %s before", round(took), round(p.rtt))
	if now.Sub(p.slow) >= p.Patience {
		return "", fmt.Errorf("given up so as not to make it worse: %s, for %s", why, round(now.Sub(p.slow)))
	}
	return why, nil
}

// round is a time for a sentence: 1.2s, 340ms, 0.4ms.
func round(d time.Duration) string {
	switch {
	case d >= time.Second:
		return d.Round(100 * time.Millisecond).String()
	case d >= 10*time.Millisecond:
		return d.Round(time.Millisecond).String()
	}
	return d.Round(100 * time.Microsecond).String()
}

// LeastScan is how long a scan of the space of so many keys takes at least: an estimate from small values and a fast network.
func LeastScan(keys int64) time.Duration {
	return time.Duration(keys) * 25 * time.Microsecond
}
