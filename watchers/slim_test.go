package watchers

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/kubernetes/scheme"
)

// fill sets every field of a value to something.
func fill(rnd *rand.Rand, v reflect.Value, depth int) {
	switch v.Interface().(type) {
	case resource.Quantity:
		v.Set(reflect.ValueOf(resource.MustParse(fmt.Sprintf("%dm", 1000*rnd.IntN(5000)))))
		return
	case metav1.Time:
		v.Set(reflect.ValueOf(metav1.NewTime(time.Unix(1.7e9+rnd.Int64N(1e7), 0))))
		return
	case metav1.MicroTime:
		v.Set(reflect.ValueOf(metav1.NewMicroTime(time.Unix(1.7e9+rnd.Int64N(1e7), 1000))))
		return
	case intstr.IntOrString:
		v.Set(reflect.ValueOf(intstr.FromInt32(rnd.Int32N(100))))
		return
	case metav1.FieldsV1:
		v.Set(reflect.ValueOf(*metav1.NewFieldsV1(`{"f:spec":{}}`)))
		return
	case runtime.RawExtension, metav1.TypeMeta:
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Field(i).CanSet() {
				fill(rnd, v.Field(i), depth)
			}
		}
	case reflect.Pointer:
		if depth > 12 || rnd.IntN(4) == 0 {
			return
		}
		v.Set(reflect.New(v.Type().Elem()))
		fill(rnd, v.Elem(), depth+1)
	case reflect.Slice:
		n := rnd.IntN(3)
		v.Set(reflect.MakeSlice(v.Type(), n, n))
		for i := range n {
			fill(rnd, v.Index(i), depth+1)
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		for range rnd.IntN(3) {
			key, val := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
			fill(rnd, key, depth+1)
			fill(rnd, val, depth+1)
			v.SetMapIndex(key, val)
		}
	case reflect.String:
		v.SetString([]string{"", "a", "Running", "Always", "True", "False", "Completed", "PodScheduled", fmt.Sprint("text-", rnd.IntN(50))}[rnd.IntN(9)])
	case reflect.Bool:
		v.SetBool(rnd.IntN(2) == 0)
	case reflect.Int, reflect.Int32, reflect.Int64:
		v.SetInt(rnd.Int64N(200))
	case reflect.Uint8:
		v.SetUint(uint64(rnd.IntN(256)))
	}
}

func encoded(t testing.TB, kind, group string, o runtime.Object) []byte {
	t.Helper()
	s := protobuf.NewSerializer(scheme.Scheme, scheme.Scheme)
	o.GetObjectKind().SetGroupVersionKind(schema.GroupVersionKind{Group: group, Version: "v1", Kind: kind})
	var b bytes.Buffer
	if err := s.Encode(o, &b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func decoder() runtime.Decoder {
	return slimDecoder{protobuf.NewSerializer(scheme.Scheme, scheme.Scheme)}
}

// The row of what is left of a message is the row of the whole, for objects that have everything.
func TestSlimRowsAreTheSame(t *testing.T) {
	full, small := protobuf.NewSerializer(scheme.Scheme, scheme.Scheme), decoder()
	proj := NewProjector()
	for _, k := range []struct {
		kind, group string
		make        func() runtime.Object
	}{
		{"Pod", "", func() runtime.Object { return &corev1.Pod{} }}, {"Node", "", func() runtime.Object { return &corev1.Node{} }},
		{"Namespace", "", func() runtime.Object { return &corev1.Namespace{} }}, {"Event", "", func() runtime.Object { return &corev1.Event{} }},
		{"Service", "", func() runtime.Object { return &corev1.Service{} }}, {"Deployment", "apps", func() runtime.Object { return &appsv1.Deployment{} }},
		{"ReplicaSet", "apps", func() runtime.Object { return &appsv1.ReplicaSet{} }}, {"StatefulSet", "apps", func() runtime.Object { return &appsv1.StatefulSet{} }},
		{"DaemonSet", "apps", func() runtime.Object { return &appsv1.DaemonSet{} }}, {"Job", "batch", func() runtime.Object { return &batchv1.Job{} }},
		{"CronJob", "batch", func() runtime.Object { return &batchv1.CronJob{} }},
	} {
		t.Run(k.kind, func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(11, 11))
			shorter := 0
			for range 300 {
				o := k.make()
				fill(rnd, reflect.ValueOf(o).Elem(), 0)
				b := encoded(t, k.kind, k.group, o)
				cut, ok := slim(nil, b)
				if !ok {
					t.Fatal("not taken for a message")
				}
				if len(cut) < len(b) {
					shorter++
				}
				whole, _, err := full.Decode(b, nil, nil)
				if err != nil {
					t.Fatal(err)
				}
				part, _, err := small.Decode(b, nil, nil)
				if err != nil {
					t.Fatal(err)
				}
				want, _ := proj.Project(whole)
				got, _ := proj.Project(part)
				if want == nil || !reflect.DeepEqual(got, want) {
					t.Fatalf("the row is\n%+v, of the whole object\n%+v", got, want)
				}
			}
			if shorter < 200 {
				t.Errorf("only %d of 300 messages got shorter", shorter)
			}
		})
	}
}

// The bookmark that ends a streamed list is known by an annotation; errors and what is broken pass.
func TestSlimKeepsWhatTheProtocolNeeds(t *testing.T) {
	mark := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{ResourceVersion: "7", Annotations: map[string]string{metav1.InitialEventsAnnotationKey: "true", "other": "x"}}}
	o, _, err := decoder().Decode(encoded(t, "Pod", "", mark), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if a := o.(*corev1.Pod).Annotations; len(a) != 1 || a[metav1.InitialEventsAnnotationKey] != "true" {
		t.Errorf("annotations %v", a)
	}
	o, _, err = decoder().Decode(encoded(t, "Status", "", &metav1.Status{Message: "too old", Reason: "Expired", Code: 410}), nil, nil)
	if err != nil || o.(*metav1.Status).Message != "too old" || o.(*metav1.Status).Code != 410 {
		t.Errorf("%+v, %v", o, err)
	}
	list := &corev1.PodList{ListMeta: metav1.ListMeta{ResourceVersion: "9", Continue: "next"}, Items: []corev1.Pod{*bigPod(1), *bigPod(2)}}
	o, _, err = decoder().Decode(encoded(t, "PodList", "", list), nil, &corev1.PodList{})
	if l, ok := o.(*corev1.PodList); err != nil || !ok || len(l.Items) != 2 || l.Continue != "next" || l.Items[1].Name != "pod-2" || len(l.Items[0].Spec.Containers[0].Env) != 0 {
		t.Errorf("%+v, %v", o, err)
	}
	b := encoded(t, "Pod", "", bigPod(3))
	for n := range b {
		if _, ok := slim(nil, b[:n]); ok && n > 0 {
			// What happens to end between two fields is a message; it must not be a longer one.
			if s, _ := slim(nil, b[:n]); len(s) > n {
				t.Fatalf("%d bytes became %d", n, len(s))
			}
		}
	}
}

func FuzzSlim(f *testing.F) {
	f.Add(encoded(f, "Pod", "", bigPod(1)))
	f.Fuzz(func(t *testing.T, b []byte) {
		_, _ = slim(nil, b)
		_, _, _ = decoder().Decode(b, nil, nil)
	})
}

func BenchmarkDecodePod(b *testing.B) {
	p := bigPod(1)
	fill(rand.New(rand.NewPCG(1, 1)), reflect.ValueOf(&p.Spec.Containers[0].LivenessProbe).Elem(), 0)
	p.ManagedFields = []metav1.ManagedFieldsEntry{{Manager: "kubelet", FieldsV1: metav1.NewFieldsV1(strings.Repeat(`{"f:status":{}}`, 60))}}
	data := encoded(b, "Pod", "", p)
	for name, d := range map[string]runtime.Decoder{"whole": protobuf.NewSerializer(scheme.Scheme, scheme.Scheme), "slim": decoder()} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := d.Decode(data, nil, nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
