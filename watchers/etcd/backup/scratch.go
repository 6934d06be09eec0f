package backup

import (
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

	"golang.org/x/sys/unix"
)

// scratchPrefix begins the names of the folders that drills work in.
const scratchPrefix = "fathom-drill-"

// scratch is the folder of one drill: the restored data, and the keys to the throw-away member. Only its owner may enter it.
type scratch struct {
	dir  string
	lock *os.File
}

const lockFile = "lock"

// newScratch makes a scratch folder in dir (empty: the system's folder for temporary files), after removing those that drills which were killed
// have left there.
func newScratch(dir string) (*scratch, error) {
	if dir == "" {
		dir = os.TempDir()
	}
	sweep(dir)
	d, err := os.MkdirTemp(dir, scratchPrefix) // mode 0700
	if err != nil {
		return nil, fmt.Errorf("making a scratch folder for the drill: %w; name another with --work-dir", err)
	}
	s := &scratch{dir: d}
	if s.lock, err = os.OpenFile(filepath.Join(d, lockFile), os.O_CREATE|os.O_RDWR|os.O_EXCL, 0o600); err == nil {
		err = unix.Flock(int(s.lock.Fd()), unix.LOCK_EX)
	}
	if err != nil {
		s.remove()
		return nil, fmt.Errorf("making a scratch folder for the drill: %w", err)
	}
	return s, nil
}

// sweep removes scratch folders of ours whose drill is no longer there to do it.
func sweep(dir string) {
	left, err := filepath.Glob(filepath.Join(dir, scratchPrefix+"*"))
	if err != nil {
		return
	}
	for _, d := range left {
		f, err := os.OpenFile(filepath.Join(d, lockFile), os.O_RDWR|unix.O_NOFOLLOW, 0)
		if err != nil {
			continue // another user's, or one that is being made
		}
		if unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil {
			_ = os.RemoveAll(d)
		}
		_ = f.Close()
	}
}

func (s *scratch) path(name string) string { return filepath.Join(s.dir, name) }

// remove removes all of it.
func (s *scratch) remove() {
	_ = os.RemoveAll(s.dir)
	if s.lock != nil {
		_ = s.lock.Close()
		s.lock = nil
	}
}

// Names of the files of the keys.
const (
	caFile, serverCert, serverKey, clientCert, clientKey = "ca.crt", "server.crt", "server.key", "client.crt", "client.key"
)

// keysLast is for how long the certificates are valid: longer than any drill.
const keysLast = 48 * time.Hour

// makeKeys makes a certificate authority for this drill alone, a certificate for the throw-away member and one for us. Ours names the user root:
// where authentication was on when the snapshot was taken it is on in the restored member too, and root is the user that always exists then.
func (s *scratch) makeKeys() error {
	now := time.Now()
	template := func(serial int64, name string) *x509.Certificate {
		return &x509.Certificate{
			SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name},
			NotBefore: now.Add(-time.Hour), NotAfter: now.Add(keysLast),
			KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		}
	}
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("making keys for the drill: %w", err)
	}
	ca := template(1, "fathom drill")
	ca.IsCA, ca.BasicConstraintsValid, ca.KeyUsage, ca.ExtKeyUsage = true, true, x509.KeyUsageCertSign, nil
	if err := s.certificate(caFile, "", ca, ca, caKey, caKey); err != nil {
		return err
	}
	server := template(2, "fathom-drill")
	server.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)}
	if err := s.certificate(serverCert, serverKey, server, ca, nil, caKey); err != nil {
		return err
	}
	return s.certificate(clientCert, clientKey, template(3, "root"), ca, nil, caKey)
}

// certificate signs a certificate and writes it, and the key when it is made here.
func (s *scratch) certificate(certFile, keyFile string, c, parent *x509.Certificate, key, signer *ecdsa.PrivateKey) error {
	var err error
	if key == nil {
		if key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
			return fmt.Errorf("making keys for the drill: %w", err)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, key.Public(), signer)
	if err != nil {
		return fmt.Errorf("making keys for the drill: %w", err)
	}
	if err := s.write(certFile, "CERTIFICATE", der); err != nil || keyFile == "" {
		return err
	}
	raw, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return fmt.Errorf("making keys for the drill: %w", err)
	}
	return s.write(keyFile, "EC PRIVATE KEY", raw)
}

func (s *scratch) write(name, kind string, der []byte) error {
	if err := os.WriteFile(s.path(name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		return fmt.Errorf("making keys for the drill: %w", err)
	}
	return nil
}
