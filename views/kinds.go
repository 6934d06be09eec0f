package views

import (
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"fathom/keymap"
	"fathom/theme"
	"fathom/watchers"
)

// Kind is how one typed resource is shown.
type Kind struct {
	GVR        schema.GroupVersionResource
	Kind       string
	Short      []string // names beside the plural that open it: "po", "pod"
	Namespaced bool
	Columns    []Column // without namespace, name and age, which every kind has
	Scopes     []keymap.Scope
	Sort       string // key of the column it is sorted by at first; empty: namespace, name
	Descending bool
	Down       func(r watchers.Row) (Ref, bool) // Enter; nil: YAML
	Problem    func(r watchers.Row) theme.Style // the row's state as a style: Good, Warn, Bad, ...
}

// Typed are the kinds with slim typed rows, in the order the palette shows them.
func Typed() []Kind {
	return []Kind{podKind(), nodeKind(), namespaceKind(), deploymentKind(), statefulSetKind(), daemonSetKind(), replicaSetKind(),
		jobKind(), cronJobKind(), serviceKind(), eventKind()}
}

func gvr(group, version, resource string) schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: group, Version: version, Resource: resource}
}

func classStyle(c watchers.PodClass) theme.Style {
	switch c {
	case watchers.PodRunning:
		return theme.Good
	case watchers.PodNotReady:
		return theme.Warn
	case watchers.PodStarting:
		return theme.Info
	case watchers.PodPending:
		return theme.Pending
	case watchers.PodFailing:
		return theme.Bad
	case watchers.PodTerminating:
		return theme.Gone
	case watchers.PodCompleted:
		return theme.Dim
	default:
		return theme.Warn
	}
}

func podKind() Kind {
	type P = *watchers.PodRow
	restarts := number("RESTARTS", "restarts", func(p P) int64 { return int64(p.Restarts) })
	restarts.Cell = func(r watchers.Row, now time.Time) (string, theme.Style) {
		p, ok := r.(P)
		if !ok || p.Restarts == 0 {
			return "0", theme.Dim
		}
		s := strconv.Itoa(int(p.Restarts))
		if !p.LastRestart.IsZero() {
			s += " (" + Age(now.Sub(p.LastRestart)) + " ago)"
		}
		return s, theme.Warn
	}
	return Kind{
		GVR: gvr("", "v1", "pods"), Kind: "Pod", Short: []string{"po", "pod"}, Namespaced: true,
		Scopes:  []keymap.Scope{keymap.Pods},
		Problem: func(r watchers.Row) theme.Style { return classStyle(r.(P).Class) },
		Columns: []Column{
			ratio("READY", "ready", func(p P) (int32, int32) { return p.ReadyCount, p.ContainerCount }),
			styled("STATUS", "status", func(p P) (string, theme.Style) { return p.Status, classStyle(p.Class) }),
			restarts.keep(2),
			word("IP", "ip", func(p P) string { return p.IP }).keep(5),
			word("NODE", "node", func(p P) string { return p.Node }).keep(3).most(32),
			ownerColumn(func(p P) watchers.Owner { return p.Workload }).keep(6).most(40),
			amount("CPU/R", "cpuRequestMilli", func(p P) int64 { return p.Requests.MilliCPU }, appendCPU).keep(7),
			amount("MEM/R", "memoryRequestBytes", func(p P) int64 { return p.Requests.Memory }, appendBytes).keep(7),
			amount("CPU/L", "cpuLimitMilli", func(p P) int64 { return p.Limits.MilliCPU }, appendCPU).wide(),
			amount("MEM/L", "memoryLimitBytes", func(p P) int64 { return p.Limits.Memory }, appendBytes).wide(),
			word("QOS", "qosClass", func(p P) string { return p.QoS }).wide(),
			word("PRIORITY CLASS", "priorityClass", func(p P) string { return p.PriorityClass }).wide(),
			word("SERVICE ACCOUNT", "serviceAccount", func(p P) string { return p.ServiceAccount }).wide(),
			word("MESSAGE", "message", func(p P) string { return firstOf(p.Unscheduled, p.Message) }).wide(),
		},
		Down: func(r watchers.Row) (Ref, bool) {
			p := r.(P)
			return Ref{View: "logs", Namespace: p.Namespace, Object: Object{GVR: gvr("", "v1", "pods"), Kind: "Pod",
				Namespace: p.Namespace, Name: p.Name, UID: p.UID, Containers: containersOf(p)}}, true
		},
	}
}

func owner(o watchers.Owner) string {
	if o.Kind == "" {
		return "-"
	}
	return o.Kind + "/" + o.Name
}

func firstOf(ss ...string) string {
	for _, s := range ss {
		if s != "" {
			return s
		}
	}
	return ""
}

// amount is a quantity with its unit, "-" for none.
func amount[R watchers.Row](title, key string, f func(R) int64, show func([]byte, int64) []byte) Column {
	c := number(title, key, f)
	c.Text = func(b []byte, r watchers.Row) []byte {
		if v, ok := r.(R); ok && f(v) != 0 {
			return show(b, f(v))
		}
		return append(b, '-')
	}
	c.Alphabet = "0123456789-. mkgtpeib"
	c.Cell = func(r watchers.Row, _ time.Time) (string, theme.Style) {
		v, ok := r.(R)
		if !ok || f(v) == 0 {
			return "-", theme.Dim
		}
		var room [16]byte
		return string(show(room[:0], f(v))), theme.Default
	}
	return c
}

// ownerColumn is what a row belongs to, as kind/name.
func ownerColumn[R watchers.Row](f func(R) watchers.Owner) Column {
	get := func(r watchers.Row) (o watchers.Owner) {
		if v, ok := r.(R); ok {
			o = f(v)
		}
		return o
	}
	c := word("OWNER", "owner", func(v R) string { return owner(f(v)) })
	c.Text = func(b []byte, r watchers.Row) []byte {
		o := get(r)
		if o.Kind == "" {
			return append(b, '-')
		}
		return append(append(append(b, o.Kind...), '/'), o.Name...)
	}
	c.Compare = func(a, b watchers.Row) int {
		oa, ob := get(a), get(b)
		if c := strings.Compare(oa.Kind, ob.Kind); c != 0 {
			return c
		}
		return strings.Compare(oa.Name, ob.Name)
	}
	return c
}

func nodeStyle(n *watchers.NodeRow) theme.Style {
	switch {
	case !n.Ready:
		return theme.Bad
	case n.Cordoned || len(n.Conditions) > 0:
		return theme.Warn
	}
	return theme.Good
}

func nodeKind() Kind {
	type N = *watchers.NodeRow
	return Kind{
		GVR: gvr("", "v1", "nodes"), Kind: "Node", Short: []string{"no", "node"},
		Scopes:  []keymap.Scope{keymap.Nodes},
		Problem: func(r watchers.Row) theme.Style { return nodeStyle(r.(N)) },
		Columns: []Column{
			styled("STATUS", "status", func(n N) (string, theme.Style) { return n.Status, nodeStyle(n) }),
			word("ROLES", "roles", func(n N) string { return firstOf(n.Roles, "-") }).keep(4),
			word("ZONE", "zone", func(n N) string { return n.Zone }).keep(3),
			word("TAINTS", "taints", func(n N) string { return taints(n.Taints) }).keep(5).most(40).
				value(func(r watchers.Row) any { return taintList(r.(N).Taints) }),
			word("CONDITIONS", "conditions", func(n N) string { return strings.Join(n.Conditions, ",") }).keep(4).
				value(func(r watchers.Row) any { return append([]string{}, r.(N).Conditions...) }),
			amount("CPU", "cpuAllocatableMilli", func(n N) int64 { return n.Allocatable.MilliCPU }, appendCPU).keep(5),
			amount("MEMORY", "memoryAllocatableBytes", func(n N) int64 { return n.Allocatable.Memory }, appendBytes).keep(5),
			number("PODS", "podsAllocatable", func(n N) int64 { return n.Allocatable.Pods }).keep(6),
			word("INSTANCE", "instanceType", func(n N) string { return n.InstanceType }).keep(6),
			word("VERSION", "kubeletVersion", func(n N) string { return n.Version }).keep(3),
			word("INTERNAL-IP", "internalIP", func(n N) string { return n.InternalIP }).keep(6),
			word("OS", "osImage", func(n N) string { return n.OSImage }).wide(),
			word("KERNEL", "kernel", func(n N) string { return n.Kernel }).wide(),
			word("RUNTIME", "containerRuntime", func(n N) string { return n.Runtime }).wide(),
			word("ARCH", "architecture", func(n N) string { return n.Arch }).wide(),
		},
		Down: func(r watchers.Row) (Ref, bool) {
			name := r.GetName()
			return Ref{View: "pods", Namespace: AllNamespaces, Object: Object{GVR: gvr("", "v1", "nodes"), Kind: "Node", Name: name},
				Where: &Where{Label: "node/" + name, Within: watchers.OnNode(name)}}, true
		},
	}
}

func taints(ts []watchers.Taint) string {
	if len(ts) == 0 {
		return "-"
	}
	return strings.Join(taintList(ts), ",")
}

func taintList(ts []watchers.Taint) []string {
	s := make([]string, len(ts))
	for i, t := range ts {
		s[i] = t.String()
	}
	return s
}

func namespaceKind() Kind {
	type N = *watchers.NamespaceRow
	style := func(n N) theme.Style {
		if n.Phase == "Active" {
			return theme.Good
		}
		return theme.Gone
	}
	return Kind{
		GVR: gvr("", "v1", "namespaces"), Kind: "Namespace", Short: []string{"ns", "namespace"},
		Scopes:  []keymap.Scope{keymap.Namespaces},
		Problem: func(r watchers.Row) theme.Style { return style(r.(N)) },
		Columns: []Column{
			styled("STATUS", "phase", func(n N) (string, theme.Style) { return n.Phase, style(n) }),
			word("FINALIZERS", "finalizers", func(n N) string { return string(n.Finalizers) }).keep(4).
				value(func(r watchers.Row) any { return append([]string{}, r.(N).Finalizers.Split()...) }),
			word("BLOCKED BY", "blocked", func(n N) string { return n.Blocked }).keep(2).flex().least(20),
		},
	}
}

func eventKind() Kind {
	type E = *watchers.EventRow
	style := func(e E) theme.Style {
		if e.Type == "Warning" {
			return theme.Warn
		}
		return theme.Dim
	}
	return Kind{
		GVR: gvr("", "v1", "events"), Kind: "Event", Short: []string{"ev", "event"}, Namespaced: true,
		Sort: "lastSeen", Scopes: []keymap.Scope{keymap.Events},
		Problem: func(r watchers.Row) theme.Style { return style(r.(E)) },
		Columns: []Column{
			when("LAST", "lastSeen", func(e E) time.Time { return e.Last }).keep(1),
			styled("TYPE", "type", func(e E) (string, theme.Style) { return e.Type, style(e) }),
			word("REASON", "reason", func(e E) string { return e.Reason }).keep(1).flex().least(10).most(40),
			word("OBJECT", "object", func(e E) string { return e.Kind + "/" + e.Object }).keep(1).flex().least(14).most(60),
			number("COUNT", "count", func(e E) int64 { return int64(e.Count) }).keep(4),
			word("MESSAGE", "message", func(e E) string { return e.Message }).keep(1).flex().least(20),
			word("SOURCE", "source", func(e E) string { return e.Source }).wide(),
			when("FIRST SEEN", "firstSeen", func(e E) time.Time { return e.First }).wide(),
		},
	}
}

func serviceKind() Kind {
	type S = *watchers.ServiceRow
	return Kind{
		GVR: gvr("", "v1", "services"), Kind: "Service", Short: []string{"svc", "service"}, Namespaced: true,
		Scopes: []keymap.Scope{keymap.Objects},
		Columns: []Column{
			word("TYPE", "type", func(s S) string { return s.Type }).keep(1),
			word("CLUSTER-IP", "clusterIP", func(s S) string { return s.ClusterIP }).keep(2),
			word("EXTERNAL", "external", func(s S) string { return s.External }).keep(3).most(32),
			word("PORTS", "ports", func(s S) string { return s.Ports }).keep(1).most(48),
			word("SELECTOR", "selector", func(s S) string { return s.Selector }).keep(4).most(48),
		},
		Down: func(r watchers.Row) (Ref, bool) {
			s := r.(S)
			return podsOf(s.Namespace, "service/"+s.Name, s.Selector)
		},
	}
}
