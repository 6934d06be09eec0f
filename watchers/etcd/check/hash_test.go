package check

import (
	"slices"
	"strings"
	"testing"
)

func TestJudge(t *testing.T) {
	type answer struct {
		hash    uint32
		compact int64
	}
	failed := answer{}
	for name, c := range map[string]struct {
		answers []answer
		learner bool // the last one is a learner
		want    Verdict
		each    []Verdict
		say     string
	}{
		"three alike":                        {[]answer{{7, 1}, {7, 1}, {7, 1}}, false, Same, []Verdict{Same, Same, Same}, "all 3 voters"},
		"one of three differs":               {[]answer{{7, 1}, {8, 1}, {7, 1}}, false, Differs, []Verdict{Same, Differs, Same}, "b does not hold"},
		"all differ":                         {[]answer{{7, 1}, {8, 1}, {9, 1}}, false, Apart, []Verdict{Apart, Apart, Apart}, "not known who"},
		"one does not answer":                {[]answer{{7, 1}, failed, {7, 1}}, false, Partly, []Verdict{Same, Unknown, Same}, "2 of 3"},
		"two of three answer, and differ":    {[]answer{{7, 1}, {8, 1}, failed}, false, Apart, []Verdict{Apart, Apart, Unknown}, "no majority"},
		"two members differ":                 {[]answer{{7, 1}, {8, 1}}, false, Apart, []Verdict{Apart, Apart}, "no majority"},
		"three of five agree":                {[]answer{{7, 1}, {8, 1}, {7, 1}, {9, 1}, {7, 1}}, false, Differs, []Verdict{Same, Differs, Same, Differs, Same}, "b, d"},
		"two of five agree":                  {[]answer{{7, 1}, {8, 1}, {7, 1}, {9, 1}, {10, 1}}, false, Apart, []Verdict{Apart, Apart, Apart, Apart, Apart}, "no majority"},
		"another compact revision":           {[]answer{{7, 1}, {8, 2}, {7, 1}}, false, Partly, []Verdict{Same, Unknown, Same}, "2 of 3"},
		"three compact revisions":            {[]answer{{7, 1}, {8, 2}, {9, 3}}, false, Unknown, []Verdict{Unknown, Unknown, Unknown}, "nobody to compare"},
		"one answers":                        {[]answer{{7, 1}, failed, failed}, false, Unknown, []Verdict{Unknown, Unknown, Unknown}, "only the hash of a"},
		"none answers":                       {[]answer{failed, failed, failed}, false, Unknown, []Verdict{Unknown, Unknown, Unknown}, "no member"},
		"a single member":                    {[]answer{{7, 1}}, false, Unknown, []Verdict{Unknown}, "single member"},
		"a learner's answer does not count":  {[]answer{{7, 1}, {7, 1}, {8, 1}}, true, Same, []Verdict{Same, Same, Unknown}, "all 2 voters"},
		"the minority answers and is united": {[]answer{{7, 1}, {7, 1}, failed, failed, failed}, false, Partly, []Verdict{Same, Same, Unknown, Unknown, Unknown}, "2 of 5"},
	} {
		t.Run(name, func(t *testing.T) {
			r := &HashRun{Revision: 100}
			for i, a := range c.answers {
				m := MemberHash{Name: string(rune('a' + i)), Phase: Answered, Hash: a.hash, CompactRevision: a.compact, Version: "3.6.8"}
				if a == failed {
					m.Phase, m.Why = Failed, "no answer"
				}
				m.Learner = c.learner && i == len(c.answers)-1
				if !m.Learner {
					r.Voters++
				}
				r.Members = append(r.Members, m)
			}
			r.judge()
			var each []Verdict
			for _, m := range r.Members {
				each = append(each, m.Verdict)
				if m.Verdict != Same && m.Why == "" && !m.Learner && r.Voters > 1 {
					t.Errorf("%s: %d, and nothing says why", m.Name, m.Verdict)
				}
			}
			if r.Verdict != c.want || !slices.Equal(each, c.each) || !strings.Contains(r.Text, c.say) {
				t.Errorf("%d %v: %s", r.Verdict, each, r.Text)
			}
			if strings.Contains(r.Text, "versions") {
				t.Errorf("speaks of versions: %s", r.Text)
			}
			r.Members[0].Version = "3.5.15"
			r.judge()
			if strings.Contains(r.Text, "versions") != (c.want == Differs || c.want == Apart) {
				t.Errorf("with different versions: %s", r.Text)
			}
		})
	}
}
