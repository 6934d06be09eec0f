package load

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"strings"
	"sync/atomic"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"
	"k8s.io/client-go/kubernetes/scheme"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"fathom/cmd/sandbox/internal/controlplane"
)

// encode is the storage form of a pod: the protobuf envelope the API server
// itself writes.
func encode(p *corev1.Pod) ([]byte, error) {
	var b bytes.Buffer
	s := protobuf.NewSerializer(scheme.Scheme, scheme.Scheme)
	err := scheme.Codecs.EncoderForVersion(s, runtime.GroupVersioner(corev1.SchemeGroupVersion)).Encode(p, &b)
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

func (w *writers) pod(ctx context.Context, p *corev1.Pod) error {
	b, err := encode(p)
	if err != nil {
		return fmt.Errorf("encode pod %s/%s: %w", p.Namespace, p.Name, err)
	}
	c := w.clients[w.next.Add(1)%uint64(len(w.clients))]
	// One put for each: objects of one transaction would share a revision, and
	// the API server takes a revision for one object's.
	if _, err := c.Put(ctx, podKey(p), string(b)); err != nil {
		return fmt.Errorf("write pod %s/%s to etcd: %w", p.Namespace, p.Name, err)
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
