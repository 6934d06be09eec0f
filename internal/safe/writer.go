package safe

import (
	"strconv"
	"unicode"
	"unicode/utf8"

	"github.com/charmbracelet/x/ansi"
)

// MaxMarks is how many combining marks a character keeps; further ones are shown as escapes. Three is what Vietnamese, Thai
// and pointed Hebrew need in decomposed form.
const MaxMarks = 3

const ellipsis = "…"

// plainPrefix is the length of the leading printable ASCII of s that can be taken as it is. When something else follows it
// leaves the last character to the writer, which must know what a mark would attach to.
func plainPrefix(s string) int {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c < 0x20 || c > 0x7e {
			return max(0, i-1)
		}
	}
	return len(s)
}

// writer appends sanitised text to dst. A fresh one knows of no base character, so that a leading mark is an orphan.
type writer struct {
	dst   []byte
	cells int
	marks int  // marks on the last base character; MaxMarks when none may follow
	tabs  bool // expand TAB to the next multiple of eight cells
	limit int  // 0 is none
	cut   int  // where dst ends when the text has to be cut at limit
	full  bool // the limit was passed; nothing more is taken
}

func newWriter(s string, plain int) *writer {
	w := &writer{dst: make([]byte, 0, len(s)+16), cells: plain, marks: MaxMarks}
	w.dst = append(w.dst, s[:plain]...)
	w.cut = plain
	return w
}

// run takes all of s, or what fits below the limit.
func (w *writer) run(s string) {
	if w.limit > 0 {
		// Bounded may have taken limit cells already; the cut goes before the last of them.
		w.cut = min(w.cut, w.limit-1)
	}
	for len(s) > 0 && !w.full {
		r, n := utf8.DecodeRuneInString(s)
		w.take(r, s[:n])
		s = s[n:]
	}
}

// take takes one code point and the bytes it was decoded from.
func (w *writer) take(r rune, raw string) {
	switch {
	case r == utf8.RuneError && len(raw) == 1:
		w.escape('x', uint64(raw[0]))
	case r == '\t' && w.tabs:
		for next := w.cells/8*8 + 8; w.cells < next && !w.full; {
			w.base(' ', 1)
		}
		w.marks = MaxMarks
	case r < 0x20:
		w.base('\u2400'+r, 1)
		w.marks = MaxMarks // the picture stands for a control: nothing attaches to it
	case r < 0x7f:
		w.base(r, 1)
	case r == 0x7f:
		w.base('\u2421', 1)
		w.marks = MaxMarks
	default:
		switch width := runeWidth(r, raw); {
		case width > 0:
			w.base(r, width)
		case width == 0 && w.marks < MaxMarks:
			w.marks++
			w.dst = utf8.AppendRune(w.dst, r)
			if w.cells < w.limit { // a mark belongs to its base, also when the text is cut after it
				w.cut = len(w.dst)
			}
		default:
			w.escape('u', uint64(r))
		}
	}
}

func (w *writer) base(r rune, width int) {
	if w.overflows(width) {
		return
	}
	w.dst = utf8.AppendRune(w.dst, r)
	w.cells += width
	w.marks = 0
	if w.cells < w.limit {
		w.cut = len(w.dst)
	}
}

// escape appends \x{..} or \u{..} whole or not at all: half an escape would say something else.
func (w *writer) escape(kind byte, v uint64) {
	var buf [16]byte
	b := append(buf[:0], '\\', kind, '{')
	if kind == 'x' && v < 0x10 {
		b = append(b, '0')
	}
	b = strconv.AppendUint(b, v, 16)
	b = append(b, '}')
	if w.overflows(len(b)) {
		return
	}
	w.dst = append(w.dst, b...)
	w.cells += len(b)
	w.marks = MaxMarks
	if w.cells < w.limit {
		w.cut = len(w.dst)
	}
}

func (w *writer) overflows(width int) bool {
	if w.limit == 0 || w.cells+width <= w.limit {
		return false
	}
	w.dst = append(w.dst[:w.cut], ellipsis...)
	w.full = true
	return true
}

// runeWidth is the number of cells of a code point outside ASCII: 1 or 2 for a base character, 0 for a combining mark that
// may stay, and -1 for what has to be escaped. raw is its UTF-8.
func runeWidth(r rune, raw string) int {
	// The greater part of real text, decided without a look at the tables; a test holds that they agree.
	switch {
	case r > 0xa0 && r < 0x250 && r != 0xad, r >= 0x400 && r <= 0x482, r >= 0x2500 && r <= 0x25fc,
		r == '…': // ours: every cut ends in it
		return 1
	case r >= 0x3041 && r <= 0x3096, r >= 0x30a1 && r <= 0x30fa, r >= 0x4e00 && r <= 0x9fff, r >= 0xac00 && r <= 0xd7a3:
		return 2
	}
	return tableWidth(r, raw)
}

func tableWidth(r rune, raw string) int {
	if !unicode.IsPrint(r) || unicode.In(r, neutralised, unicode.Mc, unicode.Me,
		unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector) {
		return -1
	}
	width := ansi.StringWidthWc(raw)
	if mark := unicode.Is(unicode.Mn, r); mark != (width == 0) {
		return -1
	}
	return width
}

// neutralised holds the printable code points on whose width terminals disagree, because they join with their neighbours
// (UAX #29: Prepend, SpacingMark that is a letter, Extend that is not a mark, Hangul syllable parts, regional indicators,
// conjunct linkers), because they are blank, or because they are too new for many terminals' tables.
var neutralised = &unicode.RangeTable{
	R16: []unicode.Range16{
		{Lo: 0x094d, Hi: 0x094d, Stride: 1}, // viramas
		{Lo: 0x09cd, Hi: 0x09cd, Stride: 1},
		{Lo: 0x0acd, Hi: 0x0acd, Stride: 1},
		{Lo: 0x0b4d, Hi: 0x0b4d, Stride: 1},
		{Lo: 0x0c4d, Hi: 0x0c4d, Stride: 1},
		{Lo: 0x0d4d, Hi: 0x0d4e, Stride: 1}, // and the Malayalam dot reph
		{Lo: 0x0e33, Hi: 0x0e33, Stride: 1}, // Thai sara am
		{Lo: 0x0eb3, Hi: 0x0eb3, Stride: 1}, // Lao am
		{Lo: 0x1039, Hi: 0x1039, Stride: 1},
		{Lo: 0x1100, Hi: 0x11ff, Stride: 1}, // Hangul jamo that conjoin
		{Lo: 0x17d2, Hi: 0x17d2, Stride: 1},
		{Lo: 0x1a60, Hi: 0x1a60, Stride: 1},
		{Lo: 0x1bab, Hi: 0x1bab, Stride: 1},
		{Lo: 0x2800, Hi: 0x2800, Stride: 1}, // blank Braille pattern
		{Lo: 0xa960, Hi: 0xa97c, Stride: 1},
		{Lo: 0xaaf6, Hi: 0xaaf6, Stride: 1},
		{Lo: 0xd7b0, Hi: 0xd7fb, Stride: 1},
		{Lo: 0xff9e, Hi: 0xff9f, Stride: 1}, // halfwidth katakana voicing marks
	},
	R32: []unicode.Range32{
		{Lo: 0x10a3f, Hi: 0x10a3f, Stride: 1},
		{Lo: 0x11133, Hi: 0x11133, Stride: 1},
		{Lo: 0x111c2, Hi: 0x111c3, Stride: 1},
		{Lo: 0x113d0, Hi: 0x113d1, Stride: 1},
		{Lo: 0x1193e, Hi: 0x11941, Stride: 1},
		{Lo: 0x11a3a, Hi: 0x11a3a, Stride: 1},
		{Lo: 0x11a47, Hi: 0x11a47, Stride: 1},
		{Lo: 0x11a84, Hi: 0x11a89, Stride: 1},
		{Lo: 0x11a99, Hi: 0x11a99, Stride: 1},
		{Lo: 0x11d46, Hi: 0x11d46, Stride: 1},
		{Lo: 0x11f02, Hi: 0x11f02, Stride: 1},
		{Lo: 0x11f42, Hi: 0x11f42, Stride: 1},
		{Lo: 0x1f1e6, Hi: 0x1f1ff, Stride: 1}, // regional indicators: pairs of them are flags
		{Lo: 0x1f3fb, Hi: 0x1f3ff, Stride: 1}, // skin tones
		{Lo: 0x1fa70, Hi: 0x1faff, Stride: 1}, // emoji newer than many terminals
	},
}
