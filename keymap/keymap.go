// Package keymap maps keys to intents, per scope. The help screen, the footer hints, the palette and the key table of the
// README are generated from it; nothing else in fathom knows a key.
package keymap

// Intent is what a key means: "cursor.down", "pods.delete". An action's intent is its ID.
type Intent string

// Scope is where a binding is valid: "global", "table", "pods", "dialog", ...
type Scope string

// Binding binds one or more keys to an intent within a scope.
type Binding struct {
	Scope  Scope
	Keys   []string // as Bubble Tea v2 names them: "j", "ctrl+d", "shift+n" is "N", "enter", "esc", "space"
	Intent Intent
	Help   string // a few words in the imperative: "delete the pod"
	Group  string // the heading it stands under in help
	Hint   bool   // shown in the footer when there is room
	Writes bool   // changes the cluster; drawn as refused in read-only mode
}
