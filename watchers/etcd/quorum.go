package etcd

import "time"

// Quorum is whether the cluster can commit, as far as its members tell.
type Quorum struct {
	Has         bool
	Why         string // when it has none, or that is not known: why; untrusted text
	Voters      int    // members with a vote
	Reachable   int    // voters that answered when last asked
	CanLose     int    // how many more of the reachable voters may fail
	Leader      uint64 // member ID; 0: none that most reachable voters agree on
	LeaderName  string // untrusted text
	Term        uint64 // the highest term that a reachable member reports
	LeaderSince time.Time
	Changes     int // leaderships that began since the watching did; 0: the leader led before LeaderSince already
}

// Severity of a finding.
type Severity uint8

// Severities.
const (
	Info Severity = iota
	Warning
	Critical
)

// Finding is something about the cluster that somebody should know.
type Finding struct {
	Kind     string // "no-leader", "cluster-id-mismatch", "alarm", ...
	Severity Severity
	Member   string // row ID; empty: it is about the cluster
	Text     string // a sentence; untrusted text
	Since    time.Time
}
