package cluster

import (
	"context"
	"io"
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
	For       string `json:"for"` // what fathom needs it for
	Error     string `json:"error,omitempty"`
}

// Doctor looks at everything that is configured and reports it. It takes at most some seconds.
func Doctor(ctx context.Context, c *Cluster) Report { return Report{} }

// Exit is 0 when something can be shown and 1 when nothing can.
func (r Report) Exit() int { return 0 }

// WriteTable writes the report for people.
func (r Report) WriteTable(w io.Writer) error { return nil }
