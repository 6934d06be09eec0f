package views

import (
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"

	"fathom/cluster"
	"fathom/internal/safe"
	"fathom/keymap"
	"fathom/theme"
	"fathom/ui/draw"
	"fathom/ui/table"
	"fathom/watchers"
)

// contexts lists the contexts of the kubeconfig. Enter reconnects to one.
type contexts struct {
	env    *Env
	ref    Ref
	all    []cluster.ContextInfo
	rows   []cluster.ContextInfo
	table  *table.Table
	filter Filter
}

func newContexts(env *Env, r Ref) (Pane, error) {
	p := &contexts{env: env, ref: r, table: table.New(env.Theme)}
	p.table.SetColumns([]table.Column{
		{Title: ""}, {Title: "CONTEXT", Flex: true}, {Title: "CLUSTER", Max: 40}, {Title: "USER", Max: 40, Priority: 1},
		{Title: "NAMESPACE", Max: 30, Priority: 2}, {Title: "SERVER", Max: 60, Priority: 3},
	})
	all, err := env.Cluster.Options().Contexts()
	if err != nil {
		return nil, err
	}
	p.all = all
	return p, p.SetFilter(r.Filter)
}

func (p *contexts) Open()      {}
func (p *contexts) Close()     {}
func (p *contexts) Sync() bool { return false }

func (p *contexts) Ref() Ref {
	r := p.ref
	r.Filter = p.filter.String()
	return r
}

func (p *contexts) State() watchers.State { return watchers.State{Phase: watchers.Live} }

func (p *contexts) Title() Title {
	return Title{Name: safe.Lit("contexts"), Count: countOf(len(p.rows), len(p.all)), Filter: safe.String(p.filter.String())}
}

func (p *contexts) Scopes() []keymap.Scope { return []keymap.Scope{keymap.Contexts, keymap.Table} }

func (p *contexts) Draw(a draw.Area, focused bool) {
	p.table.SetEmpty(safe.Lit("the kubeconfig has no contexts"))
	if len(p.all) > 0 {
		p.table.SetEmpty(safe.Sprintf("no context matches /%s; Esc shows all %d", p.filter.String(), len(p.all)))
	}
	p.table.Draw(a, focused)
}

func (p *contexts) Filter() string { return p.filter.String() }

func (p *contexts) SetFilter(expr string) error {
	f, err := textFilter(expr, "contexts", "name")
	if err != nil {
		return err
	}
	p.filter = f
	p.rows = slices.DeleteFunc(slices.Clone(p.all), func(c cluster.ContextInfo) bool {
		return !f.Match(strings.Join([]string{c.Name, c.Cluster, c.User, c.Server}, " "), watchers.Labels(""))
	})
	p.table.SetSource(contextSource(p.rows))
	return nil
}

func (p *contexts) Do(in keymap.Intent) tea.Cmd {
	if in == keymap.Enter {
		name, ok := p.table.Cursor()
		if !ok {
			return nil
		}
		return func() tea.Msg { return ContextMsg{Context: name} }
	}
	moveTable(p.table, in)
	return nil
}

type contextSource []cluster.ContextInfo

func (s contextSource) Len() int        { return len(s) }
func (s contextSource) ID(i int) string { return s[i].Name }
func (s contextSource) Find(id string) (int, bool) {
	i := slices.IndexFunc(s, func(c cluster.ContextInfo) bool { return c.Name == id })
	return i, i >= 0
}
func (s contextSource) Cell(i, col int) table.Cell {
	c := s[i]
	switch col {
	case 0:
		if c.Current {
			return table.Cell{Text: safe.Lit("current"), Style: theme.Good}
		}
		return table.Cell{}
	case 1:
		return table.Cell{Text: safe.String(c.Name), Style: theme.Strong}
	}
	return table.Cell{Text: safe.String([]string{c.Cluster, c.User, c.Namespace, c.Server}[col-2])}
}
