//go:build integration

package cluster

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"k8s.io/cli-runtime/pkg/genericclioptions"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"fathom/internal/testcluster"
)

// TestIntegration reaches a real control plane. Its parts change nothing, so they share one sandbox.
func TestIntegration(t *testing.T) {
	s := testcluster.Start(t, "--seed", "none", "--nodes", "1")
	t.Run("Doctor", func(t *testing.T) { testDoctor(t, s) })
	t.Run("Viewer", func(t *testing.T) { testViewer(t, s) })
	t.Run("ReadOnly", func(t *testing.T) { testReadOnly(t, s) })
}

// openSandbox opens the sandbox, finding etcd by its static pod manifests.
func openSandbox(t *testing.T, s *testcluster.Cluster, readOnly bool, kubeconfig string) *Cluster {
	t.Helper()
	flags := genericclioptions.NewConfigFlags(false)
	flags.KubeConfig = &kubeconfig
	c, err := Open(Options{
		Flags: flags, ReadOnly: readOnly,
		Etcd: EtcdOptions{HostRoot: s.HostRoot(), Env: func(string) string { return "" }},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func testDoctor(t *testing.T, s *testcluster.Cluster) {
	for _, readOnly := range []bool{false, true} {
		c := openSandbox(t, s, readOnly, s.Kubeconfig())
		if err := Preflight(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		r := Doctor(t.Context(), c)
		var b strings.Builder
		if err := r.WriteTable(&b); err != nil {
			t.Fatal(err)
		}
		t.Log("\n" + b.String())
		if r.Exit() != 0 || r.Problem != "" {
			t.Errorf("exit %d, problem %q", r.Exit(), r.Problem)
		}
		if !r.Kubernetes.Reachable || r.Kubernetes.Version == "" || r.Kubernetes.Resources < 30 || len(r.Kubernetes.Readyz) < 5 {
			t.Errorf("Kubernetes: %+v", r.Kubernetes)
		}
		leaders := 0
		for _, e := range r.Etcd.Endpoints {
			if !e.Reachable || e.Name == "" {
				t.Errorf("endpoint: %+v", e)
			}
			if e.Leader {
				leaders++
			}
		}
		if len(r.Etcd.Endpoints) != 3 || leaders != 1 || r.Etcd.SameCluster != "yes" {
			t.Errorf("etcd: %+v", r.Etcd)
		}
		if len(r.Certificates) != 6 {
			t.Errorf("certificates: %+v", r.Certificates)
		}
		for _, a := range r.Access {
			if !a.Allowed || a.Error != "" {
				t.Errorf("access: %+v", a)
			}
		}
		if n := c.Guard().Counts(); n.Refused != 0 || n.Sent == 0 {
			t.Errorf("doctor itself was refused: %+v", n)
		}
	}
}

func testViewer(t *testing.T, s *testcluster.Cluster) {
	c := openSandbox(t, s, false, s.ViewerKubeconfig())
	for _, q := range []struct {
		a    Access
		want bool
	}{
		{Access{Verb: "list", Resource: "pods"}, true},
		{Access{Verb: "delete", Resource: "pods"}, false},
		{Access{Verb: "list", Resource: "secrets"}, false},
	} {
		d, err := c.Kube().Can(t.Context(), q.a)
		if err != nil || d.Allowed != q.want {
			t.Errorf("%s: %+v, %v", q.a, d, err)
		}
	}
}

func testReadOnly(t *testing.T, s *testcluster.Cluster) {
	c := openSandbox(t, s, true, s.Kubeconfig())
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	m := c.Etcd().Members()[0]
	calls := map[string]func() error{
		"delete pod": func() error {
			return c.Kube().Typed().CoreV1().Pods("default").Delete(ctx, "no-such-pod", metav1.DeleteOptions{})
		},
		"put":        func() error { _, err := m.Client().Put(ctx, "/fathom-test", "x"); return err },
		"delete key": func() error { _, err := m.Client().Delete(ctx, "/fathom-test"); return err },
		"alarm list": func() error { _, err := m.Client().AlarmList(ctx); return err },
		"defragment": func() error { _, err := m.Maintenance().Defragment(ctx, &pb.DefragmentRequest{}); return err },
		"defragment, dialling": func() error {
			_, err := m.Client().Defragment(ctx, m.Endpoint)
			return err
		},
		"move leader": func() error { _, err := m.Client().MoveLeader(ctx, 1); return err },
		"snapshot":    func() error { _, err := m.Client().Snapshot(ctx); return err },
		"grant":       func() error { _, err := m.Client().Grant(ctx, 60); return err },
	}
	for name, call := range calls {
		if err := call(); !errors.Is(err, ErrReadOnly) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// Reading works, and so does the identity of what was found by the environment.
	if _, err := m.Client().Get(ctx, "/registry/namespaces/default"); err != nil {
		t.Error(err)
	}
	if l, err := c.Etcd().MemberList(ctx); err != nil || len(l.Members) != 3 {
		t.Errorf("member list: %v, %v", l, err)
	}
	r, err := c.Kube().Resources(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"po": "pods", "deploy": "deployments.apps", "Deployment": "deployments.apps", "crd": "customresourcedefinitions.apiextensions.k8s.io", "events": "events", "deployments.v1.apps": "deployments.apps"} {
		if got, ok := r.Lookup(name); !ok || got.FullName() != want {
			t.Errorf("%s is %s, want %s", name, got.FullName(), want)
		}
	}
}
