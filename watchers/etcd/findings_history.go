package etcd

import (
	"fmt"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
)

// wentBack finds what must only grow and did not. The cluster is the one that the member was seen in before; a restart may show
// an older revision for a moment, until the log is applied, so one poll is not believed. m.mu is held.
func (m *model) wentBack(k *known, now time.Time, h *pb.ResponseHeader, st *pb.StatusResponse) {
	event := func(kind, format string, args ...any) {
		m.event(Finding{Kind: kind, Severity: Critical, Member: rowID(h.MemberId, ""), Text: fmt.Sprintf(format, args...), Since: now})
	}
	if h.MemberId == 0 {
		return
	}
	if h.ClusterId != k.row.ClusterID {
		k.high, k.highTerm, k.below = 0, 0, 0
	}
	name := m.name(h.MemberId)
	if st.RaftTerm < k.highTerm {
		event(FoundTermBack, "the term of %s went back from %d to %d", name, k.highTerm, st.RaftTerm)
	}
	k.highTerm = st.RaftTerm
	if h.Revision >= k.high {
		k.high, k.below = h.Revision, 0
		return
	}
	if k.below++; k.below > 1 {
		event(FoundRevisionBack, "the revision of %s went back from %d to %d: was it restored from a backup?", name, k.high, h.Revision)
		k.high, k.below = h.Revision, 0
	}
}

// appliedAhead finds a member that has applied what is not committed. A status is not read at one moment: the commit index comes first
// (server/etcdserver/api/v3rpc/maintenance.go), so what was applied a poll ago is compared with what is committed now; and after a
// restart both begin anew from the log. m.mu is held.
func (m *model) appliedAhead(k *known, now time.Time, h *pb.ResponseHeader, st *pb.StatusResponse) {
	const polls = 3
	if h.ClusterId != k.row.ClusterID || k.row.AppliedIndex <= st.RaftIndex {
		k.ahead = 0
		return
	}
	if k.ahead++; k.ahead == polls {
		m.event(Finding{Kind: FoundAppliedAhead, Severity: Critical, Member: rowID(h.MemberId, ""), Since: now,
			Text: fmt.Sprintf("%s had applied entry %d, and knows only of %d as committed", m.name(h.MemberId), k.row.AppliedIndex, st.RaftIndex)})
	}
}

// maxEvents bounds what is remembered of things that happened once.
const maxEvents = 16

// event keeps what happened once and stays true. m.mu is held.
func (m *model) event(f Finding) { m.events = append(m.events[max(0, len(m.events)-maxEvents+1):], f) }
