package cluster

import "fathom/cluster/guard"

// Open finds what can be reached and builds guarded clients. It reads files and sends nothing. An error means that something that
// was given explicitly (a flag, KUBECONFIG, ETCDCTL_*) is wrong; what is merely not there is in [Cluster.Missing].
func Open(o Options) (*Cluster, error) {
	return &Cluster{opt: o, guard: guard.New(o.ReadOnly), warnings: &Warnings{}}, nil
}
