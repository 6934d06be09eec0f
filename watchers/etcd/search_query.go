package etcd

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// SearchQuery says which keys to look at and which of them to find.
//
//	web                              keys that contain "web", ignoring case
//	/registry/pods/                  keys that begin with it
//	/registry/pods/ web              of these, the ones that contain "web"
//	/registry/pods/ ~ web-\d+$       of these, the ones that match a regular expression (RE2), ignoring case
//	/registry/a../registry/d web     keys from one (included) to another (excluded)
//	"/with a blank/" web             quoted as in Go, when a key has blanks or bytes that cannot be typed
//
// What begins with "/" or a quote, or contains "..", says where to look; the rest what to find.
type SearchQuery struct {
	expr  string
	from  string // the first key
	end   []byte // of the range
	floor int    // bytes that all keys of the range share
	where string // in words
	text  string // its ASCII letters in lower case
	re    *regexp.Regexp
}

// SearchSyntax is the syntax in a few lines, for whoever is to type it.
var SearchSyntax = [][2]string{
	{"web", `keys that contain "web", ignoring case`},
	{"/registry/pods/", "keys that begin with it"},
	{"/registry/pods/ web", "of these, the ones that contain \"web\""},
	{`/registry/pods/ ~ web-\d+$`, "of these, what a regular expression matches"},
	{"/registry/a../registry/d", "from one key on, up to another"},
	{`"/with a blank/" web`, "quoted as in Go: blanks, any bytes"},
}

// ParseSearch parses a query. The error says what is wrong with it and what would be right.
func ParseSearch(expr string) (SearchQuery, error) {
	q := SearchQuery{expr: strings.TrimSpace(expr), end: prefixEnd(""), where: "all keys"}
	if q.expr == "" {
		return SearchQuery{}, errors.New("search: type what to look for, for example /registry/pods/ web")
	}
	rest := q.expr
	if scope, after, ok, err := cutScope(rest); err != nil {
		return SearchQuery{}, err
	} else if ok {
		rest = strings.TrimSpace(after)
		if err := q.scope(scope); err != nil {
			return SearchQuery{}, err
		}
	}
	switch {
	case rest == "~" || strings.HasPrefix(rest, "~ "):
		pattern := strings.TrimSpace(rest[1:])
		if pattern == "" {
			return SearchQuery{}, fmt.Errorf(`search %q: write a regular expression after "~", as in ~ web-\d+$`, expr)
		}
		re, err := regexp.Compile("(?i)" + pattern)
		if err != nil {
			msg := strings.TrimPrefix(err.Error(), "error parsing regexp: ")
			return SearchQuery{}, fmt.Errorf("search %q: not a regular expression: %s; put a \\ before a literal character", expr, msg)
		}
		q.re = re
	case strings.HasPrefix(rest, "~"):
		return SearchQuery{}, fmt.Errorf(`search %q: put a blank between "~" and the regular expression`, expr)
	default:
		q.text = lowerText(rest)
	}
	return q, nil
}

// scopeOf is what was typed of where to look.
type scopeOf struct {
	from, to string
	isRange  bool
}

// cutScope cuts where to look off the front of an expression.
func cutScope(s string) (scope scopeOf, rest string, ok bool, err error) {
	take := func() (string, error) {
		if strings.HasPrefix(s, `"`) {
			quoted, err := strconv.QuotedPrefix(s)
			if err != nil {
				return "", fmt.Errorf(`search: the quote at %s does not end as in "/a b/"`, s)
			}
			s = s[len(quoted):]
			return strconv.Unquote(quoted)
		}
		end := len(s)
		if i := strings.IndexByte(s, ' '); i >= 0 {
			end = i
		}
		if i := strings.Index(s[:end], ".."); i >= 0 {
			end = i
		}
		word := s[:end]
		s = s[end:]
		return word, nil
	}
	word, _, _ := strings.Cut(s, " ")
	if word != "~" && !strings.HasPrefix(s, "~ ") && (strings.HasPrefix(s, "/") || strings.HasPrefix(s, `"`) || strings.Contains(word, "..")) {
		if scope.from, err = take(); err != nil {
			return scope, "", false, err
		}
		if strings.HasPrefix(s, "..") {
			s, scope.isRange = s[2:], true
			if s != "" && s[0] != ' ' {
				if scope.to, err = take(); err != nil {
					return scope, "", false, err
				}
			}
		}
		if s != "" && s[0] != ' ' {
			return scope, "", false, fmt.Errorf("search: put a blank after where to look, before %q", s)
		}
		return scope, s, true, nil
	}
	return scope, s, false, nil
}

func (q *SearchQuery) scope(s scopeOf) error {
	q.from = s.from
	switch {
	case !s.isRange:
		q.end, q.floor, q.where = prefixEnd(s.from), len(s.from), fmt.Sprintf("keys that begin with %s", s.from)
		if s.from == "" {
			q.where = "all keys"
		}
	case s.to == "":
		q.where = fmt.Sprintf("keys from %s on", s.from)
	case s.to <= s.from:
		return fmt.Errorf("search: the range from %q to %q is empty: the second one has to sort after the first", s.from, s.to)
	default:
		q.end, q.floor, q.where = []byte(s.to), common(s.from, s.to), fmt.Sprintf("keys from %s to %s", s.from, s.to)
	}
	return nil
}

// String is the query as it was typed.
func (q SearchQuery) String() string { return q.expr }

// Where says in words which keys are looked at. Untrusted.
func (q SearchQuery) Where() string { return q.where }

// Match reports whether a key is one that is looked for.
func (q SearchQuery) Match(key []byte) bool {
	switch {
	case q.re != nil:
		return q.re.Match(key)
	case q.text == "":
		return true
	}
	return containsFold(key, q.text)
}

// lower makes an ASCII letter a small one.
func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// lowerText is for containsFold: what is no ASCII letter stays as it is, as it does in the keys.
func lowerText(s string) string {
	b := []byte(s)
	for i, c := range b {
		b[i] = lower(c)
	}
	return string(b)
}

// containsFold is bytes.Contains ignoring the case of ASCII letters; those of sub are small ones.
func containsFold(s []byte, sub string) bool {
	for i := 0; i+len(sub) <= len(s); i++ {
		j := 0
		for j < len(sub) && lower(s[i+j]) == sub[j] {
			j++
		}
		if j == len(sub) {
			return true
		}
	}
	return false
}
