package cluster

import (
	"errors"

	"fathom/cluster/guard"
)

// OpenEtcd is [Open] for one etcd that is known in full, and nothing else: no kubeconfig, environment or file of a node is looked at. It is always
// read-only. It is for the throw-away member of a restore drill.
func OpenEtcd(o EtcdOptions) (*Cluster, error) {
	o.Env = func(string) string { return "" }
	c := &Cluster{opt: Options{ReadOnly: true, Etcd: o}, guard: guard.New(true), warnings: &Warnings{}}
	if err := c.openEtcd(); err != nil {
		return nil, err
	}
	if c.etcd == nil {
		c.Close()
		return nil, errors.New("no endpoint of etcd was given")
	}
	return c, nil
}
