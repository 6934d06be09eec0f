// Package yamltext writes objects as YAML whatever their strings hold. sigs.k8s.io/yaml goes through JSON and a YAML parser, which
// refuses an object with a C1 control in an annotation; whoever writes such an annotation could hide the object's YAML.
package yamltext

import (
	"bytes"
	"fmt"

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
	var v any
	if err := json.Unmarshal(data, &v); err != nil {
		return nil, fmt.Errorf("reading JSON: %w", err)
	}
	var b bytes.Buffer
	enc := yaml.NewEncoder(&b)
	enc.SetIndent(2)
	enc.CompactSeqIndent()
	if err := enc.Encode(v); err != nil {
		return nil, fmt.Errorf("writing as YAML: %w", err)
	}
	return b.Bytes(), nil
}
