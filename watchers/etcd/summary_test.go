package etcd

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/serializer/cbor/direct"
)

func TestSummarize(t *testing.T) {
	old, at := metav1.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), metav1.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC)
	fields := []metav1.ManagedFieldsEntry{{Manager: "kubectl", Operation: "Apply", Time: &at, Subresource: "scale"}, {Manager: "old", Operation: "Update", Time: &old}, {Manager: "timeless"}}
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "web", ManagedFields: fields}}
	by := Writer{"kubectl", "Apply", "scale", at.Time.UTC()}
	widget := map[string]any{"apiVersion": "example.io/v1", "kind": "Widget", "metadata": map[string]any{"managedFields": []any{
		map[string]any{"manager": "kubectl", "operation": "Apply", "subresource": "scale", "time": "2026-02-01T00:00:00Z", "fieldsV1": map[string]any{"f:spec": map[string]any{}}}}}}
	cborValue, err := direct.Marshal(widget)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		value []byte
		want  Summary
	}{
		"protobuf":         {hushStored(t, "Pod", pod), Summary{Protobuf, "v1", "Pod", by}},
		"no managedFields": {hushStored(t, "Pod", &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "x"}}), Summary{Protobuf, "v1", "Pod", Writer{}}},
		"JSON": {[]byte(`{"apiVersion":"example.io/v1","kind":"Widget","metadata":{"managedFields":[{"manager":"kubectl","operation":"Apply","subresource":"scale","time":"2026-02-01T00:00:00Z"}]}}`),
			Summary{JSON, "example.io/v1", "Widget", by}},
		"CBOR":             {append([]byte(cborMagic), cborValue...), Summary{CBOR, "example.io/v1", "Widget", by}},
		"encrypted":        {[]byte("k8s:enc:aescbc:v1:key1:xyz"), Summary{Format: Encrypted}},
		"text":             {[]byte("{ text"), Summary{Format: PlainText}},
		"binary":           {[]byte{0, 1}, Summary{Format: Binary}},
		"damaged protobuf": {[]byte(protobufMagic + "\xff\xff"), Summary{Format: Binary}},
		"empty":            {nil, Summary{Format: Empty}},
	} {
		if got := Summarize(c.value); got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}
