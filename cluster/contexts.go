package cluster

// ContextInfo is one context of the kubeconfig. All of it is untrusted text.
type ContextInfo struct {
	Name, Cluster, User, Namespace, Server string
	Current                                bool // the one this cluster was opened with
}

// Contexts lists the contexts of the kubeconfig, by name. It reads files.
func (o Options) Contexts() ([]ContextInfo, error) { return nil, nil }

// WithContext returns options for another context of the same kubeconfig. etcd is left out unless the context is the one o is
// for, because what was found or given belongs to that cluster.
func (o Options) WithContext(name string) Options { return o }
