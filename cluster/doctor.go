package cluster

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"
)

// Report is what doctor found. The JSON names are stable. All strings are untrusted.
type Report struct {
	ReadOnly     bool                `json:"readOnly"`
	Identity     Identity            `json:"identity"`
	Kubernetes   *KubeReport         `json:"kubernetes,omitempty"`
	Etcd         *EtcdReport         `json:"etcd,omitempty"`
	Certificates []CertificateReport `json:"certificates"`
	Access       []AccessReport      `json:"access"`
	Missing      []Missing           `json:"missing"`
	// Problem is why nothing can be shown; empty when something can.
	Problem string `json:"problem,omitempty"`
}

// KubeReport is about the API server.
type KubeReport struct {
	Server    string   `json:"server"`
	Source    string   `json:"source"`
	Reachable bool     `json:"reachable"`
	LatencyMS float64  `json:"latencyMs"`
	Version   string   `json:"version,omitempty"`
	Livez     []Check  `json:"livez,omitempty"`
	Readyz    []Check  `json:"readyz,omitempty"`
	Resources int      `json:"resources"`
	Partial   []string `json:"partial,omitempty"` // groups that could not be discovered
	Error     string   `json:"error,omitempty"`
}

// EtcdReport is about etcd.
type EtcdReport struct {
	Source    string           `json:"source"`
	Prefix    string           `json:"prefix"`
	Endpoints []EndpointReport `json:"endpoints"`
	// SameCluster is whether this etcd holds the objects of this API server: "yes", "no" or "unknown". It compares the UID of the
	// namespace kube-system.
	SameCluster string `json:"sameCluster"`
}

// EndpointReport is about one etcd endpoint.
type EndpointReport struct {
	Endpoint  string   `json:"endpoint"`
	Learned   bool     `json:"learned"` // from the member list
	Reachable bool     `json:"reachable"`
	LatencyMS float64  `json:"latencyMs"`
	Version   string   `json:"version,omitempty"`
	MemberID  string   `json:"memberId,omitempty"` // hexadecimal
	ClusterID string   `json:"clusterId,omitempty"`
	Name      string   `json:"name,omitempty"`
	Leader    bool     `json:"leader"`
	Learner   bool     `json:"learner"`
	Errors    []string `json:"errors,omitempty"`
	Error     string   `json:"error,omitempty"`
}

// CertificateReport is about one certificate, ours or a server's.
type CertificateReport struct {
	Use      string    `json:"use"`    // "client certificate for the API server"
	Source   string    `json:"source"` // file, or host and port
	Subject  string    `json:"subject"`
	NotAfter time.Time `json:"notAfter"`
	DaysLeft int       `json:"daysLeft"` // negative: expired
	Status   string    `json:"status"`   // "ok", "expires soon" (less than 30 days), "expired", "not valid yet"
}

// AccessReport is whether we may do something.
type AccessReport struct {
	Verb      string `json:"verb"`
	Resource  string `json:"resource"` // with group and subresource: "deployments.apps/scale"
	Namespace string `json:"namespace,omitempty"`
	Allowed   bool   `json:"allowed"`
	For       string `json:"for"`     // what fathom needs it for
	Blocked   bool   `json:"blocked"` // read-only mode refuses it, whatever the API server allows
	Error     string `json:"error,omitempty"`
}

// doctorTimeout bounds the whole examination.
const doctorTimeout = 15 * time.Second

// Doctor looks at everything that is configured and reports it. It takes at most 15 s, and usually well under one. It changes
// nothing: its requests pass in read-only mode too.
func Doctor(ctx context.Context, c *Cluster) Report {
	ctx, cancel := context.WithTimeout(ctx, doctorTimeout)
	defer cancel()
	d := &doctor{c: c}
	var wg sync.WaitGroup
	if c.kube != nil {
		wg.Go(func() { d.kube(ctx) })
	}
	if c.etcd != nil {
		wg.Go(func() { d.etcd(ctx) })
	}
	wg.Wait()
	r := Report{
		ReadOnly: c.ReadOnly(), Identity: c.identity, Kubernetes: d.kubeReport, Etcd: d.etcdReport,
		Certificates: []CertificateReport{}, Access: []AccessReport{}, Missing: []Missing{},
	}
	r.Certificates = append(r.Certificates, d.certs...)
	slices.SortFunc(r.Certificates, func(a, b CertificateReport) int { return strings.Compare(a.Use+a.Source, b.Use+b.Source) })
	r.Access = append(r.Access, d.accessReport...)
	r.Missing = append(r.Missing, c.missing...)
	if !r.reachable() {
		r.Problem = d.problem()
	}
	return r
}

// Exit is 0 when something can be shown and 1 when nothing can.
func (r Report) Exit() int {
	if r.reachable() {
		return 0
	}
	return 1
}

func (r Report) reachable() bool {
	return r.Kubernetes != nil && r.Kubernetes.Reachable ||
		r.Etcd != nil && slices.ContainsFunc(r.Etcd.Endpoints, func(e EndpointReport) bool { return e.Reachable })
}
