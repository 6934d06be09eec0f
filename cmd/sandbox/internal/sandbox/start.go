package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"fathom/cmd/sandbox/internal/controlplane"
	"fathom/cmd/sandbox/internal/layout"
	"fathom/cmd/sandbox/internal/pki"
	"fathom/cmd/sandbox/internal/supervisor"
)

// startLimit is how long the whole start may take on a slow machine.
const startLimit = 3 * time.Minute

// start brings the components up in the order they need each other.
func (s *Sandbox) start(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	for n := range s.spec.Etcd {
		if err := s.launch(layout.MemberName(n + 1)); err != nil {
			return err
		}
	}
	if err := s.waitEtcd(ctx); err != nil {
		return err
	}
	s.say("etcd: %d member(s) healthy after %.1fs", s.spec.Members, time.Since(s.began).Seconds())
	if s.spec.EtcdOnly {
		return nil
	}
	if err := s.launch(controlplane.APIServer); err != nil {
		return err
	}
	client, err := s.client("super-admin.conf")
	if err != nil {
		return err
	}
	if err := s.waitAPIServer(ctx, client); err != nil {
		return err
	}
	s.say("apiserver: ready after %.1fs", time.Since(s.began).Seconds())
	for _, name := range []string{controlplane.ControllerManager, controlplane.Scheduler, controlplane.Kwok} {
		if err := s.launch(name); err != nil {
			return err
		}
	}
	if err := bindGroups(ctx, client); err != nil {
		return err
	}
	if err := s.createNodes(ctx, client); err != nil {
		return err
	}
	for name, port := range map[string]int{
		controlplane.ControllerManager: s.spec.ControllerPort, controlplane.Scheduler: s.spec.SchedulerPort,
	} {
		if err := s.waitHealthz(ctx, client, name, port); err != nil {
			return err
		}
	}
	return s.waitNodes(ctx, client)
}

func (s *Sandbox) launch(name string) error {
	return s.sup.Start(supervisor.Spec{Name: name, Args: s.spec.Args(s.dir, name), Env: s.spec.Env(), Log: s.dir.Log(name)})
}

// client uses a kubeconfig of the first control-plane host.
func (s *Sandbox) client(file string) (*kubernetes.Clientset, error) {
	path := s.dir.Host(layout.KubernetesDir + "/" + file)
	config, err := clientcmd.BuildConfigFromFlags("", path)
	if err != nil {
		return nil, fmt.Errorf("client from %s: %w", path, err)
	}
	config.QPS = -1 // the API server's own fairness is limit enough
	config.ContentType = "application/vnd.kubernetes.protobuf"
	return kubernetes.NewForConfig(config)
}

// poll calls try until it succeeds or the context ends; the last error of try
// is the reason given then.
func poll(ctx context.Context, what string, try func(context.Context) error) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		attempt, cancel := context.WithTimeout(ctx, 5*time.Second)
		err := try(attempt)
		cancel()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.Canceled) {
				return ctx.Err()
			}
			return fmt.Errorf("%s: gave up waiting: %w", what, err)
		case <-tick.C:
		}
	}
}

// waitEtcd waits until every member answers a linearizable health check, which
// means that it knows a leader.
func (s *Sandbox) waitEtcd(ctx context.Context) error {
	for i, m := range s.spec.Etcd {
		name := layout.MemberName(i + 1)
		url := fmt.Sprintf("http://127.0.0.1:%d/health", m.Metrics)
		err := poll(ctx, name+" (log: "+s.dir.Log(name)+")", func(ctx context.Context) error {
			return get(ctx, http.DefaultClient, url)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func get(ctx context.Context, c *http.Client, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	res, err := c.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(res.Body, 4096))
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s: %.200s", url, res.Status, body)
	}
	return nil
}

func (s *Sandbox) waitAPIServer(ctx context.Context, c kubernetes.Interface) error {
	return poll(ctx, "kube-apiserver (log: "+s.dir.Log(controlplane.APIServer)+")", func(ctx context.Context) error {
		return c.Discovery().RESTClient().Get().AbsPath("/readyz").Do(ctx).Error()
	})
}

// waitHealthz asks the health endpoint of a component that serves with a
// certificate of the cluster's CA.
func (s *Sandbox) waitHealthz(ctx context.Context, c *kubernetes.Clientset, name string, port int) error {
	config := &rest.Config{
		Host:            fmt.Sprintf("https://127.0.0.1:%d", port),
		TLSClientConfig: rest.TLSClientConfig{CAFile: s.dir.Host(layout.PKIDir + "/ca.crt")},
	}
	hc, err := rest.HTTPClientFor(config)
	if err != nil {
		return fmt.Errorf("client for %s: %w", name, err)
	}
	defer hc.CloseIdleConnections()
	return poll(ctx, name+" (log: "+s.dir.Log(name)+")", func(ctx context.Context) error {
		return get(ctx, hc, config.Host+"/healthz")
	})
}

// bindGroups gives the groups of the client certificates their roles.
func bindGroups(ctx context.Context, c kubernetes.Interface) error {
	for name, binding := range map[string]struct{ role, group string }{
		"kubeadm:cluster-admins": {"cluster-admin", pki.GroupClusterAdmins},
		"fathom:viewers":         {"view", pki.GroupViewers},
	} {
		obj := &rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: name},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: binding.role},
			Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.GroupKind, Name: binding.group}},
		}
		err := poll(ctx, "create ClusterRoleBinding "+name, func(ctx context.Context) error {
			_, err := c.RbacV1().ClusterRoleBindings().Create(ctx, obj, metav1.CreateOptions{})
			return ignoreExists(err)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *Sandbox) createNodes(ctx context.Context, c kubernetes.Interface) error {
	for _, n := range s.nodes() {
		obj := n.Object(s.spec.KubeletPort, time.Now())
		err := poll(ctx, "create node "+n.Name, func(ctx context.Context) error {
			_, err := c.CoreV1().Nodes().Create(ctx, obj, metav1.CreateOptions{})
			return ignoreExists(err)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// waitNodes waits until kwok holds the lease of every node it simulates and
// the node controller has taken off the taint of new nodes.
func (s *Sandbox) waitNodes(ctx context.Context, c kubernetes.Interface) error {
	want := map[string]bool{}
	for _, n := range s.nodes() {
		want[n.Name] = true
	}
	return poll(ctx, "simulated nodes (log: "+s.dir.Log(controlplane.Kwok)+")", func(ctx context.Context) error {
		nodes, err := c.CoreV1().Nodes().List(ctx, metav1.ListOptions{ResourceVersion: "0"})
		if err != nil {
			return err
		}
		leases, err := c.CoordinationV1().Leases(corev1.NamespaceNodeLease).List(ctx, metav1.ListOptions{ResourceVersion: "0"})
		if err != nil {
			return err
		}
		held := map[string]bool{}
		for _, l := range leases.Items {
			held[l.Name] = true
		}
		ready := 0
		for i := range nodes.Items {
			if n := &nodes.Items[i]; want[n.Name] && held[n.Name] && nodeReady(n) {
				ready++
			}
		}
		if ready < len(want) {
			return fmt.Errorf("%d of %d nodes are ready", ready, len(want))
		}
		return nil
	})
}

func nodeReady(n *corev1.Node) bool {
	for _, t := range n.Spec.Taints {
		if t.Key == corev1.TaintNodeNotReady {
			return false
		}
	}
	for _, c := range n.Status.Conditions {
		if c.Type == corev1.NodeReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

func ignoreExists(err error) error {
	if apierrors.IsAlreadyExists(err) {
		return nil
	}
	return err
}
