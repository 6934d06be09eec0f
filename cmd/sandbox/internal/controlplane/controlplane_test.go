package controlplane

import (
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/yaml"

	"fathom/cmd/sandbox/internal/layout"
	"fathom/cmd/sandbox/internal/pki"
)

func sample(t *testing.T) (*Spec, layout.Dir) {
	t.Helper()
	d, err := layout.New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	s := &Spec{
		Members: 3, Nodes: 12, Zones: 3, Seed: SeedNone, Encrypt: true, QuotaBytes: 64 << 20,
		NodeName: "cp-a1", AdvertiseAddress: "10.20.0.10", APIServerPort: 20001, ControllerPort: 20002, SchedulerPort: 20003, KubeletPort: 20004,
		Etcd: []MemberPorts{{20010, 20011, 20012, 20013, 20014}, {20020, 20021, 20022, 20023, 20024}, {20030, 20031, 20032, 20033, 20034}},
	}
	b, err := pki.Create(d, pki.Options{Members: 3, NodeName: s.NodeName, AdvertiseAddress: s.AdvertiseAddress, ServiceIP: ServiceIP})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.WriteFiles(d, b); err != nil {
		t.Fatal(err)
	}
	return s, d
}

func manifest(t *testing.T, root, name string) *corev1.Pod {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root, layout.ManifestsDir, name+".yaml"))
	if err != nil {
		t.Fatal(err)
	}
	pod := &corev1.Pod{}
	if err := yaml.UnmarshalStrict(b, pod); err != nil {
		t.Fatal(err)
	}
	return pod
}

func flag(pod *corev1.Pod, name string) string {
	for _, arg := range pod.Spec.Containers[0].Command {
		if v, ok := strings.CutPrefix(arg, "--"+name+"="); ok {
			return v
		}
	}
	return ""
}

// A reader of the manifests that maps container paths through the hostPath
// volumes and puts the host root in front finds every file.
func TestManifestPathsExistUnderTheHostRoot(t *testing.T) {
	s, d := sample(t)
	roots := map[string]string{"etcd": d.HostRoot(), "kube-apiserver": d.HostRoot(), "kube-controller-manager": d.HostRoot(), "kube-scheduler": d.HostRoot()}
	for n := 2; n <= s.Members; n++ {
		checkPaths(t, d.MemberRoot(n), manifest(t, d.MemberRoot(n), "etcd"))
	}
	for name, root := range roots {
		checkPaths(t, root, manifest(t, root, name))
	}
}

func checkPaths(t *testing.T, root string, pod *corev1.Pod) {
	t.Helper()
	for _, arg := range pod.Spec.Containers[0].Command {
		_, path, _ := strings.Cut(arg, "=")
		if !strings.HasPrefix(path, "/etc/kubernetes/") {
			continue
		}
		if _, err := os.Stat(filepath.Join(root, path)); err != nil {
			t.Errorf("%s: %s: %v", pod.Name, arg, err)
		}
		mounted := slices.ContainsFunc(pod.Spec.Volumes, func(v corev1.Volume) bool { return strings.HasPrefix(path, v.HostPath.Path) })
		if !mounted {
			t.Errorf("%s: %s lies in no hostPath volume", pod.Name, path)
		}
	}
}

func TestEtcdManifestNamesWorkingEndpoints(t *testing.T) {
	s, d := sample(t)
	pod := manifest(t, d.HostRoot(), "etcd")
	for name, want := range map[string]string{
		"advertise-client-urls":       "https://127.0.0.1:20010",
		"initial-advertise-peer-urls": "https://127.0.0.1:20012",
		"listen-peer-urls":            "https://127.0.0.1:20011",
		"listen-metrics-urls":         "http://127.0.0.1:20013",
		"quota-backend-bytes":         "67108864",
	} {
		if got := flag(pod, name); got != want {
			t.Errorf("--%s=%s, want %s", name, got, want)
		}
	}
	api := manifest(t, d.HostRoot(), "kube-apiserver")
	if got, want := flag(api, "etcd-servers"), strings.Join(s.ClientURLs(), ","); got != want {
		t.Errorf("--etcd-servers=%s, want %s", got, want)
	}
}

// The child gets the flags of the manifest, with the paths on the host.
func TestChildFlagsAreTheManifests(t *testing.T) {
	s, d := sample(t)
	args := s.Args(d, "etcd-2")
	for _, f := range manifest(t, d.MemberRoot(2), "etcd").Spec.Containers[0].Command[1:] {
		name, value, _ := strings.Cut(f, "=")
		if strings.HasPrefix(value, "/") {
			value = filepath.Join(d.MemberRoot(2), value)
		}
		if !slices.Contains(args, name+"="+value) {
			t.Errorf("child lacks %s=%s", name, value)
		}
	}
	if !slices.Contains(args, "--unsafe-no-fsync") {
		t.Error("etcd should not fsync unless asked to")
	}
}

func TestEncryptionConfigIsReferencedAndPrivate(t *testing.T) {
	_, d := sample(t)
	if got := flag(manifest(t, d.HostRoot(), "kube-apiserver"), "encryption-provider-config"); got != EncryptionConfigPath {
		t.Errorf("--encryption-provider-config=%s", got)
	}
	b, err := os.ReadFile(d.Host(EncryptionConfigPath))
	if err != nil || !strings.Contains(string(b), "secretbox") {
		t.Errorf("encryption configuration: %v\n%s", err, b)
	}
	if st, _ := os.Stat(d.Host(EncryptionConfigPath)); st.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", st.Mode().Perm())
	}
}

func TestKubeconfigs(t *testing.T) {
	_, d := sample(t)
	for _, path := range []string{d.AdminKubeconfig(), d.ViewerKubeconfig(), d.Host("/etc/kubernetes/admin.conf")} {
		c, err := clientcmd.BuildConfigFromFlags("", path)
		if err != nil {
			t.Fatal(err)
		}
		if c.Host != "https://127.0.0.1:20001" || len(c.CertData) == 0 || len(c.CAData) == 0 {
			t.Errorf("%s: host %s, certificate %d bytes, CA %d bytes", path, c.Host, len(c.CertData), len(c.CAData))
		}
	}
}

func TestNames(t *testing.T) {
	s, _ := sample(t)
	for in, want := range map[string]string{"etcd-3": "etcd-3", "apiserver": "apiserver", "kube-apiserver": "apiserver", "kube-scheduler": "scheduler", "kwok": "kwok"} {
		if got, err := s.ResolveName(in); err != nil || got != want {
			t.Errorf("ResolveName(%q) = %q, %v", in, got, err)
		}
	}
	for _, in := range []string{"etcd-4", "etcd-0", "etcd", "", "etcd-1x"} {
		if got, err := s.ResolveName(in); err == nil {
			t.Errorf("ResolveName(%q) = %q", in, got)
		}
	}
	if _, err := s.ResolveMember("scheduler"); err == nil {
		t.Error("the scheduler is not a member")
	}
}

func TestPortsAreDistinctAndOnLoopback(t *testing.T) {
	s := &Spec{Members: 5}
	peers, clients, err := s.ChoosePorts()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[int]bool{}
	add := func(p int) {
		if p == 0 || seen[p] {
			t.Errorf("port %d twice or zero", p)
		}
		seen[p] = true
	}
	for _, m := range s.Etcd {
		add(m.Client)
		add(m.Listen)
		add(m.Peer)
		add(m.Proxy)
		add(m.Metrics)
	}
	add(s.APIServerPort)
	add(s.ControllerPort)
	add(s.SchedulerPort)
	add(s.KubeletPort)
	check := func(l net.Listener, port int) {
		if a := l.Addr().(*net.TCPAddr); !a.IP.IsLoopback() || a.Port != port {
			t.Errorf("a proxy listens at %s, not on port %d", a, port)
		}
		_ = l.Close()
	}
	for i, m := range s.Etcd {
		check(peers[i], m.Proxy)
		check(clients[i], m.Client)
	}
}
