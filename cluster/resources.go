package cluster

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
)

// Resource is one API resource that can be listed, in the version the server prefers.
type Resource struct {
	Name       string // plural: "deployments"
	Singular   string // "deployment"
	ShortNames []string
	Kind       string
	Group      string // "" is core
	Version    string
	Namespaced bool
	Verbs      []string
	Categories []string // "all"
}

// GVR is what clients take.
func (r Resource) GVR() schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: r.Group, Version: r.Version, Resource: r.Name}
}

// GVK is its kind.
func (r Resource) GVK() schema.GroupVersionKind {
	return schema.GroupVersionKind{Group: r.Group, Version: r.Version, Kind: r.Kind}
}

// FullName is "deployments.apps", "pods".
func (r Resource) FullName() string {
	if r.Group == "" {
		return r.Name
	}
	return r.Name + "." + r.Group
}

// Can reports whether the resource has a verb at all ("watch"); it says nothing of permission.
func (r Resource) Can(verb string) bool { return slices.Contains(r.Verbs, verb) }

// GroupFailure is an API group that could not be discovered, usually an aggregated API server that is down.
type GroupFailure struct {
	GroupVersion string
	Err          string // untrusted
}

// Resources is what the API server offers. It is immutable.
type Resources struct {
	List    []Resource // in the server's order of groups
	Partial []GroupFailure
	At      time.Time
}

// Lookup finds a resource as kubectl does: by plural, singular, short name or kind, in any case, alone or followed by the group or
// by version and group ("deploy", "deployments.apps", "deployments.v1.apps"). Without a group the first one in the server's order is
// taken, and a plural before a singular before a short name before a kind.
func (r *Resources) Lookup(name string) (Resource, bool) {
	name = strings.ToLower(name)
	short, rest, qualified := strings.Cut(name, ".")
	match := func(want string, in func(Resource) bool) (Resource, bool) {
		for _, by := range []func(Resource) bool{
			func(x Resource) bool { return x.Name == want },
			func(x Resource) bool { return x.Singular == want },
			func(x Resource) bool { return slices.Contains(x.ShortNames, want) },
			func(x Resource) bool { return strings.ToLower(x.Kind) == want },
		} {
			for _, x := range r.List {
				if by(x) && in(x) {
					return x, true
				}
			}
		}
		return Resource{}, false
	}
	if !qualified {
		return match(name, func(Resource) bool { return true })
	}
	return match(short, func(x Resource) bool {
		return x.Group == rest || strings.TrimSuffix(x.Version+"."+x.Group, ".") == rest
	})
}

const resourcesTTL = time.Minute

type resourceCache struct {
	mu  sync.Mutex // held during discovery: one at a time
	cur *Resources
}

// Resources returns what can be listed. The answer is kept for a minute. Groups that could not be discovered are in Partial; an
// error means that nothing could be.
func (k *Kube) Resources(ctx context.Context) (*Resources, error) {
	k.resources.mu.Lock()
	defer k.resources.mu.Unlock()
	if c := k.resources.cur; c != nil && time.Since(c.At) < resourcesTTL {
		return c, nil
	}
	ctx, cancel := context.WithTimeout(ctx, 3*callTimeout)
	defer cancel()
	lists, err := discovery.ServerPreferredResourcesWithContext(ctx, discovery.ToDiscoveryInterfaceWithContext(k.typed.Discovery()))
	out := &Resources{At: time.Now()}
	if failed, ok := discovery.GroupDiscoveryFailedErrorGroups(err); ok {
		for gv, err := range failed {
			out.Partial = append(out.Partial, GroupFailure{GroupVersion: gv.String(), Err: err.Error()})
		}
		slices.SortFunc(out.Partial, func(a, b GroupFailure) int { return strings.Compare(a.GroupVersion, b.GroupVersion) })
	} else if err != nil {
		return nil, fmt.Errorf("ask the API server for its resources: %w", err)
	}
	for _, l := range lists {
		gv, err := schema.ParseGroupVersion(l.GroupVersion)
		if err != nil {
			continue
		}
		for _, x := range l.APIResources {
			if strings.Contains(x.Name, "/") || !slices.Contains(x.Verbs, "list") {
				continue
			}
			r := Resource{
				Name: x.Name, Singular: x.SingularName, ShortNames: x.ShortNames, Kind: x.Kind, Group: gv.Group, Version: gv.Version,
				Namespaced: x.Namespaced, Verbs: x.Verbs, Categories: x.Categories,
			}
			if x.Group != "" {
				r.Group = x.Group
			}
			if x.Version != "" {
				r.Version = x.Version
			}
			if r.Singular == "" {
				r.Singular = strings.ToLower(r.Kind)
			}
			out.List = append(out.List, r)
		}
	}
	k.resources.cur = out
	return out, nil
}
