package watchers

import (
	"cmp"
	"iter"
	"slices"
)

// podTally counts pods, one change at a time.
type podTally struct {
	total              int
	byClass            [PodUnknown + 1]int
	requested, limited Amount
	problems           map[string]*problemPods
}

// problemPods are the pods that show one status word.
type problemPods struct {
	class PodClass
	pods  map[*PodRow]struct{}
	first *PodRow // the first by namespace and name, the same one every time; nil: to be looked for
}

func (t *podTally) apply(full bool, each iter.Seq2[Row, Row]) {
	if full {
		*t = podTally{problems: map[string]*problemPods{}}
	}
	for before, after := range each {
		if p, ok := before.(*PodRow); ok {
			t.add(p, -1)
		}
		if p, ok := after.(*PodRow); ok {
			t.add(p, 1)
		}
	}
}

// add counts a pod in, or with n -1 out.
func (t *podTally) add(p *PodRow, n int) {
	t.total += n
	t.byClass[p.Class] += n
	if p.holdsNode() {
		held := p.Requests
		held.Pods++
		if n > 0 {
			t.requested, t.limited = t.requested.Add(held), t.limited.Add(p.Limits)
		} else {
			t.requested, t.limited = t.requested.Sub(held), t.limited.Sub(p.Limits)
		}
	}
	word, is := p.problem()
	if !is {
		return
	}
	g := t.problems[word]
	if g == nil {
		g = &problemPods{class: p.Class, pods: map[*PodRow]struct{}{}}
		t.problems[word] = g
	}
	switch {
	case n > 0:
		if len(g.pods) == 0 || g.first != nil && compareDefault(p, g.first) < 0 {
			g.first = p
		}
		g.pods[p] = struct{}{}
	default:
		delete(g.pods, p)
		if g.first == p {
			g.first = nil
		}
		if len(g.pods) == 0 {
			delete(t.problems, word)
		}
	}
}

// problem is the word for what is wrong with a pod.
func (r *PodRow) problem() (word string, is bool) {
	switch r.Class {
	case PodFailing, PodPending, PodUnknown:
		return r.Status, true
	case PodNotReady:
		return "NotReady", true
	}
	return "", false
}

// holdsNode reports whether the pod takes room on a node, as the scheduler counts: it has one and has not finished.
func (r *PodRow) holdsNode() bool {
	return r.Node != "" && r.Phase != "Succeeded" && r.Phase != "Failed"
}

func (t *podTally) counts() PodCounts {
	c := PodCounts{Total: t.total, ByClass: t.byClass}
	for word, g := range t.problems {
		if g.first == nil {
			for p := range g.pods {
				if g.first == nil || compareDefault(p, g.first) < 0 {
					g.first = p
				}
			}
		}
		c.Problems = append(c.Problems, Problem{Status: word, Class: g.class, Count: len(g.pods), First: g.first})
	}
	slices.SortFunc(c.Problems, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Status, b.Status))
	})
	return c
}

// workloadTally knows the workloads that are not at strength.
type workloadTally struct {
	total int
	short map[*WorkloadRow]struct{}
}

func (t *workloadTally) apply(full bool, each iter.Seq2[Row, Row]) {
	if full {
		*t = workloadTally{short: map[*WorkloadRow]struct{}{}}
	}
	for before, after := range each {
		if w, ok := before.(*WorkloadRow); ok {
			t.total--
			delete(t.short, w)
		}
		if w, ok := after.(*WorkloadRow); ok {
			t.total++
			if !w.AtStrength() {
				t.short[w] = struct{}{}
			}
		}
	}
}

// addEvents keeps the warnings.
func (b *overviewBuilder) addEvents(full bool, each iter.Seq2[Row, Row]) {
	if full {
		b.warnings = map[*EventRow]struct{}{}
	}
	for before, after := range each {
		if e, ok := before.(*EventRow); ok {
			delete(b.warnings, e)
		}
		if e, ok := after.(*EventRow); ok && e.Type == "Warning" {
			b.warnings[e] = struct{}{}
		}
	}
}
