package views

import (
	"fmt"

	tea "charm.land/bubbletea/v2"

	"fathom/actions"
	"fathom/watchers"
)

// act asks for the confirmation of an action on the marked rows, or the one under the cursor.
func (p *resource) act(a actions.Action) tea.Cmd {
	ts, why := p.Targets(a)
	if len(ts) == 0 {
		return toast(why, true)
	}
	return func() tea.Msg { return ActMsg{Action: a, Targets: ts} }
}

// Targets implements Actor.
func (p *resource) Targets(a actions.Action) ([]actions.Target, string) {
	if !a.Applies(p.kind.GVR.Resource) {
		return nil, fmt.Sprintf("%s does not apply to %s", a.Title, p.kind.GVR.Resource)
	}
	if _, gone := p.table.Gone(); gone && p.table.MarkCount() == 0 {
		return nil, "the row you were on is gone; move to the one you mean first"
	}
	ids := p.table.Marked()
	if len(ids) == 0 {
		if id, ok := p.table.Cursor(); ok {
			ids = []string{id}
		}
	}
	var ts []actions.Target
	for _, id := range ids {
		if r, ok := p.rowOf(id); ok {
			ts = append(ts, target(p.kind, r))
		}
	}
	if len(ts) == 0 {
		return nil, "nothing is selected"
	}
	return ts, ""
}

// Unmark implements Actor.
func (p *resource) Unmark() { p.table.ClearMarks() }

// target identifies a row for the write side.
func target(k Kind, r watchers.Row) actions.Target {
	t := actions.Target{Kind: k.Kind, Group: k.GVR.Group, Version: k.GVR.Version, Resource: k.GVR.Resource,
		Namespace: r.GetNamespace(), Name: r.GetName(), UID: r.ID(), Detail: map[string]string{}}
	if m := watchers.MetaOf(r); m != nil {
		t.ResourceVersion = m.ResourceVersion
	}
	if w, ok := r.(*watchers.WorkloadRow); ok {
		t.Detail["replicas"] = fmt.Sprint(w.Desired)
	}
	return t
}
