package views

import (
	"context"
	"fmt"

	tea "charm.land/bubbletea/v2"

	"fathom/watchers/etcd"
)

// keyOf opens the value of the key under which an object is stored.
func (e *Env) keyOf(o Object) tea.Cmd {
	c := e.Cluster.Etcd()
	if c == nil {
		return toast(noEtcd(e), true)
	}
	if o.Name == "" {
		return toast("there is no object here", false)
	}
	o.Key, o.OtherKey = etcd.KeyOf(c.Prefix(), etcd.ObjectID{Group: o.GVR.Group, Resource: o.GVR.Resource, Namespace: o.Namespace, Name: o.Name})
	return open(Ref{View: "value", Namespace: o.Namespace, Object: o})
}

// objectOf opens the object that is stored under a key, as the API server serves it. apiVersion and kind are those of its value.
func (e *Env) objectOf(key, apiVersion, kind string) tea.Cmd {
	if e.Cluster.Kube() == nil {
		return toast("there is no API server to serve the object: give --kubeconfig or --context", true)
	}
	o, err := objectAt(e.Cluster.Etcd().Prefix(), key, apiVersion, kind)
	if err != nil {
		return toast(err.Error(), true)
	}
	return open(Ref{View: "yaml", Namespace: o.Namespace, Object: o})
}

// objectAt is the object of a key, in the version in which it is stored.
func objectAt(prefix, key, apiVersion, kind string) (Object, error) {
	id, err := etcd.ObjectOf(prefix, key)
	if err != nil {
		return Object{}, err
	}
	gvr, err := id.Stored(apiVersion)
	if err != nil {
		return Object{}, err
	}
	return Object{GVR: gvr, Kind: kind, Namespace: id.Namespace, Name: id.Name}, nil
}

// lookAtObject reads a key to know the version of its object, and opens the object.
func (e *Env) lookAtObject(keys *etcd.Keys, key string) tea.Cmd {
	switch {
	case keys == nil:
		return toast(noEtcd(e), true)
	case key == "":
		return toast("a prefix is no key: open it and choose one", true)
	}
	if _, err := etcd.ObjectOf(keys.Prefix(), key); err != nil {
		return toast(err.Error(), true)
	}
	return e.job("reading a key", func(ctx context.Context) tea.Msg {
		kv, err := e.getKey(ctx, keys, key)
		if err != nil {
			return bad(err)
		}
		d := etcd.Decode(key, kv.Value, etcd.DecodeOptions{Prefix: keys.Prefix()})
		if d.Format == etcd.Encrypted {
			return bad(fmt.Errorf("%q is encrypted: its version is not known; open the object from its list", key))
		}
		return e.objectOf(key, d.APIVersion, d.Kind)()
	})
}

// crossCheck opens the comparison of what is stored with what is served.
func (e *Env) crossCheck(o Object) tea.Cmd {
	c := e.Cluster.Etcd()
	switch {
	case c == nil:
		return toast(noEtcd(e), true)
	case e.Cluster.Kube() == nil:
		return toast("there is no API server to compare with: give --kubeconfig or --context", true)
	case o.Key == "" && o.Name == "":
		return toast("there is no object here", false)
	case o.Key == "":
		o.Key, o.OtherKey = etcd.KeyOf(c.Prefix(), etcd.ObjectID{Group: o.GVR.Group, Resource: o.GVR.Resource, Namespace: o.Namespace, Name: o.Name})
	}
	return open(Ref{View: "crosscheck", Namespace: o.Namespace, Object: o})
}
