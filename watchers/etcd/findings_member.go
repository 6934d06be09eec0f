package etcd

import (
	"fmt"
	"slices"
	"strings"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
)

// The parts of the quota from which on a database is found to be near it; 95 % is that of etcd's own alerts (contrib/mixin), and so are
// the four hours until it is full, and the half that is in use.
const (
	quotaWarning   = 0.80
	quotaCritical  = 0.95
	quotaSoon      = 4 * time.Hour
	fragmentedPart = 0.5
	fragmentedSize = 100 << 20
)

// What makes a member one that does not catch up. A member that is as near as lagNear to the leader is not behind: that many entries a
// busy etcd writes between two polls. etcd's own gate of a promotion is a part of the index (90 %), which a learner that is a million
// entries behind passes (server/etcdserver/server.go, isLearnerReady).
const (
	lagNear   = 1000
	lagPolls  = 30               // seconds of history that it takes to say so
	lagTooFar = time.Hour        // at this rate it catches up, but not soon
	readyLong = 10 * time.Minute // a learner that has caught up is promoted, as a rule
)

// memberFindings are about one member. m.mu is held.
func (m *model) memberFindings(ds *drafts, s *Snapshot, r *MemberRow, now time.Time) {
	name, q := r.GetName(), &s.Quorum
	for _, c := range r.Certs {
		to := "clients"
		if c.Use == CertPeer {
			to = "its peers"
		}
		certFinding(ds, r, fmt.Sprintf("the certificate that %s shows to %s", name, to), c, now)
	}
	switch {
	case r.Role == Unstarted:
		d := ds.add(FoundUnstarted, Warning, r, "%s was added and has not joined", name)
		if r.IsLearner {
			d.Severity = Info
		}
		return
	case r.Role == Denied:
		ds.add(FoundDenied, Warning, r, "%s does not tell its status: %s", name, strings.Join(r.Errors, "; "))
		return
	case !r.Reachable:
		if r.Polled {
			ds.add(FoundUnreachable, Warning, r, "%s does not answer: %s", name, strings.Join(r.Errors, "; "))
		}
		return
	}
	k := m.known[r.ID()]
	switch c := m.connOf(r.ID()); {
	case r.ClusterID != s.ClusterID:
		ds.add(FoundTwoClusters, Critical, r, "%s belongs to another cluster (%x) than the others (%x)", name, r.ClusterID, s.ClusterID)
	case m.list != nil && !slices.ContainsFunc(m.list, func(l *pb.Member) bool { return l.ID == r.MemberID }):
		// A list from before the member was there does not have it.
		if k == nil || m.listed1.IsZero() || m.listed1.After(k.first) {
			ds.add(FoundStranger, Critical, r, "%s answers and is not in the member list", name)
		}
	case c != nil && c.differs >= confirmLists && !sameList(c.list, m.list):
		text := fmt.Sprintf("the member list of %s differs from the leader's: %s", name, m.differs(c.list))
		if len(c.list) == 1 && c.list[0].ID == r.MemberID {
			text = fmt.Sprintf("%s has a member list of itself alone, the others have %d members", name, len(m.list))
		}
		ds.add(FoundLists, Critical, r, "%s", text)
	}
	switch {
	case r.LeaderID == 0 && q.Has:
		ds.add(FoundNoLeader, Warning, r, "%s knows no leader, the others do: it may be cut off from them", name)
	case r.LeaderID != 0 && r.Linearizable.Err != "" && !r.IsLearner:
		ds.add(FoundReads, Warning, r, "%s knows a leader and answers no linearizable read: %s", name, r.Linearizable.Err)
	}
	spaceFindings(ds, r)
	if k != nil {
		m.lagFindings(ds, k, r, now)
	}
	metricsFindings(ds, r, now)
}

func spaceFindings(ds *drafts, r *MemberRow) {
	name := r.GetName()
	p := part(r.DBSize, r.Quota)
	switch g := r.Growth; {
	case p >= quotaCritical:
		ds.add(FoundNearQuota, Critical, r, "the database of %s has %.0f %% of its quota: at 100 %% etcd refuses writes", name, 100*p)
	case p >= quotaWarning:
		ds.add(FoundNearQuota, Warning, r, "the database of %s has %.0f %% of its quota: at 100 %% etcd refuses writes", name, 100*p)
	case g.Known && g.UntilQuota > 0 && g.UntilQuota < quotaSoon:
		ds.add(FoundNearQuota, Warning, r, "the database of %s grows by %.0f kB/s: it reaches its quota in %s", name, g.BytesPerSecond/1000,
			g.UntilQuota.Round(time.Minute))
	}
	if r.DBSize > fragmentedSize && r.DBSizeInUse > 0 && float64(r.DBSizeInUse) < fragmentedPart*float64(r.DBSize) {
		ds.add(FoundFragmented, Warning, r, "of the database of %s, %d MB, only %.0f %% is in use", name, r.DBSize>>20, 100*part(r.DBSizeInUse, r.DBSize))
	}
}

// lagFindings judges by the number of entries and by where it goes, over half a minute. m.mu is held.
func (m *model) lagFindings(ds *drafts, k *known, r *MemberRow, now time.Time) {
	if r.IsLearner && r.Lag < lagNear {
		ready := ds.add(FoundLearnerReady, Info, r, "%s is a learner and has caught up", r.GetName())
		ready.confirm = readyLong
		return
	}
	h := r.History
	if r.Role == Leader || len(h) < lagPolls {
		return
	}
	h = h[len(h)-lagPolls:]
	if slices.ContainsFunc(h, func(s Sample) bool { return !s.OK || s.Lag < lagNear }) {
		return
	}
	slope, _ := r.LagTrend()
	nearer := slope < -0.01 // entries per second
	if nearer && float64(r.Lag)/-slope < lagTooFar.Seconds() {
		return // it catches up
	}
	text := fmt.Sprintf("%s is %d entries behind the leader and does not come nearer", r.GetName(), r.Lag)
	if nearer {
		text = fmt.Sprintf("%s is %d entries behind the leader and would need more than an hour to catch up", r.GetName(), r.Lag)
	}
	kind := FoundLag
	if r.IsLearner {
		kind = FoundLearner
	}
	ds.add(kind, Warning, r, "%s", text)
}

// metricsFindings compares with the thresholds of etcd's own alerts.
func metricsFindings(ds *drafts, r *MemberRow, now time.Time) {
	t := r.Metrics
	if t == nil || now.Sub(t.At) > meterFresh {
		return
	}
	over := func(d *time.Duration, limit time.Duration) bool { return d != nil && *d > limit }
	if over(t.FsyncP99, FsyncWarning) {
		sev := Warning
		if over(t.FsyncP99, FsyncCritical) {
			sev = Critical
		}
		ds.add(FoundFsync, sev, r, "%s needs %s for a WAL fsync (p99 of the last minute)", r.GetName(), short(*t.FsyncP99))
	}
	if over(t.CommitP99, CommitWarning) {
		ds.add(FoundCommit, Warning, r, "%s needs %s for a commit of its backend (p99 of the last minute)", r.GetName(), short(*t.CommitP99))
	}
	if over(t.PeerRTTP99, PeerRTTWarning) {
		ds.add(FoundRTT, Warning, r, "the round trip from %s to a peer takes %s (p99 of the last minutes)", r.GetName(), short(*t.PeerRTTP99))
	}
}

// certFinding is about a certificate that ends soon, or has ended.
func certFinding(ds *drafts, r *MemberRow, which string, c Certificate, now time.Time) {
	if c.NotAfter.IsZero() {
		return
	}
	left := c.NotAfter.Sub(now)
	day := c.NotAfter.UTC().Format(time.DateOnly)
	var d *draft
	switch {
	case left <= 0:
		d = ds.add(FoundCertificate, Critical, r, "%s has expired on %s", which, day)
	case left < CertCritical:
		d = ds.add(FoundCertificate, Critical, r, "%s expires in %s, on %s", which, days(left), day)
	case left < CertWarning:
		d = ds.add(FoundCertificate, Warning, r, "%s expires in %s, on %s", which, days(left), day)
	default:
		return
	}
	d.about = string(c.Use) + c.URL
}

// days is a time until the end of something: in days, or, when it is less than two, in hours.
func days(d time.Duration) string {
	if d < 2*time.Hour {
		return count(int(d/time.Minute), "minute", "minutes")
	}
	if d < 48*time.Hour {
		return count(int(d/time.Hour), "hour", "hours")
	}
	return fmt.Sprintf("%d days", int(d/(24*time.Hour)))
}
