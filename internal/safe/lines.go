package safe

import (
	"bytes"
	"strings"
)

// MaxLine is the longest line, in cells, that [Lines] and [LogLine] take; the rest is cut off and the line ends in ….
const MaxLine = 64 << 10

// Lines splits b at LF (or CR LF) and makes a Text of every line. TAB becomes spaces up to the next multiple of eight
// cells; other controls become visible. A line end at the end of b does not make an empty last line.
func Lines(b []byte) []Text {
	if len(b) == 0 {
		return nil
	}
	b = bytes.TrimSuffix(b, []byte("\n"))
	out := make([]Text, 0, bytes.Count(b, []byte("\n"))+1)
	for len(out) < cap(out) {
		line, rest, _ := bytes.Cut(b, []byte("\n"))
		out = append(out, lineText(bytes.TrimSuffix(line, []byte("\r"))))
		b = rest
	}
	return out
}

func lineText(b []byte) Text {
	s := string(b[:min(len(b), (MaxLine+3)*(MaxMarks+1)*4)])
	if len(s) <= MaxLine && plainPrefix(s) == len(s) {
		return Text{s}
	}
	w := newWriter(s, 0)
	w.tabs, w.limit = true, MaxLine
	w.run(s)
	return Text{string(w.dst)}
}

// SGR is the part of "select graphic rendition" (ECMA-48 8.3.117) that log lines may keep: sixteen colours, bold and
// underline. Conceal, blink and reverse are not among them: a log line must not hide text nor look like our own cursor.
type SGR struct {
	FG, BG          uint8 // 0 is the default, 1..8 black to white, 9..16 the bright ones
	Bold, Underline bool
}

// Span is a run of text in one rendition.
type Span struct {
	Text Text
	SGR  SGR
}

// LogLine makes spans of one log line, without its line end. SGR sequences are parsed, of 256 colours the first sixteen are
// kept and of true colour none; every other control function becomes visible text. The rendition starts anew with each
// line, and foreground equal to background, which would conceal the text, loses the background.
func LogLine(b []byte) []Span {
	b = bytes.TrimSuffix(b, []byte("\n"))
	b = bytes.TrimSuffix(b, []byte("\r"))
	s := string(b[:min(len(b), (MaxLine+3)*(MaxMarks+1)*4)])
	if len(s) <= MaxLine && plainPrefix(s) == len(s) {
		if s == "" {
			return nil
		}
		return []Span{{Text: Text{s}}}
	}
	w := newWriter(s, 0)
	w.tabs, w.limit = true, MaxLine
	var out []Span
	var cur SGR
	start := 0
	flush := func() {
		if len(w.dst) > start {
			out = append(out, Span{Text: Text{string(w.dst[start:])}, SGR: cur.visible()})
			start = len(w.dst)
		}
		w.cut = max(w.cut, start)
		w.marks = MaxMarks // a mark does not reach over a change of colour
	}
	for len(s) > 0 && !w.full {
		i := strings.IndexByte(s, 0x1b)
		if i < 0 {
			w.run(s)
			break
		}
		w.run(s[:i])
		s = s[i:]
		params, n := sgrSequence(s)
		if n == 0 {
			w.take(0x1b, s[:1])
			s = s[1:]
			continue
		}
		if next := cur.apply(params); next != cur {
			flush()
			cur = next
		}
		s = s[n:]
	}
	flush()
	return out
}

// sgrSequence returns the parameters of the SGR sequence s begins with and its length, or 0 when there is none.
func sgrSequence(s string) (params string, n int) {
	const longest = 64
	if !strings.HasPrefix(s, "\x1b[") {
		return "", 0
	}
	for i := 2; i < len(s) && i < longest; i++ {
		switch c := s[i]; {
		case c == 'm':
			return s[2:i], i + 1
		case c >= '0' && c <= '9', c == ';', c == ':':
		default:
			return "", 0
		}
	}
	return "", 0
}

func (g SGR) apply(params string) SGR {
	for more := true; more; {
		var p string
		p, params, more = strings.Cut(params, ";")
		switch v := number(p); {
		case v == 0:
			g = SGR{}
		case v == 1:
			g.Bold = true
		case v == 4:
			g.Underline = p != "4:0"
		case v == 22:
			g.Bold = false
		case v == 24:
			g.Underline = false
		case v >= 30 && v <= 37:
			g.FG = uint8(v - 30 + 1)
		case v == 38:
			g.FG, params = extended(p, params, g.FG)
			more = params != ""
		case v == 39:
			g.FG = 0
		case v >= 40 && v <= 47:
			g.BG = uint8(v - 40 + 1)
		case v == 48:
			g.BG, params = extended(p, params, g.BG)
			more = params != ""
		case v == 49:
			g.BG = 0
		case v >= 90 && v <= 97:
			g.FG = uint8(v - 90 + 9)
		case v >= 100 && v <= 107:
			g.BG = uint8(v - 100 + 9)
		}
	}
	return g
}

// extended takes the arguments of 38 and 48: 5;N and 2;R;G;B, or with colons as sub-parameters.
func extended(p, rest string, old uint8) (colour uint8, remaining string) {
	sep := ";"
	args := rest
	if _, sub, ok := strings.Cut(p, ":"); ok {
		args, sep = sub, ":"
	}
	kind, args, _ := strings.Cut(args, sep)
	colour = old
	switch kind {
	case "5":
		var n string
		n, args, _ = strings.Cut(args, sep)
		colour = 0
		if v := number(n); v < 16 {
			colour = uint8(v + 1)
		}
	case "2":
		colour = 0
		for range 3 {
			_, args, _ = strings.Cut(args, sep)
		}
	}
	if sep == ":" {
		return colour, rest
	}
	return colour, args
}

// number is the leading decimal number of p, 0 when there is none, as SGR has it; large numbers stay large.
func number(p string) int {
	v := 0
	for i := 0; i < len(p) && p[i] >= '0' && p[i] <= '9'; i++ {
		v = min(v*10+int(p[i]-'0'), 1<<20)
	}
	return v
}

func (g SGR) visible() SGR {
	if g.FG == g.BG {
		g.BG = 0
	}
	return g
}
