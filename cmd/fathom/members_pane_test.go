//go:build integration

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"fathom/internal/testcluster"
)

// finding is the JSON of `print findings`, with exactly the promised names.
type finding struct {
	Kind     string   `json:"kind"`
	Severity string   `json:"severity"`
	Members  string   `json:"members"`
	Text     string   `json:"text"`
	Meaning  string   `json:"meaning"`
	Next     string   `json:"next"`
	Source   string   `json:"source"`
	Since    *string  `json:"since"`
	Unknown  []string `json:"unknown"`
}

// write puts a key five times a second until the test ends.
func write(t *testing.T, c *testcluster.Cluster) {
	cli := etcdClient(t, c)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(200 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				put, stop := context.WithTimeout(ctx, time.Second)
				_, _ = cli.Put(put, "/beat", time.Now().String()) // it fails while there is no leader
				stop()
			}
		}
	}()
	t.Cleanup(func() { cancel(); <-done })
}

// The Raft pane on a real cluster of three: what it says while all is well, why there was an election once the leader was killed, and
// what to do about it.
func TestIntegrationMembersPane(t *testing.T) {
	c := testcluster.Start(t, "--etcd-only", "--fsync", "--members", "3")
	env := slices.DeleteFunc(c.Env(t), func(kv string) bool { return strings.HasPrefix(kv, "KUBECONFIG=") })
	open := func(w, h int, args string) *testcluster.Terminal {
		term := testcluster.NewTerminal(t, w, h, env)
		term.Line(testcluster.Binary(t, "fathom") + " " + args + "; echo exit=$?")
		return term
	}
	write(t, c) // without writes there is no fsync to measure
	small, wide := open(80, 24, "-c members"), open(200, 60, "-c members --ascii")

	s := small.WaitFor("quorum 3/3", "3 voting members, quorum 2, may lose 1", "etcd-1", "etcd-2", "etcd-3", "leader", "database", "if it goes:")
	checkFrame(t, s, 80, 24)
	// The metrics are read twice before there is a quantile.
	s = wide.WaitUntil("latencies, certificates and the advice on the version", func(s string) bool {
		return regexp.MustCompile(`fsync p99 +[_.=#-].* [0-9.]+m?s max`).MatchString(s) && regexp.MustCompile(`certificates +client ends in .*peer ends in`).MatchString(s) &&
			strings.Contains(s, "-- versions --") && strings.Contains(s, "GHSA-6vch-q96h-7gc3")
	})
	checkFrame(t, s, 200, 60)
	if strings.Contains(s, "no metrics") {
		t.Errorf("every member has metrics:\n%s", s)
	}
	small.Keys("Enter")
	s = small.WaitFor("of", "PgDn", "peer RTT p99")
	checkFrame(t, s, 80, 24)
	for range 4 {
		small.Keys("PageDown")
	}
	small.WaitFor("peer URLs", "storage 3.6")
	small.Keys("Enter")
	small.WaitFor("ROLE")

	ms := members(t, c, env)
	before, n := leaderOf(ms)
	if n != 1 {
		t.Fatalf("%d leaders: %+v", n, ms)
	}
	small.Type("t")
	small.WaitFor("terms and leaders", before.Name+" led already")

	c.Run(t, "kill", before.Name)
	answer := regexp.MustCompile(`(?s)leads, after ` + before.Name + `.*before +[^\n]*` + before.Name)
	s = small.WaitUntil("the answer to: why did we elect?", func(s string) bool { return answer.MatchString(s) && strings.Contains(s, "2/3") })
	checkFrame(t, s, 80, 24)
	s = wide.WaitUntil("the same beside the member", func(s string) bool { return answer.MatchString(s) && strings.Contains(s, "none may fail") })
	checkFrame(t, s, 200, 60)

	small.Type("w")
	s = small.WaitFor("findings", "SEVERITY", before.Name+" does not answer", "means", "do ")
	checkFrame(t, s, 80, 24)
	out, errs, code := fathom(t, env, "print", "findings", "-o", "json")
	if code != 0 {
		t.Fatalf("print findings: exit %d: %s", code, errs)
	}
	var found []finding
	dec := json.NewDecoder(strings.NewReader(out))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&found); err != nil {
		t.Fatalf("print findings -o json: %v\n%s", err, out)
	}
	seen := map[string]finding{}
	for _, f := range found {
		seen[f.Kind] = f
		if f.Kind != "not-known" && (f.Meaning == "" || f.Next == "") {
			t.Errorf("a finding says neither what it means nor what to do: %+v", f)
		}
	}
	if f := seen["unreachable"]; f.Members != before.Name || f.Since == nil {
		t.Errorf("the killed member: %+v of %s", f, out)
	}
	if f := seen["version/ghsa-6vch-q96h-7gc3"]; f.Severity != "warning" || f.Members == "" || strings.Contains(f.Members, before.Name) || !strings.HasPrefix(f.Source, "https://") {
		t.Errorf("the advice: %+v", f)
	}
	if u := strings.Join(seen["not-known"].Unknown, "\n"); !strings.Contains(u, "the version of "+before.Name) {
		t.Errorf("the advisor does not say that it knows no version of the killed member: %s", u)
	}

	c.Run(t, "restart", before.Name)
	testcluster.Eventually(t, time.Minute, "all is well again, by itself", func() error {
		if s := wide.Screen(); !strings.Contains(s, "quorum 3/3") {
			return fmt.Errorf("the screen:\n%s", s)
		}
		return nil
	})
	for _, m := range members(t, c, env) {
		if m.ProposalsPending == nil || m.LeaderChanges == nil || m.ClientCertNotAfter == nil || m.PeerCertNotAfter == nil || m.Fragmentation == nil {
			t.Errorf("print members does not wait for the metrics and the certificates of %s: %+v", m.Name, m)
		}
	}
}
