package actions

import (
	"context"
	"errors"
	"os"
	"strings"
	"sync"
	"testing"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"fathom/cluster"
)

// In read-only mode every registered action, run through the runner and below it, leaves no mutating request.
func TestReadOnly(t *testing.T) {
	api := newFakeAPI(t)
	api.seed()
	etcd := newFakeEtcd(t, 3)
	r := newRig(t, servers{api: api, etcd: etcd, readOnly: true})
	for _, a := range All() {
		for _, resource := range a.Resources {
			target := etcd.target(2)
			input := inputOf(a)
			etcd.change(func() { // so that only read-only mode is in the way
				etcd.alarms, etcd.quota = nil, 2<<30
				if a.ID == "etcd.recover-nospace" || a.ID == "etcd.disarm" {
					etcd.alarms = []*pb.AlarmMember{{MemberID: 2, Alarm: pb.AlarmType_NOSPACE}}
				}
				etcd.members[1].learner = a.ID == "members.promote"
			})
			switch resource {
			case "etcd":
				target = etcd.clusterTarget()
			case "pods":
				target = podTarget()
			case "nodes":
				target = nodeTarget()
			case "deployments", "statefulsets", "daemonsets", "replicasets":
				target = workloadTarget(map[string]string{
					"deployments": "Deployment", "statefulsets": "StatefulSet", "daemonsets": "DaemonSet", "replicasets": "ReplicaSet",
				}[resource])
			}
			etcd.change(func() { etcd.kv.serves = resource == "keys" || resource == "leases" })
			switch a.ID {
			case "keys.put":
				target = keyTarget("/new", nil)
			case "keys.edit", "keys.delete":
				target = etcd.kv.set("/a", "was", 0)
			case "leases.revoke":
				etcd.kv.set("/leased", "x", 7)
				target = leaseTarget(7)
			}
			if a.ID == "nodes.uncordon" {
				api.set(nodePath, `{"kind":"Node","apiVersion":"v1","metadata":{"name":"node-1","uid":"u-node"},"spec":{"unschedulable":true}}`)
			}
			if d, err := r.Preflight(t.Context(), a, target); err != nil || d.Allowed || !strings.Contains(d.Reason, "read-only") {
				t.Errorf("%s on %s: preflight %+v, %v", a.ID, resource, d, err)
			}
			if o := r.runAll(a, input, target)[0]; o.Status != Denied {
				t.Errorf("%s on %s: %+v", a.ID, resource, o)
			}
			// Below the runner: the guard in the transport is what holds.
			steps, err := a.Plan(t.Context(), r.cluster, Request{Target: target, Input: input, AuditID: "test"})
			must(t, err)
			_, err = steps[0].Do(t.Context(), r.cluster, Request{Target: steps[0].Target, Input: input, AuditID: "test"})
			if !errors.Is(err, cluster.ErrReadOnly) {
				t.Errorf("%s on %s: Do: %v, want the guard's error", a.ID, resource, err)
			} else if v := judge(err); v.status != Denied || v.ambiguous {
				t.Errorf("%s on %s: judged %+v", a.ID, resource, v)
			}
		}
	}
	if m := api.mutations(); len(m) != 0 {
		t.Errorf("left for the API server: %+v", m)
	}
	if m := etcd.mutations(); len(m) != 0 {
		t.Errorf("left for etcd: %v", m)
	}
	if _, err := os.Stat(r.journal.Path()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a journal was written though nothing can change: %v", err)
	}
}

func TestPreflight(t *testing.T) {
	api := newFakeAPI(t)
	api.allowed = func(resource, subresource, verb string) bool { return subresource != "scale" || verb != "patch" }
	r := newRig(t, servers{api: api})
	d, err := r.Preflight(t.Context(), r.action("workloads.scale"), workloadTarget("Deployment"))
	must(t, err)
	if d.Allowed || d.Reason != "needs patch on deployments/scale in namespace shop" || len(d.Missing) != 1 {
		t.Errorf("decision %+v", d)
	}
	if d, err = r.Preflight(t.Context(), r.action("pods.delete"), podTarget()); err != nil || !d.Allowed {
		t.Errorf("decision %+v, %v", d, err)
	}
	if d, err = r.Preflight(t.Context(), r.action("members.defragment"), Target{Resource: "members", Member: 1}); err != nil || !d.Allowed {
		t.Errorf("etcd has no preflight: %+v, %v", d, err)
	}
	must(t, os.Remove(r.journal.Path()))
	must(t, os.Mkdir(r.journal.Path(), 0o700))
	if d, err = r.Preflight(t.Context(), r.action("pods.delete"), podTarget()); err != nil || d.Allowed || !strings.Contains(d.Reason, "journal") {
		t.Errorf("without a journal: %+v, %v", d, err)
	}
}

func TestPreflightThatCannotAsk(t *testing.T) {
	api := newFakeAPI(t)
	r := newRig(t, servers{api: api})
	api.server.CloseClientConnections()
	api.server.Close()
	if d, err := r.Preflight(t.Context(), r.action("pods.delete"), podTarget()); err == nil || d.Allowed {
		t.Errorf("decision %+v, %v; want an error", d, err)
	}
}

func TestConfirmRefusesWhatHasNoIdentity(t *testing.T) {
	api := newFakeAPI(t)
	r := newRig(t, servers{api: api})
	nameless := podTarget()
	nameless.UID = ""
	for name, tc := range map[string]struct {
		id, input string
		targets   []Target
	}{
		"no target":         {"pods.delete", "", nil},
		"no UID":            {"pods.delete", "", []Target{podTarget(), nameless}},
		"another kind":      {"pods.delete", "", []Target{nodeTarget()}},
		"no number":         {"workloads.scale", "many", []Target{workloadTarget("Deployment")}},
		"an empty number":   {"workloads.scale", "", []Target{workloadTarget("Deployment")}},
		"a negative number": {"workloads.scale", "-1", []Target{workloadTarget("Deployment")}},
		"too many":          {"workloads.scale", "100001", []Target{workloadTarget("Deployment")}},
		"far too many":      {"workloads.scale", "99999999999999999999", []Target{workloadTarget("Deployment")}},
		"a DaemonSet":       {"workloads.scale", "1", []Target{workloadTarget("DaemonSet")}},
	} {
		if _, err := r.Confirm(r.action(tc.id), tc.input, tc.targets...); err == nil {
			t.Errorf("%s: confirmed", name)
		}
	}
}

// A confirmation is good for one run, also when two goroutines race for it.
func TestConfirmationIsUsedOnce(t *testing.T) {
	api := newFakeAPI(t)
	api.seed()
	r := newRig(t, servers{api: api})
	c, err := r.Confirm(r.action("pods.delete"), "", podTarget())
	must(t, err)
	var wg sync.WaitGroup
	statuses := make(chan Status, 8)
	for range cap(statuses) {
		wg.Go(func() { statuses <- r.Run(context.Background(), c, nil)[0].Status })
	}
	wg.Wait()
	close(statuses)
	count := map[Status]int{}
	for s := range statuses {
		count[s]++
	}
	if count[Done] != 1 || count[Refused] != 7 || len(api.mutations()) != 1 {
		t.Fatalf("outcomes %v, %d requests", count, len(api.mutations()))
	}
}

// Marked pods are deleted one at a time, each with an outcome of its own.
func TestBulk(t *testing.T) {
	api := newFakeAPI(t)
	api.seed()
	for _, name := range []string{"a", "c"} {
		api.set("/api/v1/namespaces/shop/pods/"+name, `{"kind":"Pod","apiVersion":"v1","metadata":{"name":"`+name+`"}}`)
	}
	r := newRig(t, servers{api: api})
	var targets []Target
	for _, name := range []string{"a", "b", "c"} {
		p := podTarget()
		p.Name = name
		targets = append(targets, p)
	}
	outs := r.runAll(r.action("pods.delete"), "", targets...)
	if len(outs) != 3 || outs[0].Status != Done || outs[1].Status != Conflict || outs[2].Status != Done {
		t.Fatalf("outcomes %+v", outs)
	}
	if rep := r.journalled(); rep.Records != 6 || len(rep.Open) != 0 {
		t.Fatalf("journal %+v", rep)
	}
}

func TestWithoutJournalNothingIsSent(t *testing.T) {
	api := newFakeAPI(t)
	api.seed()
	r := newRig(t, servers{api: api})
	must(t, os.MkdirAll(r.journal.Path(), 0o700))
	outs := r.runAll(r.action("pods.delete"), "", podTarget(), podTarget())
	if outs[0].Status != Denied || !strings.Contains(outs[0].Message, "nothing was sent") || outs[0].AuditID != "" {
		t.Errorf("outcome %+v", outs[0])
	}
	if outs[1].Status != Refused {
		t.Errorf("outcome %+v", outs[1])
	}
	if m := api.mutations(); len(m) != 0 {
		t.Fatalf("sent %+v", m)
	}
}

func TestOutcomeThatCannotBeJournalled(t *testing.T) {
	api := newFakeAPI(t)
	api.seed()
	r := newRig(t, servers{api: api})
	a := r.action("pods.delete")
	do := a.Do
	a.Do = func(ctx context.Context, c *cluster.Cluster, req Request) (string, error) {
		must(t, os.Rename(r.journal.Path(), r.journal.Path()+".away"))
		must(t, os.Mkdir(r.journal.Path(), 0o700))
		return do(ctx, c, req)
	}
	o := r.runAll(a, "", podTarget())[0]
	if o.Status != Done {
		t.Errorf("outcome %+v", o)
	}
	wantContains(t, o.Message, "NOT in the journal", o.AuditID)
}

func TestRegistry(t *testing.T) {
	seen := map[string]bool{}
	for _, a := range All() {
		if seen[a.ID] {
			t.Errorf("two actions %s", a.ID)
		}
		seen[a.ID] = true
		if a.Title == "" || a.Verb == "" || len(a.Resources) == 0 || a.Preview == nil || (a.Do == nil) != (a.Steps != nil) || (a.Verify == nil) != (a.Steps != nil) {
			t.Errorf("%s is not complete", a.ID)
		}
		if ofEtcd := a.Applies("members") || a.Applies("etcd") || a.Applies("keys") || a.Applies("leases"); (a.Permission == nil) != ofEtcd {
			t.Errorf("%s: every action on the API server says which permission it needs", a.ID)
		}
		if got, ok := Lookup(a.ID); !ok || got.ID != a.ID {
			t.Errorf("%s is not found", a.ID)
		}
	}
	if got := For("daemonsets"); len(got) != 1 || got[0].ID != "workloads.restart" {
		t.Errorf("for daemonsets: %v", got)
	}
}
