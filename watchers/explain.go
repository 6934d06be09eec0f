package watchers

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strconv"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilnet "k8s.io/apimachinery/pkg/util/net"

	"fathom/cluster"
)

// explain puts an error of a request into one line for the corner of a pane. What it returns is untrusted text.
func explain(err error) string {
	switch {
	case errors.Is(err, errHung), errors.Is(err, errStalled), errors.Is(err, errTorn):
		return err.Error()
	case apierrors.IsUnauthorized(err):
		return "401: the API server does not accept these credentials (expired?): " + shorten(err)
	case isDenied(err):
		return shorten(err)
	case apierrors.IsTooManyRequests(err):
		return "429: the API server throttles: " + shorten(err)
	case isExpired(err):
		return "410: what was read is too old to go on with; everything is read again"
	case utilnet.IsConnectionRefused(err):
		return "nothing listens at the API server's address: connection refused"
	}
	if code := statusCode(err); code >= 500 {
		return fmt.Sprintf("%d: the API server reports a fault: %s", code, shorten(err))
	}
	switch cluster.Classify(err) {
	case cluster.FaultUnknownCA, cluster.FaultExpired, cluster.FaultWrongName, cluster.FaultClientCert, cluster.FaultNotTLS, cluster.FaultUnreachable:
		var ue *url.Error
		if errors.As(err, &ue) { // without the request
			err = ue.Err
		}
		return cluster.Explain(err)
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || utilnet.IsConnectionReset(err) || utilnet.IsHTTP2ConnectionLost(err) ||
		strings.Contains(err.Error(), "use of closed network connection") {
		return "the connection to the API server broke: " + shorten(err)
	}
	var ne net.Error
	if errors.As(err, &ne) && ne.Timeout() {
		return "the API server does not answer: " + shorten(err)
	}
	return shorten(err)
}

// maxWhy bounds the part of an error that a server wrote, in bytes: HTML pages of proxies come this way.
const maxWhy = 300

// shorten drops the part of a *url.Error that repeats the request, the words that client-go puts around a server's, and line breaks.
func shorten(err error) string {
	s := err.Error()
	if i := strings.Index(s, `": `); i >= 0 && (strings.HasPrefix(s, "Get ") || strings.HasPrefix(s, "Post ")) {
		s = s[i+3:]
	}
	if said, ok := strings.CutPrefix(s, `an error on the server ("`); ok {
		if i := strings.Index(said, `") has prevented the request from succeeding`); i > 0 {
			s = said[:i]
			if plain, err := strconv.Unquote(`"` + s + `"`); err == nil {
				s = plain
			}
		}
	}
	s = strings.Join(strings.Fields(s), " ")
	if len(s) > maxWhy {
		s = strings.ToValidUTF8(s[:maxWhy], "") + "…"
	}
	return s
}

// statusCode is the HTTP status of a server's answer; 0: there was none.
func statusCode(err error) int32 {
	var st apierrors.APIStatus
	if errors.As(err, &st) {
		return st.Status().Code
	}
	return 0
}

// answered reports whether the server has said no, and not the network nothing.
func answered(err error) bool {
	return apierrors.ReasonForError(err) != metav1.StatusReasonUnknown || statusCode(err) != 0
}

func isDenied(err error) bool { return apierrors.IsForbidden(err) }

func isUnsupported(err error) bool {
	return apierrors.IsNotFound(err) || apierrors.IsMethodNotSupported(err) || errors.Is(err, ErrNoKube)
}

func isExpired(err error) bool {
	return apierrors.IsResourceExpired(err) || apierrors.IsGone(err) ||
		apierrors.HasStatusCause(err, metav1.CauseTypeResourceVersionTooLarge)
}
