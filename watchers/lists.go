package watchers

import (
	"context"
	"errors"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
)

var (
	// errStalled ends a list of which nothing comes any more, so that it does not hold its place for ever.
	errStalled = errors.New("the API server answers, but nothing came of this list for a while")
	// errTorn is a streamed list whose connection broke.
	errTorn = errors.New("the connection broke while the list was read")
)

// Bounds of what a list bears with before it is given up or done another way.
const (
	maxRestarts  = 2 // of a list whose continue token has expired; each time its pages are four times as large
	maxPageTries = 3 // of one page, after the first
)

// page is one page of a list, as rows.
type page struct {
	rows []Row
	rv   string // of the whole list
	next string // continue token; empty: it was the last
}

// list reads everything, page by page, and keeps only rows of each page: of what it reads, no more than a page is held at once.
//
// A continue token expires with etcd's compaction, after five to ten minutes (the API server answers 410). The list then begins
// again with larger pages, as a slow server is mostly slow per request; the third time it goes on with the token that the answer
// holds, which continues at a newer revision: every object is shown, but the picture is of two moments, and says so.
func (p *part) list(ctx context.Context, fetch func(context.Context, metav1.ListOptions) (page, error)) (rows []Row, rv string, err error) {
	defer p.slot.give()
	hub := p.src.hub
	opt := metav1.ListOptions{Limit: hub.opt.PageSize}
	p.status.list()
	restarts, tries, note := 0, 0, ""
	for {
		if err := p.slot.take(ctx); err != nil {
			return nil, "", err
		}
		pg, tap, err := p.fetch(ctx, fetch, opt)
		switch {
		case err == nil:
			p.throttles.Store(0)
			tries = 0
			for _, r := range pg.rows {
				p.rows.preview(r)
			}
			rows = append(rows, pg.rows...)
			p.status.event(len(pg.rows))
			if opt.Continue = pg.next; pg.next == "" {
				p.status.remark(note)
				return rows, pg.rv, nil
			}
		case ctx.Err() != nil:
			return nil, "", ctx.Err()
		case errors.Is(err, errGaveWay):
			return nil, "", err
		case apierrors.IsTooManyRequests(err):
			if err := p.throttled(ctx, err, tap); err != nil {
				return nil, "", err
			}
		case isExpired(err) && opt.Continue != "":
			next := inconsistent(err)
			if restarts++; restarts <= maxRestarts || next == "" && restarts <= 2*maxRestarts {
				opt.Continue, rows = "", nil
				opt.Limit *= 4
				p.status.list()
				break
			}
			if next == "" {
				p.status.failed("list", err)
				return nil, "", err
			}
			opt.Continue = next
			note = "listed too slowly for one moment in time: rows may be shown that are gone"
		case opt.Continue != "" && tries < maxPageTries && (!answered(err) || statusCode(err) >= 500):
			tries++
			p.slot.give()
			p.status.failed("list", err)
			if err := p.pause(ctx, hub.opt.BackoffMin<<tries); err != nil {
				return nil, "", err
			}
		default:
			if !isExpired(err) {
				p.status.failed("list", err)
			}
			return nil, "", err
		}
	}
}

// fetch sends one request of a list, which ends when nothing comes any more or the list has to give way.
func (p *part) fetch(ctx context.Context, fetch func(context.Context, metav1.ListOptions) (page, error), opt metav1.ListOptions) (page, *tap, error) {
	hub := p.src.hub
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	ctx, tap := hub.withTap(ctx)
	tap.list.Store(true)
	defer hub.guard(tap, hub.opt.Stall, func() { cancel(errStalled) })()
	p.slot.onGiveWay(func() { cancel(errGaveWay) })
	pg, err := fetch(ctx, opt)
	if err != nil {
		err = because(ctx, err)
	}
	return pg, tap, err
}

// because is why a request has failed: its context knows whether we ended it.
func because(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); errors.Is(cause, errGaveWay) || errors.Is(cause, errStalled) {
		return cause
	}
	return err
}

// inconsistent is the continue token of a 410's answer; empty: it holds none.
func inconsistent(err error) string {
	var st apierrors.APIStatus
	if errors.As(err, &st) {
		return st.Status().Continue
	}
	return ""
}

// Bounds of the wait after a 429.
const (
	throttleFloor = time.Second      // when the server does not say how long; doubled with every 429 in a row,
	throttleSteps = 4                // at most so often: 16 s
	throttleCap   = 60 * time.Second // a server may ask for an hour; once a minute does it no harm
)

// throttled waits as long as the server asks for, and longer the more often it has to ask in a row (API priority and fairness always
// says one second), between a minimum and a maximum. The place among the lists is free meanwhile. client-go would wait by itself, up
// to ten times, and nobody would know: every request here has MaxRetries(0).
func (p *part) throttled(ctx context.Context, err error, t *tap) error {
	p.slot.give()
	wait := time.Duration(t.retryAfter.Load()) * time.Second
	if n, ok := apierrors.SuggestsClientDelay(err); ok {
		wait = max(wait, time.Duration(n)*time.Second)
	}
	n := min(p.throttles.Add(1)-1, throttleSteps)
	wait = min(max(wait, throttleFloor<<n), throttleCap)
	wait += jitter(wait / 8) // never sooner than asked for
	p.status.throttle(time.Now().Add(wait))
	defer p.status.throttle(time.Time{})
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// request begins a GET of the part's resource, for resources that have a typed row.
func (p *part) request() *rest.Request {
	k := p.src.key
	return p.src.hub.restFor(k).Get().MaxRetries(0).NamespaceIfScoped(p.namespace, p.namespace != "").Resource(k.GVR.Resource)
}
