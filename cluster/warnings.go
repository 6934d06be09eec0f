package cluster

import (
	"slices"
	"sync"
	"time"
)

// Warning is one Warning header of the API server.
type Warning struct {
	At   time.Time
	Text string // untrusted
}

// maxWarnings and maxWarningLen bound what a server can make us keep.
const (
	maxWarnings   = 64
	maxWarningLen = 1024
)

// Warnings keeps the last warnings of an API server (RFC 7234 code 299), each text once, at the time it was seen last. It never
// writes anywhere. It is safe for concurrent use.
type Warnings struct {
	mu   sync.Mutex
	list []Warning
	gen  uint64
}

// HandleWarningHeader implements rest.WarningHandler.
func (w *Warnings) HandleWarningHeader(code int, _ string, text string) {
	if code != 299 || text == "" {
		return
	}
	text = text[:min(len(text), maxWarningLen)]
	w.mu.Lock()
	defer w.mu.Unlock()
	w.list = slices.DeleteFunc(w.list, func(o Warning) bool { return o.Text == text })
	if len(w.list) == maxWarnings {
		w.list = slices.Delete(w.list, 0, 1)
	}
	w.list = append(w.list, Warning{At: time.Now(), Text: text})
	w.gen++
}

// List returns the warnings, the newest last, and a number that grows with each one received.
func (w *Warnings) List() ([]Warning, uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.list), w.gen
}
