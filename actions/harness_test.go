package actions

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"k8s.io/cli-runtime/pkg/genericclioptions"

	"fathom/actions/journal"
	"fathom/cluster"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rig is a runner with the real clients of a cluster in front of recording servers.
type rig struct {
	*Runner
	t       *testing.T
	cluster *cluster.Cluster
	journal *journal.Journal
}

type servers struct {
	api      *fakeAPI
	etcd     *fakeEtcd
	readOnly bool
}

func newRig(t *testing.T, s servers) *rig {
	t.Helper()
	o := cluster.Options{ReadOnly: s.readOnly, Flags: genericclioptions.NewConfigFlags(false)}
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	if s.api != nil {
		config := strings.ReplaceAll(`{"apiVersion":"v1","kind":"Config","current-context":"admin@prod",
			"contexts":[{"name":"admin@prod","context":{"cluster":"prod","user":"admin"}}],
			"clusters":[{"name":"prod","cluster":{"server":"URL"}}],"users":[{"name":"admin","user":{"token":"t"}}]}`, "URL", s.api.server.URL)
		must(t, os.WriteFile(kubeconfig, []byte(config), 0o600))
		o.Flags.KubeConfig = &kubeconfig
	}
	o.Etcd = cluster.EtcdOptions{Env: func(string) string { return "" }, HostRoot: t.TempDir(), Disabled: s.etcd == nil, Why: "not in this test"}
	if s.etcd != nil {
		o.Etcd.Endpoints = s.etcd.endpoints()
	}
	c, err := cluster.Open(o)
	must(t, err)
	t.Cleanup(c.Close)
	j := journal.New(filepath.Join(t.TempDir(), "fathom", "journal.jsonl"))
	r := NewRunner(c, j, "test")
	r.verifyFor = 50 * time.Millisecond
	return &rig{Runner: r, t: t, cluster: c, journal: j}
}

// act confirms and runs an action on one target.
func (r *rig) act(id, input string, targets ...Target) Outcome {
	r.t.Helper()
	return r.runAll(r.action(id), input, targets...)[0]
}

func (r *rig) action(id string) Action {
	r.t.Helper()
	a, ok := Lookup(id)
	if !ok {
		r.t.Fatalf("no action %s", id)
	}
	return a
}

func (r *rig) runAll(a Action, input string, targets ...Target) []Outcome {
	r.t.Helper()
	c, err := r.Confirm(a, input, targets...)
	must(r.t, err)
	return r.Run(context.Background(), c, nil)
}

// preview joins the lines of a preview.
func (r *rig) preview(id, input string, t Target) string {
	r.t.Helper()
	lines, err := r.Preview(r.t.Context(), r.action(id), t, input)
	must(r.t, err)
	return strings.Join(lines, "\n")
}

// journalled returns the report of a journal that must be whole.
func (r *rig) journalled() journal.Report {
	r.t.Helper()
	rep, err := journal.Verify(r.t.Context(), r.journal.Path())
	must(r.t, err)
	if !rep.OK() {
		r.t.Fatalf("the journal does not verify: %+v", rep)
	}
	return rep
}

func (r *rig) journalText() string {
	r.t.Helper()
	b, err := os.ReadFile(r.journal.Path())
	must(r.t, err)
	return string(b)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantContains(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(text, p) {
			t.Errorf("%q does not contain %q", text, p)
		}
	}
}
