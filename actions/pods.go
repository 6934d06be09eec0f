package actions

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"fathom/cluster"
)

func deletePod() Action {
	return Action{
		ID: "pods.delete", Title: "Delete pod", Verb: "delete", Resources: []string{"pods"}, Risk: Destructive,
		Permission: func(t Target) []Permission {
			return []Permission{{Verb: "delete", Resource: "pods", Namespace: t.Namespace, Name: t.Name}}
		},
		Preview: previewDeletePod, Do: doDeletePod, Verify: verifyDeletePod,
	}
}

func getPod(ctx context.Context, c *cluster.Cluster, t Target) (*corev1.Pod, error) {
	k, err := kubeOf(c)
	if err != nil {
		return nil, err
	}
	return reading(ctx, t.String(), func(ctx context.Context) (*corev1.Pod, error) {
		return k.CoreV1().Pods(t.Namespace).Get(ctx, t.Name, metav1.GetOptions{})
	})
}

func previewDeletePod(ctx context.Context, c *cluster.Cluster, t Target, _ string) ([]string, error) {
	pod, err := getPod(ctx, c, t)
	if err != nil {
		return nil, err
	}
	if err := same(t, pod.UID); err != nil {
		return nil, err
	}
	lines := []string{fmt.Sprintf("%s, %s will be deleted.", where(c), t), recreation(pod)}
	switch {
	case pod.DeletionTimestamp != nil:
		lines = append(lines, fmt.Sprintf("It is being deleted already, since %s.", pod.DeletionTimestamp.UTC().Format("15:04:05 UTC")))
	case pod.Spec.TerminationGracePeriodSeconds != nil:
		lines = append(lines, fmt.Sprintf("Its containers get %d s to end, then they are killed.", *pod.Spec.TerminationGracePeriodSeconds))
	}
	if len(pod.Finalizers) > 0 {
		lines = append(lines, "It stays in Terminating until its finalizers are removed: "+strings.Join(pod.Finalizers, ", ")+".")
	}
	return append(lines, budgets(ctx, c, pod)...), nil
}

func recreation(pod *corev1.Pod) string {
	if _, mirror := pod.Annotations[corev1.MirrorPodAnnotationKey]; mirror {
		return "It is the mirror of a static pod: its containers go on running, and the kubelet will show it again."
	}
	owner := metav1.GetControllerOf(pod)
	switch {
	case owner == nil:
		return "Nothing will create it again: it has no controller."
	case owner.Kind == "StatefulSet":
		return fmt.Sprintf("StatefulSet %s will create it again under the same name.", owner.Name)
	case owner.Kind == "Job" && (pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed):
		return fmt.Sprintf("It belongs to Job %s and has finished; its logs go with it.", owner.Name)
	default:
		return fmt.Sprintf("%s %s will create another one, unless it is scaled down or being deleted.", owner.Kind, owner.Name)
	}
}

// budgets names the PodDisruptionBudgets that count the pod: a delete does not ask them, an eviction would.
func budgets(ctx context.Context, c *cluster.Cluster, pod *corev1.Pod) []string {
	k, err := kubeOf(c)
	if err != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	list, err := k.PolicyV1().PodDisruptionBudgets(pod.Namespace).List(ctx, metav1.ListOptions{Limit: 100})
	if err != nil {
		return []string{"Whether a PodDisruptionBudget covers it could not be read; deleting would not ask it."}
	}
	var lines []string
	for i := range list.Items {
		b := &list.Items[i]
		sel, err := metav1.LabelSelectorAsSelector(b.Spec.Selector)
		if err != nil || !sel.Matches(labels.Set(pod.Labels)) {
			continue
		}
		lines = append(lines, fmt.Sprintf("PodDisruptionBudget %s allows %s now; deleting does not ask it.", b.Name, disruptions(b.Status.DisruptionsAllowed)))
	}
	return lines
}

func doDeletePod(ctx context.Context, c *cluster.Cluster, r Request) (string, error) {
	k, err := kubeOf(c)
	if err != nil {
		return "", err
	}
	t := r.Target
	// As JSON, whatever content type the client prefers: what is sent is what the tests and a proxy's log show.
	body, err := json.Marshal(map[string]any{
		"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": map[string]string{"uid": t.UID},
	})
	if err != nil {
		return "", unsent(err)
	}
	req := k.CoreV1().RESTClient().Delete().Namespace(t.Namespace).Resource("pods").Name(t.Name).
		SetHeader("Content-Type", "application/json").Body(body)
	if err := write(req, r).Do(ctx).Error(); err != nil {
		return "", err
	}
	return t.String() + " is marked for deletion", nil
}

func verifyDeletePod(ctx context.Context, c *cluster.Cluster, r Request) (Status, string, error) {
	return settle(ctx, func(ctx context.Context) (Status, string, error) {
		t := r.Target
		pod, err := getPod(ctx, c, t)
		switch {
		case apierrors.IsNotFound(err):
			return Done, t.String() + " is gone", nil
		case err != nil:
			return Unknown, "", err
		case string(pod.UID) != t.UID:
			return Done, t.String() + " is gone; another of the same name is there", nil
		case pod.DeletionTimestamp != nil:
			return Done, t.String() + " is marked for deletion", nil
		default:
			return Unknown, t.String() + " is there and not marked for deletion", nil
		}
	})
}

func disruptions(n int32) string {
	if n == 1 {
		return "1 disruption"
	}
	return fmt.Sprintf("%d disruptions", n)
}
