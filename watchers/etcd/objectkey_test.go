package etcd

import "testing"

func TestKeyOfAndObjectOf(t *testing.T) {
	for _, c := range []struct {
		o   ObjectID
		key string
	}{
		{ObjectID{"", "pods", "shop", "web-1"}, "/registry/pods/shop/web-1"},
		{ObjectID{"", "nodes", "", "node-1"}, "/registry/minions/node-1"},
		{ObjectID{"", "namespaces", "", "shop"}, "/registry/namespaces/shop"},
		{ObjectID{"", "services", "shop", "web"}, "/registry/services/specs/shop/web"},
		{ObjectID{"", "endpoints", "shop", "web"}, "/registry/services/endpoints/shop/web"},
		{ObjectID{"", "replicationcontrollers", "shop", "web"}, "/registry/controllers/shop/web"},
		{ObjectID{"", "events", "shop", "web-1.17a"}, "/registry/events/shop/web-1.17a"},
		{ObjectID{"networking.k8s.io", "ingresses", "shop", "web"}, "/registry/ingress/shop/web"},
		{ObjectID{"networking.k8s.io", "networkpolicies", "shop", "deny"}, "/registry/networkpolicies/shop/deny"},
		{ObjectID{"networking.k8s.io", "ipaddresses", "", "10.0.0.1"}, "/registry/ipaddresses/10.0.0.1"},
		{ObjectID{"apps", "deployments", "shop", "web"}, "/registry/deployments/shop/web"},
		{ObjectID{"policy", "poddisruptionbudgets", "shop", "web"}, "/registry/poddisruptionbudgets/shop/web"},
		{ObjectID{"rbac.authorization.k8s.io", "clusterroles", "", "system:node"}, "/registry/clusterroles/system:node"},
		{ObjectID{"coordination.k8s.io", "leases", "kube-node-lease", "node-1"}, "/registry/leases/kube-node-lease/node-1"},
		{ObjectID{"apiextensions.k8s.io", "customresourcedefinitions", "", "widgets.example.io"}, "/registry/apiextensions.k8s.io/customresourcedefinitions/widgets.example.io"},
		{ObjectID{"apiregistration.k8s.io", "apiservices", "", "v1.apps"}, "/registry/apiregistration.k8s.io/apiservices/v1.apps"},
		{ObjectID{"example.io", "widgets", "shop", "w"}, "/registry/example.io/widgets/shop/w"},
		{ObjectID{"example.io", "clusterwidgets", "", "w"}, "/registry/example.io/clusterwidgets/w"},
		{ObjectID{"gateway.networking.k8s.io", "gateways", "shop", "g"}, "/registry/gateway.networking.k8s.io/gateways/shop/g"},
	} {
		if key, _ := KeyOf("", c.o); key != c.key {
			t.Errorf("%s is at %s, want %s", c.o, key, c.key)
		}
		if o, err := ObjectOf("", c.key); o != c.o || err != nil {
			t.Errorf("%s is %+v (%v), want %+v", c.key, o, err, c.o)
		}
	}
	// Another prefix, and a group that may be a built-in one that is too new to be known.
	if key, other := KeyOf("/kubernetes.io/", ObjectID{"new.k8s.io", "things", "a", "b"}); key != "/kubernetes.io/new.k8s.io/things/a/b" || other != "/kubernetes.io/things/a/b" {
		t.Errorf("%s or %s", key, other)
	}
	if o, err := ObjectOf("/kubernetes.io", "/kubernetes.io/pods/a/b"); err != nil || o != (ObjectID{"", "pods", "a", "b"}) {
		t.Errorf("%+v, %v", o, err)
	}
	// Both names of a resource that is in two groups lead to the same key.
	for _, group := range []string{"", "events.k8s.io"} {
		if key, _ := KeyOf("", ObjectID{group, "events", "a", "b"}); key != "/registry/events/a/b" {
			t.Errorf("events of group %q are at %s", group, key)
		}
	}
}

func TestKeysOfNoObject(t *testing.T) {
	for _, key := range []string{"compact_rev_key", "/registry", "/registry/", "/registry/health", "/registry/ranges/serviceips", "/registry/masterleases/10.0.0.1",
		"/registry/pods", "/registry/pods/", "/registry/pods/a/b/c", "/registry/pods//b", "/config/a/b", "/registrypods/a/b"} {
		if o, err := ObjectOf("", key); err == nil {
			t.Errorf("%q is taken for %+v", key, o)
		}
	}
}

func TestStoredVersion(t *testing.T) {
	o := ObjectID{"events.k8s.io", "events", "a", "b"}
	if r, err := o.Stored("v1"); err != nil || r.Group != "" || r.Version != "v1" || r.Resource != "events" {
		t.Errorf("%v, %v", r, err)
	}
	if _, err := o.Stored(""); err == nil {
		t.Error("a value without an apiVersion has a version")
	}
}
