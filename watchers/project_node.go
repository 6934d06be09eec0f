package watchers

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

const rolePrefix = "node-role.kubernetes.io/"

func (p *Projector) node(o *corev1.Node) *NodeRow {
	info := &o.Status.NodeInfo
	r := &NodeRow{
		Meta:         p.meta(&o.ObjectMeta),
		Cordoned:     o.Spec.Unschedulable,
		Roles:        p.share(strings.Join(nodeRoles(o.Labels), ",")),
		Zone:         p.share(o.Labels[corev1.LabelTopologyZone]),
		Region:       p.share(o.Labels[corev1.LabelTopologyRegion]),
		InstanceType: p.share(o.Labels[corev1.LabelInstanceTypeStable]),
		Version:      p.share(info.KubeletVersion),
		OSImage:      p.share(info.OSImage),
		Kernel:       p.share(info.KernelVersion),
		Runtime:      p.share(info.ContainerRuntimeVersion),
		Arch:         p.share(info.Architecture),
		Allocatable:  amountOf(o.Status.Allocatable),
		Capacity:     amountOf(o.Status.Capacity),
		PodCIDR:      o.Spec.PodCIDR,
	}
	for _, a := range o.Status.Addresses {
		switch {
		case a.Type == corev1.NodeInternalIP && r.InternalIP == "":
			r.InternalIP = a.Address
		case a.Type == corev1.NodeExternalIP && r.ExternalIP == "":
			r.ExternalIP = a.Address
		}
	}
	for i := range o.Spec.Taints {
		t := &o.Spec.Taints[i]
		r.Taints = append(r.Taints, Taint{p.share(t.Key), p.share(t.Value), p.share(string(t.Effect))})
	}
	status := "Unknown"
	for i := range o.Status.Conditions {
		c := &o.Status.Conditions[i]
		switch {
		case c.Type == corev1.NodeReady:
			r.ReadySince, r.LastHeartbeat = c.LastTransitionTime.Time, c.LastHeartbeatTime.Time
			r.Ready = c.Status == corev1.ConditionTrue
			status = "Ready"
			if !r.Ready {
				status, r.ReadyMessage = "NotReady", bounded(c.Message)
				r.Conditions = append(r.Conditions, p.share("Ready="+string(c.Status)))
			}
		case c.Status == corev1.ConditionTrue:
			r.Conditions = append(r.Conditions, p.share(string(c.Type)))
		case c.Status == corev1.ConditionUnknown:
			r.Conditions = append(r.Conditions, p.share(string(c.Type)+"=Unknown"))
		}
	}
	if r.Cordoned {
		status += ",SchedulingDisabled"
	}
	r.Status = p.share(status)
	return r
}

func nodeRoles(set map[string]string) []string {
	var roles []string
	for k, v := range set {
		if role, ok := strings.CutPrefix(k, rolePrefix); ok && role != "" {
			roles = append(roles, role)
		} else if k == "kubernetes.io/role" && v != "" {
			roles = append(roles, v)
		}
	}
	slices.Sort(roles)
	return slices.Compact(roles)
}
