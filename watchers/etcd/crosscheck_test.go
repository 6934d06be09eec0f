package etcd

import (
	"encoding/json"
	"testing"
)

func TestCompare(t *testing.T) {
	parse := func(s string) map[string]any {
		var m map[string]any
		if err := json.Unmarshal([]byte(s), &m); err != nil {
			t.Fatal(err)
		}
		return m
	}
	for _, c := range []struct {
		stored, served string
		want           []string
	}{
		{`{"metadata":{"name":"a"}}`, `{"metadata":{"name":"a","resourceVersion":"7"}}`, nil},
		{`{"spec":{"a":null}}`, `{"spec":{}}`, nil},
		{`{"spec":{"a":1,"b":[{"c":1},2]}}`, `{"spec":{"a":"1","b":[{"c":2}]}}`, []string{"spec.a", "spec.b[0].c", "spec.b[1]"}},
		{`{"data":{"x":"y"}}`, `{}`, []string{"data"}},
		{`{"spec":{"emptyDir":{}}}`, `{"spec":{}}`, []string{"spec.emptyDir"}},
		{`{"n":9007199254740993}`, `{"n":9007199254740993}`, nil},
	} {
		ds, err := Compare(parse(c.stored), parse(c.served))
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, d := range ds {
			got = append(got, d.Path)
		}
		if len(got) != len(c.want) {
			t.Errorf("%s and %s differ in %v, want %v", c.stored, c.served, got, c.want)
			continue
		}
		for i := range got {
			if got[i] != c.want[i] {
				t.Errorf("%s and %s differ in %v, want %v", c.stored, c.served, got, c.want)
			}
		}
	}
	ds := []FieldDifference{{Path: "data.password", Stored: "aHVzaA==", Served: nil}}
	hide(ds)
	if s, _ := ds[0].Stored.(string); s != "<masked, 10 bytes>" || ds[0].Served != nil {
		t.Errorf("%+v", ds)
	}
}

// Protobuf does not hold apiVersion and kind of the objects within another one.
func TestEmbeddedObjects(t *testing.T) {
	stored := map[string]any{"spec": map[string]any{"volumeClaimTemplates": []any{map[string]any{"metadata": map[string]any{"name": "data"}}}, "selector": map[string]any{"a": "b"}}}
	served := map[string]any{"spec": map[string]any{"volumeClaimTemplates": []any{map[string]any{"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": map[string]any{"name": "data"}}},
		"selector": map[string]any{"a": "b"}}}
	if !embedded(stored, served) {
		t.Error("not found")
	}
	if ds, err := Compare(stored, served); err != nil || len(ds) != 0 {
		t.Errorf("%+v, %v", ds, err)
	}
	if embedded(stored, served) {
		t.Error("found where nothing is missing")
	}
}
