package safe

import (
	"strings"
	"testing"
)

func TestLogLine(t *testing.T) {
	red, plain := SGR{FG: 2}, SGR{}
	span := func(s string, g SGR) Span { return Span{Text: Text{s}, SGR: g} }
	for _, tt := range []struct {
		name, in string
		want     []Span
	}{
		{"empty", "", nil},
		{"plain", "hello\r\n", []Span{span("hello", plain)}},
		{"colour", "\x1b[31merr\x1b[0m ok", []Span{span("err", red), span(" ok", plain)}},
		{"empty parameter resets", "\x1b[31merr\x1b[m ok", []Span{span("err", red), span(" ok", plain)}},
		{"trailing semicolon resets", "\x1b[31merr\x1b[1;m ok", []Span{span("err", red), span(" ok", plain)}},
		{"several", "\x1b[1;4;93;44mx", []Span{span("x", SGR{FG: 12, BG: 5, Bold: true, Underline: true})}},
		{"switched off", "\x1b[1;4;31;42mx\x1b[22;24;39;49my", []Span{span("x", SGR{FG: 2, BG: 3, Bold: true, Underline: true}), span("y", plain)}},
		{"256 colours", "\x1b[38;5;9mx\x1b[38;5;200;1my", []Span{span("x", SGR{FG: 10}), span("y", SGR{Bold: true})}},
		{"256 with colons", "\x1b[38:5:1mx", []Span{span("x", red)}},
		{"true colour is the default", "\x1b[38;2;31;4;7mx", []Span{span("x", plain)}},
		{"conceal, blink and reverse are ignored", "\x1b[8;5;7mx", []Span{span("x", plain)}},
		{"concealing colours", "\x1b[30;40mx", []Span{span("x", SGR{FG: 1})}},
		{"no change, no new span", "a\x1b[0mb", []Span{span("ab", plain)}},
		{"cursor movement is shown", "\x1b[2J\x1b[Hx", []Span{span("␛[2J␛[Hx", plain)}},
		{"private and intermediate", "\x1b[?25l\x1b[>4m\x1b[ m", []Span{span("␛[?25l␛[>4m␛[ m", plain)}},
		{"unfinished", "\x1b[31", []Span{span("␛[31", plain)}},
		{"C1 CSI is no sequence", "\u009b31mx\x9b31m", []Span{span(`\u{9b}31mx\x{9b}31m`, plain)}},
		{"sequence without end", "\x1b[" + strings.Repeat("1;", 60) + "m", []Span{span("␛["+strings.Repeat("1;", 60)+"m", plain)}},
		{"mark after a change of colour", "e\x1b[31m\u0301", []Span{span("e", plain), span(`\u{301}`, red)}},
		{"tab stops count over spans", "ab\x1b[31mc\td", []Span{span("ab", plain), span("c     d", red)}},
		{"huge number", "\x1b[99999999999999999999mx", []Span{span("x", plain)}},
		{"carriage return within", "10%\r20%", []Span{span("10%␍20%", plain)}},
	} {
		got := LogLine([]byte(tt.in))
		if len(got) != len(tt.want) {
			t.Errorf("%s: %q became %v, want %v", tt.name, tt.in, got, tt.want)
			continue
		}
		for i := range got {
			if got[i] != tt.want[i] {
				t.Errorf("%s: span %d of %q is %q %+v, want %q %+v", tt.name, i, tt.in, got[i].Text, got[i].SGR, tt.want[i].Text, tt.want[i].SGR)
			}
		}
	}
}

func TestLogLineIsBounded(t *testing.T) {
	for _, unit := range []string{"x", "\x1b[31mx\x1b[0m", "\x1b", "\t", "e\u0301", "\x1b[31m"} {
		width := 0
		for _, s := range LogLine([]byte(strings.Repeat(unit, 1<<20/len(unit)))) {
			width += s.Text.Width()
		}
		if width > MaxLine+1 {
			t.Errorf("1 MB of %q became %d cells", unit, width)
		}
	}
}
