package pki

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"fathom/cmd/sandbox/internal/layout"
)

func create(t *testing.T, members int) (layout.Dir, *Bundle) {
	t.Helper()
	d, err := layout.New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	b, err := Create(d, Options{Members: members, NodeName: "cp-a1", AdvertiseAddress: "10.20.0.10", ServiceIP: "10.96.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	return d, b
}

func load(t *testing.T, base string) *x509.Certificate {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(base+".crt", base+".key")
	if err != nil {
		t.Fatal(err)
	}
	return pair.Leaf
}

func TestKubeadmTree(t *testing.T) {
	d, b := create(t, 3)
	pki := d.Host(layout.PKIDir)
	for name, want := range map[string]struct {
		ca    *Pair
		usage x509.ExtKeyUsage
		host  string
		cn    string
		org   string
	}{
		"apiserver":                {b.CA, x509.ExtKeyUsageServerAuth, "kubernetes.default.svc", "kube-apiserver", ""},
		"apiserver-kubelet-client": {b.CA, x509.ExtKeyUsageClientAuth, "", KubeletClientName, GroupClusterAdmins},
		"apiserver-etcd-client":    {b.EtcdCA, x509.ExtKeyUsageClientAuth, "", "kube-apiserver-etcd-client", ""},
		"front-proxy-client":       {b.FrontCA, x509.ExtKeyUsageClientAuth, "", "front-proxy-client", ""},
		"etcd/server":              {b.EtcdCA, x509.ExtKeyUsageServerAuth, "127.0.0.1", "etcd-1", ""},
		"etcd/peer":                {b.EtcdCA, x509.ExtKeyUsageClientAuth, "localhost", "etcd-1", ""},
		"etcd/healthcheck-client":  {b.EtcdCA, x509.ExtKeyUsageClientAuth, "", "kube-etcd-healthcheck-client", ""},
	} {
		t.Run(name, func(t *testing.T) {
			cert := load(t, filepath.Join(pki, name))
			roots := x509.NewCertPool()
			roots.AddCert(want.ca.Cert)
			if _, err := cert.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{want.usage}, DNSName: want.host}); err != nil {
				t.Error(err)
			}
			if cert.Subject.CommonName != want.cn {
				t.Errorf("common name %q, want %q", cert.Subject.CommonName, want.cn)
			}
			if want.org != "" && !slices.Contains(cert.Subject.Organization, want.org) {
				t.Errorf("organization %q lacks %q", cert.Subject.Organization, want.org)
			}
		})
	}
}

// The authorities are separate: a client certificate of one opens no door of
// another.
func TestAuthoritiesAreSeparate(t *testing.T) {
	d, b := create(t, 1)
	cert := load(t, d.Host(layout.PKIDir+"/apiserver-kubelet-client"))
	for name, ca := range map[string]*Pair{"etcd": b.EtcdCA, "front proxy": b.FrontCA} {
		roots := x509.NewCertPool()
		roots.AddCert(ca.Cert)
		if _, err := cert.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err == nil {
			t.Errorf("the %s authority accepts a certificate of the kubernetes authority", name)
		}
	}
}

func TestFurtherMembersHaveTheirOwnHosts(t *testing.T) {
	d, _ := create(t, 3)
	one := load(t, filepath.Join(d.MemberRoot(1), layout.EtcdPKIDir, "server"))
	two := load(t, filepath.Join(d.MemberRoot(2), layout.EtcdPKIDir, "server"))
	if one.Equal(two) {
		t.Error("two members share a certificate")
	}
	if _, err := os.Stat(filepath.Join(d.MemberRoot(2), layout.EtcdPKIDir, "ca.key")); err == nil {
		t.Error("the etcd authority's key was copied to the second host")
	}
}

func TestKeysArePrivate(t *testing.T) {
	d, _ := create(t, 2)
	err := filepath.WalkDir(d.Path(), func(path string, e os.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".key" {
			return err
		}
		st, err := e.Info()
		if err == nil && st.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", path, st.Mode().Perm())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// A serving certificate can be given another end; the key and the names stay.
func TestReissueServing(t *testing.T) {
	d, b := create(t, 2)
	base := filepath.Join(d.MemberRoot(2), layout.EtcdPKIDir, "server")
	before := load(t, base)
	roots := x509.NewCertPool()
	roots.AddCert(b.EtcdCA.Cert)
	verify := func() error {
		_, err := load(t, base).Verify(x509.VerifyOptions{Roots: roots, DNSName: "etcd-2"})
		return err
	}
	if err := ReissueServing(d, 2, -time.Minute); err != nil {
		t.Fatal(err)
	}
	var invalid x509.CertificateInvalidError
	if err := verify(); !errors.As(err, &invalid) || invalid.Reason != x509.Expired {
		t.Errorf("an expired certificate: %v", err)
	}
	if err := ReissueServing(d, 2, 0); err != nil {
		t.Fatal(err)
	}
	if err := verify(); err != nil {
		t.Errorf("renewed: %v", err)
	}
	if after := load(t, base); after.Equal(before) || time.Until(after.NotAfter) < 300*24*time.Hour {
		t.Errorf("valid until %v", after.NotAfter)
	}
}
