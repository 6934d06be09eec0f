package pty

import (
	"context"
	"errors"
	"sync"
	"time"
)

// Line is a slow line between a program and its screen. What it does to output:
//
//	program -> kernel's terminal buffer -> [Buffer] -> BytesPerSecond -> Latency -> screen
//
// A small Buffer is a line with back-pressure: the program's writes wait. SSH keeps up to 2 MiB, so that none arrives. Keys have the
// latency only.
type Line struct {
	Latency        time.Duration // each way
	BytesPerSecond int           // 0: no bound
	Buffer         int           // bytes that wait at most; 0: one piece at a time
}

var errClosed = errors.New("the terminal is closed")

// piece bounds what arrives at once on a slow line, so that a frame appears bit by bit, as it does.
const piece = 1024

type packet struct {
	due time.Time
	b   []byte
}

// link carries bytes one way. Pushing waits while the buffer is full.
type link struct {
	line    Line
	deliver func([]byte)

	mu     sync.Mutex
	room   *sync.Cond
	queue  [][]byte
	queued int
	ended  bool
	news   chan struct{} // holds one when there is something new in the queue
}

func newLink(l Line, deliver func([]byte)) *link {
	k := &link{line: l, deliver: deliver, news: make(chan struct{}, 1)}
	k.room = sync.NewCond(&k.mu)
	return k
}

func (k *link) push(b []byte) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	for len(b) > 0 {
		for !k.ended && k.queued > 0 && k.queued+min(len(b), piece) > k.line.Buffer {
			k.room.Wait()
		}
		if k.ended {
			return errClosed
		}
		n := len(b)
		if k.line.BytesPerSecond > 0 {
			n = min(n, piece)
		}
		k.queue = append(k.queue, b[:n:n])
		k.queued += n
		b = b[n:]
		k.wake()
	}
	return nil
}

func (k *link) wake() {
	select {
	case k.news <- struct{}{}:
	default:
	}
}

// end lets the line run dry: what is in it still arrives.
func (k *link) end() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.ended = true
	k.room.Broadcast()
	k.wake()
}

func (k *link) waiting() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.queued
}

// run carries until the context ends, or until the line has ended and is empty.
func (k *link) run(ctx context.Context) {
	var flight []packet // sent and not yet arrived
	free := time.Now()  // when the line has carried all that was sent
	for {
		b, ended := k.head()
		if b == nil && len(flight) == 0 && ended {
			return
		}
		// What happens next: a packet arrives, or the line is free for another one.
		next := time.Time{}
		if len(flight) > 0 {
			next = flight[0].due
		}
		if b != nil && (next.IsZero() || free.Before(next)) {
			next = free
		}
		if !wait(ctx, k.news, next, b == nil) {
			return
		}
		now := time.Now()
		for len(flight) > 0 && !flight[0].due.After(now) {
			k.deliver(flight[0].b)
			flight = flight[1:]
		}
		if b != nil && !free.After(now) {
			free = now
			if k.line.BytesPerSecond > 0 {
				free = now.Add(time.Duration(len(b)) * time.Second / time.Duration(k.line.BytesPerSecond))
			}
			k.pop()
			if due := free.Add(k.line.Latency); due.After(now) {
				flight = append(flight, packet{due, b})
			} else {
				k.deliver(b)
			}
		}
	}
}

// wait waits for a time, or for news where that is wanted; false when the context has ended.
func wait(ctx context.Context, news <-chan struct{}, until time.Time, orNews bool) bool {
	if !orNews {
		news = nil
	}
	var timer <-chan time.Time
	if !until.IsZero() {
		d := time.Until(until)
		if d <= 0 {
			return ctx.Err() == nil
		}
		t := time.NewTimer(d)
		defer t.Stop()
		timer = t.C
	}
	select {
	case <-ctx.Done():
		return false
	case <-news:
	case <-timer:
	}
	return true
}

func (k *link) head() (b []byte, ended bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.queue) > 0 {
		b = k.queue[0]
	}
	return b, k.ended
}

func (k *link) pop() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.queued -= len(k.queue[0])
	k.queue[0] = nil
	k.queue = k.queue[1:]
	k.room.Broadcast()
}
