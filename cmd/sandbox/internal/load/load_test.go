package load

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/scheme"

	"fathom/cmd/sandbox/internal/controlplane"
	"fathom/cmd/sandbox/internal/fleet"
)

func onePod(t *testing.T) *corev1.Pod {
	t.Helper()
	a := apps(40)[0]
	rs := a.replicaSet(a.deployment())
	node := fleet.Load(1, 3)[0].Object(20000, time.Now())
	return place(podOf(rs), node, "10.128.0.100", time.Now())
}

// Pods take 4 to 6 KB in etcd. The API server's defaults, among them a volume
// for the service account, add about 0.3 KB to what is encoded here.
func TestPodSize(t *testing.T) {
	b, err := encode(onePod(t))
	if err != nil {
		t.Fatal(err)
	}
	if len(b) < 4000 || len(b) > 5600 {
		t.Errorf("a pod takes %d bytes", len(b))
	}
}

func TestPodShape(t *testing.T) {
	p := onePod(t)
	if len(p.Spec.Containers) != 2 {
		t.Fatalf("%d containers", len(p.Spec.Containers))
	}
	for _, c := range p.Spec.Containers {
		if len(c.Env) != 12 || c.LivenessProbe == nil || c.ReadinessProbe == nil {
			t.Errorf("container %s: %d variables, probes %v %v", c.Name, len(c.Env), c.LivenessProbe, c.ReadinessProbe)
		}
	}
	if len(p.OwnerReferences) != 1 || p.OwnerReferences[0].Kind != "ReplicaSet" {
		t.Errorf("owners %v", p.OwnerReferences)
	}
}

func TestEncodedPodDecodes(t *testing.T) {
	p := onePod(t)
	b, err := encode(p)
	if err != nil {
		t.Fatal(err)
	}
	obj, gvk, err := scheme.Codecs.UniversalDeserializer().Decode(b, nil, nil)
	if err != nil || gvk.Kind != "Pod" || gvk.Version != "v1" {
		t.Fatalf("%v, %v", gvk, err)
	}
	if got := obj.(*corev1.Pod); got.Name != p.Name || got.UID != p.UID {
		t.Errorf("decoded %s/%s", got.Name, got.UID)
	}
}

func TestAppsAddUp(t *testing.T) {
	for _, pods := range []int{1, 59, 1000, 50000} {
		sum, names := 0, map[string]bool{}
		for _, a := range apps(pods) {
			sum += a.replicas
			if names[a.namespace+"/"+a.name] {
				t.Errorf("two apps named %s", a.name)
			}
			names[a.namespace+"/"+a.name] = true
		}
		if sum != pods {
			t.Errorf("%d pods in apps, want %d", sum, pods)
		}
	}
}

func TestReplicaSetSelectsItsPods(t *testing.T) {
	a := apps(40)[0]
	rs := a.replicaSet(a.deployment())
	for k, v := range rs.Spec.Selector.MatchLabels {
		if rs.Spec.Template.Labels[k] != v {
			t.Errorf("template lacks %s=%s", k, v)
		}
	}
	if rs.Spec.Selector.MatchLabels[appsv1.DefaultDeploymentUniqueLabelKey] == "" {
		t.Error("no pod template hash")
	}
}

func TestPaceHoldsTheRate(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	work := make(chan int64, 10000)
	pace(ctx, 500, work)
	if n := len(work); n < 400 || n > 510 {
		t.Errorf("%d in a second, want about 500", n)
	}
}

// Whatever happens to a pod, its conditions say the same as its containers, and a container in trouble recovers next.
func TestHappen(t *testing.T) {
	p := onePod(t)
	seen := map[int]int{}
	for range 500 {
		troubled := false
		for _, cs := range p.Status.ContainerStatuses {
			troubled = troubled || !cs.Ready
		}
		kind := happen(p, time.Now())
		seen[kind]++
		if troubled != (kind == ready) {
			t.Fatalf("a pod in trouble (%v) had %d happen to it", troubled, kind)
		}
		want := corev1.ConditionTrue
		for _, cs := range p.Status.ContainerStatuses {
			if !cs.Ready {
				want = corev1.ConditionFalse
			}
			if cs.Ready && cs.State.Running == nil {
				t.Fatalf("ready and not running: %+v", cs)
			}
		}
		for _, c := range p.Status.Conditions {
			if c.Type == corev1.PodReady && c.Status != want {
				t.Fatalf("condition Ready is %s", c.Status)
			}
		}
	}
	for _, kind := range []int{unready, restart, crash, ready} {
		if seen[kind] == 0 {
			t.Errorf("kind %d never happened: %v", kind, seen)
		}
	}
}

func TestRenew(t *testing.T) {
	p := onePod(t)
	name, uid := p.Name, p.UID
	happen(p, time.Now())
	renew(p, time.Now())
	if p.Name == name || p.UID == uid || time.Since(p.CreationTimestamp.Time) > time.Minute {
		t.Errorf("%s of %v is no successor of %s", p.Name, p.CreationTimestamp, name)
	}
	for _, cs := range p.Status.ContainerStatuses {
		if !cs.Ready || cs.RestartCount != 0 {
			t.Errorf("%+v", cs)
		}
	}
}

func TestPodRanges(t *testing.T) {
	seen := map[string]bool{}
	for i := range 5000 {
		seen[podRange(i)] = true
	}
	if len(seen) != 5000 || podRange(0) != "10.159.255.0/24" || podRange(256) != "10.158.255.0/24" {
		t.Errorf("%d ranges, %s, %s", len(seen), podRange(0), podRange(256))
	}
}

func TestCheckRoom(t *testing.T) {
	s := &controlplane.Spec{Members: 3}
	if err := CheckRoom(s, 1, 10, true); err != nil {
		t.Errorf("ten pods: %v", err)
	}
	if err := CheckRoom(s, 5000, 500_000, true); err == nil || strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), "--quota-bytes") {
		t.Errorf("half a million pods in etcd's default quota: %v", err)
	}
	s.QuotaBytes = 1 << 50
	if err := CheckRoom(s, 5000, 1<<30, true); err == nil || !strings.Contains(err.Error(), "--without-controllers") || !strings.Contains(err.Error(), "--force") {
		t.Errorf("a thousand million pods: %v", err)
	}
}

// The model's names are nowhere left, owners are one another's, and what is stored decodes.
func TestModel(t *testing.T) {
	all := apps(200)
	rs := all[0].replicaSet(all[0].deployment())
	m := &model{app: all[0]}
	for to, obj := range map[*string]any{&m.deployment: all[0].deployment(), &m.replicas: rs, &m.pods: podOf(rs)} {
		b, err := json.Marshal(obj)
		if err != nil {
			t.Fatal(err)
		}
		*to = string(b)
	}
	a := all[3]
	d, rs, pod, err := m.of(a)
	if err != nil {
		t.Fatal(err)
	}
	if d.Name != a.name || rs.Name != a.name+"-"+a.hash || pod.Namespace != a.namespace || pod.GenerateName != rs.Name+"-" {
		t.Errorf("%s, %s, %s, %s", d.Name, rs.Name, pod.Namespace, pod.GenerateName)
	}
	if rs.OwnerReferences[0].UID != d.UID || pod.OwnerReferences[0].UID != rs.UID || d.UID == "" || pod.OwnerReferences[0].Name != rs.Name {
		t.Errorf("owners: %v %v", rs.OwnerReferences, pod.OwnerReferences)
	}
	if int(*rs.Spec.Replicas) != a.replicas || int(d.Status.ReadyReplicas) != a.replicas {
		t.Errorf("%d and %d replicas, want %d", *rs.Spec.Replicas, d.Status.ReadyReplicas, a.replicas)
	}
	for _, obj := range []runtime.Object{d, rs, pod} {
		b, err := encode(obj)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(b), m.app.name) || strings.Contains(string(b), m.app.namespace+"/") {
			t.Errorf("%T still has the model's name", obj)
		}
		back, _, err := scheme.Codecs.UniversalDeserializer().Decode(b, nil, nil)
		if err != nil || fmt.Sprintf("%T", back) != fmt.Sprintf("%T", obj) {
			t.Errorf("%T decodes to %T: %v", obj, back, err)
		}
	}
}
