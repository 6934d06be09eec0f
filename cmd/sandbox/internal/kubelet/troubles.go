package kubelet

import (
	"context"
	"hash/fnv"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/record"

	"fathom/cmd/sandbox/internal/controlplane"
	"fathom/cmd/sandbox/internal/fleet"
)

// Troubles plays the pods that do badly, in the place of kwok: those labelled
// with a behaviour. Each behaviour is a cycle of steps; a step sets the pod's
// status and reports events as the pod's kubelet would.
type Troubles struct {
	client      kubernetes.Interface
	broadcaster record.EventBroadcaster

	mu        sync.Mutex
	recorders map[string]record.EventRecorder
	plays     map[types.UID]*play
}

// play is how far a pod has come in its behaviour.
type play struct {
	step     int
	restarts int32
	next     time.Time
	started  metav1.Time
}

// NewTroubles makes the player.
func NewTroubles(c kubernetes.Interface) *Troubles {
	return &Troubles{
		client: c, broadcaster: record.NewBroadcaster(),
		recorders: map[string]record.EventRecorder{}, plays: map[types.UID]*play{},
	}
}

// Run plays until the context ends.
func (t *Troubles) Run(ctx context.Context) {
	t.broadcaster.StartRecordingToSink(&typedcorev1.EventSinkImpl{Interface: t.client.CoreV1().Events("")})
	defer t.broadcaster.Shutdown()
	factory := informers.NewSharedInformerFactoryWithOptions(t.client, 0, informers.WithTweakListOptions(func(o *metav1.ListOptions) {
		o.LabelSelector = controlplane.BehaviourLabel
	}))
	pods := factory.Core().V1().Pods().Lister()
	nodes := informers.NewSharedInformerFactoryWithOptions(t.client, 0, informers.WithTweakListOptions(func(o *metav1.ListOptions) {
		o.LabelSelector = fleet.SimulatedLabel
	}))
	nodeLister := nodes.Core().V1().Nodes().Lister()
	factory.Start(ctx.Done())
	nodes.Start(ctx.Done())
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			t.playAll(ctx, pods, nodeLister)
		}
	}
}

func (t *Troubles) playAll(ctx context.Context, pods corelisters.PodLister, nodes corelisters.NodeLister) {
	list, err := pods.List(everything)
	if err != nil {
		return
	}
	seen := map[types.UID]bool{}
	for _, p := range list {
		seen[p.UID] = true
		if p.Spec.NodeName == "" || p.DeletionTimestamp != nil {
			continue
		}
		// A node that nobody simulates any more has no kubelet to do this.
		node, err := nodes.Get(p.Spec.NodeName)
		if err != nil {
			continue
		}
		t.advance(ctx, p, node)
	}
	for uid := range t.plays {
		if !seen[uid] {
			delete(t.plays, uid)
		}
	}
}

// advance plays the pod's next step when its time has come.
func (t *Troubles) advance(ctx context.Context, pod *corev1.Pod, node *corev1.Node) {
	steps := behaviours[pod.Labels[controlplane.BehaviourLabel]]
	if len(steps) == 0 {
		return
	}
	pl := t.plays[pod.UID]
	if pl == nil {
		pl = resume(pod)
		t.plays[pod.UID] = pl
	}
	now := time.Now()
	if now.Before(pl.next) || pl.step >= len(steps) {
		return
	}
	s := steps[pl.step]
	copied := pod.DeepCopy()
	base(copied, node, pl)
	s.status(copied, pl)
	if _, err := t.client.CoreV1().Pods(pod.Namespace).UpdateStatus(ctx, copied, metav1.UpdateOptions{}); err != nil {
		return // the next tick tries again with what the informer has by then
	}
	if s.report != nil {
		s.report(t.recorder(node.Name), pod)
	}
	pl.next = now.Add(s.lasts)
	pl.step++
	if pl.step == len(steps) && s.then >= 0 {
		pl.step = s.then
	}
}

// resume takes up a pod that an earlier kwok process has played already.
func resume(pod *corev1.Pod) *play {
	pl := &play{started: metav1.NewTime(time.Now().Truncate(time.Second))}
	if pod.Status.StartTime != nil {
		pl.started = *pod.Status.StartTime
	}
	for _, c := range pod.Status.ContainerStatuses {
		pl.restarts = max(pl.restarts, c.RestartCount)
	}
	if pod.Status.Phase == corev1.PodFailed {
		pl.step = 1 << 30 // over
	}
	return pl
}

// base sets what every scheduled pod has, whatever its trouble.
func base(pod *corev1.Pod, node *corev1.Node, pl *play) {
	st := &pod.Status
	st.Phase = corev1.PodRunning
	started := pl.started
	st.StartTime = &started
	for _, a := range node.Status.Addresses {
		if a.Type == corev1.NodeInternalIP {
			st.HostIP, st.HostIPs = a.Address, []corev1.HostIP{{IP: a.Address}}
		}
	}
	if st.PodIP == "" {
		st.PodIP = podIP(pod, node)
		st.PodIPs = []corev1.PodIP{{IP: st.PodIP}}
	}
	setCondition(pod, corev1.PodReadyToStartContainers, corev1.ConditionTrue, "", "")
	setCondition(pod, corev1.PodInitialized, corev1.ConditionTrue, "", "")
}

// podIP takes an address from the upper half of the node's range; kwok gives
// them out from the lower end.
func podIP(pod *corev1.Pod, node *corev1.Node) string {
	prefix := "10.128.0."
	if cidr := node.Spec.PodCIDR; len(cidr) > 5 {
		prefix = cidr[:len(cidr)-len("0/24")]
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(pod.UID))
	return prefix + itoa(200+int(h.Sum32()%50))
}

func setCondition(pod *corev1.Pod, t corev1.PodConditionType, status corev1.ConditionStatus, reason, message string) {
	now := metav1.NewTime(time.Now().Truncate(time.Second))
	for i := range pod.Status.Conditions {
		c := &pod.Status.Conditions[i]
		if c.Type != t {
			continue
		}
		if c.Status != status {
			c.LastTransitionTime = now
		}
		c.Status, c.Reason, c.Message = status, reason, message
		return
	}
	pod.Status.Conditions = append(pod.Status.Conditions, corev1.PodCondition{
		Type: t, Status: status, Reason: reason, Message: message, LastTransitionTime: now,
	})
}

// recorder reports events as the kubelet of that node.
func (t *Troubles) recorder(node string) record.EventRecorder {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := t.recorders[node]
	if r == nil {
		r = t.broadcaster.NewRecorder(scheme.Scheme, corev1.EventSource{Component: "kubelet", Host: node})
		t.recorders[node] = r
	}
	return r
}
