package discover

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// distribution is where one keeps its etcd client certificate. Paths are on the host and may be patterns (path/filepath.Match).
type distribution struct {
	name          string
	ca, cert, key string
	endpoint      string
}

const localEtcd = "https://127.0.0.1:2379"

// distributions in the order they are tried. Sources: the distributions' own documentation and source code.
var distributions = []distribution{
	{"kubeadm", "/etc/kubernetes/pki/etcd/ca.crt", "/etc/kubernetes/pki/apiserver-etcd-client.crt", "/etc/kubernetes/pki/apiserver-etcd-client.key", localEtcd},
	{"kubeadm", "/etc/kubernetes/pki/etcd/ca.crt", "/etc/kubernetes/pki/etcd/healthcheck-client.crt", "/etc/kubernetes/pki/etcd/healthcheck-client.key", localEtcd},
	{"minikube", "/var/lib/minikube/certs/etcd/ca.crt", "/var/lib/minikube/certs/apiserver-etcd-client.crt", "/var/lib/minikube/certs/apiserver-etcd-client.key", localEtcd},
	{"minikube", "/var/lib/minikube/certs/etcd/ca.crt", "/var/lib/minikube/certs/etcd/healthcheck-client.crt", "/var/lib/minikube/certs/etcd/healthcheck-client.key", localEtcd},
	{"k3s", "/var/lib/rancher/k3s/server/tls/etcd/server-ca.crt", "/var/lib/rancher/k3s/server/tls/etcd/client.crt", "/var/lib/rancher/k3s/server/tls/etcd/client.key", localEtcd},
	{"RKE2", "/var/lib/rancher/rke2/server/tls/etcd/server-ca.crt", "/var/lib/rancher/rke2/server/tls/etcd/client.crt", "/var/lib/rancher/rke2/server/tls/etcd/client.key", localEtcd},
	{"k0s", "/var/lib/k0s/pki/etcd/ca.crt", "/var/lib/k0s/pki/apiserver-etcd-client.crt", "/var/lib/k0s/pki/apiserver-etcd-client.key", localEtcd},
	{"Canonical Kubernetes", "/var/snap/k8s/common/var/lib/etcd/ca.crt", "/var/snap/k8s/common/var/lib/etcd/server.crt", "/var/snap/k8s/common/var/lib/etcd/server.key", localEtcd},
	{"OpenShift", "/etc/kubernetes/static-pod-resources/etcd-certs/configmaps/etcd-all-bundles/server-ca-bundle.crt", "/etc/kubernetes/static-pod-resources/etcd-certs/secrets/etcd-all-certs/etcd-peer-*.crt", "/etc/kubernetes/static-pod-resources/etcd-certs/secrets/etcd-all-certs/etcd-peer-*.key", localEtcd},
	{"kops", "/srv/kubernetes/kube-apiserver/etcd-ca.crt", "/srv/kubernetes/kube-apiserver/etcd-client.crt", "/srv/kubernetes/kube-apiserver/etcd-client.key", "https://127.0.0.1:4001"},
	{"kops", "/etc/kubernetes/pki/kube-apiserver/etcd-ca.crt", "/etc/kubernetes/pki/kube-apiserver/etcd-client.crt", "/etc/kubernetes/pki/kube-apiserver/etcd-client.key", "https://127.0.0.1:4001"},
}

// withoutEtcd are distributions that keep their objects elsewhere: the file tells, unless the other one is there.
var withoutEtcd = []struct{ file, unless, why string }{
	{"/var/lib/rancher/k3s/server/db/state.db", "/var/lib/rancher/k3s/server/db/etcd", "this k3s keeps its objects in SQLite (kine), not in etcd"},
	{"/var/snap/microk8s/current/var/kubernetes/backend", "", "MicroK8s keeps its objects in dqlite, not in etcd"},
}

func (s *search) distributions() *Found {
	for _, w := range withoutEtcd {
		if s.exists(w.file) && (w.unless == "" || !s.exists(w.unless)) {
			s.problem(w.why, "the etcd views have nothing to show on such a cluster; the others work")
			return nil
		}
	}
	for _, d := range distributions {
		cert := s.glob(d.cert)
		s.tried = append(s.tried, cert)
		ca, key := s.host(d.ca), s.glob(d.key)
		if _, err := os.Stat(cert); err != nil {
			s.note(cert, err) // a folder that may not be entered
			continue
		}
		if _, ok := s.firstUsable([]pair{{ca, cert, key}}); !ok {
			continue
		}
		return &Found{
			Source: fmt.Sprintf("%s (%s)", d.name, cert), Endpoints: []string{d.endpoint}, Prefix: DefaultPrefix, CACert: ca, Cert: cert, Key: key,
			Metrics: s.configuredMetrics(d),
		}
	}
	return nil
}

// configFiles are where distributions that write a configuration file of etcd keep it (k3s, pkg/etcd: etcd is a part of its process, or of RKE2's pod).
var configFiles = map[string]string{
	"k3s":  "/var/lib/rancher/k3s/server/db/etcd/config",
	"RKE2": "/var/lib/rancher/rke2/server/db/etcd/config",
}

// configuredMetrics are those of the local member, under the endpoint of the distribution and under those that it advertises.
func (s *search) configuredMetrics(d distribution) []Metrics {
	file, ok := configFiles[d.name]
	if !ok {
		return nil
	}
	p := &staticPod{flags: map[string]string{}}
	s.configFile(s.host(file), p.flags)
	return p.metrics(append(slices.DeleteFunc(p.localURLs(), func(u string) bool { return Same(u, d.endpoint) }), d.endpoint))
}

// glob is the first match of a pattern on the host, or the pattern itself.
func (s *search) glob(pattern string) string {
	pattern = s.host(pattern)
	if m, err := filepath.Glob(pattern); err == nil && len(m) > 0 {
		return m[0] // sorted
	}
	return pattern
}

func (s *search) exists(path string) bool {
	_, err := os.Stat(s.host(path))
	return err == nil
}
