package backup

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"

	"fathom/cluster"
	"fathom/watchers/etcd"
)

const (
	readTimeout = 10 * time.Second
	// scanTimeout is for what goes over all keys: HashKV, and the count of a large key space.
	scanTimeout = 10 * time.Minute
	// firstTimeout is for the first answer of the throw-away member.
	firstTimeout = 30 * time.Second
)

// restored is the throw-away member of a drill, and what was read of it.
type restored struct {
	cluster *cluster.Cluster
	member  *cluster.Member
	inside  *Inside
	hash    *pb.HashKVResponse
	sample  []*mvccpb.KeyValue
}

// openMember connects to the throw-away member as fathom does to any: read-only.
func openMember(url string, s *scratch) (*restored, error) {
	c, err := cluster.OpenEtcd(cluster.EtcdOptions{Endpoints: []string{url}, CACert: s.path(caFile), Cert: s.path(clientCert), Key: s.path(clientKey)})
	if err != nil {
		return nil, fmt.Errorf("connecting to the throw-away member: %w", err)
	}
	return &restored{cluster: c, member: c.Etcd().Members()[0]}, nil
}

func (m *restored) close() { m.cluster.Close() }

// compare compares what the member serves with the file. Everything is read as of the snapshot's revision: a lease that was about to run out when
// it was taken runs out in the member too, and its keys go.
func (m *restored) compare(ctx context.Context, r *Report) error {
	m.inside = r.Inside
	rev := m.inside.At()
	st, err := ask(ctx, firstTimeout, func(ctx context.Context) (*pb.StatusResponse, error) {
		return m.member.Maintenance().Status(ctx, &pb.StatusRequest{})
	})
	if err != nil {
		return fmt.Errorf("the throw-away member does not answer: %w", err)
	}
	switch now := st.GetHeader().GetRevision(); {
	case now == rev:
		r.add(CheckRevision, Passed, "the member is at revision %d, as the file", rev)
	case now > rev:
		r.add(CheckRevision, Passed, "the member went on from revision %d to %d: leases in the snapshot have run out since", rev, now)
	default:
		r.add(CheckRevision, Failed, "the member is at revision %d, and the file at %d", now, rev)
		return nil
	}
	n, err := countAt(ctx, m.member, rev)
	if err != nil {
		return fmt.Errorf("counting the keys of the throw-away member: %w", err)
	}
	r.judge(CheckKeys, n == m.inside.Keys, "the member has %s, and the file %s", count(n, "key"), count(m.inside.Keys, "key"))
	if m.hash, err = hashAt(ctx, m.member, rev); err != nil {
		return fmt.Errorf("asking the throw-away member for its hash: %w", err)
	}
	r.judge(CheckHash, m.hash.Hash == m.inside.HashKV, "the member's HashKV of revision %d is %08x, and the file's %08x", rev, m.hash.Hash, m.inside.HashKV)
	return m.readSample(ctx, r)
}

// readSample reads the sample of the member and sees whether what it holds can be understood.
func (m *restored) readSample(ctx context.Context, r *Report) error {
	kinds := map[string]int{}
	var lost, damaged []string
	for _, k := range m.inside.Sample {
		kv, err := getAt(ctx, m.member, k, m.inside.At())
		if err != nil {
			return fmt.Errorf("reading the key %q of the throw-away member: %w", k, err)
		}
		if kv == nil {
			lost = append(lost, string(k))
			continue
		}
		m.sample = append(m.sample, kv)
		d := etcd.Decode(string(kv.Key), kv.Value, etcd.DecodeOptions{})
		switch {
		case d.Kind != "":
			kinds["objects of Kubernetes"]++
		case d.Format == etcd.Encrypted:
			kinds["encrypted objects"]++
		case d.Format == etcd.Binary && strings.HasPrefix(string(kv.Value), "k8s\x00"):
			damaged = append(damaged, string(k))
		default:
			kinds["other values"]++
		}
	}
	switch {
	case len(lost) > 0:
		r.add(CheckSample, Failed, "%d of %s that the file holds are not in the member: %s", len(lost), count(int64(len(m.inside.Sample)), "sampled key"), some(lost))
	case len(damaged) > 0:
		r.add(CheckSample, Failed, "%d of %s cannot be decoded: %s", len(damaged), count(int64(len(m.inside.Sample)), "sampled object"), some(damaged))
	case len(m.inside.Sample) == 0:
		r.add(CheckSample, Passed, "there are no keys to sample")
	default:
		var parts []string
		for _, what := range []string{"objects of Kubernetes", "encrypted objects", "other values"} {
			if n := kinds[what]; n > 0 {
				parts = append(parts, fmt.Sprintf("%d %s", n, what))
			}
		}
		r.add(CheckSample, Passed, "%s read and decoded: %s", count(int64(len(m.sample)), "sampled key"), strings.Join(parts, ", "))
	}
	return nil
}

// ask gives one call its deadline.
func ask[T any](ctx context.Context, timeout time.Duration, call func(context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	v, err := call(ctx)
	if e, ok := rpctypes.Error(err).(rpctypes.EtcdError); ok {
		return v, e
	}
	return v, err
}

// everything is the range of all keys.
func everything(rev int64) *pb.RangeRequest {
	return &pb.RangeRequest{Key: []byte{0}, RangeEnd: []byte{0}, Revision: rev, Serializable: true}
}

func countAt(ctx context.Context, m *cluster.Member, rev int64) (int64, error) {
	req := everything(rev)
	req.CountOnly = true
	resp, err := ask(ctx, scanTimeout, func(ctx context.Context) (*pb.RangeResponse, error) {
		return pb.NewKVClient(m.Client().ActiveConnection()).Range(ctx, req)
	})
	return resp.GetCount(), err
}

func hashAt(ctx context.Context, m *cluster.Member, rev int64) (*pb.HashKVResponse, error) {
	return ask(ctx, scanTimeout, func(ctx context.Context) (*pb.HashKVResponse, error) {
		return m.Maintenance().HashKV(ctx, &pb.HashKVRequest{Revision: rev})
	})
}

// getAt reads a key as of a revision; rev 0: as it is now. nil: there is none.
func getAt(ctx context.Context, m *cluster.Member, key []byte, rev int64) (*mvccpb.KeyValue, error) {
	resp, err := ask(ctx, readTimeout, func(ctx context.Context) (*pb.RangeResponse, error) {
		return pb.NewKVClient(m.Client().ActiveConnection()).Range(ctx, &pb.RangeRequest{Key: key, Revision: rev, Serializable: true})
	})
	if err != nil || len(resp.Kvs) == 0 {
		return nil, err
	}
	return resp.Kvs[0], nil
}

// some are the first few of names.
func some(names []string) string {
	const most = 5
	more := ""
	if len(names) > most {
		names, more = names[:most], ", …"
	}
	quoted := make([]string, len(names))
	for i, n := range names {
		quoted[i] = fmt.Sprintf("%q", n)
	}
	return strings.Join(quoted, ", ") + more
}

// compareLive compares the restored member with the live cluster, as far as that still knows the snapshot's revision.
func (m *restored) compareLive(ctx context.Context, r *Report, live *cluster.Etcd) {
	if m.hash == nil { // it has failed already, and was not read
		r.add(CheckCluster, Unknown, "the restored member does not hold what its file says, so it was not compared")
		return
	}
	if live == nil {
		r.add(CheckCluster, Unknown, "no live cluster is connected, so there was nothing to compare with")
		return
	}
	lm, st, err := liveMember(ctx, live, m.inside.At())
	if err != nil {
		r.add(CheckCluster, Unknown, "%v", err)
		return
	}
	list, err := live.MemberList(ctx)
	if err != nil {
		r.add(CheckCluster, Unknown, "the live members could not be listed: %v", err)
		return
	}
	known := slices.ContainsFunc(m.inside.Members, func(f Member) bool {
		return slices.ContainsFunc(list.Members, func(l *pb.Member) bool { return strconv.FormatUint(l.ID, 16) == f.ID })
	})
	if !known {
		r.add(CheckCluster, Unknown, "the snapshot is of another cluster, or the live one was restored since: no member of the one is in the other%s", from(m.inside.Members))
		return
	}
	rev, now := m.inside.At(), st.GetHeader().GetRevision()
	if now < rev {
		r.add(CheckCluster, Unknown, "%s is at revision %d, before the snapshot's %d: it is behind, or the cluster was restored to an older state", lm.Endpoint, now, rev)
		return
	}
	r.add(CheckCluster, Passed, "the snapshot is of this cluster; %s has gone on by %s since, to %d", lm.Endpoint, count(now-rev, "revision"), now)
	m.liveHash(ctx, r, lm)
	m.liveCount(ctx, r, lm)
	m.liveSample(ctx, r, lm)
}

// liveMember is a member to compare with: one that answers, that does not lead, and that has the revision, or what comes closest.
func liveMember(ctx context.Context, live *cluster.Etcd, rev int64) (best *cluster.Member, status *pb.StatusResponse, err error) {
	rank := func(st *pb.StatusResponse) int {
		n := 0
		if st.GetHeader().GetRevision() >= rev {
			n += 2
		}
		if st.Leader != st.GetHeader().GetMemberId() {
			n++
		}
		return n
	}
	for _, m := range live.Members() {
		st, e := m.Status(ctx)
		if e != nil {
			err = e
			continue
		}
		if st.IsLearner || best != nil && rank(st) <= rank(status) {
			continue
		}
		best, status = m, st
	}
	if best != nil {
		return best, status, nil
	}
	if err == nil {
		err = errors.New("no voting member is known")
	}
	return nil, nil, fmt.Errorf("the live cluster does not answer: %w", err)
}

// whyNot says why a member cannot tell of a revision.
func whyNot(m *cluster.Member, rev int64, err error) string {
	switch {
	case errors.Is(err, rpctypes.ErrCompacted):
		return fmt.Sprintf("%s has compacted revision %d away", m.Endpoint, rev)
	case errors.Is(err, rpctypes.ErrFutureRev):
		return fmt.Sprintf("%s has not got to revision %d yet", m.Endpoint, rev)
	}
	return fmt.Sprintf("%s: %s", m.Endpoint, cluster.Explain(err))
}

// liveHash compares HashKV. Only hashes of the same revision with the same compacted revision say anything (etcd server/etcdserver/corrupt.go).
func (m *restored) liveHash(ctx context.Context, r *Report, lm *cluster.Member) {
	rev := m.inside.At()
	h, err := hashAt(ctx, lm, rev)
	switch {
	case err != nil:
		r.add(CheckLiveHash, Unknown, "%s", whyNot(lm, rev, err))
	case h.CompactRevision != m.hash.CompactRevision:
		r.add(CheckLiveHash, Unknown, "the live cluster was compacted since (up to %d, and the snapshot up to %d): their hashes cannot be compared", h.CompactRevision, m.hash.CompactRevision)
	default:
		r.judge(CheckLiveHash, h.Hash == m.hash.Hash, "HashKV of revision %d is %08x in the live cluster, and %08x in the restored member", rev, h.Hash, m.hash.Hash)
	}
}

func (m *restored) liveCount(ctx context.Context, r *Report, lm *cluster.Member) {
	rev := m.inside.At()
	n, err := countAt(ctx, lm, rev)
	if err != nil {
		r.add(CheckLiveKeys, Unknown, "%s", whyNot(lm, rev, err))
		return
	}
	r.judge(CheckLiveKeys, n == m.inside.Keys, "the live cluster had %s at revision %d, and the restored member has %s", count(n, "key"), rev, count(m.inside.Keys, "key"))
}

// liveSample compares the sample with what the live cluster holds now: what was not changed since must be the same, byte by byte.
func (m *restored) liveSample(ctx context.Context, r *Report, lm *cluster.Member) {
	var same, changed, gone int
	var differ []string
	for _, kv := range m.sample {
		now, err := getAt(ctx, lm, kv.Key, 0)
		switch {
		case err != nil:
			r.add(CheckLive, Unknown, "%s", whyNot(lm, 0, err))
			return
		case now == nil:
			gone++
		case now.ModRevision > kv.ModRevision:
			changed++
		case now.ModRevision == kv.ModRevision && now.CreateRevision == kv.CreateRevision && string(now.Value) == string(kv.Value):
			same++
		default:
			differ = append(differ, string(kv.Key))
		}
	}
	text := fmt.Sprintf("of %s %d are the same in the live cluster, %d were changed since, %d deleted", count(int64(len(m.sample)), "sampled key"), same, changed, gone)
	if len(differ) > 0 {
		r.add(CheckLive, Failed, "%s, and %d differ though they were not changed: %s", text, len(differ), some(differ))
		return
	}
	r.add(CheckLive, Passed, "%s", text)
}
