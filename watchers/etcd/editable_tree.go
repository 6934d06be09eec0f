package etcd

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"
)

// parseYAML reads one document into maps, lists and scalars as [object] does: numbers stay as they are written. Anchors, which can make a
// text of a line into one of a gigabyte, are refused.
func parseYAML(text string) (any, error) {
	dec := yaml.NewDecoder(strings.NewReader(text))
	var doc yaml.Node
	if err := dec.Decode(&doc); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, errors.New("there is nothing in it")
		}
		return nil, err
	}
	if err := dec.Decode(&yaml.Node{}); !errors.Is(err, io.EOF) {
		return nil, errors.New("there is more than one document in it")
	}
	if len(doc.Content) == 0 {
		return nil, errors.New("there is nothing in it")
	}
	return fromNode(doc.Content[0])
}

func fromNode(n *yaml.Node) (any, error) {
	switch n.Kind {
	case yaml.MappingNode:
		m := make(map[string]any, len(n.Content)/2)
		for i := 0; i+1 < len(n.Content); i += 2 {
			k := n.Content[i]
			if k.Kind != yaml.ScalarNode || k.Tag == "!!merge" {
				return nil, fmt.Errorf("line %d: a key must be a plain word", k.Line)
			}
			if _, ok := m[k.Value]; ok {
				return nil, fmt.Errorf("line %d: %q is there twice", k.Line, k.Value)
			}
			v, err := fromNode(n.Content[i+1])
			if err != nil {
				return nil, err
			}
			m[k.Value] = v
		}
		return m, nil
	case yaml.SequenceNode:
		s := make([]any, len(n.Content))
		for i, c := range n.Content {
			v, err := fromNode(c)
			if err != nil {
				return nil, err
			}
			s[i] = v
		}
		return s, nil
	case yaml.ScalarNode:
		return fromScalar(n)
	}
	return nil, fmt.Errorf("line %d: anchors and aliases are not understood here", n.Line)
}

func fromScalar(n *yaml.Node) (any, error) {
	switch n.Tag {
	case "!!null":
		return nil, nil
	case "!!bool":
		var b bool
		err := n.Decode(&b)
		return b, err
	case "!!int", "!!float":
		if json.Valid([]byte(n.Value)) {
			return json.Number(n.Value), nil
		}
		var v any
		if err := n.Decode(&v); err != nil {
			return nil, err
		}
		out, err := json.Marshal(v) // 0x10, 1_000; .inf is none of JSON's
		if err != nil {
			return nil, fmt.Errorf("line %d: %s is no number of JSON", n.Line, n.Value)
		}
		return json.Number(out), nil
	}
	return n.Value, nil
}

// maskMark is what Decoded.maskOf writes.
var maskMark = regexp.MustCompile(`<masked, \d+ bytes>`)

// restore makes an edited tree whole: what was not touched comes from full, and with it what shown does not show of it (masked values,
// fields that were left out). A masked value that was moved is an error: it is not known which one is meant.
func restore(edited, shown, full any, path string) (any, error) {
	if reflect.DeepEqual(edited, shown) {
		return full, nil
	}
	switch e := edited.(type) {
	case map[string]any:
		s, ok1 := shown.(map[string]any)
		f, ok2 := full.(map[string]any)
		if ok1 && ok2 {
			return restoreMap(e, s, f, path)
		}
	case []any:
		s, ok1 := shown.([]any)
		f, ok2 := full.([]any)
		if ok1 && ok2 && len(s) == len(f) {
			return restoreList(e, s, f, path)
		}
	}
	return edited, unmasked(edited, path)
}

func restoreMap(edited, shown, full map[string]any, path string) (any, error) {
	out := make(map[string]any, len(edited))
	for k, v := range full {
		if _, ok := shown[k]; !ok { // it was left out
			out[k] = v
		}
	}
	for k, v := range edited {
		s, wasShown := shown[k]
		f, was := full[k]
		var err error
		if wasShown && was {
			v, err = restore(v, s, f, path+"."+k)
		} else {
			err = unmasked(v, path+"."+k)
		}
		if err != nil {
			return nil, err
		}
		out[k] = v
	}
	return out, nil
}

// restoreList finds for every element the one it was: an equal one, or the one at its place when none is more or less.
func restoreList(edited, shown, full []any, path string) (any, error) {
	used := make([]bool, len(shown))
	from := make([]int, len(edited))
	for i, e := range edited {
		from[i] = -1
		if i < len(shown) && !used[i] && reflect.DeepEqual(e, shown[i]) {
			from[i], used[i] = i, true
		}
	}
	for i, e := range edited {
		for j := 0; j < len(shown) && from[i] < 0; j++ {
			if !used[j] && reflect.DeepEqual(e, shown[j]) {
				from[i], used[j] = j, true
			}
		}
	}
	out := make([]any, len(edited))
	for i, e := range edited {
		at := fmt.Sprintf("%s[%d]", path, i)
		if from[i] < 0 && len(edited) == len(shown) && !used[i] {
			from[i] = i
		}
		var err error
		if j := from[i]; j >= 0 {
			out[i], err = restore(e, shown[j], full[j], at)
		} else {
			out[i], err = e, unmasked(e, at)
		}
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// unmasked refuses a new or changed value that still holds the words that stand for a masked one.
func unmasked(v any, path string) error {
	switch v := v.(type) {
	case map[string]any:
		for k, e := range v {
			if err := unmasked(e, path+"."+k); err != nil {
				return err
			}
		}
	case []any:
		for i, e := range v {
			if err := unmasked(e, fmt.Sprintf("%s[%d]", path, i)); err != nil {
				return err
			}
		}
	case string:
		if maskMark.MatchString(v) {
			return fmt.Errorf("%s: a masked value was moved, copied or changed in part; leave it where it was, write the whole of it, or reveal it before editing",
				strings.TrimPrefix(path, "."))
		}
	}
	return nil
}
