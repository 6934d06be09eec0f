package guard

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// Transport wraps rt. base is the URL of the API server: its path, if it has one, is the prefix of every request (Rancher and
// other front ends serve clusters below a path), and its host is the only one that read-only mode speaks to, so that neither a
// redirect nor a changed configuration leads elsewhere.
func (g *Guard) Transport(rt http.RoundTripper, base *url.URL) http.RoundTripper {
	return &transport{next: rt, guard: g, host: base.Host, prefix: strings.TrimSuffix(base.Path, "/")}
}

type transport struct {
	next         http.RoundTripper
	guard        *Guard
	host, prefix string
}

// RoundTrip sends the request, or refuses it without reading its body.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := t.guard.judge(req.Method, req.URL.Path, t.why(req)); err != nil {
		if req.Body != nil {
			_ = req.Body.Close() // http.RoundTripper: the body is closed also on errors
		}
		return nil, err
	}
	return t.next.RoundTrip(req)
}

// WrappedRoundTripper lets client-go find the dialer and the TLS settings below (utilnet.RoundTripperWrapper).
func (t *transport) WrappedRoundTripper() http.RoundTripper { return t.next }

func (t *transport) why(req *http.Request) string {
	if req.URL.Host != t.host {
		return "the request leaves the API server " + t.host
	}
	if req.URL.Opaque != "" {
		return "the URL is opaque"
	}
	for _, h := range []string{"Upgrade", "X-Http-Method", "X-Http-Method-Override", "X-Method-Override"} {
		if req.Header.Get(h) != "" {
			return "the header " + h + " can make it something else"
		}
	}
	path, ok := strings.CutPrefix(req.URL.Path, t.prefix)
	if !ok {
		return "the path is not below " + t.prefix
	}
	return WhyHTTP(req.Method, path, req.URL.RawQuery)
}

// selfReviews are the only POSTs that read-only mode sends. They ask the API server about ourselves and store nothing.
var selfReviews = []string{
	"/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
	"/apis/authorization.k8s.io/v1/selfsubjectrulesreviews",
	"/apis/authentication.k8s.io/v1/selfsubjectreviews",
}

// nonResource are the first segments of paths that are no API resources and may be read, with everything below them.
var nonResource = []string{"version", "healthz", "livez", "readyz", "metrics", "openapi"}

// readableSubresources may be read with GET. The others are refused unseen: aggregated API servers have subresources that open a
// console by GET (KubeVirt's vnc), as exec, attach, portforward and proxy did before KEP-4006 asked for "create".
var readableSubresources = []string{"status", "scale", "log"}

var subresourceWhy = map[string]string{
	"exec":        "exec runs commands in a container",
	"attach":      "attach sends input to a container",
	"portforward": "portforward opens a connection into a pod",
	"proxy":       "proxy passes requests on to a workload or a kubelet",
}

// WhyHTTP says why read-only mode does not send a request; "" means that it does. path is decoded (URL.Path) and begins after the
// API server's own prefix. It is parsed as RequestInfoFactory of k8s.io/apiserver does; the Upgrade header is not looked at here,
// because client-go sets it below the wrapper.
func WhyHTTP(method, path, rawQuery string) string {
	query, err := url.ParseQuery(rawQuery)
	if err != nil {
		return "the query cannot be parsed"
	}
	if query.Has("dryRun") {
		return "a dry run needs the right to write and calls admission webhooks"
	}
	switch method {
	case http.MethodGet, http.MethodHead:
		return whyGet(path)
	case http.MethodPost:
		if slices.Contains(selfReviews, path) {
			return ""
		}
	}
	return method + " can change the cluster"
}

func whyGet(path string) string {
	if !strings.HasPrefix(path, "/") {
		return "the path is not absolute"
	}
	seg := strings.Split(strings.TrimSuffix(path[1:], "/"), "/")
	for _, s := range seg {
		// A proxy in between might resolve or decode these to another path.
		if s == "" || s == "." || s == ".." || strings.ContainsAny(s, "%\\;?#") || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			return "the path is not clean"
		}
	}
	var parts []string
	switch {
	case slices.Contains(nonResource, seg[0]):
		return ""
	case seg[0] == "api":
		parts = seg[min(2, len(seg)):] // api, version
	case seg[0] == "apis":
		parts = seg[min(3, len(seg)):] // apis, group, version
	default:
		return "the path is not one that is known to be read-only"
	}
	if len(parts) == 0 {
		return "" // discovery
	}
	if parts[0] == "watch" { // the deprecated way to watch
		parts = parts[1:]
	}
	if len(parts) > 0 && parts[0] == "proxy" { // the verb that older servers have
		return subresourceWhy["proxy"]
	}
	// namespaces/{ns}/{resource}... but namespaces/{ns}/status is a subresource of the namespace itself.
	if len(parts) > 2 && parts[0] == "namespaces" && parts[2] != "status" && parts[2] != "finalize" {
		parts = parts[2:]
	}
	if len(parts) > 3 {
		return "nothing below a subresource is known to be read-only"
	}
	if len(parts) == 3 && !slices.Contains(readableSubresources, parts[2]) {
		if why, ok := subresourceWhy[parts[2]]; ok {
			return why
		}
		return "the subresource is not known to be read-only"
	}
	return ""
}
