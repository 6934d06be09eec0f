package views

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"

	"fathom/internal/linediff"
	"fathom/internal/safe"
	"fathom/theme"
	"fathom/ui/draw"
	"fathom/watchers/etcd"
)

// diffContext is how many equal lines stand around a difference.
const diffContext = 3

// diffLines writes a comparison as lines that begin with "+", "-", a blank or "@@", at most most of them; 0: all.
func diffLines(d etcd.Difference, most int) []string {
	var out []string
	full := func() bool { return most > 0 && len(out) >= most }
	hunks, after := linediff.Hunks(d.Lines, diffContext)
	shown := 0
	for _, h := range hunks {
		if full() {
			break
		}
		if h.Skipped > 0 {
			out = append(out, fmt.Sprintf("@@ %s @@", plural(h.Skipped, "equal line")))
		}
		for _, l := range h.Lines {
			if full() {
				break
			}
			out = append(out, " -+"[l.Kind:l.Kind+1]+l.Text)
			shown++
		}
		shown += h.Skipped
	}
	switch rest := len(d.Lines) - shown; {
	case len(hunks) == 0:
	case rest > after:
		out = append(out, fmt.Sprintf("@@ %s more @@", plural(rest, "line")))
	case after > 0:
		out = append(out, fmt.Sprintf("@@ %s @@", plural(after, "equal line")))
	}
	if d.Note != "" {
		out = append(out, "# "+d.Note)
	}
	return out
}

// diffSpans colours a line of a comparison. The sign at its beginning says the same without colour.
func diffSpans(s string) []draw.Span {
	whole := func(st theme.Style) []draw.Span { return []draw.Span{{Text: safe.Bounded(s, maxLineCells), Style: st}} }
	switch {
	case strings.HasPrefix(s, "+++ "), strings.HasPrefix(s, "--- "):
		return whole(theme.Strong)
	case strings.HasPrefix(s, "+"):
		return whole(theme.Good)
	case strings.HasPrefix(s, "-"):
		return whole(theme.Bad)
	case strings.HasPrefix(s, "@@"):
		return whole(theme.Info)
	case strings.HasPrefix(s, "#"):
		return whole(theme.Dim)
	}
	return whole(theme.Default)
}

// states are a key at two revisions.
type states struct {
	old, new etcd.KV // without their values
	diff     etcd.Difference
	note     string // why the old one is not known
}

// readStates reads a key at two revisions and compares them. base 0 is the revision before revision. That there was no key at one of
// them is no error; that the older one is compacted away is none either: the note then says so.
func readStates(ctx context.Context, keys *etcd.Keys, key string, revision, base int64) (states, error) {
	var s states
	var err error
	if s.new, err = keys.GetAt(ctx, key, revision); err != nil && !errors.Is(err, etcd.ErrNoKey) {
		return s, err
	}
	after := s.new.Value
	before := after
	if base == 0 {
		base = revision - 1
	}
	switch s.old, err = keys.GetAt(ctx, key, base); {
	case base == 0 || errors.Is(err, etcd.ErrNoKey):
		before = nil
	case errors.Is(err, rpctypes.ErrCompacted):
		s.note = fmt.Sprintf("What it was before revision %d was compacted away, so there is nothing to compare it with.", revision)
	case err != nil:
		return s, err
	default:
		before = s.old.Value
	}
	s.diff = etcd.Diff(key, before, after, etcd.DecodeOptions{Prefix: keys.Prefix()})
	s.old.Value, s.new.Value = nil, nil
	return s, nil
}

// stateLine says which state of a key one side of a comparison is.
func stateLine(sign string, kv etcd.KV, d etcd.Decoded, at int64) string {
	if kv.ModRevision == 0 {
		return fmt.Sprintf("%s no such key at revision %d", sign, at)
	}
	what := string(d.Format)
	if d.Kind != "" {
		what = d.APIVersion + " " + d.Kind
	}
	return fmt.Sprintf("%s revision %d, version %d, %s", sign, kv.ModRevision, kv.Version, what)
}

// newDiff is a key at two revisions, compared.
func newDiff(env *Env, r Ref) (Pane, error) {
	e := env.Cluster.Etcd()
	if e == nil {
		return nil, errors.New("comparing revisions: " + noEtcd(env))
	}
	keys := etcd.NewKeys(e)
	return newDocument(env, r, diffSpans, func(ctx context.Context, _ string) (string, error) {
		s, err := readStates(ctx, keys, r.Object.Key, r.Object.Revision, r.Object.Base)
		if err != nil {
			return "", err
		}
		base := r.Object.Base
		if base == 0 {
			base = r.Object.Revision - 1
		}
		var out []string
		if s.note != "" {
			out = append(out, "# "+s.note)
		} else {
			out = append(out, stateLine("---", s.old, s.diff.Old, base))
		}
		out = append(out, stateLine("+++", s.new, s.diff.New, r.Object.Revision),
			fmt.Sprintf("# %s removed, %s added", plural(s.diff.Removed, "line"), plural(s.diff.Added, "line")))
		if s.diff.Equal {
			out = append(out, "# The two are equal, byte for byte.")
		}
		return strings.Join(append(out, diffLines(s.diff, 0)...), "\n"), nil
	}), nil
}
