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
			return AskMsg{Label: safe.Lit("new key:"), Value: base, Answer: func(key string) tea.Cmd { return e.putKey(a, keys, key) }}
		}
	case keymap.KeysDelete:
		return e.job("reading a key", func(ctx context.Context) tea.Msg {
			kv, err := e.currentKey(ctx, keys, key)
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
func (e *Env) putKey(a actions.Action, keys *etcd.Keys, key string) tea.Cmd {
	if key == "" {
		return toast("a key has a name of at least one character", true)
	}
	kept := e.drafts.of(key)
	return e.job("making a key", func(ctx context.Context) tea.Msg {
		m := ActMsg{Action: a, Targets: []actions.Target{keyTarget(etcd.KV{Key: key})}, draft: &draft{}}
		if kept == nil {
			return m
		}
		// The text may be of an object whose key was deleted since: what is not shown of it, or was masked, is still in the value it was made from.
		o := etcd.DecodeOptions{Prefix: keys.Prefix()}
		ed, err := etcd.Edit(key, kept.base, o)
		if errors.Is(err, etcd.ErrMasked) { // as a whole; what was typed in its place was seen
			o.Reveal = "*"
			ed, err = etcd.Edit(key, kept.base, o)
		}
		if err != nil {
			return bad(fmt.Errorf("making %q: %w; your text is kept", key, err))
		}
		m.draft.base = kept.base
		if line, err := ed.Encode(kept.text); err == nil && ed.Ext == "txt" && oneLine(line) {
			m.Targets[0].Detail["value"], m.Note = string(line), "This is your text, which was not written. Esc drops it."
			return m
		}
		return e.inEditor(ctx, m, ed, kept, append([]string{key + ", a new key."}, kept.remarks(nil, o)...))
	})
}

func (e *Env) getKey(ctx context.Context, keys *etcd.Keys, key string) (etcd.KV, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	return keys.Get(ctx, key)
}

// currentKey is getKey for who is about to write: what is stored now, not what one member has.
func (e *Env) currentKey(ctx context.Context, keys *etcd.Keys, key string) (etcd.KV, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	return keys.GetCurrent(ctx, key)
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

// editKey reads a key and lets its value be edited: a text of one short line in the dialog, everything else in the editor. It begins with the text
// that is kept for the key, if there is one.
func (e *Env) editKey(ctx context.Context, a actions.Action, keys *etcd.Keys, key, reveal string) tea.Msg {
	kept := e.drafts.of(key)
	still := ""
	if kept != nil {
		still = "; your text is kept"
	}
	kv, err := e.currentKey(ctx, keys, key)
	switch {
	case errors.Is(err, etcd.ErrNoKey) && kept != nil:
		return bad(fmt.Errorf("%w; your text is kept: a with its name makes the key with it", err))
	case err != nil:
		return bad(err)
	}
	o := etcd.DecodeOptions{Prefix: keys.Prefix(), Reveal: reveal}
	ed, err := etcd.Edit(key, kv.Value, o)
	switch {
	case errors.Is(err, etcd.ErrMasked):
		return bad(fmt.Errorf("editing %q: %w (Enter opens it, x reveals)%s", key, err, still))
	case err != nil:
		return bad(fmt.Errorf("editing %q: %w%s", key, err, still))
	}
	if kept != nil && kept.text == ed.Text { // it is written, by whomever
		e.drafts.drop(key, nil)
		kept = nil
	}
	m := ActMsg{Action: a, Targets: []actions.Target{keyTarget(kv)}, draft: &draft{base: kv.Value, revision: kv.ModRevision}}
	if ed.Ext == "txt" && oneLine(kv.Value) {
		line := kv.Value
		if kept != nil {
			if line, err = ed.Encode(kept.text); err != nil {
				return bad(fmt.Errorf("editing %q: %w%s", key, err, still))
			}
			m.Note = strings.TrimSpace("This is your text, which was not written. "+kept.changedSince(kv, o)) + "\nEsc drops your text."
		}
		if oneLine(line) {
			m.Targets[0].Detail["value"] = string(line)
			return m
		}
	}
	notes := []string{fmt.Sprintf("%s at revision %d.", key, kv.ModRevision)}
	if kept != nil {
		notes = append(notes, kept.remarks(&kv, o)...)
	}
	return e.inEditor(ctx, m, ed, kept, notes)
}

// inEditor lets the value of an action on a key be edited in the editor, and returns what the screen is to do then. kept is the text to begin with;
// nil: the one of ed.
func (e *Env) inEditor(ctx context.Context, m ActMsg, ed *etcd.Editable, kept *draft, notes []string) tea.Msg {
	key := m.Targets[0].Name
	value, err := e.edited(ctx, ed, key, m.draft, kept, notes)
	switch {
	case errors.Is(err, errDropped):
		return ToastMsg{Text: safe.Lit("your text is dropped, nothing is sent")}
	case err != nil && e.drafts.of(key) != nil:
		return bad(fmt.Errorf("%s; editing %q: %w", keptShort, key, err))
	case err != nil:
		return bad(fmt.Errorf("editing %q: %w", key, err))
	case value == nil, m.draft.revision != 0 && bytes.Equal(value, m.draft.base):
		e.drafts.drop(key, nil)
		return ToastMsg{Text: safe.Lit("the value was left as it is: nothing is sent")}
	}
	input := string(value)
	m.Input = &input
	return m
}

// oneLine reports whether a value fits into the dialog's line, as it is.
func oneLine(value []byte) bool {
	return len(value) <= maxLine && safe.Bytes(value).String() == string(value) && !bytes.ContainsFunc(value, unicode.IsControl)
}

// remark begins the lines that fathom writes above a text that is edited. They are taken off again.
const remark = "# fathom: "

// errDropped is the error of editing when somebody has emptied the file of a kept text.
var errDropped = errors.New("the text was dropped")

// edited lets somebody edit a text until it can be stored, and returns what is stored then; nil when it was left as it is. A text that cannot be
// stored comes back to the editor with the reason above it; who leaves it so has given up for now. What was typed is kept as d. The file is in a
// folder that only the user can look into, and is removed.
func (e *Env) edited(ctx context.Context, ed *etcd.Editable, key string, d, kept *draft, notes []string) (value []byte, err error) {
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
	notes = append(notes, "Nothing is written before you have seen the difference and said yes.")
	switch {
	case kept != nil:
		text = kept.text
		notes = append(notes, "Empty the whole file, these lines too, to drop your text.")
		if _, err := ed.Encode(text); err != nil {
			notes, failed = append(notes, unstorable(err)...), text
		}
	case ed.Ext != "yaml": // where a comment is possible
		notes = nil
	}
	for {
		head := ""
		for _, n := range notes {
			head += remark + safe.String(n).String() + "\n"
		}
		if err := os.WriteFile(file, []byte(head+text), 0o600); err != nil {
			return nil, fmt.Errorf("writing the file to edit: %w", err)
		}
		ended := e.Edit(ctx, file)
		got, err := os.ReadFile(file)
		switch {
		case err != nil:
			return nil, errors.Join(ended, fmt.Errorf("reading the edited file: %w", err))
		case len(got) == 0 && ended == nil && kept != nil:
			e.drafts.drop(key, nil)
			return nil, errDropped
		}
		was := text
		text = withoutRemarks(string(got), len(notes))
		if ended != nil {
			if text != was && len(got) > 0 { // it was saved before: nothing is sent of it, but it is not lost
				e.drafts.keep(key, d, text)
			}
			return nil, ended
		}
		if text == ed.Text && d.revision != 0 {
			return nil, nil
		}
		e.drafts.keep(key, d, text)
		value, err := ed.Encode(text)
		switch {
		case err == nil:
			return value, nil
		case text == failed:
			return nil, fmt.Errorf("it was left in a state that cannot be stored, so nothing is sent: %w", err)
		}
		failed, notes = text, unstorable(err)
	}
}

// unstorable are the remarks above a text that cannot be stored.
func unstorable(err error) []string {
	return append([]string{"This cannot be stored. Correct it, or leave it as it is to give up for now; it is kept:"}, strings.Split(err.Error(), "\n")...)
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
