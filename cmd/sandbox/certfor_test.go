package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"k8s.io/client-go/tools/clientcmd"

	"fathom/cmd/sandbox/internal/controlplane"
	"fathom/cmd/sandbox/internal/sandbox"
)

// `up --cert-for` ends every certificate but the authorities' at that time: new connections are refused from then on, by both sides, and open
// ones go on.
func TestCertFor(t *testing.T) {
	integration(t)
	const valid = 45 * time.Second // longer than the start takes on a busy machine
	r := start(t, "--etcd-only", "--cert-for", valid.String())
	ready := time.Now()
	spec, err := controlplane.Load(r.dir)
	if err != nil {
		t.Fatal(err)
	}
	config, err := sandbox.EtcdTLS(r.dir)
	if err != nil {
		t.Fatal(err)
	}
	url := spec.ClientURL(1)
	open, err := clientv3.New(clientv3.Config{Endpoints: []string{url}, TLS: config.Clone(), Logger: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	if _, err := open.Put(withTimeout(t, 10*time.Second), "sandbox-test", "before"); err != nil {
		t.Fatalf("while the certificates are valid: %v", err)
	}

	first, last := spec.Started.Add(valid-time.Second), ready.Add(valid) // a certificate has no fractions of a second
	authorities, leaves := 0, 0
	look := func(where string, c *x509.Certificate) {
		switch {
		case c.IsCA:
			if authorities++; time.Until(c.NotAfter) < 300*24*time.Hour {
				t.Errorf("%s: the authority ends at %s", where, c.NotAfter)
			}
		default:
			if leaves++; c.NotAfter.Before(first) || c.NotAfter.After(last) {
				t.Errorf("%s: ends at %s, not from %s to %s", where, c.NotAfter, first, last)
			}
		}
	}
	certificate := func(where string, text []byte) {
		block, _ := pem.Decode(text)
		if block == nil {
			t.Errorf("%s holds no PEM block", where)
			return
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			t.Errorf("%s: %v", where, err)
			return
		}
		look(where, c)
	}
	err = filepath.WalkDir(r.dir.Path(), func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		switch {
		case strings.HasSuffix(path, ".crt"):
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			certificate(path, text)
		case strings.HasSuffix(path, ".kubeconfig"), strings.HasSuffix(path, ".conf"):
			c, err := clientcmd.LoadFromFile(path)
			if err != nil {
				return err
			}
			for name, user := range c.AuthInfos {
				if len(user.ClientCertificateData) > 0 {
					certificate(path+", "+name, user.ClientCertificateData)
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d authorities, %d leaves", authorities, leaves)
	if authorities < 3 || leaves < 3*2+6 { // of the members two each, of the API server and its clients, of the kubeconfigs
		t.Errorf("%d authorities and %d leaves were looked at", authorities, leaves)
	}

	// What a member shows is what it was given, and a client takes it until it ends.
	dial := func(config *tls.Config) error {
		d := tls.Dialer{NetDialer: &net.Dialer{Timeout: 5 * time.Second}, Config: config}
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		c, err := d.DialContext(ctx, "tcp4", strings.TrimPrefix(url, "https://"))
		if err != nil {
			return err
		}
		defer c.Close()
		look(url, c.(*tls.Conn).ConnectionState().PeerCertificates[0])
		// In TLS 1.3 a server looks at its client's certificate after the client has done with the handshake. A server that takes it says
		// nothing, and waits for the first request.
		_ = c.SetReadDeadline(time.Now().Add(2 * time.Second))
		if _, err := c.Read(make([]byte, 1)); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			return err
		}
		return nil
	}
	blind := config.Clone()
	blind.InsecureSkipVerify = true
	for name, c := range map[string]*tls.Config{"a client": config, "a client that does not look": blind} {
		if err := dial(c); err != nil && time.Now().Before(first) {
			t.Errorf("%s, before the end: %v", name, err)
		}
	}
	var refused error
	r.eventually(2*valid, "a client to refuse the member's certificate", func() bool { refused = dial(config); return refused != nil })
	var invalid x509.CertificateInvalidError
	if !errors.As(refused, &invalid) || invalid.Reason != x509.Expired || time.Now().Before(first) {
		t.Errorf("at %s: %v", time.Now(), refused)
	}
	r.eventually(valid, "the member to refuse its client's certificate", func() bool { refused = dial(blind); return refused != nil })
	if !strings.Contains(refused.Error(), "certificate") {
		t.Errorf("a client whose certificate has ended: %v", refused)
	}
	if _, err := open.Put(withTimeout(t, 10*time.Second), "sandbox-test", "after"); err != nil {
		t.Errorf("the connection that was open: %v", err)
	}
}
