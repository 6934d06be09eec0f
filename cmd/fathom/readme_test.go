package main

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"fathom/keymap"
)

// The key table of the README is the key map's.
func TestReadmeKeyTable(t *testing.T) {
	data, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	m, err := keymap.NewDefault()
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(data), "<!-- keys:")
	_, rest, _ = strings.Cut(rest, "\n")
	table, _, ok2 := strings.Cut(rest, "<!-- /keys -->")
	if !ok || !ok2 || table != m.Markdown() {
		t.Error("the key table of README.md is not the key map's: run `make keys`")
	}
}

// Every picture of the README exists, and every flag and command it names is one.
func TestReadmeTellsTheTruth(t *testing.T) {
	data, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`\]\((docs/[^)]+)\)`).FindAllStringSubmatch(string(data), -1) {
		if st, err := os.Stat("../../" + m[1]); err != nil || st.Size() == 0 {
			t.Errorf("README.md shows %s: %v", m[1], err)
		}
	}
	root := newRoot()
	for _, m := range regexp.MustCompile(`bin/fathom ([a-z]+)`).FindAllStringSubmatch(string(data), -1) {
		if c, _, err := root.Find([]string{m[1]}); err != nil || c == root {
			t.Errorf("README.md names the command %q, which does not exist", m[1])
		}
	}
	for _, m := range regexp.MustCompile("(?:`|fathom )--([a-z-]+)").FindAllStringSubmatch(string(data), -1) {
		if !hasFlag(root, m[1]) {
			t.Errorf("README.md names the flag --%s, which does not exist", m[1])
		}
	}
}

// hasFlag reports whether a command, or one beneath it, has a flag.
func hasFlag(c *cobra.Command, name string) bool {
	return c.PersistentFlags().Lookup(name) != nil || c.Flags().Lookup(name) != nil ||
		slices.ContainsFunc(c.Commands(), func(sub *cobra.Command) bool { return hasFlag(sub, name) })
}
