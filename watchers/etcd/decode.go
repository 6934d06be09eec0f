package etcd

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer/cbor/direct"
	"k8s.io/client-go/kubernetes/scheme"

	"fathom/internal/yamltext"
)

// DecodeOptions say how to show a value.
type DecodeOptions struct {
	Prefix string // the API server's --etcd-prefix; empty: "/registry"
	// Reveal names one of Decoded.Keys whose value is shown; "*" shows everything.
	Reveal        string
	ManagedFields bool // show metadata.managedFields
	// tag, where set, puts a fingerprint into every mask, so that Diff can tell whether what is masked has changed.
	tag func(content string) string
}

// Format is how a value is stored.
type Format string

// Formats of values.
const (
	Protobuf  Format = "protobuf"  // k8s\0 and a runtime.Unknown
	JSON      Format = "json"      // custom resources, CRDs, APIServices
	CBOR      Format = "cbor"      // custom resources with the alpha feature CBORServingAndStorage
	Encrypted Format = "encrypted" // by the API server (--encryption-provider-config)
	PlainText Format = "text"
	Binary    Format = "binary"
	Empty     Format = "empty"
)

// Decoded is a stored value, readable. All of it but Format is untrusted.
type Decoded struct {
	Format     Format
	APIVersion string // the version it is stored in
	Kind       string
	Text       string // YAML, or what comes closest; several lines
	Masked     bool   // something is not shown
	// Keys are what Reveal can name, sorted: the data keys of a Secret, or "*" where there is only the whole. Empty: there is
	// nothing to mask.
	Keys []string
	Note string // what was left out or is not known, in sentences

	tag func(content string) string // see DecodeOptions
}

// protobufMagic begins what the API server stores as protobuf (apimachinery, serializer/protobuf).
const protobufMagic = "k8s\x00"

// cborMagic is the self-described CBOR tag 55799 (RFC 8949 §3.4.6).
const cborMagic = "\xd9\xd9\xf7"

// Decode makes a stored value readable. It never fails: what it does not understand is shown as bytes. Secrets are masked, also those
// that cannot be decoded: everything under Prefix/secrets/. An encrypted value is never decrypted nor guessed at.
func Decode(key string, value []byte, o DecodeOptions) (d Decoded) {
	if o.Prefix == "" {
		o.Prefix = "/registry"
	}
	in := input{value: value, o: o, secret: isSecretKey(key, o.Prefix)}
	defer func() {
		// The decoders of other people meet bytes of anybody's making here.
		if v := recover(); v != nil {
			d = in.masked(Decoded{Format: Binary, tag: o.tag}, "What it holds is not known, so it is masked as a whole.", in.bytes)
			d.Note = join(fmt.Sprintf("Its decoder failed: %v.", v), d.Note)
		}
		d.tag = nil
	}()
	switch {
	case len(value) == 0:
		return Decoded{Format: Empty, Note: "The value is empty."}
	case bytes.HasPrefix(value, []byte(encryptedMagic)):
		return encrypted(value)
	case bytes.HasPrefix(value, []byte(protobufMagic)):
		return in.protobuf()
	case bytes.HasPrefix(value, []byte(cborMagic)):
		return in.cbor()
	case bytes.IndexByte([]byte("{["), first(value)) >= 0:
		if d, ok := in.json(); ok {
			return d
		}
	}
	return in.bytes()
}

// first is the first byte that is no white space of JSON.
func first(value []byte) byte {
	if b := bytes.TrimLeft(value, " \t\r\n"); len(b) > 0 {
		return b[0]
	}
	return 0
}

// input is one value to decode.
type input struct {
	value  []byte
	o      DecodeOptions
	secret bool // its place says that it is a Secret
}

func (in *input) protobuf() Decoded {
	var unk runtime.Unknown
	if err := unk.Unmarshal(in.value[len(protobufMagic):]); err != nil {
		d := in.bytes()
		d.Note = join("The value begins as protobuf of Kubernetes but is damaged.", d.Note)
		return d
	}
	d := Decoded{Format: Protobuf, APIVersion: unk.APIVersion, Kind: unk.Kind, tag: in.o.tag}
	obj, _, err := scheme.Codecs.UniversalDeserializer().Decode(in.value, nil, nil)
	if err != nil {
		return in.fields(d, unk.Raw, err)
	}
	data, err := json.Marshal(obj)
	if err != nil {
		return in.fields(d, unk.Raw, err)
	}
	m, err := object(data)
	if err != nil {
		return in.fields(d, unk.Raw, err)
	}
	if m["apiVersion"] == nil { // it is in the envelope
		m["apiVersion"], m["kind"] = unk.APIVersion, unk.Kind
	}
	if s, ok := obj.(interface{ Size() int }); ok && s.Size() < len(unk.Raw) {
		d.Note = join(d.Note, "It holds fields that are not known here and not shown: a newer Kubernetes may have written it.")
	}
	return in.object(d, m)
}

func (in *input) json() (Decoded, bool) {
	d := Decoded{Format: JSON, tag: in.o.tag}
	if first(in.value) == '[' {
		var list any
		if err := unmarshal(in.value, &list); err != nil || in.secret {
			return Decoded{}, false
		}
		return in.yaml(d, list), true
	}
	m, err := object(in.value)
	if err != nil {
		return Decoded{}, false
	}
	d.APIVersion, _ = m["apiVersion"].(string)
	d.Kind, _ = m["kind"].(string)
	return in.object(d, m), true
}

func (in *input) cbor() Decoded {
	var m map[string]any
	if err := direct.Unmarshal(in.value, &m); err != nil {
		d := in.bytes()
		d.Note = join("The value begins as CBOR but cannot be decoded.", d.Note)
		return d
	}
	d := Decoded{Format: CBOR, tag: in.o.tag}
	d.APIVersion, _ = m["apiVersion"].(string)
	d.Kind, _ = m["kind"].(string)
	return in.object(d, m)
}

// object shows an object of the API, masked.
func (in *input) object(d Decoded, m map[string]any) Decoded {
	meta, _ := m["metadata"].(map[string]any)
	if _, ok := meta["managedFields"]; ok && !in.o.ManagedFields {
		delete(meta, "managedFields")
		d.Note = join(d.Note, "metadata.managedFields is left out.")
	}
	if in.secret && d.Kind != "Secret" {
		return in.masked(d, fmt.Sprintf("It is stored among the Secrets and says to be a %q.", d.Kind), func() Decoded { return in.yaml(d, m) })
	}
	var tail string
	d, tail = mask(d, m, in.o.Reveal)
	d = in.yaml(d, m)
	d.Text += tail
	return d
}

// yaml writes a tree of maps, lists and scalars. Secrets within it and web tokens are masked wherever they stand.
func (in *input) yaml(d Decoded, v any) Decoded {
	d, v = maskWithin(d, v, in.o.Reveal)
	out, err := yamltext.Marshal(v)
	if err != nil {
		return in.masked(d, "The value cannot be written as YAML.", in.bytes)
	}
	d.Text = string(out)
	return maskTokens(d, in.o.Reveal)
}

// masked shows what of a value may be shown without knowing what it holds: its size. reveal shows it all.
func (in *input) masked(d Decoded, note string, reveal func() Decoded) Decoded {
	keys := []string{wholeValue}
	if in.o.Reveal == wholeValue {
		d = reveal()
		d.Keys = keys
		return d
	}
	d.Text, d.Masked, d.Keys = d.maskOf(string(in.value))+"\n", true, keys
	d.Note = join(d.Note, note)
	return d
}

// maxHex bounds the bytes of a hex dump.
const maxHex = 8 << 10

// bytes shows a value that is nothing we know: text where it is that, or else a hex dump of its beginning.
func (in *input) bytes() Decoded {
	show := func() Decoded {
		if printable(in.value) {
			return maskTokens(Decoded{Format: PlainText, Text: string(in.value), tag: in.o.tag}, in.o.Reveal)
		}
		d := Decoded{Format: Binary, Text: hex.Dump(in.value[:min(len(in.value), maxHex)])}
		if len(in.value) > maxHex {
			d.Note = fmt.Sprintf("The first %d of %d bytes.", maxHex, len(in.value))
		}
		return d
	}
	d := Decoded{Format: Binary, tag: in.o.tag}
	if printable(in.value) {
		d.Format = PlainText
	}
	switch {
	case in.secret:
		return in.masked(d, "It is stored among the Secrets.", show)
	case d.Format == PlainText && holdsSecret(string(in.value)):
		return in.masked(d, "It holds a Secret.", show)
	case d.Format == Binary && webToken.Match(in.value): // in a dump no pattern would find it
		return in.masked(d, "It holds a token.", show)
	}
	return show()
}

// looked is how much of a value is looked at to tell text from binary, in bytes.
const looked = 64 << 10

// printable reports whether a value is to be read as text. Some controls and bytes that are not UTF-8 do not make it binary: a log
// line with colours, or a text that wants to clear the screen, is better read with its controls made visible than as a hex dump. A
// NUL, or a quarter of such characters, does.
func printable(b []byte) bool {
	if len(b) > looked {
		b = b[:looked]
	}
	odd, all := 0, 0
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		b = b[n:]
		all++
		switch {
		case r == 0:
			return false
		case r == utf8.RuneError && n == 1, r != '\n' && r != '\r' && r != '\t' && unicode.IsControl(r):
			odd++
		}
	}
	return 4*odd <= all
}

// object reads one JSON object and nothing after it. Numbers stay as they are written.
func object(data []byte) (map[string]any, error) {
	var m map[string]any
	if err := unmarshal(data, &m); err != nil {
		return nil, err
	}
	return m, nil
}

func unmarshal(data []byte, into any) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	if err := dec.Decode(into); err != nil {
		return err
	}
	if _, err := dec.Token(); err != io.EOF {
		return fmt.Errorf("there is more after the JSON value: %v", err)
	}
	return nil
}

// join puts sentences together.
func join(sentences ...string) string {
	return strings.Join(slices.DeleteFunc(sentences, func(s string) bool { return s == "" }), " ")
}
