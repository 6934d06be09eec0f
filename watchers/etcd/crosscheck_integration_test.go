//go:build integration

package etcd

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/cli-runtime/pkg/genericclioptions"

	"fathom/cluster"
	"fathom/internal/testcluster"
)

// TestIntegrationEveryStoredKind: everything that the API server has stored decodes to the object that it serves, field by field, and the way
// from the object to its key leads back. What is no object is named, with the reason. Of each kind it also says whether it can be edited.
func TestIntegrationEveryStoredKind(t *testing.T) {
	s := testcluster.Start(t)
	env := map[string]string{}
	for _, kv := range s.EtcdEnv(t) {
		k, v, _ := strings.Cut(kv, "=")
		env[k] = v
	}
	kubeconfig := s.Kubeconfig()
	flags := genericclioptions.NewConfigFlags(false)
	flags.KubeConfig = &kubeconfig
	c, err := cluster.Open(cluster.Options{ReadOnly: true, Flags: flags, Etcd: cluster.EtcdOptions{HostRoot: t.TempDir(), Env: func(k string) string { return env[k] }}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	k := NewKeys(c.Etcd())
	var keys []string
	for after := ""; ; {
		p, err := k.Page(ctx, "/registry/", after, MaxPage, true)
		if err != nil {
			t.Fatal(err)
		}
		for _, kv := range p.KVs {
			keys = append(keys, kv.Key)
		}
		if !p.More {
			break
		}
		after = keys[len(keys)-1]
	}
	converted := map[string]string{}
	kinds, editable, none := map[string]int{}, map[string]error{}, map[string]string{}
	for _, key := range keys {
		id, err := ObjectOf("", key)
		if err != nil {
			none[key] = err.Error()
			continue
		}
		var check CrossCheck
		// The sandbox lives: objects come, go and change while they are looked at.
		for range 10 {
			if check, err = k.CrossCheck(ctx, c.Kube(), key); err != nil || check.Same || !strings.Contains(check.Verdict, "changes while") {
				break
			}
		}
		if err != nil {
			if _, gone := k.Get(ctx, key); errors.Is(gone, ErrNoKey) {
				continue
			}
			t.Errorf("%s: %v", key, err)
			continue
		}
		kind := check.Format.APIVersion + " " + check.Format.Kind + " (" + string(check.Format.Format) + ")"
		kinds[kind]++
		if check.Served != "" {
			converted[kind] = check.Verdict
			for _, d := range check.Differences {
				if strings.HasPrefix(d.Path, "metadata.") || strings.HasPrefix(d.Path, "spec.names.") || d.Path == "spec.group" || d.Path == "spec.scope" {
					t.Errorf("%s: no conversion makes this: %+v", key, d)
				}
			}
			continue
		}
		if !check.Same {
			t.Errorf("%s: %s %+v", key, check.Verdict, check.Differences)
		}
		if check.StoredYAML != check.ServedYAML {
			t.Errorf("%s: the YAML differs:\n%s\n%s", key, check.StoredYAML, check.ServedYAML)
		}
		id.Group = check.GVR.Group
		if again, _ := KeyOf("", id); again != key {
			t.Errorf("%s is the key of %s, whose key is %s", key, id, again)
		}
		kv, err := k.Get(ctx, key)
		if err != nil {
			continue
		}
		e, err := Edit(key, kv.Value, DecodeOptions{})
		if err == nil {
			if same, encErr := e.Encode(e.Text); encErr != nil || check.Format.Format == Protobuf && string(same) != string(kv.Value) {
				t.Errorf("%s: what was not edited is not what it was (%v)", key, encErr)
			}
		}
		if was, seen := editable[kind]; !seen || was == nil {
			editable[kind] = err
		}
	}
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		t.Logf("%4d %s; edit: %v", kinds[kind], kind, editable[kind])
	}
	for _, key := range slices.Sorted(maps.Keys(none)) {
		t.Logf("no object: %s", none[key])
	}
	for kind, verdict := range converted {
		t.Logf("converted: %s: %s", kind, verdict)
		if !strings.Contains(kind, "CustomResourceDefinition") { // stored as v1beta1 to this day
			t.Errorf("%s is compared across a conversion", kind)
		}
	}
	if len(kinds) < 25 {
		t.Errorf("only %d kinds were compared", len(kinds))
	}
	for key := range none {
		if !strings.HasPrefix(key, "/registry/ranges/") && !strings.HasPrefix(key, "/registry/masterleases/") && !strings.HasPrefix(key, "/registry/peerserverleases/") {
			t.Errorf("%s is taken for no object", key)
		}
	}
}
