package views

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/labels"
)

// Filter is a parsed filter expression. The zero Filter matches everything.
//
//	web           rows that contain "web", ignoring case; spaces are literal
//	^web-\d+      a regular expression (RE2), ignoring case
//	!web          rows that do not match
//	-l app=web    a label selector
//	-f wb         fuzzy: the letters in this order
type Filter struct {
	expr     string
	not      bool
	substr   string
	needle   []byte // substr
	re       *regexp.Regexp
	selector labels.Selector
	fuzzy    string
}

// ParseFilter parses an expression. The error says what is wrong with it and what would be right; an invalid filter never
// silently shows everything.
func ParseFilter(expr string) (Filter, error) {
	f := Filter{expr: strings.TrimSpace(expr)}
	s := f.expr
	switch {
	case s == "":
		return Filter{}, nil
	case s == "-l" || strings.HasPrefix(s, "-l "):
		sel, err := labels.Parse(strings.TrimSpace(s[2:]))
		if err != nil {
			return Filter{}, fmt.Errorf("filter %q: not a label selector: %v; write -l app=web,tier!=db", expr, err)
		}
		f.selector = sel
		return f, nil
	case s == "-f" || strings.HasPrefix(s, "-f "):
		f.fuzzy = strings.ToLower(strings.ReplaceAll(s[2:], " ", ""))
		return f, nil
	case strings.HasPrefix(s, "!"):
		f.not = true
		s = s[1:]
		if s == "" {
			return Filter{}, errors.New(`filter "!": write what must not match, as in !web`)
		}
	}
	if regexp.QuoteMeta(s) == s {
		f.substr = strings.ToLower(s)
		f.needle = []byte(f.substr)
		return f, nil
	}
	re, err := regexp.Compile("(?i)" + s)
	if err != nil {
		msg := strings.TrimPrefix(err.Error(), "error parsing regexp: ")
		return Filter{}, fmt.Errorf("filter %q: not a regular expression: %s; put a \\ before a literal character", expr, msg)
	}
	f.re = re
	return f, nil
}

// IsEmpty reports whether the filter matches everything.
func (f Filter) IsEmpty() bool { return f.expr == "" }

// String is the expression as it was typed.
func (f Filter) String() string { return f.expr }

// Match reports whether a row passes. text is the row's cells joined by spaces (see NeedsText); set is its labels.
func (f Filter) Match(text string, set labels.Labels) bool {
	switch {
	case f.expr == "":
		return true
	case f.selector != nil:
		return f.selector.Matches(set)
	case f.re != nil:
		return f.re.MatchString(text) != f.not
	case f.substr != "":
		return containsFold(text, f.substr) != f.not
	default:
		return fuzzyMatch(text, f.fuzzy)
	}
}

// matchText is Match on a text that is not needed any more: it is turned into lower case where that is what is compared.
func (f Filter) matchText(text []byte, set labels.Labels) bool {
	switch {
	case f.re != nil:
		return f.re.Match(text) != f.not
	case !lowerASCII(text):
	case f.substr != "":
		return bytes.Contains(text, f.needle) != f.not
	case f.fuzzy != "":
		at := 0
		for i := 0; i < len(f.fuzzy); i++ {
			k := bytes.IndexByte(text[at:], f.fuzzy[i])
			if k < 0 {
				return false
			}
			at += k + 1
		}
		return true
	}
	return f.Match(string(text), set)
}

// lowerASCII turns text into lower case, and reports false, leaving the rest, when it is not ASCII. It goes eight bytes at a time: it is
// called for every row of a list at every key of a filter.
func lowerASCII(text []byte) bool {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	i := 0
	for ; i+8 <= len(text); i += 8 {
		x := binary.LittleEndian.Uint64(text[i:])
		if x&tops != 0 {
			return false
		}
		upper := ((x + (0x80-'A')*ones) ^ (x + (0x7f-'Z')*ones)) & tops // the top bit of every byte from A to Z
		binary.LittleEndian.PutUint64(text[i:], x|upper>>2)
	}
	for ; i < len(text); i++ {
		if text[i] >= 0x80 {
			return false
		}
		text[i] = lower(text[i])
	}
	return true
}

// narrows reports whether every row that f passes, before passes too.
func (f Filter) narrows(before Filter) bool {
	return before.substr != "" && f.substr != "" && !before.not && !f.not && strings.Contains(f.substr, before.substr)
}

// columns are those whose text can decide, of a row whose cells are joined by blanks: a word without one stands in a single cell.
func (f Filter) columns(all []Column) []Column {
	if f.substr == "" || strings.Contains(f.substr, " ") {
		return all
	}
	return slices.DeleteFunc(slices.Clone(all), func(c Column) bool {
		return c.Alphabet != "" && strings.Trim(f.substr, c.Alphabet) != ""
	})
}

// NeedsText reports whether Match looks at the row's text, and not only at its labels.
func (f Filter) NeedsText() bool { return f.expr != "" && f.selector == nil }

// containsFold is strings.Contains ignoring case, without allocating for ASCII; sub is in lower case.
func containsFold(s, sub string) bool {
	n := len(sub)
	if n == 0 {
		return true
	}
	for i := 0; i < len(s); i++ {
		if s[i] >= 0x80 {
			return strings.Contains(strings.ToLower(s), sub)
		}
	}
	c0 := sub[0]
	for i := 0; i+n <= len(s); i++ {
		if lower(s[i]) != c0 {
			continue
		}
		j := 1
		for j < n && lower(s[i+j]) == sub[j] {
			j++
		}
		if j == n {
			return true
		}
	}
	return false
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// fuzzyMatch reports whether the letters of pat stand in s in this order; pat is in lower case.
func fuzzyMatch(s, pat string) bool {
	rest := []rune(pat)
	for _, r := range strings.ToLower(s) {
		if len(rest) == 0 {
			break
		}
		if r == rest[0] {
			rest = rest[1:]
		}
	}
	return len(rest) == 0
}
