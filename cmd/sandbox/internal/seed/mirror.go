package seed

import (
	"context"
	"crypto/sha256"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// mirrorPods shows the control plane's static pods in the API, as the kubelets
// of the control-plane nodes would.
func (s *Sample) mirrorPods(ctx context.Context) error {
	member := 0
	for _, n := range s.Nodes {
		if !n.ControlPlane() {
			continue
		}
		node, err := s.client.CoreV1().Nodes().Get(ctx, n.Name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		pods := []*corev1.Pod{s.Spec.APIServerPod(), s.Spec.ControllerPod(), s.Spec.SchedulerPod()}
		if member++; member <= s.Spec.Members {
			pods = append(pods, s.Spec.EtcdPod(member))
		}
		for _, p := range pods {
			if err := s.mirror(ctx, p, node.Name, node.UID); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *Sample) mirror(ctx context.Context, p *corev1.Pod, node string, uid types.UID) error {
	hash := fmt.Sprintf("%x", sha256.Sum256([]byte(p.Name+node)))[:32]
	p.Name += "-" + node
	if p.Annotations == nil {
		p.Annotations = map[string]string{}
	}
	p.Annotations[corev1.MirrorPodAnnotationKey] = hash
	p.Annotations["kubernetes.io/config.hash"] = hash
	p.Annotations["kubernetes.io/config.source"] = "file"
	p.Annotations["kubernetes.io/config.seen"] = time.Now().UTC().Format(time.RFC3339Nano)
	p.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "Node", Name: node, UID: uid, Controller: ptr.To(true)}}
	p.Spec.NodeName = node
	p.Spec.Tolerations = []corev1.Toleration{{Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute}}
	return keepTrying(ctx, "create mirror pod "+p.Name, func(ctx context.Context) error {
		_, err := s.client.CoreV1().Pods(metav1.NamespaceSystem).Create(ctx, p, metav1.CreateOptions{})
		if apierrors.IsAlreadyExists(err) {
			return nil
		}
		return err
	})
}
