// Package pki makes the certificates of a kubeadm-shaped control plane: three
// certificate authorities, the leaf certificates each of them signs, and the
// service-account key pair.
//
// Keys are ECDSA P-256, which kubeadm supports too (encryptionAlgorithm
// ECDSA-P256): twenty RSA keys would cost seconds of the start-up time.
package pki

import (
	"cmp"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// Lifetimes as kubeadm sets them.
const (
	caLifetime   = 10 * 365 * 24 * time.Hour
	leafLifetime = 365 * 24 * time.Hour
)

// Pair is a certificate with its private key.
type Pair struct {
	Cert *x509.Certificate
	Key  *ecdsa.PrivateKey
}

// Leaf describes one certificate to be signed.
type Leaf struct {
	CommonName   string
	Organization []string
	// Hosts are DNS names and IP addresses for the subject alternative names.
	Hosts  []string
	Server bool
	Client bool
	// For is how long it is valid from now on; 0 means kubeadm's year. A
	// negative one makes a certificate that has expired.
	For time.Duration
}

// NewCA makes a self-signed certificate authority.
func NewCA(commonName string) (*Pair, error) {
	tmpl, err := template(commonName, caLifetime)
	if err != nil {
		return nil, err
	}
	tmpl.IsCA = true
	tmpl.BasicConstraintsValid = true
	tmpl.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment
	tmpl.DNSNames = []string{commonName}
	key, err := newKey(commonName)
	if err != nil {
		return nil, err
	}
	return sign(tmpl, key, nil)
}

// Sign makes a key and a certificate for it, signed by the authority.
func (ca *Pair) Sign(l Leaf) (*Pair, error) {
	key, err := newKey(l.CommonName)
	if err != nil {
		return nil, err
	}
	return ca.signFor(l, key)
}

// signFor makes a certificate for a key that there is already.
func (ca *Pair) signFor(l Leaf, key *ecdsa.PrivateKey) (*Pair, error) {
	tmpl, err := template(l.CommonName, cmp.Or(l.For, leafLifetime))
	if err != nil {
		return nil, err
	}
	tmpl.Subject.Organization = l.Organization
	tmpl.KeyUsage = x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment
	if l.Server {
		tmpl.ExtKeyUsage = append(tmpl.ExtKeyUsage, x509.ExtKeyUsageServerAuth)
	}
	if l.Client {
		tmpl.ExtKeyUsage = append(tmpl.ExtKeyUsage, x509.ExtKeyUsageClientAuth)
	}
	for _, h := range l.Hosts {
		if ip := net.ParseIP(h); ip != nil {
			tmpl.IPAddresses = append(tmpl.IPAddresses, ip)
		} else {
			tmpl.DNSNames = append(tmpl.DNSNames, h)
		}
	}
	return sign(tmpl, key, ca)
}

func template(commonName string, life time.Duration) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 63))
	if err != nil {
		return nil, fmt.Errorf("serial number for %s: %w", commonName, err)
	}
	// A little in the past, so that a clock that is stepped back while the
	// sandbox starts does not make every certificate "not yet valid".
	now := time.Now().UTC()
	return &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: commonName},
		NotBefore:    now.Add(-5 * time.Minute),
		NotAfter:     now.Add(life),
	}, nil
}

func newKey(commonName string) (*ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("key for %s: %w", commonName, err)
	}
	return key, nil
}

func sign(tmpl *x509.Certificate, key *ecdsa.PrivateKey, ca *Pair) (*Pair, error) {
	parent, signer := tmpl, key
	if ca != nil {
		parent, signer = ca.Cert, ca.Key
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, parent, key.Public(), signer)
	if err != nil {
		return nil, fmt.Errorf("sign certificate for %s: %w", tmpl.Subject.CommonName, err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("parse certificate for %s: %w", tmpl.Subject.CommonName, err)
	}
	return &Pair{Cert: cert, Key: key}, nil
}

// CertPEM is the certificate in PEM.
func (p *Pair) CertPEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.Cert.Raw})
}

// KeyPEM is the private key in PEM.
func (p *Pair) KeyPEM() ([]byte, error) {
	der, err := x509.MarshalECPrivateKey(p.Key)
	if err != nil {
		return nil, fmt.Errorf("encode key of %s: %w", p.Cert.Subject.CommonName, err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), nil
}

// Write stores base.crt (0644) and base.key (0600), creating the folder.
func (p *Pair) Write(base string) error {
	if err := p.WriteCert(base); err != nil {
		return err
	}
	key, err := p.KeyPEM()
	if err != nil {
		return err
	}
	return os.WriteFile(base+".key", key, 0o600)
}

// WriteCert stores base.crt only: what a host gets of an authority whose key
// is kept elsewhere.
func (p *Pair) WriteCert(base string) error {
	if err := os.MkdirAll(filepath.Dir(base), 0o700); err != nil {
		return err
	}
	return os.WriteFile(base+".crt", p.CertPEM(), 0o644)
}
