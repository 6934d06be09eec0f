package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"fathom/cluster/discover"
)

// MaxMetrics bounds what is read of a member's metrics, in bytes after decompression. etcd's are some 100 KB.
const MaxMetrics = 8 << 20

// MetricsURLs are where a member may tell its metrics, the most likely first. With URLs given (--etcd-metrics-urls) these are all, the
// one on the member's own host, or in its own place of the list, first: whose they are tells only the answer (etcd_server_id).
// Otherwise they are what the manifest or configuration file of the local member says (listen-metrics-urls), and the client URL, which etcd serves its
// metrics at too.
func (e *Etcd) MetricsURLs(m *Member) []string {
	var out []string
	if len(e.metrics) > 0 {
		members := e.Members()
		place := -1
		for i, o := range members {
			if o == m {
				place = i
			}
		}
		var rest []string
		for i, u := range e.metrics {
			switch {
			case sameHost(u, m.Endpoint) && place == i:
				out = append([]string{u}, out...)
			case sameHost(u, m.Endpoint) || place == i:
				out = append(out, u)
			default:
				rest = append(rest, u)
			}
		}
		return append(out, rest...)
	}
	for _, local := range e.localMetrics {
		if discover.Same(local.Endpoint, m.Endpoint) {
			out = append(out, local.URL)
		}
	}
	if u, err := url.Parse(m.Endpoint); err == nil && (u.Scheme == "http" || u.Scheme == "https") {
		out = append(out, u.Scheme+"://"+u.Host+metricsPath)
	}
	return out
}

func sameHost(a, b string) bool {
	ua, erra := url.Parse(a)
	ub, errb := url.Parse(b)
	return erra == nil && errb == nil && strings.EqualFold(ua.Hostname(), ub.Hostname())
}

const metricsPath = "/metrics"

// ReadMetrics gets metrics in Prometheus' text format with one plain GET, and gives them to read, which must not keep the reader. It is
// a read like any other: it passes the guard and is counted there. Give it a deadline; it sends nothing again by itself. Redirects are
// not followed. The error says what was asked for.
func (e *Etcd) ReadMetrics(ctx context.Context, address string, read func(io.Reader) error) error {
	fail := func(err error) error { return fmt.Errorf("metrics of %s: %w", address, err) }
	u, err := url.Parse(address)
	if err != nil {
		return fail(err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return fail(err)
	}
	req.Header.Set("Accept", "text/plain;version=0.0.4")
	req.Header.Set("User-Agent", "fathom")
	prefix, ok := strings.CutSuffix(u.Path, metricsPath)
	if !ok {
		return fail(errors.New("the path must end in " + metricsPath))
	}
	res, err := e.guard.Transport(e.plain, &url.URL{Scheme: u.Scheme, Host: u.Host, Path: prefix}).RoundTrip(req)
	if err != nil {
		return fail(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		_, _ = io.CopyN(io.Discard, res.Body, 4<<10) // so that the connection can be kept
		return fail(fmt.Errorf("the answer is %s", res.Status))
	}
	body := &bounded{r: res.Body, left: MaxMetrics}
	if err := read(body); err != nil {
		return fail(err)
	}
	_, _ = io.CopyN(io.Discard, body, 64<<10)
	return nil
}

// bounded is a reader that fails, rather than ends, where too much comes: half of the metrics are not the metrics.
type bounded struct {
	r    io.Reader
	left int64
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, fmt.Errorf("there are more than %d MB of it", MaxMetrics>>20)
	}
	if int64(len(p)) > b.left {
		p = p[:b.left]
	}
	n, err := b.r.Read(p)
	b.left -= int64(n)
	return n, err
}

// newPlain is the HTTP side of etcd's client and metrics ports. It keeps one connection to each. It uses no proxy: these are addresses
// within the cluster, or of this machine.
func (e *Etcd) newPlain() *http.Transport {
	return &http.Transport{
		TLSClientConfig:        e.tls.Clone(), // nil stays nil
		DialContext:            (&net.Dialer{Timeout: 2 * time.Second}).DialContext,
		TLSHandshakeTimeout:    2 * time.Second,
		MaxIdleConnsPerHost:    1,
		IdleConnTimeout:        30 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
	}
}

// metricsURLs checks those given and completes them: a list separated by commas, of which each may leave "/metrics" out.
func metricsURLs(given []string) ([]string, error) {
	var out []string
	for _, s := range strings.Split(strings.Join(given, ","), ",") {
		s = strings.TrimSpace(s)
		if s == "" {
			continue
		}
		if !strings.Contains(s, "://") {
			s = "http://" + s // as etcd's own default of --listen-metrics-urls in kubeadm, k3s and RKE2
		}
		u, err := url.Parse(s)
		if err != nil {
			return nil, fmt.Errorf("--etcd-metrics-urls: %q is not a URL: %w", s, err)
		}
		if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" {
			return nil, fmt.Errorf("--etcd-metrics-urls: %q must be of the form http://HOST:PORT, as in http://127.0.0.1:2381", s)
		}
		path := strings.TrimSuffix(u.Path, "/")
		if !strings.HasSuffix(path, metricsPath) {
			path += metricsPath
		}
		out = append(out, u.Scheme+"://"+u.Host+path)
	}
	return out, nil
}
