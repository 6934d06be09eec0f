package pki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"fathom/cmd/sandbox/internal/layout"
)

// Groups of the client certificates, as kubeadm names them.
const (
	// GroupMasters bypasses RBAC; only super-admin.conf carries it.
	GroupMasters = "system:masters"
	// GroupClusterAdmins is bound to cluster-admin by an RBAC binding.
	GroupClusterAdmins = "kubeadm:cluster-admins"
	// GroupViewers is the sandbox's own, bound to the view ClusterRole.
	GroupViewers = "fathom:viewers"
	// KubeletClientName is the one name the simulated kubelets let in.
	KubeletClientName = "kube-apiserver-kubelet-client"
)

// Options say which names the serving certificates must cover.
type Options struct {
	Members int
	// NodeName is the first control-plane node's name.
	NodeName string
	// AdvertiseAddress is the address the API server publishes.
	AdvertiseAddress string
	// ServiceIP is the first address of the service range.
	ServiceIP string
	// CertFor is how long the leaf certificates are valid; 0 means a year.
	CertFor time.Duration
}

// Bundle holds the authorities and the client pairs that go into kubeconfigs.
// Everything else is only on disk.
type Bundle struct {
	CA         *Pair
	EtcdCA     *Pair
	FrontCA    *Pair
	Admin      *Pair
	SuperAdmin *Pair
	Viewer     *Pair
	Controller *Pair
	Scheduler  *Pair
	Kwok       *Pair
}

// Create makes every certificate and writes the kubeadm tree: the full one for
// the first control-plane host, the etcd part for the host of each further
// member.
func Create(d layout.Dir, o Options) (*Bundle, error) {
	b := &Bundle{}
	var err error
	cas := []struct {
		to   **Pair
		name string
		path string
	}{
		{&b.CA, "kubernetes", "/ca"},
		{&b.EtcdCA, "etcd-ca", "/etcd/ca"},
		{&b.FrontCA, "front-proxy-ca", "/front-proxy-ca"},
	}
	for _, c := range cas {
		if *c.to, err = NewCA(c.name); err != nil {
			return nil, err
		}
		if err := (*c.to).Write(d.Host(layout.PKIDir + c.path)); err != nil {
			return nil, fmt.Errorf("write certificate authority %s: %w", c.name, err)
		}
	}
	if err := b.writeLeaves(d, o); err != nil {
		return nil, err
	}
	for n := 1; n <= o.Members; n++ {
		if err := b.writeMember(d, n, o.CertFor); err != nil {
			return nil, err
		}
	}
	clients := []struct {
		to   **Pair
		leaf Leaf
	}{
		{&b.Admin, Leaf{CommonName: "kubernetes-admin", Organization: []string{GroupClusterAdmins}}},
		{&b.SuperAdmin, Leaf{CommonName: "kubernetes-super-admin", Organization: []string{GroupMasters}}},
		{&b.Viewer, Leaf{CommonName: "viewer", Organization: []string{GroupViewers}}},
		{&b.Controller, Leaf{CommonName: "system:kube-controller-manager"}},
		{&b.Scheduler, Leaf{CommonName: "system:kube-scheduler"}},
		{&b.Kwok, Leaf{CommonName: "kwok", Organization: []string{GroupMasters}}},
	}
	for _, c := range clients {
		c.leaf.Client, c.leaf.For = true, o.CertFor
		if *c.to, err = b.CA.Sign(c.leaf); err != nil {
			return nil, err
		}
	}
	return b, writeServiceAccountKeys(d)
}

func (b *Bundle) writeLeaves(d layout.Dir, o Options) error {
	loopback := []string{"localhost", "127.0.0.1"}
	serving := append([]string{
		o.NodeName, "kubernetes", "kubernetes.default", "kubernetes.default.svc",
		"kubernetes.default.svc.cluster.local", o.ServiceIP, o.AdvertiseAddress,
	}, loopback...)
	pkiDir := d.Host(layout.PKIDir)
	for _, l := range []struct {
		ca   *Pair
		base string
		leaf Leaf
	}{
		{b.CA, pkiDir + "/apiserver", Leaf{CommonName: "kube-apiserver", Hosts: serving, Server: true}},
		{b.CA, pkiDir + "/apiserver-kubelet-client", Leaf{CommonName: KubeletClientName, Organization: []string{GroupClusterAdmins}, Client: true}},
		{b.FrontCA, pkiDir + "/front-proxy-client", Leaf{CommonName: "front-proxy-client", Client: true}},
		{b.EtcdCA, pkiDir + "/apiserver-etcd-client", Leaf{CommonName: "kube-apiserver-etcd-client", Client: true}},
		{b.EtcdCA, pkiDir + "/etcd/healthcheck-client", Leaf{CommonName: "kube-etcd-healthcheck-client", Client: true}},
		// kubeadm lets these two sign for themselves; signing them by the CA
		// spares their start an RSA key and gives the health checks a chain.
		{b.CA, pkiDir + "/controller-manager-server", Leaf{CommonName: "kube-controller-manager", Hosts: loopback, Server: true}},
		{b.CA, pkiDir + "/scheduler-server", Leaf{CommonName: "kube-scheduler", Hosts: loopback, Server: true}},
		{b.CA, trimCrt(d.KubeletCert()), Leaf{CommonName: "system:node:" + o.NodeName, Organization: []string{"system:nodes"}, Hosts: loopback, Server: true}},
	} {
		l.leaf.For = o.CertFor
		p, err := l.ca.Sign(l.leaf)
		if err != nil {
			return err
		}
		if err := p.Write(l.base); err != nil {
			return fmt.Errorf("write certificate %s: %w", l.base, err)
		}
	}
	return nil
}

// writeMember writes the serving and peer pairs of one member into its host's
// tree. Both serve and act as clients, as in kubeadm: a member is a client of
// its peers.
func (b *Bundle) writeMember(d layout.Dir, n int, valid time.Duration) error {
	dir := filepath.Join(d.MemberRoot(n), layout.EtcdPKIDir)
	leaf := memberLeaf(n, valid)
	if n > 1 {
		if err := b.EtcdCA.WriteCert(filepath.Join(dir, "ca")); err != nil {
			return err
		}
	}
	for _, base := range []string{"server", "peer"} {
		p, err := b.EtcdCA.Sign(leaf)
		if err != nil {
			return err
		}
		if err := p.Write(filepath.Join(dir, base)); err != nil {
			return fmt.Errorf("write %s certificate of %s: %w", base, leaf.CommonName, err)
		}
	}
	return nil
}

func memberLeaf(n int, valid time.Duration) Leaf {
	name := layout.MemberName(n)
	return Leaf{CommonName: name, Hosts: []string{name, "localhost", "127.0.0.1"}, Server: true, Client: true, For: valid}
}

// ReissueServing gives a member's serving certificate another end, from now on;
// a negative one has passed. The key stays, so that the two files fit each other
// at any moment. etcd reads them anew for every handshake.
func ReissueServing(d layout.Dir, n int, valid time.Duration) error {
	ca, err := readPair(d.Host(layout.EtcdPKIDir + "/ca"))
	if err != nil {
		return err
	}
	base := filepath.Join(d.MemberRoot(n), layout.EtcdPKIDir, "server")
	old, err := readPair(base)
	if err != nil {
		return err
	}
	p, err := ca.signFor(memberLeaf(n, valid), old.Key)
	if err != nil {
		return err
	}
	if err := p.WriteCert(base + ".new"); err != nil {
		return err
	}
	return os.Rename(base+".new.crt", base+".crt")
}

// readPair reads base.crt and base.key as Write stores them.
func readPair(base string) (*Pair, error) {
	block := func(path string) ([]byte, error) {
		b, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		p, _ := pem.Decode(b)
		if p == nil {
			return nil, fmt.Errorf("%s holds no PEM block", path)
		}
		return p.Bytes, nil
	}
	der, err := block(base + ".crt")
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("read certificate %s.crt: %w", base, err)
	}
	if der, err = block(base + ".key"); err != nil {
		return nil, err
	}
	key, err := x509.ParseECPrivateKey(der)
	if err != nil {
		return nil, fmt.Errorf("read key %s.key: %w", base, err)
	}
	return &Pair{Cert: cert, Key: key}, nil
}

func writeServiceAccountKeys(d layout.Dir) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("service account key: %w", err)
	}
	priv, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return fmt.Errorf("encode service account key: %w", err)
	}
	pub, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return fmt.Errorf("encode service account public key: %w", err)
	}
	base := d.Host(layout.PKIDir + "/sa")
	if err := os.WriteFile(base+".key", pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: priv}), 0o600); err != nil {
		return err
	}
	return os.WriteFile(base+".pub", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: pub}), 0o600)
}

func trimCrt(path string) string { return path[:len(path)-len(filepath.Ext(path))] }
