package guard

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
)

func TestWhyHTTPAllows(t *testing.T) {
	for _, path := range []string{
		"/version", "/version/", "/healthz", "/healthz/etcd", "/livez", "/readyz/poststarthook/x", "/metrics", "/metrics/slis",
		"/openapi/v2", "/openapi/v3/apis/apps/v1", "/api", "/api/v1", "/apis", "/apis/", "/apis/apps", "/apis/apps/v1",
		"/api/v1/pods", "/api/v1/watch/pods", "/api/v1/watch/namespaces/a/pods/b", "/api/v1/namespaces", "/api/v1/namespaces/a",
		"/api/v1/namespaces/a/status", "/api/v1/namespaces/a/pods", "/api/v1/namespaces/a/pods/b", "/api/v1/namespaces/a/pods/b/status",
		"/api/v1/namespaces/a/pods/b/log", "/api/v1/nodes/n", "/apis/apps/v1/namespaces/a/deployments/b/scale",
		"/apis/metrics.k8s.io/v1beta1/nodes", "/apis/demo.example/v1/namespaces/a/virtualmachines/b",
		// A namespace, a pod and a resource with names that sound bad.
		"/api/v1/namespaces/exec/pods/proxy", "/api/v1/namespaces/proxy/pods",
	} {
		for _, method := range []string{"GET", "HEAD"} {
			if why := WhyHTTP(method, path, "watch=true&limit=500"); why != "" {
				t.Errorf("%s %s is refused: %s", method, path, why)
			}
		}
	}
	for _, path := range selfReviews {
		if why := WhyHTTP("POST", path, ""); why != "" {
			t.Errorf("POST %s is refused: %s", path, why)
		}
	}
}

// mutating are paths with what can be done to them. Every method but GET and HEAD must be refused on all of them.
var resourcePaths = []string{
	"/api/v1/namespaces/a/pods", "/api/v1/namespaces/a/pods/b", "/api/v1/namespaces/a/pods/b/eviction", "/api/v1/namespaces/a/pods/b/binding",
	"/api/v1/namespaces/a/pods/b/ephemeralcontainers", "/api/v1/namespaces/a/pods/b/resize", "/api/v1/namespaces/a/pods/b/status",
	"/api/v1/namespaces/a/pods/b/exec", "/api/v1/namespaces/a/pods/b/attach", "/api/v1/namespaces/a/pods/b/portforward",
	"/api/v1/namespaces/a/pods/b/proxy", "/api/v1/nodes/n/proxy/run/a/b/c", "/api/v1/namespaces/a/finalize", "/api/v1/namespaces/a/status",
	"/api/v1/namespaces/a/serviceaccounts/s/token", "/apis/apps/v1/namespaces/a/deployments/d/scale", "/apis/apps/v1/namespaces/a/deployments/d",
	"/apis/certificates.k8s.io/v1/certificatesigningrequests/c/approval", "/apis/authentication.k8s.io/v1/tokenreviews",
	"/apis/authorization.k8s.io/v1/subjectaccessreviews", "/apis/authorization.k8s.io/v1/namespaces/a/localsubjectaccessreviews",
	"/version", "/healthz", "/metrics", "/api", "/apis", "/openapi/v2", "/",
}

func TestWhyHTTPRefusesMutations(t *testing.T) {
	methods := []string{"POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE", "get", "Get", "", "POST ", "QUERY"}
	for _, path := range slices.Concat(resourcePaths, selfReviews) {
		for _, method := range methods {
			if method == "POST" && slices.Contains(selfReviews, path) {
				continue
			}
			if WhyHTTP(method, path, "") == "" {
				t.Errorf("%s %s is allowed", method, path)
			}
		}
	}
}

func TestWhyHTTPRefusesReads(t *testing.T) {
	for _, path := range []string{
		"/api/v1/namespaces/a/pods/b/exec", "/api/v1/namespaces/a/pods/b/attach", "/api/v1/namespaces/a/pods/b/portforward",
		"/api/v1/namespaces/a/pods/b/proxy", "/api/v1/namespaces/a/pods/b/proxy/", "/api/v1/namespaces/a/pods/b:80/proxy/x/y",
		"/api/v1/namespaces/a/services/https:s:443/proxy/x", "/api/v1/nodes/n/proxy", "/api/v1/nodes/n/proxy/logs/",
		"/api/v1/proxy/namespaces/a/pods/b", "/api/v1/proxy/nodes/n", "/api/v1/watch/proxy/nodes/n",
		"/apis/subresources.kubevirt.io/v1/namespaces/a/virtualmachineinstances/b/vnc", "/api/v1/namespaces/a/pods/b/log/x",
		"/api/v1/watch/namespaces/a/pods/b/exec", "/api/v1/namespaces/a/pods/b/EXEC", "/api/v1/namespaces/a/status/exec",
		"", "/", "/logs/", "/logs/kube-apiserver.log", "/debug/pprof/heap", "/swagger.json", "/.well-known/openid-configuration", "/exec/a/b/c", "api/v1/pods",
		// Paths that something in between might resolve to others.
		"/api/v1/namespaces/a/pods/../pods/b/exec", "/version/../api/v1/namespaces/a/pods/b/exec", "/version/..", "/api/v1//namespaces/a/pods/b/exec",
		"//api/v1/pods", "/api/v1/./pods", "/version/%2e%2e/api/v1/pods", "/api/v1/namespaces/a/pods/b%2fexec", `/version\..\api`, "/version;x/a", "/version/a\nb",
	} {
		for _, method := range []string{"GET", "HEAD"} {
			if WhyHTTP(method, path, "") == "" {
				t.Errorf("%s %q is allowed", method, path)
			}
		}
	}
	if WhyHTTP("GET", "/api/v1/pods", "dryRun=All") == "" || WhyHTTP("POST", selfReviews[0], "dryRun=All") == "" {
		t.Error("dryRun is allowed")
	}
	if WhyHTTP("GET", "/api/v1/pods", "a=%zz") == "" {
		t.Error("a query that cannot be parsed is allowed")
	}
}

// FuzzWhyHTTP: whatever the path, no method but GET, HEAD and POST of the three self reviews passes, and nothing that ends in a
// subresource which opens a stream.
func FuzzWhyHTTP(f *testing.F) {
	for _, p := range resourcePaths {
		f.Add("DELETE", p, "")
		f.Add("GET", p, "watch=1")
		f.Add("POST", p, "dryRun=All")
	}
	for _, p := range selfReviews {
		f.Add("POST", p+"/", "x=y")
	}
	f.Fuzz(func(t *testing.T, method, path, query string) {
		if WhyHTTP(method, path, query) != "" {
			return
		}
		switch method {
		case "GET", "HEAD":
		case "POST":
			if !slices.Contains(selfReviews, path) {
				t.Fatalf("POST %q passes", path)
			}
		default:
			t.Fatalf("%q %q passes", method, path)
		}
		parts := strings.Split(strings.Trim(path, "/"), "/")
		for i, p := range parts {
			if p == ".." || p == "." || p == "" && path != "" {
				t.Fatalf("%q passes", path)
			}
			// A subresource has group or version, resource and name before it. Of the names a resource can have only these are
			// looked for; below non-resource paths anything goes.
			if strings.HasPrefix(path, "/api") && i == len(parts)-1 && i >= 5 && parts[i-2] == "pods" &&
				slices.Contains([]string{"exec", "attach", "portforward", "proxy"}, p) {
				t.Fatalf("%q passes", path)
			}
		}
	})
}

// recorder is an API server that counts what reaches it.
func recorder(t *testing.T, h http.HandlerFunc) (*url.URL, *atomic.Int64) {
	t.Helper()
	hits := &atomic.Int64{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		hits.Add(1)
		if h != nil {
			h(w, r)
		}
	}))
	t.Cleanup(s.Close)
	u, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	return u, hits
}

func TestTransport(t *testing.T) {
	base, hits := recorder(t, nil)
	base.Path = "/k8s/clusters/c-1"
	g := New(true)
	client := &http.Client{Transport: g.Transport(http.DefaultTransport, base)}
	do := func(method, path string, header ...string) error {
		t.Helper()
		body := &closer{Reader: strings.NewReader("body")}
		req, err := http.NewRequest(method, base.Scheme+"://"+base.Host+path, body)
		if err != nil {
			t.Fatal(err)
		}
		for _, h := range header {
			req.Header.Set(h, "x")
		}
		res, err := client.Do(req)
		if err == nil {
			_ = res.Body.Close()
		}
		if err != nil && !body.closed {
			t.Errorf("%s %s: the body is not closed", method, path)
		}
		return err
	}
	if err := do("GET", "/k8s/clusters/c-1/api/v1/pods"); err != nil {
		t.Error(err)
	}
	if hits.Load() != 1 {
		t.Fatalf("%d hits", hits.Load())
	}
	for _, err := range []error{
		do("DELETE", "/k8s/clusters/c-1/api/v1/namespaces/a/pods/b"),
		do("GET", "/api/v1/pods"),           // another cluster's, or the front end's own
		do("GET", "/k8s/clusters/c-12/api"), // a prefix is a whole path
		do("GET", "/k8s/clusters/c-1/api/v1/namespaces/a/pods/b%2Fexec"),
		do("GET", "/k8s/clusters/c-1/version/%2e%2e/api/v1/namespaces/a/pods/b/exec"),
		do("GET", "/k8s/clusters/c-1/api/v1/pods", "Upgrade"),
		do("GET", "/k8s/clusters/c-1/api/v1/pods", "X-HTTP-Method-Override"),
	} {
		var r *Refused
		if !errors.Is(err, ErrReadOnly) || !errors.As(err, &r) || r.Why == "" || r.Path == "" {
			t.Errorf("not refused: %v", err)
		}
	}
	if hits.Load() != 1 {
		t.Errorf("%d hits, want 1", hits.Load())
	}
	if n := g.Counts(); n != (Counts{Sent: 1, Refused: 7}) {
		t.Errorf("counts %+v", n)
	}
}

type closer struct {
	io.Reader
	closed bool
}

func (c *closer) Close() error { c.closed = true; return nil }

func TestTransportRefusesRedirects(t *testing.T) {
	other, otherHits := recorder(t, nil)
	base, hits := recorder(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, other.String()+"/api/v1/pods", http.StatusTemporaryRedirect)
	})
	client := &http.Client{Transport: New(true).Transport(http.DefaultTransport, base)}
	_, err := client.Get(base.String() + "/api/v1/pods")
	if !errors.Is(err, ErrReadOnly) || hits.Load() != 1 || otherHits.Load() != 0 {
		t.Errorf("%v; %d and %d hits", err, hits.Load(), otherHits.Load())
	}
}

func TestTransportNormalModeOnlyCounts(t *testing.T) {
	base, hits := recorder(t, nil)
	g := New(false)
	client := &http.Client{Transport: g.Transport(http.DefaultTransport, base)}
	req, _ := http.NewRequest("DELETE", base.String()+"/api/v1/namespaces/a/pods/b", nil)
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if hits.Load() != 1 || g.Counts() != (Counts{Sent: 1}) {
		t.Errorf("%d hits, counts %+v", hits.Load(), g.Counts())
	}
}
