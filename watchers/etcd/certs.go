package etcd

import (
	"context"
	"crypto/x509"
	"time"

	"fathom/cluster"
)

// CertUse is what a certificate is for.
type CertUse string

// Uses of certificates.
const (
	CertOurs   CertUse = "ours"   // the client certificate that we show
	CertServer CertUse = "client" // what a member shows to clients (--cert-file)
	CertPeer   CertUse = "peer"   // what a member shows to its peers (--peer-cert-file)
)

// Certificate is when a certificate ends, as a TLS handshake showed it, or the file of ours. All of its text is untrusted.
type Certificate struct {
	Use      CertUse
	URL      string    // that it was shown at; of ours: the file
	Subject  string    // the common name, or the first name of host when there is none
	NotAfter time.Time // zero: not known, and Why says why
	At       time.Time // when it was looked at; zero: not yet
	Why      string    // why it is not known; of a URL without TLS, that
}

// The times before the end of a certificate from which on that is a finding.
const (
	CertWarning  = 30 * 24 * time.Hour
	CertCritical = 7 * 24 * time.Hour
)

// lookAtCerts looks at what a member shows at its client and its peer URLs: a TLS handshake at each, without a request, in read-only
// mode too (see [cluster.Etcd.ShowCertificate]). One that failed is repeated after a minute.
func (w *Watcher) lookAtCerts(ctx context.Context, c *conn) {
	for next := w.started.Add(w.timing.certs / 600); w.until(ctx, next); {
		peers, known := w.model.peerURLs(c)
		certs := []Certificate{w.lookAtCert(ctx, CertServer, c.member.Endpoint)}
		for _, u := range peers {
			certs = append(certs, w.lookAtCert(ctx, CertPeer, u))
		}
		if ctx.Err() != nil {
			return
		}
		w.model.showed(c, certs)
		w.changed()
		again := w.timing.certs
		for _, cert := range certs {
			if !known || cert.NotAfter.IsZero() && cert.Why != noTLS {
				again = w.timing.certs / 10
			}
		}
		if !known && c.young(w) { // the member list comes with the first status
			again = w.timing.certs / 600
		}
		next = time.Now().Add(again)
	}
}

// noTLS is why there is no certificate where there is none.
const noTLS = "there is no TLS at this URL"

func (c *conn) young(w *Watcher) bool { return time.Since(w.started) < w.timing.certs/60 }

func (w *Watcher) lookAtCert(ctx context.Context, use CertUse, url string) Certificate {
	leaf, err := w.etcd.ShowCertificate(ctx, url)
	c := Certificate{Use: use, URL: url, At: time.Now()}
	switch {
	case err != nil:
		c.Why = cluster.Explain(err)
	case leaf == nil:
		c.Why = noTLS
	default:
		c.NotAfter, c.Subject = leaf.NotAfter, subject(leaf)
	}
	return c
}

// lookAtOurs reads the file of our certificate anew: it may have been renewed.
func (w *Watcher) lookAtOurs() {
	file, leaf, err := w.etcd.ClientCertificate()
	if file == "" {
		return
	}
	c := Certificate{Use: CertOurs, URL: file, At: time.Now()}
	if err != nil {
		c.Why = err.Error()
	} else {
		c.NotAfter, c.Subject = leaf.NotAfter, subject(leaf)
	}
	w.model.mu.Lock()
	defer w.model.mu.Unlock()
	w.model.ours = c
}

func subject(leaf *x509.Certificate) string {
	switch {
	case leaf.Subject.CommonName != "":
		return leaf.Subject.CommonName
	case len(leaf.DNSNames) > 0:
		return leaf.DNSNames[0]
	case len(leaf.IPAddresses) > 0:
		return leaf.IPAddresses[0].String()
	}
	return leaf.Subject.String()
}

// peerURLs are those of the endpoint's member, once the member list tells which that is.
func (m *model) peerURLs(c *conn) (urls []string, known bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, l := range m.list {
		if m.isAt(c, l) {
			return l.PeerURLs, true
		}
	}
	return nil, false
}

func (m *model) showed(c *conn, certs []Certificate) {
	m.mu.Lock()
	defer m.mu.Unlock()
	// What was shown before is worth more than that it cannot be seen now.
	for i := range certs {
		for _, old := range c.certs {
			if certs[i].NotAfter.IsZero() && certs[i].Why != noTLS && old.Use == certs[i].Use && old.URL == certs[i].URL && !old.NotAfter.IsZero() {
				old.Why = certs[i].Why
				certs[i] = old
			}
		}
	}
	c.certs = certs
}
