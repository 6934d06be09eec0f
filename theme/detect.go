package theme

import "strings"

// Detect chooses options from the environment: NO_COLOR with any value (colorprofile v0.4.3 reads it as a bool and ignores
// NO_COLOR=yes), TERM=linux and its kin and locales that are not UTF-8 for ASCII, COLORFGBG for a light background. Flags given by
// the user go over it.
func Detect(getenv func(string) string) Options {
	o := Options{NoColor: getenv("NO_COLOR") != ""}
	switch term := getenv("TERM"); {
	case term == "linux", term == "dumb", term == "vt100", term == "vt220", term == "ansi", term == "cons25":
		o.ASCII = true
		if term == "dumb" || strings.HasPrefix(term, "vt") {
			o.NoColor = true
		}
	default:
		o.ASCII = !utf8Locale(getenv)
	}
	if _, bg, ok := strings.Cut(getenv("COLORFGBG"), ";"); ok {
		if i := strings.LastIndexByte(bg, ';'); i >= 0 {
			bg = bg[i+1:]
		}
		o.Light = bg == "7" || bg == "15"
	}
	return o
}

// utf8Locale follows POSIX: the first of LC_ALL, LC_CTYPE and LANG that is set and not empty decides. When none is, the
// locale is C, as it often is over SSH on a node.
func utf8Locale(getenv func(string) string) bool {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if v := strings.ToLower(getenv(name)); v != "" {
			return strings.Contains(v, "utf-8") || strings.Contains(v, "utf8")
		}
	}
	return false
}
