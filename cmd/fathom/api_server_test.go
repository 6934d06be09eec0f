//go:build integration

package main

import (
	"context"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"fathom/internal/testcluster"
)

// tenant makes a user who may read the namespaces given, by a Role in each, and nothing else. It returns the admin's client and
// an environment whose kubeconfig is the user's, with the first namespace in its context.
func tenant(t *testing.T, c *testcluster.Cluster, namespaces ...string) (admin kubernetes.Interface, env []string) {
	t.Helper()
	admin = kube(t, c)
	ctx, name, home := t.Context(), "tenant", namespaces[0]
	if _, err := admin.CoreV1().ServiceAccounts(home).Create(ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, ns := range namespaces {
		role := &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Name: name}, Rules: []rbacv1.PolicyRule{{
			APIGroups: []string{"*"}, Resources: []string{"*"}, Verbs: []string{"get", "list", "watch"},
		}}}
		if _, err := admin.RbacV1().Roles(ns).Create(ctx, role, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		binding := &rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: name},
			Subjects:   []rbacv1.Subject{{Kind: "ServiceAccount", Name: name, Namespace: home}},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: name},
		}
		if _, err := admin.RbacV1().RoleBindings(ns).Create(ctx, binding, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	token, err := admin.CoreV1().ServiceAccounts(home).CreateToken(ctx, name, &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	raw, err := clientcmd.LoadFromFile(c.Kubeconfig())
	if err != nil {
		t.Fatal(err)
	}
	of := raw.Contexts[raw.CurrentContext]
	raw.AuthInfos = map[string]*clientcmdapi.AuthInfo{name: {Token: token.Status.Token}}
	raw.Contexts = map[string]*clientcmdapi.Context{name: {Cluster: of.Cluster, AuthInfo: name, Namespace: home}}
	raw.CurrentContext = name
	file := filepath.Join(t.TempDir(), "tenant.kubeconfig")
	if err := clientcmd.WriteToFile(*raw, file); err != nil {
		t.Fatal(err)
	}
	env = slices.DeleteFunc(c.Env(t), func(kv string) bool { return strings.HasPrefix(kv, "KUBECONFIG=") || strings.HasPrefix(kv, "ETCDCTL_") })
	return admin, append(env, "KUBECONFIG="+file)
}

func grantAll(ctx context.Context, admin kubernetes.Interface, name string, rule rbacv1.PolicyRule) error {
	_, err := admin.RbacV1().ClusterRoles().Create(ctx, &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: name}, Rules: []rbacv1.PolicyRule{rule}}, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	_, err = admin.RbacV1().ClusterRoleBindings().Create(ctx, &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Subjects:   []rbacv1.Subject{{Kind: "ServiceAccount", Name: "tenant", Namespace: "shop"}},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: name},
	}, metav1.CreateOptions{})
	return err
}

// A tenant of a cluster, whose rights end at a namespace, asks for the pods of all: those that may be read are shown, and what is
// missing is said. With every right that is granted more comes, without a key pressed.
func TestIntegrationTenant(t *testing.T) {
	c := testcluster.Start(t)
	admin, env := tenant(t, c, "shop", "data")
	term := testcluster.NewTerminal(t, 160, 45, env)
	term.Line(testcluster.Binary(t, "fathom") + " -c 'pods -A'; echo exit=$?")
	see := func(what string, limit time.Duration, ok func(screen string) bool) string {
		t.Helper()
		begun := time.Now()
		var screen string
		testcluster.Eventually(t, limit, what, func() error {
			if screen = term.Screen(); !ok(screen) {
				return errScreen(screen)
			}
			return nil
		})
		t.Logf("%s after %v:\n%s", what, time.Since(begun).Round(10*time.Millisecond), head(screen, 6))
		return screen
	}
	s := see("the pods of shop and the note", 15*time.Second, func(s string) bool {
		return strings.Contains(s, "live: only shop: may not list pods in all namespaces") && strings.Contains(s, "Running")
	})
	if strings.Contains(s, "postgres") || strings.Contains(s, "kube-system") {
		t.Errorf("pods of other namespaces:\n%s", s)
	}
	visit(term, "ingresses -A", "only shop: may not list ingresses in all namespaces") // a server-side Table
	visit(term, "overview -A", "overview")
	see("the overview counts shop's pods", 15*time.Second, func(s string) bool {
		return strings.Contains(s, "denied: may not list nodes") && strings.Contains(s, "running")
	})
	visit(term, "nodes", "denied: may not list nodes")
	visit(term, "pods data", "postgres-0", "live")
	visit(term, "pods -A", "only shop: may not list pods in all namespaces")

	out, errs, code := fathom(t, env, "print", "pods", "-A")
	if code != 0 || !strings.Contains(out, "shop") || strings.Contains(out, "postgres") || errs != "fathom: only shop: may not list pods in all namespaces\n" {
		t.Errorf("print: exit %d, %s\n%s", code, errs, out)
	}

	if err := grantAll(t.Context(), admin, "tenant-namespaces", rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"namespaces"}, Verbs: []string{"list"}}); err != nil {
		t.Fatal(err)
	}
	see("the namespaces that may be listed are tried", 90*time.Second, func(s string) bool {
		return strings.Contains(s, "only shop, data: may not list pods in all namespaces") && strings.Contains(s, "postgres-0")
	})
	if err := grantAll(t.Context(), admin, "tenant-pods", rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"get", "list", "watch"}}); err != nil {
		t.Fatal(err)
	}
	see("all pods", 90*time.Second, func(s string) bool {
		return strings.Contains(s, "live") && !strings.Contains(s, "may not") && strings.Contains(s, "kube-system")
	})
	term.Keys("C-c")
	term.WaitFor("exit=0")
}

type errScreen string

func (e errScreen) Error() string { return "the screen is\n" + string(e) }

func head(s string, n int) string {
	lines := strings.SplitN(s, "\n", n+1)
	return strings.Join(lines[:min(n, len(lines))], "\n")
}
