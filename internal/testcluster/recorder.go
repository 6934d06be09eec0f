package testcluster

import (
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// Recorder stands in front of a sandbox's API server and of each of its etcd members, passes everything on, streams and upgrades
// too, and writes down every request. gRPC is HTTP/2, so one kind of proxy does for both, and a request to etcd's other paths
// (/metrics, /health) is seen as well.
//
// Whoever uses [Recorder.Kubeconfig] and [Recorder.EtcdEnv] cannot go around it: the proxies' certificate authority is not the
// sandbox's, the kubeconfig holds no credentials that the API server knows, and the member list tells the proxies' addresses.
type Recorder struct {
	dir        string
	kubeconfig string
	etcdEnv    []string

	mu       sync.Mutex
	requests []Request
	stop     func(Request) bool
	cut      func(Request) bool
}

// Request is one request that has reached a proxy.
type Request struct {
	Server string // "apiserver", or "etcd" and the client URL of the member
	Method string // of HTTP; POST for gRPC
	Path   string // decoded; for gRPC the full method name
	Query  string
	// Upgrade is the header of this name: exec, attach and port-forward have it.
	Upgrade string
	body    *firstBytes
}

// String is one line.
func (r Request) String() string {
	s := r.Server + " " + r.Method + " " + r.Path
	if r.Query != "" {
		s += "?" + r.Query
	}
	if r.Upgrade != "" {
		s += " (upgrade to " + r.Upgrade + ")"
	}
	return s
}

// Etcd reports whether the request went to an etcd member.
func (r Request) Etcd() bool { return r.Server != apiserver }

// Body is the beginning of the body as it has come so far, at most 64 KiB.
func (r Request) Body() []byte { return r.body.bytes() }

const apiserver = "apiserver"

// NewRecorder puts proxies in front of a running sandbox. They are gone when the test ends.
func NewRecorder(t testing.TB, c *Cluster) *Recorder {
	t.Helper()
	r := &Recorder{dir: t.TempDir()}
	ca := newAuthority(t)
	caFile := filepath.Join(r.dir, "recorder-ca.crt")
	if err := os.WriteFile(caFile, ca.pem, 0o600); err != nil {
		t.Fatal(err)
	}

	admin := loadAdmin(t, c)
	r.kubeconfig = filepath.Join(r.dir, "kubeconfig")
	l := listen(t)
	r.serve(t, l, ca, apiserver, admin.server, admin.tls, nil)
	admin.config.Clusters[admin.cluster] = &clientcmdapi.Cluster{Server: "https://" + l.Addr().String(), CertificateAuthorityData: ca.pem}
	admin.config.AuthInfos[admin.user] = &clientcmdapi.AuthInfo{Token: "the-recorder-replaces-this"}
	if err := clientcmd.WriteToFile(*admin.config, r.kubeconfig); err != nil {
		t.Fatal(err)
	}

	env := map[string]string{}
	for _, kv := range c.EtcdEnv(t) {
		k, v, _ := strings.Cut(kv, "=")
		env[k] = v
	}
	upstream := clientTLS(t, env["ETCDCTL_CACERT"], env["ETCDCTL_CERT"], env["ETCDCTL_KEY"])
	fronts := map[string]string{} // of members' own client URLs
	var listeners []net.Listener
	endpoints := strings.Split(env["ETCDCTL_ENDPOINTS"], ",")
	for _, e := range endpoints {
		l := listen(t)
		listeners = append(listeners, l)
		fronts[e] = "https://" + l.Addr().String()
	}
	var urls []string
	for i, e := range endpoints {
		r.serve(t, listeners[i], ca, "etcd "+e, e, upstream, rewriteMemberList(fronts))
		urls = append(urls, fronts[e])
	}
	r.etcdEnv = []string{
		"ETCDCTL_ENDPOINTS=" + strings.Join(urls, ","), "ETCDCTL_CACERT=" + caFile,
		"ETCDCTL_CERT=" + env["ETCDCTL_CERT"], "ETCDCTL_KEY=" + env["ETCDCTL_KEY"],
	}
	return r
}

// Kubeconfig leads to the proxy of the API server, which acts as the cluster-admin whatever credentials it is shown.
func (r *Recorder) Kubeconfig() string { return r.kubeconfig }

// EtcdEnv are the ETCDCTL_ variables that lead to the members' proxies.
func (r *Recorder) EtcdEnv() []string { return slices.Clone(r.etcdEnv) }

// Env is [Cluster.Env] by way of the proxies.
func (r *Recorder) Env(t testing.TB, c *Cluster) []string {
	t.Helper()
	env := slices.DeleteFunc(c.Env(t), func(kv string) bool {
		return strings.HasPrefix(kv, "KUBECONFIG=") || strings.HasPrefix(kv, "ETCDCTL_")
	})
	return append(append(env, "KUBECONFIG="+r.kubeconfig), r.etcdEnv...)
}

// Requests are all requests since the start, in the order in which they came.
func (r *Recorder) Requests() []Request { return r.Since(0) }

// Count is how many requests there were: a mark for [Recorder.Since].
func (r *Recorder) Count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.requests)
}

// Since are the requests after a mark.
func (r *Recorder) Since(mark int) []Request {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.requests[mark:])
}

// Stop answers the requests for which stop says yes with 403 (PermissionDenied in gRPC) and does not pass them on: so a test can
// see what would have been sent, and change nothing. nil passes everything on.
func (r *Recorder) Stop(stop func(Request) bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stop = stop
}

// Cut passes the requests for which cut says yes on, and loses their answers: the stream is reset once the server has answered.
func (r *Recorder) Cut(cut func(Request) bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cut = cut
}

func (r *Recorder) cuts(req Request) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.cut != nil && r.cut(req)
}

// lost is where an answer goes that is not to arrive.
type lost struct{ header http.Header }

func (l lost) Header() http.Header         { return l.header }
func (l lost) Write(p []byte) (int, error) { return len(p), nil }
func (l lost) WriteHeader(int)             {}
func (l lost) Flush()                      {}

// note writes a request down and says whether it is passed on.
func (r *Recorder) note(req Request) (pass bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.requests = append(r.requests, req)
	return r.stop == nil || !r.stop(req)
}

func listen(t testing.TB) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// serve runs one proxy until the test ends.
func (r *Recorder) serve(t testing.TB, l net.Listener, ca *authority, name, upstream string, client *tls.Config, modify func(*http.Response) error) {
	t.Helper()
	target, err := url.Parse(upstream)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{TLSClientConfig: client, ForceAttemptHTTP2: true, DisableCompression: true}
	quiet := log.New(io.Discard, "", 0) // clients hang up, servers die: that is what the tests are about
	proxy := &httputil.ReverseProxy{
		Transport: transport, FlushInterval: -1, ErrorLog: quiet,
		Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(target)
			p.Out.Header.Del("Authorization") // the client certificate says who we are
		},
		ModifyResponse: func(res *http.Response) error {
			if modify != nil {
				if err := modify(res); err != nil {
					return err
				}
			}
			statusToTrailer(res)
			return nil
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			http.Error(w, fmt.Sprintf("the recorder cannot reach %s: %v", name, err), http.StatusBadGateway)
		},
	}
	server := &http.Server{
		ErrorLog:  quiet,
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{ca.server(t)}, MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}},
		Handler: http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			seen := Request{Server: name, Method: req.Method, Path: req.URL.Path, Query: req.URL.RawQuery, Upgrade: req.Header.Get("Upgrade"), body: &firstBytes{}}
			if req.Body != nil {
				req.Body = &tee{ReadCloser: req.Body, to: seen.body}
			}
			if !r.note(seen) {
				http.Error(w, "the recorder does not pass this on", http.StatusForbidden)
				return
			}
			if r.cuts(seen) {
				proxy.ServeHTTP(lost{http.Header{}}, req)
				panic(http.ErrAbortHandler)
			}
			proxy.ServeHTTP(w, req)
		}),
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.ServeTLS(l, "", "")
	}()
	t.Cleanup(func() {
		_ = server.Close()
		<-done
		transport.CloseIdleConnections()
	})
}

// firstBytes keeps the beginning of a body that is read by another goroutine.
type firstBytes struct {
	mu  sync.Mutex
	buf []byte
}

const firstBytesMax = 64 << 10

func (f *firstBytes) add(p []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.buf = append(f.buf, p[:min(len(p), firstBytesMax-len(f.buf))]...)
}

func (f *firstBytes) bytes() []byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.buf)
}

type tee struct {
	io.ReadCloser
	to *firstBytes
}

func (t *tee) Read(p []byte) (int, error) {
	n, err := t.ReadCloser.Read(p)
	t.to.add(p[:n])
	return n, err
}
