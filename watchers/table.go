package watchers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
)

// acceptTable asks for a server-side Table, and takes plain objects from aggregated servers that make none.
const acceptTable = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"

// table keeps a store up to date with server-side Tables (KEP-2334: the reflector of client-go refuses them). Of the objects
// only the metadata is asked for, and of that only what a row keeps is decoded: no data of a Secret ever arrives here, and its
// last-applied-configuration is dropped unread.
type table struct {
	part   *part
	rv     string    // where the watch resumes; empty: list first
	faults int       // watches in a row that were answered 5xx, or broke as soon as they were open
	opened time.Time // when the last watch was; zero: it was not
}

func newTable(p *part) *table { return &table{part: p} }

// The wire forms, reduced to what is used.
type (
	wireTable struct {
		Kind              string                         `json:"kind"`
		Metadata          metav1.ListMeta                `json:"metadata"`
		ColumnDefinitions []metav1.TableColumnDefinition `json:"columnDefinitions"`
		Rows              []wireRow                      `json:"rows"`
		Items             []wireObject                   `json:"items"` // a plain list
	}
	wireRow struct {
		Cells  []any      `json:"cells"`
		Object wireObject `json:"object"`
	}
	wireObject struct {
		Metadata wireMeta `json:"metadata"`
	}
	wireMeta struct {
		Name              string            `json:"name"`
		Namespace         string            `json:"namespace"`
		UID               types.UID         `json:"uid"`
		ResourceVersion   string            `json:"resourceVersion"`
		CreationTimestamp metav1.Time       `json:"creationTimestamp"`
		DeletionTimestamp *metav1.Time      `json:"deletionTimestamp"`
		Labels            map[string]string `json:"labels"`
	}
	wireEvent struct {
		Type   string          `json:"type"`
		Object json.RawMessage `json:"object"`
	}
)

func (t *table) row(o *wireObject, cells []any) *TableRow {
	m := &o.Metadata
	return &TableRow{Cells: cells, Meta: t.part.src.store.projector.meta(&metav1.ObjectMeta{
		Name: m.Name, Namespace: m.Namespace, UID: m.UID, ResourceVersion: m.ResourceVersion,
		CreationTimestamp: m.CreationTimestamp, DeletionTimestamp: m.DeletionTimestamp, Labels: m.Labels,
	})}
}

// rows returns the rows of a Table, of a plain list, or of neither.
func (t *table) rows(w *wireTable) []*TableRow {
	out := make([]*TableRow, 0, len(w.Rows)+len(w.Items))
	for i := range w.Rows {
		out = append(out, t.row(&w.Rows[i].Object, w.Rows[i].Cells))
	}
	for i := range w.Items {
		out = append(out, t.row(&w.Items[i], []any{w.Items[i].Metadata.Name}))
	}
	return out
}

func (t *table) request(opt *metav1.ListOptions) *rest.Request {
	k, ns := t.part.src.key, t.part.namespace
	path := "/apis/" + k.GVR.Group + "/" + k.GVR.Version
	if k.GVR.Group == "" {
		path = "/api/" + k.GVR.Version
	}
	return t.part.src.hub.tab.Get().MaxRetries(0).AbsPath(path).NamespaceIfScoped(ns, ns != "").Resource(k.GVR.Resource).
		SetHeader("Accept", acceptTable).
		SpecificallyVersionedParams(opt, scheme.ParameterCodec, schema.GroupVersion{Version: "v1"}).Param("includeObject", "Metadata")
}

// listAndWatch is one attempt: it ends when the watch cannot be kept open.
func (t *table) listAndWatch(ctx context.Context) error {
	for {
		if t.rv == "" {
			if err := t.list(ctx); err != nil {
				return err
			}
		}
		if t.rv == "" { // a list without a version cannot be followed
			t.part.status.polled(t.part.src.hub.opt.Poll)
			return nil
		}
		n, tap, err := t.watch(ctx)
		lasted := !t.opened.IsZero() && time.Since(t.opened) >= time.Second
		if n > 0 || lasted {
			t.faults = 0
		}
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case apierrors.IsTooManyRequests(err):
			if err := t.part.throttled(ctx, err, tap); err != nil {
				return err
			}
		case isExpired(err):
			t.part.status.closed()
			t.rv = ""
		case err != nil:
			if t.faults++; statusCode(err) != 0 && statusCode(err) < 500 || t.faults > maxFaults || t.part.status.isPolling() {
				t.rv = "" // the server has answered no: the list tells what is left
			}
			return err
		case n == 0 && !lasted:
			if t.faults++; t.faults > maxShort {
				t.rv = "" // a server, or a proxy, that lets no watch live: the list tells what is new
			}
			return errors.New("the watch was closed at once")
		default:
			t.part.status.closed()
		}
	}
}

func (t *table) list(ctx context.Context) error {
	p := t.part
	list, rv, err := p.list(ctx, func(ctx context.Context, opt metav1.ListOptions) (page, error) {
		res := t.request(&opt).Do(ctx)
		if err := res.Error(); err != nil { // Raw's error lacks what the server has said
			return page{}, err
		}
		body, err := res.Raw()
		if err != nil {
			return page{}, err
		}
		w := &wireTable{}
		if err := json.Unmarshal(body, w); err != nil {
			return page{}, fmt.Errorf("read the table of %s: %w", p.src.key.resource(), err)
		}
		if opt.Continue == "" {
			p.rows.setColumns(columnsOf(w))
		}
		pg := page{rv: w.Metadata.ResourceVersion, next: w.Metadata.Continue}
		for _, r := range t.rows(w) {
			pg.rows = append(pg.rows, r)
		}
		return pg, nil
	})
	if err != nil {
		return err
	}
	all := make([]any, len(list))
	for i, r := range list {
		all[i] = r
	}
	t.rv, t.faults = rv, 0
	return p.rows.Replace(all, rv)
}

func columnsOf(w *wireTable) []TableColumn {
	if len(w.ColumnDefinitions) == 0 {
		return []TableColumn{{Name: "Name", Type: "string", Format: "name"}}
	}
	out := make([]TableColumn, len(w.ColumnDefinitions))
	for i, c := range w.ColumnDefinitions {
		out[i] = TableColumn{Name: c.Name, Type: c.Type, Format: c.Format, Description: c.Description, Priority: c.Priority}
	}
	return out
}

// watch follows the resource from t.rv and returns how many events came.
func (t *table) watch(ctx context.Context) (n int, tap *tap, err error) {
	p := t.part
	timeout := int64(300 + rand.IntN(300)) // as reflectors do, so that watches do not end all at once
	ctx, tap = p.src.hub.withTap(ctx)
	t.opened = time.Time{}
	body, err := t.request(&metav1.ListOptions{
		Watch: true, ResourceVersion: t.rv, AllowWatchBookmarks: true, TimeoutSeconds: &timeout,
	}).Stream(ctx)
	if err != nil {
		switch {
		case ctx.Err() != nil || isExpired(err) || apierrors.IsTooManyRequests(err):
		case isDenied(err) || apierrors.IsMethodNotSupported(err):
			p.status.polled(p.src.hub.opt.Poll)
		default:
			p.status.failed("watch", err)
		}
		return 0, tap, err
	}
	defer body.Close()
	p.throttles.Store(0)
	t.opened = time.Now()
	p.status.opened(true)
	for dec := json.NewDecoder(body); ; n++ {
		var ev wireEvent
		if err := dec.Decode(&ev); err != nil {
			p.status.closed()
			if errors.Is(err, io.EOF) {
				return n, tap, nil
			}
			return n, tap, fmt.Errorf("watch %s: %w", p.src.key.resource(), err)
		}
		if err := t.apply(&ev); err != nil {
			if !isExpired(err) && !apierrors.IsTooManyRequests(err) {
				p.status.failed("watch", err)
			}
			return n, tap, err
		}
	}
}

// apply puts one watch event into the store.
func (t *table) apply(ev *wireEvent) error {
	if ev.Type == "ERROR" {
		st := &metav1.Status{}
		if err := json.Unmarshal(ev.Object, st); err != nil {
			return fmt.Errorf("watch %s: read an error event: %w", t.part.src.key.resource(), err)
		}
		return apierrors.FromObject(st)
	}
	w := &wireTable{}
	if err := json.Unmarshal(ev.Object, w); err != nil {
		return fmt.Errorf("watch %s: read an event: %w", t.part.src.key.resource(), err)
	}
	rows := t.rows(w)
	if len(rows) == 0 && w.Kind != "Table" { // a plain object
		var o wireObject
		if err := json.Unmarshal(ev.Object, &o); err != nil {
			return fmt.Errorf("watch %s: read an object: %w", t.part.src.key.resource(), err)
		}
		rows = append(rows, t.row(&o, []any{o.Metadata.Name}))
	}
	if w.Metadata.ResourceVersion != "" {
		t.rv = w.Metadata.ResourceVersion
	}
	for _, r := range rows {
		if r.ResourceVersion != "" && w.Metadata.ResourceVersion == "" {
			t.rv = r.ResourceVersion
		}
		var err error
		switch ev.Type {
		case "ADDED", "MODIFIED":
			err = t.part.rows.Update(r)
		case "DELETED":
			err = t.part.rows.Delete(r)
		}
		if err != nil {
			return err
		}
	}
	t.part.status.event(len(rows))
	return nil
}
