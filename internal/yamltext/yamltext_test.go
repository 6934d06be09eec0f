package yamltext

import (
	"reflect"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

func TestMarshal(t *testing.T) {
	for name, v := range map[string]any{
		"plain": map[string]any{"b": int64(3), "a": []any{"x", map[string]any{"k": true}}, "f": 1.5, "n": nil, "big": int64(9007199254740993)},
		"words": map[string]any{"a": "yes", "b": "1", "c": "null", "d": "line\nline\n", "e": " lead", "f": "# no comment", "g": "2026-01-01"},
	} {
		out, err := Marshal(v)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var got any
		if err := yaml.Unmarshal(out, &got); err != nil {
			t.Fatalf("%s does not read back: %v\n%s", name, err, out)
		}
		want, err := yaml.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		var ref any
		if err := yaml.Unmarshal(want, &ref); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, ref) {
			t.Errorf("%s reads back as %#v, want %#v\n%s", name, got, ref, out)
		}
	}
}

// The order and indentation are those of kubectl.
func TestLooksLikeKubectl(t *testing.T) {
	v := map[string]any{"spec": map[string]any{"containers": []any{map[string]any{"name": "c", "args": []any{"-v"}}}}, "kind": "Pod"}
	out, err := Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	want := "kind: Pod\nspec:\n  containers:\n  - args:\n    - -v\n    name: c\n"
	if string(out) != want {
		t.Errorf("got\n%s\nwant\n%s", out, want)
	}
}

func TestControlCharactersAreEscaped(t *testing.T) {
	v := map[string]any{"note": "A\x1b[2J\x07\u009b2J\u202e\u0085\x00\x7f"}
	out, err := Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	if i := strings.IndexFunc(string(out), func(r rune) bool { return r < 0x20 && r != '\n' || r == 0x7f || 0x80 <= r && r < 0xa0 }); i >= 0 {
		t.Errorf("a control character is in %q", out)
	}
	if !strings.Contains(string(out), `\e[2J`) {
		t.Errorf("the text is not visible: %q", out)
	}
}

// What is written is what is read back, by the parser that takes over what was edited: also text that begins with a tab, which the encoder
// would write as a block that no parser takes.
func TestReadsBackAsItWas(t *testing.T) {
	for _, s := range []string{
		"\tindented\n\tlines\n", "\n\tall:\n\t\tgo build\n", "\t\n", "a\u0085b\nc", "a\u2028b\n", "\ufeffa\nb", " lead\n\tand tab\n", "\nempty line first\n", "plain\n\ttab later\n",
	} {
		in := map[string]any{"data": map[string]any{"k": s}, "list": []any{s, []any{s}}}
		want := map[string]any{"data": map[string]any{"k": s}, "list": []any{s, []any{s}}}
		out, err := Marshal(in)
		if err != nil {
			t.Fatalf("%q: %v", s, err)
		}
		var got map[string]any
		if err := yaml.Unmarshal(out, &got); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q reads back as %q, %v:\n%s", s, got, err, out)
		}
		if !reflect.DeepEqual(in, want) {
			t.Errorf("%q: what was written has changed", s)
		}
	}
	out, err := Marshal(map[string]any{"k": "a\n\tb\n"})
	if err != nil || string(out) != "k: |\n  a\n  \tb\n" {
		t.Errorf("a block that can be one is none: %q, %v", out, err)
	}
}
