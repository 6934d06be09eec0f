package watchers

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"syscall"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// What a pane says of an error is one line that begins with what is wrong.
func TestErrorsInOneLine(t *testing.T) {
	pods := schema.GroupResource{Resource: "pods"}
	get := func(err error) error {
		return &url.Error{Op: "Get", URL: "https://10.0.0.1:6443/api/v1/pods?limit=500", Err: err}
	}
	generic := func(code int, body string) error {
		return apierrors.NewGenericServerResponse(code, "get", pods, "", body, 0, true)
	}
	for _, c := range []struct {
		err  error
		want string // its beginning
	}{
		{generic(429, "Too many requests, please try again later."), "429: the API server throttles: "},
		{apierrors.NewTooManyRequests("the storage is initialising", 1), "429: the API server throttles: the storage is initialising"},
		{apierrors.NewResourceExpired("The resourceVersion for the provided watch is too old."), "410: what was read is too old"},
		{apierrors.NewInternalError(errors.New("etcdserver: no leader")), "500: the API server reports a fault: Internal error occurred: etcdserver: no leader"},
		{generic(500, "boom"), "500: the API server reports a fault: boom"},
		{generic(502, "<html>\n<head>\n<title>502 Bad Gateway</title>"), "502: the API server reports a fault: <html> <head> <title>502 Bad Gateway</title>"},
		{apierrors.NewServiceUnavailable("apiserver is shutting down"), "503: the API server reports a fault: apiserver is shutting down"},
		{apierrors.NewServerTimeout(pods, "list", 1), "500: the API server reports a fault: "},
		{apierrors.NewTimeoutError("request did not complete", 1), "504: the API server reports a fault: "},
		{apierrors.NewUnauthorized("Unauthorized"), "401: the API server does not accept these credentials (expired?): Unauthorized"},
		{apierrors.NewForbidden(pods, "", errors.New(`User "eve" cannot list`)), `pods is forbidden: User "eve" cannot list`},
		{get(x509.UnknownAuthorityError{}), "the server's certificate is not signed by the given CA"},
		{get(x509.HostnameError{Certificate: &x509.Certificate{DNSNames: []string{"other"}}, Host: "10.0.0.1"}), "the server's certificate is for other names"},
		{get(x509.CertificateInvalidError{Reason: x509.Expired}), "a certificate is expired"},
		{get(errors.New("remote error: tls: bad certificate")), "the server does not accept the client certificate"},
		{get(errors.New("http: server gave HTTP response to HTTPS client")), "one side speaks TLS"},
		{get(&net.OpError{Op: "dial", Err: &os.SyscallError{Syscall: "connect", Err: syscall.ECONNREFUSED}}), "nothing listens at the API server's address"},
		{get(&net.DNSError{Err: "no such host", Name: "api"}), "the address cannot be reached"},
		{get(io.EOF), "the connection to the API server broke: EOF"},
		{fmt.Errorf("watch pods: %w", syscall.ECONNRESET), "the connection to the API server broke"},
		{io.ErrUnexpectedEOF, "the connection to the API server broke"},
		{get(context.DeadlineExceeded), "the API server does not answer: context deadline exceeded"},
		{errStalled, "the API server answers, but nothing came of this list"},
		{errTorn, "the connection broke while the list was read"},
		{ErrNoKube, "no Kubernetes API server is configured"},
	} {
		got := explain(c.err)
		if !strings.HasPrefix(got, c.want) || strings.ContainsAny(got, "\n\r") || strings.Contains(got, "https://") {
			t.Errorf("%T %v:\n got  %s\n want %s", c.err, c.err, got, c.want)
		}
	}
	if got := explain(generic(http.StatusBadGateway, strings.Repeat("é", 9999))); len(got) > maxWhy+80 {
		t.Errorf("%d bytes", len(got))
	}
	if got := statusCode(fmt.Errorf("wrapped: %w", &apierrors.StatusError{ErrStatus: metav1.Status{Code: 418}})); got != 418 {
		t.Errorf("code %d", got)
	}
}
