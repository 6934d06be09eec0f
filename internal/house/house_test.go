// Package house holds the tests of the whole house: which room may import which, and what may not be done anywhere.
package house

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// pkg is what `go list -json` tells of a package.
type pkg struct {
	ImportPath string
	Imports    []string
}

// may lists what a room may import of the other rooms; internal/safe, internal/run, internal/yamltext, internal/linediff and internal/snapfile are open to all. The rule is the longest
// prefix of the package's path.
var may = map[string][]string{
	"fathom/cluster":              {"fathom/cluster"},
	"fathom/watchers":             {"fathom/watchers", "fathom/cluster"},
	"fathom/actions":              {"fathom/actions", "fathom/cluster"},
	"fathom/views":                {"fathom/views", "fathom/actions", "fathom/watchers", "fathom/cluster", "fathom/keymap", "fathom/theme", "fathom/ui/draw", "fathom/ui/table", "fathom/ui/tree", "fathom/ui/text", "fathom/ui/chart"},
	"fathom/ui":                   {"fathom/ui", "fathom/views", "fathom/actions", "fathom/watchers", "fathom/keymap", "fathom/theme"},
	"fathom/ui/draw":              {"fathom/theme"},
	"fathom/ui/table":             {"fathom/ui/draw", "fathom/theme"},
	"fathom/ui/tree":              {"fathom/ui/draw", "fathom/theme"},
	"fathom/ui/text":              {"fathom/ui/draw", "fathom/theme"},
	"fathom/ui/chart":             {"fathom/ui/draw", "fathom/theme"},
	"fathom/ui/term":              {},
	"fathom/keymap":               {},
	"fathom/theme":                {},
	"fathom/internal":             {},
	"fathom/internal/testcluster": {},
	"fathom/cmd":                  {"fathom"},
}

func room(path string) string {
	best := ""
	for r := range may {
		if (path == r || strings.HasPrefix(path, r+"/")) && len(r) > len(best) {
			best = r
		}
	}
	return best
}

func packages(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports", "fathom/...")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.String())
	}
	var all []pkg
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		err := dec.Decode(&p)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

// Imports run one way: cmd -> ui -> views -> {actions, watchers} -> cluster; widgets, keymap and theme are leaves.
func TestImportDirection(t *testing.T) {
	all := packages(t)
	if len(all) < 15 {
		t.Fatalf("only %d packages found: is the pattern right?", len(all))
	}
	open := []string{"fathom/internal/safe", "fathom/internal/run", "fathom/internal/yamltext", "fathom/internal/linediff", "fathom/internal/snapfile"}
	for _, p := range all {
		r := room(p.ImportPath)
		if r == "" {
			t.Errorf("%s is in no room: add it to the rules, or move it", p.ImportPath)
			continue
		}
		for _, imp := range p.Imports {
			if !strings.HasPrefix(imp, "fathom/") || slices.Contains(open, imp) {
				continue
			}
			allowed := slices.ContainsFunc(may[r], func(prefix string) bool { return imp == prefix || strings.HasPrefix(imp, prefix+"/") })
			if !allowed {
				t.Errorf("%s imports %s, which %s may not", p.ImportPath, imp, r)
			}
		}
	}
}

// Only the rooms that draw may know of the terminal, and only the screen of Bubble Tea.
func TestWhoKnowsTheTerminal(t *testing.T) {
	for _, p := range packages(t) {
		for _, imp := range p.Imports {
			if !strings.HasPrefix(imp, "charm.land/") {
				continue
			}
			switch room(p.ImportPath) {
			case "fathom/ui", "fathom/ui/term", "fathom/views", "fathom/cmd":
			default:
				t.Errorf("%s imports %s: the read and the write side know no screen", p.ImportPath, imp)
			}
		}
	}
}
