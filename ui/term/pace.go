package term

import "time"

// pace decides how many bytes may be on their way to a terminal that is far away. An SSH connection takes megabytes before its
// writer blocks, so the terminal itself is asked: a cursor position report is requested behind a frame, and its arrival says that
// the terminal has read everything up to it. How long that took beyond the best time seen is time spent in a queue; the window of
// unanswered bytes shrinks while it is long and grows while it is short (as TCP Vegas does), so that a key does not wait behind
// old frames whatever the line's speed.
//
// It knows no clock and no terminal, and belongs to the goroutine that draws.
type pace struct {
	on     bool // the terminal is asked, and the window holds
	window int64
	sent   int64         // bytes handed to the output so far
	asked  int64         // sent, when the terminal was last asked
	acked  int64         // bytes the terminal has read for certain
	asks   []ask         // unanswered, the oldest first
	cut    int64         // sent, when the window was last made smaller
	best   time.Duration // the shortest time to an answer
	ever   bool          // it has answered before
}

type ask struct {
	at  time.Time
	pos int64
}

const (
	startWindow = 16 << 10
	minWindow   = 4 << 10
	minPart     = 2 << 10
	maxWindow   = 256 << 10
	askEvery    = 1 << 10 // bytes between two questions
	// queueing is how long a frame may wait in a queue on its way, unless the line is so far that a third of the best time is more.
	queueing = 60 * time.Millisecond
	// deaf is after how long without an answer a terminal counts as one that does not answer; silent, one that once did.
	deaf   = 3 * time.Second
	silent = 15 * time.Second
	// noBudget is a frame of any size; lastRow one of nothing but the last row, where a prompt is: what is typed does not wait.
	noBudget = 0
	lastRow  = -1
)

func (p *pace) start() {
	if !p.on {
		p.on, p.window, p.acked, p.asked, p.asks = true, startWindow, p.sent, p.sent, nil
	}
}

// reset forgets what is on its way: the terminal was given back meanwhile.
func (p *pace) reset() { p.acked, p.asked, p.asks = p.sent, p.sent, nil }

// room is how many bytes a frame drawn now should not exceed: noBudget, lastRow or a number.
func (p *pace) room(now time.Time) (budget int) {
	if !p.on {
		return noBudget
	}
	if len(p.asks) > 0 {
		limit := deaf
		if p.ever {
			limit = silent
		}
		if now.Sub(p.asks[0].at) > limit {
			p.on, p.asks = false, nil
			return noBudget
		}
	}
	free := p.window - (p.sent - p.acked)
	if len(p.asks) == 0 {
		free = p.window // what was not asked about is not waited for
	}
	if free < minPart/2 {
		return lastRow
	}
	// A quarter of the window at a time: its answer comes while the rest is on its way.
	return int(min(free, max(p.window/4, minPart)))
}

// wrote notes that n bytes were handed over, and says whether to ask the terminal behind them.
func (p *pace) wrote(n int, now time.Time) bool {
	p.sent += int64(n)
	if !p.on || p.sent-p.asked < askEvery {
		return false
	}
	p.asked = p.sent
	p.asks = append(p.asks, ask{now, p.sent})
	return true
}

// answered notes that the terminal has answered the oldest question. It reports false when none was asked.
func (p *pace) answered(now time.Time) bool {
	p.ever = true
	if len(p.asks) == 0 {
		return false
	}
	a := p.asks[0]
	p.asks = p.asks[1:]
	p.acked = a.pos
	took := now.Sub(a.at)
	if p.best == 0 || took < p.best {
		p.best = took
	}
	switch {
	case took <= p.best+max(queueing, p.best/3):
		p.window = min(maxWindow, p.window+askEvery)
	case a.pos > p.cut: // once for all that was on its way: its answers are all late
		p.window, p.cut = max(minWindow, p.window*2/3), p.sent
	}
	return true
}
