package etcd

import (
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"fathom/internal/linediff"
)

// changes are the lines that differ.
func changes(d Difference) string {
	var b strings.Builder
	for _, l := range d.Lines {
		if l.Kind != linediff.Same {
			fmt.Fprintf(&b, "%c%s\n", " -+"[l.Kind], l.Text)
		}
	}
	return b.String()
}

func TestDiff(t *testing.T) {
	secret := func(data map[string]string) []byte {
		s := &corev1.Secret{Data: map[string][]byte{}}
		for k, v := range data {
			s.Data[k] = []byte(v)
		}
		return hushStored(t, "Secret", s)
	}
	hush2 := strings.ToUpper(hush) // as long as the other
	token := func(s string) string {
		return "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJzeXN0ZW06c2EifQ." + s + "c2lnbmF0dXJlLXNpZ25hdHVyZQ"
	}
	for name, c := range map[string]struct {
		key           string
		before, after []byte
		want, note    string
	}{
		"text":    {"/k", []byte("a\nb\nc\n"), []byte("a\nx\nc\n"), "-b\n+x\n", ""},
		"created": {"/k", nil, []byte("a\n"), "+a\n", ""},
		"deleted": {"/k", []byte("a\n"), nil, "-a\n", ""},
		"equal":   {"/k", []byte("a\n"), []byte("a\n"), "", ""},
		"json":    {"/k", []byte(`{"a":1,"b":[1,2]}`), []byte(`{"b":[1,3],"a":1}`), "-- 2\n+- 3\n", ""},
		"a Secret's value": {"/registry/secrets/a/b", secret(map[string]string{"p": hush, "q": "same"}), secret(map[string]string{"p": hush2, "q": "same"}),
			"-  p: <masked, 21 bytes>\n+  p: <masked, 21 bytes, changed>\n", ""},
		"a Secret's key": {"/registry/secrets/a/b", secret(map[string]string{"q": "same"}), secret(map[string]string{"p": hush, "q": "same"}),
			"+  p: <masked, 21 bytes>\n", ""},
		"a Secret that cannot be decoded": {"/registry/secrets/a/b", []byte(hush), []byte(hush2), "-<masked, 21 bytes>\n+<masked, 21 bytes, changed>\n", ""},
		"a Secret within a text": {"/k", []byte(`{"x":"kind: Secret\n` + hush + `"}`), []byte(`{"x":"kind: Secret\n` + hush2 + `"}`),
			"-x: <masked, 34 bytes>\n+x: <masked, 34 bytes, changed>\n", ""},
		"a token":                 {"/k", []byte("t: " + token("a") + "\n"), []byte("t: " + token("b") + "\n"), "-t: <masked, 75 bytes>\n+t: <masked, 75 bytes, changed>\n", ""},
		"beside a token":          {"/k", []byte("t: " + token("a") + " 1\n"), []byte("t: " + token("a") + " 2\n"), "-t: <masked, 75 bytes> 1\n+t: <masked, 75 bytes> 2\n", ""},
		"encrypted":               {"/registry/secrets/a/b", []byte("k8s:enc:aescbc:v1:key1:" + hush), []byte("k8s:enc:aescbc:v1:key1:" + hush2), "", "every write"},
		"managedFields only":      {"/k", []byte(`{"kind":"A","apiVersion":"v1","metadata":{"managedFields":[]}}`), []byte(`{"kind":"A","apiVersion":"v1","metadata":{"managedFields":[{}]}}`), "", "managedFields"},
		"binary, beyond the dump": {"/k", append(make([]byte, 2*maxHex), 1), append(make([]byte, 2*maxHex), 2), "", "nothing that is shown"},
	} {
		d := Diff(c.key, c.before, c.after, DecodeOptions{Reveal: wholeValue})
		if got := changes(d); got != c.want || !strings.Contains(d.Note, c.note) || (c.note == "") != (d.Note == "") {
			t.Errorf("%s: %q\n%swant\n%s", name, d.Note, got, c.want)
		}
		for _, l := range d.Lines {
			if strings.Contains(l.Text, hush) || strings.Contains(l.Text, hush2) || tagged.MatchString(l.Text) {
				t.Errorf("%s: %q", name, l.Text)
			}
		}
		if d.Equal != (string(c.before) == string(c.after)) || strings.Count(c.want, "\n") != d.Added+d.Removed {
			t.Errorf("%s: %+v", name, d)
		}
	}
}

// The tags that tell changed masks apart are not in what Decode returns otherwise, and of two comparisons they are not the same.
func TestDiffLeavesNoTags(t *testing.T) {
	v := hushStored(t, "Secret", &corev1.Secret{Data: map[string][]byte{"p": []byte(hush)}})
	d := Diff("/registry/secrets/a/b", v, v, DecodeOptions{})
	if len(d.Lines) == 0 || changes(d) != "" || !d.Equal {
		t.Errorf("%+v", d)
	}
	for _, l := range d.Lines {
		if strings.Contains(l.Text, "masked") && !strings.HasSuffix(l.Text, "p: <masked, 21 bytes>") {
			t.Errorf("%q", l.Text)
		}
	}
}

func FuzzDiff(f *testing.F) {
	f.Add("/registry/secrets/a/b", []byte(`{"kind":"Secret","data":{"a":"aHVzaA=="}}`), []byte(`{"kind":"Secret","data":{"a":"SFVTSA=="}}`))
	f.Add("/x", []byte("a\nb"), []byte("b\na\n"))
	f.Add("/x", []byte("<masked, 1 bytes, 0123456789abcdef>"), []byte(nil))
	f.Fuzz(func(t *testing.T, key string, a, b []byte) {
		d := Diff(key, a, b, DecodeOptions{})
		if strings.Contains(d.Old.Note+d.New.Note, "decoder failed") {
			t.Errorf("a decoder panicked: %s %s", d.Old.Note, d.New.Note)
		}
		if d.Equal && d.Removed+d.Added != 0 {
			t.Errorf("equal values differ: %s", changes(d))
		}
		Summarize(a)
	})
}
