package load

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"strings"
	"sync/atomic"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"
	"k8s.io/client-go/kubernetes/scheme"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"fathom/cmd/sandbox/internal/controlplane"
)

// encode is the storage form of an object: the protobuf envelope the API server
// itself writes.
func encode(obj runtime.Object) ([]byte, error) {
	var b bytes.Buffer
	s := protobuf.NewSerializer(scheme.Scheme, scheme.Scheme)
	versions := runtime.GroupVersioner(schema.GroupVersions{corev1.SchemeGroupVersion, appsv1.SchemeGroupVersion})
	err := scheme.Codecs.EncoderForVersion(s, versions).Encode(obj, &b)
	return b.Bytes(), err
}

func decode(b []byte) (*corev1.Pod, error) {
	obj, _, err := scheme.Codecs.UniversalDeserializer().Decode(b, nil, nil)
	if err != nil {
		return nil, fmt.Errorf("decode a stored pod: %w", err)
	}
	p, ok := obj.(*corev1.Pod)
	if !ok {
		return nil, fmt.Errorf("stored as a pod is a %T", obj)
	}
	return p, nil
}

// podPrefix is where the API server keeps pods; below it come namespace and
// name.
const podPrefix = "/registry/pods/"

func podKey(p *corev1.Pod) string { return podPrefix + p.Namespace + "/" + p.Name }

func dialEtcd(endpoints []string, config *tls.Config) (*clientv3.Client, error) {
	c, err := clientv3.New(clientv3.Config{Endpoints: endpoints, TLS: config, Logger: zap.NewNop()})
	if err != nil {
		return nil, fmt.Errorf("etcd client for %s: %w", strings.Join(endpoints, ","), err)
	}
	return c, nil
}

// connections is how many the writers use: one takes the work of one
// goroutine at each end.
const connections = 4

// writers write pods over several connections to one member.
type writers struct {
	clients []*clientv3.Client
	next    atomic.Uint64
}

func newWriters(endpoint string, config *tls.Config) (*writers, error) {
	w := &writers{}
	for range connections {
		c, err := dialEtcd([]string{endpoint}, config)
		if err != nil {
			w.close()
			return nil, err
		}
		w.clients = append(w.clients, c)
	}
	return w, nil
}

func (w *writers) close() {
	for _, c := range w.clients {
		_ = c.Close()
	}
}

// object is what the writers take: a Kubernetes object with a namespace.
type object interface {
	runtime.Object
	metav1.Object
}

// put writes an object below the prefix where the API server keeps its kind.
func (w *writers) put(ctx context.Context, prefix string, obj object) error {
	b, err := encode(obj)
	if err != nil {
		return fmt.Errorf("encode %s/%s: %w", obj.GetNamespace(), obj.GetName(), err)
	}
	key := prefix + obj.GetNamespace() + "/" + obj.GetName()
	c := w.clients[w.next.Add(1)%uint64(len(w.clients))]
	// One put for each: objects of one transaction would share a revision, and
	// the API server takes a revision for one object's.
	if _, err := c.Put(ctx, key, string(b)); err != nil {
		return fmt.Errorf("write %s to etcd: %w", key, err)
	}
	return nil
}

// Count is the number of pods.
func Count(ctx context.Context, s *controlplane.Spec, config *tls.Config) (int64, error) {
	c, err := dialEtcd(s.ClientURLs(), config)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	res, err := c.Get(ctx, podPrefix, clientv3.WithPrefix(), clientv3.WithCountOnly())
	if err != nil {
		return 0, fmt.Errorf("count the keys below %s: %w", podPrefix, err)
	}
	return res.Count, nil
}
