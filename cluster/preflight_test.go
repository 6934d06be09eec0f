package cluster

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// etcdServer answers Status and nothing else.
type etcdServer struct {
	pb.UnimplementedMaintenanceServer
	pb.UnimplementedAuthServer
	logins func(*pb.AuthenticateRequest) (*pb.AuthenticateResponse, error)
	status func(context.Context) error
}

func (s *etcdServer) Status(ctx context.Context, _ *pb.StatusRequest) (*pb.StatusResponse, error) {
	if s.status != nil {
		if err := s.status(ctx); err != nil {
			return nil, err
		}
	}
	return &pb.StatusResponse{Header: &pb.ResponseHeader{MemberId: 7}, Leader: 7, Version: "3.6.8"}, nil
}

func (s *etcdServer) Authenticate(_ context.Context, r *pb.AuthenticateRequest) (*pb.AuthenticateResponse, error) {
	return s.logins(r)
}

func (a *authority) etcd(left time.Duration, s *etcdServer) string {
	a.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		a.t.Fatal(err)
	}
	g := grpc.NewServer(grpc.Creds(credentials.NewTLS(a.serverTLS(left, tls.RequireAndVerifyClientCert))))
	pb.RegisterMaintenanceServer(g, s)
	pb.RegisterAuthServer(g, s)
	done := make(chan struct{})
	go func() { defer close(done); _ = g.Serve(l) }()
	a.t.Cleanup(func() { g.Stop(); <-done })
	return "https://" + l.Addr().String()
}

func alive(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok")) }

func unauthorized(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusUnauthorized)
	_ = json.NewEncoder(w).Encode(map[string]any{"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Unauthorized", "code": 401, "message": "Unauthorized"})
}

// hanging accepts connections and never answers.
func hanging(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l.Addr().String() // the kernel accepts
}

func TestPreflight(t *testing.T) {
	cleanEnv(t)
	ca, other := newAuthority(t), newAuthority(t)
	good := ca.apiServer(time.Hour, alive).URL
	for name, c := range map[string]struct {
		server string
		config func(*clientcmdapi.Config)
		want   []string // none: the screen opens
	}{
		"alive":       {server: good},
		"unhealthy":   {server: ca.apiServer(time.Hour, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }).URL},
		"forbidden":   {server: ca.apiServer(time.Hour, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(403) }).URL},
		"no answer":   {server: "https://" + hanging(t)},
		"refused":     {server: "https://" + refusedPort(t), want: []string{"connection refused", `context "test"`}},
		"credentials": {server: ca.apiServer(time.Hour, unauthorized).URL, want: []string{"401"}},
		"server's certificate expired": {
			server: ca.apiServer(-time.Hour, alive).URL, want: []string{"expired"},
		},
		"wrong CA": {
			server: good, want: []string{"not signed by the given CA"},
			config: func(k *clientcmdapi.Config) { k.Clusters["cluster"].CertificateAuthorityData = other.pem },
		},
		"certificate of another CA": {
			server: good, want: []string{"does not accept the client certificate"},
			config: func(k *clientcmdapi.Config) {
				k.AuthInfos["admin"].ClientCertificateData, k.AuthInfos["admin"].ClientKeyData = other.issue("x", time.Hour)
			},
		},
		"our certificate expired": {
			server: "https://" + hanging(t), want: []string{"expired on", "renew"},
			config: func(k *clientcmdapi.Config) {
				k.AuthInfos["admin"].ClientCertificateData, k.AuthInfos["admin"].ClientKeyData = ca.issue("x", -time.Hour)
			},
		},
		"certificate for another name": {
			server: good, want: []string{"for other names"},
			config: func(k *clientcmdapi.Config) { k.Clusters["cluster"].TLSServerName = "kubernetes.example" },
		},
	} {
		t.Run(name, func(t *testing.T) {
			k := ca.kubeconfig(c.server)
			if c.config != nil {
				c.config(k)
			}
			cl := open(t, options(t, k))
			// Definite failures are told at once; the deadline is only for a loaded machine.
			budget := 5 * time.Second
			if c.want == nil {
				budget = PreflightBudget
			}
			ctx, cancel := context.WithTimeout(t.Context(), budget)
			defer cancel()
			checkLine(t, Preflight(ctx, cl), c.want)
		})
	}
}

func checkLine(t *testing.T, err error, want []string) {
	t.Helper()
	if want == nil {
		if err != nil {
			t.Error(err)
		}
		return
	}
	if err == nil {
		t.Fatal("the screen opens")
	}
	t.Log(err)
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("more than a line: %q", err)
	}
	for _, w := range want {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%q does not say %q", err, w)
		}
	}
}

func TestPreflightEtcd(t *testing.T) {
	cleanEnv(t)
	ca, other := newAuthority(t), newAuthority(t)
	good := ca.etcd(time.Hour, &etcdServer{})
	refused := "https://" + refusedPort(t)
	dead := ca.kubeconfig(refused)
	for name, c := range map[string]struct {
		opt  Options
		want []string
	}{
		"API server refused, etcd alive":       {opt: ca.etcdOptions(options(t, dead), time.Hour, good)},
		"one member refused":                   {opt: ca.etcdOptions(options(t, dead), time.Hour, refused, good)},
		"API server refused, etcd hangs":       {opt: ca.etcdOptions(options(t, dead), time.Hour, "https://"+hanging(t))},
		"all refused":                          {ca.etcdOptions(options(t, dead), time.Hour, refused), []string{"API server", "etcd https://", "refused", "flags"}},
		"our etcd certificate expired":         {ca.etcdOptions(options(t, dead), -time.Hour, good), []string{"client certificate for etcd", "expired on"}},
		"etcd's certificate expired":           {ca.etcdOptions(options(t, dead), time.Hour, ca.etcd(-time.Hour, &etcdServer{})), []string{"expired"}},
		"wrong CA for etcd":                    {other.etcdOptions(options(t, dead), time.Hour, good), []string{"not signed by the given CA"}},
		"etcd does not know our certificate":   {withCert(ca.etcdOptions(options(t, dead), time.Hour, good), other), []string{"does not accept the client certificate"}},
		"TLS to a port that does not speak it": {ca.etcdOptions(options(t, dead), time.Hour, plainEtcd(t)), []string{"TLS"}},
	} {
		t.Run(name, func(t *testing.T) {
			budget := 5 * time.Second
			if c.want == nil {
				budget = PreflightBudget
			}
			ctx, cancel := context.WithTimeout(t.Context(), budget)
			defer cancel()
			checkLine(t, Preflight(ctx, open(t, c.opt)), c.want)
		})
	}
}

func withCert(o Options, a *authority) Options {
	c, k := a.issue("x", time.Hour)
	o.Etcd.Cert, o.Etcd.Key = write(a.t, "x.crt", c), write(a.t, "x.key", k)
	return o
}

// plainEtcd is the https URL of a server that speaks plain HTTP/2.
func plainEtcd(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = (&http.Server{Handler: http.HandlerFunc(alive), ErrorLog: quietLog}).Serve(l)
	}()
	t.Cleanup(func() { _ = l.Close(); <-done })
	return "https://" + l.Addr().String()
}

func TestPreflightKeepsItsBudget(t *testing.T) {
	cleanEnv(t)
	ca := newAuthority(t)
	c := open(t, ca.etcdOptions(options(t, ca.kubeconfig("https://"+hanging(t))), time.Hour, "https://"+hanging(t)))
	began := time.Now()
	if err := Preflight(context.Background(), c); err != nil {
		t.Error(err)
	}
	if took := time.Since(began); took > time.Second {
		t.Errorf("took %s", took)
	}
}

// TestDoctorUnreachable: an expired certificate, a hanging server and a refused port end in one report with the reasons.
func TestDoctorUnreachable(t *testing.T) {
	cleanEnv(t)
	ca := newAuthority(t)
	k := ca.kubeconfig("https://" + refusedPort(t))
	k.AuthInfos["admin"].ClientCertificateData, k.AuthInfos["admin"].ClientKeyData = ca.issue("x", -time.Hour)
	c := open(t, ca.etcdOptions(options(t, k), 10*24*time.Hour, "https://"+refusedPort(t)))
	r := Doctor(t.Context(), c)
	if r.Exit() != 1 || !strings.Contains(r.Problem, "expired on") || !strings.Contains(r.Problem, "refused") {
		t.Errorf("exit %d: %s", r.Exit(), r.Problem)
	}
	status := map[string]string{}
	for _, x := range r.Certificates {
		status[x.Use] = x.Status
	}
	if status["client certificate for the API server"] != "expired" || status["client certificate for etcd"] != "expires soon" {
		t.Errorf("%+v", r.Certificates)
	}
	var b strings.Builder
	if err := r.WriteTable(&b); err != nil || !strings.Contains(b.String(), "Nothing can be shown") {
		t.Errorf("%v\n%s", err, b.String())
	}
	j, err := json.Marshal(r)
	if err != nil || !strings.Contains(string(j), `"daysLeft":-1`) {
		t.Errorf("%v %s", err, j)
	}
}

// TestReportIsSafe: what a server sends cannot reach the terminal as a control sequence.
func TestReportIsSafe(t *testing.T) {
	const evil = "\x1b]52;c;ZXZpbA==\x07\u009b2J\nx\ty"
	r := Report{
		Identity: Identity{Context: evil, User: evil}, Kubernetes: &KubeReport{Server: evil, Error: evil},
		Etcd:    &EtcdReport{Source: evil, Endpoints: []EndpointReport{{Endpoint: evil, Reachable: true, Name: evil, Errors: []string{evil}}}},
		Missing: []Missing{{What: evil, Why: evil, Tried: []string{evil}}}, Problem: evil,
		Certificates: []CertificateReport{{Use: evil}}, Access: []AccessReport{{Verb: evil, Error: evil}},
	}
	var b strings.Builder
	if err := r.WriteTable(&b); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"\x1b", "\x07", "\u009b", "\t"} {
		if strings.Contains(b.String(), bad) {
			t.Errorf("%q is in the table", bad)
		}
	}
}

func tokenOf(ctx context.Context) string {
	md, _ := metadata.FromIncomingContext(ctx)
	if v := md.Get("token"); len(v) > 0 {
		return v[0]
	}
	return ""
}
