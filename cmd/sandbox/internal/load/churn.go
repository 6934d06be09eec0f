package load

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"fathom/cmd/sandbox/internal/fleet"
)

// ChurnResult says what came of a churn.
type ChurnResult struct {
	Sent, Failed int64
	Took         time.Duration
	LastError    error
}

// target is a pod to be changed.
type target struct {
	namespace, name string
	containers      []string
}

// Churn changes pods at a rate (per second) for a while: three quarters are
// annotations, one quarter statuses. It takes the load's pods, or any running
// ones when there is no load. Pods that have gone meanwhile do not count.
func Churn(ctx context.Context, client kubernetes.Interface, rate int, how time.Duration) (ChurnResult, error) {
	targets, err := churnTargets(ctx, client)
	if err != nil {
		return ChurnResult{}, err
	}
	began := time.Now()
	ctx, cancel := context.WithTimeout(ctx, how)
	defer cancel()
	var res ChurnResult
	var sent, failed atomic.Int64
	var last atomic.Value
	work := make(chan int64, rate)
	var wg sync.WaitGroup
	// Enough workers to hold the rate when an answer takes a third of a second.
	for range min(512, max(8, rate/3)) {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for seq := range work {
				err := change(ctx, client, targets[rand.IntN(len(targets))], seq)
				switch {
				case ctx.Err() != nil || apierrors.IsNotFound(err):
				case err != nil:
					failed.Add(1)
					last.Store(err)
				default:
					sent.Add(1)
				}
			}
		}()
	}
	pace(ctx, rate, work)
	close(work)
	wg.Wait()
	res.Sent, res.Failed, res.Took = sent.Load(), failed.Load(), time.Since(began)
	res.LastError, _ = last.Load().(error)
	return res, nil
}

// pace hands out sequence numbers at the rate until the context ends. When the
// workers do not keep up, it does not run ahead of them: the rate falls.
func pace(ctx context.Context, rate int, work chan<- int64) {
	const beat = 20 * time.Millisecond
	tick := time.NewTicker(beat)
	defer tick.Stop()
	began := time.Now()
	var seq int64
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for due := int64(time.Since(began).Seconds() * float64(rate)); seq < due; seq++ {
			select {
			case work <- seq:
			case <-ctx.Done():
				return
			}
		}
	}
}

func churnTargets(ctx context.Context, client kubernetes.Interface) ([]target, error) {
	for _, selector := range []string{fleet.LoadLabel, ""} {
		pods, err := client.CoreV1().Pods("").List(ctx, metav1.ListOptions{LabelSelector: selector, ResourceVersion: "0"})
		if err != nil {
			return nil, fmt.Errorf("list pods to change: %w", err)
		}
		var out []target
		for _, p := range pods.Items {
			if p.Status.Phase != corev1.PodRunning || p.Namespace == metav1.NamespaceSystem {
				continue
			}
			t := target{namespace: p.Namespace, name: p.Name}
			for _, c := range p.Spec.Containers {
				t.containers = append(t.containers, c.Name)
			}
			out = append(out, t)
		}
		if len(out) > 0 {
			return out, nil
		}
	}
	return nil, errors.New("no running pods to change: seed the sandbox or run `load` first")
}

func change(ctx context.Context, client kubernetes.Interface, t target, seq int64) error {
	pods := client.CoreV1().Pods(t.namespace)
	if seq%4 != 0 {
		patch := fmt.Sprintf(`{"metadata":{"annotations":{"churn.example.io/seq":"%d","churn.example.io/at":%q}}}`, seq, time.Now().UTC().Format(time.RFC3339Nano))
		_, err := pods.Patch(ctx, t.name, types.MergePatchType, []byte(patch), metav1.PatchOptions{})
		return err
	}
	// A probe that fails and succeeds: what a busy cluster's pods do most.
	status := "True"
	if seq%8 == 0 {
		status = "False"
	}
	patch := fmt.Sprintf(`{"status":{"conditions":[{"type":"Ready","status":%q,"lastTransitionTime":%q}]}}`, status, time.Now().UTC().Format(time.RFC3339))
	_, err := pods.Patch(ctx, t.name, types.StrategicMergePatchType, []byte(patch), metav1.PatchOptions{}, "status")
	return err
}
