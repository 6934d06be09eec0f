package etcd

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"sync"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
)

// Separator divides a key into the levels of the tree, as the API server writes them.
const Separator = "/"

// Child is one thing on a level of the key tree: a key, or a prefix that keys begin with. Where a key is also the beginning of other
// keys ("a" and "a/b") there are two children.
type Child struct {
	// Name is what it is called on its level, without the separator; empty for a key that is its own prefix ("a/" under "a/"), or
	// between two separators. Untrusted.
	Name string
	Key  string // the key, or the prefix with the separator at its end
	Leaf bool   // it is a key
	// Count is the number of keys under a prefix when it was counted; 1 for a key.
	Count int64
}

// Level is a part of one level of the key tree, in the order of the keys' bytes.
type Level struct {
	Source   // of the last read: a level is put together from several
	Children []Child
	More     bool // there are children after the last one
}

// countsAtOnce bounds how many counts run side by side.
const countsAtOnce = 4

// Children reads one level of the key tree: what comes after prefix, which is empty for the first level and otherwise ends in
// [Separator]. after is the Key of the last child that is already known, limit how many to read, bounded by [MaxPage].
//
// Keys are not listed for it. From the end of one child the next key is asked for, without its value, and then the child's keys are
// counted. etcd's member walks its index up to the end of a range even when only one key is wanted
// (server/storage/mvcc/index.go), which costs half a minute of it for a thousand namespaces with a million keys, so in large levels the
// ranges are kept narrow; see next.
func (k *Keys) Children(ctx context.Context, prefix, after string, limit int) (Level, error) {
	if prefix != "" && !strings.HasSuffix(prefix, Separator) {
		prefix += Separator
	}
	s := scan{keys: k, prefix: prefix, at: prefix, limit: min(max(limit, 1), MaxPage), slots: make(chan struct{}, countsAtOnce)}
	if after != "" {
		s.at = afterChild(prefix, after)
	}
	ctx, s.cancel = context.WithCancel(ctx)
	defer s.cancel()
	err := s.run(ctx)
	s.wait.Wait()
	if s.countErr != nil { // it ended the scan
		err = s.countErr
	} else if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return Level{Source: s.level.Source}, fmt.Errorf("reading the level under %q: %w", prefix, err)
	}
	for _, c := range s.found {
		s.level.Children = append(s.level.Children, *c)
	}
	return s.level, nil
}

// scan is the reading of one level.
type scan struct {
	keys   *Keys
	prefix string
	at     string // where to go on
	limit  int
	cancel context.CancelFunc
	level  Level
	found  []*Child
	// keysAhead is how many keys the level had after s.at when all of its rest was last looked at; 0: that was not done yet.
	keysAhead int64

	slots    chan struct{} // for counts
	wait     sync.WaitGroup
	once     sync.Once
	countErr error // of the count that failed first
}

// run looks for one child more than is wanted, which tells that there are more.
func (s *scan) run(ctx context.Context) error {
	page := 1 // keys per read: after a prefix the next key is enough, among keys more of them are wanted
	for {
		keys, err := s.next(ctx, page)
		if err != nil {
			return err
		}
		if len(keys) == 0 {
			return nil
		}
		page = min(page*4, s.limit-len(s.found)+1, MaxPage)
		for _, key := range keys {
			if len(s.found) == s.limit {
				s.level.More = true
				return nil
			}
			c := childOf(s.prefix, key)
			s.found = append(s.found, &c)
			s.at = afterChild(s.prefix, c.Key)
			if !c.Leaf {
				s.count(ctx, &c)
				page = 1
				break // the keys that follow are most likely within it
			}
		}
	}
}

// manyKeys is how many keys a range may hold for it to be read as a whole where one key is wanted: the member walks the index over
// them in about ten milliseconds.
const manyKeys = 100_000

// next finds the keys at or after s.at. While the level is large and one key is wanted, it looks near the last child first: among the
// names that share all but its last character, then among those that share half of it.
func (s *scan) next(ctx context.Context, limit int) ([]string, error) {
	levelEnd := prefixEnd(s.prefix)
	ends := make([][]byte, 0, 3)
	if name := s.at[len(s.prefix):]; limit == 1 && s.keysAhead > s.keys.many {
		// The last byte of name is not the child's: afterChild put it there.
		for _, n := range []int{len(name) - 2, len(name) / 2} {
			if n > 0 {
				ends = append(ends, prefixEnd(s.prefix+name[:n]))
			}
		}
	}
	for _, end := range append(ends, levelEnd) {
		whole := bytes.Equal(end, levelEnd)
		if !whole && s.at >= string(end) {
			continue
		}
		r, src, err := s.keys.rangeOn(ctx, &pb.RangeRequest{Key: from(s.at), RangeEnd: end, KeysOnly: true, Limit: int64(max(limit, 1))})
		if err != nil {
			return nil, err
		}
		s.level.Source = src
		if whole {
			s.keysAhead = r.Count
		}
		if len(r.Kvs) > 0 {
			out := make([]string, len(r.Kvs))
			for i, kv := range r.Kvs {
				out[i] = string(kv.Key)
			}
			return out, nil
		}
		if whole {
			break
		}
		s.at = string(end)
	}
	return nil, nil
}

// count counts the keys of a child while the scan goes on.
func (s *scan) count(ctx context.Context, c *Child) {
	select {
	case s.slots <- struct{}{}:
	case <-ctx.Done():
		return
	}
	s.wait.Go(func() {
		defer func() { <-s.slots }()
		n, _, err := s.keys.Count(ctx, c.Key)
		if err != nil {
			s.once.Do(func() { s.countErr = err })
			s.cancel()
			return
		}
		c.Count = n
	})
}

// childOf is the child of a level that a key belongs to.
func childOf(prefix, key string) Child {
	rest := key[len(prefix):]
	skip := 0
	if prefix == "" && strings.HasPrefix(rest, Separator) {
		skip = 1 // of "/registry/pods" the first level is "/registry", not an empty name
	}
	if i := strings.Index(rest[skip:], Separator); i >= 0 {
		return Child{Name: rest[:skip+i], Key: prefix + rest[:skip+i+1]}
	}
	return Child{Name: rest, Key: key, Leaf: true, Count: 1}
}

// afterChild is where the keys after a child begin. A key that is known only by its name is a prefix when it ends in the separator
// and is not the level's own.
func afterChild(prefix, child string) string {
	if strings.HasSuffix(child, Separator) && child != prefix && !(prefix == "" && child == Separator) {
		return string(prefixEnd(child))
	}
	return child + "\x00"
}
