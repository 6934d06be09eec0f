package cluster

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"time"
)

// showTimeout bounds a look at a certificate.
const showTimeout = 2 * time.Second

// ShowCertificate makes a TLS handshake with a client or peer URL of etcd and returns the certificate that was shown there; nil without
// TLS. Nothing is sent after the handshake, which is no request, so it is the same in read-only mode.
//
// The certificate is not verified, since what is wanted is what it says, above all of one that has expired. Our own client certificate
// is shown where one is asked for; a server that does not take it (a peer port that wants certificates of another CA) logs one rejected
// connection. That it ends the handshake then is no error: its certificate was shown before.
func (e *Etcd) ShowCertificate(ctx context.Context, address string) (*x509.Certificate, error) {
	ctx, cancel := context.WithTimeout(ctx, showTimeout)
	defer cancel()
	fail := func(err error) error { return fmt.Errorf("TLS handshake with %s: %w", address, err) }
	u, err := url.Parse(address)
	if err != nil {
		return nil, fail(err)
	}
	if u.Scheme != "https" {
		return nil, nil
	}
	host := u.Host
	if u.Port() == "" {
		host = net.JoinHostPort(u.Hostname(), "443")
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", host)
	if err != nil {
		return nil, fail(err)
	}
	defer conn.Close()
	var leaf *x509.Certificate
	cfg := &tls.Config{
		MinVersion: tls.VersionTLS12, ServerName: u.Hostname(), InsecureSkipVerify: true, // see above
		VerifyConnection: func(state tls.ConnectionState) error {
			if len(state.PeerCertificates) > 0 {
				leaf = state.PeerCertificates[0]
			}
			return nil
		},
	}
	if e.tls != nil {
		cfg.GetClientCertificate = e.tls.GetClientCertificate
	}
	err = tls.Client(conn, cfg).HandshakeContext(ctx)
	switch {
	case leaf != nil:
		return leaf, nil
	case err == nil:
		err = errors.New("it showed no certificate")
	}
	return nil, fail(err)
}

// ClientCertificate reads the file of the client certificate that we show to etcd anew: it may have been renewed. file is empty when
// there is none.
func (e *Etcd) ClientCertificate() (file string, leaf *x509.Certificate, err error) {
	file = e.cert.source
	if file == "" {
		return "", nil, nil
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return file, nil, fmt.Errorf("our client certificate for etcd: %w", err)
	}
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		if block.Type == "CERTIFICATE" {
			if leaf, err = x509.ParseCertificate(block.Bytes); err != nil {
				return file, nil, fmt.Errorf("our client certificate for etcd, %s: %w", file, err)
			}
			return file, leaf, nil
		}
	}
	return file, nil, fmt.Errorf("our client certificate for etcd: %s holds no PEM certificate", file)
}
