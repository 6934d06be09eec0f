package cluster

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"fathom/cluster/discover"
	"fathom/cluster/guard"
)

// Open finds what can be reached and builds guarded clients. It reads files and sends nothing. An error means that something that
// was given explicitly (a flag, KUBECONFIG, ETCDCTL_*) is wrong; what is merely not there is in [Cluster.Missing]. A Cluster with
// neither an API server nor an etcd is no error of Open: Preflight and Doctor say so.
func Open(o Options) (*Cluster, error) {
	if o.Etcd.Env == nil {
		o.Etcd.Env = os.Getenv
	}
	if o.Etcd.HostRoot == "" {
		o.Etcd.HostRoot = "/"
	}
	c := &Cluster{opt: o, guard: guard.New(o.ReadOnly), warnings: &Warnings{}}
	if err := c.openKube(); err != nil {
		return nil, err
	}
	if err := c.openEtcd(); err != nil {
		c.Close()
		return nil, err
	}
	if c.kube == nil && c.etcd != nil {
		c.identity.Server, c.identity.Source = c.etcd.members[0].Endpoint, c.etcd.source
	}
	return c, nil
}

func (c *Cluster) openKube() error {
	k, err := loadKube(c.opt)
	if err == nil {
		c.kube, err = newKube(k.config, c.guard, c.warnings)
		if err != nil {
			err = &kubeProblem{why: fmt.Sprintf("%s: %s", k.where(), oneLine(err.Error())), fix: fixKube, explicit: k.explicit}
		}
	}
	if err == nil {
		c.identity, c.kube.cert = k.identity, k.cert
		return nil
	}
	var p *kubeProblem
	if !errors.As(err, &p) || p.explicit {
		return err
	}
	c.missing = append(c.missing, Missing{What: WhatKube, Why: p.why, Tried: p.tried, Fix: p.fix})
	return nil
}

// What can be missing.
const (
	WhatKube = "Kubernetes API server"
	WhatEtcd = "etcd"
)

func (c *Cluster) openEtcd() error {
	o := c.opt.Etcd
	if o.Disabled {
		why := o.Why
		if why == "" {
			why = "etcd is switched off"
		}
		c.missing = append(c.missing, Missing{What: WhatEtcd, Why: why, Fix: "give --etcd-endpoints"})
		return nil
	}
	f, missing, err := discover.Find(discover.Options{
		Endpoints: o.Endpoints, CACert: o.CACert, Cert: o.Cert, Key: o.Key, HostRoot: o.HostRoot, Env: o.Env,
	})
	if err != nil {
		return err
	}
	if missing != nil {
		c.missing = append(c.missing, Missing{What: WhatEtcd, Why: missing.Why, Tried: missing.Tried, Fix: missing.Fix})
		return nil
	}
	given, err := metricsURLs(o.MetricsURLs)
	if err != nil {
		return err
	}
	e := &Etcd{source: f.Source, prefix: f.Prefix, guard: c.guard, user: f.User, pass: f.Password, metrics: given, localMetrics: f.Metrics}
	if f.User != "" && c.ReadOnly() {
		e.user, e.pass = "", ""
		if f.Cert == "" {
			c.missing = append(c.missing, Missing{
				What: WhatEtcd,
				Why:  "in read-only mode fathom does not log in to etcd with user and password, because each login is a raft proposal",
				Fix:  "give a client certificate whose common name is an etcd user that may read",
			})
			return nil
		}
	}
	cfg, leaf, err := etcdTLS(f)
	if err == nil {
		e.tls = cfg
		e.plain = e.newPlain()
		e.cert = certificate{use: "client certificate for etcd", source: f.Cert, leaf: leaf}
		for _, u := range f.Endpoints {
			if err = e.add(u, false); err != nil {
				break
			}
		}
	}
	if err != nil {
		e.close()
		if f.Explicit {
			return fmt.Errorf("%s (from %s): give --etcd-cacert, --etcd-cert and --etcd-key that can be read and belong together", oneLine(err.Error()), f.Source)
		}
		c.missing = append(c.missing, Missing{
			What: WhatEtcd, Why: fmt.Sprintf("%s (from %s)", oneLine(err.Error()), f.Source),
			Fix: "give --etcd-endpoints, --etcd-cacert, --etcd-cert and --etcd-key",
		})
		return nil
	}
	c.etcd = e
	return nil
}

// oneLine makes one line of an error's text.
func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
