package actions

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// What leaves for the API server is exactly this: method, path, body with its preconditions.
func TestRequests(t *testing.T) {
	for _, tc := range []struct {
		name, id, input string
		target          Target
		want            sent
	}{
		{"delete a pod", "pods.delete", "", podTarget(), sent{Method: "DELETE", Path: podPath, ContentType: "application/json",
			Body: `{"apiVersion":"v1","kind":"DeleteOptions","preconditions":{"uid":"u-pod"}}`}},
		{"scale a deployment", "workloads.scale", "5", workloadTarget("Deployment"), sent{Method: "PATCH", Path: scalePath,
			ContentType: "application/merge-patch+json",
			Body:        `{"metadata":{"uid":"u-Deployment","resourceVersion":"41"},"spec":{"replicas":5}}`}},
		{"scale a stateful set to nothing", "workloads.scale", "0", workloadTarget("StatefulSet"), sent{Method: "PATCH",
			Path: "/apis/apps/v1/namespaces/shop/statefulsets/cart/scale", ContentType: "application/merge-patch+json",
			Body: `{"metadata":{"uid":"u-StatefulSet","resourceVersion":"41"},"spec":{"replicas":0}}`}},
		{"scale a replica set", "workloads.scale", "100000", workloadTarget("ReplicaSet"), sent{Method: "PATCH",
			Path: "/apis/apps/v1/namespaces/shop/replicasets/cart/scale", ContentType: "application/merge-patch+json",
			Body: `{"metadata":{"uid":"u-ReplicaSet","resourceVersion":"41"},"spec":{"replicas":100000}}`}},
		{"restart a deployment", "workloads.restart", "", workloadTarget("Deployment"), sent{Method: "PATCH", Path: deploymentPath,
			ContentType: "application/strategic-merge-patch+json",
			Body: `{"metadata":{"uid":"u-Deployment","resourceVersion":"41"},"spec":{"template":{"metadata":{"annotations":` +
				`{"kubectl.kubernetes.io/restartedAt":"TIME"}}}}}`}},
		{"restart a daemon set", "workloads.restart", "", workloadTarget("DaemonSet"), sent{Method: "PATCH",
			Path: "/apis/apps/v1/namespaces/shop/daemonsets/cart", ContentType: "application/strategic-merge-patch+json",
			Body: `{"metadata":{"uid":"u-DaemonSet","resourceVersion":"41"},"spec":{"template":{"metadata":{"annotations":` +
				`{"kubectl.kubernetes.io/restartedAt":"TIME"}}}}}`}},
		{"cordon", "nodes.cordon", "", nodeTarget(), sent{Method: "PATCH", Path: nodePath,
			ContentType: "application/strategic-merge-patch+json", Body: `{"metadata":{"uid":"u-node"},"spec":{"unschedulable":true}}`}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			api := newFakeAPI(t)
			api.seed()
			r := newRig(t, servers{api: api})
			o := r.act(tc.id, tc.input, tc.target)
			if o.Status != Done {
				t.Fatalf("outcome %s: %s", o.Status, o.Message)
			}
			got := api.mutations()
			if len(got) != 1 {
				t.Fatalf("%d mutating requests: %+v", len(got), got)
			}
			if got[0].AuditID == "" || got[0].AuditID != o.AuditID {
				t.Errorf("Audit-ID sent %q, in the outcome %q", got[0].AuditID, o.AuditID)
			}
			if got[0].Query != "timeout=15s" {
				t.Errorf("query %q: the server is not told our deadline", got[0].Query)
			}
			got[0].AuditID, got[0].Query = "", ""
			if i := strings.Index(got[0].Body, "restartedAt"); i >= 0 {
				at := i + len(`restartedAt":"`)
				end := at + strings.IndexByte(got[0].Body[at:], '"')
				got[0].Body = got[0].Body[:at] + "TIME" + got[0].Body[end:]
			}
			if got[0] != tc.want {
				t.Errorf("sent\n%+v\nwant\n%+v", got[0], tc.want)
			}
			rep := r.journalled()
			if rep.Records != 2 || len(rep.Open) != 0 {
				t.Errorf("journal %+v, want an intent and an outcome", rep)
			}
			wantContains(t, r.journalText(), `"auditID":"`+o.AuditID+`"`, `"status":"Success"`, `"uid":"`+tc.target.UID+`"`,
				`"fathom/cluster":"prod"`, `"fathom/context":"admin@prod"`, `"fathom/action":"`+tc.id+`"`)
		})
	}
}

func TestUncordonSendsNull(t *testing.T) {
	api := newFakeAPI(t)
	api.set(nodePath, `{"kind":"Node","apiVersion":"v1","metadata":{"name":"node-1","uid":"u-node"},"spec":{"unschedulable":true}}`)
	r := newRig(t, servers{api: api})
	if o := r.act("nodes.uncordon", "", nodeTarget()); o.Status != Done {
		t.Fatalf("outcome %+v", o)
	}
	if got := api.mutations(); len(got) != 1 || got[0].Body != `{"metadata":{"uid":"u-node"},"spec":{"unschedulable":null}}` {
		t.Fatalf("sent %+v", got)
	}
	if o := r.act("nodes.cordon", "", nodeTarget()); o.Status != Done || !strings.Contains(o.Message, "nothing was sent") {
		t.Fatalf("cordoning a cordoned node: %+v", o)
	}
	if n := len(api.mutations()); n != 1 {
		t.Fatalf("a no-op sent something: %d requests", n)
	}
}

func TestPreviews(t *testing.T) {
	api := newFakeAPI(t)
	api.seed()
	r := newRig(t, servers{api: api})
	for _, tc := range []struct {
		id, input string
		target    Target
		want      []string
	}{
		{"pods.delete", "", podTarget(), []string{"cluster prod (context admin@prod, as admin)", "Pod shop/cart-0 will be deleted",
			"StatefulSet cart will create it again under the same name", "30 s", "cart-pdb allows 0 disruptions"}},
		{"workloads.scale", "5", workloadTarget("Deployment"), []string{"Deployment shop/cart will be scaled from 3 to 5", "2 pods will be created", "cart-hpa"}},
		{"workloads.scale", "2", workloadTarget("StatefulSet"), []string{"from 3 to 2", "1 pod will be deleted"}},
		{"workloads.scale", "0", workloadTarget("ReplicaSet"), []string{"All of its pods (3) will be deleted"}},
		{"workloads.scale", "3", workloadTarget("Deployment"), []string{"already: nothing will be sent"}},
		{"workloads.restart", "", workloadTarget("Deployment"), []string{"3 pods will be replaced"}},
		{"workloads.restart", "", workloadTarget("DaemonSet"), []string{"4 pods will be replaced"}},
		{"nodes.cordon", "", nodeTarget(), []string{"Node node-1 will be cordoned", "2 pods run on it and stay"}},
		{"nodes.uncordon", "", nodeTarget(), []string{"already: nothing will be sent"}},
	} {
		wantContains(t, r.preview(tc.id, tc.input, tc.target), tc.want...)
	}
	if strings.Contains(r.preview("pods.delete", "", podTarget()), "other-pdb") {
		t.Error("a PodDisruptionBudget of other pods is named")
	}
	if m := api.mutations(); len(m) != 0 {
		t.Fatalf("a preview sent %+v", m)
	}
}

// An object that was replaced under the same name, or changed since the dialog, is not touched.
func TestReplacedObjects(t *testing.T) {
	api := newFakeAPI(t)
	api.seed()
	r := newRig(t, servers{api: api})
	for _, tc := range []struct {
		id, input string
		target    Target
	}{
		{"workloads.scale", "5", workloadTarget("Deployment")},
		{"workloads.restart", "", workloadTarget("Deployment")},
		{"nodes.cordon", "", nodeTarget()},
	} {
		tc.target.UID = "an-older-one"
		if o := r.act(tc.id, tc.input, tc.target); o.Status != Conflict {
			t.Errorf("%s: %+v, want a conflict", tc.id, o)
		}
		var conflict *ConflictError
		if _, err := r.Preview(t.Context(), r.action(tc.id), tc.target, tc.input); !errors.As(err, &conflict) {
			t.Errorf("preview of %s: %v, want a conflict", tc.id, err)
		}
	}
	stale := workloadTarget("Deployment")
	stale.Detail = map[string]string{"replicas": "7"}
	if o := r.act("workloads.scale", "5", stale); o.Status != Conflict || !strings.Contains(o.Message, "3 replicas now, no longer at 7") {
		t.Errorf("scaled by somebody else: %+v", o)
	}
	if m := api.mutations(); len(m) != 0 {
		t.Fatalf("sent %+v", m)
	}
}

func TestPausedDeploymentIsRefused(t *testing.T) {
	api := newFakeAPI(t)
	api.set(deploymentPath, `{"kind":"Deployment","apiVersion":"apps/v1","metadata":{"name":"cart","uid":"u-Deployment"},"spec":{"paused":true}}`)
	r := newRig(t, servers{api: api})
	if o := r.act("workloads.restart", "", workloadTarget("Deployment")); o.Status != Refused {
		t.Fatalf("outcome %+v", o)
	}
	if m := api.mutations(); len(m) != 0 {
		t.Fatalf("sent %+v", m)
	}
}

// Every answer of the API server becomes the outcome it means, and none is repeated.
func TestAnswers(t *testing.T) {
	for _, tc := range []struct {
		name           string
		code           int
		reason, field  string
		message        string
		want           Status
		wantInMessages string
	}{
		{"conflict", 409, "Conflict", "", "the UID in the precondition does not match", Conflict, "confirm again"},
		{"precondition failed", 412, "", "", "no", Conflict, "confirm again"},
		{"another UID", 422, "Invalid", "metadata.uid", "field is immutable", Conflict, "replaced"},
		{"invalid", 422, "Invalid", "spec.replicas", "too much", Failed, "too much"},
		{"forbidden", 403, "Forbidden", "", "cannot delete", Denied, "does not allow"},
		{"unauthorized", 401, "Unauthorized", "", "token expired", Denied, "credentials"},
		{"gone", 404, "NotFound", "", "not found", Conflict, "gone"},
		{"too many requests", 429, "TooManyRequests", "", "later", Failed, "later"},
		{"a webhook that is away", 500, "InternalError", "", "failed calling webhook", Failed, "webhook"},
		{"gateway timeout", 504, "Timeout", "", "the server was slow", Unknown, "not marked for deletion"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			api := newFakeAPI(t)
			api.seed()
			api.mutate = func(w http.ResponseWriter, _ *http.Request, _ string) {
				w.Header().Set("Retry-After", "0")
				failure(w, tc.code, tc.reason, tc.message, tc.field)
			}
			r := newRig(t, servers{api: api})
			o := r.act("pods.delete", "", podTarget())
			if o.Status != tc.want {
				t.Fatalf("outcome %s (%s), want %s", o.Status, o.Message, tc.want)
			}
			wantContains(t, o.Message, tc.wantInMessages)
			if n := len(api.mutations()); n != 1 {
				t.Errorf("%d mutating requests, want 1: nothing is repeated", n)
			}
			wantContains(t, r.journalText(), `"fathom/outcome":"`+tc.want.String()+`"`)
		})
	}
}

// lose ends the connection after the request arrived and effect was had.
func lose(t *testing.T, effect func()) func(http.ResponseWriter, *http.Request, string) {
	return func(w http.ResponseWriter, _ *http.Request, _ string) {
		effect()
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		conn.Close()
	}
}

// When the answer is lost the object is read again, and nothing is sent twice.
func TestLostAnswers(t *testing.T) {
	api := newFakeAPI(t)
	api.seed()
	r := newRig(t, servers{api: api})
	for _, tc := range []struct {
		name, id, input string
		target          Target
		effect          func()
		want            Status
		text            string
	}{
		{"deleted", "pods.delete", "", podTarget(), func() { api.remove(podPath) }, Done, "is gone"},
		{"replaced", "pods.delete", "", podTarget(), func() {
			api.set(podPath, `{"kind":"Pod","apiVersion":"v1","metadata":{"name":"cart-0","namespace":"shop","uid":"u-new"}}`)
		}, Done, "another of the same name"},
		{"not deleted", "pods.delete", "", podTarget(), func() {}, Unknown, "may still take effect"},
		{"scaled", "workloads.scale", "5", workloadTarget("Deployment"), func() {
			api.set(scalePath, `{"kind":"Scale","apiVersion":"autoscaling/v1","metadata":{"name":"cart","uid":"u-Deployment"},"spec":{"replicas":5}}`)
		}, Done, "at 5 replicas"},
		{"not scaled", "workloads.scale", "5", workloadTarget("Deployment"), func() {}, Unknown, "at 3 replicas"},
		{"not restarted", "workloads.restart", "", workloadTarget("Deployment"), func() {}, Unknown, "does not have the mark"},
		{"cordoned", "nodes.cordon", "", nodeTarget(), func() {
			api.set(nodePath, `{"kind":"Node","apiVersion":"v1","metadata":{"name":"node-1","uid":"u-node"},"spec":{"unschedulable":true}}`)
		}, Done, "is cordoned"},
		{"node gone", "nodes.cordon", "", nodeTarget(), func() { api.remove(nodePath) }, Failed, "is gone"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			api.seed()
			before := len(api.mutations())
			api.mu.Lock()
			api.mutate = lose(t, tc.effect)
			api.mu.Unlock()
			o := r.act(tc.id, tc.input, tc.target)
			if o.Status != tc.want {
				t.Fatalf("outcome %s: %s; want %s", o.Status, o.Message, tc.want)
			}
			wantContains(t, o.Message, "no clear answer", "nothing was repeated", tc.text)
			if n := len(api.mutations()) - before; n != 1 {
				t.Errorf("%d mutating requests, want 1", n)
			}
		})
	}
}

// The deadline passes while the server is busy: Verify reads with a deadline of its own.
func TestDeadline(t *testing.T) {
	api := newFakeAPI(t)
	api.seed()
	api.mutate = func(_ http.ResponseWriter, r *http.Request, _ string) {
		api.remove(podPath)
		<-r.Context().Done()
	}
	r := newRig(t, servers{api: api})
	a := r.action("pods.delete")
	a.Timeout = 500 * time.Millisecond // in which a busy machine brings the request to the server
	o := r.runAll(a, "", podTarget())[0]
	if o.Status != Done || !strings.Contains(o.Message, "deadline exceeded") || !strings.Contains(o.Message, "is gone") {
		t.Fatalf("outcome %+v", o)
	}
}

// The server stops answering altogether: unknown, and said so.
func TestNothingToReadAgain(t *testing.T) {
	api := newFakeAPI(t)
	api.seed()
	api.mutate = func(_ http.ResponseWriter, r *http.Request, _ string) {
		api.mu.Lock()
		api.hang = true
		api.mu.Unlock()
		<-r.Context().Done()
	}
	r := newRig(t, servers{api: api})
	a := r.action("pods.delete")
	a.Timeout = 50_000_000
	outs := r.runAll(a, "", podTarget(), podTarget())
	if outs[0].Status != Unknown || !strings.Contains(outs[0].Message, "could not be read again") {
		t.Fatalf("outcome %+v", outs[0])
	}
	if outs[1].Status != Refused || len(api.mutations()) != 1 {
		t.Fatalf("after an unknown outcome the next target was touched: %+v", outs[1])
	}
}

// What never left is failed, not unknown.
func TestNeverSent(t *testing.T) {
	api := newFakeAPI(t)
	api.seed()
	r := newRig(t, servers{api: api})
	api.server.CloseClientConnections()
	api.server.Close()
	for _, o := range []Outcome{r.act("pods.delete", "", podTarget()), r.act("nodes.cordon", "", nodeTarget())} {
		if o.Status != Failed || !strings.Contains(o.Message, "refused") {
			t.Errorf("outcome %+v", o)
		}
	}
}

// The user leaves while a request is under way: its outcome is still found out and journalled, the rest is not begun.
func TestLeavingInTheMiddle(t *testing.T) {
	api := newFakeAPI(t)
	api.seed()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	api.mutate = func(w http.ResponseWriter, r *http.Request, _ string) {
		api.remove(podPath)
		cancel()
		<-r.Context().Done()
		io.WriteString(w, "{}")
	}
	r := newRig(t, servers{api: api})
	c, err := r.Confirm(r.action("pods.delete"), "", podTarget(), podTarget())
	must(t, err)
	var seen int
	outs := r.Run(ctx, c, func(Outcome) { seen++ })
	if outs[0].Status != Done || outs[1].Status != Failed || seen != 2 {
		t.Fatalf("outcomes %+v", outs)
	}
	if rep := r.journalled(); rep.Records != 2 || len(rep.Open) != 0 {
		t.Fatalf("journal %+v", rep)
	}
}
