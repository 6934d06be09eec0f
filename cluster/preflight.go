package cluster

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"sync"
	"time"

	"k8s.io/client-go/rest"
)

// PreflightBudget is how long Preflight waits when its context has no deadline. On loopback a refused port and a certificate that
// does not fit are told at once; the first frame is due 100 ms after the start.
const PreflightBudget = 40 * time.Millisecond

// Preflight is the check before the screen is taken. It returns an error, one line, only when nothing can be shown: nothing is
// configured, or every configured source has definitely failed: its port is refused, the server's certificate does not fit or is
// expired, ours is expired or not accepted, or the credentials are not. A source that has not answered in time has not failed
// definitely: the screen opens, says so, and goes live when the source does. Preflight returns as soon as one source is not known
// to have failed; it waits until the deadline of ctx, or else for PreflightBudget.
func Preflight(ctx context.Context, c *Cluster) error {
	if c.kube == nil && c.etcd == nil {
		var b []string
		for _, m := range c.missing {
			b = append(b, fmt.Sprintf("%s: %s; %s", m.What, m.Why, m.Fix))
		}
		return errors.New("nothing to show: " + strings.Join(b, ". "))
	}
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, PreflightBudget)
		defer cancel()
	}
	ctx, stop := context.WithCancel(ctx)
	probes := c.probes()
	type verdict struct {
		i    int
		line string // "": not definitely failed
	}
	verdicts := make(chan verdict, len(probes))
	var wg sync.WaitGroup
	for i, p := range probes {
		wg.Go(func() { verdicts <- verdict{i, p(ctx)} })
	}
	defer func() {
		stop()
		if c.kube == nil || c.kube.cfg.ExecProvider == nil {
			wg.Wait()
		} // else a credential plugin runs, which heeds no context: its goroutine ends when the plugin does
	}()
	lines := make([]string, len(probes))
	for range probes {
		select {
		case <-ctx.Done():
			return nil
		case v := <-verdicts:
			if v.line == "" {
				return nil
			}
			lines[v.i] = v.line
		}
	}
	return errors.New(strings.Join(lines, "; "))
}

// probes are one for the API server and one for each etcd endpoint. Each returns the line of a definite failure, or "".
func (c *Cluster) probes() []func(context.Context) string {
	var out []func(context.Context) string
	if k := c.kube; k != nil {
		out = append(out, func(ctx context.Context) string {
			where := "API server " + c.identity.Server
			if c.identity.Context != "" {
				where += fmt.Sprintf(" (context %q of %s)", c.identity.Context, c.identity.Source)
			}
			if p := k.cert.problem(time.Now()); p != "" {
				return where + ": " + p
			}
			return definite(where, k.knock(ctx))
		})
	}
	if e := c.etcd; e != nil {
		for _, m := range e.Members() {
			out = append(out, func(ctx context.Context) string {
				where := fmt.Sprintf("etcd %s (from %s)", m.Endpoint, e.source)
				if p := e.cert.problem(time.Now()); p != "" {
					return where + ": " + p
				}
				_, err := e.handshake(ctx, m.Endpoint)
				return definite(where, err)
			})
		}
	}
	return out
}

func definite(where string, err error) string {
	if err == nil || !Classify(err).definite() {
		return ""
	}
	return where + ": " + Explain(err)
}

// knock is Probe, with a second look at a connection that just broke: a server that does not accept our certificate says so, but
// HTTP may have run into the closed connection before it could read that.
func (k *Kube) knock(ctx context.Context) error {
	err := k.Probe(ctx).Err
	if err == nil || Classify(err) != FaultOther || k.cfg.Proxy != nil {
		return err
	}
	cfg, tlsErr := rest.TLSConfigFor(k.cfg)
	if tlsErr != nil {
		return err
	}
	if _, second := handshake(ctx, k.Server(), cfg); second != nil && Classify(second) != FaultTimeout {
		return second
	}
	return err
}

func (e *Etcd) handshake(ctx context.Context, endpoint string) (*tls.ConnectionState, error) {
	u, err := url.Parse(endpoint)
	if err != nil {
		return nil, err
	}
	return handshake(ctx, u, e.tls)
}

// handshake connects to a server as its clients would, and keeps what went wrong as a typed error, which gRPC does not. With TLS
// 1.3 a server refuses our certificate only after the handshake is over for us: the first byte (HTTP/2 SETTINGS) proves it.
func handshake(ctx context.Context, u *url.URL, cfg *tls.Config) (*tls.ConnectionState, error) {
	network, address := "tcp", u.Host
	if strings.HasPrefix(u.Scheme, "unix") {
		network, address = "unix", u.Host+u.Path
	} else if u.Port() == "" {
		address = net.JoinHostPort(u.Hostname(), "443")
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	if u.Scheme == "http" || u.Scheme == "unix" {
		return nil, nil
	}
	if cfg = cfg.Clone(); cfg == nil {
		cfg = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	cfg.NextProtos = []string{"h2"}
	if cfg.ServerName == "" {
		cfg.ServerName = u.Hostname()
	}
	tc := tls.Client(conn, cfg)
	if err := tc.HandshakeContext(ctx); err != nil {
		return nil, err
	}
	state := tc.ConnectionState()
	if d, ok := ctx.Deadline(); ok {
		_ = tc.SetReadDeadline(d)
	}
	stop := context.AfterFunc(ctx, func() { _ = tc.SetReadDeadline(time.Now()) })
	defer stop()
	if _, err := tc.Read(make([]byte, 1)); err != nil {
		return &state, err
	}
	return &state, nil
}
