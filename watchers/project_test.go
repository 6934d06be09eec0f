package watchers

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
	"unsafe"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/cache"
	resourcehelper "k8s.io/component-helpers/resource"
	"k8s.io/utils/ptr"
)

func running(ready bool, restarts int32) corev1.ContainerStatus {
	return corev1.ContainerStatus{Name: "app", Ready: ready, RestartCount: restarts,
		State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}}
}

func waiting(reason string) corev1.ContainerStatus {
	return corev1.ContainerStatus{Name: "app", State: corev1.ContainerState{
		Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: "because " + reason}}}
}

func terminated(reason string, code, signal int32) corev1.ContainerStatus {
	return corev1.ContainerStatus{Name: "app", State: corev1.ContainerState{
		Terminated: &corev1.ContainerStateTerminated{Reason: reason, ExitCode: code, Signal: signal}}}
}

// The expected words are those of kubectl get pods; see printers_test.go of k8s.io/kubernetes.
func TestPodStatus(t *testing.T) {
	now := metav1.Now()
	ready := corev1.PodCondition{Type: corev1.PodReady, Status: corev1.ConditionTrue}
	initialized := corev1.PodCondition{Type: corev1.PodInitialized, Status: corev1.ConditionTrue}
	sidecar := corev1.Container{Name: "proxy", RestartPolicy: ptr.To(corev1.ContainerRestartPolicyAlways)}
	named := func(name string, cs corev1.ContainerStatus) corev1.ContainerStatus { cs.Name = name; return cs }
	started := func(cs corev1.ContainerStatus) corev1.ContainerStatus { cs.Started = ptr.To(true); return cs }
	for _, tc := range []struct {
		name     string
		pod      func(p *corev1.Pod)
		status   string
		ready    string
		restarts int32
		class    PodClass
	}{
		{"running", func(p *corev1.Pod) {
			p.Status.ContainerStatuses = []corev1.ContainerStatus{running(true, 3)}
		}, "Running", "1/1", 3, PodRunning},
		{"not ready", func(p *corev1.Pod) {
			p.Status.ContainerStatuses = []corev1.ContainerStatus{running(false, 0)}
		}, "Running", "0/1", 0, PodNotReady},
		{"pending", func(p *corev1.Pod) { p.Status.Phase, p.Spec.NodeName = corev1.PodPending, "" }, "Pending", "0/1", 0, PodPending},
		{"gated", func(p *corev1.Pod) {
			p.Status.Phase, p.Spec.NodeName = corev1.PodPending, ""
			p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: corev1.PodReasonSchedulingGated}}
		}, "SchedulingGated", "0/1", 0, PodPending},
		{"creating", func(p *corev1.Pod) {
			p.Status.Phase = corev1.PodPending
			p.Status.ContainerStatuses = []corev1.ContainerStatus{waiting("ContainerCreating")}
		}, "ContainerCreating", "0/1", 0, PodStarting},
		{"crash loop", func(p *corev1.Pod) {
			cs := waiting("CrashLoopBackOff")
			cs.RestartCount = 7
			p.Status.ContainerStatuses = []corev1.ContainerStatus{cs}
		}, "CrashLoopBackOff", "0/1", 7, PodFailing},
		{"image", func(p *corev1.Pod) {
			p.Status.Phase = corev1.PodPending
			p.Status.ContainerStatuses = []corev1.ContainerStatus{waiting("ImagePullBackOff")}
		}, "ImagePullBackOff", "0/1", 0, PodFailing},
		{"completed", func(p *corev1.Pod) {
			p.Status.Phase = corev1.PodSucceeded
			p.Status.ContainerStatuses = []corev1.ContainerStatus{terminated("Completed", 0, 0)}
		}, "Completed", "0/1", 0, PodCompleted},
		{"one completed, one running, ready", func(p *corev1.Pod) {
			p.Spec.Containers = append(p.Spec.Containers, corev1.Container{Name: "b"})
			p.Status.Conditions = []corev1.PodCondition{ready}
			p.Status.ContainerStatuses = []corev1.ContainerStatus{terminated("Completed", 0, 0), named("b", running(true, 0))}
		}, "Running", "1/2", 0, PodNotReady},
		{"one completed, one running, not ready", func(p *corev1.Pod) {
			p.Spec.Containers = append(p.Spec.Containers, corev1.Container{Name: "b"})
			p.Status.ContainerStatuses = []corev1.ContainerStatus{terminated("Completed", 0, 0), named("b", running(true, 0))}
		}, "NotReady", "1/2", 0, PodNotReady},
		{"one completed, one failed", func(p *corev1.Pod) {
			p.Spec.Containers = append(p.Spec.Containers, corev1.Container{Name: "b"})
			p.Status.Phase = corev1.PodFailed
			p.Status.ContainerStatuses = []corev1.ContainerStatus{terminated("Completed", 0, 0), named("b", terminated("Error", 1, 0))}
		}, "Error", "0/2", 0, PodFailing},
		{"killed by a signal", func(p *corev1.Pod) {
			p.Status.ContainerStatuses = []corev1.ContainerStatus{terminated("", 137, 9)}
		}, "Signal:9", "0/1", 0, PodFailing},
		{"exit code", func(p *corev1.Pod) {
			p.Status.ContainerStatuses = []corev1.ContainerStatus{terminated("", 3, 0)}
		}, "ExitCode:3", "0/1", 0, PodFailing},
		{"evicted", func(p *corev1.Pod) { p.Status.Phase, p.Status.Reason = corev1.PodFailed, "Evicted" }, "Evicted", "0/1", 0, PodFailing},
		{"terminating", func(p *corev1.Pod) {
			p.DeletionTimestamp = &now
			p.Status.ContainerStatuses = []corev1.ContainerStatus{running(true, 0)}
		}, "Terminating", "1/1", 0, PodTerminating},
		{"deleted after it had ended", func(p *corev1.Pod) {
			p.DeletionTimestamp, p.Status.Phase = &now, corev1.PodSucceeded
			p.Status.ContainerStatuses = []corev1.ContainerStatus{terminated("Completed", 0, 0)}
		}, "Completed", "0/1", 0, PodCompleted},
		{"node lost", func(p *corev1.Pod) {
			p.DeletionTimestamp, p.Status.Reason = &now, nodeLost
			p.Status.ContainerStatuses = []corev1.ContainerStatus{running(true, 0)}
		}, "Unknown", "1/1", 0, PodUnknown},
		{"initialising", func(p *corev1.Pod) {
			p.Status.Phase = corev1.PodPending
			p.Spec.InitContainers = []corev1.Container{{Name: "i1"}, {Name: "i2"}}
			p.Status.InitContainerStatuses = []corev1.ContainerStatus{
				named("i1", terminated("Completed", 0, 0)), named("i2", running(false, 0))}
			p.Status.ContainerStatuses = []corev1.ContainerStatus{waiting("PodInitializing")}
		}, "Init:1/2", "0/1", 0, PodStarting},
		{"init crash loop", func(p *corev1.Pod) {
			p.Status.Phase = corev1.PodPending
			p.Spec.InitContainers = []corev1.Container{{Name: "i1"}}
			cs := named("i1", waiting("CrashLoopBackOff"))
			cs.RestartCount = 4
			p.Status.InitContainerStatuses = []corev1.ContainerStatus{cs}
		}, "Init:CrashLoopBackOff", "0/1", 4, PodFailing},
		{"init failed", func(p *corev1.Pod) {
			p.Status.Phase = corev1.PodPending
			p.Spec.InitContainers = []corev1.Container{{Name: "i1"}}
			p.Status.InitContainerStatuses = []corev1.ContainerStatus{named("i1", terminated("", 2, 0))}
		}, "Init:ExitCode:2", "0/1", 0, PodFailing},
		{"restarts of finished init containers do not count, those of sidecars do", func(p *corev1.Pod) {
			p.Spec.InitContainers = []corev1.Container{{Name: "i1"}, sidecar}
			i1, px := named("i1", terminated("Completed", 0, 0)), started(named("proxy", running(true, 2)))
			i1.RestartCount = 5
			p.Status.InitContainerStatuses = []corev1.ContainerStatus{i1, px}
			p.Status.Conditions = []corev1.PodCondition{ready, initialized}
			p.Status.ContainerStatuses = []corev1.ContainerStatus{running(true, 1)}
		}, "Running", "2/2", 3, PodRunning},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := pod("web", "1")
			p.Spec.NodeName = "node-1"
			p.Status.Phase = corev1.PodRunning
			p.Spec.Containers = []corev1.Container{{Name: "app"}}
			tc.pod(p)
			row, ok := NewProjector().Project(p)
			r := row.(*PodRow)
			if got := fmt.Sprintf("%d/%d", r.ReadyCount, r.ContainerCount); !ok || r.Status != tc.status || got != tc.ready ||
				r.Restarts != tc.restarts || r.Class != tc.class {
				t.Errorf("got %q %s %d %v, want %q %s %d %v", r.Status, got, r.Restarts, r.Class, tc.status, tc.ready, tc.restarts, tc.class)
			}
		})
	}
}

func TestPodRow(t *testing.T) {
	p := bigPod(7)
	p.OwnerReferences = []metav1.OwnerReference{{Kind: "ReplicaSet", Name: "web-5f7c", Controller: ptr.To(true)}}
	p.Labels["pod-template-hash"] = "5f7c"
	p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Message: "0/3 nodes are available"}}
	last := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	p.Status.ContainerStatuses[0].LastTerminationState.Terminated = &corev1.ContainerStateTerminated{FinishedAt: metav1.NewTime(last)}
	proj := NewProjector()
	row, _ := proj.Project(p)
	r := row.(*PodRow)
	if r.Workload != (Owner{"Deployment", "web"}) || r.Owner.Kind != "ReplicaSet" {
		t.Errorf("owner %+v, workload %+v", r.Owner, r.Workload)
	}
	if r.Requests != (Amount{MilliCPU: 300, Memory: 384 << 20}) || r.Limits.Memory != 512<<20 {
		t.Errorf("requests %+v, limits %+v", r.Requests, r.Limits)
	}
	if r.Unscheduled != "0/3 nodes are available" || !r.LastRestart.Equal(last) || r.Containers.Split()[1] != "side" {
		t.Errorf("%+v", r)
	}
	sel, err := labels.Parse("app=web,tier in (a,front)")
	if err != nil || !sel.Matches(r.Labels) {
		t.Errorf("selector %v does not match %q (%v)", sel, r.Labels, err)
	}
	if sel, _ := labels.Parse("app=we"); sel.Matches(r.Labels) {
		t.Errorf("selector %v matches %q", sel, r.Labels)
	}
	if got := r.Labels.Set()["tier"]; got != "front" || r.Labels.Has("ap") {
		t.Errorf("labels %q", r.Labels)
	}
	again, ok := proj.Project(row)
	if !ok || again != row {
		t.Error("projecting a row gives another row")
	}
	if d, ok := proj.Project(cache.DeletedFinalStateUnknown{Key: "x", Obj: row}); !ok || d != row {
		t.Error("the row of a DeletedFinalStateUnknown is not found")
	}
	if _, ok := proj.Project(&corev1.Secret{}); ok {
		t.Error("a Secret has a typed row")
	}
	if m, err := meta.Accessor(row); err != nil || m.GetUID() != "uid-pod-7" || m.GetAnnotations() != nil {
		t.Errorf("accessor: %v", err)
	}
}

func TestProjectEveryTypedKind(t *testing.T) {
	proj := NewProjector()
	for _, o := range []runtime.Object{
		&corev1.Pod{}, &corev1.Node{}, &corev1.Namespace{}, &corev1.Event{}, &corev1.Service{}, &appsv1.Deployment{},
		&appsv1.ReplicaSet{}, &appsv1.StatefulSet{}, &appsv1.DaemonSet{}, &batchv1.Job{}, &batchv1.CronJob{},
	} { // empty objects: every pointer in them is nil
		row, ok := proj.Project(o)
		if _, isObject := row.(runtime.Object); !ok || !isObject || MetaOf(row) == nil {
			t.Errorf("%T has no usable row", o)
		}
	}
}

func TestNodeRow(t *testing.T) {
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1", Labels: map[string]string{
		"node-role.kubernetes.io/worker": "", "node-role.kubernetes.io/control-plane": "", corev1.LabelTopologyZone: "z1",
	}}}
	n.Spec.Unschedulable = true
	n.Spec.Taints = []corev1.Taint{{Key: "dedicated", Value: "db", Effect: corev1.TaintEffectNoSchedule}}
	n.Status.Conditions = []corev1.NodeCondition{
		{Type: corev1.NodeReady, Status: corev1.ConditionUnknown, Message: "Kubelet stopped posting node status."},
		{Type: corev1.NodeMemoryPressure, Status: corev1.ConditionTrue}, {Type: corev1.NodeDiskPressure, Status: corev1.ConditionFalse},
	}
	n.Status.Allocatable = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("3900m"), corev1.ResourcePods: resource.MustParse("110")}
	row, _ := NewProjector().Project(n)
	r := row.(*NodeRow)
	if r.Status != "NotReady,SchedulingDisabled" || r.Roles != "control-plane,worker" || r.Zone != "z1" ||
		r.Taints[0].String() != "dedicated=db:NoSchedule" || r.Allocatable != (Amount{MilliCPU: 3900, Pods: 110}) {
		t.Errorf("%+v", r)
	}
	if fmt.Sprint(r.Conditions) != "[Ready=Unknown MemoryPressure]" || r.ReadyMessage == "" {
		t.Errorf("conditions %v, %q", r.Conditions, r.ReadyMessage)
	}
}

func TestWorkloadStrength(t *testing.T) {
	d := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: "web", Generation: 2}}
	d.Spec.Replicas = ptr.To(int32(3))
	d.Status = appsv1.DeploymentStatus{Replicas: 3, ReadyReplicas: 3, UpdatedReplicas: 3, AvailableReplicas: 3, ObservedGeneration: 2}
	row, _ := NewProjector().Project(d)
	if !row.(*WorkloadRow).AtStrength() {
		t.Error("3/3 is not at strength")
	}
	d.Status.ObservedGeneration = 1
	if row, _ := NewProjector().Project(d); row.(*WorkloadRow).AtStrength() {
		t.Error("a change that nobody acted on yet is at strength")
	}
	s := &appsv1.StatefulSet{}
	s.Spec.Replicas = ptr.To(int32(3))
	s.Spec.UpdateStrategy = appsv1.StatefulSetUpdateStrategy{RollingUpdate: &appsv1.RollingUpdateStatefulSetStrategy{Partition: ptr.To(int32(2))}}
	s.Status = appsv1.StatefulSetStatus{ReadyReplicas: 3, AvailableReplicas: 3, UpdatedReplicas: 1}
	if row, _ := NewProjector().Project(s); !row.(*WorkloadRow).AtStrength() {
		t.Error("a partitioned stateful set is not at strength")
	}
}

// bigPod is a pod of a size that real ones have.
func bigPod(i int) *corev1.Pod {
	p := pod(fmt.Sprintf("pod-%d", i), fmt.Sprint(i))
	p.Labels = map[string]string{"app": "web", "tier": "front", "version": "v1", "team": "shop"}
	p.Spec.NodeName = fmt.Sprintf("node-%d", i%100)
	res := func(cpu, mem string) corev1.ResourceList {
		return corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu), corev1.ResourceMemory: resource.MustParse(mem)}
	}
	for _, name := range []string{"app", "side"} {
		c := corev1.Container{Name: name, Image: "registry.example/web:1.2.3"}
		c.Resources.Requests, c.Resources.Limits = res("150m", "192Mi"), res("1", "256Mi")
		for e := range 12 {
			c.Env = append(c.Env, corev1.EnvVar{Name: fmt.Sprint("VAR_", e), Value: "value"})
		}
		p.Spec.Containers = append(p.Spec.Containers, c)
		cs := running(true, 0)
		cs.Name = name
		p.Status.ContainerStatuses = append(p.Status.ContainerStatuses, cs)
	}
	p.Status.Phase, p.Status.PodIP = corev1.PodRunning, fmt.Sprintf("10.0.%d.%d", i/256%256, i%256)
	return p
}

// What is added up without the library is what the library says.
func TestPodAmounts(t *testing.T) {
	rnd := rand.New(rand.NewPCG(4, 4))
	list := func() corev1.ResourceList {
		l := corev1.ResourceList{}
		if rnd.IntN(3) > 0 {
			l[corev1.ResourceCPU] = resource.MustParse(fmt.Sprintf("%dm", rnd.IntN(4000)))
		}
		if rnd.IntN(3) > 0 {
			l[corev1.ResourceMemory] = resource.MustParse(fmt.Sprintf("%dMi", rnd.IntN(4000)))
		}
		if rnd.IntN(4) == 0 {
			l["example.com/gpu"] = resource.MustParse("1")
		}
		return l
	}
	containers := func(n int) (cs []corev1.Container) {
		for i := range n {
			cs = append(cs, corev1.Container{Name: fmt.Sprint(i), Resources: corev1.ResourceRequirements{Requests: list(), Limits: list()}})
		}
		return cs
	}
	for range 2000 {
		p := &corev1.Pod{Spec: corev1.PodSpec{Containers: containers(rnd.IntN(4))}}
		switch rnd.IntN(4) {
		case 0:
			p.Spec.InitContainers = containers(1 + rnd.IntN(2))
		case 1:
			p.Spec.Overhead = list()
		}
		opt := resourcehelper.PodResourcesOptions{}
		requests, limits := podAmounts(p)
		if want := amountOf(resourcehelper.PodRequests(p, opt)); requests != want {
			t.Fatalf("requests %+v, the library says %+v, of %+v", requests, want, p.Spec)
		}
		if want := amountOf(resourcehelper.PodLimits(p, opt)); limits != want {
			t.Fatalf("limits %+v, the library says %+v, of %+v", limits, want, p.Spec)
		}
	}
}

// A row costs itself, one piece for its strings, and next to nothing for what other rows have too: the objects a large list is decoded into
// are garbage enough.
func TestProjectionCost(t *testing.T) {
	proj, pods, i := NewProjector(), []*corev1.Pod{}, 0
	for i := range 101 {
		pods = append(pods, bigPod(i))
	}
	n := testing.AllocsPerRun(100, func() { proj.Project(pods[i]); i++ })
	if n > 2 {
		t.Errorf("%v allocations for a pod, at most 2", n)
	}
}

// The strings of the pool lie in blocks, and stay what they are while others are added and when the pool is begun anew.
func TestSharedStringsStay(t *testing.T) {
	p, kept := NewProjector(), map[string]string{}
	for i := range maxPool + 5000 {
		s := fmt.Sprint(i)
		switch i % 100 {
		case 7:
			s = strings.Repeat(s, 700) // too long for a block
		case 8:
			s = strings.Repeat(s, blockSize/2)[:blockSize/2] // as long as there may be
		}
		kept[strings.Clone(s)] = p.share(s)
	}
	for want, got := range kept {
		if got != want {
			t.Fatalf("%q became %q", want, got)
		}
	}
	if a, b := p.share("twice"), p.shareBytes([]byte("twice")); unsafe.StringData(a) != unsafe.StringData(b) {
		t.Error("equal strings are not shared")
	}
	if len(p.pool) > maxPool {
		t.Errorf("%d strings in the pool", len(p.pool))
	}
}

// What rows keep of a pod is not what it was decoded into: a string of that would hold a page of garbage.
func TestRowsKeepNothingOfTheObject(t *testing.T) {
	o := bigPod(1)
	o.UID, o.ResourceVersion, o.Status.PodIP = "8c0a9a3e-27a4-4c2f-9d0b-000000000001", "10000001", "10.0.0.1"
	o.Status.ContainerStatuses = []corev1.ContainerStatus{{State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{
		Reason: "CrashLoopBackOff", Message: "back-off 5m0s restarting failed container=app pod=" + o.Name,
	}}}}
	p := NewProjector()
	r := p.pod(o)
	if _, pooled := p.pool[r.Message]; pooled || r.Message == "" {
		t.Errorf("the message %q, which no other row has, is in the pool: %v", r.Message, pooled)
	}
	whole := r.UID + r.Name + r.ResourceVersion + r.IP
	if want := string(o.UID) + o.Name + o.ResourceVersion + o.Status.PodIP; whole != want {
		t.Fatalf("the row has %q of %q", whole, want)
	}
	at := unsafe.StringData(r.UID)
	for i, s := range []string{r.UID, r.Name, r.ResourceVersion, r.IP} {
		if unsafe.StringData(s) != at {
			t.Errorf("string %d is not in the row's piece of memory", i)
		}
		at = (*byte)(unsafe.Add(unsafe.Pointer(at), len(s)))
	}
}
