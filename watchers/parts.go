package watchers

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Who may not list a resource in all namespaces may often do so in some. While the cluster-wide list is denied, a source is kept by
// parts, one for each namespace that may be read: each with a reflector, a place in the queue for lists and a state of its own, all
// with the same store, in which each touches only the rows of its namespace. The cluster-wide list is tried again all the while
// (Options.DeniedRetry); when it is allowed the parts end.

// maxParts is how many namespaces are tried; what the caller names comes first.
const maxParts = 20

// clusterScoped reports whether a resource is known to have no namespaces. Of others the server tells (404).
func clusterScoped(gvr schema.GroupVersionResource) bool {
	return gvr == Nodes() || gvr == Namespaces()
}

// union is the source of several namespaces. Its fields belong to the source's lock.
type union struct {
	src   *source
	parts []*part
	total int         // namespaces there are, as far as is known
	whole atomic.Bool // some namespace was read
}

// denied is called after an attempt that was denied, or whose resource is not there.
func (p *part) denied(ctx context.Context, st State) {
	s := p.src
	switch {
	case p != s.main:
		// It is not allowed, or no longer: what is shown of it, from then or from a time when all could be read, would be shown for ever.
		if p.status.isSynced() || s.settled() {
			p.rows.(*partRows).drop()
		}
	case st.Phase == Denied && st.Verb == "list" && p.namespace == "" && !clusterScoped(s.key.GVR):
		s.fallBack(ctx)
	}
}

// fallBack starts parts for the namespaces that may perhaps be read, those that are not read yet.
func (s *source) fallBack(ctx context.Context) {
	names, total := s.hub.spaces.names(ctx, s.hub)
	if ctx.Err() != nil {
		return
	}
	s.mu.Lock()
	u := s.union
	if u == nil && len(names) > 0 {
		u = &union{src: s}
		s.union = u
	}
	var fresh []*part
	if u != nil {
		u.total = max(total, len(u.parts))
		for _, name := range names {
			if len(u.parts) < maxParts && !slices.ContainsFunc(u.parts, func(p *part) bool { return p.namespace == name }) {
				p := newPart(s, name)
				u.parts = append(u.parts, p)
				fresh = append(fresh, p)
			}
		}
	}
	s.mu.Unlock()
	for _, p := range fresh {
		pctx, cancel := context.WithCancel(ctx)
		p.end = cancel
		s.hub.g.Go("source "+s.key.resource()+" in "+p.namespace, func(context.Context) { defer cancel(); p.run(pctx) })
	}
	s.status.set(func() {
		if s.status.fallback = u != nil; u != nil {
			s.status.union = u.state
		}
	})
}

func newPart(s *source, namespace string) *part {
	p := &part{src: s, namespace: namespace, status: newStatus(s.key.resource(), func() { s.status.set(nil) })}
	p.rows = &partRows{Store: s.store, part: p}
	p.slot = &ticket{slots: &s.hub.slots, part: p}
	p.status.health = s.hub.Health()
	p.end = func() {}
	return p
}

// reunite ends the parts: all namespaces may be read together.
func (s *source) reunite() {
	s.mu.Lock()
	u := s.union
	s.union = nil
	s.mu.Unlock()
	if u == nil {
		return
	}
	for _, p := range u.parts {
		p.rows.(*partRows).finish()
		p.end()
	}
	s.status.set(func() { s.status.fallback = true })
}

// each calls f with the status of the source and of each of its parts.
func (s *source) each(f func(*status)) {
	f(s.status)
	s.mu.Lock()
	var parts []*part
	if s.union != nil {
		parts = slices.Clone(s.union.parts)
	}
	s.mu.Unlock()
	for _, p := range parts {
		f(p.status)
	}
}

// state is the worst of the namespaces that may be read; own, the state of the cluster-wide list, when none may.
func (u *union) state(own State) State {
	if own.Phase != Denied {
		own = State{Phase: Denied, Since: own.Since, Why: own.Why, Verb: "list", Resource: u.src.status.resource}
	}
	u.src.mu.Lock()
	parts, total := slices.Clone(u.parts), u.total
	u.src.mu.Unlock()
	var out State
	var names []string
	loaded := 0
	for _, p := range parts {
		st := p.status.State()
		if st.Phase == Denied || st.Phase == Unsupported {
			continue
		}
		loaded += st.Loaded
		if names = append(names, p.namespace); len(names) == 1 || worse(st, out) {
			out = st
		}
	}
	if len(names) == 0 {
		return own
	}
	switch out.Phase {
	case Connecting:
		out.Loaded = loaded
	case Live:
		out.Partial = true
		out.Why = unionNote(u.src.key.GVR.Resource, names, len(parts), total)
	}
	return out
}

// worse reports whether a namespace's state says more of the union than another's.
func worse(a, b State) bool {
	rank := func(s State) int { return slices.Index([]Phase{Live, Connecting, Stale}, s.Phase) }
	if ra, rb := rank(a), rank(b); ra != rb {
		return ra > rb
	}
	return a.Phase == Stale && a.Since.Before(b.Since) || a.Phase == Live && a.Since.After(b.Since)
}

// unionNote says which namespaces are shown of how many.
func unionNote(resource string, names []string, tried, total int) string {
	const some = 3
	n, list := len(names), strings.Join(names[:min(some, len(names))], ", ")
	if n > some {
		list += fmt.Sprintf(" and %d more", n-some)
	}
	if total > tried {
		list += fmt.Sprintf(" (%d of %d namespaces tried)", tried, total)
	}
	return "only " + list + ": may not list " + resource + " in all namespaces"
}

// wholeRows is the store as the part of all namespaces sees it.
type wholeRows struct {
	*Store
	src *source
}

// Replace makes the list all there is. The parts have ended before.
func (w wholeRows) Replace(list []any, rv string) error {
	w.src.reunite()
	return w.Store.Replace(list, rv)
}

// partRows is the store as the part of one namespace sees it.
type partRows struct {
	*Store
	part *part

	mu    sync.Mutex
	ended bool
	whole bool // a whole list of the namespace has arrived
}

// finish makes every later write do nothing.
func (r *partRows) finish() {
	r.mu.Lock()
	r.ended = true
	r.mu.Unlock()
}

func (r *partRows) do(f func() error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ended {
		return nil
	}
	return f()
}

// Add puts an object, or a row, into the store.
func (r *partRows) Add(obj any) error { return r.do(func() error { return r.Store.Add(obj) }) }

// Update is Add.
func (r *partRows) Update(obj any) error { return r.do(func() error { return r.Store.Update(obj) }) }

// Delete removes an object, or a row.
func (r *partRows) Delete(obj any) error { return r.do(func() error { return r.Store.Delete(obj) }) }

// Replace makes the list all there is in the namespace. When it is the first one that may be read, rows of other namespaces, from a
// time when all could be read, go.
func (r *partRows) Replace(list []any, _ string) error {
	err := r.do(func() error {
		r.whole = true
		return r.Store.replaceNamespace(r.part.namespace, list)
	})
	if err != nil {
		return err
	}
	r.part.src.settle(r.part)
	r.part.status.whole()
	return nil
}

// drop removes the rows of the namespace.
func (r *partRows) drop() {
	_ = r.do(func() error { return r.Store.replaceNamespace(r.part.namespace, nil) })
}

// settle removes the rows of namespaces that no part keeps, once a part has read its own. One that is denied keeps none; one that will
// be denied sees that it is settled, see denied.
func (s *source) settle(first *part) {
	s.mu.Lock()
	u := s.union
	if u == nil || !u.whole.CompareAndSwap(false, true) {
		s.mu.Unlock()
		return
	}
	parts := slices.Clone(u.parts)
	s.mu.Unlock()
	names := []string{first.namespace}
	for _, p := range parts {
		if phase := p.status.State().Phase; phase != Denied && phase != Unsupported {
			names = append(names, p.namespace)
		}
	}
	s.store.keepNamespaces(names)
}

// settled reports whether some namespace of those that stand in for all was read.
func (s *source) settled() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.union != nil && s.union.whole.Load()
}

func (r *partRows) preview(row Row) {
	_ = r.do(func() error {
		if r.whole {
			return nil
		}
		return r.Store.Add(row)
	})
}

func (r *partRows) setColumns(c []TableColumn) {
	_ = r.do(func() error { r.Store.setColumns(c); return nil })
}

// spaces is what a hub knows of the namespaces that may perhaps be read one by one.
type spaces struct {
	mu    sync.Mutex
	asked time.Time
	list  []string
	total int
}

// names returns the namespaces to try, at most maxParts: those of the options, and as many as may be listed. total is how many there
// are. It asks the server at most once in Options.DeniedRetry for all sources together.
func (n *spaces) names(ctx context.Context, h *Hub) (names []string, total int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.asked.IsZero() || time.Since(n.asked) > h.opt.DeniedRetry/2 {
		ctx, cancel := context.WithTimeout(ctx, spacesTimeout)
		defer cancel()
		list, err := h.kube.CoreV1().Namespaces().List(ctx, metav1.ListOptions{Limit: maxParts + int64(len(h.opt.FallbackNamespaces))})
		n.list, n.total, n.asked = nil, 0, time.Now()
		if err == nil {
			for i := range list.Items {
				n.list = append(n.list, list.Items[i].Name)
			}
			n.total = len(n.list)
			if list.RemainingItemCount != nil {
				n.total += int(*list.RemainingItemCount)
			}
		}
	}
	for _, name := range slices.Concat(h.opt.FallbackNamespaces, n.list) {
		if name != "" && len(names) < maxParts && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names, max(n.total, len(names))
}

// spacesTimeout bounds the question for the namespaces.
const spacesTimeout = 5 * time.Second
