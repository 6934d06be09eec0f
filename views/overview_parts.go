package views

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"fathom/internal/safe"
	"fathom/theme"
	"fathom/ui/chart"
	"fathom/watchers"
)

// sections says what there is to see, in the order of importance. Its cost is bounded by watchers.TopN, not by the cluster.
func (d *overviewData) sections(th *theme.Theme, now time.Time) []overviewSection {
	etcd := d.etcdSection(now)
	etcd.backups(d.backups, now)
	out := []overviewSection{d.planeSection(now), etcd}
	if !d.api {
		return out
	}
	out = append(out, d.nodesSection(now), d.podsSection(th, now), d.workloadsSection(now))
	if ns := d.namespacesSection(now); len(ns.head) > 0 {
		out = append(out, ns)
	}
	return append(out, d.capacitySection(now), d.warningsSection(now))
}

func (d *overviewData) planeSection(now time.Time) overviewSection {
	s := overviewSection{key: "controlPlane", title: "Control plane"}
	if !d.api {
		s.head = []overviewLine{{id: "api", name: "API server", status: "not found", detail: "give --kubeconfig or --context"}}
		return s
	}
	api := d.apiLine(now)
	s.head = append(s.head, api)
	var issues []string
	if api.level == theme.Bad {
		issues = append(issues, "API server "+api.status)
	}
	if d.plane == nil {
		return s
	}
	for _, name := range []string{"kube-scheduler", "kube-controller-manager"} {
		i := slices.IndexFunc(d.plane.Leases, func(l watchers.Lease) bool { return l.Name == name })
		if i < 0 {
			continue
		}
		l := leaseLine(d.plane.Leases[i], now)
		if l.level == theme.Bad {
			issues = append(issues, l.name+" "+l.status)
		}
		s.head = append(s.head, l)
	}
	s.issue = strings.Join(issues, ", ")
	return s
}

func (d *overviewData) apiLine(now time.Time) overviewLine {
	l := overviewLine{id: "api", name: "API server", ref: &Ref{View: "leases.coordination.k8s.io", Namespace: "kube-system", Filter: "apiserver-"}}
	if d.plane == nil {
		l.level, l.status, l.detail = theme.Pending, "waiting", d.health.Why
		return l
	}
	livez, readyz := d.plane.Livez, d.plane.Readyz
	l.at = livez.At
	var facts []string
	if d.plane.Version != "" {
		facts = append(facts, d.plane.Version)
	}
	switch {
	case livez.At.IsZero():
		l.level, l.status, l.detail = theme.Pending, "waiting", d.health.Why
		return l
	case livez.Code == 0:
		l.level, l.status = theme.Bad, "unreachable"
		facts = append([]string{livez.Err}, facts...)
		if !d.health.LastOK.IsZero() {
			facts = append([]string{"last answer " + Age(now.Sub(d.health.LastOK)) + " ago"}, facts...)
		}
	case livez.Code == 401 || livez.Code == 403:
		l.level, l.status = theme.Default, "health denied"
		facts = append(facts, "you may not get /livez")
	case !livez.OK:
		l.level, l.status = theme.Bad, "not live"
		facts = append([]string{"livez: " + failing(livez)}, facts...)
	case !readyz.OK && !readyz.At.IsZero():
		l.level, l.status = theme.Bad, "not ready"
		facts = append([]string{"readyz: " + failing(readyz)}, facts...)
	default:
		l.level, l.status = theme.Good, "ok"
		facts = append(facts, "livez "+millis(livez.RTT))
		if !readyz.At.IsZero() {
			facts = append(facts, "readyz "+millis(readyz.RTT))
		}
	}
	l.detail = strings.Join(facts, " · ")
	return l
}

// failing names the checks that do not pass.
func failing(p watchers.Probe) string {
	var names []string
	for _, c := range p.Checks {
		if !c.OK {
			names = append(names, c.Name)
		}
	}
	if len(names) == 0 {
		return firstOf(p.Err, fmt.Sprintf("HTTP %d", p.Code))
	}
	return strings.Join(names, ", ")
}

func millis(d time.Duration) string {
	if d < time.Millisecond {
		return "<1ms"
	}
	return fmt.Sprintf("%dms", d.Milliseconds())
}

func leaseLine(l watchers.Lease, now time.Time) overviewLine {
	out := overviewLine{id: "lease/" + l.Name, name: strings.TrimPrefix(l.Name, "kube-"), kind: "Lease", namespace: "kube-system", at: l.Renewed,
		ref: &Ref{View: "yaml", Namespace: "kube-system", Object: Object{GVR: gvr("coordination.k8s.io", "v1", "leases"), Kind: "Lease",
			Namespace: "kube-system", Name: l.Name}}}
	switch {
	case !l.Found && l.Err == "":
		out.level, out.status = theme.Pending, "waiting"
	case !l.Found && strings.Contains(l.Err, "forbidden"):
		out.level, out.status, out.detail = theme.Default, "denied", "you may not get leases in kube-system"
	case !l.Found:
		out.level, out.status, out.detail = theme.Default, "unknown", "its lease: "+l.Err
	case l.Expired():
		out.level, out.status = theme.Bad, "lease expired"
		out.detail = "renewed " + Age(now.Sub(l.Renewed)) + " ago · was " + l.Holder
	case l.Holder == "":
		out.level, out.status = theme.Bad, "no leader"
	default:
		out.level, out.status = theme.Good, "ok"
		out.detail = "renewed " + Age(max(0, now.Sub(l.Renewed))) + " ago · " + l.Holder
		if l.Err != "" {
			out.level, out.status = theme.Warn, "unknown"
			out.stale = aged(watchers.State{Phase: watchers.Stale, Since: l.CheckedAt}, now)
		}
	}
	return out
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return Count(n) + " " + what + "s"
}

func (d *overviewData) nodesSection(now time.Time) overviewSection {
	s := overviewSection{key: "nodes", title: "Nodes"}
	l := overviewLine{id: "nodes", name: "nodes", ref: &Ref{View: "nodes"}}
	st := d.part(watchers.Key{GVR: watchers.Nodes()})
	var ok bool
	if l.level, l.status, l.detail, ok = missing(st); !ok {
		s.unseen = l.status
		s.head = []overviewLine{l}
		return s
	}
	c := d.pic.Value.Nodes
	down := c.Total - c.Ready
	l.value, l.total, l.stale = n64(int64(c.Ready)), n64(int64(c.Total)), aged(st, now)
	l.status = Count(c.Ready) + "/" + Count(c.Total) + " ready"
	add := func(n int, level theme.Style, word string, ref Ref) {
		if n == 0 {
			return
		}
		if severity(level) > severity(l.level) {
			l.level = level
		}
		s.list = append(s.list, overviewLine{id: "nodes/" + word, level: level, name: word, status: Count(n) + " of " + Count(c.Total),
			kind: "Node", value: n64(int64(n)), total: l.total, ref: &ref})
		l.detail = join(l.detail, fmt.Sprintf("%d %s", n, word))
	}
	l.level = theme.Good
	add(down, theme.Bad, "not ready", Ref{View: "nodes", Filter: "NotReady"})
	add(c.Pressure, theme.Warn, "under pressure", Ref{View: "nodes", Where: &Where{Label: "under pressure", Match: func(r watchers.Row) bool {
		n, ok := r.(*watchers.NodeRow)
		return ok && n.Ready && len(n.Conditions) > 0
	}}})
	add(c.Cordoned, theme.Warn, "cordoned", Ref{View: "nodes", Filter: "SchedulingDisabled"})
	if c.Total == 0 {
		l.level, l.detail = theme.Bad, "the cluster has no node"
		s.issue = "no nodes"
	}
	switch {
	case down > 0:
		s.issue = plural(down, "node") + " not ready"
	case c.Pressure > 0:
		s.issue = plural(c.Pressure, "node") + " under pressure"
	case c.Cordoned > 0:
		s.issue = plural(c.Cordoned, "node") + " cordoned"
	}
	l.repeats = true
	s.head = []overviewLine{l}
	return s
}

func join(a, b string) string { return joinWith(a, " · ", b) }

// classOrder is the order in which pods are counted: what asks for attention first.
var classOrder = [...]watchers.PodClass{watchers.PodFailing, watchers.PodUnknown, watchers.PodPending, watchers.PodNotReady,
	watchers.PodRunning, watchers.PodStarting, watchers.PodTerminating, watchers.PodCompleted}

// classGlyph tells classes of pods apart without colour.
func classGlyph(th *theme.Theme, c watchers.PodClass) rune {
	g := th.Glyphs()
	switch c {
	case watchers.PodRunning:
		return g.Cell
	case watchers.PodNotReady:
		return g.Warn
	case watchers.PodStarting:
		return g.Info
	case watchers.PodPending:
		return g.Pending
	case watchers.PodFailing:
		return g.Bad
	case watchers.PodTerminating:
		return g.Gone
	case watchers.PodCompleted:
		return g.CellEmpty
	}
	return g.Unknown
}

func (d *overviewData) podsSection(th *theme.Theme, now time.Time) overviewSection {
	s := overviewSection{key: "pods", title: "Pods", swap: true}
	l := overviewLine{id: "pods", name: "pods", ref: &Ref{View: "pods", Namespace: d.namespace}}
	st := d.part(watchers.Key{GVR: watchers.Pods(), Namespace: d.namespace})
	var ok bool
	if l.level, l.status, l.detail, ok = missing(st); !ok {
		s.unseen = l.status
		s.head = []overviewLine{l}
		return s
	}
	c := &d.pic.Value.Pods
	l.level, l.stale, l.status = theme.Good, aged(st, now), Count(c.Total)
	l.value = n64(int64(c.Total))
	for _, class := range classOrder {
		n := c.ByClass[class]
		if n == 0 {
			continue
		}
		l.stack = append(l.stack, chart.Part{Value: float64(n), Label: safe.Sprintf("%s %s", Count(n), class), Style: classStyle(class), Glyph: classGlyph(th, class)})
		l.detail = join(l.detail, Count(n)+" "+class.String())
		level := theme.Good
		switch class {
		case watchers.PodFailing, watchers.PodUnknown:
			level = theme.Bad
		case watchers.PodPending, watchers.PodNotReady:
			level = theme.Warn
		}
		if severity(level) > severity(l.level) { // the worst come first
			l.level = level
		}
		if level == l.level && level != theme.Good {
			s.issue = joinWith(s.issue, ", ", fmt.Sprintf("%s %s", plural(n, "pod"), class))
		}
	}
	for _, pr := range c.Problems {
		name := pr.First.Name
		if d.namespace == AllNamespaces {
			name = pr.First.Namespace + "/" + name
		}
		if pr.Count > 1 {
			name += fmt.Sprintf(" and %d more", pr.Count-1)
		}
		ref := Ref{View: "pods", Namespace: d.namespace, Filter: pr.Status}
		if pr.Class == watchers.PodNotReady {
			ref.Filter = ""
			ref.Where = &Where{Label: "not ready", Match: func(r watchers.Row) bool {
				p, ok := r.(*watchers.PodRow)
				return ok && p.Class == watchers.PodNotReady
			}}
		}
		s.list = append(s.list, overviewLine{id: "problem/" + pr.Status, level: classStyle(pr.Class), lead: fmt.Sprint(pr.Count), name: name,
			status: pr.Status, detail: firstOf(pr.First.Unscheduled, pr.First.Message), value: n64(int64(pr.Count)), kind: "Pod", ref: &ref})
	}
	slices.SortStableFunc(s.list, func(a, b overviewLine) int { return cmp.Compare(severity(b.level), severity(a.level)) })
	s.compact = len(s.list)
	s.head = []overviewLine{l}
	return s
}

// joinWith puts sep between a and b if both are there.
func joinWith(a, sep, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return a + sep + b
}

// workloadResources are the resources of the kinds that the overview counts.
var workloadResources = map[string]string{"Deployment": "deployments", "StatefulSet": "statefulsets", "DaemonSet": "daemonsets"}

func (d *overviewData) workloadsSection(now time.Time) overviewSection {
	s := overviewSection{key: "workloads", title: "Workloads"}
	l := overviewLine{id: "workloads", name: "workloads", ref: &Ref{View: "deployments", Namespace: d.namespace}}
	st := d.part(watchers.Key{GVR: watchers.Deployments(), Namespace: d.namespace},
		watchers.Key{GVR: watchers.StatefulSets(), Namespace: d.namespace}, watchers.Key{GVR: watchers.DaemonSets(), Namespace: d.namespace})
	var ok bool
	if l.level, l.status, l.detail, ok = missing(st); !ok {
		s.unseen = l.status
		s.head = []overviewLine{l}
		return s
	}
	o := d.pic.Value
	l.level, l.stale = theme.Good, aged(st, now)
	l.value, l.total = n64(int64(o.Workloads-o.ShortTotal)), n64(int64(o.Workloads))
	l.status = Count(o.Workloads-o.ShortTotal) + "/" + Count(o.Workloads) + " at strength"
	for _, w := range o.Short {
		level := workloadStyle(w)
		if severity(level) > severity(l.level) {
			l.level = level
		}
		name := w.Name
		if d.namespace == AllNamespaces {
			name = w.Namespace + "/" + name
		}
		resource := workloadResources[w.Kind]
		ref, ok := podsOf(w.Namespace, resource+"/"+w.Name, w.Selector)
		if !ok {
			ref = Ref{View: resource, Namespace: w.Namespace, Filter: w.Name}
		}
		s.list = append(s.list, overviewLine{id: "workload/" + w.ID(), level: level, lead: fmt.Sprintf("%d/%d", w.Ready, w.Desired), name: name,
			status: workloadWord(w), detail: joinWith(w.Kind, ": ", w.Problem), namespace: w.Namespace, kind: w.Kind,
			value: n64(int64(w.Ready)), total: n64(int64(w.Desired)), ref: &ref})
	}
	if o.ShortTotal > 0 {
		s.issue = plural(o.ShortTotal, "workload") + " not at strength"
	}
	s.compact = len(s.list)
	s.head = []overviewLine{l}
	return s
}

func (d *overviewData) namespacesSection(now time.Time) overviewSection {
	s := overviewSection{key: "namespaces", title: "Namespaces"}
	st := d.part(watchers.Key{GVR: watchers.Namespaces()})
	if _, _, _, ok := missing(st); !ok {
		return s
	}
	o := d.pic.Value
	if len(o.Ending) == 0 {
		return s
	}
	s.head = []overviewLine{{id: "namespaces", level: theme.Gone, name: "namespaces", status: fmt.Sprintf("%d terminating", len(o.Ending)),
		detail: strings.Join(o.Ending, ", "), value: n64(int64(len(o.Ending))), total: n64(int64(o.Namespaces)), stale: aged(st, now),
		ref: &Ref{View: "namespaces", Filter: "Terminating"}}}
	return s
}

func (d *overviewData) capacitySection(now time.Time) overviewSection {
	s := overviewSection{key: "capacity", title: "Capacity: requested of allocatable"}
	st := d.part(watchers.Key{GVR: watchers.Nodes()}, watchers.Key{GVR: watchers.Pods(), Namespace: d.namespace})
	if level, status, detail, ok := missing(st); !ok {
		s.head = []overviewLine{{id: "capacity", level: level, name: "capacity", status: status, detail: joinWith("needs nodes and pods", ": ", detail)}}
		return s
	}
	o := d.pic.Value
	add := func(name, unit string, have, total int64, show func(int64) string) {
		g := chart.Gauge{Value: float64(have), Total: float64(total), WarnAt: 0.8, BadAt: 0.95}
		g.Label = safe.String(fmt.Sprintf("%4s  %s/%s", percentOf(have, total), show(have), show(total)))
		l := overviewLine{id: "capacity/" + name, level: theme.Good, name: name, value: n64(have), total: n64(total), unit: unit, gauge: &g,
			stale: aged(st, now), ref: &Ref{View: "placement", Namespace: d.namespace}, status: show(have) + "/" + show(total)}
		switch {
		case total == 0:
			l.level, l.detail = theme.Default, "nothing is allocatable"
		case g.Level() == chart.Bad:
			l.level, l.detail = theme.Bad, "nearly used up"
		case g.Level() == chart.Warn:
			l.level, l.detail = theme.Warn, "getting full"
		}
		if severity(l.level) >= severity(theme.Warn) {
			s.issue = joinWith(s.issue, ", ", name+" requests at "+percentOf(have, total))
		}
		s.head = append(s.head, l)
	}
	add("cpu", "millicores", o.Requested.MilliCPU, o.Allocable.MilliCPU, CPU)
	add("memory", "bytes", o.Requested.Memory, o.Allocable.Memory, Bytes)
	add("pods", "pods", o.Requested.Pods, o.Allocable.Pods, func(n int64) string { return Count(int(n)) })
	brief := overviewLine{id: "capacity", level: s.level(), name: "capacity", ref: s.head[0].ref, stale: s.head[0].stale}
	for i := range s.head {
		g := *s.head[i].gauge
		g.Label = safe.String(s.head[i].name + " " + percentOf(*s.head[i].value, *s.head[i].total))
		brief.gauges = append(brief.gauges, g)
	}
	s.brief = []overviewLine{brief}
	return s
}

func percentOf(have, total int64) string {
	if total <= 0 {
		return "?"
	}
	return fmt.Sprintf("%d%%", have*100/total)
}

func (d *overviewData) warningsSection(now time.Time) overviewSection {
	s := overviewSection{key: "warnings", title: "Warnings", swap: true}
	l := overviewLine{id: "warnings", name: "warnings", ref: &Ref{View: "events", Namespace: d.namespace, Filter: "Warning"}}
	st := d.part(watchers.Key{GVR: watchers.Events(), Namespace: d.namespace})
	var ok bool
	if l.level, l.status, l.detail, ok = missing(st); !ok {
		s.unseen = l.status
		s.head = []overviewLine{l}
		return s
	}
	o := d.pic.Value
	l.level, l.stale, l.value = theme.Good, aged(st, now), n64(int64(o.WarnTotal))
	l.status = "none"
	if o.WarnTotal > 0 {
		l.level, l.status = theme.Warn, fmt.Sprint(o.WarnTotal)
	}
	l.detail = "in the last " + Age(o.Window)
	for i := range o.Warnings {
		w := &o.Warnings[i]
		object := w.Kind + "/" + w.Object
		if d.namespace == AllNamespaces && w.Namespace != "" {
			object = w.Namespace + "/" + w.Object
		}
		reason := w.Reason
		if w.Count > 1 {
			reason += fmt.Sprintf(" x%d", w.Count)
		}
		s.list = append(s.list, overviewLine{id: strings.Join([]string{"warning", w.Kind, w.Namespace, w.Object, w.Reason}, "/"), level: theme.Warn,
			lead: Age(now.Sub(w.Last)), name: object, status: reason, detail: w.Message, namespace: w.Namespace, kind: w.Kind,
			value: n64(int64(w.Count)), at: w.Last, ref: eventsOf(w)})
	}
	s.compact = len(s.list)
	s.head = []overviewLine{l}
	return s
}

// eventsOf are the events about the object of a warning.
func eventsOf(w *watchers.WarningGroup) *Ref {
	kind, ns, name, uid := w.Kind, w.Namespace, w.Object, ""
	if w.Event != nil {
		uid = w.Event.ObjectUID
	}
	return &Ref{View: "events", Namespace: ns, Where: &Where{Label: "of " + kind + "/" + name, Match: func(r watchers.Row) bool {
		e, ok := r.(*watchers.EventRow)
		if !ok || e.Kind != kind || e.Object != name {
			return false
		}
		return uid == "" || e.ObjectUID == "" || e.ObjectUID == uid
	}}}
}
