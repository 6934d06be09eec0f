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
	"k8s.io/apimachinery/pkg/runtime/serializer/cbor/direct"
	"sigs.k8s.io/yaml"

	"google.golang.org/protobuf/encoding/protowire"
)

func aPod() *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: "shop", UID: "u-1", Labels: map[string]string{"app": "web"},
			ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "kubectl", Operation: "Apply", FieldsV1: metav1.NewFieldsV1(`{"f:spec":{}}`)}}},
		Spec: corev1.PodSpec{NodeName: "node-1", Containers: []corev1.Container{{Name: "c", Image: "registry.example/web:1", Env: []corev1.EnvVar{{Name: "A", Value: "b"}}}}},
	}
}

// envelope is a protobuf object of a type that is not known here.
func envelope(t testing.TB, apiVersion, kind string, raw []byte) []byte {
	t.Helper()
	unk := runtime.Unknown{TypeMeta: runtime.TypeMeta{APIVersion: apiVersion, Kind: kind}, Raw: raw}
	b, err := unk.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return append([]byte(protobufMagic), b...)
}

func TestDecode(t *testing.T) {
	meta := metav1.ObjectMeta{Name: "thing", Namespace: "shop"}
	metaBytes, err := meta.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	raw := protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), metaBytes)
	inner := protowire.AppendVarint(protowire.AppendTag(nil, 3, protowire.VarintType), 77)
	inner = protowire.AppendString(protowire.AppendTag(inner, 5, protowire.BytesType), "a text within a message")
	raw = protowire.AppendBytes(protowire.AppendTag(raw, 2, protowire.BytesType), inner)
	raw = protowire.AppendString(protowire.AppendTag(raw, 4, protowire.BytesType), "a text")
	cborValue, err := direct.Marshal(map[string]any{"apiVersion": "example.io/v1", "kind": "Widget", "spec": map[string]any{"size": 3}})
	if err != nil {
		t.Fatal(err)
	}
	kms := protowire.AppendString(protowire.AppendTag([]byte("k8s:enc:kms:v2:vault:"), 1, protowire.BytesType), "ciphertext \x00\x01")
	kms = protowire.AppendString(protowire.AppendTag(kms, 2, protowire.BytesType), "key-2026-11")
	token := "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJzeXN0ZW06c2EifQ.c2lnbmF0dXJlLXNpZ25hdHVyZQ"
	for name, c := range map[string]struct {
		key    string
		value  []byte
		format Format
		kind   string
		masked bool
		has    []string
		hasNot []string
	}{
		"pod": {"/registry/pods/shop/web", hushStored(t, "Pod", aPod()), Protobuf, "Pod", false,
			[]string{"apiVersion: v1\n", "kind: Pod\n", "nodeName: node-1", "image: registry.example/web:1"}, []string{"managedFields:"}},
		"secret": {"/registry/secrets/shop/db", hushStored(t, "Secret", &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "db",
			Annotations: map[string]string{lastApplied: `{"data":{"p":"` + hush64 + `"}}`}}, Data: map[string][]byte{"password": []byte(hush), "user": []byte("me")}}),
			Protobuf, "Secret", true, []string{"password: <masked, 21 bytes>", "user: <masked, 2 bytes>", "name: db"}, []string{"last-applied"}},
		"bootstrap token": {"/registry/secrets/kube-system/bootstrap-token-abcdef", hushStored(t, "Secret", &corev1.Secret{Type: "bootstrap.kubernetes.io/token",
			Data: map[string][]byte{"token-secret": []byte(hush)}}), Protobuf, "Secret", true, []string{"token-secret: <masked"}, nil},
		"helm release in a ConfigMap": {"/registry/configmaps/shop/sh.helm.release.v1.web.v1", hushStored(t, "ConfigMap", &corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{Name: "sh.helm.release.v1.web.v1", Labels: map[string]string{"owner": "helm"}}, Data: map[string]string{"release": hush}}),
			Protobuf, "ConfigMap", true, []string{"release: <masked"}, nil},
		"ConfigMap": {"/registry/configmaps/shop/c", hushStored(t, "ConfigMap", &corev1.ConfigMap{Data: map[string]string{"a": "plain"}}), Protobuf, "ConfigMap", false, []string{"a: plain"}, nil},
		"token in a ConfigMap": {"/registry/configmaps/shop/c", hushStored(t, "ConfigMap", &corev1.ConfigMap{Data: map[string]string{"kubeconfig": "token: " + token}}),
			Protobuf, "ConfigMap", true, []string{"token: <masked"}, []string{token[:30]}},
		"token as text": {"/x", []byte("Bearer " + token), PlainText, "", true, []string{"Bearer <masked"}, []string{token[:30]}},
		"custom resource": {"/registry/example.io/widgets/shop/w", []byte(`{"apiVersion":"example.io/v1","kind":"Widget","metadata":{"name":"w","managedFields":[{}]},"spec":{"big":9007199254740993}}`),
			JSON, "Widget", false, []string{"kind: Widget", "big: 9007199254740993"}, []string{"managedFields:"}},
		"cbor":         {"/registry/example.io/widgets/shop/w", append([]byte(cborMagic), cborValue...), CBOR, "Widget", false, []string{"kind: Widget", "size: 3"}, nil},
		"unknown type": {"/registry/wardle/x", envelope(t, "wardle.example/v1", "Flunder", raw), Protobuf, "Flunder", false, []string{"name: thing", "field 2:\n  field 3: 77\n  field 5: a text within a message", "field 4: a text"}, nil},
		"unknown secret": {"/registry/x", envelope(t, "example/v9", "Secret", protowire.AppendString(protowire.AppendTag(nil, 2, protowire.BytesType), hush)),
			Protobuf, "Secret", true, []string{"<masked"}, nil},
		"aescbc":              {"/registry/secrets/shop/db", []byte("k8s:enc:aescbc:v1:key1:\x00\x01\x02" + hush), Encrypted, "", false, []string{"encrypted, 47 bytes", "provider: aescbc", "key name: key1"}, nil},
		"kms v2":              {"/registry/secrets/shop/db", kms, Encrypted, "", false, []string{"provider: kms", "version: v2", "KMS plugin: vault", "keyID: key-2026-11"}, []string{"ciphertext"}},
		"kms v2, damaged":     {"/registry/secrets/shop/db", []byte("k8s:enc:kms:v2:vault:\xff\xff"), Encrypted, "", false, []string{"KMS plugin: vault"}, []string{"keyID"}},
		"envelope incomplete": {"/registry/secrets/shop/db", []byte("k8s:enc:aes"), Encrypted, "", false, []string{"incomplete"}, nil},
		"compact_rev_key":     {"compact_rev_key", []byte("12345"), PlainText, "", false, []string{"12345"}, nil},
		"no json":             {"/x", []byte(`{"a":1} trailing`), PlainText, "", false, []string{"trailing"}, nil},
		"magic not first":     {"/x", []byte("x" + protobufMagic), Binary, "", false, []string{"6b 38 73 00"}, nil},
		"binary":              {"/x", append([]byte{0, 1, 0xff}, bytes.Repeat([]byte{7}, 100_000)...), Binary, "", false, []string{"00 01 ff 07"}, nil},
		"empty":               {"/x", nil, Empty, "", false, nil, nil},
	} {
		d := Decode(c.key, c.value, DecodeOptions{})
		if d.Format != c.format || d.Kind != c.kind || d.Masked != c.masked {
			t.Errorf("%s: %s %q masked %v, want %s %q %v: %+v", name, d.Format, d.Kind, d.Masked, c.format, c.kind, c.masked, d)
		}
		for _, s := range c.has {
			if !strings.Contains(d.Text, s) {
				t.Errorf("%s: %q is not in\n%s", name, s, d.Text)
			}
		}
		for _, s := range append(c.hasNot, hush, hush64) {
			if strings.Contains(d.Text, s) {
				t.Errorf("%s: %q is in\n%s", name, s, d.Text)
			}
		}
		if len(d.Text) > 10*maxHex {
			t.Errorf("%s: %d bytes of text", name, len(d.Text))
		}
	}
	if d := Decode("/registry/pods/shop/web", hushStored(t, "Pod", aPod()), DecodeOptions{ManagedFields: true}); !strings.Contains(d.Text, "managedFields:") {
		t.Errorf("managed fields were asked for:\n%s", d.Text)
	}
}

// What is decoded is the object, field by field.
func TestDecodedPodIsThePod(t *testing.T) {
	pod := aPod()
	d := Decode("/registry/pods/shop/web", hushStored(t, "Pod", pod), DecodeOptions{ManagedFields: true})
	var got corev1.Pod
	if err := yaml.UnmarshalStrict([]byte(d.Text), &got); err != nil {
		t.Fatal(err)
	}
	a, _ := json.Marshal(pod)
	b, _ := json.Marshal(&got)
	if !bytes.Equal(a, b) {
		t.Errorf("got  %s\nwant %s", b, a)
	}
}

func TestRevealOneKey(t *testing.T) {
	other := "another-secret-value"
	value := hushStored(t, "Secret", &corev1.Secret{Data: map[string][]byte{"a": []byte(hush), "b": []byte(other)}})
	d := Decode("/registry/secrets/x/y", value, DecodeOptions{Reveal: "a"})
	if !slices.Equal(d.Keys, []string{"a", "b"}) || !d.Masked {
		t.Errorf("%+v", d)
	}
	for s, want := range map[string]bool{hush: true, hush64: true, other: false, base64.StdEncoding.EncodeToString([]byte(other)): false} {
		if strings.Contains(d.Text, s) != want {
			t.Errorf("%q shown: %v\n%s", s, !want, d.Text)
		}
	}
	if d = Decode("/registry/secrets/x/y", value, DecodeOptions{Reveal: "c"}); tells(d) || strings.Contains(d.Text, other) {
		t.Errorf("a key that is not there reveals:\n%s", d.Text)
	}
}

func TestDecodeLargeValues(t *testing.T) {
	const size = 3 << 19 // 1.5 MiB, what etcd accepts
	for name, v := range map[string][]byte{
		"pod":     hushStored(t, "Pod", &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{"x": strings.Repeat("x", size)}}}),
		"text":    bytes.Repeat([]byte("x"), size),
		"binary":  bytes.Repeat([]byte{0xff, 0}, size/2),
		"unknown": envelope(t, "x/v1", "X", bytes.Repeat([]byte{0x10, 1}, size/2)),
		"json":    []byte(`{"a":"` + strings.Repeat("x", size) + `"}`),
	} {
		if d := Decode("/x", v, DecodeOptions{}); d.Text == "" || len(d.Text) > 2*size {
			t.Errorf("%s: %d bytes of text of %d", name, len(d.Text), len(v))
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add("/registry/pods/a/b", hushStored(f, "Pod", aPod()))
	f.Add("/registry/secrets/a/b", hushStored(f, "Secret", &corev1.Secret{Data: map[string][]byte{"a": []byte(hush)}}))
	f.Add("/x", []byte(`{"kind":"Secret","data":{"a":1}}`))
	f.Add("/x", []byte("k8s:enc:kms:v2:x:\x12\x01a"))
	f.Add("/x", []byte(cborMagic+"\xa1aaaa"))
	f.Add("/x", envelope(f, "a/b", "C", []byte{0x0a, 2, 8, 1, 0x12, 1, 'x', 0x1d, 1, 2, 3, 4}))
	f.Fuzz(func(t *testing.T, key string, value []byte) {
		for _, reveal := range []string{"", "a", wholeValue} {
			d := Decode(key, value, DecodeOptions{Reveal: reveal})
			if d.Format == "" || d.Masked && len(d.Keys) == 0 {
				t.Errorf("%+v", d)
			}
			if strings.Contains(d.Note, "decoder failed") {
				t.Errorf("a decoder panicked: %s", d.Note)
			}
			if strings.HasPrefix(key, "/registry/secrets/") && reveal == "" && d.Format != Encrypted && len(value) > 24 && strings.Contains(d.Text, string(value)) {
				t.Errorf("what is stored among the Secrets is shown: %q", d.Text)
			}
		}
	})
}

func BenchmarkDecodePod(b *testing.B) {
	pod := aPod()
	for range 5 {
		pod.Spec.Containers = append(pod.Spec.Containers, *pod.Spec.Containers[0].DeepCopy())
	}
	value := hushStored(b, "Pod", pod)
	b.ReportAllocs()
	for b.Loop() {
		if d := Decode("/registry/pods/shop/web", value, DecodeOptions{}); d.Kind != "Pod" {
			b.Fatal(d)
		}
	}
}
