package cluster

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	authv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Access is one question to the API server's authorizer (SelfSubjectAccessReview).
type Access struct {
	Verb, Group, Resource, Subresource, Namespace, Name string
}

// String is "delete pods in namespace shop", "patch deployments.apps/scale". It is untrusted text.
func (a Access) String() string {
	var b strings.Builder
	b.WriteString(a.Verb + " " + a.Resource)
	if a.Group != "" {
		b.WriteString("." + a.Group)
	}
	if a.Subresource != "" {
		b.WriteString("/" + a.Subresource)
	}
	if a.Name != "" {
		b.WriteString(" " + a.Name)
	}
	if a.Namespace != "" {
		b.WriteString(" in namespace " + a.Namespace)
	}
	return b.String()
}

// Decision is an authorizer's answer. Reason is its own text (untrusted, often empty).
type Decision struct {
	Allowed bool
	Reason  string
}

const (
	accessTTL  = 30 * time.Second
	accessSize = 4096
)

type accessCache struct {
	mu sync.Mutex
	m  map[Access]cachedDecision
}

type cachedDecision struct {
	Decision
	until time.Time
}

// Can asks whether we may do a. Answers are kept for 30 s. An error means that the question was not answered.
func (k *Kube) Can(ctx context.Context, a Access) (Decision, error) {
	k.access.mu.Lock()
	d, ok := k.access.m[a]
	k.access.mu.Unlock()
	if ok && time.Now().Before(d.until) {
		return d.Decision, nil
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	review := &authv1.SelfSubjectAccessReview{Spec: authv1.SelfSubjectAccessReviewSpec{
		ResourceAttributes: &authv1.ResourceAttributes{
			Verb: a.Verb, Group: a.Group, Resource: a.Resource, Subresource: a.Subresource, Namespace: a.Namespace, Name: a.Name,
		},
	}}
	res, err := k.typed.AuthorizationV1().SelfSubjectAccessReviews().Create(ctx, review, metav1.CreateOptions{})
	if err != nil {
		return Decision{}, fmt.Errorf("ask whether we may %s: %w", a, err)
	}
	out := Decision{Allowed: res.Status.Allowed && !res.Status.Denied, Reason: res.Status.Reason}
	if out.Reason == "" {
		out.Reason = res.Status.EvaluationError
	}
	k.access.mu.Lock()
	defer k.access.mu.Unlock()
	if k.access.m == nil || len(k.access.m) >= accessSize {
		k.access.m = map[Access]cachedDecision{}
	}
	k.access.m[a] = cachedDecision{Decision: out, until: time.Now().Add(accessTTL)}
	return out, nil
}
