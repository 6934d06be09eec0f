package watchers

import (
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Key names what a source watches: a resource, in one namespace or (empty) in all of them.
type Key struct {
	GVR       schema.GroupVersionResource
	Namespace string
}

// resource is "pods" or "deployments.apps", as authorization errors name it.
func (k Key) resource() string { return k.GVR.GroupResource().String() }

// The resources that have a typed row.

// Pods is the resource of PodRow.
func Pods() schema.GroupVersionResource { return corev1.SchemeGroupVersion.WithResource("pods") }

// Nodes is the resource of NodeRow.
func Nodes() schema.GroupVersionResource { return corev1.SchemeGroupVersion.WithResource("nodes") }

// Namespaces is the resource of NamespaceRow.
func Namespaces() schema.GroupVersionResource {
	return corev1.SchemeGroupVersion.WithResource("namespaces")
}

// Events is the resource of EventRow.
func Events() schema.GroupVersionResource { return corev1.SchemeGroupVersion.WithResource("events") }

// Services is the resource of ServiceRow.
func Services() schema.GroupVersionResource {
	return corev1.SchemeGroupVersion.WithResource("services")
}

// Deployments is a resource of WorkloadRow.
func Deployments() schema.GroupVersionResource {
	return appsv1.SchemeGroupVersion.WithResource("deployments")
}

// ReplicaSets is a resource of WorkloadRow.
func ReplicaSets() schema.GroupVersionResource {
	return appsv1.SchemeGroupVersion.WithResource("replicasets")
}

// StatefulSets is a resource of WorkloadRow.
func StatefulSets() schema.GroupVersionResource {
	return appsv1.SchemeGroupVersion.WithResource("statefulsets")
}

// DaemonSets is a resource of WorkloadRow.
func DaemonSets() schema.GroupVersionResource {
	return appsv1.SchemeGroupVersion.WithResource("daemonsets")
}

// Jobs is the resource of JobRow.
func Jobs() schema.GroupVersionResource { return batchv1.SchemeGroupVersion.WithResource("jobs") }

// CronJobs is the resource of CronJobRow.
func CronJobs() schema.GroupVersionResource {
	return batchv1.SchemeGroupVersion.WithResource("cronjobs")
}

// newList returns an empty typed list for a resource that has a typed row, nil for any other.
func newList(gvr schema.GroupVersionResource) runtime.Object {
	switch gvr {
	case Pods():
		return &corev1.PodList{}
	case Nodes():
		return &corev1.NodeList{}
	case Namespaces():
		return &corev1.NamespaceList{}
	case Events():
		return &corev1.EventList{}
	case Services():
		return &corev1.ServiceList{}
	case Deployments():
		return &appsv1.DeploymentList{}
	case ReplicaSets():
		return &appsv1.ReplicaSetList{}
	case StatefulSets():
		return &appsv1.StatefulSetList{}
	case DaemonSets():
		return &appsv1.DaemonSetList{}
	case Jobs():
		return &batchv1.JobList{}
	case CronJobs():
		return &batchv1.CronJobList{}
	}
	return nil
}

// HasTypedRow reports whether a resource has a typed row. Every other resource gives *TableRow.
func HasTypedRow(gvr schema.GroupVersionResource) bool { return newList(gvr) != nil }
