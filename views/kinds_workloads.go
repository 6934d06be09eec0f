package views

import (
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"

	"fathom/keymap"
	"fathom/theme"
	"fathom/watchers"
)

// podsOf is the drill-down from something with a label selector to its pods. An empty selector selects nothing.
func podsOf(namespace, label, selector string) (Ref, bool) {
	sel, err := labels.Parse(selector)
	if err != nil || selector == "" {
		return Ref{}, false
	}
	within := watchers.InNamespace(namespace)
	if reqs, ok := sel.Requirements(); ok {
		for _, r := range reqs {
			if v, one := r.ValuesUnsorted(), r.Operator() == selection.Equals || r.Operator() == selection.In; one && len(v) == 1 {
				within = watchers.Labelled(namespace, r.Key(), v[0])
				break
			}
		}
	}
	return Ref{View: "pods", Namespace: namespace, Where: &Where{Label: label, Within: within, Match: func(r watchers.Row) bool {
		m := watchers.MetaOf(r)
		return m != nil && m.Namespace == namespace && sel.Matches(m.Labels)
	}}}, true
}

func workloadStyle(w *watchers.WorkloadRow) theme.Style {
	switch {
	case w.AtStrength():
		return theme.Good
	case w.Problem != "" && w.Ready < w.Desired:
		return theme.Bad
	case w.Ready < w.Desired:
		return theme.Warn
	}
	return theme.Info
}

// workloadWord is the state in a word, so that it is not colour alone.
func workloadWord(w *watchers.WorkloadRow) string {
	switch {
	case w.Paused:
		return "paused"
	case w.Desired == 0 && w.Ready == 0:
		return "scaled to 0"
	case w.AtStrength():
		return "ok"
	case w.Ready < w.Desired && w.Problem != "":
		return "failing"
	case w.Ready < w.Desired:
		return "not at strength"
	}
	return "updating"
}

func workloadKind(resource, kind string, short ...string) Kind {
	type W = *watchers.WorkloadRow
	return Kind{
		GVR: gvr("apps", "v1", resource), Kind: kind, Short: short, Namespaced: true,
		Scopes:  []keymap.Scope{keymap.Workloads},
		Problem: func(r watchers.Row) theme.Style { return workloadStyle(r.(W)) },
		Columns: []Column{
			ratio("READY", "ready", func(w W) (int32, int32) { return w.Ready, w.Desired }),
			number("UP-TO-DATE", "updated", func(w W) int64 { return int64(w.Updated) }).keep(4),
			number("AVAILABLE", "available", func(w W) int64 { return int64(w.Available) }).keep(4),
			styled("STATE", "state", func(w W) (string, theme.Style) { return workloadWord(w), workloadStyle(w) }),
			word("IMAGES", "images", func(w W) string { return string(w.Images) }).keep(5).most(60).
				value(func(r watchers.Row) any { return append([]string{}, r.(W).Images.Split()...) }),
			word("PROBLEM", "problem", func(w W) string { return w.Problem }).keep(3).flex().least(16),
			word("SELECTOR", "selector", func(w W) string { return w.Selector }).wide(),
			word("STRATEGY", "strategy", func(w W) string { return w.Strategy }).wide(),
			ownerColumn(func(w W) watchers.Owner { return w.Owner }).wide(),
		},
		Down: func(r watchers.Row) (Ref, bool) {
			w := r.(W)
			return podsOf(w.Namespace, resource+"/"+w.Name, w.Selector)
		},
	}
}

func deploymentKind() Kind {
	return workloadKind("deployments", "Deployment", "deploy", "dp", "deployment")
}
func statefulSetKind() Kind { return workloadKind("statefulsets", "StatefulSet", "sts", "statefulset") }
func daemonSetKind() Kind   { return workloadKind("daemonsets", "DaemonSet", "ds", "daemonset") }
func replicaSetKind() Kind {
	k := workloadKind("replicasets", "ReplicaSet", "rs", "replicaset")
	for i := range k.Columns {
		if k.Columns[i].Key == "owner" {
			k.Columns[i].Wide = false
		}
	}
	return k
}

func jobKind() Kind {
	type J = *watchers.JobRow
	style := func(j J) theme.Style {
		switch {
		case j.Status == "Complete" || j.Status == "SuccessCriteriaMet":
			return theme.Good
		case j.Status == "Failed" || j.Status == "FailureTarget":
			return theme.Bad
		}
		return theme.Info
	}
	duration := word("DURATION", "durationSeconds", func(j J) string { return "" }).keep(3)
	duration.Cell = func(r watchers.Row, now time.Time) (string, theme.Style) {
		j, ok := r.(J)
		switch {
		case !ok || j.Started.IsZero():
			return "-", theme.Dim
		case j.Finished.IsZero():
			return Age(now.Sub(j.Started)), theme.Default
		}
		return Age(j.Finished.Sub(j.Started)), theme.Default
	}
	duration.Value = func(r watchers.Row) any {
		if j := r.(J); !j.Started.IsZero() && !j.Finished.IsZero() {
			return int64(j.Finished.Sub(j.Started) / time.Second)
		}
		return nil
	}
	// "goes in" is the TTL controller's countdown; "kept" says that nothing will ever remove the job by itself.
	ttl := word("REMOVED", "ttlSecondsAfterFinished", func(j J) string { return "" }).keep(4)
	ttl.Cell = func(r watchers.Row, now time.Time) (string, theme.Style) {
		j, ok := r.(J)
		switch {
		case !ok:
			return "", theme.Default
		case j.TTL < 0:
			return "kept", theme.Dim
		case j.Finished.IsZero():
			return Age(j.TTL) + " after", theme.Dim
		}
		return "in " + Age(max(0, j.Finished.Add(j.TTL).Sub(now))), theme.Default
	}
	ttl.Value = func(r watchers.Row) any {
		if j := r.(J); j.TTL >= 0 {
			return int64(j.TTL / time.Second)
		}
		return nil
	}
	return Kind{
		GVR: gvr("batch", "v1", "jobs"), Kind: "Job", Short: []string{"job"}, Namespaced: true,
		Scopes:  []keymap.Scope{keymap.Jobs},
		Problem: func(r watchers.Row) theme.Style { return style(r.(J)) },
		Columns: []Column{
			styled("STATUS", "status", func(j J) (string, theme.Style) { return j.Status, style(j) }),
			word("COMPLETIONS", "completions", func(j J) string {
				if j.Completions < 0 {
					return fmt.Sprintf("%d/1 of %d", j.Succeeded, j.Parallelism)
				}
				return fmt.Sprintf("%d/%d", j.Succeeded, j.Completions)
			}).keep(1),
			number("ACTIVE", "active", func(j J) int64 { return int64(j.Active) }).keep(3),
			number("FAILED", "failed", func(j J) int64 { return int64(j.Failed) }).keep(3),
			duration, ttl,
			ownerColumn(func(j J) watchers.Owner { return j.Owner }).keep(5),
			word("PROBLEM", "problem", func(j J) string { return j.Problem }).keep(4).flex().least(16),
		},
		Down: func(r watchers.Row) (Ref, bool) {
			j := r.(J)
			return podsOf(j.Namespace, "job/"+j.Name, j.Selector)
		},
	}
}

func cronJobKind() Kind {
	type C = *watchers.CronJobRow
	return Kind{
		GVR: gvr("batch", "v1", "cronjobs"), Kind: "CronJob", Short: []string{"cj", "cronjob"}, Namespaced: true,
		Scopes: []keymap.Scope{keymap.Objects},
		Columns: []Column{
			word("SCHEDULE", "schedule", func(c C) string { return c.Schedule }).keep(1),
			word("TIME ZONE", "timeZone", func(c C) string { return firstOf(c.TimeZone, "-") }).keep(5),
			styled("STATE", "suspended", func(c C) (string, theme.Style) {
				if c.Suspended {
					return "suspended", theme.Warn
				}
				return "on", theme.Good
			}).value(func(r watchers.Row) any { return r.(C).Suspended }),
			number("ACTIVE", "active", func(c C) int64 { return int64(c.Active) }).keep(2),
			when("LAST RUN", "lastScheduleTime", func(c C) time.Time { return c.LastRun }).keep(1),
			when("LAST SUCCESS", "lastSuccessfulTime", func(c C) time.Time { return c.LastSuccess }).keep(3),
			word("IMAGES", "images", func(c C) string { return string(c.Images) }).keep(5).most(60),
		},
		Down: func(r watchers.Row) (Ref, bool) {
			c := r.(C)
			return Ref{View: "jobs", Namespace: c.Namespace, Where: &Where{Label: "cronjob/" + c.Name,
				Within: watchers.OwnedBy(c.Namespace, "CronJob", c.Name)}}, true
		},
	}
}
