// Package cluster is how fathom reaches a cluster: kubeconfig, etcd discovery, TLS, the read-only guard, who am I and what
// may I do.
//
// There is one way to a client: [Open]. It puts the guard (package guard) into every rest.Config and every gRPC connection. Do
// not use rest.AnonymousClientConfig on a configuration of this package: it drops the wrapper.
package cluster

import (
	"io"

	"k8s.io/cli-runtime/pkg/genericclioptions"

	"fathom/cluster/guard"
)

// ErrReadOnly matches, with errors.Is, every error of a request that read-only mode did not send; errors.As to *guard.Refused
// tells which.
var ErrReadOnly = guard.ErrReadOnly

// Options say what to open.
type Options struct {
	// Flags are kubectl's; nil means no flag was given.
	Flags *genericclioptions.ConfigFlags
	// ReadOnly refuses, below every client, what can change the cluster. It cannot be lifted later.
	ReadOnly bool
	Etcd     EtcdOptions
	// Stderr is where klog and gRPC write: never the screen. nil discards. Exec credential plugins write to the process's standard
	// error (client-go hands it to them as it is), which ui/term sends to the log file while the screen is taken.
	Stderr io.Writer
}

// EtcdOptions say how to find etcd.
type EtcdOptions struct {
	Endpoints []string // --etcd-endpoints; each may hold several, separated by commas
	CACert    string   // --etcd-cacert: file
	Cert      string   // --etcd-cert: file
	Key       string   // --etcd-key: file
	// MetricsURLs are where the members' metrics are (--etcd-metrics-urls); each may hold several, separated by commas. None: the
	// static pod manifests tell, and the client URLs are tried.
	MetricsURLs []string
	HostRoot    string // --host-root: where the control-plane node's files are; default "/"
	// Env reads the environment (ETCDCTL_*); default os.Getenv.
	Env func(string) string
	// Disabled looks for no etcd; Why says the reason to the user.
	Disabled bool
	Why      string
}

// Missing is something fathom can do without, and how to give it.
type Missing struct {
	What  string   `json:"what"`            // "Kubernetes API server", "etcd"
	Why   string   `json:"why"`             // one sentence
	Tried []string `json:"tried,omitempty"` // flags, variables and files that were looked at
	Fix   string   `json:"fix"`             // one sentence: what to do
}

// Identity is what is connected to: always on screen. All of it is untrusted text.
type Identity struct {
	Context   string `json:"context,omitempty"`
	Cluster   string `json:"cluster,omitempty"`
	User      string `json:"user,omitempty"` // with "as X" when impersonating
	Server    string `json:"server,omitempty"`
	Namespace string `json:"namespace,omitempty"` // of the context or of -n; "default" when there is none
	// Source is the kubeconfig file, "in-cluster" or "flags".
	Source string `json:"source,omitempty"`
}

// Cluster is one connection: an API server, an etcd, or both. It is made by Open without any network traffic.
type Cluster struct {
	opt      Options
	guard    *guard.Guard
	kube     *Kube
	etcd     *Etcd
	missing  []Missing
	identity Identity
	warnings *Warnings
}

// Kube is the API server; nil when there is none.
func (c *Cluster) Kube() *Kube { return c.kube }

// Etcd is the etcd; nil when there is none.
func (c *Cluster) Etcd() *Etcd { return c.etcd }

// Missing says what is lacking, what was tried, and how to give it.
func (c *Cluster) Missing() []Missing { return c.missing }

// ReadOnly reports whether the guard refuses changes.
func (c *Cluster) ReadOnly() bool { return c.guard.ReadOnly() }

// Guard is what every request of this cluster passes.
func (c *Cluster) Guard() *guard.Guard { return c.guard }

// Identity is what is connected to.
func (c *Cluster) Identity() Identity { return c.identity }

// Warnings are the last warnings the API server sent.
func (c *Cluster) Warnings() *Warnings { return c.warnings }

// Options are those the cluster was opened with; WithContext on them opens another one.
func (c *Cluster) Options() Options { return c.opt }

// Close ends all connections. Requests that are under way fail.
func (c *Cluster) Close() {
	if c.kube != nil {
		c.kube.close()
	}
	if c.etcd != nil {
		c.etcd.close()
	}
}
