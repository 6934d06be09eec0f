package views

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	tea "charm.land/bubbletea/v2"

	"fathom/internal/linediff"
	"fathom/internal/safe"
	"fathom/keymap"
	"fathom/theme"
	"fathom/ui/draw"
	"fathom/watchers/etcd"
)

// crossCheck is one object as etcd stores it beside what the API server serves: a text that is read on request.
type crossCheck struct {
	*document
	keys *etcd.Keys
}

func newCrossCheck(env *Env, r Ref) (Pane, error) {
	e, k := env.Cluster.Etcd(), env.Cluster.Kube()
	switch {
	case e == nil:
		return nil, errors.New("comparing: " + noEtcd(env))
	case k == nil:
		return nil, errors.New("comparing: there is no API server to compare with: give --kubeconfig or --context")
	case r.Object.Key == "":
		return nil, errors.New("comparing: no object was chosen; choose one in its list or under :keys and press V")
	}
	p := &crossCheck{keys: etcd.NewKeys(e)}
	p.document = newDocument(env, r, crossLine, func(ctx context.Context, _ string) (string, error) {
		c, err := p.keys.CrossCheck(ctx, k, r.Object.Key)
		if errors.Is(err, etcd.ErrNoKey) && r.Object.OtherKey != "" {
			c, err = p.keys.CrossCheck(ctx, k, r.Object.OtherKey)
		}
		if err != nil {
			return "", err
		}
		return crossText(c), nil
	})
	return p, nil
}

// crossText writes a cross-check: the verdict, the fields that differ, then both sides as one text with the lines of each marked.
func crossText(c etcd.CrossCheck) string {
	var b strings.Builder
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "%-11s %s\n", name+":", safe.String(fmt.Sprintf(format, args...)))
	}
	line("Object", "%s %s in %s", c.Format.Kind, c.GVR.Resource, c.Format.APIVersion)
	line("Key", "%s", c.Key)
	line("Stored", "%s, revision %d, read from %s", c.Format.Format, c.Stored.ModRevision, c.Stored.Member)
	if c.Served == "" {
		line("Served", "resourceVersion %s, in the version in which it is stored", c.ResourceVersion)
	} else {
		line("Served", "resourceVersion %s, in version %s", c.ResourceVersion, c.Served)
	}
	if c.Note != "" {
		line("Note", "%s", c.Note)
	}
	line("Verdict", "%s", c.Verdict)
	const most = 100
	for i, d := range c.Differences {
		if i == most {
			line("Differs", "and %d fields more", len(c.Differences)-most)
			break
		}
		line("Differs", "%s: stored %s, served %s", d.Path, fieldValue(d.Stored), fieldValue(d.Served))
	}
	b.WriteByte('\n')
	if c.StoredYAML == c.ServedYAML {
		b.WriteString("Stored and served:\n" + indented(c.StoredYAML))
		return b.String()
	}
	b.WriteString("Lines with - are stored only, with + served only:\n")
	for _, l := range linediff.Lines(c.StoredYAML, c.ServedYAML) {
		b.WriteString(" -+"[l.Kind:l.Kind+1] + l.Text + "\n")
	}
	return b.String()
}

// indented puts the blank before every line that a difference has before equal ones.
func indented(s string) string {
	return " " + strings.ReplaceAll(strings.TrimRight(s, "\n"), "\n", "\n ") + "\n"
}

// maxFieldValue bounds a value in the list of differences, in bytes.
const maxFieldValue = 120

func fieldValue(v any) string {
	if v == nil {
		return "nothing"
	}
	data, err := json.Marshal(v)
	if err != nil {
		return "?"
	}
	s := string(data)
	if len(s) > maxFieldValue {
		s = strings.ToValidUTF8(s[:maxFieldValue], "") + "…"
	}
	return s
}

// crossLine colours the lines: those of the head by their names, those of the object as a difference.
func crossLine(s string) []draw.Span {
	switch {
	case strings.HasPrefix(s, "Differs:"):
		return []draw.Span{{Text: safe.Bounded(s, maxLineCells), Style: theme.Warn}}
	case s == "" || strings.HasPrefix(s, "+") || strings.HasPrefix(s, "-"):
		return diffSpans(s)
	case s[0] == ' ':
		return append([]draw.Span{{Text: safe.Lit(" ")}}, yamlLine(s[1:])...)
	}
	return yamlLine(s)
}

// Scopes implements Pane.
func (p *crossCheck) Scopes() []keymap.Scope { return []keymap.Scope{keymap.TextView, keymap.Scroll} }

// Do implements Pane.
func (p *crossCheck) Do(in keymap.Intent) tea.Cmd {
	switch in {
	case keymap.OtherSide:
		return open(Ref{View: "value", Namespace: p.ref.Namespace, Object: p.ref.Object})
	case keymap.CrossCheck:
		return p.Refresh()
	}
	return p.document.Do(in)
}
