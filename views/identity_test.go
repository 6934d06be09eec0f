package views

import (
	"context"
	"path/filepath"
	"testing"

	"fathom/actions"
	"fathom/actions/journal"
	"fathom/cluster"
	"fathom/internal/testetcd"
)

// Who quits, or goes to another cluster, while an action is under way leaves no intent without an outcome in the journal: the end waits for it.
func TestTheEndWaitsForWhatIsUnderWay(t *testing.T) {
	env := keyEnv(t, false, false, testetcd.Start(t))
	path := filepath.Join(t.TempDir(), "fathom", "journal.jsonl")
	env.Runner = actions.NewRunner(env.Cluster, journal.New(path), "test")
	entered := make(chan struct{})
	a := actions.Action{
		ID: "test.hang", Title: "Hang", Verb: "hang", Resources: []string{"members"},
		Do: func(ctx context.Context, _ *cluster.Cluster, _ actions.Request) (string, error) {
			close(entered)
			<-ctx.Done()
			return "", ctx.Err()
		},
		Verify: func(ctx context.Context, _ *cluster.Cluster, _ actions.Request) (actions.Status, string, error) {
			<-ctx.Done() // nothing can be seen
			return actions.Unknown, "nothing is known", nil
		},
	}
	conf := (&Catalog{env: env}).Confirm(ActMsg{Action: a, Targets: []actions.Target{{Kind: "Member", Resource: "members", Name: "etcd-1", Member: 1}}})
	outs := make(chan []actions.Outcome, 1)
	go func() { outs <- conf.Run("", "") }()
	<-entered
	env.Group.Stop()
	rep, err := journal.Verify(t.Context(), path)
	if err != nil || rep.Records != 2 || len(rep.Open) != 0 {
		t.Errorf("%+v (%v): want the intent and its outcome", rep, err)
	}
	if o := <-outs; len(o) != 1 || o[0].Status != actions.Unknown {
		t.Errorf("outcome %+v", o)
	}
	if o := conf.Run("", ""); len(o) != 1 || o[0].Status != actions.Failed {
		t.Errorf("begun after the end: %+v", o)
	}
}
