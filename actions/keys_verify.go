package actions

import (
	"context"
	"fmt"
	"strconv"

	"go.etcd.io/etcd/api/v3/mvccpb"

	"fathom/cluster"
)

// verifyKey reads a key, with a quorum behind the answer, until it is known what became of a write whose answer was lost. judge is asked
// about a key that is no longer as it was seen.
func verifyKey(ctx context.Context, c *cluster.Cluster, t Target, judge func(rev int64, kv *mvccpb.KeyValue) (Status, string)) (Status, string, error) {
	rev, err := seen(t)
	if err != nil {
		return Unknown, "", err
	}
	return settle(ctx, func(ctx context.Context) (Status, string, error) {
		kv, _, err := readKey(ctx, c, t.Name)
		switch {
		case err != nil:
			return Unknown, "", err
		case rev == 0 && kv == nil:
			return Unknown, fmt.Sprintf("%s does not exist", t), nil
		case kv != nil && kv.ModRevision == rev:
			return Unknown, fmt.Sprintf("%s is as it was, at revision %d", t, rev), nil
		}
		status, text := judge(rev, kv)
		return status, text, nil
	})
}

// once reports whether a key has been written exactly once since it was seen: then it was not us, if it is not ours.
func once(t Target, rev int64, kv *mvccpb.KeyValue) bool {
	version, err := strconv.ParseInt(t.Detail[detailVersion], 10, 64)
	return err == nil && kv.CreateRevision <= rev && kv.Version == version+1
}

func verifyPutKey(ctx context.Context, c *cluster.Cluster, r Request) (Status, string, error) {
	return verifyKey(ctx, c, r.Target, func(_ int64, kv *mvccpb.KeyValue) (Status, string) {
		switch {
		case string(kv.Value) == r.Input:
			return Done, fmt.Sprintf("%s holds this value, since revision %d", r.Target, kv.ModRevision)
		case kv.Version == 1:
			return Failed, fmt.Sprintf("%s was made by somebody else, at revision %d, with another value", r.Target, kv.CreateRevision)
		}
		return Unknown, fmt.Sprintf("%s was made at revision %d and changed since: whether the first value was this one is not known", r.Target, kv.CreateRevision)
	})
}

func verifyEditKey(ctx context.Context, c *cluster.Cluster, r Request) (Status, string, error) {
	return verifyKey(ctx, c, r.Target, func(rev int64, kv *mvccpb.KeyValue) (Status, string) {
		switch {
		case kv == nil:
			return Unknown, fmt.Sprintf("%s is gone: whether it was written before it was deleted is not known", r.Target)
		case string(kv.Value) == r.Input:
			return Done, fmt.Sprintf("%s holds this value, since revision %d", r.Target, kv.ModRevision)
		case once(r.Target, rev, kv):
			return Failed, fmt.Sprintf("%s was written by somebody else, at revision %d, with another value", r.Target, kv.ModRevision)
		}
		return Unknown, fmt.Sprintf("%s was written more than once since revision %d, the last time at revision %d with another value", r.Target, rev, kv.ModRevision)
	})
}

func verifyDeleteKey(ctx context.Context, c *cluster.Cluster, r Request) (Status, string, error) {
	return verifyKey(ctx, c, r.Target, func(rev int64, kv *mvccpb.KeyValue) (Status, string) {
		switch {
		case kv == nil:
			return Done, fmt.Sprintf("%s is gone", r.Target)
		case kv.CreateRevision > rev:
			return Unknown, fmt.Sprintf("%s was deleted and made again, at revision %d", r.Target, kv.CreateRevision)
		}
		return Failed, fmt.Sprintf("%s was written by somebody else, at revision %d, and is there", r.Target, kv.ModRevision)
	})
}
