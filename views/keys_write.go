package views

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"unicode"

	tea "charm.land/bubbletea/v2"

	"fathom/actions"
	"fathom/internal/safe"
	"fathom/keymap"
	"fathom/watchers/etcd"
)

// keyTarget identifies a key for the write side, as it was read.
func keyTarget(kv etcd.KV) actions.Target {
	return actions.Target{
		Kind: "Key", Resource: "keys", Name: kv.Key, UID: kv.Key, ResourceVersion: fmt.Sprint(kv.ModRevision),
		Detail: map[string]string{"version": fmt.Sprint(kv.Version)},
	}
}

// writeKey carries out an intent that changes a key. key is the one under the cursor, base the prefix that a new one begins with, reveal
// what of the value is shown. In read-only mode nothing is read, no editor starts and nothing is asked: the dialog says why.
func (e *Env) writeKey(in keymap.Intent, keys *etcd.Keys, key, base, reveal string) tea.Cmd {
	a, ok := actions.Lookup(string(in))
	switch {
	case !ok:
		return nil
	case keys == nil:
		return toast(noEtcd(e), true)
	case key == "" && in != keymap.KeysPut:
		return toast("a prefix is no key: open it and choose one", true)
	case e.Cluster.ReadOnly():
		none := ""
		t := keyTarget(etcd.KV{Key: firstOf(key, base)})
		return func() tea.Msg { return ActMsg{Action: a, Targets: []actions.Target{t}, Input: &none} }
	}
	switch in {
	case keymap.KeysPut:
		return func() tea.Msg {
			return AskMsg{Label: safe.Lit("new key:"), Value: base, Answer: func(key string) tea.Cmd { return putKey(a, key) }}
		}
	case keymap.KeysDelete:
		return e.job("reading a key", func(ctx context.Context) tea.Msg {
			kv, err := e.getKey(ctx, keys, key)
			if err != nil {
				return bad(err)
			}
			return ActMsg{Action: a, Targets: []actions.Target{keyTarget(kv)}}
		})
	case keymap.KeysEdit:
		return e.job("editing a key", func(ctx context.Context) tea.Msg { return e.editKey(ctx, a, keys, key, reveal) })
	}
	return nil
}

// putKey asks for the value of a new key, and for the yes. That there is no such key yet is part of what etcd is asked.
func putKey(a actions.Action, key string) tea.Cmd {
	if key == "" {
		return toast("a key has a name of at least one character", true)
	}
	return func() tea.Msg { return ActMsg{Action: a, Targets: []actions.Target{keyTarget(etcd.KV{Key: key})}} }
}

func (e *Env) getKey(ctx context.Context, keys *etcd.Keys, key string) (etcd.KV, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	return keys.Get(ctx, key)
}

// caughtUp says that the member which is read from has what was written.
type caughtUp struct{}

// catchUp lets a pane read again what has been written a moment ago. A follower may not have it yet.
func (e *Env) catchUp(p Pane, keys *etcd.Keys) tea.Cmd {
	if keys == nil {
		return nil
	}
	return e.Read(p, "reading what was written", func(ctx context.Context) any {
		keys.CatchUp(ctx)
		return caughtUp{}
	})
}

func bad(err error) tea.Msg { return ToastMsg{Text: safe.String(err.Error()), Bad: true} }

// maxLine bounds what is edited in the dialog's line, in bytes.
const maxLine = 200

// editKey reads a key and lets its value be edited: a text of one short line in the dialog, everything else in the editor.
func (e *Env) editKey(ctx context.Context, a actions.Action, keys *etcd.Keys, key, reveal string) tea.Msg {
	kv, err := e.getKey(ctx, keys, key)
	if err != nil {
		return bad(err)
	}
	ed, err := etcd.Edit(key, kv.Value, etcd.DecodeOptions{Prefix: keys.Prefix(), Reveal: reveal})
	switch {
	case errors.Is(err, etcd.ErrMasked):
		return bad(fmt.Errorf("editing %q: %w (Enter opens it, x reveals)", key, err))
	case err != nil:
		return bad(fmt.Errorf("editing %q: %w", key, err))
	}
	t := keyTarget(kv)
	if ed.Ext == "txt" && oneLine(kv.Value) {
		t.Detail["value"] = string(kv.Value)
		return ActMsg{Action: a, Targets: []actions.Target{t}}
	}
	value, err := e.edited(ctx, ed, fmt.Sprintf("%s at revision %d", key, kv.ModRevision))
	switch {
	case err != nil:
		return bad(fmt.Errorf("editing %q: %w", key, err))
	case value == nil || bytes.Equal(value, kv.Value):
		return ToastMsg{Text: safe.Lit("the value was left as it is: nothing is sent")}
	}
	input := string(value)
	return ActMsg{Action: a, Targets: []actions.Target{t}, Input: &input}
}

// oneLine reports whether a value fits into the dialog's line, as it is.
func oneLine(value []byte) bool {
	return len(value) <= maxLine && safe.Bytes(value).String() == string(value) && !bytes.ContainsFunc(value, unicode.IsControl)
}

// remark begins the lines that fathom writes above a text that is edited. They are taken off again.
const remark = "# fathom: "

// edited lets somebody edit a text until it can be stored, and returns what is stored then; nil when it was left as it is. A text that cannot be
// stored comes back to the editor with the reason above it; who leaves it so has given up. The file is in a folder that only the user
// can look into, and is removed.
func (e *Env) edited(ctx context.Context, ed *etcd.Editable, about string) (value []byte, err error) {
	if e.Edit == nil {
		return nil, errors.New("there is no editor here")
	}
	dir, err := os.MkdirTemp(editDir(), "fathom-edit-") // 0700
	if err != nil {
		return nil, fmt.Errorf("making a folder for the file to edit: %w", err)
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "value."+ed.Ext)
	text, failed := ed.Text, ""
	var notes []string
	if ed.Ext == "yaml" { // a comment is possible there
		notes = []string{about + ".", "Nothing is written before you have seen the difference and said yes."}
	}
	for {
		head := ""
		for _, n := range notes {
			head += remark + safe.String(n).String() + "\n"
		}
		if err := os.WriteFile(file, []byte(head+text), 0o600); err != nil {
			return nil, fmt.Errorf("writing the file to edit: %w", err)
		}
		if err := e.Edit(ctx, file); err != nil {
			return nil, err
		}
		got, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("reading the edited file: %w", err)
		}
		text = withoutRemarks(string(got), len(notes))
		if text == ed.Text {
			return nil, nil
		}
		value, err := ed.Encode(text)
		switch {
		case err == nil:
			return value, nil
		case text == failed:
			return nil, fmt.Errorf("it was left in a state that cannot be stored, so nothing is sent: %w", err)
		}
		failed = text
		notes = append([]string{"This cannot be stored. Correct it, or leave it as it is to give up:"}, strings.Split(err.Error(), "\n")...)
	}
}

// withoutRemarks takes at most n remarks off the beginning of a text.
func withoutRemarks(text string, n int) string {
	for ; n > 0 && strings.HasPrefix(text, strings.TrimSpace(remark)); n-- {
		_, text, _ = strings.Cut(text, "\n")
	}
	return text
}

// editDir is where files to edit are kept: in memory where the system has such a place for the user.
func editDir() string {
	if d := os.Getenv("XDG_RUNTIME_DIR"); d != "" {
		if st, err := os.Stat(d); err == nil && st.IsDir() {
			return d
		}
	}
	return os.TempDir()
}
