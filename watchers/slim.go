package watchers

import (
	"bytes"
	"strings"
	"sync"

	"google.golang.org/protobuf/encoding/protowire"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/scheme"
)

// Of a pod of 5 KB a row needs a few hundred bytes. The rest (environment, volumes, probes, affinity, managedFields) is cut out of the
// message before it is decoded: as objects it cost three quarters of the time and nine tenths of the garbage of a list. What is cut is
// named here field by field, by the numbers of generated.proto; what is not named, and what a newer server adds, passes. A test
// holds that a row of what is left is the row of the whole.

// cut says what to do with the fields of a message: nil drops a field, a cut goes into it. Fields it does not have pass.
type cut map[protowire.Number]cut

// drop makes a cut that leaves fields out.
func drop(fields ...protowire.Number) cut {
	c := cut{}
	for _, f := range fields {
		c[f] = nil
	}
	return c
}

// into adds a field to go into.
func (c cut) into(field protowire.Number, inner cut) cut {
	c[field] = inner
	return c
}

// annotations are dropped, but for the one that ends a streamed list: see keepEntry.
var annotations = cut{}

var (
	cutMeta      = drop(2, 4, 17).into(12, annotations)                                                  // generateName, selfLink, managedFields
	cutContainer = drop(2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 25) // all but name, resources, restartPolicy
	cutCStatus   = drop(6, 7, 8, 10, 11, 12, 13, 14, 15)                                                 // image, ids, resources, mounts
	cutPodSpec   = drop(1, 7, 14, 15, 18, 22, 23, 26, 28, 33, 34, 39).into(2, cutContainer).into(20, cutContainer)
	cutPodStatus = drop(5, 12, 13, 15, 16, 18, 19, 20, 21, 22).into(2, drop(3, 4)).into(8, cutCStatus).into(10, cutCStatus)
	cutPod       = cut{1: cutMeta, 2: cutPodSpec, 3: cutPodStatus}
	cutNode      = cut{1: cutMeta, 3: drop(8)} // images
	cutAny       = cut{1: cutMeta}
)

// cutFor returns what to cut of a kind. Metadata is the first field of every object that has a row, and of lists, where it has none of
// the fields that are cut.
func cutFor(kind string) cut {
	switch kind {
	case "Pod":
		return cutPod
	case "PodList":
		return cut{2: cutPod}
	case "Node":
		return cutNode
	case "NodeList":
		return cut{2: cutNode}
	}
	if strings.HasSuffix(kind, "List") {
		return cut{2: cutAny}
	}
	return cutAny
}

// initialEventsEnd is the annotation that ends a streamed list (metav1.InitialEventsAnnotationKey).
var initialEventsEnd = []byte("k8s.io/initial-events-end")

// apply appends src without what is cut to dst. It reports false when src is not a message.
func (c cut) apply(dst, src []byte) ([]byte, bool) {
	for len(src) > 0 {
		field, typ, n := protowire.ConsumeTag(src)
		if n < 0 {
			return dst, false
		}
		m := protowire.ConsumeFieldValue(field, typ, src[n:])
		if m < 0 {
			return dst, false
		}
		whole := src[:n+m]
		src = src[n+m:]
		inner, named := c[field]
		switch {
		case !named || inner != nil && typ != protowire.BytesType:
			dst = append(dst, whole...)
		case inner == nil: // left out
		default:
			body, k := protowire.ConsumeBytes(whole[n:])
			if k < 0 {
				return dst, false
			}
			if isAnnotations(inner) {
				if bytes.Contains(body, initialEventsEnd) {
					dst = append(dst, whole...)
				}
				continue
			}
			var ok bool
			if dst, ok = inner.enter(append(dst, whole[:n]...), body); !ok {
				return dst, false
			}
		}
	}
	return dst, true
}

// isAnnotations tells the empty cut from others.
func isAnnotations(c cut) bool { return len(c) == 0 }

// enter appends the length of the message that is left of body, and the message.
func (c cut) enter(dst, body []byte) ([]byte, bool) {
	const room = 3 // bytes of the length of a message of up to 2 MB
	at := len(dst)
	dst, ok := c.apply(append(dst, 0, 0, 0), body)
	if !ok {
		return dst, false
	}
	n := len(dst) - at - room
	var b [10]byte
	prefix := protowire.AppendVarint(b[:0], uint64(n))
	if len(prefix) > room {
		dst = append(dst, prefix[room:]...) // grows it by as much
	}
	copy(dst[at+len(prefix):], dst[at+room:at+room+n])
	copy(dst[at:], prefix)
	return dst[:at+len(prefix)+n], true
}

// The fields of runtime.Unknown, the envelope of an object, and of the TypeMeta in it.
const (
	unknownType = 1
	unknownRaw  = 2
	typeKind    = 2
)

var protobufPrefix = []byte("k8s\x00")

// slim appends an encoded object without what its row does not need. It reports false when it is no such thing, and then the object is
// decoded as it is.
func slim(dst, src []byte) ([]byte, bool) {
	src, ok := bytes.CutPrefix(src, protobufPrefix)
	if !ok {
		return dst, false
	}
	return cut{unknownRaw: cutFor(kindOf(src))}.apply(append(dst, protobufPrefix...), src)
}

// kindOf reads the kind of an object in its envelope; empty when there is none.
func kindOf(src []byte) string { return string(bytesField(bytesField(src, unknownType), typeKind)) }

// bytesField returns the first value of a field.
func bytesField(src []byte, want protowire.Number) []byte {
	for len(src) > 0 {
		field, typ, n := protowire.ConsumeTag(src)
		if n < 0 {
			return nil
		}
		if field == want && typ == protowire.BytesType {
			v, _ := protowire.ConsumeBytes(src[n:])
			return v
		}
		m := protowire.ConsumeFieldValue(field, typ, src[n:])
		if m < 0 {
			return nil
		}
		src = src[n+m:]
	}
	return nil
}

// slimSerializer is client-go's serializer with the cut before the decoding.
type slimSerializer struct{ runtime.NegotiatedSerializer }

func newSlimSerializer() runtime.NegotiatedSerializer {
	return slimSerializer{scheme.Codecs.WithoutConversion()}
}

// DecoderToVersion implements runtime.NegotiatedSerializer.
func (s slimSerializer) DecoderToVersion(d runtime.Decoder, gv runtime.GroupVersioner) runtime.Decoder {
	return slimDecoder{s.NegotiatedSerializer.DecoderToVersion(d, gv)}
}

type slimDecoder struct{ runtime.Decoder }

// slimBuffers are for messages while they are decoded: decoding copies what it keeps.
var slimBuffers = sync.Pool{New: func() any { b := make([]byte, 0, 4096); return &b }}

// Decode implements runtime.Decoder.
func (d slimDecoder) Decode(data []byte, defaults *schema.GroupVersionKind, into runtime.Object) (runtime.Object, *schema.GroupVersionKind, error) {
	buf := slimBuffers.Get().(*[]byte)
	defer slimBuffers.Put(buf)
	small, ok := slim((*buf)[:0], data)
	if cap(small) <= 64<<10 { // a page of a list is not kept
		*buf = small
	}
	if !ok {
		small = data
	}
	return d.Decoder.Decode(small, defaults, into)
}
