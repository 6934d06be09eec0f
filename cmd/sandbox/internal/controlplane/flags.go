package controlplane

import (
	"fmt"
	"path/filepath"
	"strings"

	"fathom/cmd/sandbox/internal/layout"
)

// The flags come in two parts. The first is what kubeadm writes into the
// static pod manifest, with container paths; the child gets the same flags
// with the host root put in front of the paths. The second part belongs to the
// sandbox and is only given to the child.

// etcdFlags are kubeadm's flags for the n-th member.
func (s *Spec) etcdFlags(n int) []string {
	m := s.Etcd[n-1]
	pki := layout.EtcdPKIDir
	return []string{
		"--advertise-client-urls=" + s.ClientURL(n),
		"--cert-file=" + pki + "/server.crt",
		"--client-cert-auth=true",
		"--data-dir=" + layout.EtcdDataDir,
		"--feature-gates=InitialCorruptCheck=true",
		"--initial-advertise-peer-urls=" + s.peerURL(n),
		"--initial-cluster=" + s.initialCluster(),
		"--key-file=" + pki + "/server.key",
		"--listen-client-urls=" + s.ClientURL(n),
		fmt.Sprintf("--listen-metrics-urls=http://127.0.0.1:%d", m.Metrics),
		fmt.Sprintf("--listen-peer-urls=https://127.0.0.1:%d", m.Peer),
		"--name=" + layout.MemberName(n),
		"--peer-cert-file=" + pki + "/peer.crt",
		"--peer-client-cert-auth=true",
		"--peer-key-file=" + pki + "/peer.key",
		"--peer-trusted-ca-file=" + pki + "/ca.crt",
		"--snapshot-count=10000",
		"--trusted-ca-file=" + pki + "/ca.crt",
		"--watch-progress-notify-interval=5s",
	}
}

func (s *Spec) etcdExtra(n int) []string {
	extra := []string{
		"--initial-cluster-token=fathom-sandbox", "--log-level=warn",
		// The later flag wins: clients come by way of the sandbox.
		fmt.Sprintf("--listen-client-urls=https://127.0.0.1:%d", s.Etcd[n-1].Listen),
	}
	if !s.Fsync {
		extra = append(extra, "--unsafe-no-fsync")
	}
	return append(extra, s.quotaFlag()...)
}

func (s *Spec) quotaFlag() []string {
	if s.QuotaBytes == 0 {
		return nil
	}
	return []string{fmt.Sprintf("--quota-backend-bytes=%d", s.QuotaBytes)}
}

func (s *Spec) apiserverFlags() []string {
	pki := layout.PKIDir
	flags := []string{
		"--advertise-address=" + s.AdvertiseAddress,
		"--allow-privileged=true",
		"--authorization-mode=Node,RBAC",
		// kubeadm leaves this out; the sandbox listens on loopback only.
		"--bind-address=127.0.0.1",
		"--client-ca-file=" + pki + "/ca.crt",
		"--enable-admission-plugins=NodeRestriction",
		"--enable-bootstrap-token-auth=true",
	}
	if s.Encrypt {
		flags = append(flags, "--encryption-provider-config="+EncryptionConfigPath)
	}
	return append(flags,
		"--etcd-cafile="+pki+"/etcd/ca.crt",
		"--etcd-certfile="+pki+"/apiserver-etcd-client.crt",
		"--etcd-keyfile="+pki+"/apiserver-etcd-client.key",
		"--etcd-servers="+strings.Join(s.ClientURLs(), ","),
		"--kubelet-client-certificate="+pki+"/apiserver-kubelet-client.crt",
		"--kubelet-client-key="+pki+"/apiserver-kubelet-client.key",
		// InternalDNS first: there the simulated nodes name the loopback
		// address, while their InternalIP shows a plausible one.
		"--kubelet-preferred-address-types=InternalDNS,InternalIP,ExternalIP,Hostname",
		"--proxy-client-cert-file="+pki+"/front-proxy-client.crt",
		"--proxy-client-key-file="+pki+"/front-proxy-client.key",
		"--requestheader-allowed-names=front-proxy-client",
		"--requestheader-client-ca-file="+pki+"/front-proxy-ca.crt",
		"--requestheader-extra-headers-prefix=X-Remote-Extra-",
		"--requestheader-group-headers=X-Remote-Group",
		"--requestheader-username-headers=X-Remote-User",
		fmt.Sprintf("--secure-port=%d", s.APIServerPort),
		"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
		"--service-account-key-file="+pki+"/sa.pub",
		"--service-account-signing-key-file="+pki+"/sa.key",
		"--service-cluster-ip-range="+ServiceCIDR,
		"--tls-cert-file="+pki+"/apiserver.crt",
		"--tls-private-key-file="+pki+"/apiserver.key",
	)
}

func (s *Spec) apiserverExtra() []string {
	return []string{
		// The kubelets' serving certificate is signed by the cluster's CA.
		"--kubelet-certificate-authority=" + layout.PKIDir + "/ca.crt",
		// A member that hangs must not hold requests for a minute.
		"--etcd-healthcheck-timeout=5s",
	}
}

func (s *Spec) controllerFlags() []string {
	conf := layout.KubernetesDir + "/controller-manager.conf"
	pki := layout.PKIDir
	return []string{
		"--allocate-node-cidrs=true",
		"--authentication-kubeconfig=" + conf,
		"--authorization-kubeconfig=" + conf,
		"--bind-address=127.0.0.1",
		"--client-ca-file=" + pki + "/ca.crt",
		"--cluster-cidr=" + PodCIDR,
		"--cluster-name=sandbox",
		"--cluster-signing-cert-file=" + pki + "/ca.crt",
		"--cluster-signing-key-file=" + pki + "/ca.key",
		"--controllers=*,bootstrap-signer-controller,token-cleaner-controller",
		"--kubeconfig=" + conf,
		"--leader-elect=true",
		"--requestheader-client-ca-file=" + pki + "/front-proxy-ca.crt",
		"--root-ca-file=" + pki + "/ca.crt",
		"--service-account-private-key-file=" + pki + "/sa.key",
		"--service-cluster-ip-range=" + ServiceCIDR,
		"--use-service-account-credentials=true",
	}
}

func (s *Spec) controllerExtra() []string {
	return []string{
		fmt.Sprintf("--secure-port=%d", s.ControllerPort),
		"--tls-cert-file=" + layout.PKIDir + "/controller-manager-server.crt",
		"--tls-private-key-file=" + layout.PKIDir + "/controller-manager-server.key",
		// There is no metrics server: once a minute is often enough to find
		// that out.
		"--horizontal-pod-autoscaler-sync-period=60s",
		"--kube-api-qps=200",
		"--kube-api-burst=400",
		// The simulated kubelets renew their leases every 20 s (see the kwok
		// child); three renewals may be missed.
		"--node-monitor-grace-period=60s",
	}
}

func (s *Spec) schedulerFlags() []string {
	conf := layout.KubernetesDir + "/scheduler.conf"
	return []string{
		"--authentication-kubeconfig=" + conf,
		"--authorization-kubeconfig=" + conf,
		"--bind-address=127.0.0.1",
		"--kubeconfig=" + conf,
		"--leader-elect=true",
	}
}

func (s *Spec) schedulerExtra() []string {
	return []string{
		fmt.Sprintf("--secure-port=%d", s.SchedulerPort),
		"--tls-cert-file=" + layout.PKIDir + "/scheduler-server.crt",
		"--tls-private-key-file=" + layout.PKIDir + "/scheduler-server.key",
		"--kube-api-qps=200",
		"--kube-api-burst=400",
	}
}

// onHost puts the host root in front of every container path among the flags.
func onHost(root string, flags ...[]string) []string {
	var out []string
	for _, part := range flags {
		for _, f := range part {
			name, value, ok := strings.Cut(f, "=")
			if ok && (strings.HasPrefix(value, layout.KubernetesDir+"/") || value == layout.EtcdDataDir) {
				f = name + "=" + filepath.Join(root, value)
			}
			out = append(out, f)
		}
	}
	return out
}

// Children lists the names of all children of this sandbox in start order.
func (s *Spec) Children() []string {
	var names []string
	for n := range s.Etcd {
		names = append(names, layout.MemberName(n+1))
	}
	return append(names, APIServer, ControllerManager, Scheduler, Kwok)
}

// Args are the arguments of the child of that name.
func (s *Spec) Args(d layout.Dir, name string) []string {
	root := d.HostRoot()
	switch name {
	case APIServer:
		return onHost(root, s.apiserverFlags(), s.apiserverExtra())
	case ControllerManager:
		return onHost(root, s.controllerFlags(), s.controllerExtra())
	case Scheduler:
		return onHost(root, s.schedulerFlags(), s.schedulerExtra())
	case Kwok:
		return []string{d.Path()}
	}
	n := MemberIndex(name)
	return onHost(d.MemberRoot(n), s.etcdFlags(n), s.etcdExtra(n))
}

// MemberIndex is N of etcd-N, or 0 when the name is not a member's.
func MemberIndex(name string) int {
	var n int
	if _, err := fmt.Sscanf(name, "etcd-%d", &n); err != nil || layout.MemberName(n) != name {
		return 0
	}
	return n
}

// ResolveName turns what a person calls a component into the child's name.
func (s *Spec) ResolveName(name string) (string, error) {
	canonical := strings.TrimPrefix(name, "kube-")
	for _, c := range s.Children() {
		if c == canonical {
			return c, nil
		}
	}
	return "", fmt.Errorf("no component %q in this sandbox: it has %s", name, strings.Join(s.Children(), ", "))
}

// ResolveMember is ResolveName for etcd members only.
func (s *Spec) ResolveMember(name string) (string, error) {
	if n := MemberIndex(name); n >= 1 && n <= len(s.Etcd) {
		return name, nil
	}
	return "", fmt.Errorf("no etcd member %q in this sandbox: it has etcd-1 to etcd-%d", name, len(s.Etcd))
}

// Endpoints are the addresses a child serves, for the status table.
func (s *Spec) Endpoints(name string) []string {
	at := func(port int) []string { return []string{fmt.Sprintf("https://127.0.0.1:%d", port)} }
	switch name {
	case APIServer:
		return at(s.APIServerPort)
	case ControllerManager:
		return at(s.ControllerPort)
	case Scheduler:
		return at(s.SchedulerPort)
	case Kwok:
		return at(s.KubeletPort)
	}
	if n := MemberIndex(name); n >= 1 && n <= len(s.Etcd) {
		return []string{s.ClientURL(n)}
	}
	return nil
}
