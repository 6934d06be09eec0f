// Package theme holds the semantic styles. It is the only place with a colour in it.
package theme

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

// Role returns the style without its flags.
func (s Style) Role() Style { return s & 0xff }
