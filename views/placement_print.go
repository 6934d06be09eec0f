package views

import (
	"errors"
	"fmt"
	"strings"

	"fathom/watchers"
)

// Print implements Printer: one array with an object per node and per pending pod, told apart by type: "node" or "pending". Fields
// that the other type has are null.
func (p *placement) Print(bool) (Printed, bool, error) {
	switch st := p.part(watchers.Key{GVR: watchers.Nodes()}); {
	case p.env.Hub == nil && p.snap.Gen == 0:
		return Printed{}, false, errors.New(p.State().Why)
	case p.snap.Gen == 0 || st.Phase == watchers.Connecting:
		return Printed{}, false, nil
	case st.Phase == watchers.Denied:
		return Printed{}, false, fmt.Errorf("you may not %s nodes, and without them there is no placement; ask for the permission", st.Verb)
	}
	switch st := p.part(watchers.Key{GVR: watchers.Pods(), Namespace: p.ref.Namespace}); st.Phase {
	case watchers.Connecting:
		return Printed{}, false, nil
	case watchers.Denied:
		return Printed{}, false, fmt.Errorf("you may not %s pods here; a namespace that you may read can be chosen with -n", st.Verb)
	}
	out := Printed{
		Titles: []string{"TYPE", "ZONE", "NAME", "STATUS", "CPU", "MEMORY", "PODS", "TAINTS", "REASON"},
		Keys: []string{"type", "name", "namespace", "zone", "status", "ready", "cordoned", "taints", "conditions", "cpuRequestedMilli",
			"cpuAllocatableMilli", "memoryRequestedBytes", "memoryAllocatableBytes", "pods", "podsRequested", "podsAllocatable", "createdAt", "reason"},
	}
	for _, n := range p.pic.nodes {
		r, alloc := n.Requested, n.Node.Allocatable
		g := gauges(r, alloc)
		status := n.Node.Status
		if n.Missing {
			status = "Missing"
		}
		out.Rows = append(out.Rows, []string{"node", firstOf(n.Node.Zone, "-"), n.Node.Name, status, g[0].gauge.Label.String(),
			g[1].gauge.Label.String(), g[2].gauge.Label.String(), taints(n.Node.Taints), ""})
		out.Values = append(out.Values, []any{"node", n.Node.Name, nil, n.Node.Zone, status, n.Node.Ready, n.Node.Cordoned, taintList(n.Node.Taints),
			append([]string{}, n.Node.Conditions...), r.MilliCPU, alloc.MilliCPU, r.Memory, alloc.Memory, len(n.Pods), r.Pods, alloc.Pods,
			timeValue(n.Node.Created), nil})
	}
	for _, pod := range p.pic.pending {
		reason := pendingReason(pod)
		out.Rows = append(out.Rows, []string{"pending", "-", pod.Namespace + "/" + pod.Name, pod.Status, CPU(pod.Requests.MilliCPU), Bytes(pod.Requests.Memory),
			"", "", strings.TrimSpace(reason)})
		out.Values = append(out.Values, []any{"pending", pod.Name, pod.Namespace, nil, pod.Status, nil, nil, nil, nil, pod.Requests.MilliCPU, nil,
			pod.Requests.Memory, nil, nil, nil, nil, timeValue(pod.Created), reason})
	}
	return out, true, nil
}
