package etcd

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"fathom/cluster"
)

// What quantiles and counters are of. Round trips to peers are observed every 30 s (server/etcdserver/api/rafthttp/probing_status.go).
const (
	meterOver    = time.Minute
	meterOverRTT = 3 * time.Minute
	meterFresh   = 20 * time.Second // what is older is not a measure of now
)

// meter keeps the readings of one member that are needed to say what was in the last minutes.
type meter struct {
	url      string // that answered last
	readings []*reading
}

// add takes a reading and says what it and those before it tell. A process that was started anew begins anew.
func (t *meter) add(r *reading, url string) *Metrics {
	if n := len(t.readings); n > 0 {
		if last := t.readings[n-1]; url != t.url || last.member != r.member || restarted(last, r) {
			t.readings = nil
		}
	}
	t.url = url
	t.readings = slices.DeleteFunc(t.readings, func(o *reading) bool { return r.at.Sub(o.at) > meterOverRTT+meterFresh })
	t.readings = append(t.readings, r)
	base, baseRTT := t.from(meterOver), t.from(meterOverRTT)
	m := &Metrics{At: r.at, URL: url, Over: r.at.Sub(base.at)}
	if d, ok := r.fsync.since(base.fsync); ok {
		m.FsyncP99 = d.quantile(0.99)
	}
	if d, ok := r.commit.since(base.commit); ok {
		m.CommitP99 = d.quantile(0.99)
	}
	for id, h := range r.rtt {
		p := PeerRTT{Member: id}
		// A peer that was not there at first has been observed since then only.
		before, known := baseRTT.rtt[id]
		if !known {
			before = histogram{bounds: h.bounds, counts: make([]uint64, len(h.counts))}
		}
		if d, ok := h.since(before); ok && r != baseRTT {
			p.P99 = d.quantile(0.99)
		}
		if p.P99 != nil && (m.PeerRTTP99 == nil || *p.P99 > *m.PeerRTTP99) {
			m.PeerRTTP99 = p.P99
		}
		m.Peers = append(m.Peers, p)
	}
	slices.SortFunc(m.Peers, func(a, b PeerRTT) int { return cmp.Compare(a.Member, b.Member) })
	gauge := func(name string) *uint64 {
		v, ok := r.values[name]
		if !ok || !(v >= 0) {
			return nil
		}
		n := uint64(v)
		return &n
	}
	counter := func(name string) *Counter {
		total := gauge(name)
		if total == nil {
			return nil
		}
		c := &Counter{Total: *total}
		if before, ok := base.values[name]; ok && r.values[name] >= before {
			c.Recent = uint64(r.values[name] - before)
		}
		return c
	}
	m.ProposalsPending, m.ProposalsFailed, m.SlowApplies = gauge(namePending), counter(nameFailed), counter(nameSlowApply)
	m.SlowReadIndexes, m.ReadIndexesFailed = counter(nameSlowReadIndex), counter(nameReadIndexFailed)
	m.HeartbeatFailures, m.LeaderChanges, m.PeerSendFailures = counter(nameHeartbeatFailures), counter(nameLeaderChanges), counter(namePeerSendFailures)
	m.SlowWatchers, m.PendingEvents = gauge(nameSlowWatchers), gauge(namePendingEvents)
	m.SnapshotsApplying, m.DefragInflight, m.OpenReadTx = gauge(nameSnapshotApply), gauge(nameDefragInflight), gauge(nameOpenReadTx)
	m.CompactRevision, m.Keys, m.QuotaBytes, m.ResidentBytes = gauge(nameCompactRevision), gauge(nameKeys), gauge(nameQuota), gauge(nameResident)
	if r.started > 0 {
		m.Started = time.Unix(0, int64(r.started*float64(time.Second)))
	}
	return m
}

// from is the oldest reading that is not older than over (and a little, since readings are seconds apart); the newest itself when there
// is no other.
func (t *meter) from(over time.Duration) *reading {
	newest := t.readings[len(t.readings)-1]
	for _, r := range t.readings {
		if newest.at.Sub(r.at) <= over+2*time.Second {
			return r
		}
	}
	return newest
}

// restarted reports whether two readings are of two processes. Where the time of the start is not told, counters that went back tell.
func restarted(before, now *reading) bool {
	if before.started > 0 && now.started > 0 {
		return now.started != before.started
	}
	return now.values[nameLeaderChanges] < before.values[nameLeaderChanges] || now.values[nameSlowApply] < before.values[nameSlowApply]
}

// measure reads the metrics of one member until ctx ends.
func (w *Watcher) measure(ctx context.Context, c *conn) {
	failures := 0
	// A little after the status: then it is known which member it is.
	offset := w.timing.metrics / 10
	for ok := w.until(ctx, w.started.Add(offset)); ok; {
		if w.model.wantsMetrics(c) {
			r, url, err := w.scrape(ctx, c)
			if ctx.Err() != nil {
				return
			}
			if err != nil {
				failures++
			} else {
				failures = 0
			}
			w.model.measured(c, r, url, err)
			w.changed()
		}
		base, calm := w.timing.metrics, w.timing.calmMetrics
		if failures > 3 { // where there are none, asking often does not make them
			base, calm = 6*base, 6*calm
		}
		ok = w.rest(ctx, base, calm, offset)
	}
}

// scrape asks the URLs of a member until one of them tells the metrics of this member: the one that did so last, then the others.
func (w *Watcher) scrape(ctx context.Context, c *conn) (*reading, string, error) {
	urls, id := w.etcd.MetricsURLs(c.member), w.model.idOf(c)
	if last := w.model.metricsURL(c); last != "" {
		slices.SortStableFunc(urls, func(a, b string) int { return cmp.Compare(order(a, last), order(b, last)) })
	}
	var first error
	for _, url := range urls {
		r, err := w.scrapeURL(ctx, url)
		if err == nil && r.member != 0 && id != 0 && r.member != id {
			err = fmt.Errorf("metrics of %s: they are those of member %x", url, r.member)
		}
		if err == nil {
			return r, url, nil
		}
		if first == nil {
			first = err
		}
	}
	if first == nil {
		first = fmt.Errorf("no metrics URL is known: give --etcd-metrics-urls")
	}
	return nil, "", first
}

func order(url, last string) int {
	if url == last {
		return 0
	}
	return 1
}

func (w *Watcher) scrapeURL(ctx context.Context, url string) (r *reading, err error) {
	ctx, cancel := context.WithTimeout(ctx, w.timing.metricsTimeout)
	defer cancel()
	err = w.etcd.ReadMetrics(ctx, url, func(body io.Reader) error {
		r, err = parseMetrics(body, time.Now())
		return err
	})
	return r, err
}

// wantsMetrics reports whether the endpoint's metrics are to be read: not those of kine, which has none of its own, and not twice those
// of a member that answers at two endpoints.
func (m *model) wantsMetrics(c *conn) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case !c.polled:
		return false
	case c.kine():
		return false
	case c.key == "":
		return true
	}
	return m.speaksFor(c)
}

func (m *model) idOf(c *conn) uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return c.id
}

func (m *model) metricsURL(c *conn) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return c.meter.url
}

// measured takes what came of reading the metrics of an endpoint.
func (m *model) measured(c *conn, r *reading, url string, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err != nil {
		c.metricsWhy = cluster.Explain(err)
		return
	}
	var before *reading
	if n := len(c.meter.readings); n > 0 {
		before = c.meter.readings[n-1]
	}
	c.metrics, c.metricsWhy = c.meter.add(r, url), ""
	m.omensOf(c, before, r)
}
