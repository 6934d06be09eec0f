package etcd

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"fathom/internal/yamltext"
)

// Bounds of a tree of unknown fields.
const (
	maxFields     = 2000
	maxFieldDepth = 12
	maxFieldBytes = 64 // of a field that is not text
)

// fields shows a protobuf object whose type we do not have: its metadata, which is field 1 of every object of the API, and the
// other fields by their numbers.
func (in *input) fields(d Decoded, raw []byte, why error) Decoded {
	show := func() Decoded {
		var b strings.Builder
		fmt.Fprintf(&b, "apiVersion: %s\nkind: %s\n", scalar(d.APIVersion), scalar(d.Kind))
		rest := raw
		if meta, n := metadata(raw); n > 0 {
			rest = raw[n:]
			if !in.o.ManagedFields {
				meta.ManagedFields = nil
			}
			if d.Kind == "Secret" {
				delete(meta.Annotations, lastApplied)
			}
			if out, err := yamltext.Marshal(map[string]any{"metadata": meta}); err == nil {
				b.Write(out)
			}
		}
		w := fieldWriter{b: &b, left: maxFields}
		if !w.message(rest, 0) {
			b.WriteString("# what follows is no protobuf\n" + hex.Dump(rest[:min(len(rest), maxHex)]))
		}
		if w.left <= 0 {
			d.Note = join(d.Note, fmt.Sprintf("Only the first %d fields are shown.", maxFields))
		}
		d.Text = b.String()
		d.Note = join(d.Note, fmt.Sprintf("This type is not known here, so its fields are shown by number (%v).", why))
		return maskTokens(d, in.o.Reveal)
	}
	switch {
	case in.secret || d.Kind == "Secret":
		return in.masked(d, "It cannot be decoded, so it is masked as a whole.", show)
	case holdsSecret(string(raw)):
		return in.masked(d, "It holds a Secret.", show)
	}
	return show()
}

// metadata decodes field 1 if it comes first and is an ObjectMeta; n is how many bytes it took.
func metadata(raw []byte) (meta metav1.ObjectMeta, n int) {
	num, typ, tag := protowire.ConsumeTag(raw)
	if tag < 0 || num != 1 || typ != protowire.BytesType {
		return meta, 0
	}
	v, size := protowire.ConsumeBytes(raw[tag:])
	if size < 0 || meta.Unmarshal(v) != nil || meta.Name == "" && meta.UID == "" {
		return metav1.ObjectMeta{}, 0
	}
	return meta, tag + size
}

// fieldWriter writes protobuf without a schema.
type fieldWriter struct {
	b    *strings.Builder
	left int // fields
}

// message writes the fields of b. It returns false, and may have written some, when b is no message.
func (w *fieldWriter) message(b []byte, depth int) bool {
	for len(b) > 0 && w.left > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return false
		}
		b = b[n:]
		w.left--
		pad := strings.Repeat("  ", depth)
		fmt.Fprintf(w.b, "%sfield %d:", pad, num)
		switch typ {
		case protowire.VarintType:
			v, k := protowire.ConsumeVarint(b)
			if k < 0 {
				return false
			}
			fmt.Fprintf(w.b, " %d\n", v)
			b = b[k:]
		case protowire.Fixed32Type:
			v, k := protowire.ConsumeFixed32(b)
			if k < 0 {
				return false
			}
			fmt.Fprintf(w.b, " %d # fixed32\n", v)
			b = b[k:]
		case protowire.Fixed64Type:
			v, k := protowire.ConsumeFixed64(b)
			if k < 0 {
				return false
			}
			fmt.Fprintf(w.b, " %d # fixed64\n", v)
			b = b[k:]
		case protowire.BytesType:
			v, k := protowire.ConsumeBytes(b)
			if k < 0 {
				return false
			}
			w.bytes(v, depth)
			b = b[k:]
		default: // groups are not used by Kubernetes
			return false
		}
	}
	return true
}

// bytes writes a field that may be a text, a message or bytes. The wire does not tell which: text comes first, since a message of
// printable characters only is rare.
func (w *fieldWriter) bytes(v []byte, depth int) {
	switch {
	case clean(v):
		fmt.Fprintf(w.b, " %s\n", scalar(string(v)))
	case depth < maxFieldDepth && wellFormed(v):
		w.b.WriteByte('\n')
		w.message(v, depth+1)
	default:
		more := ""
		if len(v) > maxFieldBytes {
			more = "…"
		}
		fmt.Fprintf(w.b, " # %d bytes: %x%s\n", len(v), v[:min(len(v), maxFieldBytes)], more)
	}
}

// clean reports whether b is text without any control but those of lines. It is stricter than printable: a message that holds mostly text
// would pass as text there.
func clean(b []byte) bool {
	return utf8.Valid(b) && !bytes.ContainsFunc(b, func(r rune) bool { return r != '\n' && r != '\r' && r != '\t' && unicode.IsControl(r) })
}

// wellFormed reports whether b can be a message.
func wellFormed(b []byte) bool {
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 || typ == protowire.StartGroupType || typ == protowire.EndGroupType {
			return false
		}
		k := protowire.ConsumeFieldValue(num, typ, b[n:])
		if k < 0 {
			return false
		}
		b = b[n+k:]
	}
	return true
}

// scalar quotes a string where YAML would not read it as one.
func scalar(s string) string {
	if out, err := json.Marshal(s); err == nil && (strings.ContainsAny(s, "\n\r\t\"'#:{}[]") || s == "") {
		return string(out)
	}
	if _, err := strconv.ParseFloat(s, 64); err == nil {
		return strconv.Quote(s)
	}
	return s
}
