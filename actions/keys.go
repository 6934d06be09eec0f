package actions

import (
	gobytes "bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"

	"fathom/cluster"
	"fathom/internal/run"
)

// A target that is a key has Kind "Key", Resource "keys", the key as its Name and UID, and as its ResourceVersion the mod revision at
// which it was seen, in decimal; "0" is a key that must not exist yet. Detail["version"] is the number of writes it had then (it tells
// after a lost answer whether another write came), Detail["value"] the value that the dialog begins with when it asks for one.
const (
	detailVersion = "version"
	detailValue   = "value"
	absent        = "0" // the ResourceVersion of a key that must not exist
)

// compactRevKey is where API servers agree on compactions, outside of their prefix
// (apiserver, pkg/storage/etcd3/compact.go).
const compactRevKey = "compact_rev_key"

func putKey() Action {
	return Action{
		ID: "keys.put", Title: "Make key", Verb: "txn", Resources: []string{"keys"}, Risk: Destructive, RiskOf: riskOfWrite,
		Input:   &Input{Prompt: "Value (one line; e edits it afterwards)", Initial: valueOf, Check: anyValue, Exact: true, Hidden: true},
		Preview: previewPutKey, Do: doPutKey, Verify: verifyPutKey,
	}
}

func editKey() Action {
	return Action{
		ID: "keys.edit", Title: "Write key", Verb: "txn", Resources: []string{"keys"}, Risk: Destructive, RiskOf: riskOfWrite,
		Input:   &Input{Prompt: "New value", Initial: valueOf, Check: anyValue, Exact: true, Hidden: true},
		Preview: previewEditKey, Do: doEditKey, Verify: verifyEditKey,
	}
}

func deleteKey() Action {
	return Action{
		ID: "keys.delete", Title: "Delete key", Verb: "txn", Resources: []string{"keys"}, Risk: Critical,
		Preview: previewDeleteKey, Do: doDeleteKey, Verify: verifyDeleteKey,
	}
}

func valueOf(t Target) string { return t.Detail[detailValue] }

// anyValue: etcd takes any bytes, and says itself when they are too many (--max-request-bytes).
func anyValue(Target, string) error { return nil }

// riskOfWrite is how a write to a key is confirmed: those of Kubernetes by name.
func riskOfWrite(c *cluster.Cluster, t Target) Risk {
	if ofKubernetes(c, t.Name) {
		return Critical
	}
	return Destructive
}

// ofKubernetes reports whether a key belongs to the API server.
func ofKubernetes(c *cluster.Cluster, key string) bool {
	if c.Etcd() == nil {
		return false
	}
	prefix := strings.TrimSuffix(c.Etcd().Prefix(), "/")
	return key == compactRevKey || key == prefix || strings.HasPrefix(key, prefix+"/")
}

// seen is the mod revision of the target.
func seen(t Target) (int64, error) {
	n, err := strconv.ParseInt(t.ResourceVersion, 10, 64)
	if err != nil || n < 0 {
		return 0, unsent(fmt.Errorf("%s: %q is not a mod revision: read the key again", t, t.ResourceVersion))
	}
	return n, nil
}

// readKey reads a key with a quorum behind the answer: all members are asked at once, and the first that can say is taken. Who it was
// is also who a write goes to, since it has just shown that it reaches the quorum. kv is nil when there is no such key. A *[Refusal] says
// that nobody could answer, so that nothing could be written either.
func readKey(ctx context.Context, c *cluster.Cluster, key string) (kv *mvccpb.KeyValue, conn *etcdConn, err error) {
	conns, err := etcdOf(c)
	if err != nil {
		return nil, nil, err
	}
	type answer struct {
		conn *etcdConn
		resp *pb.RangeResponse
		err  error
	}
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	answers := make(chan answer, len(conns))
	g := run.NewGroup(ctx, nil)
	defer g.Stop()
	for i := range conns {
		g.Go("actions: read a key", func(ctx context.Context) {
			a := answer{conn: &conns[i], err: errors.New("reading failed")}
			defer func() { answers <- a }()
			a.resp, a.err = pb.NewKVClient(conns[i].client.ActiveConnection()).Range(ctx, &pb.RangeRequest{Key: []byte(key)})
		})
	}
	var errs []error
	for range conns {
		a := <-answers
		switch {
		case a.err == nil && len(a.resp.Kvs) == 0:
			return nil, a.conn, nil
		case a.err == nil:
			return a.resp.Kvs[0], a.conn, nil
		case errors.Is(a.err, cluster.ErrReadOnly), errors.Is(rpctypes.Error(a.err), rpctypes.ErrPermissionDenied):
			return nil, nil, unsent(fmt.Errorf("read key %q: %w", key, rpctypes.Error(a.err)))
		}
		errs = append(errs, fmt.Errorf("%s: %w", a.conn.endpoint, rpctypes.Error(a.err)))
	}
	if ctx.Err() == context.Canceled { // by our own end: what was not heard says nothing of the members
		return nil, nil, unsent(fmt.Errorf("read key %q: %w", key, ctx.Err()))
	}
	return nil, nil, &Refusal{Reason: fmt.Sprintf("no member of etcd answers a linearizable read (%v): without a quorum nothing can be written", errors.Join(errs...))}
}

// asSeen reports as a conflict that the key is no longer what was confirmed.
func asSeen(t Target, rev int64, kv *mvccpb.KeyValue) error {
	switch {
	case rev == 0 && kv != nil:
		return &ConflictError{Reason: fmt.Sprintf("%s exists already, since revision %d (now %d): edit it instead; nothing was sent", t, kv.CreateRevision, kv.ModRevision)}
	case rev != 0 && kv == nil:
		return &ConflictError{Reason: fmt.Sprintf("%s was deleted since it was read at revision %d; nothing was sent", t, rev)}
	case kv != nil && kv.ModRevision != rev:
		return &ConflictError{Reason: fmt.Sprintf("%s was changed at revision %d, since it was read at revision %d; nothing was sent: read it again", t, kv.ModRevision, rev)}
	}
	return nil
}

// planKey reads the key anew and compares it with what was confirmed.
func planKey(ctx context.Context, c *cluster.Cluster, t Target) (rev int64, kv *mvccpb.KeyValue, conn *etcdConn, err error) {
	if rev, err = seen(t); err != nil {
		return 0, nil, nil, err
	}
	if kv, conn, err = readKey(ctx, c, t.Name); err != nil {
		return 0, nil, nil, err
	}
	return rev, kv, conn, asSeen(t, rev, kv)
}

// previewKey is planKey for a preview: what stands in the way of the write is a refusal there, so that the dialog offers no yes.
func previewKey(ctx context.Context, c *cluster.Cluster, t Target) (*mvccpb.KeyValue, error) {
	_, kv, _, err := planKey(ctx, c, t)
	var conflict *ConflictError
	switch {
	case errors.As(err, &conflict):
		return nil, &Refusal{Reason: conflict.Reason}
	case errors.Is(err, rpctypes.ErrPermissionDenied):
		return nil, &Refusal{Reason: "etcd does not allow it: " + err.Error()}
	}
	return kv, err
}

// commit sends one transaction: op, if the key's mod revision is still the one that was seen. It returns the revision at which it was
// done. The plain client, not clientv3's: that one repeats.
func commit(ctx context.Context, conn *etcdConn, t Target, rev int64, op *pb.RequestOp) (int64, error) {
	key := []byte(t.Name)
	resp, err := pb.NewKVClient(conn.client.ActiveConnection()).Txn(ctx, &pb.TxnRequest{
		Compare: []*pb.Compare{{Result: pb.Compare_EQUAL, Target: pb.Compare_MOD, Key: key, TargetUnion: &pb.Compare_ModRevision{ModRevision: rev}}},
		Success: []*pb.RequestOp{op},
		Failure: []*pb.RequestOp{{Request: &pb.RequestOp_RequestRange{RequestRange: &pb.RangeRequest{Key: key, KeysOnly: true}}}},
	})
	if err != nil {
		return 0, fmt.Errorf("write %s through %s: %w", t, conn.endpoint, rpctypes.Error(err))
	}
	if resp.Succeeded {
		return resp.GetHeader().GetRevision(), nil
	}
	var now *mvccpb.KeyValue
	if len(resp.Responses) == 1 && len(resp.Responses[0].GetResponseRange().GetKvs()) == 1 {
		now = resp.Responses[0].GetResponseRange().Kvs[0]
	}
	if err := asSeen(t, rev, now); err != nil {
		return 0, &ConflictError{Reason: strings.ReplaceAll(err.Error(), "nothing was sent", "etcd refused it, nothing was changed")}
	}
	return 0, &ConflictError{Reason: fmt.Sprintf("%s was changed while it was written: etcd refused it, nothing was changed", t)}
}

// put is the operation that writes a value. A key that exists keeps its lease: a put that names none would take it off, and an Event
// would live for ever.
func put(t Target, rev int64, value string) *pb.RequestOp {
	return &pb.RequestOp{Request: &pb.RequestOp_RequestPut{RequestPut: &pb.PutRequest{Key: []byte(t.Name), Value: []byte(value), IgnoreLease: rev != 0}}}
}

func leaseLine(kv *mvccpb.KeyValue) string {
	if kv.Lease == 0 {
		return "It has no lease."
	}
	return fmt.Sprintf("It keeps its lease %x, and goes when that ends.", kv.Lease)
}

// beneath says why a write beneath the API server is dangerous.
func beneath(c *cluster.Cluster, t Target, deleting bool) []string {
	switch {
	case t.Name == compactRevKey:
		return []string{"In this key the API servers agree on how far the history is compacted, every five minutes: without it, or with another value, a compaction is done twice or left out."}
	case !ofKubernetes(c, t.Name):
		return nil
	}
	lines := []string{"This key is Kubernetes' own, and this goes past the API server: no admission, no validation, no authorization, and no word of it in its audit log."}
	if deleting {
		return append(lines, "No finalizer runs, nothing ends gracefully, and what the object owns is found and removed only later, if at all. "+
			"Controllers and the API servers' caches see an object vanish; delete it with kubectl if the API server can still do it.")
	}
	return append(lines, "API servers serve what is here, from their caches at once, with its new revision as resourceVersion; "+
		"a value that they cannot decode makes every list of its kind fail, and controllers stop.")
}

func previewPutKey(ctx context.Context, c *cluster.Cluster, t Target, value string) ([]string, error) {
	switch {
	case t.Name == "":
		return nil, &Refusal{Reason: "a key has a name of at least one byte"}
	case t.ResourceVersion != absent:
		return nil, &Refusal{Reason: t.String() + " exists: it can be edited, not made"}
	}
	if _, err := previewKey(ctx, c, t); err != nil {
		return nil, err
	}
	return append([]string{
		fmt.Sprintf("%s, %s will be made in etcd, with a value of %s and without a lease.", where(c), t, bytes(int64(len(value)))),
	}, beneath(c, t, false)...), nil
}

func doPutKey(ctx context.Context, c *cluster.Cluster, r Request) (string, error) {
	if r.Target.ResourceVersion != absent {
		return "", &ConflictError{Reason: r.Target.String() + " exists: nothing was sent"}
	}
	rev, _, conn, err := planKey(ctx, c, r.Target)
	if err != nil {
		return "", err
	}
	at, err := commit(ctx, conn, r.Target, rev, put(r.Target, rev, r.Input))
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s is made, at revision %d, with %s", r.Target, at, bytes(int64(len(r.Input)))), nil
}

func previewEditKey(ctx context.Context, c *cluster.Cluster, t Target, value string) ([]string, error) {
	kv, err := previewKey(ctx, c, t)
	if err != nil {
		return nil, err
	}
	if kv == nil {
		return nil, &Refusal{Reason: t.String() + " does not exist: it can be made, not edited"}
	}
	if gobytes.Equal(kv.Value, []byte(value)) {
		return nil, &Refusal{Reason: "the value is what it was: nothing will be sent"}
	}
	return append([]string{
		fmt.Sprintf("%s, the value of %s will be replaced: %s now, %s then.", where(c), t, bytes(int64(len(kv.Value))), bytes(int64(len(value)))),
		fmt.Sprintf("It is as of revision %d, written %s; etcd refuses this if anybody writes it before. %s", kv.ModRevision, times(kv.Version), leaseLine(kv)),
	}, beneath(c, t, false)...), nil
}

func times(n int64) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

func doEditKey(ctx context.Context, c *cluster.Cluster, r Request) (string, error) {
	rev, kv, conn, err := planKey(ctx, c, r.Target)
	if err != nil {
		return "", err
	}
	if kv == nil {
		return "", &ConflictError{Reason: r.Target.String() + " does not exist: nothing was sent"}
	}
	if gobytes.Equal(kv.Value, []byte(r.Input)) {
		return fmt.Sprintf("%s had this value already: nothing was sent", r.Target), nil
	}
	at, err := commit(ctx, conn, r.Target, rev, put(r.Target, rev, r.Input))
	if err != nil {
		return "", err
	}
	kept := ""
	if kv.Lease != 0 {
		kept = fmt.Sprintf("; it keeps lease %x", kv.Lease)
	}
	return fmt.Sprintf("%s is written, at revision %d (before: %d), with %s%s", r.Target, at, rev, bytes(int64(len(r.Input))), kept), nil
}

func previewDeleteKey(ctx context.Context, c *cluster.Cluster, t Target, _ string) ([]string, error) {
	kv, err := previewKey(ctx, c, t)
	if err != nil {
		return nil, err
	}
	if kv == nil {
		return nil, &Refusal{Reason: t.String() + " does not exist: nothing will be sent"}
	}
	return append([]string{
		fmt.Sprintf("%s, %s will be deleted: %s, made at revision %d, written %s, the last time at revision %d.",
			where(c), t, bytes(int64(len(kv.Value))), kv.CreateRevision, times(kv.Version), kv.ModRevision),
		"etcd refuses this if anybody writes the key before. Until the next compaction its history can still be read.",
	}, beneath(c, t, true)...), nil
}

func doDeleteKey(ctx context.Context, c *cluster.Cluster, r Request) (string, error) {
	rev, kv, conn, err := planKey(ctx, c, r.Target)
	if err != nil {
		return "", err
	}
	if kv == nil {
		return "", &ConflictError{Reason: r.Target.String() + " does not exist: nothing was sent"}
	}
	at, err := commit(ctx, conn, r.Target, rev, &pb.RequestOp{Request: &pb.RequestOp_RequestDeleteRange{RequestDeleteRange: &pb.DeleteRangeRequest{Key: []byte(r.Target.Name)}}})
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s is deleted, at revision %d; what it was can be read at revision %d until etcd is compacted", r.Target, at, rev), nil
}
