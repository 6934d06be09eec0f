//go:build scale

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"fathom/internal/testcluster"
)

// cluster starts a sandbox and loads it; false when there is no memory for it.
func (r *scaleRun) cluster() bool {
	r.t.Helper()
	if *scaleDir != "" {
		r.c = testcluster.At(r.t, *scaleDir)
		r.f.Pods = r.count()
		return true
	}
	members := *scaleMembers
	if members == 0 {
		members = 3
		if r.big() {
			members = 1
		}
	}
	r.f.Members = members
	args := []string{"--seed", "none", "--nodes", "3", "--members", fmt.Sprint(members)}
	// Without controllers: what they do after every change takes more of this machine than what is measured.
	load := []string{"load", "--without-controllers", "--nodes", fmt.Sprint(r.f.Nodes), "--pods", fmt.Sprint(r.f.Pods)}
	if r.big() {
		args = append(args, "--quota-bytes", fmt.Sprint(8<<30), "--lean")
	}
	r.c = testcluster.Start(r.t, args...)
	began := time.Now()
	out, err := r.sandbox(append(load, "--check")...).CombinedOutput()
	if err != nil {
		fmt.Printf("SKIPPED: %s", out)
		r.t.Skipf("%s", out)
	}
	r.note("loading %d nodes and %d pods", r.f.Nodes, r.f.Pods)
	if out, err := r.sandbox(load...).CombinedOutput(); err != nil {
		r.t.Fatalf("load: %v\n%s", err, out)
	}
	r.f.Load = time.Since(began)
	r.rest()
	return true
}

// sandbox is a subcommand of the sandbox on this cluster.
func (r *scaleRun) sandbox(args ...string) *exec.Cmd {
	return exec.Command(testcluster.Binary(r.t, "fathom-sandbox"), append(args, "--dir", r.c.Dir)...)
}

// rest waits until the API server has next to nothing to do.
func (r *scaleRun) rest() {
	r.t.Helper()
	pid := r.pids()["apiserver"]
	deadline := time.Now().Add(4 * time.Minute)
	for quiet := 0; quiet < 3; {
		before, err := cpuOf(pid)
		if err != nil {
			r.t.Fatal(err)
		}
		<-time.After(2 * time.Second)
		after, err := cpuOf(pid)
		if err != nil {
			r.t.Fatal(err)
		}
		if after-before < 500*time.Millisecond {
			quiet++
		} else {
			quiet = 0
		}
		if time.Now().After(deadline) {
			r.note("the API server is still busy: the figures will be worse for it")
			return
		}
	}
}

// even makes the API server collect its garbage and waits until it rests. With a heap of 3 GB that takes it seconds of both cores, and who is
// measured meanwhile waits: once three of five turns of one were hit, and one of the other's.
func (r *scaleRun) even() {
	r.t.Helper()
	kubectl := exec.Command(testcluster.Binary(r.t, "fathom-sandbox"), "kubectl", "--dir", r.c.Dir, "get", "--raw", "/debug/pprof/heap?gc=1&debug=1")
	if out, err := kubectl.CombinedOutput(); err != nil {
		r.t.Fatalf("make the API server collect its garbage: %v: %.200s", err, out)
	}
	r.rest()
}

// pids are the processes of the cluster.
func (r *scaleRun) pids() map[string]int {
	r.t.Helper()
	out, err := r.sandbox("status", "-o", "json").Output()
	var st struct {
		Components []struct {
			Name string
			PID  int
		}
	}
	if err == nil {
		err = json.Unmarshal(out, &st)
	}
	if err != nil {
		r.t.Fatalf("status of the sandbox: %v", err)
	}
	pids := map[string]int{}
	for _, c := range st.Components {
		if c.PID != 0 {
			pids[c.Name] = c.PID
		}
	}
	return pids
}

func (r *scaleRun) servers(moment string) {
	all := map[string]memory{}
	for name, pid := range r.pids() {
		if m, err := memoryOf(pid); err == nil {
			all[name] = m
		}
	}
	r.f.Servers[moment] = all
}

// serverCPU adds up the API server's processor time while do runs.
func (r *scaleRun) serverCPU(what string, do func()) {
	r.t.Helper()
	pid := r.pids()["apiserver"]
	before, err := cpuOf(pid)
	do()
	after, err2 := cpuOf(pid)
	if err == nil && err2 == nil {
		r.f.ServerCPU[what] = append(r.f.ServerCPU[what], (after - before).Seconds())
	}
}

// count asks etcd how many pods there are.
func (r *scaleRun) count() int {
	r.t.Helper()
	out, err := r.sandbox("count").Output()
	var n int
	if err == nil {
		_, err = fmt.Sscan(string(out), &n)
	}
	if err != nil {
		r.t.Fatalf("count the pods: %v", err)
	}
	return n
}

// profile takes a profile of fathom's processor time in the background, or of its heap when how is 0.
func (r *scaleRun) profile(name string, how time.Duration) {
	if r.pprof == "" {
		return
	}
	url := "http://" + r.pprof + "/debug/pprof/heap"
	if how > 0 {
		url = fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%d", r.pprof, int(how.Seconds()))
	}
	done := make(chan struct{})
	r.t.Cleanup(func() { <-done })
	go func() {
		defer close(done)
		if err := fetch(url, filepath.Join(*scaleProfile, fmt.Sprintf("%s-%d.pb.gz", name, r.f.Pods))); err != nil {
			r.t.Errorf("profile %s: %v", name, err)
		}
	}()
}

// fetch saves what a URL answers; fathom may need a moment until it listens.
func fetch(url, path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	var res *http.Response
	var err error
	for range 200 {
		if res, err = http.Get(url); err == nil {
			break
		}
		<-time.After(10 * time.Millisecond)
	}
	if err != nil {
		return err
	}
	defer res.Body.Close()
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(f, res.Body)
	return err
}

// freeAddress is an address of this machine that nothing listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
