package theme

// Glyphs are the signs fathom draws itself. Every rune takes one cell. Those that stand for a state are unambiguously one
// cell also in terminals set up for East Asian width (UAX #11); borders and bars are not, there --ascii is the way.
type Glyphs struct {
	Horizontal, Vertical                           rune // borders
	TopLeft, TopRight, BottomLeft, BottomRight     rune
	TeeLeft, TeeRight, TeeTop, TeeBottom, Crossing rune

	Good, Warn, Bad, Info, Pending, Gone, Unknown rune // states, next to a word

	Cursor       rune // in front of the cursor row
	Mark         rune // in front of a marked row
	SortAsc      rune
	SortDesc     rune
	Ellipsis     rune // where text was cut
	ScrollUp     rune // there is more above
	ScrollDown   rune
	ScrollLeft   rune
	ScrollRight  rune
	ScrollThumb  rune
	Open, Closed rune // tree nodes with children
	Cell         rune // one thing in a grid of many: a pod of a node
	CellEmpty    rune
	Separator    rune   // between parts of a title or a hint line
	TreeBranch   string // two cells each
	TreeLast     string
	TreeLine     string
	Bar          []rune // partial cells of a bar, from the emptiest to full; at least one
	BarEmpty     rune
	Spark        []rune // heights of a sparkline, from the lowest; at least two
	Spinner      []rune // shown while connecting
}

var unicodeGlyphs = Glyphs{
	Horizontal: '─', Vertical: '│', TopLeft: '╭', TopRight: '╮', BottomLeft: '╰', BottomRight: '╯',
	TeeLeft: '├', TeeRight: '┤', TeeTop: '┬', TeeBottom: '┴', Crossing: '┼',
	Good: '✓', Warn: '!', Bad: '✗', Info: '◔', Pending: '◌', Gone: '⊘', Unknown: '?',
	Cursor: '▸', Mark: '✚', SortAsc: '▴', SortDesc: '▾', Ellipsis: '…',
	ScrollUp: '▴', ScrollDown: '▾', ScrollLeft: '◂', ScrollRight: '▸', ScrollThumb: '▮',
	Open: '▿', Closed: '▹', Cell: '▮', CellEmpty: '▯', Separator: '│',
	TreeBranch: "├─", TreeLast: "└─", TreeLine: "│ ",
	Bar: []rune("▏▎▍▌▋▊▉█"), BarEmpty: '░', Spark: []rune("▁▂▃▄▅▆▇█"), Spinner: []rune("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"),
}

var asciiGlyphs = Glyphs{
	Horizontal: '-', Vertical: '|', TopLeft: '+', TopRight: '+', BottomLeft: '+', BottomRight: '+',
	TeeLeft: '+', TeeRight: '+', TeeTop: '+', TeeBottom: '+', Crossing: '+',
	Good: '+', Warn: '!', Bad: 'x', Info: '~', Pending: 'o', Gone: '-', Unknown: '?',
	Cursor: '>', Mark: '*', SortAsc: '^', SortDesc: 'v', Ellipsis: '~',
	ScrollUp: '^', ScrollDown: 'v', ScrollLeft: '<', ScrollRight: '>', ScrollThumb: '#',
	Open: '-', Closed: '+', Cell: '#', CellEmpty: '.', Separator: '|',
	TreeBranch: "|-", TreeLast: "`-", TreeLine: "| ",
	Bar: []rune("#"), BarEmpty: '.', Spark: []rune("_.-=#"), Spinner: []rune(`|/-\`),
}

// Fold returns what an ASCII theme draws instead of r: our own glyphs have a counterpart, everything else is '?'. A Unicode theme returns r.
func (t *Theme) Fold(r rune) rune {
	if r < 0x80 || !t.opt.ASCII {
		return r
	}
	if r >= 0x2400 && r <= 0x2421 { // a control picture: ␛ is ^[ where there is room for it
		return '^'
	}
	switch r {
	case '…':
		return '~'
	case '─', '━', '╌', '—', '–':
		return '-'
	case '│', '┃':
		return '|'
	case '╭', '╮', '╰', '╯', '┌', '┐', '└', '┘', '├', '┤', '┬', '┴', '┼':
		return '+'
	case '✓':
		return '+'
	case '✗':
		return 'x'
	case '▸', '→':
		return '>'
	case '◂', '←':
		return '<'
	case '▴', '↑':
		return '^'
	case '▾', '↓':
		return 'v'
	case '✚':
		return '*'
	case '█', '▮', '▉', '▊', '▋', '▌':
		return '#'
	case '░', '▯', '·', '▏', '▎', '▍':
		return '.'
	}
	return '?'
}

// StateGlyph is the sign of a state role, and a blank for roles that are not states.
func (t *Theme) StateGlyph(s Style) rune {
	g := &t.glyphs
	switch s.Role() {
	case Good:
		return g.Good
	case Warn:
		return g.Warn
	case Bad, Danger:
		return g.Bad
	case Info:
		return g.Info
	case Pending:
		return g.Pending
	case Gone:
		return g.Gone
	}
	return ' '
}
