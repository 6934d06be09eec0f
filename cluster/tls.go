package cluster

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"time"

	"fathom/cluster/discover"
)

// certificate is one of our own client certificates, for doctor and pre-flight.
type certificate struct {
	use, source string
	leaf        *x509.Certificate
}

// problem is the one-line reason why the certificate cannot be accepted at a time, or "".
func (c certificate) problem(now time.Time) string {
	switch {
	case c.leaf == nil:
		return ""
	case now.After(c.leaf.NotAfter):
		return fmt.Sprintf("the %s %s expired on %s: renew it (kubeadm certs renew, or ask for a new one)", c.use, c.source, day(c.leaf.NotAfter))
	case now.Before(c.leaf.NotBefore):
		return fmt.Sprintf("the %s %s is not valid before %s: check this machine's clock", c.use, c.source, c.leaf.NotBefore.UTC().Format(time.RFC3339))
	}
	return ""
}

func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }

// etcdTLS reads the files of f. The client certificate is read anew for each handshake, so that a renewed one is taken up.
func etcdTLS(f *discover.Found) (*tls.Config, *x509.Certificate, error) {
	if f.CACert == "" && f.Cert == "" {
		for _, e := range f.Endpoints {
			if len(e) > 5 && e[:5] == "https" {
				return &tls.Config{MinVersion: tls.VersionTLS12}, nil, nil
			}
		}
		return nil, nil, nil
	}
	cfg := &tls.Config{MinVersion: tls.VersionTLS12}
	if f.CACert != "" {
		pem, err := os.ReadFile(f.CACert)
		if err != nil {
			return nil, nil, fmt.Errorf("etcd CA certificate: %w", err)
		}
		cfg.RootCAs = x509.NewCertPool()
		if !cfg.RootCAs.AppendCertsFromPEM(pem) {
			return nil, nil, fmt.Errorf("etcd CA certificate %s holds no PEM certificate", f.CACert)
		}
	}
	if f.Cert == "" {
		return cfg, nil, nil
	}
	pair, err := tls.LoadX509KeyPair(f.Cert, f.Key)
	if err != nil {
		return nil, nil, fmt.Errorf("etcd client certificate %s with key %s: %w", f.Cert, f.Key, err)
	}
	certFile, keyFile := f.Cert, f.Key
	cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		p, err := tls.LoadX509KeyPair(certFile, keyFile)
		return &p, err
	}
	return cfg, pair.Leaf, nil
}
