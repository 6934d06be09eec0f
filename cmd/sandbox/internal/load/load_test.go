package load

import (
	"context"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes/scheme"

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
