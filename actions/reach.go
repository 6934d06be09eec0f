package actions

import (
	"context"
	"errors"
	"strings"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"k8s.io/client-go/kubernetes"

	"fathom/cluster"
)

// kubeOf is the guarded client of the API server.
func kubeOf(c *cluster.Cluster) (kubernetes.Interface, error) {
	if c.Kube() == nil {
		return nil, unsent(errors.New("there is no API server to ask: open fathom with a kubeconfig"))
	}
	return c.Kube().Typed(), nil
}

// can asks whether the API server allows it.
func can(ctx context.Context, c *cluster.Cluster, p Permission) (allowed bool, why string, err error) {
	if c.Kube() == nil {
		return false, "", errors.New("there is no API server to ask: open fathom with a kubeconfig")
	}
	d, err := c.Kube().Can(ctx, p)
	return d.Allowed, d.Reason, err
}

// etcdConn is a guarded connection to one etcd endpoint.
type etcdConn struct {
	endpoint    string
	client      *clientv3.Client
	maintenance pb.MaintenanceClient
}

// etcdOf returns a connection for every endpoint that is known.
func etcdOf(c *cluster.Cluster) ([]etcdConn, error) {
	if c.Etcd() == nil {
		return nil, unsent(errors.New("there is no etcd to ask: give --etcd-endpoints, --etcd-cacert, --etcd-cert and --etcd-key"))
	}
	var out []etcdConn
	for _, m := range c.Etcd().Members() {
		out = append(out, etcdConn{endpoint: m.Endpoint, client: m.Client(), maintenance: m.Maintenance()})
	}
	return out, nil
}

// identity is whom and what a preview and the journal name. All of it is untrusted text.
type identity struct {
	Context, Cluster, Server string
	User, Impersonated       string
	Etcd                     string // endpoints, with commas
}

func (i identity) who() string {
	if i.User == "" {
		return "an unnamed user"
	}
	return i.User
}

func identify(c *cluster.Cluster) identity {
	id := c.Identity()
	out := identity{Context: id.Context, Cluster: id.Cluster, Server: id.Server, User: id.User}
	if c.Kube() != nil {
		out.Impersonated = c.Kube().Config().Impersonate.UserName
	}
	if c.Etcd() != nil {
		var endpoints []string
		for _, m := range c.Etcd().Members() {
			endpoints = append(endpoints, m.Endpoint)
		}
		out.Etcd = strings.Join(endpoints, ",")
	}
	return out
}

func isReadOnly(c *cluster.Cluster) bool { return c.ReadOnly() }
