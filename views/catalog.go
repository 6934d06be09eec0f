package views

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/util/validation"

	"fathom/cluster"
	"fathom/watchers/etcd"
)

// Catalog knows every view by name and makes the panes. It implements ui.Opener.
type Catalog struct {
	env       *Env
	kinds     []Kind
	special   []special
	resources atomic.Pointer[cluster.Resources] // nil until discovery has answered
	recent    []string                          // namespaces, the newest first
	only      string                            // see Only
	identity  identityCache
}

// special is a view that is not one resource.
type special struct {
	name    string
	aliases []string
	help    string
	object  bool // needs an object, so it cannot be opened by name alone
	wide    bool // a picture of the whole cluster: of one namespace only when that is named
	open    func(*Env, Ref) (Pane, error)
}

// keyViews are the views whose argument is an etcd key or a prefix of some.
var keyViews = []string{"keys", "history", "watch", "space"}

// Only makes a namespace the one that pictures of the whole cluster show when none is named: the one fathom was started with.
func (c *Catalog) Only(namespace string) { c.only = namespace }

// NewCatalog makes the catalog and starts discovery in the background.
func NewCatalog(env *Env, namespace string) *Catalog {
	c := &Catalog{env: env, kinds: Typed(), special: specials()}
	env.Resources = c.resources.Load
	if env.Scans == nil {
		env.Scans = &etcd.SpaceScans{}
	}
	c.remember("default")
	c.remember("kube-system")
	c.remember(namespace)
	if k := env.Cluster.Kube(); k != nil {
		env.Group.Go("discovery", func(ctx context.Context) { c.discover(ctx, k) })
	}
	return c
}

// discover asks for the resources until the API server has told them, then again every few minutes: a CRD may have come.
func (c *Catalog) discover(ctx context.Context, k *cluster.Kube) {
	wait := time.NewTimer(0)
	defer wait.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-wait.C:
		}
		next := 2 * time.Second
		if r, err := k.Resources(ctx); err == nil {
			c.resources.Store(r)
			next = 3 * time.Minute
		}
		wait.Reset(next)
	}
}

// WaitForResources waits until discovery has answered or ctx ends.
func (c *Catalog) WaitForResources(ctx context.Context) error {
	t := time.NewTicker(20 * time.Millisecond)
	defer t.Stop()
	for c.resources.Load() == nil {
		if c.env.Cluster.Kube() == nil {
			return errors.New("there is no API server to ask for its resources")
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("asking the API server for its resources: %w", ctx.Err())
		case <-t.C:
		}
	}
	return nil
}

// Known reports whether a view of that name can be opened without asking the API server for its resources.
func (c *Catalog) Known(name string) bool {
	name = strings.ToLower(name)
	_, sp := c.findSpecial(name)
	_, k := c.findKind(name)
	return sp || k
}

func (c *Catalog) findSpecial(name string) (special, bool) {
	for _, s := range c.special {
		if s.name == name || slices.Contains(s.aliases, name) {
			return s, true
		}
	}
	return special{}, false
}

func (c *Catalog) findKind(name string) (Kind, bool) {
	for _, k := range c.kinds {
		full := k.GVR.Resource
		if k.GVR.Group != "" {
			full += "." + k.GVR.Group
		}
		if name == k.GVR.Resource || name == full || slices.Contains(k.Short, name) {
			return k, true
		}
	}
	return Kind{}, false
}

// Resolve implements ui.Opener: "pods", "po shop", "deploy -A /web", "keys /registry/pods", "vm".
func (c *Catalog) Resolve(line, namespace string) (Ref, error) {
	words := strings.Fields(line)
	if len(words) == 0 {
		return Ref{}, errors.New("type a view or a resource, for example :pods")
	}
	name, rest := strings.ToLower(words[0]), words[1:]
	r := Ref{Namespace: namespace}
	sp, isSpecial := c.findSpecial(name)
	switch {
	case isSpecial:
		if sp.object {
			return Ref{}, fmt.Errorf("view %q shows one object: select it in its list and press the key for it", name)
		}
		r.View = sp.name
		if sp.wide {
			r.Namespace = c.only
		}
	default:
		view, err := c.resourceView(name)
		if err != nil {
			return Ref{}, err
		}
		r.View = view
	}
	if r.View == "search" { // its blanks are part of it
		r.Filter = strings.TrimSpace(strings.TrimSpace(line)[len(words[0]):])
		if r.Filter == "" {
			return r, nil
		}
		_, err := etcd.ParseSearch(r.Filter)
		return r, err
	}
	if slices.Contains(keyViews, r.View) { // a key may have blanks in it
		r.Object.Key = strings.TrimSpace(strings.TrimSpace(line)[len(words[0]):])
		return r, nil
	}
	if err := r.narrow(rest); err != nil {
		return r, fmt.Errorf(":%s: %w", name, err)
	}
	c.remember(r.Namespace)
	return r, nil
}

// narrow takes what was typed after the name of a view: a namespace, also as -n NAMESPACE, or -A for all; then a filter, which goes on to the end:
// "/web", and what a filter may begin with, "-l app=web" and "-f wb". What it does not know is an error: nothing that was typed is left out.
func (r *Ref) narrow(words []string) error {
	named := ""
	for i := 0; i < len(words); i++ {
		w := words[i]
		if w == "-n" || w == "--namespace" {
			if i++; i == len(words) {
				return errors.New("-n: write a namespace after it, or -A for all")
			}
			w = words[i]
		} else if filter, ok := strings.CutPrefix(strings.Join(words[i:], " "), "/"); ok || w == "-l" || w == "-f" {
			r.Filter = filter
			_, err := ParseFilter(r.Filter)
			return err
		}
		all := slices.Contains([]string{"-A", "--all-namespaces", "all"}, w)
		switch {
		case named != "":
			return fmt.Errorf("%q after %q: there is one namespace, or -A for all; a filter begins with /", w, named)
		case strings.HasPrefix(w, "-") && !all:
			return fmt.Errorf("%q is no option here: write a namespace, -A for all, then /filter or -l label=value", w)
		case !all && len(validation.IsDNS1123Label(w)) > 0:
			return fmt.Errorf("%q can be no namespace: small letters, digits and -, at most 63; a filter begins with /", w)
		}
		if named, r.Namespace = w, w; all {
			r.Namespace = AllNamespaces
		}
	}
	return nil
}

// resourceView finds the canonical view name of a resource.
func (c *Catalog) resourceView(name string) (string, error) {
	if k, ok := c.findKind(name); ok {
		return k.GVR.Resource, nil
	}
	rs := c.resources.Load()
	if rs == nil {
		if c.env.Cluster.Kube() == nil {
			return "", fmt.Errorf("%q is no view, and without an API server there are no resources; try :overview, :members or :keys", name)
		}
		return "", fmt.Errorf("%q is no view, and the API server has not told its resources yet: try again in a moment", name)
	}
	res, ok := rs.Lookup(name)
	if !ok {
		msg := fmt.Sprintf("%q is neither a view nor a resource of this cluster", name)
		if near := c.Complete(name[:min(len(name), 3)]); len(near) > 0 {
			msg += "; did you mean " + strings.Join(near[:min(3, len(near))], ", ") + "?"
		}
		return "", errors.New(msg)
	}
	return res.FullName(), nil
}

// Pane implements ui.Opener.
func (c *Catalog) Pane(r Ref) (Pane, error) {
	if s, ok := c.findSpecial(r.View); ok {
		return s.open(c.env, r)
	}
	if k, ok := c.findKind(r.View); ok {
		return newResource(c.env, r, k, false)
	}
	rs := c.resources.Load()
	if rs == nil {
		return nil, fmt.Errorf("opening %s: the API server has not told its resources yet", r.View)
	}
	res, ok := rs.Lookup(r.View)
	if !ok {
		return nil, fmt.Errorf("opening %s: this cluster has no such resource (any more)", r.View)
	}
	return newResource(c.env, r, listedKind(res), true)
}

// Complete implements ui.Opener: the views and resources whose name starts with what was typed, then those that contain it.
func (c *Catalog) Complete(typed string) []string {
	typed = strings.ToLower(strings.TrimLeft(typed, " "))
	if strings.Contains(typed, " ") {
		return nil
	}
	var names []string
	for _, s := range c.special {
		if !s.object {
			names = append(names, s.name)
		}
	}
	for _, k := range c.kinds {
		names = append(names, k.GVR.Resource)
	}
	if rs := c.resources.Load(); rs != nil {
		for _, r := range rs.List {
			names = append(names, r.Name)
		}
	}
	var starts, contains []string
	for _, n := range names {
		switch {
		case slices.Contains(starts, n) || slices.Contains(contains, n):
		case strings.HasPrefix(n, typed):
			starts = append(starts, n)
		case len(typed) > 1 && strings.Contains(n, typed):
			contains = append(contains, n)
		}
	}
	out := append(starts, contains...)
	return out[:min(len(out), 12)]
}

// Names lists every view that can be opened by name: for help and error messages.
func (c *Catalog) Names() []string {
	var names []string
	for _, s := range c.special {
		if !s.object {
			names = append(names, s.name)
		}
	}
	for _, k := range c.kinds {
		names = append(names, k.GVR.Resource)
	}
	return names
}

func (c *Catalog) remember(ns string) {
	if ns == AllNamespaces {
		return
	}
	c.recent = slices.DeleteFunc(c.recent, func(s string) bool { return s == ns })
	c.recent = append([]string{ns}, c.recent...)
	c.recent = c.recent[:min(len(c.recent), 9)]
}

// Namespaces implements ui.Opener: the namespaces used last.
func (c *Catalog) Namespaces() []string { return c.recent }

// Kept implements ui.Opener.
func (c *Catalog) Kept() int { return c.env.drafts.count() }

// Refresh implements ui.Opener.
func (c *Catalog) Refresh() {
	if c.env.Hub != nil {
		c.env.Hub.Kick()
	}
}
