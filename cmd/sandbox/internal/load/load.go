package load

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/netip"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"golang.org/x/sync/errgroup"

	"fathom/cmd/sandbox/internal/controlplane"
	"fathom/cmd/sandbox/internal/fleet"
)

// Options of one load.
type Options struct {
	Nodes, Pods int
	Spec        *controlplane.Spec
	EtcdTLS     *tls.Config
	// Leader is the client address of the etcd member that leads: others only
	// pass writes on to it.
	Leader string
	// Pause ends the controllers and returns what brings them back.
	Pause func(context.Context) (resume func() error, err error)
	Say   func(format string, args ...any)
}

// parallel is how many requests to the API server are under way at once.
const parallel = 16

// maxPerNode is the nodes' pod capacity less the daemons'.
const maxPerNode = 100

// Run creates the nodes and the pods.
//
// Pods and their owners are written straight into etcd, in the form the API
// server stores them: through the API, with scheduling and every status change,
// fifty thousand of them would take many minutes on a small machine. What they
// look like is not made up: the API server is asked, by a dry run, what it
// would store.
func Run(ctx context.Context, client kubernetes.Interface, o Options) error {
	if o.Pods > 0 && o.Pods > o.Nodes*maxPerNode {
		return fmt.Errorf("--pods %d do not fit on --nodes %d: a node takes %d", o.Pods, o.Nodes, maxPerNode)
	}
	l := &loader{client: client, o: o, began: time.Now()}
	// The replica set controller would fill the replica sets before we do; the
	// scheduler and the simulated kubelets have nothing to do yet, and would
	// look at every object as it comes.
	resume, err := o.Pause(ctx)
	if err != nil {
		return err
	}
	err = l.all(ctx)
	if rerr := resume(); err == nil {
		err = rerr
	}
	if err == nil {
		l.say("%d nodes and %d pods", o.Nodes, o.Pods)
	}
	return err
}

type loader struct {
	client kubernetes.Interface
	o      Options
	began  time.Time
	placed []*corev1.Node
	put    atomic.Int64
}

func (l *loader) say(format string, args ...any) {
	l.o.Say("%s (%.1fs)", fmt.Sprintf(format, args...), time.Since(l.began).Seconds())
}

func (l *loader) all(ctx context.Context) error {
	if l.o.Pods > 0 {
		if err := l.namespaces(ctx); err != nil {
			return err
		}
	}
	if err := l.nodes(ctx); err != nil {
		return err
	}
	if l.o.Pods == 0 {
		return nil
	}
	return l.pods(ctx)
}

func (l *loader) nodes(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(parallel)
	for i, n := range fleet.Load(l.o.Nodes, l.o.Spec.Zones) {
		obj := n.Object(l.o.Spec.KubeletPort, time.Now())
		obj.Labels[fleet.LoadLabel] = "true"
		obj.Spec.PodCIDR = podRange(i)
		obj.Spec.PodCIDRs = []string{obj.Spec.PodCIDR}
		l.placed = append(l.placed, obj)
		g.Go(func() error {
			_, err := l.client.CoreV1().Nodes().Create(ctx, obj, metav1.CreateOptions{})
			if err != nil && !apierrors.IsAlreadyExists(err) {
				return fmt.Errorf("create node %s: %w", obj.Name, err)
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	l.say("created %d nodes", l.o.Nodes)
	return nil
}

// podRange is the range of pod addresses of the i-th node: given from the end
// of the cluster's range down, while the controller manager gives from its
// start up.
func podRange(i int) string {
	prefix := netip.MustParsePrefix(controlplane.PodCIDR)
	b := prefix.Addr().As4()
	ranges := 1 << (24 - prefix.Bits())
	n := int(b[1])<<8 + int(b[2]) + ranges - 1 - i
	return fmt.Sprintf("%d.%d.%d.0/24", b[0], n>>8, n&0xff)
}

func (l *loader) pods(ctx context.Context) error {
	all := apps(l.o.Pods)
	m, err := askModel(ctx, l.client, all[0])
	if err != nil {
		return err
	}
	store, err := newWriters(l.o.Leader, l.o.EtcdTLS)
	if err != nil {
		return err
	}
	defer store.close()
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(parallel)
	slot := 0
	for i, a := range all {
		first := slot
		slot += a.replicas
		g.Go(func() error { return l.app(ctx, store, m, a, first) })
		if i%200 == 199 {
			l.say("%d of %d pods written", l.put.Load(), l.o.Pods)
		}
	}
	return g.Wait()
}

func (l *loader) namespaces(ctx context.Context) error {
	for i := range namespaces {
		name := fmt.Sprintf(loadNamespacePrefix+"%02d", i)
		_, err := l.client.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
			Name: name, Labels: map[string]string{fleet.LoadLabel: "true"},
		}}, metav1.CreateOptions{})
		if apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("namespace %s exists: this sandbox already carries a load, start another for more", name)
		}
		if err != nil {
			return fmt.Errorf("create namespace %s: %w", name, err)
		}
		// Admission wants it, and the controller that makes it is paused.
		_, err = l.client.CoreV1().ServiceAccounts(name).Create(ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "default"}}, metav1.CreateOptions{})
		if err != nil && !apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("create service account in %s: %w", name, err)
		}
	}
	return nil
}

// app writes one deployment with its replica set, and its pods from the
// slot-th on.
func (l *loader) app(ctx context.Context, store *writers, m *model, a app, slot int) error {
	d, rs, pod, err := m.of(a)
	if err != nil {
		return err
	}
	if err := store.put(ctx, "/registry/deployments/", d); err != nil {
		return err
	}
	if err := store.put(ctx, "/registry/replicasets/", rs); err != nil {
		return err
	}
	for i := range a.replicas {
		n := slot + i
		node := l.placed[n%len(l.placed)]
		if err := store.put(ctx, podPrefix, place(pod, node, address(node, n/len(l.placed)), time.Now())); err != nil {
			return err
		}
		l.put.Add(1)
	}
	return nil
}

// address is the i-th pod address of a node, above those kwok gives out first.
func address(n *corev1.Node, i int) string {
	prefix, err := netip.ParsePrefix(n.Spec.PodCIDR)
	if err != nil {
		return ""
	}
	b := prefix.Addr().As4()
	b[3] = byte(100 + i)
	return netip.AddrFrom4(b).String()
}
