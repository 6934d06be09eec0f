package cluster

import (
	"context"
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/version"
	"k8s.io/client-go/rest"
)

// Heartbeat is the answer to one GET of /livez.
type Heartbeat struct {
	OK      bool
	Code    int           // HTTP status; 0: no answer
	Latency time.Duration // until the answer or the error
	At      time.Time     // when it was sent
	Err     error
}

// ProbeTimeout is how long Probe waits.
const ProbeTimeout = time.Second

// Probe asks the API server whether it lives, once, without retrying, for at most ProbeTimeout.
func (k *Kube) Probe(ctx context.Context) Heartbeat {
	ctx, cancel := context.WithTimeout(ctx, ProbeTimeout)
	defer cancel()
	h := Heartbeat{At: time.Now()}
	res := k.get("/livez").Do(ctx)
	res.StatusCode(&h.Code)
	h.Err = res.Error()
	h.Latency = time.Since(h.At)
	h.OK = h.Err == nil
	return h
}

func (k *Kube) get(path string) *rest.Request {
	return k.typed.Discovery().RESTClient().Get().AbsPath(path).MaxRetries(0)
}

// Check is one line of a verbose health endpoint.
type Check struct {
	Name    string `json:"name"`
	OK      bool   `json:"ok"`
	Message string `json:"message,omitempty"` // untrusted; usually "reason withheld"
}

// Checks reads /livez and /readyz with all their checks. A failing check is not an error.
func (k *Kube) Checks(ctx context.Context) (livez, readyz []Check, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	if livez, err = k.checks(ctx, "/livez"); err != nil {
		return nil, nil, err
	}
	readyz, err = k.checks(ctx, "/readyz")
	return livez, readyz, err
}

func (k *Kube) checks(ctx context.Context, path string) ([]Check, error) {
	body, err := k.get(path).Param("verbose", "").DoRaw(ctx)
	if out := parseChecks(string(body)); len(out) > 0 {
		return out, nil // with a failing check the status is 500 and the body tells
	}
	if err != nil {
		return nil, fmt.Errorf("GET %s: %w", path, err)
	}
	return nil, nil
}

// parseChecks reads "[+]ping ok" and "[-]etcd failed: reason withheld" (k8s.io/apiserver/pkg/server/healthz).
func parseChecks(body string) []Check {
	var out []Check
	for line := range strings.Lines(body) {
		line = strings.TrimSpace(line)
		rest, ok := strings.CutPrefix(line, "[+]")
		if !ok {
			var bad bool
			if rest, bad = strings.CutPrefix(line, "[-]"); !bad {
				continue
			}
		}
		name, msg, _ := strings.Cut(rest, " ")
		msg = strings.TrimPrefix(strings.TrimPrefix(msg, "failed"), ": ")
		if ok {
			msg = strings.TrimPrefix(msg, "ok")
		}
		out = append(out, Check{Name: name, OK: ok, Message: strings.TrimSpace(msg)})
	}
	return out
}

// ServerVersion asks for the API server's version.
func (k *Kube) ServerVersion(ctx context.Context) (*version.Info, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	info := &version.Info{}
	body, err := k.get("/version").DoRaw(ctx)
	if err != nil {
		return nil, fmt.Errorf("GET /version: %w", err)
	}
	return info, decodeJSON(body, info)
}
