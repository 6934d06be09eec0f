package actions

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"

	"fathom/cluster"
)

func cordon() Action   { return schedulable("nodes.cordon", "Cordon node", true) }
func uncordon() Action { return schedulable("nodes.uncordon", "Uncordon node", false) }

// schedulable sets or removes spec.unschedulable. The precondition is the UID alone: a node's resourceVersion changes with
// every status report of its kubelet, and the patch overwrites nothing but the one field.
func schedulable(id, title string, unschedulable bool) Action {
	return Action{
		ID: id, Title: title, Verb: "patch", Resources: []string{"nodes"}, Risk: Reversible,
		Permission: func(t Target) []Permission {
			return []Permission{{Verb: "patch", Resource: "nodes", Name: t.Name}}
		},
		Preview: func(ctx context.Context, c *cluster.Cluster, t Target, _ string) ([]string, error) {
			return previewSchedulable(ctx, c, t, unschedulable)
		},
		Do: func(ctx context.Context, c *cluster.Cluster, r Request) (string, error) {
			return doSchedulable(ctx, c, r, unschedulable)
		},
		Verify: func(ctx context.Context, c *cluster.Cluster, r Request) (Status, string, error) {
			return verifySchedulable(ctx, c, r, unschedulable)
		},
	}
}

func stateWord(unschedulable bool) string {
	if unschedulable {
		return "cordoned"
	}
	return "open for scheduling"
}

func getNode(ctx context.Context, c *cluster.Cluster, t Target) (*corev1.Node, error) {
	k, err := kubeOf(c)
	if err != nil {
		return nil, err
	}
	return reading(ctx, t.String(), func(ctx context.Context) (*corev1.Node, error) {
		return k.CoreV1().Nodes().Get(ctx, t.Name, metav1.GetOptions{})
	})
}

func previewSchedulable(ctx context.Context, c *cluster.Cluster, t Target, unschedulable bool) ([]string, error) {
	node, err := getNode(ctx, c, t)
	if err != nil {
		return nil, err
	}
	if err := same(t, node.UID); err != nil {
		return nil, err
	}
	if node.Spec.Unschedulable == unschedulable {
		return []string{fmt.Sprintf("%s, %s is %s already: nothing will be sent.", where(c), t, stateWord(unschedulable))}, nil
	}
	lines := []string{fmt.Sprintf("%s, %s will be %s.", where(c), t, stateWord(unschedulable))}
	if !unschedulable {
		return append(lines, "The scheduler may place new pods on it again, as far as its taints and conditions let it."), nil
	}
	return append(lines, staying(ctx, c, t), "New pods will not be placed on it, except those that tolerate the unschedulable taint, as DaemonSet pods do."), nil
}

func staying(ctx context.Context, c *cluster.Cluster, t Target) string {
	const most = 1000
	k, err := kubeOf(c)
	if err != nil {
		return "The pods that run on it stay."
	}
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	pods, err := k.CoreV1().Pods("").List(ctx, metav1.ListOptions{
		FieldSelector: fields.OneTermEqualSelector("spec.nodeName", t.Name).String(), Limit: most,
	})
	if err != nil {
		return "The pods that run on it stay; how many could not be read."
	}
	n, more := 0, ""
	for i := range pods.Items {
		if p := pods.Items[i].Status.Phase; p != corev1.PodSucceeded && p != corev1.PodFailed {
			n++
		}
	}
	if pods.Continue != "" {
		more = "at least "
	}
	if n == 1 && more == "" {
		return "1 pod runs on it and stays."
	}
	return fmt.Sprintf("%s%d pods run on it and stay.", more, n)
}

func doSchedulable(ctx context.Context, c *cluster.Cluster, r Request, unschedulable bool) (string, error) {
	k, err := kubeOf(c)
	if err != nil {
		return "", err
	}
	node, err := getNode(ctx, c, r.Target)
	if err != nil {
		return "", err
	}
	if err := same(r.Target, node.UID); err != nil {
		return "", err
	}
	if node.Spec.Unschedulable == unschedulable {
		return fmt.Sprintf("%s was %s already: nothing was sent", r.Target, stateWord(unschedulable)), nil
	}
	var value any // null removes the field, as kubectl does
	if unschedulable {
		value = true
	}
	body := map[string]any{"metadata": patchMeta{UID: r.Target.UID}, "spec": map[string]any{"unschedulable": value}}
	if err := patch(ctx, k.CoreV1().RESTClient(), types.StrategicMergePatchType, r, nil, body); err != nil {
		return "", err
	}
	return fmt.Sprintf("%s is %s", r.Target, stateWord(unschedulable)), nil
}

func verifySchedulable(ctx context.Context, c *cluster.Cluster, r Request, unschedulable bool) (Status, string, error) {
	return settle(ctx, func(ctx context.Context) (Status, string, error) {
		node, err := getNode(ctx, c, r.Target)
		switch {
		case apierrors.IsNotFound(err):
			return Failed, r.Target.String() + " is gone", nil
		case err != nil:
			return Unknown, "", err
		case string(node.UID) != r.Target.UID:
			return Failed, r.Target.String() + " was replaced by another of the same name", nil
		case node.Spec.Unschedulable == unschedulable:
			return Done, fmt.Sprintf("%s is %s", r.Target, stateWord(unschedulable)), nil
		default:
			return Unknown, fmt.Sprintf("%s is %s", r.Target, stateWord(!unschedulable)), nil
		}
	})
}
