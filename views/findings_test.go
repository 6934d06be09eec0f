package views

import (
	"fmt"
	"strings"
	"testing"

	"github.com/charmbracelet/x/ansi"
	"github.com/charmbracelet/x/exp/golden"

	"fathom/keymap"
	"fathom/ui/draw"
	"fathom/watchers"
	"fathom/watchers/etcd"
)

func findingsPane(t *testing.T, ascii bool, s *etcd.Snapshot) *findings {
	t.Helper()
	env := pictureEnv(ascii)
	env.Etcd = &etcd.Watcher{}
	p, err := newFindings(env, Ref{View: "findings"})
	if err != nil {
		t.Fatal(err)
	}
	f := p.(*findings)
	f.take(s)
	return f
}

func TestGoldenFindings(t *testing.T) {
	for _, size := range [][2]int{{80, 20}, {118, 36}, {198, 56}} {
		for glyphs, ascii := range map[string]bool{"unicode": false, "ascii": true} {
			t.Run(fmt.Sprintf("%dx%d/%s", size[0], size[1], glyphs), func(t *testing.T) {
				p := findingsPane(t, ascii, membersFixture())
				c := draw.NewCanvas(size[0], size[1])
				p.Draw(c.Area(), true)
				golden.RequireEqual(t, ansi.Strip(c.Render(p.env.Theme)))
			})
		}
	}
}

// Every finding says what it means and what to do, the worst first, and what is not known comes last.
func TestFindingsRows(t *testing.T) {
	p := findingsPane(t, false, membersFixture())
	if len(p.rows) < 6 || p.rows[0].Kind != etcd.FoundAlarm || p.rows[len(p.rows)-1].Kind != unknownKind {
		t.Fatalf("%d rows, the first %+v", len(p.rows), p.rows[0])
	}
	ids := map[string]bool{}
	for i, r := range p.rows {
		if ids[r.id] {
			t.Errorf("two rows are %s", r.id)
		}
		ids[r.id] = true
		if i > 0 && r.Severity > p.rows[i-1].Severity {
			t.Errorf("%s stands below something less severe", r.id)
		}
		if r.Kind != unknownKind && (r.Meaning == "" || r.Next == "" || r.Source == "") && !strings.HasPrefix(r.Kind, etcd.FoundUnreachable) {
			t.Errorf("%s says too little: %+v", r.id, r)
		}
	}
	if err := p.SetFilter("unreachable"); err != nil || len(p.rows) != 1 || p.rows[0].members != "etcd-3" {
		t.Errorf("/unreachable: %d rows, %v", len(p.rows), err)
	}
	if msg, ok := p.Do(keymap.FindingsMember)().(OpenMsg); !ok || msg.Ref.View != "members" || msg.Ref.Object.UID != "77cc2a1b00f3d9e1" {
		t.Errorf("the key to the member opens %+v", msg)
	}
	if err := p.SetFilter("version/stale-reads"); err != nil || len(p.rows) != 1 {
		t.Errorf("a kind can be filtered by: %d rows, %v", len(p.rows), err)
	}
	if _, ok := p.Do(keymap.FindingsMember)().(ToastMsg); !ok {
		t.Error("a finding about all members leads to one of them")
	}
	if err := p.SetFilter("-l a=b"); err == nil {
		t.Error("findings have labels")
	}
}

func TestFindingsZoom(t *testing.T) {
	p := findingsPane(t, false, membersFixture())
	p.Do(keymap.Bottom)
	p.Do(keymap.Enter)
	p.Do(keymap.Bottom)
	if out := frame(p, 60, 6); !strings.Contains(out, "backports of a distribution") {
		t.Errorf("what is not known cannot be read to its end:\n%s", out)
	}
	p.Do(keymap.Top)
	if out := frame(p, 60, 6); !strings.Contains(out, "does not know") {
		t.Errorf("nor from its beginning:\n%s", out)
	}
	p.Do(keymap.Enter)
	if out := frame(p, 80, 20); !strings.Contains(out, "SEVERITY") {
		t.Errorf("Enter does not go back:\n%s", out)
	}
}

func TestFindingsStates(t *testing.T) {
	for name, c := range map[string]struct {
		snap *etcd.Snapshot
		want string
	}{
		"connecting": {&etcd.Snapshot{State: watchers.State{Phase: watchers.Connecting, Why: "https://10.0.0.1:2379: no answer within 1s"}}, "no answer within 1s"},
		"kine":       {&etcd.Snapshot{Gen: 1, Kine: true, State: watchers.State{Phase: watchers.Unsupported, Why: "this is kine"}}, "this is kine"},
		"nothing":    {&etcd.Snapshot{}, "asking the members"},
	} {
		if out := frame(findingsPane(t, false, c.snap), 80, 20); !strings.Contains(out, c.want) {
			t.Errorf("%s: %q is not on the screen:\n%s", name, c.want, out)
		}
	}
}

func TestFindingsPrint(t *testing.T) {
	p := findingsPane(t, false, membersFixture())
	out, ready, err := p.Print(true)
	if err != nil || !ready {
		t.Fatal(ready, err)
	}
	data, err := out.json()
	if err != nil {
		t.Fatal(err)
	}
	golden.RequireEqual(t, data)
	if len(out.Titles) != len(out.Rows[0]) {
		t.Errorf("%d titles and %d cells", len(out.Titles), len(out.Rows[0]))
	}
}

func TestFindingsHostileText(t *testing.T) {
	s := membersFixture()
	evil := "\x1b[2J\x1b]52;c;AAAA\x07\u009b31m\u202e\nx"
	s.Findings[0] = etcd.Finding{Kind: evil, Text: evil, Meaning: evil, Next: evil, Source: evil}
	for _, m := range s.Members {
		m.Name, m.Version, m.MetricsWhy = evil, evil, evil
	}
	for i := range s.Timeline {
		s.Timeline[i].LeaderName, s.Timeline[i].FromName, s.Timeline[i].Before = evil, evil, []string{evil}
	}
	members := membersPane(t, false, s)
	timeline := membersPane(t, false, s)
	timeline.Do(keymap.MembersTimeline)
	for _, p := range []Pane{findingsPane(t, false, s), members, timeline} {
		for _, size := range [][2]int{{80, 20}, {198, 56}, {20, 5}, {3, 2}, {0, 0}} {
			out := frame(p, size[0], size[1])
			if i := strings.IndexAny(out, "\x1b\x07\u009b\u202e"); i >= 0 {
				t.Fatalf("%v: a control character reaches the screen: %q", size, out[i:min(len(out), i+10)])
			}
		}
	}
}
