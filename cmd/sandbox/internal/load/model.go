package load

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/uuid"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/ptr"
)

// model is what the API server would store of one app. The others differ in
// their names only, and in how many pods they have.
type model struct {
	app                        app
	deployment, replicas, pods string // JSON
}

// askModel asks the API server, by dry runs, what it would store of an app.
func askModel(ctx context.Context, client kubernetes.Interface, a app) (*model, error) {
	dry := metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}}
	d, err := client.AppsV1().Deployments(a.namespace).Create(ctx, a.deployment(), dry)
	if err != nil {
		return nil, fmt.Errorf("dry-run deployment %s/%s: %w", a.namespace, a.name, err)
	}
	rs, err := client.AppsV1().ReplicaSets(a.namespace).Create(ctx, a.replicaSet(d), dry)
	if err != nil {
		return nil, fmt.Errorf("dry-run replica set of %s/%s: %w", a.namespace, a.name, err)
	}
	pod, err := client.CoreV1().Pods(a.namespace).Create(ctx, podOf(rs), dry)
	if err != nil {
		return nil, fmt.Errorf("dry-run a pod of %s/%s: %w", a.namespace, a.name, err)
	}
	m := &model{app: a}
	for to, obj := range map[*string]any{&m.deployment: d, &m.replicas: rs, &m.pods: pod} {
		b, err := json.Marshal(obj)
		if err != nil {
			return nil, fmt.Errorf("model of %s/%s: %w", a.namespace, a.name, err)
		}
		*to = string(b)
	}
	return m, nil
}

// of makes an app's deployment, replica set and the pattern of its pods.
func (m *model) of(a app) (*appsv1.Deployment, *appsv1.ReplicaSet, *corev1.Pod, error) {
	names := strings.NewReplacer(m.app.name, a.name, m.app.hash, a.hash, m.app.namespace, a.namespace)
	var d appsv1.Deployment
	var rs appsv1.ReplicaSet
	var pod corev1.Pod
	for text, to := range map[string]any{m.deployment: &d, m.replicas: &rs, m.pods: &pod} {
		if err := json.Unmarshal([]byte(names.Replace(text)), to); err != nil {
			return nil, nil, nil, fmt.Errorf("%s/%s of the model: %w", a.namespace, a.name, err)
		}
	}
	born(&d.ObjectMeta, nil)
	born(&rs.ObjectMeta, &d.ObjectMeta)
	born(&pod.ObjectMeta, &rs.ObjectMeta)
	a.count(&d, &rs)
	return &d, &rs, &pod, nil
}

// born gives an object an identity of its own, and its owner's.
func born(m, owner *metav1.ObjectMeta) {
	m.UID, m.ResourceVersion = uuid.NewUUID(), ""
	// They name every field again and would make half of the object's size.
	m.ManagedFields = nil
	if owner != nil {
		m.OwnerReferences[0].UID = owner.UID
	}
}

// count sets the numbers, as they are when the controllers have nothing left
// to do.
func (a app) count(d *appsv1.Deployment, rs *appsv1.ReplicaSet) {
	n := int32(a.replicas)
	d.Spec.Replicas, rs.Spec.Replicas = ptr.To(n), ptr.To(n)
	rs.Annotations["deployment.kubernetes.io/desired-replicas"] = fmt.Sprint(n)
	rs.Annotations["deployment.kubernetes.io/max-replicas"] = fmt.Sprint(n + n/4 + 1)
	rs.Status = appsv1.ReplicaSetStatus{Replicas: n, FullyLabeledReplicas: n, ReadyReplicas: n, AvailableReplicas: n, ObservedGeneration: rs.Generation}
	now := metav1.NewTime(time.Now().UTC().Truncate(time.Second))
	condition := func(t appsv1.DeploymentConditionType, reason, message string) appsv1.DeploymentCondition {
		return appsv1.DeploymentCondition{Type: t, Status: corev1.ConditionTrue, Reason: reason, Message: message, LastUpdateTime: now, LastTransitionTime: now}
	}
	d.Status = appsv1.DeploymentStatus{
		Replicas: n, UpdatedReplicas: n, ReadyReplicas: n, AvailableReplicas: n, ObservedGeneration: d.Generation,
		Conditions: []appsv1.DeploymentCondition{
			condition(appsv1.DeploymentAvailable, "MinimumReplicasAvailable", "Deployment has minimum availability."),
			condition(appsv1.DeploymentProgressing, "NewReplicaSetAvailable", fmt.Sprintf("ReplicaSet %q has successfully progressed.", rs.Name)),
		},
	}
}
