// Package cluster is how fathom reaches a cluster: kubeconfig, etcd discovery, TLS, the read-only guard, who am I and what
// may I do.
package cluster

// Access is one question to the API server's authorizer (SelfSubjectAccessReview).
type Access struct {
	Verb, Group, Resource, Subresource, Namespace, Name string
}
