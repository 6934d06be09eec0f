package discover

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// hostTree writes files below a folder, as a host has them.
func hostTree(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, content := range files {
		file := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func env(m map[string]string) func(string) string { return func(k string) string { return m[k] } }

func find(t *testing.T, o Options) (*Found, *Missing) {
	t.Helper()
	if o.Env == nil {
		o.Env = env(nil)
	}
	f, m, err := Find(o)
	if err != nil {
		t.Fatal(err)
	}
	if (f == nil) == (m == nil) {
		t.Fatalf("found %+v, missing %+v", f, m)
	}
	return f, m
}

const etcdManifest = `apiVersion: v1
kind: Pod
metadata: {name: etcd, namespace: kube-system}
spec:
  containers:
  - name: etcd
    command:
    - etcd
    - --advertise-client-urls=https://10.0.0.1:2379
    - --listen-client-urls=https://127.0.0.1:2379,https://10.0.0.1:2379
    - --listen-metrics-urls=http://127.0.0.1:2381
    - --cert-file=/etc/kubernetes/pki/etcd/server.crt
    - --key-file=/etc/kubernetes/pki/etcd/server.key
    - --trusted-ca-file=/etc/kubernetes/pki/etcd/ca.crt
    volumeMounts:
    - {name: etcd-certs, mountPath: /etc/kubernetes/pki/etcd}
  volumes:
  - {name: etcd-certs, hostPath: {path: /etc/kubernetes/pki/etcd}}
`

const apiManifest = `apiVersion: v1
kind: Pod
metadata: {name: kube-apiserver, namespace: kube-system}
spec:
  containers:
  - name: sidecar
    command: [sleep]
  - name: kube-apiserver
    command: [kube-apiserver]
    args:
    - --etcd-servers=https://127.0.0.1:2379,https://10.0.0.2:2379
    - --etcd-cafile
    - /pki/etcd/ca.crt
    - --etcd-certfile=/pki/apiserver-etcd-client.crt
    - --etcd-keyfile=/pki/apiserver-etcd-client.key
    - --etcd-prefix=/myregistry
    volumeMounts:
    - {name: all, mountPath: /}
    - {name: k8s-certs, mountPath: /pki}
  volumes:
  - {name: all, hostPath: {path: /nowhere}}
  - {name: k8s-certs, hostPath: {path: /etc/kubernetes/pki}}
`

func kubeadm() map[string]string {
	return map[string]string{
		"etc/kubernetes/manifests/etcd.yaml":             etcdManifest,
		"etc/kubernetes/manifests/kube-apiserver.yaml":   apiManifest,
		"etc/kubernetes/pki/etcd/ca.crt":                 "x",
		"etc/kubernetes/pki/etcd/server.crt":             "x",
		"etc/kubernetes/pki/etcd/server.key":             "x",
		"etc/kubernetes/pki/etcd/healthcheck-client.crt": "x",
		"etc/kubernetes/pki/etcd/healthcheck-client.key": "x",
		"etc/kubernetes/pki/apiserver-etcd-client.crt":   "x",
		"etc/kubernetes/pki/apiserver-etcd-client.key":   "x",
	}
}

func TestKubeadm(t *testing.T) {
	root := hostTree(t, kubeadm())
	pki := filepath.Join(root, "etc/kubernetes/pki")
	f, _ := find(t, Options{HostRoot: root})
	// The loopback URL of --etcd-servers is the member that advertises 10.0.0.1.
	if want := []string{"https://10.0.0.1:2379", "https://10.0.0.2:2379"}; !slices.Equal(f.Endpoints, want) {
		t.Errorf("endpoints %v, want %v", f.Endpoints, want)
	}
	if f.CACert != pki+"/etcd/ca.crt" || f.Cert != pki+"/apiserver-etcd-client.crt" || f.Key != pki+"/apiserver-etcd-client.key" {
		t.Errorf("certificates: %+v", f)
	}
	// Only the local member's are known.
	if want := []Metrics{{"https://10.0.0.1:2379", "http://127.0.0.1:2381/metrics"}}; !slices.Equal(f.Metrics, want) {
		t.Errorf("metrics %v, want %v", f.Metrics, want)
	}
	if f.Prefix != "/myregistry" || f.Explicit || f.Source != root+"/etc/kubernetes/manifests/kube-apiserver.yaml" {
		t.Errorf("%+v", f)
	}
}

func TestKubeadmParts(t *testing.T) {
	for name, c := range map[string]struct {
		remove    []string
		endpoints []string
		cert      string
	}{
		"etcd only": {
			[]string{"etc/kubernetes/manifests/kube-apiserver.yaml"}, []string{"https://10.0.0.1:2379"}, "apiserver-etcd-client.crt",
		},
		"etcd host without API server's certificate": {
			[]string{"etc/kubernetes/manifests/kube-apiserver.yaml", "etc/kubernetes/pki/apiserver-etcd-client.crt"},
			[]string{"https://10.0.0.1:2379"}, "etcd/healthcheck-client.crt",
		},
		"etcd's own certificate as the last": {
			[]string{"etc/kubernetes/manifests/kube-apiserver.yaml", "etc/kubernetes/pki/apiserver-etcd-client.crt", "etc/kubernetes/pki/etcd/healthcheck-client.key"},
			[]string{"https://10.0.0.1:2379"}, "etcd/server.crt",
		},
		"external etcd": {
			[]string{"etc/kubernetes/manifests/etcd.yaml"}, []string{"https://127.0.0.1:2379", "https://10.0.0.2:2379"}, "apiserver-etcd-client.crt",
		},
		"no manifests": {
			[]string{"etc/kubernetes/manifests/etcd.yaml", "etc/kubernetes/manifests/kube-apiserver.yaml"}, []string{localEtcd}, "apiserver-etcd-client.crt",
		},
	} {
		files := kubeadm()
		for _, r := range c.remove {
			if _, ok := files[r]; !ok {
				t.Fatalf("%s: no file %s", name, r)
			}
			delete(files, r)
		}
		root := hostTree(t, files)
		f, _ := find(t, Options{HostRoot: root})
		if !slices.Equal(f.Endpoints, c.endpoints) || f.Cert != filepath.Join(root, "etc/kubernetes/pki", c.cert) {
			t.Errorf("%s: %+v", name, f)
		}
	}
}

func TestKeyThatMayNotBeRead(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root may read everything: see TestPermissionIsNoted")
	}
	root := hostTree(t, kubeadm())
	for name := range kubeadm() {
		if filepath.Ext(name) == ".crt" {
			continue // kubeadm leaves certificates readable, keys and manifests not
		}
		if err := os.Chmod(filepath.Join(root, name), 0); err != nil {
			t.Fatal(err)
		}
	}
	_, m := find(t, Options{HostRoot: root})
	if !strings.Contains(m.Why, "may not be read") || !strings.Contains(m.Fix, "root") {
		t.Errorf("%+v", m)
	}
}

func TestPermissionIsNoted(t *testing.T) {
	s := &search{root: "/"}
	s.note("/etc/kubernetes/pki/x.key", &os.PathError{Op: "open", Path: "x", Err: os.ErrPermission})
	s.note("/etc/kubernetes/pki/y.key", &os.PathError{Op: "open", Path: "y", Err: os.ErrNotExist})
	if len(s.problems) != 1 || !strings.Contains(s.problems[0].Why, "x.key") || !strings.Contains(s.problems[0].Fix, "root") {
		t.Errorf("%+v", s.problems)
	}
}

func TestDistributions(t *testing.T) {
	for _, d := range distributions {
		cert := strings.ReplaceAll(d.cert, "*", "node-1")
		root := hostTree(t, map[string]string{d.ca: "x", cert: "x", strings.ReplaceAll(d.key, "*", "node-1"): "x"})
		f, _ := find(t, Options{HostRoot: root})
		if f.Cert != filepath.Join(root, cert) || f.CACert != filepath.Join(root, d.ca) || f.Endpoints[0] != d.endpoint || f.Prefix != DefaultPrefix || f.Explicit {
			t.Errorf("%s: %+v", d.name, f)
		}
		if !strings.HasPrefix(f.Source, d.name) {
			t.Errorf("%s: source %q", d.name, f.Source)
		}
	}
}

func TestWithoutEtcd(t *testing.T) {
	k3s := map[string]string{
		"var/lib/rancher/k3s/server/db/state.db":            "x",
		"var/lib/rancher/k3s/server/tls/etcd/server-ca.crt": "x",
		"var/lib/rancher/k3s/server/tls/etcd/client.crt":    "x",
		"var/lib/rancher/k3s/server/tls/etcd/client.key":    "x",
	}
	_, m := find(t, Options{HostRoot: hostTree(t, k3s)})
	if !strings.Contains(m.Why, "SQLite") {
		t.Errorf("%+v", m)
	}
	k3s["var/lib/rancher/k3s/server/db/etcd/config"] = "x"
	if f, _ := find(t, Options{HostRoot: hostTree(t, k3s)}); !strings.HasPrefix(f.Source, "k3s") {
		t.Errorf("%+v", f)
	}
	_, m = find(t, Options{HostRoot: hostTree(t, map[string]string{"var/snap/microk8s/current/var/kubernetes/backend/info.yaml": "x"})})
	if !strings.Contains(m.Why, "dqlite") {
		t.Errorf("%+v", m)
	}
	_, m = find(t, Options{HostRoot: t.TempDir()})
	if !strings.Contains(m.Fix, "--etcd-endpoints") || !slices.Contains(m.Tried, "ETCDCTL_ENDPOINTS") || len(m.Tried) < 10 {
		t.Errorf("%+v", m)
	}
}

func TestExplicit(t *testing.T) {
	root := hostTree(t, kubeadm()) // is not asked when flags or environment say it all
	e := env(map[string]string{
		"ETCDCTL_ENDPOINTS": "10.1.1.1:2379, https://10.1.1.2:2379/ ,https://10.1.1.2:2379", "ETCDCTL_CACERT": "ca", "ETCDCTL_CERT": "crt", "ETCDCTL_KEY": "key",
		"ETCDCTL_USER": "me:secret",
	})
	f, _ := find(t, Options{HostRoot: root, Env: e})
	if f.Source != "environment" || !f.Explicit || !slices.Equal(f.Endpoints, []string{"https://10.1.1.1:2379", "https://10.1.1.2:2379"}) ||
		f.Cert != "crt" || f.User != "me" || f.Password != "secret" || f.Prefix != DefaultPrefix {
		t.Errorf("%+v", f)
	}
	f, _ = find(t, Options{HostRoot: root, Env: e, Endpoints: []string{"https://10.2.2.2:2379"}, CACert: "ca2"})
	if f.Source != "flags" || !slices.Equal(f.Endpoints, []string{"https://10.2.2.2:2379"}) || f.CACert != "ca2" || f.Key != "key" {
		t.Errorf("%+v", f)
	}
	// Endpoints alone take the certificates of this node.
	f, _ = find(t, Options{HostRoot: root, Endpoints: []string{"https://10.2.2.2:2379"}})
	if f.Endpoints[0] != "https://10.2.2.2:2379" || !strings.HasSuffix(f.Cert, "/apiserver-etcd-client.crt") || !f.Explicit {
		t.Errorf("%+v", f)
	}
	f, _ = find(t, Options{HostRoot: root, Endpoints: []string{"http://10.2.2.2:2379"}})
	if f.Cert != "" {
		t.Errorf("plain http with a certificate: %+v", f)
	}
}

func TestExplicitWrong(t *testing.T) {
	for name, o := range map[string]Options{
		"certificate without key": {Endpoints: []string{"https://a:1"}, Cert: "x"},
		"key without certificate": {Endpoints: []string{"https://a:1"}, Key: "x"},
		"no endpoints":            {CACert: "x"},
		"no port":                 {Endpoints: []string{"https://a"}},
		"scheme":                  {Endpoints: []string{"ftp://a:1"}},
		"not a URL":               {Endpoints: []string{"https://a:b:c"}},
		"only separators":         {Endpoints: []string{" , "}},
	} {
		o.HostRoot, o.Env = t.TempDir(), env(nil)
		if _, _, err := Find(o); err == nil || strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), "etcd") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestManifestForms(t *testing.T) {
	got := parseFlags([]string{"etcd", "--a=1", "--b", "2", "--c", "--d=x=y", "-e=3", `--f="q"`, "--a=9"})
	for k, want := range map[string]string{"a": "9", "b": "2", "c": "", "d": "x=y", "e": "3", "f": "q"} {
		if v, ok := got[k]; !ok || v != want {
			t.Errorf("%s is %q, want %q", k, v, want)
		}
	}
	// OpenShift's way: a shell script with variables.
	root := hostTree(t, map[string]string{
		"etc/kubernetes/manifests/etcd.yaml": `apiVersion: v1
kind: Pod
spec:
  containers:
  - name: etcd
    env: [{name: IP, value: 10.9.9.9}]
    command: [/bin/sh, -c]
    args:
    - |
      set -e
      exec etcd \
        --listen-client-urls=https://0.0.0.0:2379 \
        --advertise-client-urls="https://$(IP):2379" \
        --trusted-ca-file=/certs/ca.crt --cert-file=/certs/s.crt --key-file /certs/s.key
    volumeMounts: [{name: c, mountPath: /certs, subPath: sub}]
  volumes: [{name: c, hostPath: {path: /host/certs}}]
`, "host/certs/sub/ca.crt": "x", "host/certs/sub/s.crt": "x", "host/certs/sub/s.key": "x",
	})
	f, _ := find(t, Options{HostRoot: root})
	if f.Endpoints[0] != "https://10.9.9.9:2379" || f.Key != filepath.Join(root, "host/certs/sub/s.key") {
		t.Errorf("%+v", f)
	}
	_, m := find(t, Options{HostRoot: hostTree(t, map[string]string{"etc/kubernetes/manifests/etcd.yaml": "{"})})
	if !strings.Contains(m.Why, "not a pod manifest") {
		t.Errorf("%+v", m)
	}
	_, m = find(t, Options{HostRoot: hostTree(t, map[string]string{"etc/kubernetes/manifests/etcd.yaml": etcdManifest})})
	if !strings.Contains(m.Why, "certificates that are not there") {
		t.Errorf("%+v", m)
	}
}

// etcdConfig is a --config-file as RKE2 and k3s write it.
const etcdConfig = `name: node-1
advertise-client-urls: https://10.0.0.1:2379
listen-client-urls: https://127.0.0.1:2379,https://10.0.0.1:2379
listen-metrics-urls: http://127.0.0.1:2381,http://0.0.0.0:2382
client-transport-security:
  cert-file: /var/lib/rancher/rke2/server/tls/etcd/server-client.crt
  client-cert-auth: true
  key-file: /var/lib/rancher/rke2/server/tls/etcd/server-client.key
  trusted-ca-file: /var/lib/rancher/rke2/server/tls/etcd/server-ca.crt
initial-election-tick-advance: false
snapshot-count: 10000
`

// With a configuration file etcd ignores its other flags, so they are not believed either.
func TestConfigFile(t *testing.T) {
	const manifest = `apiVersion: v1
kind: Pod
spec:
  containers:
  - name: etcd
    command: [etcd, --config-file=/db/config, --listen-metrics-urls=http://127.0.0.1:9999]
    volumeMounts: [{name: d, mountPath: /db}]
  volumes: [{name: d, hostPath: {path: /var/lib/rancher/rke2/server/db/etcd}}]
`
	const tls = "var/lib/rancher/rke2/server/tls/etcd/"
	files := map[string]string{
		"var/lib/rancher/rke2/agent/pod-manifests/etcd.yaml": manifest, "var/lib/rancher/rke2/server/db/etcd/config": etcdConfig,
		tls + "server-ca.crt": "x", tls + "client.crt": "x", tls + "client.key": "x",
	}
	root := hostTree(t, files)
	f, _ := find(t, Options{HostRoot: root})
	want := []Metrics{{"https://10.0.0.1:2379", "http://127.0.0.1:2381/metrics"}, {"https://10.0.0.1:2379", "http://127.0.0.1:2382/metrics"}}
	if !slices.Equal(f.Metrics, want) {
		t.Errorf("metrics %v, want %v", f.Metrics, want)
	}
	if !slices.Equal(f.Endpoints, []string{"https://10.0.0.1:2379"}) || f.Cert != filepath.Join(root, tls, "client.crt") {
		t.Errorf("%+v", f)
	}
	// What cannot be read, is too large or says something else is not believed, and hides nothing.
	for what, text := range map[string]string{
		"no file": "", "too large": "# " + strings.Repeat("x", maxManifest) + "\n" + etcdConfig, "a list": "- a\n", "other types": "listen-metrics-urls: {a: [1]}\n",
		"aliases": "a: &a [x,x,x,x,x,x,x,x,x]\n" + strings.Repeat("b: &a [*a,*a,*a,*a,*a,*a,*a,*a,*a]\n", 20),
	} {
		files["var/lib/rancher/rke2/server/db/etcd/config"] = text
		if text == "" {
			delete(files, "var/lib/rancher/rke2/server/db/etcd/config")
		}
		f, _ := find(t, Options{HostRoot: hostTree(t, files)})
		if !strings.HasPrefix(f.Source, "RKE2") || len(f.Metrics) != 0 {
			t.Errorf("%s: %+v", what, f)
		}
	}
}

// k3s has etcd in its own process, with a configuration file and no manifest.
func TestConfigFileOfK3s(t *testing.T) {
	const tls = "var/lib/rancher/k3s/server/tls/etcd/"
	f, _ := find(t, Options{HostRoot: hostTree(t, map[string]string{"var/lib/rancher/k3s/server/db/etcd/config": etcdConfig,
		tls + "server-ca.crt": "x", tls + "client.crt": "x", tls + "client.key": "x"})})
	if !slices.Contains(f.Metrics, Metrics{localEtcd, "http://127.0.0.1:2381/metrics"}) ||
		!slices.Contains(f.Metrics, Metrics{"https://10.0.0.1:2379", "http://127.0.0.1:2381/metrics"}) || !slices.Equal(f.Endpoints, []string{localEtcd}) {
		t.Errorf("%+v", f)
	}
}

func TestSame(t *testing.T) {
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{"https://127.0.0.1:2379", "https://localhost:2379/", true},
		{"https://A:2379", "https://a:2379", true},
		{"https://a:2379", "http://a:2379", false},
		{"https://a:2379", "https://a:2380", false},
		{"unix:///a", "unix:///b", false},
	} {
		if Same(c.a, c.b) != c.same {
			t.Errorf("%s and %s", c.a, c.b)
		}
	}
}
