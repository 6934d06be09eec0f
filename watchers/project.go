package watchers

import (
	"slices"
	"strings"
	"sync"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"
)

// MaxMessage bounds the messages that rows keep, in bytes; the whole text is in the object's YAML.
const MaxMessage = 1024

// Projector makes rows of objects and shares the strings that repeat between them: namespaces, nodes, images, label sets, pod templates. It may
// be used by several goroutines. Each source has one of its own, so that what it shares goes when the source does.
type Projector struct {
	mu        sync.Mutex
	pool      map[string]string
	block     strings.Builder // strings of the pool, one after the other
	templates map[PodTemplate]*PodTemplate
}

// blockSize is the size of the pieces of memory that hold the strings of the pool, in bytes. The pool is filled while lists arrive: each string
// for itself would stand alone amid what was decoded and thrown away, in memory that cannot be given back. As a block stays while
// one of its strings is in use, it is small, and a string of more than half of it is on its own.
const blockSize = 1 << 10

// maxPool bounds the pool. When it is full it is begun anew: rows keep their strings, only less is shared.
const maxPool = 1 << 16

// NewProjector returns an empty projector.
func NewProjector() *Projector {
	return &Projector{pool: map[string]string{}, templates: map[PodTemplate]*PodTemplate{}}
}

// Project makes a row of a typed object, wherever that came from: an API server, etcd, or a file. A row gives itself, and a
// cache.DeletedFinalStateUnknown gives the row of what it holds. It reports false for anything that has no typed row.
func (p *Projector) Project(obj any) (Row, bool) {
	switch o := obj.(type) {
	case Row:
		return o, true
	case cache.DeletedFinalStateUnknown:
		return p.Project(o.Obj)
	case *corev1.Pod:
		return p.pod(o), true
	case *corev1.Node:
		return p.node(o), true
	case *corev1.Namespace:
		return p.namespace(o), true
	case *corev1.Event:
		return p.event(o), true
	case *corev1.Service:
		return p.service(o), true
	case *appsv1.Deployment:
		return p.deployment(o), true
	case *appsv1.ReplicaSet:
		return p.replicaSet(o), true
	case *appsv1.StatefulSet:
		return p.statefulSet(o), true
	case *appsv1.DaemonSet:
		return p.daemonSet(o), true
	case *batchv1.Job:
		return p.job(o), true
	case *batchv1.CronJob:
		return p.cronJob(o), true
	}
	return nil, false
}

// share returns a string equal to s that other rows use too.
func (p *Projector) share(s string) string {
	if s == "" {
		return ""
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if c, ok := p.pool[s]; ok {
		return c
	}
	return p.addLocked(s)
}

// shareBytes is share without making a string of b first.
func (p *Projector) shareBytes(b []byte) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if c, ok := p.pool[string(b)]; ok {
		return c
	}
	return p.addLocked(string(b))
}

// addLocked adds a copy of s to the pool.
func (p *Projector) addLocked(s string) string {
	if len(p.pool) >= maxPool {
		clear(p.pool)
	}
	c := p.copyLocked(s)
	p.pool[c] = c
	return c
}

// copyLocked copies s into a block.
func (p *Projector) copyLocked(s string) string {
	if len(s) > blockSize/2 {
		return strings.Clone(s)
	}
	if p.block.Cap()-p.block.Len() < len(s) {
		p.block.Reset() // forgets the block; it is its strings' now
		p.block.Grow(blockSize)
	}
	at := p.block.Len()
	p.block.WriteString(s)
	return p.block.String()[at:]
}

// template returns the template equal to t that other rows use too.
func (p *Projector) template(t PodTemplate) *PodTemplate {
	p.mu.Lock()
	defer p.mu.Unlock()
	if c, ok := p.templates[t]; ok {
		return c
	}
	if len(p.templates) >= maxPool {
		clear(p.templates)
	}
	c := t // only what is new is worth an allocation
	p.templates[t] = &c
	return &c
}

// meta makes the metadata of a row.
func (p *Projector) meta(o *metav1.ObjectMeta) Meta {
	m, _ := p.metaAnd(o, "")
	return m
}

// metaAnd makes the metadata of a row, and another string that only this row has. Both are copied into one piece of memory:
// what a decoder made lies between all it made for nothing, and memory that is mostly garbage cannot be given back while one
// string in it is in use. Pods that change left a quarter of the heap in such holes.
func (p *Projector) metaAnd(o *metav1.ObjectMeta, other string) (Meta, string) {
	var room [256]byte
	all := string(append(append(append(append(room[:0], o.UID...), o.Name...), o.ResourceVersion...), other...))
	next := func(n int) string {
		s := all[:n]
		all = all[n:]
		return s
	}
	m := Meta{
		UID: next(len(o.UID)), Name: next(len(o.Name)), ResourceVersion: next(len(o.ResourceVersion)), Namespace: p.share(o.Namespace),
		Created: o.CreationTimestamp.Time, Labels: p.labels(o.Labels),
	}
	if o.DeletionTimestamp != nil {
		m.Deleted = o.DeletionTimestamp.Time
	}
	return m, all
}

func (p *Projector) labels(set map[string]string) Labels {
	if len(set) == 0 {
		return ""
	}
	var room [16]string
	keys := room[:0]
	for k := range set {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	var buf [512]byte
	b := buf[:0]
	for i, k := range keys {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(append(append(b, k...), '='), set[k]...)
	}
	return Labels(p.shareBytes(b))
}

// names joins names; of gives the i-th.
func (p *Projector) names(n int, of func(i int) string) Names {
	if n == 0 {
		return ""
	}
	var buf [512]byte
	b := buf[:0]
	for i := range n {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, of(i)...)
	}
	return Names(p.shareBytes(b))
}

func (p *Projector) containers(cs []corev1.Container) Names {
	return p.names(len(cs), func(i int) string { return cs[i].Name })
}

func (p *Projector) images(cs []corev1.Container) Names {
	return p.names(len(cs), func(i int) string { return cs[i].Image })
}

func (p *Projector) selector(s *metav1.LabelSelector) string {
	if s == nil {
		return ""
	}
	return p.share(metav1.FormatLabelSelector(s))
}

// controller is the owner that manages the object.
func (p *Projector) controller(o *metav1.ObjectMeta) Owner {
	for i := range o.OwnerReferences {
		if r := &o.OwnerReferences[i]; r.Controller != nil && *r.Controller {
			return Owner{Kind: p.share(r.Kind), Name: p.share(r.Name)}
		}
	}
	return Owner{}
}

func amountOf(l corev1.ResourceList) Amount {
	return Amount{
		MilliCPU: l.Cpu().MilliValue(), Memory: l.Memory().Value(), Pods: l.Pods().Value(),
	}
}

// bounded cuts a message at a character boundary.
func bounded(s string) string {
	s = strings.TrimSpace(s)
	if len(s) <= MaxMessage {
		return s
	}
	return strings.ToValidUTF8(s[:MaxMessage], "") + "…"
}
