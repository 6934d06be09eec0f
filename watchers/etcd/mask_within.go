package etcd

import (
	"fmt"
	"slices"
	"strings"
)

// secretFields are the fields of a Secret that hold what is secret.
var secretFields = []string{"data", "stringData"}

// isSecretKey reports whether Secrets are stored under a key's place: PREFIX/secrets/, and, since the prefix need not be known (a
// snapshot that was loaded under another one), /secrets/ anywhere.
func isSecretKey(key, prefix string) bool {
	return strings.HasPrefix(key, strings.TrimSuffix(prefix, "/")+"/secrets/") || strings.Contains("/"+key, "/secrets/")
}

// copies are the annotations, beside kubectl's, in which tools keep the whole former version of an object.
var copies = []string{lastApplied, "kapp.k14s.io/original", "objectset.rio.cattle.io/applied", "banzaicloud.com/last-applied"}

// annotations takes copies of the data out of a Secret's annotations.
func (d *Decoded) annotations(meta map[string]any, reveal string) {
	a, _ := meta["annotations"].(map[string]any)
	for _, k := range copies {
		if a[k] != nil && reveal != wholeValue {
			delete(a, k)
			d.Note = join(d.Note, "The annotation "+k[strings.LastIndex(k, "/")+1:]+" is left out: it repeats the data.")
		}
	}
	for k, v := range a {
		if s, _ := v.(string); strings.Contains(s, `"data"`) || strings.Contains(s, `"stringData"`) {
			d.whole(a, k, reveal)
		}
	}
}

// maxDepth bounds the nesting of what is shown. YAML indents every line by its depth, so that without a bound a value of 60 KB becomes a
// text of 100 MB.
const maxDepth = 100

// maskWithin masks Secrets that are part of something else: of a List, of a template, of a text. The top level is [mask]'s.
func maskWithin(d Decoded, v any, reveal string) (Decoded, any) {
	if m, ok := v.(map[string]any); ok {
		done := d.Kind == "Secret" || d.Masked
		for k, e := range m {
			if !done || !slices.Contains(secretFields, k) && k != "binaryData" {
				m[k] = d.within(e, reveal, 1)
			}
		}
	} else {
		v = d.within(v, reveal, 1)
	}
	slices.Sort(d.Keys)
	d.Keys = slices.Compact(d.Keys)
	if len(d.Keys) > 1 { // what has names is revealed by name, never all of it at once because a part has none
		d.Keys = slices.DeleteFunc(d.Keys, func(k string) bool { return k == wholeValue })
	}
	return d, v
}

func (d *Decoded) within(v any, reveal string, depth int) any {
	if depth > maxDepth {
		if note := fmt.Sprintf("What is nested more than %d levels deep is left out.", maxDepth); !strings.Contains(d.Note, note) {
			d.Note = join(d.Note, note)
		}
		return "…"
	}
	switch v := v.(type) {
	case map[string]any:
		secret := v["kind"] == "Secret"
		if secret {
			meta, _ := v["metadata"].(map[string]any)
			d.annotations(meta, reveal)
		}
		for k, e := range v {
			if secret && slices.Contains(secretFields, k) {
				d.inner(v, k, reveal)
				continue
			}
			v[k] = d.within(e, reveal, depth+1)
		}
	case []any:
		for i, e := range v {
			v[i] = d.within(e, reveal, depth+1)
		}
	case string:
		if holdsSecret(v) {
			d.Keys = append(d.Keys, wholeValue)
			if reveal != wholeValue {
				d.Masked = true
				return d.maskOf(v)
			}
		}
	}
	return v
}

// inner masks a field of a Secret that is part of something else: value by value, so that its keys are seen.
func (d *Decoded) inner(secret map[string]any, field, reveal string) {
	data, ok := secret[field].(map[string]any)
	if !ok {
		if secret[field] != nil {
			d.whole(secret, field, reveal)
		}
		return
	}
	for k := range data {
		d.whole(data, k, reveal)
	}
}

// holdsSecret reports whether a text is, or holds, a Secret as JSON or YAML.
func holdsSecret(s string) bool {
	return strings.Contains(s, `"kind":"Secret"`) || strings.Contains(s, `"kind": "Secret"`) || strings.Contains(s, "kind: Secret\n")
}
