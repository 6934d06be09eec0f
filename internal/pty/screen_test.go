package pty

import (
	"strings"
	"testing"
)

func TestScreen(t *testing.T) {
	for name, c := range map[string]struct{ in, want string }{
		"text":              {"ab\r\ncd", "ab\ncd\n\n"},
		"wrap":              {"0123456789ab", "0123456789\nab\n\n"},
		"no wrap":           {"\x1b[?7l0123456789ab", "012345678b\n\n\n"},
		"wrap waits":        {"0123456789\rx", "x123456789\n\n\n"},
		"position":          {"\x1b[2;3Hx\x1b[dy\x1b[5Gz", "   yz\n  x\n\n"},
		"moves":             {"\x1b[3;5Hx\x1b[2Ay\x1b[Bz\x1b[3Dw", "     y\n    w z\n    x\n"},
		"tabs":              {"a\tb\x1b[Zc\x1b[Id", "a       cd\n\n\n"},
		"erase line":        {"abcdef\x1b[1;3H\x1b[K", "ab\n\n\n"},
		"erase to start":    {"abcdef\x1b[1;3H\x1b[1K", "   def\n\n\n"},
		"erase cells":       {"abcdef\x1b[1;2H\x1b[3X", "a   ef\n\n\n"},
		"erase below":       {"ab\r\ncd\r\nef\x1b[2;2H\x1b[J", "ab\nc\n\n"},
		"erase all":         {"ab\x1b[2Jc", "  c\n\n\n"},
		"insert and delete": {"abcdef\x1b[1;2H\x1b[2@\x1b[1;7H\x1b[P", "a  bcdf\n\n\n"},
		"insert mode":       {"abc\r\x1b[4hxy\x1b[4lz", "xyzbc\n\n\n"},
		"repeat":            {"-\x1b[4bx", "-----x\n\n\n"},
		"scroll":            {"1\r\n2\r\n3\r\n4\r\n5", "2\n3\n4\n5"},
		"scroll region":     {"1\r\n2\r\n3\r\n4\x1b[2;3r\x1b[3;1H\nx\x1b[r", "1\n3\nx\n4"},
		"scroll down":       {"1\r\n2\r\n3\r\n4\x1b[2;4r\x1b[T\x1b[r", "1\n\n2\n3"},
		"insert lines":      {"1\r\n2\r\n3\r\n4\x1b[2;1H\x1b[L", "1\n\n2\n3"},
		"delete lines":      {"1\r\n2\r\n3\r\n4\x1b[2;1H\x1b[2M", "1\n4\n\n"},
		"reverse index":     {"1\r\n2\x1b[H\x1bMx", "x\n1\n2\n"},
		"wide":              {"日本x\x1b[1;2Hy", " y本x\n\n\n"},
		"combining":         {"e\u0301x", "e\u0301x\n\n\n"},
		"alternate":         {"a\x1b[?1049hb\x1b[?1049lc", "ac\n\n\n"},
		"strings":           {"\x1b]0;title\x07\x1bP+q\x1b\\\x1b_x\x1b\\a", "a\n\n\n"},
	} {
		t.Run(name, func(t *testing.T) {
			s := NewScreen(10, 4)
			for i := range len(c.in) { // also when it comes in pieces
				s.Write([]byte{c.in[i]})
			}
			if got := s.String(); got != c.want {
				t.Errorf("%q shows\n%s\nwant\n%s", c.in, got, c.want)
			}
			if len(s.Unknown) > 0 {
				t.Errorf("unknown: %q", s.Unknown)
			}
		})
	}
}

func TestAttributes(t *testing.T) {
	s := NewScreen(10, 4)
	s.Write([]byte("\x1b[1;38;5;7;48;2;7;7;7mab\x1b[m\r\n\x1b[7m" + strings.Repeat("x", 10) + "\x1b[27my"))
	if a := s.At(0, 0).Attr; a != Bold {
		t.Errorf("attributes %b: the numbers of colours are not attributes", a)
	}
	if y := s.RowWith(Reverse); y != 1 {
		t.Errorf("row %d is in reverse", y)
	}
	if s.At(0, 2).Attr != 0 {
		t.Error("reverse goes on after its end")
	}
	s.Write([]byte("\x1b[2;3H\x1b[7m\x1b[K"))
	if y := s.RowWith(Reverse); y != -1 {
		t.Errorf("erased cells are in reverse: row %d", y)
	}
}

func TestModes(t *testing.T) {
	s := NewScreen(10, 4)
	s.Write([]byte("\x1b]2;fathom x\x07\x1b[?1049h\x1b[?25l\x1b[?2026ha\x1b[?2026l\x1b[?2026hb\x1b[?2026l"))
	if !s.Alternate || !s.CursorHidden || s.Synchronized || s.Frames != 2 || s.Title != "fathom x" {
		t.Errorf("%v %v %v %d %q", s.Alternate, s.CursorHidden, s.Synchronized, s.Frames, s.Title)
	}
}
