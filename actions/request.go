package actions

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"

	"fathom/cluster"
)

const (
	writeTimeout = 15 * time.Second       // of Do, unless the action says otherwise
	readTimeout  = 3 * time.Second        // of one read for a preview, a precondition or a verification
	verifyFor    = 5 * time.Second        // of all of Verify
	verifyAtEnd  = 500 * time.Millisecond // of all of Verify when fathom is ending
	verifyEvery  = 500 * time.Millisecond // between two reads of it
)

// write prepares a mutating request: one attempt only (client-go would repeat after an answer with Retry-After), named by the
// audit ID, and with the deadline sent along, so that the API server does not act long after we stopped waiting.
func write(r *rest.Request, req Request) *rest.Request {
	return r.SetHeader("Audit-ID", req.AuditID).MaxRetries(0).Timeout(writeTimeout)
}

// patch sends one patch of an object named by the target.
func patch(ctx context.Context, client rest.Interface, kind types.PatchType, req Request, subresources []string, body any) error {
	raw, err := json.Marshal(body)
	if err != nil {
		return unsent(fmt.Errorf("encode the patch: %w", err))
	}
	t := req.Target
	r := client.Patch(kind).NamespaceIfScoped(t.Namespace, t.Namespace != "").Resource(t.Resource).Name(t.Name).SubResource(subresources...)
	return write(r, req).Body(raw).Do(ctx).Error()
}

// patchMeta is the metadata of a patch: the identity it is for. The API server answers 409 or 422 when it is another.
type patchMeta struct {
	UID             string `json:"uid"`
	ResourceVersion string `json:"resourceVersion,omitempty"`
}

// same reports as a conflict that the object under the target's name is another one.
func same(t Target, uid types.UID) error {
	if string(uid) == t.UID {
		return nil
	}
	return &ConflictError{Reason: fmt.Sprintf("%s was replaced by another of the same name (UID %s, confirmed was %s): nothing was sent", t, uid, t.UID)}
}

// settle reads until the answer is Done or Failed or ctx ends; then the last finding stands. An effect may come a little after
// the answer was lost.
func settle(ctx context.Context, look func(context.Context) (Status, string, error)) (Status, string, error) {
	tick := time.NewTicker(verifyEvery)
	defer tick.Stop()
	var found string
	var lastErr error
	for {
		status, text, err := look(ctx)
		switch {
		case err == nil && status != Unknown:
			return status, text, nil
		case err == nil:
			found, lastErr = text, nil
		case ctx.Err() == nil || found == "":
			lastErr = err
		}
		select {
		case <-ctx.Done():
			return Unknown, found, lastErr
		case <-tick.C:
		}
	}
}

// reading bounds one read and says of its error that nothing was sent yet.
func reading[T any](ctx context.Context, what string, read func(context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	v, err := read(ctx)
	if err != nil {
		return v, unsent(fmt.Errorf("read %s: %w", what, err))
	}
	return v, nil
}

// where is the beginning of every preview: what the user is about to change, in the words the frame shows too.
func where(c *cluster.Cluster) string {
	id := identify(c)
	switch {
	case id.Context != "" && id.Cluster != "":
		return fmt.Sprintf("On cluster %s (context %s, as %s)", id.Cluster, id.Context, id.who())
	case id.Server != "" && c.Kube() != nil:
		return fmt.Sprintf("On cluster %s (as %s)", id.Server, id.who())
	default:
		first, rest, more := strings.Cut(id.Etcd, ",")
		if more {
			return fmt.Sprintf("On the etcd cluster at %s and %d more", first, 1+strings.Count(rest, ","))
		}
		return "On the etcd cluster at " + first
	}
}
