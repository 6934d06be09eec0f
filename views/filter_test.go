package views

import (
	"bytes"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/labels"
)

func TestFilter(t *testing.T) {
	set := labels.Set{"app": "web", "tier": "front"}
	for _, c := range []struct {
		expr, text string
		want       bool
	}{
		{"", "anything", true},
		{"web", "shop Web-1 Running", true},
		{"web", "shop db-1 Running", false},
		{"shop web", "shop web-1", true}, // a space is a space, not "show everything"
		{"!web", "shop db-1", true},
		{"!web", "shop web-1", false},
		{`web-\d+$`, "shop web-12", true},
		{`web-\d+$`, "shop web-x", false},
		{"-l app=web", "", true},
		{"-l app!=web", "", false},
		{"-l tier in (front,back)", "", true},
		{"-f sw1", "shop web-1", true},
		{"-f 1ws", "shop web-1", false},
		{"größe", "Die GRÖSSE? nein: GRÖßE", true},
	} {
		f, err := ParseFilter(c.expr)
		if err != nil {
			t.Fatalf("%q: %v", c.expr, err)
		}
		if got := f.Match(c.text, set); got != c.want {
			t.Errorf("filter %q on %q = %v, want %v", c.expr, c.text, got, c.want)
		}
	}
}

func TestFilterInvalid(t *testing.T) {
	for _, expr := range []string{"web(", "[a", "-l app=(", "!", `a{2,1}`} {
		f, err := ParseFilter(expr)
		if err == nil {
			t.Errorf("%q was accepted as %+v", expr, f)
			continue
		}
		if !strings.Contains(err.Error(), "filter") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: unclear error %q", expr, err)
		}
	}
}

func TestCount(t *testing.T) {
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 150_001: "150,001", 1_234_567: "1,234,567", -1000: "-1,000", -100: "-100"} {
		if got := Count(n); got != want {
			t.Errorf("%d is shown as %s", n, got)
		}
	}
}

func TestLowerASCII(t *testing.T) {
	var all []byte
	for c := range 128 {
		all = append(all, byte(c))
	}
	for from := range 9 {
		for to := from; to <= len(all); to++ {
			got := append([]byte{}, all[from:to]...)
			if !lowerASCII(got) || string(got) != strings.ToLower(string(all[from:to])) {
				t.Fatalf("%q becomes %q", all[from:to], got)
			}
		}
	}
	for i := range 20 {
		b := bytes.Repeat([]byte("A"), 20)
		b[i] = 0xc3
		if lowerASCII(b) {
			t.Errorf("0xc3 at %d passes as ASCII", i)
		}
	}
}

func TestNarrows(t *testing.T) {
	for _, c := range []struct {
		before, after string
		want          bool
	}{
		{"pay", "paym", true}, {"pay", "epay", true}, {"PAY", "payment", true}, {"pay", "pa", false}, {"!pay", "!paym", false}, {"pay", "!paym", false},
		{"", "p", false}, {"p", "", false}, {"pa", "^pa", false}, {"-l a=b", "-l a=bc", false}, {"-f pa", "-f pay", false},
	} {
		before, err := ParseFilter(c.before)
		if err != nil {
			t.Fatal(err)
		}
		after, err := ParseFilter(c.after)
		if err != nil {
			t.Fatal(err)
		}
		if got := after.narrows(before); got != c.want {
			t.Errorf("%q after %q narrows: %v", c.after, c.before, got)
		}
	}
}

// Passing columns by does not change what a filter says.
func TestColumnsThatCannotMatch(t *testing.T) {
	all := podPane(t).everyColumn()
	rows := manyPods(300)
	for _, expr := range []string{"pa", "42", "2/2", "app-1", "-", "mib", "250m", "0", "running", "!42", "!app", "512.0 mib", "team-01 app", ".", "worker", "x9", "deployment/app-7"} {
		f, err := ParseFilter(expr)
		if err != nil {
			t.Fatal(err)
		}
		cols, n := f.columns(all), 0
		for _, r := range rows {
			whole := f.matchText(appendRowText(nil, all, r), labels.Set{})
			if got := f.matchText(appendRowText(nil, cols, r), labels.Set{}); got != whole {
				t.Fatalf("%q: %v with %d columns, %v with all %d: %s", expr, got, len(cols), whole, len(all), rowText(all, r))
			}
			if whole {
				n++
			}
		}
		t.Logf("%q: %d columns, %d rows", expr, len(cols), n)
	}
}
