package check

import (
	"bytes"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	coordinationv1 "k8s.io/api/coordination/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// protobufMagic begins what the API server stores as protobuf.
var protobufMagic = []byte("k8s\x00")

// sinceWrite is how long ago an event was written, by the clock of who wrote it: a Lease says when it was renewed.
func sinceWrite(e *mvccpb.Event, now time.Time) (time.Duration, bool) {
	if e.Type != mvccpb.Event_PUT || !bytes.HasPrefix(e.Kv.Value, protobufMagic) {
		return 0, false
	}
	var u runtime.Unknown
	if u.Unmarshal(e.Kv.Value[len(protobufMagic):]) != nil || u.Kind != "Lease" {
		return 0, false
	}
	var l coordinationv1.Lease
	if l.Unmarshal(u.Raw) != nil || l.Spec.RenewTime == nil || l.Spec.RenewTime.IsZero() {
		return 0, false
	}
	return now.Sub(l.Spec.RenewTime.Time), true
}
