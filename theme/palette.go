package theme

// A palette holds the SGR parameters of every role. Blue and cyan against yellow and orange carry the states, because
// they stay apart in the common colour vision deficiencies; red appears only together with bold or reverse.
type params [NumRoles]string

func palette(o Options) params {
	switch {
	case o.NoColor:
		return monochrome
	case o.Name == "deep" && o.Light:
		return deepLight
	case o.Name == "deep":
		return deepDark
	case o.Light:
		return ansiLight
	}
	return ansiDark
}

// monochrome keeps bold, dim, underline and reverse: NO_COLOR asks for no colour, not for no emphasis.
var monochrome = params{
	Dim: "2", Strong: "1", Title: "1", Border: "2", BorderFocus: "1", Header: "1",
	Warn: "1", Bad: "1", Gone: "2", Match: "4", Marked: "1", Safe: "1;7", Danger: "1;7",
	BarEmpty: "2", SyntaxKey: "1", SyntaxPunct: "2", SyntaxComment: "2",
}

// ansiDark uses the terminal's own sixteen colours, which its owner has chosen to be readable.
var ansiDark = params{
	Dim: "2", Strong: "1", Title: "1;36", Border: "2", BorderFocus: "36", Header: "1;36", Key: "36",
	Good: "94", Warn: "33", Bad: "1;91", Info: "36", Pending: "35", Gone: "2",
	Match: "1;4;33", Marked: "1;33", Safe: "1;7;36", Danger: "1;7;91",
	BarFill: "36", BarEmpty: "2",
	SyntaxKey: "36", SyntaxString: "33", SyntaxNumber: "35", SyntaxPunct: "2", SyntaxComment: "2",
}

// ansiLight avoids yellow and cyan as text: both are too pale on white.
var ansiLight = params{
	Dim: "2", Strong: "1", Title: "1;34", Border: "2", BorderFocus: "34", Header: "1;34", Key: "34",
	Good: "34", Warn: "1;35", Bad: "1;31", Info: "34", Pending: "35", Gone: "2",
	Match: "1;4;35", Marked: "1;35", Safe: "1;7;34", Danger: "1;7;31",
	BarFill: "34", BarEmpty: "2",
	SyntaxKey: "34", SyntaxString: "32", SyntaxNumber: "35", SyntaxPunct: "2", SyntaxComment: "2",
}

// deepDark goes down from surface blue to the dark; amber is the lamp.
var deepDark = params{
	Default: "38;2;200;211;220", Dim: "38;2;122;139;153", Strong: "1;38;2;240;245;250",
	Title: "1;38;2;125;196;228", Border: "38;2;62;80;97", BorderFocus: "38;2;125;196;228",
	Header: "1;38;2;125;196;228", Key: "38;2;125;196;228", Value: "38;2;200;211;220",
	Good: "38;2;102;178;255", Warn: "38;2;240;173;78", Bad: "1;38;2;255;117;98", Info: "38;2;120;210;205",
	Pending: "38;2;190;165;235", Gone: "38;2;122;139;153",
	Match: "1;4;38;2;240;173;78", Marked: "1;38;2;240;173;78",
	Safe: "1;38;2;12;24;36;48;2;120;210;205", Danger: "1;38;2;255;255;255;48;2;176;48;32",
	BarFill: "38;2;88;166;214", BarEmpty: "38;2;62;80;97",
	SyntaxKey: "38;2;125;196;228", SyntaxString: "38;2;226;195;140", SyntaxNumber: "38;2;190;165;235",
	SyntaxPunct: "38;2;122;139;153", SyntaxComment: "38;2;122;139;153",
}

var deepLight = params{
	Default: "38;2;28;43;58", Dim: "38;2;98;114;128", Strong: "1;38;2;5;15;25",
	Title: "1;38;2;0;92;138", Border: "38;2;168;182;194", BorderFocus: "38;2;0;92;138",
	Header: "1;38;2;0;92;138", Key: "38;2;0;92;138", Value: "38;2;28;43;58",
	Good: "38;2;0;84;180", Warn: "38;2;156;88;0", Bad: "1;38;2;180;35;24", Info: "38;2;0;110;110",
	Pending: "38;2;110;70;170", Gone: "38;2;98;114;128",
	Match: "1;4;38;2;156;88;0", Marked: "1;38;2;156;88;0",
	Safe: "1;38;2;255;255;255;48;2;0;110;110", Danger: "1;38;2;255;255;255;48;2;180;35;24",
	BarFill: "38;2;0;92;138", BarEmpty: "38;2;168;182;194",
	SyntaxKey: "38;2;0;92;138", SyntaxString: "38;2;120;75;10", SyntaxNumber: "38;2;110;70;170",
	SyntaxPunct: "38;2;98;114;128", SyntaxComment: "38;2;98;114;128",
}
