package etcd

import (
	"bytes"
	"fmt"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
)

// encryptedMagic begins what the API server encrypts: k8s:enc:PROVIDER:VERSION:KEY-OR-PLUGIN-NAME:
// (apiserver, pkg/server/options/encryptionconfig).
const encryptedMagic = "k8s:enc:"

// maxName bounds the parts of an envelope that are taken for names.
const maxName = 512

// encrypted says what the envelope of an encrypted value says.
func encrypted(value []byte) Decoded {
	d := Decoded{Format: Encrypted, Note: "It was encrypted by the API server; only with its keys it can be read, which fathom does not ask for."}
	parts := bytes.SplitN(value[:min(len(value), 4*maxName)], []byte(":"), 6)
	var b strings.Builder
	fmt.Fprintf(&b, "encrypted, %d bytes\n", len(value))
	if len(parts) < 6 { // k8s enc provider version name rest
		b.WriteString("its envelope is incomplete: neither provider nor key name can be told\n")
		d.Text = b.String()
		return d
	}
	provider, version, name := string(parts[2]), string(parts[3]), string(parts[4])
	fmt.Fprintf(&b, "provider: %s\nversion: %s\n", provider, version)
	if provider != "kms" {
		fmt.Fprintf(&b, "key name: %s\n", name)
	} else {
		fmt.Fprintf(&b, "KMS plugin: %s\n", name)
		if version == "v2" {
			head := len(encryptedMagic) + len(provider) + len(version) + len(name) + 3
			if id := kmsKeyID(value[head:]); id != "" {
				fmt.Fprintf(&b, "keyID: %s\n", id)
			}
		}
	}
	d.Text = b.String()
	return d
}

// kmsKeyID is the keyID of an EncryptedObject, which is not encrypted
// (apiserver, pkg/storage/value/encrypt/envelope/kmsv2/v2/api.proto: field 2).
func kmsKeyID(b []byte) string {
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return ""
		}
		b = b[n:]
		if num == 2 && typ == protowire.BytesType {
			v, n := protowire.ConsumeBytes(b)
			if n < 0 || len(v) > 4*maxName || !clean(v) {
				return ""
			}
			return string(v)
		}
		if n = protowire.ConsumeFieldValue(num, typ, b); n < 0 {
			return ""
		}
		b = b[n:]
	}
	return ""
}
