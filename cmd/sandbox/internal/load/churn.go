package load

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/uuid"
	"k8s.io/client-go/kubernetes"

	clientv3 "go.etcd.io/etcd/client/v3"

	"fathom/cmd/sandbox/internal/controlplane"
)

// ChurnOptions of one churn.
type ChurnOptions struct {
	Rate    int // changes per second
	For     time.Duration
	Spec    *controlplane.Spec
	EtcdTLS *tls.Config
	// Controllers says that controller manager, scheduler and kwok are there to
	// replace a deleted pod. Without them it is replaced here.
	Controllers bool
}

// ChurnResult says what came of a churn.
type ChurnResult struct {
	Requested float64 `json:"requestedPerSecond"`
	Reached   float64 `json:"reachedPerSecond"`
	Seconds   float64 `json:"seconds"`
	// Changes are all that succeeded; the next ones are their parts.
	Changes  int64 `json:"changes"`
	Unready  int64 `json:"unready"`
	Restarts int64 `json:"restarts"`
	Crashes  int64 `json:"crashes"`
	Ready    int64 `json:"ready"`
	Deleted  int64 `json:"deleted"`
	Created  int64 `json:"created"` // here, and not by controllers
	// Failed could not be written, for the last error's reason.
	Failed    int64  `json:"failed"`
	LastError string `json:"lastError,omitempty"`
}

// Churn changes pods at a rate for a while: what a kubelet reports when probes
// fail and succeed and containers crash and come back, and a pod deleted now
// and then. It takes the load's pods, or any running ones when there is no
// load.
//
// The changes are written straight into etcd, in the form the API server stores
// them: it tells its watchers of them as of any other write, and a machine that
// also runs what is measured need not pay for admission and patching.
func Churn(ctx context.Context, client kubernetes.Interface, o ChurnOptions) (ChurnResult, error) {
	etcd, err := dialEtcd(o.Spec.ClientURLs(), o.EtcdTLS)
	if err != nil {
		return ChurnResult{}, err
	}
	defer etcd.Close()
	c := &churner{client: client, etcd: etcd, o: o}
	keys, err := churnKeys(ctx, etcd)
	if err != nil {
		return ChurnResult{}, err
	}
	c.keys = make([]atomic.Pointer[string], len(keys))
	for i := range keys {
		c.keys[i].Store(&keys[i])
	}
	began := time.Now()
	ctx, cancel := context.WithTimeout(ctx, o.For)
	defer cancel()
	work := make(chan int64, o.Rate)
	var wg sync.WaitGroup
	// Enough workers to hold the rate when a change takes a fifth of a second.
	for range min(256, max(4, o.Rate/5)) {
		wg.Go(func() {
			for range work {
				c.one(ctx)
			}
		})
	}
	pace(ctx, o.Rate, work)
	close(work)
	wg.Wait()
	return c.result(time.Since(began)), nil
}

type churner struct {
	client  kubernetes.Interface
	etcd    *clientv3.Client
	o       ChurnOptions
	keys    []atomic.Pointer[string]
	count   [kinds]atomic.Int64
	created atomic.Int64
	failed  atomic.Int64
	last    atomic.Value
}

// The kinds of changes.
const (
	unready = iota
	restart
	crash
	ready
	deleted
	kinds
)

func (c *churner) result(took time.Duration) ChurnResult {
	r := ChurnResult{
		Requested: float64(c.o.Rate), Seconds: took.Seconds(), Failed: c.failed.Load(),
		Unready: c.count[unready].Load(), Restarts: c.count[restart].Load(), Crashes: c.count[crash].Load(),
		Ready: c.count[ready].Load(), Deleted: c.count[deleted].Load(), Created: c.created.Load(),
	}
	r.Changes = r.Unready + r.Restarts + r.Crashes + r.Ready + r.Deleted + r.Created
	r.Reached = float64(r.Changes) / r.Seconds
	if err, _ := c.last.Load().(error); err != nil {
		r.LastError = err.Error()
	}
	return r
}

// one makes one change. A pod that is gone, or that somebody else has just
// changed, is left for another one.
func (c *churner) one(ctx context.Context) {
	for ctx.Err() == nil {
		kind, err := c.change(ctx, rand.IntN(len(c.keys)))
		switch {
		case errors.Is(err, errAnother):
			continue
		case err == nil:
			c.count[kind].Add(1)
		case ctx.Err() == nil:
			c.failed.Add(1)
			c.last.Store(err)
		}
		return
	}
}

var errAnother = errors.New("not this pod")

func (c *churner) change(ctx context.Context, i int) (kind int, err error) {
	key := *c.keys[i].Load()
	res, err := c.etcd.Get(ctx, key, clientv3.WithSerializable())
	if err != nil {
		return 0, fmt.Errorf("read %s from etcd: %w", key, err)
	}
	if len(res.Kvs) == 0 {
		return 0, errAnother
	}
	p, err := decode(res.Kvs[0].Value)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", key, err)
	}
	if p.DeletionTimestamp != nil || p.Status.Phase != corev1.PodRunning || len(p.Status.ContainerStatuses) == 0 {
		return 0, errAnother
	}
	rev := res.Kvs[0].ModRevision
	if rand.IntN(50) == 0 {
		return deleted, c.replace(ctx, i, p, rev)
	}
	kind = happen(p, time.Now())
	return kind, c.store(ctx, key, rev, p)
}

// store writes a pod unless its key has changed since that revision; 0 means
// that there was none.
func (c *churner) store(ctx context.Context, key string, rev int64, p *corev1.Pod) error {
	b, err := encode(p)
	if err != nil {
		return fmt.Errorf("encode pod %s: %w", key, err)
	}
	return c.commit(ctx, key, rev, clientv3.OpPut(key, string(b)))
}

func (c *churner) commit(ctx context.Context, key string, rev int64, op clientv3.Op) error {
	done, err := c.etcd.Txn(ctx).If(clientv3.Compare(clientv3.ModRevision(key), "=", rev)).Then(op).Commit()
	if err != nil {
		return fmt.Errorf("write %s to etcd: %w", key, err)
	}
	if !done.Succeeded {
		return errAnother
	}
	return nil
}

// replace deletes the pod of the i-th key. Its controller makes another one, a
// new name that churn leaves alone; without controllers it is made here.
func (c *churner) replace(ctx context.Context, i int, p *corev1.Pod, rev int64) error {
	if c.o.Controllers {
		err := c.client.CoreV1().Pods(p.Namespace).Delete(ctx, p.Name, *metav1.NewDeleteOptions(30))
		if apierrors.IsNotFound(err) {
			return errAnother
		}
		return err
	}
	if err := c.commit(ctx, podKey(p), rev, clientv3.OpDelete(podKey(p))); err != nil {
		return err
	}
	renew(p, time.Now())
	key := podKey(p)
	if err := c.store(ctx, key, 0, p); err != nil {
		return err
	}
	c.keys[i].Store(&key)
	c.created.Add(1)
	return nil
}

// renew makes a pod its own successor.
func renew(p *corev1.Pod, now time.Time) {
	at := metav1.NewTime(now.UTC().Truncate(time.Second))
	if p.GenerateName != "" {
		p.Name = p.GenerateName + suffix()
	}
	p.UID, p.CreationTimestamp, p.Status.StartTime = uuid.NewUUID(), at, &at
	for i := range p.Status.ContainerStatuses {
		cs := &p.Status.ContainerStatuses[i]
		cs.Ready, cs.RestartCount, cs.LastTerminationState = true, 0, corev1.ContainerState{}
		cs.State = corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: at}}
	}
	conditions(p, at)
}

// happen lets something happen to one container of a running pod: one in
// trouble recovers, a healthy one gets into trouble, or was restarted.
func happen(p *corev1.Pod, now time.Time) (kind int) {
	at := metav1.NewTime(now.UTC().Truncate(time.Second))
	cs := &p.Status.ContainerStatuses[rand.IntN(len(p.Status.ContainerStatuses))]
	for i := range p.Status.ContainerStatuses {
		if !p.Status.ContainerStatuses[i].Ready {
			cs = &p.Status.ContainerStatuses[i]
		}
	}
	died := &corev1.ContainerStateTerminated{
		ExitCode: 137, Reason: "OOMKilled", StartedAt: at, FinishedAt: at, ContainerID: cs.ContainerID,
	}
	switch roll := rand.IntN(10); {
	case !cs.Ready:
		if cs.State.Running == nil {
			cs.RestartCount++
			cs.State = corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: at}}
		}
		cs.Ready, kind = true, ready
	case roll < 6: // a readiness probe fails
		cs.Ready, kind = false, unready
	case roll < 8: // it was killed and runs again
		cs.RestartCount++
		cs.LastTerminationState = corev1.ContainerState{Terminated: died}
		cs.State = corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: at}}
		kind = restart
	default:
		cs.RestartCount++
		cs.Ready = false
		cs.LastTerminationState = corev1.ContainerState{Terminated: died}
		cs.State = corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{
			Reason: "CrashLoopBackOff", Message: "back-off 10s restarting failed container=" + cs.Name + " pod=" + p.Name,
		}}
		kind = crash
	}
	conditions(p, at)
	return kind
}

// conditions brings a pod's conditions in line with its containers.
func conditions(p *corev1.Pod, at metav1.Time) {
	status, reason := corev1.ConditionTrue, ""
	for _, cs := range p.Status.ContainerStatuses {
		if !cs.Ready {
			status, reason = corev1.ConditionFalse, "ContainersNotReady"
		}
	}
	for i := range p.Status.Conditions {
		c := &p.Status.Conditions[i]
		if (c.Type == corev1.PodReady || c.Type == corev1.ContainersReady) && c.Status != status {
			c.Status, c.Reason, c.LastTransitionTime = status, reason, at
		}
	}
}

// churnKeys are the keys of the load's pods, or of the sample's healthy ones.
func churnKeys(ctx context.Context, etcd *clientv3.Client) ([]string, error) {
	keys, err := keysBelow(ctx, etcd, podPrefix+loadNamespacePrefix, func(_, _ []byte) bool { return true }, clientv3.WithKeysOnly())
	if err != nil || len(keys) > 0 {
		return keys, err
	}
	keys, err = keysBelow(ctx, etcd, podPrefix, func(key, value []byte) bool {
		p, err := decode(value)
		return err == nil && p.Status.Phase == corev1.PodRunning && p.Namespace != metav1.NamespaceSystem && p.Labels[controlplane.BehaviourLabel] == ""
	})
	if err == nil && len(keys) == 0 {
		err = errors.New("no running pods to change: seed the sandbox or run `load` first")
	}
	return keys, err
}

// keysBelow pages through the keys with a prefix and returns those wanted.
func keysBelow(ctx context.Context, etcd *clientv3.Client, prefix string, want func(key, value []byte) bool, opts ...clientv3.OpOption) ([]string, error) {
	const page = 2000
	var keys []string
	from, end := prefix, clientv3.GetPrefixRangeEnd(prefix)
	for {
		res, err := etcd.Get(ctx, from, append([]clientv3.OpOption{clientv3.WithRange(end), clientv3.WithLimit(page), clientv3.WithSerializable()}, opts...)...)
		if err != nil {
			return nil, fmt.Errorf("list the keys below %s: %w", prefix, err)
		}
		for _, kv := range res.Kvs {
			if want(kv.Key, kv.Value) {
				keys = append(keys, string(kv.Key))
			}
			from = string(kv.Key) + "\x00"
		}
		if !res.More {
			return keys, nil
		}
	}
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
