//go:build integration

package etcd

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/yaml"

	"go.etcd.io/etcd/client/pkg/v3/transport"
	clientv3 "go.etcd.io/etcd/client/v3"

	"fathom/cluster"
	"fathom/internal/run"
	"fathom/internal/testcluster"
)

func sandboxEnv(t *testing.T, c *testcluster.Cluster) map[string]string {
	t.Helper()
	env := map[string]string{}
	for _, kv := range c.EtcdEnv(t) {
		k, v, _ := strings.Cut(kv, "=")
		env[k] = v
	}
	return env
}

// independent is a client that knows nothing of fathom.
func independent(t *testing.T, env map[string]string) *clientv3.Client {
	t.Helper()
	tls, err := transport.TLSInfo{TrustedCAFile: env["ETCDCTL_CACERT"], CertFile: env["ETCDCTL_CERT"], KeyFile: env["ETCDCTL_KEY"]}.ClientConfig()
	if err != nil {
		t.Fatal(err)
	}
	cl, err := clientv3.New(clientv3.Config{Endpoints: strings.Split(env["ETCDCTL_ENDPOINTS"], ","), TLS: tls})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cl.Close() })
	return cl
}

func TestIntegrationKeys(t *testing.T) {
	c := testcluster.Start(t, "--encrypt")
	env := sandboxEnv(t, c)
	cl, err := cluster.Open(cluster.Options{ReadOnly: true, Etcd: cluster.EtcdOptions{Env: func(k string) string { return env[k] }}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	keys, other := NewKeys(cl.Etcd()), independent(t, env)
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()

	t.Run("levels are those of a list of all keys", func(t *testing.T) {
		// Events come and go; the others are compared when nothing was written meanwhile.
		for try := 0; ; try++ {
			all, err := other.Get(ctx, "/registry/", clientv3.WithPrefix(), clientv3.WithKeysOnly())
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			for _, kv := range all.Kvs {
				names = append(names, string(kv.Key))
			}
			level, err := keys.Children(ctx, "/registry", "", MaxPage)
			if err != nil {
				t.Fatal(err)
			}
			diff := diffLevels(level.Children, levelOf(names, "/registry/"))
			if diff == "" && len(level.Children) > 20 {
				break
			}
			if try == 20 {
				t.Fatalf("%d children: %s", len(level.Children), diff)
			}
		}
	})

	t.Run("a pod is the one the API server serves", func(t *testing.T) {
		cfg, err := clientcmd.BuildConfigFromFlags("", c.Kubeconfig())
		if err != nil {
			t.Fatal(err)
		}
		k, err := kubernetes.NewForConfig(cfg)
		if err != nil {
			t.Fatal(err)
		}
		pods, err := k.CoreV1().Pods("").List(ctx, metav1.ListOptions{})
		if err != nil || len(pods.Items) == 0 {
			t.Fatal(len(pods.Items), err)
		}
		same := 0
		for _, want := range pods.Items {
			kv, err := keys.Get(ctx, "/registry/pods/"+want.Namespace+"/"+want.Name)
			if err != nil {
				t.Fatal(err)
			}
			d := Decode(kv.Key, kv.Value, DecodeOptions{Prefix: keys.Prefix(), ManagedFields: true})
			var got corev1.Pod
			if err := yaml.Unmarshal([]byte(d.Text), &got); err != nil || d.Format != Protobuf || d.Kind != "Pod" {
				t.Fatalf("%s: %v, %+v", kv.Key, err, d)
			}
			if want.ResourceVersion != jsonNumber(kv.ModRevision) {
				continue // it has changed meanwhile
			}
			got.ResourceVersion = want.ResourceVersion // is not stored
			want.TypeMeta = got.TypeMeta               // is not in a list
			a, _ := json.Marshal(&want)
			b, _ := json.Marshal(&got)
			if !bytes.Equal(a, b) {
				t.Errorf("%s:\ngot  %s\nwant %s", kv.Key, b, a)
			}
			same++
		}
		if same < len(pods.Items)/2 {
			t.Errorf("only %d of %d pods could be compared", same, len(pods.Items))
		}
	})

	t.Run("encrypted Secrets", func(t *testing.T) {
		p, err := keys.Page(ctx, "/registry/secrets/", "", 10, false)
		if err != nil || len(p.KVs) == 0 {
			t.Fatal(len(p.KVs), err)
		}
		for _, kv := range p.KVs {
			if d := Decode(kv.Key, kv.Value, DecodeOptions{}); d.Format != Encrypted || !strings.Contains(d.Text, "provider: secretbox") || !strings.Contains(d.Text, "key name: ") {
				t.Errorf("%s: %+v", kv.Key, d)
			}
		}
	})

	t.Run("leases", func(t *testing.T) {
		p, err := keys.Page(ctx, "/registry/events/", "", 1, true)
		if err != nil || len(p.KVs) == 0 {
			t.Fatal(len(p.KVs), err)
		}
		kv, err := keys.Get(ctx, p.KVs[0].Key)
		if err != nil || kv.Lease == 0 || kv.TTL <= 0 || kv.TTL > kv.GrantedTTL {
			t.Errorf("%+v, %v", kv, err)
		}
	})

	t.Run("hostile keys and a live watch", func(t *testing.T) {
		hostile := "/hostile/\x1b[2J\u202e\xff\x00/end"
		g := run.NewGroup(ctx, func(p run.Panic) { t.Errorf("%s: %v", p.Name, p.Value) })
		defer g.Stop()
		w := NewWatch(g, cl.Etcd(), WatchOptions{Key: "/hostile/", Prefix: true})
		w.wait(t, "the watch", live)
		if _, err := other.Put(ctx, hostile, "v"); err != nil {
			t.Fatal(err)
		}
		got := w.wait(t, "the change", func(s *WatchSnapshot) bool { return len(s.Events) == 1 })
		if got.Events[0].Key != hostile || !got.Events[0].Created {
			t.Errorf("%+v", got.Events)
		}
		l, err := keys.Children(ctx, "/hostile/", "", 10)
		if err != nil || len(l.Children) != 1 || l.Children[0].Key != strings.TrimSuffix(hostile, "end") || l.Children[0].Count != 1 {
			t.Errorf("%+v, %v", l, err)
		}
		if kv, err := keys.Get(ctx, hostile); err != nil || string(kv.Value) != "v" {
			t.Errorf("%+v, %v", kv, err)
		}
		if _, err := other.Delete(ctx, hostile); err != nil {
			t.Fatal(err)
		}
		w.wait(t, "the deletion", func(s *WatchSnapshot) bool { return len(s.Events) == 2 && s.Events[1].Deleted })
		if _, err = keys.Get(ctx, hostile); !errors.Is(err, ErrNoKey) {
			t.Error(err)
		}
	})

	t.Run("looking at keys proposes nothing", func(t *testing.T) {
		p, err := keys.Page(ctx, "/registry/events/", "", 1, true) // with a lease
		if err != nil || len(p.KVs) == 0 {
			t.Fatal(len(p.KVs), err)
		}
		for _, name := range []string{"kwok", "kube-scheduler", "kube-controller-manager", "kube-apiserver"} {
			c.Run(t, "kill", name)
		}
		index := func() uint64 {
			t.Helper()
			st, err := other.Status(ctx, cl.Etcd().Members()[0].Endpoint)
			if err != nil {
				t.Fatal(err)
			}
			return st.RaftIndex
		}
		look := func() {
			t.Helper()
			g := run.NewGroup(ctx, nil)
			defer g.Stop()
			w := newWatch(g, cl.Etcd(), WatchOptions{Prefix: true}, watchTiming{quiet: 50 * time.Millisecond, hung: 5 * time.Second, retry: time.Second})
			w.wait(t, "the watch and its progress", func(s *WatchSnapshot) bool { return live(s) && s.Gen > 5 })
			for _, prefix := range []string{"", "/registry/", "/registry/pods/"} {
				if _, err := keys.Children(ctx, prefix, "", MaxPage); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := keys.Get(ctx, p.KVs[0].Key); err != nil && !errors.Is(err, ErrNoKey) {
				t.Fatal(err)
			}
		}
		// Leases that expire are proposals too, though not ours: one look at an index that stands still is asked for, not ten.
		for try := 0; ; try++ {
			before := index()
			look()
			after := index()
			if before == after {
				break
			}
			if try == 10 {
				t.Fatalf("the raft index went from %d to %d while keys were looked at", before, after)
			}
		}
	})
}

func jsonNumber(n int64) string { b, _ := json.Marshal(n); return string(b) }

// diffLevels compares levels, but for the events, of which there are new ones all the time.
func diffLevels(got, want []Child) string {
	var out []string
	counts := func(cs []Child) map[string]int64 {
		m := map[string]int64{}
		for _, c := range cs {
			if c.Name != "events" {
				m[c.Key] = c.Count
			}
		}
		return m
	}
	g, w := counts(got), counts(want)
	for k, n := range w {
		if g[k] != n {
			out = append(out, k)
		}
	}
	if len(g) != len(w) {
		out = append(out, "a different number of children")
	}
	return strings.Join(out, ", ")
}
