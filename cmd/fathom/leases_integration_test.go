//go:build integration

package main

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"fathom/internal/testcluster"
)

// A lease is revoked by its key: not without its ID typed, not when the dialog is put away, and then with all of its keys and nothing else.
func (h *keyHand) testRevokeLease(t *testing.T) {
	type lease struct {
		id   clientv3.LeaseID
		keys []string
	}
	var all []lease
	for i := range 3 {
		l, err := h.cli.Grant(t.Context(), int64(3600+i))
		if err != nil {
			t.Fatal(err)
		}
		held := lease{id: l.ID}
		for _, name := range []string{"lock", "owner", "since"} {
			key := fmt.Sprintf("/leased/%d/%s", i, name)
			h.put(t, key, "held", clientv3.WithLease(l.ID))
			held.keys = append(held.keys, key)
		}
		all = append(all, held)
	}
	h.put(t, "/leased/1/unleased", "stays")
	slices.SortFunc(all, func(a, b lease) int { return cmp.Compare(a.id, b.id) })
	mine := all[1] // a lease before it in the list, and one after it
	id := fmt.Sprintf("%016x", int64(mine.id))

	alive := func(l lease) error {
		r, err := h.cli.TimeToLive(t.Context(), l.id, clientv3.WithAttachedKeys())
		if err != nil {
			return err
		}
		var keys []string
		for _, k := range r.Keys {
			keys = append(keys, string(k))
		}
		if slices.Sort(keys); r.TTL <= 0 || !slices.Equal(keys, l.keys) {
			return fmt.Errorf("lease %x has %d s and the keys %q", l.id, r.TTL, keys)
		}
		for _, k := range l.keys {
			if got, err := h.cli.Get(t.Context(), k); err != nil || len(got.Kvs) != 1 || got.Kvs[0].Lease != int64(l.id) {
				return fmt.Errorf("%s: %v, %v", k, got, err)
			}
		}
		return nil
	}

	term := h.open(t, "-c leases", "exit 1")
	row := func(s, id string) string {
		for _, l := range strings.Split(s, "\n") {
			if strings.HasPrefix(l, "│") && strings.Contains(l, id) {
				return l
			}
		}
		return ""
	}
	term.WaitUntil("the leases with their keys", func(s string) bool {
		return !slices.ContainsFunc(all, func(l lease) bool { return !strings.Contains(row(s, fmt.Sprintf("%016x", int64(l.id))), l.keys[0]) })
	})
	until(term, "the cursor on "+id, func() { term.Type("j") }, func(s string) bool { return strings.Contains(s, "▸ "+id) })

	ask := func() {
		t.Helper()
		until(term, "the dialog", func() { term.Keys("C-d") }, func(s string) bool { return strings.Contains(s, "Type "+id+" to go on") })
		said := dialogText(term.WaitFor("Revoke lease"))
		for _, want := range append([]string{fmt.Sprintf("lease %x (", int64(mine.id)), "with it 3 keys deleted"}, mine.keys...) {
			if !strings.Contains(said, want) {
				t.Errorf("the dialog does not say %q: %s", want, said)
			}
		}
		if n := strings.Count(said, "/leased/"); n != len(mine.keys) {
			t.Errorf("the dialog names %d keys: %s", n, said)
		}
	}
	ask()
	// Not with another name, and not when it is put away.
	until(term, "letters in the line", func() { term.Keys("C-u"); term.Type("yes") }, regexp.MustCompile(`│ yes +│`).MatchString)
	until(term, "the refusal", func() { term.Keys("Enter") }, func(s string) bool {
		return strings.Contains(s, "or Esc") && strings.Contains(s, "type "+id+" to go on")
	})
	term.Keys("Escape")
	term.WaitGone("Revoke lease")
	for _, l := range all {
		if err := alive(l); err != nil {
			t.Errorf("after the dialog was put away: %v", err)
		}
	}

	ask()
	until(term, "the ID in the line", func() { term.Keys("C-u"); term.Type(id) }, regexp.MustCompile(`│ `+id+` +│`).MatchString)
	until(term, "the end of the dialog", func() { term.Keys("Enter") }, func(s string) bool { return !strings.Contains(s, "Type "+id) })
	testcluster.Eventually(t, 30*time.Second, "the lease and its keys to be gone", func() error {
		r, err := h.cli.TimeToLive(t.Context(), mine.id, clientv3.WithAttachedKeys())
		if err != nil {
			return err
		}
		if r.TTL != -1 || len(r.Keys) != 0 {
			return fmt.Errorf("lease %x has %d s and %d keys", mine.id, r.TTL, len(r.Keys))
		}
		for _, k := range mine.keys {
			if got, err := h.cli.Get(t.Context(), k); err != nil || len(got.Kvs) != 0 {
				return fmt.Errorf("%s: %v, %v", k, got, err)
			}
		}
		return nil
	})
	if _, err := h.cli.KeepAliveOnce(t.Context(), mine.id); err != rpctypes.ErrLeaseNotFound {
		t.Errorf("another client keeps it alive: %v", err)
	}
	for _, l := range []lease{all[0], all[2]} {
		if err := alive(l); err != nil {
			t.Errorf("not revoked, and yet: %v", err)
		}
	}
	h.holds(t, "/leased/1/unleased", "stays", 0)
	s := term.WaitUntil(id+" gone from the list, by itself", func(s string) bool {
		return strings.Contains(s, "is revoked, and 3 keys with it") && row(s, "▸ "+id) == ""
	})
	for _, l := range []lease{all[0], all[2]} {
		if !strings.Contains(row(s, fmt.Sprintf("%016x", int64(l.id))), l.keys[0]) {
			t.Errorf("lease %x is not on the screen:\n%s", l.id, s)
		}
	}
}

// dialogText is what a dialog over a pane says, without its line ends.
func dialogText(s string) string {
	var out []string
	for _, l := range strings.Split(s, "\n") {
		if cells := strings.Split(l, "│"); len(cells) == 5 { // the pane's border, the dialog's, its text, and both borders again
			out = append(out, strings.TrimSpace(cells[2]))
		}
	}
	return strings.Join(out, " ")
}
