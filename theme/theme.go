// Package theme holds the semantic styles. It is the only place with a colour in it.
package theme

import "strconv"

// Style is a semantic role, optionally combined with attribute flags: Bad|Reverse. It is what widgets and views name; what
// it looks like is decided by a [Theme] when the frame is rendered.
type Style uint16

// Roles. State is never colour alone: views pair Good, Warn, Bad, ... with a glyph and a word.
const (
	Default Style = iota
	Dim           // secondary text: ages, hints, units
	Strong        // what the eye should find first
	Title         // pane titles
	Border
	BorderFocus
	Header // column titles
	Key    // keys and field names
	Value
	Good    // running, live, healthy
	Warn    // degraded, stale, close to a limit
	Bad     // failed, unreachable, denied
	Info    // progressing, neutral news
	Pending // waiting
	Gone    // terminating, deleted
	Match   // filter and search matches
	Marked  // rows marked with Space
	Safe    // the [READ-ONLY] badge
	Danger  // risk in confirmations
	BarFill
	BarEmpty
	SyntaxKey
	SyntaxString
	SyntaxNumber
	SyntaxPunct
	SyntaxComment
	NumRoles // the number of roles; not a style
)

// Attribute flags, or-ed to a role.
const (
	Reverse Style = 1 << 12 // the cursor row
	Bold    Style = 1 << 13
	Under   Style = 1 << 14
)

const (
	logFlag    Style = 1 << 15 // a log line's own colours: bits 0-4 foreground, 5-9 background
	flagShift        = 12
	numFlags         = 8 // combinations of Reverse, Bold and Under
	logBGShift       = 5
	logMask    Style = 0x1f
)

// Role returns the style without its flags; of a log line's own colours it is Default.
func (s Style) Role() Style {
	if s&logFlag != 0 {
		return Default
	}
	return s & 0xff
}

// Log is the style of text that brings its own sixteen colours: 0 is the terminal's default, 1..8 black to white, 9..16
// the bright ones (as safe.SGR has them). Other values count as 0. Under NoColor only the flags are left of it.
func Log(fg, bg uint8, bold, under bool) Style {
	if fg > 16 {
		fg = 0
	}
	if bg > 16 {
		bg = 0
	}
	s := Style(0)
	if fg != 0 || bg != 0 {
		s = logFlag | Style(fg) | Style(bg)<<logBGShift
	}
	if bold {
		s |= Bold
	}
	if under {
		s |= Under
	}
	return s
}

// Options choose a theme. The zero Options are the default theme in colour, with Unicode glyphs, on a dark background.
type Options struct {
	Name    string // "" or "default": the terminal's own sixteen colours; "deep": true colour
	NoColor bool   // attributes only (https://no-color.org)
	ASCII   bool   // nothing outside ASCII is ever rendered
	Light   bool   // the terminal's background is light
}

// Names are the themes that [New] knows.
func Names() []string { return []string{"default", "deep"} }

// Theme is what styles look like. It is immutable and may be shared.
type Theme struct {
	opt    Options
	glyphs Glyphs
	sgr    [int(NumRoles) * numFlags]string
}

// New makes a theme. An unknown name is the default theme: a wrong word in a configuration must not cost the screen. Check
// the name against [Names] where it is read.
func New(o Options) *Theme {
	t := &Theme{opt: o, glyphs: unicodeGlyphs}
	if o.ASCII {
		t.glyphs = asciiGlyphs
	}
	p := palette(o)
	for role := range NumRoles {
		for flags := range Style(numFlags) {
			t.sgr[int(role)*numFlags+int(flags)] = sequence(p[role], flags<<flagShift)
		}
	}
	return t
}

// Options returns what the theme was made with.
func (t *Theme) Options() Options { return t.opt }

// ASCII reports that nothing outside ASCII may be rendered.
func (t *Theme) ASCII() bool { return t.opt.ASCII }

// Glyphs are the theme's borders, bars and signs.
func (t *Theme) Glyphs() *Glyphs { return &t.glyphs }

// SGR is the control sequence that switches to s from any other style. The sequences of the roles are made once, so that
// it does not allocate for them.
func (t *Theme) SGR(s Style) string {
	if s&logFlag != 0 {
		return string(t.AppendSGR(nil, s))
	}
	role := s & 0xff
	if role >= NumRoles {
		role = Default
	}
	return t.sgr[int(role)*numFlags+int(s>>flagShift)&(numFlags-1)]
}

// AppendSGR appends the control sequence that switches to s from any other style.
func (t *Theme) AppendSGR(dst []byte, s Style) []byte {
	if s&logFlag == 0 {
		return append(dst, t.SGR(s)...)
	}
	dst = appendFlags(append(dst, "\x1b[0"...), s)
	if !t.opt.NoColor {
		fg, bg := t.readable(s&logMask, s>>logBGShift&logMask)
		dst = appendANSI(dst, fg, 30, 90)
		dst = appendANSI(dst, bg, 40, 100)
	}
	return append(dst, 'm')
}

// readable keeps a log line from hiding its text: black on a dark default background, white on a light one, a colour on
// itself, and a background without a foreground.
func (t *Theme) readable(fg, bg Style) (Style, Style) {
	const black, white, brightWhite = 1, 8, 16
	switch {
	case fg == bg:
		return 0, 0
	case bg == 0 && !t.opt.Light && fg == black, bg == 0 && t.opt.Light && (fg == white || fg == brightWhite):
		return 0, 0
	case fg == 0:
		switch bg {
		case 1, 2, 5, 6, 9: // black, red, blue, magenta, bright black
			return brightWhite, bg
		}
		return black, bg
	}
	return fg, bg
}

func appendANSI(dst []byte, c Style, normal, bright int64) []byte {
	switch {
	case c >= 1 && c <= 8:
		return strconv.AppendInt(append(dst, ';'), normal+int64(c)-1, 10)
	case c >= 9 && c <= 16:
		return strconv.AppendInt(append(dst, ';'), bright+int64(c)-9, 10)
	}
	return dst
}

func appendFlags(dst []byte, s Style) []byte {
	if s&Bold != 0 {
		dst = append(dst, ";1"...)
	}
	if s&Under != 0 {
		dst = append(dst, ";4"...)
	}
	if s&Reverse != 0 {
		dst = append(dst, ";7"...)
	}
	return dst
}

// sequence begins with 0, so that it holds whatever was set before.
func sequence(params string, flags Style) string {
	b := []byte("\x1b[0")
	if params != "" {
		b = append(append(b, ';'), params...)
	}
	b = appendFlags(b, flags)
	if len(b) == len("\x1b[0") {
		return Reset
	}
	return string(append(b, 'm'))
}

// Reset switches all attributes off.
const Reset = "\x1b[m"
