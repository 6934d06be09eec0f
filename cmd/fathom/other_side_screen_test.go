//go:build integration

package main

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"fathom/internal/testcluster"
)

// testOtherSide goes from an object to its key in etcd and back, with one key each, and compares both sides: an object that nobody has
// touched, and one that was written beneath the API server.
func testOtherSide(t *testing.T, c *testcluster.Cluster) {
	const namespace, name = "shop", "seen-from-both-sides"
	const key = "/registry/configmaps/" + namespace + "/" + name
	configMaps := kube(t, c).CoreV1().ConfigMaps(namespace)
	made, err := configMaps.Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name}, Data: map[string]string{"colour": "green"}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	cli := etcdClient(t, c)
	stored := func() (revision int64, value []byte) {
		t.Helper()
		r, err := cli.Get(t.Context(), key)
		if err != nil || len(r.Kvs) != 1 {
			t.Fatalf("%v, %v", r, err)
		}
		return r.Kvs[0].ModRevision, r.Kvs[0].Value
	}
	revision, value := stored()
	if !strings.HasPrefix(string(value), "k8s\x00") || strings.Contains(string(value), "colour: green") {
		t.Fatalf("stored as %q: a test of what is decoded wants protobuf", value)
	}

	term := openFathom(t, c, 120, 40, "-c 'configmaps "+namespace+" /"+name+"'")
	term.WaitFor("configmaps "+namespace, "▸ "+name)

	// From the object to its key, decoded, and back, and once more to the key: nothing of the list remains on the screen.
	for range 2 {
		term.Type("K")
		term.WaitFor("value "+key, "Format:", "protobuf, v1 ConfigMap", "colour: green", fmt.Sprintf("created %d, modified %d, version 1", revision, revision))
		term.Type("K")
		s := term.WaitFor("yaml ConfigMap "+namespace+"/"+name, "colour: green", "uid: "+string(made.UID), "resourceVersion: \""+made.ResourceVersion+"\"")
		if strings.Contains(s, "Format:") {
			t.Errorf("both sides at once:\n%s", s)
		}
	}
	for _, at := range []string{"value " + key, "yaml ConfigMap", "value " + key, "configmaps " + namespace} {
		term.Keys("Escape")
		term.WaitFor(at)
	}

	// Both sides of an object that nobody has touched are the same, and it is said at which revision.
	term.Type("V")
	s := term.WaitFor("crosscheck", "Key:        "+key, "protobuf, revision "+fmt.Sprint(revision), "resourceVersion "+made.ResourceVersion,
		fmt.Sprintf("The same object, field by field, at revision %d.", revision), "Stored and served:", "colour: green")
	if strings.Contains(s, "Differs:") {
		t.Errorf("the same, and fields differ:\n%s", s)
	}

	// Beneath the API server: a field that it does not know, which it leaves out of what it serves.
	written, err := json.Marshal(map[string]any{
		"apiVersion": "v1", "kind": "ConfigMap", "smell": "of etcdctl", "data": map[string]string{"colour": "blue"},
		"metadata": map[string]any{"name": name, "namespace": namespace, "uid": made.UID, "creationTimestamp": made.CreationTimestamp},
	})
	if err != nil {
		t.Fatal(err)
	}
	if r, err := cli.Txn(t.Context()).If(clientv3.Compare(clientv3.ModRevision(key), "=", revision)).Then(clientv3.OpPut(key, string(written))).Commit(); err != nil || !r.Succeeded {
		t.Fatalf("%v, %v", r, err)
	}
	if revision, _ = stored(); fmt.Sprint(revision) == made.ResourceVersion {
		t.Fatal("nothing was written")
	}
	term.Type("V") // reads again
	s = term.WaitFor(fmt.Sprintf("json, revision %d", revision), "Verdict:    One field differs.", `Differs:    smell: stored "of etcdctl", served nothing`,
		"-smell: of etcdctl", "colour: blue")
	if strings.Contains(s, "The same object") || strings.Contains(s, "green") || regexp.MustCompile(`(?m)^.[-+] *colour`).MatchString(s) {
		t.Errorf("more than one field:\n%s", s)
	}
	// From there to the key, which has the field, and on to the object, which has not.
	term.Type("K")
	term.WaitFor("value "+key, "json, v1 ConfigMap", "smell: of etcdctl")
	term.Type("K")
	s = term.WaitFor("yaml ConfigMap "+namespace+"/"+name, "colour: blue", fmt.Sprintf("resourceVersion: \"%d\"", revision))
	if strings.Contains(s, "smell") {
		t.Errorf("the API server serves what it does not know:\n%s", s)
	}

	// From the keys to the object, and the comparison there.
	command(term, "keys /registry/configmaps/"+namespace)
	until(term, "the cursor on the key", func() { term.Type("j") }, func(s string) bool {
		return regexp.MustCompile(`▸ +` + name).MatchString(s)
	})
	term.Type("V")
	term.WaitFor("crosscheck", "One field differs.")
	term.Keys("Escape")
	term.WaitFor("keys ")
	term.Type("K")
	term.WaitFor("yaml ConfigMap "+namespace+"/"+name, "colour: blue")

	// Kinds that are stored elsewhere than their names say.
	for _, x := range []struct{ list, row, key, kind string }{
		{"pods data /postgres-0", "postgres-0", "/registry/pods/data/postgres-0", "v1 Pod"},
		{"deploy shop /frontend", "frontend", "/registry/deployments/shop/frontend", "apps/v1 Deployment"},
		{"services shop /frontend", "frontend", "/registry/services/specs/shop/frontend", "v1 Service"},
		{"nodes /worker-a1", "worker-a1", "/registry/minions/worker-a1", "v1 Node"},
		{"vm vms /legacy-erp", "legacy-erp", "/registry/kubevirt.example.io/virtualmachines/vms/legacy-erp", "VirtualMachine"},
	} {
		command(term, x.list)
		term.WaitFor("▸ "+x.row, "1 of ")
		term.Type("K")
		term.WaitFor("value "+x.key, x.kind, "Revisions:")
		term.Type("V")
		term.WaitFor("crosscheck", x.key, "Verdict:    The same object, field by field")
		term.Type("K")
		term.WaitFor("value " + x.key)
	}
	if err := configMaps.Delete(t.Context(), name, metav1.DeleteOptions{}); err != nil {
		t.Error(err)
	}
}
