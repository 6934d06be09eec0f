package etcd

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

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
// ranges are kept narrow; see next and stride.
func (k *Keys) Children(ctx context.Context, prefix, after string, limit int) (Level, error) {
	if prefix != "" && !strings.HasSuffix(prefix, Separator) {
		prefix += Separator
	}
	s := scan{keys: k, prefix: prefix, at: prefix, limit: min(max(limit, 1), MaxPage), slots: make(chan struct{}, countsAtOnce)}
	if after != "" {
		s.at, s.memo = afterChild(prefix, after), k.memo(prefix)
	} else if m := k.memo(prefix); m.first != "" && time.Since(m.at) < memoFresh {
		s.seed, s.memo.ahead = &m, m.ahead
	}
	ctx, s.cancel = context.WithCancel(ctx)
	defer s.cancel()
	err := s.run(ctx)
	k.remember(prefix, s.memo)
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
	memo   levelMemo
	leaf   bool       // the last child was a key
	seed   *levelMemo // the first key is known already; nil: it is not, or was taken

	rest    rest   // after the last read
	pending *Child // the last child, which was not counted yet
	before  rest   // before that child
	first   string // its first key

	slots    chan struct{} // for counts
	wait     sync.WaitGroup
	once     sync.Once
	countErr error // of the count that failed first
}

// run looks for one child more than is wanted, which tells that there are more.
func (s *scan) run(ctx context.Context) error {
	page := 1 // keys per read: after a prefix the next key is enough, among keys more of them are wanted
	if s.memo.cut > 0 {
		page = 16 // the page before was among keys
	}
	for {
		keys, err := s.next(ctx, page)
		if err != nil {
			return err
		}
		if len(keys) == 0 {
			return nil
		}
		page = min(page*4, s.limit-len(s.found)+1, MaxPage)
		for i, key := range keys {
			if len(s.found) == s.limit {
				s.level.More = true
				return nil
			}
			c := childOf(s.prefix, key)
			s.found, s.leaf = append(s.found, &c), c.Leaf
			s.at = afterChild(s.prefix, c.Key)
			if !c.Leaf {
				s.counted(ctx, &c, key, i)
				page = 1
				break // the keys that follow are most likely within it
			}
		}
	}
}

// manyKeys is how many keys a range may hold for it to be read as a whole where one key is wanted: the member walks the index over
// them in about ten milliseconds.
const manyKeys = 100_000

// next finds the keys at or after s.at. While the level is large it looks near the last child first.
func (s *scan) next(ctx context.Context, limit int) ([]string, error) {
	if m := s.seed; m != nil {
		s.seed, s.rest = nil, rest{m.ahead, m.revision, true}
		return []string{m.first}, nil
	}
	large := s.memo.ahead > s.keys.many
	if large && (limit > 1 || s.leaf && s.memo.cut > 0) {
		return s.nextNames(ctx, limit)
	}
	levelEnd := prefixEnd(s.prefix)
	var ends [][]byte
	if large {
		ends = s.near()
	}
	for _, end := range append(ends, levelEnd) {
		whole := bytes.Equal(end, levelEnd)
		if !whole && (isOpen(end) || s.at >= string(end)) {
			continue
		}
		r, err := s.read(ctx, s.at, end, limit)
		if err != nil {
			return nil, err
		}
		if whole {
			s.memo.ahead = r.Count
		}
		if whole || len(r.Kvs) > 0 {
			s.resolve(ctx, r, whole)
			return names(r), nil
		}
		s.at = string(end)
	}
	return nil, nil
}

// rest is how many keys there were from where a read began to the end of the level.
type rest struct {
	count, revision int64
	known           bool
}

// counted sees to the number of keys of a child that was found as key i of a read. When the rest of the level is known before and after the
// child, at the same revision, it is the difference, and the member need not walk over the child's keys again.
func (s *scan) counted(ctx context.Context, c *Child, key string, i int) {
	if !s.rest.known {
		s.count(ctx, c)
		return
	}
	s.pending, s.before = c, rest{s.rest.count - int64(i), s.rest.revision, true}
	s.first = key
}

// resolve counts the child that waits for it, after the next read: whole, of all the rest of the level.
func (s *scan) resolve(ctx context.Context, r *pb.RangeResponse, whole bool) {
	revision := r.GetHeader().GetRevision()
	if s.rest = (rest{}); whole {
		s.rest = rest{r.Count, revision, true}
	}
	c := s.pending
	if s.pending = nil; c == nil {
		return
	}
	if !whole || revision != s.before.revision {
		s.count(ctx, c)
		return
	}
	c.Count = s.before.count - r.Count
	// Who opens this child next does not make the member walk over it to find its first key.
	s.keys.remember(c.Key, levelMemo{ahead: c.Count, first: s.first, revision: revision, at: time.Now()})
}

// near are the ends of narrow ranges in which the next child may be: among the names that share all but its last character, then those that
// share half of it, then those of the same first byte, and of the next ones.
func (s *scan) near() (ends [][]byte) {
	name := s.at[len(s.prefix):]
	// The last byte of name is not the child's: afterChild put it there.
	for _, n := range []int{len(name) - 2, len(name) / 2} {
		if n > 0 {
			ends = append(ends, prefixEnd(s.prefix+name[:n]))
		}
	}
	if name == "" {
		return ends
	}
	for b, w := int(name[0])+1, 2; b < 0xff; b, w = b+w, 2*w {
		ends = append(ends, []byte(s.prefix+string([]byte{byte(b)})))
	}
	return ends
}

// nextNames finds the next keys of a large level: most likely there are many of them right in it. How narrow the ranges are is known from the pages
// before.
func (s *scan) nextNames(ctx context.Context, limit int) ([]string, error) {
	if s.memo.cut == 0 {
		s.memo.cut = len(s.at) - 2 // as above: the names that share all but the last character
	}
	step := stride{at: s.at, end: prefixEnd(s.prefix), floor: len(s.prefix), cut: s.memo.cut}
	for {
		end, whole := step.bound()
		r, err := s.read(ctx, step.at, end, limit)
		if err != nil {
			return nil, err
		}
		if whole {
			s.memo.ahead = r.Count
		}
		found := names(r)
		first, last := "", ""
		if len(found) > 0 {
			first, last = found[0], found[len(found)-1]
		}
		done := step.took(len(found), first, last, r.Count, r.More, limit)
		if s.memo.cut = step.cut; len(found) > 0 || done {
			s.resolve(ctx, r, whole)
			return found, nil
		}
		s.at = step.at
	}
}

func (s *scan) read(ctx context.Context, at string, end []byte, limit int) (*pb.RangeResponse, error) {
	r, src, err := s.keys.rangeOn(ctx, &pb.RangeRequest{Key: from(at), RangeEnd: end, KeysOnly: true, Limit: int64(max(limit, 1))})
	if err == nil {
		s.level.Source = src
	}
	return r, err
}

func names(r *pb.RangeResponse) []string {
	out := make([]string, len(r.Kvs))
	for i, kv := range r.Kvs {
		out[i] = string(kv.Key)
	}
	return out
}

// levelMemo is what is known of a level from the page of it that was read last. It is a guess: that keys have come and gone since makes reads
// larger or smaller, not wrong.
type levelMemo struct {
	ahead int64 // keys that were left when the rest of the level was last looked at; 0: that was not done yet
	cut   int   // see stride
	// first is the first key of the level, of which ahead are all, at a revision that was the newest at a time; empty: not known.
	first    string
	revision int64
	at       time.Time
}

// memoFresh is how long what is known of the beginning of a level is good enough to show: it was read with the level above.
const memoFresh = time.Second

// maxMemos bounds the levels that something is remembered of.
const maxMemos = 256

func (k *Keys) memo(prefix string) levelMemo {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.memos[prefix]
}

func (k *Keys) remember(prefix string, m levelMemo) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.memos == nil || len(k.memos) >= maxMemos {
		k.memos = map[string]levelMemo{}
	}
	k.memos[prefix] = m
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
