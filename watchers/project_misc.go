package watchers

import (
	"cmp"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
)

func (p *Projector) namespace(o *corev1.Namespace) *NamespaceRow {
	r := &NamespaceRow{Meta: p.meta(&o.ObjectMeta), Phase: p.share(string(o.Status.Phase))}
	fin := make([]string, 0, len(o.Spec.Finalizers)+len(o.Finalizers))
	for _, f := range o.Spec.Finalizers {
		fin = append(fin, string(f))
	}
	fin = append(fin, o.Finalizers...)
	r.Finalizers = p.names(len(fin), func(i int) string { return fin[i] })
	var why []string
	for i := range o.Status.Conditions {
		if c := &o.Status.Conditions[i]; c.Status == corev1.ConditionTrue && c.Message != "" {
			why = append(why, c.Message)
		}
	}
	r.Blocked = bounded(strings.Join(why, " "))
	return r
}

func (p *Projector) event(o *corev1.Event) *EventRow {
	meta, about := p.metaAnd(&o.ObjectMeta, string(o.InvolvedObject.UID))
	r := &EventRow{
		Meta: meta, Type: p.share(o.Type), Reason: p.share(o.Reason),
		Kind: p.share(o.InvolvedObject.Kind), Object: p.share(o.InvolvedObject.Name), ObjectUID: about,
		Message: p.share(bounded(o.Message)), Count: o.Count, First: o.FirstTimestamp.Time, Last: o.LastTimestamp.Time,
	}
	// As kubectl prints them: the two event APIs fill different fields.
	if r.First.IsZero() {
		r.First = o.EventTime.Time
	}
	if r.First.IsZero() {
		r.First = r.Created
	}
	if r.Last.IsZero() {
		r.Last = r.First
	}
	if o.Series != nil {
		r.Last, r.Count = o.Series.LastObservedTime.Time, o.Series.Count
	} else if r.Count == 0 {
		r.Count = 1
	}
	r.Source = cmp.Or(o.Source.Component, o.ReportingController)
	if host := cmp.Or(o.Source.Host, o.ReportingInstance); host != "" {
		r.Source += ", " + host
	}
	r.Source = p.share(r.Source)
	return r
}

func (p *Projector) service(o *corev1.Service) *ServiceRow {
	meta, ip := p.metaAnd(&o.ObjectMeta, o.Spec.ClusterIP)
	r := &ServiceRow{
		Meta: meta, Type: p.share(string(o.Spec.Type)), ClusterIP: ip,
		External: p.share(externalIP(o)), Ports: p.share(servicePorts(o.Spec.Ports)),
	}
	if len(o.Spec.Selector) > 0 {
		r.Selector = p.share(labels.FormatLabels(o.Spec.Selector))
	}
	return r
}

func externalIP(o *corev1.Service) string {
	own := strings.Join(o.Spec.ExternalIPs, ",")
	switch o.Spec.Type {
	case corev1.ServiceTypeClusterIP, corev1.ServiceTypeNodePort:
		return cmp.Or(own, "<none>")
	case corev1.ServiceTypeLoadBalancer:
		var at []string
		for _, in := range o.Status.LoadBalancer.Ingress {
			if a := cmp.Or(in.IP, in.Hostname); a != "" {
				at = append(at, a)
			}
		}
		at = append(at, o.Spec.ExternalIPs...)
		return cmp.Or(strings.Join(at, ","), "<pending>")
	case corev1.ServiceTypeExternalName:
		return o.Spec.ExternalName
	}
	return "<unknown>"
}

func servicePorts(ports []corev1.ServicePort) string {
	var b strings.Builder
	for i := range ports {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(strconv.Itoa(int(ports[i].Port)))
		if ports[i].NodePort > 0 {
			b.WriteString(":" + strconv.Itoa(int(ports[i].NodePort)))
		}
		b.WriteString("/" + string(ports[i].Protocol))
	}
	return cmp.Or(b.String(), "<none>")
}
