package draw

import (
	"slices"
	"testing"
)

// Rows are no wider than they may be, and what was broken is all there: also two blanks, and letters of several bytes or cells.
func TestWrap(t *testing.T) {
	for _, x := range []struct {
		text  string
		width int
		want  []string
	}{
		{"", 5, []string{""}}, {"one two", 7, []string{"one two"}}, {"one two", 6, []string{"one", "two"}}, {" one\ntwo ", 20, []string{"one two"}},
		{"etcd-10 leads", 8, []string{"etcd-10", "leads"}}, {"a  b", 20, []string{"a  b"}}, {"abcdefgh ij", 3, []string{"abc", "def", "gh", "ij"}},
		{"größer", 3, []string{"grö", "ßer"}}, {"漢字漢字", 5, []string{"漢字", "漢字"}}, {"x\x1b[2J", 20, []string{"x␛[2J"}},
	} {
		var got []string
		for _, row := range Wrap(x.text, x.width) {
			got = append(got, row.String())
		}
		if !slices.Equal(got, x.want) {
			t.Errorf("%q in %d cells is %q, want %q", x.text, x.width, got, x.want)
		}
	}
}
