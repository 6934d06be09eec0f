// Package yamltext writes objects as YAML whatever their strings hold. sigs.k8s.io/yaml goes through JSON and a YAML parser, which
// refuses an object with a C1 control in an annotation; whoever writes such an annotation could hide the object's YAML.
package yamltext

import (
	"bytes"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
	"k8s.io/apimachinery/pkg/util/json"
)

// Marshal writes v, by its JSON form, as YAML with the keys sorted. Control characters are written as escapes.
func Marshal(v any) ([]byte, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("writing as JSON: %w", err)
	}
	return FromJSON(data)
}

// FromJSON writes JSON as YAML. Whole numbers stay whole.
func FromJSON(data []byte) ([]byte, error) {
	return FromJSONQuoted(data, func(string) bool { return false })
}

// FromJSONQuoted is [FromJSON] with the strings that inQuotes names in double quotes, in one line: there everything can be escaped.
func FromJSONQuoted(data []byte, inQuotes func(string) bool) ([]byte, error) {
	var v any
	if err := json.Unmarshal(data, &v); err != nil {
		return nil, fmt.Errorf("reading JSON: %w", err)
	}
	var b bytes.Buffer
	enc := yaml.NewEncoder(&b)
	enc.SetIndent(2)
	enc.CompactSeqIndent()
	if err := enc.Encode(quoted(v, inQuotes)); err != nil {
		return nil, fmt.Errorf("writing as YAML: %w", err)
	}
	return b.Bytes(), nil
}

// quoted has strings of several lines written in quotes where the encoder would write a block that no parser takes, or that reads as
// something else: one whose first text is a tab, or that has line breaks other than LF; and those that also names. It
// changes v.
func quoted(v any, also func(string) bool) any {
	switch v := v.(type) {
	case map[string]any:
		for k, e := range v {
			v[k] = quoted(e, also)
		}
	case []any:
		for i, e := range v {
			v[i] = quoted(e, also)
		}
	case string:
		if also(v) || strings.Contains(v, "\n") && (strings.HasPrefix(strings.TrimLeft(v, " \n"), "\t") || strings.ContainsAny(v, "\u0085\u2028\u2029\ufeff")) {
			return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: v, Style: yaml.DoubleQuotedStyle}
		}
	}
	return v
}
