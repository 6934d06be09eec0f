package views

import (
	"context"
	"fmt"

	"fathom/actions"
	"fathom/keymap"
	"fathom/ui/draw"
	"fathom/watchers/etcd"
)

// maxDetail bounds the lines of a difference in a dialog.
const maxDetail = 5000

// keyDetail is what a write to a key changes: the difference of the value now and then, decoded and masked. It is worked out here from both; no
// server has a say in it. It returns nothing when the key is not as the target has it: the preview says that.
func (e *Env) keyDetail(ctx context.Context, a actions.Action, t actions.Target, input string) [][]draw.Span {
	in := keymap.Intent(a.ID)
	if in != keymap.KeysPut && in != keymap.KeysEdit && in != keymap.KeysDelete || e.Cluster.ReadOnly() {
		return nil
	}
	keys := etcd.NewKeys(e.Cluster.Etcd())
	var before, after []byte
	if in != keymap.KeysPut {
		kv, err := keys.GetCurrent(ctx, t.Name)
		if err != nil || fmt.Sprint(kv.ModRevision) != t.ResourceVersion {
			return nil
		}
		before = kv.Value
	}
	if in != keymap.KeysDelete {
		after = []byte(input)
	}
	d := etcd.Diff(t.Name, before, after, etcd.DecodeOptions{Prefix: keys.Prefix()})
	var out [][]draw.Span
	if before != nil && after != nil && d.Old.Format != d.New.Format {
		out = append(out, diffSpans(fmt.Sprintf("# it is %s now and will be %s", d.Old.Format, d.New.Format)))
	}
	for _, l := range diffLines(d, maxDetail) {
		out = append(out, diffSpans(l))
	}
	return out
}
