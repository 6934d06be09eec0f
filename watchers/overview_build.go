package watchers

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

func (k overviewSources) build(in Inputs) *Overview { return &Overview{} }

func buildPlacement(nodes, pods []Row) *Placement { return &Placement{} }
