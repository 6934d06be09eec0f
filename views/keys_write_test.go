package views

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"fathom/internal/testetcd"
	"fathom/keymap"
	"fathom/watchers/etcd"
)

// typist is an editor: each time it is opened it does the next thing to the file's text.
type typist struct {
	t     *testing.T
	saw   []string
	does  []func(text string) string
	files []string
}

func (y *typist) edit(_ context.Context, file string) error {
	y.t.Helper()
	if st, err := os.Stat(filepath.Dir(file)); err != nil || st.Mode().Perm() != 0o700 {
		y.t.Errorf("the folder of the file is %v (%v)", st.Mode(), err)
	}
	if st, err := os.Stat(file); err != nil || st.Mode().Perm() != 0o600 {
		y.t.Errorf("the file is %v (%v)", st.Mode(), err)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	y.saw, y.files = append(y.saw, string(b)), append(y.files, file)
	if len(y.does) < len(y.saw) {
		return fmt.Errorf("the editor was opened %d times, which nobody expects: %s", len(y.saw), b)
	}
	return os.WriteFile(file, []byte(y.does[len(y.saw)-1](string(b))), 0o600)
}

// gone checks that nothing is left of what was edited.
func (y *typist) gone() {
	y.t.Helper()
	for _, f := range y.files {
		if _, err := os.Stat(filepath.Dir(f)); !os.IsNotExist(err) {
			y.t.Errorf("%s is left (%v)", filepath.Dir(f), err)
		}
	}
}

func change(from, to string) func(string) string {
	return func(s string) string { return strings.Replace(s, from, to, 1) }
}

func TestEditAKey(t *testing.T) {
	t.Setenv("XDG_RUNTIME_DIR", t.TempDir())
	s := testetcd.Start(t)
	rev := s.Set("/config/ui", "{\"dark\":true}\n")
	s.Set("/config/one", "on")
	env := keyEnv(t, false, false, s)
	for _, c := range []struct {
		name string
		does []func(string) string
		want string // what the dialog is asked for; empty: nothing
		saw  string // in the last file
		say  string // in the toast, when nothing is asked
	}{
		{name: "changed", does: []func(string) string{change("true", "false")}, want: "{\"dark\":false}\n"},
		{name: "left", does: []func(string) string{change("", "")}, say: "left as it is"},
		{name: "broken, then mended", does: []func(string) string{change("}", ""), change("true", "false}")}, want: "{\"dark\":false}\n",
			saw: remark + "This cannot be stored. Correct it, or leave it as it is to give up for now; it is kept:\n" + remark + "it was JSON and is none any more"},
		{name: "broken, then left", does: []func(string) string{change("}", ""), change("", "")}, say: "nothing is sent"},
	} {
		y := &typist{t: t, does: c.does}
		env.Edit = y.edit
		env.drafts.drop("/config/ui", nil) // of the case before
		msg := do(openValue(t, env, "/config/ui"), keymap.KeysEdit)
		y.gone()
		if len(y.saw) != len(c.does) || !strings.Contains(y.saw[len(y.saw)-1], c.saw) {
			t.Errorf("%s: the editor saw %q", c.name, y.saw)
		}
		switch m := msg.(type) {
		case ToastMsg:
			if c.say == "" || !strings.Contains(m.Text.String(), c.say) {
				t.Errorf("%s: %s", c.name, m.Text)
			}
		case ActMsg:
			if c.say != "" || m.Input == nil || m.Action.ID != "keys.edit" || m.Targets[0].ResourceVersion != fmt.Sprint(rev) {
				t.Errorf("%s: %+v", c.name, m)
			} else if *m.Input != c.want {
				t.Errorf("%s: %q", c.name, *m.Input)
			}
		default:
			t.Errorf("%s: %#v", c.name, msg)
		}
	}
	// One line is edited in the dialog; no editor starts.
	env.Edit = (&typist{t: t}).edit
	m, ok := do(openValue(t, env, "/config/one"), keymap.KeysEdit).(ActMsg)
	if !ok || m.Input != nil || m.Action.Input.Initial(m.Targets[0]) != "on" {
		t.Errorf("one line: %+v", m)
	}
	p := openKeys(t, env, "/config", 78, 20)
	p.tree.MoveTo("k/config/one")
	if m, ok := do(p, keymap.KeysDelete).(ActMsg); !ok || m.Action.ID != "keys.delete" || m.Targets[0].Name != "/config/one" || m.Targets[0].ResourceVersion != fmt.Sprint(s.Revision()) {
		t.Errorf("delete: %+v", m)
	}
	ask, ok := do(p, keymap.KeysPut).(AskMsg)
	if !ok || ask.Value != "/config/" {
		t.Fatalf("put: %+v", ask)
	}
	if m, ok := carryOut(ask.Answer("/config/new")).(ActMsg); !ok || m.Input != nil || m.Targets[0].Name != "/config/new" || m.Targets[0].ResourceVersion != "0" {
		t.Errorf("put: %+v", m)
	}
}

// In a Secret's file there is nothing that is not shown; what was not revealed comes back as it was.
func TestEditAMaskedKey(t *testing.T) {
	t.Setenv("XDG_RUNTIME_DIR", t.TempDir())
	s := testetcd.Start(t)
	s.Set("/registry/secrets/shop/db", `{"apiVersion":"v1","data":{"password":"aHVzaC1odXNo","user":"bWU="},"kind":"Secret","metadata":{"name":"db"}}`)
	s.Set("/registry/secrets/shop/raw", "a password\nin two lines\n")
	env := keyEnv(t, false, false, s)
	y := &typist{t: t, does: []func(string) string{change("name: db", "name: db\n  labels: {a: b}")}}
	env.Edit = y.edit
	m, ok := do(openValue(t, env, "/registry/secrets/shop/db"), keymap.KeysEdit).(ActMsg)
	if !ok || m.Input == nil || *m.Input != `{"apiVersion":"v1","data":{"password":"aHVzaC1odXNo","user":"bWU="},"kind":"Secret","metadata":{"labels":{"a":"b"},"name":"db"}}` {
		t.Errorf("%+v", m)
	}
	if strings.Contains(y.saw[0], "aHVzaC1odXNo") || strings.Contains(y.saw[0], "hush-hush") {
		t.Errorf("the file held the secret:\n%s", y.saw[0])
	}
	y.does = nil
	if m, ok := do(openValue(t, env, "/registry/secrets/shop/raw"), keymap.KeysEdit).(ToastMsg); !ok || !strings.Contains(m.Text.String(), "reveal it first") {
		t.Errorf("masked as a whole: %+v", m)
	}
	p := openValue(t, env, "/registry/secrets/shop/raw")
	do(p, keymap.KeysReveal)
	y.saw, y.does = nil, []func(string) string{change("two", "2")}
	if m, ok := do(p, keymap.KeysEdit).(ActMsg); !ok || *m.Input != "a password\nin 2 lines\n" {
		t.Errorf("revealed: %+v", m)
	}
	y.gone()
}

// What is edited, deleted and compared is what is stored now, though the member that the pane reads from is cut off from its peers and has something
// older: otherwise every write is a conflict, and reading again changes nothing.
func TestWritesBeginWithWhatIsStoredNow(t *testing.T) {
	apart, well := testetcd.Start(t), testetcd.Start(t)
	apart.Set("/k", "old")
	well.Set("/k", "old")
	well.Set("/k", "new")
	well.Lead()
	env, _ := writerAt(t, apart.URL, well.URL)
	for _, in := range []keymap.Intent{keymap.KeysEdit, keymap.KeysDelete} {
		m, ok := env.writeKey(in, etcd.NewKeys(env.Cluster.Etcd()), "/k", "", "")().(ActMsg)
		if !ok || m.Targets[0].ResourceVersion != "3" {
			t.Fatalf("%s: %+v", in, m)
		}
		if v := m.Targets[0].Detail["value"]; in == keymap.KeysEdit && v != "new" {
			t.Errorf("the line begins with %q", v)
		}
		prepared := asks(t, env, m).Prepare("newer")
		if prepared.Denied != "" || len(prepared.Detail) == 0 {
			t.Errorf("%s: %+v, want the difference", in, prepared)
		}
	}
}

// In read-only mode the keys that write say so: no editor starts, nothing is asked.
func TestKeysWriteNothingInReadOnlyMode(t *testing.T) {
	s := keyFixture(t)
	env := keyEnv(t, false, true, s)
	p := openKeys(t, env, "/config", 78, 20)
	p.tree.MoveTo("k/config/ui")
	env.Edit = func(context.Context, string) error { t.Error("an editor started"); return nil }
	before, _ := s.Ranges()
	for _, in := range []keymap.Intent{keymap.KeysPut, keymap.KeysEdit, keymap.KeysDelete} {
		if m, ok := do(p, in).(ActMsg); !ok || m.Action.ID != string(in) || m.Input == nil || *m.Input != "" {
			t.Errorf("%s: %#v", in, m)
		}
	}
	if after, _ := s.Ranges(); len(after) != len(before) {
		t.Errorf("%d reads were made", len(after)-len(before))
	}
}

// K without an API server, and on what is no object, says why it leads nowhere.
func TestOtherSideOfAKey(t *testing.T) {
	s := keyFixture(t)
	p := openKeys(t, keyEnv(t, false, true, s), "", 78, 20)
	p.tree.MoveTo("kcompact_rev_key")
	if m, ok := do(p, keymap.OtherSide).(ToastMsg); !ok || !strings.Contains(m.Text.String(), "Kubernetes keeps no object there") {
		t.Errorf("%+v", m)
	}
	o, err := objectAt("/registry", "/registry/services/specs/shop/web", "v1", "Service")
	if err != nil || o.GVR.Resource != "services" || o.GVR.Version != "v1" || o.Namespace != "shop" || o.Name != "web" || o.Kind != "Service" {
		t.Errorf("%+v, %v", o, err)
	}
	if m, ok := p.env.keyOf(o)().(OpenMsg); !ok || m.Ref.View != "value" || m.Ref.Object.Key != "/registry/services/specs/shop/web" {
		t.Errorf("%+v", m)
	}
}
