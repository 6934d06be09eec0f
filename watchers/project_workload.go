package watchers

import (
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

func (p *Projector) workload(kind string, m *metav1.ObjectMeta, sel *metav1.LabelSelector, spec *corev1.PodSpec) *WorkloadRow {
	return &WorkloadRow{
		Meta: p.meta(m), Kind: kind, Generation: m.Generation, Owner: p.controller(m),
		Containers: p.containers(spec.Containers), Images: p.images(spec.Containers), Selector: p.selector(sel),
	}
}

// replicas is what an unset spec.replicas means.
func replicas(n *int32) int32 {
	if n == nil {
		return 1
	}
	return *n
}

func (p *Projector) deployment(o *appsv1.Deployment) *WorkloadRow {
	r := p.workload("Deployment", &o.ObjectMeta, o.Spec.Selector, &o.Spec.Template.Spec)
	s := &o.Status
	r.Desired, r.Current, r.Ready = replicas(o.Spec.Replicas), s.Replicas, s.ReadyReplicas
	r.Updated, r.Available, r.Observed = s.UpdatedReplicas, s.AvailableReplicas, s.ObservedGeneration
	r.Paused, r.Strategy = o.Spec.Paused, p.share(string(o.Spec.Strategy.Type))
	for _, c := range s.Conditions {
		bad := c.Type == appsv1.DeploymentReplicaFailure && c.Status == corev1.ConditionTrue ||
			c.Type == appsv1.DeploymentProgressing && c.Status == corev1.ConditionFalse
		if bad {
			r.problem(c.Message)
		}
	}
	return r
}

// problem keeps the shortest message.
func (w *WorkloadRow) problem(msg string) {
	if msg = bounded(msg); w.Problem == "" || len(msg) < len(w.Problem) {
		w.Problem = msg
	}
}

func (p *Projector) replicaSet(o *appsv1.ReplicaSet) *WorkloadRow {
	r := p.workload("ReplicaSet", &o.ObjectMeta, o.Spec.Selector, &o.Spec.Template.Spec)
	s := &o.Status
	r.Desired, r.Current, r.Ready = replicas(o.Spec.Replicas), s.Replicas, s.ReadyReplicas
	r.Updated, r.Available, r.Observed = s.Replicas, s.AvailableReplicas, s.ObservedGeneration
	for _, c := range s.Conditions {
		if c.Type == appsv1.ReplicaSetReplicaFailure && c.Status == corev1.ConditionTrue {
			r.problem(c.Message)
		}
	}
	return r
}

func (p *Projector) statefulSet(o *appsv1.StatefulSet) *WorkloadRow {
	r := p.workload("StatefulSet", &o.ObjectMeta, o.Spec.Selector, &o.Spec.Template.Spec)
	s := &o.Status
	r.Desired, r.Current, r.Ready = replicas(o.Spec.Replicas), s.Replicas, s.ReadyReplicas
	r.Updated, r.Available, r.Observed = s.UpdatedReplicas, s.AvailableReplicas, s.ObservedGeneration
	r.Strategy, r.Service = p.share(string(o.Spec.UpdateStrategy.Type)), p.share(o.Spec.ServiceName)
	if o.Spec.UpdateStrategy.Type == appsv1.OnDeleteStatefulSetStrategyType {
		r.Updated = r.Desired // pods are updated when somebody deletes them: being old is not a lack of strength
	} else if u := o.Spec.UpdateStrategy.RollingUpdate; u != nil && u.Partition != nil {
		r.Updated += min(*u.Partition, r.Desired) // pods below the partition are meant to stay as they are
	}
	return r
}

func (p *Projector) daemonSet(o *appsv1.DaemonSet) *WorkloadRow {
	r := p.workload("DaemonSet", &o.ObjectMeta, o.Spec.Selector, &o.Spec.Template.Spec)
	s := &o.Status
	r.Desired, r.Current, r.Ready = s.DesiredNumberScheduled, s.CurrentNumberScheduled, s.NumberReady
	r.Updated, r.Available, r.Observed = s.UpdatedNumberScheduled, s.NumberAvailable, s.ObservedGeneration
	r.Strategy = p.share(string(o.Spec.UpdateStrategy.Type))
	r.NodePicker = p.share(labels.FormatLabels(o.Spec.Template.Spec.NodeSelector))
	if len(o.Spec.Template.Spec.NodeSelector) == 0 {
		r.NodePicker = ""
	}
	if o.Spec.UpdateStrategy.Type == appsv1.OnDeleteDaemonSetStrategyType {
		r.Updated = r.Desired
	}
	return r
}

func (p *Projector) job(o *batchv1.Job) *JobRow {
	spec, s := &o.Spec, &o.Status
	r := &JobRow{
		Meta: p.meta(&o.ObjectMeta), Completions: -1, Parallelism: replicas(spec.Parallelism),
		Succeeded: s.Succeeded, Active: s.Active, Failed: s.Failed, TTL: -1, Owner: p.controller(&o.ObjectMeta),
		Containers: p.containers(spec.Template.Spec.Containers), Images: p.images(spec.Template.Spec.Containers),
		Selector: p.selector(spec.Selector),
	}
	if spec.Completions != nil {
		r.Completions = *spec.Completions
	}
	if spec.TTLSecondsAfterFinished != nil {
		r.TTL = time.Duration(*spec.TTLSecondsAfterFinished) * time.Second
	}
	if s.StartTime != nil {
		r.Started = s.StartTime.Time
	}
	if s.CompletionTime != nil {
		r.Finished = s.CompletionTime.Time
	}
	cond := func(t batchv1.JobConditionType) bool {
		for i := range s.Conditions {
			if c := &s.Conditions[i]; c.Type == t && c.Status == corev1.ConditionTrue {
				if t == batchv1.JobFailed {
					r.Problem = bounded(c.Message)
					r.Finished = c.LastTransitionTime.Time
				}
				return true
			}
		}
		return false
	}
	switch { // in the order of kubectl's column
	case cond(batchv1.JobComplete):
		r.Status = "Complete"
	case cond(batchv1.JobFailed):
		r.Status = "Failed"
	case o.DeletionTimestamp != nil:
		r.Status = "Terminating"
	case cond(batchv1.JobSuspended):
		r.Status = "Suspended"
	case cond(batchv1.JobFailureTarget):
		r.Status = "FailureTarget"
	case cond(batchv1.JobSuccessCriteriaMet):
		r.Status = "SuccessCriteriaMet"
	default:
		r.Status = "Running"
	}
	return r
}

func (p *Projector) cronJob(o *batchv1.CronJob) *CronJobRow {
	cs := o.Spec.JobTemplate.Spec.Template.Spec.Containers
	r := &CronJobRow{
		Meta: p.meta(&o.ObjectMeta), Schedule: p.share(o.Spec.Schedule), Active: int32(len(o.Status.Active)),
		Concurrency: p.share(string(o.Spec.ConcurrencyPolicy)), Containers: p.containers(cs), Images: p.images(cs),
	}
	if o.Spec.Suspend != nil {
		r.Suspended = *o.Spec.Suspend
	}
	if o.Spec.TimeZone != nil {
		r.TimeZone = p.share(*o.Spec.TimeZone)
	}
	if t := o.Status.LastScheduleTime; t != nil {
		r.LastRun = t.Time
	}
	if t := o.Status.LastSuccessfulTime; t != nil {
		r.LastSuccess = t.Time
	}
	return r
}
