package cluster

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"net"
	"os"
	"regexp"
	"strings"
	"syscall"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Fault is a class of errors of a connection.
type Fault uint8

// Faults.
const (
	FaultOther        Fault = iota
	FaultReadOnly           // our own guard
	FaultRefused            // nobody listens
	FaultUnreachable        // no route, no such host
	FaultTimeout            // no answer in time
	FaultUnknownCA          // the server's certificate is not signed by the CA we were given
	FaultExpired            // a certificate is expired or not valid yet
	FaultWrongName          // the server's certificate is for other names
	FaultClientCert         // the server does not accept our certificate
	FaultNotTLS             // one side speaks TLS, the other does not
	FaultUnauthorized       // 401
	FaultForbidden          // 403
)

// advice is what each fault means and what to do about it.
var advice = map[Fault]string{
	FaultRefused:      "connection refused: nothing listens there; check that the server runs, and its address",
	FaultUnreachable:  "the address cannot be reached: check the network and the name",
	FaultTimeout:      "no answer in time: the server is stopped or overloaded, or a firewall drops the packets",
	FaultUnknownCA:    "the server's certificate is not signed by the given CA: check the CA file, or whether this is the right cluster",
	FaultExpired:      "a certificate is expired or not valid yet: renew it, and check the clocks",
	FaultWrongName:    "the server's certificate is for other names: use an address that it has, or give --tls-server-name",
	FaultClientCert:   "the server does not accept the client certificate: check that it is signed by the CA the server trusts, and not expired",
	FaultNotTLS:       "one side speaks TLS and the other does not: check http and https in the address",
	FaultUnauthorized: "the credentials are not accepted (401): log in again, or check the kubeconfig's user",
	FaultForbidden:    "not permitted (403)",
}

// definite faults do not go away by waiting some milliseconds longer.
func (f Fault) definite() bool {
	switch f {
	case FaultRefused, FaultUnknownCA, FaultExpired, FaultWrongName, FaultClientCert, FaultNotTLS, FaultUnauthorized:
		return true
	}
	return false
}

// texts find faults in errors that arrive as text only: gRPC keeps just the words of a connection error.
var texts = []struct {
	f  Fault
	re *regexp.Regexp
}{
	{FaultExpired, regexp.MustCompile(`certificate has expired|expired certificate|is not yet valid`)},
	{FaultUnknownCA, regexp.MustCompile(`certificate signed by unknown authority|x509: .*not trusted`)},
	{FaultWrongName, regexp.MustCompile(`x509: certificate is (not )?valid for|cannot validate certificate for|doesn't contain any IP SANs`)},
	{FaultClientCert, regexp.MustCompile(`remote error: tls: (bad certificate|unknown certificate|unknown certificate authority|certificate required|unsupported certificate|handshake failure|access denied)`)},
	{FaultNotTLS, regexp.MustCompile(`first record does not look like a TLS handshake|server gave HTTP response to HTTPS client|HTTP request to an HTTPS server`)},
	{FaultRefused, regexp.MustCompile(`connection refused`)},
	{FaultUnreachable, regexp.MustCompile(`no such host|no route to host|network is unreachable`)},
	{FaultTimeout, regexp.MustCompile(`i/o timeout|deadline exceeded|TLS handshake timeout`)},
}

// Classify tells the class of an error of a request, whether of HTTP or gRPC.
func Classify(err error) Fault {
	var (
		unknown  x509.UnknownAuthorityError
		host     x509.HostnameError
		invalid  x509.CertificateInvalidError
		record   tls.RecordHeaderError
		netError net.Error
	)
	switch {
	case err == nil:
		return FaultOther
	case errors.Is(err, ErrReadOnly):
		return FaultReadOnly
	case apierrors.IsUnauthorized(err) || status.Code(err) == codes.Unauthenticated:
		return FaultUnauthorized
	case apierrors.IsForbidden(err) || status.Code(err) == codes.PermissionDenied:
		return FaultForbidden
	case errors.As(err, &unknown):
		return FaultUnknownCA
	case errors.As(err, &host):
		return FaultWrongName
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return FaultExpired
	case errors.As(err, &record):
		return FaultNotTLS
	case errors.Is(err, syscall.ECONNREFUSED):
		return FaultRefused
	}
	for _, t := range texts { // before timeouts: a deadline's error may carry what was wrong with the connection
		if t.re.MatchString(err.Error()) {
			return t.f
		}
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) || status.Code(err) == codes.DeadlineExceeded ||
		errors.As(err, &netError) && netError.Timeout() || apierrors.IsTimeout(err) {
		return FaultTimeout
	}
	return FaultOther
}

// Explain says in one line what an error of a request means and what to do. It is untrusted text.
func Explain(err error) string {
	if err == nil {
		return ""
	}
	text := oneLine(err.Error())
	f := Classify(err)
	a, ok := advice[f]
	if !ok {
		return text
	}
	if f == FaultForbidden {
		return a + ": " + text
	}
	return a + " (" + root(text) + ")"
}

// root is the end of a chain of errors' texts, which says most.
func root(text string) string {
	const keep = 160
	if i := strings.LastIndex(text, "desc = "); i >= 0 {
		text = text[i+len("desc = "):]
	}
	text = strings.Trim(text, `"`)
	if i := strings.Index(text, "dial "); i > 0 {
		text = text[i:]
	} else if i := strings.Index(text, "x509: "); i > 0 {
		text = text[i:]
	}
	if len(text) > keep {
		text = strings.ToValidUTF8(text[:keep], "") + "…"
	}
	return text
}

func decodeJSON(b []byte, v any) error { return json.Unmarshal(b, v) }
