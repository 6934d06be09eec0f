package cluster

import (
	"slices"
	"strings"

	"k8s.io/cli-runtime/pkg/genericclioptions"
)

// ContextInfo is one context of the kubeconfig. All of it is untrusted text.
type ContextInfo struct {
	Name, Cluster, User, Namespace, Server string
	Current                                bool // the one these options open
}

// Contexts lists the contexts of the kubeconfig, by name. It reads files. Without a kubeconfig there are none.
func (o Options) Contexts() ([]ContextInfo, error) {
	flags := copyFlags(o.Flags)
	raw, err := flags.ToRawKubeConfigLoader().RawConfig()
	if err != nil {
		return nil, &kubeProblem{why: "the kubeconfig cannot be read: " + oneLine(err.Error()), fix: fixKube}
	}
	current := str(flags.Context)
	if current == "" {
		current = raw.CurrentContext
	}
	out := make([]ContextInfo, 0, len(raw.Contexts))
	for name, c := range raw.Contexts {
		i := ContextInfo{Name: name, Cluster: c.Cluster, User: c.AuthInfo, Namespace: c.Namespace, Current: name == current}
		if cl := raw.Clusters[c.Cluster]; cl != nil {
			i.Server = withoutUser(cl.Server)
		}
		out = append(out, i)
	}
	slices.SortFunc(out, func(a, b ContextInfo) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

// WithContext returns options for another context of the same kubeconfig; read-only mode and --as stay as they are. What was given
// for the context that o opens is left out for another one: its etcd, its namespace, and above all its credentials. Call it on
// the options fathom was started with, not on a result of WithContext, so that the way back has all of it.
func (o Options) WithContext(name string) Options {
	current := ""
	if list, err := o.Contexts(); err == nil {
		for _, c := range list {
			if c.Current {
				current = c.Name
			}
		}
	}
	o.Flags = copyFlags(o.Flags)
	o.Flags.Context = &name
	if current == name {
		return o
	}
	o.Etcd.Disabled, o.Etcd.Why = true, "the etcd that was found or given belongs to context "+current
	f := o.Flags
	f.ClusterName, f.AuthInfoName, f.APIServer, f.Namespace, f.ProxyURL = nil, nil, nil, nil, nil
	f.TLSServerName, f.Insecure, f.CertFile, f.KeyFile, f.CAFile, f.BearerToken, f.Username = nil, nil, nil, nil, nil, nil, nil
	return o
}

// copyFlags copies the values, not the caches and locks.
func copyFlags(f *genericclioptions.ConfigFlags) *genericclioptions.ConfigFlags {
	n := genericclioptions.NewConfigFlags(false)
	if f == nil {
		return n
	}
	n.KubeConfig, n.ClusterName, n.AuthInfoName, n.Context, n.Namespace = f.KubeConfig, f.ClusterName, f.AuthInfoName, f.Context, f.Namespace
	n.APIServer, n.TLSServerName, n.Insecure, n.CertFile, n.KeyFile, n.CAFile = f.APIServer, f.TLSServerName, f.Insecure, f.CertFile, f.KeyFile, f.CAFile
	n.BearerToken, n.Impersonate, n.ImpersonateUID, n.ImpersonateGroup = f.BearerToken, f.Impersonate, f.ImpersonateUID, f.ImpersonateGroup
	n.ImpersonateUserExtra, n.Username, n.Timeout = f.ImpersonateUserExtra, f.Username, f.Timeout
	n.DisableCompression, n.ProxyURL, n.CacheDir = f.DisableCompression, f.ProxyURL, f.CacheDir
	// Not the password: with it, clientcmd would prompt on the terminal.
	return n
}
