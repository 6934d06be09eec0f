package cluster

import "encoding/json"

// Explain says in one line what an error of a request means and what to do. It is untrusted text.
func Explain(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func decodeJSON(b []byte, v any) error { return json.Unmarshal(b, v) }
