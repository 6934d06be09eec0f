package check

import "testing"

// A comparison is published before it begins: what it finds is its goroutine's alone. The race detector watches.
func TestComparisonIsPublishedBeforeItBegins(t *testing.T) {
	m := startMember(t)
	k, w := checked(t, m)
	eventually(t, "the member", func() bool { return w.Snapshot().Polled && w.Snapshot().Quorum.Leader != 0 })
	for range 20 {
		if err := k.CompareHashes(); err != nil {
			t.Fatal(err)
		}
		if k.Hash() == nil {
			t.Fatal("a comparison that was begun is not shown")
		}
		eventually(t, "its end", func() bool { return !k.Hash().Running() })
	}
}
