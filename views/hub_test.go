package views

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"

	"fathom/internal/run"
	"fathom/watchers"
)

// hubWithPods is a hub on an API server, as far as HTTP goes, that has n pods and does not stream lists.
func hubWithPods(t *testing.T, n int) *watchers.Hub {
	t.Helper()
	list := corev1.PodList{TypeMeta: metav1.TypeMeta{Kind: "PodList", APIVersion: "v1"}, ListMeta: metav1.ListMeta{ResourceVersion: "1"}}
	for i := range n {
		list.Items = append(list.Items, corev1.Pod{ObjectMeta: metav1.ObjectMeta{UID: types.UID(fmt.Sprintf("uid-%06d", i)), Namespace: "shop",
			Name: fmt.Sprintf("pod-%06d", i), ResourceVersion: "1"}, Spec: corev1.PodSpec{NodeName: fmt.Sprintf("worker-%04d", i%1000)}})
	}
	body, err := json.Marshal(list)
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Query().Get("sendInitialEvents") != "":
			http.Error(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Invalid","code":422}`, http.StatusUnprocessableEntity)
		case r.URL.Query().Get("watch") != "":
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusOK)
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		case strings.HasSuffix(r.URL.Path, "/pods"):
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write(body)
		default:
			fmt.Fprint(w, "ok")
		}
	}))
	g := run.NewGroup(context.Background(), nil)
	hub, err := watchers.NewHub(g, &rest.Config{Host: srv.URL}, watchers.Options{MinPublish: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		g.Stop()
		srv.CloseClientConnections()
		srv.Close()
	})
	return hub
}

// synced pulls until the pane is live with n rows.
func synced(t *testing.T, p *resource, n int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		p.Sync()
		if p.snap.Len() == n && p.State().Phase == watchers.Live {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%d rows, %+v, want %d", p.snap.Len(), p.State(), n)
		case <-tick.C:
		}
	}
}
