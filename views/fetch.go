package views

import (
	"context"
	"encoding/base64"
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/kubectl/pkg/describe"

	"fathom/cluster"
	"fathom/internal/yamltext"
)

// lastApplied is where kubectl apply keeps a copy of the whole object, a Secret's values included.
const lastApplied = "kubectl.kubernetes.io/last-applied-configuration"

// fetchYAML reads an object and writes it as YAML, without managedFields, and a Secret's values masked.
func fetchYAML(ctx context.Context, k *cluster.Kube, o Object) (string, error) {
	u, err := k.Dynamic().Resource(o.GVR).Namespace(o.Namespace).Get(ctx, o.Name, metav1.GetOptions{})
	if err != nil {
		return "", fmt.Errorf("reading %s %s: %s", o.Kind, nameOf(o), cluster.Explain(err))
	}
	if o.UID != "" && string(u.GetUID()) != o.UID {
		return "", fmt.Errorf("%s %s is gone; another object of the same name was made at %s: go back and open that one",
			o.Kind, nameOf(o), u.GetCreationTimestamp().UTC().Format("2006-01-02 15:04:05Z"))
	}
	u.SetManagedFields(nil)
	if o.GVR.GroupResource() == (schema.GroupResource{Resource: "secrets"}) {
		maskSecret(u)
	}
	data, err := yamltext.Marshal(u.Object)
	if err != nil {
		return "", fmt.Errorf("writing %s %s as YAML: %w", o.Kind, nameOf(o), err)
	}
	return string(data), nil
}

func nameOf(o Object) string {
	if o.Namespace == "" {
		return o.Name
	}
	return o.Namespace + "/" + o.Name
}

// maskSecret replaces the values of a Secret by their length.
func maskSecret(u *unstructured.Unstructured) {
	for _, field := range []string{"data", "stringData"} {
		values, ok := u.Object[field].(map[string]any)
		if !ok {
			continue
		}
		for k, v := range values {
			s, _ := v.(string)
			n := len(s)
			if field == "data" {
				if raw, err := base64.StdEncoding.DecodeString(s); err == nil {
					n = len(raw)
				}
			}
			values[k] = fmt.Sprintf("(masked, %d bytes)", n)
		}
	}
	if a := u.GetAnnotations(); a[lastApplied] != "" {
		a[lastApplied] = "(masked)"
		u.SetAnnotations(a)
	}
}

// fetchDescription is what kubectl describe prints.
func fetchDescription(k *cluster.Kube, o Object) (string, error) {
	gvk := o.GVR.GroupVersion().WithKind(o.Kind)
	cfg := k.Config()
	cfg.Timeout = readTimeout // describe takes no context
	d, ok := describe.DescriberFor(gvk.GroupKind(), cfg)
	if !ok {
		scope := meta.RESTScopeRoot
		if o.Namespace != "" {
			scope = meta.RESTScopeNamespace
		}
		d, ok = describe.GenericDescriberFor(&meta.RESTMapping{Resource: o.GVR, GroupVersionKind: gvk, Scope: scope}, cfg)
	}
	if !ok {
		return "", fmt.Errorf("%s cannot be described; y shows its YAML", o.Kind)
	}
	s, err := d.Describe(o.Namespace, o.Name, describe.DescriberSettings{ShowEvents: true, ChunkSize: 500})
	if err != nil {
		return "", fmt.Errorf("describing %s %s: %s", o.Kind, nameOf(o), cluster.Explain(err))
	}
	return s, nil
}
