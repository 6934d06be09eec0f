package safe

import (
	"strings"
	"unicode/utf8"
)

// ASCII folds everything outside ASCII, for --ascii and consoles without Unicode: control pictures become caret notation
// (␛ is ^[), … becomes three dots, and other characters become \u{..}.
func ASCII(t Text) Text {
	if plainPrefix(t.s) == len(t.s) {
		return t
	}
	w := newWriter(t.s, 0)
	for _, r := range t.s {
		switch {
		case r < utf8.RuneSelf:
			w.dst = append(w.dst, byte(r))
		case r >= 0x2400 && r < 0x2420:
			w.dst = append(w.dst, '^', byte(r-0x2400)+'@')
		case r == 0x2421:
			w.dst = append(w.dst, "^?"...)
		case r == '…':
			w.dst = append(w.dst, "..."...)
		default:
			w.escape('u', uint64(r))
		}
	}
	return Text{string(w.dst)}
}

// FileName makes of s a name that is safe as one component of a path on every system and harmless in a shell: ASCII
// letters, digits, '.', '_' and '-', at most 120 bytes, never empty, not beginning with '.' or '-'. It is not injective:
// who needs distinct files adds a number.
func FileName(s string) string {
	const longest = 119 // and one for the '_' in front
	s = s[:min(len(s), longest)]
	name := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '.', r == '_', r == '-':
			return r
		}
		return '_'
	}, s)
	if name == "" || name[0] == '.' || name[0] == '-' {
		name = "_" + name
	}
	return name
}

// WindowTitle makes of s a title for the terminal's window: sanitised and at most 120 cells.
func WindowTitle(s string) string { return Bounded(s, 120).s }
