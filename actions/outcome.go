package actions

import (
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"strings"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"fathom/cluster"
)

// unsentError marks an error from before the mutating request: whatever it is, nothing has changed.
type unsentError struct{ error }

func (e unsentError) Unwrap() error { return e.error }

func unsent(err error) error { return unsentError{err} }

// settledError marks an error after which it is known that nothing has changed, whatever was sent.
type settledError struct{ error }

func (e settledError) Unwrap() error { return e.error }

// verdict is what the error of Do says. Ambiguous: the change may have been made.
type verdict struct {
	status    Status
	message   string
	ambiguous bool
}

// judge reads an error. Only what is known to be an answer, or known not to have been sent, is taken as settled; everything
// else is ambiguous.
func judge(err error) verdict {
	var (
		refusal  *Refusal
		conflict *ConflictError
		early    unsentError
		settled  settledError
	)
	switch {
	case errors.Is(err, cluster.ErrReadOnly):
		return verdict{status: Denied, message: err.Error()}
	case errors.As(err, &refusal):
		return verdict{status: Refused, message: refusal.Reason}
	case errors.As(err, &conflict):
		return verdict{status: Conflict, message: conflict.Reason}
	}
	sent := !errors.As(err, &early)
	v := judgeAnswer(err)
	v.message = strings.ReplaceAll(v.message, "\n", "; ") // several errors in one; lines beyond the first are for text to be copied
	if errors.As(err, &settled) {
		v.ambiguous = false
	}
	if !sent {
		v.ambiguous = false
		v.message += "; nothing was sent"
	}
	return v
}

func judgeAnswer(err error) verdict {
	if api, ok := errors.AsType[interface {
		error
		apierrors.APIStatus
	}](err); ok {
		return judgeAPI(err, api.Status())
	}
	if code, ok := grpcCode(err); ok {
		return judgeEtcd(err, code)
	}
	return verdict{status: Failed, message: err.Error(), ambiguous: !neverLeft(err)}
}

func judgeAPI(err error, s metav1.Status) verdict {
	v := verdict{status: Failed, message: err.Error()}
	switch {
	case apierrors.IsForbidden(err):
		v.status, v.message = Denied, "the API server does not allow it: "+err.Error()
	case apierrors.IsUnauthorized(err):
		v.status, v.message = Denied, "the API server does not accept the credentials: "+err.Error()
	case apierrors.IsNotFound(err):
		v.status, v.message = Conflict, "it is gone: "+err.Error()
	case apierrors.IsConflict(err), s.Code == http.StatusPreconditionFailed:
		v.status, v.message = Conflict, "it was changed or replaced since it was read: "+err.Error()+"; look at it and confirm again"
	case apierrors.IsInvalid(err) && blamesUID(s):
		v.status, v.message = Conflict, "it was replaced by another of the same name: "+err.Error()
	case s.Code >= 500:
		// Admission comes before storage, so a webhook that could not be asked has stopped it.
		v.ambiguous = !strings.Contains(s.Message, "failed calling webhook")
	}
	return v
}

// blamesUID recognises how a patch that carries another UID is refused: as a change of an immutable field.
func blamesUID(s metav1.Status) bool {
	if s.Details == nil {
		return false
	}
	for _, c := range s.Details.Causes {
		if c.Field == "metadata.uid" {
			return true
		}
	}
	return false
}

func grpcCode(err error) (codes.Code, bool) {
	if e, ok := errors.AsType[rpctypes.EtcdError](err); ok {
		return e.Code(), true
	}
	if e, ok := errors.AsType[interface {
		error
		GRPCStatus() *status.Status
	}](err); ok {
		return e.GRPCStatus().Code(), true
	}
	return codes.OK, false
}

func judgeEtcd(err error, code codes.Code) verdict {
	v := verdict{status: Failed, message: err.Error()}
	switch code {
	case codes.PermissionDenied, codes.Unauthenticated:
		v.status, v.message = Denied, "etcd does not allow it: "+err.Error()
	case codes.DeadlineExceeded, codes.Unavailable, codes.Canceled, codes.Unknown, codes.Internal, codes.Aborted:
		// Not ambiguous: there never was a connection, in gRPC's words, or etcd said no before it proposed anything.
		v.ambiguous = !strings.Contains(err.Error(), "while dialing") && !errors.Is(err, rpctypes.ErrUnhealthy) && !errors.Is(err, rpctypes.ErrNotCapable)
	}
	return v
}

// neverLeft reports whether an error of the HTTP client is from before the request was written.
func neverLeft(err error) bool {
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
		return true
	}
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return true
	}
	var (
		authority x509.UnknownAuthorityError
		host      x509.HostnameError
		invalid   x509.CertificateInvalidError
	)
	return errors.As(err, &authority) || errors.As(err, &host) || errors.As(err, &invalid)
}
