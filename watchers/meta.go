package watchers

import (
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
)

// Meta is what every row of a Kubernetes object keeps of its metadata. It implements metav1.Object (the reflector asks for it)
// with setters that do nothing: a row never changes. Annotations and managedFields are never kept, so that
// last-applied-configuration of a Secret cannot be either.
type Meta struct {
	UID             string
	Namespace       string // empty for cluster-scoped objects
	Name            string
	ResourceVersion string
	Created         time.Time
	Deleted         time.Time // zero unless the object is being deleted (deletionTimestamp)
	Labels          Labels
}

// ID is the object's UID; namespace/name where a server sent none.
func (m *Meta) ID() string {
	if m.UID != "" {
		return m.UID
	}
	return m.Namespace + "/" + m.Name
}

// Base gives the metadata of any Kubernetes row; see [MetaOf].
func (m *Meta) Base() *Meta { return m }

// MetaOf returns the metadata of a row of a Kubernetes object, nil for any other row.
func MetaOf(r Row) *Meta {
	if b, ok := r.(interface{ Base() *Meta }); ok {
		return b.Base()
	}
	return nil
}

// The getters of metav1.Object.

func (m *Meta) GetNamespace() string       { return m.Namespace }
func (m *Meta) GetName() string            { return m.Name }
func (m *Meta) GetUID() types.UID          { return types.UID(m.UID) }
func (m *Meta) GetResourceVersion() string { return m.ResourceVersion }
func (m *Meta) GetCreationTimestamp() metav1.Time {
	return metav1.Time{Time: m.Created}
}
func (m *Meta) GetDeletionTimestamp() *metav1.Time {
	if m.Deleted.IsZero() {
		return nil
	}
	return &metav1.Time{Time: m.Deleted}
}
func (m *Meta) GetLabels() map[string]string                { return m.Labels.Set() }
func (m *Meta) GetGenerateName() string                     { return "" }
func (m *Meta) GetGeneration() int64                        { return 0 }
func (m *Meta) GetSelfLink() string                         { return "" }
func (m *Meta) GetDeletionGracePeriodSeconds() *int64       { return nil }
func (m *Meta) GetAnnotations() map[string]string           { return nil }
func (m *Meta) GetFinalizers() []string                     { return nil }
func (m *Meta) GetOwnerReferences() []metav1.OwnerReference { return nil }
func (m *Meta) GetManagedFields() []metav1.ManagedFieldsEntry {
	return nil
}

// The setters of metav1.Object do nothing: rows are immutable.

func (m *Meta) SetNamespace(string)                          {}
func (m *Meta) SetName(string)                               {}
func (m *Meta) SetGenerateName(string)                       {}
func (m *Meta) SetUID(types.UID)                             {}
func (m *Meta) SetResourceVersion(string)                    {}
func (m *Meta) SetGeneration(int64)                          {}
func (m *Meta) SetSelfLink(string)                           {}
func (m *Meta) SetCreationTimestamp(metav1.Time)             {}
func (m *Meta) SetDeletionTimestamp(*metav1.Time)            {}
func (m *Meta) SetDeletionGracePeriodSeconds(*int64)         {}
func (m *Meta) SetLabels(map[string]string)                  {}
func (m *Meta) SetAnnotations(map[string]string)             {}
func (m *Meta) SetFinalizers([]string)                       {}
func (m *Meta) SetOwnerReferences([]metav1.OwnerReference)   {}
func (m *Meta) SetManagedFields([]metav1.ManagedFieldsEntry) {}
func (m *Meta) GetObjectKind() schema.ObjectKind             { return schema.EmptyObjectKind }

// Labels is a label set in one string, "k=v,k2=v2" sorted by key: rows with equal labels share it. It implements labels.Labels,
// so that a selector can match it without building a map.
type Labels string

var _ labels.Labels = Labels("")

// Lookup returns the value of a label and whether it is there.
func (l Labels) Lookup(key string) (string, bool) {
	for s := string(l); s != ""; {
		var kv string
		kv, s, _ = strings.Cut(s, ",")
		if k, v, _ := strings.Cut(kv, "="); k == key {
			return v, true
		}
	}
	return "", false
}

// Has reports whether the label is there.
func (l Labels) Has(key string) bool { _, ok := l.Lookup(key); return ok }

// Get returns the value of a label, empty when it is not there.
func (l Labels) Get(key string) string { v, _ := l.Lookup(key); return v }

// Set returns the labels as a map of its own.
func (l Labels) Set() labels.Set {
	set := labels.Set{}
	for s := string(l); s != ""; {
		var kv string
		kv, s, _ = strings.Cut(s, ",")
		k, v, _ := strings.Cut(kv, "=")
		set[k] = v
	}
	return set
}

// Owner names an object that a row belongs to.
type Owner struct {
	Kind string // "ReplicaSet"; empty when there is none
	Name string
}

// Names is a list of names in one string, separated by commas, so that rows with equal lists share it.
type Names string

// Split returns the names.
func (n Names) Split() []string {
	if n == "" {
		return nil
	}
	return strings.Split(string(n), ",")
}

// Len is the number of names.
func (n Names) Len() int {
	if n == "" {
		return 0
	}
	return strings.Count(string(n), ",") + 1
}
