package views

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	tea "charm.land/bubbletea/v2"
	"sigs.k8s.io/yaml"

	"fathom/internal/safe"
	"fathom/internal/yamltext"
	"fathom/watchers"
)

// Printed is what a pane shows, as data: for pipes, scripts and screen readers.
type Printed struct {
	Titles []string // of the columns of the table
	Rows   [][]string
	Keys   []string // names of the JSON fields, lowerCamelCase; stable
	Values [][]any  // one per row and key
	Text   string   // instead of all of the above: a document (YAML, a description)
}

// Printer is a pane that can be printed once.
type Printer interface {
	// Print returns what the pane shows now. ready is false while its source has not answered; err is why it never will.
	Print(wide bool) (p Printed, ready bool, err error)
}

// Format is how Print writes.
type Format string

// Formats.
const (
	TableFormat Format = "table"
	WideFormat  Format = "wide"
	JSONFormat  Format = "json"
	YAMLFormat  Format = "yaml"
)

// ParseFormat checks the argument of -o.
func ParseFormat(s string) (Format, error) {
	switch f := Format(s); f {
	case TableFormat, WideFormat, JSONFormat, YAMLFormat:
		return f, nil
	}
	return "", fmt.Errorf("-o %s: formats are table, wide, json and yaml", s)
}

// Print opens a view, waits until its source has answered, and writes what it shows. The deadline is ctx's.
func Print(ctx context.Context, p Pane, f Format, w io.Writer) error {
	pr, ok := p.(Printer)
	if !ok {
		return fmt.Errorf("view %s can only be shown on a screen", p.Ref().View)
	}
	p.Open()
	defer p.Close()
	switch s := p.(type) {
	case allReader:
		settle(s.readAll())
	case Starter:
		settle(s.Start())
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		p.Sync()
		out, ready, err := pr.Print(f == WideFormat)
		if err != nil {
			return fmt.Errorf("printing %s: %w", p.Ref().View, err)
		}
		if ready {
			return out.write(f, w)
		}
		select {
		case <-ctx.Done():
			st := p.State()
			why := st.Why
			if why == "" {
				why = "no answer in time"
			}
			return fmt.Errorf("printing %s: %s; fathom doctor says what can be reached", p.Ref().View, why)
		case <-tick.C:
		}
	}
}

// allReader is a pane that reads a page at a time for the screen, and everything for print.
type allReader interface{ readAll() tea.Cmd }

// settle runs a pane's commands one after the other, as the screen would.
func settle(cmd tea.Cmd) {
	for cmd != nil {
		m, ok := cmd().(PaneMsg)
		if !ok {
			return
		}
		u, ok := m.To.(Updater)
		if !ok {
			return
		}
		cmd = u.Update(m.Msg)
	}
}

func (p *Printed) write(f Format, w io.Writer) error {
	switch f {
	case JSONFormat, YAMLFormat:
		data, err := p.json()
		if err != nil {
			return err
		}
		if f == YAMLFormat {
			quote := func(s string) bool {
				return strings.ContainsFunc(s, func(r rune) bool { return r < 0x20 && r != '\n' || obeyed(r) })
			}
			if data, err = yamltext.FromJSONQuoted(data, quote); err != nil {
				return err
			}
			data = escape(data, `\U%08x`) // YAML does not escape bidi controls
		}
		_, err = w.Write(data)
		return err
	}
	if p.Text != "" {
		return writeLines(w, p.Text)
	}
	tw := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	line := func(row []string) { // of titles too: those of a CRD are its author's
		cells := make([]string, len(row))
		for i, c := range row {
			cells[i] = safe.String(c).String()
		}
		fmt.Fprintln(tw, strings.Join(cells, "\t"))
	}
	line(p.Titles)
	for _, row := range p.Rows {
		line(row)
	}
	return tw.Flush()
}

// writeLines writes untrusted text line by line.
func writeLines(w io.Writer, text string) error {
	for line := range strings.SplitSeq(strings.TrimRight(text, "\n"), "\n") {
		if _, err := fmt.Fprintln(w, safe.String(line).String()); err != nil {
			return err
		}
	}
	return nil
}

// json is an array of objects with their fields in the order of the columns. encoding/json escapes C0 controls and U+2028/9, but
// not DEL, C1 and bidi controls, which a terminal would obey: those are escaped here.
func (p *Printed) json() ([]byte, error) {
	if p.Text != "" {
		return yaml.YAMLToJSON([]byte(p.Text))
	}
	var b bytes.Buffer
	b.WriteString("[")
	for i, row := range p.Values {
		if i > 0 {
			b.WriteString(",")
		}
		b.WriteString("\n  {")
		for j, v := range row {
			if j > 0 {
				b.WriteString(",")
			}
			val, err := json.Marshal(v)
			if err != nil {
				return nil, fmt.Errorf("writing field %s: %w", p.Keys[j], err)
			}
			key, err := json.Marshal(p.Keys[j])
			if err != nil {
				return nil, fmt.Errorf("writing the name of field %s: %w", p.Keys[j], err)
			}
			fmt.Fprintf(&b, "\n    %s: %s", key, val)
		}
		b.WriteString("\n  }")
	}
	if len(p.Values) > 0 {
		b.WriteString("\n")
	}
	b.WriteString("]\n")
	return escapeJSON(b.Bytes()), nil
}

// escapeJSON writes characters that a terminal could obey as \u escapes. They can only stand inside strings.
func escapeJSON(data []byte) []byte { return escape(data, `\u%04x\u%04x`) }

// obeyed reports whether a terminal could obey a character other than a C0 control, or draw it together with the one before.
func obeyed(r rune) bool { return r >= 0x7f && safe.String(string(r)).String() != string(r) }

// escape writes characters that a terminal could obey as escapes: those beyond the first 65536 in the form of wide, as one number or as
// a pair of surrogates.
func escape(data []byte, wide string) []byte {
	if bytes.IndexFunc(data, func(r rune) bool { return r >= 0x7f }) < 0 {
		return data
	}
	var b bytes.Buffer
	for _, r := range string(data) {
		switch {
		case !obeyed(r):
			b.WriteRune(r)
		case r > 0xffff && strings.Count(wide, "%") == 1:
			fmt.Fprintf(&b, wide, r)
		case r > 0xffff:
			r -= 0x10000
			fmt.Fprintf(&b, wide, 0xd800+(r>>10), 0xdc00+(r&0x3ff))
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.Bytes()
}

// Print implements Printer.
func (p *resource) Print(wide bool) (Printed, bool, error) {
	switch st := p.State(); st.Phase {
	case watchers.Denied:
		return Printed{}, false, fmt.Errorf("you may not %s %s; ask for the permission, or give another namespace with -n", st.Verb, st.Resource)
	case watchers.Unsupported:
		return Printed{}, false, fmt.Errorf("not available: %s", st.Why)
	case watchers.Live:
	default:
		return Printed{}, false, nil
	}
	all := p.everyColumn()
	var out Printed
	now := p.env.Now()
	shown := make([]bool, len(all))
	for i, c := range all {
		out.Keys = append(out.Keys, c.Key)
		shown[i] = (wide || !c.Wide) && !(c.Key == "namespace" && p.ref.Namespace != AllNamespaces)
		if shown[i] {
			out.Titles = append(out.Titles, c.Title)
		}
	}
	for _, r := range p.snap.All() {
		var cells []string
		var values []any
		for i := range all {
			text, _ := all[i].Cell(r, now)
			if shown[i] {
				cells = append(cells, text)
			}
			if all[i].Value != nil {
				values = append(values, all[i].Value(r))
			} else {
				values = append(values, text)
			}
		}
		out.Rows = append(out.Rows, cells)
		out.Values = append(out.Values, values)
	}
	return out, true, nil
}
