package main

import "testing"

func TestEditor(t *testing.T) {
	for _, c := range []struct {
		visual, editor, want string
	}{{"", "", "vi"}, {"", "nano -w", "nano -w"}, {"emacs -nw", "ed", "emacs -nw"}, {" ", "ed", "ed"}} {
		env := map[string]string{"VISUAL": c.visual, "EDITOR": c.editor}
		if got := editor(func(k string) string { return env[k] }); got != c.want {
			t.Errorf("VISUAL=%q EDITOR=%q: %q, want %q", c.visual, c.editor, got, c.want)
		}
	}
}
