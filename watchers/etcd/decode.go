package etcd

// DecodeOptions say how to show a value.
type DecodeOptions struct {
	Prefix string // the API server's --etcd-prefix; empty: "/registry"
	// Reveal names one of Decoded.Keys whose value is shown; "*" shows everything.
	Reveal        string
	ManagedFields bool // show metadata.managedFields
}

// Decoded is a stored value, readable. All of it but Format is untrusted.
type Decoded struct {
	Format     string // "protobuf", "json", "cbor", "encrypted", "text", "binary", "empty", ...
	APIVersion string // the version it is stored in
	Kind       string
	Text       string // YAML, or what comes closest; several lines
	Masked     bool   // something is not shown
	// Keys are what Reveal can name, sorted: the data keys of a Secret, or "*" where there is only the whole.
	Keys []string
	Note string // what was left out, in a sentence
}

// Decode makes a stored value readable. It never fails: what it does not understand is shown as bytes.
func Decode(key string, value []byte, o DecodeOptions) Decoded {
	return Decoded{Format: "binary"}
}
