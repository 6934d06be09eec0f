package watchers

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
)

// listWatch is the reflector's way to the server. It sees the outcome of every request and every event, which is what the
// source's state is made of, and projects objects into rows as they are decoded.
type listWatch struct{ part *part }

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

// ListWithContext lists everything in pages. It is the way to servers that do not stream lists (WatchList, KEP-3157: before 1.32,
// and 1.33). The read is consistent: a list "at least as old as 0" comes in one piece.
func (l *listWatch) ListWithContext(ctx context.Context, _ metav1.ListOptions) (runtime.Object, error) {
	p := l.part
	rows, rv, err := p.list(ctx, func(ctx context.Context, opt metav1.ListOptions) (page, error) {
		list := newList(p.src.key.GVR)
		if err := p.request().VersionedParams(&opt, metav1.ParameterCodec).Do(ctx).Into(list); err != nil {
			return page{}, err
		}
		var pg page
		err := meta.EachListItem(list, func(o runtime.Object) error {
			if row, ok := p.src.store.projector.Project(o); ok {
				pg.rows = append(pg.rows, row)
			}
			return nil
		})
		if err != nil {
			return page{}, err
		}
		lm, err := meta.ListAccessor(list)
		if err != nil {
			return page{}, err
		}
		pg.rv, pg.next = lm.GetResourceVersion(), lm.GetContinue()
		return pg, nil
	})
	if err != nil {
		return nil, err
	}
	p.torn.Store(0)
	out := &rowList{Items: make([]runtime.Object, len(rows))}
	out.ResourceVersion = rv
	for i, r := range rows {
		out.Items[i] = r.(runtime.Object)
	}
	return out, nil
}

// WatchWithContext opens a watch, with or without initial events.
func (l *listWatch) WatchWithContext(ctx context.Context, opt metav1.ListOptions) (watch.Interface, error) {
	opt.Watch = true
	if opt.SendInitialEvents != nil {
		return l.stream(ctx, opt)
	}
	return l.resume(ctx, opt)
}

// errNoStream makes the reflector list in pages instead.
var errNoStream = &apierrors.StatusError{ErrStatus: metav1.Status{
	TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: metav1.StatusFailure,
	Code: http.StatusUnprocessableEntity, Reason: metav1.StatusReasonInvalid, Message: "this list is not streamed",
}}

// errStreamLater makes the reflector pause, and stream again.
var errStreamLater = apierrors.NewTooManyRequests("the list is streamed again later", 0)

// stream opens a list that is streamed, when its turn has come.
func (l *listWatch) stream(ctx context.Context, opt metav1.ListOptions) (watch.Interface, error) {
	p := l.part
	for !p.unstream.Load() {
		if err := p.slot.take(ctx); err != nil {
			return nil, err
		}
		w, tap, err := l.open(ctx, opt, true)
		switch {
		case err == nil:
			return w, nil
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case errors.Is(err, errGaveWay):
			p.slot.give()
			if err := p.pause(ctx, p.src.hub.opt.BackoffMin); err != nil {
				return nil, err
			}
		case apierrors.IsTooManyRequests(err):
			if err := p.throttled(ctx, err, tap); err != nil {
				return nil, err
			}
		default:
			if !answered(err) {
				p.slot.give()
			}
			l.refused(ctx, err, true)
			return nil, err
		}
	}
	return nil, errNoStream
}

// resume opens a watch that goes on where the last one ended. What passes by itself (an overloaded server, a broken connection, a
// proxy that restarts) is waited for here: the reflector would read everything again.
func (l *listWatch) resume(ctx context.Context, opt metav1.ListOptions) (watch.Interface, error) {
	p, o := l.part, l.part.src.hub.opt
	pause := o.BackoffMin
	for faults := 0; ; {
		w, tap, err := l.open(ctx, opt, false)
		switch {
		case err == nil:
			return w, nil
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case apierrors.IsTooManyRequests(err):
			if err := p.throttled(ctx, err, tap); err != nil {
				return nil, err
			}
			continue
		case isExpired(err), answered(err) && (statusCode(err) < 500 || faults >= maxFaults):
			l.refused(ctx, err, false)
			return nil, err
		case answered(err):
			faults++
		}
		p.status.failed("watch", err)
		if err := p.pause(ctx, pause); err != nil {
			return nil, err
		}
		pause = min(2*pause, o.BackoffMax)
	}
}

// maxFaults is how often a server may answer 5xx to the same watch before everything is read again.
const maxFaults = 4

// open sends the request of a watch. The request of a streamed list ends when nothing comes any more, or the list has to give way.
func (l *listWatch) open(ctx context.Context, opt metav1.ListOptions, initial bool) (watch.Interface, *tap, error) {
	p, hub := l.part, l.part.src.hub
	ctx, cancel := context.WithCancelCause(ctx)
	ctx, tap := hub.withTap(ctx)
	unguard := func() {}
	if tap.list.Store(initial); initial {
		p.status.list()
		unguard = hub.guard(tap, hub.opt.Stall, func() { cancel(errStalled) })
		p.slot.onGiveWay(func() { cancel(errGaveWay) })
	}
	w, err := p.request().VersionedParams(&opt, metav1.ParameterCodec).Watch(ctx)
	unguard()
	if _, ok := w.(*watch.StreamWatcher); err == nil && !ok { // client-go's way to say that the connection broke
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		err = because(ctx, err)
		cancel(nil)
		return nil, tap, err
	}
	p.throttles.Store(0)
	p.status.opened(!initial)
	cw := &countingWatch{
		inner: w, out: make(chan watch.Event, handover), done: make(chan struct{}), part: p, ctx: ctx, cancel: cancel, tap: tap, initial: initial, opened: time.Now(),
	}
	cw.unguard = func() {}
	if initial {
		cw.unguard = hub.guard(tap, hub.opt.Stall/3, func() { cancel(errStalled) })
	}
	if !hub.g.Go("watch "+p.src.key.resource(), func(context.Context) { cw.run() }) {
		cw.unguard()
		cw.Stop()
		return nil, tap, context.Canceled
	}
	return cw, tap, nil
}

// refused notes why a watch was not opened.
func (l *listWatch) refused(ctx context.Context, err error, initial bool) {
	s := l.part.status
	switch {
	case ctx.Err() != nil || isExpired(err):
	case initial && answered(err) && !apierrors.IsUnauthorized(err):
		// The reflector now lists instead: that tells whether it is only the streaming of lists that is missing.
	case isDenied(err) || isUnsupported(err):
		// The list before this was answered: what may be listed but not watched is listed again and again.
		s.polled(l.part.src.hub.opt.Poll)
	default:
		s.failed("watch", err)
	}
}

// countingWatch hands a watch on, counting and projecting what passes.
type countingWatch struct {
	inner   watch.Interface
	out     chan watch.Event
	done    chan struct{}
	once    sync.Once
	part    *part
	ctx     context.Context // of the request: its cause says why we ended it
	cancel  context.CancelCauseFunc
	tap     *tap
	initial bool   // the initial events are still coming; the run goroutine's own
	unguard func() // ends the guard of the initial events
	opened  time.Time
}

// ResultChan implements watch.Interface.
func (w *countingWatch) ResultChan() <-chan watch.Event { return w.out }

// Stop implements watch.Interface.
func (w *countingWatch) Stop() {
	w.once.Do(func() {
		close(w.done)
		w.cancel(nil)
		w.inner.Stop()
	})
}

// handover is how many events wait for the reflector: with none, each of fifty thousand cost a change of goroutines.
const handover = 64

func (w *countingWatch) run() {
	defer close(w.out)
	defer w.cancel(nil)
	defer w.unguard()
	if n, ended := w.pass(); ended {
		w.broken(n)
	}
}

// pass hands events on until there are no more, and says how many there were after the list and whether it was not we who ended it.
func (w *countingWatch) pass() (n int, ended bool) {
	p := w.part
	var live time.Time // when the first event came that is not of a list's
	ends := false      // this event ends the list
	for ev := range w.inner.ResultChan() {
		switch ev.Type {
		case watch.Added, watch.Modified, watch.Deleted:
			row, ok := p.src.store.projector.Project(ev.Object)
			if !ok {
				continue
			}
			if ev.Type == watch.Added {
				p.rows.preview(row)
			}
			ev.Object = row.(runtime.Object)
			p.status.event(1)
		case watch.Bookmark:
			if m, err := meta.Accessor(ev.Object); err == nil && w.initial && m.GetAnnotations()[metav1.InitialEventsAnnotationKey] == "true" {
				w.initial = false
				w.tap.list.Store(false)
				w.unguard()
				p.torn.Store(0)
				p.slot.give()
				ends = true
			}
		case watch.Error:
			err := apierrors.FromObject(ev.Object)
			if apierrors.HasStatusCause(err, "ClientWatchDecoding") {
				// The connection broke (client-go's rest client says so in this way). The reflector would read everything
				// again; as the end of a watch it resumes.
				return n, !w.stopped()
			}
			if isExpired(err) {
				p.status.closed()
			} else {
				p.status.failed("watch", err)
			}
		}
		if !w.send(ev) {
			return n, false
		}
		n++
		if ends {
			n, w.opened, ends = 0, time.Now(), false
		}
		if w.initial && ev.Type != watch.Added {
			// The end of a streamed list may be a little newer than its rows, not more.
			if live.IsZero() {
				live = time.Now()
			} else if time.Since(live) > p.src.hub.opt.Stall/3 {
				w.cancel(errStalled)
				return n, true
			}
		}
	}
	return n, !w.stopped()
}

func (w *countingWatch) stopped() bool {
	select {
	case <-w.done:
		return true
	default:
		return false
	}
}

func (w *countingWatch) send(ev watch.Event) bool {
	select {
	case w.out <- ev:
		return true
	case <-w.done:
		return false
	}
}

// broken is what follows the end of a watch that was not ours.
func (w *countingWatch) broken(events int) {
	p := w.part
	if !w.initial {
		p.status.closed()
		// The reflector reads everything again after a watch that brought nothing and lasted less than a second.
		if left := time.Second - time.Since(w.opened); events == 0 && left > -100*time.Millisecond && p.short.Add(1) <= maxShort {
			t := time.NewTimer(left + 100*time.Millisecond)
			defer t.Stop()
			select {
			case <-w.done:
			case <-t.C:
			}
		} else if events > 0 {
			p.short.Store(0)
		}
		return
	}
	p.slot.give()
	then := errStreamLater
	switch cause := context.Cause(w.ctx); {
	case errors.Is(cause, errGaveWay):
	case errors.Is(cause, errStalled):
		// A server, or a proxy, that does not know streamed lists and does not say so: its events go on for ever.
		p.unstream.Store(true)
		then = errNoStream
	default:
		p.status.failed("list", errTorn)
		if p.torn.Add(1) >= maxTorn {
			then = errNoStream // in pages it can be read over short connections
		}
	}
	st := then.Status()
	w.send(watch.Event{Type: watch.Error, Object: &st})
}

const (
	maxTorn  = 2 // streamed lists that broke, in a row, before the list is read in pages
	maxShort = 5 // watches that were closed at once, in a row, before everything is read again
)
