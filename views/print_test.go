package views

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	"fathom/watchers"
)

// The columns of a CRD are its author's: a title that holds an escape sequence is no command to the terminal, and what -o json writes
// is JSON, with a field for every column.
func TestPrintOfColumnsThatAServerNames(t *testing.T) {
	cols := tableColumns([]watchers.TableColumn{
		{Name: "Name", Format: "name"}, {Name: "\x1b]0;owned\x07\u009b31m\tx"}, {Name: "gr\u00f6\u00dfe \u00e4nderung"}, {Name: "Namespace"}, {Name: "Phase"}, {Name: "phase"},
	})
	row := &watchers.TableRow{Cells: []any{"web", "a", "b", "c", "d", "e"}}
	p := Printed{Titles: []string{"NAMESPACE"}, Keys: []string{"namespace"}, Rows: [][]string{{"shop"}}, Values: [][]any{{"shop"}}}
	for _, c := range cols {
		text, _ := c.Cell(row, time.Time{})
		p.Titles, p.Keys = append(p.Titles, c.Title), append(p.Keys, c.Key)
		p.Rows[0], p.Values[0] = append(p.Rows[0], text), append(p.Values[0], c.Value(row))
	}
	for _, f := range []Format{TableFormat, JSONFormat, YAMLFormat} {
		var out bytes.Buffer
		if err := p.write(f, &out); err != nil {
			t.Fatal(f, err)
		}
		if i := strings.IndexFunc(out.String(), func(r rune) bool { return r < 0x20 && r != '\n' || r >= 0x7f && r < 0xa0 }); i >= 0 {
			t.Errorf("-o %s lets %q through:\n%q", f, out.String()[i:i+1], out.String())
		}
		if f != JSONFormat {
			continue
		}
		var rows []map[string]string
		if err := json.Unmarshal(out.Bytes(), &rows); err != nil {
			t.Fatalf("%v:\n%s", err, out.String())
		}
		got := rows[0]
		if len(got) != len(p.Keys) || got["namespace"] != "shop" || got["namespace2"] != "c" || got["gr\u00f6\u00dfe\u00c4nderung"] != "b" || got["phase"] != "d" || got["phase2"] != "e" {
			t.Errorf("fields %q", got)
		}
	}
}

// What -o json and -o yaml write reads back as it was, whatever it holds, and nothing in it is obeyed by a terminal.
func TestPrintedDataReadsBack(t *testing.T) {
	for _, s := range []string{
		"x\x1b\u202ey", "a\u202eb", "a\n\tb\u200d\n", "tag \U000e0041 \U0001f1e6", "\u009b31m", "gr\u00f6\u00dfe \u4e2d\u6587", "e\u0301", "# \u202e", "it's \"\u202e\"", "\ttab\n", "a\u2028b\u0085",
	} {
		p := Printed{Keys: []string{"k"}, Values: [][]any{{s}}}
		for _, f := range []Format{JSONFormat, YAMLFormat} {
			var out bytes.Buffer
			if err := p.write(f, &out); err != nil {
				t.Fatal(err)
			}
			var got []map[string]string
			read := map[Format]func([]byte, any) error{JSONFormat: json.Unmarshal, YAMLFormat: func(b []byte, v any) error { return yaml.Unmarshal(b, v) }}[f]
			if err := read(out.Bytes(), &got); err != nil || len(got) != 1 || got[0]["k"] != s {
				t.Errorf("-o %s of %q reads back as %q, %v:\n%s", f, s, got, err, out.String())
			}
			if i := strings.IndexFunc(out.String(), func(r rune) bool {
				return r < 0x20 && r != '\n' || r >= 0x7f && r < 0xa0 || r == 0x202e || r == 0x200d || r == 0x2028 || r >= 0xe0000
			}); i >= 0 {
				t.Errorf("-o %s of %q: %q", f, s, out.String())
			}
		}
	}
}
