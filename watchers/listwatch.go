package watchers

import (
	"context"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
)

// listWatch is the reflector's way to the server. It sees the outcome of every request and every event, which is what the
// source's state is made of, and projects objects into rows as they are decoded.
type listWatch struct{ src *source }

// rowList is a list whose items are rows already.
type rowList struct {
	metav1.TypeMeta
	metav1.ListMeta
	Items []runtime.Object
}

// DeepCopyObject returns the list itself: nobody changes it.
func (l *rowList) DeepCopyObject() runtime.Object { return l }

// List is ListWithContext, for the interface.
func (l *listWatch) List(o metav1.ListOptions) (runtime.Object, error) {
	return l.ListWithContext(context.Background(), o)
}

// Watch is WatchWithContext, for the interface.
func (l *listWatch) Watch(o metav1.ListOptions) (watch.Interface, error) {
	return l.WatchWithContext(context.Background(), o)
}

// ListWithContext lists everything, page by page, and keeps only rows of each page. It is the way to servers that do not stream
// lists (WatchList, KEP-3157: before 1.32, and 1.33). The read is consistent: a list "at least as old as 0" comes in one piece.
func (l *listWatch) ListWithContext(ctx context.Context, _ metav1.ListOptions) (runtime.Object, error) {
	s, key := l.src, l.src.key
	out := &rowList{}
	opt := metav1.ListOptions{Limit: s.hub.opt.PageSize}
	s.status.listing()
	for {
		page := newList(key.GVR)
		err := s.hub.restFor(key).Get().NamespaceIfScoped(key.Namespace, key.Namespace != "").Resource(key.GVR.Resource).
			VersionedParams(&opt, metav1.ParameterCodec).Do(ctx).Into(page)
		if err != nil {
			if ctx.Err() == nil && !isExpired(err) {
				s.status.failed("list", err)
			}
			return nil, err
		}
		n := len(out.Items)
		if err := meta.EachListItem(page, func(o runtime.Object) error {
			row, ok := s.store.projector.Project(o)
			if ok {
				s.store.preview(row)
				out.Items = append(out.Items, row.(runtime.Object))
			}
			return nil
		}); err != nil {
			return nil, err
		}
		s.status.event(len(out.Items) - n)
		lm, err := meta.ListAccessor(page)
		if err != nil {
			return nil, err
		}
		out.ResourceVersion = lm.GetResourceVersion()
		if opt.Continue = lm.GetContinue(); opt.Continue == "" {
			return out, nil
		}
	}
}

// WatchWithContext opens a watch, with or without initial events.
func (l *listWatch) WatchWithContext(ctx context.Context, opt metav1.ListOptions) (watch.Interface, error) {
	s, key := l.src, l.src.key
	opt.Watch = true
	initial := opt.SendInitialEvents != nil
	w, err := s.hub.restFor(key).Get().NamespaceIfScoped(key.Namespace, key.Namespace != "").Resource(key.GVR.Resource).
		VersionedParams(&opt, metav1.ParameterCodec).Watch(ctx)
	if err != nil {
		l.refused(ctx, err, initial)
		return nil, err
	}
	s.status.opened(!initial)
	cw := &countingWatch{inner: w, out: make(chan watch.Event), done: make(chan struct{}), src: s}
	if !s.hub.g.Go("watch "+key.resource(), func(context.Context) { cw.run() }) {
		w.Stop()
		return nil, context.Canceled
	}
	return cw, nil
}

// refused notes why a watch was not opened.
func (l *listWatch) refused(ctx context.Context, err error, initial bool) {
	s := l.src
	answered := apierrors.ReasonForError(err) != metav1.StatusReasonUnknown || statusCode(err) != 0
	switch {
	case ctx.Err() != nil || isExpired(err):
	case initial && answered && !apierrors.IsUnauthorized(err):
		// The reflector now lists instead: that tells whether it is only the streaming of lists that is missing.
	case isDenied(err) || isUnsupported(err):
		// The list before this was answered: what may be listed but not watched is listed again and again.
		s.status.polled(s.hub.opt.Poll)
	default:
		s.status.failed("watch", err)
	}
}

func statusCode(err error) int32 {
	if st, ok := err.(apierrors.APIStatus); ok {
		return st.Status().Code
	}
	return 0
}

func isExpired(err error) bool {
	return apierrors.IsResourceExpired(err) || apierrors.IsGone(err) ||
		apierrors.HasStatusCause(err, metav1.CauseTypeResourceVersionTooLarge)
}

// countingWatch hands a watch on, counting and projecting what passes.
type countingWatch struct {
	inner watch.Interface
	out   chan watch.Event
	done  chan struct{}
	once  sync.Once
	src   *source
}

// ResultChan implements watch.Interface.
func (w *countingWatch) ResultChan() <-chan watch.Event { return w.out }

// Stop implements watch.Interface.
func (w *countingWatch) Stop() {
	w.once.Do(func() {
		close(w.done)
		w.inner.Stop()
	})
}

func (w *countingWatch) run() {
	defer close(w.out)
	for ev := range w.inner.ResultChan() {
		switch ev.Type {
		case watch.Added, watch.Modified, watch.Deleted:
			row, ok := w.src.store.projector.Project(ev.Object)
			if !ok {
				continue
			}
			if ev.Type == watch.Added {
				w.src.store.preview(row)
			}
			ev.Object = row.(runtime.Object)
			w.src.status.event(1)
		case watch.Error:
			err := apierrors.FromObject(ev.Object)
			if apierrors.HasStatusCause(err, "ClientWatchDecoding") {
				// The connection broke (client-go's rest client says so in this way). The reflector would read everything
				// again; as the end of a watch it resumes.
				w.src.status.closed()
				return
			}
			if !isExpired(err) {
				w.src.status.failed("watch", err)
			}
		}
		select {
		case w.out <- ev:
		case <-w.done:
			return
		}
	}
	select {
	case <-w.done: // we ended it
	default:
		w.src.status.closed()
	}
}
