//go:build integration

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"fathom/internal/testcluster"
)

// TestIntegrationHistoryScreen looks at a key's history and watches keys live, in a terminal, while another client writes.
func TestIntegrationHistoryScreen(t *testing.T) {
	c := testcluster.Start(t, "--etcd-only", "--members", "3")
	cli := etcdClient(t, c)
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	put := func(key, value string) int64 {
		t.Helper()
		r, err := cli.Put(ctx, key, value)
		if err != nil {
			t.Fatal(err)
		}
		return r.Header.Revision
	}
	object := func(kind, manager, data string) string {
		return fmt.Sprintf(`{"apiVersion":"v1","kind":%q,"metadata":{"name":"x","managedFields":[{"manager":%q,"operation":"Update","time":"2026-03-01T00:00:00Z"}]},"data":%s}`,
			kind, manager, data)
	}
	for _, size := range []struct {
		w, h  int
		flags string
	}{{80, 24, "--read-only"}, {200, 60, "--ascii"}} {
		t.Run(fmt.Sprintf("%dx%d", size.w, size.h), func(t *testing.T) {
			ns := fmt.Sprint("ns", size.w)
			settings, secret := "/registry/configmaps/"+ns+"/settings", "/registry/secrets/"+ns+"/db"
			put(settings, object("ConfigMap", "kubectl", `{"color":"red"}`))
			put(settings, object("ConfigMap", "helm", `{"color":"blue"}`))
			put(secret, object("Secret", "kubectl", `{"password":"aHVzaC1odXNo"}`))
			put(secret, object("Secret", "rotator", `{"password":"SFVTSC1IVVNI"}`))
			env := slices.DeleteFunc(c.Env(t), func(kv string) bool { return strings.HasPrefix(kv, "KUBECONFIG=") })
			term := testcluster.NewTerminal(t, size.w, size.h, env)
			term.Line(testcluster.Binary(t, "fathom") + " " + size.flags + " -c 'keys /registry/configmaps/" + ns + "/'; echo exit=$?")
			term.WaitFor("keys", "settings")

			// History, the comparison with the revision before, the value of then.
			term.Type("H")
			s := term.WaitFor("history "+settings, "helm", "kubectl", "created", "changed", "there before", "-  color: red", "+  color: blue")
			checkFrame(t, s, size.w, size.h)
			term.Type("d")
			s = term.WaitFor("diff "+settings, "--- revision", "+++ revision", "-  color: red", "+  color: blue")
			checkFrame(t, s, size.w, size.h)
			term.Keys("Escape")
			term.WaitFor("history " + settings)
			term.Type("j")
			term.WaitFor("2 of 2")
			term.Keys("Enter")
			term.WaitFor("value "+settings, "as it was at revision", "color: red")
			term.Keys("Escape")
			term.WaitFor("history " + settings)

			// A Secret stays masked, and that it has changed is said.
			visit(term, "history "+secret, "rotator", "password: <masked, 9 bytes, changed>")
			s = term.Screen()
			if strings.Contains(s, "SFVTSC1IVVNI") || strings.Contains(s, "aHVzaC1odXNo") {
				t.Errorf("a Secret is on the screen:\n%s", s)
			}

			// The live watch shows what another client does within two seconds of its answer.
			visit(term, "watch /registry/configmaps/"+ns+"/", "no change yet", "live")
			rev := put(settings, object("ConfigMap", "argocd", fmt.Sprintf(`{"color":"green-%d"}`, size.w)))
			began := time.Now()
			s = term.WaitFor(fmt.Sprint(rev), "settings", "argocd", fmt.Sprintf("+  color: green-%d", size.w))
			took := time.Since(began)
			checkFrame(t, s, size.w, size.h)
			t.Logf("on the screen, decoded and compared, %v after the write was answered", took.Round(time.Millisecond))
			if took > 2*time.Second {
				t.Errorf("a change was on the screen only after %v", took)
			}

			// Paused, the rows stand still; what came meanwhile is there when it goes on.
			term.Keys("Space")
			term.WaitFor("PAUSED, 0 new")
			put("/registry/configmaps/"+ns+"/paused", "x")
			s = term.WaitFor("PAUSED, 1 new")
			if strings.Contains(s, "paused ") {
				t.Errorf("paused:\n%s", s)
			}
			term.Keys("Space")
			term.WaitFor("paused ", "created")
			if _, err := cli.Delete(ctx, "/registry/configmaps/"+ns+"/paused"); err != nil {
				t.Fatal(err)
			}
			term.WaitFor("deleted")

			// Saved, readable by its owner only.
			term.Type("s")
			term.WaitFor("save to fathom-watch-")
			term.Keys("C-u")
			path := filepath.Join(t.TempDir(), "changes.txt")
			term.Type(path)
			term.Keys("Enter")
			term.WaitFor("saved 3 changes")
			if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("%v, %v", info, err)
			}

			// A compaction while the watch is covered by another view: the gap is marked when it comes back.
			term.Keys("Enter")
			term.WaitFor("diff /registry/configmaps/" + ns + "/paused")
			for range 3 {
				rev = put(settings, object("ConfigMap", "argocd", fmt.Sprintf(`{"color":"%d"}`, rev)))
			}
			if _, err := cli.Compact(ctx, rev); err != nil {
				t.Fatal(err)
			}
			term.Keys("Escape")
			s = term.WaitFor("1 gap", " gap ", "compacted")
			checkFrame(t, s, size.w, size.h)
			rev = put(settings, object("ConfigMap", "argocd", `{"color":"after"}`))
			term.WaitFor(fmt.Sprint(rev), "1 gap")
			visit(term, "history "+settings, "was compacted away")
			command(term, "q")
			term.WaitFor("exit=0")
		})
	}
}
