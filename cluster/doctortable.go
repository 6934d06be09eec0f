package cluster

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"fathom/internal/safe"
)

// WriteTable writes the report for people. Everything passes package safe: names, errors and certificates are untrusted.
func (r Report) WriteTable(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	line := func(cells ...string) {
		for i := range cells {
			cells[i] = safe.String(cells[i]).String()
		}
		fmt.Fprintln(t, strings.TrimRight(strings.Join(cells, "\t"), " \t"))
	}
	mode := "changes are possible"
	if r.ReadOnly {
		mode = "read-only"
	}
	line("MODE", mode)
	id := r.Identity
	line("CONTEXT", or(id.Context, "none"))
	line("CLUSTER", or(id.Cluster, "none"))
	line("USER", or(id.User, "none"))
	line("NAMESPACE", or(id.Namespace, "none"))
	line()
	r.kubeTable(line)
	r.etcdTable(line)
	if len(r.Certificates) > 0 {
		line("CERTIFICATE", "WHERE", "EXPIRES", "DAYS LEFT", "STATUS")
		for _, c := range r.Certificates {
			line(c.Use, c.Source, day(c.NotAfter), fmt.Sprint(c.DaysLeft), c.Status)
		}
		line()
	}
	if len(r.Access) > 0 {
		line("MAY I", "", "", "FOR")
		if why, all := r.unanswered(); all {
			line("nobody answered: " + why)
		} else {
			for _, a := range r.Access {
				line(a.Verb, a.Resource, a.answer(), a.For)
			}
		}
		line()
	}
	for _, m := range r.Missing {
		line("MISSING", m.What)
		line("  why", m.Why)
		line("  do", m.Fix)
		if len(m.Tried) > 0 {
			line("  tried", strings.Join(m.Tried, ", "))
		}
		line()
	}
	if r.Problem != "" {
		line("Nothing can be shown: " + r.Problem)
	}
	return t.Flush()
}

func (r Report) kubeTable(line func(...string)) {
	k := r.Kubernetes
	if k == nil {
		return
	}
	line("API SERVER", "FROM", "STATE", "LATENCY", "VERSION", "RESOURCES")
	if !k.Reachable {
		line(k.Server, k.Source, "unreachable")
		line("  " + k.Error)
		line()
		return
	}
	line(k.Server, k.Source, "reachable", latency(k.LatencyMS), or(k.Version, "unknown"), fmt.Sprint(k.Resources))
	for _, c := range []struct {
		name string
		list []Check
	}{{"livez", k.Livez}, {"readyz", k.Readyz}} {
		for _, x := range c.list {
			if !x.OK {
				line("  "+c.name+" "+x.Name, "fails", x.Message)
			}
		}
	}
	for _, p := range k.Partial {
		line("  not discovered: " + p)
	}
	if k.Error != "" {
		line("  " + k.Error)
	}
	line()
}

func (r Report) etcdTable(line func(...string)) {
	e := r.Etcd
	if e == nil {
		return
	}
	line("ETCD", "NAME", "STATE", "LATENCY", "VERSION", "ROLE")
	for _, p := range e.Endpoints {
		if !p.Reachable {
			line(p.Endpoint, or(p.Name, "?"), "unreachable")
			line("  " + p.Error)
			continue
		}
		role := "follower"
		switch {
		case p.Leader:
			role = "leader"
		case p.Learner:
			role = "learner"
		}
		line(p.Endpoint, p.Name, "reachable", latency(p.LatencyMS), p.Version, role)
		for _, x := range p.Errors {
			line("  " + x)
		}
	}
	line("  found by", e.Source)
	switch e.SameCluster {
	case "yes":
		line("  it holds the objects of this API server")
	case "no":
		line("  WARNING: it does not hold the objects of this API server: it is another cluster's")
	}
	line()
}

func (a AccessReport) answer() string {
	switch {
	case a.Error != "":
		return "unknown: " + a.Error
	case !a.Allowed:
		return "no"
	case a.Blocked:
		return "yes, but read-only mode refuses it"
	default:
		return "yes"
	}
}

func latency(ms float64) string { return fmt.Sprintf("%.1f ms", ms) }

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// unanswered reports whether none of the questions about permissions was answered, and why the first was not.
func (r *Report) unanswered() (why string, all bool) {
	for _, a := range r.Access {
		if a.Error == "" {
			return "", false
		}
	}
	return r.Access[0].Error, true
}
