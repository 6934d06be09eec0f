package seed

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/record"
	"k8s.io/client-go/util/retry"

	"k8s.io/client-go/kubernetes/scheme"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"

	"fathom/cmd/sandbox/internal/fleet"
)

// troubleNodes cordons and breaks the nodes the fleet has marked for it, now
// that they carry pods.
func (s *Sample) troubleNodes(ctx context.Context) error {
	for _, n := range s.Nodes {
		var err error
		switch n.Trouble {
		case fleet.Cordoned:
			err = s.cordon(ctx, n.Name)
		case fleet.NotReady:
			err = s.lose(ctx, n.Name)
		}
		if err != nil {
			return fmt.Errorf("node %s: %w", n.Name, err)
		}
	}
	return nil
}

func (s *Sample) cordon(ctx context.Context, name string) error {
	_, err := s.client.CoreV1().Nodes().Patch(ctx, name, types.StrategicMergePatchType,
		[]byte(`{"spec":{"unschedulable":true}}`), metav1.PatchOptions{})
	return err
}

// lost is how long ago the kubelet of the lost node is said to have gone.
const lost = 4 * time.Minute

// lose makes a node look as if its machine had died a while ago: kwok lets go
// of it, its lease is stale, and its conditions and pods are as the node
// controller leaves them after the grace period. Waiting for the node
// controller to find out by itself would take a minute.
func (s *Sample) lose(ctx context.Context, name string) error {
	label, err := json.Marshal(map[string]any{"metadata": map[string]any{"labels": map[string]any{fleet.SimulatedLabel: nil}}})
	if err != nil {
		return err
	}
	nodes := s.client.CoreV1().Nodes()
	node, err := nodes.Patch(ctx, name, types.MergePatchType, label, metav1.PatchOptions{})
	if err != nil {
		return err
	}
	if err := s.staleLease(ctx, name); err != nil {
		return err
	}
	err = retry.RetryOnConflict(retry.DefaultRetry, func() error {
		if node, err = nodes.Get(ctx, name, metav1.GetOptions{}); err != nil {
			return err
		}
		for i := range node.Status.Conditions {
			c := &node.Status.Conditions[i]
			c.Status, c.Reason, c.Message = corev1.ConditionUnknown, "NodeStatusUnknown", "Kubelet stopped posting node status."
			c.LastHeartbeatTime, c.LastTransitionTime = ago(lost), ago(lost-time.Minute)
		}
		_, err = nodes.UpdateStatus(ctx, node, metav1.UpdateOptions{})
		return err
	})
	if err != nil {
		return err
	}
	s.nodeEvent(node)
	return s.podsOfLostNode(ctx, name)
}

func (s *Sample) staleLease(ctx context.Context, name string) error {
	leases := s.client.CoordinationV1().Leases(corev1.NamespaceNodeLease)
	return retry.RetryOnConflict(retry.DefaultRetry, func() error {
		lease, err := leases.Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		renewed := metav1.NewMicroTime(time.Now().Add(-lost))
		lease.Spec.RenewTime = &renewed
		_, err = leases.Update(ctx, lease, metav1.UpdateOptions{})
		return err
	})
}

// podsOfLostNode marks the pods not ready, as the node controller does.
func (s *Sample) podsOfLostNode(ctx context.Context, node string) error {
	pods, err := s.client.CoreV1().Pods("").List(ctx, metav1.ListOptions{FieldSelector: "spec.nodeName=" + node})
	if err != nil {
		return err
	}
	patch, err := json.Marshal(map[string]any{"status": map[string]any{"conditions": []map[string]any{{
		"type": "Ready", "status": "False", "lastTransitionTime": ago(lost - time.Minute),
		"reason": "NodeNotReady", "message": "Node is not ready",
	}}}})
	if err != nil {
		return err
	}
	for _, p := range pods.Items {
		_, err := s.client.CoreV1().Pods(p.Namespace).Patch(ctx, p.Name, types.StrategicMergePatchType, patch, metav1.PatchOptions{}, "status")
		if ignoreGone(err) != nil {
			return err
		}
	}
	return nil
}

func (s *Sample) nodeEvent(node *corev1.Node) {
	b := record.NewBroadcaster()
	b.StartRecordingToSink(&typedcorev1.EventSinkImpl{Interface: s.client.CoreV1().Events("")})
	r := b.NewRecorder(scheme.Scheme, corev1.EventSource{Component: "node-controller"})
	ref := &corev1.ObjectReference{Kind: "Node", Name: node.Name, UID: types.UID(node.Name)}
	r.Eventf(ref, corev1.EventTypeWarning, "NodeNotReady", "Node %s status is now: NodeNotReady", node.Name)
}
