package main

import "testing"

// A script that asks whether a journal is in order does not take a mistake of its own for a yes.
func TestMistakesOnTheCommandLineFail(t *testing.T) {
	for _, args := range [][]string{
		{"journal"}, {"journal", "verfy", "file"}, {"journal", "verify", "a", "b"}, {"print"}, {"doctor", "x"}, {"snapshot", "x"}, {"nothing"},
	} {
		if code := execute(args); code != exitUsage {
			t.Errorf("%q: exit %d, want %d", args, code, exitUsage)
		}
	}
}
