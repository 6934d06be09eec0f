package etcd

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// page is a member's /metrics, as etcd 3.6 writes it, cut down.
func page(member string, fsync, commit [3]int, rtt int, failures, started int) string {
	var b strings.Builder
	hist := func(name, labels string, c [3]int) {
		fmt.Fprintf(&b, "# HELP %s Help with {braces} in it.\n# TYPE %s histogram\n", name, name)
		open := "{"
		if labels != "" {
			open = "{" + labels + ","
		}
		fmt.Fprintf(&b, "%s_bucket%sle=\"0.001\"} %d\n", name, open, c[0])
		fmt.Fprintf(&b, "%s_bucket%sle=\"0.512\"} %d\n", name, open, c[0]+c[1])
		fmt.Fprintf(&b, "%s_bucket%sle=\"1.024\"} %d\n", name, open, c[0]+c[1]+c[2])
		fmt.Fprintf(&b, "%s_bucket%sle=\"+Inf\"} %d\n", name, open, c[0]+c[1]+c[2])
		if labels != "" {
			labels = "{" + labels + "}"
		}
		fmt.Fprintf(&b, "%s_sum%s 1.5\n%s_count%s %d\n", name, labels, name, labels, c[0]+c[1]+c[2])
	}
	hist("etcd_disk_wal_fsync_duration_seconds", "", fsync)
	hist("etcd_disk_backend_commit_duration_seconds", "", commit)
	hist("etcd_network_peer_round_trip_time_seconds", `To="b2"`, [3]int{rtt, 0, 0})
	fmt.Fprintf(&b, "# TYPE etcd_server_id gauge\netcd_server_id{server_id=%q} 1\n", member)
	fmt.Fprintf(&b, "# TYPE etcd_server_heartbeat_send_failures_total counter\netcd_server_heartbeat_send_failures_total %d\n", failures)
	fmt.Fprintf(&b, "# TYPE etcd_server_proposals_pending gauge\netcd_server_proposals_pending 0\n")
	fmt.Fprintf(&b, "# TYPE etcd_network_peer_sent_failures_total counter\netcd_network_peer_sent_failures_total{To=\"b2\"} 3\netcd_network_peer_sent_failures_total{To=\"c3\"} 4\n")
	fmt.Fprintf(&b, "# TYPE etcd_server_quota_backend_bytes gauge\netcd_server_quota_backend_bytes 2.147483648e+09\n")
	fmt.Fprintf(&b, "# TYPE process_start_time_seconds gauge\nprocess_start_time_seconds 1.7e+09\n")
	fmt.Fprintf(&b, "# TYPE go_goroutines gauge\ngo_goroutines 83\n# TYPE etcd_unknown weird\n")
	if started != 0 {
		return strings.Replace(b.String(), "1.7e+09", fmt.Sprint(started), 1)
	}
	return b.String()
}

func mustParse(t *testing.T, text string, at time.Time) *reading {
	t.Helper()
	r, err := parseMetrics(strings.NewReader(text), at)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestMetricsQuantilesAreOfTheLastMinute(t *testing.T) {
	var meter meter
	// Ten minutes of slow fsyncs, then a minute of fast ones: what counts is the minute.
	first := meter.add(mustParse(t, page("a1", [3]int{0, 0, 1000}, [3]int{}, 5, 7, 0), ms(0)), "u")
	if first.FsyncP99 != nil || first.Over != 0 || first.HeartbeatFailures == nil || *first.HeartbeatFailures != (Counter{Total: 7}) {
		t.Errorf("the first reading tells %+v: it is no measure of anything yet", first)
	}
	var m *Metrics
	for i := 1; i <= 12; i++ {
		m = meter.add(mustParse(t, page("a1", [3]int{100 * i, 0, 1000}, [3]int{}, 5, 7+i, 0), ms(5000*i)), "u")
	}
	if m.FsyncP99 == nil || *m.FsyncP99 > time.Millisecond || m.Over != time.Minute {
		t.Errorf("p99 %v over %v, want less than a millisecond over a minute", m.FsyncP99, m.Over)
	}
	if m.CommitP99 != nil || m.PeerRTTP99 != nil {
		t.Errorf("nothing was observed, and it tells a commit p99 of %v and a round trip of %v", m.CommitP99, m.PeerRTTP99)
	}
	if len(m.Peers) != 1 || m.Peers[0].Member != 0xb2 || m.Peers[0].P99 != nil {
		t.Errorf("peers %+v", m.Peers)
	}
	if *m.HeartbeatFailures != (Counter{Total: 19, Recent: 12}) || *m.PeerSendFailures != (Counter{Total: 7}) {
		t.Errorf("counters %+v, %+v", *m.HeartbeatFailures, *m.PeerSendFailures)
	}
	if *m.ProposalsPending != 0 || *m.QuotaBytes != 2<<30 || m.SlowApplies != nil || m.DefragInflight != nil || !m.Started.Equal(time.Unix(1_700_000_000, 0)) {
		t.Errorf("what is told: %+v; what is not must be nil", m)
	}
	// A minute later the slow ones of the last minute count: 900 fast, 100 between 512 and 1024 ms.
	for i := 13; i <= 24; i++ {
		m = meter.add(mustParse(t, page("a1", [3]int{1200 + 75*(i-12), 0, 1000 + 9*(i-12)}, [3]int{}, 5+i, 30, 0), ms(5000*i)), "u")
	}
	if m.FsyncP99 == nil || *m.FsyncP99 < 512*time.Millisecond || *m.FsyncP99 > 1024*time.Millisecond {
		t.Errorf("p99 %v, a tenth needed more than half a second", m.FsyncP99)
	}
	if m.PeerRTTP99 == nil || *m.PeerRTTP99 > time.Millisecond {
		t.Errorf("round trip %v", m.PeerRTTP99)
	}
	// Another process: what was before is not its own.
	m = meter.add(mustParse(t, page("a1", [3]int{5, 0, 0}, [3]int{}, 1, 2, 1_800_000_000), ms(130_000)), "u")
	if m.FsyncP99 != nil || m.Over != 0 || *m.HeartbeatFailures != (Counter{Total: 2}) {
		t.Errorf("after a restart: %+v", m)
	}
}

func TestQuantile(t *testing.T) {
	h := mustParse(t, page("a1", [3]int{98, 2, 0}, [3]int{0, 0, 10}, 0, 0, 0), ms(0))
	// As histogram_quantile: the 99th of a hundred is the first of the two in the second bucket: half of the way through it.
	if got := h.fsync.quantile(0.99).Round(time.Microsecond); got != 256_500*time.Microsecond {
		t.Errorf("p99 %v, want 256.5ms", got)
	}
	if got := *h.fsync.quantile(0.49); got != 500*time.Microsecond {
		t.Errorf("p49 %v, want 0.5ms", got)
	}
	over := histogram{bounds: h.fsync.bounds, counts: []uint64{0, 0, 0, 5}}
	if got := *over.quantile(0.99); got != 1024*time.Millisecond {
		t.Errorf("beyond the last bound: %v, want that bound", got)
	}
	if (histogram{}).quantile(0.99) != nil || (histogram{bounds: over.bounds, counts: make([]uint64, 4)}).quantile(0.99) != nil {
		t.Error("a quantile of nothing")
	}
	if _, ok := over.since(h.fsync); ok {
		t.Error("counts that went back are a measure")
	}
}

func TestMetricsOfSomethingElse(t *testing.T) {
	for name, text := range map[string]string{
		"a web page":           "<html><body>not found</body></html>\n",
		"nothing":              "",
		"another program's":    "# TYPE go_goroutines gauge\ngo_goroutines 5\n",
		"broken":               "# TYPE etcd_server_proposals_pending gauge\netcd_server_proposals_pending zero\n",
		"a line of a megabyte": "etcd_server_proposals_pending " + strings.Repeat("9", 1<<20),
	} {
		if r, err := parseMetrics(strings.NewReader(text), ms(0)); err == nil {
			t.Errorf("%s is taken for metrics of etcd: %+v", name, r)
		}
	}
}
