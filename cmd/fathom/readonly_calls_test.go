//go:build integration

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	authv1 "k8s.io/api/authentication/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/client-go/transport/spdy"

	"fathom/actions"
	"fathom/cluster"
	"fathom/internal/testcluster"
)

// call is one request that can change something, made with the clients fathom itself has, below every dialog and permission check.
type call struct {
	name string
	want string // what reaches the proxy when nothing refuses it: method and path, or the gRPC method
	do   func(ctx context.Context, cl *cluster.Cluster) error
	flat bool // client-go keeps only the text of the error, not its identity
}

// testReadOnlyCalls makes every call in read-only mode (the guard refuses, nothing arrives) and without it (it arrives, and is stopped
// there): the second shows that the first can fail.
func testReadOnlyCalls(t *testing.T, c *testcluster.Cluster, pod actions.Target) {
	rec := testcluster.NewRecorder(t, c)
	rec.Stop(func(testcluster.Request) bool { return true })
	auditor, admin := openRecorded(t, rec, true), openRecorded(t, rec, false)
	for _, x := range append(kubeCalls(pod), etcdCalls()...) {
		t.Run(x.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			mark, before := rec.Count(), auditor.Guard().Counts()
			err := x.do(ctx, auditor)
			switch {
			case err == nil:
				t.Error("it was not refused")
			case !errors.Is(err, cluster.ErrReadOnly) && (!x.flat || !strings.Contains(err.Error(), "read-only mode: ")):
				t.Errorf("refused, but not by the guard: %v", err)
			}
			after := auditor.Guard().Counts()
			if after.Refused == before.Refused || after.Sent != before.Sent {
				t.Errorf("the guard counted %+v, before %+v", after, before)
			}
			if rs := rec.Since(mark); len(rs) != 0 {
				t.Errorf("it reached the recorder: %v", rs)
			}

			mark = rec.Count()
			if err := x.do(ctx, admin); err == nil || errors.Is(err, cluster.ErrReadOnly) {
				t.Errorf("without read-only mode: %v", err)
			}
			rs := rec.Since(mark)
			if !slices.ContainsFunc(rs, func(r testcluster.Request) bool { return r.Method+" "+r.Path == x.want }) {
				t.Errorf("without read-only mode the recorder saw %v, want %s", rs, x.want)
			}
			if stopped(rs) == 0 {
				t.Errorf("this is on the allow-list of this test: %v", rs)
			}
		})
	}
}

func kubeCalls(pod actions.Target) []call {
	ns, name := pod.Namespace, pod.Name
	podPath := "/api/v1/namespaces/" + ns + "/pods/" + name
	core := func(cl *cluster.Cluster) kubernetes.Interface { return cl.Kube().Typed() }
	at := func(cl *cluster.Cluster, path, query string) *url.URL {
		u := *cl.Kube().Server()
		u.Path, u.RawQuery = path, query
		return &u
	}
	const command = "command=true&stdout=true&container=app"
	stream := func(sub, method string, webSocket bool) func(context.Context, *cluster.Cluster) error {
		return func(ctx context.Context, cl *cluster.Cluster) error {
			u := at(cl, podPath+"/"+sub, command)
			var ex remotecommand.Executor
			var err error
			if webSocket {
				ex, err = remotecommand.NewWebSocketExecutor(cl.Kube().Config(), method, u.String())
			} else {
				ex, err = remotecommand.NewSPDYExecutor(cl.Kube().Config(), method, u)
			}
			if err != nil {
				return err
			}
			return ex.StreamWithContext(ctx, remotecommand.StreamOptions{Stdout: io.Discard})
		}
	}
	raw := func(method, path, query string) func(context.Context, *cluster.Cluster) error {
		return func(ctx context.Context, cl *cluster.Cluster) error {
			req, err := http.NewRequestWithContext(ctx, method, at(cl, path, query).String(), strings.NewReader("{}"))
			if err != nil {
				return err
			}
			res, err := cl.Kube().HTTP().Do(req)
			if err != nil {
				return err
			}
			_ = res.Body.Close()
			return fmt.Errorf("answered with %s", res.Status)
		}
	}
	vms := schema.GroupVersionResource{Group: "kubevirt.example.io", Version: "v1", Resource: "virtualmachines"}
	return []call{
		{name: "exec by SPDY", want: "POST " + podPath + "/exec", flat: true, do: stream("exec", http.MethodPost, false)},
		{name: "exec by SPDY and GET", want: "GET " + podPath + "/exec", flat: true, do: stream("exec", http.MethodGet, false)},
		{name: "exec by WebSocket", want: "GET " + podPath + "/exec", do: stream("exec", http.MethodGet, true)},
		{name: "attach by SPDY", want: "POST " + podPath + "/attach", flat: true, do: stream("attach", http.MethodPost, false)},
		{name: "attach by WebSocket", want: "GET " + podPath + "/attach", do: stream("attach", http.MethodGet, true)},
		{name: "port-forward by SPDY", want: "POST " + podPath + "/portforward", flat: true, do: func(_ context.Context, cl *cluster.Cluster) error {
			rt, upgrader, err := spdy.RoundTripperFor(cl.Kube().Config())
			if err != nil {
				return err
			}
			dialer := spdy.NewDialer(upgrader, &http.Client{Transport: rt}, http.MethodPost, at(cl, podPath+"/portforward", ""))
			f, err := portforward.New(dialer, []string{"0:80"}, make(chan struct{}), make(chan struct{}), io.Discard, io.Discard)
			if err != nil {
				return err
			}
			return f.ForwardPorts()
		}},
		{name: "port-forward by WebSocket", want: "GET " + podPath + "/portforward", flat: true, do: func(_ context.Context, cl *cluster.Cluster) error {
			dialer, err := portforward.NewSPDYOverWebsocketDialer(at(cl, podPath+"/portforward", ""), cl.Kube().Config())
			if err != nil {
				return err
			}
			f, err := portforward.New(dialer, []string{"0:80"}, make(chan struct{}), make(chan struct{}), io.Discard, io.Discard)
			if err != nil {
				return err
			}
			return f.ForwardPorts()
		}},
		{name: "proxy to a pod", want: "GET " + podPath + ":80/proxy/x", do: func(ctx context.Context, cl *cluster.Cluster) error {
			_, err := core(cl).CoreV1().Pods(ns).ProxyGet("", name, "80", "/x", nil).DoRaw(ctx)
			return err
		}},
		{name: "proxy to a node", want: "GET /api/v1/nodes/node-1/proxy/run", do: raw(http.MethodGet, "/api/v1/nodes/node-1/proxy/run", "")},
		{name: "delete", want: "DELETE " + podPath, do: func(ctx context.Context, cl *cluster.Cluster) error {
			return core(cl).CoreV1().Pods(ns).Delete(ctx, name, metav1.DeleteOptions{})
		}},
		{name: "delete a collection", want: "DELETE /api/v1/namespaces/" + ns + "/pods", do: func(ctx context.Context, cl *cluster.Cluster) error {
			return core(cl).CoreV1().Pods(ns).DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{})
		}},
		{name: "delete by the metadata client", want: "DELETE " + podPath, do: func(ctx context.Context, cl *cluster.Cluster) error {
			return cl.Kube().Metadata().Resource(corev1.SchemeGroupVersion.WithResource("pods")).Namespace(ns).Delete(ctx, name, metav1.DeleteOptions{})
		}},
		{name: "scale", want: "PUT /apis/apps/v1/namespaces/" + ns + "/deployments/frontend/scale", do: func(ctx context.Context, cl *cluster.Cluster) error {
			_, err := core(cl).AppsV1().Deployments(ns).UpdateScale(ctx, "frontend", &autoscalingv1.Scale{ObjectMeta: metav1.ObjectMeta{Name: "frontend", Namespace: ns}}, metav1.UpdateOptions{})
			return err
		}},
		{name: "patch", want: "PATCH " + podPath, do: func(ctx context.Context, cl *cluster.Cluster) error {
			_, err := core(cl).CoreV1().Pods(ns).Patch(ctx, name, types.MergePatchType, []byte(`{"metadata":{"labels":{"x":"y"}}}`), metav1.PatchOptions{})
			return err
		}},
		{name: "patch by the dynamic client", want: "PATCH /apis/kubevirt.example.io/v1/namespaces/" + ns + "/virtualmachines/legacy-erp", do: func(ctx context.Context, cl *cluster.Cluster) error {
			_, err := cl.Kube().Dynamic().Resource(vms).Namespace(ns).Patch(ctx, "legacy-erp", types.MergePatchType, []byte(`{}`), metav1.PatchOptions{})
			return err
		}},
		{name: "create", want: "POST /api/v1/namespaces/" + ns + "/configmaps", do: func(ctx context.Context, cl *cluster.Cluster) error {
			_, err := core(cl).CoreV1().ConfigMaps(ns).Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "x"}}, metav1.CreateOptions{})
			return err
		}},
		{name: "create as a dry run", want: "POST /api/v1/namespaces/" + ns + "/configmaps", do: func(ctx context.Context, cl *cluster.Cluster) error {
			_, err := core(cl).CoreV1().ConfigMaps(ns).Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "x"}}, metav1.CreateOptions{DryRun: []string{"All"}})
			return err
		}},
		{name: "create by another client of the same configuration", want: "POST /api/v1/namespaces", do: func(ctx context.Context, cl *cluster.Cluster) error {
			k, err := kubernetes.NewForConfig(cl.Kube().Config())
			if err != nil {
				return err
			}
			_, err = k.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "x"}}, metav1.CreateOptions{})
			return err
		}},
		{name: "create by a REST client", want: "POST /apis/batch/v1/namespaces/" + ns + "/jobs", do: func(ctx context.Context, cl *cluster.Cluster) error {
			r, err := cl.Kube().RESTFor(schema.GroupVersion{Group: "batch", Version: "v1"})
			if err != nil {
				return err
			}
			return r.Post().Namespace(ns).Resource("jobs").Body([]byte("{}")).Do(ctx).Error()
		}},
		{name: "request a token", want: "POST /api/v1/namespaces/" + ns + "/serviceaccounts/default/token", do: func(ctx context.Context, cl *cluster.Cluster) error {
			_, err := core(cl).CoreV1().ServiceAccounts(ns).CreateToken(ctx, "default", &authv1.TokenRequest{}, metav1.CreateOptions{})
			return err
		}},
		{name: "evict", want: "POST " + podPath + "/eviction", do: func(ctx context.Context, cl *cluster.Cluster) error {
			return core(cl).CoreV1().Pods(ns).EvictV1(ctx, &policyv1.Eviction{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: ns}})
		}},
		{name: "bind", want: "POST " + podPath + "/binding", do: func(ctx context.Context, cl *cluster.Cluster) error {
			return core(cl).CoreV1().Pods(ns).Bind(ctx, &corev1.Binding{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: ns}}, metav1.CreateOptions{})
		}},
		{name: "PUT by hand", want: "PUT " + podPath, do: raw(http.MethodPut, podPath, "")},
		{name: "the old proxy verb", want: "GET /api/v1/proxy/namespaces/" + ns + "/pods/" + name, do: raw(http.MethodGet, "/api/v1/proxy/namespaces/"+ns+"/pods/"+name, "")},
		{name: "a subresource of an aggregated server", want: "GET /apis/subresources.kubevirt.io/v1/namespaces/x/virtualmachineinstances/y/vnc",
			do: raw(http.MethodGet, "/apis/subresources.kubevirt.io/v1/namespaces/x/virtualmachineinstances/y/vnc", "")},
		{name: "an unknown path", want: "GET /debug/pprof/profile", do: raw(http.MethodGet, "/debug/pprof/profile", "")},
	}
}

func etcdCalls() []call {
	const pre = "POST /etcdserverpb."
	key := "/fathom-read-only-test"
	client := func(cl *cluster.Cluster) *clientv3.Client { return cl.Etcd().Members()[0].Client() }
	maint := func(cl *cluster.Cluster) pb.MaintenanceClient { return cl.Etcd().Members()[0].Maintenance() }
	return []call{
		{name: "Put", want: pre + "KV/Put", do: func(ctx context.Context, cl *cluster.Cluster) error {
			_, err := client(cl).Put(ctx, key, "x")
			return err
		}},
		{name: "DeleteRange", want: pre + "KV/DeleteRange", do: func(ctx context.Context, cl *cluster.Cluster) error {
			_, err := client(cl).Delete(ctx, key)
			return err
		}},
		{name: "Txn with a put", want: pre + "KV/Txn", do: func(ctx context.Context, cl *cluster.Cluster) error {
			_, err := client(cl).Txn(ctx).Then(clientv3.OpPut(key, "x")).Commit()
			return err
		}},
		{name: "Txn with a put in a nested branch", want: pre + "KV/Txn", do: func(ctx context.Context, cl *cluster.Cluster) error {
			inner := clientv3.OpTxn(nil, nil, []clientv3.Op{clientv3.OpPut(key, "x")})
			_, err := client(cl).Txn(ctx).Then(clientv3.OpGet(key)).Else(inner).Commit()
			return err
		}},
		{name: "Compact", want: pre + "KV/Compact", do: func(ctx context.Context, cl *cluster.Cluster) error { _, err := client(cl).Compact(ctx, 1); return err }},
		{name: "LeaseGrant", want: pre + "Lease/LeaseGrant", do: func(ctx context.Context, cl *cluster.Cluster) error { _, err := client(cl).Grant(ctx, 60); return err }},
		{name: "LeaseRevoke", want: pre + "Lease/LeaseRevoke", do: func(ctx context.Context, cl *cluster.Cluster) error { _, err := client(cl).Revoke(ctx, 1); return err }},
		{name: "LeaseKeepAlive once", want: pre + "Lease/LeaseKeepAlive", do: func(ctx context.Context, cl *cluster.Cluster) error {
			_, err := client(cl).KeepAliveOnce(ctx, 1)
			return err
		}},
		{name: "LeaseKeepAlive by its stream", want: pre + "Lease/LeaseKeepAlive", do: func(ctx context.Context, cl *cluster.Cluster) error {
			s, err := pb.NewLeaseClient(client(cl).ActiveConnection()).LeaseKeepAlive(ctx)
			if err != nil {
				return err
			}
			_ = s.Send(&pb.LeaseKeepAliveRequest{ID: 1}) // what went wrong, Recv says
			_, err = s.Recv()
			return err
		}},
		{name: "MemberAdd", want: pre + "Cluster/MemberAdd", do: func(ctx context.Context, cl *cluster.Cluster) error {
			_, err := client(cl).MemberAdd(ctx, []string{"https://127.0.0.1:1"})
			return err
		}},
		{name: "MemberRemove", want: pre + "Cluster/MemberRemove", do: func(ctx context.Context, cl *cluster.Cluster) error {
			_, err := client(cl).MemberRemove(ctx, 1)
			return err
		}},
		{name: "MemberUpdate", want: pre + "Cluster/MemberUpdate", do: func(ctx context.Context, cl *cluster.Cluster) error {
			_, err := client(cl).MemberUpdate(ctx, 1, []string{"https://127.0.0.1:1"})
			return err
		}},
		{name: "MemberPromote", want: pre + "Cluster/MemberPromote", do: func(ctx context.Context, cl *cluster.Cluster) error {
			_, err := client(cl).MemberPromote(ctx, 1)
			return err
		}},
		{name: "MoveLeader", want: pre + "Maintenance/MoveLeader", do: func(ctx context.Context, cl *cluster.Cluster) error {
			_, err := maint(cl).MoveLeader(ctx, &pb.MoveLeaderRequest{TargetID: 1})
			return err
		}},
		{name: "Defragment", want: pre + "Maintenance/Defragment", do: func(ctx context.Context, cl *cluster.Cluster) error {
			_, err := maint(cl).Defragment(ctx, &pb.DefragmentRequest{})
			return err
		}},
		{name: "Defragment on a connection of its own", want: pre + "Maintenance/Defragment", do: func(ctx context.Context, cl *cluster.Cluster) error {
			_, err := client(cl).Defragment(ctx, cl.Etcd().Members()[0].Endpoint)
			return err
		}},
		{name: "Alarm GET", want: pre + "Maintenance/Alarm", do: func(ctx context.Context, cl *cluster.Cluster) error { _, err := client(cl).AlarmList(ctx); return err }},
		{name: "Alarm ACTIVATE", want: pre + "Maintenance/Alarm", do: func(ctx context.Context, cl *cluster.Cluster) error {
			_, err := maint(cl).Alarm(ctx, &pb.AlarmRequest{Action: pb.AlarmRequest_ACTIVATE, Alarm: pb.AlarmType_NOSPACE})
			return err
		}},
		{name: "Downgrade", want: pre + "Maintenance/Downgrade", do: func(ctx context.Context, cl *cluster.Cluster) error {
			_, err := maint(cl).Downgrade(ctx, &pb.DowngradeRequest{Action: pb.DowngradeRequest_ENABLE, Version: "3.5"})
			return err
		}},
		{name: "Snapshot", want: pre + "Maintenance/Snapshot", do: func(ctx context.Context, cl *cluster.Cluster) error {
			r, err := client(cl).Snapshot(ctx)
			if err != nil {
				return err
			}
			defer r.Close()
			_, err = io.Copy(io.Discard, r)
			return err
		}},
		{name: "AuthStatus", want: pre + "Auth/AuthStatus", do: func(ctx context.Context, cl *cluster.Cluster) error { _, err := client(cl).AuthStatus(ctx); return err }},
		{name: "AuthEnable", want: pre + "Auth/AuthEnable", do: func(ctx context.Context, cl *cluster.Cluster) error { _, err := client(cl).AuthEnable(ctx); return err }},
		{name: "UserList", want: pre + "Auth/UserList", do: func(ctx context.Context, cl *cluster.Cluster) error { _, err := client(cl).UserList(ctx); return err }},
		{name: "RoleGet", want: pre + "Auth/RoleGet", do: func(ctx context.Context, cl *cluster.Cluster) error {
			_, err := client(cl).RoleGet(ctx, "root")
			return err
		}},
		{name: "Authenticate", want: pre + "Auth/Authenticate", do: func(ctx context.Context, cl *cluster.Cluster) error {
			_, err := client(cl).Authenticate(ctx, "root", "x")
			return err
		}},
		{name: "a method that nobody has thought of", want: "POST /v3lockpb.Lock/Lock", do: func(ctx context.Context, cl *cluster.Cluster) error {
			return client(cl).ActiveConnection().Invoke(ctx, "/v3lockpb.Lock/Lock", &pb.RangeRequest{Key: []byte("x")}, &pb.RangeResponse{})
		}},
	}
}
