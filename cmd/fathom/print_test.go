package main

import (
	"errors"
	"testing"

	"fathom/views"
)

// What the view itself says is printed: "pods /web" and "search /registry/pods/ web" have no other place for it.
func TestPrintKeepsTheFilterOfTheView(t *testing.T) {
	for _, c := range []struct{ own, flag, want string }{
		{"", "", ""}, {"web", "", "web"}, {"", "web", "web"},
	} {
		ref, err := narrowed(views.Ref{View: "pods", Filter: c.own}, c.flag)
		if err != nil || ref.Filter != c.want {
			t.Errorf("view %q with --filter %q: %q, %v", c.own, c.flag, ref.Filter, err)
		}
	}
	var usage usageError
	if _, err := narrowed(views.Ref{View: "pods", Filter: "web"}, "db"); !errors.As(err, &usage) {
		t.Errorf("two filters: %v", err)
	}
}
