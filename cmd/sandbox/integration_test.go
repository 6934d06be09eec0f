package main

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"fathom/cmd/sandbox/internal/controlplane"
	"fathom/cmd/sandbox/internal/load"
	"fathom/cmd/sandbox/internal/sandbox"
)

// etcdStatus asks one member.
func (r *running) etcdStatus(name string) (*clientv3.StatusResponse, error) {
	r.t.Helper()
	spec, err := controlplane.Load(r.dir)
	if err != nil {
		r.t.Fatal(err)
	}
	tls, err := sandbox.EtcdTLS(r.dir)
	if err != nil {
		r.t.Fatal(err)
	}
	url := spec.ClientURL(controlplane.MemberIndex(name))
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	c, err := clientv3.New(clientv3.Config{Endpoints: []string{url}, TLS: tls, Context: ctx, Logger: zap.NewNop()})
	if err != nil {
		return nil, err
	}
	defer c.Close()
	return c.Status(ctx, url)
}

func (r *running) client(kubeconfig string) *kubernetes.Clientset {
	r.t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		r.t.Fatal(err)
	}
	c, err := kubernetes.NewForConfig(config)
	if err != nil {
		r.t.Fatal(err)
	}
	return c
}

func (r *running) answers(kubeconfig string, limit time.Duration) bool {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	_, err := r.client(kubeconfig).CoreV1().Nodes().List(ctx, metav1.ListOptions{Limit: 1})
	return err == nil
}

func TestSandbox(t *testing.T) {
	integration(t)
	r := start(t, "--seed", "none", "--members", "3", "--nodes", "6", "--encrypt")

	t.Run("the last line says ready", func(t *testing.T) {
		lines := strings.Split(strings.TrimSpace(r.out.String()), "\n")
		if last := lines[len(lines)-1]; !strings.HasPrefix(last, "ready in ") {
			t.Errorf("last line %q", last)
		}
	})
	t.Run("a second up is refused", func(t *testing.T) {
		out, err := r.run("up")
		if err == nil || !strings.Contains(out, "in use") {
			t.Errorf("%v: %s", err, out)
		}
	})
	t.Run("viewer may look but not act", func(t *testing.T) {
		r.t = t
		ctx := withTimeout(t, 20*time.Second)
		c := r.client(r.dir.ViewerKubeconfig())
		if _, err := c.CoreV1().Pods("").List(ctx, metav1.ListOptions{}); err != nil {
			t.Error(err)
		}
		if _, err := c.CoreV1().Secrets("").List(ctx, metav1.ListOptions{}); err == nil {
			t.Error("viewer lists Secrets")
		}
	})
	t.Run("secrets are encrypted at rest", func(t *testing.T) { r.t = t; r.checkEncryption() })
	t.Run("kill of the leader gives a new leader", func(t *testing.T) { r.t = t; r.killLeader() })
	t.Run("partition isolates and heal recovers", func(t *testing.T) { r.t = t; r.partitionLeader() })
	t.Run("stop and cont of the API server", func(t *testing.T) { r.t = t; r.freezeAPIServer() })
	t.Run("a killed component stays dead until restart", func(t *testing.T) { r.t = t; r.killScheduler() })
	t.Run("down ends it", func(t *testing.T) {
		r.t = t
		r.must("down")
		r.nothingLeft()
		if _, err := os.Stat(r.dir.Ready()); err == nil {
			t.Error("the ready file is still there")
		}
	})
	r.t = t
}

func (r *running) checkEncryption() {
	ctx := withTimeout(r.t, 20*time.Second)
	_, err := r.client(r.dir.AdminKubeconfig()).CoreV1().Secrets("default").Create(ctx, secret("sealed", "plain-text-canary"), metav1.CreateOptions{})
	if err != nil {
		r.t.Fatal(err)
	}
	spec, err := controlplane.Load(r.dir)
	if err != nil {
		r.t.Fatal(err)
	}
	tls, err := sandbox.EtcdTLS(r.dir)
	if err != nil {
		r.t.Fatal(err)
	}
	c, err := clientv3.New(clientv3.Config{Endpoints: spec.ClientURLs(), TLS: tls, Logger: zap.NewNop()})
	if err != nil {
		r.t.Fatal(err)
	}
	defer c.Close()
	res, err := c.Get(ctx, "/registry/secrets/default/sealed")
	if err != nil || len(res.Kvs) != 1 {
		r.t.Fatalf("%v, %v", res, err)
	}
	if v := string(res.Kvs[0].Value); !strings.HasPrefix(v, "k8s:enc:secretbox:v1:") || strings.Contains(v, "plain-text-canary") {
		r.t.Errorf("stored as %.40q", v)
	}
}

func (r *running) killLeader() {
	old := r.must("leader")
	before, err := r.etcdStatus(old)
	if err != nil {
		r.t.Fatal(err)
	}
	r.must("kill", old)
	if c := r.component(old); c.State != "dead" || c.PID != 0 {
		r.t.Errorf("%+v", c)
	}
	var now string
	r.eventually(15*time.Second, "a new leader", func() bool { now, err = r.run("leader"); return err == nil && now != old })
	after, err := r.etcdStatus(now)
	if err != nil || after.RaftTerm <= before.RaftTerm {
		r.t.Errorf("term %d, was %d (%v)", after.RaftTerm, before.RaftTerm, err)
	}
	r.must("restart", old)
	r.eventually(30*time.Second, old+" to follow again", func() bool {
		st, err := r.etcdStatus(old)
		return err == nil && st.Leader != 0 && st.Leader != st.Header.MemberId
	})
}

func (r *running) partitionLeader() {
	cut := r.must("leader")
	r.must("partition", cut)
	if !r.component(cut).Partitioned {
		r.t.Error("status does not show the partition")
	}
	r.eventually(20*time.Second, cut+" to lose its leader", func() bool {
		st, err := r.etcdStatus(cut) // clients still reach it
		return err == nil && st.Leader == 0
	})
	r.eventually(20*time.Second, "the majority to elect", func() bool { l, err := r.run("leader"); return err == nil && l != cut })
	r.must("heal", cut)
	r.eventually(20*time.Second, cut+" to find the leader", func() bool {
		st, err := r.etcdStatus(cut)
		return err == nil && st.Leader != 0
	})
}

func (r *running) freezeAPIServer() {
	r.must("stop", "apiserver")
	if c := r.component("apiserver"); c.State != "stopped" {
		r.t.Errorf("%+v", c)
	}
	if r.answers(r.dir.AdminKubeconfig(), 2*time.Second) {
		r.t.Error("a stopped API server answers")
	}
	r.must("cont", "kube-apiserver")
	r.eventually(30*time.Second, "the API server to answer", func() bool { return r.answers(r.dir.AdminKubeconfig(), 2*time.Second) })
}

func (r *running) killScheduler() {
	pid := r.component("scheduler").PID
	r.must("kill", "scheduler")
	if err := syscall.Kill(pid, 0); err == nil {
		r.t.Errorf("process %d is still there", pid)
	}
	if out, err := r.run("stop", "scheduler"); err == nil || !strings.Contains(out, "restart scheduler") {
		r.t.Errorf("stop of a dead component: %v: %s", err, out)
	}
	r.must("restart", "scheduler")
	if c := r.component("scheduler"); c.State != "running" || c.PID == pid {
		r.t.Errorf("%+v", c)
	}
}

// The faults that etcd alone can show, on a cluster of nothing else.
func TestEtcdFaults(t *testing.T) {
	integration(t)
	r := start(t, "--etcd-only")
	answers := func(name string) bool { _, err := r.etcdStatus(name); return err == nil }
	all := func() bool { return answers("etcd-1") && answers("etcd-2") && answers("etcd-3") }
	t.Run("a black hole hides a member from clients only", func(t *testing.T) {
		r.t = t
		term := func() uint64 {
			st, err := r.etcdStatus("etcd-1")
			if err != nil {
				t.Fatal(err)
			}
			return st.RaftTerm
		}
		before := term()
		r.must("blackhole", "etcd-2")
		if !r.component("etcd-2").BlackHoled || answers("etcd-2") {
			t.Error("it answers")
		}
		r.must("heal", "etcd-2")
		r.eventually(20*time.Second, "etcd-2 to answer", func() bool { return answers("etcd-2") })
		if now := term(); now != before {
			t.Errorf("term %d, was %d: its peers noticed", now, before)
		}
	})
	t.Run("a killed member refuses its clients", func(t *testing.T) {
		r.t = t
		spec, err := controlplane.Load(r.dir)
		if err != nil {
			t.Fatal(err)
		}
		dial := func() error {
			c, err := net.Dial("tcp4", strings.TrimPrefix(spec.ClientURL(2), "https://"))
			if err == nil {
				_ = c.Close()
			}
			return err
		}
		r.must("kill", "etcd-2")
		if err := dial(); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("a client gets %v", err)
		}
		r.must("restart", "etcd-2")
		r.eventually(20*time.Second, "etcd-2 to answer", func() bool { return answers("etcd-2") })
		r.must("stop", "etcd-2") // frozen is not dead: the kernel goes on
		if err := dial(); err != nil {
			t.Errorf("of a frozen member a client gets %v", err)
		}
		r.must("cont", "etcd-2")
		r.eventually(20*time.Second, "etcd-2 to answer", func() bool { return answers("etcd-2") })
	})
	t.Run("an expired certificate, renewed", func(t *testing.T) {
		r.t = t
		r.must("expire", "etcd-2")
		if _, err := r.etcdStatus("etcd-2"); err == nil {
			t.Error("a client takes it")
		}
		r.must("renew", "etcd-2")
		r.eventually(20*time.Second, "etcd-2 to answer", func() bool { return answers("etcd-2") })
	})
	t.Run("back to what was kept", func(t *testing.T) {
		r.t = t
		if out, err := r.run("rewind"); err == nil || !strings.Contains(out, "keep") {
			t.Errorf("rewind of nothing: %v: %s", err, out)
		}
		r.must("keep")
		r.eventually(30*time.Second, "the members after keep", func() bool { _, err := r.run("leader"); return err == nil && all() })
		kept := r.put("after keep")
		for range 3 {
			r.put("later")
		}
		r.must("rewind")
		r.eventually(30*time.Second, "the members after rewind", func() bool { _, err := r.run("leader"); return err == nil && all() })
		if st, err := r.etcdStatus("etcd-3"); err != nil || st.Header.Revision >= kept {
			t.Errorf("revision %d, before the first write it was less than %d: %v", st.Header.Revision, kept, err)
		}
	})
	t.Run("an altered member has another hash", func(t *testing.T) {
		r.t = t
		r.put("the same for all")
		r.must("alter", "etcd-3")
		r.eventually(30*time.Second, "the altered member", func() bool { _, err := r.run("leader"); return err == nil && all() })
		hashes := map[uint32]int{}
		r.etcd(func(ctx context.Context, c *clientv3.Client) {
			for _, e := range c.Endpoints() {
				h, err := c.HashKV(ctx, e, 0)
				if err != nil {
					t.Fatal(err)
				}
				hashes[h.Hash]++
			}
		})
		if len(hashes) != 2 {
			t.Errorf("hashes %v", hashes)
		}
	})
	r.t = t
}

// etcd calls f with a client of all members.
func (r *running) etcd(f func(ctx context.Context, c *clientv3.Client)) {
	r.t.Helper()
	spec, err := controlplane.Load(r.dir)
	if err != nil {
		r.t.Fatal(err)
	}
	tls, err := sandbox.EtcdTLS(r.dir)
	if err != nil {
		r.t.Fatal(err)
	}
	c, err := clientv3.New(clientv3.Config{Endpoints: spec.ClientURLs(), TLS: tls, Logger: zap.NewNop()})
	if err != nil {
		r.t.Fatal(err)
	}
	defer c.Close()
	f(withTimeout(r.t, 30*time.Second), c)
}

// put writes a key and returns its revision.
func (r *running) put(value string) (revision int64) {
	r.t.Helper()
	r.etcd(func(ctx context.Context, c *clientv3.Client) {
		res, err := c.Put(ctx, "sandbox-test", value)
		if err != nil {
			r.t.Fatal(err)
		}
		revision = res.Header.Revision
	})
	return revision
}

// A parent that is killed takes its children along, also a frozen one.
func TestKilledParentLeavesNothing(t *testing.T) {
	integration(t)
	r := start(t, "--seed", "none", "--members", "1", "--nodes", "4")
	r.must("stop", "scheduler")
	if err := r.up.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	r.nothingLeft()
}

func TestSampleSeedSettles(t *testing.T) {
	integration(t)
	r := start(t)
	began := time.Now()
	r.must("wait", "--timeout", "3m")
	t.Logf("sample workloads settled %.1fs after ready", time.Since(began).Seconds())
	c := r.client(r.dir.AdminKubeconfig())
	ctx := withTimeout(t, 30*time.Second)
	logs, err := c.CoreV1().Pods("data").GetLogs("postgres-0", podLogs("postgres", 3)).DoRaw(ctx)
	if err != nil || len(logs) == 0 {
		t.Errorf("logs of postgres-0: %v", err)
	}
	ns, err := c.CoreV1().Namespaces().Get(ctx, "old-tenant", metav1.GetOptions{})
	if err != nil || ns.Status.Phase != "Terminating" {
		t.Errorf("old-tenant: %v, %v", ns.Status.Phase, err)
	}
	out := r.must("churn", "--rate", "50", "--for", "2s")
	var churned load.ChurnResult
	if err := json.Unmarshal([]byte(out), &churned); err != nil || churned.Failed > 0 || churned.Reached < 40 || churned.Unready == 0 {
		t.Errorf("churn: %v: %s", err, out)
	}
	out = r.must("load", "--nodes", "5", "--pods", "100")
	if !strings.Contains(out, "5 nodes and 100 pods") {
		t.Errorf("load: %s", out)
	}
	pods, err := c.CoreV1().Pods("").List(ctx, metav1.ListOptions{LabelSelector: "sandbox.example.io/load"})
	if err != nil || len(pods.Items) != 100 {
		t.Errorf("%d load pods, %v", len(pods.Items), err)
	}
	out = r.must("load", "--nodes", "5", "--pods", "100", "--check", "--without-controllers")
	if out != "" {
		t.Errorf("load --check: %s", out)
	}
	if out, err := r.run("load", "--nodes", "5000", "--pods", "500000", "--check"); err == nil || !strings.Contains(out, "--quota-bytes") {
		t.Errorf("half a million pods in 2 GiB: %v: %s", err, out)
	}
	// What clients see of a churn without controllers: other pods, as many as before.
	for _, name := range controllers {
		r.must("kill", name)
	}
	out = r.must("churn", "--rate", "100", "--for", "3s")
	if err := json.Unmarshal([]byte(out), &churned); err != nil || churned.Failed > 0 || churned.Created == 0 || churned.Created != churned.Deleted {
		t.Errorf("churn without controllers: %v: %s", err, out)
	}
	kubectl := command("kubectl", "--dir", r.dir.Path(), "get", "pods", "-A", "-l", "sandbox.example.io/load", "--no-headers")
	kubectl.Env = append(kubectl.Env, "HOME="+t.TempDir())
	if out, err := kubectl.CombinedOutput(); err != nil || strings.Count(string(out), "\n") != 100 {
		t.Errorf("kubectl: %v: %s", err, out)
	}
}
