package etcd

import (
	"bytes"
	"strings"
)

// stride walks a range of keys in reads of narrow ranges. A member walks its index up to the end of a range even when only a few keys of
// it are wanted (server/storage/mvcc/index.go), so that a thousand pages of a million keys, each up to the end, would cost it a minute
// with the index locked. The end of a read is therefore put where about a page of keys is expected: after the keys that share the
// first bytes of the one where it begins. How many bytes is learned from what the reads before have brought.
type stride struct {
	at    string // where the next read begins
	end   []byte // of the whole range; {0}: all keys to the last
	floor int    // bytes that all keys of the range share: no use in sharing fewer
	cut   int    // how many bytes of at the keys of the next read share; floor or fewer: the whole range is read
	empty int    // how many reads in a row have found nothing
}

// wideRead is how many times more keys than wanted a range may hold before the next ones are made narrower.
const wideRead = 16

// newStride begins with the whole range, so that the first answer tells how many keys there are.
func newStride(at string, end []byte, floor int) *stride {
	return &stride{at: at, end: end, floor: floor, cut: floor}
}

// bound is the end of the next read. whole: it is that of the whole range.
func (s *stride) bound() (end []byte, whole bool) {
	s.cut = min(s.cut, len(s.at))
	if s.cut <= s.floor {
		return s.end, true
	}
	end = prefixEnd(s.at[:s.cut])
	if isOpen(end) || !isOpen(s.end) && bytes.Compare(end, s.end) >= 0 {
		return s.end, true
	}
	return end, false
}

// isOpen reports whether a range with that end goes to the last key.
func isOpen(end []byte) bool { return len(end) == 1 && end[0] == 0 }

// took goes on after a read of at most limit keys up to bound: n keys came, the first and the last of these, count were in the range.
// It reports whether the whole range has been read.
func (s *stride) took(n int, first, last string, count int64, more bool, limit int) (done bool) {
	end, whole := s.bound()
	switch {
	case more && n > 0:
		s.at = last + "\x00"
		s.empty = 0
		if count > int64(wideRead*limit) {
			s.cut = max(min(common(first, last), len(last)-1), min(s.cut+1, len(last)))
		}
	case whole:
		return true
	default:
		s.at = string(end)
		s.cut = min(s.cut, len(s.at))
		switch {
		case n == 0:
			s.empty++
			s.widen(s.empty > patience)
		case n < limit/2:
			s.empty = 0
			s.widen(false)
		}
	}
	return false
}

// patience is how many reads may find nothing before the steps become larger: as many as digits of a number change at once, for where
// they do there is as much on the other side.
const patience = 6

// widen lets the next read share fewer bytes: one less, or, when nothing was found for a while, half of what it shares of its level. Between
// levels, which are other things (namespaces, resources), it goes in smaller steps than within names.
func (s *stride) widen(again bool) {
	level := strings.LastIndex(s.at[:s.cut], Separator) + 1
	in := s.cut - level
	switch {
	case in == 0:
		s.cut -= 2 // the separator, and the last byte of the level above
	case again:
		s.cut = level + in/2
	default:
		s.cut--
	}
}

// common is how many bytes two keys begin with in common.
func common(a, b string) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}
