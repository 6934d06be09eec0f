package actions

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"fathom/cluster"
)

// restartedAt is the annotation of the pod template that kubectl rollout restart sets
// (kubectl/pkg/polymorphichelpers/objectrestarter.go); its value has seconds.
const restartedAt = "kubectl.kubernetes.io/restartedAt"

func restart() Action {
	return Action{
		ID: "workloads.restart", Title: "Restart rollout", Verb: "patch", Risk: Destructive,
		Resources:  []string{"deployments", "statefulsets", "daemonsets"},
		Permission: func(t Target) []Permission { return getAnd(t, "patch", "") },
		Preview:    previewRestart, Do: doRestart, Verify: verifyRestart,
	}
}

// restartable reports why a restart would do nothing.
func restartable(t Target, w workload) error {
	if err := same(t, w.meta.UID); err != nil {
		return err
	}
	if w.paused {
		return &Refusal{Reason: fmt.Sprintf("%s is paused, so nothing would be restarted: resume its rollout first", t)}
	}
	return nil
}

func previewRestart(ctx context.Context, c *cluster.Cluster, t Target, _ string) ([]string, error) {
	w, err := getWorkload(ctx, c, t)
	if err != nil {
		return nil, err
	}
	if err := restartable(t, w); err != nil {
		return nil, err
	}
	if w.onDelete {
		return []string{
			fmt.Sprintf("%s, %s will be marked as restarted.", where(c), t),
			fmt.Sprintf("Its update strategy is OnDelete: none of its pods (%d) ends until somebody deletes it.", w.pods),
		}, nil
	}
	lines := []string{fmt.Sprintf("%s, %s will be restarted: %s will be replaced.", where(c), t, plural(w.pods, "pod"))}
	if w.strategy != "" {
		lines = append(lines, w.strategy)
	}
	if w.owned() != "" {
		lines = append(lines, w.owned())
	}
	return lines, nil
}

func doRestart(ctx context.Context, c *cluster.Cluster, r Request) (string, error) {
	k, err := kubeOf(c)
	if err != nil {
		return "", err
	}
	w, err := getWorkload(ctx, c, r.Target)
	if err != nil {
		return "", err
	}
	if err := restartable(r.Target, w); err != nil {
		return "", err
	}
	body := map[string]any{
		"metadata": patchMeta{UID: r.Target.UID, ResourceVersion: w.meta.ResourceVersion},
		"spec": map[string]any{"template": map[string]any{"metadata": map[string]any{
			"annotations": map[string]string{restartedAt: stamp(r)},
		}}},
	}
	if err := patch(ctx, k.AppsV1().RESTClient(), types.StrategicMergePatchType, r, nil, body); err != nil {
		return "", err
	}
	return fmt.Sprintf("%s is being restarted (%s)", r.Target, plural(w.pods, "pod")), nil
}

// stamp is the value of the annotation. It is fixed by the request, so that Verify knows what to look for.
func stamp(r Request) string { return r.At.Format(time.RFC3339) }

func verifyRestart(ctx context.Context, c *cluster.Cluster, r Request) (Status, string, error) {
	return settle(ctx, func(ctx context.Context) (Status, string, error) {
		w, err := getWorkload(ctx, c, r.Target)
		switch {
		case apierrors.IsNotFound(err):
			return Failed, r.Target.String() + " is gone", nil
		case err != nil:
			return Unknown, "", err
		case string(w.meta.UID) != r.Target.UID:
			return Failed, r.Target.String() + " was replaced by another of the same name", nil
		case w.template[restartedAt] == stamp(r):
			return Done, r.Target.String() + " is being restarted", nil
		default:
			return Unknown, r.Target.String() + " does not have the mark of this restart", nil
		}
	})
}
