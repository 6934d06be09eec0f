package etcd

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/util/version"

	"fathom/cluster"
)

func advise(auth Fact, versions ...string) Advisory {
	in := AdvisorInput{Auth: auth}
	for i, v := range versions {
		in.Members = append(in.Members, AdvisedMember{ID: fmt.Sprint(i + 1), Name: fmt.Sprintf("etcd-%d", i+1), Version: v})
	}
	return Advise(in)
}

func adviceIDs(a Advisory) (out []string) {
	for _, x := range a.Advice {
		out = append(out, x.ID)
	}
	return out
}

// Every defect ends with its fix: the release with the fix does not have it, the one before has it.
func TestAdvisorDefects(t *testing.T) {
	seen := map[string]bool{}
	for _, d := range defects {
		if seen[d.id] {
			t.Errorf("%s is there twice", d.id)
		}
		seen[d.id] = true
		if d.text == "" || d.meaning == "" || !strings.HasPrefix(d.source, "https://") || len(d.in) == 0 {
			t.Errorf("%s says too little: %+v", d.id, d)
		}
		for _, a := range d.in {
			fixed := version.MustParseSemantic(a.fixed)
			if newest := version.MustParseSemantic(newestKnown[a.line]); newest.LessThan(fixed) {
				t.Errorf("%s is fixed in %s, which is newer than the newest known, %s", d.id, a.fixed, newest)
			}
			versions := []string{fmt.Sprintf("%s.%d", a.line, fixed.Patch()-1)}
			if d.needs != needsSingle {
				versions = append(versions, versions[0], versions[0])
			}
			if got := adviceIDs(advise(FactYes, versions...)); !slices.Contains(got, d.id) {
				t.Errorf("%s: not said of %s; said: %v", d.id, versions[0], got)
			}
			if got := adviceIDs(advise(FactYes, a.fixed)); slices.Contains(got, d.id) {
				t.Errorf("%s: still said of %s", d.id, a.fixed)
			}
			if a.from != "" && version.MustParseSemantic(a.from).Patch() > 0 {
				v := fmt.Sprintf("%s.%d", a.line, version.MustParseSemantic(a.from).Patch()-1)
				if got := adviceIDs(advise(FactYes, v)); slices.Contains(got, d.id) {
					t.Errorf("%s: said of %s, which is before it began", d.id, v)
				}
			}
		}
	}
}

func TestAdvisorConditions(t *testing.T) {
	if got := adviceIDs(advise(FactNo, "3.5.3", "3.5.3", "3.5.3")); slices.Contains(got, "auth-panic") || slices.Contains(got, "single-durability") {
		t.Errorf("three members without authentication: %v", got)
	}
	a := advise(FactUnknown, "3.5.3")
	i := slices.IndexFunc(a.Advice, func(x Advice) bool { return x.ID == "auth-panic" })
	if i < 0 || !strings.Contains(a.Advice[i].Text, "if authentication is on") {
		t.Errorf("what depends on something unknown must say so: %+v", a.Advice)
	}
	if !strings.Contains(strings.Join(a.Unknown, "\n"), "whether authentication is on") {
		t.Errorf("unknown: %v", a.Unknown)
	}
	if !slices.Contains(adviceIDs(a), "single-durability") {
		t.Errorf("a single member: %v", adviceIDs(a))
	}
	// A learner is no voter.
	in := AdvisorInput{Members: []AdvisedMember{{ID: "1", Name: "a", Version: "3.5.4"}, {ID: "2", Name: "b", Version: "3.5.4", NoVote: true}}}
	if got := adviceIDs(Advise(in)); !slices.Contains(got, "single-durability") {
		t.Errorf("one voter and a learner: %v", got)
	}
}

func TestAdvisorReleases(t *testing.T) {
	for v, c := range map[string]struct {
		ids, not []string
		unknown  string
	}{
		"3.6.14":          {ids: []string{"upgrade-3.7"}, not: []string{"ghsa-6vch-q96h-7gc3", "pre-release"}},
		"3.7.1":           {not: []string{"ghsa-6vch-q96h-7gc3", "upgrade-3.7"}},
		"3.7.0":           {ids: []string{"ghsa-6vch-q96h-7gc3"}},
		"3.7.0-rc.1":      {ids: []string{"ghsa-6vch-q96h-7gc3", "pre-release"}},
		"3.6.5-rc.0":      {ids: []string{"defrag-snapshot", "pre-release"}},
		"3.6.5-k3s1":      {not: []string{"defrag-snapshot", "pre-release"}, unknown: "own build"},
		"3.6.5+rke2":      {not: []string{"defrag-snapshot"}, unknown: "own build"},
		"3.6.40":          {not: []string{"ghsa-6vch-q96h-7gc3"}, unknown: "newer than the newest"},
		"3.8.0-alpha.0":   {ids: []string{"pre-release"}, unknown: "newer than the table"},
		"3.4.44":          {ids: []string{"end-of-life-3.4", "upgrade-3.5"}, not: []string{"stale-reads", "end-of-life"}},
		"3.3.27":          {ids: []string{"end-of-life"}, not: []string{"end-of-life-3.4"}},
		"not a version\a": {unknown: `"not a version\a" is none`},
		"":                {unknown: "it has not told it"},
	} {
		a := advise(FactUnknown, v)
		got := adviceIDs(a)
		for _, id := range c.ids {
			if !slices.Contains(got, id) {
				t.Errorf("%q: %s is missing in %v", v, id, got)
			}
		}
		for _, id := range c.not {
			if slices.Contains(got, id) {
				t.Errorf("%q: %s in %v", v, id, got)
			}
		}
		if all := strings.Join(a.Unknown, "\n"); !strings.Contains(all, c.unknown) || len(a.Unknown) == 0 {
			t.Errorf("%q: unknown is %q, want %q in it", v, all, c.unknown)
		}
	}
}

func TestAdvisorTogether(t *testing.T) {
	a := advise(FactNo, "3.5.4", "3.5.20", "3.6.8")
	i := slices.IndexFunc(a.Advice, func(x Advice) bool { return x.ID == "defrag-snapshot" })
	if i < 0 {
		t.Fatalf("%v", adviceIDs(a))
	}
	x := a.Advice[i]
	if !strings.HasPrefix(x.Text, "etcd 3.5.4 (etcd-1), 3.5.20 (etcd-2) can") || !slices.Equal(x.Members, []string{"1", "2"}) {
		t.Errorf("%+v: it names the members and their versions, and not etcd-3, which has the fix", x)
	}
	if same := advise(FactNo, "3.6.4", "3.6.4"); !strings.HasPrefix(same.Advice[0].Text, "etcd 3.6.4 can") {
		t.Errorf("all of the same version: %q", same.Advice[0].Text)
	}
	i = slices.IndexFunc(a.Advice, func(x Advice) bool { return x.ID == "stale-reads" })
	if want := "upgrade to 3.5.28 or newer (3.5.33 is the newest known here); upgrade to 3.6.9 or newer (3.6.14 is the newest known here)"; i < 0 || a.Advice[i].Next != want {
		t.Errorf("next %q, want %q", a.Advice[i].Next, want)
	}
	if !slices.IsSortedFunc(a.Advice, func(a, b Advice) int { return int(b.Severity) - int(a.Severity) }) {
		t.Error("the worst is not first")
	}
	if slices.Contains(adviceIDs(a), "minor-skew") {
		t.Error("3.5 and 3.6 may run side by side while it is upgraded")
	}
	if got := advise(FactNo, "3.4.45", "3.6.14"); got.Advice[0].ID != "minor-skew" {
		t.Errorf("3.4 beside 3.6: %v", adviceIDs(got))
	}
	i = slices.IndexFunc(a.Advice, func(x Advice) bool { return x.ID == "upgrade-3.6" })
	if i < 0 || !strings.Contains(a.Advice[i].Next, "3.5.32") || !strings.Contains(a.Advice[i].Next, "etcdutl check v2store") {
		t.Errorf("the way from 3.5 to 3.6: %+v", a.Advice)
	}
	if got := Advise(AdvisorInput{}); len(got.Advice) != 0 || len(got.Unknown) == 0 {
		t.Errorf("of no members: %+v", got)
	}
}

// A downgrade that is enabled is told with what it waits for, until etcd has ended it.
func TestAdvisorDowngrade(t *testing.T) {
	// A member is its version, its storage version and the target that it tells.
	for name, c := range map[string]struct {
		members [][3]string
		id      string
		hit     []string
		text    string
	}{
		"none":             {[][3]string{{"3.6.8", "3.6.0", ""}, {"3.6.8", "3.6.0", ""}}, "", nil, ""},
		"just enabled":     {[][3]string{{"3.6.8", "3.6.0", "3.5.0"}, {"3.6.8", "3.5.0", "3.5.0"}}, "downgrade-storage", []string{"1"}, "etcd-1 (storage version 3.6.0)"},
		"prepared":         {[][3]string{{"3.6.8", "3.5.0", "3.5.0"}, {"3.6.8", "3.5.0", "3.5.0"}}, "downgrade", []string{"1", "2"}, "etcd-1 (3.6.8), etcd-2 (3.6.8)"},
		"on its way":       {[][3]string{{"3.5.33", "", ""}, {"3.6.8", "3.5.0", "3.5.0"}}, "downgrade", []string{"2"}, "on etcd-2 (3.6.8)"},
		"all are there":    {[][3]string{{"3.6.14", "3.6.0", "3.6.0"}, {"3.6.14", "3.6.0", "3.6.0"}}, "downgrade-not-ended", nil, "though all members run it"},
		"one is not known": {[][3]string{{"3.6.14", "3.6.0", "3.6.0"}, {"", "", ""}}, "downgrade", nil, "a downgrade to 3.6.0 is enabled"},
		"no version":       {[][3]string{{"3.6.14", "3.6.0", "\x1b[2J"}}, "downgrade", nil, "a downgrade to"},
	} {
		in := AdvisorInput{Auth: FactNo}
		for i, m := range c.members {
			in.Members = append(in.Members, AdvisedMember{ID: fmt.Sprint(i + 1), Name: fmt.Sprintf("etcd-%d", i+1), Version: m[0], Storage: m[1], Downgrade: m[2]})
		}
		var got []Advice
		for _, a := range Advise(in).Advice {
			if strings.HasPrefix(a.ID, "downgrade") {
				got = append(got, a)
			}
		}
		switch {
		case c.id == "" && len(got) == 0:
		case len(got) != 1 || got[0].ID != c.id || !slices.Equal(got[0].Members, c.hit) || !strings.Contains(got[0].Text, c.text):
			t.Errorf("%s: %+v", name, got)
		case got[0].Meaning == "" || got[0].Next == "" || got[0].Source == "" || got[0].Severity != Warning:
			t.Errorf("%s says too little: %+v", name, got[0])
		}
	}
}

// An endpoint that is no member of the cluster, as another name of one that cannot be reached from here, is no second voter.
func TestAdvisorCountsThoseOfTheList(t *testing.T) {
	f := newFacts(t, 1)
	alias, _ := f.conn(&cluster.Member{Endpoint: "http://etcd-one:2379"})
	st := status(1, 1, 4, 100, 100)
	st.Version = "3.5.4"
	f.say(ms(0), ms(1), st)
	f.failed(alias, ms(1), "no such host", false)
	if ids := adviceIDs(Advise(AdvisorInputOf(f.at(ms(2))))); !slices.Contains(ids, "single-durability") {
		t.Errorf("%v", ids)
	}
}
