package watchers

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// warnWindow is how far back the overview's warnings reach.
const warnWindow = 15 * time.Minute

type overviewSources struct {
	nodes, pods, namespaces, events, deployments, statefulsets, daemonsets Key
}

func overviewKeys(ns string) overviewSources {
	return overviewSources{
		nodes: Key{GVR: Nodes()}, namespaces: Key{GVR: Namespaces()},
		pods: Key{GVR: Pods(), Namespace: ns}, events: Key{GVR: Events(), Namespace: ns},
		deployments: Key{GVR: Deployments(), Namespace: ns}, statefulsets: Key{GVR: StatefulSets(), Namespace: ns},
		daemonsets: Key{GVR: DaemonSets(), Namespace: ns},
	}
}

func (k overviewSources) all() []Key {
	return []Key{k.nodes, k.pods, k.namespaces, k.events, k.deployments, k.statefulsets, k.daemonsets}
}

func (k overviewSources) workloads() []Key { return []Key{k.deployments, k.statefulsets, k.daemonsets} }

// overviewBuilder keeps what the picture is made of up to date row by row: a change costs itself, not the cluster's size.
type overviewBuilder struct {
	keys       overviewSources
	pods       podTally
	nodes      Overview // only what addNodes fills in
	namespaces int
	ending     []string
	workloads  map[Key]*workloadTally
	warnings   map[*EventRow]struct{}
}

func newOverviewBuilder(ns string) *overviewBuilder {
	return &overviewBuilder{keys: overviewKeys(ns), workloads: map[Key]*workloadTally{}}
}

func (b *overviewBuilder) build(in Inputs) *Overview {
	if in.Changed(b.keys.nodes) { // a few thousand, and they change rarely
		b.nodes = Overview{}
		b.nodes.addNodes(in.Rows(b.keys.nodes))
	}
	if in.Changed(b.keys.namespaces) {
		b.addNamespaces(in.Rows(b.keys.namespaces))
	}
	b.pods.apply(in.Changes(b.keys.pods))
	o := &Overview{
		Window: warnWindow, Nodes: b.nodes.Nodes, Capacity: b.nodes.Capacity, Allocable: b.nodes.Allocable,
		Namespaces: b.namespaces, Ending: b.ending,
		Pods: b.pods.counts(), Requested: b.pods.requested, Limited: b.pods.limited,
	}
	for _, key := range b.keys.workloads() {
		w := b.workloads[key]
		if w == nil {
			w = &workloadTally{}
			b.workloads[key] = w
		}
		w.apply(in.Changes(key))
		o.Workloads += w.total
		o.Short = slices.AppendSeq(o.Short, maps.Keys(w.short))
	}
	o.ShortTotal = len(o.Short)
	slices.SortFunc(o.Short, func(a, b *WorkloadRow) int {
		return cmp.Or(cmp.Compare(b.Desired-b.Ready, a.Desired-a.Ready), compareDefault(a, b), cmp.Compare(a.Kind, b.Kind))
	})
	o.Short = slices.Clone(o.Short[:min(TopN, len(o.Short))])
	b.addEvents(in.Changes(b.keys.events))
	o.addWarnings(b.warnings, in.Now)
	return o
}

func (b *overviewBuilder) addNamespaces(rows []Row) {
	b.namespaces, b.ending = 0, nil
	for _, r := range rows {
		n, ok := r.(*NamespaceRow)
		if !ok {
			continue
		}
		b.namespaces++
		if n.Phase == "Terminating" {
			b.ending = append(b.ending, n.Name)
		}
	}
	slices.Sort(b.ending)
}

func (o *Overview) addNodes(rows []Row) {
	for _, r := range rows {
		n, ok := r.(*NodeRow)
		if !ok {
			continue
		}
		o.Nodes.Total++
		o.Capacity = o.Capacity.Add(n.Allocatable)
		if n.Ready {
			o.Nodes.Ready++
			if len(n.Conditions) > 0 {
				o.Nodes.Pressure++
			}
		}
		if n.Cordoned {
			o.Nodes.Cordoned++
		}
		if n.Ready && !n.Cordoned {
			o.Allocable = o.Allocable.Add(n.Allocatable)
		}
	}
}

func (o *Overview) addWarnings(events map[*EventRow]struct{}, now time.Time) {
	type id struct{ reason, kind, ns, object string }
	groups := map[id]*WarningGroup{}
	for e := range events {
		if now.Sub(e.Last) > warnWindow {
			continue
		}
		o.WarnTotal++
		k := id{e.Reason, e.Kind, e.Namespace, e.Object}
		g := groups[k]
		if g == nil {
			g = &WarningGroup{Reason: e.Reason, Kind: e.Kind, Namespace: e.Namespace, Object: e.Object}
			groups[k] = g
		}
		g.Count += int(e.Count)
		if g.Event == nil || e.Last.After(g.Last) || e.Last.Equal(g.Last) && e.UID > g.Event.UID {
			g.Last, g.Message, g.Event = e.Last, e.Message, e
		}
	}
	for _, g := range groups {
		o.Warnings = append(o.Warnings, *g)
	}
	slices.SortFunc(o.Warnings, func(a, b WarningGroup) int {
		return cmp.Or(b.Last.Compare(a.Last), cmp.Compare(a.Event.UID, b.Event.UID))
	})
	o.Warnings = slices.Clone(o.Warnings[:min(TopN, len(o.Warnings))])
}
