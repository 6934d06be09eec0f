package watchers

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

const vmPath = "/apis/kubevirt.example.io/v1/namespaces/shop/virtualmachines"

func vmKey() Key {
	return Key{GVR: schema.GroupVersionResource{Group: "kubevirt.example.io", Version: "v1", Resource: "virtualmachines"}, Namespace: "shop"}
}

// vmTable is a Table as a server sends it, with an annotation that must not be kept.
func vmTable(rv, next string, names ...string) map[string]any {
	rows := []any{}
	for _, n := range names {
		rows = append(rows, map[string]any{"cells": []any{n, "Running", 4}, "object": map[string]any{
			"kind": "PartialObjectMetadata", "metadata": map[string]any{
				"name": n, "namespace": "shop", "uid": "uid-" + n, "resourceVersion": rv, "labels": map[string]string{"os": "linux"},
				"creationTimestamp": "2026-01-02T03:04:05Z",
				"annotations":       map[string]string{"kubectl.kubernetes.io/last-applied-configuration": "hunter2"},
			}}})
	}
	return map[string]any{
		"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": map[string]any{"resourceVersion": rv, "continue": next}, "rows": rows,
		"columnDefinitions": []any{
			map[string]any{"name": "Name", "type": "string"}, map[string]any{"name": "Phase", "type": "string"},
			map[string]any{"name": "CPU", "type": "integer", "priority": 1},
		},
	}
}

func TestTableListAndWatch(t *testing.T) {
	a, events := newAPI(t), make(chan string, 9)
	var lists atomic.Int32
	a.handle(vmPath, func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		if q.Get("includeObject") != "Metadata" || !strings.Contains(r.Header.Get("Accept"), "as=Table") {
			t.Errorf("asked for %v with %q", q, r.Header.Get("Accept"))
		}
		switch {
		case q.Get("watch") != "":
			if rv := q.Get("resourceVersion"); lists.Load() == 2 && rv != "5" {
				t.Errorf("the watch begins at %q", rv)
			}
			stream(w, r, events)
		case q.Get("continue") == "":
			lists.Add(1)
			reply(w, vmTable("5", "next", "a", "b"))
		default:
			lists.Add(1)
			reply(w, vmTable("5", "", "c"))
		}
	})
	f := a.hub(Options{PageSize: 2}).Open(vmKey(), Query{})
	s := eventually(t, f, "three machines", live(3))
	r := s.Row(0).(*TableRow)
	if len(s.Columns) != 3 || s.Columns[2].Priority != 1 || r.Cells[1] != "Running" || r.Labels != "os=linux" || r.Created.Year() != 2026 {
		t.Errorf("columns %v, row %+v", s.Columns, r)
	}
	if b, _ := json.Marshal(r); strings.Contains(string(b), "hunter2") {
		t.Error("an annotation was kept")
	}
	events <- event("ADDED", vmTable("6", "", "d"))
	events <- event("DELETED", vmTable("7", "", "a"))
	events <- event("BOOKMARK", map[string]any{"kind": "Table", "metadata": map[string]any{"resourceVersion": "70"}, "rows": []any{}})
	s = eventually(t, f, "d for a", func(s *Snapshot) bool { _, ok := s.Find("uid-a"); return s.Len() == 3 && !ok })
	if len(s.Columns) != 3 {
		t.Error("the columns were lost")
	}
	events <- event("ERROR", metav1.Status{Code: 410, Reason: metav1.StatusReasonExpired, Status: "Failure"})
	eventually(t, f, "listed again", func(s *Snapshot) bool { _, ok := s.Find("uid-a"); return ok && live(3)(s) })
	if n := lists.Load(); n != 4 {
		t.Errorf("%d lists", n)
	}
	n := len(a.requests(vmPath))
	a.srv.CloseClientConnections()                                                                        // torn: resumes, without a list
	within(t, func() string { return "a new watch" }, func() bool { return len(a.requests(vmPath)) > n }) // not the old handler's event
	events <- event("ADDED", vmTable("9", "", "e"))
	eventually(t, f, "e after the tear", func(s *Snapshot) bool { _, ok := s.Find("uid-e"); return ok && live(4)(s) })
	if n := lists.Load(); n != 4 {
		t.Errorf("%d lists after a torn watch", n)
	}
}

func TestTableWithoutWatchIsPolled(t *testing.T) {
	a := newAPI(t)
	var lists atomic.Int32
	a.handle(vmPath, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("watch") != "" {
			fail(w, 405, metav1.StatusReasonMethodNotAllowed, "watch is not supported")
			return
		}
		reply(w, vmTable("1", "", fmt.Sprint("vm-", lists.Add(1))))
	})
	f := a.hub(Options{Poll: 20 * time.Millisecond}).Open(vmKey(), Query{})
	s := eventually(t, f, "polled three times", func(s *Snapshot) bool { return lists.Load() >= 3 && live(1)(s) })
	if !strings.Contains(s.State.Why, "no watch") {
		t.Errorf("state %+v", s.State)
	}
}

func TestTableStates(t *testing.T) {
	a := newAPI(t)
	f := a.hub(Options{}).Open(vmKey(), Query{})
	if s := eventually(t, f, "no such kind", phase(Unsupported)); s.State.Resource != "virtualmachines.kubevirt.example.io" {
		t.Errorf("%+v", s.State)
	}
	a.handle(vmPath, func(w http.ResponseWriter, _ *http.Request) { fail(w, 403, metav1.StatusReasonForbidden, "no") })
	f.hub.Kick()
	if s := eventually(t, f, "denied", phase(Denied)); s.State.Verb != "list" {
		t.Errorf("%+v", s.State)
	}
}

func TestPlainListFromAServerWithoutTables(t *testing.T) {
	a := newAPI(t)
	a.handle(vmPath, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("watch") != "" {
			stream(w, r, nil)
			return
		}
		reply(w, map[string]any{"kind": "VirtualMachineList", "metadata": map[string]any{"resourceVersion": "3"}, "items": []any{
			map[string]any{"metadata": map[string]any{"name": "x", "namespace": "shop", "uid": "u"}},
		}})
	})
	s := eventually(t, a.hub(Options{}).Open(vmKey(), Query{}), "one", live(1))
	if s.Columns[0].Name != "Name" || s.Row(0).(*TableRow).Cells[0] != "x" {
		t.Errorf("%v %+v", s.Columns, s.Row(0))
	}
}

// A watch that is opened and fails at once, again and again at the same place, does not fail for ever: everything is read again.
func TestTableIsListedAgainWhenNoWatchLives(t *testing.T) {
	for name, first := range map[string]string{
		"closed at once": "",
		"fault": event("ERROR", metav1.Status{
			TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Code: 500, Reason: metav1.StatusReasonInternalError, Status: "Failure", Message: "cannot decode",
		}),
		"unreadable": `{"type":"MODIFIED","object":[]}`,
	} {
		t.Run(name, func(t *testing.T) {
			a := newAPI(t)
			var lists atomic.Int32
			a.handle(vmPath, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Query().Get("watch") == "" {
					n := lists.Add(1)
					reply(w, vmTable(fmt.Sprint(n), "", fmt.Sprint("vm-", n)))
					return
				}
				if r.URL.Query().Get("resourceVersion") == "1" {
					w.Header().Set("Content-Type", "application/json")
					fmt.Fprintln(w, first)
					return
				}
				stream(w, r, nil)
			})
			f := a.hub(Options{}).Open(vmKey(), Query{})
			eventually(t, f, "the second list", func(s *Snapshot) bool { return live(1)(s) && s.Row(0).GetName() == "vm-2" })
		})
	}
}

// The columns of a kind have changed and its rows, many, are read again: until they are there, the old ones stay under their own titles.
func TestColumnsChangeTogetherWithRows(t *testing.T) {
	a, events := newAPI(t), make(chan string, 9)
	held, release := make(chan struct{}), make(chan struct{})
	t.Cleanup(sync.OnceFunc(func() { close(release) }))
	var lists atomic.Int32
	a.handle(vmPath, func(w http.ResponseWriter, r *http.Request) {
		switch q := r.URL.Query(); {
		case q.Get("watch") != "":
			stream(w, r, events)
		case q.Get("continue") == "" && lists.Add(1) == 1:
			reply(w, vmTable("5", "", "a"))
		case q.Get("continue") == "":
			reply(w, swapped(vmTable("6", "next", "a")))
		default:
			close(held)
			select {
			case <-release:
			case <-r.Context().Done():
			}
			reply(w, swapped(vmTable("6", "", "b")))
		}
	})
	f := a.hub(Options{Stall: time.Minute}).Open(vmKey(), Query{})
	of := func(s *Snapshot) string {
		var b strings.Builder
		for _, r := range s.All() {
			for i, c := range r.(*TableRow).Cells {
				fmt.Fprintf(&b, "%s=%v ", s.Columns[i].Name, c)
			}
		}
		return strings.TrimSpace(b.String())
	}
	eventually(t, f, "the first list", func(s *Snapshot) bool { return live(1)(s) && of(s) == "Name=a Phase=Running CPU=4" })
	events <- expired()
	<-held // the first page of the second list, with the new columns, has been taken in
	f.SetQuery(Query{Tag: "now"})
	f.Wait(t.Context(), "now")
	if got := of(f.Snapshot()); got != "Name=a Phase=Running CPU=4" {
		t.Errorf("while the list arrives: %s", got)
	}
	release <- struct{}{}
	eventually(t, f, "the second list", func(s *Snapshot) bool {
		return live(2)(s) && of(s) == "Name=a CPU=4 Phase=Running Name=b CPU=4 Phase=Running"
	})
}

// swapped is a table with its second column after the third.
func swapped(table map[string]any) map[string]any {
	swap := func(list any) { l := list.([]any); l[1], l[2] = l[2], l[1] }
	swap(table["columnDefinitions"])
	for _, r := range table["rows"].([]any) {
		swap(r.(map[string]any)["cells"])
	}
	return table
}
