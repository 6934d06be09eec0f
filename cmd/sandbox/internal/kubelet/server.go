// Package kubelet answers for the simulated kubelets: container logs, exec,
// attach and port-forward, over mutual TLS, as the API server asks for them.
//
// kwok has a server of its own, but it lets anybody on the machine in and runs
// exec as a command of the host. Here nothing leaves the process: logs are
// computed, and exec runs a small shell on a made-up file system.
package kubelet

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"fathom/cmd/sandbox/internal/layout"
	"fathom/cmd/sandbox/internal/pki"
)

// Server is the one server behind the kubelet endpoints of all nodes.
type Server struct {
	Dir    layout.Dir
	Port   int
	Client kubernetes.Interface

	mu      sync.Mutex
	volumes map[types.UID]*files
}

// Run serves until the context ends or the listener fails.
func (s *Server) Run(ctx context.Context) error {
	config, err := s.tlsConfig()
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp4", fmt.Sprintf("127.0.0.1:%d", s.Port))
	if err != nil {
		return fmt.Errorf("kubelet server: %w", err)
	}
	srv := &http.Server{Handler: s.handler(), ReadHeaderTimeout: 10 * time.Second}
	go func() {
		<-ctx.Done()
		_ = srv.Close()
	}()
	err = srv.Serve(tls.NewListener(l, config))
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("kubelet server on %s: %w", l.Addr(), err)
}

// tlsConfig lets in only the API server, by the client certificate it uses for
// kubelets.
func (s *Server) tlsConfig() (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(s.Dir.KubeletCert(), s.Dir.KubeletKey())
	if err != nil {
		return nil, fmt.Errorf("kubelet serving certificate: %w", err)
	}
	caFile := s.Dir.Host(layout.PKIDir + "/ca.crt")
	ca, err := os.ReadFile(caFile)
	if err != nil {
		return nil, fmt.Errorf("kubelet client CA: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(ca) {
		return nil, fmt.Errorf("kubelet client CA: no certificate in %s", caFile)
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair},
		ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool,
		// SPDY upgrades need HTTP/1.1.
		NextProtos: []string{"http/1.1"},
		VerifyConnection: func(c tls.ConnectionState) error {
			if name := c.PeerCertificates[0].Subject.CommonName; name != pki.KubeletClientName {
				return fmt.Errorf("client %q may not use the kubelets", name)
			}
			return nil
		},
	}, nil
}

func (s *Server) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "ok") })
	mux.HandleFunc("GET /containerLogs/{ns}/{pod}/{container}", s.containerLogs)
	// Streams are asked for by GET over WebSocket, by POST over SPDY, and with
	// or without the pod's UID.
	for _, method := range []string{"GET", "POST"} {
		for verb, serve := range map[string]http.HandlerFunc{"exec": s.exec, "attach": s.attach} {
			mux.HandleFunc(method+" /"+verb+"/{ns}/{pod}/{container}", serve)
			mux.HandleFunc(method+" /"+verb+"/{ns}/{pod}/{uid}/{container}", serve)
		}
		mux.HandleFunc(method+" /portForward/{ns}/{pod}", s.portForward)
		mux.HandleFunc(method+" /portForward/{ns}/{pod}/{uid}", s.portForward)
	}
	return mux
}
