package linediff

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// text is one side of a comparison.
func text(lines []Line, side Kind) string {
	var b strings.Builder
	for _, l := range lines {
		if l.Kind == Same || l.Kind == side {
			if s, cut := strings.CutSuffix(l.Text, noEnd); cut {
				b.WriteString(s)
				continue
			}
			b.WriteString(l.Text + "\n")
		}
	}
	return b.String()
}

func show(lines []Line) string {
	var b strings.Builder
	for _, l := range lines {
		fmt.Fprintf(&b, "%c%s\n", " -+"[l.Kind], l.Text)
	}
	return b.String()
}

func TestLines(t *testing.T) {
	for _, c := range []struct{ before, after, want string }{
		{"", "", ""},
		{"a\n", "a\n", " a\n"},
		{"", "a\n", "+a\n"},
		{"a\nb\nc\n", "a\nc\n", " a\n-b\n c\n"},
		{"a\nb\nc\n", "a\nx\nc\n", " a\n-b\n+x\n c\n"},
		{"a\nb\nc\na\nb\nb\na\n", "c\nb\na\nb\na\nc\n", "-a\n-b\n c\n+b\n a\n b\n-b\n a\n+c\n"}, // Myers' own example
		{"a", "a\n", "-a (no line end)\n+a\n"},
		{"a", "b", "-a\n+b\n"},
		{"", "b", "+b\n"},
	} {
		if got := show(Lines(c.before, c.after)); got != c.want {
			t.Errorf("%q -> %q:\n%swant\n%s", c.before, c.after, got, c.want)
		}
	}
}

// Whatever is compared, both texts come back out of it, numbered, and the number of differing lines is the least possible.
func TestLinesAreBothTexts(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	random := func() []string {
		out := make([]string, r.IntN(30))
		for i := range out {
			out[i] = string(rune('a' + r.IntN(4)))
		}
		return out
	}
	for range 3000 {
		a, b := random(), random()
		before, after := join(a), join(b)
		lines := Lines(before, after)
		if text(lines, Removed) != before || text(lines, Added) != after {
			t.Fatalf("%q -> %q:\n%s", before, after, show(lines))
		}
		x, y := 0, 0
		for _, l := range lines {
			if l.Kind != Added {
				x++
				if l.Old != x {
					t.Fatalf("line %d of the old text is numbered %d", x, l.Old)
				}
			}
			if l.Kind != Removed {
				y++
				if l.New != y {
					t.Fatalf("line %d of the new text is numbered %d", y, l.New)
				}
			}
		}
		removed, added := Count(lines)
		if want := len(a) + len(b) - 2*common(a, b); removed+added != want {
			t.Fatalf("%q -> %q: %d lines differ, %d need to", before, after, removed+added, want)
		}
	}
}

func join(lines []string) string {
	if len(lines) == 0 {
		return ""
	}
	return strings.Join(lines, "\n") + "\n"
}

// common is the length of the longest common subsequence.
func common(a, b []string) int {
	t := make([][]int, len(a)+1)
	for i := range t {
		t[i] = make([]int, len(b)+1)
	}
	for i := range a {
		for j := range b {
			t[i+1][j+1] = max(t[i][j+1], t[i+1][j])
			if a[i] == b[j] {
				t[i+1][j+1] = t[i][j] + 1
			}
		}
	}
	return t[len(a)][len(b)]
}

// Two large texts without a line in common are compared at once, not in the square of their length.
func TestLargeTexts(t *testing.T) {
	var a, b strings.Builder
	for i := range 50_000 {
		fmt.Fprintf(&a, "a %d\n", i)
		fmt.Fprintf(&b, "b %d\n", i)
	}
	removed, added := Count(Lines("same\n"+a.String()+"end\n", "same\n"+b.String()+"end\n"))
	if removed != 50_000 || added != 50_000 {
		t.Errorf("%d removed, %d added", removed, added)
	}
}

func TestHunks(t *testing.T) {
	var a []string
	for i := range 40 {
		a = append(a, fmt.Sprint(i))
	}
	b := append([]string(nil), a...)
	b[10], b[13], b[30] = "x", "y", "z"
	hunks, after := Hunks(Lines(join(a), join(b)), 2)
	if len(hunks) != 2 || hunks[0].Skipped != 8 || len(hunks[0].Lines) != 2+2+2+2+2 || hunks[1].Skipped != 12 || len(hunks[1].Lines) != 6 || after != 7 {
		t.Errorf("%d after %+v", after, hunks)
	}
	if hunks, after = Hunks(Lines("a\n", "a\n"), 2); len(hunks) != 0 || after != 1 {
		t.Errorf("nothing differs: %v, %d", hunks, after)
	}
}
