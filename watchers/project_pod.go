package watchers

import (
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	resourcehelper "k8s.io/component-helpers/resource"
)

// nodeLost is the reason the node lifecycle controller gives pods on a node that does not answer.
const nodeLost = "NodeLost"

func (p *Projector) pod(o *corev1.Pod) *PodRow {
	tpl := PodTemplate{
		Owner:          p.controller(&o.ObjectMeta),
		QoS:            p.share(string(o.Status.QOSClass)),
		PriorityClass:  p.share(o.Spec.PriorityClassName),
		ServiceAccount: p.share(o.Spec.ServiceAccountName),
		InitContainers: p.containers(o.Spec.InitContainers),
		Containers:     p.containers(o.Spec.Containers),
	}
	tpl.Requests, tpl.Limits = podAmounts(o)
	if o.Spec.Priority != nil {
		tpl.Priority = *o.Spec.Priority
	}
	tpl.Workload = tpl.Owner
	// A Deployment names its ReplicaSets after itself and the hash of the pod template.
	if hash := o.Labels["pod-template-hash"]; tpl.Owner.Kind == "ReplicaSet" && hash != "" {
		if name, ok := strings.CutSuffix(tpl.Owner.Name, "-"+hash); ok {
			tpl.Workload = Owner{Kind: "Deployment", Name: p.share(name)}
		}
	}
	meta, ip := p.metaAnd(&o.ObjectMeta, o.Status.PodIP)
	r := &PodRow{
		Meta:          meta,
		PodTemplate:   p.template(tpl),
		Phase:         p.share(string(o.Status.Phase)),
		IP:            ip,
		Node:          p.share(o.Spec.NodeName),
		NominatedNode: p.share(o.Status.NominatedNodeName),
		Message:       bounded(o.Status.Message),
	}
	if o.Status.StartTime != nil {
		r.Started = o.Status.StartTime.Time
	}
	for i := range o.Status.Conditions {
		c := &o.Status.Conditions[i]
		if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse {
			// The same sentence stands on every pod of a workload that does not fit.
			r.Unscheduled = p.share(bounded(c.Message))
		}
	}
	st := podStatus(o)
	r.Status = p.share(st.reason)
	r.ReadyCount, r.ContainerCount, r.Restarts, r.LastRestart = st.ready, st.total, st.restarts, st.lastRestart
	r.Class = classify(o, st)
	if r.Message == "" && r.Class == PodFailing {
		if r.Message = bounded(waitingMessage(o)); !strings.Contains(r.Message, o.Name) { // what names the pod no other row has
			r.Message = p.share(r.Message)
		}
	}
	return r
}

// podAmounts gives the effective requests and limits, as the scheduler counts them. Where only containers ask for anything, which is
// nearly everywhere, they are added up here: the library makes maps of them, which was nine tenths of what a row cost to make.
func podAmounts(o *corev1.Pod) (requests, limits Amount) {
	if len(o.Spec.InitContainers) > 0 || len(o.Spec.Overhead) > 0 || o.Spec.Resources != nil {
		opt := resourcehelper.PodResourcesOptions{}
		return amountOf(resourcehelper.PodRequests(o, opt)), amountOf(resourcehelper.PodLimits(o, opt))
	}
	for i := range o.Spec.Containers {
		r := &o.Spec.Containers[i].Resources
		requests, limits = requests.Add(amountOf(r.Requests)), limits.Add(amountOf(r.Limits))
	}
	return requests, limits
}

// podState is what kubectl's columns say of a pod.
type podState struct {
	reason      string
	ready       int32
	total       int32
	restarts    int32
	lastRestart time.Time
}

// podStatus gives READY, STATUS and RESTARTS as the server prints them for kubectl get pods; the algorithm is that of
// printPod in k8s.io/kubernetes/pkg/printers/internalversion/printers.go (v1.36).
func podStatus(o *corev1.Pod) podState {
	st := podState{reason: string(o.Status.Phase), total: int32(len(o.Spec.Containers))}
	if o.Status.Reason != "" {
		st.reason = o.Status.Reason
	}
	for i := range o.Status.Conditions {
		c := &o.Status.Conditions[i]
		if c.Type == corev1.PodScheduled && c.Reason == corev1.PodReasonSchedulingGated {
			st.reason = corev1.PodReasonSchedulingGated
		}
	}
	for i := range o.Spec.InitContainers {
		if isSidecar(&o.Spec.InitContainers[i]) {
			st.total++
		}
	}
	initializing, sidecars := initStatus(o, &st)
	if !initializing || hasCondition(o, corev1.PodInitialized) {
		// Init containers that are done no longer count; sidecars do.
		st.restarts, st.lastRestart = sidecars.restarts, sidecars.lastRestart
		mainStatus(o, &st)
	}
	switch {
	case o.DeletionTimestamp != nil && o.Status.Reason == nodeLost:
		st.reason = "Unknown"
	case o.DeletionTimestamp != nil && o.Status.Phase != corev1.PodSucceeded && o.Status.Phase != corev1.PodFailed:
		st.reason = "Terminating"
	}
	return st
}

func (st *podState) count(cs *corev1.ContainerStatus) {
	st.restarts += cs.RestartCount
	if t := cs.LastTerminationState.Terminated; t != nil && st.lastRestart.Before(t.FinishedAt.Time) {
		st.lastRestart = t.FinishedAt.Time
	}
}

// initStatus looks at the init containers up to the one that is at work or has failed.
func initStatus(o *corev1.Pod, st *podState) (initializing bool, sidecars podState) {
	for i := range o.Status.InitContainerStatuses {
		cs := &o.Status.InitContainerStatuses[i]
		st.count(cs)
		sidecar := false
		for j := range o.Spec.InitContainers {
			if c := &o.Spec.InitContainers[j]; c.Name == cs.Name {
				sidecar = isSidecar(c)
			}
		}
		if sidecar {
			sidecars.count(cs)
		}
		switch t, w := cs.State.Terminated, cs.State.Waiting; {
		case t != nil && t.ExitCode == 0:
			continue
		case sidecar && cs.Started != nil && *cs.Started:
			if cs.Ready {
				st.ready++
			}
			continue
		case t != nil:
			st.reason = "Init:" + terminatedReason(t)
		case w != nil && w.Reason != "" && w.Reason != "PodInitializing":
			st.reason = "Init:" + w.Reason
		default:
			st.reason = fmt.Sprintf("Init:%d/%d", i, len(o.Spec.InitContainers))
		}
		return true, sidecars
	}
	return false, sidecars
}

func mainStatus(o *corev1.Pod, st *podState) {
	running, failure := false, ""
	for i := len(o.Status.ContainerStatuses) - 1; i >= 0; i-- {
		cs := &o.Status.ContainerStatuses[i]
		st.count(cs)
		switch {
		case cs.State.Waiting != nil && cs.State.Waiting.Reason != "":
			st.reason = cs.State.Waiting.Reason
		case cs.State.Terminated != nil:
			st.reason = terminatedReason(cs.State.Terminated)
			if cs.State.Terminated.ExitCode != 0 {
				failure = st.reason
			}
		case cs.Ready && cs.State.Running != nil:
			running = true
			st.ready++
		}
	}
	if st.reason != "Completed" {
		return
	}
	switch {
	case running && hasCondition(o, corev1.PodReady):
		st.reason = "Running"
	case failure != "":
		st.reason = failure
	case running:
		st.reason = "NotReady"
	}
}

func terminatedReason(t *corev1.ContainerStateTerminated) string {
	switch {
	case t.Reason != "":
		return t.Reason
	case t.Signal != 0:
		return fmt.Sprintf("Signal:%d", t.Signal)
	}
	return fmt.Sprintf("ExitCode:%d", t.ExitCode)
}

func isSidecar(c *corev1.Container) bool {
	return c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways
}

func hasCondition(o *corev1.Pod, t corev1.PodConditionType) bool {
	for i := range o.Status.Conditions {
		if o.Status.Conditions[i].Type == t {
			return o.Status.Conditions[i].Status == corev1.ConditionTrue
		}
	}
	return false
}

// classify sorts kubectl's status word into a class.
func classify(o *corev1.Pod, st podState) PodClass {
	switch st.reason {
	case "Terminating":
		return PodTerminating
	case "Unknown", nodeLost:
		return PodUnknown
	case "Completed", "Succeeded":
		return PodCompleted
	case "ContainerCreating", "PodInitializing":
		return PodStarting
	case "Running":
		if st.ready < st.total {
			return PodNotReady
		}
		return PodRunning
	case "NotReady":
		return PodNotReady
	case "Pending", corev1.PodReasonSchedulingGated:
		if o.Spec.NodeName == "" {
			return PodPending
		}
		return PodStarting
	}
	if strings.HasPrefix(st.reason, "Init:") && strings.Contains(st.reason, "/") {
		return PodStarting
	}
	return PodFailing
}

// waitingMessage is the message of the first container that waits or has ended for a bad reason.
func waitingMessage(o *corev1.Pod) string {
	for _, list := range [][]corev1.ContainerStatus{o.Status.InitContainerStatuses, o.Status.ContainerStatuses} {
		for i := range list {
			if w := list[i].State.Waiting; w != nil && w.Message != "" {
				return w.Message
			}
			if t := list[i].State.Terminated; t != nil && t.ExitCode != 0 && t.Message != "" {
				return t.Message
			}
		}
	}
	return ""
}
