package seed

import (
	"context"
	"fmt"
	"time"

	"go.etcd.io/etcd/client/pkg/v3/transport"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"fathom/cmd/sandbox/internal/layout"
)

// leaseTTL outlasts any demo, so that the leased keys are there to see.
const leaseTTL = 24 * 60 * 60

// etcdKeys writes keys that are not Kubernetes', one of each form a key browser
// must show: JSON, text, binary, empty, a name that is not text, and a lease.
func (s *Sample) etcdKeys(ctx context.Context) error {
	pki := s.Dir.Host(layout.EtcdPKIDir)
	config, err := transport.TLSInfo{
		CertFile: pki + "/healthcheck-client.crt", KeyFile: pki + "/healthcheck-client.key", TrustedCAFile: pki + "/ca.crt",
	}.ClientConfig()
	if err != nil {
		return fmt.Errorf("etcd client certificate: %w", err)
	}
	c, err := clientv3.New(clientv3.Config{
		Endpoints: s.Spec.ClientURLs(), TLS: config, DialTimeout: 10 * time.Second, Logger: zap.NewNop(),
	})
	if err != nil {
		return fmt.Errorf("etcd client: %w", err)
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for key, value := range map[string]string{
		"/config/router/flags.json":   `{"canary":true,"weights":{"blue":90,"green":10},"owners":["web","sre"]}`,
		"/config/router/motd":         "Maintenance on Sunday, 03:00 to 04:00 UTC.\n",
		"/config/router/blob":         "\x00\x01\x02\x7f\x80\xff\xfe\x1b",
		"/config/router/empty":        "",
		"/config/router/\x80\xffraw":  "a key whose name is not text",
		"/services/registry/v1/node7": `{"addr":"10.20.1.7:7070","weight":3}`,
	} {
		if _, err := c.Put(ctx, key, value); err != nil {
			return fmt.Errorf("put sample key %q: %w", key, err)
		}
	}
	lease, err := c.Grant(ctx, leaseTTL)
	if err != nil {
		return fmt.Errorf("grant sample lease: %w", err)
	}
	for i := range 3 {
		key := fmt.Sprintf("/services/registry/v1/leased-%d", i+1)
		if _, err := c.Put(ctx, key, fmt.Sprintf(`{"addr":"10.20.2.%d:7070"}`, 11+i), clientv3.WithLease(lease.ID)); err != nil {
			return fmt.Errorf("put sample key %q: %w", key, err)
		}
	}
	return nil
}
