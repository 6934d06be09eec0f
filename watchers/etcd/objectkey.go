package etcd

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/scheme"
)

// ObjectID names an object of the API as its key does: without a version.
type ObjectID struct {
	Group, Resource string // resource is the plural: "deployments"
	Namespace, Name string // Namespace is empty for what has none
}

// String is "pods shop/web-1", "nodes node-1".
func (o ObjectID) String() string {
	s := schema.GroupResource{Group: o.Group, Resource: o.Resource}.String() + " "
	if o.Namespace != "" {
		s += o.Namespace + "/"
	}
	return s + o.Name
}

// places are where kinds are stored whose place is not the name of their resource
// (kubernetes, pkg/kubeapiserver/default_storage_factory_builder.go: SpecialDefaultResourcePrefixes).
var places = map[schema.GroupResource]string{
	{Resource: "replicationcontrollers"}:                "controllers",
	{Resource: "endpoints"}:                             "services/endpoints",
	{Resource: "nodes"}:                                 "minions",
	{Resource: "services"}:                              "services/specs",
	{Group: "extensions", Resource: "ingresses"}:        "ingress",
	{Group: "networking.k8s.io", Resource: "ingresses"}: "ingress",
}

// noObjects are the places whose keys are the API server's own and no objects of the API, each with what they are.
var noObjects = []struct{ place, what string }{
	{"ranges", "an allocation of Service addresses or node ports: the API server's own record, which it serves to nobody"},
	{"masterleases", "the address of an API server, which it renews every few seconds; it becomes the endpoints of the Service kubernetes"},
	{"peerserverleases", "the address under which API servers reach each other"},
	{"health", "what the API server's health check asks for; it is not meant to exist"},
}

// KeyOf is the key under which the API server stores an object. prefix is its --etcd-prefix; empty: "/registry". Built-in groups are
// not part of it, those of custom resources (and apiextensions.k8s.io, apiregistration.k8s.io) are. other is where it would be if the
// group were of the other sort: a built-in one of a newer Kubernetes than client-go's looks like a custom one; it may be empty.
func KeyOf(prefix string, o ObjectID) (key, other string) {
	base := strings.TrimSuffix(cmp.Or(prefix, "/registry"), Separator) + Separator
	tail := Separator
	if o.Namespace != "" {
		tail += o.Namespace + Separator
	}
	tail += o.Name
	if place, ok := places[schema.GroupResource{Group: o.Group, Resource: o.Resource}]; ok {
		return base + place + tail, ""
	}
	switch {
	case builtIn(o.Group):
		return base + o.Resource + tail, ""
	case strings.HasSuffix(o.Group, ".k8s.io"):
		return base + o.Group + Separator + o.Resource + tail, base + o.Resource + tail
	}
	return base + o.Group + Separator + o.Resource + tail, ""
}

func builtIn(group string) bool { return group == "" || scheme.Scheme.IsGroupRegistered(group) }

// ObjectOf is the object that is stored under a key, as the key alone tells it. The error says why a key is no object's. The group of
// a built-in kind is not in the key: it is that of client-go's kind of that name, and [ObjectID.Stored] takes it from the value.
func ObjectOf(prefix, key string) (ObjectID, error) {
	base := strings.TrimSuffix(cmp.Or(prefix, "/registry"), Separator) + Separator
	rest, ok := strings.CutPrefix(key, base)
	if !ok {
		return ObjectID{}, fmt.Errorf("%q is not under %s: Kubernetes keeps no object there", key, base)
	}
	for _, n := range noObjects {
		if rest == n.place || strings.HasPrefix(rest, n.place+Separator) {
			return ObjectID{}, fmt.Errorf("%q is no object: it is %s", key, n.what)
		}
	}
	o := ObjectID{}
	segments := strings.Split(rest, Separator)
	switch {
	case segments[0] == "services" && len(segments) > 2 && (segments[1] == "specs" || segments[1] == "endpoints"):
		o.Resource = map[string]string{"specs": "services", "endpoints": "endpoints"}[segments[1]]
		segments = segments[2:]
	case strings.Contains(segments[0], ".") && len(segments) > 2:
		o.Group, o.Resource = segments[0], segments[1]
		segments = segments[2:]
	default:
		g := atPlace(segments[0])
		o.Group, o.Resource = g.Group, g.Resource
		segments = segments[1:]
	}
	switch {
	case slices.Contains(segments, ""):
	case len(segments) == 1:
		o.Name = segments[0]
		return o, nil
	case len(segments) == 2:
		o.Namespace, o.Name = segments[0], segments[1]
		return o, nil
	}
	return ObjectID{}, fmt.Errorf("%q is no object: an object's key is %sRESOURCE/[NAMESPACE/]NAME", key, base)
}

// Stored returns the object's resource in the group and version of what is stored (apiVersion of the decoded value).
func (o ObjectID) Stored(apiVersion string) (schema.GroupVersionResource, error) {
	gv, err := schema.ParseGroupVersion(apiVersion)
	if err != nil || gv.Version == "" {
		return schema.GroupVersionResource{}, fmt.Errorf("%s: it is not known in which version it is stored (apiVersion %q)", o, apiVersion)
	}
	return gv.WithResource(o.Resource), nil
}

// atPlace is the resource that is stored at a place.
func atPlace(place string) schema.GroupResource {
	switch place {
	case "minions":
		return schema.GroupResource{Resource: "nodes"}
	case "controllers":
		return schema.GroupResource{Resource: "replicationcontrollers"}
	case "ingress":
		return schema.GroupResource{Group: "networking.k8s.io", Resource: "ingresses"}
	}
	return schema.GroupResource{Group: groups()[place], Resource: place}
}

// groups are the built-in resources with their groups. Of a resource that is in two, it is the one it is stored in.
var groups = sync.OnceValue(func() map[string]string {
	out := map[string]string{}
	for gvk := range scheme.Scheme.AllKnownTypes() {
		if gvk.Version == "__internal" {
			continue
		}
		plural, _ := meta.UnsafeGuessKindToResource(gvk)
		r := plural.Resource
		if gvk.Kind == "Endpoints" {
			r = "endpoints"
		}
		if was, ok := out[r]; !ok || rank(gvk.Group) < rank(was) {
			out[r] = gvk.Group
		}
	}
	return out
})

// rank orders the groups that a resource is in: it is stored as one of the core group, and never as one of extensions.
func rank(group string) string {
	if group == "extensions" {
		return "~"
	}
	return group
}
