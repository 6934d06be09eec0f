package cluster

import (
	"bytes"
	"context"
	"crypto/x509"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"fathom/cluster/discover"
)

// doctor collects what several goroutines find.
type doctor struct {
	c *Cluster

	kubeReport   *KubeReport
	etcdReport   *EtcdReport
	accessReport []AccessReport

	mu    sync.Mutex
	certs []CertificateReport
}

// soon is how long before its end a certificate is said to expire soon.
const soon = 30 * 24 * time.Hour

func (d *doctor) cert(use, source string, leaf *x509.Certificate) {
	if leaf == nil {
		return
	}
	left := time.Until(leaf.NotAfter)
	r := CertificateReport{
		Use: use, Source: source, Subject: leaf.Subject.String(), NotAfter: leaf.NotAfter.UTC(),
		DaysLeft: int(math.Floor(left.Hours() / 24)), Status: "ok",
	}
	switch {
	case left < 0:
		r.Status = "expired"
	case time.Now().Before(leaf.NotBefore):
		r.Status = "not valid yet"
	case left < soon:
		r.Status = "expires soon"
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.certs = append(d.certs, r)
}

func (d *doctor) kube(ctx context.Context) {
	k := d.c.kube
	r := &KubeReport{Server: d.c.identity.Server, Source: d.c.identity.Source}
	d.kubeReport = r
	d.cert(k.cert.use, k.cert.source, k.cert.leaf)
	began := time.Now()
	err := d.greet(ctx, k)
	r.LatencyMS = milliseconds(time.Since(began))
	if err != nil {
		r.Error = Explain(err)
		if p := k.cert.problem(time.Now()); p != "" {
			r.Error = p
		}
		return
	}
	r.Reachable = true
	d.access(ctx)
	if v, err := k.ServerVersion(ctx); err == nil {
		r.Version = v.GitVersion
	} else {
		r.Error = Explain(err)
	}
	if live, ready, err := k.Checks(ctx); err == nil {
		r.Livez, r.Readyz = live, ready
	}
	res, err := k.Resources(ctx)
	if err != nil {
		r.Error = Explain(err)
		return
	}
	r.Resources = len(res.List)
	for _, p := range res.Partial {
		r.Partial = append(r.Partial, p.GroupVersion+": "+oneLine(p.Err))
	}
}

// greet makes one request, and keeps the server's certificate.
func (d *doctor) greet(ctx context.Context, k *Kube) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, k.Server().JoinPath("livez").String(), nil)
	if err != nil {
		return err
	}
	res, err := k.http.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.TLS != nil && len(res.TLS.PeerCertificates) > 0 {
		d.cert("certificate of the API server", res.Request.URL.Host, res.TLS.PeerCertificates[0])
	}
	if res.StatusCode == http.StatusUnauthorized {
		return k.Probe(ctx).Err // with the server's own words
	}
	return nil // 403 and 500 are answers
}

func (d *doctor) etcd(ctx context.Context) {
	e := d.c.etcd
	d.cert(e.cert.use, e.cert.source, e.cert.leaf)
	var known []*pb.Member
	if list, err := e.MemberList(ctx); err == nil {
		known = list.Members
	}
	for _, m := range known {
		_, _ = e.AddEndpoints(m.ClientURLs...) // a URL that cannot be used is not an endpoint
	}
	members := e.Members()
	r := &EtcdReport{Source: e.source, Prefix: e.prefix, Endpoints: make([]EndpointReport, len(members))}
	d.etcdReport = r
	var wg sync.WaitGroup
	for i, m := range members {
		wg.Go(func() { r.Endpoints[i] = d.endpoint(ctx, m, known) })
	}
	wg.Wait()
	r.SameCluster = d.sameCluster(ctx, r)
}

func (d *doctor) endpoint(ctx context.Context, m *Member, known []*pb.Member) EndpointReport {
	e := d.c.etcd
	r := EndpointReport{Endpoint: m.Endpoint, Learned: m.Learned}
	for _, x := range known {
		if slices.ContainsFunc(x.ClientURLs, func(u string) bool { return discover.Same(u, m.Endpoint) }) {
			r.Name = x.Name
		}
	}
	hctx, cancel := context.WithTimeout(ctx, statusTimeout)
	state, err := e.handshake(hctx, m.Endpoint)
	cancel()
	if state != nil && len(state.PeerCertificates) > 0 {
		d.cert("certificate of etcd", m.Endpoint, state.PeerCertificates[0])
	}
	if err != nil {
		r.Error = Explain(err)
		return r
	}
	began := time.Now()
	s, err := m.Status(ctx)
	r.LatencyMS = milliseconds(time.Since(began))
	if err != nil {
		r.Error = Explain(err)
		return r
	}
	r.Reachable = true
	r.Version, r.Learner, r.Errors = s.Version, s.IsLearner, s.Errors
	r.MemberID, r.ClusterID = strconv.FormatUint(s.Header.GetMemberId(), 16), strconv.FormatUint(s.Header.GetClusterId(), 16)
	r.Leader = s.Leader != 0 && s.Leader == s.Header.GetMemberId()
	for _, x := range known { // reached by another address than the one it advertises
		if x.ID == s.Header.GetMemberId() {
			r.Name = x.Name
		}
	}
	return r
}

// sameCluster looks for the UID of kube-system in etcd's value of it. The value is protobuf or JSON, and either holds the UID as
// text; an encrypted one says nothing.
func (d *doctor) sameCluster(ctx context.Context, r *EtcdReport) string {
	const unknown = "unknown"
	if d.c.kube == nil {
		return unknown
	}
	ctx, cancel := context.WithTimeout(ctx, statusTimeout)
	defer cancel()
	ns, err := d.c.kube.typed.CoreV1().Namespaces().Get(ctx, metav1.NamespaceSystem, metav1.GetOptions{})
	if err != nil || ns.UID == "" {
		return unknown
	}
	for i, m := range d.c.etcd.Members() {
		if i >= len(r.Endpoints) || !r.Endpoints[i].Reachable {
			continue
		}
		got, err := m.client.Get(ctx, r.Prefix+"/namespaces/"+metav1.NamespaceSystem, clientv3.WithSerializable())
		switch {
		case err != nil:
			continue
		case len(got.Kvs) == 0:
			return "no"
		case bytes.HasPrefix(got.Kvs[0].Value, []byte("k8s:enc:")):
			return unknown
		case bytes.Contains(got.Kvs[0].Value, []byte(ns.UID)):
			return "yes"
		default:
			return "no"
		}
	}
	return unknown
}

// needs is what fathom asks of the API server, and what for.
var needs = []struct {
	Access
	what   string
	writes bool
}{
	{Access{Verb: "list", Resource: "pods"}, "pods, overview, placement", false},
	{Access{Verb: "watch", Resource: "pods"}, "pods, live", false},
	{Access{Verb: "list", Resource: "nodes"}, "nodes, placement", false},
	{Access{Verb: "list", Resource: "namespaces"}, "namespaces", false},
	{Access{Verb: "list", Resource: "events"}, "events, reasons of pending pods", false},
	{Access{Verb: "list", Group: "apps", Resource: "deployments"}, "workloads", false},
	{Access{Verb: "list", Group: "batch", Resource: "jobs"}, "workloads", false},
	{Access{Verb: "get", Group: "coordination.k8s.io", Resource: "leases", Namespace: "kube-system"}, "leaders of the control plane", false},
	{Access{Verb: "get", Resource: "pods", Subresource: "log"}, "logs", false},
	{Access{Verb: "list", Resource: "secrets"}, "secrets (values stay masked)", false},
	{Access{Verb: "delete", Resource: "pods"}, "delete pod", true},
	{Access{Verb: "patch", Group: "apps", Resource: "deployments", Subresource: "scale"}, "scale", true},
	{Access{Verb: "patch", Group: "apps", Resource: "deployments"}, "rollout restart", true},
	{Access{Verb: "patch", Resource: "nodes"}, "cordon, uncordon", true},
}

func (d *doctor) access(ctx context.Context) {
	out := make([]AccessReport, len(needs))
	var wg sync.WaitGroup
	for i, n := range needs {
		wg.Go(func() {
			// "delete pods in namespace x" -> "pods in namespace x": the verb has a column of its own
			r := AccessReport{Verb: n.Verb, Namespace: n.Namespace, For: n.what, Blocked: n.writes && d.c.ReadOnly()}
			bare := n.Access
			bare.Namespace = ""
			r.Resource = strings.TrimPrefix(bare.String(), n.Verb+" ")
			dec, err := d.c.kube.Can(ctx, n.Access)
			if err != nil {
				r.Error = Explain(err)
			}
			r.Allowed = dec.Allowed
			out[i] = r
		})
	}
	wg.Wait()
	d.accessReport = out
}

// problem is why nothing can be shown, in one line.
func (d *doctor) problem() string {
	var parts []string
	if d.kubeReport != nil {
		parts = append(parts, fmt.Sprintf("API server %s: %s", d.kubeReport.Server, d.kubeReport.Error))
	}
	if d.etcdReport != nil {
		for _, e := range d.etcdReport.Endpoints {
			parts = append(parts, fmt.Sprintf("etcd %s: %s", e.Endpoint, e.Error))
		}
	}
	for _, m := range d.c.missing {
		parts = append(parts, fmt.Sprintf("%s: %s; %s", m.What, m.Why, m.Fix))
	}
	return strings.Join(parts, "; ")
}

func milliseconds(d time.Duration) float64 { return math.Round(d.Seconds()*1e6) / 1e3 }
