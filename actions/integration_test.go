//go:build integration

package actions

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/util/retry"

	"fathom/actions/journal"
	"fathom/cluster"
	"fathom/internal/testcluster"
)

// TestIntegration performs every action on a real control plane and reads its effect back. Its parts share one sandbox; they run one
// after the other and leave it healthy.
func TestIntegration(t *testing.T) {
	s := openSandbox(t)
	t.Run("Preconditions", func(t *testing.T) { testPreconditions(t, s) })
	t.Run("ViewerAndReadOnly", func(t *testing.T) { testViewerAndReadOnly(t, s) })
	t.Run("Kubernetes", func(t *testing.T) { testKubernetes(t, s) })
	t.Run("Etcd", func(t *testing.T) { testEtcd(t, s) })
}

// sandbox is a running control plane, and clients that are not fathom's to read back with.
type sandbox struct {
	*testcluster.Cluster
	kube kubernetes.Interface
	env  map[string]string // etcd.env
}

func openSandbox(t *testing.T) *sandbox {
	t.Helper()
	s := &sandbox{Cluster: testcluster.Start(t), env: map[string]string{}}
	config, err := clientcmd.BuildConfigFromFlags("", s.Kubeconfig())
	must(t, err)
	s.kube, err = kubernetes.NewForConfig(config)
	must(t, err)
	for _, kv := range s.EtcdEnv(t) {
		k, v, _ := strings.Cut(kv, "=")
		s.env[k] = v
	}
	return s
}

func (s *sandbox) runner(t *testing.T, kubeconfig string, readOnly bool) *rig {
	t.Helper()
	o := cluster.Options{ReadOnly: readOnly, Flags: genericclioptions.NewConfigFlags(false)}
	o.Flags.KubeConfig = &kubeconfig
	o.Etcd = cluster.EtcdOptions{HostRoot: t.TempDir(), Env: func(k string) string { return s.env[k] }}
	c, err := cluster.Open(o)
	must(t, err)
	t.Cleanup(c.Close)
	j := journal.New(filepath.Join(t.TempDir(), "fathom", "journal.jsonl"))
	return &rig{Runner: NewRunner(c, j, "integration"), t: t, cluster: c, journal: j}
}

// etcd is an independent client of all endpoints.
func (s *sandbox) etcd(t *testing.T) *clientv3.Client {
	t.Helper()
	cert, err := tls.LoadX509KeyPair(s.env["ETCDCTL_CERT"], s.env["ETCDCTL_KEY"])
	must(t, err)
	ca, err := os.ReadFile(s.env["ETCDCTL_CACERT"])
	must(t, err)
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	c, err := clientv3.New(clientv3.Config{
		Endpoints: strings.Split(s.env["ETCDCTL_ENDPOINTS"], ","),
		TLS:       &tls.Config{Certificates: []tls.Certificate{cert}, RootCAs: pool},
	})
	must(t, err)
	t.Cleanup(func() { c.Close() })
	return c
}

// eventually reads until ok or a deadline.
func eventually(t *testing.T, what string, ok func(ctx context.Context) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for !ok(ctx) {
		select {
		case <-ctx.Done():
			t.Fatalf("never seen: %s", what)
		case <-tick.C:
		}
	}
}

func (s *sandbox) deployment(t *testing.T) Target {
	t.Helper()
	list, err := s.kube.AppsV1().Deployments("").List(t.Context(), metav1.ListOptions{})
	must(t, err)
	for _, d := range list.Items {
		if !d.Spec.Paused && d.Status.ReadyReplicas > 1 && d.Status.ReadyReplicas == *d.Spec.Replicas {
			return Target{Kind: "Deployment", Group: "apps", Version: "v1", Resource: "deployments", Namespace: d.Namespace, Name: d.Name, UID: string(d.UID)}
		}
	}
	t.Fatal("the sandbox has no deployment at strength with two replicas")
	return Target{}
}

func testKubernetes(t *testing.T, s *sandbox) {
	r := s.runner(t, s.Kubeconfig(), false)
	deploy := s.deployment(t)
	apps := s.kube.AppsV1().Deployments(deploy.Namespace)
	before, err := apps.Get(t.Context(), deploy.Name, metav1.GetOptions{})
	must(t, err)

	t.Run("scale", func(t *testing.T) {
		t.Log(r.preview("workloads.scale", "1", deploy))
		o := r.act("workloads.scale", "1", deploy)
		t.Log(o.Message)
		got, err := apps.Get(t.Context(), deploy.Name, metav1.GetOptions{})
		must(t, err)
		if o.Status != Done || *got.Spec.Replicas != 1 {
			t.Fatalf("replicas %d, outcome %+v", *got.Spec.Replicas, o)
		}
		if back := s.actSettled(r, "workloads.scale", "4", deploy); back.Status != Done {
			t.Fatalf("outcome %+v", back)
		}
		must(t, scaleBack(t, s, deploy, *before.Spec.Replicas))
	})
	t.Run("restart", func(t *testing.T) {
		t.Log(r.preview("workloads.restart", "", deploy))
		o := s.actSettled(r, "workloads.restart", "", deploy)
		t.Log(o.Message)
		got, err := apps.Get(t.Context(), deploy.Name, metav1.GetOptions{})
		must(t, err)
		if o.Status != Done || got.Spec.Template.Annotations[restartedAt] == before.Spec.Template.Annotations[restartedAt] {
			t.Fatalf("annotations %v, outcome %+v", got.Spec.Template.Annotations, o)
		}
	})
	t.Run("delete pod", func(t *testing.T) {
		pod := s.pod(t, deploy)
		t.Log(r.preview("pods.delete", "", pod))
		o := r.act("pods.delete", "", pod)
		t.Log(o.Message)
		if o.Status != Done {
			t.Fatalf("outcome %+v", o)
		}
		eventually(t, "the pod gone or terminating", func(ctx context.Context) bool {
			p, err := s.kube.CoreV1().Pods(pod.Namespace).Get(ctx, pod.Name, metav1.GetOptions{})
			return err != nil || p.DeletionTimestamp != nil
		})
	})
	t.Run("cordon and uncordon", func(t *testing.T) {
		nodes, err := s.kube.CoreV1().Nodes().List(t.Context(), metav1.ListOptions{})
		must(t, err)
		var node Target
		for _, n := range nodes.Items {
			if !n.Spec.Unschedulable {
				node = Target{Kind: "Node", Version: "v1", Resource: "nodes", Name: n.Name, UID: string(n.UID)}
				break
			}
		}
		for _, step := range []struct {
			id   string
			want bool
		}{{"nodes.cordon", true}, {"nodes.uncordon", false}} {
			t.Log(r.preview(step.id, "", node))
			o := r.act(step.id, "", node)
			t.Log(o.Message)
			got, err := s.kube.CoreV1().Nodes().Get(t.Context(), node.Name, metav1.GetOptions{})
			must(t, err)
			if o.Status != Done || got.Spec.Unschedulable != step.want {
				t.Fatalf("%s: unschedulable %v, outcome %+v", step.id, got.Spec.Unschedulable, o)
			}
		}
	})
	if rep := r.journalled(); len(rep.Open) != 0 || rep.Records < 10 {
		t.Errorf("journal %+v", rep)
	}
}

// actSettled waits until the controllers have done what was asked of a deployment before, so that they do not write to it between
// the action's own read and write. When they do all the same, the outcome is a conflict, and the user would confirm again: so does it.
func (s *sandbox) actSettled(r *rig, id, input string, d Target) (o Outcome) {
	r.t.Helper()
	eventually(r.t, id+" without a conflict", func(ctx context.Context) bool {
		got, err := s.kube.AppsV1().Deployments(d.Namespace).Get(ctx, d.Name, metav1.GetOptions{})
		must(r.t, err)
		if st := got.Status; st.ObservedGeneration < got.Generation || st.Replicas != *got.Spec.Replicas || st.ReadyReplicas != *got.Spec.Replicas {
			return false
		}
		o = r.act(id, input, d)
		return o.Status != Conflict
	})
	return o
}

func scaleBack(t *testing.T, s *sandbox, d Target, n int32) error {
	return retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		sc, err := s.kube.AppsV1().Deployments(d.Namespace).GetScale(t.Context(), d.Name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		sc.Spec.Replicas = n
		_, err = s.kube.AppsV1().Deployments(d.Namespace).UpdateScale(t.Context(), d.Name, sc, metav1.UpdateOptions{})
		return err
	})
}

// pod is one of a deployment's pods that is not ending.
func (s *sandbox) pod(t *testing.T, d Target) Target {
	t.Helper()
	var out Target
	eventually(t, "a pod of "+d.Name, func(ctx context.Context) bool {
		pods, err := s.kube.CoreV1().Pods(d.Namespace).List(ctx, metav1.ListOptions{})
		must(t, err)
		for _, p := range pods.Items {
			if strings.HasPrefix(p.Name, d.Name+"-") && p.DeletionTimestamp == nil {
				out = Target{Kind: "Pod", Version: "v1", Resource: "pods", Namespace: p.Namespace, Name: p.Name, UID: string(p.UID)}
				return true
			}
		}
		return false
	})
	return out
}

// The real API server refuses what carries another UID, also when fathom's own check is passed by.
func testPreconditions(t *testing.T, s *sandbox) {
	r := s.runner(t, s.Kubeconfig(), false)
	deploy := s.deployment(t)
	pod := s.pod(t, deploy)
	pod.UID = "00000000-0000-0000-0000-000000000000"
	if o := r.act("pods.delete", "", pod); o.Status != Conflict {
		t.Errorf("delete: %+v", o)
	}
	k, err := kubeOf(r.cluster)
	must(t, err)
	other := deploy
	other.UID = pod.UID
	for _, sub := range [][]string{nil, {"scale"}} {
		err := patch(t.Context(), k.AppsV1().RESTClient(), "application/merge-patch+json", Request{Target: other, AuditID: "t"}, sub,
			map[string]any{"metadata": patchMeta{UID: other.UID}, "spec": map[string]any{"replicas": 77}})
		if err == nil || judge(err).status != Conflict || judge(err).ambiguous {
			t.Errorf("patch of %v with another UID: %v, judged %+v", sub, err, judge(err))
		}
		err = patch(t.Context(), k.AppsV1().RESTClient(), "application/merge-patch+json", Request{Target: deploy, AuditID: "t"}, sub,
			map[string]any{"metadata": patchMeta{UID: deploy.UID, ResourceVersion: "1"}, "spec": map[string]any{"replicas": 77}})
		if err == nil || judge(err).status != Conflict {
			t.Errorf("patch of %v with an old resourceVersion: %v", sub, err)
		}
	}
}

func testViewerAndReadOnly(t *testing.T, s *sandbox) {
	deploy := s.deployment(t)
	pod := s.pod(t, deploy)
	viewer := s.runner(t, s.ViewerKubeconfig(), false)
	d, err := viewer.Preflight(t.Context(), viewer.action("workloads.scale"), deploy)
	must(t, err)
	t.Log(d.Reason)
	if d.Allowed || !strings.HasPrefix(d.Reason, "needs patch on deployments/scale in namespace "+deploy.Namespace) {
		t.Errorf("decision %+v", d)
	}
	if o := viewer.act("pods.delete", "", pod); o.Status != Denied {
		t.Errorf("the viewer deletes: %+v", o)
	}
	auditor := s.runner(t, s.Kubeconfig(), true)
	if _, err := doDeletePod(t.Context(), auditor.cluster, Request{Target: pod, AuditID: "t"}); judge(err).status != Denied {
		t.Errorf("read-only: %v", err)
	}
	if _, err := s.kube.CoreV1().Pods(pod.Namespace).Get(t.Context(), pod.Name, metav1.GetOptions{}); err != nil {
		t.Errorf("the pod is not there any more: %v", err)
	}
}

func testEtcd(t *testing.T, s *sandbox) {
	r := s.runner(t, s.Kubeconfig(), false)
	client := s.etcd(t)
	leader := func() (lead uint64, names map[uint64]string, sizes map[uint64]int64) {
		list, err := client.MemberList(t.Context())
		must(t, err)
		names, sizes = map[uint64]string{}, map[uint64]int64{}
		for _, m := range list.Members {
			st, err := client.Status(t.Context(), m.ClientURLs[0])
			must(t, err)
			lead, names[m.ID], sizes[m.ID] = st.Leader, m.Name, st.DbSize
		}
		return lead, names, sizes
	}
	was, names, _ := leader()
	var to Target
	for id, name := range names {
		if id != was {
			to = Target{Kind: "Member", Resource: "members", Name: name, Member: id}
		}
	}
	t.Log(r.preview("members.move-leader", "", to))
	o := r.act("members.move-leader", "", to)
	t.Log(o.Message)
	if o.Status != Done {
		t.Fatalf("outcome %+v", o)
	}
	eventually(t, "the new leader, as another client sees it", func(context.Context) bool {
		now, _, _ := leader()
		return now == to.Member
	})
	follower := Target{Kind: "Member", Resource: "members", Name: names[was], Member: was}
	t.Log(r.preview("members.defragment", "", follower))
	o = r.act("members.defragment", "", follower)
	t.Log(o.Message)
	if o.Status != Done {
		t.Fatalf("outcome %+v", o)
	}
	if rep := r.journalled(); rep.Records != 4 || len(rep.Open) != 0 {
		t.Errorf("journal %+v", rep)
	}
	auditor := s.runner(t, s.Kubeconfig(), true)
	for _, id := range []string{"members.move-leader", "members.defragment"} {
		if _, err := auditor.action(id).Do(t.Context(), auditor.cluster, Request{Target: follower, AuditID: "t"}); judge(err).status != Denied {
			t.Errorf("read-only %s: %v", id, err)
		}
	}
}
