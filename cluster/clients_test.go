package cluster

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/client-go/transport/spdy"
	"k8s.io/klog/v2"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
)

// recorded notes every request.
type recorded struct {
	mu   sync.Mutex
	list []string
}

func (r *recorded) handler(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, q *http.Request) {
		r.mu.Lock()
		r.list = append(r.list, q.Method+" "+q.URL.Path)
		r.mu.Unlock()
		if h != nil {
			h(w, q)
		}
	}
}

func (r *recorded) requests() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.list)
}

// TestReadOnlyClients: whichever client of client-go is made from our configuration, by whichever way, nothing is sent.
func TestReadOnlyClients(t *testing.T) {
	cleanEnv(t)
	ca := newAuthority(t)
	rec := &recorded{}
	server := ca.apiServer(time.Hour, rec.handler(alive))
	var proxied atomic.Int64
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		proxied.Add(1)
		w.WriteHeader(http.StatusBadGateway)
	}))
	defer proxy.Close()
	for _, through := range []string{"", proxy.URL} {
		k := ca.kubeconfig(server.URL)
		k.Clusters["cluster"].ProxyURL = through
		o := options(t, k)
		o.ReadOnly = true
		o.Flags.Impersonate = ptr("jane")
		c := open(t, o)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		kube := c.Kube()
		copied := rest.CopyConfig(rest.CopyConfig(kube.Config()))
		copied.Wrap(func(rt http.RoundTripper) http.RoundTripper { return rt })
		again, err := kubernetes.NewForConfig(copied)
		if err != nil {
			t.Fatal(err)
		}
		at := func(sub string) *url.URL { return kube.Server().JoinPath("api/v1/namespaces/a/pods/b", sub) }
		exec := func(e remotecommand.Executor, err error) error {
			if err != nil {
				return err
			}
			return e.StreamWithContext(ctx, remotecommand.StreamOptions{Stdout: &bytes.Buffer{}})
		}
		gvr := schema.GroupVersionResource{Version: "v1", Resource: "pods"}
		del := metav1.DeleteOptions{}
		for name, call := range map[string]func() error{
			"typed delete":    func() error { return kube.Typed().CoreV1().Pods("a").Delete(ctx, "b", del) },
			"copied delete":   func() error { return again.CoreV1().Pods("a").Delete(ctx, "b", del) },
			"dynamic delete":  func() error { return kube.Dynamic().Resource(gvr).Namespace("a").Delete(ctx, "b", del) },
			"metadata delete": func() error { return kube.Metadata().Resource(gvr).Namespace("a").Delete(ctx, "b", del) },
			"patch": func() error {
				_, err := kube.Typed().CoreV1().Nodes().Patch(ctx, "n", types.MergePatchType, []byte("{}"), metav1.PatchOptions{})
				return err
			},
			"create": func() error {
				_, err := kube.Typed().CoreV1().ConfigMaps("a").Create(ctx, &corev1.ConfigMap{}, metav1.CreateOptions{})
				return err
			},
			"scale": func() error {
				_, err := kube.Typed().AppsV1().Deployments("a").Patch(ctx, "d", types.MergePatchType, []byte("{}"), metav1.PatchOptions{}, "scale")
				return err
			},
			"Table client": func() error {
				r, err := kube.RESTFor(schema.GroupVersion{Group: "apps", Version: "v1"})
				if err != nil {
					return err
				}
				return r.Delete().Namespace("a").Resource("deployments").Name("d").Do(ctx).Error()
			},
			"SPDY exec": func() error { return exec(remotecommand.NewSPDYExecutor(kube.Config(), "POST", at("exec"))) },
			"WebSocket exec": func() error {
				return exec(remotecommand.NewWebSocketExecutor(kube.Config(), "GET", at("exec").String()))
			},
			"attach": func() error { return exec(remotecommand.NewSPDYExecutor(kube.Config(), "GET", at("attach"))) },
			"port-forward": func() error {
				rt, upgrader, err := spdy.RoundTripperFor(kube.Config())
				if err != nil {
					return err
				}
				_, _, err = spdy.NewDialer(upgrader, &http.Client{Transport: rt}, "POST", at("portforward")).Dial("portforward.k8s.io")
				return err
			},
			"proxy by GET": func() error {
				_, err := kube.Typed().CoreV1().Services("a").ProxyGet("http", "s", "80", "/", nil).DoRaw(ctx)
				return err
			},
			"another server": func() error {
				cfg := kube.Config()
				cfg.Host = proxy.URL
				cfg.TLSClientConfig = rest.TLSClientConfig{}
				other, err := kubernetes.NewForConfig(cfg)
				if err != nil {
					return err
				}
				_, err = other.CoreV1().Pods("a").List(ctx, metav1.ListOptions{})
				return err
			},
		} {
			if err := call(); !errors.Is(err, ErrReadOnly) && !strings.Contains(fmt.Sprint(err), "read-only mode:") {
				t.Errorf("%s (proxy %q): %v", name, through, err)
			}
		}
	}
	if got := rec.requests(); len(got) != 0 || proxied.Load() != 0 {
		t.Errorf("the server saw %v, the proxy %d", got, proxied.Load())
	}
}

func reply(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}

func TestCanIsCachedAndReadOnlyMayAsk(t *testing.T) {
	cleanEnv(t)
	ca := newAuthority(t)
	rec := &recorded{}
	server := ca.apiServer(time.Hour, rec.handler(func(w http.ResponseWriter, r *http.Request) {
		reply(w, map[string]any{
			"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "status": map[string]any{"allowed": false, "reason": "no"},
		})
	}))
	o := options(t, ca.kubeconfig(server.URL))
	o.ReadOnly = true
	c := open(t, o)
	for range 3 {
		d, err := c.Kube().Can(t.Context(), Access{Verb: "delete", Resource: "pods", Namespace: "a"})
		if err != nil || d.Allowed || d.Reason != "no" {
			t.Errorf("%+v, %v", d, err)
		}
	}
	if got := rec.requests(); len(got) != 1 || got[0] != "POST /apis/authorization.k8s.io/v1/selfsubjectaccessreviews" {
		t.Errorf("%v", got)
	}
}

func TestResources(t *testing.T) {
	cleanEnv(t)
	ca := newAuthority(t)
	verbs := []string{"get", "list", "watch"}
	list := func(gv string, rs ...map[string]any) map[string]any {
		return map[string]any{"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": gv, "resources": rs}
	}
	group := func(name, v string) map[string]any {
		gv := map[string]any{"groupVersion": name + "/" + v, "version": v}
		return map[string]any{"name": name, "versions": []any{gv}, "preferredVersion": gv}
	}
	rec := &recorded{}
	server := ca.apiServer(time.Hour, rec.handler(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/api":
			reply(w, map[string]any{"kind": "APIVersions", "versions": []string{"v1"}})
		case "/apis":
			reply(w, map[string]any{"kind": "APIGroupList", "apiVersion": "v1", "groups": []any{group("apps", "v1"), group("events.k8s.io", "v1"), group("metrics.k8s.io", "v1beta1")}})
		case "/api/v1":
			reply(w, list("v1",
				map[string]any{"name": "events", "singularName": "event", "kind": "Event", "namespaced": true, "verbs": verbs, "shortNames": []string{"ev"}},
				map[string]any{"name": "pods", "singularName": "pod", "kind": "Pod", "namespaced": true, "verbs": verbs, "shortNames": []string{"po"}, "categories": []string{"all"}},
				map[string]any{"name": "pods/log", "kind": "Pod", "namespaced": true, "verbs": []string{"get"}},
				map[string]any{"name": "bindings", "kind": "Binding", "namespaced": true, "verbs": []string{"create"}}))
		case "/apis/apps/v1":
			reply(w, list("apps/v1", map[string]any{"name": "deployments", "kind": "Deployment", "namespaced": true, "verbs": verbs, "shortNames": []string{"deploy"}}))
		case "/apis/events.k8s.io/v1":
			reply(w, list("events.k8s.io/v1", map[string]any{"name": "events", "singularName": "event", "kind": "Event", "namespaced": true, "verbs": verbs}))
		default:
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	c := open(t, options(t, ca.kubeconfig(server.URL)))
	r, err := c.Kube().Resources(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(r.List) != 4 || len(r.Partial) != 1 || r.Partial[0].GroupVersion != "metrics.k8s.io/v1beta1" {
		t.Errorf("%+v", r)
	}
	for name, want := range map[string]string{
		"po": "pods", "Pod": "pods", "PODS": "pods", "deploy": "deployments.apps", "deployment": "deployments.apps", "deployments.apps": "deployments.apps",
		"deploy.v1.apps": "deployments.apps", "ev": "events", "events": "events", "events.events.k8s.io": "events.events.k8s.io",
		"event.v1.events.k8s.io": "events.events.k8s.io", "pods.v1": "pods",
		"bindings": "", "pods/log": "", "nothing": "", "pods.apps": "", "": "",
	} {
		got, ok := r.Lookup(name)
		if got.FullName() != want && ok || ok != (want != "") {
			t.Errorf("%q is %q (%v), want %q", name, got.FullName(), ok, want)
		}
	}
	n := len(rec.requests())
	if again, err := c.Kube().Resources(t.Context()); err != nil || again != r || len(rec.requests()) != n {
		t.Error("not cached")
	}
}

func TestHealth(t *testing.T) {
	cleanEnv(t)
	ca := newAuthority(t)
	server := ca.apiServer(time.Hour, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/livez":
			_, _ = w.Write([]byte("[+]ping ok\n[+]etcd ok\nlivez check passed\n"))
		case "/readyz":
			w.WriteHeader(http.StatusInternalServerError)
			_, _ = w.Write([]byte("[+]ping ok\n[-]informer-sync failed: reason withheld\nreadyz check failed\n"))
		case "/version":
			reply(w, map[string]string{"gitVersion": "v1.36.3"})
		}
	})
	k := open(t, options(t, ca.kubeconfig(server.URL))).Kube()
	live, ready, err := k.Checks(t.Context())
	if err != nil || !slices.Equal(live, []Check{{"ping", true, ""}, {"etcd", true, ""}}) ||
		!slices.Equal(ready, []Check{{"ping", true, ""}, {"informer-sync", false, "reason withheld"}}) {
		t.Errorf("%+v %+v %v", live, ready, err)
	}
	if h := k.Probe(t.Context()); !h.OK || h.Code != 200 || h.Latency <= 0 {
		t.Errorf("%+v", h)
	}
	if v, err := k.ServerVersion(t.Context()); err != nil || v.GitVersion != "v1.36.3" {
		t.Errorf("%+v %v", v, err)
	}
	dead := open(t, options(t, ca.kubeconfig("https://"+hanging(t)))).Kube()
	began := time.Now()
	if h := dead.Probe(t.Context()); h.OK || h.Code != 0 || Classify(h.Err) != FaultTimeout || time.Since(began) > 3*ProbeTimeout {
		t.Errorf("%+v", h)
	}
}

// TestEtcdLogin: user and password work without a network call at Open, and a token that the server does not take any more is renewed.
func TestEtcdLogin(t *testing.T) {
	for _, err := range []error{rpctypes.ErrGRPCInvalidAuthToken, rpctypes.ErrGRPCAuthOldRevision} {
		t.Run(rpctypes.Error(err).Error(), func(t *testing.T) { testEtcdLogin(t, err) })
	}
}

// Authentication that is enabled later is taken up.
func TestEtcdLoginThatIsNeededLater(t *testing.T) {
	cleanEnv(t)
	ca := newAuthority(t)
	var enabled atomic.Bool
	s := &etcdServer{logins: func(*pb.AuthenticateRequest) (*pb.AuthenticateResponse, error) {
		if !enabled.Load() {
			return nil, rpctypes.ErrGRPCAuthNotEnabled
		}
		return &pb.AuthenticateResponse{Token: "token"}, nil
	}}
	s.status = func(ctx context.Context) error {
		if enabled.Load() && tokenOf(ctx) != "token" {
			return rpctypes.ErrGRPCUserEmpty
		}
		return nil
	}
	o := ca.etcdOptions(options(t, ca.kubeconfig("https://127.0.0.1:1")), time.Hour, ca.etcd(time.Hour, s))
	o.Etcd.Env = func(k string) string {
		return map[string]string{"ETCDCTL_USER": "jane", "ETCDCTL_PASSWORD": "s3cret"}[k]
	}
	m := open(t, o).Etcd().Members()[0]
	for _, on := range []bool{false, true} {
		enabled.Store(on)
		if _, err := m.Status(t.Context()); err != nil {
			t.Errorf("enabled %v: %v", on, err)
		}
	}
}

func testEtcdLogin(t *testing.T, forgotten error) {
	cleanEnv(t)
	ca := newAuthority(t)
	var logins, rejected atomic.Int64
	s := &etcdServer{logins: func(r *pb.AuthenticateRequest) (*pb.AuthenticateResponse, error) {
		if r.Name != "jane" || r.Password != "s3cret" {
			return nil, rpctypes.ErrGRPCAuthFailed
		}
		return &pb.AuthenticateResponse{Token: fmt.Sprint("token-", logins.Add(1))}, nil
	}}
	s.status = func(ctx context.Context) error {
		if tokenOf(ctx) != fmt.Sprint("token-", max(2, logins.Load())) {
			rejected.Add(1)
			return forgotten
		}
		return nil
	}
	o := ca.etcdOptions(options(t, ca.kubeconfig("https://127.0.0.1:1")), time.Hour, ca.etcd(time.Hour, s))
	o.Etcd.Env = func(k string) string {
		return map[string]string{"ETCDCTL_USER": "jane", "ETCDCTL_PASSWORD": "s3cret"}[k]
	}
	c := open(t, o)
	if logins.Load() != 0 {
		t.Error("Open logs in")
	}
	for range 3 {
		if _, err := c.Etcd().Members()[0].Status(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if logins.Load() != 2 || rejected.Load() != 1 {
		t.Errorf("%d logins, %d rejected", logins.Load(), rejected.Load())
	}
}

func TestMembers(t *testing.T) {
	cleanEnv(t)
	ca := newAuthority(t)
	url := ca.etcd(time.Hour, &etcdServer{})
	e := open(t, ca.etcdOptions(options(t, ca.kubeconfig("https://127.0.0.1:1")), time.Hour, url)).Etcd()
	n, err := e.AddEndpoints(url+"/", "https://127.0.0.1:1", "https://127.0.0.1:1")
	if err != nil || n != 1 || len(e.Members()) != 2 {
		t.Errorf("%d, %v", n, err)
	}
	if m, ok := e.Member("https://127.0.0.1:1"); !ok || !m.Learned {
		t.Errorf("%+v", m)
	}
	if r, err := e.Members()[0].Status(t.Context()); err != nil || r.Leader != 7 {
		t.Errorf("%v, %v", r, err)
	}
	began := time.Now()
	if _, err := e.Members()[1].Status(t.Context()); err == nil || Classify(err) != FaultRefused || time.Since(began) > 2*statusTimeout {
		t.Errorf("%v after %s", err, time.Since(began))
	}
	e.close()
	if _, err := e.AddEndpoints("https://127.0.0.1:3"); err == nil {
		t.Error("a closed etcd takes endpoints")
	}
}

// TestExecPlugin: it works in read-only mode, and is not given the terminal.
func TestExecPlugin(t *testing.T) {
	cleanEnv(t)
	ca := newAuthority(t)
	server := ca.serve(ca.serverTLS(time.Hour, tls.NoClientCert), func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer from-plugin" {
			unauthorized(w, r)
		}
	})
	script := filepath.Join(t.TempDir(), "plugin")
	body := "#!/bin/sh\ncase \"$KUBERNETES_EXEC_INFO\" in *'\"interactive\":false'*) ;; *) exit 3;; esac\n" +
		`echo '{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","status":{"token":"from-plugin"}}'` + "\n"
	if err := os.WriteFile(script, []byte(body), 0o700); err != nil {
		t.Fatal(err)
	}
	for mode, works := range map[clientcmdapi.ExecInteractiveMode]bool{
		clientcmdapi.IfAvailableExecInteractiveMode: true, clientcmdapi.NeverExecInteractiveMode: true, clientcmdapi.AlwaysExecInteractiveMode: false,
	} {
		k := ca.kubeconfig(server.URL)
		k.AuthInfos["admin"] = &clientcmdapi.AuthInfo{Exec: &clientcmdapi.ExecConfig{
			APIVersion: "client.authentication.k8s.io/v1", Command: script, InteractiveMode: mode,
		}}
		o := options(t, k)
		o.ReadOnly = true
		h := open(t, o).Kube().Probe(t.Context())
		if h.OK != works {
			t.Errorf("%s: %+v", mode, h)
		}
	}
}

func TestWarnings(t *testing.T) {
	w := &Warnings{}
	w.HandleWarningHeader(299, "-", "first")
	w.HandleWarningHeader(199, "-", "not one")
	for i := range 3 * maxWarnings {
		w.HandleWarningHeader(299, "-", fmt.Sprint("warning ", i%70))
	}
	w.HandleWarningHeader(299, "-", strings.Repeat("x", 1<<20))
	list, gen := w.List()
	if len(list) != maxWarnings || gen != 3*maxWarnings+2 || len(list[maxWarnings-1].Text) != maxWarningLen {
		t.Errorf("%d warnings, generation %d", len(list), gen)
	}
	var _ rest.WarningHandler = w
}

func TestSilenceKlog(t *testing.T) {
	screen, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
	if err != nil {
		t.Fatal(err)
	}
	defer screen.Close()
	old := os.Stderr
	os.Stderr = screen
	defer func() { os.Stderr = old }()
	var b bytes.Buffer
	SilenceKlog(&b)
	defer SilenceKlog(nil)
	klog.Error("something is wrong")
	klog.Flush()
	if !strings.Contains(b.String(), "something is wrong") {
		t.Errorf("%q", b.String())
	}
	if st, err := screen.Stat(); err != nil || st.Size() != 0 {
		t.Errorf("%v, %v on the screen", st, err)
	}
}

func TestRESTForTables(t *testing.T) {
	cleanEnv(t)
	ca := newAuthority(t)
	var accept atomic.Value
	server := ca.apiServer(time.Hour, func(w http.ResponseWriter, r *http.Request) {
		accept.Store(r.Header.Get("Accept"))
		reply(w, map[string]any{"kind": "Table", "apiVersion": "meta.k8s.io/v1"})
	})
	k := open(t, options(t, ca.kubeconfig(server.URL))).Kube()
	r, err := k.RESTFor(schema.GroupVersion{Group: "demo.example", Version: "v1"})
	if err != nil {
		t.Fatal(err)
	}
	const table = "application/json;as=Table;v=v1;g=meta.k8s.io"
	b, err := r.Get().Namespace("a").Resource("virtualmachines").SetHeader("Accept", table).
		SpecificallyVersionedParams(&metav1.ListOptions{Limit: 5}, scheme.ParameterCodec, metav1.Unversioned).DoRaw(t.Context())
	if err != nil || !bytes.Contains(b, []byte("Table")) || accept.Load() != table {
		t.Errorf("%s, %v, %v", b, err, accept.Load())
	}
	if again, _ := k.RESTFor(schema.GroupVersion{Group: "demo.example", Version: "v1"}); again != r {
		t.Error("a second client for the same group and version")
	}
}
