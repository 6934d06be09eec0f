package keymap

import (
	"slices"
	"strings"
	"testing"
)

func TestDefaultHasNoDuplicateInAnyStack(t *testing.T) {
	m, err := NewDefault()
	if err != nil {
		t.Fatal(err)
	}
	// Independent of New: every key of every binding active in a stack means that binding.
	for _, stack := range Stacks() {
		owner := map[string]Intent{}
		for _, g := range m.Help(stack) {
			for _, b := range g.Bindings {
				if b.Help == "" {
					t.Errorf("%s has no help", b.Intent)
				}
				for _, k := range b.Keys {
					if o, ok := owner[k]; ok {
						t.Errorf("%v: %q is %s and %s", stack, k, o, b.Intent)
					}
					owner[k] = b.Intent
					if got, ok := m.Lookup(stack, k); !ok || got.Intent != b.Intent {
						t.Errorf("%v: Lookup(%q) = %s, %t, help says %s", stack, k, got.Intent, ok, b.Intent)
					}
				}
			}
		}
	}
	// Every scope is in a stack, so none escapes the check.
	for _, b := range m.Bindings() {
		if !slices.ContainsFunc(Stacks(), func(s []Scope) bool { return slices.Contains(s, b.Scope) }) {
			t.Errorf("scope %s of %s is in no stack", b.Scope, b.Intent)
		}
	}
}

// The keys a k9s user presses without thinking.
func TestK9sHand(t *testing.T) {
	m, err := NewDefault()
	if err != nil {
		t.Fatal(err)
	}
	pods := []Scope{Pods, Objects, Table, Global}
	for key, want := range map[string]Intent{":": Command, "/": Filter, "?": Help, "esc": Back, "j": Down, "G": Bottom, "enter": Enter,
		"[": HistoryBack, "-": LastView, "0": AllNamespaces, "3": "global.namespace.3", "d": Describe, "y": YAML, "l": Logs,
		"p": LogsPrevious, "o": PodNode, "ctrl+d": PodsDelete, "ctrl+k": PodsDelete, "space": Mark, "N": SortName, "c": CopyName} {
		if b, _ := m.Lookup(pods, key); b.Intent != want {
			t.Errorf("pods: %q is %q, want %q", key, b.Intent, want)
		}
	}
	for _, tt := range []struct {
		stack []Scope
		key   string
		want  Intent
	}{
		{[]Scope{Nodes, Objects, Table, Global}, "c", NodesCordon},
		{[]Scope{Workloads, Objects, Table, Global}, "s", WorkloadsScale},
		{[]Scope{LogView, Scroll, Global}, "0", LogsTail},
		{[]Scope{KeyTree, Table, Global}, "left", KeysCollapse},
		{[]Scope{Pods, Objects, Table, Global}, "left", ScrollLeft},
		{[]Scope{Objects, Objects, Table, Global}, "y", YAML},
	} {
		if b, _ := m.Lookup(tt.stack, tt.key); b.Intent != tt.want {
			t.Errorf("%v: %q is %q, want %q", tt.stack, tt.key, b.Intent, tt.want)
		}
	}
	if b, ok := m.Lookup(pods, "ctrl+q"); ok {
		t.Errorf("an unbound key is %q", b.Intent)
	}
}

func TestNewRefuses(t *testing.T) {
	b := func(s Scope, i Intent, unless []Scope, keys ...string) Binding {
		return Binding{Scope: s, Intent: i, Keys: keys, Help: "h", Group: "g", Unless: unless}
	}
	for name, tt := range map[string]struct {
		bindings []Binding
		stacks   [][]Scope
		want     string // "" when it is accepted
	}{
		"twice in a scope":         {[]Binding{b("a", "x", nil, "j"), b("a", "y", nil, "j")}, nil, `key "j" means "x"`},
		"inner and outer":          {[]Binding{b("a", "x", nil, "j"), b("b", "y", nil, "j")}, [][]Scope{{"a", "b"}}, `active together`},
		"never together":           {[]Binding{b("a", "x", nil, "j"), b("b", "y", nil, "j")}, [][]Scope{{"a"}, {"b"}}, ""},
		"told apart by Unless":     {[]Binding{b("a", "x", nil, "j"), b("b", "y", []Scope{"a"}, "j")}, [][]Scope{{"a", "b"}}, ""},
		"no help":                  {[]Binding{{Scope: "a", Intent: "x", Keys: []string{"j"}, Group: "g"}}, nil, "help"},
		"shift and a letter":       {[]Binding{b("a", "x", nil, "shift+n")}, nil, "shifted letter"},
		"modifier and a capital":   {[]Binding{b("a", "x", nil, "ctrl+D")}, nil, "shifted letter"},
		"modifiers in wrong order": {[]Binding{b("a", "x", nil, "shift+ctrl+left")}, nil, "no key"},
		"a name nobody sends":      {[]Binding{b("a", "x", nil, "escape")}, nil, "no key"},
		"plus and control space":   {[]Binding{b("a", "x", nil, "+", "ctrl+space", "ctrl+shift+left")}, nil, ""},
	} {
		_, err := New(tt.bindings, tt.stacks...)
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: error %v, want %q", name, err, tt.want)
		}
	}
}

func TestHelpAndHints(t *testing.T) {
	m, err := NewDefault()
	if err != nil {
		t.Fatal(err)
	}
	scopes := []Scope{Pods, Objects, Objects, Table, Global} // a scope given twice is listed once
	help := m.Help(scopes)
	if help[0].Title != "Pods" || help[len(help)-1].Title != "Namespaces" {
		t.Errorf("groups from %q to %q, want the innermost first", help[0].Title, help[len(help)-1].Title)
	}
	n := 0
	for _, g := range help {
		for _, b := range g.Bindings {
			if b.Intent == YAML {
				n++
			}
		}
	}
	if n != 1 {
		t.Errorf("YAML is listed %d times", n)
	}
	hints := m.Hints(scopes, 3)
	if len(hints) != 3 || hints[0].Intent != Logs {
		t.Errorf("hints are %v", hints)
	}
}

func TestMarkdown(t *testing.T) {
	m, err := NewDefault()
	if err != nil {
		t.Fatal(err)
	}
	md := m.Markdown()
	for _, b := range m.Bindings() {
		if !strings.Contains(md, b.Help) {
			t.Errorf("the table lacks %q", b.Help)
		}
	}
	for i, line := range strings.Split(strings.TrimSpace(md), "\n") {
		if n := strings.Count(strings.ReplaceAll(line, `\|`, ""), "|"); n != 4 {
			t.Errorf("line %d has %d cell borders, want 4: %s", i+1, n, line)
		}
	}
}
