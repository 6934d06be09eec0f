package etcd

import "time"

// Role is a member's part in the cluster.
type Role string

// Roles.
const (
	Leader      Role = "leader"
	Follower    Role = "follower"
	Learner     Role = "learner"     // gets the log, has no vote
	NoLeader    Role = "no leader"   // it answers and knows no leader: follower or candidate, the status does not tell
	Unreachable Role = "unreachable" // the last known role is in LastRole
	Denied      Role = "denied"      // it answers, and does not tell its status to the user that we are
	Unstarted   Role = "unstarted"   // in the member list, but it has not joined yet (its name is empty)
)

// MemberRow is what is known of one member. It is immutable. What an unreachable member said last is kept.
type MemberRow struct {
	MemberID  uint64 // 0: never reached and not in the member list
	ClusterID uint64
	Name      string // from the member list; untrusted text
	Endpoint  string // the client URL that it is asked at
	PeerURLs  []string

	Role     Role
	LastRole Role // what it was when it last answered; empty: it never did

	Reachable      bool
	Polled         bool      // it has answered, or did not in time, at least once
	LastSeen       time.Time // when it last answered; zero: never
	Errors         []string  // why it does not answer, and what it reports of itself (Status.errors); untrusted text
	Term           uint64
	LeaderID       uint64 // whom it takes for the leader; 0: nobody
	CommitIndex    uint64 // raft index of the newest committed entry it knows of
	AppliedIndex   uint64 // raft index of the newest entry it has applied
	Lag            uint64 // entries the leader had committed before this member was asked, and that it had not applied
	Revision       int64  // of its key space
	DBSize         int64  // bytes, as allocated on disk
	DBSizeInUse    int64  // bytes; the rest comes back with a defragmentation
	Quota          int64  // bytes; 0: not known (before etcd 3.6)
	Version        string // of the server's binary
	StorageVersion string // empty before etcd 3.6
	Downgrade      string // the target of a downgrade that is enabled; empty: none, or not told (before etcd 3.6)
	IsLearner      bool
	StatusRTT      time.Duration

	// The probes read a key that does not exist: from the member's own store, and through the leader (read index).
	Serializable, Linearizable ReadProbe

	// Metrics are what its /metrics said last; nil: there are none, and MetricsWhy says why, or they have not been asked for yet (it is
	// empty). With both, the newest attempt failed and Metrics are older than they should be.
	Metrics    *Metrics
	MetricsWhy string // untrusted text

	// Certs are the certificates that it shows: to clients, and at each peer URL. They are looked at every ten minutes; none before that,
	// and none without TLS.
	Certs []Certificate

	Growth Growth

	// stranger is set of what is not in the member list, though there is one: it has no vote.
	stranger bool

	// History is at most [HistoryLen] samples, one per poll, the oldest first.
	History []Sample
}

// Votes reports whether the member has a vote: it is no learner, and in the member list, where one is known.
func (m *MemberRow) Votes() bool { return !m.IsLearner && !m.stranger }

// HistoryLen bounds a member's history, in polls (seconds).
const HistoryLen = 120

// Sample is one poll of a member.
type Sample struct {
	At     time.Time
	OK     bool          // it answered; otherwise the rest is what was known before
	RTT    time.Duration // of the newest linearizable probe (of a learner: serializable); 0: it failed
	Lag    uint64        // entries
	DBSize int64         // bytes

	// Of [Metrics], when they were fresh; 0: not known (no metrics, or nothing was observed in the last minute).
	FsyncP99, CommitP99, PeerRTTP99 time.Duration
}

// ReadProbe is the outcome of one small read.
type ReadProbe struct {
	At  time.Time // when the answer came or the time was up; zero: not yet
	RTT time.Duration
	Err string // empty: it was answered; untrusted text
}

// OK reports whether the read was answered.
func (p ReadProbe) OK() bool { return !p.At.IsZero() && p.Err == "" }

// ID implements watchers.Row: the member ID in hex, as etcdctl prints it; the endpoint while the ID is not known.
func (m *MemberRow) ID() string { return rowID(m.MemberID, m.Endpoint) }

// GetNamespace implements watchers.Row; it is empty.
func (m *MemberRow) GetNamespace() string { return "" }

// GetName implements watchers.Row: the name, or what else identifies the member.
func (m *MemberRow) GetName() string {
	if m.Name == "" {
		return m.ID()
	}
	return m.Name
}

// LagTrend is how fast the lag grows, in entries per second, over the last half minute: negative when the member catches up. ok is
// false while there are too few samples to say.
func (m *MemberRow) LagTrend() (perSecond float64, ok bool) {
	const over, least = 30 * time.Second, 10
	if len(m.History) == 0 {
		return 0, false
	}
	end := m.History[len(m.History)-1].At
	var line leastSquares
	for _, s := range m.History {
		if s.OK && end.Sub(s.At) <= over {
			line.add(s.At.Sub(end).Seconds(), float64(s.Lag))
		}
	}
	if line.n < least {
		return 0, false
	}
	return line.slope(), true
}
