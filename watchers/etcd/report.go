package etcd

import (
	"maps"
	"slices"
)

// Report makes findings of another check part of the snapshots from now on, in the place of what that check reported before. Their Since is the
// check's own. It may be called from any goroutine; fs must not be changed afterwards.
func (w *Watcher) Report(check string, fs []Finding) {
	w.model.report(check, fs)
	w.changed()
}

func (m *model) report(check string, fs []Finding) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.extra == nil {
		m.extra = map[string][]Finding{}
	}
	m.extra[check] = fs
}

// reports are the findings of the other checks, in a stable order. m.mu is held.
func (m *model) reports() []Finding {
	var out []Finding
	for _, check := range slices.Sorted(maps.Keys(m.extra)) {
		out = append(out, m.extra[check]...)
	}
	return out
}
