package safe

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// seeds are what terminals have been attacked or broken with.
var seeds = []string{
	"", "plain", "\x1b[2J\x1b[H", "\x1b]52;c;cm0gLXJmIC8K\a", "\x1b]8;;file:///etc/passwd\x1b\\x\x1b]8;;\x1b\\", "\x1b]0;title", "\x1bP+q\x1b\\",
	"\x1b_G\x1b\\", "\x1b^x", "\x9b31m\x9d0;x\x9c", "\u009b31m\u0090\u009c", "\xff\xfe\xc0\xaf\xed\xa0\x80\xf4\x90\x80\x80", "\xe2\x80", "a\u202eb\u2066c\u2069",
	"\u2028\u2029\u0085", "z\u0301\u0301\u0301\u0301\u0301", "\u0301", "👨\u200d👩\u200d👧\u200d👦", "🇩🇪🇫", "❤\ufe0f", "👍🏽", "\U000e0041\U000e007f",
	"\u1100\u1161\u11a8", "가\u11a8", "क\u094dष", "\u0d4ea", "ก\u0e33", "ｶ\uff9e", "日本\u3000語", "\ufff9x\ufffay\ufffb", "\x1b[31mred\x1b[0m", "\x1b[38;5;9mx",
	"\x1b[38;2;1;2;3;4mx", "\x1b[4:3mx", "a\tb\r\nc", "\u2800\u3164\u00ad\u034f", `\x{ff}\u{202e}`, "…", "ab\x1b", "\x1b[1;31", "\ue0b0", "\x00\x7f",
}

func FuzzSafe(f *testing.F) {
	for _, s := range seeds {
		f.Add([]byte(s), 7)
		f.Add([]byte(s+s+s), 80)
		f.Add([]byte("x"+s+"x"), 1)
	}
	f.Fuzz(func(t *testing.T, b []byte, w int) {
		s := string(b)
		whole := String(s)
		check(t, "String", whole)
		if Bytes(b) != whole {
			t.Fatalf("Bytes and String differ on %q", b)
		}
		w %= 200
		cut := Bounded(s, w)
		check(t, "Bounded", cut)
		if cut.Width() > max(w, 0) {
			t.Fatalf("Bounded(%q, %d) is %d cells", b, w, cut.Width())
		}
		if whole.Width() <= w && cut != whole {
			t.Fatalf("Bounded(%q, %d) = %q, but all of it fits", b, w, cut)
		}
		if whole.Width() > w && w > 0 && !strings.HasSuffix(cut.String(), "…") {
			t.Fatalf("Bounded(%q, %d) = %q does not show that it was cut", b, w, cut)
		}
		if again := Bounded(whole.String(), w); again.Width() > max(w, 0) {
			t.Fatalf("Truncate of %q to %d is %d cells", whole, w, again.Width())
		}
		check(t, "Concat", Concat(whole, whole, cut))
		for _, l := range Lines(b) {
			check(t, "Lines", l)
		}
		for _, sp := range LogLine(b) {
			check(t, "LogLine", sp.Text)
			if sp.SGR.FG > 16 || sp.SGR.BG > 16 || sp.SGR.FG != 0 && sp.SGR.FG == sp.SGR.BG {
				t.Fatalf("LogLine(%q) has the rendition %+v", b, sp.SGR)
			}
		}
		ascii := ASCII(whole)
		check(t, "ASCII", ascii)
		if ascii.Width() != len(ascii.String()) {
			t.Fatalf("ASCII(%q) = %q", whole, ascii)
		}
		if n := FileName(s); n != filepath.Base(n) || n == "." || n == ".." || strings.ContainsRune(n, os.PathSeparator) || len(n) > 120 {
			t.Fatalf("FileName(%q) = %q", b, n)
		}
	})
}

func BenchmarkString(b *testing.B) {
	for name, s := range map[string]string{
		"ascii": strings.Repeat("kube-system/coredns ", 5), "wide": strings.Repeat("日本語", 30), "controls": strings.Repeat("\x1b[2J", 25),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(s)))
			for b.Loop() {
				String(s)
			}
		})
	}
}
