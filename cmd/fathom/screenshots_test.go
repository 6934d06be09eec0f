//go:build integration

package main

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"fathom/internal/testcluster"
)

var screenshots = flag.String("screenshots", "", "folder to draw the README's pictures into")

// TestIntegrationScreenshots draws the pictures of the README from a real run. Without the flag it only looks whether the views they
// show can be opened, which other tests do better, so it skips.
func TestIntegrationScreenshots(t *testing.T) {
	if *screenshots == "" {
		t.Skip("no pictures are drawn without -screenshots DIR (make screenshots)")
	}
	c := testcluster.Start(t)
	const w, h = 132, 40
	for _, shot := range []struct {
		name, args string
		wait       []string
	}{
		{"overview", "-A", []string{"etcd-3", "Workloads", "Warnings", "leader"}},
		{"members", "-c members", []string{"leader", "follower"}},
		{"keys", "-c 'keys /registry'", []string{"deployments"}},
		{"placement", "-c placement -A", []string{"eu-central-1a", "huge-solver"}},
		{"pods", "-c 'pods shop'", []string{"recommendations-", "live"}},
	} {
		term := openFathom(t, c, w, h, shot.args)
		term.WaitFor(shot.wait...)
		svg := testcluster.SVG(term.Coloured(), w, h)
		if err := os.WriteFile(filepath.Join(*screenshots, shot.name+".svg"), []byte(svg), 0o644); err != nil {
			t.Fatal(err)
		}
		term.Keys("C-c")
		term.WaitFor("exit=0")
	}
}
