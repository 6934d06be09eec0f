package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/pprof"
	"strconv"
	"time"

	"fathom/internal/run"
)

// pprofListen opens the address of --pprof. It must be a loopback IP: a profile tells what the process does to whoever asks, and
// nobody else is to be asked. Port 0 is any free one.
func pprofListen(address string) (net.Listener, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, usageError{fmt.Errorf("--pprof %s: %w; give it as 127.0.0.1:PORT", address, err)}
	}
	ip := net.ParseIP(host)
	if ip == nil || !ip.IsLoopback() {
		return nil, usageError{fmt.Errorf("--pprof %s: only a loopback IP is served, such as 127.0.0.1 or [::1]", address)}
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil {
		return nil, usageError{fmt.Errorf("--pprof %s: the port must be a number from 0 to 65535", address)}
	} else if l, err := net.Listen("tcp", net.JoinHostPort(ip.String(), strconv.FormatUint(n, 10))); err == nil {
		return l, nil
	} else {
		var op *net.OpError
		if errors.As(err, &op) {
			err = op.Err
		}
		return nil, fmt.Errorf("--pprof %s: listening failed: %w; port 0 takes any free one", address, err)
	}
}

// pprofServe serves the profiles until the group ends, and notes in the log where.
func pprofServe(g *run.Group, l net.Listener, log io.Writer) {
	mux := http.NewServeMux() // our own: what else registers with the default one is not served
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	s := &http.Server{Handler: onlyLocal(mux), ReadHeaderTimeout: 5 * time.Second}
	fmt.Fprintf(log, "%s profiles are served at %s\n", time.Now().UTC().Format(time.RFC3339), pprofURL(l))
	g.Go("pprof", func(context.Context) { _ = s.Serve(l) })
	g.Go("pprof end", func(ctx context.Context) {
		<-ctx.Done()
		_ = s.Close() // a profile that is being taken is cut off: fathom ends when it is told to
	})
}

func pprofURL(l net.Listener) string { return "http://" + l.Addr().String() + "/debug/pprof/" }

// onlyLocal refuses what a web page could make a browser on this machine ask for: a request under another name than an address.
func onlyLocal(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, err := net.SplitHostPort(r.Host)
		if err != nil {
			host = r.Host
		}
		if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
			http.Error(w, "asked for under another name than a loopback address", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}
