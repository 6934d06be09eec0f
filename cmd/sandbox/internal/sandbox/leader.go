package sandbox

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/etcd/client/pkg/v3/transport"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"fathom/cmd/sandbox/internal/controlplane"
	"fathom/cmd/sandbox/internal/layout"
)

// EtcdTLS is the client side of the etcd members' TLS.
func EtcdTLS(d layout.Dir) (*tls.Config, error) {
	pki := d.Host(layout.EtcdPKIDir)
	info := transport.TLSInfo{
		CertFile: pki + "/healthcheck-client.crt", KeyFile: pki + "/healthcheck-client.key", TrustedCAFile: pki + "/ca.crt",
	}
	config, err := info.ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("etcd client certificate: %w", err)
	}
	return config, nil
}

// Leader asks every member whom it follows and returns the name of the member
// that says it leads itself, in the highest term anybody names.
func Leader(ctx context.Context, d layout.Dir, spec *controlplane.Spec) (string, error) {
	config, err := EtcdTLS(d)
	if err != nil {
		return "", err
	}
	var name string
	var term uint64
	var errs []error
	for n := range spec.Etcd {
		st, err := memberStatus(ctx, config, spec.ClientURL(n+1))
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", layout.MemberName(n+1), err))
			continue
		}
		// A cut-off old leader still thinks it leads, in an older term.
		if st.Leader == st.Header.MemberId && st.RaftTerm > term {
			name, term = layout.MemberName(n+1), st.RaftTerm
		}
	}
	if name == "" {
		return "", errors.Join(append([]error{errors.New("no etcd member leads: is a majority of the members running?")}, errs...)...)
	}
	return name, nil
}

func memberStatus(ctx context.Context, config *tls.Config, endpoint string) (*clientv3.StatusResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	c, err := clientv3.New(clientv3.Config{Endpoints: []string{endpoint}, TLS: config, Context: ctx, Logger: zap.NewNop()})
	if err != nil {
		return nil, err
	}
	defer c.Close()
	return c.Status(ctx, endpoint)
}
