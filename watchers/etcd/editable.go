package etcd

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"unicode/utf8"

	"k8s.io/apimachinery/pkg/runtime/schema"
	kjson "k8s.io/apimachinery/pkg/runtime/serializer/json"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"
	"k8s.io/client-go/kubernetes/scheme"
)

// Editable is a stored value as a text that can be edited and turned back into what is stored. The text holds nothing that [Decode]
// would not show: what is masked stays masked in it, and comes back from the value itself.
type Editable struct {
	Text string
	Ext  string // of a file that holds it: "yaml", "json", "txt"

	encode func(text string) ([]byte, error)
}

// Encode is what is stored for a text. The error says, in a way that whoever edits understands, why the text cannot be stored.
func (e *Editable) Encode(text string) (value []byte, err error) {
	defer func() {
		if v := recover(); v != nil { // other people's encoders, on anybody's bytes
			value, err = nil, fmt.Errorf("it cannot be encoded: %v", v)
		}
	}()
	return e.encode(text)
}

// ErrMasked is the error of editing what is masked as a whole.
var ErrMasked = errors.New("the value is masked as a whole: reveal it first")

// Edit makes a stored value editable. An object of Kubernetes is edited as YAML, and only where decoding and encoding it again gives
// the same bytes (of JSON: the same value), so that nothing is lost that is not known here; everything else as the text it is. The error
// says why a value cannot be edited.
func Edit(key string, value []byte, o DecodeOptions) (_ *Editable, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("editing it is not possible: its decoder failed: %v", v)
		}
	}()
	d := Decode(key, value, o)
	switch d.Format {
	case Encrypted:
		return nil, errors.New("it is encrypted by the API server: without its keys fathom could only store what the API server cannot read")
	case CBOR:
		return nil, errors.New("it is stored as CBOR, which fathom reads and does not write")
	case Binary:
		return nil, errors.New("it is neither text nor of a known format: an editor would change bytes that nobody sees; etcdctl put stores a file as it is")
	case Protobuf:
		return editProtobuf(d, value)
	case JSON:
		if d.Kind != "" && d.APIVersion != "" {
			return editJSON(d, value)
		}
	}
	switch {
	case d.Masked:
		return nil, ErrMasked
	case !utf8.Valid(value):
		return nil, errors.New("it is not valid UTF-8: an editor would change bytes that nobody sees; etcdctl put stores a file as it is")
	}
	return editText(d, value), nil
}

// editText edits the bytes themselves. Editors end the last line: where the value does not, one line end is taken off again.
func editText(d Decoded, value []byte) *Editable {
	e := &Editable{Text: string(value), Ext: "txt"}
	added := !bytes.HasSuffix(value, []byte("\n"))
	if added && len(value) > 0 {
		e.Text += "\n"
	}
	e.encode = func(text string) ([]byte, error) {
		if added {
			text = strings.TrimSuffix(text, "\n")
		}
		if d.Format == JSON && !json.Valid([]byte(text)) {
			var v any
			return nil, fmt.Errorf("it was JSON and is none any more: %w", json.Unmarshal([]byte(text), &v))
		}
		return []byte(text), nil
	}
	if d.Format == JSON {
		e.Ext = "json"
	}
	return e
}

// editTree edits an object as YAML. write encodes the whole of it; what the text does not show comes from full.
func editTree(d Decoded, full map[string]any, write func(map[string]any) ([]byte, error)) (*Editable, error) {
	shown, err := parseYAML(d.Text)
	if err != nil {
		return nil, fmt.Errorf("its YAML cannot be read back: %w", err)
	}
	if _, ok := shown.(map[string]any); !ok {
		return nil, ErrMasked
	}
	return &Editable{Text: d.Text, Ext: "yaml", encode: func(text string) ([]byte, error) {
		edited, err := parseYAML(text)
		if err != nil {
			return nil, err
		}
		whole, err := restore(edited, shown, full, "")
		if err != nil {
			return nil, err
		}
		m, ok := whole.(map[string]any)
		if !ok {
			return nil, errors.New("this is no object any more: it needs apiVersion, kind and metadata")
		}
		if err := sameIdentity(m, full); err != nil {
			return nil, err
		}
		return write(m)
	}}, nil
}

// sameIdentity refuses a text that makes another object of it: its key would lie.
func sameIdentity(edited, was map[string]any) error {
	for _, path := range [][]string{{"apiVersion"}, {"kind"}, {"metadata", "name"}, {"metadata", "namespace"}, {"metadata", "uid"}} {
		a, b := at(edited, path), at(was, path)
		if !reflect.DeepEqual(a, b) {
			return fmt.Errorf("%s is %v and must stay %v: it is what the key says, or what other objects refer to", strings.Join(path, "."), a, b)
		}
	}
	return nil
}

func at(m map[string]any, path []string) any {
	var v any = m
	for _, p := range path {
		m, _ := v.(map[string]any)
		v = m[p]
	}
	return v
}

func editProtobuf(d Decoded, value []byte) (*Editable, error) {
	full, gvk, err := protobufTree(value)
	if err != nil {
		return nil, fmt.Errorf("it is an object of Kubernetes that cannot be decoded here, so it cannot be encoded again: %w", err)
	}
	write := func(m map[string]any) ([]byte, error) { return encodeProtobuf(m, gvk) }
	again, err := write(full)
	switch {
	case err != nil:
		return nil, fmt.Errorf("encoding the %s again, unchanged, fails: %w", gvk.Kind, err)
	case !bytes.Equal(again, value):
		return nil, fmt.Errorf("encoding the %s again, unchanged, gives %d other bytes (it is %d long, and would be %d): it holds what is not known here, "+
			"probably of another version of Kubernetes, and editing it would lose that; edit the object through the API server", gvk.Kind, differing(again, value), len(value), len(again))
	}
	return editTree(d, full, write)
}

// protobufTree is an object that is stored as protobuf, as maps, lists and scalars.
func protobufTree(value []byte) (map[string]any, schema.GroupVersionKind, error) {
	obj, gvk, err := scheme.Codecs.UniversalDeserializer().Decode(value, nil, nil)
	if err != nil {
		return nil, schema.GroupVersionKind{}, err
	}
	data, err := json.Marshal(obj)
	if err != nil {
		return nil, *gvk, fmt.Errorf("writing the %s as JSON: %w", gvk.Kind, err)
	}
	m, err := object(data)
	if err != nil {
		return nil, *gvk, fmt.Errorf("reading the JSON of the %s: %w", gvk.Kind, err)
	}
	m["apiVersion"], m["kind"] = gvk.GroupVersion().String(), gvk.Kind // they are in the envelope
	return m, *gvk, nil
}

// differing is how many bytes of two values differ, at the least one.
func differing(a, b []byte) int {
	n := max(len(a), len(b)) - min(len(a), len(b))
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			n++
		}
	}
	return max(n, 1)
}

// encodeProtobuf encodes an object as the API server does. A field that its type does not have is an error.
func encodeProtobuf(m map[string]any, gvk schema.GroupVersionKind) ([]byte, error) {
	data, err := json.Marshal(m)
	if err != nil {
		return nil, err
	}
	strict := kjson.NewSerializerWithOptions(kjson.DefaultMetaFactory, scheme.Scheme, scheme.Scheme, kjson.SerializerOptions{Strict: true})
	obj, _, err := strict.Decode(data, &gvk, nil)
	if err != nil {
		return nil, errors.New(strings.TrimPrefix(err.Error(), "strict decoding error: "))
	}
	obj.GetObjectKind().SetGroupVersionKind(gvk)
	var b bytes.Buffer
	if err := protobuf.NewSerializer(scheme.Scheme, scheme.Scheme).Encode(obj, &b); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// editJSON edits what is stored as JSON: custom resources and their definitions. Keys are written in their order, as the API server does.
func editJSON(d Decoded, value []byte) (*Editable, error) {
	full, err := object(value)
	if err != nil {
		return nil, fmt.Errorf("reading its JSON: %w", err)
	}
	return editTree(d, full, func(m map[string]any) ([]byte, error) {
		out, err := json.Marshal(m)
		if err == nil && bytes.HasSuffix(value, []byte("\n")) {
			out = append(out, '\n')
		}
		return out, err
	})
}
