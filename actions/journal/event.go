package journal

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"
)

// Stages of a record, from the audit API (audit.k8s.io/v1).
const (
	RequestReceived  = "RequestReceived"  // the intent, written before anything is sent
	ResponseComplete = "ResponseComplete" // the outcome
)

// verbRecover is the verb of the record that accounts for bytes a crash left half-written.
const verbRecover = "recover"

// Annotations of a recovery record: which bytes of the file it accounts for.
const (
	annotationOffset = "fathom/recovered-offset" // decimal, from the start of the file
	annotationBytes  = "fathom/recovered-bytes"  // decimal
	annotationSHA256 = "fathom/recovered-sha256" // hex, of these bytes
)

// maxString bounds every text of a record, in bytes, so that a record always fits into tailSize.
const maxString = 2048

// Event is one record. The fields up to Annotations are those of the Kubernetes audit event (audit.k8s.io/v1, level Metadata:
// never a request or response body); seq, prev and hash are ours.
type Event struct {
	Kind                     string            `json:"kind"`       // "Event"
	APIVersion               string            `json:"apiVersion"` // "audit.k8s.io/v1"
	Level                    string            `json:"level"`      // "Metadata"
	AuditID                  string            `json:"auditID"`
	Stage                    string            `json:"stage"`
	Verb                     string            `json:"verb"`
	User                     User              `json:"user"`
	ImpersonatedUser         *User             `json:"impersonatedUser,omitempty"`
	UserAgent                string            `json:"userAgent,omitempty"`
	ObjectRef                *ObjectRef        `json:"objectRef,omitempty"`
	ResponseStatus           *ResponseStatus   `json:"responseStatus,omitempty"`
	RequestReceivedTimestamp MicroTime         `json:"requestReceivedTimestamp"`
	StageTimestamp           MicroTime         `json:"stageTimestamp"`
	Annotations              map[string]string `json:"annotations,omitempty"`

	Seq  uint64 `json:"seq"`  // 1 for the first record of a file, then one more each
	Prev string `json:"prev"` // Hash of the record before; empty for the first
	Hash string `json:"hash"` // hex SHA-256 of the record's canonical JSON without this field
}

// User who asked.
type User struct {
	Username string   `json:"username,omitempty"`
	UID      string   `json:"uid,omitempty"`
	Groups   []string `json:"groups,omitempty"`
}

// ObjectRef names the object that was acted on.
type ObjectRef struct {
	Resource        string `json:"resource,omitempty"`
	Namespace       string `json:"namespace,omitempty"`
	Name            string `json:"name,omitempty"`
	UID             string `json:"uid,omitempty"`
	APIGroup        string `json:"apiGroup,omitempty"`
	APIVersion      string `json:"apiVersion,omitempty"`
	ResourceVersion string `json:"resourceVersion,omitempty"`
	Subresource     string `json:"subresource,omitempty"`
}

// ResponseStatus is the outcome: Status "Success", "Failure" or "Unknown".
type ResponseStatus struct {
	Status  string `json:"status,omitempty"`
	Message string `json:"message,omitempty"`
	Reason  string `json:"reason,omitempty"`
}

// MicroTime is a time that is written in UTC with microseconds, as the audit API does.
type MicroTime struct{ time.Time }

const microFormat = "2006-01-02T15:04:05.000000Z07:00"

// MarshalJSON writes RFC 3339 with six digits.
func (t MicroTime) MarshalJSON() ([]byte, error) {
	return []byte(`"` + t.UTC().Format(microFormat) + `"`), nil
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (t *MicroTime) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return err
	}
	parsed, err := time.Parse(microFormat, s)
	if err != nil {
		return err
	}
	t.Time = parsed
	return nil
}

// seal completes a record as the successor of prev, and returns its line without the LF.
func seal(e Event, prev link) (Event, []byte, error) {
	e.Kind, e.APIVersion, e.Level = "Event", "audit.k8s.io/v1", "Metadata"
	e.bound()
	e.Seq, e.Prev, e.Hash = prev.seq+1, prev.hash, ""
	fields, err := fieldsOf(e)
	if err != nil {
		return Event{}, nil, err
	}
	if e.Hash, err = hashOf(fields); err != nil {
		return Event{}, nil, err
	}
	fields["hash"] = e.Hash
	line, err := canonical(fields)
	return e, line, err
}

// parse reads a line and checks what it says of itself: that it is canonical and that its hash is right.
func parse(line []byte) (Event, error) {
	dec := json.NewDecoder(bytes.NewReader(line))
	dec.UseNumber()
	var fields map[string]any
	if err := dec.Decode(&fields); err != nil {
		return Event{}, fmt.Errorf("not a JSON object: %w", err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return Event{}, fmt.Errorf("more than one JSON value in a line")
	}
	again, err := canonical(fields)
	if err != nil {
		return Event{}, err
	}
	if !bytes.Equal(again, line) {
		return Event{}, fmt.Errorf("not in canonical form: it was not written by fathom or was changed")
	}
	var e Event
	if err := json.Unmarshal(line, &e); err != nil {
		return Event{}, fmt.Errorf("not a journal record: %w", err)
	}
	want, err := hashOf(fields)
	if err != nil {
		return Event{}, err
	}
	if e.Hash != want {
		return e, fmt.Errorf("the hash does not match the record: it was changed")
	}
	return e, nil
}

func fieldsOf(e Event) (map[string]any, error) {
	b, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("encode the journal record: %w", err)
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber()
	var fields map[string]any
	if err := dec.Decode(&fields); err != nil {
		return nil, fmt.Errorf("encode the journal record: %w", err)
	}
	return fields, nil
}

func hashOf(fields map[string]any) (string, error) {
	rest := make(map[string]any, len(fields))
	for k, v := range fields {
		if k != "hash" {
			rest[k] = v
		}
	}
	b, err := canonical(rest)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:]), nil
}

// canonical is JSON with sorted keys, no white space and nothing outside ASCII, byte for byte what Python's
// json.dumps(record, sort_keys=True, separators=(",", ":")) gives, so that a chain can be checked without fathom. ASCII also
// keeps bidi and C1 controls of hostile names from a terminal that shows the file.
func canonical(fields map[string]any) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(fields); err != nil {
		return nil, fmt.Errorf("encode the journal record: %w", err)
	}
	raw := bytes.TrimSuffix(buf.Bytes(), []byte("\n"))
	out := make([]byte, 0, len(raw))
	for len(raw) > 0 {
		r, n := utf8.DecodeRune(raw)
		switch {
		case r < utf8.RuneSelf:
			out = append(out, raw[0])
		case r > 0xffff:
			r -= 0x10000
			out = fmt.Appendf(out, `\u%04x\u%04x`, 0xd800+r>>10, 0xdc00+r&0x3ff)
		default:
			out = fmt.Appendf(out, `\u%04x`, r)
		}
		raw = raw[n:]
	}
	return out, nil
}

// bound cuts over-long texts; a server's error message may be of any length.
func (e *Event) bound() {
	for _, s := range []*string{&e.AuditID, &e.Stage, &e.Verb, &e.UserAgent} {
		*s = cut(*s)
	}
	e.User = e.User.bounded()
	if e.ImpersonatedUser != nil {
		u := e.ImpersonatedUser.bounded()
		e.ImpersonatedUser = &u
	}
	if e.ObjectRef != nil {
		o := *e.ObjectRef
		for _, s := range []*string{&o.Resource, &o.Namespace, &o.Name, &o.UID, &o.APIGroup, &o.APIVersion, &o.ResourceVersion, &o.Subresource} {
			*s = cut(*s)
		}
		e.ObjectRef = &o
	}
	if e.ResponseStatus != nil {
		r := *e.ResponseStatus
		r.Status, r.Message, r.Reason = cut(r.Status), cut(r.Message), cut(r.Reason)
		e.ResponseStatus = &r
	}
	if e.Annotations != nil {
		a := make(map[string]string, len(e.Annotations))
		for k, v := range e.Annotations {
			a[k] = cut(v)
		}
		e.Annotations = a
	}
}

func (u User) bounded() User {
	const maxGroups = 16
	out := User{Username: cut(u.Username), UID: cut(u.UID)}
	for i, g := range u.Groups {
		if i == maxGroups {
			break
		}
		out.Groups = append(out.Groups, cut(g))
	}
	return out
}

func cut(s string) string {
	// Invalid UTF-8 is replaced here, because JSON could not hold it and the hash must cover what is read back.
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) <= maxString {
		return s
	}
	n := maxString
	for !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + fmt.Sprintf(" [%d bytes cut]", len(s)-n)
}
