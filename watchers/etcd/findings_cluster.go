package etcd

import (
	"fmt"
	"maps"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
)

// What must hold for a while before it is told, since members are not asked at one moment, and since an upgrade takes its time.
const (
	confirmLeaders = 3 * time.Second
	confirmStorage = time.Minute
	confirmLists   = 3 // looks
)

// clusterFindings are about the cluster as a whole. m.mu is held.
func (m *model) clusterFindings(ds *drafts, s *Snapshot, now time.Time) {
	q := &s.Quorum
	if s.Polled && !q.Has {
		ds.add(FoundNoQuorum, Critical, nil, "no quorum: %s", q.Why)
	}
	if s.Polled && m.list != nil {
		switch {
		case q.Voters == 1:
			ds.add(FoundSingle, Info, nil, "a single voting member: the cluster may lose none")
		case q.Voters > 0 && q.Voters%2 == 0:
			ds.add(FoundEven, Info, nil, "%d voting members: an even number, which may lose %d, as many as %d may", q.Voters, q.Voters/2-1, q.Voters-1)
		}
	}
	m.alarmFindings(ds, s)
	versionFindings(ds, s)
	hostFindings(ds, s)
	leaders := map[[2]uint64]*MemberRow{} // cluster and term -> whose word it is
	for _, r := range s.Members {
		if !r.Reachable || r.LeaderID == 0 {
			continue
		}
		at := [2]uint64{r.ClusterID, r.Term}
		if other := leaders[at]; other == nil {
			leaders[at] = r
		} else if other.LeaderID != r.LeaderID {
			ds.add(FoundTwoLeaders, Critical, r, "two leaders in term %d: %s says %s, %s says %s", r.Term, other.GetName(), m.name(other.LeaderID),
				r.GetName(), m.name(r.LeaderID)).confirm = confirmLeaders
		}
	}
	if c := &m.compact; c.stalled() {
		ds.add(FoundCompaction, Warning, nil, "the API server has not compacted etcd for %s, in which %d revisions were written",
			c.looked.Sub(c.since).Round(time.Second), c.revision-c.from)
	}
	certFinding(ds, nil, "our client certificate", m.ours, now)
}

// alarmFindings takes the alarms from the members' status, where every member tells all of them. m.mu is held.
func (m *model) alarmFindings(ds *drafts, s *Snapshot) {
	seen := map[string]bool{}
	for _, r := range s.Members {
		if !r.Reachable {
			continue
		}
		for _, e := range r.Errors {
			if strings.Contains(e, "alarm:") && !seen[e] {
				seen[e] = true
				d := ds.add(FoundAlarm, Critical, nil, "%s", m.explainAlarm(e, s.Members))
				d.about = e
				if strings.Contains(e, "CORRUPT") {
					d.Meaning, d.Next, d.Source = meaningCorrupt.Meaning, meaningCorrupt.Next, meaningCorrupt.Source
				}
			}
		}
	}
}

// explainAlarm says what an alarm means, as it stands in Status.errors: "memberID:10276657743932975437 alarm:NOSPACE". m.mu is held.
func (m *model) explainAlarm(text string, rows []*MemberRow) string {
	var id uint64
	who := "a member"
	if _, err := fmt.Sscanf(text, "memberID:%d", &id); err == nil && id != 0 {
		who = m.name(id)
		if !slices.ContainsFunc(rows, func(r *MemberRow) bool { return r.MemberID == id }) {
			who += " (which is no member any more)"
		}
	}
	switch {
	case strings.Contains(text, "NOSPACE"):
		return fmt.Sprintf("alarm NOSPACE of %s: etcd refuses writes; compact, defragment each member, then disarm the alarm", who)
	case strings.Contains(text, "CORRUPT"):
		return fmt.Sprintf("alarm CORRUPT, raised for %s: members do not hold the same data; which one is wrong is not certain", who)
	}
	return text
}

// versionFindings are about members of different versions, and about a storage version that stays behind.
func versionFindings(ds *drafts, s *Snapshot) {
	versions, storage := map[string][]string{}, map[string][]string{}
	downgrade := ""
	for _, r := range s.Members {
		if r.Reachable && r.Downgrade != "" {
			downgrade = fmt.Sprintf("; a downgrade to %s is enabled", r.Downgrade)
		}
		if r.Reachable && r.Version != "" {
			versions[r.Version] = append(versions[r.Version], r.GetName())
		}
		if r.Reachable && r.StorageVersion != "" && minor(r.StorageVersion) != minor(r.Version) {
			storage[r.StorageVersion] = append(storage[r.StorageVersion], r.GetName())
		}
	}
	switch {
	case len(versions) > 1:
		var parts []string
		for _, v := range slices.Sorted(maps.Keys(versions)) {
			parts = append(parts, fmt.Sprintf("%s (%s)", v, strings.Join(versions[v], ", ")))
		}
		ds.add(FoundVersions, Info, nil, "members run different versions: %s", strings.Join(parts, ", "))
	case len(versions) == 1 && len(storage) > 0:
		for _, v := range slices.Sorted(maps.Keys(storage)) {
			d := ds.add(FoundStorage, Info, nil, "the storage version of %s is %s, though all members run %s%s", strings.Join(storage[v], ", "), v,
				slices.Collect(maps.Keys(versions))[0], downgrade)
			d.about, d.confirm = v, confirmStorage
		}
	}
}

// minor is "3.6" of "3.6.8".
func minor(version string) string {
	parts := strings.SplitN(version, ".", 3)
	if len(parts) < 2 {
		return version
	}
	return parts[0] + "." + parts[1]
}

// hostFindings are about members that share a machine, as far as their peer URLs tell. Members on a loopback address are a sandbox or
// stand behind proxies: nothing is said of those.
func hostFindings(ds *drafts, s *Snapshot) {
	hosts := map[string][]string{}
	for _, r := range s.Members {
		var mine []string
		for _, u := range r.PeerURLs {
			p, err := url.Parse(u)
			if err != nil || p.Hostname() == "" || p.Hostname() == "localhost" {
				continue
			}
			if ip := net.ParseIP(p.Hostname()); ip != nil && ip.IsLoopback() {
				continue
			}
			if h := strings.ToLower(p.Hostname()); !slices.Contains(mine, h) {
				mine = append(mine, h)
				hosts[h] = append(hosts[h], r.GetName())
			}
		}
	}
	for _, h := range slices.Sorted(maps.Keys(hosts)) {
		if len(hosts[h]) > 1 {
			ds.add(FoundOneHost, Warning, nil, "%s are on one host, %s", strings.Join(hosts[h], " and "), h).about = h
		}
	}
}

// compare counts how often in a row the endpoint's list differs in the same way from the one that is believed: lists are asked for at
// different times, ten seconds apart, and while members come and go any two of them differ.
func (c *conn) compare(believed []*pb.Member) {
	pair := strings.Join(listKeys(c.list), ",") + " / " + strings.Join(listKeys(believed), ",")
	switch {
	case sameList(c.list, believed):
		c.differs = 0
	case pair == c.compared:
		c.differs++
	default:
		c.differs = 1
	}
	c.compared = pair
}

// sameList reports whether two members have the same member list, in any order. Names and client URLs come later than the member: only
// what the quorum is made of counts.
func sameList(a, b []*pb.Member) bool { return slices.Equal(listKeys(a), listKeys(b)) }

func listKeys(list []*pb.Member) []string {
	out := make([]string, len(list))
	for i, m := range list {
		out[i] = fmt.Sprintf("%x %v", m.ID, m.IsLearner)
	}
	slices.Sort(out)
	return out
}

// differs says what a member's list has otherwise than the one that is believed. m.mu is held.
func (m *model) differs(list []*pb.Member) string {
	var parts []string
	named := func(l *pb.Member) string {
		if l.Name != "" {
			return l.Name
		}
		return rowID(l.ID, "")
	}
	for _, l := range m.list {
		i := slices.IndexFunc(list, func(o *pb.Member) bool { return o.ID == l.ID })
		switch {
		case i < 0:
			parts = append(parts, "it lacks "+named(l))
		case list[i].IsLearner != l.IsLearner:
			parts = append(parts, fmt.Sprintf("in it %s is a learner: %v", named(l), list[i].IsLearner))
		}
	}
	for _, l := range list {
		if !slices.ContainsFunc(m.list, func(o *pb.Member) bool { return o.ID == l.ID }) {
			parts = append(parts, "it has "+named(l))
		}
	}
	return strings.Join(parts, ", ")
}
