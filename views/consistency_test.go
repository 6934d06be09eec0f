package views

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/charmbracelet/x/ansi"
	"github.com/charmbracelet/x/exp/golden"

	"fathom/theme"
	"fathom/ui/draw"
	"fathom/watchers/etcd"
	"fathom/watchers/etcd/check"
)

func consistencyPane(t *testing.T, ascii bool, h *check.HashRun, live *check.Live) *consistency {
	t.Helper()
	env := pictureEnv(ascii)
	env.Etcd, env.Check = &etcd.Watcher{}, &check.Checker{}
	p, err := newConsistency(env, Ref{View: "consistency"})
	if err != nil {
		t.Fatal(err)
	}
	c := p.(*consistency)
	c.snap, c.hash, c.live = membersFixture(), h, live
	c.arrange()
	return c
}

// liveFixture is of a member that lost an event, one that may not be watched, and one that is fine.
func liveFixture() *check.Live {
	s := membersFixture()
	l := &check.Live{Gen: 3, Since: pictureNow.Add(-time.Hour), What: "the leases of the control plane, /registry/leases/kube-system/", Kubernetes: true, Broken: 1}
	for i, m := range s.Members {
		l.Members = append(l.Members, check.LiveMember{ID: m.MemberID, Name: m.Name, Watching: i < 2, Since: pictureNow.Add(-time.Hour), Events: uint64(4000 - i),
			Delay: 7 * time.Millisecond, HasDelay: true, Late: time.Duration(i) * 900 * time.Microsecond, HasLate: true, Progress: 1300 * time.Microsecond})
	}
	l.Members[1].Breaches = 1
	l.Members[2].Why = "connection refused"
	for _, r := range check.Rules() {
		l.Rules = append(l.Rules, check.RuleCount{Rule: r, Checked: 12345})
	}
	l.Rules[check.Reliable].Broken = 1
	l.Rules[check.Created].Checked = 0
	l.Breaches = []check.Breach{{At: pictureNow.Add(-time.Minute), Member: s.Members[1].MemberID, Name: "etcd-2", Rule: check.Reliable,
		Text:     `"/registry/leases/kube-system/scheduler" was changed at revision 4711, before that at 4700; what was told is revision 4650`,
		Evidence: []string{`11:59:00.120 revision 4650 put "/registry/leases/kube-system/scheduler" created 12 version 88, before: revision 4600 version 87`, "11:59:01.000 complete up to revision 4705"}}}
	return l
}

func hashFixture(verdict check.Verdict, text string, each ...check.Verdict) *check.HashRun {
	h := &check.HashRun{Gen: 1, Began: pictureNow.Add(-14 * time.Second), Ended: pictureNow.Add(-12 * time.Second), Revision: 4711042, Voters: 3, Verdict: verdict, Text: text}
	for i, m := range membersFixture().Members {
		mh := check.MemberHash{ID: m.MemberID, Name: m.Name, Phase: check.Answered, Began: h.Began, Took: 600 * time.Millisecond, Hash: 0xdeadbee0 + uint32(i), CompactRevision: 4700000, Verdict: each[i]}
		if each[i] != check.Same {
			mh.Why = "2 of 3 voters agree on another hash"
		}
		if each[i] == check.Unknown {
			mh.Phase, mh.Why = check.Failed, "it does not answer: connection refused"
		}
		h.Members = append(h.Members, mh)
	}
	return h
}

// What a watch told before it ended is not shown as if it were so now.
func TestEndedWatchIsDimmed(t *testing.T) {
	p := consistencyPane(t, false, nil, liveFixture())
	for _, c := range p.cols {
		switch c.Title {
		case "EVENTS", "FROM WRITE", "LATE", "PROGRESS":
		default:
			continue
		}
		for i, want := range []theme.Style{theme.Default, theme.Default, theme.Dim} {
			if text, style := c.Cell(p.members[i], pictureNow); style != want {
				t.Errorf("%s of %s is %q in style %v, want %v", c.Title, p.members[i].GetName(), text, style, want)
			}
		}
	}
}

func TestGoldenConsistency(t *testing.T) {
	running := hashFixture(check.Unknown, "", check.Unknown, check.Unknown, check.Unknown)
	running.Ended = time.Time{}
	running.Members[0] = check.MemberHash{ID: running.Members[0].ID, Name: "etcd-1", Phase: check.Answered, Took: time.Second, Began: running.Began}
	running.Members[1] = check.MemberHash{ID: running.Members[1].ID, Name: "etcd-2", Phase: check.Hashing, Began: pictureNow.Add(-12 * time.Second)}
	running.Members[2] = check.MemberHash{ID: running.Members[2].ID, Name: "etcd-3"}
	quiet := &check.Live{Gen: 1, Since: pictureNow}
	for _, r := range check.Rules() {
		quiet.Rules = append(quiet.Rules, check.RuleCount{Rule: r})
	}
	for name, c := range map[string]struct {
		hash *check.HashRun
		live *check.Live
	}{
		"not-asked": {nil, quiet},
		"running":   {running, quiet},
		"differs":   {hashFixture(check.Differs, "etcd-2 does not hold the data that 2 of 3 voters agree on, at revision 4711042", check.Same, check.Differs, check.Same), liveFixture()},
		"partly":    {hashFixture(check.Partly, "2 of 3 voters hold the same data at revision 4711042; of the others it is unknown", check.Same, check.Same, check.Unknown), liveFixture()},
	} {
		for _, size := range [][2]int{{80, 20}, {198, 56}} {
			for glyphs, ascii := range map[string]bool{"unicode": false, "ascii": true} {
				t.Run(fmt.Sprintf("%s/%dx%d/%s", name, size[0], size[1], glyphs), func(t *testing.T) {
					p := consistencyPane(t, ascii, c.hash, c.live)
					canvas := draw.NewCanvas(size[0], size[1])
					p.Draw(canvas.Area(), true)
					out := ansi.Strip(canvas.Render(p.env.Theme))
					if i := strings.IndexFunc(out, func(r rune) bool { return r > 0x7e }); ascii && i >= 0 {
						t.Errorf("a character outside ASCII: %q", out[i:min(len(out), i+8)])
					}
					golden.RequireEqual(t, out)
				})
			}
		}
	}
}

func TestConsistencyHostileText(t *testing.T) {
	const evil = "\x1b[2J\x1b]52;c;AAAA\x07\u009b31m\u202e\nx"
	h := hashFixture(check.Differs, evil, check.Same, check.Differs, check.Unknown)
	l := liveFixture()
	for i := range h.Members {
		h.Members[i].Name, h.Members[i].Why = evil, evil
		l.Members[i].Name, l.Members[i].Why, l.Members[i].Watching = evil, evil, false
	}
	l.What = evil
	l.Breaches[0].Name, l.Breaches[0].Text, l.Breaches[0].Evidence = evil, evil, []string{evil}
	for _, size := range [][2]int{{80, 20}, {198, 56}, {20, 5}, {3, 2}, {0, 0}} {
		out := frame(consistencyPane(t, false, h, l), size[0], size[1])
		if i := strings.IndexAny(out, "\x1b\x07\u009b\u202e"); i >= 0 {
			t.Fatalf("%v: a control character reaches the screen: %q", size, out[i:min(len(out), i+10)])
		}
	}
}
