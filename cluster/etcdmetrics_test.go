package cluster

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func (a *authority) openMembers(endpoint string, metrics ...string) *Etcd {
	a.t.Helper()
	cert, key := a.issue("etcd-client", 40*24*time.Hour)
	c, err := Open(Options{ReadOnly: true, Etcd: EtcdOptions{Endpoints: []string{endpoint}, CACert: write(a.t, "ca.crt", a.pem),
		Cert: write(a.t, "client.crt", cert), Key: write(a.t, "client.key", key), MetricsURLs: metrics, Env: func(string) string { return "" }}})
	if err != nil {
		a.t.Fatal(err)
	}
	a.t.Cleanup(c.Close)
	return c.Etcd()
}

func TestReadMetrics(t *testing.T) {
	cleanEnv(t)
	ca := newAuthority(t)
	var asked atomic.Int64
	s := ca.apiServer(time.Hour, func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		switch {
		case r.Method != http.MethodGet || r.Body != http.NoBody:
			t.Errorf("it is sent %s", r.Method)
		case r.URL.Path == "/metrics":
			fmt.Fprint(w, "etcd_server_has_leader 1\n")
		case r.URL.Path == "/huge/metrics":
			for range MaxMetrics >> 10 {
				_, _ = w.Write(make([]byte, 1025))
			}
		case r.URL.Path == "/away/metrics":
			http.Redirect(w, r, "/metrics", http.StatusFound)
		default:
			http.NotFound(w, r)
		}
	})
	e := ca.openMembers(s.URL)
	read := func(url string) (string, error) {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		var text []byte
		err := e.ReadMetrics(ctx, url, func(r io.Reader) (err error) {
			text, err = io.ReadAll(r)
			return err
		})
		return string(text), err
	}
	before := e.guard.Counts().Sent
	for range 3 {
		if got, err := read(s.URL + "/metrics"); got != "etcd_server_has_leader 1\n" || err != nil {
			t.Fatalf("%q, %v", got, err)
		}
	}
	if n := e.guard.Counts().Sent - before; n != 3 {
		t.Errorf("the guard counted %d requests, 3 were sent", n)
	}
	for url, want := range map[string]string{
		s.URL + "/none/metrics": "404", s.URL + "/huge/metrics": "more than 8 MB", s.URL + "/away/metrics": "302",
	} {
		if _, err := read(url); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), url) {
			t.Errorf("%s: %v, want %q", url, err, want)
		}
	}
	sent := asked.Load()
	if _, err := read(s.URL + "/v3/kv/put"); err == nil || asked.Load() != sent {
		t.Error("something else than metrics is asked for")
	}
	want := errors.New("not what was expected")
	if err := e.ReadMetrics(t.Context(), s.URL+"/metrics", func(io.Reader) error { return want }); !errors.Is(err, want) {
		t.Errorf("the reader's error is lost: %v", err)
	}
}

func TestMetricsURLs(t *testing.T) {
	cleanEnv(t)
	ca := newAuthority(t)
	e := ca.openMembers("https://10.0.0.1:2379,https://10.0.0.2:2379")
	if got := e.MetricsURLs(e.Members()[1]); !slices.Equal(got, []string{"https://10.0.0.2:2379/metrics"}) {
		t.Errorf("without any given: %v", got)
	}
	e = ca.openMembers("https://10.0.0.1:2379,https://10.0.0.2:2379,https://10.0.0.3:2379", "10.0.0.3:2381, http://10.0.0.1:2381/", "http://10.0.0.9:2381/some/metrics")
	one, three, nine := "http://10.0.0.1:2381/metrics", "http://10.0.0.3:2381/metrics", "http://10.0.0.9:2381/some/metrics"
	for i, want := range [][]string{{three, one, nine}, {one, three, nine}, {three, nine, one}} { // in its place, or on its host; then the others
		if got := e.MetricsURLs(e.Members()[i]); !slices.Equal(got, want) {
			t.Errorf("member %d is looked for at %v, want %v", i+1, got, want)
		}
	}
	for _, bad := range []string{"ftp://a:1", "http://", "http://user:pw@a:1", "http://a:b:c", "http://a:1/metrics?x=y"} {
		if got, err := metricsURLs([]string{bad}); err == nil {
			t.Errorf("%s is taken: %v", bad, got)
		}
	}
}

// A certificate is shown before anything else can go wrong, also one that has expired, and also to a client that is then refused.
func TestShowCertificate(t *testing.T) {
	cleanEnv(t)
	ca, others := newAuthority(t), newAuthority(t)
	plain := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(plain.Close)
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	old := others.serverTLS(-time.Minute, tls.RequireAndVerifyClientCert)
	oldTLS12 := others.serverTLS(-time.Minute, tls.RequireAndVerifyClientCert)
	oldTLS12.MaxVersion = tls.VersionTLS12
	fine := ca.apiServer(time.Hour, http.NotFound)
	e := ca.openMembers(fine.URL)
	for name, c := range map[string]struct {
		url     string
		expired bool
	}{
		"one that accepts us": {fine.URL, false}, "expired, of another CA": {others.serve(old, http.NotFound).URL, true},
		"the same with TLS 1.2": {others.serve(oldTLS12, http.NotFound).URL, true},
	} {
		leaf, err := e.ShowCertificate(t.Context(), c.url)
		if err != nil || leaf == nil || leaf.Subject.CommonName != "server" || time.Now().After(leaf.NotAfter) != c.expired {
			t.Errorf("%s: %+v, %v", name, leaf, err)
		}
	}
	if leaf, err := e.ShowCertificate(t.Context(), plain.URL); leaf != nil || err != nil {
		t.Errorf("without TLS: %v, %v", leaf, err)
	}
	if _, err := e.ShowCertificate(t.Context(), strings.Replace(closed.URL, "http:", "https:", 1)); err == nil || !strings.Contains(err.Error(), "TLS handshake with https://") {
		t.Errorf("nobody listens: %v", err)
	}
	file, leaf, err := e.ClientCertificate()
	if err != nil || leaf.Subject.CommonName != "etcd-client" || filepath.Base(file) != "client.crt" {
		t.Fatalf("ours: %s, %v, %v", file, leaf, err)
	}
	renewed, _ := ca.issue("renewed", time.Hour)
	if err := os.WriteFile(file, renewed, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, leaf, _ = e.ClientCertificate(); leaf.Subject.CommonName != "renewed" {
		t.Error("a renewed certificate is not taken up")
	}
}
