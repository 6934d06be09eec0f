package views

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"fathom/internal/safe"
	"fathom/theme"
	"fathom/ui/draw"
	"fathom/ui/text"
)

func logPane(lines int) *logs {
	env := &Env{Theme: theme.New(theme.Options{}), Now: time.Now}
	p := &logs{env: env, narrowed: narrowed{ref: Ref{View: "logs", Object: Object{Namespace: "shop", Name: "web-0"}}}, ring: text.NewRing(lines, 1<<20), since: "tail"}
	p.view = text.NewLogView(env.Theme, p.ring)
	return p
}

func (p *logs) add(lines ...string) {
	for _, l := range lines {
		p.ring.Append(text.Line{Text: []draw.Span{{Text: safe.String(l)}}})
	}
}

// The lines that are dropped are those of the log as it is shown, not of one that was read before it.
func TestLogsCountWhatIsDropped(t *testing.T) {
	p := logPane(2)
	for i := range 5 {
		p.add(fmt.Sprint("line ", i))
	}
	if got := p.Title().Count; !strings.Contains(got, "3 older dropped") {
		t.Errorf("the title says %q", got)
	}
	p.empty()
	p.add("line 0")
	if got := p.Title().Count; strings.Contains(got, "dropped") {
		t.Errorf("of a new stream the title says %q", got)
	}
}

// What is highlighted is what is filtered: the blanks around a filter do not count.
func TestLogsHighlightTheFilter(t *testing.T) {
	p := logPane(10)
	p.add("ready", "not so")
	if err := p.SetFilter(" ready "); err != nil {
		t.Fatal(err)
	}
	c := draw.NewCanvas(40, 4)
	p.Draw(c.Area(), true)
	want := p.env.Theme.SGR(theme.Match) + "ready"
	if got := c.Render(p.env.Theme); !strings.Contains(got, want) {
		t.Errorf("%q is not in %q", want, got)
	}
}
