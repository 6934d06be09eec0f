package etcd

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	prom "github.com/prometheus/common/model"
)

// Names of etcd's metrics (server/etcdserver/metrics.go and its neighbours; https://etcd.io/docs/v3.6/metrics/).
const (
	nameID                = "etcd_server_id"
	nameFsync             = "etcd_disk_wal_fsync_duration_seconds"
	nameCommit            = "etcd_disk_backend_commit_duration_seconds"
	nameRTT               = "etcd_network_peer_round_trip_time_seconds"
	namePending           = "etcd_server_proposals_pending"
	nameFailed            = "etcd_server_proposals_failed_total"
	nameSlowApply         = "etcd_server_slow_apply_total"
	nameSlowReadIndex     = "etcd_server_slow_read_indexes_total"
	nameReadIndexFailed   = "etcd_server_read_indexes_failed_total"
	nameHeartbeatFailures = "etcd_server_heartbeat_send_failures_total"
	nameLeaderChanges     = "etcd_server_leader_changes_seen_total"
	namePeerSendFailures  = "etcd_network_peer_sent_failures_total"
	nameSlowWatchers      = "etcd_debugging_mvcc_slow_watcher_total"
	namePendingEvents     = "etcd_debugging_mvcc_pending_events_total"
	nameSnapshotApply     = "etcd_server_snapshot_apply_in_progress_total"
	nameDefragInflight    = "etcd_disk_defrag_inflight"
	nameOpenReadTx        = "etcd_mvcc_db_open_read_transactions"
	nameCompactRevision   = "etcd_debugging_mvcc_compact_revision"
	nameKeys              = "etcd_debugging_mvcc_keys_total"
	nameQuota             = "etcd_server_quota_backend_bytes"
	nameResident          = "process_resident_memory_bytes"
	nameStarted           = "process_start_time_seconds"
)

// wanted are the metrics that are read; the other nine tenths of the text are not parsed.
var wanted = map[string]bool{
	nameID: true, nameFsync: true, nameCommit: true, nameRTT: true, namePending: true, nameFailed: true, nameSlowApply: true,
	nameSlowReadIndex: true, nameReadIndexFailed: true, nameHeartbeatFailures: true, nameLeaderChanges: true, namePeerSendFailures: true,
	nameSlowWatchers: true, namePendingEvents: true, nameSnapshotApply: true, nameDefragInflight: true, nameOpenReadTx: true,
	nameCompactRevision: true, nameKeys: true, nameQuota: true, nameResident: true, nameStarted: true,
}

// reading is what one look at a member's metrics told.
type reading struct {
	at      time.Time
	member  uint64             // etcd_server_id; 0: not told
	values  map[string]float64 // gauges and counters, summed over their labels
	fsync   histogram
	commit  histogram
	rtt     map[uint64]histogram // by peer
	started float64              // process_start_time_seconds; 0: not told
}

// histogram is one as Prometheus counts: cumulative, by upper bound.
type histogram struct {
	bounds []float64 // seconds, ascending; +Inf is the last
	counts []uint64  // how many were no longer than the bound
}

// parseMetrics reads the text format. Text that is no metrics of etcd is an error.
func parseMetrics(r io.Reader, at time.Time) (*reading, error) {
	text, err := onlyWanted(r)
	if err != nil {
		return nil, err
	}
	parser := expfmt.NewTextParser(prom.LegacyValidation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(text))
	if err != nil {
		return nil, fmt.Errorf("it is not Prometheus' text format: %w", err)
	}
	out := &reading{at: at, values: map[string]float64{}, rtt: map[uint64]histogram{}}
	for name, f := range families {
		switch name {
		case nameID:
			out.member = hexLabel(f.GetMetric()[0], "server_id")
		case nameFsync:
			out.fsync = histogramOf(f.GetMetric()[0])
		case nameCommit:
			out.commit = histogramOf(f.GetMetric()[0])
		case nameRTT:
			for _, m := range f.GetMetric() {
				if id := hexLabel(m, "To"); id != 0 {
					out.rtt[id] = histogramOf(m)
				}
			}
		default:
			for _, m := range f.GetMetric() {
				out.values[name] += m.GetCounter().GetValue() + m.GetGauge().GetValue() + m.GetUntyped().GetValue()
			}
		}
	}
	out.started = out.values[nameStarted]
	if _, ok := out.values[namePending]; !ok && out.member == 0 && len(out.fsync.bounds) == 0 {
		return nil, fmt.Errorf("there are no metrics of an etcd member in it")
	}
	return out, nil
}

// onlyWanted keeps the lines of the metrics that are wanted. A line that is too long to be one of them is an error.
func onlyWanted(r io.Reader) ([]byte, error) {
	var out bytes.Buffer
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 16<<10), 256<<10)
	for lines.Scan() {
		line := lines.Bytes()
		name := line
		if rest, ok := bytes.CutPrefix(line, []byte("# TYPE ")); ok {
			name = rest
		} else if bytes.HasPrefix(line, []byte("#")) {
			continue
		}
		if i := bytes.IndexAny(name, "{ \t"); i >= 0 {
			name = name[:i]
		}
		for _, part := range []string{"_bucket", "_sum", "_count"} {
			name = bytes.TrimSuffix(name, []byte(part))
		}
		if wanted[string(name)] {
			out.Write(line)
			out.WriteByte('\n')
		}
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// hexLabel is a member ID that a label holds; 0 when it holds none.
func hexLabel(m *dto.Metric, name string) uint64 {
	for _, l := range m.GetLabel() {
		if l.GetName() == name {
			id, err := strconv.ParseUint(l.GetValue(), 16, 64)
			if err != nil {
				return 0
			}
			return id
		}
	}
	return 0
}

// histogramOf takes buckets as they are told; those that do not ascend are none.
func histogramOf(m *dto.Metric) histogram {
	var h histogram
	for _, b := range m.GetHistogram().GetBucket() {
		h.bounds = append(h.bounds, b.GetUpperBound())
		h.counts = append(h.counts, b.GetCumulativeCount())
	}
	if len(h.bounds) == 0 {
		return histogram{}
	}
	if last := h.bounds[len(h.bounds)-1]; !math.IsInf(last, 1) {
		h.bounds = append(h.bounds, math.Inf(1))
		h.counts = append(h.counts, m.GetHistogram().GetSampleCount())
	}
	if !slices.IsSorted(h.bounds) || !slices.IsSorted(h.counts) {
		return histogram{}
	}
	return h
}

// since is what was observed after another reading of the same histogram. ok is false when they do not belong together: other buckets,
// or counts that went back.
func (h histogram) since(before histogram) (d histogram, ok bool) {
	if len(h.bounds) == 0 || !slices.Equal(h.bounds, before.bounds) {
		return histogram{}, false
	}
	d = histogram{bounds: h.bounds, counts: make([]uint64, len(h.counts))}
	for i := range h.counts {
		if h.counts[i] < before.counts[i] {
			return histogram{}, false
		}
		d.counts[i] = h.counts[i] - before.counts[i]
	}
	return d, slices.IsSorted(d.counts)
}

// quantile is Prometheus' histogram_quantile: linear within the bucket, and the highest finite bound where it lies beyond. nil when
// nothing was observed.
func (h histogram) quantile(q float64) *time.Duration {
	n := len(h.counts)
	if n < 2 || h.counts[n-1] == 0 {
		return nil
	}
	rank := q * float64(h.counts[n-1])
	i := 0
	for i < n-1 && float64(h.counts[i]) < rank {
		i++
	}
	var seconds float64
	switch {
	case i == n-1:
		seconds = h.bounds[n-2]
	default:
		low, below := 0.0, 0.0
		if i > 0 {
			low, below = h.bounds[i-1], float64(h.counts[i-1])
		}
		in := float64(h.counts[i]) - below
		seconds = low + (h.bounds[i]-low)*(rank-below)/max(in, 1)
	}
	d := time.Duration(seconds * float64(time.Second))
	return &d
}
