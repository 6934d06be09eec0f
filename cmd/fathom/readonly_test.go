//go:build integration

package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/genericclioptions"

	"fathom/actions"
	"fathom/actions/journal"
	"fathom/cluster"
	"fathom/internal/testcluster"
)

// TestIntegrationReadOnly proves what --read-only promises, with a recorder in front of a real API server and real etcd members: what
// can change anything does not leave the process, whoever asks for it.
func TestIntegrationReadOnly(t *testing.T) {
	t.Run("Cluster", func(t *testing.T) {
		c := testcluster.Start(t)
		targets := targetsOf(t, c)
		t.Run("Actions", func(t *testing.T) { testReadOnlyActions(t, c, targets) })
		t.Run("BelowTheUI", func(t *testing.T) { testReadOnlyCalls(t, c, targets["pods"][0]) })
		t.Run("Reads", func(t *testing.T) { testReadOnlyReads(t, c, targets["pods"][0]) })
		t.Run("Screen", func(t *testing.T) { testReadOnlyWalk(t, c) })
	})
	t.Run("IdleEtcd", testIdleEtcd)
}

// The allow-list, written down here a second time: it does not ask the guard what the guard allows.
var (
	readablePaths = []*regexp.Regexp{
		regexp.MustCompile(`^/(version|livez|readyz|healthz|openapi/v2|openapi/v3)$`),
		regexp.MustCompile(`^/(livez|readyz|openapi/v3)/[a-z0-9./-]+$`),
		regexp.MustCompile(`^/(api|apis)$`),
		regexp.MustCompile(`^/(api/v1|apis/[a-z0-9.-]+|apis/[a-z0-9.-]+/v[a-z0-9]+)$`),
		// /api/v1/{resource}[/{name}[/{subresource}]], in a namespace or not.
		regexp.MustCompile(`^/(api/v1|apis/[a-z0-9.-]+/v[a-z0-9]+)(/namespaces/[a-z0-9-]+)?/[a-z]+(/[a-zA-Z0-9.:-]+(/(status|scale|log))?)?$`),
	}
	readableReviews = map[string]bool{
		"/apis/authorization.k8s.io/v1/selfsubjectaccessreviews": true,
		"/apis/authorization.k8s.io/v1/selfsubjectrulesreviews":  true,
		"/apis/authentication.k8s.io/v1/selfsubjectreviews":      true,
	}
	readableCalls = map[string]bool{
		"/etcdserverpb.KV/Range":              true,
		"/etcdserverpb.Watch/Watch":           true,
		"/etcdserverpb.Cluster/MemberList":    true,
		"/etcdserverpb.Maintenance/Status":    true,
		"/etcdserverpb.Maintenance/Hash":      true,
		"/etcdserverpb.Maintenance/HashKV":    true,
		"/etcdserverpb.Lease/LeaseTimeToLive": true,
		"/etcdserverpb.Lease/LeaseLeases":     true,
	}
)

// readsOnly reports whether a request that has reached a proxy is on the allow-list.
func readsOnly(r testcluster.Request) bool {
	if r.Upgrade != "" || strings.Contains(strings.ToLower(r.Query), "dryrun") {
		return false
	}
	if r.Etcd() {
		metrics := r.Method == http.MethodGet && r.Path == "/metrics" && r.Query == ""
		return metrics || r.Method == http.MethodPost && readableCalls[r.Path]
	}
	if r.Method == http.MethodPost {
		return readableReviews[r.Path]
	}
	if r.Method != http.MethodGet {
		return false
	}
	for _, p := range readablePaths {
		if p.MatchString(r.Path) {
			return true
		}
	}
	return false
}

// refuseOthers reports what came to the proxies after the mark and is not on the allow-list.
func refuseOthers(t *testing.T, what string, rs []testcluster.Request) {
	t.Helper()
	for _, r := range rs {
		if !readsOnly(r) {
			t.Errorf("%s: this left fathom in read-only mode: %s", what, r)
		}
	}
}

// openRecorded opens the cluster behind the recorder as the program does.
func openRecorded(t *testing.T, rec *testcluster.Recorder, readOnly bool) *cluster.Cluster {
	t.Helper()
	env := map[string]string{}
	for _, kv := range rec.EtcdEnv() {
		k, v, _ := strings.Cut(kv, "=")
		env[k] = v
	}
	flags := genericclioptions.NewConfigFlags(false)
	kubeconfig := rec.Kubeconfig()
	flags.KubeConfig = &kubeconfig
	cl, err := cluster.Open(cluster.Options{
		Flags: flags, ReadOnly: readOnly,
		Etcd: cluster.EtcdOptions{HostRoot: t.TempDir(), Env: func(k string) string { return env[k] }},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return cl
}

// targetsOf finds something real for every resource that an action can be for, with clients that are not fathom's.
func targetsOf(t *testing.T, c *testcluster.Cluster) map[string][]actions.Target {
	t.Helper()
	ctx, k := t.Context(), kube(t, c)
	out := map[string][]actions.Target{}
	add := func(kind, group, resource string, m metav1.ObjectMeta, replicas *int32) {
		target := actions.Target{Kind: kind, Group: group, Version: "v1", Resource: resource, Namespace: m.Namespace, Name: m.Name, UID: string(m.UID),
			ResourceVersion: m.ResourceVersion}
		if replicas != nil {
			target.Detail = map[string]string{"replicas": strconv.Itoa(int(*replicas))}
		}
		out[resource] = append(out[resource], target)
	}
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	pods, err := k.CoreV1().Pods("shop").List(ctx, metav1.ListOptions{})
	check(err)
	for _, p := range pods.Items {
		if p.Status.Phase == corev1.PodRunning && p.DeletionTimestamp == nil {
			add("Pod", "", "pods", p.ObjectMeta, nil)
		}
	}
	nodes, err := k.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	check(err)
	for _, cordoned := range []bool{false, true} { // the first of each, so that cordoning and uncordoning have something to do
		for _, n := range nodes.Items {
			if n.Spec.Unschedulable == cordoned {
				add("Node", "", "nodes", n.ObjectMeta, nil)
				break
			}
		}
	}
	deployments, err := k.AppsV1().Deployments("").List(ctx, metav1.ListOptions{})
	check(err)
	for _, d := range deployments.Items {
		if !d.Spec.Paused { // a paused one is not restarted
			add("Deployment", "apps", "deployments", d.ObjectMeta, d.Spec.Replicas)
		}
	}
	statefulSets, err := k.AppsV1().StatefulSets("").List(ctx, metav1.ListOptions{})
	check(err)
	for _, s := range statefulSets.Items {
		add("StatefulSet", "apps", "statefulsets", s.ObjectMeta, s.Spec.Replicas)
	}
	daemonSets, err := k.AppsV1().DaemonSets("").List(ctx, metav1.ListOptions{})
	check(err)
	for _, d := range daemonSets.Items {
		add("DaemonSet", "apps", "daemonsets", d.ObjectMeta, nil)
	}
	replicaSets, err := k.AppsV1().ReplicaSets("").List(ctx, metav1.ListOptions{})
	check(err)
	for _, r := range replicaSets.Items {
		add("ReplicaSet", "apps", "replicasets", r.ObjectMeta, r.Spec.Replicas)
	}
	got, err := etcdClient(t, c).Get(ctx, "x")
	check(err)
	out["etcd"] = []actions.Target{{
		Kind: "Etcd", Resource: "etcd", Name: "sandbox", UID: fmt.Sprintf("%x", got.Header.ClusterId), Detail: map[string]string{"revision": fmt.Sprint(got.Header.Revision)},
	}}
	for _, m := range membersOf(t, etcdClient(t, c)) {
		if !m.leader { // leadership can be moved to it, and it can be defragmented
			out["members"] = append(out["members"], actions.Target{Kind: "Member", Resource: "members", Name: m.name, Member: m.id, Endpoint: m.endpoint})
		}
	}
	cli := etcdClient(t, c)
	key := func(name string) actions.Target {
		r, err := cli.Get(ctx, name)
		check(err)
		target := actions.Target{Kind: "Key", Resource: "keys", Name: name, UID: name, ResourceVersion: "0"}
		if len(r.Kvs) == 1 {
			target.ResourceVersion = strconv.FormatInt(r.Kvs[0].ModRevision, 10)
		}
		return target
	}
	out["keys"] = []actions.Target{key("/registry/namespaces/default"), key("/fathom-read-only-test/new")}
	lease, err := cli.Grant(ctx, 3600)
	check(err)
	id := strconv.FormatInt(int64(lease.ID), 16)
	out["leases"] = []actions.Target{{Kind: "Lease", Resource: "leases", Name: id, UID: id}}
	return out
}

// memberState is what an independent client hears from one member.
type memberState struct {
	id, index, term uint64
	name, endpoint  string
	leader          bool
}

func membersOf(t *testing.T, cli *clientv3.Client) []memberState {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	list, err := cli.MemberList(ctx)
	if err != nil {
		t.Fatal(err)
	}
	var out []memberState
	for _, m := range list.Members {
		s, err := cli.Status(ctx, m.ClientURLs[0])
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, memberState{id: m.ID, index: s.RaftIndex, term: s.RaftTerm, name: m.Name, endpoint: m.ClientURLs[0], leader: s.Leader == m.ID})
	}
	return out
}

// inputs are acceptable ones of actions that ask for something other than a number.
var inputs = map[string]string{
	"etcd.add-learner":     "etcd-9=https://127.0.0.1:9",
	"members.update-peers": "https://127.0.0.1:9",
}

// refusedHere are the actions that a cluster which is well refuses, whoever asks: what they send is seen in the tests of package actions.
var refusedHere = []string{"members.promote", "etcd.recover-nospace", "etcd.disarm"}

// inputFor is an acceptable input of an action, "" when it asks for none.
func inputFor(t *testing.T, a actions.Action, target actions.Target) string {
	t.Helper()
	if a.Input == nil {
		return ""
	}
	if in, ok := inputs[a.ID]; ok {
		return in
	}
	if a.ID == actions.IDSnapshot {
		return filepath.Join(t.TempDir(), "snapshot.db")
	}
	if a.Input.Hidden { // a value of a key
		return "read-only-test"
	}
	n, err := strconv.Atoi(a.Input.Initial(target))
	if err != nil {
		t.Fatalf("%s asks for something this test does not know: %v", a.ID, err)
	}
	return strconv.Itoa(n + 1)
}

// testReadOnlyActions performs every registered action, by the runner and past it. Each is performed once more without read-only
// mode, its mutation stopped at the proxy: so it is known that it would have been seen.
func testReadOnlyActions(t *testing.T, c *testcluster.Cluster, targets map[string][]actions.Target) {
	rec := testcluster.NewRecorder(t, c)
	auditor, admin := openRecorded(t, rec, true), openRecorded(t, rec, false)
	rec.Stop(func(r testcluster.Request) bool { return !readsOnly(r) })
	runner := actions.NewRunner(auditor, journal.New(filepath.Join(t.TempDir(), "fathom", "journal.jsonl")), "test")
	all := actions.All()
	if len(all) < 7 {
		t.Fatalf("only %d actions are registered", len(all))
	}
	for _, a := range all {
		for _, resource := range a.Resources {
			if len(targets[resource]) == 0 {
				t.Errorf("%s: the sandbox has none of the %s it is for", a.ID, resource)
				continue
			}
			target := targets[resource][0]
			if a.ID == "nodes.uncordon" || a.ID == "keys.put" { // something cordoned, something that is not there
				target = targets[resource][1]
			}
			t.Run(a.ID+"/"+resource, func(t *testing.T) {
				input := inputFor(t, a, target)
				ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
				defer cancel()
				mark := rec.Count()
				if d, err := runner.Preflight(ctx, a, target); err != nil || d.Allowed {
					t.Errorf("preflight: %+v, %v", d, err)
				}
				_, err := runner.Preview(ctx, a, target, input)
				var refusal *actions.Refusal
				refused := errors.As(err, &refusal)
				if err != nil && !refused || refused != slices.Contains(refusedHere, a.ID) {
					t.Errorf("preview: %v", err)
				}
				confirmed, err := runner.Confirm(a, input, target)
				if err != nil {
					t.Fatal(err)
				}
				if out := runner.Run(ctx, confirmed, nil); len(out) != 1 || out[0].Status != actions.Denied {
					t.Errorf("run: %+v", out)
				}
				request := actions.Request{Target: target, Input: input, AuditID: "read-only-test", At: time.Now()}
				step, err := first(ctx, a, auditor, request)
				if err != nil {
					t.Fatalf("what would be done: %v", err)
				}
				if step.Target.Kind != "" {
					request.Target = step.Target
				}
				if message, err := step.Do(ctx, auditor, request); !errors.Is(err, cluster.ErrReadOnly) && !refused {
					t.Errorf("done past the runner: %q, %v", message, err)
				}
				short, stop := context.WithTimeout(ctx, 300*time.Millisecond)
				_, _, _ = step.Verify(short, auditor, request) // whatever it finds, it only reads
				stop()
				if rec.Count() == mark {
					t.Error("the recorder has seen nothing: not even the preview's reads")
				}
				refuseOthers(t, a.ID, rec.Since(mark))

				if refused {
					return
				}
				mark = rec.Count()
				request.Target = target
				if step, err = first(ctx, a, admin, request); err != nil {
					t.Fatalf("what would be done: %v", err)
				}
				request.Target = step.Target
				if message, err := step.Do(ctx, admin, request); err == nil {
					t.Errorf("the recorder stopped nothing, and it was done: %q", message)
				}
				if n := stopped(rec.Since(mark)); n != 1 {
					t.Errorf("without read-only mode %d mutating requests reached the recorder, want 1: %v", n, rec.Since(mark))
				}
			})
		}
	}
}

// first is the first request of an action. Where the action is refused for now, it is one that does nothing.
func first(ctx context.Context, a actions.Action, c *cluster.Cluster, r actions.Request) (actions.Step, error) {
	steps, err := a.Plan(ctx, c, r)
	var refusal *actions.Refusal
	if errors.As(err, &refusal) {
		return actions.Step{
			Do: func(context.Context, *cluster.Cluster, actions.Request) (string, error) { return "", err },
			Verify: func(context.Context, *cluster.Cluster, actions.Request) (actions.Status, string, error) {
				return actions.Failed, "", err
			},
		}, nil
	}
	if err != nil {
		return actions.Step{}, err
	}
	return steps[0], nil
}

// stopped counts the requests that are not on the allow-list.
func stopped(rs []testcluster.Request) int {
	n := 0
	for _, r := range rs {
		if !readsOnly(r) {
			n++
		}
	}
	return n
}

// testReadOnlyReads reads in every way that read-only mode allows, past the guard and through the proxies.
func testReadOnlyReads(t *testing.T, c *testcluster.Cluster, pod actions.Target) {
	rec := testcluster.NewRecorder(t, c)
	cl := openRecorded(t, rec, true)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	m := cl.Etcd().Members()[0]
	pods := cl.Kube().Typed().CoreV1().Pods(pod.Namespace)
	for path, read := range map[string]func() error{
		"/etcdserverpb.Maintenance/HashKV": func() error {
			_, err := m.Maintenance().HashKV(ctx, &pb.HashKVRequest{})
			return err
		},
		"/etcdserverpb.Maintenance/Status": func() error { _, err := m.Status(ctx); return err },
		"/etcdserverpb.Cluster/MemberList": func() error {
			list, err := cl.Etcd().MemberList(ctx)
			if err != nil {
				return err
			}
			for _, member := range list.Members {
				if _, ok := cl.Etcd().Member(member.ClientURLs[0]); !ok {
					return fmt.Errorf("the member list leads around the recorder: %v", member.ClientURLs)
				}
			}
			return nil
		},
		"/etcdserverpb.KV/Range":              func() error { _, err := m.Client().Get(ctx, "/registry/namespaces/default"); return err },
		"/etcdserverpb.Lease/LeaseLeases":     func() error { _, err := m.Client().Leases(ctx); return err },
		"/etcdserverpb.Lease/LeaseTimeToLive": func() error { _, err := m.Client().TimeToLive(ctx, 1); return err },
		"/etcdserverpb.Watch/Watch": func() error {
			ctx, cancel := context.WithCancel(ctx)
			defer cancel()
			r := <-m.Client().Watch(ctx, "/registry/", clientv3.WithPrefix(), clientv3.WithCreatedNotify())
			if !r.Created {
				return fmt.Errorf("the watch was not created: %+v, %w", r, r.Err())
			}
			return nil
		},
		"/api/v1/namespaces/" + pod.Namespace + "/pods/" + pod.Name + "/log": func() error {
			_, err := pods.GetLogs(pod.Name, &corev1.PodLogOptions{}).DoRaw(ctx)
			return err
		},
		"/api/v1/namespaces/" + pod.Namespace + "/pods": func() error {
			w, err := pods.Watch(ctx, metav1.ListOptions{})
			if err != nil {
				return err
			}
			defer w.Stop()
			if _, ok := <-w.ResultChan(); !ok {
				return errors.New("the watch ended")
			}
			return nil
		},
		"/apis/authorization.k8s.io/v1/selfsubjectaccessreviews": func() error {
			_, err := cl.Kube().Can(ctx, cluster.Access{Verb: "delete", Resource: "pods"})
			return err
		},
	} {
		mark := rec.Count()
		if err := read(); err != nil {
			t.Errorf("%s: %v", path, err)
		}
		seen := 0
		for _, r := range rec.Since(mark) {
			if r.Path == path {
				seen++
			}
		}
		if seen == 0 {
			t.Errorf("%s: the recorder saw %v", path, rec.Since(mark))
		}
		refuseOthers(t, path, rec.Since(mark))
	}
}
