package theme

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/charmbracelet/x/ansi"
	"github.com/clipperhouse/displaywidth"
)

func everyOptions() []Options {
	var out []Options
	for _, name := range Names() {
		for i := range 8 {
			out = append(out, Options{Name: name, NoColor: i&1 != 0, ASCII: i&2 != 0, Light: i&4 != 0})
		}
	}
	return out
}

var wellFormed = regexp.MustCompile(`^\x1b\[(0(;\d{1,3})+)?m$`)

func TestEverySGRIsAbsolute(t *testing.T) {
	for _, o := range everyOptions() {
		th := New(o)
		for role := range NumRoles {
			for flags := range Style(numFlags) {
				s := role | flags<<flagShift
				if got := th.SGR(s); !wellFormed.MatchString(got) {
					t.Errorf("%+v: SGR(%d) = %q", o, s, got)
				}
				if got := string(th.AppendSGR(nil, s)); got != th.SGR(s) {
					t.Errorf("%+v: AppendSGR(%d) = %q, SGR = %q", o, s, got, th.SGR(s))
				}
			}
		}
	}
}

func TestFlagsAreAdded(t *testing.T) {
	th := New(Options{})
	for s, want := range map[Style]string{Default: Reset, Default | Reverse: "\x1b[0;7m", Warn: "\x1b[0;33m", Warn | Bold | Under | Reverse: "\x1b[0;33;1;4;7m",
		Log(2, 0, true, false): "\x1b[0;1;31m", Log(12, 5, false, true): "\x1b[0;4;93;44m", Log(2, 0, false, false) | Reverse: "\x1b[0;7;31m", 0xff: Reset} {
		if got := th.SGR(s); got != want {
			t.Errorf("SGR(%#x) = %q, want %q", s, got, want)
		}
	}
}

// Under NO_COLOR no parameter is a colour, and what must be told apart still is.
func TestNoColor(t *testing.T) {
	colour := regexp.MustCompile(`[;\[](3\d|4\d|9\d|10\d)[;m]`)
	for _, o := range everyOptions() {
		if !o.NoColor {
			continue
		}
		th := New(o)
		for role := range NumRoles {
			if s := th.SGR(role | Reverse); colour.MatchString(s) || !strings.Contains(s, "7") {
				t.Errorf("%+v: role %d is %q", o, role, s)
			}
		}
		if s := th.SGR(Log(2, 5, true, false)); s != "\x1b[0;1m" {
			t.Errorf("a log line's colours are %q", s)
		}
		if th.SGR(Danger) == th.SGR(Default) || th.SGR(Match) == th.SGR(Default) {
			t.Errorf("%+v: danger and matches look like any text", o)
		}
	}
}

// A log line must not be able to hide text from the reader.
func TestLogColoursStayReadable(t *testing.T) {
	for _, light := range []bool{false, true} {
		th := New(Options{Light: light})
		for fg := range uint8(18) {
			for bg := range uint8(18) {
				s := th.SGR(Log(fg, bg, false, false))
				var f, b string
				for _, p := range strings.Split(strings.TrimSuffix(strings.TrimPrefix(s, "\x1b["), "m"), ";") {
					switch {
					case len(p) == 2 && p[0] == '3', len(p) == 2 && p[0] == '9':
						f = p
					case len(p) == 2 && p[0] == '4':
						b = "3" + p[1:]
					case len(p) == 3:
						b = "9" + p[2:]
					}
				}
				if b != "" && (f == b || f == "") {
					t.Errorf("Log(%d, %d) is %q", fg, bg, s)
				}
				if b == "" && (!light && f == "30" || light && (f == "37" || f == "97")) {
					t.Errorf("light %t: Log(%d, %d) is %q on the default background", light, fg, bg, s)
				}
			}
		}
	}
	if Log(3, 4, true, false).Role() != Default {
		t.Error("a log style claims a role")
	}
}

func TestSGRDoesNotAllocate(t *testing.T) {
	th := New(Options{Name: "deep"})
	buf := make([]byte, 0, 64)
	if n := testing.AllocsPerRun(100, func() {
		_ = th.SGR(Bad | Reverse)
		buf = th.AppendSGR(buf[:0], Log(3, 4, true, false))
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// glyphRunes walks all fields, so that a new glyph cannot be forgotten.
func glyphRunes(g Glyphs) map[string][]rune {
	out := map[string][]rune{}
	v := reflect.ValueOf(g)
	for i := range v.NumField() {
		name := v.Type().Field(i).Name
		switch f := v.Field(i).Interface().(type) {
		case rune:
			out[name] = []rune{f}
		case string:
			out[name] = []rune(f)
		case []rune:
			out[name] = f
		}
	}
	return out
}

func TestGlyphs(t *testing.T) {
	mayBeAmbiguous := map[string]bool{"Horizontal": true, "Vertical": true, "TopLeft": true, "TopRight": true, "BottomLeft": true, "BottomRight": true,
		"TeeLeft": true, "TeeRight": true, "TeeTop": true, "TeeBottom": true, "Crossing": true, "Separator": true,
		"TreeBranch": true, "TreeLast": true, "TreeLine": true, "Bar": true, "BarEmpty": true, "Spark": true, "Ellipsis": true}
	east := displaywidth.Options{EastAsianWidth: true}
	uni, asc := New(Options{}), New(Options{ASCII: true})
	for name, rs := range glyphRunes(*uni.Glyphs()) {
		if len(rs) == 0 {
			t.Errorf("%s has no glyph", name)
		}
		for _, r := range rs {
			if w := ansi.StringWidth(string(r)); w != 1 {
				t.Errorf("%s %q takes %d cells", name, r, w)
			}
			if w := east.Rune(r); w != 1 && !mayBeAmbiguous[name] {
				t.Errorf("%s %q takes %d cells in East Asian terminals", name, r, w)
			}
			if f := asc.Fold(r); f < 0x20 || f > 0x7e {
				t.Errorf("%s %q folds to %q", name, r, f)
			}
			if uni.Fold(r) != r {
				t.Errorf("a Unicode theme folds %q", r)
			}
		}
	}
	for name, rs := range glyphRunes(*asc.Glyphs()) {
		for _, r := range rs {
			if r < 0x20 || r > 0x7e {
				t.Errorf("ASCII: %s is %q", name, r)
			}
		}
	}
	// States must differ without colour.
	for _, th := range []*Theme{uni, asc} {
		seen := map[rune]Style{}
		for _, s := range []Style{Good, Warn, Bad, Info, Pending, Gone} {
			r := th.StateGlyph(s | Reverse)
			if o, ok := seen[r]; ok || r == ' ' {
				t.Errorf("roles %d and %d are both %q", o, s, r)
			}
			seen[r] = s
		}
		if r := th.StateGlyph(Title); r != ' ' {
			t.Errorf("a title has the state %q", r)
		}
	}
}

func TestDetect(t *testing.T) {
	for _, tt := range []struct {
		env  map[string]string
		want Options
	}{
		{map[string]string{"TERM": "xterm-256color", "LANG": "en_US.UTF-8"}, Options{}},
		{map[string]string{"TERM": "xterm", "LANG": "C.utf8", "NO_COLOR": "yes"}, Options{NoColor: true}},
		{map[string]string{"TERM": "xterm", "LANG": "C.UTF-8", "NO_COLOR": "0"}, Options{NoColor: true}},
		{map[string]string{"TERM": "xterm", "LANG": "C.UTF-8", "NO_COLOR": ""}, Options{}},
		{map[string]string{"TERM": "linux", "LANG": "C.UTF-8"}, Options{ASCII: true}},
		{map[string]string{"TERM": "vt100", "LANG": "C.UTF-8"}, Options{ASCII: true, NoColor: true}},
		{map[string]string{"TERM": "dumb"}, Options{ASCII: true, NoColor: true}},
		{map[string]string{"TERM": "tmux-256color"}, Options{ASCII: true}},
		{map[string]string{"TERM": "xterm", "LC_ALL": "POSIX", "LANG": "C.UTF-8"}, Options{ASCII: true}},
		{map[string]string{"TERM": "xterm", "LC_CTYPE": "UTF-8", "LANG": "C"}, Options{}},
		{map[string]string{"TERM": "xterm", "LANG": "C.UTF-8", "COLORFGBG": "0;15"}, Options{Light: true}},
		{map[string]string{"TERM": "xterm", "LANG": "C.UTF-8", "COLORFGBG": "15;default;0"}, Options{}},
	} {
		if got := Detect(func(k string) string { return tt.env[k] }); got != tt.want {
			t.Errorf("Detect(%v) = %+v, want %+v", tt.env, got, tt.want)
		}
	}
}

// Only this package names a colour: no other one has an SGR sequence in a string or imports lipgloss.
func TestNoColourElsewhere(t *testing.T) {
	sgr := regexp.MustCompile(`\\(x1b|033|u001b|e)\[[0-9;]*[1-9][0-9;]*m`) // a reset is no colour
	files := 0
	for _, dir := range []string{"ui", "views", "cmd/fathom", "actions", "watchers", "cluster"} {
		err := filepath.WalkDir(filepath.Join("..", dir), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			fset := token.NewFileSet()
			f, err := parser.ParseFile(fset, path, nil, parser.SkipObjectResolution)
			if err != nil {
				return nil // the compiler says it better
			}
			files++
			ast.Inspect(f, func(n ast.Node) bool {
				if l, ok := n.(*ast.BasicLit); ok && l.Kind == token.STRING && sgr.MatchString(l.Value) {
					t.Errorf("%s: colour %s outside package theme", fset.Position(l.Pos()), l.Value)
				}
				return true
			})
			for _, im := range f.Imports {
				if strings.Contains(im.Path.Value, "lipgloss") {
					t.Errorf("%s imports %s; styles are named by package theme", path, im.Path.Value)
				}
			}
			return nil
		})
		if err != nil && !strings.Contains(err.Error(), "no such file") {
			t.Fatal(err)
		}
	}
	if files < 5 {
		t.Fatalf("only %d files were looked at", files)
	}
}
