package etcd

import (
	"encoding/base64"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// wholeValue is the name, for Reveal, of everything that is masked.
const wholeValue = "*"

const lastApplied = "kubectl.kubernetes.io/last-applied-configuration"

// maskOf stands for what is not shown.
func (d *Decoded) maskOf(content string) string {
	if d.tag == nil {
		return fmt.Sprintf("<masked, %d bytes>", len(content))
	}
	return fmt.Sprintf("<masked, %d bytes, %s>", len(content), d.tag(content))
}

// mask masks the secrets of an object in place: the data of Secrets (among them service-account tokens, bootstrap tokens and Helm's
// releases), and Helm's releases in ConfigMaps. tail is what was revealed, as comments after the YAML.
func mask(d Decoded, m map[string]any, reveal string) (_ Decoded, tail string) {
	meta, _ := m["metadata"].(map[string]any)
	switch {
	case d.Kind == "Secret": // of any group: who calls it so means it
		d.annotations(meta, reveal)
		tail = d.fields(m, "data", reveal, unbase64)
		tail += d.fields(m, "stringData", reveal, nil)
		for _, field := range secretFields {
			if b, _ := m[field].(map[string]any); b == nil && m[field] != nil {
				d.whole(m, field, reveal)
			}
		}
	case helmConfigMap(d, meta):
		tail = d.fields(m, "data", reveal, nil)
		tail += d.fields(m, "binaryData", reveal, nil)
	}
	slices.Sort(d.Keys)
	d.Keys = slices.Compact(d.Keys)
	return d, tail
}

// helmConfigMap reports whether an object is a release of Helm (helm.sh/helm, pkg/storage/driver/cfgmaps.go).
func helmConfigMap(d Decoded, meta map[string]any) bool {
	labels, _ := meta["labels"].(map[string]any)
	name, _ := meta["name"].(string)
	return d.Kind == "ConfigMap" && (labels["owner"] == "helm" || labels["OWNER"] == "TILLER" || strings.HasPrefix(name, "sh.helm.release."))
}

// fields masks the values of a map of the object, but for the one that is revealed.
func (d *Decoded) fields(m map[string]any, field, reveal string, decode func(string) []byte) (tail string) {
	data, _ := m[field].(map[string]any)
	for _, k := range slices.Sorted(maps.Keys(data)) {
		d.Keys = append(d.Keys, k)
		s, ok := data[k].(string)
		plain := []byte(s)
		if ok && decode != nil {
			plain = decode(s)
		}
		if reveal != k && reveal != wholeValue {
			data[k] = d.maskOf(string(plain))
			d.Masked = true
			continue
		}
		if decode != nil && printable(plain) {
			tail += fmt.Sprintf("# %s.%s, decoded:\n", field, k)
			for line := range strings.SplitSeq(strings.TrimRight(string(plain), "\n"), "\n") {
				tail += "#   " + line + "\n"
			}
		}
	}
	return tail
}

// whole masks a field that is not what it should be.
func (d *Decoded) whole(m map[string]any, field, reveal string) {
	d.Keys = append(d.Keys, wholeValue)
	if reveal != wholeValue {
		m[field] = d.maskOf(fmt.Sprint(m[field]))
		d.Masked = true
	}
}

// unbase64 decodes what the API writes for bytes; what is not base64 stands for itself.
func unbase64(s string) []byte {
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		return []byte(s)
	}
	return b
}

// webToken is a JSON web token: two objects in base64, which begin with {", and a signature. Service accounts' tokens are such.
var webToken = regexp.MustCompile(`eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{16,}`)

// maskTokens masks web tokens wherever they stand in the text.
func maskTokens(d Decoded, reveal string) Decoded {
	if !strings.Contains(d.Text, "eyJ") || !webToken.MatchString(d.Text) {
		return d
	}
	if len(d.Keys) == 0 {
		d.Keys = []string{wholeValue}
	}
	if reveal == wholeValue {
		return d
	}
	d.Text = webToken.ReplaceAllStringFunc(d.Text, func(s string) string { return d.maskOf(s) })
	d.Masked = true
	d.Note = join(d.Note, "Tokens are masked.")
	return d
}
