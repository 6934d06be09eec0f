package etcd

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"fathom/cluster"
)

// CrossCheck is one object as etcd stores it and as the API server serves it. All of it but the numbers is untrusted text, masked.
type CrossCheck struct {
	Key    string
	Stored KV      // without its value
	Format Decoded // of the stored value
	GVR    schema.GroupVersionResource
	// ResourceVersion of what is served; it is the mod revision of what is stored.
	ResourceVersion string
	StoredYAML      string
	ServedYAML      string
	// Differences are the fields that are not the same. What is stored has no resourceVersion, and null is the same as nothing.
	Differences []FieldDifference
	// Verdict says in a sentence what came out.
	Verdict string
	Same    bool // stored and served are the same object at the same revision
	// Served is the version in which the object was served, if that is another than the one it is stored in, because the API server serves it in
	// that no more: then a conversion stands between the two.
	Served string
	// Note says what was filled in for the comparison.
	Note string
}

// FieldDifference is a field that is stored and served differently. Nil: it is not there. The values are as in JSON; those of Secrets are
// not told.
type FieldDifference struct {
	Path           string // "spec.containers[0].image"
	Stored, Served any
}

// crossTries is how often both are read when the object changes in between.
const crossTries = 5

// CrossCheck reads the value of a key and the object that the API server serves for it, in the version in which it is stored, and compares
// them field by field. Both are read anew until they are of the same revision, a few times. The error says why there is
// nothing to compare.
func (k *Keys) CrossCheck(ctx context.Context, kube *cluster.Kube, key string) (CrossCheck, error) {
	var c CrossCheck
	for try := range crossTries {
		var err error
		if c, err = k.crossCheck(ctx, kube, key); err != nil {
			return c, err
		}
		if c.ResourceVersion == strconv.FormatInt(c.Stored.ModRevision, 10) {
			return c, nil
		}
		if ctx.Err() != nil || try == crossTries-1 {
			break
		}
	}
	c.Same = false
	c.Verdict = fmt.Sprintf("Served is resourceVersion %s, stored revision %d (as %s has it): the object changes while it is looked at, or that member or the API server is behind.",
		c.ResourceVersion, c.Stored.ModRevision, c.Stored.Member)
	return c, nil
}

func (k *Keys) crossCheck(ctx context.Context, kube *cluster.Kube, key string) (CrossCheck, error) {
	id, err := ObjectOf(k.Prefix(), key)
	if err != nil {
		return CrossCheck{}, err
	}
	kv, err := k.Get(ctx, key)
	if err != nil {
		return CrossCheck{}, err
	}
	o := DecodeOptions{Prefix: k.Prefix(), ManagedFields: true}
	c := CrossCheck{Key: key, Format: Decode(key, kv.Value, o)}
	value := kv.Value
	kv.Value = nil
	c.Stored = kv
	if c.Format.Format == Encrypted {
		return c, fmt.Errorf("comparing %q: %s", key, c.Format.Note)
	}
	if c.GVR, err = id.Stored(c.Format.APIVersion); err != nil {
		return c, fmt.Errorf("comparing %q: %w", key, err)
	}
	served, err := kube.Dynamic().Resource(c.GVR).Namespace(id.Namespace).Get(ctx, id.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		if other, ok := preferred(ctx, kube, c.GVR); ok {
			c.Served = other.Version
			served, err = kube.Dynamic().Resource(other).Namespace(id.Namespace).Get(ctx, id.Name, metav1.GetOptions{})
		}
	}
	if err != nil {
		return c, fmt.Errorf("reading %s in version %s from the API server: %w", id, c.GVR.Version, why404(err))
	}
	c.ResourceVersion = served.GetResourceVersion()
	stored, err := tree(value)
	if err != nil {
		return c, fmt.Errorf("comparing %q: its stored value cannot be decoded here: %w", key, err)
	}
	if c.Format.Format == Protobuf && embedded(stored, served.Object) {
		c.Note = "apiVersion and kind of the objects within it are taken from what is served: protobuf does not hold them."
	}
	if c.Differences, err = Compare(stored, served.Object); err != nil {
		return c, err
	}
	if isSecretKey(key, k.Prefix()) || c.Format.Masked {
		hide(c.Differences)
	}
	served.SetResourceVersion("")
	data, err := json.Marshal(served.Object)
	if err != nil {
		return c, fmt.Errorf("writing %s as JSON: %w", id, err)
	}
	o.ManagedFields = false
	c.ServedYAML = Decode(key, data, o).Text
	if data, err = json.Marshal(stored); err != nil {
		return c, fmt.Errorf("writing %s as JSON: %w", id, err)
	}
	c.StoredYAML = Decode(key, data, o).Text
	switch n := len(c.Differences); {
	case c.Served != "":
		c.Verdict = fmt.Sprintf("Stored in version %s, which the API server does not serve; served in %s. %d fields are written differently, as the conversion between the two has it.",
			c.GVR.Version, c.Served, n)
	case n == 0:
		c.Same = true
		c.Verdict = fmt.Sprintf("The same object, field by field, at revision %d.", kv.ModRevision)
	case n == 1:
		c.Verdict = "One field differs."
	default:
		c.Verdict = fmt.Sprintf("%d fields differ.", n)
	}
	return c, nil
}

// preferred is a resource in the version that the API server prefers, if that is another one.
func preferred(ctx context.Context, kube *cluster.Kube, r schema.GroupVersionResource) (schema.GroupVersionResource, bool) {
	rs, err := kube.Resources(ctx)
	if err != nil {
		return r, false
	}
	for _, x := range rs.List {
		if x.Group == r.Group && x.Name == r.Resource {
			return x.GVR(), x.Version != r.Version
		}
	}
	return r, false
}

// embedded gives the objects within a stored one (the claim templates of a StatefulSet) the apiVersion and kind that they are served with, and
// reports whether there were some: in protobuf they have none.
func embedded(stored, served any) (found bool) {
	switch a := stored.(type) {
	case map[string]any:
		b, _ := served.(map[string]any)
		if a["apiVersion"] == nil && a["kind"] == nil && a["metadata"] != nil && b["apiVersion"] != nil && b["kind"] != nil {
			a["apiVersion"], a["kind"], found = b["apiVersion"], b["kind"], true
		}
		for k := range a {
			found = embedded(a[k], b[k]) || found
		}
	case []any:
		b, _ := served.([]any)
		for i := range min(len(a), len(b)) {
			found = embedded(a[i], b[i]) || found
		}
	}
	return found
}

func why404(err error) error {
	if apierrors.IsNotFound(err) {
		return fmt.Errorf("%w; it is stored and not served: the API server does not serve this version, or it was deleted a moment ago", err)
	}
	return err
}

// tree is a stored object as maps, lists and scalars.
func tree(value []byte) (map[string]any, error) {
	e := Decode("", value, DecodeOptions{}) // for its format only
	switch e.Format {
	case Protobuf:
		m, _, err := protobufTree(value)
		return m, err
	case JSON:
		return object(value)
	}
	return nil, fmt.Errorf("it is stored as %s", e.Format)
}

// Compare compares a stored object with a served one, both as in JSON. Not compared is metadata.resourceVersion, which is not stored. A null
// is the same as nothing: encoders of different versions of Kubernetes write it or do not.
func Compare(stored, served map[string]any) ([]FieldDifference, error) {
	a, err := plainJSON(stored)
	if err != nil {
		return nil, err
	}
	b, err := plainJSON(served)
	if err != nil {
		return nil, err
	}
	for _, m := range []map[string]any{a, b} {
		if meta, ok := m["metadata"].(map[string]any); ok {
			delete(meta, "resourceVersion")
		}
	}
	var out []FieldDifference
	compare("", a, b, &out)
	return out, nil
}

// plainJSON is a copy with the types of [object] only.
func plainJSON(m map[string]any) (map[string]any, error) {
	data, err := json.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("writing the object as JSON: %w", err)
	}
	return object(data)
}

func compare(path string, a, b any, out *[]FieldDifference) {
	if reflect.DeepEqual(a, b) {
		return
	}
	ma, ok1 := a.(map[string]any)
	mb, ok2 := b.(map[string]any)
	if ok1 && ok2 {
		keys := slices.Collect(maps.Keys(ma))
		keys = slices.AppendSeq(keys, maps.Keys(mb))
		slices.Sort(keys)
		for _, k := range slices.Compact(keys) {
			sub := k
			if path != "" {
				sub = path + "." + k
			}
			compare(sub, ma[k], mb[k], out)
		}
		return
	}
	la, ok1 := a.([]any)
	lb, ok2 := b.([]any)
	if ok1 && ok2 {
		for i := range max(len(la), len(lb)) {
			var x, y any
			if i < len(la) {
				x = la[i]
			}
			if i < len(lb) {
				y = lb[i]
			}
			compare(fmt.Sprintf("%s[%d]", path, i), x, y, out)
		}
		return
	}
	*out = append(*out, FieldDifference{Path: path, Stored: a, Served: b})
}

// hide takes the values out of differences.
func hide(ds []FieldDifference) {
	for i := range ds {
		for _, v := range []*any{&ds[i].Stored, &ds[i].Served} {
			if *v != nil {
				data, _ := json.Marshal(*v) // it came from JSON
				*v = (&Decoded{}).maskOf(string(data))
			}
		}
	}
}
