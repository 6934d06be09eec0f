package seed

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"fathom/cmd/sandbox/internal/controlplane"
	"fathom/cmd/sandbox/internal/fleet"
	"fathom/cmd/sandbox/internal/layout"
)

// Names that the seed handles specially; the sample files hold the objects.
const (
	stuckNamespace = "old-tenant"
	heldNamespace  = "batch"
	heldPod        = "held-worker"
)

// pending are the pods that no node fits, each for a reason of its own.
var pending = []types.NamespacedName{
	{Namespace: "batch", Name: "gpu-training"},
	{Namespace: "batch", Name: "huge-solver"},
	{Namespace: "batch", Name: "edge-agent"},
}

// Sample seeds one cluster.
type Sample struct {
	Dir   layout.Dir
	Spec  *controlplane.Spec
	Nodes []fleet.Node

	client  kubernetes.Interface
	dynamic dynamic.Interface
}

// Run creates the sample workloads and returns when they have settled: what
// should run runs, what should fail fails.
func (s *Sample) Run(ctx context.Context, config *rest.Config) error {
	var err error
	if s.client, err = kubernetes.NewForConfig(config); err != nil {
		return err
	}
	if s.dynamic, err = dynamic.NewForConfig(rest.CopyConfig(config)); err != nil {
		return err
	}
	objects, err := sampleObjects()
	if err != nil {
		return err
	}
	a := newApplier(s.client, s.dynamic)
	for _, obj := range objects {
		if err := a.create(ctx, obj); err != nil {
			return err
		}
	}
	for _, step := range []func(context.Context) error{
		s.mirrorPods, s.etcdKeys, s.settled, s.breakRollout, s.troubleNodes, s.deleteHeld, s.troubled,
	} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// settled waits until every pod that can run does.
func (s *Sample) settled(ctx context.Context) error {
	return keepTrying(ctx, "wait for the sample pods to run", func(ctx context.Context) error {
		deployments, err := s.client.AppsV1().Deployments("").List(ctx, metav1.ListOptions{ResourceVersion: "0"})
		if err != nil {
			return err
		}
		for _, d := range deployments.Items {
			_, troubled := d.Spec.Template.Labels[controlplane.BehaviourLabel]
			if !troubled && d.Namespace != "search" && d.Status.ReadyReplicas < *d.Spec.Replicas {
				return fmt.Errorf("deployment %s/%s has %d of %d pods", d.Namespace, d.Name, d.Status.ReadyReplicas, *d.Spec.Replicas)
			}
		}
		sets, err := s.client.AppsV1().StatefulSets("").List(ctx, metav1.ListOptions{ResourceVersion: "0"})
		if err != nil {
			return err
		}
		for _, d := range sets.Items {
			if d.Status.ReadyReplicas < *d.Spec.Replicas {
				return fmt.Errorf("statefulset %s/%s has %d of %d pods", d.Namespace, d.Name, d.Status.ReadyReplicas, *d.Spec.Replicas)
			}
		}
		daemons, err := s.client.AppsV1().DaemonSets("").List(ctx, metav1.ListOptions{ResourceVersion: "0"})
		if err != nil {
			return err
		}
		for _, d := range daemons.Items {
			if int(d.Status.NumberReady) < len(s.Nodes) {
				return fmt.Errorf("daemonset %s/%s has %d of %d pods", d.Namespace, d.Name, d.Status.NumberReady, len(s.Nodes))
			}
		}
		return nil
	})
}

// breakRollout moves a healthy deployment to an image nobody can pull: its old
// pods keep serving while the new one waits.
func (s *Sample) breakRollout(ctx context.Context) error {
	patch := fmt.Sprintf(`{"metadata":{"annotations":{"kubernetes.io/change-cause":"roll out 3.2.0-rc1"}},"spec":{"template":{"metadata":{"labels":{%q:"image-pull"}},"spec":{"containers":[{"name":"payments","image":"shop/payments:3.2.0-rc1"}]}}}}`, controlplane.BehaviourLabel)
	return keepTrying(ctx, "roll out shop/payments", func(ctx context.Context) error {
		_, err := s.client.AppsV1().Deployments("shop").Patch(ctx, "payments", types.StrategicMergePatchType, []byte(patch), metav1.PatchOptions{})
		return err
	})
}

// deleteHeld deletes what finalizers then keep Terminating.
func (s *Sample) deleteHeld(ctx context.Context) error {
	return keepTrying(ctx, "delete "+stuckNamespace+" and "+heldPod, func(ctx context.Context) error {
		if err := s.client.CoreV1().Namespaces().Delete(ctx, stuckNamespace, metav1.DeleteOptions{}); ignoreGone(err) != nil {
			return err
		}
		return ignoreGone(s.client.CoreV1().Pods(heldNamespace).Delete(ctx, heldPod, metav1.DeleteOptions{}))
	})
}

// A conflict means that the deletion is already under way.
func ignoreGone(err error) error {
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return nil
	}
	return err
}

// troubled waits until the troubles show.
func (s *Sample) troubled(ctx context.Context) error {
	return keepTrying(ctx, "wait for the sample troubles to show", func(ctx context.Context) error {
		ns, err := s.client.CoreV1().Namespaces().Get(ctx, stuckNamespace, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if ns.Status.Phase != corev1.NamespaceTerminating || len(ns.Status.Conditions) == 0 {
			return fmt.Errorf("namespace %s is %s", ns.Name, ns.Status.Phase)
		}
		for _, p := range pending {
			pod, err := s.client.CoreV1().Pods(p.Namespace).Get(ctx, p.Name, metav1.GetOptions{})
			if err != nil {
				return err
			}
			if !unschedulable(pod) {
				return fmt.Errorf("pod %s has not been judged by the scheduler", p)
			}
		}
		return s.waiting(ctx, "app=recommendations", "CrashLoopBackOff", "app=payments", "ImagePullBackOff")
	})
}

// waiting checks that a shop pod of each label selector waits for the reason
// that follows it.
func (s *Sample) waiting(ctx context.Context, pairs ...string) error {
	for i := 0; i < len(pairs); i += 2 {
		pods, err := s.client.CoreV1().Pods("shop").List(ctx, metav1.ListOptions{LabelSelector: pairs[i]})
		if err != nil {
			return err
		}
		if !anyWaiting(pods.Items, pairs[i+1]) {
			return fmt.Errorf("no pod %s is in %s", pairs[i], pairs[i+1])
		}
	}
	return nil
}

func anyWaiting(pods []corev1.Pod, reason string) bool {
	for _, p := range pods {
		for _, c := range p.Status.ContainerStatuses {
			if c.State.Waiting != nil && c.State.Waiting.Reason == reason {
				return true
			}
		}
	}
	return false
}

func unschedulable(p *corev1.Pod) bool {
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Reason == corev1.PodReasonUnschedulable {
			return true
		}
	}
	return false
}

// ago is a time in the past with the resolution of the API.
func ago(d time.Duration) metav1.Time {
	return metav1.NewTime(time.Now().Add(-d).Truncate(time.Second))
}
