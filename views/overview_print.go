package views

import (
	"errors"
	"time"

	"fathom/theme"
	"fathom/watchers"
)

// Print implements Printer: one object per line of the overview, all of its lists whole. status is the state in words, level
// one of ok, info, pending, warning, bad, unknown. value and total are numbers in unit, for what has any.
func (p *overview) Print(bool) (Printed, bool, error) {
	d := &p.data
	if !d.api && d.etcd == nil {
		return Printed{}, false, errors.New(d.state().Why)
	}
	if !d.answered() {
		return Printed{}, false, nil
	}
	now := p.env.Now()
	out := Printed{
		Titles: []string{"SECTION", "NAME", "LEVEL", "STATUS", "DETAIL"},
		Keys:   []string{"section", "name", "level", "status", "detail", "namespace", "kind", "value", "total", "unit", "at", "stale"},
	}
	secs := d.sections(p.env.Theme, now)
	for i := range secs {
		s := &secs[i]
		for _, l := range append(s.head, s.list...) {
			out.Rows = append(out.Rows, []string{s.key, l.name, levelWord(l.level), l.status, joinWith(l.detail, " · ", l.stale)})
			out.Values = append(out.Values, []any{s.key, l.name, levelWord(l.level), l.status, l.detail, l.namespace, l.kind, number64(l.value),
				number64(l.total), l.unit, timeValue(l.at), l.stale != ""})
		}
	}
	return out, true, nil
}

func number64(n *int64) any {
	if n == nil {
		return nil
	}
	return *n
}

func levelWord(s theme.Style) string {
	switch s.Role() {
	case theme.Good:
		return "ok"
	case theme.Info, theme.Gone:
		return "info"
	case theme.Pending:
		return "pending"
	case theme.Warn:
		return "warning"
	case theme.Bad:
		return "bad"
	}
	return "unknown"
}

// answered reports whether every part has said something: its data, or why there is none.
func (d *overviewData) answered() bool {
	if d.etcd != nil && !d.etcd.Polled && d.etcd.State.Phase == watchers.Connecting {
		return false
	}
	if !d.api {
		return true
	}
	if d.pic == nil || d.pic.Gen == 0 || d.plane == nil || d.plane.Livez.At.IsZero() || d.plane.Readyz.At.IsZero() {
		return false
	}
	for _, l := range d.plane.Leases {
		if !l.Found && l.Err == "" {
			return false
		}
	}
	if d.pic.State.Phase != watchers.Connecting {
		for _, st := range d.pic.States {
			if st.Phase == watchers.Connecting {
				return false
			}
		}
		return true
	}
	return d.health.Down && d.plane.Livez.Code == 0 // there is no API server to wait for
}

// timeValue is a moment in JSON; null when it is not known.
func timeValue(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UTC().Format(time.RFC3339)
}
