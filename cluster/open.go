package cluster

// Cluster is one connection: an API server, an etcd, or both. It is made by Open without any network traffic.
type Cluster struct{}
