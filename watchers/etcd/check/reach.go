package check

import (
	"fmt"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// leases are below the API server's prefix: those of the control plane's components, some changes a second, however large the cluster is.
const leases = "/leases/kube-system/"

// idleKey does not exist; etcdctl endpoint health asks for it too. A watch on it still tells its progress.
const idleKey = "health"

// scope is how much is watched.
type scope uint8

const (
	byLeases scope = iota // of Kubernetes' control plane
	byAll                 // every key: not Kubernetes' etcd
	byKey                 // one key: all of them change too much
	byNone                // and so does that one: only the progress is checked
)

// The most that a canary takes in within reachWindow before less is watched.
const (
	reachWindow = 10 * time.Second
	reachEvents = 600
	reachBytes  = 1 << 20
)

// reach is what is watched on all members, so that they can be compared. Its zero is not chosen yet.
type reach struct {
	chosen bool
	// kubernetes is set when there were leases of a control plane at first.
	kubernetes bool
	scope      scope
	key        string // of byKey
	round      int    // grows with every change: canaries of an older one start anew

	from          time.Time // of the window
	events, bytes int
}

// spend counts what came and watches less when it is too much; then it returns true.
func (r *reach) spend(now time.Time, events, bytes int, lastKey string) bool {
	if now.Sub(r.from) > reachWindow {
		r.from, r.events, r.bytes = now, 0, 0
	}
	r.events += events
	r.bytes += bytes
	if r.scope == byNone || r.events <= reachEvents && r.bytes <= reachBytes {
		return false
	}
	switch r.scope {
	case byLeases, byAll:
		r.scope, r.key = byKey, lastKey
	case byKey:
		r.scope, r.key = byNone, ""
	}
	r.from, r.events, r.bytes = now, 0, 0
	r.round++
	return true
}

// rangeOf is the key and the end of what is watched.
func (r *reach) rangeOf(prefix string) (key, end string) {
	switch r.scope {
	case byLeases:
		p := prefix + leases
		return p, clientv3.GetPrefixRangeEnd(p)
	case byAll:
		return "\x00", "\x00" // every key from the first on
	case byKey:
		return r.key, ""
	}
	return idleKey, ""
}

// words say what is watched.
func (r *reach) words(prefix string) string {
	switch {
	case !r.chosen:
		return ""
	case r.scope == byLeases:
		return "the leases of the control plane, " + prefix + leases
	case r.scope == byAll:
		return "all keys"
	case r.scope == byKey:
		return fmt.Sprintf("one key, %.60q: everything would be too much", r.key)
	}
	return "the progress only: every key changes too often"
}
