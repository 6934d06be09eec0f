package etcd

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"fathom/cluster"
	"fathom/cluster/discover"
	"fathom/watchers"
)

// model is what the pollers have learned. Everything in it is told what time it is.
type model struct {
	mu    sync.Mutex
	conns []*conn
	known map[string]*known // by row ID
	list  []*pb.Member      // the member list that is believed
	// refused are URLs of the member list that no connection can be made to, and why.
	refused map[string]string
	// round grows with every change of the leader: the member list may have changed with it.
	round   int
	polled  bool // Snapshot.Polled
	lead    leadership
	gap     time.Time    // when the leader was lost; zero: there is one
	line    []Leadership // the timeline; names are filled in when it is published
	named   []Leadership // line as it is published; nil: it is to be made anew
	omens   []omen
	moved   cluster.Move         // by fathom, the last one
	since   map[string]time.Time // when the findings that hold now, or may hold, began
	events  []Finding            // what happened once and stays true: a term that went back
	extra   map[string][]Finding // what other checks found, by their names
	state   watchers.State
	ours    Certificate
	compact compaction
	listed1 time.Time         // when the list that is believed was told
	names   map[uint64]string // also of members that are in the list no more
	contact time.Time         // when any member answered last
	gen     uint64
}

// conn is one endpoint.
type conn struct {
	member *cluster.Member
	id     uint64 // of the member that answered last; 0: none did, or it is kine
	key    string // row ID of what answered; empty: nothing did
	polled bool
	ok     bool // the last poll was answered
	err    string
	denied bool // it answers, and does not tell its status to the user that we are

	metrics    *Metrics
	metricsWhy string
	meter      meter
	certs      []Certificate

	serializable, linearizable ReadProbe

	list      []*pb.Member
	listed    time.Time // when list was told
	listAt    time.Time // when the list was asked for last
	listRound int
	askedList bool // and it was told, or not, at least once
	differs   int  // how often in a row its list was another than the one that is believed, both as the time before
	compared  string
}

// kine reports whether what answered last was kine: also while it is down it is no member that a quorum lacks.
func (c *conn) kine() bool { return c.key != "" && c.id == 0 }

// known is what a member said last, through whichever endpoint.
type known struct {
	row      MemberRow
	commits  [2]commit // the newest first
	high     int64     // the highest revision seen
	below    int       // how many polls in a row were below high
	highTerm uint64
	ahead    int       // how many polls in a row it had applied more than, a poll later, was committed
	first    time.Time // when it was first seen
	sizes    growth
}

// commit is what a member knew to be committed at a time.
type commit struct {
	at    time.Time
	index uint64
}

// maxNames bounds the names of members that are kept.
const maxNames = 1000

func newModel(now time.Time) *model {
	return &model{known: map[string]*known{}, refused: map[string]string{}, names: map[uint64]string{}, since: map[string]time.Time{},
		state: watchers.State{Phase: watchers.Connecting, Since: now}}
}

// conn returns the record of an endpoint; added when it is new.
func (m *model) conn(of *cluster.Member) (c *conn, added bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, c := range m.conns {
		if c.member == of {
			return c, false
		}
	}
	c = &conn{member: of}
	m.conns = append(m.conns, c)
	return c, true
}

// failed records that a poll was not answered, or, denied, that it was answered with a refusal.
func (m *model) failed(c *conn, now time.Time, err string, denied bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if k := m.known[c.key]; c.ok && k != nil {
		m.omen(omen{from: k.row.LastSeen, at: now, member: c.id, weight: weightGone, text: fmt.Sprintf("%s stopped answering: %s", m.name(c.id), err)})
	}
	c.polled, c.ok, c.err, c.denied = true, false, err, denied
	if k := m.known[c.key]; k != nil && m.speaksFor(c) {
		k.sample(Sample{At: now, Lag: k.row.Lag, DBSize: k.row.DBSize})
	}
}

// answered records a status. asked is when the request was sent.
func (m *model) answered(c *conn, asked, now time.Time, st *pb.StatusResponse) {
	m.mu.Lock()
	defer m.mu.Unlock()
	h := st.GetHeader()
	if h == nil {
		h = &pb.ResponseHeader{}
	}
	m.contact = now
	c.polled, c.ok, c.err, c.denied = true, true, "", false
	if key := rowID(h.MemberId, c.member.Endpoint); key != c.key {
		if c.key != "" { // it was replaced, or a load balancer chose another
			c.metrics, c.metricsWhy, c.meter = nil, "", meter{}
			c.serializable, c.linearizable = ReadProbe{}, ReadProbe{}
		}
		c.id, c.key = h.MemberId, key
	}
	k := m.known[c.key]
	if k == nil {
		k = &known{first: now}
		m.known[c.key] = k
	}
	m.wentBack(k, now, h, st)
	m.appliedAhead(k, now, h, st)
	r := &k.row
	r.MemberID, r.ClusterID, r.LastSeen, r.StatusRTT = h.MemberId, h.ClusterId, now, now.Sub(asked)
	r.Errors = nil
	for _, e := range st.Errors {
		r.Errors = append(r.Errors, strings.TrimSpace(e)) // an alarm ends in a blank
	}
	r.Term, r.LeaderID, r.IsLearner = st.RaftTerm, st.Leader, st.IsLearner
	r.CommitIndex, r.AppliedIndex, r.Revision = st.RaftIndex, st.RaftAppliedIndex, h.Revision
	r.DBSize, r.DBSizeInUse, r.Quota = st.DbSize, st.DbSizeInUse, st.DbSizeQuota
	if q := c.metrics; q != nil && q.QuotaBytes != nil && *q.QuotaBytes > 0 {
		r.Quota = int64(*q.QuotaBytes) // the status tells none before 3.6, and a wrong one before 3.6.6
	}
	k.sizes.add(now, r.DBSize)
	r.Growth = k.sizes.rate(r.DBSize, r.Quota)
	r.Version, r.StorageVersion, r.Downgrade = st.Version, st.StorageVersion, ""
	if d := st.DowngradeInfo; d.GetEnabled() {
		r.Downgrade = firstOf(d.GetTargetVersion(), "a version that is not told")
	}
	switch {
	case r.IsLearner:
		r.LastRole = Learner
	case r.LeaderID == 0:
		r.LastRole = NoLeader
	case r.LeaderID == r.MemberID:
		r.LastRole = Leader
	default:
		r.LastRole = Follower
	}
	r.Lag = m.lag(k, asked)
	k.commits = [2]commit{{now, r.CommitIndex}, k.commits[0]}
	probe := c.linearizable
	if r.IsLearner {
		probe = c.serializable
	}
	s := Sample{At: now, OK: true, Lag: r.Lag, DBSize: r.DBSize}
	if probe.OK() {
		s.RTT = probe.RTT
	}
	if q := c.metrics; q != nil && now.Sub(q.At) <= meterFresh {
		s.FsyncP99, s.CommitP99, s.PeerRTTP99 = orZero(q.FsyncP99), orZero(q.CommitP99), orZero(q.PeerRTTP99)
	}
	if m.speaksFor(c) {
		k.sample(s)
	}
}

// speaksFor reports whether an endpoint is the one of its member that is listened to: the first that answers, or, when none does,
// the first. m.mu is held.
func (m *model) speaksFor(c *conn) bool {
	if first := m.connOf(c.key); first != nil {
		return first == c
	}
	i := slices.IndexFunc(m.conns, func(o *conn) bool { return o.key == c.key })
	return m.conns[i] == c
}

func orZero(d *time.Duration) time.Duration {
	if d == nil {
		return 0
	}
	return *d
}

// sample adds to the history. Published rows share its array, of which they see what was there when they were made: nothing in it
// is ever written twice.
func (k *known) sample(s Sample) {
	h := k.row.History
	k.row.History = append(h[max(0, len(h)-HistoryLen+1):], s)
}

// lag is how far a member is behind: what the leader knew to be committed before the member was asked, less what the member had
// applied when it answered. A leader's answer that came later would count entries that were written in between as lag. Without
// a leader the newest commit that any member knew of is what counts. m.mu is held.
func (m *model) lag(k *known, asked time.Time) uint64 {
	const old = 3 * time.Second
	target := k.row.CommitIndex
	before := func(o *known) uint64 {
		for _, c := range o.commits {
			if !c.at.IsZero() && !c.at.After(asked) {
				if asked.Sub(c.at) > old {
					return 0
				}
				return c.index
			}
		}
		return 0
	}
	if lead := m.known[rowID(k.row.LeaderID, "")]; k.row.LeaderID != 0 && lead != nil && lead.row.ClusterID == k.row.ClusterID {
		target = max(target, before(lead))
	} else {
		for _, o := range m.known {
			if o.row.ClusterID == k.row.ClusterID {
				target = max(target, before(o))
			}
		}
	}
	if target <= k.row.AppliedIndex {
		return 0
	}
	return target - k.row.AppliedIndex
}

// behind is how much later than at the full second an endpoint is asked: the leader first, so that its commit index is known.
func (m *model) behind(c *conn, d time.Duration) time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.lead.id == 0 || m.lead.id == c.id {
		return 0
	}
	return d
}

// isLearner reports whether the endpoint's member is a learner, or was when it last answered.
func (m *model) isLearner(c *conn) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	k := m.known[c.key]
	return k != nil && k.row.IsLearner
}

func (m *model) probed(c *conn, serializable bool, p ReadProbe) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if serializable {
		c.serializable = p
	} else {
		c.linearizable = p
	}
}

// wantsList reports whether to ask the endpoint for the member list now, and takes it that this is done.
func (m *model) wantsList(c *conn, now time.Time, every time.Duration) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	k := m.known[c.key]
	if !c.denied && (c.id == 0 || k == nil || k.row.IsLearner) { // kine has none, a learner does not tell
		return false
	}
	if now.Sub(c.listAt) < every && c.listRound == m.round {
		return false
	}
	c.listAt, c.listRound = now, m.round
	return true
}

// listed takes a member list; none when the member did not tell. The leader's is believed; without it, that of whoever answered last.
func (m *model) listed(c *conn, now time.Time, list []*pb.Member) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c.askedList = true
	if len(list) == 0 {
		return
	}
	c.list, c.listed = list, now
	if k := m.known[c.key]; m.clusterID() != 0 && k != nil && k.row.ClusterID != m.clusterID() {
		return
	}
	at := now
	if l := m.connOf(rowID(m.lead.id, "")); l != nil && l != c && l.list != nil {
		list, at = l.list, l.listed
	}
	c.compare(list)
	m.list, m.listed1, m.named = list, at, nil
	for _, l := range list {
		if l.Name != "" && len(m.names) < maxNames {
			m.names[l.ID] = l.Name
		}
	}
}

// unknownURLs are the client URLs of members that no endpoint has turned out to be. It waits until every endpoint has been polled,
// so that an endpoint that the member list knows under another name is not asked twice.
func (m *model) unknownURLs() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if slices.ContainsFunc(m.conns, func(c *conn) bool { return !c.polled }) {
		return nil
	}
	return m.missingURLs()
}

// missingURLs does not wait. m.mu is held.
func (m *model) missingURLs() []string {
	var out []string
	for _, l := range m.list {
		if slices.ContainsFunc(m.conns, func(c *conn) bool { return c.id == l.ID }) {
			continue
		}
		for _, u := range l.ClientURLs {
			_, refused := m.refused[u]
			if !refused && !slices.ContainsFunc(m.conns, func(c *conn) bool { return discover.Same(c.member.Endpoint, u) }) {
				out = append(out, u)
			}
		}
	}
	return out
}

func (m *model) refusedURL(url string, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.refused[url] = err.Error()
}

// connOf is the endpoint that a row's member answers at now, nil when there is none. m.mu is held.
func (m *model) connOf(key string) *conn {
	for _, c := range m.conns {
		if c.ok && c.key == key {
			return c
		}
	}
	return nil
}

// clusterID is the cluster that most of the members that answer belong to; of as many, the one that was there first. m.mu is held.
func (m *model) clusterID() uint64 {
	count := map[uint64]int{}
	var best uint64
	for _, c := range m.conns {
		if k := m.known[c.key]; c.ok && k != nil && k.row.ClusterID != 0 {
			id := k.row.ClusterID
			count[id]++
			if best == 0 || count[id] > count[best] {
				best = id
			}
		}
	}
	return best
}

// rows are the members as they are known now: those of the member list, those that answer without being in it, and given endpoints
// that nobody has answered at. m.mu is held.
func (m *model) rows() []*MemberRow {
	var out []*MemberRow
	used := map[*conn]bool{}
	for _, l := range m.list {
		var at *conn
		for _, c := range m.conns {
			if m.isAt(c, l) {
				used[c] = true
				if at == nil || c.ok && !at.ok {
					at = c
				}
			}
		}
		r := m.row(at, rowID(l.ID, ""))
		r.MemberID, r.Name, r.PeerURLs, r.IsLearner = l.ID, l.Name, l.PeerURLs, l.IsLearner
		if at == nil && len(l.ClientURLs) > 0 {
			r.Endpoint = l.ClientURLs[0]
			r.Errors = append(r.Errors, "none of its client URLs leads to it from here")
			if why, ok := m.refused[r.Endpoint]; ok {
				r.Errors = append(r.Errors, why)
			}
		}
		if l.Name == "" && !r.Reachable {
			r.Role = Unstarted
			r.Errors = append(r.Errors, "it has been added to the cluster and has not joined yet")
		}
		out = append(out, r)
	}
	seen := map[string]bool{}
	for _, c := range m.conns {
		id := rowID(c.id, c.member.Endpoint)
		if used[c] || seen[id] || c.member.Learned && !c.ok || m.list != nil && !c.polled {
			continue
		}
		seen[id] = true
		r := m.row(c, id)
		r.stranger, r.Name = m.list != nil, m.names[r.MemberID]
		if r.MemberID != 0 && m.list != nil {
			r.Errors = append(r.Errors, "it is not in the member list of this cluster")
		}
		out = append(out, r)
	}
	slices.SortStableFunc(out, func(a, b *MemberRow) int {
		return cmp.Or(cmp.Compare(a.GetName(), b.GetName()), cmp.Compare(a.ID(), b.ID()))
	})
	return out
}

// isAt reports whether an endpoint is one of a member of the list: by who answers there, or, while nobody has, by its client URLs.
func (m *model) isAt(c *conn, l *pb.Member) bool {
	return c.id == l.ID || c.key == "" && slices.ContainsFunc(l.ClientURLs, func(u string) bool { return discover.Same(c.member.Endpoint, u) })
}

// row makes the row of a member, with what is known of it and how its endpoint does. m.mu is held.
func (m *model) row(c *conn, id string) *MemberRow {
	r := &MemberRow{}
	if k := m.known[id]; k != nil {
		*r = k.row
		r.Errors = slices.Clone(r.Errors)
	}
	r.Role = Unreachable
	if c == nil {
		r.Polled = true // there is nothing to wait for
		return r
	}
	r.Endpoint, r.Polled, r.Reachable = c.member.Endpoint, c.polled, c.ok && c.key == id
	r.Serializable, r.Linearizable = c.serializable, c.linearizable
	if r.IsLearner {
		r.Linearizable = ReadProbe{} // it serves none; one may have been asked for before that was known
	}
	if c.key == id || c.key == "" {
		r.Metrics, r.MetricsWhy, r.Certs = c.metrics, c.metricsWhy, c.certs
	}
	if r.Reachable {
		r.Role = r.LastRole
		return r
	}
	switch {
	case c.ok: // somebody else answers there now
		r.Errors = []string{fmt.Sprintf("%s answers as member %x now", r.Endpoint, c.id)}
	case c.denied:
		r.Role, r.Errors = Denied, []string{c.err}
	case c.err != "":
		r.Errors = []string{c.err}
	}
	return r
}

// rowID names a row: the member ID in hex, as etcdctl prints it, or the endpoint.
func rowID(id uint64, endpoint string) string {
	if id == 0 {
		return endpoint
	}
	return fmt.Sprintf("%x", id)
}
