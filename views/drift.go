package views

import (
	"fmt"
	"strings"

	"fathom/watchers/etcd"
)

// drift says that an object is stored in another version than the one that the API server prefers of its group; empty: it is not, or
// what the API server prefers is not known. An object is written in the storage version of the API server that last wrote it, and stays
// so until somebody writes it again; a version that is served no more can then not be read.
func drift(env *Env, d etcd.Decoded) string {
	if env.Resources == nil || d.Kind == "" {
		return ""
	}
	rs := env.Resources()
	if rs == nil {
		return ""
	}
	if d.Kind == "CustomResourceDefinition" && d.APIVersion == "apiextensions.k8s.io/v1beta1" {
		return "" // so the API server writes them to this day, though it serves v1 only (kubernetes, pkg/controlplane/apiserver/apiextensions.go)
	}
	group, version := "", d.APIVersion
	if i := strings.Index(d.APIVersion, "/"); i >= 0 {
		group, version = d.APIVersion[:i], d.APIVersion[i+1:]
	}
	for _, r := range rs.List {
		if r.Group == group && r.Kind == d.Kind && r.Version != version {
			prefers := r.GVK().GroupVersion()
			return fmt.Sprintf("stored as %s, the API server prefers %s: it stays so until the object is written again", d.APIVersion, prefers)
		}
	}
	return ""
}
