package actions

import (
	"context"
	"fmt"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"fathom/cluster"
)

// workload is what the actions need to know of a Deployment, StatefulSet, DaemonSet or ReplicaSet.
type workload struct {
	meta     *metav1.ObjectMeta
	pods     int32  // how many it is meant to have
	strategy string // of its updates, as a sentence; empty when it has none
	paused   bool   // Deployment only
	onDelete bool   // an update reaches a pod only when somebody deletes it
	template map[string]string
}

func getWorkload(ctx context.Context, c *cluster.Cluster, t Target) (workload, error) {
	k, err := kubeOf(c)
	if err != nil {
		return workload{}, err
	}
	return reading(ctx, t.String(), func(ctx context.Context) (workload, error) {
		apps, opts := k.AppsV1(), metav1.GetOptions{}
		switch t.Resource {
		case "deployments":
			o, err := apps.Deployments(t.Namespace).Get(ctx, t.Name, opts)
			if err != nil {
				return workload{}, err
			}
			return ofDeployment(o), nil
		case "statefulsets":
			o, err := apps.StatefulSets(t.Namespace).Get(ctx, t.Name, opts)
			if err != nil {
				return workload{}, err
			}
			return ofStatefulSet(o), nil
		case "daemonsets":
			o, err := apps.DaemonSets(t.Namespace).Get(ctx, t.Name, opts)
			if err != nil {
				return workload{}, err
			}
			return ofDaemonSet(o), nil
		case "replicasets":
			o, err := apps.ReplicaSets(t.Namespace).Get(ctx, t.Name, opts)
			if err != nil {
				return workload{}, err
			}
			return workload{meta: &o.ObjectMeta, pods: replicas(o.Spec.Replicas)}, nil
		default:
			return workload{}, fmt.Errorf("%s is not a workload fathom can change", t)
		}
	})
}

// replicas is the API's default for a count that is not set.
func replicas(n *int32) int32 {
	if n == nil {
		return 1
	}
	return *n
}

func ofDeployment(o *appsv1.Deployment) workload {
	w := workload{meta: &o.ObjectMeta, pods: replicas(o.Spec.Replicas), paused: o.Spec.Paused, template: o.Spec.Template.Annotations}
	switch r := o.Spec.Strategy.RollingUpdate; {
	case o.Spec.Strategy.Type == appsv1.RecreateDeploymentStrategyType:
		w.strategy = "All of them end before the first new one starts (strategy Recreate): the service is away for that time."
	case r != nil && r.MaxUnavailable != nil && r.MaxSurge != nil:
		w.strategy = fmt.Sprintf("They are replaced step by step: at most %s unavailable, at most %s extra.", r.MaxUnavailable, r.MaxSurge)
	}
	return w
}

func ofStatefulSet(o *appsv1.StatefulSet) workload {
	w := workload{meta: &o.ObjectMeta, pods: replicas(o.Spec.Replicas), template: o.Spec.Template.Annotations}
	switch r := o.Spec.UpdateStrategy.RollingUpdate; {
	case o.Spec.UpdateStrategy.Type == appsv1.OnDeleteStatefulSetStrategyType:
		w.onDelete = true
	case r != nil && r.Partition != nil && *r.Partition > 0:
		w.strategy = fmt.Sprintf("Only those with an ordinal of %d or more are replaced (partition), one after the other.", *r.Partition)
	default:
		w.strategy = "They are replaced one after the other, from the highest ordinal down."
	}
	return w
}

func ofDaemonSet(o *appsv1.DaemonSet) workload {
	w := workload{meta: &o.ObjectMeta, pods: o.Status.DesiredNumberScheduled, template: o.Spec.Template.Annotations}
	switch r := o.Spec.UpdateStrategy.RollingUpdate; {
	case o.Spec.UpdateStrategy.Type == appsv1.OnDeleteDaemonSetStrategyType:
		w.onDelete = true
	case r != nil && r.MaxUnavailable != nil:
		w.strategy = fmt.Sprintf("They are replaced node by node: at most %s unavailable.", r.MaxUnavailable)
	}
	return w
}

// owned says who will undo a change of a workload that another object controls; empty when nothing controls it.
func (w workload) owned() string {
	o := metav1.GetControllerOf(w.meta)
	if o == nil {
		return ""
	}
	return fmt.Sprintf("It is controlled by %s %s, which may set it back: change that instead.", o.Kind, o.Name)
}

func plural(n int32, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %ss", n, one)
}

// getAnd is the permission to read an object for the preview and to do verb on it or a subresource of it.
func getAnd(t Target, verb, subresource string) []Permission {
	p := Permission{Group: t.Group, Resource: t.Resource, Namespace: t.Namespace, Name: t.Name}
	read, write := p, p
	read.Verb, read.Subresource = "get", subresource
	write.Verb, write.Subresource = verb, subresource
	return []Permission{write, read}
}

// autoscalers names the HorizontalPodAutoscalers that will change the number of replicas again.
func autoscalers(ctx context.Context, c *cluster.Cluster, t Target) []string {
	k, err := kubeOf(c)
	if err != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	list, err := k.AutoscalingV2().HorizontalPodAutoscalers(t.Namespace).List(ctx, metav1.ListOptions{Limit: 100})
	if err != nil {
		return []string{"Whether a HorizontalPodAutoscaler scales it could not be read."}
	}
	var lines []string
	for i := range list.Items {
		h := &list.Items[i]
		ref := h.Spec.ScaleTargetRef
		if ref.Kind != t.Kind || ref.Name != t.Name || !strings.HasPrefix(ref.APIVersion, t.Group+"/") {
			continue
		}
		lines = append(lines, fmt.Sprintf("HorizontalPodAutoscaler %s scales it between %d and %d and will change the number again (0 switches it off).",
			h.Name, replicas(h.Spec.MinReplicas), h.Spec.MaxReplicas))
	}
	return lines
}
