package views

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"fathom/internal/safe"
	"fathom/watchers/etcd"
)

// watchSaved is the answer of saving.
type watchSaved struct {
	path string
	n    int
	err  error
}

// save asks for a file and writes the changes that pass the filter into it, masked as they are on screen.
func (p *keyWatch) save() tea.Cmd {
	if len(p.rows) == 0 {
		return toast("there is no change to save yet", true)
	}
	rows, title, prefix := p.rows, p.title(), p.keys.Prefix()
	ask := AskMsg{Label: safe.Lit("save to"), Value: "fathom-watch-" + p.env.Now().Format("20060102-150405") + ".txt", Hint: safe.Lit("the name of a new file; Esc cancels"),
		Answer: func(path string) tea.Cmd {
			if strings.TrimSpace(path) == "" {
				return toast("nothing was saved: no file was named", true)
			}
			return p.env.Read(p, "saving changes", func(ctx context.Context) any {
				full, err := writeChanges(ctx, path, title, rows, prefix)
				return watchSaved{full, len(rows), err}
			})
		}}
	return func() tea.Msg { return ask }
}

// Update implements Updater.
func (p *keyWatch) Update(msg any) tea.Cmd {
	m, ok := msg.(watchSaved)
	switch {
	case !ok:
		return nil
	case m.err != nil:
		return toast(m.err.Error(), true)
	}
	return toast(fmt.Sprintf("saved %s to %s, readable by you only", plural(m.n, "change"), m.path), false)
}

// title is what the file begins with.
func (p *keyWatch) title() string {
	s := fmt.Sprintf("changes of %s", firstOf(p.ref.Object.Key, "all keys"))
	if !p.filter.IsEmpty() {
		s += " that match /" + p.filter.String()
	}
	id := p.env.Cluster.Identity()
	return fmt.Sprintf("%s, cluster %s, saved %s", s, firstOf(id.Cluster, "unknown"), p.env.Now().UTC().Format(time.RFC3339))
}

// writeChanges writes changes into a new file, the oldest first. A file that exists is not touched, and none is left half written.
func writeChanges(ctx context.Context, path, title string, rows []etcd.KeyEvent, prefix string) (full string, err error) {
	if rest, ok := strings.CutPrefix(path, "~/"); ok {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", fmt.Errorf("saving to %s: %w; give the whole path", path, err)
		}
		path = filepath.Join(home, rest)
	}
	if full, err = filepath.Abs(path); err != nil {
		full = path
	}
	f, err := os.OpenFile(full, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	switch {
	case errors.Is(err, fs.ErrExist):
		return full, fmt.Errorf("saving to %s: there is a file of this name already; give another one", full)
	case err != nil:
		return full, fmt.Errorf("saving changes: %w", err)
	}
	b := bufio.NewWriter(f)
	err = putChanges(ctx, b, title, rows, prefix)
	if err = errors.Join(err, b.Flush(), f.Sync(), f.Close()); err != nil {
		_ = os.Remove(full)
		return full, fmt.Errorf("saving to %s: %w; nothing was left there", full, err)
	}
	return full, nil
}

func putChanges(ctx context.Context, w io.Writer, title string, rows []etcd.KeyEvent, prefix string) error {
	put := func(line string) { fmt.Fprintln(w, safe.String(line).String()) } // who reads the file has a terminal, too
	put("# " + title)
	for _, e := range slices.Backward(rows) {
		if err := ctx.Err(); err != nil {
			return err
		}
		put("")
		at := e.At.UTC().Format("2006-01-02T15:04:05.000Z")
		if e.Gap != "" {
			put(fmt.Sprintf("%s GAP %s", at, e.Gap))
			continue
		}
		put(fmt.Sprintf("%s revision %d %s %s, %s", at, e.Revision, kindOfChange(&e), e.Key, sizeChange(&e)))
		if !e.Kept {
			put("# its value is not kept any more")
			continue
		}
		if s := etcd.Summarize(e.Value); s.Kind != "" {
			put(fmt.Sprintf("# %s, newest managedFields entry: %s", storedAs(s), firstOf(writerOf(s.By), "none")))
		}
		if !e.Created && !e.Deleted && e.Before < 0 {
			put("# what it was before was compacted away; all of it stands here as added")
		}
		for _, l := range diffLines(etcd.Diff(e.Key, e.Prev, e.Value, etcd.DecodeOptions{Prefix: prefix}), 0) {
			put(l)
		}
	}
	return nil
}
