package etcd

import (
	"bytes"
	"encoding/json"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer/cbor/direct"
)

// Summary is what is told of a value without decoding all of it. It is untrusted but for Format, and holds nothing that is masked.
type Summary struct {
	Format           Format
	APIVersion, Kind string // as it is stored; empty: not an object of the API, or encrypted
	By               Writer
}

// Writer is the newest entry of an object's metadata.managedFields. The API server sets its time whenever that manager changes a field
// (apimachinery, managedfields/internal/managedfieldsupdater.go), so it is who wrote last, unless that only took fields away.
type Writer struct {
	Manager, Operation, Subresource string
	At                              time.Time // in whole seconds; zero: there is no entry
}

// managed is the part of an object that Summarize reads.
type managed struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Metadata   struct {
		ManagedFields []managedEntry `json:"managedFields"`
	} `json:"metadata"`
}

// managedEntry leaves the fields out, which are most of it.
type managedEntry struct {
	Manager     string       `json:"manager"`
	Operation   string       `json:"operation"`
	Subresource string       `json:"subresource"`
	Time        *metav1.Time `json:"time"`
}

// Summarize tells what a stored value is and who wrote it. It never fails: what it does not understand it leaves empty.
func Summarize(value []byte) (s Summary) {
	defer func() {
		if v := recover(); v != nil { // as in Decode
			s = Summary{Format: Binary}
		}
	}()
	switch {
	case len(value) == 0:
		s.Format = Empty
	case bytes.HasPrefix(value, []byte(encryptedMagic)):
		s.Format = Encrypted
	case bytes.HasPrefix(value, []byte(protobufMagic)):
		s.Format = Protobuf
		var unk runtime.Unknown
		if unk.Unmarshal(value[len(protobufMagic):]) != nil {
			s.Format = Binary
			break
		}
		s.APIVersion, s.Kind = unk.APIVersion, unk.Kind
		meta, _ := metadata(unk.Raw)
		for _, e := range meta.ManagedFields {
			s.By.take(managedEntry{e.Manager, string(e.Operation), e.Subresource, e.Time})
		}
	case bytes.HasPrefix(value, []byte(cborMagic)):
		s.Format = CBOR
		var all map[string]any // a structure would be refused for the fields that it leaves out
		if direct.Unmarshal(value, &all) != nil {
			break
		}
		var m managed
		if data, err := json.Marshal(all); err == nil && json.Unmarshal(data, &m) == nil {
			s.take(m)
		}
	case first(value) == '{':
		s.Format = JSON
		var m managed
		if err := json.Unmarshal(value, &m); err != nil {
			s.Format = PlainText
			break
		}
		s.take(m)
	case printable(value):
		s.Format = PlainText
	default:
		s.Format = Binary
	}
	return s
}

func (s *Summary) take(m managed) {
	s.APIVersion, s.Kind = m.APIVersion, m.Kind
	for _, e := range m.Metadata.ManagedFields {
		s.By.take(e)
	}
}

// take takes an entry over if it is not older.
func (w *Writer) take(e managedEntry) {
	if e.Time != nil && !e.Time.Time.Before(w.At) {
		*w = Writer{Manager: e.Manager, Operation: e.Operation, Subresource: e.Subresource, At: e.Time.Time.UTC()}
	}
}
