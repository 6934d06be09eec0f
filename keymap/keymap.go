// Package keymap maps keys to intents, per scope. The help screen, the footer hints, the palette and the key table of the
// README are generated from it; nothing else in fathom knows a key.
package keymap

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// Intent is what a key means: "table.down", "pods.delete". An action's intent is its ID.
type Intent string

// Scope is where a binding is valid: "global", "table", "pods", "dialog", ...
type Scope string

// Binding binds one or more keys to an intent within a scope.
type Binding struct {
	Scope  Scope
	Keys   []string // as Bubble Tea v2 names them: "j", "ctrl+d", "shift+n" is "N", "enter", "esc", "space"
	Intent Intent
	Help   string  // a few words in the imperative: "delete the pod"
	Group  string  // the heading it stands under in help
	Hint   bool    // shown in the footer when there is room
	Writes bool    // changes the cluster; drawn as refused in read-only mode
	Unless []Scope // not valid while one of these scopes is active: 0-9 are namespaces, but time ranges in logs
}

// Map looks keys up. It is immutable and may be shared.
type Map struct {
	bindings []Binding
	byKey    map[Scope]map[string][]int // indices of bindings; more than one when Unless tells them apart
}

// Group is a heading of the help and what stands under it.
type Group struct {
	Title    string
	Bindings []Binding
}

// New makes a map. stacks are the scopes that can be active together, innermost first. It refuses bindings without key, intent, help
// or group, key names that Bubble Tea never sends, a key that means two things within a scope, and a key that means two
// things in a stack: nothing is ever shadowed. All faults found are in the error, one per line.
func New(bindings []Binding, stacks ...[]Scope) (*Map, error) {
	m := &Map{bindings: slices.Clone(bindings), byKey: map[Scope]map[string][]int{}}
	var faults []error
	for i, b := range m.bindings {
		if b.Scope == "" || b.Intent == "" || len(b.Keys) == 0 || b.Help == "" || b.Group == "" {
			faults = append(faults, fmt.Errorf("binding %q of scope %q: scope, keys, intent, help and group are all needed", b.Intent, b.Scope))
			continue
		}
		keys := m.byKey[b.Scope]
		if keys == nil {
			keys = map[string][]int{}
			m.byKey[b.Scope] = keys
		}
		for _, k := range b.Keys {
			if err := checkKey(k); err != nil {
				faults = append(faults, fmt.Errorf("binding %q of scope %q: %w", b.Intent, b.Scope, err))
			}
			keys[k] = append(keys[k], i)
		}
	}
	seen := map[string]bool{}
	for _, stack := range m.withSingles(stacks) {
		for _, f := range m.clashes(stack) {
			if !seen[f] {
				seen[f] = true
				faults = append(faults, errors.New(f))
			}
		}
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	return m, nil
}

// withSingles adds every scope on its own, so that duplicates in scopes that no stack names are found too.
func (m *Map) withSingles(stacks [][]Scope) [][]Scope {
	out := slices.Clone(stacks)
	for _, b := range m.bindings {
		out = append(out, []Scope{b.Scope})
	}
	return out
}

func (m *Map) clashes(stack []Scope) []string {
	var out []string
	owner := map[string]int{}
	for i, b := range m.bindings {
		if !b.active(stack) {
			continue
		}
		for _, k := range b.Keys {
			if j, ok := owner[k]; ok {
				o := m.bindings[j]
				out = append(out, fmt.Sprintf("key %q means %q (scope %q) and %q (scope %q), which are active together", k, o.Intent, o.Scope, b.Intent, b.Scope))
			}
			owner[k] = i
		}
	}
	return out
}

// active reports whether the binding is valid while scopes are.
func (b *Binding) active(scopes []Scope) bool {
	return slices.Contains(scopes, b.Scope) && !slices.ContainsFunc(b.Unless, func(s Scope) bool { return slices.Contains(scopes, s) })
}

// Lookup finds what key means while scopes are active, innermost first.
func (m *Map) Lookup(scopes []Scope, key string) (Binding, bool) {
	for _, s := range scopes {
		for _, i := range m.byKey[s][key] {
			if b := &m.bindings[i]; b.active(scopes) {
				return *b, true
			}
		}
	}
	return Binding{}, false
}

// Help lists what is bound while scopes are active, grouped: the groups of the innermost scope first, within a group in
// the order of their definition.
func (m *Map) Help(scopes []Scope) []Group {
	var out []Group
	for i, s := range scopes {
		if slices.Contains(scopes[:i], s) {
			continue
		}
		for _, b := range m.bindings {
			if b.Scope == s && b.active(scopes) {
				out = add(out, b)
			}
		}
	}
	return out
}

func add(groups []Group, b Binding) []Group {
	for i := range groups {
		if groups[i].Title == b.Group {
			groups[i].Bindings = append(groups[i].Bindings, b)
			return groups
		}
	}
	return append(groups, Group{Title: b.Group, Bindings: []Binding{b}})
}

// Hints are at most most bindings for the footer, those of the innermost scope first.
func (m *Map) Hints(scopes []Scope, most int) []Binding {
	var out []Binding
	for i, s := range scopes {
		if slices.Contains(scopes[:i], s) {
			continue
		}
		for _, b := range m.bindings {
			if len(out) < most && b.Hint && b.Scope == s && b.active(scopes) {
				out = append(out, b)
			}
		}
	}
	return out
}

// Bindings are all bindings in the order of their definition.
func (m *Map) Bindings() []Binding { return slices.Clone(m.bindings) }

// Markdown is the key table of the README: one table with a row per binding, grouped.
func (m *Map) Markdown() string {
	var groups []Group
	for _, b := range m.bindings {
		groups = add(groups, b)
	}
	var sb strings.Builder
	sb.WriteString("| Where | Keys | What it does |\n|---|---|---|\n")
	for _, g := range groups {
		where := g.Title
		for _, b := range g.Bindings {
			keys := make([]string, len(b.Keys))
			for i, k := range b.Keys {
				// A pipe ends a cell even within a code span; a backslash before it is how tables write one.
				keys[i] = "`" + strings.ReplaceAll(k, "|", `\|`) + "`"
			}
			help := b.Help
			if b.Writes {
				help += " (changes the cluster)"
			}
			fmt.Fprintf(&sb, "| %s | %s | %s |\n", where, strings.Join(keys, " "), help)
			where = "" // once per group
		}
	}
	return sb.String()
}

var namedKeys = []string{"enter", "tab", "backspace", "esc", "space", "up", "down", "left", "right", "insert", "delete",
	"pgup", "pgdown", "home", "end", "f1", "f2", "f3", "f4", "f5", "f6", "f7", "f8", "f9", "f10", "f11", "f12"}

// checkKey refuses names that Bubble Tea's Key.String never gives, which would be bindings that never match.
func checkKey(key string) error {
	name := key
	var mods []string
	for _, mod := range []string{"ctrl+", "alt+", "shift+"} { // the order in which Bubble Tea writes them
		if rest, ok := strings.CutPrefix(name, mod); ok && rest != "" {
			mods, name = append(mods, mod), rest
		}
	}
	if slices.Contains(namedKeys, name) {
		return nil
	}
	if utf8.RuneCountInString(name) != 1 || name == " " {
		return fmt.Errorf("key %q is no key that Bubble Tea names", key)
	}
	if slices.Contains(mods, "shift+") || len(mods) > 0 && name != strings.ToLower(name) {
		return fmt.Errorf("key %q: a shifted letter is written as the letter it gives, with a modifier always small", key)
	}
	return nil
}
