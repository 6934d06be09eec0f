package views

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	tea "charm.land/bubbletea/v2"

	"fathom/actions"
	"fathom/internal/safe"
	"fathom/keymap"
	"fathom/watchers"
	"fathom/watchers/etcd"
)

// value is what is stored under one key of etcd: where it comes from, and the value, decoded and masked. The key is watched, so that
// the pane says when what it shows is no longer what is stored.
type value struct {
	*document
	keys *etcd.Keys
	last atomic.Pointer[valueRead] // set by reads, in their goroutines

	watch *etcd.Watch
	seen  *etcd.WatchSnapshot
	news  string // what became of the key since it was read; empty: nothing
}

// valueRead is what the last read brought, but for the value.
type valueRead struct {
	kv   etcd.KV
	keys []string // that can be revealed

	apiVersion, kind string // of the value; empty when it is no object
}

func newValue(env *Env, r Ref) (Pane, error) {
	e := env.Cluster.Etcd()
	if e == nil {
		return nil, errors.New("reading a key: " + noEtcd(env))
	}
	if r.Object.Key == "" {
		return nil, errors.New("reading a key: none was named; choose one under :keys")
	}
	p := &value{keys: etcd.NewKeys(e)}
	p.document = newDocument(env, r, yamlLine, p.fetch)
	return p, nil
}

func (p *value) fetch(ctx context.Context, reveal string) (string, error) {
	o := p.ref.Object
	text, read, err := readValue(ctx, p.env, p.keys, o.Key, o.Revision, reveal, "x reveals")
	if errors.Is(err, etcd.ErrNoKey) && o.OtherKey != "" {
		text, read, err = readValue(ctx, p.env, p.keys, o.OtherKey, o.Revision, reveal, "x reveals")
	}
	if err == nil {
		p.last.Store(&read)
	}
	return text, err
}

// readValue reads a key, as it was at a revision if that is not 0, and writes what is known of it above its decoded value. how says how
// to reveal what is masked.
func readValue(ctx context.Context, env *Env, keys *etcd.Keys, key string, revision int64, reveal, how string) (string, valueRead, error) {
	var kv etcd.KV
	var err error
	if revision != 0 {
		kv, err = keys.GetAt(ctx, key, revision)
	} else {
		kv, err = keys.Get(ctx, key)
	}
	if err != nil {
		return "", valueRead{}, err
	}
	d := etcd.Decode(kv.Key, kv.Value, etcd.DecodeOptions{Prefix: keys.Prefix(), Reveal: reveal})
	var b strings.Builder
	// Keys and notes may hold line ends, which would make lines of their own.
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "%-10s %s\n", name+":", safe.String(fmt.Sprintf(format, args...)))
	}
	line("Key", "%s", key)
	switch {
	case d.Kind != "":
		line("Format", "%s, %s %s", d.Format, d.APIVersion, d.Kind)
	default:
		line("Format", "%s", d.Format)
	}
	if drift := drift(env, d); drift != "" {
		line("Drift", "%s", drift)
	}
	if n := len(kv.Value); n < 1024 {
		line("Size", "%d bytes", n)
	} else {
		line("Size", "%s (%d bytes)", Bytes(int64(n)), n)
	}
	line("Revisions", "created %d, modified %d, version %d", kv.CreateRevision, kv.ModRevision, kv.Version)
	switch {
	case kv.Lease == 0:
		line("Lease", "none")
	case revision != 0:
		line("Lease", "%x", kv.Lease)
	case kv.TTL < 0:
		line("Lease", "%x, time to live not known: %s", kv.Lease, kv.TTLWhy)
	default:
		line("Lease", "%x, %s of %s left", kv.Lease, kv.TTL, kv.GrantedTTL)
	}
	if revision != 0 {
		line("Read from", "%s, as it was at revision %d of %d", kv.Member, revision, kv.Revision)
	} else {
		line("Read from", "%s at revision %d", kv.Member, kv.Revision)
	}
	if d.Note != "" {
		line("Note", "%s", d.Note)
	}
	switch {
	case reveal != "" && slices.Contains(d.Keys, reveal):
		line("Revealed", "%s, for %s", reveal, revealFor)
	case d.Masked && len(d.Keys) > 1:
		line("Masked", "%d values; %s one after the other", len(d.Keys), how)
	case d.Masked:
		line("Masked", "%s it", how)
	}
	b.WriteByte('\n')
	b.WriteString(d.Text)
	kv.Value = nil
	return b.String(), valueRead{kv: kv, keys: d.Keys, apiVersion: d.APIVersion, kind: d.Kind}, nil
}

// Close implements Pane: what was revealed is masked again.
func (p *value) Close() {
	p.document.Close()
	if p.watch != nil {
		p.watch.Close()
		p.watch = nil
	}
}

// Sync implements Pane.
func (p *value) Sync() bool {
	changed := p.document.Sync()
	last := p.last.Load()
	if last == nil {
		return changed
	}
	if p.ref.Object.Revision != 0 {
		return changed // what is past does not change
	}
	if p.watch == nil {
		// From the revision of the read, so that nothing between the two is missed.
		p.watch = etcd.NewWatch(p.env.Group, p.env.Cluster.Etcd(), etcd.WatchOptions{Key: last.kv.Key, Revision: last.kv.Revision, Ring: 16})
	}
	p.seen = p.watch.Snapshot()
	if news := newsOf(p.seen, last.kv.ModRevision); news != p.news {
		p.news, changed = news, true
	}
	return changed
}

// newsOf says what happened to a key since the revision that is shown.
func newsOf(s *etcd.WatchSnapshot, shown int64) string {
	if len(s.Events) == 0 {
		return ""
	}
	switch e := s.Events[len(s.Events)-1]; {
	case e.Revision <= shown:
		return ""
	case e.Gap != "":
		return e.Gap
	case e.Deleted:
		return fmt.Sprintf("the key was deleted at revision %d", e.Revision)
	default:
		return fmt.Sprintf("the key was changed at revision %d; Ctrl-R reads it again", e.Revision)
	}
}

// State implements Pane.
func (p *value) State() watchers.State {
	if st := p.document.State(); st.Phase != watchers.Live || p.news == "" {
		return st
	}
	return watchers.State{Phase: watchers.Stale, Since: p.at, Why: p.news}
}

// Scopes implements Pane.
func (p *value) Scopes() []keymap.Scope {
	return []keymap.Scope{keymap.Value, keymap.TextView, keymap.Scroll}
}

// Do implements Pane.
func (p *value) Do(in keymap.Intent) tea.Cmd {
	key := p.key()
	switch in {
	case keymap.KeysHistory:
		return open(Ref{View: "history", Object: Object{Key: key}})
	case keymap.KeysWatch:
		return open(Ref{View: "watch", Object: Object{Key: key}})
	case keymap.KeysReveal:
		return p.revealNext()
	case keymap.KeysEdit, keymap.KeysDelete:
		if r := p.ref.Object.Revision; r != 0 {
			return toast(fmt.Sprintf("this is what the key was at revision %d: go back to what it is", r), true)
		}
		return p.env.writeKey(in, p.keys, key, "", p.reveal)
	case keymap.OtherSide:
		last := p.last.Load()
		if last == nil {
			return nil
		}
		return p.env.objectOf(key, last.apiVersion, last.kind)
	case keymap.CrossCheck:
		return p.env.crossCheck(Object{Key: key})
	}
	return p.document.Do(in)
}

// key is the key that was read, or is to be.
func (p *value) key() string {
	if last := p.last.Load(); last != nil {
		return last.kv.Key
	}
	return p.ref.Object.Key
}

// Acted implements Acted: a key that was written is read again.
func (p *value) Acted(outs []actions.Outcome) tea.Cmd {
	if !touched(outs, p.key()) {
		return nil
	}
	return p.env.catchUp(p, p.keys)
}

// Update implements Updater.
func (p *value) Update(msg any) tea.Cmd {
	if _, ok := msg.(caughtUp); ok {
		return p.Refresh()
	}
	return p.document.Update(msg)
}

// revealNext shows the next masked value for a while.
func (p *value) revealNext() tea.Cmd {
	if p.env.Cluster.ReadOnly() {
		return toast("read-only mode: what is masked stays masked", true)
	}
	last := p.last.Load()
	if last == nil || len(last.keys) == 0 {
		return toast("nothing is masked here", false)
	}
	// One at a time: the one after the one that is shown.
	next := last.keys[(slices.Index(last.keys, p.reveal)+1)%len(last.keys)]
	p.hide()
	p.reveal, p.hideAt = next, p.env.Now().Add(revealFor)
	return p.Refresh()
}

// Ticks implements Ticker: the age of the text is shown, and a revealed value is masked again.
func (p *value) Ticks() bool { return true }

// ReadAt implements Aged.
func (p *value) ReadAt() time.Time { return p.at }
