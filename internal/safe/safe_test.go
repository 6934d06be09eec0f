package safe

import (
	"math"
	"runtime"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/charmbracelet/x/ansi"
)

func TestString(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"empty", "", ""},
		{"ASCII", "kube-system/coredns-5d78c9869d-x2x9q", "kube-system/coredns-5d78c9869d-x2x9q"},
		{"clear screen", "a\x1b[2Jb", "a␛[2Jb"},
		{"OSC 52", "\x1b]52;c;cm0gLXJm\a", "␛]52;c;cm0gLXJm␇"},
		{"OSC 8", "\x1b]8;;http://evil\x1b\\click\x1b]8;;\x1b\\", `␛]8;;http://evil␛\click␛]8;;␛\`},
		{"unterminated OSC", "\x1b]0;title", "␛]0;title"},
		{"bell, backspace, CR, NUL, DEL", "\a\b\r\x00\x7f", "␇␈␍␀␡"},
		{"LF and TAB", "a\nb\tc", "a␊b␉c"},
		{"C1 as UTF-8", "\u009b2J\u009d0;x\u009c", `\u{9b}2J\u{9d}0;x\u{9c}`},
		{"C1 as bytes", "\x9b2J\x90", `\x{9b}2J\x{90}`},
		{"not UTF-8", "\xff\xc3(\xe2\x82\x01", `\x{ff}\x{c3}(\x{e2}\x{82}␁`},
		{"surrogate and overlong", "\xed\xa0\x80\xc0\xaf", `\x{ed}\x{a0}\x{80}\x{c0}\x{af}`},
		{"bidi override", "user\u202egpj.exe", `user\u{202e}gpj.exe`},
		{"bidi isolates and marks", "\u2066\u2069\u200e\u200f\u061c", `\u{2066}\u{2069}\u{200e}\u{200f}\u{61c}`},
		{"separators", "a\u2028b\u2029", `a\u{2028}b\u{2029}`},
		{"zero width", "ad\u200bmin\ufeff\u2060\u00ad", `ad\u{200b}min\u{feff}\u{2060}\u{ad}`},
		{"tag characters", "x\U000e0041\U000e007f", `x\u{e0041}\u{e007f}`},
		{"interlinear annotation", "\ufff9a\ufffab\ufffb", `\u{fff9}a\u{fffa}b\u{fffb}`},
		{"private use and unassigned", "\ue000\U0010fffd\u0378", `\u{e000}\u{10fffd}\u{378}`},
		{"odd spaces", "a\u00a0b\u3000c\u2800", `a\u{a0}b\u{3000}c\u{2800}`},
		{"invisible letters", "\u3164\u115f\uffa0", `\u{3164}\u{115f}\u{ffa0}`},
		{"emoji family", "👨\u200d👩", `👨\u{200d}👩`},
		{"variation selector", "❤\ufe0f", `❤\u{fe0f}`},
		{"skin tone and flag", "👍🏽 🇩🇪", `👍\u{1f3fd} \u{1f1e9}\u{1f1ea}`},
		{"keycap", "1\u20e3", `1\u{20e3}`},
		{"too new an emoji", "\U0001fac6", `\u{1fac6}`},
		{"marks stay", "e\u0301 ạ\u0308", "e\u0301 ạ\u0308"},
		{"marks are bounded", "z\u0301\u0302\u0303\u0304\u0305", "z\u0301\u0302\u0303" + `\u{304}\u{305}`},
		{"orphan marks", "\u0301a\n\u0301\xff\u0301", `\u{301}a␊\u{301}\x{ff}\u{301}`},
		{"wide and accented", "日本 straße Ω", "日本 straße Ω"},
		{"replacement character", "\ufffd", "\ufffd"},
		{"looks like an escape", `\u{9b}`, `\u{9b}`},
	} {
		if got := String(tt.in).String(); got != tt.want {
			t.Errorf("%s: %q became %q, want %q", tt.name, tt.in, got, tt.want)
		}
		if got := Bytes([]byte(tt.in)).String(); got != tt.want {
			t.Errorf("%s: Bytes(%q) became %q, want %q", tt.name, tt.in, got, tt.want)
		}
	}
}

// check holds what is promised of every Text.
func check(t *testing.T, what string, text Text) {
	t.Helper()
	s := text.String()
	if !utf8.ValidString(s) {
		t.Fatalf("%s: %q is not UTF-8", what, s)
	}
	marks := MaxMarks
	for _, r := range s {
		if r < 0x20 || r >= 0x7f && r < 0xa0 || unicode.In(r, unicode.C, unicode.Zl, unicode.Zp, unicode.Variation_Selector,
			unicode.Other_Default_Ignorable_Code_Point, unicode.Bidi_Control, unicode.Join_Control) {
			t.Fatalf("%s: %q holds %U", what, s, r)
		}
		if !unicode.Is(unicode.M, r) {
			marks = 0
		} else if marks++; marks > MaxMarks {
			t.Fatalf("%s: %q has a character with more than %d marks, or an orphan", what, s, MaxMarks)
		}
	}
	if g, w := ansi.StringWidth(s), ansi.StringWidthWc(s); g != w || g != text.Width() {
		t.Fatalf("%s: %q is %d cells by grapheme, %d by code point, Width says %d", what, s, g, w, text.Width())
	}
	if again := String(s).String(); again != s {
		t.Fatalf("%s: %q becomes %q when sanitised again", what, s, again)
	}
}

// Every code point there is, alone and between others that it might join with.
func TestEveryCodePoint(t *testing.T) {
	around := []string{"a", "é", "क", "가", "日", "👍", "\u0301", "ം"}
	for r := rune(0); r <= unicode.MaxRune; r++ {
		alone := String(string(r)).String()
		agrees(t, string(r))
		if fast, slow := runeWidth(r, string(r)), tableWidth(r, string(r)); r >= 0xa0 && fast != slow {
			t.Errorf("%U is %d cells without the tables, %d with", r, fast, slow)
		}
		// What is escaped is ASCII and joins with nothing. Ideographs, syllables and unassigned planes are all alike.
		if alone != string(r) && !unicode.Is(unicode.M, r) || unicode.In(r, unicode.Han, unicode.Hangul, unicode.Yi, unicode.Tangut,
			unicode.Cuneiform, unicode.Egyptian_Hieroglyphs, unicode.Bamum) && r%0x40 != 0 {
			continue
		}
		for _, a := range around {
			agrees(t, a+string(r)+a)
		}
	}
}

// agrees holds that every terminal measures the same, and that sanitising is idempotent.
func agrees(t *testing.T, in string) {
	s := String(in).String()
	if g, w := ansi.StringWidth(s), ansi.StringWidthWc(s); g != w {
		t.Errorf("%+q: %q is %d cells by grapheme, %d by code point", in, s, g, w)
	}
	if again := String(s).String(); again != s {
		t.Errorf("%+q: %q becomes %q", in, s, again)
	}
}

func TestBounded(t *testing.T) {
	for _, tt := range []struct {
		in   string
		w    int
		want string
	}{
		{"abc", 3, "abc"}, {"abcd", 3, "ab…"}, {"abc", 1, "…"}, {"abc", 0, ""}, {"abc", -1, ""}, {"", 3, ""},
		{"日本語", 6, "日本語"}, {"日本語", 5, "日本…"}, {"日本語", 4, "日…"}, {"日本語", 1, "…"},
		{"ab\x1b", 3, "ab␛"}, {"ab\x1bc", 3, "ab…"}, {"ab\x9b", 4, "ab…"}, {"\u202e", 8, `\u{202e}`}, {"\u202ex", 8, "…"},
		{"abce\u0301", 4, "abce\u0301"}, {"abe\u0301cd", 4, "abe\u0301…"}, {"abcd", 4, "abcd"},
		{"a\u0301\u0302\u0303", 1, "a\u0301\u0302\u0303"},
	} {
		got := Bounded(tt.in, tt.w)
		if got.String() != tt.want {
			t.Errorf("Bounded(%q, %d) = %q, want %q", tt.in, tt.w, got, tt.want)
		}
		if tr := String(tt.in).Truncate(tt.w); tr.Width() > max(tt.w, 0) {
			t.Errorf("Truncate(%q, %d) = %q, which is %d cells", tt.in, tt.w, tr, tr.Width())
		}
		if b := BoundedBytes([]byte(tt.in), tt.w); b != got {
			t.Errorf("BoundedBytes(%q, %d) = %q, Bounded gives %q", tt.in, tt.w, b, got)
		}
	}
}

// Neither time nor memory may depend on what is cut off.
func TestBoundedCostsWhatIsShown(t *testing.T) {
	for name, unit := range map[string]string{"ASCII": "x", "ESC": "\x1b[", "marks": "e\u0301\u0302\u0303", "bad bytes": "\xff", "wide": "日"} {
		short, long := strings.Repeat(unit, 1000), strings.Repeat(unit, 4<<20/len(unit))
		const runs = 100
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range runs {
			Bounded(long, 80)
		}
		runtime.ReadMemStats(&after)
		if n := (after.TotalAlloc - before.TotalAlloc) / runs; n > 16<<10 {
			t.Errorf("%s: 80 cells of 4 MB allocate %d bytes", name, n)
		}
		// The fastest of many runs, so that a busy machine does not matter: 4 MB take thousands of times what 80 cells take.
		if s, l := fastest(short), fastest(long); l > 20*s+10*time.Microsecond {
			t.Errorf("%s: 80 cells take %v of 4 MB, %v of %d bytes", name, l, s, len(short))
		}
		if w := Bounded(long, 80).Width(); w > 80 || w < 70 {
			t.Errorf("%s: %d cells, want at most 80 and nearly so", name, w)
		}
	}
}

func fastest(s string) time.Duration {
	best := time.Duration(math.MaxInt64)
	for range 50 {
		start := time.Now()
		Bounded(s, 80)
		best = min(best, time.Since(start))
	}
	return best
}

func TestPlainTextIsNotCopied(t *testing.T) {
	s := strings.Repeat("kube-system/coredns ", 5)
	if n := testing.AllocsPerRun(100, func() { _ = String(s) }); n != 0 {
		t.Errorf("String of printable ASCII allocates %v times", n)
	}
	if n := testing.AllocsPerRun(100, func() { _ = Bounded(s, 200) }); n != 0 {
		t.Errorf("Bounded of printable ASCII that fits allocates %v times", n)
	}
	if n := testing.AllocsPerRun(100, func() { _ = String(s).Width() }); n != 0 {
		t.Errorf("Width allocates %v times", n)
	}
}

func TestSprintfSanitisesWhatItIsGiven(t *testing.T) {
	got := Sprintf("pod %s: %v", "a\x1b[2J", Lit("ok…"))
	if want := "pod a␛[2J: ok…"; got.String() != want {
		t.Errorf("Sprintf = %q, want %q", got, want)
	}
}

func TestJoin(t *testing.T) {
	if got := Join([]Text{Lit("a"), {}, String("日")}, Lit(", ")).String(); got != "a, , 日" {
		t.Errorf("Join = %q", got)
	}
	if got := Concat(String("e"), String("\u0301"), Lit("x")); got.String() != `e\u{301}x` || !Concat().IsEmpty() {
		t.Errorf("Concat = %q", got)
	}
}

func TestLines(t *testing.T) {
	got := Lines([]byte("a\tb\r\n\n12345678\tx\n\rz\x1b[2J"))
	want := []string{"a       b", "", "12345678        x", "␍z␛[2J"}
	if len(got) != len(want) {
		t.Fatalf("%d lines, want %d: %q", len(got), len(want), got)
	}
	for i := range want {
		if got[i].String() != want[i] {
			t.Errorf("line %d is %q, want %q", i, got[i], want[i])
		}
	}
	if n := len(Lines(nil)) + len(Lines([]byte{})); n != 0 {
		t.Errorf("nothing has %d lines", n)
	}
	if got := Lines([]byte("\n")); len(got) != 1 || !got[0].IsEmpty() {
		t.Errorf("one line end is %q", got)
	}
	long := Lines(append([]byte(strings.Repeat("x", 1<<20)), "\ny"...))
	if len(long) != 2 || long[0].Width() != MaxLine || !strings.HasSuffix(long[0].String(), "…") || long[1].String() != "y" {
		t.Errorf("a line of 1 MB became %d cells", long[0].Width())
	}
}

func TestASCII(t *testing.T) {
	got := ASCII(String("a\x1b[2J\x7f é… 日"))
	if want := `a^[[2J^? \u{e9}... \u{65e5}`; got.String() != want {
		t.Errorf("ASCII = %q, want %q", got, want)
	}
}

func TestFileName(t *testing.T) {
	for in, want := range map[string]string{"": "_", "../../etc/passwd": "_.._.._etc_passwd", "-rf": "_-rf", "pod\x1b]0;x": "pod__0_x",
		"shop/cart-0.log": "shop_cart-0.log", "日": "_"} {
		if got := FileName(in); got != want {
			t.Errorf("FileName(%q) = %q, want %q", in, got, want)
		}
	}
	if n := len(FileName("." + strings.Repeat("x", 500))); n > 120 {
		t.Errorf("a file name of %d bytes", n)
	}
}

func TestWindowTitle(t *testing.T) {
	if got := WindowTitle("ctx\a\x1b]52;c;x"); got != "ctx␇␛]52;c;x" {
		t.Errorf("title %q", got)
	}
}
