package views

import (
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
