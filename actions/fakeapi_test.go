package actions

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	authv1 "k8s.io/api/authorization/v1"
	"k8s.io/client-go/kubernetes/scheme"
)

// sent is a request as it arrived.
type sent struct {
	Method, Path, Query string
	ContentType         string
	AuditID             string
	Body                string
}

func (s sent) mutating() bool {
	return s.Method != http.MethodGet && s.Method != http.MethodHead && !strings.Contains(s.Path, "/selfsubject")
}

// fakeAPI is an API server that keeps a few objects, records what it is asked, and answers mutating requests as it is told.
// The clients in front of it are the real ones.
type fakeAPI struct {
	server *httptest.Server

	mu      sync.Mutex
	objects map[string]string // path -> JSON
	log     []sent
	allowed func(resource, subresource, verb string) bool
	// mutate answers a mutating request; nil: 200 with the object as it is. It may also hijack the connection.
	mutate func(w http.ResponseWriter, r *http.Request, body string)
	hang   bool // reads are not answered any more
}

func newFakeAPI(t *testing.T) *fakeAPI {
	t.Helper()
	f := &fakeAPI{objects: map[string]string{}}
	f.server = httptest.NewServer(f)
	t.Cleanup(func() {
		f.server.CloseClientConnections()
		f.server.Close()
	})
	return f
}

func (f *fakeAPI) set(path, object string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.objects[path] = object
}

func (f *fakeAPI) remove(path string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.objects, path)
}

// mutations are the mutating requests that arrived, in order.
func (f *fakeAPI) mutations() []sent {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []sent
	for _, s := range f.log {
		if s.mutating() {
			out = append(out, s)
		}
	}
	return out
}

func (f *fakeAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	raw, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	s := sent{
		Method: r.Method, Path: r.URL.Path, Query: r.URL.RawQuery, ContentType: r.Header.Get("Content-Type"),
		AuditID: r.Header.Get("Audit-ID"), Body: string(raw),
	}
	f.mu.Lock()
	f.log = append(f.log, s)
	object, found := f.objects[r.URL.Path]
	mutate, hang, allowed := f.mutate, f.hang, f.allowed
	f.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	switch {
	case strings.Contains(r.URL.Path, "/selfsubjectaccessreviews"):
		review(w, raw, allowed)
	case s.mutating() && mutate != nil:
		mutate(w, r, s.Body)
	case hang:
		<-r.Context().Done()
	case !found:
		failure(w, http.StatusNotFound, "NotFound", r.URL.Path+" not found", "")
	default:
		io.WriteString(w, object)
	}
}

func review(w io.Writer, raw []byte, allowed func(resource, subresource, verb string) bool) {
	object, _, err := scheme.Codecs.UniversalDeserializer().Decode(raw, nil, nil) // it comes as protobuf
	r, ok := object.(*authv1.SelfSubjectAccessReview)
	if err != nil || !ok {
		return // an empty answer is an error in the client
	}
	a := r.Spec.ResourceAttributes
	json.NewEncoder(w).Encode(map[string]any{
		"kind": "SelfSubjectAccessReview", "apiVersion": "authorization.k8s.io/v1",
		"status": map[string]any{"allowed": allowed == nil || allowed(a.Resource, a.Subresource, a.Verb)},
	})
}

// failure answers with a Status; field, when not empty, is the one that is blamed.
func failure(w http.ResponseWriter, code int, reason, message, field string) {
	details := map[string]any{}
	if field != "" {
		details["causes"] = []map[string]string{{"field": field, "message": "field is immutable", "reason": "FieldValueInvalid"}}
	}
	w.WriteHeader(code)
	json.NewEncoder(w).Encode(map[string]any{
		"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason, "message": message, "details": details,
	})
}

const (
	podPath        = "/api/v1/namespaces/shop/pods/cart-0"
	deploymentPath = "/apis/apps/v1/namespaces/shop/deployments/cart"
	scalePath      = deploymentPath + "/scale"
	nodePath       = "/api/v1/nodes/node-1"
)

// seed gives the API server one object of each kind the actions work on.
func (f *fakeAPI) seed() {
	f.set(podPath, `{"kind":"Pod","apiVersion":"v1","metadata":{"name":"cart-0","namespace":"shop","uid":"u-pod","resourceVersion":"7",
		"labels":{"app":"cart"},"ownerReferences":[{"apiVersion":"apps/v1","kind":"StatefulSet","name":"cart","uid":"u-s","controller":true}]},
		"spec":{"terminationGracePeriodSeconds":30,"containers":[]}}`)
	f.set("/apis/policy/v1/namespaces/shop/poddisruptionbudgets", `{"kind":"PodDisruptionBudgetList","apiVersion":"policy/v1","items":[
		{"metadata":{"name":"cart-pdb"},"spec":{"selector":{"matchLabels":{"app":"cart"}}},"status":{"disruptionsAllowed":0}},
		{"metadata":{"name":"other-pdb"},"spec":{"selector":{"matchLabels":{"app":"other"}}}}]}`)
	f.set("/apis/autoscaling/v2/namespaces/shop/horizontalpodautoscalers", `{"kind":"HorizontalPodAutoscalerList","apiVersion":"autoscaling/v2","items":[
		{"metadata":{"name":"cart-hpa"},"spec":{"scaleTargetRef":{"apiVersion":"apps/v1","kind":"Deployment","name":"cart"},"minReplicas":2,"maxReplicas":9}}]}`)
	for _, kind := range []string{"Deployment", "StatefulSet", "DaemonSet", "ReplicaSet"} {
		path := "/apis/apps/v1/namespaces/shop/" + strings.ToLower(kind) + "s/cart"
		f.set(path, `{"kind":"`+kind+`","apiVersion":"apps/v1","metadata":{"name":"cart","namespace":"shop","uid":"u-`+kind+`","resourceVersion":"41"},
			"spec":{"replicas":3,"template":{"metadata":{}}},"status":{"desiredNumberScheduled":4}}`)
		f.set(path+"/scale", `{"kind":"Scale","apiVersion":"autoscaling/v1","metadata":{"name":"cart","namespace":"shop","uid":"u-`+kind+`","resourceVersion":"41"},
			"spec":{"replicas":3},"status":{"replicas":3}}`)
	}
	f.set(nodePath, `{"kind":"Node","apiVersion":"v1","metadata":{"name":"node-1","uid":"u-node","resourceVersion":"9"},"spec":{}}`)
	f.set("/api/v1/pods", `{"kind":"PodList","apiVersion":"v1","items":[{"metadata":{"name":"a"}},{"metadata":{"name":"b"}},{"metadata":{"name":"c"},"status":{"phase":"Succeeded"}}]}`)
}

func podTarget() Target {
	return Target{Kind: "Pod", Version: "v1", Resource: "pods", Namespace: "shop", Name: "cart-0", UID: "u-pod"}
}

func nodeTarget() Target {
	return Target{Kind: "Node", Version: "v1", Resource: "nodes", Name: "node-1", UID: "u-node"}
}

func workloadTarget(kind string) Target {
	return Target{
		Kind: kind, Group: "apps", Version: "v1", Resource: strings.ToLower(kind) + "s", Namespace: "shop", Name: "cart",
		UID: "u-" + kind, Detail: map[string]string{"replicas": "3"},
	}
}
