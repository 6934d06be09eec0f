package etcd

import "time"

// Metrics are what a member's /metrics told, read every five seconds. What it did not tell is nil: never 0. They are immutable.
//
// Quantiles are those of the last minute (of the peers' round trips: of the last three, since etcd observes them twice a minute): the
// difference of two histograms, not of the whole life of the process. They are nil when nothing was observed in that time, and until
// there are two readings. As all quantiles of histograms they are no finer than the buckets (contrib/mixin computes them so too).
type Metrics struct {
	At   time.Time     // when they were read
	URL  string        // where
	Over time.Duration // what the quantiles and [Counter.Recent] are of; 0: the first reading

	FsyncP99  *time.Duration // etcd_disk_wal_fsync_duration_seconds: above 10 ms a disk is slow, above 500 ms leaders are lost
	CommitP99 *time.Duration // etcd_disk_backend_commit_duration_seconds
	// PeerRTTP99 is the worst of Peers (etcd_network_peer_round_trip_time_seconds).
	PeerRTTP99 *time.Duration
	Peers      []PeerRTT // by member ID

	ProposalsPending  *uint64  // now; more than a few for long: the cluster cannot commit as fast as it is asked to
	ProposalsFailed   *Counter // mostly those that were under way when a leader was lost
	SlowApplies       *Counter // applies that took longer than 100 ms
	SlowReadIndexes   *Counter // linearizable reads that the leader was slow to confirm
	ReadIndexesFailed *Counter
	HeartbeatFailures *Counter // heartbeats that the leader could not send in time, which is mostly its own slow disk or processor
	LeaderChanges     *Counter // as this member saw them since its process started
	PeerSendFailures  *Counter // of messages to all peers
	SlowWatchers      *uint64  // now: watchers that do not take their events as fast as they come
	PendingEvents     *uint64  // now: events that wait for them

	SnapshotsApplying *uint64 // now: snapshots of the leader that are being applied; defragmenting meanwhile corrupts before 3.5.23 and 3.6.5
	DefragInflight    *uint64 // now (from etcd 3.6)
	OpenReadTx        *uint64 // now
	CompactRevision   *uint64
	Keys              *uint64 // in the key space
	QuotaBytes        *uint64 // --quota-backend-bytes, also before etcd 3.6, whose status does not tell
	ResidentBytes     *uint64 // memory of the process

	Started time.Time // when the process started; zero: not told
}

// PeerRTT is the round trip to one peer, as a member sees it.
type PeerRTT struct {
	Member uint64
	P99    *time.Duration // nil: nothing was observed
}

// Counter counts what has happened in the life of a member's process.
type Counter struct {
	Total  uint64 // since the process started
	Recent uint64 // of those, within [Metrics.Over]
}

// The thresholds of etcd's own alerts (contrib/mixin/mixin.libsonnet).
const (
	FsyncWarning   = 500 * time.Millisecond // etcdHighFsyncDurations, warning
	FsyncCritical  = time.Second            // etcdHighFsyncDurations, critical
	CommitWarning  = 250 * time.Millisecond // etcdHighCommitDurations
	PeerRTTWarning = 150 * time.Millisecond // etcdMemberCommunicationSlow
)
