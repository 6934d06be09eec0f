package cluster

import (
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"

	"fathom/cluster/guard"
)

// callTimeout bounds the short calls of this package when the caller's context does not.
const callTimeout = 5 * time.Second

// Kube is one API server. All clients share one guarded HTTP client.
type Kube struct {
	cfg   *rest.Config
	http  *http.Client
	typed *kubernetes.Clientset
	meta  metadata.Interface
	dyn   *dynamic.DynamicClient
	cert  certificate // ours, if the kubeconfig has one

	access    accessCache
	resources resourceCache

	mu   sync.Mutex
	rest map[schema.GroupVersion]*rest.RESTClient
}

// newKube is the only place where a rest.Config becomes a client: it puts the guard in.
func newKube(cfg *rest.Config, g *guard.Guard, w *Warnings) (*Kube, error) {
	cfg = rest.CopyConfig(cfg)
	cfg.UserAgent = "fathom"
	cfg.QPS = -1    // API priority and fairness on the server governs
	cfg.Timeout = 0 // it would end watches; every call of ours has its own deadline
	cfg.WarningHandler = w
	cfg.WarningHandlerWithContext = nil
	base, _, err := rest.DefaultServerUrlFor(cfg)
	if err != nil {
		return nil, fmt.Errorf("API server address %q: %w", cfg.Host, err)
	}
	cfg.Wrap(func(rt http.RoundTripper) http.RoundTripper { return g.Transport(rt, base) })
	k := &Kube{cfg: cfg, rest: map[schema.GroupVersion]*rest.RESTClient{}}
	if k.http, err = rest.HTTPClientFor(cfg); err != nil {
		return nil, err
	}
	if k.typed, err = kubernetes.NewForConfigAndClient(cfg, k.http); err != nil {
		return nil, err
	}
	if k.meta, err = metadata.NewForConfigAndClient(metadata.ConfigFor(cfg), k.http); err != nil {
		return nil, err
	}
	if k.dyn, err = dynamic.NewForConfigAndClient(dynamic.ConfigFor(cfg), k.http); err != nil {
		return nil, err
	}
	return k, nil
}

// Config returns a copy of the guarded configuration, for clients of client-go that want one (informers with a dialer of their
// own, exec, port-forward).
func (k *Kube) Config() *rest.Config { return rest.CopyConfig(k.cfg) }

// HTTP is the guarded HTTP client that the clients share.
func (k *Kube) HTTP() *http.Client { return k.http }

// Server is the URL of the API server, with its path if it has one.
func (k *Kube) Server() *url.URL {
	u, _, err := rest.DefaultServerUrlFor(k.cfg)
	if err != nil { // newKube has already parsed it
		return &url.URL{Host: k.cfg.Host}
	}
	return u
}

// Typed is the client of the built-in kinds; it speaks protobuf.
func (k *Kube) Typed() kubernetes.Interface { return k.typed }

// Metadata is the client that fetches only metadata, of any kind.
func (k *Kube) Metadata() metadata.Interface { return k.meta }

// Dynamic is the client of any kind as unstructured data.
func (k *Kube) Dynamic() dynamic.Interface { return k.dyn }

// Discovery is the uncached discovery client; [Kube.Resources] is cached.
func (k *Kube) Discovery() discovery.DiscoveryInterface { return k.typed.Discovery() }

// RESTFor returns a client of one group and version, for requests the others cannot make (as=Table). Decoding is the caller's.
// Groups that client-go does not know need SpecificallyVersionedParams(options, scheme.ParameterCodec, metav1.Unversioned).
func (k *Kube) RESTFor(gv schema.GroupVersion) (*rest.RESTClient, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if c, ok := k.rest[gv]; ok {
		return c, nil
	}
	cfg := rest.CopyConfig(k.cfg)
	cfg.GroupVersion = &gv
	cfg.APIPath = "/apis"
	if gv.Group == "" {
		cfg.APIPath = "/api"
	}
	cfg.NegotiatedSerializer = scheme.Codecs.WithoutConversion()
	c, err := rest.RESTClientForConfigAndClient(cfg, k.http)
	if err != nil {
		return nil, fmt.Errorf("client for %s: %w", gv, err)
	}
	k.rest[gv] = c
	return c, nil
}

func (k *Kube) close() { utilnet.CloseIdleConnectionsFor(k.http.Transport) }
