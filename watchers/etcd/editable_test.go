package etcd

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/scheme"

	"google.golang.org/protobuf/encoding/protowire"
)

// edited edits a value by replacing one text by another and returns what would be stored.
func edited(t *testing.T, key string, value []byte, o DecodeOptions, from, to string) ([]byte, error) {
	t.Helper()
	e, err := Edit(key, value, o)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(e.Text, from) {
		t.Fatalf("%q is not in\n%s", from, e.Text)
	}
	return e.Encode(strings.Replace(e.Text, from, to, 1))
}

func decodePod(t *testing.T, value []byte) *corev1.Pod {
	t.Helper()
	obj, _, err := scheme.Codecs.UniversalDeserializer().Decode(value, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	return obj.(*corev1.Pod)
}

func TestEditProtobuf(t *testing.T) {
	const key = "/registry/pods/shop/web"
	value := hushStored(t, "Pod", aPod())
	e, err := Edit(key, value, DecodeOptions{})
	if err != nil || e.Ext != "yaml" {
		t.Fatalf("%+v, %v", e, err)
	}
	if same, err := e.Encode(e.Text); err != nil || !bytes.Equal(same, value) {
		t.Errorf("unchanged it is other bytes (%v)", err)
	}
	got, err := edited(t, key, value, DecodeOptions{}, "image: registry.example/web:1", "image: registry.example/web:2")
	if err != nil {
		t.Fatal(err)
	}
	want := aPod()
	want.Spec.Containers[0].Image = "registry.example/web:2"
	if !bytes.Equal(got, hushStored(t, "Pod", want)) {
		t.Errorf("another change was made than the one of the image: %s", decodePod(t, got))
	}
	if len(decodePod(t, got).ManagedFields) != 1 {
		t.Error("the managed fields, which are not shown, are lost")
	}
	for what, c := range map[string][2]string{
		"unknown field":         {"nodeName: node-1", "nodeNaem: node-1"},
		"wrong type":            {"nodeName: node-1", "nodeName: [1]"},
		"no YAML":               {"nodeName: node-1", "nodeName: [1"},
		"another name":          {"name: web\n", "name: other\n"},
		"another version":       {"apiVersion: v1", "apiVersion: v2"},
		"a key that is twice":   {"nodeName: node-1", "nodeName: node-1\n  nodeName: node-2"},
		"an anchor and its use": {"nodeName: node-1", "nodeName: &a node-1\n  hostname: *a"},
	} {
		if got, err := edited(t, key, value, DecodeOptions{}, c[0], c[1]); err == nil {
			t.Errorf("%s: accepted, %d bytes", what, len(got))
		}
	}
	for _, text := range []string{"", "# only a comment\n", "just words", "a: 1\n---\nb: 2\n"} {
		if _, err := e.Encode(text); err == nil {
			t.Errorf("%q was accepted", text)
		}
	}
}

// A value that would lose something is refused: here a field of a later version of Kubernetes, after the ones that are known.
func TestEditRefusesWhatItWouldLose(t *testing.T) {
	pod := aPod()
	raw, err := pod.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	raw = protowire.AppendString(protowire.AppendTag(raw, 99, protowire.BytesType), "from the future")
	for name, value := range map[string][]byte{
		"unknown field": envelope(t, "v1", "Pod", raw),
		"unknown kind":  envelope(t, "wardle.example/v1", "Flunder", raw),
		"encrypted":     []byte("k8s:enc:aescbc:v1:key1:\x00\x01"),
		"cbor":          []byte(cborMagic + "\xa1aaaa"),
		"binary":        {0, 1, 0xff},
		"bad UTF-8":     []byte("text \xff with a stray byte in it"),
	} {
		if e, err := Edit("/registry/pods/shop/web", value, DecodeOptions{}); err == nil {
			t.Errorf("%s can be edited:\n%s", name, e.Text)
		} else {
			t.Logf("%s: %v", name, err)
		}
	}
}

// What is masked is not in the text, and is not lost by editing around it.
func TestEditASecret(t *testing.T) {
	const key = "/registry/secrets/shop/db"
	secret := func(password string, labels map[string]string) []byte {
		return hushStored(t, "Secret", &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Name: "db", Labels: labels, Annotations: map[string]string{lastApplied: `{"data":{"p":"` + hush64 + `"}}`, "team": "x"}},
			Data:       map[string][]byte{"password": []byte(password), "token": []byte("another-secret")},
		})
	}
	value := secret(hush, nil)
	e, err := Edit(key, value, DecodeOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(e.Text, hush) || strings.Contains(e.Text, hush64) {
		t.Fatalf("the text holds the secret:\n%s", e.Text)
	}
	got, err := edited(t, key, value, DecodeOptions{}, "  name: db\n", "  labels:\n    a: b\n  name: db\n")
	if err != nil || !bytes.Equal(got, secret(hush, map[string]string{"a": "b"})) {
		t.Errorf("editing beside what is masked: %v\n%s", err, Decode(key, got, DecodeOptions{Reveal: "*"}).Text)
	}
	got, err = edited(t, key, value, DecodeOptions{}, "password: <masked, 21 bytes>", "password: bmV3")
	if err != nil || !bytes.Equal(got, secret("new", nil)) {
		t.Errorf("overwriting what is masked: %v\n%s", err, Decode(key, got, DecodeOptions{Reveal: "*"}).Text)
	}
	if _, err = edited(t, key, value, DecodeOptions{}, "password: <masked, 21 bytes>", "copy: <masked, 21 bytes>"); err == nil || !strings.Contains(err.Error(), "data.copy") {
		t.Errorf("a masked value was moved: %v", err)
	}
	got, err = edited(t, key, value, DecodeOptions{Reveal: "password"}, "password: "+hush64, "password: bmV3")
	if err != nil || !bytes.Equal(got, secret("new", nil)) {
		t.Errorf("changing what is revealed: %v", err)
	}
	for _, v := range []string{"just a password", `{"not":"an object"}`} {
		if _, err := Edit(key, []byte(v), DecodeOptions{}); !errors.Is(err, ErrMasked) {
			t.Errorf("%q among the Secrets can be edited: %v", v, err)
		}
		if got, err := edited(t, key, []byte(v), DecodeOptions{Reveal: "*"}, "a", "A"); err != nil || !bytes.Equal(got, []byte(strings.Replace(v, "a", "A", 1))) {
			t.Errorf("%q, revealed: %q, %v", v, got, err)
		}
	}
}

func TestEditJSONAndText(t *testing.T) {
	for _, c := range []struct{ key, value, from, to, want string }{
		{"/x", "one line", "one", "two", "two line"},
		{"/x", "a line\n", "a", "b", "b line\n"},
		{"/x", "a\n\n", "a", "b", "b\n\n"},
		{"/x", "", "", "new\n", "new"},
		{"/x", `{"b":1, "a":2}`, "2", "3", `{"b":1, "a":3}`},
		{"/registry/example.io/widgets/shop/w", `{"apiVersion":"example.io/v1","kind":"Widget","metadata":{"managedFields":[{}],"name":"w"},"spec":{"big":9007199254740993,"exp":1.50,"flag":true,"s":"0x10"}}` + "\n",
			"flag: true", "flag: false",
			`{"apiVersion":"example.io/v1","kind":"Widget","metadata":{"managedFields":[{}],"name":"w"},"spec":{"big":9007199254740993,"exp":1.50,"flag":false,"s":"0x10"}}` + "\n"},
	} {
		got, err := edited(t, c.key, []byte(c.value), DecodeOptions{}, c.from, c.to)
		if err != nil || string(got) != c.want {
			t.Errorf("%q became %q, want %q (%v)", c.value, got, c.want, err)
		}
	}
	if _, err := edited(t, "/x", []byte(`{"a":1}`), DecodeOptions{}, "1", ""); err == nil {
		t.Error("JSON that is none any more was accepted")
	}
}

// What is left out or masked in a list is found again when elements come, go and change places.
func TestRestore(t *testing.T) {
	full := []any{map[string]any{"name": "a", "hidden": "1"}, map[string]any{"name": "b", "hidden": "2", "token": "secret"}}
	shown := []any{map[string]any{"name": "a"}, map[string]any{"name": "b", "token": "<masked, 6 bytes>"}}
	a, b := full[0], full[1]
	for name, c := range map[string]struct {
		edited []any
		want   []any
	}{
		"unchanged":  {[]any{shown[0], shown[1]}, []any{a, b}},
		"swapped":    {[]any{shown[1], shown[0]}, []any{b, a}},
		"removed":    {[]any{shown[1]}, []any{b}},
		"added":      {[]any{map[string]any{"name": "c"}, shown[0], shown[1]}, []any{map[string]any{"name": "c"}, a, b}},
		"changed":    {[]any{map[string]any{"name": "A"}, shown[1]}, []any{map[string]any{"name": "A", "hidden": "1"}, b}},
		"moved mask": {[]any{map[string]any{"name": "x", "token": "<masked, 6 bytes>"}}, nil},
	} {
		got, err := restore(c.edited, shown, full, "")
		if c.want == nil {
			if err == nil {
				t.Errorf("%s: %v", name, got)
			}
			continue
		}
		if err != nil || !equalJSON(t, got, c.want) {
			t.Errorf("%s: %v, want %v (%v)", name, got, c.want, err)
		}
	}
}

func equalJSON(t *testing.T, a, b any) bool {
	t.Helper()
	x, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	y, err := json.Marshal(b)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Equal(x, y)
}

func FuzzEdit(f *testing.F) {
	f.Add("/registry/pods/a/b", hushStored(f, "Pod", aPod()), "a: b")
	f.Add("/registry/secrets/a/b", hushStored(f, "Secret", &corev1.Secret{Data: map[string][]byte{"a": []byte(hush)}}), "data:\n  a: <masked, 21 bytes>\n")
	f.Add("/x", []byte(`{"apiVersion":"a/b","kind":"C","x":[1e999,{"a":null}]}`), "apiVersion: a/b\nkind: C\nx: [.inf]")
	f.Fuzz(func(t *testing.T, key string, value []byte, text string) {
		e, err := Edit(key, value, DecodeOptions{})
		if err != nil {
			if strings.Contains(err.Error(), "decoder failed") {
				t.Error(err)
			}
			return
		}
		same, err := e.Encode(e.Text)
		if err != nil {
			t.Fatalf("what was not edited cannot be encoded: %v", err)
		}
		if e.Ext != "yaml" && !bytes.Equal(same, value) {
			t.Errorf("unchanged, %q became %q", value, same)
		}
		if _, err := e.Encode(text); err != nil && strings.Contains(err.Error(), "cannot be encoded:") {
			t.Error(err)
		}
	})
}
