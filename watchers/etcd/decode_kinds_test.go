package etcd

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	k8sproto "k8s.io/apimachinery/pkg/runtime/serializer/protobuf"
	"k8s.io/client-go/kubernetes/scheme"
)

// Every kind that client-go knows, in every version, is decoded from the bytes the API server stores, and its stored version is told.
func TestDecodeEveryKindOfClientGo(t *testing.T) {
	kinds, secrets := 0, 0
	for gvk := range scheme.Scheme.AllKnownTypes() {
		obj, err := scheme.Scheme.New(gvk)
		if err != nil {
			t.Fatal(err)
		}
		o, ok := obj.(v1.Object) // lists, options and such are not stored
		if !ok || gvk.Version == runtime.APIVersionInternal {
			continue
		}
		o.SetName("the-name")
		o.SetManagedFields([]v1.ManagedFieldsEntry{{Manager: "kubectl", Operation: "Update", Time: &v1.Time{Time: time.Unix(1_770_000_000, 0)}}})
		obj.GetObjectKind().SetGroupVersionKind(gvk)
		var b bytes.Buffer
		if err := k8sproto.NewSerializer(scheme.Scheme, scheme.Scheme).Encode(obj, &b); err != nil {
			t.Errorf("%v: %v", gvk, err)
			continue
		}
		kinds++
		d := Decode("/registry/x/y", b.Bytes(), DecodeOptions{})
		if gvk.Kind == "Secret" {
			secrets++
		}
		if d.Format != Protobuf || d.Kind != gvk.Kind || d.APIVersion != gvk.GroupVersion().String() || !strings.Contains(d.Text, "name: the-name") || strings.Contains(d.Note, "not known") {
			t.Errorf("%v: %+v", gvk, d)
		}
		if s := Summarize(b.Bytes()); s.Kind != gvk.Kind || s.APIVersion != gvk.GroupVersion().String() || s.By.Manager != "kubectl" {
			t.Errorf("%v: %+v", gvk, s)
		}
	}
	if kinds < 150 || secrets != 1 {
		t.Errorf("%d kinds, %d of them Secrets", kinds, secrets)
	}
}
