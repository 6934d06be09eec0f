package watchers

import (
	"net"
	"net/http"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/connrotation"
)

// connections are the TCP connections of one hub: its watches, lists and heartbeats share them (HTTP/2), so that an answered
// heartbeat proves the watches' connection, and a dead one can be given up.
type connections struct{ dialer *connrotation.Dialer }

func (c *connections) closeAll() { c.dialer.CloseAll() }

// dial prepares the clients; nothing is sent. The configuration keeps its guard: only the dialer, the content type and the rate
// limit differ (API priority and fairness governs, not the client).
func (h *Hub) dial(cfg *rest.Config) error {
	c := rest.CopyConfig(cfg)
	dial := c.Dial
	if dial == nil {
		dial = (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 15 * time.Second}).DialContext
	}
	h.conn = &connections{dialer: connrotation.NewDialer(connrotation.DialFunc(dialCalm(dial)))}
	c.Dial = h.conn.dialer.DialContext
	c.QPS, c.Timeout, c.RateLimiter = -1, 0, nil
	c.Wrap(func(rt http.RoundTripper) http.RoundTripper { return &tapped{next: rt} })
	if c.WarningHandler == nil && c.WarningHandlerWithContext == nil {
		c.WarningHandler = rest.NoWarnings{} // the default one writes on the screen
	}
	client, err := rest.HTTPClientFor(c)
	if err != nil {
		return err
	}
	typed := rest.CopyConfig(c)
	typed.ContentType = "application/vnd.kubernetes.protobuf"
	typed.AcceptContentTypes = "application/vnd.kubernetes.protobuf,application/json"
	if h.kube, err = kubernetes.NewForConfigAndClient(typed, client); err != nil {
		return err
	}
	if h.slim, err = slimClients(typed, client); err != nil {
		return err
	}
	tab := rest.CopyConfig(c)
	tab.ContentType, tab.AcceptContentTypes = "application/json", "application/json"
	tab.NegotiatedSerializer = scheme.Codecs.WithoutConversion()
	h.tab, err = rest.UnversionedRESTClientForConfigAndClient(tab, client)
	h.cfg = c
	return err
}

// groups are the API groups of the resources that have a typed row.
func groups() []schema.GroupVersion {
	return []schema.GroupVersion{{Version: "v1"}, {Group: "apps", Version: "v1"}, {Group: "batch", Version: "v1"}}
}

// slimClients are the clients of those groups. What they decode is enough for a row and no more: see slim.go.
func slimClients(typed *rest.Config, client *http.Client) (map[string]rest.Interface, error) {
	out := map[string]rest.Interface{}
	for _, gv := range groups() {
		c := rest.CopyConfig(typed)
		c.GroupVersion, c.APIPath, c.NegotiatedSerializer = &gv, "/apis", newSlimSerializer()
		if gv.Group == "" {
			c.APIPath = "/api"
		}
		r, err := rest.RESTClientForConfigAndClient(c, client)
		if err != nil {
			return nil, err
		}
		out[gv.Group] = r
	}
	return out, nil
}

// restFor returns the client of a resource's group, for resources that have a typed row.
func (h *Hub) restFor(k Key) rest.Interface { return h.slim[k.GVR.Group] }
