package main

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"fathom/internal/pty"
	"fathom/internal/run"
)

// Profiles are served on loopback addresses only, and every refusal is one line that says what to give instead.
func TestPprofAddresses(t *testing.T) {
	for _, bad := range []string{"", "6060", ":6060", "0.0.0.0:6060", "[::]:6060", "192.0.2.1:6060", "localhost:6060", "127.0.0.1", "127.0.0.1:http", "127.0.0.1:70000", "[fe80::1]:1"} {
		l, err := pprofListen(bad)
		if err == nil {
			l.Close()
			t.Errorf("--pprof %q was accepted", bad)
			continue
		}
		var usage usageError
		if !errors.As(err, &usage) || strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), "--pprof") {
			t.Errorf("--pprof %q: %v", bad, err)
		}
	}
	l, err := pprofListen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if _, err = pprofListen(l.Addr().String()); err == nil || !strings.Contains(err.Error(), "address already in use") {
		t.Errorf("an address in use: %v", err)
	}
}

func TestPprofServesUntilTheGroupEnds(t *testing.T) {
	l, err := pprofListen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := run.NewGroup(context.Background(), func(p run.Panic) { t.Errorf("%s: %v", p.Name, p.Value) })
	var log strings.Builder
	pprofServe(g, l, &log)
	if !strings.Contains(log.String(), pprofURL(l)) {
		t.Errorf("the log does not say where: %q", log.String())
	}
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	heapProfile(t, client, pprofURL(l))
	req, _ := http.NewRequest(http.MethodGet, pprofURL(l), nil)
	req.Host = "attacker.example"
	if r, err := client.Do(req); err != nil || r.StatusCode != http.StatusForbidden {
		t.Errorf("asked for under another name: %v, %v", r, err)
	} else {
		r.Body.Close()
	}
	if r, err := client.Get("http://" + l.Addr().String() + "/"); err != nil || r.StatusCode != http.StatusNotFound {
		t.Errorf("something beside the profiles is served: %v, %v", r, err)
	} else {
		r.Body.Close()
	}
	g.Stop()
	if c, err := net.DialTimeout("tcp", l.Addr().String(), time.Second); err == nil {
		c.Close()
		t.Error("still served after the end")
	}
}

// heapProfile fetches a heap profile and checks that it is one.
func heapProfile(t *testing.T, client *http.Client, url string) {
	t.Helper()
	r, err := client.Get(url + "heap")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	data, err := io.ReadAll(r.Body)
	if err != nil || r.StatusCode != http.StatusOK || len(data) < 2 || data[0] != 0x1f || data[1] != 0x8b {
		t.Errorf("heap profile: %s, %d bytes, %v", r.Status, len(data), err)
	}
}

// A profile can be taken while the screen is up, and an address in use costs one line and no screen.
func TestPprofOfARunningFathom(t *testing.T) {
	env, dir := silentEnv(t)
	x := startSelf(t, env, pty.Options{Cols: 120, Rows: 30}, "--no-etcd", "--pprof", "127.0.0.1:0")
	var url string
	if _, err := x.Wait(20*time.Second, "where the profiles are", func(s *pty.Screen) bool {
		url = regexp.MustCompile(`http://127\.0\.0\.1:\d+/debug/pprof/`).FindString(s.String())
		return url != ""
	}); err != nil {
		t.Fatal(err)
	}
	log, err := os.ReadFile(filepath.Join(dir, "fathom", "fathom.log"))
	if err != nil || !strings.Contains(string(log), url) {
		t.Errorf("the log does not say where: %v\n%s", err, log)
	}
	heapProfile(t, &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}, url)

	address := strings.TrimSuffix(strings.TrimPrefix(url, "http://"), "/debug/pprof/")
	second := startSelf(t, env, pty.Options{Cols: 120, Rows: 30}, "--no-etcd", "--pprof", address)
	select {
	case <-second.Done():
	case <-time.After(20 * time.Second):
		t.Fatalf("it runs though the address is in use:\n%s", second.Text())
	}
	out := strings.TrimSpace(second.Output())
	if second.ExitCode() != exitFailed || strings.Contains(out, "\n") || strings.Contains(out, "\x1b") || !strings.Contains(out, address) {
		t.Errorf("exit %d: %q", second.ExitCode(), out)
	}
}
