package cluster

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// authority is a CA of a test.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  []byte
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test CA"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &authority{t: t, cert: cert, key: key, pem: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})}
}

// issue makes a certificate for 127.0.0.1 that ends after left, which may be negative.
func (a *authority) issue(name string, left time.Duration) (certPEM, keyPEM []byte) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: time.Now().Add(left),
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, a.cert, &key.PublicKey, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	k, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: k})
}

func (a *authority) serverTLS(left time.Duration, clients tls.ClientAuthType) *tls.Config {
	a.t.Helper()
	c, k := a.issue("server", left)
	pair, err := tls.X509KeyPair(c, k)
	if err != nil {
		a.t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return &tls.Config{Certificates: []tls.Certificate{pair}, ClientCAs: pool, ClientAuth: clients, NextProtos: []string{"h2", "http/1.1"}}
}

// apiServer is an HTTPS server that asks every client for a certificate of the CA.
func (a *authority) apiServer(left time.Duration, h http.HandlerFunc) *httptest.Server {
	return a.serve(a.serverTLS(left, tls.RequireAndVerifyClientCert), h)
}

func (a *authority) serve(cfg *tls.Config, h http.HandlerFunc) *httptest.Server {
	a.t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.TLS = cfg
	s.Config.ErrorLog = quietLog
	s.StartTLS()
	a.t.Cleanup(s.Close)
	return s
}

// kubeconfig is one context "test" for a server, which the caller may change before it is written.
func (a *authority) kubeconfig(server string) *clientcmdapi.Config {
	a.t.Helper()
	c, k := a.issue("admin", time.Hour)
	cfg := clientcmdapi.NewConfig()
	cfg.Clusters["cluster"] = &clientcmdapi.Cluster{Server: server, CertificateAuthorityData: a.pem}
	cfg.AuthInfos["admin"] = &clientcmdapi.AuthInfo{ClientCertificateData: c, ClientKeyData: k}
	cfg.Contexts["test"] = &clientcmdapi.Context{Cluster: "cluster", AuthInfo: "admin"}
	cfg.CurrentContext = "test"
	return cfg
}

func write(t *testing.T, name string, b []byte) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// options are for a kubeconfig only, on a host without etcd.
func options(t *testing.T, cfg *clientcmdapi.Config) Options {
	t.Helper()
	o := Options{Flags: genericclioptions.NewConfigFlags(false), Etcd: EtcdOptions{HostRoot: t.TempDir(), Env: func(string) string { return "" }}}
	if cfg != nil {
		b, err := clientcmd.Write(*cfg)
		if err != nil {
			t.Fatal(err)
		}
		file := write(t, "kubeconfig", b)
		o.Flags.KubeConfig = &file
	}
	return o
}

// etcdOptions adds an etcd to o.
func (a *authority) etcdOptions(o Options, left time.Duration, endpoints ...string) Options {
	a.t.Helper()
	c, k := a.issue("root", left)
	o.Etcd.Endpoints = endpoints
	o.Etcd.CACert, o.Etcd.Cert, o.Etcd.Key = write(a.t, "ca.crt", a.pem), write(a.t, "c.crt", c), write(a.t, "c.key", k)
	return o
}

func open(t *testing.T, o Options) *Cluster {
	t.Helper()
	c, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// refusedPort is the address of a port that nobody listens on.
func refusedPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
