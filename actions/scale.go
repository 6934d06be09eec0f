package actions

import (
	"context"
	"fmt"
	"strconv"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"fathom/cluster"
)

// maxReplicas bounds the input. It is far beyond what a cluster is tested for (kubernetes.io: 150 000 pods in all) and there
// to catch a slip of the finger.
const maxReplicas = 100000

// detailReplicas is the key of Target.Detail with the row's spec.replicas, in decimal.
const detailReplicas = "replicas"

func scale() Action {
	return Action{
		ID: "workloads.scale", Title: "Scale", Verb: "patch", Subresource: "scale", Risk: Reversible,
		Resources:  []string{"deployments", "statefulsets", "replicasets"},
		Permission: func(t Target) []Permission { return getAnd(t, "patch", "scale") },
		Input: &Input{
			Prompt:  "Replicas",
			Initial: func(t Target) string { return t.Detail[detailReplicas] },
			Check:   func(_ Target, s string) error { _, err := parseReplicas(s); return err },
		},
		Preview: previewScale, Do: doScale, Verify: verifyScale,
	}
}

func parseReplicas(s string) (int32, error) {
	n, err := strconv.ParseInt(s, 10, 32)
	if err != nil || n < 0 || n > maxReplicas {
		return 0, fmt.Errorf("%q is not a number of replicas: give a whole number from 0 to %d", s, maxReplicas)
	}
	return int32(n), nil
}

func getScale(ctx context.Context, c *cluster.Cluster, t Target) (*autoscalingv1.Scale, error) {
	k, err := kubeOf(c)
	if err != nil {
		return nil, err
	}
	return reading(ctx, "the scale of "+t.String(), func(ctx context.Context) (*autoscalingv1.Scale, error) {
		var s autoscalingv1.Scale
		err := k.AppsV1().RESTClient().Get().Namespace(t.Namespace).Resource(t.Resource).Name(t.Name).SubResource("scale").Do(ctx).Into(&s)
		return &s, err
	})
}

// confirmed reports as a conflict that the object is another, or has another number of replicas, than the dialog named.
func confirmed(t Target, s *autoscalingv1.Scale) error {
	if err := same(t, s.UID); err != nil {
		return err
	}
	seen, err := strconv.ParseInt(t.Detail[detailReplicas], 10, 32)
	if err != nil || int32(seen) == s.Spec.Replicas {
		return nil
	}
	return &ConflictError{Reason: fmt.Sprintf("%s is at %s now, no longer at %d: somebody else scaled it; nothing was sent",
		t, plural(s.Spec.Replicas, "replica"), seen)}
}

func previewScale(ctx context.Context, c *cluster.Cluster, t Target, input string) ([]string, error) {
	want, err := parseReplicas(input)
	if err != nil {
		return nil, err
	}
	s, err := getScale(ctx, c, t)
	if err != nil {
		return nil, err
	}
	if err := confirmed(t, s); err != nil {
		return nil, err
	}
	have := s.Spec.Replicas
	if have == want {
		return []string{fmt.Sprintf("%s, %s has %s already: nothing will be sent.", where(c), t, plural(have, "replica"))}, nil
	}
	lines := []string{fmt.Sprintf("%s, %s will be scaled from %d to %d.", where(c), t, have, want)}
	switch {
	case want == 0:
		lines = append(lines, fmt.Sprintf("All of its pods (%d) will be deleted; it serves nothing until it is scaled up again.", have))
	case want < have:
		lines = append(lines, plural(have-want, "pod")+" will be deleted.")
	default:
		lines = append(lines, plural(want-have, "pod")+" will be created.")
	}
	// The scale has no owner references: they need a read of the object itself, which may not be allowed.
	if t.Resource == "replicasets" {
		if w, err := getWorkload(ctx, c, t); err == nil && w.owned() != "" {
			lines = append(lines, w.owned())
		}
	}
	return append(lines, autoscalers(ctx, c, t)...), nil
}

func doScale(ctx context.Context, c *cluster.Cluster, r Request) (string, error) {
	want, err := parseReplicas(r.Input)
	if err != nil {
		return "", unsent(err)
	}
	k, err := kubeOf(c)
	if err != nil {
		return "", err
	}
	s, err := getScale(ctx, c, r.Target)
	if err != nil {
		return "", err
	}
	if err := confirmed(r.Target, s); err != nil {
		return "", err
	}
	if s.Spec.Replicas == want {
		return fmt.Sprintf("%s had %s already: nothing was sent", r.Target, plural(want, "replica")), nil
	}
	body := map[string]any{
		"metadata": patchMeta{UID: r.Target.UID, ResourceVersion: s.ResourceVersion},
		"spec":     map[string]any{"replicas": want},
	}
	if err := patch(ctx, k.AppsV1().RESTClient(), types.MergePatchType, r, []string{"scale"}, body); err != nil {
		return "", err
	}
	return fmt.Sprintf("%s is scaled from %d to %d", r.Target, s.Spec.Replicas, want), nil
}

func verifyScale(ctx context.Context, c *cluster.Cluster, r Request) (Status, string, error) {
	want, err := parseReplicas(r.Input)
	if err != nil {
		return Unknown, "", err
	}
	return settle(ctx, func(ctx context.Context) (Status, string, error) {
		s, err := getScale(ctx, c, r.Target)
		switch {
		case apierrors.IsNotFound(err):
			return Failed, r.Target.String() + " is gone", nil
		case err != nil:
			return Unknown, "", err
		case string(s.UID) != r.Target.UID:
			return Failed, r.Target.String() + " was replaced by another of the same name", nil
		case s.Spec.Replicas == want:
			return Done, fmt.Sprintf("%s is at %s", r.Target, plural(want, "replica")), nil
		default:
			return Unknown, fmt.Sprintf("%s is at %s", r.Target, plural(s.Spec.Replicas, "replica")), nil
		}
	})
}
