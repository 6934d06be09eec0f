package views

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"fathom/actions"
	"fathom/actions/journal"
	"fathom/internal/testetcd"
	"fathom/keymap"
)

// writer is an environment that can write keys, with an editor.
func writer(t *testing.T, s *testetcd.Server) (*Env, *typist) {
	s.Lead()
	return writerAt(t, s.URL)
}

// writerAt is a writer of the members at these URLs.
func writerAt(t *testing.T, urls ...string) (*Env, *typist) {
	t.Setenv("XDG_RUNTIME_DIR", t.TempDir())
	env := keyEnvOf(t, false, false, urls...)
	env.Runner = actions.NewRunner(env.Cluster, journal.New(filepath.Join(t.TempDir(), "journal")), "test")
	y := &typist{t: t}
	env.Edit = y.edit
	t.Cleanup(y.gone)
	return env, y
}

// asks is the confirmation that a message of a pane leads to. What the editor gave is its value.
func asks(t *testing.T, env *Env, msg any) Confirmation {
	t.Helper()
	m, ok := msg.(ActMsg)
	if !ok {
		t.Fatalf("no dialog: %#v", msg)
	}
	c := (&Catalog{env: env}).Confirm(m)
	if m.Input != nil {
		c.Value = *m.Input
	}
	return c
}

func says(t *testing.T, msg any, want string) {
	t.Helper()
	if m, ok := msg.(ToastMsg); !ok || !strings.Contains(m.Text.String(), want) {
		t.Errorf("%+v, want %q", msg, want)
	}
}

func holds(t *testing.T, env *Env, p *value, want string) {
	t.Helper()
	kv, err := env.getKey(t.Context(), p.keys, p.key())
	if err != nil || string(kv.Value) != want {
		t.Errorf("%s holds %q (%v), want %q", p.key(), kv.Value, err, want)
	}
}

// What was typed in the editor outlives a conflict: it comes back, based on what is stored now, with what others did above it, until it is written.
func TestEditedTextOutlivesAConflict(t *testing.T) {
	s := testetcd.Start(t)
	first := s.Set("/config/ui", "a: 1\nb: 1\n")
	env, y := writer(t, s)
	p := openValue(t, env, "/config/ui")
	y.does = []func(string) string{change("a: 1", "a: mine")}
	c := asks(t, env, do(p, keymap.KeysEdit))
	if d := c.Prepare(c.Value); d.Denied != "" {
		t.Fatalf("%+v", d)
	}
	second := s.Set("/config/ui", "a: 1\nb: theirs\n")
	outs := c.Run(c.Value, "")
	if len(outs) != 1 || outs[0].Status != actions.Conflict || c.Kept() == "" {
		t.Fatalf("%+v, kept %q", outs, c.Kept())
	}
	for range 2 { // once more after a no
		y.saw, y.does = nil, []func(string) string{change("", "")}
		c = asks(t, env, do(p, keymap.KeysEdit))
		for _, want := range []string{"\na: mine\nb: 1\n", fmt.Sprintf("changed since, at revision %d", second), fmt.Sprintf("from revision %d", first),
			remark + "-b: 1\n", remark + "+b: theirs\n"} {
			if !strings.Contains(y.saw[0], want) {
				t.Errorf("the editor lacks %q:\n%s", want, y.saw[0])
			}
		}
		if c.Value != "a: mine\nb: 1\n" || c.Targets[0].ResourceVersion != fmt.Sprint(second) {
			t.Errorf("asked for %q at %s", c.Value, c.Targets[0].ResourceVersion)
		}
		detail := ""
		for _, l := range c.Prepare(c.Value).Detail {
			detail += l[0].Text.String() + "\n"
		}
		if !strings.Contains(detail, "-b: theirs\n") || !strings.Contains(detail, "+a: mine\n") {
			t.Errorf("the difference is not against what is stored now:\n%s", detail)
		}
		says(t, carryOut(c.Left(false)), "your text is kept: e takes it up again")
	}
	if o := c.Run(c.Value, ""); o[0].Status != actions.Done || c.Kept() != "" {
		t.Errorf("%+v, kept %q", o, c.Kept())
	}
	holds(t, env, p, "a: mine\nb: 1\n")
	y.saw, y.does = nil, []func(string) string{change("", "")}
	says(t, do(p, keymap.KeysEdit), "left as it is")
	if y.saw[0] != "a: mine\nb: 1\n" {
		t.Errorf("what was written is still kept:\n%s", y.saw[0])
	}
}

// What was typed in the dialog's line is there again, until it is written or left by Esc in the line.
func TestLineOutlivesAConflict(t *testing.T) {
	s := testetcd.Start(t)
	s.Set("/a", "was")
	env, _ := writer(t, s)
	p := openValue(t, env, "/a")
	initial := func(c Confirmation) string { return c.Action.Input.Initial(c.Targets[0]) }
	c := asks(t, env, do(p, keymap.KeysEdit))
	if c.Note != "" || carryOut(c.Left(true)) != nil {
		t.Errorf("nothing was typed, and something is kept: %q", c.Note)
	}
	c.Prepare("mine")
	rev := s.Set("/a", "theirs")
	if d := c.Prepare("mine"); d.Denied == "" || c.Kept() == "" {
		t.Errorf("asked after a change: %+v, kept %q", d, c.Kept())
	}
	c = asks(t, env, do(p, keymap.KeysEdit))
	if initial(c) != "mine" || !strings.Contains(c.Note, fmt.Sprintf("changed since, at revision %d; now it holds: theirs", rev)) {
		t.Errorf("%q, %q", initial(c), c.Note)
	}
	says(t, carryOut(c.Left(true)), "dropped")
	if c = asks(t, env, do(p, keymap.KeysEdit)); initial(c) != "theirs" || c.Note != "" {
		t.Errorf("after it was dropped: %q, %q", initial(c), c.Note)
	}
	c.Prepare("theirs") // as it is: not worth keeping
	if c.Kept() != "" {
		t.Error("what is stored is kept")
	}
	c.Prepare("ours")
	if o := c.Run("ours", ""); o[0].Status != actions.Done || c.Kept() != "" {
		t.Errorf("%+v, kept %q", o, c.Kept())
	}
	holds(t, env, p, "ours")
}

// The value of a new key is kept under its name, for "new key" and, once somebody else has made it, for "edit".
func TestNewKeysTextIsKept(t *testing.T) {
	s := testetcd.Start(t)
	s.Set("/dir/other", "x")
	env, _ := writer(t, s)
	p := openKeys(t, env, "/dir", 78, 20)
	put := func() Confirmation { return asks(t, env, carryOut(do(p, keymap.KeysPut).(AskMsg).Answer("/dir/new"))) }
	c := put()
	c.Prepare("mine")
	says(t, carryOut(c.Left(false)), "kept")
	if c = put(); c.Action.Input.Initial(c.Targets[0]) != "mine" || c.Note == "" {
		t.Errorf("%+v", c)
	}
	c.Prepare("mine, too")
	rev := s.Set("/dir/new", "theirs")
	if o := c.Run("mine, too", ""); o[0].Status != actions.Conflict || c.Kept() == "" {
		t.Errorf("%+v, kept %q", o, c.Kept())
	}
	c = asks(t, env, do(openValue(t, env, "/dir/new"), keymap.KeysEdit))
	if c.Action.Input.Initial(c.Targets[0]) != "mine, too" || !strings.Contains(c.Note, fmt.Sprintf("made the key meanwhile; at revision %d it holds: theirs", rev)) {
		t.Errorf("%+v", c)
	}
	c.Prepare("mine, too")
	if o := c.Run("mine, too", ""); o[0].Status != actions.Done || c.Kept() != "" {
		t.Errorf("%+v, kept %q", o, c.Kept())
	}
}

// However editing ends, a text that was saved is there again; an emptied file drops it.
func TestTextIsKeptWhateverEndsTheEditor(t *testing.T) {
	s := testetcd.Start(t)
	s.Set("/config/ui", "{\"dark\":true}\n")
	env, y := writer(t, s)
	p := openValue(t, env, "/config/ui")
	again := func(msg, saw string, does ...func(string) string) any {
		t.Helper()
		y.saw, y.does = nil, does
		m := do(p, keymap.KeysEdit)
		if msg != "" {
			says(t, m, msg)
		}
		if !strings.Contains(y.saw[0], saw) {
			t.Errorf("the editor saw %q, want %q", y.saw[0], saw)
		}
		return m
	}
	again("your text is kept", `{"dark":true}`, change("true", "tru"), change("", "")) // which is no JSON
	again("your text is kept", "# fathom: This cannot be stored.", change("", ""))
	again("", `{"dark":tru}`, change(":tru", ":false"))
	crash := errors.New("the editor crashed")
	env.Edit = func(ctx context.Context, file string) error { return errors.Join(y.edit(ctx, file), crash) }
	again("your text is kept", `{"dark":false}`, change("false", "null"))
	again("your text is kept", `{"dark":null}`, change("", ""))
	again("your text is kept", `{"dark":null}`, func(string) string { return "" }) // it has crashed: nobody has emptied it
	env.Edit = y.edit
	again("dropped", `{"dark":null}`, func(string) string { return "" })
	again("left as it is", `{"dark":true}`, change("", ""))
	// Taken back by hand it is not kept either.
	again("", `{"dark":true}`, change("true", "1"))
	again("left as it is", `{"dark":1}`, change("1", "true"))
	again("left as it is", `{"dark":true}`, change("", ""))
}

// The object that was edited was deleted: the text makes it anew, with what was never shown of it.
func TestTextOfADeletedKey(t *testing.T) {
	const key = "/registry/secrets/shop/db"
	const was = `{"apiVersion":"v1","data":{"password":"aHVzaC1odXNo"},"kind":"Secret","metadata":{"name":"db"}}`
	s := testetcd.Start(t)
	s.Set(key, was)
	env, y := writer(t, s)
	p := openValue(t, env, key)
	y.does = []func(string) string{change("name: db", "name: db\n  labels: {a: b}")}
	c := asks(t, env, do(p, keymap.KeysEdit))
	s.Delete(key)
	if o := c.Run(c.Value, ""); o[0].Status != actions.Conflict {
		t.Errorf("%+v", o)
	}
	says(t, do(p, keymap.KeysEdit), "your text is kept: a with its name")
	y.saw, y.does = nil, []func(string) string{change("", "")}
	put, _ := actions.Lookup("keys.put")
	c = asks(t, env, carryOut(env.putKey(put, p.keys, key)))
	if want := strings.Replace(was, `{"name"`, `{"labels":{"a":"b"},"name"`, 1); c.Action.ID != "keys.put" || c.Value != want {
		t.Errorf("%s of %q, want %q", c.Action.ID, c.Value, want)
	}
	if !strings.Contains(y.saw[0], "There is no such key now") {
		t.Errorf("the editor saw %s", y.saw[0])
	}
	if c.Run(c.Value, ""); c.Kept() != "" {
		t.Error("it is kept though it is written")
	}
}

// What others changed in a Secret is told masked; what was masked in the text becomes what is stored now.
func TestKeptTextOfASecret(t *testing.T) {
	const key = "/registry/secrets/shop/db"
	secret := func(password, user string) string {
		return `{"apiVersion":"v1","data":{"password":"` + password + `","user":"` + user + `"},"kind":"Secret","metadata":{"name":"db"}}`
	}
	s := testetcd.Start(t)
	s.Set(key, secret("aHVzaC1odXNo", "bWU="))
	env, y := writer(t, s)
	p := openValue(t, env, key)
	y.does = []func(string) string{change("user: <masked, 2 bytes>", "user: eW91")}
	c := asks(t, env, do(p, keymap.KeysEdit))
	s.Set(key, secret("bG91ZC1sb3Vk", "bWU="))
	c.Run(c.Value, "")
	y.saw, y.does = nil, []func(string) string{change("", "")}
	c = asks(t, env, do(p, keymap.KeysEdit))
	if !strings.Contains(y.saw[0], "9 bytes, changed>") || strings.Contains(y.saw[0], "aHVz") || strings.Contains(y.saw[0], "bG91") {
		t.Errorf("the editor saw\n%s", y.saw[0])
	}
	if want := secret("bG91ZC1sb3Vk", "eW91"); c.Value != want {
		t.Errorf("%q, want %q", c.Value, want)
	}
}
