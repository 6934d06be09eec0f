package etcd

import (
	"fmt"
	"testing"
)

// What the scan before had no room to tell apart was not nothing.
func TestSpaceBeforeIsNotNothingWhereItIsNotKnown(t *testing.T) {
	tree := func(names ...string) *spaceTree {
		s := newSpaceTree("/registry", "/x/")
		for _, n := range names {
			s.add(SpaceKey{Key: "/x/" + n + "/k", Bytes: 100})
		}
		return s
	}
	var names []string
	for i := range maxSpaceChildren + 1 {
		names = append(names, fmt.Sprintf("n%05d", i))
	}
	before, now := tree(names...), tree(append(names[1:], "zz")...) // the first is gone, the last one has room now
	rows := map[string]SpaceRow{}
	for _, r := range now.level("/x/", before) {
		rows[r.Name] = r
	}
	if r := rows[names[1]]; r.Before == nil || r.Before.Keys != 1 {
		t.Errorf("known before: %+v", r)
	}
	if r := rows[names[len(names)-1]]; r.Name == "" || r.Before != nil {
		t.Errorf("not told apart before: %+v, %+v", r, r.Before)
	}
	if r := tree("a", "new").level("/x/", tree("a")); len(r) != 2 || r[0].Before == nil || r[1].Before == nil {
		t.Errorf("a new one: %+v", r)
	}
}
