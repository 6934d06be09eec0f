package watchers

import (
	"cmp"
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

// build makes the picture; its cost is one pass over every source.
func (k overviewSources) build(in Inputs) *Overview {
	o := &Overview{Window: warnWindow}
	o.addNodes(in.Rows(k.nodes))
	o.addPods(in.Rows(k.pods))
	for _, r := range in.Rows(k.namespaces) {
		n, ok := r.(*NamespaceRow)
		if !ok {
			continue
		}
		o.Namespaces++
		if n.Phase == "Terminating" {
			o.Ending = append(o.Ending, n.Name)
		}
	}
	slices.Sort(o.Ending)
	for _, key := range []Key{k.deployments, k.statefulsets, k.daemonsets} {
		for _, r := range in.Rows(key) {
			if w, ok := r.(*WorkloadRow); ok {
				o.Workloads++
				if !w.AtStrength() {
					o.Short = append(o.Short, w)
				}
			}
		}
	}
	o.ShortTotal = len(o.Short)
	slices.SortFunc(o.Short, func(a, b *WorkloadRow) int {
		return cmp.Or(cmp.Compare(b.Desired-b.Ready, a.Desired-a.Ready), compareDefault(a, b), cmp.Compare(a.Kind, b.Kind))
	})
	o.Short = o.Short[:min(TopN, len(o.Short))]
	o.addWarnings(in.Rows(k.events), in.Now)
	return o
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

func (o *Overview) addPods(rows []Row) {
	problems := map[string]*Problem{}
	for _, r := range rows {
		p, ok := r.(*PodRow)
		if !ok {
			continue
		}
		o.Pods.Total++
		o.Pods.ByClass[p.Class]++
		if p.holdsNode() {
			o.Requested = o.Requested.Add(p.Requests)
			o.Requested.Pods++
			o.Limited = o.Limited.Add(p.Limits)
		}
		switch p.Class {
		case PodFailing, PodPending, PodUnknown, PodNotReady:
			word := p.Status
			if p.Class == PodNotReady {
				word = "NotReady"
			}
			g := problems[word]
			if g == nil {
				g = &Problem{Status: word, Class: p.Class, First: p}
				problems[word] = g
			}
			g.Count++
			if compareDefault(p, g.First) < 0 { // the same one every time
				g.First = p
			}
		}
	}
	for _, g := range problems {
		o.Pods.Problems = append(o.Pods.Problems, *g)
	}
	slices.SortFunc(o.Pods.Problems, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Status, b.Status))
	})
}

// holdsNode reports whether the pod takes room on a node, as the scheduler counts: it has one and has not finished.
func (r *PodRow) holdsNode() bool {
	return r.Node != "" && r.Phase != "Succeeded" && r.Phase != "Failed"
}

func (o *Overview) addWarnings(rows []Row, now time.Time) {
	type id struct{ reason, kind, ns, object string }
	groups := map[id]*WarningGroup{}
	for _, r := range rows {
		e, ok := r.(*EventRow)
		if !ok || e.Type != "Warning" || now.Sub(e.Last) > warnWindow {
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
	o.Warnings = o.Warnings[:min(TopN, len(o.Warnings))]
}
