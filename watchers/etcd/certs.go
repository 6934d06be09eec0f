package etcd

import "time"

// CertUse is what a certificate is for.
type CertUse string

// Uses of certificates.
const (
	CertOurs   CertUse = "ours"   // the client certificate that we show
	CertServer CertUse = "client" // what a member shows to clients: "client certificate" in the sense of --cert-file
	CertPeer   CertUse = "peer"   // what a member shows to its peers (--peer-cert-file)
)

// Certificate is when a certificate ends, as a TLS handshake showed it. All of its text is untrusted.
type Certificate struct {
	Use      CertUse
	URL      string    // that it was shown at; of ours: the file
	Subject  string    // the common name, or the first name of host when there is none
	NotAfter time.Time // zero: not known, and Why says why
	At       time.Time // when it was looked at; zero: not yet
	Why      string
}

// The times before the end of a certificate from which on that is a finding.
const (
	CertWarning  = 30 * 24 * time.Hour
	CertCritical = 7 * 24 * time.Hour
)
