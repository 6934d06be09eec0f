package etcd

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	k8sproto "k8s.io/apimachinery/pkg/runtime/serializer/protobuf"
	"k8s.io/client-go/kubernetes/scheme"

	"google.golang.org/protobuf/encoding/protowire"
)

// hush is what must not be seen, as it is or in base64.
const hush = "correct-horse-battery"

var hush64 = base64.StdEncoding.EncodeToString([]byte(hush))

func tells(d Decoded) bool {
	all := d.Text + d.Note + strings.Join(d.Keys, " ")
	return strings.Contains(all, hush) || strings.Contains(all, hush64)
}

func hushJSON(t testing.TB, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// hushStored encodes a core object as the API server stores it.
func hushStored(t testing.TB, kind string, obj runtime.Object) []byte {
	t.Helper()
	obj.GetObjectKind().SetGroupVersionKind(schema.GroupVersionKind{Version: "v1", Kind: kind})
	var b bytes.Buffer
	if err := k8sproto.NewSerializer(scheme.Scheme, scheme.Scheme).Encode(obj, &b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestSecretsElsewhere: a Secret is masked wherever it is kept, not only under the key of Secrets; on request it is shown.
// unknownType is an object whose type is not known here, with a text in its third field, and in an annotation.
func unknownType(t *testing.T, text string, annotations ...string) []byte {
	t.Helper()
	meta := metav1.ObjectMeta{Name: "x", Annotations: map[string]string{}}
	for _, a := range annotations {
		meta.Annotations["backup.example/before"] = a
	}
	m, err := meta.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	raw := protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), m)
	raw = protowire.AppendString(protowire.AppendTag(raw, 3, protowire.BytesType), text)
	return envelope(t, "example.io/v1", "Bundle", raw)
}

func TestSecretsElsewhere(t *testing.T) {
	secret := map[string]any{"apiVersion": "v1", "kind": "Secret", "metadata": map[string]any{"name": "a"}, "data": map[string]any{"p": hush64}}
	annotated := func(k, v string) []byte {
		return hushStored(t, "Secret", &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "x", Annotations: map[string]string{k: v}}})
	}
	for name, value := range map[string][]byte{
		"list":             hushJSON(t, map[string]any{"kind": "List", "items": []any{secret}}),
		"array":            hushJSON(t, []any{secret}),
		"template":         hushJSON(t, map[string]any{"kind": "Template", "spec": map[string]any{"objects": []any{secret}}}),
		"text in a field":  hushJSON(t, map[string]any{"kind": "Bundle", "spec": string(hushJSON(t, secret))}),
		"in a ConfigMap":   hushStored(t, "ConfigMap", &corev1.ConfigMap{Data: map[string]string{"secret.yaml": "kind: Secret\nstringData:\n  p: " + hush}}),
		"data as text":     hushJSON(t, map[string]any{"kind": "Secret", "data": hush}),
		"data as a list":   hushJSON(t, map[string]any{"kind": "Secret", "stringData": []any{hush}}),
		"white space":      append([]byte(" \n"), hushJSON(t, secret)...),
		"unknown type":     unknownType(t, string(hushJSON(t, secret))),
		"its annotation":   unknownType(t, "x", string(hushJSON(t, secret))),
		"yaml":             []byte("kind: Secret\nstringData:\n  p: " + hush + "\n"),
		"kapp's copy":      annotated("kapp.k14s.io/original", string(hushJSON(t, secret))),
		"somebody's copy":  annotated("backup.example/before", `{"stringData":{"p":"`+hush+`"}}`),
		"kubectl's copy":   annotated(lastApplied, `{"data":{"p":"`+hush64+`"}}`),
		"inner annotation": hushJSON(t, []any{map[string]any{"kind": "Secret", "metadata": map[string]any{"annotations": map[string]any{lastApplied: `{"p":"` + hush64 + `"}`}}}}),
	} {
		for _, key := range []string{"/registry/x/y", "/registry/secrets/a/b", "/k8s/secrets/a/b"} {
			if d := Decode(key, value, DecodeOptions{}); tells(d) || !d.Masked && !strings.Contains(d.Note, "left out") {
				t.Errorf("%s at %s: %+v", name, key, d)
			}
			if d := Decode(key, value, DecodeOptions{Reveal: wholeValue}); !tells(d) || d.Masked {
				t.Errorf("%s at %s, revealed: %+v", name, key, d)
			}
		}
	}
}

// TestNamedValuesAreRevealedByName: a part that has no name is no reason to offer everything at once.
func TestNamedValuesAreRevealedByName(t *testing.T) {
	b := hushStored(t, "Secret", &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: "x", Annotations: map[string]string{"backup.example/before": `{"data":{}}`}},
		Data:       map[string][]byte{"p": []byte(hush), "user": []byte("jane")},
	})
	if d := Decode("/registry/secrets/a/x", b, DecodeOptions{Reveal: "user"}); !slices.Equal(d.Keys, []string{"p", "user"}) || tells(d) || !strings.Contains(d.Text, "jane") {
		t.Errorf("%+v", d)
	}
}

// TestKeyOfSecrets: what is stored among the Secrets is masked even when it is none, under any prefix.
func TestKeyOfSecrets(t *testing.T) {
	for name, value := range map[string][]byte{
		"json":            hushJSON(t, map[string]any{"kind": "X", "p": hush}),
		"array":           hushJSON(t, []any{hush}),
		"text":            []byte(hush),
		"binary":          append([]byte{0, 0xff}, hush...),
		"ConfigMap":       hushStored(t, "ConfigMap", &corev1.ConfigMap{Data: map[string]string{"a": hush}}),
		"damaged":         append([]byte(protobufMagic+"\xff\xff"), hush...),
		"damaged CBOR":    append([]byte(cborMagic+"\xff"), hush...),
		"after the magic": append([]byte(" "+protobufMagic), hush...),
	} {
		for key, prefix := range map[string]string{"/registry/secrets/a/b": "", "/k8s/secrets/a/b": "", "/a/secrets/b": "/a/", "secrets/a": "/registry"} {
			if d := Decode(key, value, DecodeOptions{Prefix: prefix}); tells(d) || !d.Masked || !slices.Equal(d.Keys, []string{wholeValue}) {
				t.Errorf("%s at %s: %+v", name, key, d)
			}
		}
		if d := Decode("/registry/configmaps/a/b", value, DecodeOptions{}); d.Masked {
			t.Errorf("%s is masked, though it is no Secret: %+v", name, d)
		}
	}
}

// TestNestingIsBounded: the text does not grow with the square of the value.
func TestNestingIsBounded(t *testing.T) {
	for _, depth := range []int{maxDepth - 1, 5000} {
		d := Decode("k", []byte(strings.Repeat(`{"a":`, depth)+`"`+hush+`"`+strings.Repeat("}", depth)), DecodeOptions{})
		if cut := strings.Contains(d.Note, "left out"); d.Format != JSON || len(d.Text) > 4*maxDepth*maxDepth || cut == tells(d) || cut != (depth > maxDepth) {
			t.Errorf("%d levels: %s, %d bytes, %q", depth, d.Format, len(d.Text), d.Note)
		}
	}
}

func TestUnknownFieldsAreMentioned(t *testing.T) {
	var unk runtime.Unknown
	if err := unk.Unmarshal(hushStored(t, "ConfigMap", &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "x"}})[len(protobufMagic):]); err != nil {
		t.Fatal(err)
	}
	for raw, want := range map[string]bool{
		string(unk.Raw): false,
		string(protowire.AppendString(protowire.AppendTag(slices.Clone(unk.Raw), 99, protowire.BytesType), "new")): true,
	} {
		unk.Raw = []byte(raw)
		b, err := unk.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		d := Decode("k", append([]byte(protobufMagic), b...), DecodeOptions{})
		if d.Kind != "ConfigMap" || !strings.Contains(d.Text, "name: x") || strings.Contains(d.Note, "newer Kubernetes") != want {
			t.Errorf("%+v", d)
		}
	}
}
